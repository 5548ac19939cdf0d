//! The launcher: runs the app with the agents in it, drains their rings, and turns records into
//! telemetry.

pub mod batch;
mod check;
pub mod child;
pub mod clock;
pub mod directory;
pub mod exchange;
pub mod http;
pub mod instruments;
pub mod interpreter;
pub mod launcher;
pub mod metrics;
pub mod notices;
pub mod observer;
pub mod origin;
pub mod output;
mod process_metrics;
pub mod program;
pub mod propagation;
pub mod python;
pub mod registry;
mod reports;
pub mod resource;
pub mod rings;
pub mod route;
pub mod sampling;
mod system_metrics;
