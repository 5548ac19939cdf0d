//! `--capture_output`: what the app prints is still printed, and every line becomes a log record.
//!
//! Where the launcher's stream is a terminal the app gets a pseudo-terminal of the same size, so it
//! still sees one (colours, progress bars); its input stays the real terminal. Otherwise it gets
//! a pipe.

use crate::batch::Sender;
use crate::child::Streams;
use crate::registry::Instance;
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::{self, AnyValue, LogRecord, any_value::Value};
use prost::Message;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

mod severity;
mod text;

pub use severity::Severity;

/// Longest line in one log record, in bytes; longer ones become several.
const LINE_LIMIT_BYTES: usize = 64 << 10;

/// How long what is still in the streams is copied after the app's end: what it left running may
/// write for ever.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// Bytes that are read at once.
const READ_BYTES: usize = 16 << 10;

/// Where a captured line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn fd(self) -> RawFd {
        match self {
            Self::Stdout => libc::STDOUT_FILENO,
            Self::Stderr => libc::STDERR_FILENO,
        }
    }

    /// The value of `log.iostream`.
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// The launcher's ends of the app's streams.
#[derive(Debug)]
pub struct Capture {
    streams: Vec<(Stream, File)>,
    terminals: Terminals,
}

impl Capture {
    /// Makes the streams; the second value is for the app.
    pub fn new() -> io::Result<(Self, Streams)> {
        let (stdout, for_stdout, stdout_is_terminal) = pair(Stream::Stdout)?;
        let (stderr, for_stderr, stderr_is_terminal) = pair(Stream::Stderr)?;
        let mut terminals = Vec::new();
        for (stream, file, is_terminal) in [
            (Stream::Stdout, &stdout, stdout_is_terminal),
            (Stream::Stderr, &stderr, stderr_is_terminal),
        ] {
            if is_terminal {
                terminals.push((stream, file.try_clone()?));
            }
        }
        let terminals = Terminals(terminals);
        terminals.resize();
        let capture =
            Self { streams: vec![(Stream::Stdout, stdout), (Stream::Stderr, stderr)], terminals };
        Ok((capture, Streams { stdout: Some(for_stdout.into()), stderr: Some(for_stderr.into()) }))
    }

    /// Starts to copy and to record. `instance` is the app's main process.
    pub fn start(self, instance: &Arc<Instance>, records: &Sender) -> io::Result<Running> {
        let (stop_reader, stop) = io::pipe()?;
        let mut threads = Vec::new();
        for (stream, source) in self.streams {
            let copy = Copy {
                stream,
                source,
                instance: Arc::clone(instance),
                records: records.clone(),
                line: Vec::new(),
                stop: stop_reader.try_clone()?,
                stopped_at: None,
            };
            let name = format!("carafe-{}", stream.name());
            threads.push(std::thread::Builder::new().name(name).spawn(move || copy.run())?);
        }
        Ok(Running { threads, stop, terminals: self.terminals })
    }
}

/// Threads that copy the app's output.
#[derive(Debug)]
pub struct Running {
    threads: Vec<JoinHandle<()>>,
    stop: io::PipeWriter,
    terminals: Terminals,
}

impl Running {
    /// The terminal's size has changed; whether a pseudo-terminal of the app follows it.
    pub fn resize(&self) -> bool {
        self.terminals.resize();
        !self.terminals.0.is_empty()
    }

    /// The app has ended: copies what is still there and ends, whoever else holds the streams.
    pub fn finish(self) {
        drop(self.stop);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("capturing the app's output failed");
            }
        }
    }
}

/// Pseudo-terminals that follow the size of real ones.
#[derive(Debug)]
struct Terminals(Vec<(Stream, File)>);

impl Terminals {
    fn resize(&self) {
        for (stream, terminal) in &self.0 {
            // SAFETY: all zero bytes are a valid size to be overwritten.
            let mut size: libc::winsize = unsafe { std::mem::zeroed() };
            // SAFETY: the size outlives both calls.
            unsafe {
                if libc::ioctl(stream.fd(), libc::TIOCGWINSZ, &mut size) == 0 {
                    libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size);
                }
            }
        }
    }
}

/// The launcher's end, the app's end, and whether they are a terminal.
fn pair(stream: Stream) -> io::Result<(File, OwnedFd, bool)> {
    // SAFETY: isatty takes any number.
    let is_terminal = unsafe { libc::isatty(stream.fd()) } == 1;
    if !is_terminal {
        let (reader, writer) = io::pipe()?;
        return Ok((OwnedFd::from(reader).into(), writer.into(), false));
    }
    let (mut controller, mut app) = (-1, -1);
    // SAFETY: both descriptors outlive the call; the other arguments may be null.
    let result = unsafe {
        libc::openpty(
            &mut controller,
            &mut app,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: openpty has just given us both.
    let (controller, app) = unsafe { (File::from_raw_fd(controller), OwnedFd::from_raw_fd(app)) };
    // The real terminal turns line feeds into carriage returns and line feeds; once is enough.
    // SAFETY: all zero bytes are a valid termios to be overwritten; it outlives both calls.
    unsafe {
        for end in [controller.as_raw_fd(), app.as_raw_fd()] {
            libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC);
        }
        let mut settings: libc::termios = std::mem::zeroed();
        if libc::tcgetattr(app.as_raw_fd(), &mut settings) == 0 {
            settings.c_oflag &= !libc::OPOST;
            libc::tcsetattr(app.as_raw_fd(), libc::TCSANOW, &settings);
        }
    }
    Ok((controller, app, true))
}

/// One stream's thread.
struct Copy {
    stream: Stream,
    source: File,
    instance: Arc<Instance>,
    records: Sender,
    /// The line that has not ended yet.
    line: Vec<u8>,
    stop: io::PipeReader,
    stopped_at: Option<Instant>,
}

impl Copy {
    fn run(mut self) {
        let mut buffer = vec![0; READ_BYTES];
        while self.wait() {
            match self.source.read(&mut buffer) {
                // A pseudo-terminal that nobody has open any more fails with EIO.
                Ok(0) => break,
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.print(bytes);
                    self.record(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.end_line();
    }

    /// Waits until there is something to read; false when there is nothing and it is time to stop.
    fn wait(&mut self) -> bool {
        let entry = |fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut entries = [entry(self.source.as_raw_fd()), entry(self.stop.as_raw_fd())];
        loop {
            // SAFETY: the entries outlive the call and there are two of them.
            let result = unsafe { libc::poll(entries.as_mut_ptr(), 2, -1) };
            if result >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                break;
            }
        }
        if entries[1].revents == 0 {
            return true;
        }
        let stopped_at = *self.stopped_at.get_or_insert_with(Instant::now);
        entries[0].revents != 0 && stopped_at.elapsed() < DRAIN_LIMIT
    }

    /// What the launcher's own stream does not take (a closed pipe) is lost for it alone: the
    /// record is still made.
    fn print(&self, bytes: &[u8]) {
        let _ = match self.stream {
            Stream::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
            Stream::Stderr => io::stderr().lock().write_all(bytes),
        };
    }

    fn record(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.line.len() >= LINE_LIMIT_BYTES {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let body = text::plain(&line);
        if body.trim().is_empty() {
            return;
        }
        let record = log_record(self.stream, body, UnixNanos::now());
        self.records.send(&self.instance.universal(), &record.encode_to_vec());
    }
}

fn log_record(stream: Stream, body: String, now: UnixNanos) -> LogRecord {
    let severity = Severity::recognise(&body);
    LogRecord {
        time_unix_nano: now.0,
        observed_time_unix_nano: now.0,
        severity_number: severity.map_or(0, |severity| severity.number().into()),
        severity_text: severity.map(|severity| severity.text().to_owned()).unwrap_or_default(),
        body: Some(AnyValue { value: Some(Value::StringValue(body)) }),
        attributes: vec![otlp::string("log.iostream", stream.name())],
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchOptions, Batcher};
    use crate::metrics::MetricOptions;
    use crate::registry::Registry;
    use crate::resource::{ProcessInfo, ResourceOptions};
    use carafe_pipeline::{Accepted, Consumer, Refusal};
    use carafe_telemetry::{Batch, Request, Signal};

    #[derive(Default)]
    struct Bodies(parking_lot::Mutex<Vec<(String, String)>>);

    #[async_trait::async_trait]
    impl Consumer for Bodies {
        async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
            let Ok(Request::Logs(request)) = batch.decode() else { panic!("not logs") };
            for record in &request.resource_logs[0].scope_logs[0].log_records {
                let Some(Value::StringValue(body)) = record.body.clone().and_then(|b| b.value)
                else {
                    panic!("no text");
                };
                self.0.lock().push((record.severity_text.clone(), body));
            }
            Ok(Accepted::default())
        }
    }

    #[tokio::test]
    async fn lines_become_records_whatever_the_pieces_are() {
        let second = Duration::from_secs(1);
        let options =
            BatchOptions { queue_limit: 100, batch_limit: 100, delay: second, timeout: second };
        let (records, batcher) = Batcher::new(Signal::Logs, options);
        let registry = Registry::new(ResourceOptions::default(), MetricOptions::default());
        let process = ProcessInfo { pid: 1, parent_pid: 0, executable: String::new() };
        let (reader, mut writer) = io::pipe().unwrap();
        let (stop, _keep) = io::pipe().unwrap();
        let copy = Copy {
            stream: Stream::Stderr,
            source: OwnedFd::from(reader).into(),
            instance: registry.started(&process),
            records,
            line: Vec::new(),
            stop,
            stopped_at: None,
        };
        let thread = std::thread::spawn(move || copy.run());
        for piece in ["one\ntw", "o\r\n\n", "\x1b[31mERROR: three\x1b[0m"] {
            writer.write_all(piece.as_bytes()).unwrap();
        }
        drop(writer);
        thread.join().unwrap();
        let bodies = Arc::new(Bodies::default());
        batcher.run(bodies.clone()).await;
        let expected = [("", "one"), ("", "two"), ("ERROR", "ERROR: three")];
        assert_eq!(*bodies.0.lock(), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
