//! `carafe demo`: app, agent and backend in one command.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carafe_e2e::backend::{ANY_PORTS, Backend};
use carafe_e2e::process::{Proc, command, shell_code};
use carafe_e2e::wait::{DEADLINE, until};
use carafe_e2e::{binary, free_port, http};

/// How soon a request must be visible, as the product promises.
const VISIBLE_WITHIN: Duration = Duration::from_secs(1);

#[test]
fn a_posted_task_is_visible_within_a_second_and_ctrl_c_ends_all() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let mut demo = command(binary::carafe()?);
    demo.args(["demo", "--listen", &addr.to_string(), "--db"])
        .arg(directory.path().join("todo.db"));
    // Its own metrics take a free port by themselves when 8888 is taken.
    demo.args(&ANY_PORTS[..6]);
    let mut proc = Proc::spawn(demo)?;
    let backend = Backend::announced(&mut proc)?;
    http::wait_listening(addr).map_err(|error| error.context(proc.transcript()))?;

    ensure!(http::request(addr, "POST", "/add", b"title=tea")?.status == 302);
    ensure!(http::get(addr, "/")?.text().contains("tea"));
    until("both requests at /api/traces?service=todo", VISIBLE_WITHIN, || {
        let spans = backend.spans("todo", "server")?;
        let seen = |name| spans.iter().any(|span| span.name == name);
        Ok((seen("GET /") && seen("POST /add")).then_some(()))
    })
    .with_context(|| proc.transcript())?;

    proc.signal_group(libc::SIGINT)?;
    let code = shell_code(proc.wait_exit()?);
    ensure!(code == 0 || code == 130, "{code}: {}", proc.transcript());
    until("the end of every process", DEADLINE, || Ok(proc.descendants()?.is_empty().then_some(())))
}
