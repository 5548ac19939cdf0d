//! A running `carafe`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take before a test gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// `carafe`, which is told nothing by the environment.
pub(crate) fn carafe(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carafe"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARAFE_") {
            command.env_remove(name);
        }
    }
    command.args(args).env_remove("RUST_LOG");
    command
}

/// Runs it to its end.
pub(crate) fn output(args: &[&str]) -> Output {
    carafe(args).output().unwrap()
}

/// A backend that binds free ports.
pub(crate) const ANY_PORTS: [&str; 9] = [
    "up",
    "--otlp-grpc",
    "127.0.0.1:0",
    "--otlp-http",
    "127.0.0.1:0",
    "--query",
    "127.0.0.1:0",
    "--telemetry",
    "127.0.0.1:0",
];

/// `carafe up` on free ports, ready.
pub(crate) struct Up {
    child: Child,
    /// Its data directory, where it has one for itself.
    _data: Option<TempDir>,
    pub(crate) grpc: String,
    pub(crate) http: String,
    pub(crate) query: String,
    pub(crate) telemetry: String,
}

impl Up {
    /// With a data directory of its own, which keeps data of any age.
    pub(crate) fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let directory = data.path().to_str().unwrap().to_owned();
        let mut up = Self::with(&["--data-dir", &directory, "--retention-age", "none"]);
        up._data = Some(data);
        up
    }

    /// With these options.
    pub(crate) fn with(options: &[&str]) -> Self {
        let mut command = carafe(&ANY_PORTS);
        let mut child = command.args(options).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        loop {
            let line = lines.next().expect("it says that it is ready").unwrap();
            let ready = line.contains("ready");
            said.push(line);
            if ready {
                break;
            }
        }
        // Keeps reading, or the program could not write any more.
        std::thread::spawn(move || lines.for_each(drop));
        let addr = |component: &str| {
            let line = said.iter().find(|line| line.contains(component)).unwrap();
            let (_, addr) = line.split_once("http://").unwrap();
            addr.trim_end_matches("/metrics").to_owned()
        };
        Self {
            child,
            _data: None,
            grpc: addr("OTLP gRPC"),
            http: addr("OTLP HTTP"),
            query: addr("UI"),
            telemetry: addr("self-telemetry"),
        }
    }

    /// Sends a signal by its name and waits for the end.
    pub(crate) fn stop(mut self, signal: &str) -> ExitStatus {
        kill(self.child.id(), signal);
        wait(&mut self.child)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Fails where it has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn kill(pid: u32, signal: &str) {
    let status = Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(started.elapsed() < DEADLINE, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An HTTP/1.1 exchange: status and body.
pub(crate) fn http(method: &str, addr: &str, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {addr}\r\ncontent-type: {kind}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, body.to_owned())
}
