//! Packages of Debian, for what tests need beside Rust and Node.js. Only where we are root there, as on CI.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::steps::{Counts, Outcome, run};
use crate::tools::works;

/// Installs the packages; gives whether they are installed, which on other systems and for other users they are not.
pub fn install(packages: &[&str], counts: &mut Counts) -> Result<bool> {
    if !is_debian_root() {
        return Ok(false);
    }
    let mut install = || {
        run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages), counts)
            .map(|outcome| outcome == Outcome::Passed)
    };
    // Without the lists of packages, or with old ones, the first try fails.
    Ok(install()? || (run(apt_get().arg("update"), &mut Counts::default())? == Outcome::Passed && install()?))
}

fn is_debian_root() -> bool {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    Path::new("/etc/debian_version").exists() && is_root && works("apt-get", &["--version"])
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
