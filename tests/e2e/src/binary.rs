//! Where the `carafe` binary is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

/// The binary: `CARAFE_BIN` when set, else built once from this checkout with
/// the target directory of the running test.
///
/// # Errors
/// The build failed.
pub fn carafe() -> Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BINARY.get_or_init(|| match std::env::var_os("CARAFE_BIN") {
        Some(path) => Ok(PathBuf::from(path)),
        None => build().map_err(|error| format!("{error:#}")),
    });
    built.as_deref().map_err(|error| anyhow!("cannot build carafe: {error}"))
}

fn build() -> Result<PathBuf> {
    // <target>/debug/deps/<this test>
    let test = std::env::current_exe()?;
    let target = test.ancestors().nth(3).context("the test is not in a target directory")?;
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "-p", "carafe", "--message-format=json-render-diagnostics", "--target-dir"])
        .arg(target)
        .current_dir(crate::repository())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "cargo build ended with {}", output.status);
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "carafe")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo build named no executable")
}
