//! Builds the agents' shared objects with a cargo of their own, so that neither their features
//! nor their profile mix with the binary's, and puts their paths where `include_bytes!` finds
//! them.
//!
//! - `CARAFE_COMPANION_DIR=DIR`: take `libcarafe_preload.so` from there instead of building it.
//! - `CARAFE_COMPANIONS=stub`: embed nothing (for `cargo check`); `carafe run` then refuses to
//!   instrument.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const OBJECT: &str = "libcarafe_preload.so";
const PROFILE: &str = "companion";

fn main() {
    for variable in ["CARAFE_COMPANION_DIR", "CARAFE_COMPANIONS"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let object = if let Some(directory) = env::var_os("CARAFE_COMPANION_DIR") {
        let object = PathBuf::from(directory).join(OBJECT);
        println!("cargo:rerun-if-changed={}", object.display());
        fs::read(&object).unwrap_or_else(|error| panic!("{}: {error}", object.display()))
    } else if env::var_os("CARAFE_COMPANIONS").is_some_and(|value| value == "stub") {
        Vec::new()
    } else {
        build(&out)
    };
    fs::write(out.join("preload.so"), object).expect("OUT_DIR can be written");
}

fn build(out: &Path) -> Vec<u8> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let workspace = manifest.ancestors().nth(2).expect("the crate is at crates/bundle");
    // A target directory of its own: sharing the outer one would wait for itself.
    let target_directory = out.join("target");
    let status = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"))
        .args(["build", "--locked", "--package", "carafe-preload", "--profile", PROFILE])
        .args(["--target", &env::var("TARGET").expect("cargo sets TARGET")])
        .arg("--target-dir")
        .arg(&target_directory)
        .current_dir(workspace)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .expect("cargo can be started");
    assert!(status.success(), "building the universal engine failed: {status}");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let built = target_directory.join(target).join(PROFILE);
    watch(&built.join("libcarafe_preload.d"), workspace);
    fs::read(built.join(OBJECT)).expect("cargo built the object")
}

/// Builds again when a source of the object changes, as its dependency file lists them, or what
/// decides on versions and profiles.
fn watch(dependency_file: &Path, workspace: &Path) {
    for name in ["Cargo.toml", "Cargo.lock", "crates/preload/Cargo.toml"] {
        println!("cargo:rerun-if-changed={}", workspace.join(name).display());
    }
    let listing = fs::read_to_string(dependency_file).expect("cargo wrote a dependency file");
    let sources = listing.split_once(": ").map_or("", |(_, sources)| sources);
    for source in sources.replace("\\ ", "\u{0}").split_whitespace() {
        println!("cargo:rerun-if-changed={}", source.replace('\u{0}', " "));
    }
}
