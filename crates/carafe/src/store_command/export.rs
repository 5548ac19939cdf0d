//! `carafe store export`.

use super::{Directory, SignalName, text};
use crate::signals::StopSignals;
use carafe_nodes::exporter::otlp::{Endpoint, OtlpConfig, OtlpExporter, Protocol};
use carafe_pipeline::{Consumer, Retry, RetryPolicy};
use carafe_settings::StoreSettings;
use carafe_store::{ScanQuery, Store, StoreError, StoreErrorKind, TimeRange};
use carafe_store_local::LocalStore;
use carafe_telemetry::{Batch, Signal, UnixNanos, json};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Items of a request.
const PAGE_ITEMS: usize = 2_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    directory: Directory,
    /// Only this signal
    #[arg(long, value_name = "SIGNAL")]
    signal: Option<SignalName>,
    /// From this time on: 2026-01-31T12:00:00Z, or 7d for so long ago
    #[arg(long, value_name = "TIME", value_parser = text::parse_time)]
    from: Option<UnixNanos>,
    /// Up to this time
    #[arg(long, value_name = "TIME", value_parser = text::parse_time)]
    to: Option<UnixNanos>,
    /// Write to this file, not to standard output
    #[arg(long, short, value_name = "FILE", conflicts_with = "endpoint")]
    output: Option<PathBuf>,
    /// Send to this OTLP receiver
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// How it is sent: grpc, http/protobuf or http/json
    #[arg(long, default_value = "grpc", requires = "endpoint", value_parser = parse_protocol)]
    protocol: Protocol,
}

fn parse_protocol(text: &str) -> Result<Protocol, String> {
    text.parse().map_err(|error: carafe_nodes::exporter::otlp::UnknownWord| error.to_string())
}

/// Newest first, one signal after the other.
pub(super) async fn run(args: Args) -> Result<ExitCode, StoreError> {
    let mut signals =
        StopSignals::catch().map_err(|error| failed("cannot catch signals", error))?;
    let cancel = CancellationToken::new();
    let mut target = Target::new(&args, cancel.clone())?;
    let directory = args.directory.clone();
    // What is there is exported, however old it is.
    let settings = StoreSettings { retention_age: Some(None), ..StoreSettings::default() };
    let open = move || directory.open(settings, "carafe store export");
    let store = tokio::task::spawn_blocking(open).await;
    let store = store.map_err(|error| failed("opening the store failed", error))??;
    let outcome = tokio::select! {
        outcome = copy(&store, &args, &mut target) => outcome,
        () = signals.next() => {
            cancel.cancel();
            Err(StoreError::new(StoreErrorKind::Cancelled, "stopped before the end"))
        }
    };
    let closed = store.close().await;
    let items = outcome?;
    closed?;
    eprintln!("carafe: exported {} items", text::count(items));
    Ok(ExitCode::SUCCESS)
}

async fn copy(store: &LocalStore, args: &Args, target: &mut Target) -> Result<u64, StoreError> {
    let range = TimeRange {
        start: args.from.unwrap_or(TimeRange::ALL.start),
        end: args.to.unwrap_or(TimeRange::ALL.end),
    };
    let mut items = 0;
    let wanted = args.signal.map(Signal::from);
    for signal in Signal::ALL.into_iter().filter(|signal| wanted.is_none_or(|it| it == *signal)) {
        let mut query = ScanQuery { signal, range, after: None, limit: PAGE_ITEMS };
        loop {
            let page = store.scan(&query).await?;
            if let Some(batch) = page.batch {
                items += batch.items().map_err(|error| failed("a page is no request", error))?;
                target.take(batch).await?;
            }
            let Some(next) = page.next else { break };
            query.after = Some(next);
        }
    }
    target.finish()?;
    Ok(items)
}

/// Where it goes.
enum Target {
    Lines(BufWriter<Box<dyn Write + Send>>),
    Receiver(Box<Retry<OtlpExporter>>),
}

impl Target {
    fn new(args: &Args, cancel: CancellationToken) -> Result<Self, StoreError> {
        let Some(endpoint) = &args.endpoint else {
            let out: Box<dyn Write + Send> =
                match &args.output {
                    Some(path) => Box::new(File::create(path).map_err(|error| {
                        failed(&format!("cannot write {}", path.display()), error)
                    })?),
                    None => Box::new(io::stdout()),
                };
            return Ok(Self::Lines(BufWriter::new(out)));
        };
        let endpoint = match args.protocol {
            Protocol::Grpc => Endpoint::grpc(endpoint, true),
            Protocol::HttpProtobuf | Protocol::HttpJson => Endpoint::http_base(endpoint),
        };
        let endpoint = endpoint.map_err(|error| failed("the endpoint is wrong", error))?;
        let config = OtlpConfig::new(endpoint, args.protocol);
        let exporter = OtlpExporter::new(&config).map_err(|error| failed("cannot send", error))?;
        let retry = Retry::new("export", exporter, RetryPolicy::default(), cancel);
        Ok(Self::Receiver(Box::new(retry)))
    }

    async fn take(&mut self, batch: Batch) -> Result<(), StoreError> {
        match self {
            Self::Lines(out) => {
                let line = json::from_batch(&batch).map_err(|error| failed("no JSON", error))?;
                let written = out.write_all(&line).and_then(|()| out.write_all(b"\n"));
                written.map_err(|error| failed("cannot write", error))
            }
            Self::Receiver(exporter) => {
                let accepted =
                    exporter.consume(batch).await.map_err(|error| failed("not taken", error))?;
                if accepted.rejected_items > 0 {
                    eprintln!(
                        "carafe: warning: {} items were rejected: {}",
                        accepted.rejected_items, accepted.message
                    );
                }
                Ok(())
            }
        }
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Lines(out) => out.flush().map_err(|error| failed("cannot write", error)),
            Self::Receiver(_) => Ok(()),
        }
    }
}

fn failed(what: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, format!("{what}: {error}"))
}
