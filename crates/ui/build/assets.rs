//! From files to constants: each compressed once, at build time, and named by its content.

use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

/// A file of the UI.
pub(crate) struct File {
    /// Path on the server, with its leading slash.
    path: String,
    body: Vec<u8>,
}

/// Files of a UI are few; more than this means that the wrong folder was named.
const MAX_FILES: usize = 1000;

pub(crate) fn read(folder: &Path) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    collect(folder, "", &mut files)?;
    if !files.iter().any(|file| file.path == "/index.html") {
        return Err(format!("{} has no index.html", folder.display()));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) -> Result<(), String> {
    let broken = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let name =
            entry.file_name().into_string().map_err(|name| format!("{name:?} is not UTF-8"))?;
        let path = format!("{prefix}/{name}");
        if entry.file_type().map_err(broken)?.is_dir() {
            collect(&entry.path(), &path, files)?;
            continue;
        }
        if files.len() == MAX_FILES {
            return Err(format!("more than {MAX_FILES} files in {}", folder.display()));
        }
        files.push(File { path, body: fs::read(entry.path()).map_err(broken)? });
    }
    Ok(())
}

/// One page that says that the UI was left out, and what to do.
pub(crate) fn placeholder(reason: &str) -> Vec<File> {
    let reason = reason.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let body = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Carafe</title>\n\
         <h1>This Carafe was built without its web UI</h1>\n<p>Why: {reason}</p>\n\
         <p>Install Node 20.19 or newer and build Carafe again, or name a built UI with \
         CARAFE_UI_DIST. The APIs work: <a href=\"/api/carafe/v1/services\">services</a>, \
         <a href=\"/api/carafe/v1/search\">traces</a>.</p>\n</html>\n"
    );
    vec![File { path: "/index.html".to_owned(), body: body.into_bytes() }]
}

pub(crate) fn write(files: &[File], out: &Path) -> Result<(), String> {
    let store = out.join("embedded");
    let broken = |error: std::io::Error| format!("{}: {error}", store.display());
    fs::create_dir_all(&store).map_err(broken)?;
    let mut table = String::from("pub(crate) static ASSETS: &[Asset] = &[\n");
    for (index, file) in files.iter().enumerate() {
        let name = format!("{index}.gz");
        fs::write(store.join(&name), gzip(&file.body).map_err(broken)?).map_err(broken)?;
        writeln!(
            table,
            "    Asset {{ path: {:?}, content_type: {:?}, etag: {:?}, immutable: {}, \
             gzip: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/embedded/{name}\")) }},",
            file.path,
            content_type(&file.path),
            etag(&file.body),
            file.path.starts_with("/assets/"),
        )
        .map_err(|error| error.to_string())?;
    }
    table.push_str("];\n");
    fs::write(out.join("assets.rs"), table).map_err(|error| format!("assets.rs: {error}"))
}

/// The same bytes for the same body: no time and no name in the header.
fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(body)?;
    encoder.finish()
}

fn etag(body: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in &Sha256::digest(body)[..12] {
        text.push_str(&format!("{byte:02x}"));
    }
    text.push('"');
    text
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}
