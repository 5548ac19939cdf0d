//! What the repository promises about itself: which crate depends on which,
//! and how its sources are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Each crate with the crates of this workspace that it may depend on, as
/// ARCHITECTURE.md says.
const DIRECTION: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("http1", &[]),
    ("preload", &["wire", "http1"]),
    ("python", &["wire"]),
    ("bundle", &[]),
    ("settings", &[]),
    ("telemetry", &[]),
    ("pipeline", &["telemetry"]),
    ("store", &["telemetry"]),
    ("store-local", &["telemetry", "store"]),
    ("nodes", &["telemetry", "pipeline", "store"]),
    ("gen", &["telemetry", "pipeline", "nodes"]),
    ("api", &["telemetry", "store"]),
    ("ui", &[]),
    ("launch", &["wire", "http1", "bundle", "telemetry", "pipeline"]),
    ("python", &["wire"]),
    ("todo", &[]),
    ("e2e", &[]),
];

/// Crates that run inside an observed process, or on which such crates stand.
const INSIDE: [&str; 4] = ["wire", "http1", "preload", "python"];

/// What an app with telemetry code would link.
const TELEMETRY: [&str; 8] = [
    "opentelemetry",
    "tracing-opentelemetry",
    "prost",
    "tonic",
    "metrics",
    "prometheus",
    "sentry",
    "carafe",
];

/// Lines of a source file above which it needs splitting.
const MAX_LINES: usize = 800;

struct Graph {
    /// Package name by id.
    names: BTreeMap<String, String>,
    /// Ids of normal and build dependencies by id; development ones left out.
    edges: BTreeMap<String, Vec<String>>,
}

impl Graph {
    fn load() -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version=1", "--locked"])
            .current_dir(carafe_e2e::repository())
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let mut graph = Self { names: BTreeMap::new(), edges: BTreeMap::new() };
        for package in list(&metadata["packages"])? {
            graph.names.insert(text(&package["id"])?, text(&package["name"])?);
        }
        for node in list(&metadata["resolve"]["nodes"])? {
            let mut edges = Vec::new();
            for dependency in list(&node["deps"])? {
                if list(&dependency["dep_kinds"])?.iter().any(|kind| kind["kind"] != "dev") {
                    edges.push(text(&dependency["pkg"])?);
                }
            }
            graph.edges.insert(text(&node["id"])?, edges);
        }
        Ok(graph)
    }

    fn id(&self, package: &str) -> Result<&String> {
        let mut found = self.names.iter().filter(|(_, name)| *name == package);
        Ok(found.next().with_context(|| format!("no package {package}"))?.0)
    }

    fn direct(&self, package: &str) -> Result<BTreeSet<&str>> {
        let edges = self.edges.get(self.id(package)?).context("not resolved")?;
        Ok(edges.iter().map(|id| self.names[id].as_str()).collect())
    }

    fn reachable(&self, package: &str) -> Result<BTreeSet<&str>> {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![self.id(package)?];
        while let Some(id) = waiting.pop() {
            for next in &self.edges[id] {
                if seen.insert(next) {
                    waiting.push(next);
                }
            }
        }
        Ok(seen.into_iter().map(|id| self.names[id].as_str()).collect())
    }
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().with_context(|| format!("no list in {value:.100}"))
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().with_context(|| format!("no text in {value:.100}"))?.to_owned())
}

#[test]
fn crates_depend_only_in_the_designed_direction() -> Result<()> {
    let graph = Graph::load()?;
    for (name, allowed) in DIRECTION {
        for dependency in graph.direct(&format!("carafe-{name}"))? {
            if let Some(ours) = dependency.strip_prefix("carafe-") {
                ensure!(allowed.contains(&ours), "{name} must not depend on {ours}");
            }
        }
    }
    // The objects are embedded, never linked.
    for object in ["carafe-preload", "carafe-python"] {
        ensure!(!graph.reachable("carafe")?.contains(object), "the binary links {object}");
    }
    let known: BTreeSet<String> =
        DIRECTION.iter().map(|(name, _)| format!("carafe-{name}")).collect();
    for name in graph.names.values().filter(|name| name.starts_with("carafe-")) {
        ensure!(known.contains(name), "{name} has no place in the direction yet");
    }
    Ok(())
}

#[test]
fn nothing_inside_an_observed_process_links_tokio() -> Result<()> {
    let graph = Graph::load()?;
    for name in INSIDE {
        let reachable = graph.reachable(&format!("carafe-{name}"))?;
        ensure!(!reachable.contains("tokio"), "{name} reaches tokio");
    }
    Ok(())
}

#[test]
fn the_todo_app_knows_no_telemetry() -> Result<()> {
    let graph = Graph::load()?;
    let reachable = graph.reachable("carafe-todo")?;
    ensure!(reachable.contains("axum"), "the graph is not what this test thinks");
    for dependency in reachable {
        for telemetry in TELEMETRY {
            let related = dependency == telemetry
                || dependency
                    .strip_prefix(telemetry)
                    .is_some_and(|rest| rest.starts_with(['-', '_']));
            ensure!(!related, "todo reaches {dependency}");
        }
    }
    Ok(())
}

#[test]
fn only_the_named_crates_may_hold_unsafe_code() -> Result<()> {
    let may = ["wire", "preload", "python", "bundle", "launch"];
    for entry in fs::read_dir(carafe_e2e::repository().join("crates"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let root = path.join("src/lib.rs");
        if may.contains(&name.as_str()) || !root.exists() {
            continue;
        }
        let source = fs::read_to_string(&root)?;
        ensure!(source.contains("#![forbid(unsafe_code)]"), "{} forbids no unsafe", root.display());
    }
    Ok(())
}

#[test]
fn sources_are_short_finished_and_in_the_new_layout() -> Result<()> {
    let mut files = Vec::new();
    for folder in ["crates", "tests", "bench", "fuzz"] {
        let folder = carafe_e2e::repository().join(folder);
        if folder.exists() {
            source_files(&folder, &mut files)?;
        }
    }
    ensure!(files.len() > 50, "only {} source files found", files.len());
    // Put together here so that this file does not find itself.
    let unfinished =
        [["TO", "DO:"], ["TO", "DO("], ["FIX", "ME"], ["XX", "X:"]].map(|word| word.concat());
    for file in files {
        let name = file.display();
        ensure!(
            file.file_name().is_some_and(|name| name != "mod.rs"),
            "{name}: use foo.rs beside foo/"
        );
        let source = fs::read_to_string(&file)?;
        let lines = source.lines().count();
        ensure!(lines <= MAX_LINES, "{name} has {lines} lines; split it");
        for word in &unfinished {
            ensure!(!source.contains(word), "{name} holds {word}");
        }
    }
    Ok(())
}

/// Sources in Rust and Python.
fn source_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with("node_modules") {
                source_files(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "py") {
            files.push(path);
        }
    }
    Ok(())
}
