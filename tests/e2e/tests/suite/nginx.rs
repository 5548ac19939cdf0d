//! nginx: static files, a proxy, workers that dropped their privileges.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use carafe_e2e::apps::{self, App, carafe_run};
use carafe_e2e::backend::ANY_PORTS;
use carafe_e2e::process::{Proc, command};
use carafe_e2e::wait::{DEADLINE, until};
use carafe_e2e::{fixture, free_port, http};

use crate::servers::{Naming, check_load};

/// nginx in front of Node, which is not observed.
fn start() -> Result<(App, Proc)> {
    let upstream_port = free_port()?;
    let mut node = command("node");
    node.arg(fixture("apps/server.js")).arg(upstream_port.to_string());
    let upstream = Proc::spawn(node)?;
    http::wait_listening(([127, 0, 0, 1], upstream_port).into())?;

    let directory = apps::public_directory()?;
    fs::create_dir(directory.path().join("static"))?;
    fs::write(directory.path().join("static/hello.txt"), "hello\n".repeat(20_000))?;
    let mut run = carafe_run("app", &ANY_PORTS)?;
    let port = add_nginx(&mut run, directory.path(), upstream_port)?;
    Ok((apps::wait(Proc::spawn(run)?, port, directory)?, upstream))
}

fn add_nginx(run: &mut Command, directory: &Path, upstream: u16) -> Result<u16> {
    let port = free_port()?;
    let configuration = fs::read_to_string(fixture("apps/nginx.conf"))?
        .replace("@DIRECTORY@", &directory.display().to_string())
        .replace("@PORT@", &port.to_string())
        .replace("@UPSTREAM@", &upstream.to_string());
    let file = directory.join("nginx.conf");
    fs::write(&file, configuration)?;
    // Debian keeps it where only root's PATH leads.
    let program = ["/usr/sbin/nginx"].into_iter().find(|path| Path::new(path).exists());
    run.arg(program.unwrap_or("nginx")).arg("-p").arg(directory).arg("-c").arg(file);
    run.args(["-e", "stderr"]);
    Ok(port)
}

#[test]
fn a_load_through_the_proxy() -> Result<()> {
    let (mut app, _upstream) = start()?;
    check_load(&app, "app", Naming::Inferred)?;
    app.proc.stop()?;
    Ok(())
}

#[test]
fn a_proxied_request_is_a_server_and_a_client_span() -> Result<()> {
    let (app, _upstream) = start()?;
    http::get(app.addr, "/items/1")?;
    let servers = app.backend.wait_servers("app", "the server span", |spans| !spans.is_empty())?;
    let mut clients = Vec::new();
    until("the client span", DEADLINE, || {
        clients = app.backend.spans("app", "client")?;
        clients.retain(|span| span.tag("span.kind") == "client");
        Ok((!clients.is_empty()).then_some(()))
    })?;
    ensure!(servers.len() == 1 && clients.len() == 1, "{servers:#?} {clients:#?}");
    let url = clients[0].tag("http.url");
    ensure!(url.ends_with("/items/1") && !url.contains(&app.addr.port().to_string()), "{url}");
    Ok(())
}

#[test]
fn a_static_file_sent_by_the_kernel() -> Result<()> {
    let (app, _upstream) = start()?;
    let answer = http::get(app.addr, "/static/hello.txt")?;
    ensure!(answer.body.len() == 120_000, "{} bytes", answer.body.len());
    let spans = app.backend.wait_servers("app", "the span", |spans| !spans.is_empty())?;
    ensure!(spans[0].tag("http.target") == "/static/hello.txt", "{:?}", spans[0].tags);
    ensure!(spans[0].tag("http.status_code") == "200", "{:?}", spans[0].tags);
    Ok(())
}
