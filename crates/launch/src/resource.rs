//! What is said of each process: the resource of its telemetry.

use carafe_telemetry::otlp::{self, KeyValue, Resource};
use std::path::Path;

/// What all processes of the app have in common.
#[derive(Debug, Clone, Default)]
pub struct ResourceOptions {
    /// `service.name`.
    pub service_name: String,
    /// `OTEL_RESOURCE_ATTRIBUTES`, in their order.
    pub attributes: Vec<(String, String)>,
    /// Groups of attributes that are found out: `process`, `host`, `os`
    /// (`OTEL_EXPERIMENTAL_RESOURCE_DETECTORS`).
    pub detectors: Vec<Detector>,
}

/// A group of attributes that are found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detector {
    /// `process.pid`, `process.executable.*`, `process.command_args`.
    Process,
    /// `host.name`, `host.arch`.
    Host,
    /// `os.type`, `os.version`.
    Os,
}

/// The process as it presented itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its number.
    pub pid: u32,
    /// Its parent's.
    pub parent_pid: u32,
    /// Its executable, as far as it is UTF-8.
    pub executable: String,
}

/// The resource of one process: the set that the official agent has by default, and what the
/// user asked for. Every process is an instance of the service.
pub fn resource(options: &ResourceOptions, process: &ProcessInfo) -> Resource {
    let mut attributes = vec![
        otlp::string("telemetry.sdk.language", "rust"),
        otlp::string("telemetry.sdk.name", "carafe"),
        otlp::string("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        otlp::string("service.instance.id", uuid::Uuid::new_v4().to_string()),
    ];
    for detector in &options.detectors {
        attributes.extend(detect(*detector, process));
    }
    for (key, value) in &options.attributes {
        set(&mut attributes, otlp::string(key, value.as_str()));
    }
    set(&mut attributes, otlp::string("service.name", options.service_name.as_str()));
    attributes.push(otlp::string("telemetry.auto.version", env!("CARGO_PKG_VERSION")));
    Resource { attributes, ..Default::default() }
}

/// The resource of a process that describes itself: what it says wins over what the launcher found
/// out. Keys stay where they were, as in the official agent's resource; new ones follow.
pub fn merge(found: &Resource, own: Resource) -> Resource {
    let mut merged = found.clone();
    for attribute in own.attributes {
        match merged.attributes.iter_mut().find(|kept| kept.key == attribute.key) {
            Some(kept) => *kept = attribute,
            None => merged.attributes.push(attribute),
        }
    }
    merged.dropped_attributes_count = own.dropped_attributes_count;
    merged
}

fn set(attributes: &mut Vec<KeyValue>, attribute: KeyValue) {
    attributes.retain(|kept| kept.key != attribute.key);
    attributes.push(attribute);
}

fn detect(detector: Detector, process: &ProcessInfo) -> Vec<KeyValue> {
    match detector {
        Detector::Process => {
            let name = Path::new(&process.executable)
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            vec![
                otlp::int("process.pid", process.pid.into()),
                otlp::int("process.parent_pid", process.parent_pid.into()),
                otlp::string("process.executable.name", name),
                otlp::string("process.executable.path", process.executable.as_str()),
            ]
        }
        Detector::Host => {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            vec![otlp::string("host.name", name.trim()), otlp::string("host.arch", architecture())]
        }
        Detector::Os => {
            let version = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
            vec![
                otlp::string("os.type", std::env::consts::OS),
                otlp::string("os.version", version.trim()),
            ]
        }
    }
}

/// The name of the architecture in the semantic conventions.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_telemetry::otlp::find_str;

    fn process() -> ProcessInfo {
        ProcessInfo { pid: 7, parent_pid: 1, executable: "/usr/bin/node".into() }
    }

    #[test]
    fn has_the_official_agents_keys_in_its_order() {
        let options = ResourceOptions { service_name: "todo".into(), ..Default::default() };
        let resource = resource(&options, &process());
        let keys: Vec<_> = resource.attributes.iter().map(|kv| kv.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "telemetry.sdk.language",
                "telemetry.sdk.name",
                "telemetry.sdk.version",
                "service.instance.id",
                "service.name",
                "telemetry.auto.version",
            ]
        );
    }

    #[test]
    fn what_a_process_says_of_itself_wins_and_keeps_its_place() {
        let options = ResourceOptions { service_name: "todo".into(), ..Default::default() };
        let own = Resource {
            attributes: vec![
                otlp::string("service.name", "shop"),
                otlp::string("telemetry.distro.name", "carafe"),
                otlp::string("telemetry.sdk.language", "python"),
            ],
            ..Default::default()
        };
        let merged = merge(&resource(&options, &process()), own);
        let pairs: Vec<_> = merged.attributes.iter().map(|kv| kv.key.as_str()).collect();
        assert_eq!(pairs.first(), Some(&"telemetry.sdk.language"));
        assert_eq!(pairs.get(4), Some(&"service.name"));
        assert_eq!(pairs.last(), Some(&"telemetry.distro.name"));
        assert_eq!(find_str(&merged.attributes, "telemetry.sdk.language"), Some("python"));
        assert_eq!(find_str(&merged.attributes, "service.name"), Some("shop"));
    }

    #[test]
    fn the_users_attributes_win_and_detectors_add() {
        let options = ResourceOptions {
            service_name: "todo".into(),
            attributes: vec![
                ("service.instance.id".into(), "mine".into()),
                ("service.name".into(), "ignored".into()),
            ],
            detectors: vec![Detector::Process, Detector::Host, Detector::Os],
        };
        let attributes = resource(&options, &process()).attributes;
        assert_eq!(find_str(&attributes, "service.instance.id"), Some("mine"));
        assert_eq!(find_str(&attributes, "service.name"), Some("todo"));
        assert_eq!(find_str(&attributes, "process.executable.name"), Some("node"));
        assert_eq!(find_str(&attributes, "os.type"), Some("linux"));
        let mut keys: Vec<_> = attributes.iter().map(|kv| &kv.key).collect();
        keys.sort();
        let count = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
