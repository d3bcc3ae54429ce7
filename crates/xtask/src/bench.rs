//! `cargo xtask bench`: the benchmarks of `conclave-core`, and where Python's Math-Verify is installed its rate on the
//! same pairs beside ours. Training is measured by `bench train` (`bench_train`).

use anyhow::Result;

use crate::steps::{Counts, Outcome, run as run_command};
use crate::tools::{cargo, root, works};

/// Runs all benchmarks; `arguments` go to the benchmark program (a filter, `--save-baseline NAME`, ...).
pub fn run(arguments: &[String]) -> Result<bool> {
    let mut ours = cargo(&["bench", "--package", "conclave-core", "--bench", "*", "--"]);
    ours.args(arguments);
    let done = run_command(&mut ours, &mut Counts::default())? == Outcome::Passed;
    Ok(math_verify()? && done)
}

/// The peer's rate, for comparison; left out, and said so, where it cannot be measured.
fn math_verify() -> Result<bool> {
    let script = root().join("crates/xtask/scripts/bench_grade.py");
    if !works("python3", &["-c", "import math_verify"]) {
        println!("\nMath-Verify is not installed, so its rate is not shown: `pip install math-verify`");
        return Ok(true);
    }
    println!("\nMath-Verify on the same pairs:");
    let mut theirs = std::process::Command::new("python3");
    theirs.arg(script).current_dir(root());
    Ok(run_command(&mut theirs, &mut Counts::default())? == Outcome::Passed)
}
