//! The To-Do app: a small server-rendered web application over SQLite.
//!
//! It is the app that Carafe's demo observes, so it must not know that it is
//! observed: it depends on no telemetry crate. What it says about itself goes
//! to stderr through `tracing`.
//!
//! | route | does |
//! | --- | --- |
//! | `GET /` | the page with all tasks |
//! | `POST /add` | adds the task in the form field `title`, answers 302 to `/` |
//! | `POST /delete/{id}` | deletes a task, answers 302 to `/` |
#![forbid(unsafe_code)]

mod error;
mod logging;
mod page;
mod routes;
mod server;
mod store;
mod title;

pub use error::TodoError;
pub use logging::init_logging;
pub use server::{Options, SHUTDOWN_GRACE, Server, run};
pub use store::{MAX_QUEUED_JOBS, MAX_TASKS};
pub use title::MAX_TITLE_CHARS;
