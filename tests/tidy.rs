//! The rules of the house that a compiler does not check: layers, platform seams, files and their links.
//!
//! What the rules are: [`layers`] reads the manifests, [`source`] the Rust files, [`files`] everything. Here is only
//! what they share, and the tests that hold the repository to them. Each rule has tests of its own on small bad inputs.

mod files;
mod layers;
mod source;

use std::fmt;
use std::path::Path;
use std::process::Command;

/// A file of the repository.
struct File {
    /// From the root, with `/`.
    path: String,
    bytes: Vec<u8>,
}

impl File {
    /// Its text; nothing where it is not UTF-8.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    fn has_extension(&self, extensions: &[&str]) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
    }
}

/// A broken rule: where, and what to do about it.
#[derive(Debug, PartialEq)]
struct Problem {
    path: String,
    /// From 1.
    line: usize,
    message: String,
}

impl Problem {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// The files that git tracks, and those that it would track if they were added now; in a source archive, all files.
fn repository() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()
        .filter(|list| root.join(".git").exists() && list.status.success());
    let paths = match list {
        Some(list) => {
            let text = String::from_utf8(list.stdout).expect("paths are UTF-8");
            text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect()
        }
        None => walk(root, ""),
    };
    let read = |path: String| {
        // A file that was deleted and not yet committed is still listed.
        let bytes = std::fs::read(root.join(&path)).ok()?;
        Some(File { path, bytes })
    };
    let files: Vec<File> = paths.into_iter().filter_map(read).collect();
    assert!(files.iter().any(|file| file.path == "Cargo.toml"), "the list of files is not complete");
    files
}

/// All files below `folder`, save what builds leave behind.
fn walk(root: &Path, folder: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(root.join(folder)).expect("a folder of the repository") {
        let entry = entry.expect("an entry of a folder");
        let name = entry.file_name().into_string().expect("paths are UTF-8");
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        match entry.file_type().expect("a file type").is_dir() {
            true if matches!(name.as_str(), ".git" | "target" | "node_modules" | "out" | "dist") => {}
            true if matches!(path.as_str(), "web/build" | "web/wasm" | "www/dist-fake") => {}
            true => paths.extend(walk(root, &path)),
            false => paths.push(path),
        }
    }
    paths
}

fn assert_none(problems: &[Problem]) {
    let list: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert!(list.is_empty(), "{} broken rules:\n{}", list.len(), list.join("\n"));
}

#[test]
fn the_manifests_keep_to_the_layers() {
    assert_none(&layers::check(&repository()));
}

#[test]
fn the_sources_keep_to_the_rules() {
    assert_none(&source::check(&repository()));
}

#[test]
fn the_files_keep_to_the_rules() {
    assert_none(&files::check(&repository()));
}

/// For the tests of the rules: the problems of files given as (path, text), as `path:line`.
#[cfg(test)]
fn places(check: impl Fn(&[File]) -> Vec<Problem>, files: &[(&str, &str)]) -> Vec<String> {
    let file = |&(path, text): &(&str, &str)| File { path: path.to_owned(), bytes: text.as_bytes().to_vec() };
    let files: Vec<File> = files.iter().map(file).collect();
    check(&files).iter().map(|problem| format!("{}:{}", problem.path, problem.line)).collect()
}
