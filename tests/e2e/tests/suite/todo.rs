//! The axum To-Do app under `carafe run`.

use std::process::Command;

use anyhow::{Result, ensure};
use carafe_e2e::apps::{self, App, carafe_run};
use carafe_e2e::backend::ANY_PORTS;
use carafe_e2e::process::Proc;
use carafe_e2e::{binary, free_port, http, load};

pub(crate) fn add_todo(run: &mut Command, directory: &std::path::Path) -> Result<u16> {
    let port = free_port()?;
    run.arg(binary::carafe()?).args(["todo", "--listen", &format!("127.0.0.1:{port}"), "--db"]);
    run.arg(directory.join("todo.db"));
    Ok(port)
}

fn start() -> Result<App> {
    let directory = apps::public_directory()?;
    let mut run = carafe_run("todo", &ANY_PORTS)?;
    let port = add_todo(&mut run, directory.path())?;
    apps::wait(Proc::spawn(run)?, port, directory)
}

#[test]
fn posts_and_deletes_are_named_by_their_route() -> Result<()> {
    let app = start()?;
    for title in ["tea", "cake"] {
        let answer = http::request(app.addr, "POST", "/add", format!("title={title}").as_bytes())?;
        ensure!(answer.status == 302, "{}", answer.status);
    }
    ensure!(http::get(app.addr, "/")?.text().contains("cake"));
    ensure!(http::request(app.addr, "POST", "/delete/2", b"")?.status == 302);
    ensure!(http::request(app.addr, "POST", "/delete/7", b"")?.status == 404);
    let spans = app.backend.wait_servers("todo", "5 spans", |spans| spans.len() >= 5)?;
    let mut names: Vec<(String, String)> = spans
        .iter()
        .map(|span| (span.name.clone(), span.tag("http.status_code").to_owned()))
        .collect();
    names.sort();
    let expected = [
        ("GET /", "200"),
        // What is not found has no route.
        ("POST", "404"),
        ("POST /add", "302"),
        ("POST /add", "302"),
        ("POST /delete/{id}", "302"),
    ];
    let expected: Vec<_> =
        expected.iter().map(|(name, status)| ((*name).to_owned(), (*status).to_owned())).collect();
    ensure!(names == expected, "{names:?}");
    Ok(())
}

#[test]
fn a_thousand_requests_at_concurrency_fifty() -> Result<()> {
    let app = start()?;
    let exchanges = load::run(app.addr, 1_000, 50, |number| ("GET", format!("/?n={number}")))?;
    ensure!(exchanges.iter().all(|exchange| exchange.status == 200), "{:?}", exchanges[0]);
    http::get(app.addr, "/?n=last")?;
    let spans = app.backend.wait_servers("todo", "1,001 spans", |spans| spans.len() >= 1_001)?;
    let mut targets: Vec<&str> = spans.iter().map(|span| span.tag("http.target")).collect();
    targets.sort_unstable();
    targets.dedup();
    ensure!(spans.len() == 1_001 && targets.len() == 1_001, "{} / {}", spans.len(), targets.len());
    ensure!(spans.iter().all(|span| span.name == "GET /"), "{:?}", spans[0].name);
    Ok(())
}
