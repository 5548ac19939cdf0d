//! Nodes at the end of a pipeline that send telemetry out of the process.

pub mod console;
pub mod otlp;
