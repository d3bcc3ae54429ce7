//! wasm-opt on the modules: smaller by a third, which takes minutes, so it is done for releases and to measure sizes, and
//! once for each content.
//!
//! The program comes from npm, at the version in `crates/xtask/wasm-opt`, and lives in the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};

use crate::npm;
use crate::stamp::{Fingerprint, copy_changed, unless_done};
use crate::steps::{Counts, Outcome};
use crate::tools::{root, target_directory};
use crate::wasm::{BUILDS, Build};

/// What rustc's code for wasm32 uses: its defaults, and `simd128` of `.cargo/config.toml`.
const FEATURES: [&str; 9] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-call-indirect-overlong",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// For size.
const PASSES: [&str; 1] = ["-Oz"];

/// For a last percent, which on the large modules would take half an hour. What is skipped makes code that compresses worse;
/// functions in the order of their names stand beside those like them, which compresses better. Nothing of ours is in the lowest
/// kilobyte of the memory: it is the far end of the stack.
const MORE_PASSES: [&str; 8] = [
    "--skip-pass=local-cse",
    "--skip-pass=inlining-optimizing",
    "--low-memory-unused",
    "--flatten",
    "--rereloop",
    "-Oz",
    "-Oz",
    "--reorder-functions-by-name",
];

/// Where the optimised modules are: `full.wasm`, `cpu.wasm` and so on.
pub fn directory() -> PathBuf {
    target_directory().join("web/optimised")
}

/// Optimises all modules built before, side by side.
pub fn run(counts: &mut Counts) -> Result<Outcome> {
    let program = &install(counts)?;
    fs::create_dir_all(directory()).with_context(|| format!("cannot create `{}`", directory().display()))?;
    let outcomes = thread::scope(|scope| {
        let threads = BUILDS.each_ref().map(|build| scope.spawn(move || optimise(program, build)));
        threads.map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("the thread panicked"))))
    });
    for outcome in outcomes {
        let outcome = outcome?;
        if outcome != Outcome::Passed {
            return Ok(outcome);
        }
    }
    Ok(Outcome::Passed)
}

/// Puts the optimised modules into the npm package.
pub fn copy_into_package() -> Result<Outcome> {
    for build in &BUILDS {
        copy_changed(&output(build), &build.module_in_package())?;
    }
    Ok(Outcome::Passed)
}

fn output(build: &Build) -> PathBuf {
    directory().join(format!("{}.wasm", build.name))
}

fn optimise(program: &Path, build: &Build) -> Result<Outcome> {
    let (module, out) = (build.module(), output(build));
    let passes = if build.has_model() { &PASSES[..] } else { &MORE_PASSES };
    let flags = [passes, &FEATURES].concat();
    let mut inputs = Fingerprint::default().files(&[manifest_folder(), module.clone()])?;
    for flag in &flags {
        inputs = inputs.text(flag);
    }
    let stamp = target_directory().join("web/stamps").join(format!("{}-optimised", build.name));
    unless_done(&stamp, inputs, std::slice::from_ref(&out), || {
        println!("$ wasm-opt {} {} -o {}", flags.join(" "), module.display(), out.display());
        let mut command = Command::new("node");
        command.arg(program).args(&flags).arg(&module).arg("-o").arg(&out);
        let status = command.status().context("cannot start `node`")?;
        Ok(if status.success() { Outcome::Passed } else { Outcome::Failed })
    })
}

/// Installs the program and gives its path.
fn install(counts: &mut Counts) -> Result<PathBuf> {
    let folder = target_directory().join("tools/wasm-opt");
    for file in ["package.json", "package-lock.json", ".npmrc"] {
        copy_changed(&manifest_folder().join(file), &folder.join(file))?;
    }
    ensure!(npm::install(&folder, counts)? == Outcome::Passed, "npm cannot install wasm-opt");
    Ok(folder.join("node_modules/binaryen/bin/wasm-opt"))
}

fn manifest_folder() -> PathBuf {
    root().join("crates/xtask/wasm-opt")
}
