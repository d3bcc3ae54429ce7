//! ParaGator (arXiv 2603.18886): one model that generates solutions and aggregates them, trained for both at once.
//!
//! A step: problems, each solved `generator_group_size` times; pools drawn from these solutions; each pool aggregated
//! `aggregator_group_size` times; one update from all completions. The generator gets the pass@k advantage, because the
//! aggregator needs one good solution in a pool and not many alike; the aggregator gets the plain one. What the paper
//! compares it with are configurations of this loop, and so is the generator's half alone (`pass_at_k`, not of the paper):
//!
//! | `baseline` | generator | pools | aggregator |
//! |---|---|---|---|
//! | `joint` | pass@k | of this step | pass@1 |
//! | `dr_grpo` | pass@1 | none | not trained |
//! | `pass_at_k` | pass@k | none | not trained |
//! | `offline` | not trained | of the model of step 0 | pass@1 |
//! | `online_multitask` | pass@1 | of this step | pass@1 |
//!
//! What is not here: the rounds of inference, which evaluation runs as well (`rounds`); the updates (`policy`).

use std::path::Path;

use conclave_core::metrics::{Figure, pass_at_k};
use conclave_core::sample_set::SampleSet;
use conclave_model::qwen2::Qwen2;

use crate::advantage::{Advantage, Reward, group_advantages, pass_at_k_advantages};
use crate::config::{Baseline, RunConfig};
use crate::data::{Preparation, Sets};
use crate::error::{Result, TrainError};
use crate::evaluate::aggregator_stops;
use crate::grpo::{ROLLOUT_ADVICE, aggregation_options, grade, note_grades, reference, rewards, samples};
use crate::objective::PolicyObjective;
use crate::observer::{Observer, StepMetrics, metric};
use crate::policy::{Sample, learn, note_rollouts};
use crate::reward::generator_correct;
use crate::rollout::{Rollout, RolloutOptions, RolloutPrompt};
use crate::rounds::{self, GENERATION, PoolOptions};
use crate::start::{Outcome, Start};
use crate::trainer::{self, Method, Run, gradable};

/// What the choice of a pool's solutions is for.
const POOLS: u64 = 3;

/// Problems among which the longest is looked for before the first step.
const REHEARSAL_SAMPLE: u64 = 256;

/// Tokens that stand around a candidate in a prompt, generously.
const HEADER_TOKENS: usize = 16;

/// Trains `model`, the weights of step 0, on the problems of `sets`, whose candidates are not looked at, and measures on
/// those of `held_out`.
///
/// # Errors
/// As [`trainer::run`]; held-out problems that cannot be graded, a context that the model does not have or that completions
/// would fill.
pub fn run(
    config: &RunConfig,
    start: &Start,
    model: Qwen2,
    sets: Sets,
    held_out: Vec<SampleSet>,
    run_dir: &Path,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let context = Preparation::new(&config.data, &config.prompt, &start.config)?.context_length;
    for tokens in [config.rollout_tokens(), generator_tokens(config)] {
        if tokens >= context {
            let message = format!(
                "{tokens} new tokens leave no room for a prompt in a context of {context} tokens: lower \
                 `prompt.max_new_tokens`, `grpo.max_new_tokens` or `paragator.generator_max_new_tokens`"
            );
            return Err(TrainError::Config(message));
        }
    }
    let mut method = Paragator { sets, held_out: gradable(held_out)? };
    trainer::run(config, start, model, run_dir, observer, &mut method)
}

/// Tokens of a generated solution, at most.
fn generator_tokens(config: &RunConfig) -> usize {
    config.paragator.generator_max_new_tokens.unwrap_or(config.prompt.max_new_tokens)
}

struct Paragator {
    sets: Sets,
    held_out: Vec<SampleSet>,
}

/// How pools come about in a run; in training a pool has as many candidates as an aggregation reads.
fn pool_options(run: &Run<'_>, num_candidates: usize) -> PoolOptions {
    let RunConfig { grpo, paragator, prompt, train, .. } = run.config;
    PoolOptions {
        variant: prompt.variant,
        context_length: prompt.context_length.unwrap_or(run.shape.max_position_embeddings),
        num_candidates,
        pool_size: paragator.pool_size,
        generator_max_new_tokens: generator_tokens(run.config),
        max_new_tokens: run.config.rollout_tokens(),
        temperature: grpo.temperature,
        rows: grpo.rollout_batch_size,
        seed: train.seed,
        first: 0,
    }
}

/// How solutions are drawn.
fn generation_options(run: &Run<'_>) -> RolloutOptions {
    RolloutOptions {
        max_new_tokens: pool_options(run, 0).generator_max_new_tokens,
        purpose: GENERATION,
        ..aggregation_options(run, run.config.paragator.generator_group_size)
    }
}

/// The loss, over completions of both kinds.
fn objective(run: &Run<'_>) -> PolicyObjective {
    let options = pool_options(run, 0);
    run.config.grpo.objective(options.max_new_tokens.max(options.generator_max_new_tokens))
}

/// Groups with what stands before them.
struct Groups {
    prompts: Vec<Vec<u32>>,
    groups: Vec<Vec<Rollout>>,
    advantages: Vec<Advantage>,
}

impl Groups {
    fn samples(&self, run: &Run<'_>) -> Vec<Sample> {
        samples(&numbered(&self.prompts, 0), &self.groups, &self.advantages, &run.config.grpo)
    }
}

/// Prompts with the streams from `first` on.
fn numbered(prompts: &[Vec<u32>], first: u64) -> Vec<RolloutPrompt<'_>> {
    (first..).zip(prompts).map(|(stream, tokens)| RolloutPrompt { tokens, stream }).collect()
}

impl Paragator {
    fn problems(&self, run: &Run<'_>, positions: std::ops::Range<u64>) -> Result<Vec<SampleSet>> {
        let problem = |position| Ok(self.sets.get(run.config.train.seed, position, 0)?.into_owned());
        positions.map(problem).collect()
    }

    /// Solves each problem as often as a group is large.
    fn generate(
        &self,
        run: &Run<'_>,
        problems: &[SampleSet],
        first: u64,
        metrics: &mut StepMetrics,
    ) -> Result<Groups> {
        let config = &run.config.paragator;
        let options = pool_options(run, config.pool_size);
        let prompts: Vec<Vec<u32>> = problems
            .iter()
            .map(|set| rounds::generator_prompt(set, run.tokenizer, &options))
            .collect::<Result<_>>()?;
        let model = if config.baseline == Baseline::Offline { run.start()? } else { &run.model };
        let stops = rounds::generator_stops(&run.shape.eos_token_ids);
        let (groups, cost) =
            run.roll_out(model, &numbered(&prompts, first), &stops, &generation_options(run))?;
        let mut correct = Vec::with_capacity(groups.len());
        for (set, group) in problems.iter().zip(&groups) {
            let reference = reference(set)?;
            let is_cut = |rollout: &Rollout| rounds::candidate_of(rollout, "").is_truncated();
            let one = |rollout: &Rollout| generator_correct(&rollout.text, is_cut(rollout), reference);
            correct.push(group.iter().map(one).collect::<Vec<bool>>());
        }
        let rewards: Vec<Vec<Reward>> = correct
            .iter()
            .map(|group| group.iter().map(|correct| Reward(f64::from(u8::from(*correct)))).collect())
            .collect();
        let advantages = if config.baseline.is_pass_at_k() {
            correct.iter().flat_map(|group| pass_at_k_advantages(group, config.pass_k)).collect()
        } else {
            let scale = run.config.grpo.scale_rewards;
            group_advantages(&rewards.concat(), scale, config.generator_group_size)
        };
        note_rollouts(&groups, &rewards, &cost, "generator/", metrics);
        let passes: f64 = correct.iter().filter_map(|group| pass_at(group, config.pass_k)).sum();
        metrics.set("generator/pass_at_k", passes / correct.len().max(1) as f64);
        Ok(Groups { prompts, groups, advantages })
    }

    /// Aggregates pools drawn from the solutions.
    fn aggregate(
        &self,
        run: &Run<'_>,
        problems: &[SampleSet],
        solutions: &Groups,
        first: u64,
        metrics: &mut StepMetrics,
    ) -> Result<Groups> {
        let config = &run.config.paragator;
        let options = pool_options(run, config.pool_size);
        let per_problem = config.pools_per_problem as u64;
        let mut pools = Vec::with_capacity(problems.len() * config.pools_per_problem);
        for (position, (set, group)) in (first..).zip(problems.iter().zip(&solutions.groups)) {
            let all = rounds::pool_of(set, group.iter().map(|one| rounds::candidate_of(one, "")).collect());
            let key = |pool| [run.config.train.seed, POOLS, position, pool];
            pools.extend((0..per_problem).map(|pool| rounds::choose(&all, config.pool_size, key(pool))));
        }
        let prompts: Vec<Vec<u32>> = pools
            .iter()
            .map(|pool| rounds::aggregator_prompt(pool, run.tokenizer, &options))
            .collect::<Result<_>>()?;
        let stops = aggregator_stops(&run.shape.eos_token_ids);
        let rollouts = aggregation_options(run, config.aggregator_group_size);
        let asked = numbered(&prompts, first * per_problem);
        let (groups, cost) = run.roll_out(&run.model, &asked, &stops, &rollouts)?;
        let prefill = options.variant.prefill();
        let graded = pools
            .iter()
            .zip(&groups)
            .map(|(pool, group)| grade(prefill, pool, group))
            .collect::<Result<Vec<_>>>()?;
        let rewards = rewards(&graded, &run.config.grpo);
        let scale = run.config.grpo.scale_rewards;
        let advantages = group_advantages(&rewards.concat(), scale, config.aggregator_group_size);
        note_rollouts(&groups, &rewards, &cost, "aggregator/", metrics);
        note_grades(&graded, "aggregator/", metrics);
        Ok(Groups { prompts, groups, advantages })
    }
}

/// pass@k of a group.
fn pass_at(correct: &[bool], k: usize) -> Option<f64> {
    let (n, c) = (correct.len() as u64, correct.iter().filter(|correct| **correct).count() as u64);
    pass_at_k(n, c, (k as u64).clamp(1, n.max(1))).ok()
}

impl Method for Paragator {
    fn keeps_start(&self, config: &RunConfig) -> bool {
        config.grpo.kl_coef != 0.0 || config.paragator.baseline == Baseline::Offline
    }

    fn memory_advice(&self) -> &'static str {
        ROLLOUT_ADVICE
    }

    fn rehearse(&mut self, run: &Run<'_>, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let config = &run.config.paragator;
        let options = pool_options(run, config.pool_size);
        let count = self.sets.epoch_len().unwrap_or(REHEARSAL_SAMPLE).min(REHEARSAL_SAMPLE);
        let mut longest = Vec::new();
        for set in self.problems(run, 0..count)? {
            let prompt = rounds::generator_prompt(&set, run.tokenizer, &options)?;
            if prompt.len() > longest.len() {
                longest = prompt;
            }
        }
        let objective = objective(run);
        let problems = config.problems_per_step;
        run.rehearse_step(&longest, problems, &generation_options(run), &objective, tell)?;
        if !config.baseline.trains_aggregator() {
            return Ok(());
        }
        // A pool of solutions that are as long as they may be.
        let solutions = config.pool_size * (options.generator_max_new_tokens + HEADER_TOKENS);
        let length = (longest.len() + solutions).min(options.context_length - options.max_new_tokens);
        let prompt: Vec<u32> = longest.iter().copied().cycle().take(length).collect();
        let rollouts = aggregation_options(run, config.aggregator_group_size);
        let pools = problems * config.pools_per_problem;
        run.rehearse_step(&prompt, pools, &rollouts, &objective, tell)
    }

    fn step(&mut self, run: &mut Run<'_>, step: u64) -> Result<StepMetrics> {
        let config = &run.config.paragator;
        let first = step * config.problems_per_step as u64;
        let problems = self.problems(run, first..first + config.problems_per_step as u64)?;
        let mut metrics = StepMetrics::new(step);
        let solutions = self.generate(run, &problems, first, &mut metrics)?;
        let mut learned = Vec::new();
        if config.baseline.trains_generator() {
            learned.extend(solutions.samples(run));
        }
        let mut reward = "generator/reward";
        if config.baseline.trains_aggregator() {
            let answers = self.aggregate(run, &problems, &solutions, first, &mut metrics)?;
            learned.extend(answers.samples(run));
            reward = "aggregator/reward";
        }
        metrics.set(metric::REWARD, metrics.get(reward).unwrap_or_default());
        learn(run, step, &learned, &objective(run), &mut metrics)?;
        Ok(metrics)
    }

    /// Pools of the held-out problems, round by round.
    fn evaluate(&mut self, run: &Run<'_>) -> Result<Option<StepMetrics>> {
        if self.held_out.is_empty() {
            return Ok(None);
        }
        let config = &run.config.paragator;
        let options = pool_options(run, run.config.eval.num_candidates);
        let options = PoolOptions { rows: run.config.eval.batch_size, ..options };
        let stop_ids = &run.shape.eos_token_ids;
        let mut roll_out = |prompts: &[RolloutPrompt<'_>], stops: &_, options: &_| {
            run.roll_out(&run.model, prompts, stops, options)
        };
        let mut pools =
            rounds::generate_pools(&mut roll_out, &self.held_out, run.tokenizer, stop_ids, &options)?;
        let mut metrics = StepMetrics::new(0);
        for round in 0..=config.rounds as u64 {
            if round > 0 {
                pools =
                    rounds::aggregate_pools(&mut roll_out, &pools, round, run.tokenizer, stop_ids, &options)?;
            }
            let report = rounds::report(&pools, round, config.pass_k)?;
            let mut note = |name: &str, figure: Option<Figure>| {
                figure.into_iter().for_each(|figure| metrics.set(&format!("eval_{name}"), figure.value));
            };
            note("accuracy", report.sets.mean_at_1);
            note(&format!("round_{round}/accuracy"), report.sets.mean_at_1);
            note(&format!("round_{round}/pass_at_k"), report.pass_at);
            note(&format!("round_{round}/majority"), report.sets.majority_first);
            note(&format!("round_{round}/oracle"), report.sets.pass_at_k);
        }
        Ok(Some(metrics))
    }
}

#[cfg(test)]
mod tests;
