//! `[grpo]` and `[paragator]`: reinforcement learning.

use serde::{Deserialize, Serialize};

use crate::advantage::ScaleRewards;
use crate::objective::{PolicyLoss, PolicyObjective};

/// `[grpo]`: group relative policy optimisation and its relatives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrpoConfig {
    /// How the tokens' losses are added up.
    pub loss: LossKind,
    /// For `dr_grpo`: the constant that the sum is divided by; without it the most tokens of a completion.
    pub loss_constant: Option<f64>,
    /// What a reward's distance from its group's mean is divided by.
    pub scale_rewards: ScaleRewards,
    /// How far the ratio of the probabilities may fall below 1.
    pub clip_epsilon: f64,
    /// How far it may rise above 1.
    pub clip_epsilon_high: f64,
    /// Weight of the divergence from the frozen start; at 0 no copy of it is held.
    pub kl_coef: f64,
    /// Completions of one prompt.
    pub group_size: usize,
    /// Prompts of one step.
    pub prompts_per_step: usize,
    /// Completions written at once; `train.batch_size` of them go through a forward and backward pass at once.
    pub rollout_batch_size: usize,
    /// Temperature of the rollouts.
    pub temperature: f64,
    /// Most tokens of a completion; without it `prompt.max_new_tokens`.
    pub max_new_tokens: Option<usize>,
    /// Completions that were cut off at that length count nothing in the loss.
    pub mask_truncated: bool,
    /// Updates on the same rollouts.
    pub num_iterations: usize,
    /// Reward of a well-formed wrong answer.
    pub format_reward: f64,
}

impl Default for GrpoConfig {
    fn default() -> Self {
        Self {
            loss: LossKind::Grpo,
            loss_constant: None,
            scale_rewards: ScaleRewards::Group,
            clip_epsilon: 0.2,
            clip_epsilon_high: 0.2,
            kl_coef: 0.0,
            group_size: 8,
            prompts_per_step: 4,
            rollout_batch_size: 32,
            temperature: 1.0,
            max_new_tokens: None,
            mask_truncated: false,
            num_iterations: 1,
            format_reward: 0.05,
        }
    }
}

impl GrpoConfig {
    /// The loss, where completions have at most `max_new_tokens` tokens.
    pub fn objective(&self, max_new_tokens: usize) -> PolicyObjective {
        let loss = match self.loss {
            LossKind::Grpo => PolicyLoss::Grpo,
            LossKind::Dapo => PolicyLoss::Dapo,
            LossKind::DrGrpo => {
                PolicyLoss::DrGrpo { constant: self.loss_constant.unwrap_or(max_new_tokens as f64) }
            }
        };
        let Self { clip_epsilon, clip_epsilon_high, kl_coef, .. } = *self;
        PolicyObjective { loss, clip_epsilon, clip_epsilon_high, kl_coef }
    }
}

/// How the tokens' losses are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// The mean over a completion's tokens, then over the completions.
    Grpo,
    /// The mean over all tokens.
    Dapo,
    /// The sum over all tokens, divided by the completions times a constant.
    DrGrpo,
}

/// `[paragator]`: one model generates candidates and aggregates them. Losses, clipping, temperature and lengths of the
/// aggregator are those of `[grpo]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParagatorConfig {
    /// What is trained: the joint method, or one that it is compared with.
    pub baseline: Baseline,
    /// Problems of one step.
    pub problems_per_step: usize,
    /// Solutions generated for a problem.
    pub generator_group_size: usize,
    /// Aggregations written for a pool.
    pub aggregator_group_size: usize,
    /// The k of the generator's pass@k advantage; 1 is the plain one.
    pub pass_k: usize,
    /// Solutions of a pool, drawn from a problem's group.
    pub pool_size: usize,
    /// Pools of a problem.
    pub pools_per_problem: usize,
    /// Most tokens of a solution; without it `prompt.max_new_tokens`.
    pub generator_max_new_tokens: Option<usize>,
    /// Rounds of aggregation that evaluation runs.
    pub rounds: usize,
}

impl Default for ParagatorConfig {
    fn default() -> Self {
        Self {
            baseline: Baseline::Joint,
            problems_per_step: 8,
            generator_group_size: 8,
            aggregator_group_size: 8,
            pass_k: 4,
            pool_size: 4,
            pools_per_problem: 1,
            generator_max_new_tokens: None,
            rounds: 3,
        }
    }
}

/// The methods of the ParaGator paper, as configurations of one loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// ParaGator: generator by pass@k, aggregator by pass@1 on pools of the same step.
    Joint,
    /// The generator alone, by pass@1.
    DrGrpo,
    /// The generator alone, by pass@k: what the objective does by itself.
    PassAtK,
    /// The aggregator alone, on pools that the start wrote.
    Offline,
    /// Both by pass@1, on pools of the same step.
    OnlineMultitask,
}

impl Baseline {
    /// Whether solutions are learned from.
    pub fn trains_generator(self) -> bool {
        self != Self::Offline
    }

    /// Whether they are by what a group of k is worth together.
    pub fn is_pass_at_k(self) -> bool {
        matches!(self, Self::Joint | Self::PassAtK)
    }

    /// Whether pools are aggregated.
    pub fn trains_aggregator(self) -> bool {
        !matches!(self, Self::DrGrpo | Self::PassAtK)
    }
}
