//! Requests: items by scope, scopes by resource. Traces and logs have the same shape.

use super::log::LogView;
use super::span::SpanView;
use super::value::Attributes;
use super::wire::{Messages, Reader, delimited, tags, varint};
use super::{GROUP_DEPTH, ITEM_DEPTH, REQUEST_DEPTH, RESOURCE_DEPTH, ViewError, check};
use std::marker::PhantomData;

/// A span or a log record.
pub trait Item<'a>: Sized {
    /// Reads and checks one message.
    fn parse(bytes: &'a [u8]) -> Result<Self, ViewError>;
}

/// An `ExportTraceServiceRequest`.
pub type TracesView<'a> = RequestView<'a, SpanView<'a>>;
/// An `ExportLogsServiceRequest`.
pub type LogsView<'a> = RequestView<'a, LogView<'a>>;

/// A request. What its iterators come by is checked as they come by it: only who has seen all
/// items without an error knows that the request is valid.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a, I> {
    bytes: &'a [u8],
    item: PhantomData<I>,
}

impl<'a, I: Item<'a>> RequestView<'a, I> {
    /// A view over `bytes`, of which nothing is read yet.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, item: PhantomData }
    }

    /// The `ResourceSpans` or `ResourceLogs` in their order.
    pub fn resources(&self) -> impl Iterator<Item = Result<ResourceItems<'a, I>, ViewError>> {
        Checked { reader: Reader::new(self.bytes), key: RESOURCES, known: 1, depth: REQUEST_DEPTH }
            .map(|bytes| ResourceItems::parse(bytes?))
    }

    /// Checks the whole request and counts its items.
    pub fn validate(&self) -> Result<usize, ViewError> {
        let mut items = 0;
        for resource in self.resources() {
            for scope in resource?.scopes() {
                for item in scope?.items() {
                    item?;
                    items += 1;
                }
            }
        }
        Ok(items)
    }
}

const RESOURCES: u32 = delimited(1);
const HEAD: u32 = delimited(1);
const MEMBERS: u32 = delimited(2);
const SCHEMA_URL: u32 = delimited(3);

/// Messages of one field of a message whose known fields are numbered 1 to `known`; all that
/// is not in them is checked.
struct Checked<'a> {
    reader: Reader<'a>,
    key: u32,
    known: u32,
    depth: u32,
}

impl<'a> Iterator for Checked<'a> {
    type Item = Result<&'a [u8], ViewError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.reader.is_empty() {
            let result = match self.reader.key() {
                Ok(key) if key == self.key => return Some(self.reader.message(self.depth)),
                Ok(key) => self.reader.unknown(key, tags(1, self.known), self.depth),
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                self.reader = Reader::new(&[]);
                return Some(Err(error));
            }
        }
        None
    }
}

/// What `ResourceSpans`, `ScopeSpans` and their like have in common: one message that
/// describes, many that are described, and a schema.
struct Group<'a> {
    head: &'a [u8],
    schema_url: &'a str,
}

impl<'a> Group<'a> {
    /// Checks all but the members.
    fn parse(bytes: &'a [u8], depth: u32) -> Result<Self, ViewError> {
        let mut head = None;
        let mut schema_url = "";
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            match reader.key()? {
                MEMBERS => reader.message(depth).map(drop)?,
                HEAD => {
                    if head.replace(reader.message(depth)?).is_some() {
                        return Err(ViewError::Irregular);
                    }
                }
                SCHEMA_URL => schema_url = reader.text()?,
                key => reader.unknown(key, const { tags(1, 3) }, depth)?,
            }
        }
        Ok(Self { head: head.unwrap_or_default(), schema_url })
    }
}

/// The bytes of the members of a group that [`Group::parse`] has taken.
fn members(bytes: &[u8]) -> Messages<'_> {
    Messages::new(bytes, MEMBERS)
}

/// A `ResourceSpans` or a `ResourceLogs`.
#[derive(Clone, Copy, Debug)]
pub struct ResourceItems<'a, I> {
    /// Who recorded the items.
    pub resource: ResourceView<'a>,
    bytes: &'a [u8],
    item: PhantomData<I>,
}

impl<'a, I: Item<'a>> ResourceItems<'a, I> {
    fn parse(bytes: &'a [u8]) -> Result<Self, ViewError> {
        let Group { head, schema_url } = Group::parse(bytes, GROUP_DEPTH)?;
        let resource = ResourceView::parse(head, schema_url)?;
        Ok(Self { resource, bytes, item: PhantomData })
    }

    /// The `ScopeSpans` or `ScopeLogs` in their order.
    pub fn scopes(&self) -> impl Iterator<Item = Result<ScopeItems<'a, I>, ViewError>> {
        members(self.bytes).map(ScopeItems::parse)
    }
}

/// A `ScopeSpans` or a `ScopeLogs`.
#[derive(Clone, Copy, Debug)]
pub struct ScopeItems<'a, I> {
    /// Which library recorded the items.
    pub scope: ScopeView<'a>,
    bytes: &'a [u8],
    item: PhantomData<I>,
}

impl<'a, I: Item<'a>> ScopeItems<'a, I> {
    fn parse(bytes: &'a [u8]) -> Result<Self, ViewError> {
        let Group { head, schema_url } = Group::parse(bytes, RESOURCE_DEPTH)?;
        let scope = ScopeView::parse(head, schema_url)?;
        Ok(Self { scope, bytes, item: PhantomData })
    }

    /// The spans or log records in their order.
    pub fn items(&self) -> impl Iterator<Item = Result<I, ViewError>> {
        members(self.bytes).map(I::parse)
    }
}

/// A `Resource`; all empty where the request has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceView<'a> {
    /// The `Resource` message.
    pub bytes: &'a [u8],
    /// The schema of the resource.
    pub schema_url: &'a str,
    /// How many attributes the sender left out.
    pub dropped_attributes: u32,
}

impl<'a> ResourceView<'a> {
    /// Reads and checks one `Resource`.
    pub fn parse(bytes: &'a [u8], schema_url: &'a str) -> Result<Self, ViewError> {
        const ATTRIBUTES: u32 = delimited(1);
        const DROPPED: u32 = varint(2);
        const ENTITY_REFS: u32 = delimited(3);
        let mut view = Self { bytes, schema_url, dropped_attributes: 0 };
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            match reader.key()? {
                ATTRIBUTES => {
                    let attribute = reader.message(RESOURCE_DEPTH)?;
                    check::key_value(attribute, RESOURCE_DEPTH - 1)?;
                }
                DROPPED => view.dropped_attributes = reader.varint()? as u32,
                ENTITY_REFS => {
                    let entity = reader.message(RESOURCE_DEPTH)?;
                    check_entity(entity, RESOURCE_DEPTH - 1)?;
                }
                key => reader.unknown(key, const { tags(1, 3) }, RESOURCE_DEPTH)?,
            }
        }
        Ok(view)
    }

    /// The resource's attributes in their order.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.bytes, 1)
    }
}

/// An `EntityRef`: strings in fields 1 to 4.
fn check_entity(bytes: &[u8], depth: u32) -> Result<(), ViewError> {
    const FIRST: u32 = delimited(1);
    const SECOND: u32 = delimited(2);
    const THIRD: u32 = delimited(3);
    const FOURTH: u32 = delimited(4);
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        match reader.key()? {
            FIRST | SECOND | THIRD | FOURTH => reader.text().map(drop)?,
            key => reader.unknown(key, const { tags(1, 4) }, depth)?,
        }
    }
    Ok(())
}

/// An `InstrumentationScope`; all empty where the request has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScopeView<'a> {
    /// The `InstrumentationScope` message.
    pub bytes: &'a [u8],
    /// The schema of the scope's items.
    pub schema_url: &'a str,
    /// The library's name.
    pub name: &'a str,
    /// The library's version.
    pub version: &'a str,
    /// How many attributes the sender left out.
    pub dropped_attributes: u32,
}

impl<'a> ScopeView<'a> {
    /// Reads and checks one `InstrumentationScope`.
    pub fn parse(bytes: &'a [u8], schema_url: &'a str) -> Result<Self, ViewError> {
        const NAME: u32 = delimited(1);
        const VERSION: u32 = delimited(2);
        const ATTRIBUTES: u32 = delimited(3);
        const DROPPED: u32 = varint(4);
        let mut view = Self { bytes, schema_url, ..Self::default() };
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            match reader.key()? {
                NAME => view.name = reader.text()?,
                VERSION => view.version = reader.text()?,
                ATTRIBUTES => {
                    let attribute = reader.message(ITEM_DEPTH)?;
                    check::key_value(attribute, ITEM_DEPTH - 1)?;
                }
                DROPPED => view.dropped_attributes = reader.varint()? as u32,
                key => reader.unknown(key, const { tags(1, 4) }, ITEM_DEPTH)?,
            }
        }
        Ok(view)
    }

    /// The scope's attributes in their order.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.bytes, 3)
    }
}
