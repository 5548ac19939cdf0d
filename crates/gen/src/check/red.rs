//! Requests, errors and durations in steps.

use super::PERCENTILE_RELATIVE_ERROR;
use super::client::Client;
use super::report::Comparison;
use crate::answers::Red;
use crate::durations::OWN_ERROR;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Points that are asked for at once, below the API's limit of 2,000.
const POINTS: u64 = 1_500;

#[derive(Deserialize)]
struct Found {
    points: Vec<Point>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Point {
    time_micros: u64,
    count: u64,
    errors: u64,
    p50_micros: Option<f64>,
    p95_micros: Option<f64>,
    p99_micros: Option<f64>,
}

pub(super) async fn compare(client: &Client, red: &Red) -> Comparison {
    let question = &red.question;
    let mut comparison = Comparison::new(format!("requests, errors, durations {}", question.title));
    let step = question.step;
    let (start, end) = question.filter.range;
    let mut from = start;
    while from <= end {
        // A range ends with its last moment. So it is asked up to the first moment of the
        // next point, which is left out, unless it is the last of all.
        let border = (from / step + POINTS) * step;
        let to = border.min(end);
        let mut filter = question.filter.clone();
        filter.range = (from, to);
        let mut params = filter.params();
        params.push(("step", step.to_string()));
        let found = client.read::<Found>("/api/carafe/v1/red", &params).await;
        let Some(found) = comparison.answer(found) else { return comparison };
        let last = if to < end { border / step } else { end / step + 1 };
        compare_points(&mut comparison, red, (from / step, last), found.points);
        from = border.max(from + 1);
    }
    comparison
}

/// Compares the points with these numbers since the epoch, the end not included.
fn compare_points(
    comparison: &mut Comparison,
    red: &Red,
    (first, end): (u64, u64),
    points: Vec<Point>,
) {
    let step = red.question.step;
    let mut found: BTreeMap<u64, Point> =
        points.into_iter().map(|point| (point.time_micros / step, point)).collect();
    for number in first..end {
        let at = number * step / 1_000_000;
        let Some(point) = found.remove(&number) else {
            comparison.differ(|| format!("the point at {at} s is missing"));
            continue;
        };
        let expected = red.cells.get(&number).cloned().unwrap_or_default();
        let counts = (point.count, point.errors);
        let what = format!("requests and errors at {at} s");
        comparison.equal(&what, counts, (expected.count, expected.errors));
        let percentiles =
            [(0.5, point.p50_micros), (0.95, point.p95_micros), (0.99, point.p99_micros)];
        for (quantile, found) in percentiles {
            let what = || format!("quantile {quantile} at {at} s in µs");
            match expected.durations.quantile(quantile).filter(|_| expected.count > 0) {
                Some(exact) => {
                    let allowed = PERCENTILE_RELATIVE_ERROR + OWN_ERROR;
                    comparison.near(&what(), found, exact / 1e3, allowed);
                }
                None if expected.count == 0 => comparison.equal(&what(), found, None),
                None => {}
            }
        }
    }
}
