//! Which attributes spans and log records have. Told to a [`Sink`], so that the bytes that
//! are sent, the values that are expected, and the answers to searches come from one place.

mod database;
mod failure;
mod http;
mod messaging;
mod rpc;
mod span;

pub(crate) use failure::exception;
pub(crate) use span::{event, link, span};

/// Takes attributes in order.
pub(crate) trait Sink {
    fn text(&mut self, key: &'static str, value: &str);
    fn int(&mut self, key: &'static str, value: i64);
    fn double(&mut self, key: &'static str, value: f64);
    fn boolean(&mut self, key: &'static str, value: bool);
    fn texts(&mut self, key: &'static str, values: &[&str]);
    fn map(&mut self, key: &'static str, entries: &[(&'static str, &str)]);
    fn bytes(&mut self, key: &'static str, value: &[u8]);
}

/// The name of an attribute in the stable conventions or in the old.
fn named(stable: bool, new: &'static str, old: &'static str) -> &'static str {
    if stable { new } else { old }
}
