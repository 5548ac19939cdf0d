//! What `carafe run` can be told, and what it makes of it.
//!
//! Every environment variable is declared once, in the [`registry`]. From it come
//! the command line's [`flags`], the [`reference`](mod@reference) page and the check
//! for [misspelt](unknown) names. [`Settings::resolve`] reads the values.
#![forbid(unsafe_code)]

pub mod flags;
pub mod quantity;
pub mod reference;
pub mod registry;
pub mod unknown;

mod pairs;
mod reader;
mod settings;

pub use reader::{SettingError, Warning};
pub use settings::{
    BatchSettings, CapturedHeaders, Compression, Endpoint, ExemplarFilter, Exporter, HttpSemconv,
    Limits, LogLevel, MetricSettings, OtlpSettings, OwnSettings, Propagator, Protocol, RootSampler,
    Sampler, Settings, SignalSettings, StoreDurability, StoreSettings, Temporality,
};
