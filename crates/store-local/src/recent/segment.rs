//! Some thousand spans of recent data: light rows beside the requests that they came in.

use crate::ingest::{IncomingResource, IncomingScope, IncomingSpans};
use bytes::Bytes;
use carafe_store::{SpanRecord, StoreError, StoreErrorKind};
use carafe_telemetry::{SpanId, TraceId, UnixNanos, otlp};
use hashbrown::HashMap;
use prost::Message;
use std::sync::{Arc, OnceLock};

/// A segment with so many rows takes no further request.
pub(super) const SEGMENT_ROWS: usize = 4_096;

/// Where a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) segment: u32,
    pub(super) row: u32,
}

/// What searches and aggregates need of a span, and where the rest is.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) parent_span_id: Option<SpanId>,
    pub(super) start: UnixNanos,
    pub(super) end: UnixNanos,
    /// The row of the same trace that came before.
    pub(super) previous: Option<At>,
    pub(super) name: u32,
    pub(super) resource: u32,
    pub(super) scope: u32,
    request: u32,
    item_start: u32,
    item_end: u32,
    pub(super) kind: i32,
    pub(super) status: u8,
}

impl Row {
    /// Whether the status is an error.
    pub(super) fn is_error(&self) -> bool {
        i32::from(self.status) == otlp::status::StatusCode::Error as i32
    }
}

/// Rows of one or more whole requests. Immutable once it is sealed.
#[derive(Clone, Default)]
pub(super) struct Segment {
    pub(super) rows: Vec<Row>,
    pub(super) names: Vec<Arc<str>>,
    pub(super) resources: Vec<IncomingResource>,
    pub(super) scopes: Vec<IncomingScope>,
    requests: Vec<Bytes>,
    /// Row numbers, newest start first; made when a search first needs it.
    order: OnceLock<Vec<u32>>,
}

/// Which name, resource and scope of an open segment has which number.
#[derive(Default)]
pub(super) struct Numbers {
    names: HashMap<Arc<str>, u32>,
    resources: HashMap<(Bytes, String), u32>,
    scopes: HashMap<(Bytes, String), u32>,
}

/// The request's own numbers of resources and scopes, as the segment's.
pub(super) struct Numbered {
    request: u32,
    resources: Vec<u32>,
    scopes: Vec<u32>,
}

impl Segment {
    /// Takes a request in, without its rows.
    pub(super) fn add_request(
        &mut self,
        incoming: &IncomingSpans,
        numbers: &mut Numbers,
    ) -> Numbered {
        let request = self.requests.len() as u32;
        self.requests.push(incoming.bytes.clone());
        let resources = incoming.resources.iter().map(|resource| {
            let key = (resource.bytes.clone(), resource.record.schema_url.clone());
            *numbers.resources.entry(key).or_insert_with(|| {
                self.resources.push(resource.clone());
                self.resources.len() as u32 - 1
            })
        });
        let resources = resources.collect();
        let scopes = incoming.scopes.iter().map(|scope| {
            let key = (scope.bytes.clone(), scope.record.schema_url.clone());
            *numbers.scopes.entry(key).or_insert_with(|| {
                self.scopes.push(scope.clone());
                self.scopes.len() as u32 - 1
            })
        });
        let scopes = scopes.collect();
        Numbered { request, resources, scopes }
    }

    /// Adds span number `at` of a request that was added.
    pub(super) fn add_row(
        &mut self,
        incoming: &IncomingSpans,
        at: usize,
        numbered: &Numbered,
        numbers: &mut Numbers,
        previous: Option<At>,
    ) {
        let span = &incoming.spans[at];
        let name = &incoming.bytes[span.name.start as usize..span.name.end as usize];
        // The view that found the name has checked that it is UTF-8.
        let name = std::str::from_utf8(name).unwrap_or_default();
        let name = match numbers.names.get(name) {
            Some(number) => *number,
            None => {
                let name: Arc<str> = name.into();
                let number = self.names.len() as u32;
                self.names.push(Arc::clone(&name));
                numbers.names.insert(name, number);
                number
            }
        };
        self.rows.push(Row {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            start: span.start,
            end: span.end,
            previous,
            name,
            resource: numbered.resources[span.resource as usize],
            scope: numbered.scopes[span.scope as usize],
            request: numbered.request,
            item_start: span.item.start,
            item_end: span.item.end,
            kind: span.kind,
            status: span.status,
        });
    }

    /// The OTLP message of a row's span.
    pub(super) fn item(&self, row: &Row) -> &[u8] {
        &self.requests[row.request as usize][row.item_start as usize..row.item_end as usize]
    }

    pub(super) fn service(&self, row: &Row) -> &Arc<str> {
        &self.resources[row.resource as usize].record.service
    }

    /// The whole span.
    pub(super) fn record(&self, row: &Row) -> Result<SpanRecord, StoreError> {
        let span = otlp::Span::decode(self.item(row)).map_err(|error| {
            let message = format!("a span that was accepted cannot be decoded: {error}");
            StoreError::new(StoreErrorKind::Internal, message)
        })?;
        Ok(SpanRecord {
            trace_id: row.trace_id,
            span_id: row.span_id,
            parent_span_id: row.parent_span_id,
            start: row.start,
            end: row.end,
            resource: Arc::clone(&self.resources[row.resource as usize].record),
            scope: Arc::clone(&self.scopes[row.scope as usize].record),
            span: Arc::new(span),
        })
    }

    /// Row numbers, newest start first, then by span id.
    pub(super) fn newest_first(&self) -> &[u32] {
        self.order.get_or_init(|| {
            let mut order: Vec<u32> = (0..self.rows.len() as u32).collect();
            order.sort_unstable_by_key(|&row| {
                let row = &self.rows[row as usize];
                (std::cmp::Reverse(row.start), row.span_id)
            });
            order
        })
    }
}
