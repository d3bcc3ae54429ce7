//! `cargo xtask test`: everything that has to pass, in the order in which mistakes are found soonest.
//!
//! A step that fails does not stop the others, save that nothing is run that did not compile.

use anyhow::Result;

use crate::steps::Steps;
use crate::tools::cargo;
use crate::{demo, deny, package, vulkan, wasm};

/// One set of packages and features for all native tests: with another one cargo would build the tensor library again.
const NATIVE: [&str; 5] = ["--workspace", "--exclude", "conclave-web", "--features", "wgpu"];

/// Inputs for each property test. The default of a plain `cargo test` is smaller, for quick runs while editing.
const PROPTEST_CASES: &str = "100000";

/// Runs all steps and prints the summary; returns whether nothing failed.
pub fn run() -> Result<bool> {
    let mut steps = Steps::default();
    steps.command("format", &mut cargo(&["fmt", "--all", "--check"]));
    // With `cuda` too: it needs no toolkit to be checked, and this is the only place where it is. Its code generator links
    // LLVM, which its build script downloads; checking links nothing, and this is the script's own switch to leave it.
    let mut clippy = cargo(&["clippy", "--workspace", "--exclude", "conclave-web", "--all-targets"]);
    steps.command(
        "clippy, with wgpu and cuda",
        clippy.args(["--features", "wgpu,cuda", "--", "-D", "warnings"]).env("DOCS_RS", "1"),
    );
    let is_wasm_built = native_tests(&mut steps) && wasm::add_steps(&mut steps);
    let is_package_built = package::add_steps(&mut steps, is_wasm_built) && is_wasm_built;
    demo::add_steps(&mut steps, is_package_built);
    if is_package_built {
        package::add_size_steps(&mut steps);
    }
    steps.step("licences, bans, sources", deny::step);
    Ok(steps.finish())
}

/// Builds and runs the native tests; returns whether they compiled.
fn native_tests(steps: &mut Steps) -> bool {
    steps.step("Vulkan driver for wgpu", vulkan::ensure_driver);
    if !steps.command("build tests", cargo(&["test", "--no-run"]).args(NATIVE)) {
        return false;
    }
    let cases = std::env::var("CONCLAVE_PROPTEST_CASES").unwrap_or_else(|_| PROPTEST_CASES.to_owned());
    let mut test = cargo(&["test", "--no-fail-fast"]);
    test.args(NATIVE).env("CONCLAVE_PROPTEST_CASES", cases);
    if !vulkan::is_present() {
        // The step before said so, and on CI failed.
        test.args(["--", "--skip", "wgpu::"]);
    }
    steps.command("tests", &mut test);
    true
}
