//! Carafe: store.
