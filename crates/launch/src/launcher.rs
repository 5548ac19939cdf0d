//! One run of the app, from its start to the last export.

use crate::batch::{BatchOptions, Batcher, Delivered, Sender};
use crate::child::{self, App, Signals, Streams};
use crate::directory::{DirectoryError, RunDirectory};
use crate::http::HttpOptions;
use crate::interpreter;
use crate::metrics::MetricOptions;
use crate::notices::{Notice, Notices};
use crate::observer::KernelMetrics;
use crate::origin::Origin;
use crate::output::{Capture, Running};
use crate::program::{self, CommandError, Program};
use crate::registry::{Instance, Registry};
use crate::reports::Reports;
use crate::resource::{ProcessInfo, ResourceOptions};
use crate::rings::{ReaderCounters, RingReader, Sink};
use crate::system_metrics::SystemMetrics;
use carafe_pipeline::Consumer;
use carafe_telemetry::{Signal, UnixNanos};
use carafe_wire::doorbell;
use carafe_wire::record;
use carafe_wire::shm::MappedDoorbell;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long the last exports may take after the app has ended.
pub const FLUSH_DEADLINE: Duration = Duration::from_secs(5);

/// What a run needs.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// Variables that the app gets beside the launcher's own.
    pub environment: Vec<(OsString, OsString)>,
    /// Names, sampling and propagation of HTTP.
    pub http: HttpOptions,
    /// What is said of every process.
    pub resource: ResourceOptions,
    /// How metrics are reported.
    pub metrics: MetricOptions,
    /// What is read from the kernel, of processes and of the machine.
    pub kernel_metrics: KernelMetrics,
    /// Time between reports of metrics.
    pub metric_interval: Duration,
    /// How long a report of metrics may take.
    pub metric_timeout: Duration,
    /// Batching of spans.
    pub spans: BatchOptions,
    /// Batching of log records.
    pub logs: BatchOptions,
    /// Whether the app's output becomes log records.
    pub is_output_captured: bool,
    /// Whether the Python engine is put into Python programs.
    pub has_python_engine: bool,
}

/// Where each signal goes; `None`: nowhere.
#[derive(Clone, Default)]
pub struct Exports {
    /// Spans.
    pub traces: Option<Arc<dyn Consumer>>,
    /// Data points.
    pub metrics: Option<Arc<dyn Consumer>>,
    /// Log records.
    pub logs: Option<Arc<dyn Consumer>>,
}

/// Why the app could not be run.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// There is no such program, or it may not be executed.
    #[error("{0}")]
    Command(#[from] CommandError),
    /// No place for the rings.
    #[error("{0}")]
    Directory(#[from] DirectoryError),
    /// The program was found but the kernel did not start it.
    #[error("cannot start {command}: {source}")]
    Start {
        /// Its path.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// Capturing the output or waiting failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl LaunchError {
    /// The code that a shell would exit with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Command(error) => error.exit_code(),
            Self::Start { .. } => 126,
            Self::Directory(_) | Self::Io(_) => 1,
        }
    }
}

/// The app, running.
pub struct Launched {
    app: App,
    signals: Signals,
    output: Option<Running>,
    reader: Reader,
    exports: ExportTasks,
    notices: Arc<Notices>,
    _directory: RunDirectory,
}

/// The thread that reads the rings.
struct Reader {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
    doorbell: Arc<MappedDoorbell>,
}

/// The tasks that export.
struct ExportTasks {
    tasks: JoinSet<Delivered>,
    /// Ends the reports of metrics with a last one.
    end_metrics: watch::Sender<bool>,
}

/// What became of the telemetry.
#[derive(Debug, Default, Clone, Copy)]
pub struct Summary {
    /// Items that were exported, refused and dropped.
    pub delivered: Delivered,
    /// Whether all exports ended before the deadline.
    pub is_complete: bool,
}

/// Looks at the command before anything is started.
pub fn inspect(command: &[OsString]) -> Result<Program, CommandError> {
    let program = command.first().map(OsString::as_os_str).unwrap_or_default();
    program::find(program, std::env::var_os("PATH").as_deref())
}

impl Launched {
    /// Starts the app with the agent in it. `runtime` runs the exports.
    pub fn start(
        options: RunOptions,
        program: &Program,
        exports: Exports,
        counters: Arc<ReaderCounters>,
        signals: Signals,
        runtime: &Handle,
    ) -> Result<Self, LaunchError> {
        let (mut directory, doorbell) = RunDirectory::create()?;
        let notices = Arc::new(Notices::default());
        let registry = Registry::new(options.resource.clone(), options.metrics)
            .with_kernel_metrics(options.kernel_metrics.clone());
        let registry = Arc::new(registry);
        let (spans, span_batcher) = Batcher::new(Signal::Traces, options.spans);
        let (records, record_batcher) = Batcher::new(Signal::Logs, options.logs);

        let (capture, streams) = if options.is_output_captured {
            let (capture, streams) = Capture::new()?;
            (Some(capture), streams)
        } else {
            (None, Streams::default())
        };
        let mut environment = options.environment.clone();
        environment.push((carafe_wire::RING_DIR_VARIABLE.into(), directory.path().into()));
        if program.reach.tolerates_preload() {
            let preloaded = std::env::var_os("LD_PRELOAD");
            environment.push(("LD_PRELOAD".into(), preload(directory.agent(), preloaded)));
            let sanitizer = std::env::var_os("ASAN_OPTIONS");
            environment.push(("ASAN_OPTIONS".into(), sanitizer_options(sanitizer)));
        }
        environment.extend(for_engines(&options, &exports));
        let mut python_path = None;
        if options.has_python_engine {
            if let Some(reason) = python_obstacle(&options.command, program) {
                notices.note(Notice::problem("python", reason));
            }
            match directory.add_python_engine() {
                Ok(engine) => {
                    let existing = std::env::var_os("PYTHONPATH");
                    environment.push(("PYTHONPATH".into(), prepended(engine, existing)));
                    python_path = Some(engine.to_owned());
                }
                Err(error) => notices.note(Notice::problem(
                    "python",
                    format!(
                        "{error}; Python programs are seen by the universal engine alone; hint: \
                         set XDG_CACHE_HOME to a directory of yours that allows programs"
                    ),
                )),
            }
        }
        let app =
            App::start(&options.command, &environment, streams, &signals).map_err(|source| {
                LaunchError::Start { command: program.path.display().to_string(), source }
            })?;
        let output = match capture {
            Some(capture) => {
                Some(capture.start(&main_instance(&registry, &app, program), &records)?)
            }
            None => None,
        };

        let doorbell = Arc::new(doorbell);
        let sink = Telemetry {
            spans: exports.traces.is_some().then_some(spans),
            records: exports.logs.is_some().then_some(records),
            notices: Arc::clone(&notices),
        };
        let reader = RingReader::new(
            directory.path(),
            Arc::clone(&doorbell),
            options.http.clone(),
            Arc::clone(&registry),
            Arc::clone(&counters),
            sink,
        )
        .expecting_python(python_path);
        let reader = Reader::start(reader, doorbell)?;
        let reports = exports.metrics.clone().map(|consumer| Reports {
            registry,
            counters,
            consumer,
            system: options.kernel_metrics.is_on.then(|| {
                SystemMetrics::new(&options.kernel_metrics, options.metrics, UnixNanos::now())
            }),
            interval: options.metric_interval,
            timeout: options.metric_timeout,
        });
        let exports = ExportTasks::start(exports, reports, span_batcher, record_batcher, runtime);
        Ok(Self { app, signals, output, reader, exports, notices, _directory: directory })
    }

    /// What the engines say of libraries.
    pub fn notices(&self) -> &Arc<Notices> {
        &self.notices
    }

    /// The app's main process.
    pub fn pid(&self) -> u32 {
        self.app.pid()
    }

    /// Waits for the app's end, passing signals on, then for the last exports; the exit code.
    pub fn wait(self, runtime: &Handle) -> Result<(u8, Summary), LaunchError> {
        let output = self.output;
        let status =
            self.app.wait(&self.signals, || output.as_ref().is_some_and(Running::resize))?;
        if let Some(output) = output {
            output.finish();
        }
        self.reader.finish();
        let summary = runtime.block_on(self.exports.finish());
        Ok((child::exit_code(status), summary))
    }
}

/// Our agent after what the user preloads already, some of which insists on being the first
/// (AddressSanitizer), and in place of the agent of a launcher around this one: two agents would
/// see everything twice.
fn preload(agent: &Path, existing: Option<OsString>) -> OsString {
    let existing = existing.unwrap_or_default();
    // The dynamic linker takes colons and spaces.
    let kept = existing
        .as_bytes()
        .split(|byte| matches!(byte, b':' | b' '))
        .filter(|path| !path.is_empty() && !path.ends_with(carafe_bundle::PRELOAD_FILE.as_bytes()));
    let all: Vec<&[u8]> = kept.chain([agent.as_os_str().as_bytes()]).collect();
    OsString::from_vec(all.join(&b':'))
}

/// What the engines in the app must know and no variable of the specification says.
fn for_engines(options: &RunOptions, exports: &Exports) -> [(OsString, OsString); 2] {
    let signals = [
        (Signal::Traces, exports.traces.is_some()),
        (Signal::Metrics, exports.metrics.is_some()),
        (Signal::Logs, exports.logs.is_some()),
    ];
    let exported = signals.iter().filter(|(_, is_exported)| *is_exported);
    let names: Vec<&str> = exported.map(|(signal, _)| signal.as_str()).collect();
    // An engine takes no name at all for not having been told.
    let names = if names.is_empty() { "none".to_owned() } else { names.join(",") };
    [
        ("CARAFE_SERVICE_NAME".into(), options.resource.service_name.as_str().into()),
        ("CARAFE_SIGNALS".into(), names.into()),
    ]
}

/// Why the Python engine will not be in the app's first program.
fn python_obstacle(command: &[OsString], program: &Program) -> Option<String> {
    // The options of a script's interpreter stand in the script.
    let is_script = program.path != program.executable;
    let arguments = if is_script { &[] } else { command.get(1..).unwrap_or_default() };
    interpreter::obstacle(&program.executable, arguments)
}

/// Our directory before what the user has, in place of that of a launcher around this one.
fn prepended(engine: &Path, existing: Option<OsString>) -> OsString {
    let existing = existing.filter(|existing| !existing.is_empty());
    let kept = existing.iter().flat_map(std::env::split_paths);
    let kept = kept.filter(|path| !carafe_bundle::is_engine_directory(path));
    let all: Vec<_> = std::iter::once(engine.to_owned()).chain(kept).collect();
    // Only a colon in our own path could make this fail.
    std::env::join_paths(all).unwrap_or_else(|_| engine.into())
}

/// A program that was built with AddressSanitizer refuses to start where a library was loaded
/// before the sanitizer's, unless this option is set.
fn sanitizer_options(existing: Option<OsString>) -> OsString {
    let mut options = existing.filter(|options| !options.is_empty()).unwrap_or_default();
    if !options.is_empty() {
        options.push(":");
    }
    options.push("verify_asan_link_order=0");
    options
}

/// The instance of captured output: the app's main process.
fn main_instance(registry: &Registry, app: &App, program: &Program) -> Arc<Instance> {
    registry.started(&ProcessInfo {
        pid: app.pid(),
        parent_pid: std::process::id(),
        executable: program.executable.display().to_string(),
    })
}

/// Where what was read goes; `None`: nobody wants it.
struct Telemetry {
    spans: Option<Sender>,
    records: Option<Sender>,
    notices: Arc<Notices>,
}

impl Sink for Telemetry {
    fn span(&mut self, origin: &Arc<Origin>, otlp: &[u8]) {
        if let Some(sender) = &self.spans {
            sender.send(origin, otlp);
        }
    }

    fn log(&mut self, origin: &Arc<Origin>, otlp: &[u8]) {
        if let Some(sender) = &self.records {
            sender.send(origin, otlp);
        }
    }

    fn notice(&mut self, notice: &record::Notice<'_>) {
        self.notices.add(notice);
    }
}

impl Reader {
    fn start<S: Sink + 'static>(
        reader: RingReader<S>,
        doorbell: Arc<MappedDoorbell>,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stop_too = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("carafe-rings".to_owned())
            .spawn(move || reader.run(&stop_too))?;
        Ok(Self { thread, stop, doorbell })
    }

    fn finish(self) {
        self.stop.store(true, Ordering::Release);
        if self.doorbell.must_wake() {
            doorbell::wake(&self.doorbell);
        }
        if self.thread.join().is_err() {
            tracing::error!("reading the app's records failed; what came after is lost");
        }
    }
}

impl ExportTasks {
    fn start(
        exports: Exports,
        reports: Option<Reports>,
        spans: Batcher,
        records: Batcher,
        runtime: &Handle,
    ) -> Self {
        let mut tasks = JoinSet::new();
        if let Some(consumer) = exports.traces {
            tasks.spawn_on(spans.run(consumer), runtime);
        }
        if let Some(consumer) = exports.logs {
            tasks.spawn_on(records.run(consumer), runtime);
        }
        let (end_metrics, ended) = watch::channel(false);
        if let Some(reports) = reports {
            tasks.spawn_on(reports.run(ended), runtime);
        }
        Self { tasks, end_metrics }
    }

    /// Waits for the exports, which have got all there is, until the deadline.
    async fn finish(mut self) -> Summary {
        // No receiver means that no metrics are reported.
        let _ = self.end_metrics.send(true);
        let mut summary = Summary { is_complete: true, ..Default::default() };
        let deadline = tokio::time::Instant::now() + FLUSH_DEADLINE;
        loop {
            match tokio::time::timeout_at(deadline, self.tasks.join_next()).await {
                Ok(None) => break,
                Ok(Some(Ok(delivered))) => {
                    summary.delivered.accepted += delivered.accepted;
                    summary.delivered.failed += delivered.failed;
                    summary.delivered.dropped += delivered.dropped;
                }
                Ok(Some(Err(error))) => {
                    tracing::error!("an exporter failed: {error}");
                    summary.is_complete = false;
                }
                Err(_) => {
                    summary.is_complete = false;
                    break;
                }
            }
        }
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_comes_last_and_once() {
        let agent = Path::new("/shm/carafe-2-b/libcarafe_preload.so");
        assert_eq!(preload(agent, None), agent);
        let existing = "/lib/libasan.so.8 /shm/carafe-1-a/libcarafe_preload.so::/lib/jemalloc.so";
        let expected = format!("/lib/libasan.so.8:/lib/jemalloc.so:{}", agent.display());
        assert_eq!(preload(agent, Some(existing.into())), OsString::from(expected));
    }

    #[test]
    fn the_python_engine_comes_first_and_once() {
        let engine = Path::new("/c/carafe/engine-0123456789abcdef");
        assert_eq!(prepended(engine, None), engine);
        assert_eq!(prepended(engine, Some("".into())), engine);
        let existing = "lib:/d/engine-0123456789abcdee::/x";
        let expected = format!("{}:lib::/x", engine.display());
        assert_eq!(prepended(engine, Some(existing.into())), OsString::from(expected));
    }

    #[test]
    fn the_users_sanitizer_options_stay() {
        assert_eq!(sanitizer_options(Some("".into())), "verify_asan_link_order=0");
        let both = sanitizer_options(Some("detect_leaks=0".into()));
        assert_eq!(both, "detect_leaks=0:verify_asan_link_order=0");
    }
}
