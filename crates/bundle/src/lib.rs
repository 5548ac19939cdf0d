//! The agents' shared objects and modules, embedded in the binary, and their way onto the disk.

mod engine;

pub use engine::{
    ENGINE, Engine, SYSTEM_CACHE, cache_directory, cached_engine, extract_engine,
    is_engine_directory,
};

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The universal engine (an ELF shared object). Empty in builds that were told to embed stubs.
pub const PRELOAD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/preload.so"));

/// The file name of the universal engine.
pub const PRELOAD_FILE: &str = "libcarafe_preload.so";

/// Why an engine cannot be put on the disk.
#[derive(Debug)]
pub enum ExtractError {
    /// The binary was built without it.
    Stub,
    /// The file system of the directory does not allow programs (mounted noexec).
    NotExecutable(PathBuf),
    /// Others could change what is there, or it is not ours.
    NotOurs(PathBuf),
    /// Users who may have to read it cannot.
    NotReadable(PathBuf),
    /// Writing failed.
    Io(PathBuf, io::Error),
}

impl std::fmt::Display for ExtractError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stub => f.write_str("this binary was built without the engines"),
            Self::NotExecutable(path) => {
                write!(f, "{} is on a file system mounted noexec", path.display())
            }
            Self::NotOurs(path) => {
                write!(f, "{} belongs to another user or can be changed by one", path.display())
            }
            Self::NotReadable(path) => {
                write!(f, "{} cannot be read by every user", path.display())
            }
            Self::Io(path, error) => write!(f, "cannot write {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for ExtractError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

/// Writes the universal engine into `directory`, readable for every user because programs of
/// other users may inherit it, and returns its path.
///
/// # Errors
/// See [`ExtractError`]; the file is removed again where it cannot be used.
pub fn extract_preload(directory: &Path) -> Result<PathBuf, ExtractError> {
    if PRELOAD.is_empty() {
        return Err(ExtractError::Stub);
    }
    let path = directory.join(PRELOAD_FILE);
    let result = write(&path, PRELOAD, 0o755).and_then(|()| is_executable(&path));
    match result {
        Ok(true) => Ok(path),
        Ok(false) => {
            let _ = fs::remove_file(&path);
            Err(ExtractError::NotExecutable(path))
        }
        Err(error) => {
            let _ = fs::remove_file(&path);
            Err(ExtractError::Io(path, error))
        }
    }
}

fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    // The umask may have taken bits away.
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// False where the kernel does not map the file as a program.
fn is_executable(path: &Path) -> io::Result<bool> {
    let file = fs::File::open(path)?;
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: a private mapping of our own file at an address of the kernel's choice, never
    // touched and unmapped at once.
    unsafe {
        let page = libc::mmap(
            std::ptr::null_mut(),
            4096,
            protection,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            0,
        );
        if page == libc::MAP_FAILED {
            return Ok(false);
        }
        libc::munmap(page, 4096);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extracts_a_shared_object_that_everybody_can_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = extract_preload(directory.path()).unwrap();
        assert_eq!(&fs::read(&path).unwrap()[..4], b"\x7fELF");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(matches!(extract_preload(directory.path()), Err(ExtractError::Io(..))));
    }
}
