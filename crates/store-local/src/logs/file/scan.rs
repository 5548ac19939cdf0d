//! A search in a file: page by page, first in the few columns that decide, then in all
//! columns of the rows that are left, as many at a time as are asked for.

use super::LogFile;
use super::plan::{self, Page};
use crate::budget::Budget;
use crate::files::corrupt;
use crate::logs::read::{FilterColumns, LogColumns, LogReader};
use crate::logs::schema::{self, places};
use crate::logs::tags::Need;
use crate::logs::text::TextSearch;
use arrow_array::{Array, RecordBatch};
use carafe_store::{LogQuery, LogRecord, StoreError, value};
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::AnyValue;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, RowSelection};
use prost::Message;
use std::ops::Range;

/// How many rows are read whole at first; each time, four times as many. Most searches want
/// some ten records.
const FIRST_ROWS: usize = 64;
/// How many are read whole at most.
const MAX_ROWS: usize = 4_096;

/// The matches of a query, newest first.
pub(super) struct LogScan<'a> {
    file: &'a LogFile,
    query: &'a LogQuery,
    budget: &'a Budget,
    need: Need<'a>,
    text: Option<TextSearch>,
    reader: LogReader,
    /// From the first match that is asked for on.
    opened: Option<Opened>,
    /// Rows of the page of the last filter that were not read whole yet.
    rows: std::vec::IntoIter<usize>,
    page: Option<Page>,
    whole_rows: usize,
    found: std::vec::IntoIter<LogRecord>,
    failed: bool,
}

struct Opened {
    footer: ArrowReaderMetadata,
    pages: std::vec::IntoIter<Page>,
}

/// The columns that are read first.
fn filter_columns(query: &LogQuery, need: &Need<'_>, page: &Page) -> Vec<&'static str> {
    let mut columns = Vec::new();
    if query.trace_id.is_some() {
        columns.push(schema::TRACE_ID);
    }
    if query.min_severity > 0 {
        columns.push(schema::SEVERITY_NUMBER);
    }
    if query.service.is_some() || query.condition.is_some() {
        columns.push(schema::SERVICE);
    }
    if need.wants_messages() {
        columns.extend([schema::ATTRIBUTES, schema::RESOURCE, schema::SCOPE]);
    }
    if query.text.is_some() {
        columns.extend([schema::BODY_TEXT, schema::BODY]);
    }
    if !columns.is_empty() || !page.is_in_range {
        columns.push(schema::TIME);
    }
    columns
}

impl<'a> LogScan<'a> {
    pub(super) fn new(file: &'a LogFile, query: &'a LogQuery, budget: &'a Budget) -> Self {
        Self {
            file,
            query,
            budget,
            need: Need::of(query),
            text: query.text.as_deref().map(TextSearch::new),
            reader: LogReader::default(),
            opened: None,
            rows: Vec::new().into_iter(),
            page: None,
            whole_rows: FIRST_ROWS,
            found: Vec::new().into_iter(),
            failed: false,
        }
    }

    /// Looks for more matches; false where there are none.
    fn advance(&mut self) -> Result<bool, StoreError> {
        if self.opened.is_none() {
            let footer = self.file.footers.get(&self.file.data)?;
            let text = self.text.as_ref();
            let metadata = footer.metadata();
            let pages = plan::pages(self.file, metadata, self.query, &self.need, text)?;
            self.opened = Some(Opened { footer, pages: pages.into_iter() });
        }
        let Some(opened) = &mut self.opened else { return Ok(false) };
        if self.rows.len() > 0
            && let Some(page) = &self.page
        {
            let rows: Vec<usize> = self.rows.by_ref().take(self.whole_rows).collect();
            self.whole_rows = MAX_ROWS.min(self.whole_rows * 4);
            let footer = opened.footer.clone();
            let found = self.read_whole(&footer, &page.clone(), &rows)?;
            self.found = found.into_iter();
            return Ok(true);
        }
        let Some(page) = opened.pages.next() else { return Ok(false) };
        self.budget.rows(page.rows.len() as u64)?;
        let footer = opened.footer.clone();
        self.rows = self.candidates(&footer, &page)?.into_iter();
        self.page = Some(page);
        Ok(true)
    }

    /// The rows of a page that may match, as places in the row group.
    fn candidates(
        &self,
        footer: &ArrowReaderMetadata,
        page: &Page,
    ) -> Result<Vec<usize>, StoreError> {
        let names = filter_columns(self.query, &self.need, page);
        if names.is_empty() {
            return Ok(page.rows.clone().collect());
        }
        let selection = selection(footer, page, std::iter::once(page.rows.clone()));
        let mut rows = Vec::new();
        let mut at = page.rows.start;
        for batch in self.file.read(footer, page.row_group, places(&names), selection)? {
            let batch = batch?;
            let columns = FilterColumns::of(self.file.name(), &batch, &names)?;
            rows.extend(self.matching(&columns).map(|row| at + row));
            at += batch.num_rows();
        }
        Ok(rows)
    }

    fn matching<'c>(&'c self, columns: &'c FilterColumns<'c>) -> impl Iterator<Item = usize> {
        let query = self.query;
        let fits = move |row: &usize| {
            let time = UnixNanos(columns.time.value(*row).cast_unsigned());
            let severities = columns.severity_number;
            query.range.contains(time)
                && severities.is_none_or(|column| query.takes_severity(column.value(*row)))
                && columns.trace_id.is_none_or(|column| {
                    let id = column.is_valid(*row).then(|| column.value(*row));
                    query.trace_id.is_none_or(|wanted| id == Some(&wanted.0))
                })
                && columns.service.is_none_or(|service| {
                    let messages = || columns.messages.as_ref().map(|columns| columns.of(*row));
                    self.need.may_have(service.text(*row), &messages)
                })
                && self.text.as_ref().is_none_or(|text| has_text(text, columns, *row))
        };
        (0..columns.time.len()).filter(fits)
    }

    fn read_whole(
        &mut self,
        footer: &ArrowReaderMetadata,
        page: &Page,
        rows: &[usize],
    ) -> Result<Vec<LogRecord>, StoreError> {
        let columns = (0..schema::schema().fields().len()).collect();
        let selection = selection(footer, page, rows.iter().map(|row| *row..*row + 1));
        let batches = self.file.read(footer, page.row_group, columns, selection)?;
        let mut found = Vec::with_capacity(rows.len());
        let mut read = 0;
        for batch in batches {
            let batch: RecordBatch = batch?;
            let columns = LogColumns::new(self.file.name(), &batch)?;
            read += columns.rows();
            for row in 0..columns.rows() {
                let record = self.reader.record(&columns, row)?;
                if self.query.matches(&record) {
                    found.push(record);
                }
            }
        }
        match read == rows.len() {
            true => Ok(found),
            false => Err(corrupt(self.file.name(), "it has fewer rows than its footer says")),
        }
    }
}

fn selection(
    footer: &ArrowReaderMetadata,
    page: &Page,
    rows: impl Iterator<Item = Range<usize>>,
) -> RowSelection {
    let all =
        footer.metadata().row_groups().get(page.row_group).map_or(0, |group| group.num_rows());
    RowSelection::from_consecutive_ranges(rows, usize::try_from(all).unwrap_or(0))
}

/// Whether the body of a row contains the text; also where it cannot be told.
fn has_text(text: &TextSearch, columns: &FilterColumns<'_>, row: usize) -> bool {
    let (Some(texts), Some(values)) = (columns.body_text, columns.body) else { return true };
    if texts.is_valid(row) {
        return text.is_in(texts.value(row));
    }
    values.is_valid(row)
        && AnyValue::decode(values.value(row)).map_or(true, |body| text.is_in(&value::text(&body)))
}

impl Iterator for LogScan<'_> {
    type Item = Result<LogRecord, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        loop {
            if let Some(record) = self.found.next() {
                return Some(Ok(record));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
    }
}
