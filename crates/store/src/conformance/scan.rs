//! Pages of everything.

use super::Subject;
use super::data::{self, T0};
use crate::interface::Store;
use crate::query::{MetricQuery, ScanQuery, TimeRange};
use crate::record::PointValue;
use carafe_telemetry::{Batch, Signal, UnixNanos, otlp};
use std::sync::Arc;

pub(super) async fn a_scan_gives_everything_once(subject: Subject) {
    let spans = data::spans(53, 100);
    let logs = data::logs(54, 300);
    let points = data::points(55, 300);
    data::append_spans(&subject.store, &spans).await;
    data::append(&subject.store, &data::logs_request(&logs)).await;
    data::append(&subject.store, &data::metrics_request(&points)).await;
    let store = subject.settled().await.store;
    let half = T0 + 150_000_000;
    for (start, end) in [(0, u64::MAX), (half, u64::MAX), (0, half), (1, 2)] {
        let inside = |time: u64| (start..=end).contains(&time);
        let mut expected: Vec<String> = Vec::new();
        let of_range = spans.iter().filter(|span| inside(span.start));
        expected.extend(of_range.map(|span| format!("{:?}", span.to_otlp())));
        expected.extend(logs.iter().filter(|log| inside(log.time)).map(|log| log.body.clone()));
        let of_range = points.iter().filter(|point| inside(point.time));
        expected.extend(of_range.map(|p| format!("{} {} {}", p.name, p.time, p.value)));
        for limit in [1, 64, 10_000] {
            let range = TimeRange { start: UnixNanos(start), end: UnixNanos(end) };
            let mut found = scan_all(&store, range, limit).await;
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "pages of {limit}");
        }
    }
}

async fn scan_all(store: &Arc<dyn Store>, range: TimeRange, limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    for signal in Signal::ALL {
        let mut after = None;
        loop {
            let query = ScanQuery { signal, range, after, limit };
            let page = store.scan(&query).await.expect("a page");
            if let Some(batch) = page.batch {
                assert_eq!(batch.signal, signal);
                found.extend(items(&batch));
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    found
}

/// One line for each item of a batch.
fn items(batch: &Batch) -> Vec<String> {
    let decoded = crate::decode(batch, UnixNanos(0)).expect("a scan gives OTLP");
    assert_eq!(decoded.appended.rejected_items, 0);
    match decoded.records {
        crate::Records::Spans(spans) => {
            spans.iter().map(|span| format!("{:?}", *span.span)).collect()
        }
        crate::Records::Logs(logs) => logs
            .iter()
            .map(|log| crate::value::text(log.log.body.as_ref().expect("a body")).into_owned())
            .collect(),
        crate::Records::Points(points) => points
            .iter()
            .map(|record| {
                let PointValue::Number(number) = &record.point.value else {
                    panic!("numbers were stored, not {record:?}")
                };
                let Some(otlp::number_data_point::Value::AsDouble(value)) = number.value else {
                    panic!("doubles were stored, not {number:?}")
                };
                format!("{} {} {value}", record.series.metric.name, record.point.time.0)
            })
            .collect(),
    }
}

/// An export and an import give the same store.
pub(super) async fn what_was_scanned_can_be_stored_again(subject: Subject) {
    let spans = data::spans(56, 40);
    let points = data::points(57, 100);
    data::append_spans(&subject.store, &spans).await;
    data::append(&subject.store, &data::metrics_request(&points)).await;
    let subject = subject.settled().await;
    let copy: Arc<dyn Store> = Arc::new(crate::MemoryStore::default());
    for signal in [Signal::Traces, Signal::Metrics] {
        let mut after = None;
        loop {
            let query = ScanQuery { signal, range: TimeRange::ALL, after, limit: 30 };
            let page = subject.store.scan(&query).await.expect("a page");
            if let Some(batch) = page.batch {
                let appended = copy.append(batch).await.expect("an export can be imported");
                assert_eq!(appended.rejected_items, 0);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    for trace in 1..=40 {
        let original = subject.store.trace(data::trace_id(trace)).await.expect("an answer");
        let copied = copy.trace(data::trace_id(trace)).await.expect("an answer");
        assert_eq!(original.expect("a trace").spans, copied.expect("a trace").spans);
    }
    let query = MetricQuery {
        name: None,
        service: None,
        attributes: Vec::new(),
        range: TimeRange::ALL,
        limit: 1_000,
    };
    let series = |page: crate::MetricPage| -> Vec<_> {
        page.series.into_iter().map(|s| ((*s.series).clone(), s.points)).collect()
    };
    let original = series(subject.store.select_metrics(&query).await.expect("a page"));
    assert!(!original.is_empty());
    assert_eq!(original, series(copy.select_metrics(&query).await.expect("a page")));
}
