//! Searching a file, newest first.
//!
//! Row groups that cannot have matches are never read. In the others the columns that decide
//! the filter are read page by page, and all columns only of rows that may match. The first
//! matches are there after one page; the further a scan is followed, the more rows are
//! worked on at once.

use super::columns::{Columns, Dictionary, HitColumns};
use super::file::{Footer, SpanFile};
use super::mask::{MAYBE, NO, YES};
use super::plan::{Group, Plan};
use super::read::RowReader;
use super::schema::column;
use super::{rows, tags};
use crate::budget::Budget;
use crate::parquet_io::RowGroupReader;
use crate::source::{SpanHit, Want};
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, RecordBatch, StringArray};
use carafe_store::{SpanFilter, SpanRecord, StoreError};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// How many rows that may match are looked for before the first are read whole; four times
/// as many each time after that.
const FIRST_ROWS: usize = 32;

/// The most rows that may match that are looked for before they are read whole.
const MOST_ROWS: usize = 32_768;

/// The most rows that are read whole at once.
const WHOLE_ROWS: usize = 1_024;

/// The matches of one file.
pub(super) struct FileScan<'a> {
    file: &'a SpanFile,
    filter: &'a SpanFilter,
    want: Want,
    budget: &'a Budget,
    state: State<'a>,
    ready: VecDeque<SpanHit>,
}

enum State<'a> {
    Before,
    Within(Box<Within<'a>>),
    /// Also after an error.
    After,
}

struct Within<'a> {
    footer: Footer,
    plan: Plan<'a>,
    groups: std::vec::IntoIter<Group>,
    group: Option<GroupScan>,
    rows: RowReader,
    /// How many rows to look for before they are read whole.
    target: usize,
}

/// The scan of one row group.
struct GroupScan {
    number: usize,
    columns: Vec<usize>,
    filter_columns: RowGroupReader,
    /// The row group's number of the next row of `filter_columns`.
    next_row: usize,
    /// Rows that may match, being read whole, and whether the filter has to be asked again.
    whole: Option<(RowGroupReader, VecDeque<bool>)>,
    services: Texts,
    names: Texts,
}

impl<'a> FileScan<'a> {
    pub(super) fn new(
        file: &'a SpanFile,
        filter: &'a SpanFilter,
        want: Want,
        budget: &'a Budget,
    ) -> Self {
        Self { file, filter, want, budget, state: State::Before, ready: VecDeque::new() }
    }

    /// Makes some progress; false after the end.
    fn advance(&mut self) -> Result<bool, StoreError> {
        let within = match &mut self.state {
            State::After => return Ok(false),
            State::Before => {
                let within = Within::begin(self.file, self.filter)?;
                self.state = State::Within(Box::new(within));
                return Ok(true);
            }
            State::Within(within) => within,
        };
        if within.group.is_none() {
            let Some(group) = within.groups.next() else {
                self.state = State::After;
                return Ok(false);
            };
            within.group = within.open(self.file, &group, self.filter, self.budget)?;
            return Ok(true);
        }
        within.advance(self.file, self.filter, self.want, self.budget, &mut self.ready)?;
        Ok(true)
    }
}

impl Iterator for FileScan<'_> {
    type Item = Result<SpanHit, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(hit) = self.ready.pop_front() {
                return Some(Ok(hit));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.state = State::After;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl<'a> Within<'a> {
    fn begin(file: &SpanFile, filter: &'a SpanFilter) -> Result<Self, StoreError> {
        let footer = file.footer()?;
        let mut plan = Plan::new(filter, &footer.promoted);
        let groups = plan.groups(file, &footer)?.into_iter();
        let rows = RowReader::new(Arc::clone(&footer.promoted));
        Ok(Self { footer, plan, groups, group: None, rows, target: FIRST_ROWS })
    }

    fn open(
        &self,
        file: &SpanFile,
        group: &Group,
        filter: &SpanFilter,
        budget: &Budget,
    ) -> Result<Option<GroupScan>, StoreError> {
        let count = rows::count(&self.footer, group.number);
        let within = match group.is_cut {
            true => self.in_range(file, group.number, filter, budget)?,
            false => 0..count,
        };
        if within.is_empty() {
            return Ok(None);
        }
        let columns = self.plan.columns(group.number);
        let selection = (within != (0..count)).then(|| rows::stretch(within.clone(), count));
        let at_once = rows::at_once(&self.footer, group.number);
        Ok(Some(GroupScan {
            number: group.number,
            filter_columns: file.read(
                &self.footer,
                group.number,
                columns.clone(),
                selection,
                at_once,
            )?,
            columns,
            next_row: within.start,
            whole: None,
            services: Texts::default(),
            names: Texts::default(),
        }))
    }

    /// The rows of a row group that start in the filter's range, or a few more.
    fn in_range(
        &self,
        file: &SpanFile,
        group: usize,
        filter: &SpanFilter,
        budget: &Budget,
    ) -> Result<Range<usize>, StoreError> {
        let (mut at, mut first, mut end) = (0, None, 0);
        let projection = [column::START_TIME];
        let at_once = rows::at_once(&self.footer, group);
        for batch in file.read(&self.footer, group, projection.to_vec(), None, at_once)? {
            let batch = batch?;
            budget.rows(batch.num_rows() as u64)?;
            let starts = Columns::some(&batch, &projection)
                .numbers::<TimestampNanosecondType>(column::START_TIME)
                .map_err(|error| file.damaged(error))?;
            for (row, start) in starts.values().iter().enumerate() {
                let start = start.cast_unsigned();
                if (filter.range.start.0..=filter.range.end.0).contains(&start) {
                    first.get_or_insert(at + row);
                    end = at + row + 1;
                }
            }
            at += batch.num_rows();
            let last = starts.values().last().map_or(0, |start| start.cast_unsigned());
            if last < filter.range.start.0 {
                break;
            }
        }
        Ok(first.unwrap_or(end)..end)
    }

    fn advance(
        &mut self,
        file: &SpanFile,
        filter: &SpanFilter,
        want: Want,
        budget: &Budget,
        ready: &mut VecDeque<SpanHit>,
    ) -> Result<(), StoreError> {
        let Some(group) = &mut self.group else { return Ok(()) };
        if let Some((reader, unsure)) = &mut group.whole {
            match reader.next() {
                Some(batch) => {
                    let spans = self.rows.read(&batch?).map_err(|error| file.damaged(error))?;
                    for span in spans {
                        let is_unsure = unsure.pop_front().unwrap_or(true);
                        if !is_unsure || filter.matches_span(&span) {
                            ready.push_back(whole_hit(span, want, &mut group.names));
                        }
                    }
                }
                None => group.whole = None,
            }
            return Ok(());
        }
        let mut found = Vec::new();
        let mut unsure = VecDeque::new();
        while found.len() < self.target {
            let Some(batch) = group.filter_columns.next() else {
                if found.is_empty() {
                    self.group = None;
                    return Ok(());
                }
                break;
            };
            let batch = batch?;
            budget.rows(batch.num_rows() as u64)?;
            let mask = group.mask(&self.plan, &batch).map_err(|error| file.damaged(error))?;
            let first = group.next_row;
            group.next_row += batch.num_rows();
            if want == Want::Hits && !mask.contains(&MAYBE) && found.is_empty() {
                let hits = group.hits(&batch, &mask).map_err(|error| file.damaged(error))?;
                ready.extend(hits);
                if ready.is_empty() {
                    continue;
                }
                return Ok(());
            }
            for (row, verdict) in mask.iter().enumerate().filter(|(_, verdict)| **verdict != NO) {
                found.push(first + row);
                unsure.push_back(*verdict != YES);
            }
        }
        let at_once = self.target.min(WHOLE_ROWS).min(rows::at_once(&self.footer, group.number));
        self.target = (self.target * 4).min(MOST_ROWS);
        let selection = Some(rows::single(&found));
        let columns = self.footer.columns();
        let reader = file.read(&self.footer, group.number, columns, selection, at_once)?;
        group.whole = Some((reader, unsure));
        Ok(())
    }
}

impl GroupScan {
    fn mask(
        &self,
        plan: &Plan<'_>,
        batch: &RecordBatch,
    ) -> Result<Vec<u8>, super::columns::ColumnError> {
        let columns = Columns::some(batch, &self.columns);
        plan.root.mask(self.number, &columns, &HitColumns::of(&columns)?)
    }

    /// The rows that match, of a batch of which the columns decided.
    fn hits(
        &mut self,
        batch: &RecordBatch,
        mask: &[u8],
    ) -> Result<Vec<SpanHit>, super::columns::ColumnError> {
        let columns = Columns::some(batch, &self.columns);
        let hits = HitColumns::of(&columns)?;
        let matching = mask.iter().enumerate().filter(|(_, verdict)| **verdict == YES);
        Ok(matching
            .map(|(row, _)| SpanHit {
                trace_id: hits.trace_id(row),
                span_id: hits.span_id(row),
                start: hits.start(row),
                end: hits.end(row),
                kind: hits.kind.value(row),
                parent_span_id: hits.parent_span_id(row),
                is_error: tags::is_error(hits.status(row)),
                service: self.services.get(hits.service, row),
                name: self.names.get(hits.name, row),
                record: None,
            })
            .collect())
    }
}

/// The hit of a span that matches.
fn whole_hit(span: SpanRecord, want: Want, names: &mut Texts) -> SpanHit {
    SpanHit {
        trace_id: span.trace_id,
        span_id: span.span_id,
        start: span.start,
        end: span.end,
        kind: span.span.kind,
        parent_span_id: span.parent_span_id,
        is_error: span.is_error(),
        service: Arc::clone(span.service()),
        name: names.shared(&span.span.name),
        record: (want == Want::Records).then_some(span),
    }
}

/// Shared texts of a dictionary column.
#[derive(Default)]
struct Texts {
    /// The values that `shared` is about.
    values: Option<StringArray>,
    shared: Vec<Option<Arc<str>>>,
    last: Option<Arc<str>>,
}

impl Texts {
    fn get(&mut self, column: Dictionary<'_, StringArray>, row: usize) -> Arc<str> {
        let is_same = self.values.as_ref().is_some_and(|values| {
            values.values().as_ptr() == column.values.values().as_ptr()
                && values.offsets().ptr_eq(column.values.offsets())
        });
        if !is_same {
            self.values = Some(column.values.clone());
            self.shared = vec![None; column.values.len()];
        }
        match column.key(row) {
            Some(key) => {
                let text = || Arc::from(column.values.value(key));
                Arc::clone(self.shared[key].get_or_insert_with(text))
            }
            None => Arc::from(""),
        }
    }

    /// The text, shared with the one before where it is the same.
    fn shared(&mut self, text: &str) -> Arc<str> {
        match &self.last {
            Some(last) if **last == *text => Arc::clone(last),
            _ => Arc::clone(self.last.insert(Arc::from(text))),
        }
    }
}
