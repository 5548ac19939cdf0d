//! HTTP metrics of one process, aggregated here instead of in the app.

use crate::http::{Labels, Semconv, Traced};
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::{
    AggregationTemporality, Exemplar, Histogram, HistogramDataPoint, InstrumentationScope, Metric,
    NumberDataPoint, ScopeMetrics, Span, Sum, exemplar, metric, number_data_point,
};
use carafe_wire::record::InstrumentKind;
use std::collections::HashMap;

/// Label sets per instrument; further ones are counted together under
/// [`Labels::overflow`] (the metrics SDK specification's default).
pub(crate) const CARDINALITY_LIMIT: usize = 2_000;

/// Buckets of durations in milliseconds: the SDK's default boundaries.
pub(crate) const BOUNDS_MS: &[f64] = &[
    0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0,
    10000.0,
];

/// Buckets of durations in seconds: the advice of the HTTP semantic conventions.
const BOUNDS_S: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Which measurements become exemplars (`OTEL_METRICS_EXEMPLAR_FILTER`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExemplarFilter {
    /// Those of sampled spans.
    #[default]
    TraceBased,
    /// Those of sampled spans too: an exemplar without a span tells nothing here.
    AlwaysOn,
    /// None.
    AlwaysOff,
}

/// What sums and histograms count from
/// (`OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Temporality {
    /// The start of the process.
    #[default]
    Cumulative,
    /// The last report; sums that can fall still the start.
    Delta,
    /// As `Delta`, but observed sums from the start too.
    LowMemory,
}

impl Temporality {
    /// The temporality of an instrument (OTLP exporter specification, "Additional environment
    /// variable configuration").
    pub fn of(self, kind: InstrumentKind) -> AggregationTemporality {
        use InstrumentKind::{Counter, Histogram, ObservableCounter};
        let is_delta = match self {
            Self::Cumulative => false,
            Self::Delta => matches!(kind, Counter | ObservableCounter | Histogram),
            Self::LowMemory => matches!(kind, Counter | Histogram),
        };
        if is_delta { AggregationTemporality::Delta } else { AggregationTemporality::Cumulative }
    }
}

/// How metrics are reported.
#[derive(Debug, Clone, Copy, Default)]
pub struct MetricOptions {
    /// Names of metrics and labels.
    pub semconv: Semconv,
    /// What sums and histograms count from.
    pub temporality: Temporality,
    /// Whether histograms that the app defines have exponential buckets
    /// (`OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`).
    pub is_exponential: bool,
    /// Which measurements become exemplars.
    pub exemplars: ExemplarFilter,
}

/// The HTTP instruments of one process.
#[derive(Debug)]
pub struct HttpMetrics {
    options: MetricOptions,
    started: UnixNanos,
    reported: UnixNanos,
    active: HashMap<Labels, i64>,
    server_ms: Durations,
    server_s: Durations,
    client_ms: Durations,
    client_s: Durations,
}

impl HttpMetrics {
    /// Nothing measured yet.
    pub fn new(options: MetricOptions, now: UnixNanos) -> Self {
        Self {
            options,
            started: now,
            reported: now,
            active: HashMap::new(),
            server_ms: Durations::new("http.server.duration", Unit::Milliseconds, "inbound"),
            server_s: Durations::new("http.server.request.duration", Unit::Seconds, "server"),
            client_ms: Durations::new("http.client.duration", Unit::Milliseconds, "outbound"),
            client_s: Durations::new("http.client.request.duration", Unit::Seconds, "client"),
        }
    }

    /// A request to the app has begun.
    pub fn request_started(&mut self, labels: Labels) {
        let labels = within_limit(&self.active, labels);
        *self.active.entry(labels).or_default() += 1;
    }

    /// An exchange is over.
    pub fn finished(&mut self, traced: &Traced, now: UnixNanos) {
        if traced.is_server {
            let labels = within_limit(&self.active, traced.active_labels.clone());
            if let Some(active) = self.active.get_mut(&labels) {
                *active -= 1;
            }
        }
        let exemplar = match self.options.exemplars {
            ExemplarFilter::AlwaysOff => None,
            ExemplarFilter::AlwaysOn | ExemplarFilter::TraceBased => traced.span.as_ref(),
        };
        let (old, stable) = if traced.is_server {
            (&mut self.server_ms, &mut self.server_s)
        } else {
            (&mut self.client_ms, &mut self.client_s)
        };
        for (durations, labels) in [(old, &traced.old_labels), (stable, &traced.stable_labels)] {
            if let Some(labels) = labels {
                durations.record(labels.clone(), traced.duration_ns, exemplar, now);
            }
        }
    }

    /// What has been measured; `None` where nothing was yet.
    pub fn collect(&mut self, now: UnixNanos) -> Option<ScopeMetrics> {
        let temporality = self.options.temporality.of(InstrumentKind::Histogram);
        let is_delta = temporality == AggregationTemporality::Delta;
        let start = if is_delta { self.reported } else { self.started };
        let mut metrics = Vec::new();
        metrics.extend(self.active_requests(now));
        let all =
            [&mut self.server_ms, &mut self.server_s, &mut self.client_ms, &mut self.client_s];
        for durations in all {
            metrics.extend(durations.metric(start, now, temporality));
            if is_delta {
                durations.series.clear();
            }
        }
        self.reported = now;
        (!metrics.is_empty()).then(|| ScopeMetrics {
            scope: Some(scope()),
            metrics,
            schema_url: self.options.semconv.schema_url().to_owned(),
        })
    }

    /// `http.server.active_requests`. Not monotonic, so cumulative whatever is preferred.
    fn active_requests(&self, now: UnixNanos) -> Option<Metric> {
        let data_points: Vec<_> = self
            .active
            .iter()
            .map(|(labels, count)| NumberDataPoint {
                attributes: labels.to_key_values(),
                start_time_unix_nano: self.started.0,
                time_unix_nano: now.0,
                value: Some(number_data_point::Value::AsInt(*count)),
                ..Default::default()
            })
            .collect();
        let (description, unit) = if self.options.semconv.has_stable() {
            ("Number of active HTTP server requests.", "{request}")
        } else {
            (
                "Measures the number of concurrent HTTP requests that are currently in-flight.",
                "requests",
            )
        };
        let data = Sum {
            data_points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: false,
        };
        (!data.data_points.is_empty()).then(|| Metric {
            name: "http.server.active_requests".to_owned(),
            description: description.to_owned(),
            unit: unit.to_owned(),
            data: Some(metric::Data::Sum(data)),
            ..Default::default()
        })
    }
}

/// The scope of everything that the universal engine reports.
pub fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "carafe.universal".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Default::default()
    }
}

fn within_limit<V>(series: &HashMap<Labels, V>, labels: Labels) -> Labels {
    if series.len() < CARDINALITY_LIMIT || series.contains_key(&labels) {
        labels
    } else {
        Labels::overflow()
    }
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Milliseconds,
    Seconds,
}

/// A histogram of durations.
#[derive(Debug)]
struct Durations {
    name: &'static str,
    unit: Unit,
    direction: &'static str,
    series: HashMap<Labels, Series>,
}

#[derive(Debug)]
struct Series {
    counts: Vec<u64>,
    sum: f64,
    min: f64,
    max: f64,
    /// The last measurement of each bucket that has a span.
    exemplars: Vec<Option<Exemplar>>,
}

impl Durations {
    fn new(name: &'static str, unit: Unit, direction: &'static str) -> Self {
        Self { name, unit, direction, series: HashMap::new() }
    }

    fn bounds(&self) -> &'static [f64] {
        match self.unit {
            Unit::Milliseconds => BOUNDS_MS,
            Unit::Seconds => BOUNDS_S,
        }
    }

    fn record(&mut self, labels: Labels, duration_ns: u64, span: Option<&Span>, now: UnixNanos) {
        let value = match self.unit {
            // The old conventions measure whole milliseconds.
            Unit::Milliseconds => (duration_ns as f64 / 1e6).round(),
            Unit::Seconds => duration_ns as f64 / 1e9,
        };
        let bounds = self.bounds();
        // A bucket's upper bound belongs to it.
        let bucket = bounds.partition_point(|bound| *bound < value);
        let labels = within_limit(&self.series, labels);
        let series = self.series.entry(labels).or_insert_with(|| Series {
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            exemplars: vec![None; bounds.len() + 1],
        });
        series.counts[bucket] += 1;
        series.sum += value;
        series.min = series.min.min(value);
        series.max = series.max.max(value);
        if let Some(span) = span {
            series.exemplars[bucket] = Some(Exemplar {
                time_unix_nano: now.0,
                span_id: span.span_id.clone(),
                trace_id: span.trace_id.clone(),
                value: Some(exemplar::Value::AsDouble(value)),
                ..Default::default()
            });
        }
    }

    fn metric(
        &self,
        start: UnixNanos,
        now: UnixNanos,
        temporality: AggregationTemporality,
    ) -> Option<Metric> {
        let data_points: Vec<_> = self
            .series
            .iter()
            .map(|(labels, series)| HistogramDataPoint {
                attributes: labels.to_key_values(),
                start_time_unix_nano: start.0,
                time_unix_nano: now.0,
                count: series.counts.iter().sum(),
                sum: Some(series.sum),
                bucket_counts: series.counts.clone(),
                explicit_bounds: self.bounds().to_vec(),
                min: Some(series.min),
                max: Some(series.max),
                exemplars: series.exemplars.iter().flatten().cloned().collect(),
                ..Default::default()
            })
            .collect();
        let (description, unit) = match self.unit {
            Unit::Milliseconds => {
                (format!("Measures the duration of {} HTTP requests.", self.direction), "ms")
            }
            Unit::Seconds => (format!("Duration of HTTP {} requests.", self.direction), "s"),
        };
        (!data_points.is_empty()).then(|| Metric {
            name: self.name.to_owned(),
            description,
            unit: unit.to_owned(),
            data: Some(metric::Data::Histogram(Histogram {
                data_points,
                aggregation_temporality: temporality.into(),
            })),
            ..Default::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traced(duration_ns: u64, labels: Labels, is_server: bool) -> Traced {
        Traced {
            span: Some(Span { span_id: vec![1; 8], trace_id: vec![2; 16], ..Default::default() }),
            duration_ns,
            old_labels: Some(labels.clone()),
            stable_labels: Some(labels.clone()),
            active_labels: labels,
            is_server,
        }
    }

    fn metrics(temporality: Temporality) -> HttpMetrics {
        let options = MetricOptions { semconv: Semconv::Both, temporality, ..Default::default() };
        HttpMetrics::new(options, UnixNanos(1))
    }

    fn points(scope: &ScopeMetrics, name: &str) -> Vec<HistogramDataPoint> {
        match scope.metrics.iter().find(|metric| metric.name == name).and_then(|m| m.data.clone()) {
            Some(metric::Data::Histogram(histogram)) => histogram.data_points,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn durations_fall_into_their_buckets() {
        let mut metrics = metrics(Temporality::Cumulative);
        for duration_ns in [0, 5_000_000, 5_400_000, 12_000_000, 20_000_000_000] {
            metrics.finished(&traced(duration_ns, Labels::overflow(), true), UnixNanos(7));
        }
        let scope = metrics.collect(UnixNanos(9)).unwrap();
        let point = &points(&scope, "http.server.duration")[0];
        assert_eq!(&point.bucket_counts[..4], [1, 2, 0, 1]);
        assert_eq!((point.count, point.bucket_counts[15]), (5, 1));
        assert_eq!((point.min, point.max, point.sum), (Some(0.0), Some(20_000.0), Some(20_022.0)));
        assert_eq!(point.exemplars.len(), 4);
        let point = &points(&scope, "http.server.request.duration")[0];
        assert_eq!(&point.bucket_counts[..3], [2, 1, 1]);
        assert!(scope.metrics.iter().all(|metric| !metric.name.contains("client")));
    }

    #[test]
    fn delta_starts_anew_and_cumulative_goes_on() {
        for (temporality, second_count, second_start) in
            [(Temporality::Delta, 1, 10), (Temporality::Cumulative, 2, 1)]
        {
            let mut metrics = metrics(temporality);
            metrics.finished(&traced(1, Labels::overflow(), false), UnixNanos(7));
            assert!(metrics.collect(UnixNanos(10)).is_some());
            metrics.finished(&traced(1, Labels::overflow(), false), UnixNanos(17));
            let scope = metrics.collect(UnixNanos(20)).unwrap();
            let point = &points(&scope, "http.client.duration")[0];
            assert_eq!((point.count, point.start_time_unix_nano), (second_count, second_start));
        }
    }

    #[test]
    fn active_requests_rise_and_fall() {
        let mut metrics = metrics(Temporality::Cumulative);
        assert!(metrics.collect(UnixNanos(2)).is_none());
        metrics.request_started(Labels::overflow());
        metrics.request_started(Labels::overflow());
        metrics.finished(&traced(1, Labels::overflow(), true), UnixNanos(3));
        let scope = metrics.collect(UnixNanos(4)).unwrap();
        let Some(metric::Data::Sum(sum)) = &scope.metrics[0].data else { panic!() };
        assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsInt(1)));
    }
}
