//! `carafe check`: what listens on the ports of an OpenTelemetry backend, and does a span that
//! goes in come out.

mod port;
mod probe;
mod report;
mod round_trip;

use crate::backend::Component;
use crate::cli::{EXIT_RUNTIME, fail};
use port::Port;
use report::Report;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where OTLP/gRPC should listen
    #[arg(long, value_name = "HOST:PORT", default_value = Component::OtlpGrpc.default_addr())]
    otlp_grpc: String,
    /// Where OTLP/HTTP should listen
    #[arg(long, value_name = "HOST:PORT", default_value = Component::OtlpHttp.default_addr())]
    otlp_http: String,
    /// Where the query API should listen
    #[arg(long, value_name = "HOST:PORT", default_value = Component::Query.default_addr())]
    query: String,
    /// Print one JSON object instead of lines for people
    #[arg(long)]
    json: bool,
}

pub(crate) async fn main(args: Args) -> ExitCode {
    let clients = match probe::Clients::new() {
        Ok(clients) => clients,
        Err(error) => return fail(format_args!("cannot make an HTTP client: {error}")),
    };
    let (grpc, http, query) = tokio::join!(
        Port::check(&clients, Component::OtlpGrpc, args.otlp_grpc),
        Port::check(&clients, Component::OtlpHttp, args.otlp_http),
        Port::check(&clients, Component::Query, args.query),
    );
    let mut round_trips = Vec::new();
    if query.is_ok() {
        for via in [&grpc, &http] {
            if via.is_ok() {
                round_trips.push(round_trip::run(&clients, via, &query).await);
            }
        }
    }
    let report = Report { ports: vec![grpc, http, query], round_trips };
    if args.json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    if report.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_RUNTIME) }
}
