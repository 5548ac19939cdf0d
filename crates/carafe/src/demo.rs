//! `carafe demo`: the To-Do app, run by the agent, with the backend beside it.

use crate::backend::Component;
use crate::run::{self, RunHooks};
use crate::store_options::StoreArgs;
use carafe_settings::flags::Invocation;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Time between two requests of `--traffic`.
const TRAFFIC_INTERVAL: Duration = Duration::from_millis(400);

/// How long one of them may take.
const TRAFFIC_TIMEOUT: Duration = Duration::from_secs(2);

/// Tasks that `--traffic` lets stand before it deletes the oldest.
const TRAFFIC_TASKS: usize = 8;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the To-Do app listens
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5000")]
    listen: String,
    /// The To-Do app's database
    #[arg(long, value_name = "FILE", default_value = "todo.db")]
    db: PathBuf,
    /// Send a light trickle of requests to the app
    #[arg(long)]
    traffic: bool,
    /// Where the UI and the query APIs listen
    #[arg(long, value_name = "HOST:PORT", default_value = Component::Query.default_addr())]
    query: String,
    /// Where OTLP/gRPC listens
    #[arg(long, value_name = "HOST:PORT", default_value = Component::OtlpGrpc.default_addr())]
    otlp_grpc: String,
    /// Where OTLP/HTTP listens
    #[arg(long, value_name = "HOST:PORT", default_value = Component::OtlpHttp.default_addr())]
    otlp_http: String,
    /// Where Carafe's own metrics are [default: 127.0.0.1:8888, or a free port]
    #[arg(long, value_name = "HOST:PORT")]
    telemetry: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs all of it until Ctrl-C, which the terminal sends to the app too.
pub(crate) fn main(args: Args) -> ExitCode {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("carafe: cannot find the carafe program itself: {error}");
            return ExitCode::FAILURE;
        }
    };
    let command: Vec<OsString> = vec![
        program.into(),
        "todo".into(),
        "--listen".into(),
        args.listen.clone().into(),
        "--db".into(),
        args.db.into(),
    ];
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut overrides = vec![
        set("CARAFE_QUERY", &args.query),
        set("CARAFE_OTLP_GRPC", &args.otlp_grpc),
        set("CARAFE_OTLP_HTTP", &args.otlp_http),
        set("CARAFE_CAPTURE_OUTPUT", "true"),
    ];
    if let Some(telemetry) = &args.telemetry {
        overrides.push(set("CARAFE_TELEMETRY", telemetry));
    }
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        overrides.push(set("OTEL_SERVICE_NAME", "todo"));
    }
    eprintln!("carafe: demo: the To-Do app is at http://{}, Ctrl-C ends all of it", args.listen);
    let listen = args.listen;
    let traffic = move |runtime: &Handle, cancel: CancellationToken| {
        // Ends with the token; the runtime's shutdown waits for nothing else of it.
        runtime.spawn(async move { cancel.clone().run_until_cancelled(visit(listen)).await });
    };
    run::run(
        &Invocation { overrides, command },
        RunHooks {
            demo: Some(args.store.settings()),
            on_ready: args.traffic.then(|| Box::new(traffic) as _),
        },
    )
}

/// Looks at the page, adds tasks and deletes old ones, for ever.
async fn visit(listen: String) {
    let client = reqwest::Client::builder()
        .timeout(TRAFFIC_TIMEOUT)
        .redirect(reqwest::redirect::Policy::limited(3))
        .build();
    let Ok(client) = client else { return };
    let mut ticks = tokio::time::interval(TRAFFIC_INTERVAL);
    for round in 1_u64.. {
        ticks.tick().await;
        // A request that fails is the app's matter; its span says so.
        let _ = step(&client, &listen, round).await;
    }
}

async fn step(client: &reqwest::Client, listen: &str, round: u64) -> reqwest::Result<()> {
    let page = client.get(format!("http://{listen}/")).send().await?.text().await?;
    if round.is_multiple_of(3) {
        let title = format!("title=Water+plant+{round}");
        client
            .post(format!("http://{listen}/add"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(title)
            .send()
            .await?;
    }
    let tasks: Vec<&str> =
        page.split("action=\"/delete/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    if let (true, Some(id)) = (tasks.len() > TRAFFIC_TASKS, tasks.first()) {
        client.post(format!("http://{listen}/delete/{id}")).send().await?;
    }
    Ok(())
}
