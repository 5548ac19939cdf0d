//! Child processes whose output is kept and which never outlive their handle.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::wait::{DEADLINE, until};

/// Marks every descendant of a [`Proc`], so that those which left its process
/// group are found as well.
const MARKER: &str = "CARAFE_E2E_PROCESS";

/// Names the data directory of a backend.
const DATA_DIR: &str = "CARAFE_DATA_DIR";

/// How much of each stream a failed test shows.
const TRANSCRIPT_LINES: usize = 40;

/// A running child, in a process group of its own.
#[derive(Debug)]
pub struct Proc {
    name: String,
    child: Child,
    marker: String,
    stdout: Captured,
    stderr: Captured,
    /// Where a backend in it keeps telemetry, unless the command says something else.
    _data: TempDir,
}

/// Which of the two streams of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

#[derive(Clone, Debug, Default)]
struct Captured {
    bytes: Arc<Mutex<Vec<u8>>>,
    /// Nothing will follow: every writer has closed the stream.
    ended: Arc<AtomicBool>,
}

impl Captured {
    fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn follow(mut source: impl Read + Send + 'static) -> Self {
        let captured = Self::default();
        let sink = captured.clone();
        // Ends with the stream, whose last writer is killed with the process.
        thread::spawn(move || {
            let mut buffer = [0; 64 * 1024];
            while let Ok(length @ 1..) = source.read(&mut buffer) {
                let mut bytes = sink.bytes.lock().unwrap_or_else(PoisonError::into_inner);
                bytes.extend_from_slice(&buffer[..length]);
            }
            sink.ended.store(true, Ordering::Release);
        });
        captured
    }
}

/// A command without the `OTEL_*` and `CARAFE_*` variables of whoever runs the tests.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("OTEL_") || text.starts_with("CARAFE_") {
            command.env_remove(name);
        }
    }
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1").stdin(Stdio::null());
    command
}

impl Proc {
    /// Starts `command` with its output captured.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn spawn(mut command: Command) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let marker = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let name = format!("{:?}", command.get_program());
        let data = tempfile::tempdir()?;
        if command.get_envs().all(|(name, _)| name != DATA_DIR) {
            command.env(DATA_DIR, data.path());
        }
        // SAFETY: signal is async-signal-safe, and the closure does nothing else.
        unsafe {
            command.pre_exec(|| {
                // Whoever runs the tests in the background has these ignored, which is
                // inherited, and which a shell's trap cannot change.
                for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                Ok(())
            });
        }
        let mut child = command
            .env(MARKER, &marker)
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdout = child.stdout.take().map(Captured::follow).unwrap_or_default();
        let stderr = child.stderr.take().map(Captured::follow).unwrap_or_default();
        Ok(Self { name, child, marker, stdout, stderr, _data: data })
    }

    /// The process id of the child itself.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What was written so far.
    pub fn text(&self, stream: Stream) -> String {
        match stream {
            Stream::Stdout => self.stdout.text(),
            Stream::Stderr => self.stderr.text(),
        }
    }

    /// Waits for a complete line that holds `part`; gives what follows `part`.
    ///
    /// # Errors
    /// The child's output ended before, or no such line came in time.
    pub fn wait_for(&mut self, stream: Stream, part: &str) -> Result<String> {
        self.wait_line(stream, |line| Some(line.split_once(part)?.1.to_owned()))
            .with_context(|| format!("waiting for {part:?}"))
    }

    /// Waits for the first complete line from which `find` makes something.
    ///
    /// # Errors
    /// The child's output ended before, or no such line came in time.
    pub fn wait_line<T>(&mut self, stream: Stream, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let what = format!("a line on {stream:?}");
        let outcome = until(&what, DEADLINE, || {
            // Asked before the text is read, so that nothing is missed.
            let ended = self.stdout.ended() && self.stderr.ended();
            let text = self.text(stream);
            let complete = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
            match complete.lines().find_map(&find) {
                Some(found) => Ok(Some(found)),
                None if ended => bail!("its output ended before {what}"),
                None => Ok(None),
            }
        });
        outcome.with_context(|| self.transcript())
    }

    /// Waits for the child to end.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn wait_exit(&mut self) -> Result<ExitStatus> {
        self.wait_exit_within(DEADLINE)
    }

    fn wait_exit_within(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        let outcome = until(&what, deadline, || Ok(self.child.try_wait()?));
        outcome.with_context(|| self.transcript())
    }

    /// Sends a signal to the child alone, not to its group.
    ///
    /// # Errors
    /// The child has ended.
    pub fn signal(&self, signal: i32) -> Result<()> {
        kill(i32::try_from(self.pid())?, signal)
            .with_context(|| format!("cannot send signal {signal} to {}", self.name))
    }

    /// SIGTERM, then waits for the end.
    ///
    /// # Errors
    /// It had ended before, or did not end in time.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(libc::SIGTERM)?;
        self.wait_exit()
    }

    /// The processes that this child started, directly or not, and which live.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub fn descendants(&self) -> Result<Vec<u32>> {
        let marker = format!("{MARKER}={}", self.marker);
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if pid == self.pid() {
                continue;
            }
            // A process that ends meanwhile, or is another user's, is not ours.
            let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
            if environment.split(|byte| *byte == 0).any(|entry| entry == marker.as_bytes()) {
                found.push(pid);
            }
        }
        Ok(found)
    }

    /// The descendants whose program file has this name.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub fn descendants_named(&self, program: &str) -> Result<Vec<u32>> {
        let mut found = self.descendants()?;
        found.retain(|pid| {
            std::fs::read_link(format!("/proc/{pid}/exe"))
                .is_ok_and(|path| path.file_name().is_some_and(|name| name == program))
        });
        Ok(found)
    }

    /// Sends a signal to the child's whole group, as Ctrl-C on a terminal does.
    ///
    /// # Errors
    /// The group is empty.
    pub fn signal_group(&self, signal: i32) -> Result<()> {
        kill(-i32::try_from(self.pid())?, signal)
            .with_context(|| format!("cannot send signal {signal} to the group of {}", self.name))
    }

    /// The end of both streams, for the report of a failed test.
    pub fn transcript(&self) -> String {
        let end = |stream| {
            let text = self.text(stream);
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(TRANSCRIPT_LINES)..].join("\n")
        };
        let (stdout, stderr) = (end(Stream::Stdout), end(Stream::Stderr));
        format!("{}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", self.name)
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.pid()) {
            // Both fail when there is nothing left to kill.
            let _ = kill(-pid, libc::SIGKILL);
        }
        for pid in self.descendants().unwrap_or_default() {
            let _ = i32::try_from(pid).map(|pid| kill(pid, libc::SIGKILL));
        }
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process, or to a group when `pid` is negative.
///
/// # Errors
/// There is no such process.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill takes two integers and touches no memory of ours.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The status as a shell shows it in `$?`: 128 + n for signal n.
pub fn shell_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// Runs a command to its end and gives its status, stdout and stderr.
///
/// # Errors
/// It cannot be started or did not end in time.
pub fn finish(command: Command) -> Result<(ExitStatus, String, String)> {
    finish_within(DEADLINE, command)
}

/// [`finish`] for what may take longer than a condition of a test.
///
/// # Errors
/// As [`finish`].
pub fn finish_within(deadline: Duration, command: Command) -> Result<(ExitStatus, String, String)> {
    let mut proc = Proc::spawn(command)?;
    let status = proc.wait_exit_within(deadline)?;
    // Also waits for descendants that write to the same streams.
    until("the end of its output", DEADLINE, || {
        Ok((proc.stdout.ended() && proc.stderr.ended()).then_some(()))
    })?;
    Ok((status, proc.text(Stream::Stdout), proc.text(Stream::Stderr)))
}
