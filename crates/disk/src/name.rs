//! Names: what a file is called while it is written, what a link means, and whether two names mean one file.

use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};

/// `FILE.partial`: rows that a later run continues.
pub fn partial_path(target: &Path) -> PathBuf {
    with_end(target, ".partial")
}

/// `FILE.partial.json`: the settings that made these rows.
pub fn settings_path(target: &Path) -> PathBuf {
    with_end(target, ".partial.json")
}

/// `FILE.partial.begun`: what is there of the next row.
pub fn begun_path(target: &Path) -> PathBuf {
    with_end(target, ".partial.begun")
}

/// `FILE.unfinished`: what cannot be continued.
pub fn unfinished_path(target: &Path) -> PathBuf {
    with_end(target, ".unfinished")
}

/// Beside `target`, so that a rename stays on one file system.
pub(crate) fn with_end(target: &Path, end: &str) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Whether a file can take the place of `path` when it is complete. A device or a named pipe is written directly.
/// (A directory can be neither; it is refused when it is opened.)
pub fn is_replaceable(path: &Path) -> bool {
    path.metadata().map_or(true, |metadata| metadata.is_file() || metadata.is_dir())
}

/// What a link points to, so that a rename replaces that and not the link.
pub fn resolve_link(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// What tells one file from all others, under whatever name: device and inode.
#[cfg(unix)]
pub(crate) fn identity(metadata: &Metadata, _: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

/// The same where the standard library does not say these two: the path, without links.
#[cfg(not(unix))]
pub(crate) fn identity(_: &Metadata, path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}

/// Whether the open `file` is what has this name now.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.metadata()) {
        (Ok(open), Ok(named)) => identity(&open, path) == identity(&named, path),
        _ => false,
    }
}
