//! The npm package in `web/`: built, tested, packed and weighed. `cargo xtask package` makes what is published, with modules
//! that are optimised for size; `cargo xtask sizes` holds those to their budgets.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::stamp::{Fingerprint, unless_done};
use crate::steps::{Counts, Outcome, Steps, run};
use crate::tools::{root, target_directory};
use crate::{demo, node, npm, optimise, wasm};

/// `cargo xtask package`.
pub fn run_package() -> Result<bool> {
    let mut steps = Steps::default();
    let _packed = wasm::build(&mut steps)
        && steps.step("wasm-opt", optimise::run)
        && steps.step("optimised modules into web/wasm", |_| optimise::copy_into_package())
        && add_steps(&mut steps, true);
    Ok(steps.finish())
}

/// `cargo xtask sizes`.
pub fn run_sizes() -> Result<bool> {
    let mut steps = Steps::default();
    add_size_steps(&mut steps);
    Ok(steps.finish())
}

/// Its dependencies, for building and testing.
pub fn install(steps: &mut Steps) -> bool {
    steps.step("npm package: npm ci", |counts| npm::install(&folder(), counts))
}

/// Tests the package, and where the modules are built packs it and tests what was packed outside of browsers. Returns whether
/// it is built.
pub fn add_steps(steps: &mut Steps, is_wasm_built: bool) -> bool {
    if !install(steps) || !steps.step("npm package: build", build) {
        return false;
    }
    // This compiles once more, by the command that its developers use.
    steps.step("npm package: npm test", |counts| npm::script(&folder(), "test", counts));
    if is_wasm_built && steps.step("npm package: npm pack", pack) {
        steps.step("npm package in Node.js, workerd, Deno", |counts| {
            test_packed("web/tests/edge", &[], counts)
        });
    }
    true
}

/// Holds what a page downloads to its budgets. Builds that first, and installs the demo, whose bundler is used.
pub fn add_size_steps(steps: &mut Steps) {
    let _measured = wasm::build(steps)
        && install(steps)
        && steps.step("npm package: build", build)
        && demo::install(steps)
        && steps.step("wasm-opt", optimise::run)
        && steps.step("sizes", |counts| {
            let mut node = Command::new("node");
            run(node.arg(folder().join("sizes.mjs")).arg(optimise::directory()).current_dir(root()), counts)
        });
}

/// Compiles the TypeScript, unless it is compiled. The wasm modules need not be there for that.
pub fn build(counts: &mut Counts) -> Result<Outcome> {
    let sources = [
        "package/src",
        "package/tsconfig.json",
        "package/vendor.mjs",
        "package/MIT.txt",
        "package.json",
        "package-lock.json",
    ];
    let inputs = Fingerprint::default().files(&sources.map(|path| folder().join(path)))?;
    let stamp = target_directory().join("web/stamps/package");
    unless_done(&stamp, inputs, &[folder().join("dist")], || npm::script(&folder(), "build", counts))
}

/// The package as it would be published, in the target directory.
fn pack(counts: &mut Counts) -> Result<Outcome> {
    let out = packed();
    // What is tested has to be what is packed now.
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("cannot remove `{}`", out.display()))?;
    }
    fs::create_dir_all(&out).with_context(|| format!("cannot create `{}`", out.display()))?;
    run(npm::npm(&folder()).arg("pack").arg("--pack-destination").arg(&out), counts)
}

/// Runs the tests in `tests` that install what was packed, one file after the other: some compute on all cores.
pub fn test_packed(tests: &str, environment: &[(&str, &OsStr)], counts: &mut Counts) -> Result<Outcome> {
    let folder = root().join(tests);
    let installed = npm::install(&folder, counts)?;
    if installed != Outcome::Passed {
        return Ok(installed);
    }
    let mut test = node::node_test(&node::test_files(&folder)?, &["--test-concurrency=1"]);
    run(test.env("CONCLAVE_PACKED", packed()).envs(environment.iter().copied()), counts)
}

fn packed() -> PathBuf {
    target_directory().join("web/packed")
}

fn folder() -> PathBuf {
    root().join("web")
}
