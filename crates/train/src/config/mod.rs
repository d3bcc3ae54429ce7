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

impl RunConfig {
    /// Most tokens that a completion may have in a rollout of the aggregator.
    pub fn rollout_tokens(&self) -> usize {
        self.grpo.max_new_tokens.unwrap_or(self.prompt.max_new_tokens)
    }
}
