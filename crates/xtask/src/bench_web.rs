//! `cargo xtask bench web`: what the npm package costs in a browser: seconds to the first token, the time that encoding a token
//! takes by the number of layers, and the kernels that prefill and decode spend their time in (`web/tests/bench/web.mjs`).

use std::process::Command;

use anyhow::Result;

use crate::steps::{Outcome, Steps, run as run_command};
use crate::tools::root;
use crate::{chromium, npm, package, wasm};

/// The parts that can be asked for by name.
pub const PARTS: [&str; 3] = ["first-token", "encoding", "kernels"];

/// Builds what is not built, and measures `parts`, or all.
pub fn run(parts: &[String]) -> Result<bool> {
    let mut steps = Steps::default();
    let _measured = wasm::build(&mut steps)
        && package::install(&mut steps)
        && steps.step("npm package: build", package::build)
        && steps.step("Chromium", chromium::ensure_browser)
        && steps.step("the package in Chromium", |counts| {
            let Some(browser) = chromium::path() else {
                return Ok(Outcome::Skipped("no Chromium".to_owned()));
            };
            let installed = npm::install(&root().join("web/tests/browser"), counts)?;
            if installed != Outcome::Passed {
                return Ok(installed);
            }
            let mut node = Command::new("node");
            node.arg("web/tests/bench/web.mjs").args(parts).current_dir(root());
            run_command(node.env("CHROME", browser), counts)
        });
    Ok(steps.finish())
}
