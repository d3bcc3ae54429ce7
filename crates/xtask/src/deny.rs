//! `cargo xtask deny`: licences, bans and sources of all dependencies, by the rules in deny.toml.
//!
//! Not the advisories: their database is fetched from the network at every run, and a test must not depend on that.

use anyhow::{Result, ensure};

use crate::steps::{Counts, Outcome, run as run_command};
use crate::tools::{cargo, works};

/// The command by itself: the tool has to be there.
pub fn run() -> Result<bool> {
    ensure!(is_installed(), "cargo-deny is not installed: `cargo install --locked cargo-deny`");
    Ok(check(&mut Counts::default())? == Outcome::Passed)
}

/// As a step of `cargo xtask lint`: skipped where the tool is not installed, because building it takes long.
pub fn step(counts: &mut Counts) -> Result<Outcome> {
    if is_installed() {
        check(counts)
    } else {
        Ok(Outcome::Skipped("cargo-deny is not installed".to_owned()))
    }
}

fn check(counts: &mut Counts) -> Result<Outcome> {
    run_command(
        &mut cargo(&[
            "deny",
            "--all-features",
            "check",
            "--hide-inclusion-graph",
            "licenses",
            "bans",
            "sources",
        ]),
        counts,
    )
}

fn is_installed() -> bool {
    works("cargo-deny", &["--version"])
}
