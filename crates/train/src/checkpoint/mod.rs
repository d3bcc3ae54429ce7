//! Checkpoints of a run: everything to go on from, to the bit, and a model directory at the same time.
//!
//! `RUN/checkpoints/step-00000200` has the files of a model (`config.json`, `model.safetensors` in f32, `tokenizer.json`,
//! `conclave.json`), the optimizer's state (`optimizer.safetensors`), where the run is ([`Progress`], in `training.json`),
//! for a run with `[lora]` its factors (`lora.safetensors`; the model is the merged one then), and `checkpoint.json` with
//! the sha256 of every one of them.
//!
//! A folder is written under another name, brought to the disk, and renamed: whenever the process ends, what has the name
//! of a checkpoint is one (`conclave-disk` does this). Still the hashes are checked before one is gone on from, and where they do
//! not fit, the one before it is taken and the damaged one is reported. What is not here: when to save (the trainers).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use conclave_core::prompt::PromptVariant;
use conclave_disk::{Folder, Lock, NewFolder};
use conclave_model::config::Qwen2Config;
use conclave_model::export::{Export, ModelSink, write_manifest, write_model};
use conclave_model::load::{LoadOptions, load};
use conclave_model::manifest::{self, Manifest};
use conclave_model::module_weights::ModuleWeights;
use conclave_model::open::ModelDirectory;
use conclave_model::qwen2::Qwen2;
use conclave_model::safetensors::{Dtype, header_bytes};
use conclave_model::weights::Safetensors;
use pollster::block_on;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::LoraConfig;
use crate::error::{Result, TrainError};
use crate::host::read_f32;
use crate::lora::Lora;
use crate::optimizer::{Optimizer, OptimizerConfig};
use crate::parameters::Parameters;

const FOLDER: &str = "checkpoints";
const PREFIX: &str = "step-";
const OPTIMIZER_FILE: &str = "optimizer.safetensors";
const LORA_FILE: &str = "lora.safetensors";
const TRAINING_FILE: &str = "training.json";
const HASHES_FILE: &str = "checkpoint.json";
/// The version of the format that this release writes.
const FORMAT: u32 = 1;

/// Where a run is. With the seed all that is random follows from it, so no generator has a state to save.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// The next position in the training data.
    pub position: u64,
    /// The seed of the run.
    pub seed: u64,
    /// The commit of the program.
    pub commit: String,
    /// The configuration with every default in it.
    pub config: Value,
    /// How good the model is, by the metric that the best checkpoints are kept by; greater is better.
    pub score: Option<f64>,
    /// What the weights of step 0 are recognised by, where the run goes on needing them.
    #[serde(default)]
    pub start: Option<String>,
    /// Sums over the run that its log goes on with, such as tokens seen.
    #[serde(default)]
    pub counters: BTreeMap<String, f64>,
}

/// What is saved beside the [`Progress`].
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// The weights that are trained.
    pub model: &'a Qwen2,
    /// Their shape.
    pub config: &'a Qwen2Config,
    /// The optimizer that trains them.
    pub optimizer: &'a Optimizer,
    /// The low-rank updates that are trained in place of the weights, which are merged with them.
    pub lora: Option<&'a Lora>,
    /// The prompt that the model is trained on.
    pub prompt_variant: PromptVariant,
    /// Candidates that the model is to be shown at most.
    pub max_candidates: Option<usize>,
    /// Whether an answer of it that no candidate has is to be taken.
    pub novel_answers: bool,
    /// Files copied as they are: `tokenizer.json`, so that the folder is a whole model directory.
    pub files: &'a [(&'a str, &'a [u8])],
}

/// Which checkpoints are kept: those that are among the newest or among the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How many of the newest; at least one is kept.
    pub keep_last: usize,
    /// How many of the best, by [`Progress::score`].
    pub keep_best: usize,
}

/// The checkpoints of a run, held by one process at a time.
#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    retention: Retention,
    _lock: Lock,
}

/// A checkpoint whose files are as they were written.
#[derive(Debug, Clone)]
pub struct Saved {
    /// Its folder.
    pub path: PathBuf,
    /// Where the run was.
    pub progress: Progress,
    optimizer_updates: u64,
}

/// What was found by [`latest`].
#[derive(Debug, Default)]
pub struct Found {
    /// The newest checkpoint that is whole.
    pub saved: Option<Saved>,
    /// Newer ones that are not, each with what is wrong, to be told.
    pub skipped: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct TrainingFile {
    format: u32,
    optimizer_updates: u64,
    progress: Progress,
}

#[derive(Serialize, Deserialize)]
struct HashesFile {
    format: u32,
    files: BTreeMap<String, String>,
}

impl Checkpoints {
    /// The checkpoints of the run in `run_dir`, which is created where it is not there. Takes away what a process that was
    /// killed has left half written.
    ///
    /// # Errors
    /// A folder that another process holds, or that cannot be written.
    pub fn open(run_dir: &Path, retention: Retention) -> Result<Self> {
        let folder = run_dir.join(FOLDER);
        conclave_disk::create_folder(&folder)?;
        let lock = Lock::of_checkpoints(&folder)?;
        conclave_disk::clean(&folder)?;
        Ok(Self { folder, retention, _lock: lock })
    }

    /// The newest whole checkpoint.
    ///
    /// # Errors
    /// See [`latest`].
    pub fn latest(&self) -> Result<Found> {
        latest_in(&self.folder)
    }

    /// Whether there is nothing that has a checkpoint's name.
    ///
    /// # Errors
    /// Where the folder cannot be listed.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(steps(&self.folder)?.is_empty())
    }

    /// Puts everything behind `step` aside, as `damaged-step-...`. Where a run goes on from `step`, what is behind it was
    /// passed over; it would count among the newest, in place of what the run saves.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn put_aside_after(&self, step: u64) -> Result<()> {
        for (_, path) in steps(&self.folder)?.iter().filter(|(found, _)| *found > step) {
            conclave_disk::put_aside(path)?;
        }
        Ok(())
    }

    /// Saves a checkpoint, in place of one of the same step, and then removes those that are not kept. When it returns,
    /// the checkpoint is on the disk.
    ///
    /// # Errors
    /// Where the folder cannot be written or the device not be read; nothing is left of the checkpoint then, and earlier
    /// ones stay.
    pub fn save(&self, progress: &Progress, contents: &Contents<'_>) -> Result<PathBuf> {
        let name = format!("{PREFIX}{:08}", progress.step);
        let mut new = NewFolder::create(&self.folder, &name)?;
        block_on(write(&mut new, progress, contents))?;
        let path = new.complete()?;
        self.prune()?;
        Ok(path)
    }

    fn prune(&self) -> Result<()> {
        let mut kept = Vec::new();
        for (step, path) in steps(&self.folder)? {
            // What cannot be read is reported when a run goes on, and left to whoever reads that.
            if let Ok(training) = read_training(&path) {
                kept.push((step, training.progress.score, path));
            }
        }
        let mut by_score: Vec<usize> = (0..kept.len()).filter(|&index| kept[index].1.is_some()).collect();
        // Newest first, then a stable sort by the score: of equals the newest.
        by_score.sort_by(|&a, &b| kept[b].1.unwrap_or(f64::MIN).total_cmp(&kept[a].1.unwrap_or(f64::MIN)));
        by_score.truncate(self.retention.keep_best);
        for (index, (_, _, path)) in kept.iter().enumerate() {
            if index >= self.retention.keep_last.max(1) && !by_score.contains(&index) {
                conclave_disk::remove(path)?;
            }
        }
        Ok(())
    }
}

/// The newest whole checkpoint of the run in `run_dir`.
///
/// # Errors
/// Where the folder cannot be listed. A checkpoint that is damaged is no error but skipped.
pub fn latest(run_dir: &Path) -> Result<Found> {
    latest_in(&run_dir.join(FOLDER))
}

/// The checkpoint of the run in `run_dir` with the greatest score, of equals the newest. Only whole ones count.
///
/// # Errors
/// Where the folder cannot be listed.
pub fn best(run_dir: &Path) -> Result<Option<Saved>> {
    let mut scored = Vec::new();
    for (_, path) in steps(&run_dir.join(FOLDER))? {
        if let Some(score) = read_training(&path).ok().and_then(|training| training.progress.score) {
            scored.push((score, path));
        }
    }
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    Ok(scored.into_iter().find_map(|(_, path)| Saved::open(&path).ok()))
}

fn latest_in(folder: &Path) -> Result<Found> {
    let mut found = Found::default();
    for (_, path) in steps(folder)? {
        match Saved::open(&path) {
            Ok(saved) => {
                found.saved = Some(saved);
                break;
            }
            Err(error) => found.skipped.push(error.to_string()),
        }
    }
    Ok(found)
}

/// Folders that have a checkpoint's name, the newest first.
fn steps(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut steps = Vec::new();
    for name in conclave_disk::entries(folder)? {
        if let Some(step) = name.strip_prefix(PREFIX).and_then(|digits| digits.parse().ok()) {
            steps.push((step, folder.join(name)));
        }
    }
    steps.sort_by(|a, b| b.cmp(a));
    Ok(steps)
}

impl Saved {
    /// Reads and checks the checkpoint in `path`: every file has to be as it was written.
    ///
    /// # Errors
    /// Says what is missing or damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let damaged = |what: String| {
            TrainError::Checkpoint(format!("the checkpoint `{}` cannot be used: {what}", path.display()))
        };
        let bytes = std::fs::read(path.join(HASHES_FILE))
            .map_err(|error| damaged(format!("{HASHES_FILE}: {error}")))?;
        let hashes: HashesFile =
            serde_json::from_slice(&bytes).map_err(|error| damaged(format!("{HASHES_FILE}: {error}")))?;
        if hashes.format > FORMAT {
            let format = hashes.format;
            return Err(damaged(format!(
                "it has format {format}, this release reads up to {FORMAT}: use a newer one"
            )));
        }
        for file in [TRAINING_FILE, OPTIMIZER_FILE, "config.json"] {
            if !hashes.files.contains_key(file) {
                return Err(damaged(format!("{HASHES_FILE} does not name {file}")));
            }
        }
        for (file, expected) in &hashes.files {
            let found = conclave_disk::sha256(&path.join(file))
                .map_err(|error| damaged(format!("{file}: {error}")))?;
            if found != *expected {
                return Err(damaged(format!("{file} is not what was written (its sha256 is {found})")));
            }
        }
        let training = read_training(path).map_err(|error| damaged(error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            progress: training.progress,
            optimizer_updates: training.optimizer_updates,
        })
    }

    /// Loads the weights, f32, cut as a model that is loaded by default.
    ///
    /// # Errors
    /// What loading a model reports.
    pub fn model(&self, device: &Device) -> Result<(Qwen2Config, Qwen2)> {
        let directory = block_on(ModelDirectory::open(Folder::new(&self.path)))?;
        let (options, going_on) = (LoadOptions::default(), &mut |_| ControlFlow::Continue(()));
        let model = block_on(load(&directory.config, &directory.weights, device, &options, going_on))?;
        Ok((directory.config, model))
    }

    /// The optimizer as it was, for what it trains: [`Saved::model`] or [`Saved::lora`]. Rates may have changed since, the
    /// kind may not.
    ///
    /// # Errors
    /// State that is not of these parameters and kind of optimizer.
    pub fn optimizer(&self, config: &OptimizerConfig, parameters: &impl Parameters) -> Result<Optimizer> {
        let source = block_on(Safetensors::open_file(Folder::new(&self.path), OPTIMIZER_FILE))?;
        block_on(Optimizer::restore(config, self.optimizer_updates, &source, parameters))
    }

    /// The low-rank updates of `base` as they were.
    ///
    /// # Errors
    /// A checkpoint of a run without them or with others.
    pub fn lora(&self, config: &LoraConfig, base: &Qwen2) -> Result<Lora> {
        let source = block_on(Safetensors::open_file(Folder::new(&self.path), LORA_FILE))?;
        block_on(Lora::restore(config, base, &source))
    }
}

fn read_training(path: &Path) -> Result<TrainingFile> {
    let file = path.join(TRAINING_FILE);
    let bytes = std::fs::read(&file).map_err(|error| TrainError::io(&file, error))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| TrainError::Checkpoint(format!("{TRAINING_FILE}: {error}")))
}

async fn write(new: &mut NewFolder, progress: &Progress, contents: &Contents<'_>) -> Result<()> {
    let source = ModuleWeights::new(contents.model);
    // One file, so that the names do not depend on the size.
    let export = Export {
        config: contents.config,
        dtype: Dtype::F32,
        max_shard_size: u64::MAX,
        files: contents.files,
    };
    let mut files = write_model(&export, &source, new, &mut |_| ControlFlow::Continue(())).await?;
    let provenance = json!({
        "commit": progress.commit, "config": progress.config, "seed": progress.seed, "step": progress.step
    });
    let manifest = Manifest {
        prompt_variant: contents.prompt_variant,
        max_candidates: contents.max_candidates,
        novel_answers: contents.novel_answers,
        provenance: provenance.as_object().cloned().unwrap_or_default(),
        files: files.clone(),
        ..Manifest::default()
    };
    write_manifest(&manifest, new)?;
    files.insert(manifest::FILE_NAME.to_owned(), new.last_hash());
    write_tensors(new, OPTIMIZER_FILE, contents.optimizer.state())?;
    files.insert(OPTIMIZER_FILE.to_owned(), new.last_hash());
    if let Some(lora) = contents.lora {
        write_tensors(new, LORA_FILE, lora.tensors())?;
        files.insert(LORA_FILE.to_owned(), new.last_hash());
    }
    let training = TrainingFile {
        format: FORMAT,
        optimizer_updates: contents.optimizer.updates(),
        progress: progress.clone(),
    };
    write_json(new, TRAINING_FILE, &training)?;
    files.insert(TRAINING_FILE.to_owned(), new.last_hash());
    write_json(new, HASHES_FILE, &HashesFile { format: FORMAT, files })
}

fn write_tensors(new: &mut NewFolder, file: &str, tensors: Vec<(String, Tensor<2>)>) -> Result<()> {
    let shapes: Vec<_> = tensors.iter().map(|(_, tensor)| tensor.dims()).collect();
    let entries =
        tensors.iter().zip(&shapes).map(|((name, _), shape)| (name.as_str(), Dtype::F32, shape.as_slice()));
    new.create(file)?;
    new.write(&header_bytes(entries, &BTreeMap::new())?)?;
    for (_, tensor) in tensors {
        let values = read_f32(tensor)?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        new.write(&bytes)?;
    }
    Ok(new.finish()?)
}

fn write_json(new: &mut NewFolder, file: &str, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| TrainError::Checkpoint(format!("cannot write {file}: {error}")))?;
    new.create(file)?;
    new.write(text.as_bytes())?;
    new.write(b"\n")?;
    Ok(new.finish()?)
}
