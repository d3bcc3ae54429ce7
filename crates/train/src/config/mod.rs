//! The configuration of a run: what a TOML file and `--set` may say, with every default in one place.
//!
//! Each section of the file is a struct, each key a field: the documentation of a field is the documentation of its key.
//! Unknown keys are refused ([`read`]), the whole is checked before anything is loaded ([`RunConfig::validate`]), and what
//! is saved beside a run has every default in it ([`RunConfig::to_toml`]).
//!
//! What does not live here: what the values do (the trainers), and the command line that names the file.

mod check;
mod data;
mod model;
mod optimise;
mod read;
mod resolved;
mod rl;
mod run;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use crate::optimizer::{MuonAdjust, OptimizerConfig, OptimizerKind};
pub use data::{
    ArithmeticSource, DataConfig, FilterConfig, NumberRange, SetSource, Solvers, StageConfig, TargetKind,
    TruncationConfig,
};
pub use model::{LoraConfig, ModelConfig, ModelDtype, ModelStart, ShapeConfig};
pub use optimise::{ScheduleConfig, ScheduleKind};
pub use rl::{Baseline, GrpoConfig, LossKind, ParagatorConfig};
pub use run::{BestMetric, CheckpointConfig, ComputeDtype, EvalConfig, LogConfig, PromptConfig, TrainConfig};

/// What a run trains by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Supervised fine-tuning on targets.
    Sft,
    /// Group relative policy optimisation of the aggregator.
    Grpo,
    /// One model that generates and aggregates.
    Paragator,
}

impl Method {
    /// Its name, as in `conclave train NAME`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sft => "sft",
            Self::Grpo => "grpo",
            Self::Paragator => "paragator",
        }
    }
}

/// Everything that decides a run, but for the commit of the program.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// What is trained.
    pub model: ModelConfig,
    /// On what.
    pub data: DataConfig,
    /// What the model is shown, and how much it may write.
    pub prompt: PromptConfig,
    /// How a gradient becomes a step.
    pub optimizer: OptimizerConfig,
    /// How its learning rates change over the run.
    pub schedule: ScheduleConfig,
    /// How long, how much at once, and in what precision.
    pub train: TrainConfig,
    /// What is kept to go on from.
    pub checkpoint: CheckpointConfig,
    /// What is measured on held-out sets.
    pub eval: EvalConfig,
    /// What is written down.
    pub log: LogConfig,
    /// Trains low-rank updates instead of the weights, where there is such a section.
    pub lora: Option<LoraConfig>,
    /// Reinforcement learning of the aggregator; also the losses of `paragator`.
    pub grpo: GrpoConfig,
    /// Generator and aggregator in one.
    pub paragator: ParagatorConfig,
}

/// What holds at one step: the stage of the curriculum, or the run's own values after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage<'a> {
    /// Numbers of candidates, one of which is drawn for each set.
    pub num_candidates: &'a [usize],
    /// Sequences of one forward pass.
    pub batch_size: usize,
}

impl RunConfig {
    /// What holds at `step`, counted from 0.
    pub fn stage(&self, step: u64) -> Stage<'_> {
        let mut end = 0u64;
        let stage = self.data.stages.iter().find(|stage| {
            end = end.saturating_add(stage.steps);
            step < end
        });
        Stage {
            num_candidates: stage
                .and_then(|stage| stage.num_candidates.as_deref())
                .unwrap_or(&self.data.num_candidates),
            batch_size: stage.and_then(|stage| stage.batch_size).unwrap_or(self.train.batch_size),
        }
    }

    /// How many sequences the supervised steps before `step` have used: the position in the data that `step` begins at.
    pub fn position(&self, step: u64) -> u64 {
        let (mut position, mut done) = (0u64, 0u64);
        for stage in &self.data.stages {
            let steps = stage.steps.min(step - done);
            position += steps * stage.batch_size.unwrap_or(self.train.batch_size) as u64;
            done += steps;
        }
        position += (step - done) * self.train.batch_size as u64;
        position * self.train.gradient_accumulation as u64
    }

    /// Most tokens that a completion may have in a rollout of the aggregator.
    pub fn rollout_tokens(&self) -> usize {
        self.grpo.max_new_tokens.unwrap_or(self.prompt.max_new_tokens)
    }
}
