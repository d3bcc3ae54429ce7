//! `cargo xtask wasm`: builds `conclave-web` for wasm32 and its JavaScript bindings, and tests them under Node.js.

use std::path::PathBuf;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::node;
use crate::steps::{Outcome, Steps, run as run_command};
use crate::tools::{WASM, cargo, ensure_wasm_target, target_directory};

/// The command by itself.
pub fn run() -> Result<bool> {
    let mut steps = Steps::default();
    add_steps(&mut steps);
    Ok(steps.finish())
}

/// Build, lints, bindings, tests; each only where the one before it did not fail.
pub fn add_steps(steps: &mut Steps) -> bool {
    // Always by package: in a build of the whole workspace the features of the native host would be switched on too.
    let package = ["--package", "conclave-web", "--target", WASM, "--release"];
    steps.step("build for wasm32", |counts| {
        ensure_wasm_target()?;
        run_command(cargo(&["build"]).args(package), counts)
    }) && steps.command("clippy for wasm32", cargo(&["clippy"]).args(package).args(["--", "-D", "warnings"]))
        && steps.step("bindings for Node.js", |_| bind().map(|()| Outcome::Passed))
        && steps.step("tests under Node.js", node::test)
}

/// Where the bindings for Node.js are written: `conclave_web.js`, `conclave_web.d.ts`, `conclave_web_bg.wasm`.
pub fn bindings_directory() -> PathBuf {
    target_directory().join("web/node")
}

/// What the command line of wasm-bindgen does, by the library that is pinned to the version of the crate.
fn bind() -> Result<()> {
    let module = target_directory().join(WASM).join("release/conclave_web.wasm");
    let out = bindings_directory();
    Bindgen::new()
        .input_path(&module)
        .nodejs(true)
        .and_then(|bindgen| bindgen.typescript(true).generate(&out))
        .with_context(|| format!("cannot make the bindings of {}", module.display()))?;
    let size = std::fs::metadata(out.join("conclave_web_bg.wasm"))?.len();
    println!("conclave_web_bg.wasm: {:.1} MB, not compressed or optimised for size", size as f64 / 1e6);
    Ok(())
}
