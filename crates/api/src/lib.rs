//! Carafe: api.
