"""Python code of the user's that the environment names: samplers, id generators, resource
detectors and exporters of installed distributions, found by their entry points."""

import os

import opentelemetry.trace  # noqa: F401 - first, so that its import has made the provider
from opentelemetry.util._importlib_metadata import entry_points

from carafe_engine import _native


def load(custom):
    """Loads what each variable names. What fails is said in the report; the engine's own stays in its place."""
    for variable, names in custom.items():
        for name in names:
            try:
                _LOADERS[variable](name)
            except Exception as error:
                _native.notice(2, name, "", "%s: %s: %s" % (variable, type(error).__name__, error))


def _entry_point(group, name):
    for entry_point in entry_points(group=group, name=name):
        return entry_point.load()
    raise LookupError("no installed distribution has it among its entry points " + group)


def _sampler(name):
    from carafe_engine import traces

    sampler = _entry_point("opentelemetry_traces_sampler", name)(
        os.environ.get("OTEL_TRACES_SAMPLER_ARG")
    )
    if not callable(getattr(sampler, "should_sample", None)):
        raise TypeError("%r is no sampler" % (sampler,))
    traces.provider().sampler = sampler


def _id_generator(name):
    from carafe_engine import traces

    traces.provider().id_generator = _entry_point("opentelemetry_id_generator", name)()


def _propagator(name):
    # The API's own, of all formats in the variable: they have an order.
    from opentelemetry import propagate

    _native.set_propagator(propagate.get_global_textmap())


def _exporter(name):
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from carafe_engine import traces

    exporter = _entry_point("opentelemetry_traces_exporter", name)()
    traces.provider().add_span_processor(BatchSpanProcessor(exporter))
    _native.notice(0, name, "", "exports spans from the app's own process, on a thread there")


def _metric_exporter(name):
    from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader

    from carafe_engine import meters

    made = _entry_point("opentelemetry_metrics_exporter", name)()
    reader = made if isinstance(made, MetricReader) else PeriodicExportingMetricReader(made)
    meters.provider().add_metric_reader(reader)
    _native.notice(0, name, "", "exports metrics from the app's own process, on a thread there")


def _log_exporter(name):
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    from carafe_engine import loggers

    exporter = _entry_point("opentelemetry_logs_exporter", name)()
    loggers.provider().add_log_record_processor(BatchLogRecordProcessor(exporter))
    _native.notice(0, name, "", "exports log records from the app's own process, on a thread there")


_detecting = False


def _detector(name):
    """Adds what detectors in Python find to the resource of this process, and of those it forks."""
    global _detecting
    if _detecting:  # all of them together, in their order
        return
    _detecting = True
    _tell_resource()
    os.register_at_fork(after_in_child=_tell_resource)


def _tell_resource():
    from opentelemetry.sdk import resources

    detectors = resources._build_resource_detectors()
    own = [detector for detector in detectors if type(detector).__module__ != resources.__name__]
    found = resources.get_aggregated_resources(own, resources.Resource.get_empty())
    _native.set_resource_attributes(dict(found.attributes))


_LOADERS = {
    "OTEL_TRACES_SAMPLER": _sampler,
    "OTEL_PYTHON_ID_GENERATOR": _id_generator,
    "OTEL_PROPAGATORS": _propagator,
    "OTEL_TRACES_EXPORTER": _exporter,
    "OTEL_METRICS_EXPORTER": _metric_exporter,
    "OTEL_LOGS_EXPORTER": _log_exporter,
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": _detector,
}
