//! The checkpoints of a run: what is written into them, and how a run goes on from the newest one that is whole. What stands
//! in a checkpoint's folder, and which are kept, is `checkpoint`.

use std::path::Path;

use conclave_model::qwen2::Qwen2;

use super::{Run, best_metric};
use crate::checkpoint::{Checkpoints, Contents, Progress, Retention};
use crate::config::RunConfig;
use crate::error::{Result, TrainError};
use crate::observer::{Observer, StepMetrics, metric};
use crate::parameters::fingerprint;
use crate::start::Start;

/// The run's checkpoints, opened for as long as it lasts.
pub struct Keeper {
    checkpoints: Checkpoints,
    seed: u64,
    config: serde_json::Value,
    /// What the weights of step 0 are recognised by, where they are kept.
    start: Option<String>,
}

impl Keeper {
    /// Opens the folder of the run for writing; `start` are the weights of step 0, where the run keeps them.
    ///
    /// # Errors
    /// A folder that cannot be written or that another process writes.
    pub fn new(config: &RunConfig, run_dir: &Path, start: Option<&Qwen2>) -> Result<Self> {
        let kept = &config.checkpoint;
        let retention = Retention { keep_last: kept.keep_last, keep_best: kept.keep_best };
        let unwritable = |error| TrainError::Config(format!("the configuration cannot be written: {error}"));
        Ok(Self {
            checkpoints: Checkpoints::open(run_dir, retention)?,
            seed: config.train.seed,
            config: serde_json::to_value(config).map_err(unwritable)?,
            start: start.map(fingerprint).transpose()?,
        })
    }

    /// Writes a checkpoint behind `step`.
    ///
    /// # Errors
    /// A disk or a device that fails.
    pub fn save(&self, run: &Run<'_>, start: &Start, step: u64, metrics: &StepMetrics) -> Result<()> {
        let sign = if run.config.checkpoint.best_metric.more_is_better() { 1.0 } else { -1.0 };
        let progress = Progress {
            step,
            position: step,
            seed: self.seed,
            commit: start.commit.clone(),
            config: self.config.clone(),
            start: self.start.clone(),
            score: metrics.get(best_metric(run.config)).map(|value| sign * value),
            counters: [(metric::NUM_TOKENS.to_owned(), run.num_tokens as f64)].into(),
        };
        let files: Vec<(&str, &[u8])> =
            start.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let contents = Contents {
            model: &run.model,
            config: run.shape,
            optimizer: &run.optimizer,
            lora: run.lora.as_ref(),
            prompt_variant: run.config.prompt.variant,
            max_candidates: run.config.prompt.max_candidates,
            novel_answers: run.config.prompt.novel_answers,
            files: &files,
        };
        self.checkpoints.save(&progress, &contents).map(|_| ())
    }

    /// For a run that begins: there must be nothing to go on from, which would outlast its own checkpoints.
    pub fn begin(&self) -> Result<Option<u64>> {
        match self.checkpoints.is_empty()? {
            true => Ok(None),
            false => Err(TrainError::Checkpoint(
                "the folder has checkpoints of another run: go on with that by --resume, or name another folder".to_owned(),
            )),
        }
    }

    /// Takes the run to its newest whole checkpoint; gives the steps done, or none where there is no checkpoint.
    pub fn resume(&self, run: &mut Run<'_>, observer: &mut dyn Observer) -> Result<Option<u64>> {
        let found = self.checkpoints.latest()?;
        let Some(saved) = found.saved else {
            if found.skipped.is_empty() {
                observer.message("there is no checkpoint yet: starting from step 0");
                return Ok(None);
            }
            let reasons = found.skipped.join("; ");
            return Err(TrainError::Checkpoint(format!(
                "no checkpoint of the run is whole ({reasons}): begin another run in another folder"
            )));
        };
        self.check(&saved.progress, observer)?;
        let (shape, model) = saved.model(&run.device)?;
        if shape != *run.shape {
            let path = saved.path.display();
            let message =
                format!("`{path}` is of a model of another shape than [model] says: use another folder");
            return Err(TrainError::Checkpoint(message));
        }
        match &run.config.lora {
            None => {
                run.optimizer = saved.optimizer(&run.config.optimizer, &model)?;
                run.model = model;
            }
            Some(config) => {
                let lora = saved.lora(config, run.start()?)?;
                run.optimizer = saved.optimizer(&run.config.optimizer, &lora)?;
                run.model = lora.merge(run.start()?);
                run.lora = Some(lora);
            }
        }
        run.num_tokens = saved.progress.counters.get(metric::NUM_TOKENS).copied().unwrap_or(0.0) as u64;
        for skipped in &found.skipped {
            observer.message(&format!("passed over, and put aside: {skipped}"));
        }
        self.checkpoints.put_aside_after(saved.progress.step)?;
        observer.message(&format!("going on from step {}", saved.progress.step));
        Ok(Some(saved.progress.step))
    }

    /// Another seed or other data would make it another run under the same name; what else has changed is told.
    fn check(&self, progress: &Progress, observer: &mut dyn Observer) -> Result<()> {
        let mut changed = Vec::new();
        differences("", &progress.config, &self.config, &mut changed);
        let fixed = ["train.seed", "data", "model", "prompt", "lora", "optimizer.kind"];
        // Of the model, what is written in the end is no part of the run.
        let is = |key: &str, name: &str| {
            key != "model.dtype"
                && key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if let Some(key) = changed.iter().find(|key| fixed.iter().any(|name| is(key, name))) {
            return Err(TrainError::Checkpoint(format!(
                "`{key}` differs from what the run in this folder was begun with: put it back, or begin another run in another \
                 folder (without --resume)"
            )));
        }
        if let (Some(before), Some(now)) = (&progress.start, &self.start)
            && before != now
        {
            return Err(TrainError::Checkpoint(
                "the model that `model.path` names is not the one that the run in this folder was begun with, and the run still \
                 needs that: put it back, or begin another run in another folder (without --resume)"
                    .to_owned(),
            ));
        }
        for key in changed {
            observer
                .message(&format!("`{key}` has changed since the checkpoint: the new value holds from here"));
        }
        Ok(())
    }
}

/// The keys whose values differ, as `section.key`.
fn differences(at: &str, before: &serde_json::Value, now: &serde_json::Value, found: &mut Vec<String>) {
    match (before.as_object(), now.as_object()) {
        (Some(a), Some(b)) => {
            let null = serde_json::Value::Null;
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                differences(&at, a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null), found);
            }
        }
        _ if before != now => found.push(at.to_owned()),
        _ => {}
    }
}
