//! The section `Rollup`: cells of requests, found by service and operation.
//!
//! ```text
//! head       first and last cell; where the services' directory, the sums of all services
//!            by level and the rest of all services are: 14 numbers of 64 bits
//! cells      blocks: of each cell its distance from the one before, the length of what
//!            follows, errors, histogram; numbers have variable length
//! directory  of a service's operations: name, where its blocks are
//! directory  of the services: name, where its blocks, its rest and its operations are
//! ```
//! A place is an offset in the section and a length; nothing is there where that is zero.

use super::{Counted, RedBuilder, RedCell};
use crate::rollup::encoding::{put_text, put_varint};
use std::borrow::Borrow;
use std::collections::BTreeMap;

/// The lengths of the cells of each level, in cells of ten seconds: 10 s, 1 min, 5 min, 1 h.
/// Each divides the next. Part of the format.
pub(super) const LEVELS: [u64; 4] = [1, 6, 30, 360];

/// The levels that operations have; their cells are small, and many.
pub(super) const OPERATION_LEVELS: [usize; 2] = [0, 2];

/// Bytes of the head.
pub(super) const HEAD_BYTES: usize = 14 * 8;

/// Where something is in the section.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) len: u64,
}

impl Place {
    fn put(self, out: &mut Vec<u8>) {
        put_varint(self.offset, out);
        put_varint(self.len, out);
    }

    fn fixed(self) -> [u64; 2] {
        [self.offset, self.len]
    }
}

/// Cells in order of their numbers.
type Cells<C> = Vec<(u64, C)>;

impl RedBuilder {
    /// The section's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut services = BTreeMap::<&str, BTreeMap<Option<&str>, Cells<&RedCell>>>::new();
        let mut rest = Cells::new();
        for Counted { operation, cell, red } in &self.cells {
            let cells = match self.names(*operation) {
                (Some(service), name) => {
                    let service = services.entry(service).or_default();
                    service.entry(name.map(|name| &**name)).or_default()
                }
                (None, _) => &mut rest,
            };
            cells.push((*cell, red));
        }
        // A builder has each cell of an operation once.
        let operations = services.values_mut().flat_map(|service| service.values_mut());
        for cells in operations.chain([&mut rest]) {
            cells.sort_unstable_by_key(|(cell, _)| *cell);
        }

        let mut out = vec![0; HEAD_BYTES];
        let rest_place = put_cells(&rest, &mut out);
        let (mut sums, mut directory) = (Vec::new(), Vec::new());
        for (name, operations) in &services {
            sums.push(put_service(name, operations, &mut directory, &mut out));
        }
        let sums = sums.iter().flatten().map(|(cell, red)| (*cell, red));
        let all = sum(sums.chain(rest));
        let all_places = put_levels(&all, &[0, 1, 2, 3], &mut out);
        let directory = append(&directory, &mut out);

        let (first, last) = self.extent().unwrap_or((1, 0));
        let mut head = vec![first, last];
        head.extend(directory.fixed());
        head.extend(all_places.into_iter().flat_map(Place::fixed));
        head.extend(rest_place.fixed());
        for (at, number) in out.as_chunks_mut().0.iter_mut().zip(head) {
            *at = number.to_le_bytes();
        }
        out
    }
}

/// Writes what is known of a service; gives its sum.
fn put_service(
    name: &str,
    operations: &BTreeMap<Option<&str>, Cells<&RedCell>>,
    directory: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Cells<RedCell> {
    let of_service = sum(operations.values().flatten().copied());
    put_text(name, directory);
    for place in put_levels(&of_service, &[0, 1, 2, 3], out) {
        place.put(directory);
    }
    let rest = operations.get(&None).map(Vec::as_slice).unwrap_or_default();
    put_cells(rest, out).put(directory);
    let mut names = Vec::new();
    for (name, cells) in operations {
        let Some(name) = name else { continue };
        put_text(name, &mut names);
        for place in put_levels(cells, &OPERATION_LEVELS, out) {
            place.put(&mut names);
        }
    }
    append(&names, out).put(directory);
    of_service
}

/// Writes the cells at each of the levels, of which the first is that of the cells.
fn put_levels<C: Borrow<RedCell>>(
    cells: &[(u64, C)],
    levels: &[usize],
    out: &mut Vec<u8>,
) -> Vec<Place> {
    let mut places = vec![put_cells(cells, out)];
    let mut below: Option<(u64, Cells<RedCell>)> = None;
    for level in &levels[1..] {
        let length = LEVELS[*level];
        let coarse = match &below {
            None => sum(cells.iter().map(|(cell, red)| (cell / length, red.borrow()))),
            Some((short, cells)) => {
                sum(cells.iter().map(|(cell, red)| (cell / (length / short), red)))
            }
        };
        places.push(put_cells(&coarse, out));
        below = Some((length, coarse));
    }
    places
}

/// The sum of the cells of each number.
fn sum<'a>(cells: impl Iterator<Item = (u64, &'a RedCell)>) -> Cells<RedCell> {
    let mut sums = BTreeMap::<u64, RedCell>::new();
    cells.for_each(|(cell, red)| sums.entry(cell).or_default().merge(red));
    sums.into_iter().collect()
}

fn put_cells<C: Borrow<RedCell>>(cells: &[(u64, C)], out: &mut Vec<u8>) -> Place {
    let (mut block, mut sum) = (Vec::new(), Vec::new());
    let mut before = 0;
    for (cell, red) in cells {
        let red = red.borrow();
        sum.clear();
        put_varint(red.errors, &mut sum);
        red.durations.encode(&mut sum);
        put_varint(cell - before, &mut block);
        put_varint(sum.len() as u64, &mut block);
        block.extend_from_slice(&sum);
        before = *cell;
    }
    append(&block, out)
}

fn append(block: &[u8], out: &mut Vec<u8>) -> Place {
    if block.is_empty() {
        return Place::default();
    }
    let offset = out.len() as u64;
    out.extend_from_slice(block);
    Place { offset, len: block.len() as u64 }
}
