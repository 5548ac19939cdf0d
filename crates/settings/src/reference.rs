//! The reference page of environment variables, made from the registry.

use std::fmt::Write;

use crate::registry::{Part, VARIABLES};

const INTRODUCTION: &str = "\
# Environment variables

<!-- Made from the registry in crates/settings; `UPDATE=1 cargo test -p carafe-settings` rewrites it. -->

What `carafe run` reads. Flags of `carafe run` set the same variables, for that run only, and can
also be written with dashes for underscores.

An empty value counts as unset. Of true and false, only `true`, in any case, is true. Lists are
separated by commas. A value that cannot be read is named on stderr and its default holds; exporters,
protocols, compressions and addresses that do not exist end `carafe run` with an error, all of them
at once. Names that look misspelt are named on stderr together with the right ones.
";

const PYTHON: &str = "\
Read by the Python engine in each process of the app, and by the OpenTelemetry SDK that it gives to
the app there. Variables above that say what is recorded or how it is batched act in it too.

";

const HANDED_ON: &str = "\
For an OpenTelemetry SDK of another language in the app, or for parts of the official Python agent
that Carafe replaces. Carafe does not read these, and they change nothing in what it records.

";

/// The page, in Markdown.
pub fn environment() -> String {
    let mut page = INTRODUCTION.to_owned();
    let parts = [
        (Part::Carafe, "Carafe itself"),
        (Part::Agent, "What is recorded of the app"),
        (Part::Exporter, "Where and how it is sent"),
        (Part::Python, "Python programs"),
        (Part::App, "Handed on to the app"),
    ];
    for (part, title) in parts {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {title}\n\n");
        match part {
            Part::Python => page.push_str(PYTHON),
            Part::App => page.push_str(HANDED_ON),
            Part::Carafe | Part::Agent | Part::Exporter => {}
        }
        page.push_str("| Variable | Flag | Default | Meaning |\n| --- | --- | --- | --- |\n");
        for variable in VARIABLES.iter().filter(|variable| variable.part == part) {
            let flag = variable.flag.map(|flag| format!("`--{flag}`")).unwrap_or_default();
            let (name, default, summary) = (variable.name, variable.default, variable.summary);
            let _ = writeln!(page, "| `{name}` | {flag} | {default} | {summary} |");
        }
    }
    page
}
