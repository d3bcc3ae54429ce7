//! `cargo xtask test`: all tests, in the order in which mistakes are found soonest.
//!
//! A step that fails does not stop the others, save that nothing is run that did not compile.

use crate::steps::Steps;
use crate::tools::cargo;
use crate::{demo, package, vulkan, wasm};

/// One set of packages and features for all native tests: with another one cargo would build the tensor library again.
const NATIVE: [&str; 5] = ["--workspace", "--exclude", "conclave-web", "--features", "wgpu"];

/// Inputs for each property test. The default of a plain `cargo test` is smaller, for quick runs while editing.
const PROPTEST_CASES: &str = "100000";

/// Adds all tests and what they need.
pub fn add_steps(steps: &mut Steps) {
    let is_wasm_built = native_tests(steps) && wasm::add_steps(steps);
    let is_package_built = package::add_steps(steps, is_wasm_built) && is_wasm_built;
    demo::add_steps(steps, is_package_built);
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
