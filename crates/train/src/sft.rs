//! Supervised fine-tuning: the model learns to write the target behind each prompt.
//!
//! The loss is the cross-entropy of the completion's tokens, averaged over all of a step; a prompt's tokens count with
//! `train.prompt_loss_weight`, which is 0 for a model that can read already and helps one that starts from nothing.
//! What is not here: the loop around the steps (`trainer`), targets (`data`).

use std::path::Path;

use burn::tensor::Device;
use conclave_core::sample_set::SampleSet;

use crate::batch::{Batch, Targets};
use crate::config::RunConfig;
use crate::data::{Batches, Curriculum, Examples, Preparation, Sets};
use crate::error::Result;
use crate::gradients::Gradients;
use crate::objective::{cross_entropy, cross_entropy_gradient};
use crate::observer::{Observer, StepMetrics, metric};
use crate::start::{Outcome, Start};
use crate::trainer::{self, Method, Run, evaluation_metrics};

/// Examples among which the longest is looked for before the first step.
const REHEARSAL_SAMPLE: u64 = 256;

/// Trains `start` on `sets`, and measures on `held_out`.
///
/// # Errors
/// As [`trainer::run`].
pub fn run(
    config: &RunConfig,
    start: &Start,
    sets: Sets,
    held_out: Vec<SampleSet>,
    device: &Device,
    run_dir: &Path,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let preparation = Preparation::new(&config.data, &config.prompt, &start.config)?;
    let examples = Examples::new(sets, &start.tokenizer, preparation, config.train.seed);
    let curriculum =
        Curriculum::new(&config.data, config.train.batch_size, config.train.gradient_accumulation);
    let mut method = Sft { batches: Batches::new(examples, curriculum), held_out };
    trainer::run(config, start, device, run_dir, observer, &mut method)
}

struct Sft<'t> {
    batches: Batches<'t>,
    held_out: Vec<SampleSet>,
}

/// The weight of each target's loss in a batch: 1 in the completion, `prompt_weight` before it.
fn weights(batch: &Batch, prompt_weight: f32) -> (Targets, Vec<f32>) {
    if prompt_weight == 0.0 {
        let targets = batch.completion_targets();
        let weights = vec![1.0; targets.tokens.len()];
        return (targets, weights);
    }
    let row = |row: usize| {
        let in_completion = move |t: usize| t >= batch.prompt_lens[row];
        (1..batch.lengths[row]).map(move |t| if in_completion(t) { 1.0 } else { prompt_weight })
    };
    (batch.all_targets(), (0..batch.rows).flat_map(row).collect())
}

/// Gradients of the loss over `batches` together, and what was seen.
///
/// # Errors
/// A device that fails, numbers that are not finite.
pub fn gradients(run: &Run<'_>, batches: &[Batch]) -> Result<(Gradients, StepMetrics)> {
    let prompt_weight = run.config.train.prompt_loss_weight as f32;
    let split = batches.iter().flat_map(|batch| batch.split(run.workers.count()));
    let parts: Vec<(Batch, Targets, Vec<f32>)> = split
        .map(|part| {
            let (targets, weights) = weights(&part, prompt_weight);
            (part, targets, weights)
        })
        .collect();
    let total: f64 = parts.iter().flat_map(|(_, _, weights)| weights).map(|weight| f64::from(*weight)).sum();
    let weights: Vec<Vec<f32>> = parts.iter().map(|(_, _, weights)| weights.clone()).collect();
    let with_coefficients: Vec<_> = parts
        .into_iter()
        .map(|(part, targets, weights)| (part, targets, cross_entropy_gradient(&weights, total)))
        .collect();
    let (gradients, scores) = run.gradients(&with_coefficients, 1.0)?;
    let (mut loss, mut completion, mut entropy, mut count) = (0.0, 0.0, 0.0, 0.0);
    for (scores, weights) in scores.iter().zip(&weights) {
        loss += cross_entropy(&scores.log_probs, weights, total);
        for ((log_prob, bits), weight) in scores.log_probs.iter().zip(&scores.entropies).zip(weights) {
            if *weight == 1.0 {
                completion -= f64::from(*log_prob);
                entropy += f64::from(*bits);
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
    fn rehearse(&mut self, run: &Run<'_>) -> Result<String> {
        let largest = self.batches.largest(REHEARSAL_SAMPLE)?;
        let described = format!("a batch of {} sequences of {} tokens", largest.rows, largest.seq);
        run.rehearse_update(gradients(run, &[largest])?.0)?;
        Ok(described)
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
