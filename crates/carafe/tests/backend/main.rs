//! `carafe up`, `carafe check` and `carafe todo` as people run them: the real binary, on free
//! ports.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod check;
mod generate;
mod program;
mod storage;
mod store;
mod todo;
mod up;
