use super::*;
use crate::rollup::red::{RedPoints, RedRequest};
use proptest::prelude::*;

/// Service, operation, kind, start in seconds, duration, whether it is a root, an error.
type Row = (u8, u8, i32, u64, u64, bool, bool);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0..3_u8, 0..4_u8, -1..7_i32, 0..100_u64, 0..1_000_u64, any::<bool>(), any::<bool>());
    prop::collection::vec(row, 0..100)
}

fn count(rows: &[Row]) -> RollupBuilder {
    let mut builder = RollupBuilder::new();
    for &(service, operation, kind, start, duration, is_root, is_error) in rows {
        let (service, operation) = (format!("s{service}"), format!("o{operation}"));
        let series = builder.series(&service, &operation, kind);
        let start = UnixNanos(start * 1_000_000_000);
        let answers = answers(kind, is_root);
        builder.add(series, &RolledSpan { start, duration, answers, is_error });
    }
    builder
}

fn requests(builder: &RollupBuilder) -> u64 {
    let mut points = RedPoints::new(0, 10, 1);
    let request = RedRequest { cells: 0..10, ..RedRequest::default() };
    assert!(builder.red().red_into(&request, &mut points));
    points.into_points()[0].durations.count()
}

proptest! {
    #[test]
    fn counts_all_spans_and_the_requests_among_them(a in rows(), b in rows()) {
        let all = [a.clone(), b.clone()].concat();
        let mut builder = count(&a);
        builder.merge(&count(&b));
        prop_assert_eq!(builder.totals(), count(&all).totals());
        prop_assert_eq!(builder.totals().spans(), all.len() as u64);
        let expected = all.iter().filter(|row| row.5 || row.2 == 2 || row.2 == 5).count();
        prop_assert_eq!(requests(&builder), expected as u64);
    }
}

#[test]
fn names_beyond_the_limit_count_for_their_service() {
    let mut builder = RollupBuilder::new();
    let span = RolledSpan { start: UnixNanos(7), duration: 5, answers: true, is_error: true };
    let many = MAX_SERIES as u64 + 10;
    for n in 0..many {
        let series = builder.series("s", &format!("GET /{n}"), 2);
        builder.add(series, &span);
    }
    let other = builder.series("late", "o", 2);
    builder.add(other, &span);
    let totals = builder.totals();
    let summaries = totals.summaries();
    assert_eq!(summaries.len(), 1);
    assert_eq!((summaries[0].spans, summaries[0].errors), (many, many));
    assert_eq!(summaries[0].operations.len(), MAX_SERIES);
    assert_eq!(totals.spans(), many + 1);
    assert_eq!(requests(&builder), many + 1);

    let ask = |service, operation| {
        let request = RedRequest { service, operation, cells: 0..1 };
        let mut points = RedPoints::new(0, 1, 1);
        let told = builder.red().red_into(&request, &mut points);
        told.then(|| points.into_points()[0].durations.count())
    };
    assert_eq!(ask(Some("s"), Some("GET /3")), Some(1));
    assert_eq!(ask(Some("s"), Some("GET /16390")), None);
    assert_eq!(ask(Some("s"), None), Some(many));
    assert_eq!(ask(Some("late"), None), None);
    assert_eq!(ask(None, Some("GET /3")), None);
}
