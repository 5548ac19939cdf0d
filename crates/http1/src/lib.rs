//! Carafe: http1.
