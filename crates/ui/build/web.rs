//! Builds the UI with npm, unless a fresh build is there already.

use crate::Source;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// What the built UI is made from, below `web/`.
const INPUTS: [&str; 6] =
    ["src", "public", "index.html", "package.json", "package-lock.json", "vite.config.ts"];

/// How many lines of a failed npm go into cargo's output.
const MAX_FAILURE_LINES: usize = 12;

pub(crate) fn build(web: &Path, out: &Path) -> Result<Source, String> {
    for input in INPUTS {
        println!("cargo::rerun-if-changed={}", web.join(input).display());
    }
    if !web.join("package.json").is_file() {
        return Ok(Source::Placeholder("the folder web/ is not there".to_owned()));
    }
    let dist = web.join("dist");
    if is_fresh(&dist, web) {
        return Ok(Source::Folder(dist));
    }
    let target = out.join("dist");
    match npm(web, &target) {
        Ok(()) => Ok(Source::Folder(target)),
        Err(reason) => Ok(Source::Placeholder(reason)),
    }
}

/// Whether a build by hand is newer than everything that it is made from.
fn is_fresh(dist: &Path, web: &Path) -> bool {
    let Some(built) = modified(&dist.join("index.html")) else { return false };
    INPUTS.iter().filter_map(|input| newest(&web.join(input))).all(|changed| changed <= built)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// The latest change of a file, or of anything below a folder (a file taken away changes the
/// folder).
fn newest(path: &Path) -> Option<SystemTime> {
    let own = modified(path)?;
    let Ok(entries) = fs::read_dir(path) else { return Some(own) };
    entries.filter_map(|entry| newest(&entry.ok()?.path())).chain([own]).max()
}

fn npm(web: &Path, target: &Path) -> Result<(), String> {
    if needs_install(web) {
        run(web, &["ci".into(), "--no-audit".into(), "--no-fund".into()])?;
    }
    run(
        web,
        &[
            "run".into(),
            "build".into(),
            "--".into(),
            "--emptyOutDir".into(),
            "--outDir".into(),
            target.to_path_buf(),
        ],
    )
}

/// npm notes what it installed in `node_modules/.package-lock.json`.
fn needs_install(web: &Path) -> bool {
    let installed = modified(&web.join("node_modules/.package-lock.json"));
    installed.is_none() || installed < modified(&web.join("package-lock.json"))
}

fn run(web: &Path, arguments: &[PathBuf]) -> Result<(), String> {
    let output = Command::new("npm")
        .args(arguments)
        .current_dir(web)
        .output()
        .map_err(|error| format!("npm does not run ({error}); install Node 20.19 or newer"))?;
    if output.status.success() {
        return Ok(());
    }
    // Both npm and vite say first what is wrong, and then how to call them.
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.contains("npm warn"));
    let reason = lines.take(MAX_FAILURE_LINES).collect::<Vec<_>>().join(" | ");
    Err(format!("npm failed ({}): {reason}", output.status))
}
