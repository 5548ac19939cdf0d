//! Data points: what each process reports at each tick. Values are functions of the tick, so
//! that counters grow and no state is needed.

use crate::random::{self, Purpose, Random};
use crate::shop::{ENDPOINTS, Endpoint, Protocol, ServiceId};
use crate::world::{Instance, ScopeKind, World};
use carafe_telemetry::otlp::metric::Data;
use carafe_telemetry::otlp::{self, AggregationTemporality, KeyValue, number_data_point};

/// Ticks are at least this far apart, in nanoseconds.
const MIN_INTERVAL: u64 = 10_000_000_000;

/// No run has more ticks.
const MAX_TICKS: u64 = 2_000;

/// There are about so many spans for each point, where that leaves one tick.
const SPANS_PER_POINT: u64 = 12;

/// Upper bounds of the duration histogram, in seconds.
const BOUNDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// When processes report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticks {
    pub(crate) count: u64,
    /// Between two of them, in nanoseconds.
    interval: u64,
}

impl Ticks {
    pub(crate) fn of(world: &World) -> Self {
        let range = world.recipe.range.as_nanos() as u64;
        let points: usize = world.instances.iter().map(|i| points(&report(world, i, 0, 1))).sum();
        let wanted = world.recipe.spans / SPANS_PER_POINT / points.max(1) as u64;
        let count = wanted.min(range / MIN_INTERVAL).clamp(1, MAX_TICKS);
        Self { count, interval: (range / count).max(1) }
    }

    /// When tick `number` is, by the right clock.
    pub(crate) fn time(&self, world: &World, number: u64) -> u64 {
        world.recipe.start.0.saturating_add((number + 1).saturating_mul(self.interval))
    }
}

/// The points in a report.
pub(crate) fn points(report: &otlp::ResourceMetrics) -> usize {
    let metrics = report.scope_metrics.iter().flat_map(|scope| &scope.metrics);
    metrics
        .map(|metric| match &metric.data {
            Some(Data::Gauge(data)) => data.data_points.len(),
            Some(Data::Sum(data)) => data.data_points.len(),
            Some(Data::Histogram(data)) => data.data_points.len(),
            Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
            Some(Data::Summary(data)) => data.data_points.len(),
            None => 0,
        })
        .sum()
}

/// What a process reports at tick `tick`, which is at `time` by the right clock.
pub(crate) fn report(
    world: &World,
    instance: &Instance,
    tick: u64,
    time: u64,
) -> otlp::ResourceMetrics {
    let base = random::at(world.recipe.seed, Purpose::Metric, u64::from(instance.number));
    let report = Report {
        base,
        random: Random::from_bits(base ^ random::mix(tick + 1)),
        tick,
        start: instance.clock(world.recipe.start.0),
        time: instance.clock(time),
    };
    let of_service = |endpoint: &&Endpoint| endpoint.service.get().name == instance.service.name;
    let endpoints: Vec<&Endpoint> = ENDPOINTS.iter().filter(of_service).collect();
    let scopes = [
        (ScopeKind::Http, report.clone().requests(&endpoints)),
        (ScopeKind::Runtime, report.clone().runtime()),
        (ScopeKind::Own, report.own(instance)),
    ];
    let scope_metrics = scopes.into_iter().filter(|(_, metrics)| !metrics.is_empty());
    let scope_metrics = scope_metrics.map(|(kind, metrics)| otlp::ScopeMetrics {
        scope: Some(instance.scopes[kind as usize].clone()),
        metrics,
        schema_url: String::new(),
    });
    otlp::ResourceMetrics {
        resource: Some(instance.resource.clone()),
        scope_metrics: scope_metrics.collect(),
        schema_url: instance.schema_url.to_owned(),
    }
}

#[derive(Clone)]
struct Report {
    base: u64,
    random: Random,
    tick: u64,
    start: u64,
    time: u64,
}

impl Report {
    /// A number that grows from tick to tick by about `rate`; `of` tells counters apart.
    fn counter(&self, rate: u64, of: u64) -> u64 {
        let own_rate = rate + (self.base ^ of) % rate.max(1);
        self.tick * own_rate + random::mix(self.base ^ of ^ self.tick) % own_rate
    }

    /// Durations of requests by route: a histogram where the protocol is HTTP, an exponential
    /// histogram for gRPC.
    fn requests(mut self, endpoints: &[&Endpoint]) -> Vec<otlp::Metric> {
        let (mut http, mut rpc) = (Vec::new(), Vec::new());
        for (number, endpoint) in endpoints.iter().enumerate() {
            match endpoint.protocol {
                Protocol::Http(method, route) => {
                    let attributes = vec![
                        otlp::string("http.request.method", method),
                        otlp::string("http.route", route),
                        otlp::int("http.response.status_code", 200),
                    ];
                    http.push(self.histogram(attributes, number as u64));
                }
                Protocol::Rpc(service, method) => {
                    let attributes = vec![
                        otlp::string("rpc.service", service),
                        otlp::string("rpc.method", method),
                    ];
                    rpc.push(self.exponential(attributes, number as u64));
                }
                Protocol::Topic(_) | Protocol::Job(_) => {}
            }
        }
        let temporality = AggregationTemporality::Cumulative as i32;
        let mut metrics = Vec::new();
        if !http.is_empty() {
            let data = otlp::Histogram { data_points: http, aggregation_temporality: temporality };
            metrics.push(metric("http.server.request.duration", "s", Data::Histogram(data)));
        }
        if !rpc.is_empty() {
            let data = otlp::ExponentialHistogram {
                data_points: rpc,
                aggregation_temporality: temporality,
            };
            metrics.push(metric("rpc.server.duration", "ms", Data::ExponentialHistogram(data)));
        }
        metrics
    }

    fn histogram(&self, attributes: Vec<KeyValue>, of: u64) -> otlp::HistogramDataPoint {
        let counts: Vec<u64> =
            (0..=BOUNDS.len() as u64).map(|b| self.counter(40 / (b + 1), of * 31 + b)).collect();
        let count = counts.iter().sum();
        otlp::HistogramDataPoint {
            attributes,
            start_time_unix_nano: self.start,
            time_unix_nano: self.time,
            count,
            sum: Some(count as f64 * 0.018),
            bucket_counts: counts,
            explicit_bounds: BOUNDS.to_vec(),
            min: Some(0.001_5),
            max: Some(6.25),
            ..Default::default()
        }
    }

    fn exponential(
        &mut self,
        attributes: Vec<KeyValue>,
        of: u64,
    ) -> otlp::ExponentialHistogramDataPoint {
        let counts: Vec<u64> = (0..24).map(|b| self.counter(9, of * 37 + b)).collect();
        let count = counts.iter().sum();
        otlp::ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano: self.start,
            time_unix_nano: self.time,
            count,
            sum: Some(count as f64 * 2.25),
            scale: 2,
            positive: Some(otlp::exponential_histogram_data_point::Buckets {
                offset: -4 + self.random.below(3) as i32,
                bucket_counts: counts,
            }),
            ..Default::default()
        }
    }

    fn runtime(mut self) -> Vec<otlp::Metric> {
        let cpu = ["user", "system"].map(|mode| {
            let seconds = self.counter(700, mode.len() as u64) as f64 / 128.0;
            let value = number_data_point::Value::AsDouble(seconds);
            self.number(vec![otlp::string("cpu.mode", mode)], value)
        });
        let memory = 60_000_000 + (self.base % 400_000_000) + self.random.below(9_000_000);
        let memory = number_data_point::Value::AsInt(memory as i64);
        let active = number_data_point::Value::AsInt(self.random.below(40) as i64);
        vec![
            metric("process.cpu.time", "s", sum(cpu.to_vec(), true)),
            metric("process.memory.usage", "By", sum(vec![self.number(vec![], memory)], false)),
            metric(
                "http.server.active_requests",
                "{request}",
                sum(vec![self.number(vec![], active)], false),
            ),
        ]
    }

    fn own(mut self, instance: &Instance) -> Vec<otlp::Metric> {
        let depth = self.random.below(5_000) as f64 / 16.0;
        let depth = self
            .number(vec![otlp::string("queue", "work")], number_data_point::Value::AsDouble(depth));
        let gauge = Data::Gauge(otlp::Gauge { data_points: vec![depth] });
        let mut metrics = vec![metric("shop.queue.depth", "{item}", gauge)];
        if instance.service.name == ServiceId::Orders.get().name {
            let orders = number_data_point::Value::AsInt(self.counter(300, 5) as i64);
            metrics.push(metric(
                "shop.orders",
                "{order}",
                sum(vec![self.number(vec![], orders)], true),
            ));
        }
        if instance.service.name == ServiceId::Tax.get().name {
            let count = self.counter(120, 3);
            let mut point = otlp::SummaryDataPoint {
                attributes: vec![otlp::string("zone", "domestic")],
                start_time_unix_nano: self.start,
                time_unix_nano: self.time,
                count,
                sum: count as f64 * 1.5,
                ..Default::default()
            };
            let quantiles = [0.5, 0.9, 0.99];
            point.quantile_values.resize_with(quantiles.len(), Default::default);
            for (place, quantile) in point.quantile_values.iter_mut().zip(quantiles) {
                place.quantile = quantile;
                place.value = 0.5 + quantile * (self.base % 64) as f64 / 8.0;
            }
            let summary = Data::Summary(otlp::Summary { data_points: vec![point] });
            metrics.push(metric("shop.tax.duration", "ms", summary));
        }
        metrics
    }

    fn number(
        &self,
        attributes: Vec<KeyValue>,
        value: number_data_point::Value,
    ) -> otlp::NumberDataPoint {
        otlp::NumberDataPoint {
            attributes,
            start_time_unix_nano: self.start,
            time_unix_nano: self.time,
            value: Some(value),
            ..Default::default()
        }
    }
}

fn sum(data_points: Vec<otlp::NumberDataPoint>, is_monotonic: bool) -> Data {
    let aggregation_temporality = AggregationTemporality::Cumulative as i32;
    Data::Sum(otlp::Sum { data_points, aggregation_temporality, is_monotonic })
}

fn metric(name: &str, unit: &str, data: Data) -> otlp::Metric {
    otlp::Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::test_world;

    #[test]
    fn counters_grow_from_tick_to_tick() {
        let world = test_world(1_000_000);
        for of in 0..20 {
            let mut last = 0;
            for tick in 0..50 {
                let report =
                    Report { base: 99, random: Random::from_bits(1), tick, start: 0, time: 1 };
                let value = report.counter(40, of);
                assert!(value >= last, "{value} after {last}");
                last = value;
            }
        }
        let ticks = Ticks::of(&world);
        assert!(ticks.count > 10 && ticks.time(&world, 1) > ticks.time(&world, 0), "{ticks:?}");
    }
}
