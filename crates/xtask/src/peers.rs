//! `cargo xtask peers NAME`: checks of the command line against programs of others that do the same. They are run by hand,
//! because they need what a test run does not install, or minutes that it should not take.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::steps::{Counts, Outcome, run as run_command};
use crate::tools::{cargo, root, target_directory, works};

/// A program of others and the script that compares ours with it.
pub struct Peer {
    /// How it is asked for.
    pub name: &'static str,
    /// The module of Python that the script needs, which is also its name for pip.
    module: &'static str,
    /// In `crates/xtask/scripts`. It takes the path of `conclave`, then these options, then the caller's arguments.
    script: &'static str,
    options: &'static [&'static str],
}

/// All that there are.
pub static PEERS: [Peer; 3] = [
    Peer { name: "sympy", module: "sympy", script: "check_sympy.py", options: &[] },
    Peer { name: "ray", module: "ray", script: "check_shards.py", options: &["--engine", "ray"] },
    Peer {
        name: "hyperqueue",
        module: "hyperqueue",
        script: "check_shards.py",
        options: &["--engine", "hyperqueue"],
    },
];

impl Peer {
    /// Builds the command line as it is released and runs the check; returns whether that passed.
    pub fn run(&self, arguments: &[String]) -> Result<bool> {
        // Better now than after the build.
        let has_module = works("python3", &["-c", &format!("import {}", self.module)]);
        ensure!(
            has_module,
            "`peers {}` needs Python's module {module}: `pip install {module}` for the `python3` that is found first",
            self.name,
            module = self.module
        );
        let mut build = cargo(&["build", "--release", "--bin", "conclave"]);
        if run_command(&mut build, &mut Counts::default())? != Outcome::Passed {
            return Ok(false);
        }
        let program = format!("conclave{}", std::env::consts::EXE_SUFFIX);
        let mut check = Command::new("python3");
        check.arg(root().join("crates/xtask/scripts").join(self.script));
        check.arg(target_directory().join("release").join(program));
        check.args(self.options).args(arguments).current_dir(root());
        Ok(run_command(&mut check, &mut Counts::default())? == Outcome::Passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_its_script() {
        for peer in &PEERS {
            let script = root().join("crates/xtask/scripts").join(peer.script);
            assert!(script.is_file(), "there is no {}", script.display());
        }
    }
}
