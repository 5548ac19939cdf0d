//! The servers that Python apps run in: one set of spans per request, all workers in the metrics,
//! one `service.instance.id` per process.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use carafe_e2e::http;
use carafe_e2e::process::kill;
use carafe_e2e::wait::{DEADLINE, until};

use crate::python_app::PythonApp;

/// Requests of one load, and the clients that send them at once.
const REQUESTS: usize = 60;
const CLIENTS: usize = 12;

const GUNICORN: [&str; 4] = ["gunicorn", "--no-control-socket", "--bind", "127.0.0.1:@PORT@"];
const UVICORN: [&str; 5] = ["uvicorn", "--port", "@PORT@", "--log-level", "warning"];
const UWSGI: [&str; 11] = [
    "uwsgi",
    "--http-socket",
    "127.0.0.1:@PORT@",
    "--home",
    "@VENV@",
    "--die-on-term",
    "--need-app",
    "--disable-logging",
    "--master",
    "--module",
    "flask_app:app",
];

/// Sends one request after the other from each client, each on a connection of its own: uWSGI
/// keeps none, and does not say so.
fn send(addr: SocketAddr, targets: Range<usize>) -> Result<()> {
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let targets = targets.clone().skip(client).step_by(CLIENTS);
            thread::spawn(move || -> Result<()> {
                for number in targets {
                    let answer = http::get(addr, &format!("/items/{number}"))?;
                    ensure!(answer.status == 200, "{number}: {}", answer.status);
                }
                Ok(())
            })
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| anyhow!("a client panicked"))??;
    }
    Ok(())
}

/// Loads a server until that many of its processes have served, and checks that each request has
/// one span and is counted once.
fn every_request_once(base: &[&str], more: &[&str], processes: usize) -> Result<()> {
    let app = PythonApp::start(&[base, more].concat())?;
    let mut sent = 0;
    until("requests to all workers", DEADLINE, || {
        send(app.addr, sent..sent + REQUESTS)?;
        sent += REQUESTS;
        let printed = app.wait("all spans", |printed| printed.spans("SERVER").len() >= sent)?;
        Ok((printed.server_instances().len() >= processes).then_some(()))
    })?;
    let printed = app.finish(sent)?;
    let spans = printed.spans("SERVER");
    ensure!(spans.len() == sent, "{} spans for {sent} requests", spans.len());
    for span in &spans {
        let name = span["name"].as_str().unwrap_or_default();
        ensure!(name.starts_with("GET /items/"), "{span:#}");
        ensure!(span["attributes"]["http.status_code"] == 200, "{span:#}");
        ensure!(span["parent_id"].is_null(), "{span:#}");
    }
    let serving = printed.server_instances().len();
    ensure!(serving == processes, "{serving} processes served, not {processes}");
    let counted = printed.count("http.server.duration");
    ensure!(counted == sent as u64, "{counted} in the metrics for {sent} requests");
    let measured = printed.points("http.server.duration").len();
    ensure!(measured == processes, "{measured} processes in the metrics");
    Ok(())
}

#[test]
fn gunicorn_sync() -> Result<()> {
    every_request_once(&GUNICORN, &["--workers", "3", "flask_app:app"], 3)
}

#[test]
fn gunicorn_preload() -> Result<()> {
    every_request_once(&GUNICORN, &["--workers", "3", "--preload", "flask_app:app"], 3)
}

#[test]
fn gunicorn_gthread() -> Result<()> {
    let words = ["--workers", "2", "--worker-class", "gthread", "--threads", "4", "flask_app:app"];
    every_request_once(&GUNICORN, &words, 2)
}

#[test]
fn gunicorn_gevent() -> Result<()> {
    let words = ["--workers", "2", "--worker-class", "gevent", "flask_app:app"];
    every_request_once(&GUNICORN, &words, 2)
}

#[test]
fn uvicorn_with_workers() -> Result<()> {
    every_request_once(&UVICORN, &["--workers", "2", "fastapi_app:app"], 2)
}

#[test]
fn uwsgi_that_forks_the_app() -> Result<()> {
    every_request_once(&UWSGI, &["--processes", "3"], 3)
}

#[test]
fn uwsgi_with_lazy_apps() -> Result<()> {
    every_request_once(&UWSGI, &["--processes", "3", "--lazy-apps"], 3)
}

/// After this a reloader that has not seen a change will not see it any more.
const RELOADER_PATIENCE: Duration = Duration::from_secs(8);

/// A server that starts the app anew when its source changes.
fn reloads(words: &[&str], source: &str, addition: &str) -> Result<()> {
    let app = PythonApp::start(words)?;
    send(app.addr, 0..10)?;
    let mut file = OpenOptions::new().append(true).open(app.directory.path().join(source))?;
    file.write_all(addition.as_bytes())?;
    let mut changed = Instant::now();
    until("the reloaded app", DEADLINE, || {
        // A change before the reloader first looked at the file is none to it.
        if changed.elapsed() > RELOADER_PATIENCE {
            file.write_all(b"\n")?;
            changed = Instant::now();
        }
        // While the server restarts nothing answers.
        let answer = http::get(app.addr, "/new").ok();
        Ok(answer.filter(|answer| answer.status == 200).map(drop))
    })
    .with_context(|| app.proc.transcript())?;
    send(app.addr, 10..20)?;
    let printed = app.finish(20)?;
    let targets: Vec<&str> = printed
        .spans("SERVER")
        .into_iter()
        .filter_map(|span| span["attributes"]["http.target"].as_str())
        .filter(|target| target.starts_with("/items/"))
        .collect();
    let different: BTreeSet<&str> = targets.iter().copied().collect();
    ensure!(targets.len() == 20 && different.len() == 20, "{targets:?} for 20 requests");
    Ok(())
}

#[test]
fn the_reloader_of_flask() -> Result<()> {
    let words = ["flask", "--app", "flask_app", "run", "-p", "@PORT@", "--debug"];
    let addition = "\n\n@app.get('/new')\ndef new():\n    return 'new'\n";
    reloads(&words, "flask_app.py", addition)
}

#[test]
fn the_reloader_of_uvicorn() -> Result<()> {
    let addition = "\n\n@app.get('/new')\nasync def new():\n    return 'new'\n";
    reloads(&[&UVICORN[..], &["--reload", "fastapi_app:app"]].concat(), "fastapi_app.py", addition)
}

/// Answers before the kill, and how many each client waits for in all.
const ANSWERS_BEFORE_KILL: usize = 200;
const ANSWERS_PER_CLIENT: usize = 100;

#[test]
fn a_gunicorn_worker_killed_under_load_loses_at_most_its_request() -> Result<()> {
    let app = PythonApp::start(&[&GUNICORN[..], &["--workers", "2", "flask_app:app"]].concat())?;
    let answers = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (addr, answers) = (app.addr, answers.clone());
            thread::spawn(move || {
                let mut received = Vec::new();
                // What the killed worker was at is asked again under another name.
                for number in 0..10 * ANSWERS_PER_CLIENT {
                    if received.len() == ANSWERS_PER_CLIENT {
                        break;
                    }
                    let target = format!("/items/{}", client * 100_000 + number);
                    if http::get(addr, &target).is_ok_and(|answer| answer.status == 200) {
                        answers.fetch_add(1, Ordering::Relaxed);
                        received.push(target);
                    }
                }
                received
            })
        })
        .collect();
    until("answers", DEADLINE, || {
        Ok((answers.load(Ordering::Relaxed) >= ANSWERS_BEFORE_KILL).then_some(()))
    })?;
    kill(i32::try_from(a_worker(&app)?)?, libc::SIGKILL)?;
    let mut received = BTreeSet::new();
    for client in clients {
        received.extend(client.join().map_err(|_| anyhow!("a client panicked"))?);
    }
    let at_least = received.len() - 1;
    let printed = app.wait(&format!("{at_least} of the answered requests"), |printed| {
        let spans = printed.spans("SERVER");
        let targets: BTreeSet<&str> =
            spans.iter().filter_map(|span| span["attributes"]["http.target"].as_str()).collect();
        received.iter().filter(|target| targets.contains(target.as_str())).count() >= at_least
    })?;
    ensure!(printed.server_instances().len() >= 2, "one process served everything");
    Ok(())
}

/// A worker: a process whose parent is one of the app's processes, and not the launcher.
fn a_worker(app: &PythonApp) -> Result<u32> {
    let all = app.proc.descendants()?;
    all.iter()
        .copied()
        .find(|pid| {
            let parent = parent_of(*pid);
            parent.is_some_and(|parent| parent != app.proc.pid() && all.contains(&parent))
        })
        .with_context(|| format!("no worker among {all:?}"))
}

fn parent_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}
