//! Updates of a policy from rollouts with advantages: the part that GRPO and ParaGator share.
//!
//! The probabilities that the ratio is taken to are the trainer's own before the first update, not the sampler's: both are
//! of the same weights and differ by rounding alone. How far they are apart is measured in every step, and tells of a
//! sampler that does not do what it should.
//!
//! Completions of one prompt go through the network behind one copy of it, which for a group of 8 behind a prompt of
//! 400 tokens is a quarter of the work. A completion with an advantage of 0 has no gradient without a KL term, and is not computed: where most groups agree,
//! that is most of a step. It still counts in what the loss is an average over. What is not here: rewards, advantages.

use conclave_model::generate::{FinishReason, Stops};
use conclave_model::qwen2::Qwen2;

use crate::advantage::{Advantage, Reward, deviation, mean};
use crate::batch::{Batch, Sequence, Targets};
use crate::config::GrpoConfig;
use crate::error::Result;
use crate::gradients::Gradients;
use crate::network::Forward;
use crate::objective::{PolicyMetrics, PolicyObjective, PolicySequence, Totals};
use crate::observer::{StepMetrics, metric};
use crate::rollout::{Rollout, RolloutCost, RolloutOptions, RolloutPrompt, roll_out};
use crate::trainer::Run;
use crate::vocabulary::Scores;

/// A completion to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Prompt and completion.
    pub sequence: Sequence,
    /// Log-probabilities of the completion's tokens, by the sampler.
    pub sampled: Vec<f32>,
    /// How much better than its group it did.
    pub advantage: Advantage,
    /// Counts nothing.
    pub masked: bool,
}

impl Sample {
    /// What is to be learned from a rollout behind `prompt`.
    pub fn new(prompt: &[u32], rollout: &Rollout, advantage: Advantage, config: &GrpoConfig) -> Self {
        let masked = config.mask_truncated && rollout.finish_reason == FinishReason::Length;
        let sequence = Sequence { tokens: [prompt, &rollout.tokens].concat(), prompt_len: prompt.len() };
        Self { sequence, sampled: rollout.log_probs.clone(), advantage, masked }
    }

    fn prompt(&self) -> &[u32] {
        &self.sequence.tokens[..self.sequence.prompt_len]
    }

    fn counts(&self) -> bool {
        !self.masked && !self.sampled.is_empty()
    }
}

impl Run<'_> {
    /// Completes prompts with weights of this run's shape, on all workers.
    ///
    /// # Errors
    /// As [`roll_out`].
    pub fn roll_out(
        &self,
        model: &Qwen2,
        prompts: &[RolloutPrompt<'_>],
        stops: &Stops,
        options: &RolloutOptions,
    ) -> Result<(Vec<Vec<Rollout>>, RolloutCost)> {
        let mut decoders = self.decoders(model, options.rows);
        roll_out(&self.workers, &mut decoders, self.tokenizer, stops, prompts, options)
    }

    /// Computes, of what a step of `groups` groups behind prompts like `prompt` does, what takes the most memory: the
    /// rollouts' cache, then an update from twice as many completions of full length as go through the network at
    /// once. Tells beforehand what this is.
    ///
    /// # Errors
    /// As a step.
    pub fn rehearse_step(
        &self,
        prompt: &[u32],
        groups: usize,
        options: &RolloutOptions,
        objective: &PolicyObjective,
        tell: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let at_once = (options.rows / options.group_size.max(1)).clamp(1, groups);
        let twice = self.config.train.batch_size.saturating_mul(2);
        let samples: Vec<Sample> = (0..twice.min(groups * options.group_size))
            .map(|index| {
                // Groups of different prompts.
                let mut tokens = [prompt, &vec![0; options.max_new_tokens]].concat();
                let group = (index / options.group_size % self.tokenizer.vocab_size()) as u32;
                tokens.first_mut().into_iter().for_each(|token| *token = group);
                Sample {
                    sequence: Sequence { tokens, prompt_len: prompt.len() },
                    sampled: vec![0.0; options.max_new_tokens],
                    advantage: Advantage(1.0),
                    masked: false,
                }
            })
            .collect();
        let tokens = prompt.len() + options.max_new_tokens;
        tell(&format!(
            "{} rollouts at once and an update from {} sequences of {tokens} tokens",
            at_once * options.group_size,
            samples.len()
        ));
        self.rehearse_update(|| {
            let mut decoders = self.decoders(&self.model, options.rows);
            // All are held until the last is full.
            for decoder in &mut decoders {
                crate::rollout::rehearse(decoder, prompt, at_once.div_ceil(self.workers.count()), options)?;
            }
            drop(decoders);
            let (mut gradients, totals) = (Gradients::new(), totals(&samples));
            let learn = |part: &Part<'_>| part.learn(self, objective, totals);
            self.workers.fold(&parts(self, &samples, objective), learn, |learned| {
                gradients.add(learned?.gradients);
                Ok(())
            })?;
            Ok(gradients)
        })
    }
}

/// Samples that go through the network together.
struct Part<'a> {
    samples: Vec<&'a Sample>,
    batch: Batch,
    targets: Targets,
    /// What is known of its targets before the first update.
    old: Option<Scores>,
    /// Log-probabilities of its targets under the reference.
    reference: Option<Vec<f32>>,
}

/// What a part gives.
struct Learned {
    gradients: Gradients,
    scores: Scores,
    loss: f64,
    seen: PolicyMetrics,
}

/// Moves the weights by `samples`, as often as `grpo.num_iterations` says, and notes what was seen.
///
/// # Errors
/// A device that fails, numbers that are not finite.
pub fn learn(
    run: &mut Run<'_>,
    step: u64,
    samples: &[Sample],
    objective: &PolicyObjective,
    metrics: &mut StepMetrics,
) -> Result<()> {
    let config = &run.config.grpo;
    let totals = totals(samples);
    let mut parts = parts(run, samples, objective);
    if objective.kl_coef != 0.0 {
        let passes: Vec<_> = parts.iter().map(|part| (part.batch.clone(), part.targets.clone())).collect();
        let found = run.score(run.start()?, &passes, config.temperature)?;
        parts.iter_mut().zip(found).for_each(|(part, scores)| part.reference = Some(scores.log_probs));
    }
    let mut seen = PolicyMetrics::default();
    let mut loss = 0.0;
    for _ in 0..config.num_iterations {
        let (mut gradients, mut scores) = (Gradients::new(), Vec::with_capacity(parts.len()));
        let learn = |part: &Part<'_>| part.learn(run, objective, totals);
        run.workers.fold(&parts, learn, |learned| {
            let learned = learned?;
            gradients.add(learned.gradients);
            seen.add(&learned.seen);
            loss += learned.loss / config.num_iterations as f64;
            scores.push(learned.scores);
            Ok(())
        })?;
        for (part, scores) in parts.iter_mut().zip(scores) {
            part.old.get_or_insert(scores);
        }
        run.num_tokens += parts.iter().map(|part| part.batch.num_tokens() as u64).sum::<u64>();
        run.update(gradients, step, metrics)?;
    }
    metrics.set(metric::LOSS, loss);
    seen.kl().into_iter().for_each(|kl| metrics.set(metric::KL, kl));
    metrics.set(metric::CLIP_LOW_MEAN, seen.clip_ratio_low());
    metrics.set(metric::CLIP_HIGH_MEAN, seen.clip_ratio_high());
    metrics.set(metric::CLIP_REGION_MEAN, seen.clip_ratio());
    note_scores(&parts, metrics);
    Ok(())
}

/// Notes how groups of rollouts did; `prefix` stands before the names.
pub fn note_rollouts(
    groups: &[Vec<Rollout>],
    rewards: &[Vec<Reward>],
    cost: &RolloutCost,
    prefix: &str,
    metrics: &mut StepMetrics,
) {
    let mut note = |name: &str, value: f64| metrics.set(&format!("{prefix}{name}"), value);
    let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    let deviations: Vec<f64> = rewards.iter().map(|group| deviation(group)).collect();
    note(metric::REWARD, mean(&rewards.concat()));
    note(metric::REWARD_STD, deviations.iter().sum::<f64>() / deviations.len().max(1) as f64);
    let agreeing = deviations.iter().filter(|deviation| **deviation == 0.0).count();
    note(metric::FRAC_REWARD_ZERO_STD, share(agreeing, groups.len()));
    let lengths: Vec<usize> = groups.iter().flatten().map(|rollout| rollout.tokens.len()).collect();
    note(metric::COMPLETIONS_MEAN_LENGTH, share(lengths.iter().sum(), lengths.len()));
    note(metric::COMPLETIONS_MIN_LENGTH, lengths.iter().min().map_or(0.0, |length| *length as f64));
    note(metric::COMPLETIONS_MAX_LENGTH, lengths.iter().max().map_or(0.0, |length| *length as f64));
    let cut = groups.iter().flatten().filter(|rollout| rollout.finish_reason == FinishReason::Length);
    note(metric::COMPLETIONS_CLIPPED_RATIO, share(cut.count(), lengths.len()));
    note(metric::ROLLOUT_ENTROPY, entropy(groups.iter().flatten()));
    note(metric::ROLLOUT_TOKENS_PER_SECOND, cost.tokens_per_second());
}

/// What was drawn tells how uncertain the policy was, of every completion and not only of those that are learned from.
fn entropy<'a>(rollouts: impl Iterator<Item = &'a Rollout>) -> f64 {
    let (mut sum, mut count) = (0.0, 0usize);
    for log_prob in rollouts.flat_map(|rollout| &rollout.log_probs) {
        (sum, count) = (sum - f64::from(*log_prob), count + 1);
    }
    sum / count.max(1) as f64
}

/// What the loss is an average over.
fn totals(samples: &[Sample]) -> Totals {
    let counting = || samples.iter().filter(|sample| sample.counts());
    Totals { sequences: counting().count(), tokens: counting().map(|sample| sample.sampled.len()).sum() }
}

/// The samples that have a gradient, those of one prompt in one row and rows of like length together. Where none has, one
/// goes through all the same, so that every step is an update and has its numbers.
fn parts<'a>(run: &Run<'_>, samples: &'a [Sample], objective: &PolicyObjective) -> Vec<Part<'a>> {
    let teaches =
        |sample: &&Sample| sample.counts() && (sample.advantage.0 != 0.0 || objective.kl_coef != 0.0);
    let mut chosen: Vec<&Sample> = samples.iter().filter(teaches).collect();
    if chosen.is_empty() {
        chosen.extend(samples.first());
    }
    let workers = run.workers.count();
    let most = (run.config.train.batch_size / workers).max(1).min(chosen.len().div_ceil(workers));
    let mut rows = rows(&chosen, most);
    rows.sort_by_key(|row| std::cmp::Reverse(Batch::shared_len(&sequences(row))));
    let mut parts: Vec<Vec<Vec<&Sample>>> = Vec::new();
    let mut room = 0;
    for row in rows {
        // Whole rows only: the last may exceed the room by less than a group.
        if room == 0 {
            parts.push(Vec::new());
            room = most;
        }
        room = room.saturating_sub(row.len());
        if let Some(part) = parts.last_mut() {
            part.push(row);
        }
    }
    let part = |rows: Vec<Vec<&'a Sample>>| {
        let batch = match rows.iter().all(|row| row.len() == 1) {
            true => Batch::new(&sequences(&rows.concat())),
            false => Batch::shared(&rows.iter().map(|row| sequences(row)).collect::<Vec<_>>()),
        };
        let targets = batch.completion_targets();
        Part { samples: rows.concat(), batch, targets, old: None, reference: None }
    };
    parts.into_iter().map(part).collect()
}

/// Samples of one prompt, up to `most`, in one row where that saves attention as well as tokens: where the prompt is long
/// beside the completions.
fn rows<'a>(samples: &[&'a Sample], most: usize) -> Vec<Vec<&'a Sample>> {
    let same_prompt = |a: &&Sample, b: &&Sample| a.prompt() == b.prompt();
    let groups = samples.chunk_by(same_prompt).flat_map(|group| group.chunks(most));
    let pays = |group: &[&Sample]| {
        let squares: usize = group.iter().map(|sample| sample.sequence.tokens.len().pow(2)).sum();
        Batch::shared_len(&sequences(group)).pow(2) <= squares
    };
    groups
        .flat_map(|group| match pays(group) {
            true => vec![group.to_vec()],
            false => group.iter().map(|sample| vec![*sample]).collect(),
        })
        .collect()
}

fn sequences<'a>(samples: &[&'a Sample]) -> Vec<&'a Sequence> {
    samples.iter().map(|sample| &sample.sequence).collect()
}

impl Part<'_> {
    /// Forward, loss, backward. Before the first update, the ratio is taken to the same weights and is 1.
    fn learn(&self, run: &Run<'_>, objective: &PolicyObjective, totals: Totals) -> Result<Learned> {
        let forward = Forward::new(&run.model, run.shape, &self.batch, run.compute());
        let head = run.head(&run.model, run.config.grpo.temperature);
        let (positions, tokens) = (&self.targets.positions, &self.targets.tokens);
        let scores = head.score(forward.normed(), positions, tokens)?;
        let found = objective.evaluate_part(&self.sequences(&scores.log_probs), totals);
        let d_log_probs = found.d_log_probs.concat();
        let (d_normed, mut gradients) =
            head.backward(forward.normed(), positions, tokens, &d_log_probs)?.into_parts();
        gradients.add(forward.backward(d_normed));
        Ok(Learned { gradients, scores, loss: found.loss, seen: found.metrics })
    }

    fn sequences<'p>(&'p self, log_probs: &'p [f32]) -> Vec<PolicySequence<'p>> {
        let old = self.old.as_ref().map_or(log_probs, |scores| &scores.log_probs);
        let mut start = 0;
        let sequence = |(sample, count): (&&Sample, &usize)| {
            let range = start..start + count;
            start = range.end;
            PolicySequence {
                log_probs: &log_probs[range.clone()],
                old_log_probs: &old[range.clone()],
                ref_log_probs: self.reference.as_ref().map(|reference| &reference[range]),
                advantage: sample.advantage,
                masked: sample.masked,
            }
        };
        self.samples.iter().zip(&self.targets.counts).map(sequence).collect()
    }
}

/// Notes the entropy before the first update, and how far sampler and trainer were apart.
fn note_scores(parts: &[Part<'_>], metrics: &mut StepMetrics) {
    let (mut entropy, mut gap, mut largest, mut ratio, mut count) = (0.0, 0.0, 0.0f64, 0.0, 0.0);
    for part in parts {
        let Some(old) = &part.old else { continue };
        let sampled = part.samples.iter().flat_map(|sample| &sample.sampled);
        for ((trained, bits), sampled) in old.log_probs.iter().zip(&old.entropies).zip(sampled) {
            let difference = f64::from(*trained) - f64::from(*sampled);
            entropy += f64::from(*bits);
            gap += difference.abs();
            largest = largest.max(difference.abs());
            ratio += difference.exp();
            count += 1.0;
        }
    }
    if count > 0.0 {
        metrics.set(metric::ENTROPY, entropy / count);
        metrics.set(metric::SAMPLING_GAP_MEAN, gap / count);
        metrics.set(metric::SAMPLING_GAP_MAX, largest);
        metrics.set(metric::SAMPLING_RATIO_MEAN, ratio / count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LossKind, RunConfig};
    use crate::host::read_f32;
    use crate::network::ComputeOptions;
    use crate::parameters::ParameterTensor;
    use crate::scripted::{bytes, small_model};
    use crate::start::Start;
    use crate::vocabulary::Head;

    fn sample(prompt: u32, prompt_len: u32, completion_len: u32) -> Sample {
        let prompt: Vec<u32> = (0..prompt_len).map(|i| (prompt * 17 + i * 5) % 257).collect();
        let completion: Vec<u32> = (0..completion_len).map(|i| (completion_len * 29 + i * 3) % 257).collect();
        Sample {
            sequence: Sequence { tokens: [prompt, completion].concat(), prompt_len: prompt_len as usize },
            sampled: vec![0.0; completion_len as usize],
            advantage: Advantage(1.0),
            masked: false,
        }
    }

    #[test]
    fn rows_are_shared_where_the_prompt_is_long() {
        let long = [3, 5, 4].map(|completion_len| sample(1, 40, completion_len));
        let other = [3, 5].map(|completion_len| sample(2, 40, completion_len));
        let short = [20, 30].map(|completion_len| sample(3, 6, completion_len));
        let all: Vec<&Sample> = long.iter().chain(&other).chain(&short).collect();
        let lengths = |most| rows(&all, most).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(8), [3, 2, 1, 1]);
        assert_eq!(lengths(2), [2, 1, 2, 1, 1]);
        assert_eq!(lengths(1), [1; 7]);
    }

    /// Scores, and gradients by some coefficients, of a pass.
    fn pass(batch: &Batch, recompute: bool) -> (Scores, Gradients) {
        let (model, config) = small_model(2);
        let compute = ComputeOptions { recompute, ..ComputeOptions::default() };
        let forward = Forward::new(&model, &config, batch, compute);
        let head = Head::new(&model, 257, 0.8, 7);
        let targets = batch.completion_targets();
        let coefficients: Vec<f32> = (0..targets.tokens.len()).map(|i| (i as f32 * 0.7).sin()).collect();
        let (scores, found) = head
            .score_and_backward(forward.normed(), &targets.positions, &targets.tokens, &coefficients)
            .unwrap();
        let (d_normed, mut gradients) = found.into_parts();
        gradients.add(forward.backward(d_normed));
        (scores, gradients)
    }

    #[test]
    fn a_shared_prompt_changes_nothing_but_the_work() {
        let groups = [vec![sample(1, 40, 6), sample(1, 40, 9), sample(1, 40, 1)], vec![sample(2, 25, 4)]];
        let all: Vec<&Sample> = groups.iter().flatten().collect();
        let shared: Vec<Vec<&Sequence>> =
            groups.iter().map(|group| sequences(&group.iter().collect::<Vec<_>>())).collect();
        let (plain, shared) = (Batch::new(&sequences(&all)), Batch::shared(&shared));
        assert!(shared.num_tokens() < plain.num_tokens() / 2 + 10);
        for recompute in [false, true] {
            let (expected_scores, expected) = pass(&plain, recompute);
            let (scores, gradients) = pass(&shared, recompute);
            for (a, b) in scores.log_probs.iter().zip(&expected_scores.log_probs) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
            assert_eq!(scores.log_probs.len(), 20);
            assert_same(&gradients, &expected);
        }
    }

    fn assert_same(found: &Gradients, expected: &Gradients) {
        for name in expected.names() {
            let values = |gradients: &Gradients| match gradients.get(name) {
                Some(ParameterTensor::Matrix(tensor)) => read_f32(tensor.clone()).unwrap(),
                Some(ParameterTensor::Vector(tensor)) => read_f32(tensor.clone()).unwrap(),
                None => panic!("no gradient of {name}"),
            };
            let (found, expected) = (values(found), values(expected));
            let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
            let off = norm(&mut found.iter().zip(&expected).map(|(a, b)| a - b));
            assert!(off < 1e-4 * norm(&mut expected.iter().copied()) + 1e-6, "{name}: {off}");
        }
    }

    /// Groups that share rows, completions without an advantage, one that is masked, several parts: together they give what
    /// each gives alone.
    #[test]
    fn what_is_learned_does_not_depend_on_the_parts() {
        let (model, shape) = small_model(2);
        let start = Start {
            config: shape,
            tokenizer: bytes(),
            files: Vec::new(),
            resume: false,
            rehearse_only: false,
            commit: String::new(),
        };
        let of = [(1, 40, 6), (1, 40, 9), (1, 40, 4), (2, 25, 4), (2, 25, 7), (3, 6, 20), (3, 6, 30)];
        let mut samples = of.map(|(prompt, prompt_len, len)| sample(prompt, prompt_len, len));
        for (index, sample) in samples.iter_mut().enumerate() {
            sample.advantage = Advantage([0.5, -0.25, 0.0][index % 3]);
        }
        samples[4].masked = true;
        for loss in [LossKind::Grpo, LossKind::Dapo, LossKind::DrGrpo] {
            let mut config = RunConfig::default();
            config.grpo.loss = loss;
            let objective = config.grpo.objective(32);
            let learn = |config: &RunConfig, alone: bool| {
                let run = Run::new(config, &start, model.clone(), false).unwrap();
                let part = |sample| {
                    let batch = Batch::new(&sequences(&[sample]));
                    let targets = batch.completion_targets();
                    Part { samples: vec![sample], batch, targets, old: None, reference: None }
                };
                let parts = match alone {
                    true => samples.iter().map(part).collect(),
                    false => parts(&run, &samples, &objective),
                };
                let (mut gradients, mut loss) = (Gradients::new(), 0.0);
                let work = |part: &Part<'_>| part.learn(&run, &objective, totals(&samples));
                run.workers
                    .fold(&parts, work, |learned| {
                        let learned = learned?;
                        gradients.add(learned.gradients);
                        loss += learned.loss;
                        Ok(())
                    })
                    .unwrap();
                (gradients, loss, parts.len())
            };
            let (expected, expected_loss, _) = learn(&config, true);
            for (threads, batch_size, fewest) in [(1, 8, 1), (1, 2, 2), (2, 4, 2)] {
                (config.train.threads, config.train.batch_size) = (Some(threads), batch_size);
                let (gradients, loss, parts) = learn(&config, false);
                assert!(parts >= fewest, "{parts} parts");
                assert!((loss - expected_loss).abs() < 1e-6, "{loss} {expected_loss}");
                assert_same(&gradients, &expected);
            }
        }
    }
}
