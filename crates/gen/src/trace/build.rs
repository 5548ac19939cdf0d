//! How a trace comes about: an entry is served, and each service asks others.

use super::{Context, MAX_TRACE_SPANS, Shape, Span, Trace};
use crate::random::{Purpose, Random};
use crate::shop::{AGENTS, ENTRIES, EndpointId, HOSTS, Protocol, QueryId, Step, TENANTS, USERS};
use crate::world::World;

/// One span in so many takes much longer than the distribution says.
const TAIL_MILLIONTHS: u32 = 4_000;

/// The unit in which the shop's tables count failures, in millionths.
const FAILURE_MILLIONTHS: u32 = 10;

/// How often the failure of a call fails the caller.
const PROPAGATED_MILLIONTHS: u32 = 800_000;

/// Of the network between two services, in nanoseconds.
const NETWORK_MEDIAN: u64 = 180_000;

/// Between publishing and consuming, in nanoseconds.
const QUEUE_MEDIAN: u64 = 25_000_000;

pub(super) struct Builder<'a> {
    world: &'a World,
    trace: &'a mut Trace,
    random: Random,
}

/// How a call went.
struct Outcome {
    end: u64,
    code: u16,
    failed: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn new(world: &'a World, trace: &'a mut Trace) -> Self {
        let seed = world.recipe.seed;
        let random = Random::new(seed, Purpose::Trace, !trace.index);
        Self { world, trace, random }
    }

    pub(super) fn build(mut self, start: u64) {
        self.trace.context = self.context();
        let entry = self.entry();
        let shape = match entry.get().protocol {
            Protocol::Job(_) => Shape::Job(entry),
            _ => Shape::Serve(entry),
        };
        self.serve(entry, shape, None, start);
    }

    fn context(&mut self) -> Context {
        // Squaring favours the first tenants, so that the last are rare.
        let tenant = self.random.below(TENANTS) * self.random.below(TENANTS) / TENANTS;
        let host = match self.random.below(1_000) {
            0 => 3,
            1..=80 => 2,
            81..=300 => 1,
            _ => 0,
        };
        Context {
            tenant,
            user: self.random.below(USERS),
            session: self.random.next(),
            product: self.random.below(40_000),
            host: host.min(HOSTS.len() - 1),
            agent: self.random.below(AGENTS.len() as u64) as usize,
        }
    }

    fn entry(&mut self) -> EndpointId {
        let total: u32 = ENTRIES.iter().map(|(_, weight)| weight).sum();
        let mut left = self.random.below(u64::from(total)) as u32;
        for (endpoint, weight) in ENTRIES {
            if left < weight {
                return endpoint;
            }
            left -= weight;
        }
        ENTRIES[0].0
    }

    /// Adds a span that ends later; its place.
    fn open(&mut self, like: Like, start: u64) -> Option<usize> {
        if self.trace.spans.len() >= MAX_TRACE_SPANS {
            return None;
        }
        let span = Span {
            id: self.trace.span_id(),
            parent: like.parent.map(|place| place as u16),
            shape: like.shape,
            service: like.service,
            instance: self.world.instance_of(like.service, self.trace.bits),
            start,
            duration: 0,
            code: 200,
            failed: false,
            raised: false,
            random: self.random.next(),
        };
        self.trace.spans.push(span);
        Some(self.trace.spans.len() - 1)
    }

    fn close(&mut self, place: usize, end: u64, code: u16, failed: bool, raised: bool) {
        let span = &mut self.trace.spans[place];
        span.duration = end - span.start;
        span.code = code;
        span.failed = failed;
        span.raised = raised;
    }

    fn latency(&mut self, median_nanos: u64) -> u64 {
        let latency = self.world.latency.sample(median_nanos, self.random.next());
        match self.random.chance(TAIL_MILLIONTHS) {
            true => latency * (4 + self.random.below(24)),
            false => latency,
        }
    }

    fn serve(
        &mut self,
        id: EndpointId,
        shape: Shape,
        parent: Option<usize>,
        start: u64,
    ) -> Outcome {
        let endpoint = id.get();
        let like = Like { shape, service: endpoint.service, parent };
        let Some(place) = self.open(like, start) else {
            return Outcome { end: start, code: 200, failed: false };
        };
        let own = self.latency(u64::from(endpoint.median_micros) * 1_000);
        let mut now = start + own / 3;
        let mut failed = false;
        for (number, step) in endpoint.steps.iter().enumerate() {
            let (ended, broke) = self.step(id, number, step, place, now);
            now = ended;
            if broke {
                failed = true;
                break;
            }
        }
        let end = now + own * 2 / 3;
        let raised = !failed && self.random.chance(endpoint.failures * FAILURE_MILLIONTHS);
        let missed = self.random.chance(endpoint.misses);
        failed |= raised;
        let code = match (failed, missed, endpoint.protocol) {
            (true, ..) if raised => 500,
            (true, ..) => 502,
            (false, true, _) => 404,
            (false, false, Protocol::Http("POST", _)) => 201,
            _ => 200,
        };
        self.close(place, end, code, failed, raised);
        Outcome { end, code, failed }
    }

    /// When the step is done, and whether it broke what it is a part of.
    fn step(
        &mut self,
        id: EndpointId,
        number: usize,
        step: &Step,
        parent: usize,
        start: u64,
    ) -> (u64, bool) {
        let chance = match step {
            Step::Call(_, chance, _) | Step::Ask(_, chance, _) | Step::Work(_, chance, _) => chance,
        };
        if !self.random.chance(u32::from(*chance) * 10_000) {
            return (start, false);
        }
        let times = match step {
            Step::Call(_, _, most) | Step::Ask(_, _, most) => {
                1 + self.random.below(u64::from(*most))
            }
            Step::Work(..) => 1,
        };
        let mut now = start;
        for _ in 0..times {
            let failed = match step {
                Step::Call(callee, ..) => self.call(id, *callee, parent, &mut now),
                Step::Ask(query, ..) => self.ask(id, *query, parent, &mut now),
                Step::Work(_, _, median) => {
                    let shape = Shape::Work(id, number as u8);
                    let like = Like { shape, service: id.get().service, parent: Some(parent) };
                    let end = now + self.latency(u64::from(*median) * 1_000);
                    if let Some(place) = self.open(like, now) {
                        self.close(place, end, 200, false, false);
                        now = end;
                    }
                    false
                }
            };
            if failed && self.random.chance(PROPAGATED_MILLIONTHS) {
                return (now, true);
            }
            now += self.random.below(60_000);
        }
        (now, false)
    }

    fn call(
        &mut self,
        caller: EndpointId,
        callee: EndpointId,
        parent: usize,
        now: &mut u64,
    ) -> bool {
        let service = caller.get().service;
        if let Protocol::Topic(_) = callee.get().protocol {
            let like = Like { shape: Shape::Publish(callee), service, parent: Some(parent) };
            let Some(place) = self.open(like, *now) else { return false };
            let end = *now + self.latency(700_000);
            self.close(place, end, 200, false, false);
            let received = end + self.latency(QUEUE_MEDIAN);
            self.serve(callee, Shape::Consume(callee), Some(place), received);
            *now = end;
            return false;
        }
        let like = Like { shape: Shape::Call(callee), service, parent: Some(parent) };
        let Some(place) = self.open(like, *now) else { return false };
        let there = *now + self.latency(NETWORK_MEDIAN);
        let outcome = self.serve(callee, Shape::Serve(callee), Some(place), there);
        let end = outcome.end + self.latency(NETWORK_MEDIAN);
        // Semantic conventions, HTTP client spans: a status from 400 on is an error here.
        let failed = outcome.failed || outcome.code >= 400;
        self.close(place, end, outcome.code, failed, false);
        *now = end;
        outcome.failed
    }

    fn ask(&mut self, caller: EndpointId, query: QueryId, parent: usize, now: &mut u64) -> bool {
        let service = caller.get().service;
        let like = Like { shape: Shape::Ask(query), service, parent: Some(parent) };
        let Some(place) = self.open(like, *now) else { return false };
        let end = *now + self.latency(u64::from(query.get().median_micros) * 1_000);
        let failed = self.random.chance(query.get().failures * FAILURE_MILLIONTHS);
        self.close(place, end, if failed { 500 } else { 200 }, failed, failed);
        *now = end;
        failed
    }
}

/// What a span is opened with.
struct Like {
    shape: Shape,
    service: crate::shop::ServiceId,
    parent: Option<usize>,
}
