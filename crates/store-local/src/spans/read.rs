//! Rows back to spans, as they came.

use super::columns::{Columns, Counts, Dictionary, HitColumns, PromotedColumn};
use super::schema::{NEXT_OF_REST, Promoted, column};
use arrow_array::{Array, BinaryArray, RecordBatch, StringArray};
use carafe_store::{ResourceRecord, ScopeRecord, SpanRecord};
use carafe_telemetry::otlp::{self, KeyValue};
use hashbrown::HashMap;
use prost::Message;
use std::sync::Arc;

/// Resources and scopes that one reader shares; more are decoded anew.
const MAX_SHARED: usize = 4_096;

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A column is not what it should be.
    #[error(transparent)]
    Column(#[from] super::columns::ColumnError),
    /// A message in a row cannot be decoded.
    #[error("a row has {0} that cannot be decoded: {1}")]
    Message(&'static str, prost::DecodeError),
    /// The order of a row's attributes names one that the row does not have.
    #[error("a row has its attributes in an impossible order")]
    Order,
}

/// Makes spans of rows. Equal resources and scopes are shared between the spans.
#[derive(Debug)]
pub struct RowReader {
    promoted: Arc<[Promoted]>,
    resources: HashMap<(Vec<u8>, String), Arc<ResourceRecord>>,
    scopes: HashMap<(Vec<u8>, String), Arc<ScopeRecord>>,
}

/// The columns of a batch.
struct Rows<'a> {
    hits: HitColumns<'a>,
    status_message: &'a StringArray,
    trace_state: Dictionary<'a, StringArray>,
    counts: [Counts<'a>; 4],
    resource: Dictionary<'a, BinaryArray>,
    resource_schema_url: Dictionary<'a, StringArray>,
    scope: Dictionary<'a, BinaryArray>,
    scope_schema_url: Dictionary<'a, StringArray>,
    rest: &'a BinaryArray,
    order: Dictionary<'a, BinaryArray>,
    events: &'a BinaryArray,
    links: &'a BinaryArray,
    promoted: Vec<PromotedColumn<'a>>,
}

/// Keys of a dictionary and its schema URL's, with what they stand for.
type ByKeys<T> = HashMap<(Option<usize>, Option<usize>), Arc<T>>;

impl RowReader {
    /// For files with these promoted attributes.
    pub fn new(promoted: Arc<[Promoted]>) -> Self {
        Self { promoted, resources: HashMap::new(), scopes: HashMap::new() }
    }

    /// The spans of a batch that has all columns, in its order.
    pub fn read(&mut self, batch: &RecordBatch) -> Result<Vec<SpanRecord>, ReadError> {
        let rows = Rows::of(batch, &self.promoted)?;
        let (mut resources, mut scopes) = (ByKeys::new(), ByKeys::new());
        (0..batch.num_rows())
            .map(|row| {
                let resource = self.resource(&rows, row, &mut resources)?;
                let scope = self.scope(&rows, row, &mut scopes)?;
                self.span(&rows, row, resource, scope)
            })
            .collect()
    }

    fn resource(
        &mut self,
        rows: &Rows<'_>,
        row: usize,
        known: &mut ByKeys<ResourceRecord>,
    ) -> Result<Arc<ResourceRecord>, ReadError> {
        let keys = (rows.resource.key(row), rows.resource_schema_url.key(row));
        if let Some(resource) = known.get(&keys) {
            return Ok(Arc::clone(resource));
        }
        let bytes = rows.resource.bytes(row);
        let schema_url = rows.resource_schema_url.text(row);
        let shared = shared(&mut self.resources, bytes, schema_url, || {
            let resource = otlp::Resource::decode(bytes)
                .map_err(|error| ReadError::Message("a resource", error))?;
            Ok(ResourceRecord::new(resource, schema_url.to_owned()))
        })?;
        known.insert(keys, Arc::clone(&shared));
        Ok(shared)
    }

    fn scope(
        &mut self,
        rows: &Rows<'_>,
        row: usize,
        known: &mut ByKeys<ScopeRecord>,
    ) -> Result<Arc<ScopeRecord>, ReadError> {
        let keys = (rows.scope.key(row), rows.scope_schema_url.key(row));
        if let Some(scope) = known.get(&keys) {
            return Ok(Arc::clone(scope));
        }
        let bytes = rows.scope.bytes(row);
        let schema_url = rows.scope_schema_url.text(row);
        let shared = shared(&mut self.scopes, bytes, schema_url, || {
            let scope = otlp::InstrumentationScope::decode(bytes)
                .map_err(|error| ReadError::Message("a scope", error))?;
            Ok(ScopeRecord { scope, schema_url: schema_url.to_owned() })
        })?;
        known.insert(keys, Arc::clone(&shared));
        Ok(shared)
    }

    fn span(
        &self,
        rows: &Rows<'_>,
        row: usize,
        resource: Arc<ResourceRecord>,
        scope: Arc<ScopeRecord>,
    ) -> Result<SpanRecord, ReadError> {
        let mut span = otlp::Span::default();
        for (what, column) in
            [("attributes", rows.rest), ("events", rows.events), ("links", rows.links)]
        {
            if column.is_valid(row) {
                let merged = span.merge(column.value(row));
                merged.map_err(|error| ReadError::Message(what, error))?;
            }
        }
        let rest = std::mem::take(&mut span.attributes);
        span.attributes = rows.attributes(row, rest, &self.promoted)?;
        let hits = &rows.hits;
        let (trace_id, span_id) = (hits.trace_id(row), hits.span_id(row));
        span.trace_id = trace_id.0.to_vec();
        span.span_id = span_id.0.to_vec();
        span.parent_span_id = match hits.parent_span_id.is_valid(row) {
            true => hits.parent_span_id.value(row).to_vec(),
            false => Vec::new(),
        };
        span.trace_state = rows.trace_state.text(row).to_owned();
        span.name = hits.name.text(row).to_owned();
        span.kind = hits.kind.value(row);
        span.start_time_unix_nano = hits.start(row).0;
        span.end_time_unix_nano = hits.end(row).0;
        let [flags, attributes, events, links] = rows.counts.map(|counts| counts.value(row));
        span.flags = flags;
        span.dropped_attributes_count = attributes;
        span.dropped_events_count = events;
        span.dropped_links_count = links;
        span.status = hits.status.is_valid(row).then(|| otlp::Status {
            message: match rows.status_message.is_valid(row) {
                true => rows.status_message.value(row).to_owned(),
                false => String::new(),
            },
            code: hits.status(row),
        });
        Ok(SpanRecord {
            trace_id,
            span_id,
            parent_span_id: hits.parent_span_id(row),
            start: hits.start(row),
            end: hits.end(row),
            resource,
            scope,
            span: Arc::new(span),
        })
    }
}

/// The value of these bytes and this URL, decoded once while it is remembered.
fn shared<T>(
    known: &mut HashMap<(Vec<u8>, String), Arc<T>>,
    bytes: &[u8],
    schema_url: &str,
    decode: impl FnOnce() -> Result<T, ReadError>,
) -> Result<Arc<T>, ReadError> {
    let key = (bytes.to_vec(), schema_url.to_owned());
    if let Some(value) = known.get(&key) {
        return Ok(Arc::clone(value));
    }
    let value = Arc::new(decode()?);
    if known.len() >= MAX_SHARED {
        known.clear();
    }
    known.insert(key, Arc::clone(&value));
    Ok(value)
}

impl<'a> Rows<'a> {
    fn of(batch: &'a RecordBatch, promoted: &[Promoted]) -> Result<Self, ReadError> {
        let columns = Columns::all(batch);
        let promoted = promoted.iter().enumerate().map(|(at, p)| columns.promoted(p, at));
        Ok(Self {
            hits: HitColumns::of(&columns)?,
            status_message: columns.texts(column::STATUS_MESSAGE)?,
            trace_state: columns.dictionary_of_texts(column::TRACE_STATE)?,
            counts: [
                columns.numbers(column::FLAGS)?,
                columns.numbers(column::DROPPED_ATTRIBUTES_COUNT)?,
                columns.numbers(column::DROPPED_EVENTS_COUNT)?,
                columns.numbers(column::DROPPED_LINKS_COUNT)?,
            ],
            resource: columns.dictionary_of_bytes(column::RESOURCE)?,
            resource_schema_url: columns.dictionary_of_texts(column::RESOURCE_SCHEMA_URL)?,
            scope: columns.dictionary_of_bytes(column::SCOPE)?,
            scope_schema_url: columns.dictionary_of_texts(column::SCOPE_SCHEMA_URL)?,
            rest: columns.bytes(column::ATTRIBUTES_REST)?,
            order: columns.dictionary_of_bytes(column::ATTRIBUTE_ORDER)?,
            events: columns.bytes(column::EVENTS)?,
            links: columns.bytes(column::LINKS)?,
            promoted: promoted.collect::<Result<_, _>>()?,
        })
    }

    /// The attributes in the order in which they came.
    fn attributes(
        &self,
        row: usize,
        rest: Vec<KeyValue>,
        promoted: &[Promoted],
    ) -> Result<Vec<KeyValue>, ReadError> {
        let Some(order) = self.order.key(row).map(|key| self.order.values.value(key)) else {
            let columns = (0..promoted.len()).filter_map(|at| self.promoted(row, at, promoted));
            return Ok(columns.chain(rest).collect());
        };
        let mut rest = rest.into_iter();
        let mut attributes = Vec::with_capacity(order.len() + rest.len());
        for &place in order {
            let attribute = match place {
                NEXT_OF_REST => rest.next(),
                place => self.promoted(row, place.into(), promoted),
            };
            attributes.push(attribute.ok_or(ReadError::Order)?);
        }
        attributes.extend(rest);
        Ok(attributes)
    }

    /// The promoted attribute number `at`, where the row has it.
    fn promoted(&self, row: usize, at: usize, promoted: &[Promoted]) -> Option<KeyValue> {
        let key = &promoted.get(at)?.key;
        match self.promoted.get(at)? {
            PromotedColumn::Text(texts) => {
                texts.is_valid(row).then(|| otlp::string(key, texts.value(row)))
            }
            PromotedColumn::Int(ints) => {
                ints.is_valid(row).then(|| otlp::int(key, ints.value(row)))
            }
            PromotedColumn::Double(doubles) => {
                doubles.is_valid(row).then(|| otlp::double(key, doubles.value(row)))
            }
        }
    }
}
