//! JSON as Python's `json.dumps(..., indent=4)` writes it.

use super::text;
use std::fmt::Write;

/// Writes one JSON text from its beginning to its end.
#[derive(Default)]
pub(super) struct Json {
    out: String,
    depth: usize,
    /// Nothing has been written yet into the innermost array or object.
    empty: bool,
}

impl Json {
    /// The text of one object, with a newline at its end.
    pub(super) fn document(members: impl FnOnce(&mut Self)) -> String {
        let mut json = Self::default();
        json.object(members);
        json.out.push('\n');
        json.out
    }

    /// Starts a member of an object; its value comes next.
    pub(super) fn key(&mut self, key: &str) -> &mut Self {
        self.next();
        text::push_json_string(&mut self.out, key);
        self.out.push_str(": ");
        self
    }

    pub(super) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.container(['{', '}'], members);
    }

    /// An array of what `element` writes for each item; it must write one value.
    pub(super) fn array<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut element: impl FnMut(&mut Self, T),
    ) {
        self.container(['[', ']'], |json| {
            for item in items {
                json.next();
                element(json, item);
            }
        });
    }

    pub(super) fn string(&mut self, value: &str) {
        text::push_json_string(&mut self.out, value);
    }

    /// The string, or null when there is none.
    pub(super) fn optional_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.null(),
        }
    }

    /// An integer.
    pub(super) fn integer(&mut self, value: impl Into<i128>) {
        self.display(value.into());
    }

    /// A 128-bit id as a number.
    pub(super) fn id(&mut self, value: u128) {
        self.display(value);
    }

    pub(super) fn float(&mut self, value: f64) {
        text::push_float(&mut self.out, value);
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.display(value);
    }

    pub(super) fn null(&mut self) {
        self.out.push_str("null");
    }

    fn display(&mut self, value: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.out, "{value}");
    }

    fn container(&mut self, [open, close]: [char; 2], content: impl FnOnce(&mut Self)) {
        self.out.push(open);
        self.depth += 1;
        self.empty = true;
        content(self);
        self.depth -= 1;
        if !self.empty {
            self.new_line();
        }
        self.out.push(close);
        self.empty = false;
    }

    fn next(&mut self) {
        if !self.empty {
            self.out.push(',');
        }
        self.new_line();
        self.empty = false;
    }

    fn new_line(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("    ", self.depth));
    }
}
