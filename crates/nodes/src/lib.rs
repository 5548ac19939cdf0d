//! The nodes at the ends of a pipeline: receivers, exporters, and the store as a consumer.

#![forbid(unsafe_code)]

pub mod exporter;
pub mod receiver;
pub mod store_consumer;
