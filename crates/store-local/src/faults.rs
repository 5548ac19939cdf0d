//! Faults that come again and again, said once.

use carafe_store::StoreError;

/// Says faults once, and when they are over.
pub(crate) struct Faults {
    what: &'static str,
    last: Option<String>,
}

impl Faults {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, last: None }
    }

    /// Whether it works.
    pub(crate) fn report<T>(&mut self, outcome: Result<T, &StoreError>) -> bool {
        let what = self.what;
        match outcome {
            Ok(_) => {
                if self.last.take().is_some() {
                    tracing::info!("{what} works again");
                }
                true
            }
            Err(error) => {
                let text = error.to_string();
                if self.last.as_ref() != Some(&text) {
                    tracing::warn!("{what} does not work, and is tried again: {text}");
                }
                self.last = Some(text);
                false
            }
        }
    }
}
