//! Writing one data file and its side file.

use crate::catalog::NewFile;
use crate::disk::disk_error;
use crate::files::checked::Summing;
use crate::index::side_file::{Section, SideFileWriter};
use crate::shelf::{self, DATA, SIDE, Shelf};
use crate::spans;
use crate::window::Window;
use carafe_store::{StoreError, TimeRange};
use carafe_telemetry::{Signal, UnixNanos};
use std::path::Path;

/// What the writer of a data file tells of it.
pub struct Written {
    /// Items.
    pub rows: u64,
    /// The earliest and the latest item.
    pub extent: TimeRange,
    /// Different traces that the items belong to, about; 0 for data points.
    pub traces: u64,
    /// What the side file has to have.
    pub side: Vec<(Section, Vec<u8>)>,
}

impl From<spans::Written> for Written {
    fn from(spans: spans::Written) -> Self {
        Self { rows: spans.rows, extent: spans.extent, traces: spans.traces, side: spans.side }
    }
}

/// Where a data file is written to.
pub type Output = Summing<Box<dyn shelf::NewFile>>;

/// A file that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    /// What is in it.
    pub signal: Signal,
    /// The window that all its items are in.
    pub window: Window,
    /// The first and the last log frame that it has items of.
    pub sequences: (u64, u64),
    /// How often its items have been merged.
    pub generation: u32,
}

impl Planned {
    /// Its path. A file's first sequence is no other file's of the same window and generation,
    /// so the path is its own.
    pub fn path(&self) -> String {
        let Self { signal, window, sequences: (first, last), generation } = self;
        let Window { start_seconds, seconds } = window;
        format!("{signal}/{start_seconds}-{seconds}/{first:016x}-{last:016x}-{generation}")
    }

    /// Writes it. The catalog has to know its path before, and has to enter it afterwards.
    ///
    /// # Errors
    /// When there is no room, or the shelf fails. What was written is removed, where that is
    /// possible; in any case the same file can be written again.
    pub fn write<T: Into<Written>>(
        &self,
        shelf: &dyn Shelf,
        write: impl FnOnce(&mut Output) -> Result<T, StoreError>,
    ) -> Result<NewFile, StoreError> {
        let path = self.path();
        let (data, side) = (format!("{path}.{DATA}"), format!("{path}.{SIDE}"));
        let remove = || [&data, &side].into_iter().try_for_each(|path| shelf.remove(path));
        remove()?;
        let attempt = || {
            let mut file = Summing::new(shelf.create(&data)?);
            let written: Written = write(&mut file)?.into();
            let (checksums, file) = file.finish();
            let data_bytes = file.finish()?;
            let mut file = shelf.create(&side)?;
            let mut sections = SideFileWriter::new();
            sections.add(Section::Checksums, checksums);
            for (section, bytes) in written.side {
                sections.add(section, bytes);
            }
            sections
                .finish(&mut file)
                .map_err(|error| disk_error("cannot write", Path::new(&side), error))?;
            let side_bytes = file.finish()?;
            Ok(NewFile {
                signal: self.signal,
                window: self.window,
                path: path.clone(),
                rows: written.rows,
                data_bytes,
                side_bytes,
                extent: written.extent,
                first_sequence: self.sequences.0,
                last_sequence: self.sequences.1,
                traces: written.traces,
                generation: self.generation,
                created_seconds: UnixNanos::now().0 / 1_000_000_000,
            })
        };
        attempt().inspect_err(|_| {
            // The catalog holds the paths as garbage, should this fail too.
            let _ = remove();
        })
    }
}
