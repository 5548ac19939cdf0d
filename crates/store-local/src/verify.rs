//! Reading a whole data directory, to say what of it is damaged.
//!
//! Nothing is changed: what is damaged is set aside when the store comes across it.

use crate::catalog::{CATALOG_FILE, Catalog, FileEntry};
use crate::disk::{Disk, RealDisk};
use crate::files::checked::Checked;
use crate::files::metadata::MetadataCache;
use crate::files::{FileAccess, LocalFile, corrupt};
use crate::index::side_file::SideFile;
use crate::lock::DirLock;
use crate::log::Replay;
use crate::logs::LogFile;
use crate::metrics::MetricFile;
use crate::parquet_io::{RowGroupReader, Selected};
use crate::shelf::{DATA, FILES_DIR, SIDE};
use crate::signal_file::NO_TIME;
use crate::spans::SpanFile;
use crate::stored::Openable;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use carafe_store::{StoreError, StoreErrorKind, TimeRange};
use carafe_telemetry::{Signal, UnixNanos};
use std::path::Path;
use std::sync::Arc;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 8_192;
/// Bytes that are read at once.
const READ_BYTES: u64 = 1 << 20;

/// What is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which file, below the data directory.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What was read, and what of it is damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Data files, each with its side file.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their items, by signal in the order of [`Signal::ALL`].
    pub items: [u64; 3],
    /// Requests of the log that are not in files.
    pub log_requests: u64,
    /// Bytes at the end of the log that nobody was told are safe: a write that was cut off.
    pub torn_bytes: u64,
    /// Everything that is damaged, what is set aside already first.
    pub findings: Vec<Finding>,
}

/// Reads everything in a data directory that no process has open. `progress` is told of each
/// file before it is read.
///
/// # Errors
/// When another process has the directory, when there is no catalog in it, and when something
/// cannot be read for a reason that is not damage.
pub fn verify(
    directory: &Path,
    program: &str,
    mut progress: impl FnMut(&FileEntry),
) -> Result<Verification, StoreError> {
    existing(directory)?;
    let _lock = DirLock::acquire(directory, program)?;
    let mut report = Verification::default();
    let catalog = Catalog::open(directory);
    let (catalog, contents) = match catalog {
        Ok(opened) => opened,
        Err(error) if error.kind == StoreErrorKind::Corrupt => {
            report.found(CATALOG_FILE, error);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    for problem in catalog.check()? {
        report.found(CATALOG_FILE, problem);
    }
    for aside in contents.aside {
        let file = format!("{FILES_DIR}/{}", aside.file.path);
        report.found(file, format!("set aside: {}", aside.reason));
    }
    for entry in &contents.files {
        progress(entry);
        match check(&directory.join(FILES_DIR), entry) {
            Ok(()) => report.count(entry),
            Err(error) if error.kind == StoreErrorKind::Corrupt => {
                report.found(format!("{FILES_DIR}/{}", entry.file.path), error);
            }
            Err(error) => return Err(error),
        }
    }
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut replay = Replay::open(disk, directory, contents.watermark)?;
    for frame in &mut replay {
        frame?;
        report.log_requests += 1;
    }
    report.torn_bytes = replay.report().torn_bytes;
    for damage in &replay.report().damaged {
        let file = damage.file.strip_prefix(directory).unwrap_or(&damage.file);
        report.found(file.display().to_string(), damage);
    }
    if replay.report().more_damage > 0 {
        let more = format!("damaged in {} more places", replay.report().more_damage);
        report.found(crate::log::LOG_DIR, more);
    }
    Ok(report)
}

/// An error where the directory has no data.
pub fn existing(directory: &Path) -> Result<(), StoreError> {
    if directory.join(CATALOG_FILE).is_file() {
        return Ok(());
    }
    Err(StoreError::new(
        StoreErrorKind::InvalidData,
        format!(
            "there is no data in {}; hint: name the data directory with --data-dir",
            directory.display()
        ),
    ))
}

impl Verification {
    fn found(&mut self, file: impl Into<String>, problem: impl std::fmt::Display) {
        self.findings.push(Finding { file: file.into(), problem: problem.to_string() });
    }

    fn count(&mut self, entry: &FileEntry) {
        let file = &entry.file;
        self.files += 1;
        self.bytes += file.data_bytes + file.side_bytes;
        let at = Signal::ALL.iter().position(|signal| *signal == file.signal);
        if let Some(items) = at.and_then(|at| self.items.get_mut(at)) {
            *items += file.rows;
        }
    }
}

/// Reads a file whole.
fn check(root: &Path, entry: &FileEntry) -> Result<(), StoreError> {
    let file = &entry.file;
    let open = |extension: &str| -> Result<Arc<dyn FileAccess>, StoreError> {
        let name = format!("{}.{extension}", file.path);
        Ok(Arc::new(LocalFile::open(&root.join(&name), name)?))
    };
    let (data, side) = (open(DATA)?, open(SIDE)?);
    for (access, bytes) in [(&data, file.data_bytes), (&side, file.side_bytes)] {
        if access.len() != bytes {
            let problem = format!("it has {} bytes, and the catalog says {bytes}", access.len());
            return Err(corrupt(access.name(), problem));
        }
    }
    SideFile::open(Arc::clone(&side))?.verify()?;
    let data: Arc<dyn FileAccess> = Arc::new(Checked::new(data, Arc::clone(&side)));
    read_whole(&*data)?;
    let footers = Arc::new(MetadataCache::new(0));
    match file.signal {
        Signal::Traces => drop(<SpanFile as Openable>::open(Arc::clone(&data), side, &footers)?),
        Signal::Logs => drop(LogFile::open(Arc::clone(&data), side, &footers)?),
        Signal::Metrics => drop(MetricFile::open(Arc::clone(&data), side, &footers)?),
    }
    let (rows, extent) = read(&data, &footers, file.signal)?;
    if rows != file.rows {
        let problem = format!("it has {rows} rows, and the catalog says {}", file.rows);
        return Err(corrupt(data.name(), problem));
    }
    if extent != file.extent {
        let problem = format!("its times are {extent:?}, and the catalog says {:?}", file.extent);
        return Err(corrupt(data.name(), problem));
    }
    Ok(())
}

/// Reads every byte, which checks it.
fn read_whole(data: &dyn FileAccess) -> Result<(), StoreError> {
    (0..data.len()).step_by(READ_BYTES as usize).try_for_each(|offset| {
        let len = (data.len() - offset).min(READ_BYTES);
        data.read(offset, len as usize).map(drop)
    })
}

/// Decodes every page of every column; how many rows there are, and their times.
fn read(
    data: &Arc<dyn FileAccess>,
    footers: &MetadataCache,
    signal: Signal,
) -> Result<(u64, TimeRange), StoreError> {
    let footer = footers.get(data)?;
    let time = if signal == Signal::Traces { "start_time" } else { "time" };
    let (mut rows, mut extent) = (0, NO_TIME);
    for row_group in 0..footer.metadata().num_row_groups() {
        let columns = (0..footer.parquet_schema().num_columns()).collect();
        let selected = Selected { row_group, columns, rows: None, batch_rows: BATCH_ROWS };
        for batch in RowGroupReader::open(data, &footer, selected)? {
            let batch = batch?;
            let times = batch
                .column_by_name(time)
                .and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>())
                .ok_or_else(|| corrupt(data.name(), format!("it has no column {time}")))?;
            // Times after the year 2262 are kept as negative ones.
            for time in times.values().iter().map(|time| UnixNanos(time.cast_unsigned())) {
                extent.start = extent.start.min(time);
                extent.end = extent.end.max(time);
            }
            rows += batch.num_rows() as u64;
        }
    }
    Ok((rows, extent))
}
