//! `[prompt]`, `[train]`, `[checkpoint]`, `[eval]` and `[log]`: the run itself.

use conclave_core::prompt::PromptVariant;
use serde::{Deserialize, Serialize};

/// `[prompt]`: what the model is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromptConfig {
    /// Whether the model thinks before it answers: `think` or `no_think`.
    pub variant: PromptVariant,
    /// Most tokens of prompt and completion together; without it what the model was made for.
    pub context_length: Option<usize>,
    /// Tokens kept free for the completion.
    pub max_new_tokens: usize,
    /// Candidates that the published model is shown at most, chosen by class of a set that has more (`max_candidates` of
    /// its `conclave.json`): for a model that reads many worse than few, because it was trained on few.
    pub max_candidates: Option<usize>,
    /// Whether an answer of the published model that no candidate has is taken (`novel_answers` of its `conclave.json`).
    pub novel_answers: bool,
}

impl Default for PromptConfig {
    fn default() -> Self {
        Self {
            variant: PromptVariant::Think,
            context_length: None,
            max_new_tokens: 128,
            max_candidates: None,
            novel_answers: false,
        }
    }
}

/// `[train]`: how long, how much at once, and in what precision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Updates of the weights.
    pub steps: u64,
    /// Sequences of one forward and backward pass. In supervised training a step has `gradient_accumulation` of these, in
    /// reinforcement learning as many as its completions need.
    pub batch_size: usize,
    /// Forward and backward passes of one step, in supervised training.
    pub gradient_accumulation: usize,
    /// Weight of a prompt token's loss beside a target token's, in supervised training.
    pub prompt_loss_weight: f64,
    /// Fixes everything random: start, data, order, rollouts.
    pub seed: u64,
    /// Computes each layer again in the backward pass instead of keeping its intermediate values.
    pub recompute: bool,
    /// Precision to compute in. The weights that are updated are always f32.
    pub dtype: ComputeDtype,
    /// Threads on a processor; without it all cores. Runs are the same bit by bit only at the same number.
    pub threads: Option<usize>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 0,
            batch_size: 16,
            gradient_accumulation: 1,
            prompt_loss_weight: 0.0,
            seed: 0,
            recompute: false,
            dtype: ComputeDtype::F32,
            threads: None,
        }
    }
}

/// Precision to compute in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeDtype {
    /// 32 bits.
    F32,
    /// 16 bits, bfloat.
    Bf16,
}

impl ComputeDtype {
    /// As burn names it.
    pub fn dtype(self) -> burn::tensor::DType {
        match self {
            Self::F32 => burn::tensor::DType::F32,
            Self::Bf16 => burn::tensor::DType::BF16,
        }
    }
}

/// `[checkpoint]`: what is kept to go on from. The last step always has one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Steps between two; 0 for the last step only. Where the best by an evaluation are kept, each evaluation has one too.
    pub every: u64,
    /// How many of the newest are kept.
    pub keep_last: usize,
    /// How many of the best are kept besides.
    pub keep_best: usize,
    /// What is best.
    pub best_metric: BestMetric,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every: 100, keep_last: 2, keep_best: 1, best_metric: BestMetric::EvalAccuracy }
    }
}

/// What tells the best checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BestMetric {
    /// The greatest accuracy on the held-out sets.
    EvalAccuracy,
    /// The greatest mean reward.
    Reward,
    /// The smallest loss.
    Loss,
}

impl BestMetric {
    /// Its name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::EvalAccuracy => "eval_accuracy",
            Self::Reward => "reward",
            Self::Loss => "loss",
        }
    }

    /// Whether more of it is better.
    pub fn more_is_better(self) -> bool {
        self != Self::Loss
    }
}

/// `[eval]`: greedy answers to held-out sets (`data.eval`), beside the vote and the oracle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// Steps between two; 0 for the last step only.
    pub every: u64,
    /// How many of the sets.
    pub problems: u64,
    /// Candidates of each; 0 is the control: the problem alone.
    pub num_candidates: usize,
    /// Orders of the candidates that each set is answered in: above 1 the flip rate is measured.
    pub permutations: u32,
    /// Sets answered at once.
    pub batch_size: usize,
    /// Measures before the first step too.
    pub at_start: bool,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self { every: 0, problems: 200, num_candidates: 5, permutations: 1, batch_size: 32, at_start: true }
    }
}

/// `[log]`: `metrics.jsonl` in the folder of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Steps between two lines of the log.
    pub every: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { every: 1 }
    }
}
