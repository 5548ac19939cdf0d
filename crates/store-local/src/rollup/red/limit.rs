//! What a builder does at its limit: requests of operations that are told apart become part of
//! the rest of their service, and those of services part of the rest of all.
//!
//! A name is told apart where all its requests are counted under it; a question about any
//! other has no answer here.

use super::{Counted, Operation, OperationId, RedBuilder, Service};

impl RedBuilder {
    /// Moves the half of the operations that has the fewest requests to the rests of their
    /// services or, when there are only rests, half of the services to the rest of all. False
    /// where there is only that.
    pub(super) fn shrink(&mut self) -> bool {
        let mut is_smaller = false;
        while self.cells.len() > self.max_cells / 2 {
            let listed = |op: &&Operation| op.moved_to.is_none() && op.service.is_some();
            let with_names = self.operations.iter().filter(listed).any(|op| op.name.is_some());
            let mut ranked: Vec<_> = (0..self.operations.len())
                .map(|at| (&self.operations[at], OperationId(at as u32)))
                .filter(|(op, _)| listed(op) && op.name.is_some() == with_names)
                .map(|(op, id)| (op.requests, op.service.clone(), op.name.clone(), id))
                .collect();
            if ranked.is_empty() {
                return is_smaller;
            }
            ranked.sort();
            ranked.truncate(ranked.len().div_ceil(2));
            for (_, service, _, id) in ranked {
                let Some(service) = service else { continue };
                if with_names {
                    let rest = self.rest_of(Some(&service));
                    self.move_to(rest, id);
                } else {
                    self.unlist(&service);
                }
            }
            self.count_anew();
            is_smaller = true;
        }
        is_smaller
    }

    /// Before `other` is added: what it counted for a rest may be of names that are told apart
    /// here.
    pub(super) fn forget_what_is_not_told_by(&mut self, other: &Self) {
        if other.rest.is_none() && other.services.values().all(|known| known.rest.is_none()) {
            return;
        }
        let services: Vec<_> = self.services.keys().cloned().collect();
        for service in services {
            match other.services.get(&service) {
                Some(known) if known.is_unlisted => self.unlist(&service),
                None if other.rest.is_some() => self.unlist(&service),
                None => {}
                Some(known) => {
                    let own = self.services.get(&service).into_iter();
                    let names = own.flat_map(|own| &own.operations);
                    let untold = names.filter(|(name, _)| !known.tells(name, &other.operations));
                    let untold: Vec<_> = untold.map(|(_, id)| *id).collect();
                    for id in untold {
                        let rest = self.rest_of(Some(&service));
                        self.move_to(rest, id);
                    }
                }
            }
        }
        self.count_anew();
    }

    /// The requests of an operation are counted for `rest` from now on.
    fn move_to(&mut self, rest: OperationId, id: OperationId) {
        let operation = &mut self.operations[id.0 as usize];
        if operation.moved_to.is_none() && id != rest {
            operation.moved_to = Some(rest);
            let requests = operation.requests;
            self.operations[rest.0 as usize].requests += requests;
        }
    }

    /// A service is not told apart any more.
    fn unlist(&mut self, service: &str) {
        let Some(known) = self.services.get_mut(service) else { return };
        known.is_unlisted = true;
        let ids: Vec<_> = known.operations.values().copied().chain(known.rest).collect();
        let rest = self.rest_of(None);
        ids.into_iter().for_each(|id| self.move_to(rest, id));
    }

    fn count_anew(&mut self) {
        self.by_cell.clear();
        for operation in &mut self.operations {
            operation.last = None;
        }
        for Counted { operation, cell, red } in std::mem::take(&mut self.cells) {
            let at = self.place(self.current(operation), cell);
            self.cells[at].red.merge(&red);
        }
    }
}

impl Service {
    /// Whether the requests of this name are told apart, or there are none.
    pub(super) fn tells(&self, name: &str, operations: &[Operation]) -> bool {
        match self.operations.get(name) {
            _ if self.is_unlisted => false,
            Some(id) => operations[id.0 as usize].moved_to.is_none(),
            None => self.rest.is_none(),
        }
    }
}
