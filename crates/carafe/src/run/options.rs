//! From settings to what the launcher needs.

use super::exports::{Destination, Plan};
use carafe_launch::batch::BatchOptions;
use carafe_launch::http::{CapturedHeaders, HeaderPatterns, HttpOptions, PlainPattern, Semconv};
use carafe_launch::launcher::RunOptions;
use carafe_launch::metrics::{self, ExemplarFilter, MetricOptions};
use carafe_launch::observer::KernelMetrics;
use carafe_launch::propagation::Propagator;
use carafe_launch::resource::{Detector, ResourceOptions};
use carafe_launch::sampling::{RootSampler, Sampler};
use carafe_settings::flags::Invocation;
use carafe_settings::{
    self as settings, BatchSettings, Exporter, HttpSemconv, Settings, Temporality,
};
use carafe_telemetry::Signal;
use std::ffi::{OsStr, OsString};
use std::path::Path;

pub(super) fn run_options(invocation: &Invocation, settings: &Settings, plan: &Plan) -> RunOptions {
    let semconv = match settings.http_semconv {
        HttpSemconv::Old => Semconv::Old,
        HttpSemconv::Stable => Semconv::Stable,
        HttpSemconv::Both => Semconv::Both,
    };
    RunOptions {
        command: invocation.command.clone(),
        environment: (invocation.overrides.iter())
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        http: http(settings, semconv),
        resource: ResourceOptions {
            service_name: service_name(invocation, settings),
            attributes: settings.resource_attributes.clone(),
            detectors: detectors(&settings.resource_detectors),
        },
        metrics: MetricOptions {
            semconv,
            temporality: match settings.metric_reader.temporality {
                Temporality::Cumulative => metrics::Temporality::Cumulative,
                Temporality::Delta => metrics::Temporality::Delta,
                Temporality::LowMemory => metrics::Temporality::LowMemory,
            },
            is_exponential: settings.metric_reader.is_exponential,
            exemplars: match settings.exemplar_filter {
                settings::ExemplarFilter::AlwaysOn => ExemplarFilter::AlwaysOn,
                settings::ExemplarFilter::AlwaysOff => ExemplarFilter::AlwaysOff,
                settings::ExemplarFilter::TraceBased => ExemplarFilter::TraceBased,
            },
        },
        kernel_metrics: KernelMetrics {
            is_on: reports_kernel_metrics(settings, plan),
            excluded: settings.excluded_system_metrics.clone(),
        },
        metric_interval: settings.metric_reader.export_interval,
        metric_timeout: settings.metric_reader.export_timeout,
        spans: batches(&settings.span_batches),
        logs: batches(&settings.log_batches),
        is_output_captured: settings.own.capture_output,
        has_python_engine: settings.own.python,
    }
}

/// What the kernel knows would bury what the app itself measures where people read it.
pub(super) fn reports_kernel_metrics(settings: &Settings, plan: &Plan) -> bool {
    let is_disabled = settings
        .disabled_instrumentations
        .iter()
        .any(|name| matches!(name.as_str(), "system_metrics" | "*"));
    let is_read_by_people = plan.destination == Destination::Named
        && plan.of(Signal::Metrics).iter().all(|exporter| *exporter == Exporter::Console);
    !is_disabled && settings.own.system_metrics.unwrap_or(!is_read_by_people)
}

fn http(settings: &Settings, semconv: Semconv) -> HttpOptions {
    HttpOptions {
        semconv,
        sampler: Sampler {
            root: match settings.sampler.root {
                settings::RootSampler::AlwaysOn => RootSampler::AlwaysOn,
                settings::RootSampler::AlwaysOff => RootSampler::AlwaysOff,
                settings::RootSampler::TraceIdRatio(ratio) => RootSampler::Ratio(ratio),
            },
            is_parent_based: settings.sampler.is_parent_based,
        },
        propagators: (settings.propagators.iter())
            .filter_map(|propagator| match propagator {
                settings::Propagator::TraceContext => Some(Propagator::TraceContext),
                settings::Propagator::B3 | settings::Propagator::B3Multi => Some(Propagator::B3),
                settings::Propagator::Jaeger => Some(Propagator::Jaeger),
                // Baggage is the app's own: no span takes anything from it.
                settings::Propagator::Baggage => None,
            })
            .collect(),
        captured_headers: captured_headers(&settings.captured_headers),
        value_length_limit: (settings.limits.span_attribute_value_length)
            .and_then(|limit| usize::try_from(limit).ok()),
    }
}

fn captured_headers(settings: &settings::CapturedHeaders) -> CapturedHeaders {
    let note = |(patterns, plain): (HeaderPatterns, Vec<PlainPattern>)| {
        plain.iter().for_each(|pattern| super::report::warn(pattern));
        patterns
    };
    CapturedHeaders {
        server_request: note(HeaderPatterns::whole(&settings.server_request)),
        server_response: note(HeaderPatterns::whole(&settings.server_response)),
        client_request: note(HeaderPatterns::whole(&settings.client_request)),
        client_response: note(HeaderPatterns::whole(&settings.client_response)),
        sanitized: note(HeaderPatterns::within(&settings.sanitize)),
    }
}

fn batches(settings: &BatchSettings) -> BatchOptions {
    BatchOptions {
        queue_limit: settings.max_queue_size,
        batch_limit: settings.max_export_batch_size,
        delay: settings.schedule_delay,
        timeout: settings.export_timeout,
    }
}

fn detectors(names: &[String]) -> Vec<Detector> {
    let all = [("process", Detector::Process), ("host", Detector::Host), ("os", Detector::Os)];
    let is_wanted = |name: &str| names.iter().any(|wanted| wanted == name || wanted == "*");
    all.into_iter().filter(|(name, _)| is_wanted(name)).map(|(_, detector)| detector).collect()
}

/// Interpreters whose first argument says more about the app than their own name.
const INTERPRETERS: [&str; 7] = ["python", "node", "ruby", "php", "java", "bun", "perl"];

/// `service.name` as given, else what the app is called: the script of an interpreter, the module
/// behind `-m`, the program.
pub(super) fn service_name(invocation: &Invocation, settings: &Settings) -> String {
    settings.service_name.clone().unwrap_or_else(|| app_name(&invocation.command))
}

fn app_name(command: &[OsString]) -> String {
    let stem =
        |word: &OsStr| Path::new(word).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let program = command.first().and_then(|program| stem(program)).unwrap_or_default();
    let is_interpreter = INTERPRETERS.iter().any(|name| {
        program
            .strip_prefix(name)
            .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
    });
    if !is_interpreter {
        return program;
    }
    let mut words = command.iter().skip(1);
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if text == "-m" {
            return words.next().map_or(program, |module| module.to_string_lossy().into_owned());
        }
        // The program itself follows (python -c, node -e): it has no name.
        if matches!(&*text, "-c" | "-e" | "-p" | "-r" | "--eval" | "--print") {
            break;
        }
        if !text.starts_with('-') {
            return stem(word).unwrap_or(program);
        }
    }
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_is_named_by_what_the_user_calls_it() {
        let name = |line: &str| app_name(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(name("flask run -p 5000"), "flask");
        assert_eq!(name("./target/debug/shop"), "shop");
        assert_eq!(name("python app.py"), "app");
        assert_eq!(name("/usr/bin/python3.11 -u -m http.server 80"), "http.server");
        assert_eq!(name("node --inspect server/index.js"), "index");
        assert_eq!(name("python3"), "python3");
        assert_eq!(name("nodemon app.js"), "nodemon");
        assert_eq!(name("python3 -c print(1)"), "python3");
    }
}
