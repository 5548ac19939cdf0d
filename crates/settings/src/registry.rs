//! Every environment variable that Carafe knows.

mod exporters;
mod own;
mod python;
mod sdk;

/// What a variable acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What is recorded of the app.
    Agent,
    /// Where and how it is sent.
    Exporter,
    /// Carafe itself.
    Carafe,
    /// What the Python engine records, and the SDK that it gives to Python programs.
    Python,
    /// An OpenTelemetry SDK or instrumentation in the app, if there is one: handed on, not read.
    App,
}

/// One environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name. [`ANY_LIBRARY`] in it stands for any instrumented library.
    pub name: &'static str,
    /// The flag of `carafe run` that sets it, without dashes.
    pub flag: Option<&'static str>,
    /// What it acts on.
    pub part: Part,
    /// What holds when it is unset, in words.
    pub default: &'static str,
    /// What it says.
    pub summary: &'static str,
}

/// The part of a name that differs between libraries.
pub const ANY_LIBRARY: &str = "<LIBRARY>";

impl Variable {
    /// Whether this is the variable of this name.
    pub fn is_named(&self, name: &str) -> bool {
        match self.name.split_once(ANY_LIBRARY) {
            None => self.name == name,
            Some((before, after)) => name
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|library| !library.is_empty()),
        }
    }

    /// Whether the flag can stand without a value, as `true`.
    pub fn is_switch(&self) -> bool {
        self.part == Part::Carafe && self.default == FALSE
    }
}

/// All variables, grouped by what they act on.
pub const VARIABLES: &[Variable] = &join::<{ count(GROUPS) }>(GROUPS);

/// The variable of this name.
pub fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.is_named(name))
}

const GROUPS: &[&[Variable]] = &[
    own::VARIABLES,
    sdk::GENERAL,
    exporters::CHOICE,
    exporters::ENDPOINT,
    exporters::PROTOCOL,
    exporters::HEADERS,
    exporters::TIMEOUT,
    exporters::COMPRESSION,
    exporters::INSECURE,
    exporters::CERTIFICATE,
    exporters::CLIENT_CERTIFICATE,
    exporters::CLIENT_KEY,
    exporters::METRICS,
    exporters::SPANS,
    exporters::LOGS,
    exporters::OTHERS,
    sdk::LIMITS,
    sdk::HTTP,
    python::INSTRUMENTATION,
    python::SDK,
];

const FALSE: &str = "false";

const fn variable(
    name: &'static str,
    flag: &'static str,
    part: Part,
    default: &'static str,
    summary: &'static str,
) -> Variable {
    Variable { name, flag: Some(flag), part, default, summary }
}

/// A variable that no flag sets.
const fn unflagged(
    name: &'static str,
    part: Part,
    default: &'static str,
    summary: &'static str,
) -> Variable {
    Variable { name, flag: None, part, default, summary }
}

const fn count(groups: &[&[Variable]]) -> usize {
    let mut sum = 0;
    let mut group = 0;
    while group < groups.len() {
        sum += groups[group].len();
        group += 1;
    }
    sum
}

const fn join<const N: usize>(groups: &[&[Variable]]) -> [Variable; N] {
    let mut all = [groups[0][0]; N];
    let (mut at, mut group) = (0, 0);
    while group < groups.len() {
        let mut one = 0;
        while one < groups[group].len() {
            all[at] = groups[group][one];
            at += 1;
            one += 1;
        }
        group += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_and_flags_are_unique() {
        let mut names = HashSet::new();
        let mut flags = HashSet::new();
        for variable in VARIABLES {
            assert!(names.insert(variable.name), "{} is there twice", variable.name);
            if let Some(flag) = variable.flag {
                assert!(flags.insert(flag), "--{flag} is there twice");
            }
        }
    }

    #[test]
    fn a_flag_is_its_variable_without_the_prefix() {
        for variable in VARIABLES {
            let Some(flag) = variable.flag else { continue };
            let upper = flag.to_uppercase();
            let names = [
                format!("OTEL_{upper}"),
                format!("OTEL_PYTHON_{upper}"),
                format!("CARAFE_{upper}"),
            ];
            assert!(names.iter().any(|name| name == variable.name), "--{flag}: {}", variable.name);
        }
    }

    #[test]
    fn summaries_are_one_sentence() {
        for Variable { name, summary, .. } in VARIABLES {
            assert!(summary.ends_with('.') && !summary.contains('\n'), "{name}: {summary}");
            assert!(!summary.contains('|'), "{name}: {summary}");
        }
    }

    #[test]
    fn a_pattern_stands_for_any_library() {
        let found = |name| find(name).map(|variable| variable.name);
        assert_eq!(
            found("OTEL_PYTHON_FLASK_EXCLUDED_URLS"),
            Some("OTEL_PYTHON_<LIBRARY>_EXCLUDED_URLS")
        );
        assert_eq!(found("OTEL_PYTHON_EXCLUDED_URLS"), Some("OTEL_PYTHON_EXCLUDED_URLS"));
        assert_eq!(found("OTEL_PYTHON__EXCLUDED_URLS"), None);
    }
}
