//! The framing rules one by one, whole conversations however they are cut, and
//! bytes that mean nothing.

mod conversation;
mod delivery;
mod garbage;
mod recorder;
mod rules;
mod zeroes;
