//! Builds the agents' shared objects with a cargo of their own, so that neither their features
//! nor their profile mix with the binary's, and puts their paths where `include_bytes!` finds
//! them, together with the Python engine's modules.
//!
//! - `CARAFE_COMPANION_DIR=DIR`: take the shared objects from there instead of building them.
//! - `CARAFE_COMPANIONS=stub`: embed nothing (for `cargo check`); `carafe run` then refuses to
//!   instrument.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Package, crate and the name of the object that is embedded.
const OBJECTS: [(&str, &str, &str); 2] = [
    ("carafe-preload", "libcarafe_preload", "preload.so"),
    ("carafe-python", "libcarafe_python", "python.so"),
];
const PROFILE: &str = "companion";

/// Where the Python engine's object lies among its modules: abi3, so one for all versions.
const NATIVE_MODULE: &str = "carafe_engine/_native.abi3.so";

fn main() {
    for variable in ["CARAFE_COMPANION_DIR", "CARAFE_COMPANIONS"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let workspace = manifest.ancestors().nth(2).expect("the crate is at crates/bundle");
    let is_stub = env::var_os("CARAFE_COMPANIONS").is_some_and(|value| value == "stub");
    let given = env::var_os("CARAFE_COMPANION_DIR").map(PathBuf::from);
    let built = match &given {
        Some(directory) => directory.clone(),
        None if is_stub => PathBuf::new(),
        None => build(workspace, &out),
    };
    for (_, object, embedded) in OBJECTS {
        let path = built.join(object).with_extension("so");
        let content = if is_stub && given.is_none() {
            Vec::new()
        } else {
            fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        if given.is_some() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
        fs::write(out.join(embedded), content).expect("OUT_DIR can be written");
    }
    let modules = workspace.join("crates/python/engine");
    let list = if is_stub && given.is_none() { Vec::new() } else { python_files(&modules) };
    embed_engine(&modules, &list, &out);
}

/// Both objects in one go: what they share is compiled once.
fn build(workspace: &Path, out: &Path) -> PathBuf {
    // A target directory of its own: sharing the outer one would wait for itself.
    let target_directory = out.join("target");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let packages = OBJECTS.iter().flat_map(|(package, _, _)| ["--package", package]);
    let status = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"))
        .args(["build", "--locked", "--profile", PROFILE, "--target", &target])
        .args(packages)
        .arg("--target-dir")
        .arg(&target_directory)
        .current_dir(workspace)
        // The stable ABI needs no interpreter to build for, and so no particular one is looked at.
        .env("PYO3_NO_PYTHON", "1")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .expect("cargo can be started");
    assert!(status.success(), "building the engines failed: {status}");
    let built = target_directory.join(target).join(PROFILE);
    watch(&built, workspace);
    built
}

/// Builds again when a source of an object changes, as its dependency file lists them, or what
/// decides on versions and profiles.
fn watch(built: &Path, workspace: &Path) {
    let manifests =
        ["Cargo.toml", "Cargo.lock", "crates/preload/Cargo.toml", "crates/python/Cargo.toml"];
    for name in manifests {
        println!("cargo:rerun-if-changed={}", workspace.join(name).display());
    }
    for (_, object, _) in OBJECTS {
        let dependency_file = built.join(object).with_extension("d");
        let listing = fs::read_to_string(dependency_file).expect("cargo wrote a dependency file");
        let sources = listing.split_once(": ").map_or("", |(_, sources)| sources);
        for source in sources.replace("\\ ", "\u{0}").split_whitespace() {
            println!("cargo:rerun-if-changed={}", source.replace('\u{0}', " "));
        }
    }
}

/// All modules below `directory`, as paths relative to it, sorted.
fn python_files(directory: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(folder) = waiting.pop() {
        println!("cargo:rerun-if-changed={}", folder.display());
        let entries =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("a directory can be read").path();
            if path.is_dir() && !path.ends_with("__pycache__") {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "py") {
                println!("cargo:rerun-if-changed={}", path.display());
                let relative = path.strip_prefix(directory).expect("it was found there");
                files.push(relative.to_str().expect("module names are ASCII").to_owned());
            }
        }
    }
    files.sort();
    files
}

/// Writes the list of the engine's files and a hash over all of them.
fn embed_engine(modules: &Path, list: &[String], out: &Path) {
    let mut hasher = DefaultHasher::new();
    let mut source = "&[\n".to_owned();
    let mut embed = |name: &str, path: &Path| {
        (name, fs::read(path).expect("the file was just there")).hash(&mut hasher);
        writeln!(source, "    ({name:?}, include_bytes!({path:?})),").expect("strings grow");
    };
    for name in list {
        embed(name, &modules.join(name));
    }
    if !list.is_empty() {
        embed(NATIVE_MODULE, &out.join(OBJECTS[1].2));
    }
    source.push_str("]\n");
    fs::write(out.join("engine_files.rs"), source).expect("OUT_DIR can be written");
    println!("cargo:rustc-env=CARAFE_ENGINE_HASH={:016x}", hasher.finish());
}
