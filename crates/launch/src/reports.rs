//! Reports metrics at intervals: the app's, and what the agent itself has lost.

use crate::batch::Delivered;
use crate::metrics::scope;
use crate::registry::Registry;
use crate::rings::ReaderCounters;
use crate::system_metrics::SystemMetrics;
use carafe_pipeline::Consumer;
use carafe_telemetry::otlp::{
    AggregationTemporality, ExportMetricsServiceRequest, Metric, NumberDataPoint, Resource,
    ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use carafe_telemetry::{Request, UnixNanos};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// What is reported, how often, and to whom.
pub(crate) struct Reports {
    pub(crate) registry: Arc<Registry>,
    pub(crate) counters: Arc<ReaderCounters>,
    pub(crate) consumer: Arc<dyn Consumer>,
    /// Read at every report; `None`: nobody wants them.
    pub(crate) system: Option<SystemMetrics>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

impl Reports {
    /// Reports until `ended` changes, then a last time.
    pub(crate) async fn run(mut self, mut ended: watch::Receiver<bool>) -> Delivered {
        let started = UnixNanos::now();
        let own = self.registry.launcher_resource();
        let mut delivered = Delivered::default();
        loop {
            let is_last = tokio::select! {
                _ = ended.changed() => true,
                () = tokio::time::sleep(self.interval) => false,
            };
            let now = UnixNanos::now();
            let mut request = self.registry.collect(now).unwrap_or_default();
            request.resource_metrics.extend(self.launcher_metrics(&own, started, now));
            self.export(request, &mut delivered).await;
            if is_last {
                return delivered;
            }
        }
    }

    async fn export(&self, request: ExportMetricsServiceRequest, delivered: &mut Delivered) {
        if request.resource_metrics.is_empty() {
            return;
        }
        let request = Request::Metrics(request);
        let points = request.items() as u64;
        let export = self.consumer.consume(request.encode());
        match tokio::time::timeout(self.timeout, export).await {
            Ok(Ok(_)) => delivered.accepted += points,
            Ok(Err(refusal)) => {
                delivered.failed += points;
                tracing::warn!("{points} data points were not exported: {refusal}");
            }
            Err(_) => {
                delivered.failed += points;
                tracing::warn!("{points} data points were not exported in time");
            }
        }
    }

    /// What the launcher says itself: of the machine, and what was lost on the way from the app.
    fn launcher_metrics(
        &mut self,
        own: &Resource,
        started: UnixNanos,
        now: UnixNanos,
    ) -> Option<ResourceMetrics> {
        let mut scope_metrics: Vec<_> = self.losses(started, now).into_iter().collect();
        scope_metrics.extend(self.system.iter_mut().flat_map(|system| system.collect(now)));
        (!scope_metrics.is_empty()).then(|| ResourceMetrics {
            resource: Some(own.clone()),
            scope_metrics,
            schema_url: String::new(),
        })
    }

    /// Nothing where nothing was lost.
    fn losses(&self, started: UnixNanos, now: UnixNanos) -> Option<ScopeMetrics> {
        let counters = &self.counters;
        let metrics: Vec<Metric> = [
            (
                "carafe.agent.records.dropped",
                "Records that found their ring full.",
                "{record}",
                &counters.dropped_records,
            ),
            (
                "carafe.agent.records.unusable",
                "Records that the launcher could not use.",
                "{record}",
                &counters.unusable_records,
            ),
            (
                "carafe.agent.faults",
                "Processes in which a fault disabled the agent.",
                "{process}",
                &counters.agent_faults,
            ),
        ]
        .into_iter()
        .filter_map(|(name, description, unit, count)| {
            let count = count.load(Ordering::Relaxed);
            (count > 0).then(|| Metric {
                name: name.to_owned(),
                description: description.to_owned(),
                unit: unit.to_owned(),
                data: Some(metric::Data::Sum(total(count, started, now))),
                ..Default::default()
            })
        })
        .collect();
        (!metrics.is_empty()).then(|| ScopeMetrics {
            scope: Some(scope()),
            metrics,
            schema_url: String::new(),
        })
    }
}

fn total(count: u64, started: UnixNanos, now: UnixNanos) -> Sum {
    Sum {
        data_points: vec![NumberDataPoint {
            start_time_unix_nano: started.0,
            time_unix_nano: now.0,
            value: Some(number_data_point::Value::AsInt(i64::try_from(count).unwrap_or(i64::MAX))),
            ..Default::default()
        }],
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
        is_monotonic: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::MetricOptions;
    use crate::resource::ResourceOptions;
    use async_trait::async_trait;
    use carafe_pipeline::{Accepted, Refusal};
    use carafe_telemetry::Batch;
    use carafe_telemetry::otlp::find_str;
    use parking_lot::Mutex;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<ExportMetricsServiceRequest>>);

    #[async_trait]
    impl Consumer for Recorder {
        async fn consume(&self, batch: Batch) -> Result<Accepted, Refusal> {
            let Ok(Request::Metrics(request)) = batch.decode() else { panic!("not metrics") };
            self.0.lock().push(request);
            Ok(Accepted::default())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn losses_are_reported_and_silence_is_not() {
        let recorder = Arc::new(Recorder::default());
        let counters = Arc::new(ReaderCounters::default());
        let options = ResourceOptions { service_name: "shop".into(), ..Default::default() };
        let reports = Reports {
            registry: Arc::new(Registry::new(options, MetricOptions::default())),
            counters: Arc::clone(&counters),
            consumer: recorder.clone(),
            system: None,
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(1),
        };
        let (end, ended) = watch::channel(false);
        let running = tokio::spawn(reports.run(ended));
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert!(recorder.0.lock().is_empty(), "nothing was measured and nothing lost");
        counters.dropped_records.store(7, Ordering::Relaxed);
        end.send(true).unwrap();
        assert_eq!(running.await.unwrap().accepted, 1);
        let request = recorder.0.lock().remove(0);
        let resource = request.resource_metrics[0].resource.as_ref().unwrap();
        assert_eq!(find_str(&resource.attributes, "service.name"), Some("shop"));
        let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
        let Some(metric::Data::Sum(sum)) = &metric.data else { panic!("not a sum") };
        assert_eq!(metric.name, "carafe.agent.records.dropped");
        assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsInt(7)));
    }
}
