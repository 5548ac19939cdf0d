//! The apps under observation, each started by `carafe run`.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::backend::{ANY_PORTS, Backend};
use crate::process::{Proc, command};
use crate::{binary, fixture, free_port, http, python};

/// What serves the contract of `apps/README.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Flask's development server.
    Flask,
    /// The same with `--debug`: a reloader and the app as its child.
    FlaskDebug,
    /// gunicorn with four sync workers.
    Gunicorn,
    /// uvicorn with a plain ASGI app.
    Uvicorn,
    /// Node's `http` module.
    Node,
    /// The JDK's `com.sun.net.httpserver`.
    Java,
}

/// An app under `carafe run`, which hosts its backend.
#[derive(Debug)]
pub struct App {
    /// The launcher.
    pub proc: Proc,
    /// Where the app listens.
    pub addr: SocketAddr,
    /// The backend in the launcher.
    pub backend: Backend,
    /// The app's own directory.
    pub directory: TempDir,
}

/// `carafe run` with a service name and, between the two, `flags`; the
/// program's words follow.
///
/// # Errors
/// `carafe` cannot be built.
pub fn carafe_run(service: &str, flags: &[&str]) -> Result<Command> {
    let mut run = command(binary::carafe()?);
    run.args(["run", "--service_name", service]).args(flags).arg("--");
    Ok(run)
}

/// Starts a runtime under `carafe run`; the service is named `app`.
///
/// # Errors
/// It does not start or does not listen.
pub fn start(runtime: Runtime) -> Result<App> {
    let directory = public_directory()?;
    let mut run = carafe_run("app", &ANY_PORTS)?;
    let port = add_program(runtime, directory.path(), &mut run)?;
    wait(Proc::spawn(run)?, port, directory)
}

/// Waits until an app that was started by `carafe run` listens.
///
/// # Errors
/// It does not.
pub fn wait(mut proc: Proc, port: u16, directory: TempDir) -> Result<App> {
    let backend = Backend::announced(&mut proc)?;
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    http::wait_listening(addr).map_err(|error| error.context(proc.transcript()))?;
    Ok(App { proc, addr, backend, directory })
}

/// Adds a runtime's program and arguments to `carafe run`; gives its port.
///
/// # Errors
/// No free port, no Python environment, or no access to the directory.
pub fn add_program(runtime: Runtime, directory: &Path, run: &mut Command) -> Result<u16> {
    let port = free_port()?;
    let listen = port.to_string();
    run.current_dir(directory);
    match runtime {
        Runtime::Flask | Runtime::FlaskDebug => {
            // A copy, so that a test may edit it.
            fs::copy(fixture("apps/flask_app.py"), directory.join("flask_app.py"))?;
            run.env("PATH", python::path()?);
            run.args(["flask", "--app", "flask_app", "run", "-p", &listen]);
            if runtime == Runtime::FlaskDebug {
                run.arg("--debug");
            }
        }
        Runtime::Gunicorn => {
            run.env("PATH", python::path()?);
            run.args(["gunicorn", "--no-control-socket", "--workers", "4", "--chdir"])
                .arg(fixture("apps"));
            run.args(["--bind", &format!("127.0.0.1:{port}"), "flask_app:app"]);
        }
        Runtime::Uvicorn => {
            run.env("PATH", python::path()?);
            run.args(["uvicorn", "--app-dir"]).arg(fixture("apps"));
            run.args(["--port", &listen, "--no-access-log", "asgi_app:app"]);
        }
        Runtime::Node => {
            run.arg("node").arg(fixture("apps/server.js")).arg(&listen);
        }
        Runtime::Java => {
            run.arg("java").arg(fixture("apps/Server.java")).arg(&listen);
        }
    }
    Ok(port)
}

/// A directory that servers may read after they have dropped their privileges.
///
/// # Errors
/// It cannot be created.
pub fn public_directory() -> Result<TempDir> {
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
    Ok(directory)
}

/// PEM files of a server named `localhost`.
#[derive(Debug)]
pub struct Certificate {
    /// The authority that clients must trust.
    pub authority: PathBuf,
    /// The server's certificate, signed by the authority.
    pub certificate: PathBuf,
    /// The server's key.
    pub key: PathBuf,
}

/// Makes an authority and a certificate for `localhost`.
///
/// # Errors
/// `openssl` failed.
pub fn certificate(directory: &Path) -> Result<Certificate> {
    let file = |name: &str| directory.join(name);
    let (authority, authority_key) = (file("authority.pem"), file("authority.key"));
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    let request = |subject: &str, key: &Path, certificate: &Path| {
        let mut openssl = command("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]);
        openssl.arg(subject).arg("-keyout").arg(key).arg("-out").arg(certificate);
        openssl
    };
    let mut server = request("/CN=localhost", &key, &certificate);
    server.arg("-CA").arg(&authority).arg("-CAkey").arg(&authority_key);
    server.args(["-addext", "subjectAltName=DNS:localhost"]);
    server.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    for mut openssl in [request("/CN=Test authority", &authority_key, &authority), server] {
        let output = openssl.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(Certificate { authority, certificate, key })
}
