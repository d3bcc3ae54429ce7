//! Supervised fine-tuning: the model learns to write the target behind each prompt.
//!
//! The loss is the cross-entropy of the completion's tokens, averaged over all of a step; a prompt's tokens count with
//! `train.prompt_loss_weight`, which is 0 for a model that can read already and helps one that starts from nothing.
//! What is not here: the loop around the steps (`trainer`), targets (`data`).

use std::path::Path;

use conclave_core::sample_set::SampleSet;
use conclave_model::qwen2::Qwen2;

use crate::batch::{Batch, Targets};
use crate::config::RunConfig;
use crate::data::{Batches, Curriculum, Examples, Preparation, Sets};
use crate::error::Result;
use crate::gradients::Gradients;
use crate::objective::{cross_entropy, cross_entropy_gradient};
use crate::observer::{Observer, StepMetrics, metric};
use crate::start::{Outcome, Start};
use crate::trainer::{self, Method, Run, evaluation_metrics, gradable};

/// Examples among which the longest is looked for before the first step.
const REHEARSAL_SAMPLE: u64 = 256;

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
    let preparation = Preparation::new(&config.data, &config.prompt, &start.config)?;
    let examples = Examples::new(sets, &start.tokenizer, preparation, config.train.seed);
    let curriculum =
        Curriculum::new(&config.data, config.train.batch_size, config.train.gradient_accumulation);
    let held_out = gradable(held_out)?;
    let mut method = Sft { batches: Batches::new(examples, curriculum), held_out };
    trainer::run(config, start, model, run_dir, observer, &mut method)
}

struct Sft<'t> {
    batches: Batches<'t>,
    held_out: Vec<SampleSet>,
}

/// What is predicted in a batch, and for each whether it is of the completion. Where a prompt's tokens weigh nothing, they
/// are not asked for.
fn targets(batch: &Batch, prompt_weight: f32) -> (Targets, Vec<bool>) {
    if prompt_weight == 0.0 {
        let targets = batch.completion_targets();
        let in_completion = vec![true; targets.tokens.len()];
        return (targets, in_completion);
    }
    let row = |row: usize| (1..batch.lengths[row]).map(move |t| t >= batch.prompt_lens[row]);
    (batch.all_targets(), (0..batch.rows).flat_map(row).collect())
}

/// Gradients of the loss over `batches` together, and what was seen.
///
/// # Errors
/// A device that fails, numbers that are not finite.
pub fn gradients(run: &Run<'_>, batches: &[Batch]) -> Result<(Gradients, StepMetrics)> {
    let prompt_weight = run.config.train.prompt_loss_weight as f32;
    let (mut parts, mut weights, mut in_completion) = (Vec::new(), Vec::new(), Vec::new());
    for part in batches.iter().flat_map(|batch| batch.split(run.workers.parts(batch.rows * batch.seq))) {
        let (targets, flags) = targets(&part, prompt_weight);
        let weight = |flag: &bool| if *flag { 1.0 } else { prompt_weight };
        weights.push(flags.iter().map(weight).collect::<Vec<f32>>());
        in_completion.push(flags);
        parts.push((part, targets));
    }
    let total: f64 = weights.iter().flatten().map(|weight| f64::from(*weight)).sum();
    let coefficients = weights.iter().map(|weights| cross_entropy_gradient(weights, total));
    let parts: Vec<(Batch, Targets, Vec<f32>)> = parts
        .into_iter()
        .zip(coefficients)
        .map(|((part, targets), coefficients)| (part, targets, coefficients))
        .collect();
    let (gradients, scores) = run.gradients(&parts, 1.0)?;
    let (mut loss, mut completion, mut entropy, mut count) = (0.0, 0.0, 0.0, 0.0);
    for ((scores, weights), in_completion) in scores.iter().zip(&weights).zip(&in_completion) {
        loss += cross_entropy(&scores.log_probs, weights, total);
        for ((log_prob, nats), counts) in scores.log_probs.iter().zip(&scores.entropies).zip(in_completion) {
            if *counts {
                completion -= f64::from(*log_prob);
                entropy += f64::from(*nats);
                count += 1.0;
            }
        }
    }
    let mut metrics = StepMetrics::new(0).with(metric::LOSS, loss);
    if prompt_weight != 0.0 && count > 0.0 {
        metrics.set(metric::COMPLETION_LOSS, completion / count);
    }
    if count > 0.0 {
        metrics.set(metric::ENTROPY, entropy / count);
    }
    Ok((gradients, metrics))
}

impl Method for Sft<'_> {
    fn memory_advice(&self) -> &'static str {
        "lower `train.batch_size` (and raise `train.gradient_accumulation` as much) or `prompt.context_length`, or set \
         `train.recompute = true`"
    }

    fn rehearse(&mut self, run: &Run<'_>, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let largest = self.batches.largest(REHEARSAL_SAMPLE)?;
        // The second pass of a step has the gradients of the first beside it, and so has every later one.
        let passes = run.config.train.gradient_accumulation.clamp(1, 2);
        let twice = if passes == 2 { "twice " } else { "" };
        tell(&format!("{twice}a batch of {} sequences of {} tokens", largest.rows, largest.seq));
        run.rehearse_update(|| Ok(gradients(run, &vec![largest; passes])?.0))
    }

    fn step(&mut self, run: &mut Run<'_>, step: u64) -> Result<StepMetrics> {
        let batches = self.batches.step(step)?;
        let (gradients, mut metrics) = gradients(run, batches)?;
        run.num_tokens += batches.iter().map(|batch| batch.num_tokens() as u64).sum::<u64>();
        run.update(gradients, step, &mut metrics)?;
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

#[cfg(test)]
mod tests;
