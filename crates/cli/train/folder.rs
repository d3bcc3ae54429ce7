//! The folder of a run: `run.json` (what the run is), `config.toml` (the same to read and to run again), `metrics.jsonl`,
//! checkpoints, and in the end `model/`. Here is who may write to it; checkpoints and log are the trainer's and the
//! recorder's.

use std::io::ErrorKind as IoErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use conclave_disk::{Lock, claim, create_folder, unfinished_path, write_whole};
use conclave_train::config::{Method, RunConfig};
use serde_json::{Value, json};

use crate::messages::{say, visible};
use crate::output::say_without_locks;

/// What the run is, for whoever goes on with it.
const RUN_FILE: &str = "run.json";

/// Held by the process that writes to the folder.
const LOCK: &str = "lock";

/// How long another process is waited for.
const PATIENCE: Duration = if cfg!(test) { Duration::ZERO } else { claim::PATIENCE };

/// The folder of a run that is ours alone as long as this lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Holds the lock.
    _lock: Lock,
}

impl RunFolder {
    /// A folder for a new run, or, to go on, that of an earlier one by the same method. (What of its configuration may have
    /// changed is the trainer's to say.) The second value says whether there is a run to go on with.
    pub fn open(path: &Path, resume: bool, method: Method) -> Result<(Self, bool)> {
        let name = path.display();
        let entries = match std::fs::read_dir(path) {
            // The lock alone is left by a run that could not begin, and half of its first file by one that was killed then.
            Ok(entries) => {
                let first = unfinished_path(Path::new(RUN_FILE));
                let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
                names.filter(|name| name != LOCK && *name != first).count()
            }
            Err(error) if error.kind() == IoErrorKind::NotFound => 0,
            Err(error) if error.kind() == IoErrorKind::NotADirectory => {
                bail!(
                    "cannot write to `{name}`: it, or what it is in, is not a folder; name another with --output"
                )
            }
            Err(error) => return Err(error).with_context(|| format!("cannot write to `{name}`")),
        };
        let run = read_run(path)?;
        match (&run, resume) {
            (Some(_), false) => bail!(
                "`{name}` has a run in it: go on with it by --resume, or name another folder with --output"
            ),
            (Some(run), true) => check_same(run, method, &name.to_string())?,
            (None, _) if entries > 0 => {
                bail!("`{name}` is not empty and has no run in it: name another folder with --output")
            }
            (None, true) => say(&format!("`{name}` has no run to go on with: a new one begins")),
            (None, false) => {}
        }
        create_folder(path)?;
        Ok((Self { path: path.to_owned(), _lock: lock(path)? }, run.is_some()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down what the run is.
    pub fn describe(&self, method: Method, config: &RunConfig) -> Result<()> {
        let run = json!({
            "method": method.name(),
            "version": env!("CARGO_PKG_VERSION"),
            "commit": env!("CONCLAVE_COMMIT"),
            "seed": config.train.seed,
            "config": config.to_json(method),
        });
        let head = format!(
            "# conclave train {} of commit {}, with every default\n\n",
            method.name(),
            env!("CONCLAVE_COMMIT")
        );
        for (file, text) in
            // What says that this is a run comes first: one that is killed here can be gone on with.
            [(RUN_FILE, format!("{run:#}\n")), ("config.toml", head + &config.to_toml(method))]
        {
            write_whole(&self.path.join(file), text.as_bytes())?;
        }
        Ok(())
    }
}

/// The run that is in the folder.
fn read_run(path: &Path) -> Result<Option<Value>> {
    let file = path.join(RUN_FILE);
    match std::fs::read(&file) {
        Ok(json) => {
            let run = serde_json::from_slice(&json);
            run.map(Some).with_context(|| format!("cannot read `{}`", file.display()))
        }
        Err(error) if error.kind() == IoErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == IoErrorKind::NotADirectory => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", file.display())),
    }
}

fn lock(path: &Path) -> Result<Lock> {
    let held = format!(
        "another process trains in this folder (it holds `{}`): wait for it, or name another with --output",
        path.join(LOCK).display()
    );
    let lock = Lock::take(path, LOCK, PATIENCE, &held)?;
    say_without_locks(lock.is_locked, path);
    Ok(lock)
}

fn check_same(run: &Value, method: Method, name: &str) -> Result<()> {
    let before = run["method"].as_str().unwrap_or_default();
    if before != method.name() {
        bail!(
            "`{name}` has a run of `conclave train {}`: name another folder with --output",
            visible(before)
        );
    }
    let commit = run["commit"].as_str().unwrap_or_default();
    if commit != env!("CONCLAVE_COMMIT") {
        let here = env!("CONCLAVE_COMMIT");
        say(&format!("the run was begun by commit {}, this is {here}: numbers may differ", visible(commit)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_only_as_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let mut config = RunConfig::default();
        let open = |resume: bool, method: Method| {
            RunFolder::open(&path, resume, method).map_err(|error| error.to_string())
        };
        let (first, resumed) = open(true, Method::Sft).unwrap();
        assert!(!resumed);
        first.describe(Method::Sft, &config).unwrap();
        let message = open(true, Method::Sft).unwrap_err();
        assert!(message.contains("another process trains in this folder"), "{message}");
        drop(first);
        assert!(open(false, Method::Sft).unwrap_err().contains("go on with it by --resume"));
        assert!(open(true, Method::Grpo).unwrap_err().contains("a run of `conclave train sft`"));

        config.train.steps = 99;
        let (again, resumed) = open(true, Method::Sft).unwrap();
        assert!(resumed);
        again.describe(Method::Sft, &config).unwrap();
        let text = std::fs::read_to_string(path.join("config.toml")).unwrap();
        assert_eq!(RunConfig::from_toml(&text, "config.toml", &[]).unwrap(), config);
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let error = RunFolder::open(folder.path(), true, Method::Sft).unwrap_err();
        assert!(error.to_string().contains("is not empty and has no run in it"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
