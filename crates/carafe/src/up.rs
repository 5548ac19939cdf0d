//! `carafe up`: the backend as a program of its own.

use crate::backend::{Backend, BackendConfig, Component};
use crate::cli::{EXIT_RUNTIME, fail};
use crate::logging;
use crate::signals::StopSignals;
use crate::store_options::{StoreArgs, StoreChoice};
use carafe_nodes::receiver::otlp::DRAIN;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where OTLP/gRPC listens
    #[arg(long, value_name = "HOST:PORT", default_value = Component::OtlpGrpc.default_addr())]
    otlp_grpc: String,
    /// Where OTLP/HTTP listens
    #[arg(long, value_name = "HOST:PORT", default_value = Component::OtlpHttp.default_addr())]
    otlp_http: String,
    /// Where the UI and the query APIs listen
    #[arg(long, value_name = "HOST:PORT", default_value = Component::Query.default_addr())]
    query: String,
    /// Where Carafe's own metrics are
    #[arg(long, value_name = "HOST:PORT", default_value = Component::Telemetry.default_addr())]
    telemetry: String,
    #[command(flatten)]
    store: StoreArgs,
}

pub(crate) async fn main(args: Args) -> ExitCode {
    logging::init();
    let mut signals = match StopSignals::catch() {
        Ok(signals) => signals,
        Err(error) => return fail(format_args!("cannot catch signals: {error}")),
    };
    let store = match StoreChoice::new(&args.store.settings(), "carafe up") {
        Ok(store) => store,
        Err(error) => return fail(error),
    };
    let config = BackendConfig {
        otlp_grpc: args.otlp_grpc,
        otlp_http: args.otlp_http,
        query: args.query,
        telemetry: args.telemetry,
        store,
    };
    let backend = match Backend::bind(config).await {
        Ok(backend) => backend,
        Err(faults) => {
            for fault in faults {
                eprintln!("carafe: {fault}");
            }
            return ExitCode::from(EXIT_RUNTIME);
        }
    };
    for (component, url) in backend.urls() {
        eprintln!("carafe: {:<19} {url}", component.name());
    }
    if let Some(directory) = backend.data_directory() {
        eprintln!("carafe: {:<19} {}", "data", directory.display());
    }
    let cancel = CancellationToken::new();
    let serving = tokio::spawn(backend.serve(cancel.clone(), DRAIN, None));
    eprintln!("carafe: ready, Ctrl-C ends it");
    signals.next().await;
    eprintln!("carafe: stopping, once more ends it at once");
    cancel.cancel();
    tokio::select! {
        outcome = serving => match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(format_args!("the backend failed: {error}")),
        },
        () = signals.next() => ExitCode::from(EXIT_RUNTIME),
    }
}
