//! What a run tells its host, and how the host stops it. A trainer knows neither terminals nor log files nor signals: it
//! hands a [`StepMetrics`] to an [`Observer`] behind each step, and asks before the next whether to go on.

use serde_json::{Map, Value};

/// The host's side of a run.
pub trait Observer {
    /// A step was done, or (before the first, and beside others) an evaluation.
    fn step(&mut self, metrics: &StepMetrics);

    /// Something worth telling that is no number.
    fn message(&mut self, text: &str);

    /// Whether the run should end behind this step. The trainer then writes a checkpoint and returns.
    fn should_stop(&self) -> bool;
}

/// The numbers of one step, by the names of [`metric`], in the order they were given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepMetrics {
    /// Steps done, the one that this is about included; 0 is the model before the first.
    pub step: u64,
    values: Vec<(String, f64)>,
}

impl StepMetrics {
    /// The key of a line that says which step it is about.
    pub const STEP: &str = "step";

    /// No numbers yet.
    pub fn new(step: u64) -> Self {
        Self { step, values: Vec::new() }
    }

    /// Sets the number `name`, in place of one that it has.
    pub fn set(&mut self, name: &str, value: f64) {
        match self.values.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.values.push((name.to_owned(), value)),
        }
    }

    /// The same with the number `name`.
    #[must_use]
    pub fn with(mut self, name: &str, value: f64) -> Self {
        self.set(name, value);
        self
    }

    /// The number `name`.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(known, _)| known == name).map(|&(_, value)| value)
    }

    /// All numbers in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.values.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Whether there is a number of an evaluation among them.
    pub fn is_evaluation(&self) -> bool {
        self.iter().any(|(name, _)| name.starts_with("eval_"))
    }

    /// As a line of the log: `{"step": 5, "loss": 0.5, ...}`. A number that JSON has no word for is null.
    pub fn to_json(&self) -> Value {
        let mut map = Map::new();
        map.insert(Self::STEP.to_owned(), self.step.into());
        for (name, value) in self.iter() {
            // Whole numbers (tokens, rows) are written as such.
            let whole = value.fract() == 0.0 && value.abs() < 2f64.powi(53);
            map.insert(name.to_owned(), if whole { Value::from(value as i64) } else { Value::from(value) });
        }
        Value::Object(map)
    }

    /// The metrics of a line of the log; what is no number is passed over.
    pub fn from_json(line: &Value) -> Option<Self> {
        let map = line.as_object()?;
        let mut metrics = Self::new(map.get(Self::STEP)?.as_u64()?);
        for (name, value) in map.iter().filter(|(name, _)| *name != Self::STEP) {
            metrics.values.extend(value.as_f64().map(|value| (name.clone(), value)));
        }
        Some(metrics)
    }
}

/// The names of the numbers. Where TRL has a name, it is TRL's.
pub mod metric {
    /// The loss that the step has minimised.
    pub const LOSS: &str = "loss";
    /// Mean loss of the target's tokens, where the prompt's count as well.
    pub const COMPLETION_LOSS: &str = "completion_loss";
    /// Global norm of the gradient, before it was clipped.
    pub const GRAD_NORM: &str = "grad_norm";
    /// Learning rate of the step.
    pub const LEARNING_RATE: &str = "learning_rate";
    /// Tokens seen since the start of the run, prompts and completions.
    pub const NUM_TOKENS: &str = "num_tokens";
    /// Tokens of this step a second.
    pub const TOKENS_PER_SECOND: &str = "tokens_per_second";
    /// Seconds of this step.
    pub const STEP_TIME: &str = "step_time";
    /// Passes over the training sets.
    pub const EPOCH: &str = "epoch";
    /// Share of target tokens that are the most probable ones.
    pub const MEAN_TOKEN_ACCURACY: &str = "mean_token_accuracy";
    /// Mean entropy of the tokens' distributions; of completions, those that have a gradient (an advantage other than 0, or a
    /// KL term), which under different objectives are different ones.
    pub const ENTROPY: &str = "entropy";

    /// Mean reward of the rollouts.
    pub const REWARD: &str = "reward";
    /// Mean over the groups of the standard deviation of their rewards.
    pub const REWARD_STD: &str = "reward_std";
    /// Share of completions with the right answer.
    pub const REWARD_CORRECT: &str = "rewards/correct/mean";
    /// Share of well-formed completions.
    pub const REWARD_WELL_FORMED: &str = "rewards/well_formed/mean";
    /// Estimate of the mean entropy of the tokens' distributions over all rollouts: less the mean log-probability of what was
    /// drawn, at the temperature it was drawn at.
    pub const ROLLOUT_ENTROPY: &str = "rollout/entropy";
    /// Tokens generated in a second of decoding.
    pub const ROLLOUT_TOKENS_PER_SECOND: &str = "rollout/tokens_per_second";
    /// Share of groups whose rewards are all the same, which teach nothing.
    pub const FRAC_REWARD_ZERO_STD: &str = "frac_reward_zero_std";
    /// Mean divergence from the frozen start (k3).
    pub const KL: &str = "kl";
    /// Share of tokens whose ratio was clipped from below.
    pub const CLIP_LOW_MEAN: &str = "clip_ratio/low_mean";
    /// Share of tokens whose ratio was clipped from above.
    pub const CLIP_HIGH_MEAN: &str = "clip_ratio/high_mean";
    /// Share of tokens whose ratio was clipped.
    pub const CLIP_REGION_MEAN: &str = "clip_ratio/region_mean";
    /// Mean tokens of a completion.
    pub const COMPLETIONS_MEAN_LENGTH: &str = "completions/mean_length";
    /// Fewest tokens of a completion.
    pub const COMPLETIONS_MIN_LENGTH: &str = "completions/min_length";
    /// Most tokens of a completion.
    pub const COMPLETIONS_MAX_LENGTH: &str = "completions/max_length";
    /// Share of completions that ran into their limit.
    pub const COMPLETIONS_CLIPPED_RATIO: &str = "completions/clipped_ratio";
    /// Mean distance between the log-probabilities of the sampler and of the trainer.
    pub const SAMPLING_GAP_MEAN: &str = "sampling/sampling_logp_difference/mean";
    /// Largest distance between them.
    pub const SAMPLING_GAP_MAX: &str = "sampling/sampling_logp_difference/max";
    /// Mean ratio of the trainer's to the sampler's probability.
    pub const SAMPLING_RATIO_MEAN: &str = "sampling/importance_sampling_ratio/mean";

    /// Share of held-out sets answered right.
    pub const EVAL_ACCURACY: &str = "eval_accuracy";
    /// Share that the majority vote answers right.
    pub const EVAL_MAJORITY: &str = "eval_majority";
    /// Share in which any candidate is right.
    pub const EVAL_ORACLE: &str = "eval_oracle";
    /// How much of the way from the vote to the oracle the answers go.
    pub const EVAL_GAP_CLOSED: &str = "eval_gap_closed";
    /// Share of sets that the vote answers right and the model wrong.
    pub const EVAL_REGRESSIONS: &str = "eval_regressions";
    /// How often two orders of a set's candidates give different answers.
    pub const EVAL_FLIP_RATE: &str = "eval_flip_rate";
    /// Loss on held-out sets.
    pub const EVAL_LOSS: &str = "eval_loss";
}

/// An observer that keeps everything, for tests.
#[derive(Debug, Default)]
pub struct Collected {
    /// What the steps said.
    pub metrics: Vec<StepMetrics>,
    /// The messages.
    pub messages: Vec<String>,
    /// Asks the run to stop behind this step.
    pub stop_after: Option<u64>,
}

impl Observer for Collected {
    fn step(&mut self, metrics: &StepMetrics) {
        self.metrics.push(metrics.clone());
    }

    fn message(&mut self, text: &str) {
        self.messages.push(text.to_owned());
    }

    fn should_stop(&self) -> bool {
        let reached = |last: u64| self.metrics.last().is_some_and(|metrics| metrics.step >= last);
        self.stop_after.is_some_and(reached)
    }
}
