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

type Cells = BTreeMap<u64, RedCell>;

impl RedBuilder {
    /// The section's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut services = BTreeMap::<&str, BTreeMap<Option<&str>, Cells>>::new();
        let mut rest = Cells::new();
        let mut all = Cells::new();
        for Counted { operation, cell, red } in &self.cells {
            all.entry(*cell).or_default().merge(red);
            let cells = match self.names(*operation) {
                (Some(service), name) => {
                    let service = services.entry(service).or_default();
                    service.entry(name.map(|name| &**name)).or_default()
                }
                (None, _) => &mut rest,
            };
            cells.entry(*cell).or_default().merge(red);
        }

        let mut out = vec![0; HEAD_BYTES];
        let all_places = put_levels(&all, &[0, 1, 2, 3], &mut out);
        let rest = put_cells(&rest, &mut out);
        let mut directory = Vec::new();
        for (name, operations) in services {
            put_service(name, operations, &mut directory, &mut out);
        }
        let directory = append(&directory, &mut out);

        let (first, last) = self.extent().unwrap_or((1, 0));
        let mut head = vec![first, last];
        head.extend(directory.fixed());
        head.extend(all_places.into_iter().flat_map(Place::fixed));
        head.extend(rest.fixed());
        for (at, number) in out.as_chunks_mut().0.iter_mut().zip(head) {
            *at = number.to_le_bytes();
        }
        out
    }
}

fn put_service(
    name: &str,
    mut operations: BTreeMap<Option<&str>, Cells>,
    directory: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    let mut sum = Cells::new();
    for (cell, red) in operations.values().flatten() {
        sum.entry(*cell).or_default().merge(red);
    }
    put_text(name, directory);
    for place in put_levels(&sum, &[0, 1, 2, 3], out) {
        place.put(directory);
    }
    put_cells(&operations.remove(&None).unwrap_or_default(), out).put(directory);
    let mut names = Vec::new();
    for (name, cells) in &operations {
        put_text(name.unwrap_or_default(), &mut names);
        for place in put_levels(cells, &OPERATION_LEVELS, out) {
            place.put(&mut names);
        }
    }
    append(&names, out).put(directory);
}

fn put_levels(cells: &Cells, levels: &[usize], out: &mut Vec<u8>) -> Vec<Place> {
    let place = |&level: &usize| {
        let mut coarse = Cells::new();
        for (cell, red) in cells {
            coarse.entry(cell / LEVELS[level]).or_default().merge(red);
        }
        put_cells(&coarse, out)
    };
    levels.iter().map(place).collect()
}

fn put_cells(cells: &Cells, out: &mut Vec<u8>) -> Place {
    let mut block = Vec::new();
    let mut before = 0;
    for (cell, red) in cells {
        let mut sum = Vec::new();
        put_varint(red.errors, &mut sum);
        red.durations.encode(&mut sum);
        put_varint(cell - before, &mut block);
        put_varint(sum.len() as u64, &mut block);
        block.extend(sum);
        before = *cell;
    }
    append(&block, out)
}

fn append(block: &[u8], out: &mut Vec<u8>) -> Place {
    if block.is_empty() {
        return Place::default();
    }
    let offset = out.len() as u64;
    out.extend(block);
    Place { offset, len: block.len() as u64 }
}
