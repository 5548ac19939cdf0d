//! The Python environment of the tests' servers, clients and receivers.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};

/// The `bin` directory of a virtual environment with `requirements.txt`
/// installed; created once for each content of the requirements.
///
/// # Errors
/// The environment cannot be created; the packages cannot be installed.
pub fn bin() -> Result<&'static Path> {
    static BIN: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = BIN.get_or_init(|| prepare().map_err(|error| format!("{error:#}")));
    made.as_deref().map_err(|error| anyhow!("no Python environment: {error}"))
}

/// `PATH` with the environment's programs first.
///
/// # Errors
/// As [`bin`].
pub fn path() -> Result<String> {
    Ok(format!("{}:{}", bin()?.display(), std::env::var("PATH").unwrap_or_default()))
}

fn prepare() -> Result<PathBuf> {
    let requirements = crate::fixture("requirements.txt");
    let example = crate::repository().join("examples/flask-todo/requirements.txt");
    let version = Command::new("python3").arg("--version").output()?.stdout;
    let mut hasher = DefaultHasher::new();
    (fs::read(&requirements)?, fs::read(example)?, version).hash(&mut hasher);

    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(directory) => PathBuf::from(directory),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    let parent = cache.join("carafe/e2e-python");
    fs::create_dir_all(&parent)?;
    let venv = parent.join(format!("{:016x}", hasher.finish()));
    let complete = venv.join(".complete");
    // Two test runs may need it at the same time.
    let lock = File::create(venv.with_extension("lock"))?;
    lock.lock()?;
    if !complete.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        run(Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&requirements))?;
        File::create(complete)?;
    }
    Ok(venv.join("bin"))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
