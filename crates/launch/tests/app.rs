//! The app under the launcher: exit codes, signals of people and of terminals, orphans.
//!
//! Each scenario plays the launcher in a forked process, which has one thread: signals are blocked
//! before any other thread is made, as `carafe run` does it.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use carafe_launch::child::{App, Signals, Streams, exit_code};
use std::ffi::OsString;
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

/// A launcher in a process of its own; killed when dropped.
struct Launcher {
    pid: libc::pid_t,
}

impl Launcher {
    /// Runs `command`; `prepare` is called before the signals are blocked.
    fn start(command: &[&str], prepare: impl FnOnce()) -> Self {
        let command: Vec<OsString> = command.iter().map(Into::into).collect();
        // SAFETY: glibc makes its own locks usable in the child; nothing of other threads is used
        // there, and it leaves by _exit.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            prepare();
            let signals = Signals::block();
            let status = App::start(&command, &[], Streams::default(), &signals)
                .and_then(|app| app.wait(&signals, || false));
            let code = status.map_or(255, |status| i32::from(exit_code(status)));
            // SAFETY: ends this process without the test harness' own exit.
            unsafe { libc::_exit(code) };
        }
        Self { pid }
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: the process has not been waited for.
        assert_eq!(unsafe { libc::kill(self.pid, signal) }, 0);
    }

    /// The exit code of the launcher.
    fn wait(self) -> i32 {
        let mut code = None;
        wait_until("the launcher ends", || {
            let mut status = 0;
            // SAFETY: the status outlives the call.
            let pid = unsafe { libc::waitpid(self.pid, &mut status, libc::WNOHANG) };
            if pid == self.pid {
                assert!(libc::WIFEXITED(status), "the launcher was killed: {status:#x}");
                code = Some(libc::WEXITSTATUS(status));
            }
            pid != 0
        });
        std::mem::forget(self);
        code.unwrap()
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // SAFETY: the process has not been waited for.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, std::ptr::null_mut(), 0);
        }
    }
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::yield_now();
    }
}

/// An app that touches `ready` and lives until a trap ends it, or the deadline.
fn waiting(traps: &str, ready: &Path) -> String {
    format!(
        "{traps}; : > '{}'; i=0; while [ $i -lt 1500 ]; do sleep 0.02; i=$((i+1)); done; exit 99",
        ready.display()
    )
}

#[test]
fn ends_with_the_apps_code() {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)]
    {
        assert_eq!(Launcher::start(&["sh", "-c", script], || ()).wait(), code, "{script}");
    }
}

#[test]
fn passes_on_what_people_send() {
    let directory = tempfile::tempdir().unwrap();
    for (number, (signal, name)) in [
        (libc::SIGTERM, "TERM"),
        (libc::SIGINT, "INT"),
        (libc::SIGHUP, "HUP"),
        (libc::SIGUSR1, "USR1"),
        (libc::SIGWINCH, "WINCH"),
        (libc::SIGTTIN, "TTIN"),
        (libc::SIGTTOU, "TTOU"),
    ]
    .into_iter()
    .enumerate()
    {
        let ready = directory.path().join(name);
        let code = 20 + i32::try_from(number).unwrap();
        let script = waiting(&format!("trap 'exit {code}' {name}"), &ready);
        let launcher = Launcher::start(&["sh", "-c", &script], || ());
        wait_until("the app is ready", || ready.exists());
        launcher.signal(signal);
        assert_eq!(launcher.wait(), code, "{name}");
    }
}

#[test]
fn sees_the_end_where_sigchld_was_ignored_and_leaves_it_so_for_the_app() {
    // The bit of SIGCHLD, 17, in the mask of what is ignored.
    let command = ["grep", "-q", "^SigIgn:.*[13579bdf]....$", "/proc/self/status"];
    let launcher = Launcher::start(&command, || {
        // SAFETY: a known signal and a known effect.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    });
    assert_eq!(launcher.wait(), 0);
}

/// As PID 1 the launcher gets the orphans of the app: what is not collected stays in /proc.
#[test]
fn collects_orphans() {
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    let file = pid_file.display();
    let script = format!(
        "sh -c 'sh -c \"echo \\$\\$ > {file}.new; mv {file}.new {file}\" & exit 0'; \
         i=0; while [ ! -s {file} ]; do sleep 0.02; done; \
         while [ -e /proc/$(cat {file}) ]; do sleep 0.02; i=$((i+1)); [ $i -gt 500 ] && exit 6; done; \
         exit 5"
    );
    let launcher = Launcher::start(&["sh", "-c", &script], || {
        // SAFETY: takes numbers only.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    });
    assert_eq!(launcher.wait(), 5);
}

/// A launcher in the foreground of a terminal of its own; ^C is typed there, then USR1 is sent,
/// at which the app ends with the number of SIGINTs that it got.
fn interrupts_seen(before: &[&str]) -> i32 {
    let (mut controller, mut terminal) = (-1, -1);
    // SAFETY: both descriptors outlive the call; the other arguments may be null.
    let result = unsafe {
        libc::openpty(
            &mut controller,
            &mut terminal,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    };
    assert_eq!(result, 0);
    // SAFETY: openpty has just given us both.
    let (mut controller, terminal_file) =
        unsafe { (std::fs::File::from_raw_fd(controller), OwnedFd::from_raw_fd(terminal)) };
    let directory = tempfile::tempdir().unwrap();
    let (ready, got) = (directory.path().join("ready"), directory.path().join("got"));
    let traps = format!("n=0; trap 'n=$((n+1)); : > {}' INT; trap 'exit $n' USR1", got.display());
    let script = waiting(&traps, &ready);
    let command: Vec<&str> = before.iter().copied().chain(["sh", "-c", &script]).collect();
    let launcher = Launcher::start(&command, || {
        // SAFETY: this process leads no group yet; the terminal has no session yet.
        unsafe {
            assert!(libc::setsid() > 0);
            assert_eq!(libc::ioctl(terminal, libc::TIOCSCTTY, 0), 0);
        }
    });
    wait_until("the app is ready", || ready.exists());
    controller.write_all(b"\x03").unwrap();
    wait_until("the app was interrupted", || got.exists());
    // Passed on after the interrupt, if that is passed on.
    launcher.signal(libc::SIGUSR1);
    let count = launcher.wait();
    drop(terminal_file);
    count
}

#[test]
fn the_terminals_interrupt_reaches_the_app_once() {
    assert_eq!(interrupts_seen(&[]), 1, "the terminal has told the app already");
    assert_eq!(interrupts_seen(&["setsid"]), 1, "the terminal does not know the app");
}
