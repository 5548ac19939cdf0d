//! Carafe: wire.
