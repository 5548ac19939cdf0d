//! The processes of the app: each an instance of the service, with its resource and its metrics.

use crate::instruments::Instruments;
use crate::metrics::{HttpMetrics, MetricOptions};
use crate::observer::KernelMetrics;
use crate::origin::Origin;
use crate::process_metrics::ProcessMetrics;
use crate::resource::{self, ProcessInfo, ResourceOptions};
use carafe_telemetry::UnixNanos;
use carafe_telemetry::otlp::{
    ExportMetricsServiceRequest, Resource, ResourceMetrics, ScopeMetrics,
};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Processes that are kept for the next report. At the limit those that have ended go unreported:
/// where metrics are not exported nothing else would end them.
const INSTANCE_LIMIT: usize = 4_096;

/// One process.
#[derive(Debug)]
pub struct Instance {
    pid: u32,
    /// As the launcher found it.
    found: Resource,
    /// What the universal engine sees here, with the resource of all the process' telemetry.
    universal: Mutex<Arc<Origin>>,
    /// What the universal engine measured.
    pub metrics: Mutex<HttpMetrics>,
    /// What Python engines measured: one unless a program replaced another (exec).
    instruments: Mutex<Vec<Arc<Mutex<Instruments>>>>,
    /// What the kernel knows of it; `None` where nobody wants that.
    process: Option<Mutex<ProcessMetrics>>,
    has_ended: AtomicBool,
}

impl Instance {
    /// The resource of the process' telemetry.
    pub fn resource(&self) -> Arc<Resource> {
        Arc::clone(&self.universal.lock().resource)
    }

    /// The origin of what the universal engine sees.
    pub fn universal(&self) -> Arc<Origin> {
        Arc::clone(&self.universal.lock())
    }

    /// The process describes itself; its resource from now on.
    pub fn describe(&self, own: Resource) -> Arc<Resource> {
        let resource = Arc::new(resource::merge(&self.found, own));
        let mut universal = self.universal.lock();
        *universal = Origin::new(Arc::clone(&resource), Arc::clone(&universal.scope));
        resource
    }

    fn collect(&self, now: UnixNanos) -> Vec<ResourceMetrics> {
        let resource = self.resource();
        let mut own: Vec<ScopeMetrics> = self.metrics.lock().collect(now).into_iter().collect();
        if let Some(process) = &self.process {
            own.extend(process.lock().collect(now));
        }
        let mut others = Vec::new();
        self.instruments.lock().retain(|instruments| {
            let mut instruments = instruments.lock();
            let scopes = instruments.collect(now);
            if Arc::ptr_eq(instruments.resource(), &resource) {
                own.extend(scopes);
            } else {
                others.extend(resource_metrics(instruments.resource(), scopes));
            }
            !instruments.has_ended()
        });
        resource_metrics(&resource, own).into_iter().chain(others).collect()
    }
}

/// Each scope once; `None` where nothing was measured.
fn resource_metrics(resource: &Resource, all: Vec<ScopeMetrics>) -> Option<ResourceMetrics> {
    let mut scope_metrics: Vec<ScopeMetrics> = Vec::new();
    for metrics in all {
        let known = scope_metrics
            .iter_mut()
            .find(|known| known.scope == metrics.scope && known.schema_url == metrics.schema_url);
        match known {
            Some(known) => known.metrics.extend(metrics.metrics),
            None => scope_metrics.push(metrics),
        }
    }
    (!scope_metrics.is_empty()).then(|| ResourceMetrics {
        resource: Some(resource.clone()),
        scope_metrics,
        schema_url: String::new(),
    })
}

/// All processes whose telemetry is not yet reported to the end.
#[derive(Debug)]
pub struct Registry {
    resources: ResourceOptions,
    metrics: MetricOptions,
    kernel: KernelMetrics,
    instances: Mutex<Vec<Arc<Instance>>>,
}

impl Registry {
    /// No process yet.
    pub fn new(resources: ResourceOptions, metrics: MetricOptions) -> Self {
        let kernel = KernelMetrics::default();
        Self { resources, metrics, kernel, instances: Mutex::default() }
    }

    /// Reports what the kernel knows of each process too.
    pub fn with_kernel_metrics(mut self, kernel: KernelMetrics) -> Self {
        self.kernel = kernel;
        self
    }

    /// The resource of what the launcher says of itself: the service's, as another instance.
    pub fn launcher_resource(&self) -> Resource {
        let executable = std::env::current_exe().unwrap_or_default();
        let process = ProcessInfo {
            pid: std::process::id(),
            parent_pid: std::os::unix::process::parent_id(),
            executable: executable.display().to_string(),
        };
        resource::resource(&self.resources, &process)
    }

    /// The instance of a process; the same for a program that replaced another (exec).
    pub fn started(&self, process: &ProcessInfo) -> Arc<Instance> {
        let mut instances = self.instances.lock();
        let known = instances.iter().find(|instance| {
            instance.pid == process.pid && !instance.has_ended.load(Ordering::Relaxed)
        });
        if let Some(instance) = known {
            return Arc::clone(instance);
        }
        let found = resource::resource(&self.resources, process);
        let now = UnixNanos::now();
        let kernel = self
            .kernel
            .is_on
            .then(|| Mutex::new(ProcessMetrics::new(process.pid, &self.kernel, self.metrics, now)));
        let resource = Arc::new(found.clone());
        let instance = Arc::new(Instance {
            pid: process.pid,
            found,
            universal: Mutex::new(Origin::universal(resource, self.metrics.semconv.schema_url())),
            metrics: Mutex::new(HttpMetrics::new(self.metrics, now)),
            instruments: Mutex::default(),
            process: kernel,
            has_ended: AtomicBool::new(false),
        });
        if instances.len() >= INSTANCE_LIMIT {
            instances.retain(|instance| !instance.has_ended.load(Ordering::Relaxed));
        }
        instances.push(Arc::clone(&instance));
        instance
    }

    /// A place for what a Python engine in the process measures.
    pub fn instruments(&self, instance: &Instance) -> Arc<Mutex<Instruments>> {
        let resource = instance.resource();
        let instruments = Instruments::new(self.metrics, resource, UnixNanos::now());
        let instruments = Arc::new(Mutex::new(instruments));
        instance.instruments.lock().push(Arc::clone(&instruments));
        instruments
    }

    /// The process has ended: it is reported once more.
    pub fn ended(&self, instance: &Instance) {
        instance.has_ended.store(true, Ordering::Relaxed);
    }

    /// The metrics of all processes, and a last time those of ended ones; `None` where nothing was
    /// measured.
    pub fn collect(&self, now: UnixNanos) -> Option<ExportMetricsServiceRequest> {
        // Not under the lock: reading files of the kernel takes a while, and whoever reads rings
        // asks for instances meanwhile.
        let instances = self.instances.lock().clone();
        let mut resource_metrics = Vec::new();
        let mut over = Vec::new();
        for instance in instances {
            // Asked before collecting: what is measured after that keeps the instance.
            let has_ended = instance.has_ended.load(Ordering::Relaxed);
            resource_metrics.extend(instance.collect(now));
            if has_ended {
                over.push(instance);
            }
        }
        let is_over = |instance: &Arc<Instance>| over.iter().any(|o| Arc::ptr_eq(o, instance));
        self.instances.lock().retain(|instance| !is_over(instance));
        (!resource_metrics.is_empty()).then_some(ExportMetricsServiceRequest { resource_metrics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Labels;
    use carafe_telemetry::otlp::{InstrumentationScope, Metric, find_str};

    #[test]
    fn every_process_is_an_instance_and_is_reported_to_its_end() {
        let registry = Registry::new(ResourceOptions::default(), MetricOptions::default());
        let process = |pid| ProcessInfo { pid, parent_pid: 1, executable: String::new() };
        let first = registry.started(&process(1));
        let second = registry.started(&process(2));
        assert!(Arc::ptr_eq(&first, &registry.started(&process(1))));
        for instance in [&first, &second] {
            instance.metrics.lock().request_started(Labels::overflow());
        }
        registry.ended(&first);
        let collect = || {
            let request = registry.collect(UnixNanos(1)).unwrap();
            let id = |metrics: &ResourceMetrics| {
                let attributes = &metrics.resource.as_ref().unwrap().attributes;
                find_str(attributes, "service.instance.id").unwrap().to_owned()
            };
            request.resource_metrics.iter().map(id).collect::<Vec<_>>()
        };
        let all = collect();
        assert_eq!(all.len(), 2);
        assert_ne!(all[0], all[1]);
        assert_eq!(collect(), all[1..]);
        assert!(!Arc::ptr_eq(&first, &registry.started(&process(1))), "a pid can come again");
    }

    /// As the kernel's metrics and an engine's may have the same.
    #[test]
    fn each_scope_is_there_once() {
        let of = |name: &str, metric: &str| ScopeMetrics {
            scope: Some(InstrumentationScope { name: name.into(), ..Default::default() }),
            metrics: vec![Metric { name: metric.into(), ..Default::default() }],
            ..Default::default()
        };
        let all = vec![of("a", "1"), of("b", "2"), of("a", "3")];
        let merged = resource_metrics(&Resource::default(), all).unwrap().scope_metrics;
        let names: Vec<Vec<&str>> = merged
            .iter()
            .map(|scope| scope.metrics.iter().map(|metric| metric.name.as_str()).collect())
            .collect();
        assert_eq!(names, [vec!["1", "3"], vec!["2"]]);
    }

    #[test]
    fn what_ended_is_not_kept_for_a_report_that_never_comes() {
        let registry = Registry::new(ResourceOptions::default(), MetricOptions::default());
        for pid in 0..INSTANCE_LIMIT as u32 + 10 {
            let process = ProcessInfo { pid, parent_pid: 1, executable: String::new() };
            registry.ended(&registry.started(&process));
        }
        assert_eq!(registry.instances.lock().len(), 10);
    }
}
