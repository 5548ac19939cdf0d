//! Requests, errors and durations in cells of ten seconds.
//!
//! Only spans that answer someone are counted (`carafe_store::RedQuery`), all kinds together.
//! A file keeps cells of each (service, operation), and sums of them over longer cells and
//! over all operations and services, so that a question about a day of everything reads some
//! hundred cells.

mod encode;
mod limit;
mod view;

pub use view::RedView;

use crate::rollup::MAX_SERIES;
use carafe_store::Histogram;
use carafe_telemetry::UnixNanos;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

/// The length of a cell.
pub const CELL_NANOS: u64 = 10_000_000_000;

/// Most cells of one builder, about 150 MB. At it, the operations with the fewest requests
/// are no longer told apart, and then the services.
pub const MAX_CELLS: usize = 1 << 20;

/// The number of the cell that `time` is in.
pub fn cell_of(time: UnixNanos) -> u64 {
    time.0 / CELL_NANOS
}

/// Requests of some time: a cell, or a sum of cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedCell {
    /// Those whose status is an error.
    pub errors: u64,
    /// How long they took; their number is the histogram's count.
    pub durations: Histogram,
}

impl RedCell {
    /// Adds all requests of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.errors = self.errors.saturating_add(other.errors);
        self.durations.merge(&other.durations);
    }
}

/// Which requests. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct RedRequest<'a> {
    /// Of this service.
    pub service: Option<&'a str>,
    /// Of this name.
    pub operation: Option<&'a str>,
    /// Whose start is in one of these cells.
    pub cells: Range<u64>,
}

/// The points of an answer, each a sum of as many cells.
#[derive(Clone, Debug)]
pub struct RedPoints {
    first: u64,
    step: u64,
    points: Vec<RedCell>,
}

impl RedPoints {
    /// `points` empty points; the first begins with the cell `first`, each has `step` cells.
    /// A step of none is one.
    pub fn new(first: u64, step: u64, points: usize) -> Self {
        Self { first, step: step.max(1), points: vec![RedCell::default(); points] }
    }

    /// The sums.
    pub fn into_points(self) -> Vec<RedCell> {
        self.points
    }

    /// The point that a cell belongs to; none outside of all.
    fn point(&mut self, cell: u64) -> Option<&mut RedCell> {
        let at = self.place(cell)?;
        self.points.get_mut(at)
    }

    /// The first cell of the point that a cell belongs to; none outside of all.
    fn first_cell_of(&self, cell: u64) -> Option<u64> {
        Some(self.first + self.place(cell)? as u64 * self.step)
    }

    fn place(&self, cell: u64) -> Option<usize> {
        let at = usize::try_from(cell.checked_sub(self.first)? / self.step).ok()?;
        (at < self.points.len()).then_some(at)
    }

    /// Whether cells of `length` cells never lie in two points.
    fn fits(&self, length: u64) -> bool {
        self.step.is_multiple_of(length) && self.first.is_multiple_of(length)
    }
}

/// The name of a (service, operation) within a [`RedBuilder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(u32);

/// Counts requests.
#[derive(Clone, Debug)]
pub struct RedBuilder {
    max_cells: usize,
    services: HashMap<Arc<str>, Service>,
    operations: Vec<Operation>,
    /// What is told apart neither by operation nor by service.
    rest: Option<OperationId>,
    cells: Vec<Counted>,
    by_cell: HashMap<(OperationId, u64), usize>,
}

#[derive(Clone, Debug, Default)]
struct Service {
    operations: HashMap<Arc<str>, OperationId>,
    /// What is not told apart by operation.
    rest: Option<OperationId>,
    /// Whether all of it is in the rest of all services.
    is_unlisted: bool,
}

#[derive(Clone, Debug)]
struct Operation {
    /// None for the rest of all services.
    service: Option<Arc<str>>,
    /// None for the rest of a service.
    name: Option<Arc<str>>,
    requests: u64,
    /// The cell that was counted in last, and where it is.
    last: Option<(u64, usize)>,
    /// Where the requests are counted instead.
    moved_to: Option<OperationId>,
}

#[derive(Clone, Debug)]
struct Counted {
    operation: OperationId,
    cell: u64,
    red: RedCell,
}

impl Default for RedBuilder {
    fn default() -> Self {
        Self::with_max_cells(MAX_CELLS)
    }
}

impl RedBuilder {
    fn with_max_cells(max_cells: usize) -> Self {
        Self {
            max_cells,
            services: HashMap::new(),
            operations: Vec::new(),
            rest: None,
            cells: Vec::new(),
            by_cell: HashMap::new(),
        }
    }

    /// The name of an operation of a service. Beyond [`MAX_SERIES`] names it stands for the
    /// rest of the service or, of a service that is new, of all services.
    pub fn operation(&mut self, service: &str, name: &str) -> OperationId {
        let is_full = self.operations.len() >= MAX_SERIES;
        // A new name may have been counted for the rest already, where there is one.
        match self.services.get(service) {
            Some(known) if known.is_unlisted => return self.rest_of(None),
            Some(known) => match known.operations.get(name) {
                Some(&operation) => return operation,
                None if is_full || known.rest.is_some() => {
                    return self.rest_of(Some(&service.into()));
                }
                None => {}
            },
            None if is_full || self.rest.is_some() => return self.rest_of(None),
            None => {}
        }
        let (service, name) = (Arc::from(service), Arc::from(name));
        let id = self.new_operation(Some(Arc::clone(&service)), Some(Arc::clone(&name)));
        self.services.entry(service).or_default().operations.insert(name, id);
        id
    }

    /// The service and the name that an operation has; none where it stands for a rest.
    pub fn names(&self, id: OperationId) -> (Option<&Arc<str>>, Option<&Arc<str>>) {
        let operation = &self.operations[id.0 as usize];
        (operation.service.as_ref(), operation.name.as_ref())
    }

    /// Counts a request that started at `start` and took `duration` nanoseconds.
    pub fn add(&mut self, id: OperationId, start: UnixNanos, duration: u64, is_error: bool) {
        let (red, operation) = self.cell(id, cell_of(start));
        red.errors += u64::from(is_error);
        red.durations.add_nanos(duration);
        self.operations[operation.0 as usize].requests += 1;
    }

    /// Adds a whole cell.
    pub fn add_cell(&mut self, id: OperationId, cell: u64, sum: &RedCell) {
        let (red, operation) = self.cell(id, cell);
        red.merge(sum);
        let requests = &mut self.operations[operation.0 as usize].requests;
        *requests = requests.saturating_add(sum.durations.count());
    }

    /// Adds all that `other` counted. What one of both does not tell apart, the sum does not.
    pub fn merge(&mut self, other: &Self) {
        self.forget_what_is_not_told_by(other);
        for Counted { operation, cell, red } in &other.cells {
            let id = match other.names(*operation) {
                (Some(service), Some(name)) => self.operation(service, name),
                (service, _) => self.rest_of(service),
            };
            self.add_cell(id, *cell, red);
        }
    }

    /// Adds to `points` what is asked for. False, and nothing is added, where that is not
    /// told apart from a rest: then only the spans can tell.
    pub fn red_into(&self, request: &RedRequest<'_>, points: &mut RedPoints) -> bool {
        let Some(wanted) = self.wanted(request) else { return false };
        for Counted { operation, cell, red } in &self.cells {
            if wanted[operation.0 as usize]
                && request.cells.contains(cell)
                && let Some(point) = points.point(*cell)
            {
                point.merge(red);
            }
        }
        true
    }

    /// The first and the last cell; none where nothing was counted.
    pub fn extent(&self) -> Option<(u64, u64)> {
        let cells = || self.cells.iter().map(|counted| counted.cell);
        Some((cells().min()?, cells().max()?))
    }

    /// Whether each operation is one of those that are asked for.
    fn wanted(&self, request: &RedRequest<'_>) -> Option<Vec<bool>> {
        let Some(service) = request.service else {
            let Some(name) = request.operation else {
                return Some(vec![true; self.operations.len()]);
            };
            let tells = |service: &Service| service.tells(name, &self.operations);
            if self.rest.is_some() || !self.services.values().all(tells) {
                return None;
            }
            return Some(
                self.operations.iter().map(|op| op.name.as_deref() == Some(name)).collect(),
            );
        };
        let of_service = |op: &Operation| op.service.as_deref() == Some(service);
        match (self.services.get(service), request.operation) {
            (None, _) if self.rest.is_some() => return None,
            (Some(known), _) if known.is_unlisted => return None,
            (Some(known), Some(name)) if !known.tells(name, &self.operations) => return None,
            _ => {}
        }
        let of_name = |op: &Operation| match request.operation {
            Some(name) => op.name.as_deref() == Some(name),
            None => true,
        };
        Some(self.operations.iter().map(|op| of_service(op) && of_name(op)).collect())
    }

    fn new_operation(&mut self, service: Option<Arc<str>>, name: Option<Arc<str>>) -> OperationId {
        let operation = Operation { service, name, requests: 0, last: None, moved_to: None };
        self.operations.push(operation);
        OperationId(self.operations.len() as u32 - 1)
    }

    /// What stands for the rest of a service, or of all services.
    pub(super) fn rest_of(&mut self, service: Option<&Arc<str>>) -> OperationId {
        let listed = service.filter(|service| match self.services.get(*service) {
            Some(known) => !known.is_unlisted,
            None => self.rest.is_none(),
        });
        let known = listed.map(|name| self.services.entry(Arc::clone(name)).or_default());
        let rest = known.map_or(self.rest, |known| known.rest);
        if let Some(id) = rest {
            return id;
        }
        let id = self.new_operation(listed.cloned(), None);
        match listed.and_then(|name| self.services.get_mut(name)) {
            Some(known) => known.rest = Some(id),
            None => self.rest = Some(id),
        }
        id
    }

    /// Where the requests of an operation are counted.
    fn current(&self, mut id: OperationId) -> OperationId {
        while let Some(moved_to) = self.operations[id.0 as usize].moved_to {
            id = moved_to;
        }
        id
    }

    fn cell(&mut self, id: OperationId, cell: u64) -> (&mut RedCell, OperationId) {
        let mut id = self.current(id);
        let at = match self.operations[id.0 as usize].last {
            Some((last, at)) if last == cell => at,
            _ => match self.by_cell.get(&(id, cell)) {
                Some(&at) => at,
                None => {
                    if self.cells.len() >= self.max_cells && self.shrink() {
                        id = self.current(id);
                    }
                    self.place(id, cell)
                }
            },
        };
        self.operations[id.0 as usize].last = Some((cell, at));
        (&mut self.cells[at].red, id)
    }

    fn place(&mut self, operation: OperationId, cell: u64) -> usize {
        match self.by_cell.entry((operation, cell)) {
            Entry::Occupied(at) => *at.get(),
            Entry::Vacant(vacant) => {
                self.cells.push(Counted { operation, cell, red: RedCell::default() });
                *vacant.insert(self.cells.len() - 1)
            }
        }
    }
}

#[cfg(test)]
mod tests;
