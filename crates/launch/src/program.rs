//! What kind of program a command is, and so what the universal engine can see in it.

use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::read::{Object, ReadCache};
use object::{Endianness, elf};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Interpreters of scripts that are followed (a script whose interpreter is a script ...).
const INTERPRETER_LIMIT: usize = 4;

/// The longest first line of a script, as the kernel reads it.
const SHEBANG_LIMIT_BYTES: u64 = 256;

/// Why a command cannot be started; its exit code is a shell's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CommandError {
    /// No such program.
    #[error("{0}: command not found")]
    NotFound(String),
    /// There, but not to be executed.
    #[error("{0}: not executable")]
    NotExecutable(String),
}

impl CommandError {
    /// 127 and 126.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound(_) => 127,
            Self::NotExecutable(_) => 126,
        }
    }
}

/// Whether the universal engine reaches a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Dynamically linked with this machine's C library.
    Reached,
    /// Contains all its libraries.
    Static {
        /// Whether Go's compiler made it.
        is_go: bool,
    },
    /// Dynamically linked with another C library; its loader's path.
    OtherLibc(String),
    /// Runs with other rights than its caller's: the loader ignores LD_PRELOAD.
    Privileged,
    /// For another processor or word size.
    OtherArchitecture,
    /// Not in a format that is known here; the kernel will say.
    Unknown,
}

impl Reach {
    /// Whether LD_PRELOAD may be set for the program: a loader of another kind would refuse to
    /// start it. Where the program itself ignores it, its children may not.
    pub fn tolerates_preload(&self) -> bool {
        !matches!(self, Self::OtherLibc(_) | Self::OtherArchitecture)
    }

    /// Why the program is not seen, and what to do; `None` where it is.
    pub fn explanation(&self) -> Option<String> {
        const HINT: &str = "to see it, let its own OpenTelemetry SDK export to localhost:4317";
        let why = match self {
            Self::Reached => return None,
            Self::Static { is_go: true } => "is a static Go program".to_owned(),
            Self::Static { is_go: false } => "is statically linked".to_owned(),
            Self::OtherLibc(loader) => format!("uses another C library ({loader})"),
            Self::Privileged => "runs with other rights than yours (setuid)".to_owned(),
            Self::OtherArchitecture => "is for another processor".to_owned(),
            Self::Unknown => "is of an unknown format".to_owned(),
        };
        Some(format!("{why} and runs unobserved; {HINT}"))
    }
}

/// A command that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file that the command names.
    pub path: PathBuf,
    /// The program that runs in the end: the interpreter of a script, else the file itself.
    pub executable: PathBuf,
    /// What can be seen in it.
    pub reach: Reach,
}

/// Finds a command as `execvp` does and looks at what it is.
pub fn find(command: &OsStr, search_path: Option<&OsStr>) -> Result<Program, CommandError> {
    let path = locate(command, search_path)?;
    let executable = interpreter(&path, search_path);
    let reach = reach(&executable);
    Ok(Program { path, executable, reach })
}

fn locate(command: &OsStr, search_path: Option<&OsStr>) -> Result<PathBuf, CommandError> {
    let name = command.to_string_lossy().into_owned();
    if command.is_empty() {
        return Err(CommandError::NotFound(name));
    }
    let candidates: Vec<PathBuf> = if command.as_bytes().contains(&b'/') {
        vec![command.into()]
    } else {
        let search_path = search_path.unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"));
        std::env::split_paths(search_path).map(|directory| directory.join(command)).collect()
    };
    let mut is_there = false;
    for candidate in candidates {
        let Ok(metadata) = candidate.metadata() else { continue };
        if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            return Ok(candidate);
        }
        is_there = true;
    }
    Err(if is_there { CommandError::NotExecutable(name) } else { CommandError::NotFound(name) })
}

/// The program that runs a script, through `env` and through several steps.
fn interpreter(path: &Path, search_path: Option<&OsStr>) -> PathBuf {
    let mut current = path.to_owned();
    for _ in 0..INTERPRETER_LIMIT {
        let Some(words) = shebang(&current) else { break };
        let is_env = words.first().is_some_and(|word| word.as_bytes().ends_with(b"/env"));
        let next = if is_env {
            let program = words.iter().skip(1).find(|word| {
                !word.as_bytes().starts_with(b"-") && !word.as_bytes().contains(&b'=')
            });
            program.and_then(|program| locate(program, search_path).ok())
        } else {
            words.first().map(PathBuf::from)
        };
        match next {
            Some(next) => current = next,
            None => break,
        }
    }
    current
}

fn shebang(path: &Path) -> Option<Vec<OsString>> {
    let mut line = Vec::new();
    let file = File::open(path).ok()?;
    BufReader::new(file.take(SHEBANG_LIMIT_BYTES)).read_until(b'\n', &mut line).ok()?;
    let words = line.strip_prefix(b"#!")?;
    let words = words.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    Some(words.map(|word| OsString::from_vec(word.to_vec())).collect())
}

fn reach(path: &Path) -> Reach {
    let Ok(file) = File::open(path) else { return Reach::Unknown };
    if let Ok(metadata) = file.metadata() {
        // SAFETY: these take nothing and cannot fail.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        let mode = metadata.mode();
        let changes_user = mode & libc::S_ISUID != 0 && metadata.uid() != uid;
        let changes_group = mode & libc::S_ISGID != 0 && metadata.gid() != gid;
        if changes_user || changes_group {
            return Reach::Privileged;
        }
    }
    let mut identification = [0; 5];
    let mut reader = &file;
    if reader.read_exact(&mut identification).is_err() || !identification.starts_with(b"\x7fELF") {
        return Reach::Unknown;
    }
    if identification[4] != elf::ELFCLASS64.0 {
        return Reach::OtherArchitecture;
    }
    elf_reach(&ReadCache::new(file)).unwrap_or(Reach::Unknown)
}

fn elf_reach(data: &ReadCache<File>) -> object::Result<Reach> {
    let parsed = ElfFile64::<Endianness, _>::parse(data)?;
    let endian = parsed.endian();
    let machine = match std::env::consts::ARCH {
        "x86_64" => elf::EM_X86_64,
        "aarch64" => elf::EM_AARCH64,
        _ => parsed.elf_header().e_machine(endian),
    };
    if parsed.elf_header().e_machine(endian) != machine {
        return Ok(Reach::OtherArchitecture);
    }
    for header in parsed.elf_program_headers() {
        if let Some(loader) = header.interpreter(endian, data)? {
            let loader = String::from_utf8_lossy(loader).into_owned();
            let is_glibc =
                loader.rsplit('/').next().is_some_and(|name| name.starts_with("ld-linux"));
            return Ok(if is_glibc { Reach::Reached } else { Reach::OtherLibc(loader) });
        }
    }
    let is_go = parsed.section_by_name(".go.buildinfo").is_some()
        || parsed.section_by_name(".note.go.buildid").is_some();
    Ok(Reach::Static { is_go })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn file(directory: &Path, name: &str, content: &[u8], mode: u32) -> PathBuf {
        let path = directory.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn finds_programs_as_a_shell_does() {
        let directory = tempfile::tempdir().unwrap();
        file(directory.path(), "plain", b"x", 0o644);
        file(directory.path(), "script", b"#!/bin/sh\n", 0o755);
        let search_path = Some(directory.path().as_os_str());
        let found = find(OsStr::new("script"), search_path).unwrap();
        assert_eq!(found.path, directory.path().join("script"));
        assert_eq!(found.reach, Reach::Reached);
        let error = find(OsStr::new("plain"), search_path).unwrap_err();
        assert_eq!(error.exit_code(), 126);
        let error = find(OsStr::new("nowhere"), search_path).unwrap_err();
        assert_eq!(
            (error.exit_code(), error.to_string().as_str()),
            (127, "nowhere: command not found")
        );
    }

    #[test]
    fn follows_scripts_through_env() {
        let directory = tempfile::tempdir().unwrap();
        let inner = file(directory.path(), "inner", b"#!/bin/cat\n", 0o755);
        file(directory.path(), "outer", b"#!/usr/bin/env -S A=b inner -x\n", 0o755);
        let search_path = Some(directory.path().as_os_str());
        let outer = find(OsStr::new("outer"), search_path).unwrap();
        assert_eq!(outer.executable, Path::new("/bin/cat"));
        assert_ne!(outer.executable, inner);
    }

    #[test]
    fn knows_what_it_cannot_reach() {
        let directory = tempfile::tempdir().unwrap();
        let odd = file(directory.path(), "odd", b"MZ whatever", 0o755);
        assert_eq!(reach(&odd), Reach::Unknown);
        let narrow = file(directory.path(), "narrow", b"\x7fELF\x01 32 bits", 0o755);
        assert_eq!(reach(&narrow), Reach::OtherArchitecture);
        let damaged = file(directory.path(), "damaged", b"\x7fELF\x02 cut", 0o755);
        assert_eq!(reach(&damaged), Reach::Unknown);
        assert!(!Reach::OtherLibc("/lib/ld-musl-x86_64.so.1".into()).tolerates_preload());
        assert!(Reach::Static { is_go: true }.explanation().unwrap().contains("Go"));
        assert_eq!(Reach::Reached.explanation(), None);
    }
}
