//! Reading requests from a side file: the head once, then only what is asked for.

use super::encode::{HEAD_BYTES, LEVELS, OPERATION_LEVELS, Place};
use super::{RedBuilder, RedCell, RedPoints, RedRequest};
use crate::index::side_file::{Section, SideFile};
use crate::rollup::encoding::Reader;
use bytes::{Buf, Bytes};
use carafe_store::StoreError;
use std::ops::Range;
use std::sync::Arc;

const SECTION: Section = Section::Rollup;

/// The requests of a file.
#[derive(Debug)]
pub struct RedView {
    side: Arc<SideFile>,
    /// The first cell and the one behind the last.
    extent: Range<u64>,
    services: Place,
    all: Levels,
    rest: Place,
}

/// Where the cells of one series are, by level; nothing where they are not kept.
type Levels = [Option<Place>; LEVELS.len()];

struct ServiceEntry<'a> {
    name: &'a str,
    levels: Levels,
    rest: Place,
    operations: Place,
}

struct OperationEntry<'a> {
    name: &'a str,
    levels: Levels,
}

impl RedView {
    /// The requests of the file; none where it does not have them. Only the head is read.
    pub fn open(side: Arc<SideFile>) -> Result<Option<Self>, StoreError> {
        if side.section_len(SECTION).is_none() {
            return Ok(None);
        }
        let mut head = side.read(SECTION, 0, HEAD_BYTES)?;
        let (first, last) = (head.get_u64_le(), head.get_u64_le());
        let mut place = || Place { offset: head.get_u64_le(), len: head.get_u64_le() };
        let services = place();
        let all = LEVELS.map(|_| Some(place()));
        let rest = place();
        Ok(Some(Self { side, extent: first..last.saturating_add(1), services, all, rest }))
    }

    /// The first cell and the one behind the last that has requests.
    pub fn extent(&self) -> Range<u64> {
        self.extent.clone()
    }

    /// Adds to `points` what is asked for, from the longest cells that fit the points and the
    /// range. False where that is not told apart from a rest: then only the spans can tell.
    /// Then, and when there is an error, nothing is added.
    pub fn red_into(
        &self,
        request: &RedRequest<'_>,
        points: &mut RedPoints,
    ) -> Result<bool, StoreError> {
        let cells = &request.cells;
        if cells.end <= self.extent.start || self.extent.end <= cells.start {
            return Ok(true);
        }
        let Some(series) = self.series(request)? else { return Ok(false) };
        let mut sums = Sums { grid: points, sums: Vec::new() };
        for levels in series {
            self.add(&levels, LEVELS.len() - 1, cells.clone(), &mut sums)?;
        }
        for (cell, sum) in sums.sums {
            if let Some(point) = points.point(cell) {
                point.merge(&sum);
            }
        }
        Ok(true)
    }

    /// All of it, to be counted further.
    pub fn to_builder(&self) -> Result<RedBuilder, StoreError> {
        let mut builder = RedBuilder::default();
        let rest = builder_cells(&self.read(self.rest)?).ok_or_else(|| self.damaged())?;
        if !rest.is_empty() {
            let id = builder.rest_of(None);
            rest.iter().for_each(|(cell, red)| builder.add_cell(id, *cell, red));
        }
        let directory = self.read(self.services)?;
        for service in self.services(&directory) {
            let service = service?;
            let rest = builder_cells(&self.read(service.rest)?).ok_or_else(|| self.damaged())?;
            if !rest.is_empty() {
                let id = builder.rest_of(Some(&service.name.into()));
                rest.iter().for_each(|(cell, red)| builder.add_cell(id, *cell, red));
            }
            let names = self.read(service.operations)?;
            for operation in self.operations(&names) {
                let OperationEntry { name, levels } = operation?;
                let block = self.read(levels[0].unwrap_or_default())?;
                let cells = builder_cells(&block).ok_or_else(|| self.damaged())?;
                let id = builder.operation(service.name, name);
                cells.iter().for_each(|(cell, red)| builder.add_cell(id, *cell, red));
            }
        }
        Ok(builder)
    }

    /// Where the cells are whose sum is asked for; none where only the spans can tell.
    fn series(&self, request: &RedRequest<'_>) -> Result<Option<Vec<Levels>>, StoreError> {
        if request.service.is_none() && request.operation.is_none() {
            return Ok(Some(vec![self.all]));
        }
        let directory = self.read(self.services)?;
        let mut found = Vec::new();
        let mut is_listed = false;
        for service in self.services(&directory) {
            let service = service?;
            if request.service.is_some_and(|name| name != service.name) {
                continue;
            }
            is_listed |= request.service.is_some();
            let Some(name) = request.operation else {
                found.push(service.levels);
                continue;
            };
            let names = self.read(service.operations)?;
            let operations = self.operations(&names);
            let operation = operations.filter(|op| op.as_ref().map_or(true, |op| op.name == name));
            match operation.last().transpose()? {
                Some(operation) => found.push(operation.levels),
                None if service.rest.len > 0 => return Ok(None),
                None => {}
            }
        }
        Ok((is_listed || self.rest.len == 0).then_some(found))
    }

    /// Adds the cells in `range`, from `level` or lower ones.
    fn add(
        &self,
        levels: &Levels,
        level: usize,
        range: Range<u64>,
        sums: &mut Sums<'_>,
    ) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        let length = LEVELS[level];
        // A shorter cell at either end than the range has is as good where there is nothing.
        let start = match range.start <= self.extent.start {
            true => self.extent.start / length,
            false => range.start.div_ceil(length),
        };
        let end = match range.end >= self.extent.end {
            true => self.extent.end.div_ceil(length),
            false => range.end / length,
        };
        let place = levels[level].filter(|_| sums.grid.fits(length) && start < end);
        match (place, level.checked_sub(1)) {
            (Some(place), lower) => {
                let block = self.read(place)?;
                let sound = add_cells(&block, start..end, length, sums);
                sound.ok_or_else(|| self.damaged())?;
                let Some(lower) = lower else { return Ok(()) };
                self.add(levels, lower, range.start..start.saturating_mul(length), sums)?;
                self.add(levels, lower, end.saturating_mul(length)..range.end, sums)
            }
            (None, Some(lower)) => self.add(levels, lower, range, sums),
            (None, None) => Ok(()),
        }
    }

    fn services<'a>(
        &'a self,
        directory: &'a Bytes,
    ) -> impl Iterator<Item = Result<ServiceEntry<'a>, StoreError>> {
        self.entries(directory, |reader| {
            let name = reader.text()?;
            let mut levels = Levels::default();
            for level in &mut levels {
                *level = Some(place(reader)?);
            }
            Some(ServiceEntry { name, levels, rest: place(reader)?, operations: place(reader)? })
        })
    }

    fn operations<'a>(
        &'a self,
        directory: &'a Bytes,
    ) -> impl Iterator<Item = Result<OperationEntry<'a>, StoreError>> {
        self.entries(directory, |reader| {
            let name = reader.text()?;
            let mut levels = Levels::default();
            for level in OPERATION_LEVELS {
                levels[level] = Some(place(reader)?);
            }
            Some(OperationEntry { name, levels })
        })
    }

    fn entries<'a, T>(
        &'a self,
        directory: &'a Bytes,
        read: impl Fn(&mut Reader<'a>) -> Option<T>,
    ) -> impl Iterator<Item = Result<T, StoreError>> {
        let mut reader = Reader::new(directory);
        let mut is_damaged = false;
        std::iter::from_fn(move || {
            if is_damaged || reader.is_empty() {
                return None;
            }
            let entry = read(&mut reader);
            is_damaged = entry.is_none();
            Some(entry.ok_or_else(|| self.damaged()))
        })
    }

    fn read(&self, place: Place) -> Result<Bytes, StoreError> {
        match place.len {
            0 => Ok(Bytes::new()),
            len => {
                let len = usize::try_from(len).map_err(|_| self.damaged())?;
                self.side.read(SECTION, place.offset, len)
            }
        }
    }

    fn damaged(&self) -> StoreError {
        self.side.corrupt(SECTION, "makes no sense")
    }
}

fn place(reader: &mut Reader<'_>) -> Option<Place> {
    Some(Place { offset: reader.varint()?, len: reader.varint()? })
}

/// What is to be added to points, by the first cell of each.
struct Sums<'a> {
    grid: &'a RedPoints,
    sums: Vec<(u64, RedCell)>,
}

impl Sums<'_> {
    /// The sum that a cell belongs to; none outside of all points. Cells come in order.
    fn of(&mut self, cell: u64) -> Option<&mut RedCell> {
        let first = self.grid.first_cell_of(cell)?;
        if self.sums.last().is_none_or(|(last, _)| *last != first) {
            self.sums.push((first, RedCell::default()));
        }
        self.sums.last_mut().map(|(_, sum)| sum)
    }
}

/// Adds the cells of a block whose numbers are in `range`.
fn add_cells(block: &[u8], range: Range<u64>, length: u64, sums: &mut Sums<'_>) -> Option<()> {
    let mut reader = Reader::new(block);
    let mut cell = 0_u64;
    while !reader.is_empty() {
        cell = cell.checked_add(reader.varint()?)?;
        let mut sum = Reader::new(reader.bytes()?);
        if cell >= range.end {
            break;
        }
        if range.contains(&cell)
            && let Some(of_point) = sums.of(cell.checked_mul(length)?)
        {
            of_point.errors = of_point.errors.saturating_add(sum.varint()?);
            sum.merge_into(&mut of_point.durations)?;
        }
    }
    Some(())
}

fn builder_cells(block: &[u8]) -> Option<Vec<(u64, RedCell)>> {
    let mut reader = Reader::new(block);
    let mut cells = Vec::new();
    let mut cell = 0_u64;
    while !reader.is_empty() {
        cell = cell.checked_add(reader.varint()?)?;
        let mut sum = Reader::new(reader.bytes()?);
        cells.push((cell, RedCell { errors: sum.varint()?, durations: sum.histogram()? }));
    }
    Some(cells)
}
