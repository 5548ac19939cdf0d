//! Carafe: nodes.
