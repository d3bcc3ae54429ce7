//! Tests under Node.js: those of the wasm module in `web/tests`, and `node --test` on other files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::steps::{Counts, Outcome, run};
use crate::tools::{ensure_node, root};
use crate::wasm::bindings_directory;

/// Runs `web/tests/*.test.mjs` on the bindings built before.
pub fn test(counts: &mut Counts) -> Result<Outcome> {
    ensure_node()?;
    let folder = root().join("web/tests");
    let files = test_files(&folder)?;
    ensure!(!files.is_empty(), "there are no tests in {}", folder.display());
    run(node_test(&files, &[]).env("CONCLAVE_WEB_DIR", bindings_directory()), counts)
}

/// The files `*.test.mjs` of a folder, in order.
pub fn test_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for file in folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))? {
        let file = file?.path();
        if file.to_string_lossy().ends_with(".test.mjs") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// `node --test FILES`; each file is a process of its own.
pub fn node_test(files: &[PathBuf], options: &[&str]) -> Command {
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"]).args(options).args(files).current_dir(root());
    node
}
