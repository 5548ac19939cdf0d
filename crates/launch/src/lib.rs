//! Carafe: launch.
