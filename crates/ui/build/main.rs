//! Embeds the web UI: finds or makes its built files, and writes them as a table of constants.
//!
//! In this order: the folder that `CARAFE_UI_DIST` names; `web/dist`, when it is newer than its
//! sources; a build with npm into `OUT_DIR`; a page that says that there is no UI. The sources
//! are never written to. `CARAFE_UI=require` makes the last case an error, for releases;
//! `CARAFE_UI=placeholder` asks for it, for checks that need no UI.

mod assets;
mod web;

use std::path::PathBuf;
use std::process::ExitCode;

/// Where the built files are.
enum Source {
    Folder(PathBuf),
    /// There is no built UI, and why.
    Placeholder(String),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed=CARAFE_UI");
    println!("cargo::rerun-if-env-changed=CARAFE_UI_DIST");
    let out = PathBuf::from(variable("OUT_DIR")?);
    let web = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("../../web");
    let wish = std::env::var("CARAFE_UI").unwrap_or_default();

    let files = match source(&web, &out, &wish)? {
        Source::Folder(folder) => assets::read(&folder)?,
        Source::Placeholder(reason) => {
            if wish == "require" {
                return Err(format!("CARAFE_UI=require, but there is no web UI: {reason}"));
            }
            if wish != "placeholder" {
                // A file that is never there makes cargo try again at the next build.
                println!("cargo::rerun-if-changed={}", out.join("no-web-ui").display());
                println!("cargo::warning=built without the web UI: {reason}");
            }
            assets::placeholder(&reason)
        }
    };
    assets::write(&files, &out)
}

fn source(web: &std::path::Path, out: &std::path::Path, wish: &str) -> Result<Source, String> {
    if let Some(folder) = std::env::var_os("CARAFE_UI_DIST") {
        let folder = PathBuf::from(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        if !folder.join("index.html").is_file() {
            return Err(format!("CARAFE_UI_DIST={} has no index.html", folder.display()));
        }
        return Ok(Source::Folder(folder));
    }
    if wish == "placeholder" {
        return Ok(Source::Placeholder("CARAFE_UI=placeholder".to_owned()));
    }
    web::build(web, out)
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}"))
}
