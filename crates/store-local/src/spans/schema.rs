//! The columns of a file of spans.
//!
//! What is here is the file format: a change needs a new [`FORMAT_VERSION`], and files of
//! every version that was released stay readable. The promoted attributes are not part of
//! that: each file lists its own.

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// The version of the format that is written.
pub const FORMAT_VERSION: &str = "1";

/// Keys of the file's metadata: the version of the format, the signal, the order of the rows.
pub const FORMAT_KEY: &str = "carafe.format";
/// The signal: [`SIGNAL`].
pub const SIGNAL_KEY: &str = "carafe.signal";
/// The order of the rows: [`SORT_ORDER`].
pub const SORT_KEY: &str = "carafe.sort";
/// What a file of spans has under [`SIGNAL_KEY`].
pub const SIGNAL: &str = "spans";
/// What a file of spans has under [`SORT_KEY`].
pub const SORT_ORDER: &str = "start_time desc, span_id asc";

/// Set in the metadata of the columns that are promoted attributes.
pub const PROMOTED_KEY: &str = "carafe.attribute";

/// Places of the columns that every file has, in this order; promoted attributes follow.
pub mod column {
    /// 16 bytes.
    pub const TRACE_ID: usize = 0;
    /// 8 bytes.
    pub const SPAN_ID: usize = 1;
    /// 8 bytes; null for a span that has no parent.
    pub const PARENT_SPAN_ID: usize = 2;
    /// Nanoseconds since the epoch.
    pub const START_TIME: usize = 3;
    /// End less start in nanoseconds; negative where a clock went wrong.
    pub const DURATION_NANO: usize = 4;
    /// Who recorded it.
    pub const SERVICE: usize = 5;
    /// Its name.
    pub const NAME: usize = 6;
    /// OTLP's number.
    pub const KIND: usize = 7;
    /// OTLP's number; null where the span has no status at all.
    pub const STATUS_CODE: usize = 8;
    /// Null where it is empty.
    pub const STATUS_MESSAGE: usize = 9;
    /// Null where it is empty.
    pub const TRACE_STATE: usize = 10;
    /// W3C trace flags, and whether the parent is remote.
    pub const FLAGS: usize = 11;
    /// How many attributes the sender left out.
    pub const DROPPED_ATTRIBUTES_COUNT: usize = 12;
    /// How many events the sender left out.
    pub const DROPPED_EVENTS_COUNT: usize = 13;
    /// How many links the sender left out.
    pub const DROPPED_LINKS_COUNT: usize = 14;
    /// An OTLP `Resource`.
    pub const RESOURCE: usize = 15;
    /// Null where it is empty.
    pub const RESOURCE_SCHEMA_URL: usize = 16;
    /// An OTLP `InstrumentationScope`.
    pub const SCOPE: usize = 17;
    /// Null where it is empty.
    pub const SCOPE_SCHEMA_URL: usize = 18;
    /// The service that called this one, where this span is a call.
    pub const CALLER: usize = 19;
    /// An OTLP `Span` that has only attributes: those that have no column.
    pub const ATTRIBUTES_REST: usize = 20;
    /// In which order the attributes came.
    pub const ATTRIBUTE_ORDER: usize = 21;
    /// An OTLP `Span` that has only events.
    pub const EVENTS: usize = 22;
    /// An OTLP `Span` that has only links.
    pub const LINKS: usize = 23;
    /// How many these are: the place of the first promoted attribute.
    pub const COUNT: usize = 24;
}

/// What a promoted attribute's column holds. An attribute of another type stays among the
/// rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromotedType {
    /// Strings.
    Text,
    /// Integers.
    Int,
    /// Floating point numbers.
    Double,
}

impl PromotedType {
    fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Int => DataType::Int64,
            Self::Double => DataType::Float64,
        }
    }
}

/// Attributes with a column of their own: the common ones of the semantic conventions, old
/// and stable names, by what searches ask for and what takes the most room.
pub const PROMOTED: &[(&str, PromotedType)] = &[
    ("http.method", PromotedType::Text),
    ("http.request.method", PromotedType::Text),
    ("http.status_code", PromotedType::Int),
    ("http.response.status_code", PromotedType::Int),
    ("http.route", PromotedType::Text),
    ("http.target", PromotedType::Text),
    ("url.path", PromotedType::Text),
    ("http.url", PromotedType::Text),
    ("url.full", PromotedType::Text),
    ("http.scheme", PromotedType::Text),
    ("url.scheme", PromotedType::Text),
    ("http.flavor", PromotedType::Text),
    ("network.protocol.version", PromotedType::Text),
    ("http.host", PromotedType::Text),
    ("server.address", PromotedType::Text),
    ("server.port", PromotedType::Int),
    ("net.host.name", PromotedType::Text),
    ("net.host.port", PromotedType::Int),
    ("net.peer.name", PromotedType::Text),
    ("net.peer.port", PromotedType::Int),
    ("net.peer.ip", PromotedType::Text),
    ("net.sock.peer.addr", PromotedType::Text),
    ("net.sock.peer.port", PromotedType::Int),
    ("network.peer.address", PromotedType::Text),
    ("network.peer.port", PromotedType::Int),
    ("network.transport", PromotedType::Text),
    ("http.client_ip", PromotedType::Text),
    ("client.address", PromotedType::Text),
    ("http.user_agent", PromotedType::Text),
    ("user_agent.original", PromotedType::Text),
    ("user.id", PromotedType::Text),
    ("enduser.id", PromotedType::Text),
    ("session.id", PromotedType::Text),
    ("db.system", PromotedType::Text),
    ("db.system.name", PromotedType::Text),
    ("db.name", PromotedType::Text),
    ("db.namespace", PromotedType::Text),
    ("db.operation", PromotedType::Text),
    ("db.operation.name", PromotedType::Text),
    ("db.sql.table", PromotedType::Text),
    ("db.collection.name", PromotedType::Text),
    ("db.statement", PromotedType::Text),
    ("db.query.text", PromotedType::Text),
    ("messaging.system", PromotedType::Text),
    ("messaging.destination.name", PromotedType::Text),
    ("messaging.message.id", PromotedType::Text),
    ("rpc.system", PromotedType::Text),
    ("rpc.service", PromotedType::Text),
    ("rpc.method", PromotedType::Text),
    ("rpc.grpc.status_code", PromotedType::Int),
    ("code.function.name", PromotedType::Text),
    ("code.file.path", PromotedType::Text),
    ("code.line.number", PromotedType::Int),
    ("thread.id", PromotedType::Int),
    ("thread.name", PromotedType::Text),
    ("error.type", PromotedType::Text),
];

/// Those of [`PROMOTED`] whose values mostly differ from span to span: a dictionary of them
/// would take more than they do.
pub const MOSTLY_UNIQUE: &[&str] = &[
    "http.url",
    "url.full",
    "net.peer.ip",
    "net.sock.peer.addr",
    "net.sock.peer.port",
    "network.peer.address",
    "network.peer.port",
    "http.client_ip",
    "client.address",
    "messaging.message.id",
];

/// The most promoted attributes that a file may have: an order names them by one byte.
pub const MAX_PROMOTED: usize = 64;

/// In [`column::ATTRIBUTE_ORDER`]: the next attribute of the rest.
pub const NEXT_OF_REST: u8 = 255;

static SPANS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let promoted = PROMOTED.iter().map(|(name, kind)| promoted_field(name, *kind));
    Arc::new(Schema::new_with_metadata(
        fixed_fields().into_iter().chain(promoted).collect::<Vec<_>>(),
        metadata(),
    ))
});

/// The schema of the files that are written.
pub fn spans() -> SchemaRef {
    Arc::clone(&SPANS)
}

/// The metadata that marks a file as one of spans in this format.
pub fn metadata() -> HashMap<String, String> {
    [(FORMAT_KEY, FORMAT_VERSION), (SIGNAL_KEY, SIGNAL), (SORT_KEY, SORT_ORDER)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn promoted_field(name: &str, kind: PromotedType) -> Field {
    let metadata = [(PROMOTED_KEY.to_owned(), name.to_owned())];
    Field::new(name, kind.data_type(), true).with_metadata(HashMap::from(metadata))
}

fn dictionary(values: DataType) -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(values))
}

/// The columns that every file has.
fn fixed_fields() -> [Field; column::COUNT] {
    let text = || dictionary(DataType::Utf8);
    let bytes = || dictionary(DataType::Binary);
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    [
        Field::new("trace_id", DataType::FixedSizeBinary(16), false),
        Field::new("span_id", DataType::FixedSizeBinary(8), false),
        Field::new("parent_span_id", DataType::FixedSizeBinary(8), true),
        Field::new("start_time", time, false),
        Field::new("duration_nano", DataType::Int64, false),
        Field::new("service", text(), false),
        Field::new("name", text(), false),
        Field::new("kind", DataType::Int32, false),
        Field::new("status_code", DataType::Int32, true),
        Field::new("status_message", DataType::Utf8, true),
        Field::new("trace_state", text(), true),
        Field::new("flags", DataType::UInt32, false),
        Field::new("dropped_attributes_count", DataType::UInt32, false),
        Field::new("dropped_events_count", DataType::UInt32, false),
        Field::new("dropped_links_count", DataType::UInt32, false),
        Field::new("resource", bytes(), false),
        Field::new("resource_schema_url", text(), true),
        Field::new("scope", bytes(), false),
        Field::new("scope_schema_url", text(), true),
        Field::new("caller", text(), true),
        Field::new("attributes_rest", DataType::Binary, true),
        Field::new("attribute_order", bytes(), true),
        Field::new("events", DataType::Binary, true),
        Field::new("links", DataType::Binary, true),
    ]
}

/// A promoted attribute of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// The attribute's key.
    pub key: String,
    /// What its column holds.
    pub kind: PromotedType,
}

static WRITTEN: LazyLock<Vec<Promoted>> = LazyLock::new(|| {
    let promoted = PROMOTED.iter();
    promoted.map(|(key, kind)| Promoted { key: (*key).to_owned(), kind: *kind }).collect()
});

/// The promoted attributes of the files that are written.
pub fn promoted() -> &'static [Promoted] {
    &WRITTEN
}

/// The promoted attributes of a file, the first in the column [`column::COUNT`]. An error
/// says what is wrong with a schema that is none of spans.
pub fn promoted_of(schema: &Schema) -> Result<Vec<Promoted>, String> {
    let fixed = fixed_fields();
    if schema.fields().len() < fixed.len() {
        return Err(format!("{} columns are too few", schema.fields().len()));
    }
    let (ours, rest) = schema.fields().split_at(fixed.len());
    for (expected, field) in fixed.iter().zip(ours) {
        let same = field.name() == expected.name()
            && field.data_type() == expected.data_type()
            && field.is_nullable() == expected.is_nullable();
        if !same {
            return Err(format!("column {} is not {}", field.name(), expected.name()));
        }
    }
    if rest.len() > MAX_PROMOTED {
        return Err(format!("{} promoted attributes are too many", rest.len()));
    }
    rest.iter().map(|field| promoted_field_of(field)).collect()
}

fn promoted_field_of(field: &Field) -> Result<Promoted, String> {
    let kind = match field.data_type() {
        DataType::Utf8 => PromotedType::Text,
        DataType::Int64 => PromotedType::Int,
        DataType::Float64 => PromotedType::Double,
        other => return Err(format!("column {} is of type {other}", field.name())),
    };
    if !field.is_nullable() {
        return Err(format!("column {} is never null", field.name()));
    }
    Ok(Promoted { key: field.name().clone(), kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_places_agree() {
        let schema = spans();
        assert_eq!(schema.field(column::SERVICE).name(), "service");
        assert_eq!(schema.field(column::LINKS).name(), "links");
        let names: HashSet<_> = schema.fields().iter().map(|field| field.name()).collect();
        assert_eq!(names.len(), schema.fields().len());
        assert_eq!(promoted_of(&schema).unwrap(), promoted());
        const { assert!(PROMOTED.len() <= MAX_PROMOTED) };
        let known = |key: &&str| PROMOTED.iter().any(|(promoted, _)| promoted == key);
        assert!(MOSTLY_UNIQUE.iter().all(known));
    }

    #[test]
    fn other_schemas_are_refused() {
        let schema = spans();
        let few = Schema::new(schema.fields()[..3].to_vec());
        assert!(promoted_of(&few).unwrap_err().contains("too few"));
        let mut fields = schema.fields().to_vec();
        fields.swap(column::SERVICE, column::NAME);
        assert!(promoted_of(&Schema::new(fields)).unwrap_err().contains("is not service"));
        let mut fields = schema.fields().to_vec();
        fields.push(Arc::new(Field::new("flag", DataType::Boolean, true)));
        assert!(promoted_of(&Schema::new(fields)).unwrap_err().contains("flag"));
    }
}
