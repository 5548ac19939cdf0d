//! Carafe: ui.
