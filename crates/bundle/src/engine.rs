//! The Python engine on the disk.
//!
//! Best in a cache, where Python keeps the compiled modules from one run to the next: compiling
//! them costs the app tens of milliseconds at every start. Else among the files of one run.

use crate::{ExtractError, is_executable, write};
use std::fs::{self, DirBuilder, File, FileTimes};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The engine's files, each with its path below the directory that goes on `PYTHONPATH`. Empty in
/// builds that were told to embed stubs.
pub const ENGINE: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/engine_files.rs"));

/// Changes with any of the files.
const HASH: &str = env!("CARAFE_ENGINE_HASH");

/// What the names of engines' directories begin with; the hash follows.
const PREFIX: &str = "engine-";

/// How long an engine that is no longer used stays in the cache.
const UNUSED_LIMIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The engine's directory, kept from being removed while this lives.
#[derive(Debug)]
pub struct Engine {
    path: PathBuf,
    _in_use: Option<File>,
}

impl Engine {
    /// The directory, for `PYTHONPATH`.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether this looks like the directory of an engine, of this launcher or of another one.
pub fn is_engine_directory(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_prefix(PREFIX)).is_some_and(|hash| {
        hash.len() == HASH.len() && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The cache for the user with that environment: `$XDG_CACHE_HOME/carafe`, else
/// `$HOME/.cache/carafe`. Relative paths are no paths (XDG base directory specification).
pub fn cache_directory(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let base = variable("XDG_CACHE_HOME").filter(absolute);
    let base = base.or_else(|| Some(variable("HOME").filter(absolute)?.join(".cache")))?;
    Some(base.join("carafe"))
}

/// The cache of the whole machine, for root: what root starts may run as another user, who gets
/// nothing from root's home (Filesystem Hierarchy Standard, section 5.5).
pub const SYSTEM_CACHE: &str = "/var/cache/carafe";

/// Puts the engine into `cache`, unless it is there already, and removes older ones.
/// `is_for_all` says that programs of other users may have to read it.
///
/// # Errors
/// See [`ExtractError`]: then [`extract_engine`] puts it among the files of a run.
pub fn cached_engine(cache: &Path, is_for_all: bool) -> Result<Engine, ExtractError> {
    if ENGINE.is_empty() {
        return Err(ExtractError::Stub);
    }
    let failed = |error| ExtractError::Io(cache.to_owned(), error);
    DirBuilder::new().recursive(true).mode(0o755).create(cache).map_err(failed)?;
    check_owner(cache)?;
    if is_for_all {
        check_readable(cache)?;
    }
    let path = cache.join(format!("{PREFIX}{HASH}"));
    if !is_complete(&path) {
        make(cache, &path)?;
    }
    check_owner(&path)?;
    let in_use = File::open(&path).map_err(failed)?;
    // Whoever wants to remove it locks it alone. File systems without locks have no such guard.
    let _ = in_use.try_lock_shared();
    let _ = in_use.set_times(FileTimes::new().set_modified(SystemTime::now()));
    remove_unused(cache, &path);
    Ok(Engine { path, _in_use: Some(in_use) })
}

/// Writes the engine into a new directory below `directory`.
///
/// # Errors
/// See [`ExtractError`]; what was written is removed again where it cannot be used.
pub fn extract_engine(directory: &Path) -> Result<Engine, ExtractError> {
    if ENGINE.is_empty() {
        return Err(ExtractError::Stub);
    }
    let path = directory.join(format!("{PREFIX}{HASH}"));
    match write_all(&path) {
        Ok(()) => Ok(Engine { path, _in_use: None }),
        Err(error) => {
            let _ = fs::remove_dir_all(&path);
            Err(error)
        }
    }
}

/// Makes the directory under another name first: nobody ever sees half of it.
fn make(cache: &Path, path: &Path) -> Result<(), ExtractError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let unique = format!("new-{}-{}", std::process::id(), now.as_nanos());
    let temporary = cache.join(&unique);
    let made = write_all(&temporary).and_then(|()| {
        // In the way can be one that was not complete, or one that another launcher has just made.
        let old = cache.join(unique + "-old");
        let is_moved = !is_complete(path) && fs::rename(path, &old).is_ok();
        let renamed = fs::rename(&temporary, path);
        if is_moved {
            let _ = fs::remove_dir_all(&old);
        }
        match renamed {
            Err(error) if !is_complete(path) => Err(ExtractError::Io(path.to_owned(), error)),
            _ => Ok(()),
        }
    });
    // Nothing is left of it where it was renamed.
    let _ = fs::remove_dir_all(&temporary);
    made
}

fn write_all(directory: &Path) -> Result<(), ExtractError> {
    make_directory(directory)?;
    for (name, content) in ENGINE {
        let path = directory.join(name);
        let missing = path.ancestors().skip(1).take_while(|folder| !folder.exists());
        let missing: Vec<_> = missing.collect();
        missing.into_iter().rev().try_for_each(make_directory)?;
        let is_object = name.ends_with(".so");
        let mode = if is_object { 0o755 } else { 0o644 };
        let failed = |error| ExtractError::Io(path.clone(), error);
        write(&path, content, mode).map_err(failed)?;
        if is_object && !is_executable(&path).map_err(failed)? {
            return Err(ExtractError::NotExecutable(path));
        }
    }
    Ok(())
}

fn make_directory(path: &Path) -> Result<(), ExtractError> {
    let made = DirBuilder::new().mode(0o755).create(path).and_then(|()| {
        // The umask may have taken bits away.
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
    });
    made.map_err(|error| ExtractError::Io(path.to_owned(), error))
}

/// Whether all files are there: cleaners of caches remove what looks old, file by file.
fn is_complete(directory: &Path) -> bool {
    ENGINE.iter().all(|(name, content)| {
        let metadata = fs::symlink_metadata(directory.join(name));
        metadata.is_ok_and(|found| found.is_file() && found.len() == content.len() as u64)
    })
}

fn check_owner(path: &Path) -> Result<(), ExtractError> {
    // SAFETY: takes nothing, cannot fail.
    let own_uid = unsafe { libc::geteuid() };
    let metadata = fs::symlink_metadata(path);
    let metadata = metadata.map_err(|error| ExtractError::Io(path.to_owned(), error))?;
    let is_ours = metadata.is_dir() && metadata.uid() == own_uid && metadata.mode() & 0o022 == 0;
    if is_ours { Ok(()) } else { Err(ExtractError::NotOurs(path.to_owned())) }
}

/// Whether every user gets to `path`.
fn check_readable(path: &Path) -> Result<(), ExtractError> {
    let is_open = |folder: &Path| fs::metadata(folder).is_ok_and(|found| found.mode() & 0o001 != 0);
    match path.ancestors().all(is_open) {
        true => Ok(()),
        false => Err(ExtractError::NotReadable(path.to_owned())),
    }
}

/// Removes engines of other versions that were not used for long, and what was left half made.
fn remove_unused(cache: &Path, current: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_left = entry.file_name().to_str().is_some_and(|name| name.starts_with("new-"));
        if path == current || !(is_left || is_engine_directory(&path)) {
            continue;
        }
        let is_old = entry
            .metadata()
            .and_then(|found| found.modified())
            .is_ok_and(|used| used.elapsed().is_ok_and(|passed| passed > UNUSED_LIMIT));
        let is_free = || File::open(&path).is_ok_and(|directory| directory.try_lock().is_ok());
        if is_old && is_free() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(path: &Path, days: u64) {
        let then = SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
        File::open(path).unwrap().set_times(FileTimes::new().set_modified(then)).unwrap();
    }

    fn inode(path: &Path) -> u64 {
        fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn the_cache_is_where_the_user_has_it() {
        let cache = |xdg: Option<&str>, home: Option<&str>| {
            cache_directory(|name| match name {
                "XDG_CACHE_HOME" => xdg.map(PathBuf::from),
                "HOME" => home.map(PathBuf::from),
                _ => None,
            })
        };
        assert_eq!(cache(Some("/c"), Some("/h")), Some("/c/carafe".into()));
        assert_eq!(cache(Some("c"), Some("/h")), Some("/h/.cache/carafe".into()));
        assert_eq!(cache(Some(""), None), None);
    }

    #[test]
    fn is_made_once_whole_and_for_everybody() {
        let base = tempfile::tempdir().unwrap();
        let cache = base.path().join("deep/carafe");
        let engine = cached_engine(&cache, false).unwrap();
        let path = engine.path().to_owned();
        assert!(is_engine_directory(&path));
        for name in ["sitecustomize.py", "carafe_engine/_native.abi3.so"] {
            let metadata = fs::metadata(path.join(name)).unwrap();
            assert_eq!(metadata.mode() & 0o444, 0o444, "{name}");
        }
        let first = inode(&path);
        assert_eq!(inode(cached_engine(&cache, false).unwrap().path()), first);
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);

        fs::remove_file(path.join("sitecustomize.py")).unwrap();
        let repaired = cached_engine(&cache, false).unwrap();
        assert!(is_complete(repaired.path()));
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    }

    #[test]
    fn what_others_can_change_or_cannot_read_is_not_used() {
        let base = tempfile::tempdir().unwrap();
        let cache = base.path().join("carafe");
        fs::create_dir(&cache).unwrap();
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(cached_engine(&cache, false), Err(ExtractError::NotOurs(_))));
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(matches!(cached_engine(&cache, true), Err(ExtractError::NotReadable(_))));
        cached_engine(&cache, false).unwrap();
    }

    #[test]
    fn old_ones_go_unless_they_are_in_use() {
        let cache = tempfile::tempdir().unwrap();
        let make = |name: &str, days| {
            let path = cache.path().join(name);
            fs::create_dir(&path).unwrap();
            age(&path, days);
            path
        };
        let old = make("engine-0123456789abcdef", 31);
        let recent = make("engine-0123456789abcdee", 29);
        let used = make("engine-0123456789abcded", 400);
        let left = make("new-1-2", 31);
        let foreign = make("something", 400);
        let lock = File::open(&used).unwrap();
        lock.lock_shared().unwrap();
        let engine = cached_engine(cache.path(), false).unwrap();
        assert!(!old.exists() && !left.exists());
        assert!(recent.exists() && used.exists() && foreign.exists() && engine.path().exists());
    }

    #[test]
    fn goes_among_the_files_of_a_run_too() {
        let directory = tempfile::tempdir().unwrap();
        let engine = extract_engine(directory.path()).unwrap();
        assert!(is_complete(engine.path()));
        assert!(matches!(extract_engine(directory.path()), Err(ExtractError::Io(..))));
    }
}
