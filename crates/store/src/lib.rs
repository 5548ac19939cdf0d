//! Where telemetry is kept and asked for.
//!
//! [`Store`] is the whole interface between what arrives and every query API: `append` plus
//! ten typed operations. The APIs see nothing of an engine, an engine nothing of an API.
//! [`MemoryStore`] keeps what fits named limits; the module
//! `conformance`, behind the feature of that name, is what it and every later store must pass.

#![forbid(unsafe_code)]

mod attributes;
pub mod condition;
#[cfg(feature = "conformance")]
pub mod conformance;
mod cursor;
mod decode;
mod error;
pub mod export;
mod filter;
mod glob;
mod histogram;
mod interface;
mod memory;
mod newest;
mod query;
mod record;
mod red;
mod series;
mod size;
mod summary;
mod tags;
mod tail;
mod url_pattern;

pub use attributes::{AttributeKeys, AttributeValues};
pub use carafe_telemetry::value;
pub use condition::{Condition, ConditionError};
pub use cursor::Cursor;
pub use decode::{Decoded, Records, decode};
pub use error::{StoreError, StoreErrorKind};
pub use filter::SpanFilter;
pub use glob::Glob;
pub use histogram::{Histogram, PERCENTILE_RELATIVE_ERROR};
pub use interface::Store;
pub use memory::{MemoryLimits, MemoryStore};
pub use newest::{NewestLogs, NewestSpans, NewestTraces};
pub use query::{
    Appended, AttributeQuery, AttributeValue, GraphEdge, GraphQuery, LogPage, LogQuery,
    MAX_RED_POINTS, MetricPage, MetricQuery, OperationSummary, RedPoint, RedQuery, RedSeries,
    ScanPage, ScanQuery, ServiceSummary, SpanPage, StoreStats, TimeRange, TracePage, TraceQuery,
};
pub use record::{
    LogRecord, MISSING_SERVICE_NAME, Point, PointRecord, PointValue, ResourceRecord, ScopeRecord,
    Series, SeriesPoints, SpanIdentity, SpanRecord, Trace,
};
pub use red::{RedCell, RedCells, is_answer};
pub use series::{point_bytes, series_bytes, series_key, series_order};
pub use summary::{RootSpan, ServiceCount, TraceSummary};
pub use tags::{TagFilter, aliases, canonical, is_virtual_tag, kind_name, virtual_tag};
pub use tail::{Sequence, Tail, TailEvent, TailHub, TailItems, TailRead};
pub use url_pattern::UrlPattern;
