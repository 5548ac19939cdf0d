//! `/red`: requests, errors and durations over time.

use super::{Answer, SharedStore, filter, micros, ok};
use crate::fault::Fault;
use crate::params::Params;
use axum::extract::State;
use carafe_store::{RedQuery, SpanFilter, TimeRange};
use serde_json::{Value as Json, json};
use std::time::Duration;

/// Points that the default step aims at.
const TARGET_POINTS: u64 = 60;

const SECOND: u64 = 1_000_000;

/// The longest step: a leap year.
const MAX_STEP: u64 = 366 * 24 * 3_600 * SECOND;

/// Steps that people read easily, in microseconds.
const STEPS: [u64; 22] = [
    1_000,
    10_000,
    100_000,
    SECOND / 5,
    SECOND / 2,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    60 * SECOND,
    2 * 60 * SECOND,
    5 * 60 * SECOND,
    10 * 60 * SECOND,
    15 * 60 * SECOND,
    30 * 60 * SECOND,
    3_600 * SECOND,
    3 * 3_600 * SECOND,
    6 * 3_600 * SECOND,
    12 * 3_600 * SECOND,
    24 * 3_600 * SECOND,
];

pub(super) async fn red(State(store): State<SharedStore>, params: Params) -> Answer {
    let range = filter::range(&params)?;
    let query = RedQuery {
        filter: SpanFilter { range, ..filter::filter(&params)? },
        step: Duration::from_micros(step(&params, range)?),
    };
    let red = store.red(&query).await?;
    let points: Vec<Json> = red
        .points
        .iter()
        .map(|point| {
            let [p50, p95, p99] = match point.percentiles {
                Some(percentiles) => percentiles.map(|duration| Json::from(micros(duration))),
                None => [Json::Null, Json::Null, Json::Null],
            };
            json!({
                "timeMicros": point.time.as_micros(),
                "count": point.count,
                "errors": point.errors,
                "p50Micros": p50,
                "p95Micros": p95,
                "p99Micros": p99,
            })
        })
        .collect();
    ok(&json!({
        "stepMicros": red.step.as_micros() as u64,
        "startMicros": red.points.first().map(|point| point.time.as_micros()),
        "points": points,
    }))
}

/// The step in microseconds.
fn step(params: &Params, range: TimeRange) -> Result<u64, Fault> {
    match params.integer("step")? {
        Some(step) => {
            u64::try_from(step).ok().filter(|step| (1..=MAX_STEP).contains(step)).ok_or_else(|| {
                Fault::bad_request(format!(
                    "unable to parse param 'step': {step} µs is not from 1 µs to 366 days"
                ))
            })
        }
        None => Ok(default_step(range)),
    }
}

fn default_step(range: TimeRange) -> u64 {
    let least = (range.end.as_micros() - range.start.as_micros()).div_ceil(TARGET_POINTS);
    let whole_days = || least.div_ceil(24 * 3_600 * SECOND) * 24 * 3_600 * SECOND;
    STEPS.iter().copied().find(|step| *step >= least).unwrap_or_else(whole_days)
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_telemetry::UnixNanos;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_default_step_always_fits(start in any::<u64>(), length in any::<u64>()) {
            let range =
                TimeRange { start: UnixNanos(start), end: UnixNanos(start.saturating_add(length)) };
            let filter = SpanFilter { range, ..SpanFilter::default() };
            let step = Duration::from_micros(default_step(range));
            let (_, _, points) = RedQuery { filter, step }.grid().unwrap();
            prop_assert!(points as u64 <= TARGET_POINTS + 1);
        }
    }

    #[test]
    fn an_hour_has_minutes() {
        let range = TimeRange {
            start: UnixNanos::from_micros(0),
            end: UnixNanos::from_micros(3_600 * SECOND),
        };
        assert_eq!(default_step(range), 60 * SECOND);
    }
}
