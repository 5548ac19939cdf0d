//! Data that the interpreter's lock guards.

use pyo3::prelude::*;
use std::cell::{RefCell, RefMut};

/// A cell that only a thread that holds the interpreter's lock can open.
///
/// While it is open, no Python code may run: that could release the lock, or come back here. A
/// cell that is open already says `None` instead of waiting.
#[derive(Debug, Default)]
pub(crate) struct GilCell<T>(RefCell<T>);

// SAFETY: `open` needs the interpreter's lock, so no two threads are inside at once; what it gives
// is bound to the lock's token.
unsafe impl<T: Send> Sync for GilCell<T> {}

impl<T> GilCell<T> {
    /// A cell with that content.
    pub(crate) const fn new(content: T) -> Self {
        Self(RefCell::new(content))
    }

    /// The content; `None` where it is open already.
    #[inline]
    pub(crate) fn open<'a>(&'a self, _py: Python<'a>) -> Option<RefMut<'a, T>> {
        self.0.try_borrow_mut().ok()
    }
}
