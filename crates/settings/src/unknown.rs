//! Names that nobody knows, with the right one where it can be guessed.

use crate::reader::Warning;
use crate::registry::VARIABLES;

/// So many letters may be wrong for a name to be taken for a misspelt one.
const MISSPELT: usize = 2;

/// What instrumentation in other languages, and instrumentation packages, read:
/// many names that change often.
const FOREIGN: &[&str] = &[
    "OTEL_CPP_",
    "OTEL_DENO",
    "OTEL_DOTNET_",
    "OTEL_ERLANG_",
    "OTEL_GO_",
    "OTEL_INJECTOR_",
    "OTEL_INSTRUMENTATION_",
    "OTEL_JAVA",
    "OTEL_JMX_",
    "OTEL_LAMBDA_",
    "OTEL_NODE_",
    "OTEL_OPERATOR_",
    "OTEL_PHP_",
    "OTEL_PYTHON_",
    "OTEL_RUBY_",
    "OTEL_RUST_",
    "OTEL_SWIFT_",
];

/// A warning for each `OTEL_` variable that neither Carafe nor any other
/// implementation knows, and for each `CARAFE_` variable that looks misspelt.
pub fn unknown_variables<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Warning> {
    let mut warnings: Vec<_> = names.into_iter().filter_map(unknown).collect();
    warnings.sort_by_cached_key(ToString::to_string);
    warnings
}

fn unknown(name: &str) -> Option<Warning> {
    let prefix = ["OTEL_", "CARAFE_"].into_iter().find(|prefix| name.starts_with(prefix))?;
    if VARIABLES.iter().any(|variable| variable.is_named(name)) {
        return None;
    }
    let nearest = VARIABLES
        .iter()
        .filter(|variable| variable.name.starts_with(prefix))
        .map(|variable| (strsim::damerau_levenshtein(name, variable.name), variable.name))
        .min()
        .filter(|(distance, _)| *distance <= MISSPELT)
        .map(|(_, name)| name);
    let ours = prefix == "OTEL_" && !FOREIGN.iter().any(|foreign| name.starts_with(foreign));
    (nearest.is_some() || ours).then(|| Warning::Unknown { variable: name.to_owned(), nearest })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(names: &[&str]) -> Vec<String> {
        unknown_variables(names.iter().copied()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn misspelt_names_are_named_with_the_right_one() {
        let names = [
            "OTEL_LOG_EXPORTER",
            "OTEL_SERVICE_NAMES",
            "OTEL_PYTHON_EXCLUDED_URL",
            "CARAFE_CAPTURE_OUPUT",
            "OTEL_SOMETHING_ELSE",
        ];
        assert_eq!(
            warnings(&names),
            [
                "CARAFE_CAPTURE_OUPUT is not known; did you mean CARAFE_CAPTURE_OUTPUT?",
                "OTEL_LOG_EXPORTER is not known; did you mean OTEL_LOGS_EXPORTER?",
                "OTEL_PYTHON_EXCLUDED_URL is not known; did you mean OTEL_PYTHON_EXCLUDED_URLS?",
                "OTEL_SERVICE_NAMES is not known; did you mean OTEL_SERVICE_NAME?",
                "OTEL_SOMETHING_ELSE is not known",
            ]
        );
    }

    #[test]
    fn known_and_foreign_names_are_not() {
        let names = [
            "OTEL_LOGS_EXPORTER",
            "OTEL_PYTHON_FLASK_EXCLUDED_URLS",
            "OTEL_JAVAAGENT_LOGGING",
            "OTEL_NODE_RESOURCE_DETECTORS",
            "OTEL_INSTRUMENTATION_JDBC_ENABLED",
            "CARAFE_E2E",
            "PATH",
            "otel_log_exporter",
        ];
        assert_eq!(warnings(&names), [""; 0]);
    }
}
