//! Carafe's own variables.

use super::Part::Carafe;
use super::{FALSE, Variable, unflagged, variable};

pub(super) const VARIABLES: &[Variable] = &[
    variable(
        "CARAFE_CAPTURE_OUTPUT",
        "capture_output",
        Carafe,
        FALSE,
        "Whether every line that the app prints becomes a log record; it is printed all the same.",
    ),
    variable(
        "CARAFE_EXPLAIN",
        "explain",
        Carafe,
        FALSE,
        "Whether to say on stderr what is instrumented, what is not and why, and where data goes.",
    ),
    variable(
        "CARAFE_PYTHON",
        "python",
        Carafe,
        "on",
        "With `off` the Python engine stays out of Python programs; the universal engine alone sees them.",
    ),
    variable(
        "CARAFE_SYSTEM_METRICS",
        "system_metrics",
        Carafe,
        "`on`, but `off` where metrics go to the console alone",
        "Whether what the kernel knows of the app's processes (`process.*`) and of the machine (`system.*`) is reported: `on` or `off`.",
    ),
    variable(
        "CARAFE_QUERY",
        "query",
        Carafe,
        "127.0.0.1:16686",
        "Address of the UI and the query APIs, when `carafe run` hosts the backend itself.",
    ),
    variable(
        "CARAFE_OTLP_GRPC",
        "otlp_grpc",
        Carafe,
        "127.0.0.1:4317",
        "Address of the OTLP/gRPC receiver of that backend.",
    ),
    variable(
        "CARAFE_OTLP_HTTP",
        "otlp_http",
        Carafe,
        "127.0.0.1:4318",
        "Address of the OTLP/HTTP receiver of that backend.",
    ),
    variable(
        "CARAFE_TELEMETRY",
        "telemetry",
        Carafe,
        "127.0.0.1:8888",
        "Address of that backend's own metrics.",
    ),
    variable(
        "CARAFE_DATA_DIR",
        "data_dir",
        Carafe,
        "`$XDG_DATA_HOME/carafe`, else `~/.local/share/carafe`",
        "Directory in which that backend keeps telemetry; one process at a time.",
    ),
    variable(
        "CARAFE_IN_MEMORY",
        "in_memory",
        Carafe,
        FALSE,
        "Whether that backend keeps telemetry in memory alone, until it ends.",
    ),
    variable(
        "CARAFE_DURABILITY",
        "durability",
        Carafe,
        "fsync",
        "When telemetry counts as safe: `fsync` on the disk, `os` written, `memory` at once.",
    ),
    variable(
        "CARAFE_RETENTION_AGE",
        "retention_age",
        Carafe,
        "7d",
        "Age of what is removed from the data directory: `45s`, `30m`, `12h`, `7d` or `none`.",
    ),
    variable(
        "CARAFE_RETENTION_SIZE",
        "retention_size",
        Carafe,
        "10GB",
        "What the data directory may take before the oldest goes: a size or `none`.",
    ),
    variable(
        "CARAFE_MEMORY_LIMIT",
        "memory_limit",
        Carafe,
        "512MiB",
        "What that backend may keep in memory.",
    ),
    unflagged(
        "CARAFE_RING_DIR",
        Carafe,
        "",
        "Set by `carafe run` for the app: the directory that the engines in it write to.",
    ),
    unflagged(
        "CARAFE_SERVICE_NAME",
        Carafe,
        "",
        "Set by `carafe run` for the app: the service's name where no other variable has it.",
    ),
    unflagged(
        "CARAFE_SIGNALS",
        Carafe,
        "",
        "Set by `carafe run` for the app: which of traces, metrics and logs are exported.",
    ),
];
