//! The factors' gradients against autodiff and finite differences; what is frozen; going on to the bit; what is exported.

use std::cell::Cell;
use std::path::Path;

use tempfile::tempdir;

use super::*;
use crate::batch::{Batch, Sequence};
use crate::checkpoint::{self, Saved};
use crate::config::{OptimizerKind, RunConfig};
use crate::host::read_f32;
use crate::network::{ComputeOptions, Forward};
use crate::observer::{Observer, StepMetrics, metric};
use crate::scripted::{bytes, small_model};
use crate::start::{Outcome, Start};
use crate::trainer::{self, Method, Run};
use crate::vocabulary::Head;

fn config() -> LoraConfig {
    LoraConfig { rank: 3, alpha: 6.0, targets: vec!["q_proj".to_owned(), "down_proj".to_owned()] }
}

const TARGETS: [&str; 4] = [
    "model.layers.0.mlp.down_proj.weight",
    "model.layers.0.self_attn.q_proj.weight",
    "model.layers.1.mlp.down_proj.weight",
    "model.layers.1.self_attn.q_proj.weight",
];

/// Factors with a B that is not zero.
fn moved(lora: Lora) -> Lora {
    let mut count = 0;
    lora.map(&mut |_, factor| {
        count += 1;
        let shape = factor.shape();
        ParameterTensor::Matrix(uniform(count, "moved", [shape[0], shape[1]], &factor.device()))
    })
}

/// Every parameter's values, by path.
fn values(parameters: &impl Parameters) -> BTreeMap<String, Vec<f32>> {
    let mut values = BTreeMap::new();
    parameters.visit(&mut |path, tensor| {
        values.insert(path.to_owned(), read_f32(tensor.into_rows()).unwrap());
    });
    values
}

fn matrix(gradients: &Gradients, path: &str) -> Tensor<2> {
    gradients.get(path).expect(path).clone().into_rows()
}

/// Sequences of bytes, different in every step.
fn batch(step: u64) -> Batch {
    let sequence = |row: u64| Sequence {
        tokens: (0..12 + row).map(|t| ((t * 7 + row * 31 + step * 13) % 250) as u32).collect(),
        prompt_len: 4,
    };
    Batch::new(&[&sequence(0), &sequence(1), &sequence(2)])
}

#[test]
fn factors_are_small_and_change_nothing_at_first() {
    let (base, shape) = small_model(1);
    let lora = Lora::new(&config(), &base, 5).unwrap();
    let names: Vec<String> = lora.tensors().into_iter().map(|(name, _)| name).collect();
    let expected = TARGETS.iter().flat_map(|path| [format!("{path}/lora_a"), format!("{path}/lora_b")]);
    assert_eq!(names, expected.collect::<Vec<_>>());
    for name in &names {
        assert_eq!(ParameterKind::of(name), ParameterKind::Projection, "{name}");
    }
    assert_eq!(values(&lora.merge(&base)), values(&base));
    let found = values(&lora);
    let a = &found["model.layers.0.mlp.down_proj.weight/lora_a"];
    assert_eq!(a.len(), 64 * 3);
    // Uniform in 1/8: a standard deviation of 0.125 / sqrt(3).
    let deviation = (a.iter().map(|x| x * x).sum::<f32>() / a.len() as f32).sqrt();
    assert!(a.iter().all(|x| x.abs() <= 0.125) && (deviation - 0.0722).abs() < 0.008, "{deviation}");
    assert_ne!(a, &found["model.layers.1.mlp.down_proj.weight/lora_a"]);
    assert_ne!(values(&Lora::new(&config(), &base, 6).unwrap()), found);
    // Of the base 32 x 32 and 64 x 32 in each of two layers.
    let trained = 2 * (3 * (32 + 32) + 3 * (64 + 32));
    assert!(lora.description(&shape).contains(&format!("4 matrices: {trained} values")));
}

#[test]
fn gradients_are_those_of_autodiff() {
    let (base, _) = small_model(1);
    let lora = moved(Lora::new(&config(), &base, 5).unwrap());
    let mut merged = Gradients::new();
    visit(&base, |path, tensor| {
        let rows = tensor.clone().into_rows();
        let gradient = uniform(9, path, rows.dims(), &rows.device());
        merged.add_one(path, tensor.with_rows(gradient));
    });
    let found = lora.gradients(merged.clone());
    assert_eq!(found.names().count(), 8);
    for path in TARGETS {
        let Factors { a, b } = &lora.factors[path];
        let leaf = |factor: &Tensor<2>| factor.clone().autodiff().require_grad();
        let (a, b) = (leaf(a), leaf(b));
        // A loss whose gradient by the merged matrix is the one above.
        let gradient = matrix(&merged, path).autodiff();
        let gradients = (a.clone().matmul(b.clone()) * 2.0 * gradient).sum().backward();
        for (part, leaf) in [(LORA_A, a), (LORA_B, b)] {
            let expected = read_f32(leaf.grad(&gradients).unwrap()).unwrap();
            let found = read_f32(matrix(&found, &format!("{path}/{part}"))).unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-5, "{path}/{part}: {found}, expected {expected}");
            }
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let (base, shape) = small_model(2);
    let lora = moved(Lora::new(&config(), &base, 5).unwrap());
    let batch = batch(0);
    let targets = batch.completion_targets();
    let coefficients = vec![-1.0; targets.tokens.len()];
    let run = |lora: &Lora| {
        let model = lora.merge(&base);
        let forward = Forward::new(&model, &shape, &batch, ComputeOptions::default());
        let head = Head::new(&model, 257, 1.0, 64);
        let (scores, found) = head
            .score_and_backward(forward.normed(), &targets.positions, &targets.tokens, &coefficients)
            .unwrap();
        let (d_normed, _) = found.into_parts();
        let loss: f64 = scores.log_probs.iter().map(|log_prob| -f64::from(*log_prob)).sum();
        (loss, forward.backward(d_normed))
    };
    let gradients = lora.gradients(run(&lora).1);
    // Along the gradient of each factor, by which the loss changes most: f32 leaves the others to rounding.
    for (path, _) in lora.tensors() {
        let gradient = matrix(&gradients, &path);
        let norm = read_f32(gradient.clone().square().sum()).unwrap()[0].sqrt();
        let along = |distance: f32| {
            let step = gradient.clone() * (distance / norm);
            let there = lora.clone().map(&mut |name, value| match name == path {
                true => ParameterTensor::Matrix(value.into_rows() + step.clone()),
                false => value,
            });
            run(&there).0
        };
        let slope = (along(0.02) - along(-0.02)) / 0.04;
        let norm = f64::from(norm);
        assert!((slope - norm).abs() < 0.01 * norm + 1e-3, "{path}: {slope}, expected {norm}");
    }
}

#[test]
fn a_target_that_is_not_there_is_refused() {
    let (base, _) = small_model(1);
    let config = LoraConfig { targets: vec!["w_proj".to_owned()], ..config() };
    assert!(Lora::new(&config, &base, 1).unwrap_err().to_string().contains("w_proj"));
}

/// Learns the batches of [`batch`] by heart.
struct ByHeart;

impl Method for ByHeart {
    fn rehearse(&mut self, run: &Run<'_>, tell: &mut dyn FnMut(&str)) -> Result<()> {
        tell("a batch");
        run.rehearse_update(|| self.gradients(run, 0))
    }

    fn step(&mut self, run: &mut Run<'_>, step: u64) -> Result<StepMetrics> {
        let mut metrics = StepMetrics::new(0).with(metric::LOSS, 0.0);
        let gradients = self.gradients(run, step)?;
        run.update(gradients, step, &mut metrics)?;
        Ok(metrics)
    }

    fn evaluate(&mut self, _: &Run<'_>) -> Result<Option<StepMetrics>> {
        Ok(None)
    }
}

impl ByHeart {
    fn gradients(&self, run: &Run<'_>, step: u64) -> Result<Gradients> {
        let batch = batch(step);
        let targets = batch.all_targets();
        let coefficients = vec![-1.0 / targets.tokens.len() as f32; targets.tokens.len()];
        Ok(run.gradients(&[(batch, targets, coefficients)], 1.0)?.0)
    }
}

/// Stops after so many steps; keeps what it is told.
struct StopAfter(Cell<u64>, Vec<String>);

impl Observer for StopAfter {
    fn step(&mut self, metrics: &StepMetrics) {
        assert!(metrics.step == 0 || metrics.get(metric::GRAD_NORM).is_some());
    }

    fn message(&mut self, text: &str) {
        self.1.push(text.to_owned());
    }

    fn should_stop(&self) -> bool {
        self.0.set(self.0.get() - 1);
        self.0.get() == 0
    }
}

fn run_config(kind: OptimizerKind) -> RunConfig {
    let mut config = RunConfig { lora: Some(self::config()), ..RunConfig::default() };
    config.train.steps = 4;
    config.train.seed = 3;
    (config.optimizer.kind, config.optimizer.lr, config.optimizer.weight_decay) = (kind, 0.01, 0.1);
    config.eval.at_start = false;
    config
}

fn start(seed: u64, resume: bool) -> (Start, Qwen2) {
    let (model, config) = small_model(seed);
    let files = vec![(
        "tokenizer.json".to_owned(),
        include_bytes!("../../../../examples/byte-tokenizer.json").to_vec(),
    )];
    let start =
        Start { config, tokenizer: bytes(), files, resume, rehearse_only: false, commit: String::new() };
    (start, model)
}

/// Trains until `stop_after` steps are done in this call.
fn train(
    config: &RunConfig,
    (start, model): (Start, Qwen2),
    folder: &Path,
    stop_after: u64,
) -> Result<(Outcome, Vec<String>)> {
    let mut observer = StopAfter(Cell::new(stop_after), Vec::new());
    let outcome = trainer::run(config, &start, model, folder, &mut observer, &mut ByHeart)?;
    Ok((outcome, observer.1))
}

fn saved(folder: &Path) -> Saved {
    checkpoint::latest(folder).unwrap().saved.unwrap()
}

/// Factors and optimizer of the newest checkpoint.
fn state(config: &RunConfig, folder: &Path, base: &Qwen2) -> BTreeMap<String, Vec<f32>> {
    let saved = saved(folder);
    let lora = saved.lora(config.lora.as_ref().unwrap(), base).unwrap();
    let optimizer = saved.optimizer(&config.optimizer, &lora).unwrap();
    let state = optimizer.state().into_iter().map(|(name, tensor)| (name, read_f32(tensor).unwrap()));
    values(&lora).into_iter().chain(state).collect()
}

#[test]
fn a_run_goes_on_to_the_bit() {
    for kind in [OptimizerKind::AdamW, OptimizerKind::Muon] {
        let config = run_config(kind);
        let (whole, halves) = (tempdir().unwrap(), tempdir().unwrap());
        let (at_once, told) = train(&config, start(1, false), whole.path(), 10).unwrap();
        assert!(told[0].starts_with("LoRA of rank 3 on 4 matrices"), "{told:?}");
        let (half, _) = train(&config, start(1, false), halves.path(), 2).unwrap();
        assert!((half.step, half.stopped) == (2, true));
        let (again, _) = train(&config, start(1, true), halves.path(), 10).unwrap();
        assert_eq!((at_once.step, again.step), (4, 4));
        assert_ne!(values(&half.model), values(&at_once.model));
        assert_eq!(values(&again.model), values(&at_once.model));
        let base = small_model(1).0;
        let states = [whole.path(), halves.path()].map(|folder| state(&config, folder, &base));
        // Eight factors; two averages of each, or one momentum.
        assert_eq!(states[0].len(), if kind == OptimizerKind::AdamW { 24 } else { 16 });
        assert_eq!(states[0], states[1]);
    }
}

#[test]
fn the_model_is_base_and_updates_merged_and_the_rest_does_not_move() {
    let config = run_config(OptimizerKind::AdamW);
    let folder = tempdir().unwrap();
    let (outcome, _) = train(&config, start(1, false), folder.path(), 10).unwrap();
    let saved = saved(folder.path());
    let (base, _) = small_model(1);
    let lora = saved.lora(config.lora.as_ref().unwrap(), &base).unwrap();
    let (base, factors, model) = (values(&base), values(&lora), values(&outcome.model));
    // What a checkpoint's folder holds as a model is the merged one.
    assert_eq!(values(&saved.model(&Device::flex()).unwrap().1), model);
    for (path, found) in &model {
        if !TARGETS.contains(&path.as_str()) {
            assert_eq!(found, &base[path], "{path}");
            continue;
        }
        let (a, b) = (&factors[&format!("{path}/lora_a")], &factors[&format!("{path}/lora_b")]);
        let output = b.len() / 3;
        let mut moved = 0.0f64;
        for (index, (found, base)) in found.iter().zip(&base[path]).enumerate() {
            let (row, column) = (index / output, index % output);
            let product: f64 =
                (0..3).map(|k| f64::from(a[row * 3 + k]) * f64::from(b[k * output + column])).sum();
            let expected = f64::from(*base) + 2.0 * product;
            moved = moved.max(product.abs());
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{path}: {found}, expected {expected}");
        }
        assert!(moved > 1e-4, "{path} has not moved: {moved}");
    }
}

#[test]
fn another_base_is_noticed() {
    let config = run_config(OptimizerKind::AdamW);
    let folder = tempdir().unwrap();
    train(&config, start(1, false), folder.path(), 2).unwrap();
    let error = train(&config, start(2, true), folder.path(), 10).unwrap_err().to_string();
    assert!(error.contains("`model.path` names is not the one"), "{error}");
}
