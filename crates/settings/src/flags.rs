//! The command line of `carafe run`.
//!
//! Each flag sets a variable of the [registry](crate::registry) for this run, in
//! Carafe and in the app, as the official agent's flags do: they end at the first
//! argument that is none, or at `--`; a unique beginning is enough; the last one of
//! several counts. Every flag can be written with dashes for underscores.

use std::ffi::OsString;

use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::registry::{Part, VARIABLES, Variable};

const COMMAND: &str = "command";

/// What `carafe run` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// To run an app.
    Run(Invocation),
    /// To print this help on stdout.
    Help(String),
    /// To print this version on stdout.
    Version(String),
}

/// How to run an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Variables that flags set, and their values: they replace what the
    /// environment says, for Carafe and for the app.
    pub overrides: Vec<(String, String)>,
    /// The app's command line; at least its name.
    pub command: Vec<OsString>,
}

/// A command line that cannot be read. The program ends with [`EXIT_USAGE`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UsageError {
    /// What is wrong, how it should be, and where help is; for stderr as it is.
    pub message: String,
}

/// The exit code after a [`UsageError`], as the official agent's.
pub const EXIT_USAGE: u8 = 2;

/// Reads the arguments behind `carafe run`.
///
/// # Errors
/// With the first argument that cannot be understood, or when no app is named.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, UsageError> {
    match command().no_binary_name(true).try_get_matches_from(args) {
        Ok(matches) => Ok(Request::Run(Invocation::from_matches(&matches))),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp => Ok(Request::Help(error.to_string())),
            ErrorKind::DisplayVersion => Ok(Request::Version(error.to_string())),
            _ => Err(UsageError { message: error.to_string() }),
        },
    }
}

/// The command line as clap sees it, to be a subcommand of another one.
pub fn command() -> Command {
    let app = Arg::new(COMMAND)
        .value_name("COMMAND")
        .help("The app and its arguments")
        .num_args(1..)
        .required(true)
        .trailing_var_arg(true)
        .value_parser(ValueParser::os_string());
    Command::new("run")
        .bin_name("carafe run")
        .display_name("carafe")
        .about("Run an app with zero-code instrumentation")
        .override_usage("carafe run [OPTIONS] [--] COMMAND [ARGUMENTS]...")
        .after_help(
            "Every option sets the environment variable named beside it, for this run only. \
             Options can be written with dashes for underscores, and shortened while they \
             stay unique.",
        )
        .infer_long_args(true)
        .args_override_self(true)
        .disable_version_flag(true)
        .version(env!("CARGO_PKG_VERSION"))
        .args(VARIABLES.iter().filter_map(flag))
        .arg(
            Arg::new("version")
                .long("version")
                .help("Print the version")
                .action(ArgAction::Version)
                .help_heading(GENERAL),
        )
        .arg(app)
}

const GENERAL: &str = "Other options";

fn flag(variable: &'static Variable) -> Option<Arg> {
    let flag = variable.flag?;
    let default = match variable.default {
        "" => String::new(),
        default => format!(" [default: {default}]"),
    };
    let arg = Arg::new(variable.name)
        .long(flag)
        .alias(flag.replace('_', "-"))
        .help(format!("{}: {}{default}", variable.name, variable.summary).replace('`', ""))
        .help_heading(heading(variable.part));
    Some(if variable.is_switch() {
        arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL")
    } else {
        arg.num_args(1).value_name("VALUE").allow_negative_numbers(true)
    })
}

fn heading(part: Part) -> &'static str {
    match part {
        Part::Carafe => "Carafe",
        Part::Agent => "What is recorded",
        Part::Exporter => "Where and how it is sent",
        Part::Python => "What is recorded of Python programs",
        Part::App => "For an OpenTelemetry SDK in the app; not read by Carafe",
    }
}

impl Invocation {
    /// Reads what clap understood of [`command`]'s arguments.
    pub fn from_matches(matches: &ArgMatches) -> Self {
        let overrides = VARIABLES
            .iter()
            .filter(|variable| variable.flag.is_some())
            .filter_map(|variable| {
                let value = matches.get_one::<String>(variable.name)?;
                Some((variable.name.to_owned(), value.clone()))
            })
            .collect();
        let command = matches.get_many(COMMAND).into_iter().flatten().cloned().collect();
        Self { overrides, command }
    }
}
