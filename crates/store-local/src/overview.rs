//! A look at a data directory from outside, whoever has it open.

use crate::catalog::{Catalog, Contents};
use crate::disk::disk_error;
use crate::lock::{DirLock, Holder};
use crate::log::LOG_DIR;
use crate::verify::existing;
use carafe_store::StoreError;
use std::io;
use std::path::Path;

/// What is in a data directory.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Who has it open; none where nobody has.
    pub holder: Option<Holder>,
    /// What the catalog says. What is recent is not in it yet.
    pub contents: Contents,
    /// What the log takes.
    pub log_bytes: u64,
}

impl Overview {
    /// Looks.
    ///
    /// # Errors
    /// When there is no catalog in the directory, or it cannot be read.
    pub fn of(directory: &Path) -> Result<Self, StoreError> {
        existing(directory)?;
        let log = directory.join(LOG_DIR);
        let log_bytes = match log_bytes(&log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            bytes => bytes.map_err(|error| disk_error("cannot read", &log, error))?,
        };
        Ok(Self {
            holder: DirLock::current(directory),
            contents: Catalog::peek(directory)?,
            log_bytes,
        })
    }
}

fn log_bytes(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in directory.read_dir()? {
        match entry?.metadata() {
            Ok(metadata) => bytes += metadata.len(),
            // Segments go while we look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
