//! Items of a block by process and scope, and their bytes.

use super::Scratch;
use crate::encode;
use crate::random;
use crate::wire::Writer;
use crate::world::{Instance, ScopeKind, World};

/// About how long messages get, so that room for their lengths fits.
const RESOURCE_GUESS: usize = 20_000;
const SCOPE_GUESS: usize = 16_500;
const ITEM_BYTES: usize = 640;

/// An item with its place: sorts by process, beginning with another one in each block, then
/// by scope, then by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry(u64);

const TRACE_BITS: u32 = 28;
const ITEM_BITS: u32 = 16;
const SCOPE_BITS: u32 = 4;

impl Entry {
    fn new(turn: u64, scope: ScopeKind, trace: usize, item: usize) -> Self {
        let group = turn << SCOPE_BITS | scope as u64;
        Self((group << TRACE_BITS | trace as u64) << ITEM_BITS | item as u64)
    }

    pub(crate) fn trace(self) -> usize {
        (self.0 >> ITEM_BITS) as usize & ((1 << TRACE_BITS) - 1)
    }

    pub(crate) fn item(self) -> usize {
        self.0 as usize & ((1 << ITEM_BITS) - 1)
    }

    /// The place of a log record in the list of its block.
    pub(crate) fn log_place(self) -> usize {
        self.trace() << ITEM_BITS | self.item()
    }

    fn scope(self) -> usize {
        (self.0 >> (ITEM_BITS + TRACE_BITS)) as usize & ((1 << SCOPE_BITS) - 1)
    }

    fn turn(self) -> u64 {
        self.0 >> (ITEM_BITS + TRACE_BITS + SCOPE_BITS)
    }

    pub(super) fn instance(self, world: &World, block: u64) -> u16 {
        let count = world.instances.len() as u64;
        ((self.turn() + count - first(world, block)) % count) as u16
    }
}

/// With which turn process 0 comes in a block.
fn first(world: &World, block: u64) -> u64 {
    random::mix(block) % world.instances.len() as u64
}

fn turn(world: &World, first: u64, instance: u16) -> u64 {
    (u64::from(instance) + first) % world.instances.len() as u64
}

pub(super) fn of_spans(world: &World, block: u64, scratch: &Scratch, entries: &mut Vec<Entry>) {
    let first = first(world, block);
    for (number, trace) in scratch.traces.iter().enumerate() {
        for (item, span) in trace.spans.iter().enumerate() {
            let turn = turn(world, first, span.instance);
            entries.push(Entry::new(turn, span.scope(), number, item));
        }
    }
}

/// The place of a log record is in the list of its block: the lower bits of it in the place
/// of the item, the upper in that of the trace.
pub(super) fn of_logs(world: &World, block: u64, scratch: &Scratch, entries: &mut Vec<Entry>) {
    let first = first(world, block);
    for (place, log) in scratch.logs.iter().enumerate() {
        let turn = turn(world, first, log.instance);
        let item = place & ((1 << ITEM_BITS) - 1);
        entries.push(Entry::new(turn, ScopeKind::Logging, place >> ITEM_BITS, item));
    }
}

/// Moves what is late behind all else, both in their order; where it begins.
pub(super) fn partition(entries: &mut [Entry], is_late: impl Fn(&Entry) -> bool) -> usize {
    entries.sort_by_cached_key(|entry| is_late(entry));
    entries.partition_point(|entry| !is_late(entry))
}

/// A request with the items of `entries`, which `write` writes as field 2 of a scope's
/// message.
fn request(
    world: &World,
    block: u64,
    entries: &[Entry],
    mut write: impl FnMut(&mut Writer, Entry),
) -> Vec<u8> {
    let mut writer = Writer { bytes: Vec::with_capacity(entries.len() * ITEM_BYTES) };
    for of_process in entries.chunk_by(|a, b| a.turn() == b.turn()) {
        let process = &world.instances[usize::from(of_process[0].instance(world, block))];
        writer.message(1, RESOURCE_GUESS, |writer| {
            writer.delimited(1, &process.resource_bytes);
            for of_scope in of_process.chunk_by(|a, b| a.scope() == b.scope()) {
                scope(writer, process, of_scope, &mut write);
            }
            if !process.schema_url.is_empty() {
                writer.delimited(3, process.schema_url.as_bytes());
            }
        });
    }
    writer.bytes
}

fn scope(
    writer: &mut Writer,
    process: &Instance,
    entries: &[Entry],
    write: &mut impl FnMut(&mut Writer, Entry),
) {
    let guess = if entries.len() < 20 { 4_000 } else { SCOPE_GUESS };
    writer.message(2, guess, |writer| {
        writer.delimited(1, &process.scope_bytes[entries[0].scope()]);
        for entry in entries {
            write(writer, *entry);
        }
    });
}

pub(super) fn spans(world: &World, block: u64, scratch: &Scratch, entries: &[Entry]) -> Vec<u8> {
    request(world, block, entries, |writer, entry| {
        let trace = &scratch.traces[entry.trace()];
        encode::span(writer, 2, world, trace, &trace.spans[entry.item()]);
    })
}

pub(super) fn logs(world: &World, block: u64, scratch: &Scratch, entries: &[Entry]) -> Vec<u8> {
    request(world, block, entries, |writer, entry| {
        encode::log(writer, 2, world, &scratch.logs[entry.log_place()]);
    })
}
