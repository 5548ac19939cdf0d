//! The directory that a launcher shares with its app: the doorbell, the rings, the engines.

use carafe_bundle::{Engine as PythonEngine, ExtractError};
use carafe_wire::DOORBELL_FILE;
use carafe_wire::shm::MappedDoorbell;
use std::ffi::CString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What the names of our directories begin with; the launcher's pid and a random number follow.
const PREFIX: &str = "carafe-";

/// Where rings live best: a file system in memory.
const SHARED_MEMORY: &str = "/dev/shm";

/// Room below which the shared memory is left to the app, which may need it for itself: containers
/// often have 64 MiB. The rings then live in the temporary directory.
const SHARED_MEMORY_ROOM_BYTES: u64 = 128 << 20;

/// Why the directory could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A file or directory cannot be made.
    #[error("cannot create {path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The agent cannot be put anywhere where it can be executed.
    #[error(
        "cannot extract the universal engine: {0}; set TMPDIR to a directory that allows programs"
    )]
    Extract(#[from] ExtractError),
}

/// The directory of one launcher. Removed when dropped.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Where the agent lies, if not in `path` (which may be mounted noexec).
    agent_directory: Option<PathBuf>,
    agent: PathBuf,
    python: Option<PythonEngine>,
    /// Locked for as long as the launcher lives: tells launchers in other containers with the same
    /// shared memory, in which its pid means nothing, that the directory is in use.
    _lock: Option<File>,
}

impl RunDirectory {
    /// Makes the directory with a doorbell and the agent in it, and removes what launchers that
    /// were killed have left.
    pub fn create() -> Result<(Self, MappedDoorbell), DirectoryError> {
        let temporary = std::env::temp_dir();
        let shared_memory = PathBuf::from(SHARED_MEMORY);
        for base in [&shared_memory, &temporary] {
            remove_left_behind(base);
        }
        let bases = if has_room(&shared_memory) {
            [&shared_memory, &temporary]
        } else {
            [&temporary, &shared_memory]
        };
        let path = make_directory(bases[0]).or_else(|_| make_directory(bases[1]));
        let path = path.map_err(|source| DirectoryError::Io { path: temporary.clone(), source })?;
        let lock = File::open(&path).ok().filter(|directory| directory.try_lock().is_ok());
        let mut directory =
            Self { path, agent_directory: None, agent: PathBuf::new(), python: None, _lock: lock };
        directory.agent = match carafe_bundle::extract_preload(&directory.path) {
            Err(ExtractError::NotExecutable(_)) => {
                let elsewhere = make_directory(&temporary)
                    .map_err(|source| DirectoryError::Io { path: temporary.clone(), source })?;
                let elsewhere = directory.agent_directory.insert(elsewhere);
                carafe_bundle::extract_preload(elsewhere)?
            }
            result => result?,
        };
        let doorbell = directory.path.join(DOORBELL_FILE);
        let doorbell = c_path(&doorbell)
            .and_then(|path| MappedDoorbell::create(&path))
            .map_err(|source| DirectoryError::Io { path: doorbell, source })?;
        Ok((directory, doorbell))
    }

    /// Puts the Python engine where the app can read it; its directory, for `PYTHONPATH`.
    ///
    /// # Errors
    /// When there is no such place, or the engine was not built in.
    pub fn add_python_engine(&mut self) -> Result<&Path, ExtractError> {
        // SAFETY: takes nothing, cannot fail.
        let is_root = unsafe { libc::geteuid() } == 0;
        let own_cache = carafe_bundle::cache_directory(|name| Some(std::env::var_os(name)?.into()));
        let system_cache = is_root.then(|| PathBuf::from(carafe_bundle::SYSTEM_CACHE));
        let cached = own_cache
            .into_iter()
            .chain(system_cache)
            .find_map(|cache| carafe_bundle::cached_engine(&cache, is_root).ok());
        let engine = match cached {
            Some(engine) => engine,
            None => self.extract_python_engine()?,
        };
        Ok(self.python.insert(engine).path())
    }

    fn extract_python_engine(&mut self) -> Result<PythonEngine, ExtractError> {
        let elsewhere = self.agent_directory.as_deref();
        match carafe_bundle::extract_engine(elsewhere.unwrap_or(&self.path)) {
            Err(ExtractError::NotExecutable(_)) if elsewhere.is_none() => {
                let temporary = std::env::temp_dir();
                let elsewhere = make_directory(&temporary)
                    .map_err(|error| ExtractError::Io(temporary.clone(), error))?;
                carafe_bundle::extract_engine(self.agent_directory.insert(elsewhere))
            }
            result => result,
        }
    }

    /// The directory itself, for `CARAFE_RING_DIR`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The universal engine, for `LD_PRELOAD`.
    pub fn agent(&self) -> &Path {
        &self.agent
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        for path in std::iter::once(&self.path).chain(&self.agent_directory) {
            // Nobody is left to tell; the next launcher tries again.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// A path for system calls.
pub(crate) fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

/// Mode 0711: what is in it is its owner's alone (0600) but for the agent, which a program that
/// runs as another user inherits and must be able to load, or the linker complains in its name.
fn make_directory(base: &Path) -> io::Result<PathBuf> {
    let name = format!("{PREFIX}{}-{:016x}", std::process::id(), rand::random::<u64>());
    let path = base.join(name);
    DirBuilder::new().mode(0o711).create(&path)?;
    Ok(path)
}

fn has_room(base: &Path) -> bool {
    // SAFETY: all zero bytes are a valid structure to be overwritten.
    let mut room: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a C string, and both outlive the call.
    c_path(base).is_ok_and(|path| unsafe { libc::statvfs(path.as_ptr(), &mut room) } == 0)
        && room.f_bavail.saturating_mul(room.f_frsize) >= SHARED_MEMORY_ROOM_BYTES
}

/// Removes our user's directories whose launcher is gone, unless an app still lives with it.
fn remove_left_behind(base: &Path) {
    // SAFETY: takes nothing, cannot fail.
    let own_uid = unsafe { libc::geteuid() };
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(launcher) = name.to_str().and_then(launcher_of) else { continue };
        let is_ours = entry
            .path()
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == own_uid);
        let is_locked =
            || File::open(entry.path()).is_ok_and(|directory| directory.try_lock().is_err());
        if is_ours && !is_alive(launcher) && !has_living_app(&entry.path()) && !is_locked() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn launcher_of(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

fn has_living_app(directory: &Path) -> bool {
    fs::read_dir(directory).into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        name.to_str().and_then(RingName::parse).is_some_and(|ring| is_alive(ring.pid))
    })
}

/// Which engine writes a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Engine {
    /// Messages on connections.
    Universal,
    /// Finished telemetry.
    Python,
}

/// What the name of a ring file says, `PID-TIME.ring` or `PID-TIME-python.ring`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RingName {
    /// When it was made, nanoseconds of CLOCK_MONOTONIC.
    pub(crate) time_ns: u64,
    /// The process.
    pub(crate) pid: u32,
    /// Who writes it.
    pub(crate) engine: Engine,
}

impl RingName {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(carafe_wire::RING_SUFFIX)?;
        let (stem, engine) = match stem.strip_suffix("-python") {
            Some(stem) => (stem, Engine::Python),
            None => (stem, Engine::Universal),
        };
        let (pid, time_ns) = stem.split_once('-')?;
        Some(Self { time_ns: time_ns.parse().ok()?, pid: pid.parse().ok()?, engine })
    }
}

/// Whether the process exists and has not ended (a zombie has).
pub(crate) fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The state follows the name in parentheses, which can hold anything.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_all_that_an_app_needs_and_leaves_nothing() {
        let (mut directory, _doorbell) = RunDirectory::create().unwrap();
        let path = directory.path().to_owned();
        assert!(directory.agent().is_file());
        assert!(path.join(DOORBELL_FILE).is_file());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o711);
        let engine = directory.extract_python_engine().unwrap();
        assert!(
            engine.path().starts_with(&path) && engine.path().join("sitecustomize.py").is_file()
        );
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    fn removes_what_dead_launchers_left_but_not_what_is_used() {
        let base = tempfile::tempdir().unwrap();
        let dead = u32::MAX;
        let alive = std::process::id();
        let make = |name: String| {
            let path = base.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let left = make(format!("carafe-{dead}-1"));
        let ours = make(format!("carafe-{alive}-1"));
        let used = make(format!("carafe-{dead}-2"));
        fs::write(used.join(format!("{alive}-99.ring")), "").unwrap();
        let foreign = make("carafe-not-a-number".into());
        let locked = make(format!("carafe-{dead}-3"));
        let lock = File::open(&locked).unwrap();
        lock.try_lock().unwrap();
        remove_left_behind(base.path());
        assert!(locked.exists());
        assert!(!left.exists());
        assert!(ours.exists() && used.exists() && foreign.exists());
    }

    #[test]
    fn names_of_rings_say_who_writes_them() {
        let parse = RingName::parse;
        let name = |engine| Some(RingName { time_ns: 34, pid: 12, engine });
        assert_eq!(parse("12-34.ring"), name(Engine::Universal));
        assert_eq!(parse("12-34-python.ring"), name(Engine::Python));
        for other in ["12-34.new", "12-34-ruby.ring", "12-.ring", "-python.ring", "12.ring"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn tells_the_living_from_the_dead() {
        assert!(is_alive(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        while is_alive(pid) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!is_alive(pid));
    }
}
