//! The requests of a run and their order.
//!
//! A block is some traces one after the other. Its spans leave in requests of several
//! processes each, as a collector's do, so that a trace is spread over requests. What is late
//! or comes twice leaves with a later block. Nothing is remembered: a later block makes anew
//! what it sends for an earlier one.

mod batches;

use crate::log::{self, Log};
use crate::metrics::{self, Ticks};
use crate::random::{self, Purpose, Random};
use crate::trace::Trace;
use crate::world::World;
use batches::Entry;
use bytes::Bytes;
use carafe_telemetry::{Batch, Signal};
use std::collections::BTreeSet;

/// Requests of spans in a block, about.
pub(crate) const REQUESTS_PER_BLOCK: u64 = 8;

/// How late what is late comes.
const LATE_SECONDS: [u64; 4] = [120, 900, 3_600, 10_800];

/// After how many blocks a request comes again: at once, soon, and after many others.
const COPY_BLOCKS: [u64; 3] = [0, 1, 64];

/// Copies of this many requests of a block are found; a block has about
/// [`REQUESTS_PER_BLOCK`].
const MAX_COPIED: u64 = 64;

/// Names a request of a run: the block, the part of it, and the number within.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

const NUMBER_BITS: u32 = 20;
const PART_BITS: u32 = 4;

/// The parts of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
enum Part {
    Spans,
    LateSpans,
    Logs,
    LateLogs,
    Points,
}

impl RequestId {
    fn new(block: u64, part: Part, number: u64) -> Self {
        Self((block << PART_BITS | part as u64) << NUMBER_BITS | number)
    }

    /// The block that it is a part of.
    pub(crate) fn block(self) -> u64 {
        self.0 >> (NUMBER_BITS + PART_BITS)
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its name; a copy has the name of the original.
    pub id: RequestId,
    /// Whether it was sent before.
    pub copy: bool,
    /// What is sent.
    pub batch: Batch,
    /// Spans, log records or data points in it.
    pub items: u64,
}

/// Which items are in a request: places in the block that it is made of.
pub(crate) enum Items<'a> {
    /// Trace and span.
    Spans(&'a [Entry]),
    Logs(&'a [Entry]),
    Points(u64),
}

/// The blocks of a world.
#[derive(Debug)]
pub struct Blocks<'w> {
    world: &'w World,
    traces_per_block: u64,
    count: u64,
    late_delays: [u64; LATE_SECONDS.len()],
    pub(crate) ticks: Ticks,
}

/// Room that the making of blocks needs, to be used again and again.
#[derive(Default)]
pub struct Scratch {
    pub(crate) traces: Vec<Trace>,
    pub(crate) logs: Vec<Log>,
    entries: Vec<Entry>,
}

impl<'w> Blocks<'w> {
    /// Divides the world's traces.
    pub fn new(world: &'w World) -> Self {
        let mean = (world.recipe.spans / world.traces()).max(1);
        let wanted = world.recipe.batch as u64 * REQUESTS_PER_BLOCK / mean;
        let traces_per_block = wanted.clamp(1, world.traces());
        let count = world.traces().div_ceil(traces_per_block);
        let block_nanos = (traces_per_block * world.step()).max(1);
        let mut at_least = 0;
        let late_delays = LATE_SECONDS.map(|seconds| {
            at_least += 1;
            // What would come after the run comes at its end.
            (seconds * 1_000_000_000 / block_nanos).max(at_least).min(count.max(at_least))
        });
        Self { world, traces_per_block, count, late_delays, ticks: Ticks::of(world) }
    }

    /// The world that they are made of.
    pub fn world(&self) -> &'w World {
        self.world
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many steps the run has: one for each block, then those of what is still due.
    pub fn steps(&self) -> u64 {
        let late = self.late_delays.into_iter().max().unwrap_or(0);
        self.count + late.max(COPY_BLOCKS[COPY_BLOCKS.len() - 1])
    }

    /// Gives the requests of step `step` in order.
    pub fn step(&self, step: u64, scratch: &mut Scratch, give: &mut impl FnMut(Request)) {
        for (class, delay) in self.late_delays.into_iter().enumerate() {
            let due = step.checked_sub(delay).filter(|block| *block < self.count);
            if let Some(block) = due.filter(|block| self.late_class(*block) == Some(class)) {
                self.block(block, scratch, &mut |id, items, scratch| {
                    if matches!(part_of(id), Part::LateSpans | Part::LateLogs) {
                        give(self.encode(id, &items, scratch));
                    }
                });
            }
        }
        for (class, delay) in COPY_BLOCKS.into_iter().enumerate().skip(1) {
            let due = step.checked_sub(delay).filter(|block| *block < self.count);
            let Some(block) = due else { continue };
            let copied = |id| self.copy_class(id) == Some(class);
            if (0..MAX_COPIED).any(|number| copied(RequestId::new(block, Part::Spans, number))) {
                self.block(block, scratch, &mut |id, items, scratch| {
                    if copied(id) {
                        give(Request { copy: true, ..self.encode(id, &items, scratch) });
                    }
                });
            }
        }
        if step < self.count {
            self.block(step, scratch, &mut |id, items, scratch| {
                if !matches!(part_of(id), Part::LateSpans | Part::LateLogs) {
                    let request = self.encode(id, &items, scratch);
                    let again = (self.copy_class(id) == Some(0)).then(|| request.clone());
                    give(request);
                    if let Some(request) = again {
                        give(Request { copy: true, ..request });
                    }
                }
            });
        }
    }

    /// Gives the items of all requests of a block, those that leave later too.
    pub(crate) fn block(
        &self,
        block: u64,
        scratch: &mut Scratch,
        give: &mut impl FnMut(RequestId, Items<'_>, &Scratch),
    ) {
        self.make(block, scratch);
        let signals = self.world.recipe.signals;
        let batch = self.world.recipe.batch;
        let mut entries = std::mem::take(&mut scratch.entries);
        let late = self.late_class(block).is_some();
        let mut parts = Vec::new();
        if signals.traces {
            parts.push((Part::Spans, Part::LateSpans));
        }
        if signals.logs {
            parts.push((Part::Logs, Part::LateLogs));
        }
        for (on_time, delayed) in parts {
            entries.clear();
            match on_time {
                Part::Spans => batches::of_spans(self.world, block, scratch, &mut entries),
                _ => batches::of_logs(self.world, block, scratch, &mut entries),
            }
            entries.sort_unstable();
            // Those of late processes move to the end, all else keeps its order.
            let is_late = |entry: &Entry| self.is_late(block, entry.instance(self.world, block));
            let first_late = match late {
                true => batches::partition(&mut entries, is_late),
                false => entries.len(),
            };
            let (punctual, late) = entries.split_at(first_late);
            for (part, entries) in [(on_time, punctual), (delayed, late)] {
                for (number, chunk) in entries.chunks(batch).enumerate() {
                    let id = RequestId::new(block, part, number as u64);
                    let items = match on_time {
                        Part::Spans => Items::Spans(chunk),
                        _ => Items::Logs(chunk),
                    };
                    give(id, items, scratch);
                }
            }
        }
        scratch.entries = entries;
        if signals.metrics {
            let tick_at = |block: u64| (block * self.ticks.count).div_ceil(self.count);
            for (number, tick) in (tick_at(block)..tick_at(block + 1)).enumerate() {
                let id = RequestId::new(block, Part::Points, number as u64);
                give(id, Items::Points(tick), scratch);
            }
        }
    }

    /// Makes the traces and log records of a block.
    pub(crate) fn make(&self, block: u64, scratch: &mut Scratch) {
        let first = block * self.traces_per_block;
        let end = (first + self.traces_per_block).min(self.world.traces());
        scratch.traces.resize_with((end - first) as usize, Trace::default);
        scratch.logs.clear();
        for (trace, index) in scratch.traces.iter_mut().zip(first..end) {
            trace.generate(self.world, index);
            if self.world.recipe.signals.logs {
                log::of_trace(self.world, trace, &mut scratch.logs);
            }
        }
    }

    fn encode(&self, id: RequestId, items: &Items<'_>, scratch: &Scratch) -> Request {
        let (signal, bytes, items) = match items {
            Items::Spans(entries) => (
                Signal::Traces,
                batches::spans(self.world, id.block(), scratch, entries),
                entries.len(),
            ),
            Items::Logs(entries) => (
                Signal::Logs,
                batches::logs(self.world, id.block(), scratch, entries),
                entries.len(),
            ),
            Items::Points(tick) => {
                let (bytes, points) = self.points(*tick);
                (Signal::Metrics, bytes, points)
            }
        };
        let batch = Batch { signal, bytes: Bytes::from(bytes) };
        Request { id, copy: false, batch, items: items as u64 }
    }

    /// The report of all processes at a tick, and its points.
    fn points(&self, tick: u64) -> (Vec<u8>, usize) {
        use prost::Message;
        let time = self.ticks.time(self.world, tick);
        let report = |instance| metrics::report(self.world, instance, tick, time);
        let resource_metrics: Vec<_> = self.world.instances.iter().map(report).collect();
        let points = resource_metrics.iter().map(metrics::points).sum();
        let request = carafe_telemetry::otlp::ExportMetricsServiceRequest { resource_metrics };
        (request.encode_to_vec(), points)
    }

    /// The points in these requests.
    pub(crate) fn points_of(&self, requests: &BTreeSet<RequestId>) -> u64 {
        let reports = requests.iter().filter(|id| part_of(**id) == Part::Points).count();
        reports as u64 * self.points(0).1 as u64
    }

    /// After which delay the late part of a block comes, if it has one.
    fn late_class(&self, block: u64) -> Option<usize> {
        let wanted = self.world.recipe.late.millionths();
        // Half of the processes of twice as many blocks, as long as there are so many.
        let of_blocks = wanted.saturating_mul(2);
        let mut random = Random::new(self.world.recipe.seed, Purpose::Block, block);
        let late = random.chance(of_blocks);
        late.then(|| random.below(LATE_SECONDS.len() as u64) as usize)
    }

    fn is_late(&self, block: u64, instance: u16) -> bool {
        let share = self.world.recipe.late.millionths().max(500_000);
        let bits = random::mix(block) ^ u64::from(instance);
        Random::new(self.world.recipe.seed, Purpose::Instance, bits).chance(share)
    }

    /// After which delay a request of spans comes again, if it does.
    fn copy_class(&self, id: RequestId) -> Option<usize> {
        if part_of(id) != Part::Spans {
            return None;
        }
        let mut random = Random::new(self.world.recipe.seed, Purpose::Block, !id.0);
        let copied = random.chance(self.world.recipe.duplicate.millionths());
        copied.then(|| random.below(COPY_BLOCKS.len() as u64) as usize)
    }
}

fn part_of(id: RequestId) -> Part {
    match id.0 >> NUMBER_BITS & ((1 << PART_BITS) - 1) {
        0 => Part::Spans,
        1 => Part::LateSpans,
        2 => Part::Logs,
        3 => Part::LateLogs,
        _ => Part::Points,
    }
}

#[cfg(test)]
mod tests;
