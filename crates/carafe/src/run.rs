//! `carafe run`: the app under the agent, and where its telemetry goes.

mod explain;
mod exports;
mod libraries;
mod options;
mod report;

use crate::backend::{Backend, BackendConfig, BackendError, Component};
use crate::store_options::StoreChoice;
use carafe_launch::child::Signals;
use carafe_launch::launcher::{self, FLUSH_DEADLINE, Launched, Summary};
use carafe_launch::program::Program;
use carafe_launch::rings::ReaderCounters;
use carafe_settings::flags::{EXIT_USAGE, Invocation};
use carafe_settings::{LogLevel, Settings, StoreSettings, unknown};
use carafe_store::StoreError;
use exports::Destination;
use std::collections::HashMap;
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio_util::sync::CancellationToken;

/// How long the backend's connections may take to end after the app has. A stuck one must not
/// keep the launcher: what it was sent is not lost by that.
const BACKEND_DRAIN: Duration = Duration::from_secs(2);

/// How long whatever else still works in the end may go on.
const RUNTIME_DEADLINE: Duration = Duration::from_secs(2);

/// Runs the app and ends with its exit code.
pub(crate) fn main(invocation: &Invocation) -> ExitCode {
    run(invocation, RunHooks::default())
}

/// What `carafe demo` does beside a plain run.
#[derive(Default)]
pub(crate) struct RunHooks {
    /// Hosts the backend even where a receiver answers, with this store.
    pub(crate) demo: Option<StoreSettings>,
    /// Called when all is up; what it spawns ends with the token.
    pub(crate) on_ready: Option<OnReady>,
}

type OnReady = Box<dyn FnOnce(&Handle, CancellationToken)>;

/// Runs the app with the settings of its environment.
pub(crate) fn run(invocation: &Invocation, hooks: RunHooks) -> ExitCode {
    let environment = Environment::new(invocation);
    let resolved = Settings::resolve(&|name| environment.get(name));
    let settings = match resolved {
        Ok((settings, warnings)) => {
            warnings.iter().for_each(|warning| report::warn(warning));
            settings
        }
        Err(errors) => {
            errors.iter().for_each(|error| report::say(error));
            return ExitCode::FAILURE;
        }
    };
    for warning in unknown::unknown_variables(environment.names()) {
        report::warn(&warning);
    }
    let program = match launcher::inspect(&invocation.command) {
        Ok(program) => program,
        Err(error) => {
            report::say(&error);
            return ExitCode::from(error.exit_code());
        }
    };
    if settings.sdk_disabled {
        return replace_by_app(invocation);
    }
    // Before any thread is made: they all inherit what is blocked.
    let signals = Signals::block();
    init_logging(settings.log_level);
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            report::say(&format_args!("cannot start: {error}; hint: check the limits on threads"));
            return ExitCode::FAILURE;
        }
    };
    let run = Run { invocation, environment: &environment, settings: &settings, program: &program };
    let code = observe(&runtime, &run, signals, hooks);
    runtime.shutdown_timeout(RUNTIME_DEADLINE);
    code
}

/// What to run, and how.
struct Run<'a> {
    invocation: &'a Invocation,
    environment: &'a Environment,
    settings: &'a Settings,
    program: &'a Program,
}

/// The app with the agent: backend if needed, exports, launch, wait, flush.
fn observe(runtime: &Runtime, run: &Run<'_>, signals: Signals, hooks: RunHooks) -> ExitCode {
    let Run { invocation, environment, settings, program } = *run;
    let plan = runtime.block_on(exports::plan(settings, hooks.demo.is_some()));
    let cancel = CancellationToken::new();
    let hosted = match plan.destination {
        Destination::Hosted => match runtime.block_on(host(settings, hooks.demo.as_ref())) {
            Ok(backend) => Some(backend),
            Err(faults) => {
                faults.iter().for_each(|fault| report::say(fault));
                return ExitCode::FAILURE;
            }
        },
        Destination::Named => None,
    };
    let consumer = hosted.as_ref().map(Backend::consumer);
    let exports = {
        let _inside = runtime.enter();
        match exports::build(&plan, settings, consumer) {
            Ok(exports) => exports,
            Err(error) => {
                report::say(&error);
                return ExitCode::FAILURE;
            }
        }
    };
    report::start(program, &plan, settings, hosted.as_ref());
    let is_explained = settings.own.explain;
    if is_explained {
        let lines = explain::lines(invocation, environment, program, &plan, settings);
        lines.iter().for_each(|line| report::say(line));
    }
    let counters = Arc::new(ReaderCounters::default());
    let serving = hosted
        .map(|backend| backend.serve(cancel.clone(), BACKEND_DRAIN, Some(Arc::clone(&counters))))
        .map(|serving| runtime.spawn(serving));
    let options = options::run_options(invocation, settings, &plan);
    let launched = Launched::start(
        options,
        program,
        exports.consumers(),
        Arc::clone(&counters),
        signals,
        runtime.handle(),
    );
    let launched = match launched {
        Ok(launched) => launched,
        Err(error) => {
            report::say(&error);
            return ExitCode::from(error.exit_code());
        }
    };
    let notices = Arc::clone(launched.notices());
    let saying = runtime.spawn(libraries::say_as_they_come(Arc::clone(&notices), is_explained));
    if let Some(on_ready) = hooks.on_ready {
        on_ready(runtime.handle(), cancel.clone());
    }
    let outcome = launched.wait(runtime.handle());
    saying.abort();
    libraries::say(&notices.take(), is_explained);
    let leftover = runtime.block_on(exports.shutdown(FLUSH_DEADLINE));
    cancel.cancel();
    if let Some(serving) = serving {
        // It has deadlines of its own. Were it to panic, the app's exit code counts all the same.
        let _ = runtime.block_on(serving);
    }
    match outcome {
        Ok((code, summary)) => {
            report::end(&summary, leftover, &counters);
            ExitCode::from(code)
        }
        Err(error) => {
            report::say(&error);
            report::end(&Summary::default(), leftover, &counters);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Binds the backend. Its own metrics are of no use to the app's user, so where their usual port
/// is taken (8888 is also Jupyter's) they get a free one.
///
/// A demo needs its store. A plain run goes on with what fits in memory where the data directory
/// cannot be had: the app comes first.
async fn host(
    settings: &Settings,
    demo: Option<&StoreSettings>,
) -> Result<Backend, Vec<BackendError>> {
    let own = &settings.own;
    let address = |given: &Option<String>, component: Component| {
        given.clone().unwrap_or_else(|| component.default_addr().to_owned())
    };
    let store = match demo {
        Some(store) => StoreChoice::new(store, "carafe demo"),
        None => StoreChoice::new(&own.store, "carafe run")
            .or_else(|error| Ok(in_memory(settings, &error))),
    };
    let mut config = BackendConfig {
        otlp_grpc: address(&own.otlp_grpc, Component::OtlpGrpc),
        otlp_http: address(&own.otlp_http, Component::OtlpHttp),
        query: address(&own.query, Component::Query),
        telemetry: address(&own.telemetry, Component::Telemetry),
        store: store.map_err(|error| vec![error.into()])?,
    };
    let mut bound = Backend::bind(config.clone()).await;
    if let Err(faults) = &bound
        && own.telemetry.is_none()
        && faults.iter().all(|fault| fault.is_about(Component::Telemetry))
    {
        config.telemetry = "127.0.0.1:0".to_owned();
        bound = Backend::bind(config.clone()).await;
    }
    if let (Err(faults), None) = (&bound, demo)
        && let [BackendError::Store(error)] = faults.as_slice()
    {
        config.store = in_memory(settings, error);
        bound = Backend::bind(config).await;
    }
    bound
}

/// Says that telemetry of this run will not outlive it, and why.
fn in_memory(settings: &Settings, error: &StoreError) -> StoreChoice {
    report::warn(&format_args!(
        "{error}; until then telemetry is kept in memory and goes with this run"
    ));
    StoreChoice::in_memory(&settings.own.store)
}

/// `OTEL_SDK_DISABLED=true`: the app as if Carafe was not there.
fn replace_by_app(invocation: &Invocation) -> ExitCode {
    let Some((program, arguments)) = invocation.command.split_first() else {
        return ExitCode::from(EXIT_USAGE);
    };
    let overrides = invocation.overrides.iter().map(|(name, value)| (name, value));
    let error = Command::new(program).args(arguments).envs(overrides).exec();
    report::say(&format_args!("cannot start {}: {error}", program.display()));
    ExitCode::from(126)
}

fn init_logging(level: LogLevel) {
    use tracing::level_filters::LevelFilter;
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        // "info" is what the SDK has when nothing is said; the app's terminal stays quiet.
        LogLevel::Warn | LogLevel::Info => LevelFilter::WARN,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        // As in `logging`: what cannot be said must not end a thread.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .init();
}

/// The environment with what flags set.
struct Environment {
    variables: HashMap<String, String>,
}

impl Environment {
    fn new(invocation: &Invocation) -> Self {
        let mut variables: HashMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        variables.extend(invocation.overrides.iter().cloned());
        Self { variables }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }
}
