use super::*;
use crate::model;
use crate::recipe::{Fraction, Recipe};
use crate::world::test_recipe;
use carafe_telemetry::Request as Otlp;
use carafe_telemetry::otlp;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// All requests of a run.
fn run(world: &World) -> Vec<Request> {
    let blocks = Blocks::new(world);
    let mut requests = Vec::new();
    let mut scratch = Scratch::default();
    for step in 0..blocks.steps() {
        blocks.step(step, &mut scratch, &mut |request| requests.push(request));
    }
    requests
}

/// Spans with their resource and scope, by ids.
type Spans = BTreeMap<(Vec<u8>, Vec<u8>), (otlp::Resource, otlp::InstrumentationScope, otlp::Span)>;

fn sent_spans(requests: &[Request]) -> Spans {
    let mut spans = Spans::new();
    for request in requests.iter().filter(|request| request.batch.signal == Signal::Traces) {
        let Otlp::Traces(decoded) = request.batch.decode().unwrap() else { panic!("not traces") };
        let mut items = 0;
        for of_resource in decoded.resource_spans {
            for of_scope in of_resource.scope_spans {
                for span in of_scope.spans {
                    items += 1;
                    let key = (span.trace_id.clone(), span.span_id.clone());
                    let resource = of_resource.resource.clone().unwrap();
                    let all = (resource, of_scope.scope.clone().unwrap(), span);
                    let before = spans.insert(key, all.clone());
                    assert_eq!(before.is_some(), request.copy);
                    assert!(before.is_none_or(|before| before == all));
                }
            }
        }
        assert_eq!(items, request.items);
        assert!(items as usize <= 100);
    }
    spans
}

fn model_spans(world: &World) -> Spans {
    let mut spans = Spans::new();
    let mut trace = Trace::default();
    for index in 0..world.traces() {
        trace.generate(world, index);
        for span in &trace.spans {
            let process = &world.instances[usize::from(span.instance)];
            let scope = process.scopes[span.scope() as usize].clone();
            let full = model::span(world, &trace, span);
            let key = (full.trace_id.clone(), full.span_id.clone());
            spans.insert(key, (process.resource.clone(), scope, full));
        }
    }
    spans
}

fn recipe(seed: u64, late: f64, duplicate: f64, skew: f64) -> Recipe {
    let fraction = |value| Fraction::new(value).unwrap();
    Recipe {
        seed,
        late: fraction(late),
        duplicate: fraction(duplicate),
        skew: fraction(skew),
        ..test_recipe(6_000)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn requests_hold_the_model_and_nothing_else(
        seed: u64, late in 0.0..1.0_f64, duplicate in 0.0..1.0_f64, skew in 0.0..1.0_f64,
    ) {
        let world = World::new(recipe(seed, late, duplicate, skew));
        let requests = run(&world);
        prop_assert!(sent_spans(&requests) == model_spans(&world));
        let originals = requests.iter().filter(|request| !request.copy);
        let ids: BTreeSet<RequestId> = originals.clone().map(|request| request.id).collect();
        prop_assert_eq!(ids.len(), originals.count());
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let bytes = |seed| -> Vec<(RequestId, Bytes)> {
        let world = World::new(recipe(seed, 0.1, 0.1, 0.1));
        run(&world).into_iter().map(|request| (request.id, request.batch.bytes)).collect()
    };
    assert!(bytes(1) == bytes(1));
    assert!(bytes(1) != bytes(2));
}

#[test]
fn fractions_are_about_what_they_say() {
    let world = World::new(Recipe { spans: 60_000, ..recipe(3, 0.2, 0.25, 0.0) });
    let requests = run(&world);
    let spans = |wanted: &dyn Fn(&&Request) -> bool| -> f64 {
        let spans = requests.iter().filter(|request| request.batch.signal == Signal::Traces);
        spans.filter(wanted).map(|request| request.items as f64).sum()
    };
    let all = spans(&|request| !request.copy);
    let late = spans(&|request| part_of(request.id) == Part::LateSpans);
    let copied = spans(&|request| request.copy);
    assert!((0.1..0.3).contains(&(late / all)), "{late} of {all}");
    assert!((0.12..0.35).contains(&(copied / all)), "{copied} of {all}");
}

#[test]
fn logs_and_points_are_sent_once_each() {
    let world = World::new(recipe(5, 0.3, 0.5, 0.1));
    let mut expected = BTreeMap::new();
    let (mut trace, mut logs) = (Trace::default(), Vec::new());
    for index in 0..world.traces() {
        trace.generate(&world, index);
        log::of_trace(&world, &trace, &mut logs);
    }
    for log in &logs {
        expected.insert(log.uid().as_str().to_owned(), model::log(&world, log));
    }
    assert_eq!(expected.len(), logs.len(), "names are unique");
    let mut points = 0;
    for request in run(&world) {
        match request.batch.decode().unwrap() {
            Otlp::Logs(decoded) => {
                let scopes = decoded.resource_logs.into_iter().flat_map(|r| r.scope_logs);
                for record in scopes.flat_map(|scope| scope.log_records) {
                    let uid =
                        otlp::find_str(&record.attributes, "log.record.uid").unwrap().to_owned();
                    assert_eq!(expected.remove(&uid), Some(record));
                }
            }
            decoded @ Otlp::Metrics(_) => {
                assert_eq!(decoded.items() as u64, request.items);
                points += request.items;
            }
            Otlp::Traces(_) => {}
        }
    }
    assert!(expected.is_empty(), "{} log records were not sent", expected.len());
    let blocks = Blocks::new(&world);
    assert_eq!(points % blocks.ticks.count, 0);
    assert!(points > 100);
}
