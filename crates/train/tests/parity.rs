//! Losses and gradients against those of transformers, for the two small models in `tests/data/parity`: on the CPU,
//! with and without recomputation, however the vocabulary is cut.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use conclave_model::config::Qwen2Config;
use conclave_model::files::MemoryFiles;
use conclave_model::load::{LoadOptions, load};
use conclave_model::qwen2::Qwen2;
use conclave_model::weights::{Safetensors, WeightSource};
use conclave_train::advantage::Advantage;
use conclave_train::batch::{Batch, Sequence, Targets};
use conclave_train::gradients::Gradients;
use conclave_train::network::{ComputeOptions, Forward};
use conclave_train::objective::{
    PolicyLoss, PolicyObjective, PolicySequence, cross_entropy, cross_entropy_gradient,
};
use conclave_train::parameters::ParameterTensor;
use conclave_train::vocabulary::{Head, Scores};
use pollster::block_on;

#[allow(dead_code)] // decoding is not tested here
#[path = "../../model/tests/suite/fixtures.rs"]
mod fixtures;

/// The test data of the workspace.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");

/// Of a log-probability, absolute.
const LOG_PROB_TOLERANCE: f64 = 2e-5;
/// Of a loss, relative.
const LOSS_TOLERANCE: f64 = 1e-5;
/// Of a gradient: the norm of the difference, relative to the norm.
const GRADIENT_TOLERANCE: f64 = 1e-4;

fn device() -> Device {
    Device::flex()
}

/// What transformers computed, by name; integers as f32, which holds them exactly.
struct Reference {
    tensors: BTreeMap<String, Vec<f32>>,
    sequences: Vec<Sequence>,
    /// Of each row, where the completion stands among the tokens that are predicted.
    completions: Vec<std::ops::Range<usize>>,
}

impl Reference {
    fn read(files: &MemoryFiles) -> Self {
        let source = block_on(Safetensors::open_file(files, "training.safetensors")).unwrap();
        let read = |name: &str| block_on(source.read(name, None)).unwrap();
        let is_float = |name: &str| name != "ids" && name != "mask";
        let float = |name: &str| (name.to_owned(), read(name).to_f32().unwrap());
        let tensors = source.names().into_iter().filter(|name| is_float(name)).map(float).collect();
        let row = |ids: &[i64]| Sequence { tokens: ids.iter().map(|id| *id as u32).collect(), prompt_len: 1 };
        // The mask is of tokens, the first of which nothing predicts.
        let completion = |mask: &[u8]| {
            let first = mask.iter().position(|inside| *inside != 0).unwrap();
            let count = mask.iter().filter(|inside| **inside != 0).count();
            assert!(first > 0 && mask[first..first + count].iter().all(|inside| *inside != 0));
            first - 1..first - 1 + count
        };
        Self {
            tensors,
            sequences: read("ids").to_i64().unwrap().chunks(40).map(row).collect(),
            completions: read("mask").bytes.chunks(40).map(completion).collect(),
        }
    }

    fn get(&self, name: &str) -> &[f32] {
        &self.tensors[name]
    }

    fn scalar(&self, name: &str) -> f64 {
        f64::from(self.get(name)[0])
    }

    /// 1 for each predicted token of a completion, in the order of the targets.
    fn weights(&self) -> Vec<f32> {
        let row = |completion: &std::ops::Range<usize>| {
            (0..39).map(|t| f32::from(completion.contains(&t))).collect()
        };
        self.completions.iter().flat_map(|completion| -> Vec<f32> { row(completion) }).collect()
    }

    /// The completions' part of `[2, 39]` values.
    fn completions_of<'a>(&self, values: &'a [f32]) -> Vec<&'a [f32]> {
        values.chunks(39).zip(&self.completions).map(|(row, completion)| &row[completion.clone()]).collect()
    }
}

/// A model and a batch, and one way to compute with them.
struct Run {
    model: Qwen2,
    config: Qwen2Config,
    batch: Batch,
    targets: Targets,
    options: ComputeOptions,
    chunk: usize,
}

impl Run {
    fn forward(&self) -> Forward {
        Forward::new(&self.model, &self.config, &self.batch, self.options)
    }

    fn head(&self) -> Head<'_> {
        Head::new(&self.model, self.config.vocab_size, 1.0, self.chunk)
    }

    fn score(&self, forward: &Forward) -> Scores {
        self.head().score(forward.normed(), &self.targets.positions, &self.targets.tokens).unwrap()
    }

    /// All gradients, given those by log-probability.
    fn backward(&self, forward: Forward, d_log_probs: &[f32]) -> Gradients {
        let Targets { positions, tokens, .. } = &self.targets;
        let from_head = self.head().backward(forward.normed(), positions, tokens, d_log_probs).unwrap();
        let (d_normed, mut gradients) = from_head.into_parts();
        gradients.add(forward.backward(d_normed));
        gradients
    }
}

/// Every fixture in every way: with and without recomputation, one position, a few or all at once, the vocabulary
/// matrix whole and in shards.
fn every_way(check: impl Fn(&Run, &Reference, &str)) {
    for name in fixtures::NAMES {
        let files = fixtures::files(name);
        let config = fixtures::config(&files);
        let reference = Reference::read(&files);
        let batch = Batch::new(&reference.sequences.iter().collect::<Vec<_>>());
        for shard_rows in [usize::MAX, 100] {
            let max_shard_bytes = shard_rows.saturating_mul(config.hidden_size * 4);
            let options = LoadOptions { max_shard_bytes, ..LoadOptions::default() };
            let model = block_on(async {
                let source = Safetensors::open(&files).await?;
                let going_on = &mut |_| std::ops::ControlFlow::Continue(());
                load(&config, &source, &device(), &options, going_on).await
            })
            .unwrap();
            let shards = model.embed_tokens.shards.len();
            assert_eq!(shards, if shard_rows == 100 { config.vocab_size.div_ceil(100) } else { 1 });
            for recompute in [false, true] {
                for chunk in [1, 7, 1000] {
                    let run = Run {
                        model: model.clone(),
                        config: config.clone(),
                        batch: batch.clone(),
                        targets: batch.all_targets(),
                        options: ComputeOptions { recompute, ..ComputeOptions::default() },
                        chunk,
                    };
                    check(&run, &reference, &format!("{name}, {shards} shards, {recompute:?}, {chunk}"));
                }
            }
        }
    }
}

/// A gradient in the layout of a checkpoint: shards joined, `Linear` weights transposed back.
fn checkpoint_gradient(gradients: &Gradients, name: &str) -> Vec<f32> {
    let values = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap();
    match gradients.get(name) {
        Some(ParameterTensor::Vector(tensor)) => tensor.to_data().try_to_vec().unwrap(),
        Some(ParameterTensor::Matrix(tensor)) => values(tensor.clone().transpose()),
        None => (0..)
            .map_while(|shard| gradients.get(&format!("{name}#{shard}")))
            .flat_map(|shard| values(shard.clone().into_rows()))
            .collect(),
    }
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

#[track_caller]
fn assert_gradient(gradients: &Gradients, name: &str, expected: &[f32], way: &str) {
    let found = checkpoint_gradient(gradients, name);
    assert_eq!(found.len(), expected.len(), "{name}, {way}");
    let difference = norm(found.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let error = difference / norm(expected.iter().map(|value| f64::from(*value)));
    assert!(error <= GRADIENT_TOLERANCE, "{name}, {way}: relative error {error:e}");
}

#[track_caller]
fn assert_relative(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs() / expected.abs();
    assert!(error <= tolerance, "{what}: {found}, expected {expected}: relative error {error:e}");
}

#[test]
fn supervised() {
    every_way(|run, reference, way| {
        let weights = reference.weights();
        let total = weights.iter().map(|weight| f64::from(*weight)).sum();
        let forward = run.forward();
        let Targets { positions, tokens, .. } = &run.targets;
        let d_log_probs = cross_entropy_gradient(&weights, total);
        let (scores, from_head) =
            run.head().score_and_backward(forward.normed(), positions, tokens, &d_log_probs).unwrap();

        let differences = scores.log_probs.iter().zip(reference.get("log_probs")).map(|(a, b)| (a - b).abs());
        let worst = f64::from(differences.fold(0.0, f32::max));
        assert_eq!(scores.log_probs.len(), 78);
        assert!(worst <= LOG_PROB_TOLERANCE, "{way}: log-probabilities differ by {worst:e}");
        let loss = cross_entropy(&scores.log_probs, &weights, total);
        assert_relative(loss, reference.scalar("sft_loss"), LOSS_TOLERANCE, way);

        let (d_normed, mut gradients) = from_head.into_parts();
        gradients.add(forward.backward(d_normed));
        let listed = reference
            .tensors
            .iter()
            .filter_map(|(name, values)| name.strip_prefix("sft_grad.").map(|parameter| (parameter, values)));
        let listed: Vec<_> = listed.collect();
        assert!(listed.len() >= 5, "{way}");
        for (parameter, expected) in listed {
            assert_gradient(&gradients, parameter, expected, way);
        }
        let expected = reference.scalar("sft_grad_norm");
        assert_relative(gradients.norm().unwrap(), expected, GRADIENT_TOLERANCE, way);
    });
}

#[test]
fn policy() {
    every_way(|run, reference, way| {
        let forward = run.forward();
        let scores = run.score(&forward);
        let log_probs = reference.completions_of(&scores.log_probs);
        let old_log_probs = reference.completions_of(reference.get("old_log_probs"));
        let ref_log_probs = reference.completions_of(reference.get("ref_log_probs"));
        let sequence = |row: usize| PolicySequence {
            log_probs: log_probs[row],
            old_log_probs: old_log_probs[row],
            ref_log_probs: Some(ref_log_probs[row]),
            advantage: Advantage(f64::from(reference.get("advantages")[row])),
            masked: false,
        };
        let sequences = [sequence(0), sequence(1)];
        let evaluate = |loss: PolicyLoss| {
            let objective =
                PolicyObjective { loss, clip_epsilon: 0.2, clip_epsilon_high: 0.28, kl_coef: 0.01 };
            objective.evaluate(&sequences)
        };
        for (loss, name) in [
            (PolicyLoss::Grpo, "loss_grpo"),
            (PolicyLoss::Dapo, "loss_dapo"),
            (PolicyLoss::DrGrpo { constant: 32.0 }, "loss_dr_grpo_const32"),
        ] {
            let expected = reference.scalar(name);
            assert_relative(evaluate(loss).loss, expected, LOSS_TOLERANCE, &format!("{name}, {way}"));
        }

        let by_token = evaluate(PolicyLoss::Grpo);
        assert!(by_token.metrics.clip_ratio() > 0.0, "the fixture reaches the clip");
        let mut d_log_probs = vec![0.0; 78];
        for (row, (d, completion)) in by_token.d_log_probs.iter().zip(&reference.completions).enumerate() {
            d_log_probs[row * 39..][completion.clone()].copy_from_slice(d);
        }
        let gradients = run.backward(forward, &d_log_probs);
        let parameter = "model.layers.0.self_attn.k_proj.weight";
        let expected = reference.get(&format!("grpo_grad.{parameter}"));
        assert_gradient(&gradients, parameter, expected, way);
        let expected = reference.scalar("grpo_grad_norm");
        assert_relative(gradients.norm().unwrap(), expected, GRADIENT_TOLERANCE, way);
    });
}
