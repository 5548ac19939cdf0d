//! Receivers: how telemetry comes in.
//!
//! A receiver binds first and serves later, so that a program can open all its ports, or report
//! every port that it cannot open, before it takes any data.

pub mod listen;
pub mod otlp;
pub mod port_holder;
