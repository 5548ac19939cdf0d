//! The universal engine in real programs that do what could trip it: limits, sandboxes, cancelled
//! threads, forks, descriptors that close unseen, several OpenSSLs. The programs are C, compiled
//! here. Not proven here: runtimes and servers, which the end-to-end suite runs.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use carafe_launch::directory::RunDirectory;
use carafe_launch::http::HttpOptions;
use carafe_launch::metrics::MetricOptions;
use carafe_launch::origin::Origin;
use carafe_launch::registry::Registry;
use carafe_launch::resource::ResourceOptions;
use carafe_launch::rings::{ReaderCounters, RingReader, Sink};
use carafe_wire::record::Notice;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engine");

fn compile(output: &Path, arguments: &[&OsStr]) {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let done = Command::new(compiler)
        .args(["-O1", "-Wall", "-o"])
        .arg(output)
        .args(arguments)
        .args(["-pthread", "-ldl"])
        .current_dir(SOURCES)
        .output()
        .expect("a C compiler is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn program(directory: &Path) -> PathBuf {
    let path = directory.join("app");
    compile(&path, &["app.c".as_ref()]);
    path
}

#[derive(Clone, Default)]
struct Spans(Arc<AtomicUsize>);

impl Sink for Spans {
    fn span(&mut self, _origin: &Arc<Origin>, _otlp: &[u8]) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn log(&mut self, _origin: &Arc<Origin>, _otlp: &[u8]) {}

    fn notice(&mut self, _notice: &Notice<'_>) {}
}

/// What a run of a program led to.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    code: Option<i32>,
    spans: usize,
    processes: u64,
    unusable: u64,
}

fn run(program: &Path, arguments: &[&OsStr]) -> Run {
    let (directory, doorbell) = RunDirectory::create().unwrap();
    let status = Command::new(program)
        .args(arguments)
        .env("LD_PRELOAD", directory.agent())
        .env(carafe_wire::RING_DIR_VARIABLE, directory.path())
        .status()
        .unwrap();
    let (counters, spans) = (Arc::new(ReaderCounters::default()), Spans::default());
    let reader = RingReader::new(
        directory.path(),
        Arc::new(doorbell),
        HttpOptions::default(),
        Arc::new(Registry::new(ResourceOptions::default(), MetricOptions::default())),
        Arc::clone(&counters),
        spans.clone(),
    );
    reader.run(&AtomicBool::new(true));
    Run {
        code: status.code(),
        spans: spans.0.load(Ordering::Acquire),
        processes: counters.processes.load(Ordering::Relaxed),
        unusable: counters.unusable_records.load(Ordering::Relaxed),
    }
}

#[test]
fn programs_behave_as_without_it_and_are_seen() {
    let directory = tempfile::tempdir().unwrap();
    let program = program(directory.path());
    for (scenario, spans, processes) in [
        ("plain", 2, 1),
        // No ring can be made.
        ("file-size-limit", 0, 0),
        // The engine is off in a sandbox.
        ("seccomp", 0, 0),
        ("cancel", 2, 1),
        ("hidden-close", 4, 1),
        // The child that only closes has nothing to say.
        ("fork", 4, 2),
        // Two exchanges of two halves, then three of the client's half, one of them in a child.
        ("yield", 7, 2),
        // A vfork child's program, this one, and the one that replaces it.
        ("exec", 6, 3),
    ] {
        let expected = Run { code: Some(0), spans, processes, unusable: 0 };
        assert_eq!(run(&program, &[scenario.as_ref()]), expected, "{scenario}");
    }
}

/// Two libraries with an OpenSSL of their own beside them, and one that exports what is linked
/// into it: each object meets the functions of the library that made it.
#[test]
fn every_openssl_gets_its_own_objects() {
    let directory = tempfile::tempdir().unwrap();
    let program = program(directory.path());
    let shared = ["-shared", "-fPIC"].map(OsStr::new);
    let mut users = Vec::new();
    for number in 1..=3 {
        let user = directory.path().join(format!("user-{number}.so"));
        let define = format!("-DNUMBER={number}");
        let define: &OsStr = define.as_ref();
        if number == 3 {
            let sources = ["user.c", "openssl.c"].map(OsStr::new);
            compile(&user, &[&shared[..], &sources[..], &[define]].concat());
        } else {
            let library = directory.path().join(format!("libssl-{number}.so.3"));
            compile(&library, &[&shared[..], &["openssl.c".as_ref(), define]].concat());
            compile(&user, &[&shared[..], &["user.c".as_ref(), library.as_os_str()]].concat());
        }
        users.push(user);
    }
    let arguments: Vec<&OsStr> = ["libraries".as_ref()]
        .into_iter()
        .chain(users.iter().map(|user| user.as_os_str()))
        .collect();
    assert_eq!(run(&program, &arguments).code, Some(0));
}
