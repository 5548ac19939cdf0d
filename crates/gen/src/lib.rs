//! Telemetry of an invented shop, as much as wanted, whose exact answers are known.
//!
//! Everything is a pure function of a [`Recipe`] and an index: trace `i` can be made alone,
//! again, and in any order. So the generator needs no memory of what it sent, and the checker
//! makes the same telemetry anew to say what a store must answer.

#![forbid(unsafe_code)]

mod acks;
mod answers;
mod attributes;
mod blocks;
pub mod check;
mod durations;
mod encode;
mod filter;
mod log;
mod metrics;
mod model;
mod options;
mod random;
mod recipe;
mod run;
pub mod send;
mod shop;
mod text;
mod trace;
mod wire;
mod world;

pub use acks::{Acknowledged, AcksError};
pub use blocks::{Blocks, Request, RequestId, Scratch};
pub use options::Options;
pub use recipe::{Fraction, MAX_BATCH, MAX_RANGE, MAX_SPANS, Recipe, Signals};
pub use run::{GenError, run};
pub use world::World;
