//! The universal engine.
