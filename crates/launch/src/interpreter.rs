//! Python interpreters that the Python engine does not get into, and why.

use crate::resource::ProcessInfo;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// The oldest CPython that the engine runs in.
const OLDEST: (u32, u32) = (3, 9);

/// Bytes of a command line or an environment that are looked at.
const PROC_LIMIT_BYTES: usize = 256 << 10;

/// Why the engine will not start in this program with these arguments, as far as they tell; with a
/// hint.
pub fn obstacle(executable: &Path, arguments: &[OsString]) -> Option<String> {
    let name = executable.file_name()?.to_string_lossy();
    if name.starts_with("pypy") {
        return Some(other_interpreter(&name));
    }
    let version = name.strip_prefix("python")?;
    if version.ends_with('t') {
        return Some(
            "the free-threaded build has no stable binary interface; the universal engine alone \
             sees it; hint: run it with the usual build"
                .to_owned(),
        );
    }
    if is_too_old(version) {
        return Some(format!(
            "Python {version} is older than {}.{}; the universal engine alone sees it",
            OLDEST.0, OLDEST.1
        ));
    }
    let flag = ignoring_flag(arguments)?;
    let what = if flag == 'S' { "sitecustomize" } else { "PYTHONPATH" };
    Some(format!(
        "-{flag} lets Python ignore {what}, by which the Python engine starts; the universal \
         engine alone sees it; hint: start it without -{flag}"
    ))
}

fn other_interpreter(name: &str) -> String {
    format!("{name} is not CPython; the universal engine alone sees it")
}

fn is_too_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST,
        (Some(Ok(major)), None) => (major, u32::MAX) < OLDEST,
        _ => false,
    }
}

/// The first option before the program that keeps the engine out.
fn ignoring_flag(arguments: &[OsString]) -> Option<char> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let letters = argument.as_bytes().strip_prefix(b"-")?;
        if letters.starts_with(b"-") {
            // --help and its like have no value, but for one.
            if letters == b"-check-hash-based-pycs" {
                arguments.next();
            }
            continue;
        }
        for (place, letter) in letters.iter().enumerate() {
            match letter {
                b'I' | b'E' | b'S' => return Some(char::from(*letter)),
                // The program follows, and then its own arguments.
                b'c' | b'm' => return None,
                b'W' | b'X' => {
                    if place + 1 == letters.len() {
                        arguments.next();
                    }
                    break;
                }
                _ => {}
            }
        }
    }
    None
}

/// Why a process has no Python engine though it is a Python program; `None` where it is none, or
/// where it ended meanwhile. `has_parents` says that its parent has one.
pub(crate) fn why_without_engine(
    process: &ProcessInfo,
    engine: &Path,
    has_parents: bool,
) -> Option<String> {
    let executable = Path::new(&process.executable);
    let name = executable.file_name()?.to_string_lossy();
    if !name.starts_with("python") && !name.starts_with("pypy") {
        return None;
    }
    let command: Vec<OsString> = proc_list(process.pid, "cmdline")?;
    let arguments = command.get(1..).unwrap_or_default();
    if let Some(reason) = obstacle(executable, arguments) {
        return Some(reason);
    }
    let variable = proc_list(process.pid, "environ")?.into_iter().find_map(|entry| {
        Some(OsStr::from_bytes(entry.as_bytes().strip_prefix(b"PYTHONPATH=")?).to_owned())
    });
    let has_path = variable.is_some_and(|paths| std::env::split_paths(&paths).any(|p| p == engine));
    if has_path && has_parents {
        return None;
    }
    Some(if has_path {
        format!(
            "the Python engine did not start in process {}; the universal engine alone sees it; \
             hint: look for another sitecustomize on PYTHONPATH before {}",
            process.pid,
            engine.display()
        )
    } else {
        format!(
            "process {} was started without the PYTHONPATH that carafe set, so the Python engine \
             is not in it; the universal engine alone sees it; hint: prepend to PYTHONPATH instead \
             of replacing it",
            process.pid
        )
    })
}

/// The entries of a file in /proc that are ended by zero bytes.
fn proc_list(pid: u32, file: &str) -> Option<Vec<OsString>> {
    let mut bytes = fs::read(format!("/proc/{pid}/{file}")).ok()?;
    bytes.truncate(PROC_LIMIT_BYTES);
    let entries = bytes.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    let entries: Vec<_> = entries.map(|entry| OsString::from_vec(entry.to_vec())).collect();
    (!entries.is_empty()).then_some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    fn of(line: &str) -> Option<String> {
        let mut words = line.split(' ').map(OsString::from);
        let program = words.next().unwrap();
        obstacle(Path::new(&program), &words.collect::<Vec<_>>())
    }

    #[test]
    fn options_before_the_program_can_keep_the_engine_out() {
        for (line, part) in [
            ("/usr/bin/python3 -I app.py", "-I lets Python ignore PYTHONPATH"),
            ("python -uE -m flask", "-E lets"),
            ("python3.12 -X dev -W error -S app.py", "ignore sitecustomize"),
            ("python3.12 -Xdev -sS", "ignore sitecustomize"),
            ("python3.8 app.py", "older than 3.9"),
            ("python2 app.py", "older"),
            ("python3.13t app.py", "free-threaded"),
            ("pypy3 app.py", "not CPython"),
        ] {
            assert!(of(line).is_some_and(|reason| reason.contains(part)), "{line}: {:?}", of(line));
        }
        for line in [
            "python3 app.py -I",
            "python -m flask -E run",
            "python3.10 -c -S",
            "python3.9 -X importtime -W ignore::Error app.py",
            "python -Wignore -u",
            "node -I",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    /// A process that is not Python and has this PYTHONPATH.
    fn sleeper(path: &str) -> (std::process::Child, ProcessInfo) {
        let mut command = Command::new("sleep");
        command.arg("60").env("PYTHONPATH", path).stdout(Stdio::null());
        let child = command.spawn().unwrap();
        let executable = "/usr/bin/python3.11".to_owned();
        let process = ProcessInfo { pid: child.id(), parent_pid: 1, executable };
        // The kernel fills the command line in after the start.
        let started = Instant::now();
        while proc_list(process.pid, "environ").is_none() {
            assert!(started.elapsed() < Duration::from_secs(10), "no environment");
        }
        (child, process)
    }

    fn end(mut child: std::process::Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_lost_the_path_is_told_so() {
        let (child, process) = sleeper("/other");
        let why = |process: &ProcessInfo| why_without_engine(process, Path::new("/engine"), true);
        let reason = why(&process).unwrap();
        assert!(reason.contains("without the PYTHONPATH"), "{reason}");
        let other = ProcessInfo { executable: "/usr/bin/node".to_owned(), ..process.clone() };
        assert_eq!(why(&other), None);
        end(child);
        assert_eq!(why(&process), None, "it is gone");
    }

    #[test]
    fn a_process_that_has_the_path_and_no_engine_may_have_its_parents() {
        let (child, process) = sleeper("/x:/engine:/y");
        let why = |has_parents| why_without_engine(&process, Path::new("/engine"), has_parents);
        assert!(why(false).is_some_and(|reason| reason.contains("did not start")));
        assert_eq!(why(true), None);
        end(child);
    }
}
