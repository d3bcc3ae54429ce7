//! `cargo xtask lint`: what has to hold beside the tests: formatting, clippy for each target, licences, and the sizes of what
//! a page downloads.

use crate::steps::Steps;
use crate::tools::cargo;
use crate::{deny, package, wasm};

/// Adds all checks, the slowest at the end. None of them waits for another to pass.
pub fn add_steps(steps: &mut Steps) {
    steps.command("format", &mut cargo(&["fmt", "--all", "--check"]));
    // With `cuda` too: it needs no toolkit to be checked, and this is the only place where it is. Its code generator links
    // LLVM, which its build script downloads; checking links nothing, and this is the script's own switch to leave it.
    let mut clippy = cargo(&["clippy", "--workspace", "--exclude", "conclave-web", "--all-targets"]);
    steps.command(
        "clippy, with wgpu and cuda",
        clippy.args(["--features", "wgpu,cuda", "--", "-D", "warnings"]).env("DOCS_RS", "1"),
    );
    steps.step("clippy for wasm", wasm::clippy);
    steps.step("licences, bans, sources", deny::step);
    package::add_size_steps(steps);
}
