//! `--explain`: every decision of a run, and which setting made it.

use super::Environment;
use super::exports::{Destination, Plan, of};
use super::options::{reports_kernel_metrics, service_name};
use carafe_launch::program::{Program, Reach};
use carafe_settings::flags::Invocation;
use carafe_settings::{
    ExemplarFilter, HttpSemconv, Propagator, RootSampler, Sampler, Settings, Temporality,
};
use carafe_telemetry::Signal;

/// One decision per line.
pub(super) fn lines(
    invocation: &Invocation,
    environment: &Environment,
    program: &Program,
    plan: &Plan,
    settings: &Settings,
) -> Vec<String> {
    let mut lines = vec![
        format!("service.name is {}", service_name(invocation, settings)),
        format!("the command is {}", program.path.display()),
    ];
    if program.reach == Reach::Reached {
        lines.push(
            "the universal engine sees HTTP/1.x servers and clients at libc's socket calls, and \
             inside TLS where OpenSSL is a shared library; not HTTP/2, HTTP/3, TLS of other \
             libraries, io_uring, and programs of other users that are started later"
                .to_owned(),
        );
    }
    lines.push(if settings.own.python {
        "the Python engine is put into CPython 3.9 and newer by PYTHONPATH; what it instruments it \
         says there"
            .to_owned()
    } else {
        "the Python engine stays out of Python programs (CARAFE_PYTHON)".to_owned()
    });
    lines.extend(Signal::ALL.map(|signal| destination(signal, plan, settings)));
    lines.push(format!("traces are kept by {}", sampler(&settings.sampler)));
    lines.push(format!("context comes and goes by {}", propagators(&settings.propagators)));
    lines.push(format!("attributes of HTTP have {}", names(settings.http_semconv)));
    lines.push(metrics(plan, settings));
    lines.extend(excluded_urls(environment));
    if !settings.disabled_instrumentations.is_empty() {
        let names = settings.disabled_instrumentations.join(", ");
        lines.push(format!("left out are {names} (OTEL_PYTHON_DISABLED_INSTRUMENTATIONS)"));
    }
    let output = if settings.own.capture_output { "become" } else { "do not become" };
    lines.push(format!("lines that the app prints {output} log records (--capture_output)"));
    lines
}

fn destination(signal: Signal, plan: &Plan, settings: &Settings) -> String {
    let named = of(settings, signal);
    let upper = signal.as_str().to_uppercase();
    let mut places: Vec<String> = Vec::new();
    if plan.destination == Destination::Hosted {
        places.push("the backend in this process".to_owned());
    }
    places.extend(plan.of(signal).iter().map(|exporter| format!("{exporter:?}").to_lowercase()));
    let why = if named.exporters.is_some() {
        format!("OTEL_{upper}_EXPORTER names it")
    } else if named.otlp.endpoint.is_some() {
        "its endpoint is named".to_owned()
    } else if plan.destination == Destination::Hosted {
        "no other place is named, and nothing answers on localhost:4317 or an address of the \
         backend is named"
            .to_owned()
    } else if places.is_empty() {
        "no exporter is named and nothing answers on localhost:4317".to_owned()
    } else {
        "nothing is named, and an OTLP receiver answers on localhost:4317".to_owned()
    };
    let places = match places.as_slice() {
        [] => "nowhere".to_owned(),
        places => format!("to {}", places.join(", ")),
    };
    format!("{signal} go {places}: {why}")
}

fn sampler(sampler: &Sampler) -> String {
    let (root, ratio) = match sampler.root {
        RootSampler::AlwaysOn => ("always_on", String::new()),
        RootSampler::AlwaysOff => ("always_off", String::new()),
        RootSampler::TraceIdRatio(ratio) => ("traceidratio", format!(" with {ratio}")),
    };
    let parent_based = if sampler.is_parent_based { "parentbased_" } else { "" };
    format!("{parent_based}{root}{ratio} (OTEL_TRACES_SAMPLER)")
}

fn propagators(propagators: &[Propagator]) -> String {
    let names: Vec<_> = propagators
        .iter()
        .map(|propagator| match propagator {
            Propagator::TraceContext => "tracecontext",
            Propagator::Baggage => "baggage",
            Propagator::B3 => "b3",
            Propagator::B3Multi => "b3multi",
            Propagator::Jaeger => "jaeger",
        })
        .collect();
    let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    format!("{names} (OTEL_PROPAGATORS)")
}

fn names(semconv: HttpSemconv) -> &'static str {
    match semconv {
        HttpSemconv::Old => "their old names (OTEL_SEMCONV_STABILITY_OPT_IN)",
        HttpSemconv::Stable => "their stable names (OTEL_SEMCONV_STABILITY_OPT_IN)",
        HttpSemconv::Both => "their old and their stable names (OTEL_SEMCONV_STABILITY_OPT_IN)",
    }
}

fn metrics(plan: &Plan, settings: &Settings) -> String {
    let reader = &settings.metric_reader;
    let temporality = match reader.temporality {
        Temporality::Cumulative => "cumulative",
        Temporality::Delta => "delta",
        Temporality::LowMemory => "lowmemory",
    };
    let exemplars = match settings.exemplar_filter {
        ExemplarFilter::AlwaysOn => "always_on",
        ExemplarFilter::AlwaysOff => "always_off",
        ExemplarFilter::TraceBased => "trace_based",
    };
    let is_read = reports_kernel_metrics(settings, plan);
    let kernel = if is_read { "with" } else { "without" };
    format!(
        "metrics are reported every {} s, {temporality}, exemplars {exemplars}, {kernel} what the \
         kernel knows of processes and the machine (CARAFE_SYSTEM_METRICS)",
        reader.export_interval.as_secs_f64()
    )
}

fn excluded_urls(environment: &Environment) -> Vec<String> {
    let is_exclusion =
        |name: &&str| name.starts_with("OTEL_PYTHON_") && name.ends_with("EXCLUDED_URLS");
    let mut names: Vec<&str> = environment.names().filter(is_exclusion).collect();
    names.sort_unstable();
    let line = |name: &str| {
        let value = environment.get(name).unwrap_or_default();
        format!("Python programs leave out URLs that match {value} ({name})")
    };
    names.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::exports;
    use std::ffi::OsString;

    fn explained(variables: &[(&str, &str)]) -> String {
        let invocation = Invocation {
            overrides: variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            command: vec![OsString::from("true")],
        };
        let environment = Environment { variables: invocation.overrides.iter().cloned().collect() };
        let (settings, _) = Settings::resolve(&|name| environment.get(name)).unwrap();
        let program = carafe_launch::launcher::inspect(&invocation.command).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let plan = runtime.block_on(exports::plan(&settings, true));
        lines(&invocation, &environment, &program, &plan, &settings).join("\n")
    }

    #[test]
    fn every_decision_names_its_setting() {
        let text = explained(&[
            ("OTEL_TRACES_EXPORTER", "console"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_PROPAGATORS", "b3,jaeger"),
            ("OTEL_SEMCONV_STABILITY_OPT_IN", "http/dup"),
            ("OTEL_PYTHON_FLASK_EXCLUDED_URLS", "health,ready"),
            ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "redis,jinja2"),
            ("CARAFE_PYTHON", "off"),
        ]);
        for part in [
            "traces go to the backend in this process, console: OTEL_TRACES_EXPORTER names it",
            "traceidratio with 0.25 (OTEL_TRACES_SAMPLER)",
            "b3, jaeger (OTEL_PROPAGATORS)",
            "old and their stable names",
            "match health,ready (OTEL_PYTHON_FLASK_EXCLUDED_URLS)",
            "left out are redis, jinja2",
            "stays out of Python programs (CARAFE_PYTHON)",
            "every 60 s, cumulative, exemplars trace_based",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }
}
