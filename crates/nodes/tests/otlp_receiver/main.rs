//! The OTLP receiver through its real ports, spoken to in bytes.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod grpc;
mod http;
mod peer;
