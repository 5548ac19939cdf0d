//! Runs the app: starts it, passes signals on, collects its end and that of orphans.
//!
//! Works as PID 1: every child that ends is reaped, whoever's it was.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};

/// Signals that are meant for the app when the launcher gets them. SIGTSTP and SIGCONT are not
/// among them: they act on the launcher too.
const FORWARDED: [libc::c_int; 10] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    // Apache stops gracefully at it.
    libc::SIGWINCH,
    // Pre-fork servers add and remove workers at them.
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// The set of signals that [`Signals`] receives instead of their default effect.
///
/// Must be made before any other thread is, so that all inherit it.
#[derive(Debug)]
pub struct Signals {
    received: libc::sigset_t,
    /// The mask before, for the app.
    original: libc::sigset_t,
    /// What SIGCHLD did before, for the app.
    original_child: libc::sighandler_t,
}

impl Signals {
    /// Blocks the forwarded signals and SIGCHLD in the calling thread. Who started us may have
    /// SIGCHLD ignored, which is inherited and would hide the app's end from us.
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
        // SAFETY: SIGCHLD may have its default effect.
        let original_child = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        Self { received, original, original_child }
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
        let Signals { original, original_child, .. } = *signals;
        // SAFETY: both calls are async-signal-safe and their arguments were copied into the closure.
        unsafe {
            builder.pre_exec(move || {
                if original_child == libc::SIG_IGN {
                    libc::signal(libc::SIGCHLD, libc::SIG_IGN);
                }
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
    /// size has changed and says whether the app has a pseudo-terminal of ours.
    pub fn wait(
        &self,
        signals: &Signals,
        mut resized: impl FnMut() -> bool,
    ) -> io::Result<ExitStatus> {
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
                libc::SIGWINCH => {
                    // The terminal's own signal can reach the app before our pseudo-terminal has
                    // the new size.
                    if resized() || !is_from_kernel {
                        self.signal(signal);
                    }
                }
                libc::SIGTTIN | libc::SIGTTOU if is_from_kernel => stop(),
                _ if is_from_kernel && self.has_got(signal) => {}
                _ => self.signal(signal),
            }
        }
    }

    /// Whether a signal that the terminal sent to us has reached the app too: it goes to the whole
    /// foreground group, but a hang-up to the leader of the session alone.
    fn has_got(&self, signal: libc::c_int) -> bool {
        // SAFETY: all four only ask, and take any number.
        let (app_group, own_group, session, own) =
            unsafe { (libc::getpgid(self.pid), libc::getpgrp(), libc::getsid(0), libc::getpid()) };
        app_group == own_group && !(signal == libc::SIGHUP && session == own)
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

/// Stops the launcher as the app was stopped with it: for using the terminal in the background.
fn stop() {
    // SAFETY: takes a known signal.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// The exit code that a shell would show: 128 and the signal's number for a killed app.
pub fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code & 0xff).unwrap_or(u8::MAX)
}
