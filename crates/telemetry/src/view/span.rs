//! Spans, their events and links.

use super::request::Item;
use super::value::Attributes;
use super::wire::{Messages, Reader, Stretch, delimited, fixed32, fixed64, tags, varint};
use super::{ITEM_DEPTH, ViewError, check};

/// A `Span`.
#[derive(Clone, Copy, Debug)]
pub struct SpanView<'a> {
    /// The `Span` message.
    pub bytes: &'a [u8],
    /// Of any length.
    pub trace_id: &'a [u8],
    /// Of any length.
    pub span_id: &'a [u8],
    /// Of any length; empty for a root.
    pub parent_span_id: &'a [u8],
    /// The W3C `tracestate`.
    pub trace_state: &'a str,
    /// W3C trace flags, and whether the parent is remote.
    pub flags: u32,
    /// The span's name.
    pub name: &'a str,
    /// OTLP's number of the kind, known or not.
    pub kind: i32,
    /// Nanoseconds since the Unix epoch.
    pub start: u64,
    /// Nanoseconds since the Unix epoch.
    pub end: u64,
    /// How many attributes the sender left out.
    pub dropped_attributes: u32,
    /// How many events the sender left out.
    pub dropped_events: u32,
    /// How many links the sender left out.
    pub dropped_links: u32,
    /// Whether the span has a status at all.
    pub has_status: bool,
    /// OTLP's number of the status, known or not.
    pub status_code: i32,
    /// What the status says.
    pub status_message: &'a str,
    attributes: &'a [u8],
    events: &'a [u8],
    links: &'a [u8],
}

const ATTRIBUTES: u32 = 9;
const EVENTS: u32 = 11;
const LINKS: u32 = 13;

impl<'a> SpanView<'a> {
    /// Reads and checks one `Span`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ViewError> {
        Self::read::<true>(bytes)
    }

    /// Reads a `Span` that [`Self::parse`] has taken before, without another look into its
    /// attributes, events and links: these end early where the bytes are damaged after all.
    pub fn reread(bytes: &'a [u8]) -> Result<Self, ViewError> {
        Self::read::<false>(bytes)
    }

    /// The span's attributes in their order.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.attributes, ATTRIBUTES)
    }

    /// The span's events in their order.
    pub fn events(&self) -> Events<'a> {
        Events(Messages::new(self.events, delimited(EVENTS)))
    }

    /// The span's links in their order.
    pub fn links(&self) -> Links<'a> {
        Links(Messages::new(self.links, delimited(LINKS)))
    }

    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            trace_id: &[],
            span_id: &[],
            parent_span_id: &[],
            trace_state: "",
            flags: 0,
            name: "",
            kind: 0,
            start: 0,
            end: 0,
            dropped_attributes: 0,
            dropped_events: 0,
            dropped_links: 0,
            has_status: false,
            status_code: 0,
            status_message: "",
            attributes: &[],
            events: &[],
            links: &[],
        }
    }

    fn read<const DEEP: bool>(bytes: &'a [u8]) -> Result<Self, ViewError> {
        const TRACE_ID: u32 = delimited(1);
        const SPAN_ID: u32 = delimited(2);
        const TRACE_STATE: u32 = delimited(3);
        const PARENT_SPAN_ID: u32 = delimited(4);
        const NAME: u32 = delimited(5);
        const KIND: u32 = varint(6);
        const START: u32 = fixed64(7);
        const END: u32 = fixed64(8);
        const ATTRIBUTE: u32 = delimited(ATTRIBUTES);
        const DROPPED_ATTRIBUTES: u32 = varint(10);
        const EVENT: u32 = delimited(EVENTS);
        const DROPPED_EVENTS: u32 = varint(12);
        const LINK: u32 = delimited(LINKS);
        const DROPPED_LINKS: u32 = varint(14);
        const STATUS: u32 = delimited(15);
        const FLAGS: u32 = fixed32(16);
        let mut view = Self::new(bytes);
        let mut attributes = Stretch::default();
        let mut events = Stretch::default();
        let mut links = Stretch::default();
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let before = reader.left();
            match reader.key()? {
                ATTRIBUTE => {
                    let attribute = reader.message(ITEM_DEPTH)?;
                    if DEEP {
                        check::key_value(attribute, ITEM_DEPTH - 1)?;
                    }
                    attributes.add(bytes, before, reader.left());
                }
                TRACE_ID => view.trace_id = reader.bytes()?,
                SPAN_ID => view.span_id = reader.bytes()?,
                TRACE_STATE => view.trace_state = reader.text()?,
                PARENT_SPAN_ID => view.parent_span_id = reader.bytes()?,
                NAME => view.name = reader.text()?,
                KIND => view.kind = reader.varint()? as i32,
                START => view.start = reader.fixed64()?,
                END => view.end = reader.fixed64()?,
                DROPPED_ATTRIBUTES => view.dropped_attributes = reader.varint()? as u32,
                EVENT => {
                    let event = reader.message(ITEM_DEPTH)?;
                    if DEEP {
                        EventView::read::<true>(event)?;
                    }
                    events.add(bytes, before, reader.left());
                }
                DROPPED_EVENTS => view.dropped_events = reader.varint()? as u32,
                LINK => {
                    let link = reader.message(ITEM_DEPTH)?;
                    if DEEP {
                        LinkView::read::<true>(link)?;
                    }
                    links.add(bytes, before, reader.left());
                }
                DROPPED_LINKS => view.dropped_links = reader.varint()? as u32,
                STATUS => {
                    let status = reader.message(ITEM_DEPTH)?;
                    view.has_status = true;
                    view.merge_status(status)?;
                }
                FLAGS => view.flags = reader.fixed32()?,
                key => reader.unknown(key, const { tags(1, 16) }, ITEM_DEPTH)?,
            }
        }
        view.attributes = attributes.of(bytes);
        view.events = events.of(bytes);
        view.links = links.of(bytes);
        Ok(view)
    }

    /// A status that comes twice is one of which each field counts where it came last.
    fn merge_status(&mut self, bytes: &'a [u8]) -> Result<(), ViewError> {
        const MESSAGE: u32 = delimited(2);
        const CODE: u32 = varint(3);
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            match reader.key()? {
                MESSAGE => self.status_message = reader.text()?,
                CODE => self.status_code = reader.varint()? as i32,
                key => reader.unknown(key, const { tags(2, 3) }, ITEM_DEPTH - 1)?,
            }
        }
        Ok(())
    }
}

impl<'a> Item<'a> for SpanView<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, ViewError> {
        SpanView::parse(bytes)
    }
}

/// An `Event` of a span.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    /// The `Event` message.
    pub bytes: &'a [u8],
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// What happened.
    pub name: &'a str,
    /// How many attributes the sender left out.
    pub dropped_attributes: u32,
}

impl<'a> EventView<'a> {
    /// The event's attributes in their order.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.bytes, 3)
    }

    fn read<const DEEP: bool>(bytes: &'a [u8]) -> Result<Self, ViewError> {
        const DEPTH: u32 = ITEM_DEPTH - 1;
        const TIME: u32 = fixed64(1);
        const NAME: u32 = delimited(2);
        const ATTRIBUTES: u32 = delimited(3);
        const DROPPED: u32 = varint(4);
        let mut view = Self { bytes, time: 0, name: "", dropped_attributes: 0 };
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            match reader.key()? {
                TIME => view.time = reader.fixed64()?,
                NAME => view.name = reader.text()?,
                ATTRIBUTES => {
                    let attribute = reader.message(DEPTH)?;
                    if DEEP {
                        check::key_value(attribute, DEPTH - 1)?;
                    }
                }
                DROPPED => view.dropped_attributes = reader.varint()? as u32,
                key => reader.unknown(key, const { tags(1, 4) }, DEPTH)?,
            }
        }
        Ok(view)
    }
}

/// A `Link` of a span.
#[derive(Clone, Copy, Debug)]
pub struct LinkView<'a> {
    /// The `Link` message.
    pub bytes: &'a [u8],
    /// Of any length.
    pub trace_id: &'a [u8],
    /// Of any length.
    pub span_id: &'a [u8],
    /// The W3C `tracestate` of the linked span.
    pub trace_state: &'a str,
    /// How many attributes the sender left out.
    pub dropped_attributes: u32,
    /// W3C trace flags of the linked span, and whether it is remote.
    pub flags: u32,
}

impl<'a> LinkView<'a> {
    /// The link's attributes in their order.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.bytes, 4)
    }

    fn read<const DEEP: bool>(bytes: &'a [u8]) -> Result<Self, ViewError> {
        const DEPTH: u32 = ITEM_DEPTH - 1;
        const TRACE_ID: u32 = delimited(1);
        const SPAN_ID: u32 = delimited(2);
        const TRACE_STATE: u32 = delimited(3);
        const ATTRIBUTES: u32 = delimited(4);
        const DROPPED: u32 = varint(5);
        const FLAGS: u32 = fixed32(6);
        let mut view = Self {
            bytes,
            trace_id: &[],
            span_id: &[],
            trace_state: "",
            dropped_attributes: 0,
            flags: 0,
        };
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            match reader.key()? {
                TRACE_ID => view.trace_id = reader.bytes()?,
                SPAN_ID => view.span_id = reader.bytes()?,
                TRACE_STATE => view.trace_state = reader.text()?,
                ATTRIBUTES => {
                    let attribute = reader.message(DEPTH)?;
                    if DEEP {
                        check::key_value(attribute, DEPTH - 1)?;
                    }
                }
                DROPPED => view.dropped_attributes = reader.varint()? as u32,
                FLAGS => view.flags = reader.fixed32()?,
                key => reader.unknown(key, const { tags(1, 6) }, DEPTH)?,
            }
        }
        Ok(view)
    }
}

/// Events in their order.
#[derive(Clone, Debug)]
pub struct Events<'a>(Messages<'a>);

impl<'a> Iterator for Events<'a> {
    type Item = EventView<'a>;

    fn next(&mut self) -> Option<EventView<'a>> {
        EventView::read::<false>(self.0.next()?).ok()
    }
}

/// Links in their order.
#[derive(Clone, Debug)]
pub struct Links<'a>(Messages<'a>);

impl<'a> Iterator for Links<'a> {
    type Item = LinkView<'a>;

    fn next(&mut self) -> Option<LinkView<'a>> {
        LinkView::read::<false>(self.0.next()?).ok()
    }
}
