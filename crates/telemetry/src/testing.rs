//! Generated requests, and what the views say of bytes held against what prost says.

mod agree;
mod arbitrary;
mod scramble;

pub use agree::{Agreement, check_views};
pub use arbitrary::{any_value, attributes, log_record, logs_request, span, traces_request};
pub use scramble::scramble;
