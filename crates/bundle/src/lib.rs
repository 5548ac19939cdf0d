//! Carafe: bundle.
