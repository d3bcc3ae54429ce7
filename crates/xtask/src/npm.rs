//! Folders of npm: what their lock files name is installed once, their scripts are run, and `node --test` in them is
//! counted.

use std::env::consts::{ARCH, OS};
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::stamp::{Fingerprint, unless_done};
use crate::steps::{Counts, Outcome, run};
use crate::tools::ensure_node;

/// `npm ci`, unless what is there came from the same lock file.
pub fn install(folder: &Path, counts: &mut Counts) -> Result<Outcome> {
    ensure_node()?;
    let files = ["package.json", "package-lock.json", ".npmrc"].map(|file| folder.join(file));
    // Some packages are programs for one system.
    let inputs = Fingerprint::default().text(OS).text(ARCH).files(&files)?;
    // The stamp is gone with the folder, and npm removes it before it begins.
    unless_done(&folder.join("node_modules/.installed"), inputs, &[], || {
        run(npm(folder).args(["ci", "--no-audit", "--no-fund"]), counts)
    })
}

/// `npm run SCRIPT`.
pub fn script(folder: &Path, script: &str, counts: &mut Counts) -> Result<Outcome> {
    run(npm(folder).args(["run", script]), counts)
}

/// `npm` in a folder.
pub fn npm(folder: &Path) -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    // `node --test` in a script says line by line what it does, also where nobody sits at a terminal.
    let options = std::env::var("NODE_OPTIONS").unwrap_or_default();
    command.current_dir(folder).env("NODE_OPTIONS", format!("{options} --test-reporter=spec"));
    command
}
