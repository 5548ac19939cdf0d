//! The Python engine: built-in instrumentation and an OpenTelemetry SDK inside the app's
//! interpreter. It writes finished telemetry into the process' ring; the launcher does the rest.
//!
//! Everything here runs with the interpreter's lock held, which is the engine's only lock: it
//! starts no thread and waits for nobody. The Python half is in `engine/`.

mod asgi;
mod attributes;
mod capi;
mod client;
mod context;
mod current;
mod dbapi;
mod engine;
mod environment;
mod fast;
mod gil;
mod ids;
mod leaf;
mod limits;
mod logging;
mod logs;
mod method;
mod metrics;
mod otlp;
mod propagation;
mod provider;
mod sampling;
mod scope;
mod server;
mod span;
mod span_otlp;
mod tracer;

use pyo3::prelude::*;

/// The native module of `carafe_engine`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    engine::register(module)?;
    context::register(module)?;
    provider::register(module)?;
    tracer::register(module)?;
    span::register(module)?;
    metrics::register(module)?;
    logs::register(module)?;
    logging::register(module)?;
    dbapi::register(module)?;
    propagation::register(module)?;
    server::register(module)?;
    asgi::register(module)?;
    client::register(module)
}
