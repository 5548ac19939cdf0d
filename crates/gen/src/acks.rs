//! A file with the names of the requests that were acknowledged, for checks after a crash.
//!
//! The first line is the recipe as JSON, each further one the number of a request. A line
//! counts once it ends: what a crash cut off is as if it was not there.

use crate::blocks::RequestId;
use crate::recipe::{Fraction, Recipe, Signals};
use carafe_telemetry::UnixNanos;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Why a file of acknowledgements cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AcksError {
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// Not such a file.
    #[error("{} line {line}: {reason}; hint: --acks takes a file that carafe gen wrote", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// It belongs to other telemetry.
    #[error("{} belongs to another run; hint: remove it, or give the options of that run", .0.display())]
    OtherRun(PathBuf),
}

/// A recipe as it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Header {
    seed: u64,
    spans: u64,
    start_nanos: u64,
    range_nanos: u64,
    signals: String,
    batch: usize,
    late: f64,
    duplicate: f64,
    skew: f64,
}

impl Header {
    fn of(recipe: &Recipe) -> Self {
        Self {
            seed: recipe.seed,
            spans: recipe.spans,
            start_nanos: recipe.start.0,
            range_nanos: recipe.range.as_nanos() as u64,
            signals: recipe.signals.to_string(),
            batch: recipe.batch,
            late: recipe.late.get(),
            duplicate: recipe.duplicate.get(),
            skew: recipe.skew.get(),
        }
    }

    fn recipe(&self) -> Result<Recipe, String> {
        let fraction =
            |value| Fraction::new(value).ok_or_else(|| format!("{value} is no fraction"));
        Ok(Recipe {
            seed: self.seed,
            spans: self.spans,
            start: UnixNanos(self.start_nanos),
            range: Duration::from_nanos(self.range_nanos),
            signals: self.signals.parse::<Signals>()?,
            batch: self.batch,
            late: fraction(self.late)?,
            duplicate: fraction(self.duplicate)?,
            skew: fraction(self.skew)?,
        })
    }
}

/// What a file says.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// What was sent.
    pub recipe: Recipe,
    /// Which requests were acknowledged.
    pub requests: BTreeSet<RequestId>,
}

impl Acknowledged {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, AcksError> {
        let io = |source| AcksError::Io { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(io)?;
        let malformed = |line: usize, reason: String| AcksError::Malformed {
            path: path.to_owned(),
            line: line + 1,
            reason,
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.lines().enumerate();
        let header = lines.next().map_or("", |(_, line)| line);
        let header: Header =
            serde_json::from_str(header).map_err(|error| malformed(0, error.to_string()))?;
        let recipe = header.recipe().map_err(|reason| malformed(0, reason))?;
        let request = |(number, line): (usize, &str)| {
            let id =
                line.parse().map_err(|_| malformed(number, format!("{line:?} is no number")))?;
            Ok(RequestId(id))
        };
        Ok(Self { recipe, requests: lines.map(request).collect::<Result<_, _>>()? })
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Acks {
    path: PathBuf,
    file: Arc<File>,
    waiting: Mutex<Vec<RequestId>>,
}

impl Acks {
    /// Opens or makes the file of a run; what earlier runs of the same recipe acknowledged.
    pub(crate) fn open(
        path: &Path,
        recipe: &Recipe,
    ) -> Result<(Self, BTreeSet<RequestId>), AcksError> {
        let io = |source| AcksError::Io { path: path.to_owned(), source };
        let exists = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0);
        let done = match exists {
            true => {
                let before = Acknowledged::read(path)?;
                if before.recipe != *recipe {
                    return Err(AcksError::OtherRun(path.to_owned()));
                }
                cut_torn_line(path).map_err(io)?;
                before.requests
            }
            false => BTreeSet::new(),
        };
        let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(io)?;
        if !exists {
            let header = serde_json::to_string(&Header::of(recipe)).map_err(io::Error::from);
            writeln!(file, "{}", header.map_err(io)?).map_err(io)?;
            file.sync_all().map_err(io)?;
        }
        let waiting = Mutex::default();
        Ok((Self { path: path.to_owned(), file: Arc::new(file), waiting }, done))
    }

    /// Remembers a request for the next [`write`](Self::write).
    pub(crate) fn push(&self, id: RequestId) {
        self.waiting.lock().push(id);
    }

    /// Writes what is waiting, and returns when it is on the disk.
    pub(crate) fn write(&self) -> Result<(), AcksError> {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        if waiting.is_empty() {
            return Ok(());
        }
        let text: String = waiting.iter().map(|id| format!("{}\n", id.0)).collect();
        let written = (&*self.file).write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|source| AcksError::Io { path: self.path.clone(), source })
    }
}

fn cut_torn_line(path: &Path) -> io::Result<()> {
    let bytes = std::fs::read(path)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::test_recipe;

    #[test]
    fn a_run_goes_on_where_it_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acks");
        let recipe = Recipe { late: Fraction::new(0.1).unwrap(), ..test_recipe(500) };
        let (acks, done) = Acks::open(&path, &recipe).unwrap();
        assert!(done.is_empty());
        [5, 9].into_iter().for_each(|id| acks.push(RequestId(id)));
        acks.write().unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"12").unwrap();
        let (acks, done) = Acks::open(&path, &recipe).unwrap();
        assert_eq!(done, BTreeSet::from([RequestId(5), RequestId(9)]));
        acks.push(RequestId(7));
        acks.write().unwrap();
        let read = Acknowledged::read(&path).unwrap();
        assert_eq!(read.recipe, recipe);
        assert_eq!(read.requests, [5, 7, 9].map(RequestId).into());
        let other = Recipe { seed: 99, ..recipe };
        assert!(matches!(Acks::open(&path, &other), Err(AcksError::OtherRun(_))));
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acks");
        for text in ["", "hello\n", "{}\n1\n"] {
            std::fs::write(&path, text).unwrap();
            let error = Acknowledged::read(&path).unwrap_err();
            assert!(matches!(error, AcksError::Malformed { line: 1, .. }), "{error}");
        }
    }
}
