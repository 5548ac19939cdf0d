//! The web UI in Chromium, on the real backend.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use carafe_e2e::backend::{ANY_PORTS, Backend};
use carafe_e2e::process::{Proc, Stream, command, finish_within};
use carafe_e2e::{binary, fixture, free_port, http, repository};

use crate::backend::up;

/// From the answer of the app to the row in the browser: the product promises
/// one second; the rest is for a browser on a machine that runs other tests.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);

/// The suite takes about a minute by itself.
const SUITE_DEADLINE: Duration = Duration::from_secs(300);

fn web() -> Result<PathBuf> {
    let web = repository().join("web");
    ensure!(web.join("node_modules/playwright-core").exists(), "run scripts/web-install first");
    Ok(web)
}

#[test]
fn a_posted_task_appears_in_an_open_browser() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let mut demo = command(binary::carafe()?);
    demo.args(["demo", "--listen", &addr.to_string(), "--db"])
        .arg(directory.path().join("todo.db"));
    demo.args(&ANY_PORTS[..6]);
    let mut demo = Proc::spawn(demo)?;
    let backend = Backend::announced(&mut demo)?;
    http::wait_listening(addr).map_err(|error| error.context(demo.transcript()))?;

    let mut node = command("node");
    node.arg(fixture("apps/browser.mjs")).arg(web()?);
    node.args([&format!("http://{}/search?service=todo", backend.query), "POST /add", "GET /"]);
    let mut browser = Proc::spawn(node)?;
    browser.wait_for(Stream::Stdout, "ready")?;
    ensure!(http::request(addr, "POST", "/add", b"title=tea")?.status == 302);
    ensure!(http::get(addr, "/")?.status == 200);
    let answered = Instant::now();
    browser.wait_for(Stream::Stdout, "seen")?;
    let took = answered.elapsed();
    ensure!(took < VISIBLE_WITHIN, "the tasks' requests were visible only after {took:?}");
    Ok(())
}

/// The suite of the UI itself, which otherwise runs on a mock of the API.
#[test]
fn the_suite_of_the_ui_passes_on_the_real_backend() -> Result<()> {
    let (_up, backend) = up()?;
    let mut suite = command("node");
    suite
        .arg("node_modules/vitest/vitest.mjs")
        .args(["run", "--config", "vitest.e2e.config.ts"])
        .current_dir(web()?)
        .env("BASE_URL", format!("http://{}", backend.query))
        .env("OTLP_URL", format!("http://{}", backend.otlp_http));
    let (status, stdout, stderr) = finish_within(SUITE_DEADLINE, suite)?;
    ensure!(status.success(), "{status}:\n{stdout}\n{stderr}");
    Ok(())
}
