//! Calls between services, in cells of ten seconds.

use crate::calls::CallSums;
use crate::index::side_file::{Section, SideFile};
use crate::rollup::encoding::{Reader, put_text, put_varint};
use crate::rollup::red::cell_of;
use bytes::{Buf, Bytes};
use carafe_store::StoreError;
use carafe_telemetry::UnixNanos;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Most pairs of services within one file. Calls between others are left
/// out and counted.
pub const MAX_PAIRS: usize = 16_384;

/// Most cells within one file. Beyond it a call counts for the newest cell of its pair; with
/// windows of an hour this takes more than 2,900 pairs.
pub const MAX_EDGE_CELLS: usize = 1 << 20;

const SECTION: Section = Section::Edges;

/// First cell, last cell, dropped calls, bytes of the sums.
const HEAD_BYTES: usize = 4 * 8;

/// Calls and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    calls: u64,
    /// Those where the called span's status was an error.
    errors: u64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.errors = self.errors.saturating_add(other.errors);
    }

    fn put(self, out: &mut Vec<u8>) {
        put_varint(self.calls, out);
        put_varint(self.errors, out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { calls: from.varint()?, errors: from.varint()? })
    }
}

/// The name of a pair of services within an [`EdgesBuilder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairId(u32);

/// Counts calls.
#[derive(Clone, Debug, Default)]
pub struct EdgesBuilder {
    by_name: HashMap<Arc<str>, HashMap<Arc<str>, PairId>>,
    pairs: Vec<Pair>,
    cells: usize,
    dropped: u64,
}

#[derive(Clone, Debug)]
struct Pair {
    caller: Arc<str>,
    called: Arc<str>,
    cells: BTreeMap<u64, Count>,
}

impl EdgesBuilder {
    /// No calls yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The pair of a caller and who it calls. None beyond [`MAX_PAIRS`].
    pub fn pair(&mut self, caller: &str, called: &str) -> Option<PairId> {
        if let Some(&pair) = self.by_name.get(caller).and_then(|known| known.get(called)) {
            return Some(pair);
        }
        if self.pairs.len() >= MAX_PAIRS {
            return None;
        }
        let (caller, called) = (Arc::<str>::from(caller), Arc::<str>::from(called));
        let id = PairId(self.pairs.len() as u32);
        let known = self.by_name.entry(Arc::clone(&caller)).or_default();
        known.insert(Arc::clone(&called), id);
        self.pairs.push(Pair { caller, called, cells: BTreeMap::new() });
        Some(id)
    }

    /// Counts a call: when the called span started, and whether its status is an error. One
    /// between services that are no pair is only known to have been left out.
    pub fn add(&mut self, pair: Option<PairId>, start: UnixNanos, is_error: bool) {
        self.add_cell(pair, cell_of(start), Count { calls: 1, errors: u64::from(is_error) });
    }

    fn add_cell(&mut self, pair: Option<PairId>, cell: u64, calls: Count) {
        let Some(PairId(at)) = pair else {
            self.dropped = self.dropped.saturating_add(calls.calls);
            return;
        };
        let cells = &mut self.pairs[at as usize].cells;
        if let Some(there) = cells.get_mut(&cell) {
            there.add(calls);
        } else if self.cells >= MAX_EDGE_CELLS
            && let Some(mut newest) = cells.last_entry()
        {
            newest.get_mut().add(calls);
        } else {
            cells.insert(cell, calls);
            self.cells += 1;
        }
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        self.dropped = self.dropped.saturating_add(other.dropped);
        for Pair { caller, called, cells } in &other.pairs {
            let pair = self.pair(caller, called);
            cells.iter().for_each(|(cell, calls)| self.add_cell(pair, *cell, *calls));
        }
    }

    /// Adds the calls in these cells to `edges`.
    pub fn edges_into(&self, cells: Range<u64>, edges: &mut CallSums) {
        for pair in &self.pairs {
            let mut sum = Count::default();
            if cells.start < cells.end {
                pair.cells.range(cells.clone()).for_each(|(_, calls)| sum.add(*calls));
            }
            if sum.calls > 0 {
                edges.add(&pair.caller, &pair.called, sum.calls, sum.errors);
            }
        }
    }

    /// How many calls were left out because there are too many pairs.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The bytes of the section `Edges`: a head of four numbers of 64 bits, then of each pair
    /// caller, called and sum; then of each pair in the same order the length of its cells
    /// and for each cell the distance from the one before and its calls.
    pub fn encode(&self) -> Vec<u8> {
        let mut pairs: Vec<_> = self.pairs.iter().filter(|pair| !pair.cells.is_empty()).collect();
        pairs.sort_by_key(|pair| (&pair.caller, &pair.called));
        let mut sums = Vec::new();
        let mut all_cells = Vec::new();
        for pair in &pairs {
            put_text(&pair.caller, &mut sums);
            put_text(&pair.called, &mut sums);
            let mut sum = Count::default();
            let mut cells = Vec::new();
            let mut before = 0;
            for (cell, calls) in &pair.cells {
                put_varint(cell - before, &mut cells);
                calls.put(&mut cells);
                sum.add(*calls);
                before = *cell;
            }
            sum.put(&mut sums);
            put_varint(cells.len() as u64, &mut all_cells);
            all_cells.extend(cells);
        }
        let numbers = || pairs.iter().flat_map(|pair| pair.cells.keys().copied());
        let first = numbers().min().unwrap_or(1);
        let last = numbers().max().unwrap_or(0);
        let mut out = Vec::with_capacity(HEAD_BYTES + sums.len() + all_cells.len());
        for number in [first, last, self.dropped, sums.len() as u64] {
            out.extend(number.to_le_bytes());
        }
        out.extend(sums);
        out.extend(all_cells);
        out
    }
}

/// The calls of a file.
#[derive(Debug)]
pub struct EdgesView {
    side: Arc<SideFile>,
    extent: Range<u64>,
    dropped: u64,
    sums_len: usize,
}

impl EdgesView {
    /// The calls of the file; none where it does not have them. Only the head is read.
    pub fn open(side: Arc<SideFile>) -> Result<Option<Self>, StoreError> {
        let Some(len) = side.section_len(SECTION) else { return Ok(None) };
        let mut head = side.read(SECTION, 0, HEAD_BYTES)?;
        let (first, last) = (head.get_u64_le(), head.get_u64_le());
        let (dropped, sums_len) = (head.get_u64_le(), head.get_u64_le());
        let sums_len = usize::try_from(sums_len).ok();
        let fits = |sums: &usize| *sums as u64 <= len - HEAD_BYTES as u64;
        let Some(sums_len) = sums_len.filter(fits) else {
            return Err(side.corrupt(SECTION, "makes no sense"));
        };
        Ok(Some(Self { side, extent: first..last.saturating_add(1), dropped, sums_len }))
    }

    /// The first cell and the one behind the last that has calls.
    pub fn extent(&self) -> Range<u64> {
        self.extent.clone()
    }

    /// How many calls were left out because there were too many pairs.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Adds the calls in these cells to `edges`.
    pub fn edges_into(&self, cells: Range<u64>, edges: &mut CallSums) -> Result<(), StoreError> {
        if cells.end <= self.extent.start || self.extent.end <= cells.start {
            return Ok(());
        }
        let is_whole = cells.start <= self.extent.start && self.extent.end <= cells.end;
        let sums = self.side.read(SECTION, HEAD_BYTES as u64, self.sums_len)?;
        let by_cell = if is_whole { None } else { Some(self.cells()?) };
        each_pair(&sums, by_cell.as_ref(), |caller, called, sum, by_cell| {
            let sum = match by_cell {
                None => sum,
                Some(by_cell) => {
                    let mut sum = Count::default();
                    each_cell(by_cell, |cell, calls| {
                        if cells.contains(&cell) {
                            sum.add(calls);
                        }
                    })?;
                    sum
                }
            };
            if sum.calls > 0 {
                edges.add(&caller.into(), &called.into(), sum.calls, sum.errors);
            }
            Some(())
        })
        .ok_or_else(|| self.damaged())
    }

    /// All of it, to be counted further.
    pub fn to_builder(&self) -> Result<EdgesBuilder, StoreError> {
        let mut builder = EdgesBuilder { dropped: self.dropped, ..EdgesBuilder::default() };
        let sums = self.side.read(SECTION, HEAD_BYTES as u64, self.sums_len)?;
        each_pair(&sums, Some(&self.cells()?), |caller, called, _, by_cell| {
            let pair = builder.pair(caller, called);
            each_cell(by_cell?, |cell, calls| builder.add_cell(pair, cell, calls))
        })
        .ok_or_else(|| self.damaged())?;
        Ok(builder)
    }

    fn cells(&self) -> Result<Bytes, StoreError> {
        let offset = HEAD_BYTES + self.sums_len;
        let len = self.side.section_len(SECTION).unwrap_or(0) as usize;
        self.side.read(SECTION, offset as u64, len.saturating_sub(offset))
    }

    fn damaged(&self) -> StoreError {
        self.side.corrupt(SECTION, "makes no sense")
    }
}

/// Gives each pair, its sum and, where they are given, its cells.
fn each_pair<'a>(
    sums: &'a [u8],
    cells: Option<&'a Bytes>,
    mut take: impl FnMut(&'a str, &'a str, Count, Option<&'a [u8]>) -> Option<()>,
) -> Option<()> {
    let mut reader = Reader::new(sums);
    let mut cells = cells.map(|bytes| Reader::new(bytes));
    while !reader.is_empty() {
        let (caller, called) = (reader.text()?, reader.text()?);
        let sum = Count::take(&mut reader)?;
        let by_cell = match &mut cells {
            Some(cells) => Some(cells.bytes()?),
            None => None,
        };
        take(caller, called, sum, by_cell)?;
    }
    Some(())
}

fn each_cell(bytes: &[u8], mut take: impl FnMut(u64, Count)) -> Option<()> {
    let mut reader = Reader::new(bytes);
    let mut cell = 0_u64;
    while !reader.is_empty() {
        cell = cell.checked_add(reader.varint()?)?;
        take(cell, Count::take(&mut reader)?);
    }
    Some(())
}

#[cfg(test)]
mod tests;
