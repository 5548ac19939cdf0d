//! Reads values by the specification's rules for environment variables: an empty
//! value is no value, only `true` is true, and what cannot be read is named in a
//! warning and ignored.

use std::str::FromStr;
use std::time::Duration;

/// A value that was not used as it is, or not at all.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Warning {
    /// The value cannot be read; the default holds.
    #[error("{variable}={value} is ignored: expected {expected}; {used} holds")]
    Ignored {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What could be read.
        expected: String,
        /// What is used.
        used: String,
    },
    /// Not an exporter of ours: the Python engine looks for an installed one of that name.
    #[error(
        "{variable}: {name} is no exporter of Carafe; only Python apps that have a package with an \
         exporter of that name export with it"
    )]
    OfPackage {
        /// The variable.
        variable: &'static str,
        /// The exporter.
        name: String,
    },
    /// An item of a list cannot be read; the others are used. Values can be
    /// secret, so that the item is only counted.
    #[error("item {position} of {variable} is ignored: expected {expected}")]
    Item {
        /// The variable.
        variable: &'static str,
        /// Counted from 1.
        position: usize,
        /// What could be read.
        expected: &'static str,
    },
    /// A time that is right in seconds and hardly in milliseconds.
    #[error(
        "{variable}={value_ms} means {value_ms} ms here, as in the specification; \
         for {value_ms} seconds, as the Python SDK reads it, write {value_ms}000"
    )]
    ShortTimeout {
        /// The variable.
        variable: &'static str,
        /// Its value, in milliseconds.
        value_ms: u64,
    },
    /// A batch larger than the queue that it comes from.
    #[error("{variable}={value} is more than the queue holds; {used} is used")]
    LargeBatch {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: usize,
        /// What is used.
        used: usize,
    },
    /// The variable is handed on to the app, but Carafe itself does not heed it.
    #[error("{variable} is handed on to the app, but carafe does not read the file itself")]
    NotRead {
        /// The variable.
        variable: &'static str,
    },
    /// Nobody knows this variable.
    #[error("{variable} is not known{}", hint(.nearest))]
    Unknown {
        /// The variable.
        variable: String,
        /// A known name that looks much like it.
        nearest: Option<&'static str>,
    },
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// A value without which nothing sensible can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={value}: expected {expected}")]
pub struct SettingError {
    /// The variable.
    pub variable: &'static str,
    /// Its value.
    pub value: String,
    /// What could be read.
    pub expected: String,
}

/// Reads variables and gathers what is wrong with them.
pub(crate) struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) errors: Vec<SettingError>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, warnings: Vec::new(), errors: Vec::new() }
    }

    /// The value, without space around it, unless empty.
    pub(crate) fn text(&self, variable: &str) -> Option<String> {
        let value = (self.lookup)(variable)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The first of these variables that has a value, and its value.
    pub(crate) fn first(&self, variables: &[&'static str]) -> Option<(&'static str, String)> {
        variables.iter().find_map(|variable| Some((*variable, self.text(variable)?)))
    }

    pub(crate) fn ignore(
        &mut self,
        variable: &'static str,
        value: String,
        expected: impl Into<String>,
        used: impl Into<String>,
    ) {
        let (expected, used) = (expected.into(), used.into());
        self.warn(Warning::Ignored { variable, value, expected, used });
    }

    /// Keeps a warning, once: a common variable is read again for each signal.
    pub(crate) fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(crate) fn refuse(
        &mut self,
        variable: &'static str,
        value: String,
        expected: impl Into<String>,
    ) {
        let error = SettingError { variable, value, expected: expected.into() };
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// Whether the first of these that has a value says `true`, in any case.
    pub(crate) fn boolean(&mut self, variables: &[&'static str]) -> bool {
        let Some((variable, value)) = self.first(variables) else { return false };
        let truth = value.eq_ignore_ascii_case("true");
        if !truth && !value.eq_ignore_ascii_case("false") {
            self.ignore(variable, value, "true or false", "false");
        }
        truth
    }

    /// A number from `least` on; none when there is no value or none that can be read.
    pub(crate) fn number<T>(
        &mut self,
        variables: &[&'static str],
        least: T,
        used: impl ToString,
    ) -> Option<T>
    where
        T: FromStr + PartialOrd + ToString,
    {
        let (variable, value) = self.first(variables)?;
        match value.parse() {
            Ok(number) if number >= least => Some(number),
            _ => {
                let expected = format!("a whole number from {} on", least.to_string());
                self.ignore(variable, value, expected, used.to_string());
                None
            }
        }
    }

    /// A time in milliseconds, more than none.
    pub(crate) fn millis(&mut self, variable: &'static str, default_ms: u64) -> Duration {
        Duration::from_millis(self.number(&[variable], 1, default_ms).unwrap_or(default_ms))
    }

    /// The items of a list between commas.
    pub(crate) fn list(&self, variable: &str) -> Vec<String> {
        items(&self.text(variable).unwrap_or_default()).map(str::to_owned).collect()
    }

    /// What one of these words stands for, in any case; a warning for another one.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        variable: &'static str,
        words: &[(&str, T)],
        default: (&str, T),
    ) -> T {
        let Some(value) = self.text(variable) else { return default.1 };
        match word(words, &value) {
            Some(choice) => choice,
            None => {
                self.ignore(variable, value, one_of(words), default.0);
                default.1
            }
        }
    }

    /// As [`choice`](Self::choice), with none where there is no value or no such word.
    pub(crate) fn optional_choice<T: Copy>(
        &mut self,
        variable: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let value = self.text(variable)?;
        let choice = word(words, &value);
        if choice.is_none() {
            self.ignore(variable, value, one_of(words), "the default");
        }
        choice
    }

    /// As [`choice`](Self::choice), but another word is an error.
    pub(crate) fn strict_choice<T: Copy>(
        &mut self,
        variables: &[&'static str],
        words: &[(&str, T)],
    ) -> Option<T> {
        let (variable, value) = self.first(variables)?;
        let choice = word(words, &value);
        if choice.is_none() {
            self.refuse(variable, value, one_of(words));
        }
        choice
    }
}

/// What a word stands for, in any case.
pub(crate) fn word<T: Copy>(words: &[(&str, T)], value: &str) -> Option<T> {
    words.iter().find(|(word, _)| word.eq_ignore_ascii_case(value)).map(|(_, choice)| *choice)
}

/// All the words, for a message.
pub(crate) fn one_of<T>(words: &[(&str, T)]) -> String {
    let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    format!("one of {}", words.join(", "))
}

/// The items between commas, without space around them, unless empty.
pub(crate) fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}
