//! kill -9, of the app and of the launcher, under load.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, anyhow, ensure};
use carafe_e2e::apps::{self, Runtime, carafe_run};
use carafe_e2e::backend::ANY_PORTS;
use carafe_e2e::process::{Proc, kill, shell_code};
use carafe_e2e::wait::{DEADLINE, until};
use carafe_e2e::{http, load};

use crate::backend::up;
use crate::todo::add_todo;

const CLIENTS: usize = 8;
/// Answers after which the kill comes, and the most that one client asks for:
/// together below what one search gives.
const ANSWERS_BEFORE_KILL: usize = 400;
const MOST_PER_CLIENT: usize = 150;

/// Kills an app, whose program file is named, under load. Every answer that a
/// client received must have its span; each of the app's threads may have been
/// between its write and its record once.
fn killed_app_keeps_its_spans(
    program: &str,
    threads: usize,
    add: impl Fn(&mut std::process::Command, &std::path::Path) -> Result<u16>,
    target: fn(usize, usize) -> String,
) -> Result<()> {
    let (_up, backend) = up()?;
    let directory = apps::public_directory()?;
    let mut run = carafe_run("app", &[])?;
    run.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", backend.otlp_grpc));
    let port = add(&mut run, directory.path())?;
    let mut proc = Proc::spawn(run)?;
    let addr = ([127, 0, 0, 1], port).into();
    http::wait_listening(addr).map_err(|error| error.context(proc.transcript()))?;

    let answers = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let answers = answers.clone();
            thread::spawn(move || {
                let count = || {
                    answers.fetch_add(1, Ordering::Relaxed);
                };
                load::until_broken(addr, MOST_PER_CLIENT, |number| target(client, number), count)
            })
        })
        .collect();
    until("answers", DEADLINE, || {
        Ok((answers.load(Ordering::Relaxed) >= ANSWERS_BEFORE_KILL).then_some(()))
    })?;
    let pids = proc.descendants_named(program)?;
    ensure!(pids.len() == 1, "{pids:?} are named {program}");
    kill(i32::try_from(pids[0])?, libc::SIGKILL)?;
    let mut received = BTreeSet::new();
    for client in clients {
        received.extend(client.join().map_err(|_| anyhow!("a client panicked"))??);
    }
    let status = proc.wait_exit()?;
    ensure!(shell_code(status) == 137, "{status}: {}", proc.transcript());

    let at_least = received.len().saturating_sub(threads);
    let spans = backend.wait_servers("app", &format!("{at_least} spans"), |spans| {
        spans.iter().filter(|span| received.contains(span.tag("http.target"))).count() >= at_least
    })?;
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.span_id.as_str()).collect();
    ensure!(ids.len() == spans.len(), "{} ids in {} spans", ids.len(), spans.len());
    Ok(())
}

#[test]
fn node_killed_under_load_loses_at_most_what_was_in_flight() -> Result<()> {
    killed_app_keeps_its_spans(
        "node",
        1,
        |run, directory| apps::add_program(Runtime::Node, directory, run),
        |client, number| format!("/items/{}", client * 10_000 + number),
    )
}

#[test]
fn the_todo_app_killed_under_load_loses_at_most_what_was_in_flight() -> Result<()> {
    killed_app_keeps_its_spans(
        "carafe",
        thread::available_parallelism()?.get(),
        add_todo,
        |client, number| format!("/?client={client}&number={number}"),
    )
}

#[test]
fn an_app_whose_launcher_was_killed_goes_on_serving() -> Result<()> {
    let directory = apps::public_directory()?;
    let mut run = carafe_run("app", &ANY_PORTS)?;
    let port = apps::add_program(Runtime::Node, directory.path(), &mut run)?;
    let mut app = apps::wait(Proc::spawn(run)?, port, directory)?;
    load::until_broken(app.addr, 100, |number| format!("/items/{number}"), || ())?;
    app.proc.signal(libc::SIGKILL)?;
    app.proc.wait_exit()?;
    // Far more than a ring holds: nobody reads it any more, so the app must
    // drop records instead of waiting.
    let exchanges = load::run(app.addr, 40_000, 8, |number| ("GET", format!("/items/{number}")))?;
    ensure!(exchanges.iter().all(|exchange| exchange.status == 200), "wrong answers");
    Ok(())
}
