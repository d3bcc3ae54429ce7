//! Group relative policy optimisation: the model answers each prompt several times, and learns to do more of what did
//! better than the rest of its group (Shao et al., arXiv 2402.03300, and the variants that `[grpo]` names).
//!
//! A step: the next sets as prompts; completions of each, drawn from the weights as they are; a reward for each by the
//! equivalence of its answer to the reference; its distance from the group's mean as the advantage; one or more updates.
//! What is not here: the loop around the steps (`trainer`), the updates (`policy`), the losses (`objective`).

use std::path::Path;

use conclave_core::sample_set::{Reference, SampleSet};
use conclave_model::qwen2::Qwen2;

use crate::advantage::{Advantage, Reward, group_advantages};
use crate::config::{GrpoConfig, RunConfig, TargetKind};
use crate::data::{Curriculum, Examples, Preparation, Prepared, Sets};
use crate::error::{Result, TrainError};
use crate::evaluate::aggregator_stops;
use crate::objective::PolicyObjective;
use crate::observer::{Observer, StepMetrics, metric};
use crate::policy::{Sample, learn, note_rollouts};
use crate::reward::{Graded, aggregator_reward};
use crate::rollout::{Rollout, RolloutOptions, RolloutPrompt};
use crate::start::{Outcome, Start};
use crate::trainer::{self, Method, Run, evaluation_metrics, gradable};

/// Examples among which the longest prompt is looked for before the first step.
const REHEARSAL_SAMPLE: u64 = 256;

/// What helps where the memory does not suffice for rollouts and updates from them.
pub(crate) const ROLLOUT_ADVICE: &str = "lower `train.batch_size` (for updates), `grpo.rollout_batch_size` (for rollouts), \
    `prompt.context_length` or `prompt.max_new_tokens`, or set `train.recompute = true`";

/// What the draws of an aggregator's completions are for.
pub(crate) const AGGREGATION: u64 = 1;

/// Trains `model`, the weights of step 0, on `sets`, and measures on `held_out`.
///
/// # Errors
/// As [`trainer::run`]; held-out sets that cannot be graded.
pub fn run(
    config: &RunConfig,
    start: &Start,
    model: Qwen2,
    sets: Sets,
    held_out: Vec<SampleSet>,
    run_dir: &Path,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let examples = Examples::new(sets, &start.tokenizer, preparation(config, start)?, config.train.seed);
    let curriculum = Curriculum::new(&config.data, config.grpo.prompts_per_step, 1);
    let mut method = Grpo { examples, curriculum, held_out: gradable(held_out)? };
    trainer::run(config, start, model, run_dir, observer, &mut method)
}

/// How sets are shown: as in supervised training, with room for a completion instead of a target.
fn preparation(config: &RunConfig, start: &Start) -> Result<Preparation> {
    let preparation = Preparation::new(&config.data, &config.prompt, &start.config)?;
    Ok(Preparation { max_new_tokens: config.rollout_tokens(), target: TargetKind::Answer, ..preparation })
}

struct Grpo<'t> {
    examples: Examples<'t>,
    curriculum: Curriculum,
    held_out: Vec<SampleSet>,
}

impl Method for Grpo<'_> {
    fn keeps_start(&self, config: &RunConfig) -> bool {
        config.grpo.kl_coef != 0.0
    }

    fn memory_advice(&self) -> &'static str {
        ROLLOUT_ADVICE
    }

    fn rehearse(&mut self, run: &Run<'_>, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let examples = self.examples.range(0..REHEARSAL_SAMPLE, &[self.curriculum.most_candidates()])?;
        let longest = examples.iter().map(Prepared::prompt).max_by_key(|prompt| prompt.len()).unwrap_or(&[]);
        let config = &run.config.grpo;
        let options = aggregation_options(run, config.group_size);
        run.rehearse_step(longest, config.prompts_per_step, &options, &objective(run.config), tell)
    }

    fn step(&mut self, run: &mut Run<'_>, step: u64) -> Result<StepMetrics> {
        let config = &run.config.grpo;
        let data = self.curriculum.at(step);
        let examples = self.examples.range(data.positions.clone(), data.num_candidates)?;
        let prompts: Vec<RolloutPrompt> = data
            .positions
            .zip(&examples)
            .map(|(stream, example)| RolloutPrompt { tokens: example.prompt(), stream })
            .collect();
        let options = aggregation_options(run, config.group_size);
        let stops = aggregator_stops(&run.shape.eos_token_ids);
        let (groups, cost) = run.roll_out(&run.model, &prompts, &stops, &options)?;

        let graded: Vec<Vec<Graded>> = examples
            .iter()
            .zip(&groups)
            .map(|(example, group)| grade(example.prefill, &example.set, group))
            .collect::<Result<_>>()?;
        let rewards = rewards(&graded, config);
        let advantages = group_advantages(&rewards.concat(), config.scale_rewards, config.group_size);
        let samples = samples(&prompts, &groups, &advantages, config);

        let mut metrics = StepMetrics::new(step);
        note_rollouts(&groups, &rewards, &cost, "", &mut metrics);
        note_grades(&graded, "", &mut metrics);
        learn(run, step, &samples, &objective(run.config), &mut metrics)?;
        Ok(metrics)
    }

    fn evaluate(&mut self, run: &Run<'_>) -> Result<Option<StepMetrics>> {
        if self.held_out.is_empty() {
            return Ok(None);
        }
        let mut metrics = StepMetrics::new(0);
        evaluation_metrics(&run.evaluate_sets(&self.held_out)?, &mut metrics);
        Ok(Some(metrics))
    }
}

/// The loss that the configuration says.
pub(crate) fn objective(config: &RunConfig) -> PolicyObjective {
    config.grpo.objective(config.rollout_tokens())
}

/// How aggregations are drawn.
pub(crate) fn aggregation_options(run: &Run<'_>, group_size: usize) -> RolloutOptions {
    RolloutOptions {
        group_size,
        temperature: run.config.grpo.temperature,
        max_new_tokens: run.config.rollout_tokens(),
        rows: run.config.grpo.rollout_batch_size,
        seed: run.config.train.seed,
        purpose: AGGREGATION,
    }
}

/// Grades the aggregations of one set.
pub(crate) fn grade(prefill: &str, set: &SampleSet, group: &[Rollout]) -> Result<Vec<Graded>> {
    let reference = reference(set)?;
    Ok(group.iter().map(|rollout| aggregator_reward(prefill, &rollout.text, reference)).collect())
}

/// What a set's completions are graded by.
pub(crate) fn reference(set: &SampleSet) -> Result<&Reference> {
    let missing = || TrainError::Data(format!("set `{}` has no `reference_answer` to reward by", set.id));
    set.reference_answer.as_ref().ok_or_else(missing)
}

/// 1 for a correct answer, the format reward for another well-formed one.
pub(crate) fn rewards(graded: &[Vec<Graded>], config: &GrpoConfig) -> Vec<Vec<Reward>> {
    let reward = |graded: &Graded| match (graded.correct, graded.well_formed) {
        (true, _) => Reward(1.0),
        (false, true) => Reward(config.format_reward),
        (false, false) => Reward(0.0),
    };
    graded.iter().map(|group| group.iter().map(reward).collect()).collect()
}

/// What is to be learned from groups; advantages stand group by group.
pub(crate) fn samples(
    prompts: &[RolloutPrompt<'_>],
    groups: &[Vec<Rollout>],
    advantages: &[Advantage],
    config: &GrpoConfig,
) -> Vec<Sample> {
    let mut advantages = advantages.iter();
    let of_group = |(prompt, group): (&RolloutPrompt<'_>, &Vec<Rollout>)| -> Vec<Sample> {
        let pairs = group.iter().zip(advantages.by_ref().take(group.len()));
        pairs.map(|(rollout, advantage)| Sample::new(prompt.tokens, rollout, *advantage, config)).collect()
    };
    prompts.iter().zip(groups).flat_map(of_group).collect()
}

/// Notes how many completions were correct and how many well-formed.
pub(crate) fn note_grades(graded: &[Vec<Graded>], prefix: &str, metrics: &mut StepMetrics) {
    let all: Vec<&Graded> = graded.iter().flatten().collect();
    let share = |what: fn(&Graded) -> bool| {
        all.iter().filter(|graded| what(graded)).count() as f64 / all.len().max(1) as f64
    };
    metrics.set(&format!("{prefix}{}", metric::REWARD_CORRECT), share(|graded| graded.correct));
    metrics.set(&format!("{prefix}{}", metric::REWARD_WELL_FORMED), share(|graded| graded.well_formed));
}

#[cfg(test)]
pub(crate) mod tests;
