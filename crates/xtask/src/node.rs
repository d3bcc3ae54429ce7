//! The tests of `web/` under Node.js.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::steps::{Counts, Outcome, run};
use crate::tools::{output, root};
use crate::wasm::bindings_directory;

/// The oldest Node.js that is tested; it is also what `wasm32` is built for (simd128, no relaxed-simd).
const OLDEST: u32 = 20;

/// Runs `web/tests/*.test.mjs` on the bindings built before.
pub fn test(counts: &mut Counts) -> Result<Outcome> {
    let version = output("node", &["--version"]).context("Node.js is needed to test the wasm build")?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    ensure!(major.is_some_and(|major| major >= OLDEST), "Node.js {OLDEST} or newer is needed, not {version}");

    let folder = root().join("web/tests");
    let mut files = Vec::new();
    for file in folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))? {
        let file = file?.path();
        if file.to_string_lossy().ends_with(".test.mjs") {
            files.push(file);
        }
    }
    ensure!(!files.is_empty(), "there are no tests in {}", folder.display());
    files.sort();
    // Each file is a process that loads the module once.
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"]).args(files);
    run(node.current_dir(root()).env("CONCLAVE_WEB_DIR", bindings_directory()), counts)
}
