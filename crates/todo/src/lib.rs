//! Carafe: todo.
