//! `[data]`: which sample sets are trained and measured on, and how a set becomes an example.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[data]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Sets to train on: `{ arithmetic = { seed = 1 } }` or `{ files = ["sets.jsonl.gz"] }`.
    pub train: Option<SetSource>,
    /// Held-out sets to measure on, in the same words.
    pub eval: Option<SetSource>,
    /// Numbers of candidates: one is drawn for each example, each entry as often as another. In supervised training 0 is the
    /// problem alone, which the model then learns to solve as a generator does.
    pub num_candidates: Vec<usize>,
    /// Shows the candidates in a random order, another one each time.
    pub permute: bool,
    /// What the model is to write in supervised training.
    pub target: TargetKind,
    /// Cuts off the ends of candidates.
    pub truncation: TruncationConfig,
    /// Which sets are left out.
    pub filters: FilterConfig,
    /// A curriculum: stages one after the other, the values above behind the last.
    pub stages: Vec<StageConfig>,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            train: None,
            eval: None,
            num_candidates: vec![5],
            permute: true,
            target: TargetKind::default(),
            truncation: TruncationConfig::default(),
            filters: FilterConfig::default(),
            stages: Vec::new(),
        }
    }
}

/// Where sample sets come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetSource {
    /// The arithmetic domain: made, not read.
    Arithmetic(ArithmeticSource),
    /// Files of sample sets, JSON lines, gzipped or not; together they are one list, drawn anew in each epoch.
    Files(Vec<PathBuf>),
}

/// Sets of `conclave data arithmetic`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArithmeticSource {
    /// The seed of the problems. Training and evaluation must not share it.
    pub seed: u64,
    /// How many problems there are; without it the stream never ends and no problem comes twice.
    pub problems: Option<u64>,
    /// Who writes the candidates.
    pub solvers: Solvers,
    /// How large the problems' numbers are.
    pub numbers: NumberRange,
}

/// Ranges of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberRange {
    /// Products that are out of a tiny model's reach, so that it has to aggregate.
    #[default]
    Standard,
    /// What a tiny model can learn to solve by itself.
    Small,
}

/// Simulated models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Solvers {
    /// One, with the error rates of the problems.
    #[default]
    Standard,
    /// One of half these rates, one of these, one of one and a half times these.
    Mixed,
}

/// What the model is to write in supervised training.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// The reference answer alone, in its tags.
    Answer,
    /// A short derivation and then the answer: the set's `derivation`, or the shortest right candidate.
    #[default]
    Derivation,
    /// Of each candidate whether its answer is right, in the order that is shown (`1+2-3+;`), then the derivation and the
    /// answer: a model too small to see at once which candidates to believe settles that first.
    Verdicts,
    /// The text of this field of the set: `target = { field = "response" }`. With an `<answer>` in it, it is the whole
    /// completion, as it is; without, it is the derivation, behind which the answer is put.
    Field(String),
}

/// `[data.truncation]`: candidates whose end is missing, as where a model ran into its limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TruncationConfig {
    /// How many of the candidates are cut, from 0 to 1.
    pub probability: f64,
    /// This share of a candidate is cut off its end, from 0 to 1.
    pub share: f64,
}

impl Default for TruncationConfig {
    fn default() -> Self {
        Self { probability: 0.0, share: 0.1 }
    }
}

/// `[data.filters]`: sets that are left out of training. Evaluation sees every set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilterConfig {
    /// Leaves out sets whose candidates are all right.
    pub drop_all_correct: bool,
    /// Leaves out sets whose candidates are all wrong.
    pub drop_all_wrong: bool,
    /// Leaves out sets whose prompt is longer.
    pub max_prompt_tokens: Option<usize>,
}

/// `[[data.stages]]`: what is different for some steps at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// How long it lasts.
    pub steps: u64,
    /// Numbers of candidates, in place of `data.num_candidates`.
    pub num_candidates: Option<Vec<usize>>,
    /// Sequences of one forward pass, in place of `train.batch_size`.
    pub batch_size: Option<usize>,
}
