//! `carafe store compact`.

use super::{Directory, text};
use crate::store_options::RetentionArgs;
use carafe_store::StoreError;
use carafe_store_local::overview::Overview;
use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    directory: Directory,
    #[command(flatten)]
    retention: RetentionArgs,
}

/// Everything that a running backend does in the course of time.
pub(super) fn run(args: Args) -> Result<ExitCode, StoreError> {
    let path = args.directory.path()?;
    let store = args.directory.open(args.retention.settings(), "carafe store compact")?;
    let before = sizes(&path)?;
    store.flush_blocking()?;
    store.maintain_blocking()?;
    store.merge_all_blocking()?;
    store.close_blocking()?;
    let after = sizes(&path)?;
    let [before, after] = [before, after]
        .map(|(files, bytes)| format!("{} files, {}", text::count(files), text::size(bytes)));
    println!("before: {before}\nnow: {after}");
    Ok(ExitCode::SUCCESS)
}

/// Files and bytes, the log's included.
fn sizes(directory: &Path) -> Result<(u64, u64), StoreError> {
    let overview = Overview::of(directory)?;
    let files = overview.contents.files.iter().map(|entry| &entry.file);
    let bytes: u64 = files.map(|file| file.data_bytes + file.side_bytes).sum();
    Ok((overview.contents.files.len() as u64, bytes + overview.log_bytes))
}
