//! Runs the app: starts it, passes signals on, collects its end and that of orphans.
//!
//! Works as PID 1: every child that ends is reaped, whoever's it was.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};

/// Signals that are meant for the app when the launcher gets them. Those that stop and continue
/// are not among them: they act on the launcher too.
const FORWARDED: [libc::c_int; 8] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGWINCH,
];

/// The set of signals that [`Signals`] receives instead of their default effect.
///
/// Must be made before any other thread is, so that all inherit it.
#[derive(Debug)]
pub struct Signals {
    received: libc::sigset_t,
    /// The mask before, for the app.
    original: libc::sigset_t,
}

impl Signals {
    /// Blocks the forwarded signals and SIGCHLD in the calling thread.
    pub fn block() -> Self {
        // SAFETY: all zero bytes are a valid signal set to be overwritten.
        let (mut received, mut original) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        // SAFETY: valid sets, known signals; none of the calls can fail then.
        unsafe {
            libc::sigemptyset(&mut received);
            for signal in FORWARDED.into_iter().chain([libc::SIGCHLD]) {
                libc::sigaddset(&mut received, signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &received, &mut original);
        }
        Self { received, original }
    }

    /// Waits for the next signal; its number and whether the kernel sent it (a terminal's keys).
    fn wait(&self) -> io::Result<(libc::c_int, bool)> {
        // SAFETY: all zero bytes are a valid siginfo to be overwritten.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: both structures outlive the call.
        let signal = unsafe { libc::sigwaitinfo(&self.received, &mut info) };
        if signal < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((signal, info.si_code == libc::SI_KERNEL))
    }
}

/// The streams that the app gets instead of the launcher's.
#[derive(Debug, Default)]
pub struct Streams {
    /// Instead of the launcher's standard output.
    pub stdout: Option<Stdio>,
    /// Instead of its standard error.
    pub stderr: Option<Stdio>,
}

/// The app's main process.
#[derive(Debug)]
pub struct App {
    pid: libc::pid_t,
}

impl App {
    /// Starts `command` with changes to the environment.
    pub fn start(
        command: &[OsString],
        environment: &[(OsString, OsString)],
        streams: Streams,
        signals: &Signals,
    ) -> io::Result<Self> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "empty command"))?;
        let mut builder = Command::new(program);
        builder.args(arguments).envs(environment.iter().map(|(key, value)| (key, value)));
        if let Some(stdout) = streams.stdout {
            builder.stdout(stdout);
        }
        if let Some(stderr) = streams.stderr {
            builder.stderr(stderr);
        }
        let original = signals.original;
        // SAFETY: sigprocmask is async-signal-safe and the set was copied into the closure.
        unsafe {
            builder.pre_exec(move || {
                libc::sigprocmask(libc::SIG_SETMASK, &original, std::ptr::null_mut());
                Ok(())
            });
        }
        let child = builder.spawn()?;
        let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
        Ok(Self { pid })
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Passes signals on until the app ends; its status. `resized` is called when the terminal's
    /// size has changed.
    pub fn wait(&self, signals: &Signals, mut resized: impl FnMut()) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.reap()? {
                return Ok(status);
            }
            let (signal, is_from_kernel) = match signals.wait() {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            match signal {
                libc::SIGCHLD => {}
                libc::SIGWINCH => resized(),
                // The terminal has sent it to the whole foreground group, the app included.
                _ if is_from_kernel => {}
                _ => self.signal(signal),
            }
        }
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: the app has not been reaped, so the pid is its.
        unsafe { libc::kill(self.pid, signal) };
    }

    /// Collects everything that has ended; the app's status if it is among it.
    fn reap(&self) -> io::Result<Option<ExitStatus>> {
        use std::os::unix::process::ExitStatusExt;
        let mut app = None;
        loop {
            let mut status = 0;
            // SAFETY: the status outlives the call.
            match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
                0 => return Ok(app),
                pid if pid == self.pid => app = Some(ExitStatus::from_raw(status)),
                pid if pid > 0 => {}
                _ => {
                    let error = io::Error::last_os_error();
                    return match error.raw_os_error() {
                        Some(libc::EINTR) => continue,
                        Some(libc::ECHILD) if app.is_some() => Ok(app),
                        _ => Err(error),
                    };
                }
            }
        }
    }
}

/// The exit code that a shell would show: 128 and the signal's number for a killed app.
pub fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code & 0xff).unwrap_or(u8::MAX)
}
