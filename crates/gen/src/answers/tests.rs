use super::*;
use crate::recipe::{Fraction, Recipe};
use crate::world::test_recipe;

fn world() -> World {
    let fraction = |value| Fraction::new(value).unwrap();
    World::new(Recipe { skew: fraction(0.1), late: fraction(0.2), ..test_recipe(40_000) })
}

/// All spans, with their traces.
fn spans(world: &World) -> Vec<(Trace, usize)> {
    let mut spans = Vec::new();
    for index in 0..world.traces() {
        let mut trace = Trace::default();
        trace.generate(world, index);
        spans.extend((0..trace.spans.len()).map(|at| (trace.clone(), at)));
    }
    spans
}

#[test]
fn counts_equal_a_naive_recount() {
    let world = world();
    let questions = Questions::new(&world);
    let answers = Answers::new(&world, &questions);
    let spans = spans(&world);
    assert_eq!(answers.spans, spans.len() as u64);
    let mut operations = BTreeMap::<OperationKey, (u64, u64)>::new();
    let mut durations = BTreeMap::<OperationKey, Vec<u64>>::new();
    for (trace, at) in &spans {
        let span = &trace.spans[*at];
        let key = (span.service.get().name, span.name(&world).to_owned(), span.kind());
        let counts = operations.entry(key.clone()).or_default();
        *counts = (counts.0 + 1, counts.1 + u64::from(span.failed));
        durations.entry(key).or_default().push(span.duration);
    }
    assert_eq!(answers.operations.len(), operations.len());
    for (key, operation) in &answers.operations {
        assert_eq!((operation.spans, operation.errors), operations[key], "{key:?}");
        let durations = durations.get_mut(key).unwrap();
        durations.sort_unstable();
        let median = durations[(durations.len() as f64 * 0.5).ceil() as usize - 1] as f64;
        let found = operation.durations.quantile(0.5).unwrap();
        assert!((found - median).abs() <= median / 1_000.0, "{key:?}: {found} {median}");
    }
    let errors: u64 = operations.values().map(|counts| counts.1).sum();
    assert!(errors > 50, "{errors}");
}

#[test]
fn red_cells_hold_each_answering_span_once() {
    let world = world();
    let questions = Questions::new(&world);
    let answers = Answers::new(&world, &questions);
    let spans = spans(&world);
    let wanted = |trace: &Trace, at: usize| trace.spans[at].answers();
    for red in &answers.reds {
        let filter = &red.question.filter;
        let board = Board::new(&world, vec![filter.clone()]);
        let mut expected = BTreeMap::<u64, (u64, u64)>::new();
        for (trace, at) in spans.iter().filter(|(trace, at)| wanted(trace, *at)) {
            let span = &trace.spans[*at];
            let failed = trace.spans.iter().any(|span| span.failed);
            if board.matches(&world, trace, span) == 1 && (failed || !filter.errors_only) {
                let cell = expected.entry(span.start / 1_000 / red.question.step).or_default();
                *cell = (cell.0 + 1, cell.1 + u64::from(span.failed));
            }
        }
        let found: BTreeMap<u64, (u64, u64)> =
            red.cells.iter().map(|(at, cell)| (*at, (cell.count, cell.errors))).collect();
        assert_eq!(found, expected, "{}", red.question.title);
        assert!(!found.is_empty(), "{}", red.question.title);
    }
}

#[test]
fn searches_find_what_looking_at_every_span_finds() {
    let world = world();
    let questions = Questions::new(&world);
    let answers = Answers::new(&world, &questions);
    let spans = spans(&world);
    let mut empty = Vec::new();
    for (search, newest) in questions.searches.iter().zip(&answers.searches) {
        let board = Board::new(&world, vec![search.filter.clone()]);
        let failed = |trace: &Trace| trace.spans.iter().any(|span| span.failed);
        let mut matching: Vec<(u64, u64)> = spans
            .iter()
            .filter(|(trace, at)| board.matches(&world, trace, &trace.spans[*at]) == 1)
            .filter(|(trace, _)| !search.filter.errors_only || failed(trace))
            .map(|(trace, at)| (trace.spans[*at].start, trace.index))
            .collect();
        matching.sort_unstable_by(|a, b| b.cmp(a));
        let mut traces = Vec::new();
        for (_, trace) in matching {
            if !traces.contains(&trace) {
                traces.push(trace);
            }
        }
        let (page, more) = newest.page(search.limit);
        assert_eq!(page, traces[..traces.len().min(search.limit)], "{}", search.title);
        assert_eq!(more, traces.len() > search.limit, "{}", search.title);
        if page.is_empty() {
            empty.push(search.title.as_str());
        }
    }
    assert_eq!(empty, ["server.address, nowhere"]);
    for search in &answers.log_searches {
        assert_eq!(search.page().0.is_empty(), search.filter.title == "nothing", "{search:?}");
    }
}
