//! Log records.

use super::check::Held;
use super::request::Item;
use super::value::{Attributes, ValueView};
use super::wire::{Reader, Stretch, delimited, fixed32, fixed64, tags, varint};
use super::{ITEM_DEPTH, ViewError, check};

/// A `LogRecord`.
#[derive(Clone, Copy, Debug)]
pub struct LogView<'a> {
    /// The `LogRecord` message.
    pub bytes: &'a [u8],
    /// Nanoseconds since the Unix epoch; 0 where it is not known.
    pub time: u64,
    /// When it was first seen, in nanoseconds since the Unix epoch; 0 where it is not known.
    pub observed: u64,
    /// OTLP's number of the severity, known or not.
    pub severity_number: i32,
    /// The severity as the source named it.
    pub severity_text: &'a str,
    /// What was logged.
    pub body: Option<ValueView<'a>>,
    /// Of any length; mostly empty.
    pub trace_id: &'a [u8],
    /// Of any length; mostly empty.
    pub span_id: &'a [u8],
    /// W3C trace flags.
    pub flags: u32,
    /// How many attributes the sender left out.
    pub dropped_attributes: u32,
    /// The name of the event, where the record is one.
    pub event_name: &'a str,
    attributes: &'a [u8],
}

const ATTRIBUTES: u32 = 6;
/// All field numbers to 12 but 4, which OTLP no longer uses.
const KNOWN: u32 = tags(1, 12) & !tags(4, 4);

impl<'a> LogView<'a> {
    /// Reads and checks one `LogRecord`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ViewError> {
        Self::read::<true>(bytes)
    }

    /// Reads a `LogRecord` that [`Self::parse`] has taken before, without another look into
    /// its body and attributes: these end early where the bytes are damaged after all.
    pub fn reread(bytes: &'a [u8]) -> Result<Self, ViewError> {
        Self::read::<false>(bytes)
    }

    /// The record's attributes in their order.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.attributes, ATTRIBUTES)
    }

    fn read<const DEEP: bool>(bytes: &'a [u8]) -> Result<Self, ViewError> {
        const TIME: u32 = fixed64(1);
        const SEVERITY_NUMBER: u32 = varint(2);
        const SEVERITY_TEXT: u32 = delimited(3);
        const BODY: u32 = delimited(5);
        const ATTRIBUTE: u32 = delimited(ATTRIBUTES);
        const DROPPED_ATTRIBUTES: u32 = varint(7);
        const FLAGS: u32 = fixed32(8);
        const TRACE_ID: u32 = delimited(9);
        const SPAN_ID: u32 = delimited(10);
        const OBSERVED: u32 = fixed64(11);
        const EVENT_NAME: u32 = delimited(12);
        let mut view = Self {
            bytes,
            time: 0,
            observed: 0,
            severity_number: 0,
            severity_text: "",
            body: None,
            trace_id: &[],
            span_id: &[],
            flags: 0,
            dropped_attributes: 0,
            event_name: "",
            attributes: &[],
        };
        let mut attributes = Stretch::default();
        let mut held = Held::default();
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let before = reader.left();
            match reader.key()? {
                TIME => view.time = reader.fixed64()?,
                SEVERITY_NUMBER => view.severity_number = reader.varint()? as i32,
                SEVERITY_TEXT => view.severity_text = reader.text()?,
                BODY => {
                    let body = reader.message(ITEM_DEPTH)?;
                    if DEEP {
                        held = check::value(held, body, ITEM_DEPTH - 1)?;
                    }
                    view.body.get_or_insert(ValueView::Empty).merge(body)?;
                }
                ATTRIBUTE => {
                    let attribute = reader.message(ITEM_DEPTH)?;
                    if DEEP {
                        check::key_value(attribute, ITEM_DEPTH - 1)?;
                    }
                    attributes.add(bytes, before, reader.left());
                }
                DROPPED_ATTRIBUTES => view.dropped_attributes = reader.varint()? as u32,
                FLAGS => view.flags = reader.fixed32()?,
                TRACE_ID => view.trace_id = reader.bytes()?,
                SPAN_ID => view.span_id = reader.bytes()?,
                OBSERVED => view.observed = reader.fixed64()?,
                EVENT_NAME => view.event_name = reader.text()?,
                key => reader.unknown(key, KNOWN, ITEM_DEPTH)?,
            }
        }
        view.attributes = attributes.of(bytes);
        Ok(view)
    }
}

impl<'a> Item<'a> for LogView<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, ViewError> {
        LogView::parse(bytes)
    }
}
