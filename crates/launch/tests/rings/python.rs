//! Rings of the Python engine.

use super::bench::{Bench, Living, Writer, dead_pid, wait_until};
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::{
    self, InstrumentationScope, KeyValueList, LogRecord, Metric, Resource, ResourceMetrics,
    ScopeSpans, Span, find_str, metric, number_data_point::Value,
};
use carafe_wire::record::{
    Definition, Instrument, InstrumentKind, Measurement, Notice, NoticeKind, Number, Record, Scoped,
};
use prost::Message;

impl Writer {
    fn resource(&mut self, instance: &str) {
        let attributes = vec![
            otlp::string("telemetry.sdk.language", "python"),
            otlp::string("service.instance.id", instance),
        ];
        let resource = Resource { attributes, ..Default::default() };
        self.push(&Record::Resource(&resource.encode_to_vec()));
    }

    fn scope(&mut self, id: u32, name: &str) {
        let scope = InstrumentationScope { name: name.into(), ..Default::default() };
        let scope = ScopeSpans { scope: Some(scope), ..Default::default() };
        self.push(&Record::Scope(Definition { id, otlp: &scope.encode_to_vec() }));
    }

    fn span(&mut self, scope: u32, name: &str) {
        let span = Span {
            name: name.into(),
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            ..Default::default()
        };
        self.push(&Record::Span(Scoped { scope, otlp: &span.encode_to_vec() }));
    }

    fn counter(&mut self, id: u32, scope: u32, name: &str) {
        let metric = Metric { name: name.into(), ..Default::default() };
        let otlp = metric.encode_to_vec();
        let kind = InstrumentKind::Counter;
        self.push(&Record::Instrument(Instrument { id, scope, kind, otlp: &otlp }));
    }

    fn count(&mut self, instrument: u32, attributes: u32, value: i64) {
        let value = Number::Int(value);
        self.push(&Record::Measurement(Measurement {
            instrument,
            attributes,
            time_unix_ns: 5,
            value,
            span: None,
        }));
    }
}

fn instance_of(resource: &Resource) -> &str {
    find_str(&resource.attributes, "service.instance.id").unwrap()
}

/// Instance, scope, metric and value of every sum.
fn sums(metrics: &[ResourceMetrics]) -> Vec<String> {
    let mut found = Vec::new();
    for of_resource in metrics {
        let instance = instance_of(of_resource.resource.as_ref().unwrap());
        for of_scope in &of_resource.scope_metrics {
            let scope = &of_scope.scope.as_ref().unwrap().name;
            for metric in &of_scope.metrics {
                if let Some(metric::Data::Sum(sum)) = &metric.data
                    && let Some(Value::AsInt(value)) = sum.data_points[0].value
                {
                    found.push(format!("{instance} {scope} {} {value}", metric.name));
                }
            }
        }
    }
    found.sort();
    found
}

fn report(bench: &Bench) -> Vec<String> {
    let report = bench.registry.collect(UnixNanos::now());
    sums(&report.map(|report| report.resource_metrics).unwrap_or_default())
}

#[test]
fn finished_telemetry_is_given_out_as_it_is() {
    let bench = Bench::new();
    let mut writer = bench.python_ring(dead_pid(), 1);
    writer.resource("mine");
    writer.scope(7, "flask");
    writer.span(7, "GET /");
    let record = LogRecord { severity_number: 9, ..Default::default() };
    writer.push(&Record::Log(Scoped { scope: 7, otlp: &record.encode_to_vec() }));
    let text = b"flask\x003.1\x00\x00";
    writer.push(&Record::Notice(Notice { kind: NoticeKind::Instrumented, text }));
    bench.read_once();
    let items = bench.spans.items();
    assert_eq!(Span::decode(&*items[0].1).unwrap().name, "GET /");
    assert_eq!(LogRecord::decode(&*items[1].1).unwrap(), record);
    for (origin, _) in &items {
        assert_eq!(instance_of(&origin.resource), "mine");
        let scope = ScopeSpans::decode(&*origin.scope).unwrap();
        assert_eq!(scope.scope.unwrap().name, "flask");
    }
    assert_eq!(bench.spans.notices(), ["flask|3.1||"]);
    assert_eq!(bench.unusable(), 0);
    assert!(!writer.path.exists());
}

#[test]
fn what_cannot_be_used_is_counted_and_nothing_else() {
    let bench = Bench::new();
    let mut writer = bench.python_ring(dead_pid(), 1);
    writer.scope(1, "app");
    writer.span(2, "in no scope");
    for otlp in [&b"\xff\xff"[..], &Span::default().encode_to_vec()] {
        writer.push(&Record::Span(Scoped { scope: 1, otlp }));
        writer.push(&Record::Log(Scoped { scope: 9, otlp }));
    }
    writer.push(&Record::Scope(Definition { id: u32::MAX, otlp: b"" }));
    writer.push(&Record::Attributes(Definition { id: 1, otlp: b"\xff" }));
    writer.push(&Record::Resource(b"\xff"));
    writer.count(5, 0, 1);
    writer.exchange(3);
    writer.span(1, "good");
    bench.read_once();
    assert_eq!(bench.spans.count(), 1);
    // The exchange is three records of the other engine.
    assert_eq!(bench.unusable(), 1 + 4 + 3 + 1 + 3);
}

#[test]
fn both_engines_of_a_process_are_one_instance() {
    let bench = Bench::new();
    let pid = dead_pid();
    let mut universal = bench.ring(pid, 2);
    universal.request(1);
    let mut python = bench.python_ring(pid, 1);
    python.resource("mine");
    python.scope(1, "app");
    python.counter(1, 1, "things");
    python.count(1, 0, 2);
    python.count(1, 0, 3);
    bench.read_once();
    assert_eq!(bench.counters.processes.load(std::sync::atomic::Ordering::Relaxed), 1);
    let report = bench.registry.collect(UnixNanos::now()).unwrap().resource_metrics;
    assert_eq!(report.len(), 1);
    let expected = ["mine app things 5", "mine carafe.universal http.server.active_requests 0"];
    assert_eq!(sums(&report), expected);
    assert!(bench.registry.collect(UnixNanos::now()).is_none(), "it has ended");
}

#[test]
fn attribute_sets_are_told_apart() {
    let bench = Bench::new();
    let mut writer = bench.python_ring(dead_pid(), 1);
    writer.scope(1, "app");
    writer.counter(1, 1, "things");
    for id in 1..=2 {
        let list = KeyValueList { values: vec![otlp::int("n", id.into())] };
        writer.push(&Record::Attributes(Definition { id, otlp: &list.encode_to_vec() }));
        writer.count(1, id, 1);
    }
    bench.read_once();
    let report = bench.registry.collect(UnixNanos::now()).unwrap().resource_metrics;
    let Some(metric::Data::Sum(sum)) = &report[0].scope_metrics[0].metrics[0].data else {
        panic!()
    };
    assert_eq!(sum.data_points.len(), 2);
}

/// A program that replaced itself: what the first one measured is reported once more.
#[test]
fn a_younger_ring_of_the_same_engine_takes_over() {
    let bench = Bench::new();
    let process = Living::new();
    let pid = process.0.id();
    let mut first = bench.python_ring(pid, 10);
    let mut seen = bench.ring(pid, 20);
    first.resource("first");
    first.scope(1, "app");
    first.counter(1, 1, "things");
    first.count(1, 0, 1);
    seen.exchange(1);
    let thread = bench.start();
    wait_until("the first one is read", || bench.spans.count() == 1);

    let mut second = bench.python_ring(pid, 30);
    second.resource("second");
    second.scope(1, "other");
    second.counter(1, 1, "others");
    second.count(1, 0, 7);
    wait_until("the first one's rings are removed", || !first.path.exists() && !seen.path.exists());
    let reported = report(&bench);
    assert!(reported.contains(&"first app things 1".to_owned()), "{reported:?}");
    assert!(reported.contains(&"second other others 7".to_owned()), "{reported:?}");
    assert!(!report(&bench).iter().any(|line| line.starts_with("first app")));

    // The second one's messages come on a ring of their own, younger than its telemetry.
    let mut messages = bench.ring(pid, 40);
    messages.exchange(1);
    second.count(1, 0, 1);
    wait_until("it is read", || bench.spans.count() == 2);
    wait_until("so is the other", || report(&bench).contains(&"second other others 8".to_owned()));
    assert!(second.path.exists());

    // A third program without the Python engine.
    let mut third = bench.ring(pid, 50);
    third.exchange(1);
    wait_until("nothing of the second is left", || {
        !second.path.exists() && !messages.path.exists()
    });
    assert!(third.path.exists());
    bench.finish(thread);
}
