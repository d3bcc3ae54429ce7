//! `cargo xtask real`: the README's way with a real model, from a hub to answers, on weights that the caller has.
//!
//! `CONCLAVE_REAL_MODEL` names a model directory, or a folder with one GGUF. A hub on this machine serves it; it is pulled by name,
//! imported where it is a GGUF, quantised, checked, and asked about real candidates. It takes minutes and gigabytes, and so is no
//! part of the tests.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::steps::{Counts, Outcome, run as run_command};
use crate::tools::{cargo, root, target_directory};

/// The variable that names the weights.
pub const MODEL: &str = "CONCLAVE_REAL_MODEL";

/// Sample sets to calibrate on, at least 16 of them; without, level 0 is used.
pub const SETS: &str = "CONCLAVE_REAL_SETS";

/// The name under which the hub has the model.
const NAME: &str = "local/model";

/// The sets that are answered.
const ANSWERED: &str = "examples/math500.jsonl";
const LIMIT: &str = "4";

/// Runs it; without weights it says what was left out.
pub fn run() -> Result<bool> {
    let Some(folder) = std::env::var_os(MODEL).map(PathBuf::from) else {
        println!(
            "left out: pulling, importing, quantising and asking a real model. Set {MODEL} to a model directory, or to a folder \
             with one GGUF"
        );
        return Ok(true);
    };
    ensure!(folder.is_dir(), "{MODEL} is `{}`, which is no folder", folder.display());
    let build: &[&[&str]] = &[
        &["build", "--release", "--bin", "conclave"],
        &["build", "--release", "--package", "conclave-hub", "--example", "loopback_hub"],
    ];
    for arguments in build {
        if run_command(&mut cargo(arguments), &mut Counts::default())? != Outcome::Passed {
            return Ok(false);
        }
    }
    let work = std::env::temp_dir().join(format!("conclave-real-{}", std::process::id()));
    let walked = walk(&folder, &work);
    // What is in it was made here, under a name of this process.
    let _ = std::fs::remove_dir_all(&work);
    walked
}

fn walk(folder: &Path, work: &Path) -> Result<bool> {
    let hub = Hub::start(folder)?;
    let conclave = |arguments: &[&str]| {
        let mut command = Command::new(program("conclave"));
        command.args(arguments).current_dir(root());
        command.env("HF_ENDPOINT", &hub.endpoint).env("HF_HOME", work.join("hub")).env_remove("HF_HUB_CACHE");
        Ok::<_, anyhow::Error>(run_command(&mut command, &mut Counts::default())? == Outcome::Passed)
    };
    let out = |name: &str| work.join(name).display().to_string();
    let (imported, quantised, rows) = (out("imported"), out("int4"), out("rows.jsonl"));
    std::fs::create_dir_all(work).context("cannot make a folder for temporary files")?;
    if !conclave(&["model", "pull", NAME])? {
        return Ok(false);
    }
    let gguf = find_gguf(&work.join("hub"));
    let model = match &gguf {
        Some(file) => {
            let file = file.display().to_string();
            if !conclave(&["model", "import", &file, "--out", &imported])? {
                return Ok(false);
            }
            imported.as_str()
        }
        None => NAME,
    };
    let mut quantise = vec!["model", "quantize", "--model", model, "--bits", "4", "--out", &quantised];
    let sets = std::env::var(SETS).ok();
    quantise.extend(sets.iter().flat_map(|sets| ["--calibrate", sets.as_str()]));
    let asked = ["aggregate", ANSWERED, "--model", &quantised, "--policy", "always", "--limit", LIMIT];
    let passed = conclave(&quantise)?
        && conclave(&["model", "check", "--model", &quantised])?
        && conclave(&["model", "bench", "--model", &quantised])?
        && conclave(&[asked.as_slice(), &["--out", &rows]].concat())?
        && conclave(&["eval", &rows])?;
    Ok(passed)
}

/// A hub that serves a folder, stopped when it is dropped.
struct Hub {
    process: Child,
    endpoint: String,
}

impl Hub {
    fn start(folder: &Path) -> Result<Self> {
        let mut process = Command::new(program("examples/loopback_hub"))
            .arg(folder)
            .arg(NAME)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the hub")?;
        let mut endpoint = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut endpoint).context("the hub did not say its address")?;
        }
        let endpoint = endpoint.trim().to_owned();
        if endpoint.is_empty() {
            let _ = process.kill();
            bail!("the hub ended before it said its address: is `{}` a model?", folder.display());
        }
        Ok(Self { process, endpoint })
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program(name: &str) -> PathBuf {
    target_directory().join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// The GGUF among the snapshots of a cache, if that is what was pulled.
fn find_gguf(cache: &Path) -> Option<PathBuf> {
    let mut folders = vec![cache.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|end| end == "gguf") {
                return Some(path);
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            }
        }
    }
    None
}
