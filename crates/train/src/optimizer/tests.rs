//! The rules by hand and against burn's own; groups, clipping, skipping and going on to the bit.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use burn::optim::{
    AdamWConfig, AdjustLrFn, MuonConfig, Optimizer as BurnOptimizer, decay::WeightDecayConfig,
};
use burn::tensor::{Device, TensorData};
use conclave_model::config::Qwen2Config;
use conclave_model::init::RandomWeights;
use conclave_model::load::{LoadOptions, load};
use conclave_model::qwen2::Qwen2;
use conclave_model::weights::{MemoryWeights, TensorBytes};
use pollster::block_on;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::host::read_f32;
use crate::parameters::visit;

fn rows(values: &[f32], shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

/// Uniform between -1 and 1.
fn random(rng: &mut ChaCha8Rng, shape: [usize; 2]) -> Tensor<2> {
    let values: Vec<f32> =
        (0..shape[0] * shape[1]).map(|_| rng.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0).collect();
    rows(&values, shape)
}

fn values(tensor: &Tensor<2>) -> Vec<f32> {
    read_f32(tensor.clone()).unwrap()
}

#[track_caller]
fn assert_close(found: &Tensor<2>, expected: &Tensor<2>, tolerance: f32) {
    assert_eq!(found.dims(), expected.dims());
    for (found, expected) in values(found).into_iter().zip(values(expected)) {
        assert!(
            (found - expected).abs() <= tolerance * expected.abs().max(1.0),
            "{found}, expected {expected}"
        );
    }
}

#[test]
fn adamw_by_hand() {
    let rule =
        |update, weight_decay| AdamWRule { lr: 0.1, betas: [0.5, 0.75], eps: 1e-8, weight_decay, update };
    let (x, g) = (rows(&[1.0], [1, 1]), rows(&[2.0], [1, 1]));
    // m' = 1 / 0.5, v' = 1 / 0.25: a step of lr.
    let (once, moments) = rule(1, 0.0).apply(x.clone(), g.clone(), None);
    assert_close(&once, &rows(&[0.9], [1, 1]), 1e-6);
    assert_close(&rule(1, 0.5).apply(x, g.clone(), None).0, &rows(&[0.85], [1, 1]), 1e-6);
    // m' = -0.5 / 0.75, v' = 1.75 / 0.4375 = 4: back by a third of lr.
    let (twice, moments) = rule(2, 0.0).apply(once, -g, Some(moments));
    assert_close(&twice, &rows(&[0.9 + 0.1 / 3.0], [1, 1]), 1e-6);
    assert_eq!((values(&moments.first), values(&moments.second)), (vec![-0.5], vec![1.75]));
}

#[test]
fn adamw_agrees_with_burn() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let burn = AdamWConfig::new().with_epsilon(1e-8).with_beta_2(0.95).with_weight_decay(0.1).build();
    let mut ours = random(&mut rng, [7, 5]);
    let (mut theirs, mut moments, mut state) = (ours.clone(), None, None);
    for update in 1..=20 {
        let gradient = random(&mut rng, [7, 5]);
        let rule = AdamWRule { lr: 0.01, betas: [0.9, 0.95], eps: 1e-8, weight_decay: 0.1, update };
        let (value, new) = rule.apply(ours, gradient.clone(), moments);
        (ours, moments) = (value, Some(new));
        (theirs, state) = burn.step(0.01, theirs, gradient, state);
    }
    assert_close(&ours, &theirs, 1e-5);
}

#[test]
fn muon_agrees_with_burn_on_the_transpose() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (adjust, theirs_adjust) in
        [(MuonAdjust::Original, AdjustLrFn::Original), (MuonAdjust::MatchRmsAdamw, AdjustLrFn::MatchRmsAdamW)]
    {
        for shape in [[6, 6], [4, 9], [9, 4]] {
            let burn = MuonConfig::new()
                .with_adjust_lr_fn(theirs_adjust)
                .with_weight_decay(Some(WeightDecayConfig::new(0.1)))
                .build();
            let rule = MuonRule { lr: 0.02, adjust, momentum: 0.95, weight_decay: 0.1 };
            let mut ours = random(&mut rng, shape);
            let (mut theirs, mut momentum, mut state) = (ours.clone().transpose(), None, None);
            for _ in 0..5 {
                let gradient = random(&mut rng, shape);
                let (direction, new) = rule.direction(gradient.clone(), momentum);
                (ours, momentum) = (rule.apply(ours, orthogonal(direction)), Some(new));
                (theirs, state) = burn.step(0.02, theirs, gradient.transpose(), state);
            }
            assert_close(&ours, &theirs.transpose(), 1e-4);
        }
    }
}

fn orthogonal(direction: Tensor<2>) -> Tensor<2> {
    muon::orthogonal(direction.unsqueeze()).squeeze()
}

#[test]
fn stacked_directions_come_back_under_their_names() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let shapes = [[4, 6], [6, 4], [4, 6], [5, 5], [4, 6]];
    let directions: Vec<_> = (0..)
        .zip(shapes)
        .map(|(index, shape): (usize, _)| (index.to_string(), random(&mut rng, shape)))
        .collect();
    let found = muon::orthogonal_by_name(directions.clone());
    assert_eq!(found.len(), shapes.len());
    for (name, direction) in directions {
        assert_close(&found[&name], &orthogonal(direction), 1e-5);
    }
}

#[test]
fn muons_update_is_about_orthogonal() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for shape in [[8, 20], [20, 8]] {
        let x = orthogonal(random(&mut rng, shape) * 1e-3);
        let gram = match shape[0] < shape[1] {
            true => x.clone().matmul(x.transpose()),
            false => x.clone().transpose().matmul(x),
        };
        for (index, value) in values(&gram).into_iter().enumerate() {
            let expected = if index % 9 == 0 { 1.0 } else { 0.0 };
            assert!((value - expected).abs() < 0.5, "{shape:?} {index}: {value}");
        }
    }
    assert!(values(&orthogonal(rows(&[0.0; 6], [2, 3]))).iter().all(|value| *value == 0.0));
    assert_eq!(MuonAdjust::Original.factor([4, 16]), 2.0);
    assert_eq!(MuonAdjust::Original.factor([16, 4]), 1.0);
    assert!((MuonAdjust::MatchRmsAdamw.factor([16, 4]) - 0.8).abs() < 1e-12);
}

fn model() -> Qwen2 {
    let config = Qwen2Config { tie_word_embeddings: false, ..Qwen2Config::tiny(64) };
    let going_on = &mut |_| ControlFlow::Continue(());
    block_on(load(
        &config,
        &RandomWeights::new(&config, 1),
        &Device::flex(),
        &LoadOptions::default(),
        going_on,
    ))
    .unwrap()
}

fn gradients(model: &Qwen2, seed: u64, scale: f32) -> Gradients {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut gradients = Gradients::new();
    visit(model, |path, tensor| {
        let shape = tensor.clone().into_rows().dims();
        gradients.add_one(path, tensor.with_rows(random(&mut rng, shape) * scale));
    });
    gradients
}

fn weights(model: &Qwen2) -> BTreeMap<String, Vec<f32>> {
    let mut weights = BTreeMap::new();
    visit(model, |path, tensor| {
        weights.insert(path.to_owned(), values(&tensor.into_rows()));
    });
    weights
}

fn memory(optimizer: &Optimizer) -> MemoryWeights {
    let mut memory = MemoryWeights::new();
    for (name, tensor) in optimizer.state() {
        memory.insert(name, TensorBytes::from_f32(&tensor.dims(), &values(&tensor))).unwrap();
    }
    memory
}

fn muon() -> OptimizerConfig {
    OptimizerConfig { kind: OptimizerKind::Muon, lr: 1e-3, weight_decay: 0.1, ..OptimizerConfig::default() }
}

#[test]
fn groups_have_their_own_rules() {
    let start = model();
    let before = weights(&start);
    // With a rate of 0 for AdamW only what is Muon's moves, and the other way round.
    for (config, projections_move) in
        [(OptimizerConfig { lr: 0.0, ..muon() }, true), (OptimizerConfig { muon_lr: 0.0, ..muon() }, false)]
    {
        let mut optimizer = Optimizer::new(&config);
        let (after, report) = optimizer.step(start.clone(), gradients(&start, 1, 1.0), 1.0).unwrap();
        assert!(report.clipped && !report.skipped);
        for (path, after) in weights(&after) {
            let moves = (ParameterKind::of(&path) == ParameterKind::Projection) == projections_move;
            assert_eq!(after != before[&path], moves, "{path}");
        }
        let names: Vec<String> = optimizer.state().into_iter().map(|(name, _)| name).collect();
        assert!(names.contains(&"model.layers.0.self_attn.q_proj.weight/momentum".to_owned()));
        assert!(names.contains(&"model.layers.0.self_attn.q_proj.bias/moment_2".to_owned()));
        assert!(names.contains(&"lm_head.weight#0/moment_1".to_owned()));
    }
    // With gradients of zero nothing but decay is left, and that is for matrices only.
    for config in [muon(), OptimizerConfig { kind: OptimizerKind::AdamW, ..muon() }] {
        let (after, report) = Optimizer::new(&config).step(start.clone(), Gradients::new(), 0.5).unwrap();
        assert_eq!(report, StepReport { grad_norm: 0.0, clipped: false, skipped: false });
        let after = weights(&after);
        visit(&start, |path, tensor| {
            let kind = config.kind_of(path);
            let lr = if kind == OptimizerKind::Muon { config.muon_lr } else { config.lr };
            let left = if tensor.shape().len() == 2 { 1.0 - 0.5 * lr * 0.1 } else { 1.0 };
            for (before, after) in before[path].iter().zip(&after[path]) {
                assert!((before * left as f32 - after).abs() < 1e-7, "{path}");
            }
        });
    }
}

#[test]
fn the_norm_of_all_gradients_together_is_cut() {
    let start = model();
    // One step of AdamW does not see the scale, its moments do.
    let config = OptimizerConfig { max_grad_norm: 2.0, ..OptimizerConfig::default() };
    let first_moment = |scale: f32| {
        let mut optimizer = Optimizer::new(&config);
        let (_, report) = optimizer.step(start.clone(), gradients(&start, 7, scale), 1.0).unwrap();
        let sum: f64 = optimizer
            .state()
            .iter()
            .filter(|(name, _)| name.ends_with("/moment_1"))
            .flat_map(|(_, tensor)| values(tensor))
            .map(|value| (f64::from(value) / 0.1).powi(2))
            .sum();
        (sum.sqrt(), report)
    };
    let (kept, report) = first_moment(1e-3);
    assert!(!report.clipped && (kept - report.grad_norm).abs() < 1e-4 && report.grad_norm < 2.0);
    let (cut, clipped) = first_moment(1.0);
    assert!(clipped.clipped && (cut - 2.0).abs() < 1e-4, "{cut}");
    assert!((clipped.grad_norm / report.grad_norm - 1e3).abs() < 0.1);
}

#[test]
fn a_step_on_gradients_that_are_not_finite_is_skipped() {
    let start = model();
    let mut optimizer = Optimizer::new(&muon());
    let (once, _) = optimizer.step(start.clone(), gradients(&start, 1, 1.0), 1.0).unwrap();
    let (before, state) = (weights(&once), memory(&optimizer));
    for wrong in [f32::NAN, f32::INFINITY] {
        let mut gradients = gradients(&start, 2, 1.0);
        gradients.add_one(
            "model.norm.weight",
            ParameterTensor::Vector(Tensor::full([start.norm.weight.dims()[0]], wrong, &Device::flex())),
        );
        let (after, report) = optimizer.step(once.clone(), gradients, 1.0).unwrap();
        assert!(report.skipped && !report.grad_norm.is_finite());
        assert!(weights(&after) == before && optimizer.updates() == 1);
        assert!(
            memory(&optimizer).to_file_bytes(&BTreeMap::new()).unwrap()
                == state.to_file_bytes(&BTreeMap::new()).unwrap()
        );
    }
}

#[test]
fn a_restored_optimizer_goes_on_to_the_bit() {
    for config in [muon(), OptimizerConfig { kind: OptimizerKind::AdamW, ..muon() }] {
        let mut whole = Optimizer::new(&config);
        let mut model = model();
        for seed in 0..3 {
            let gradients = gradients(&model, seed, 1.0);
            model = whole.step(model, gradients, 1.0).unwrap().0;
        }
        let mut restored =
            block_on(Optimizer::restore(&config, whole.updates(), &memory(&whole), &model)).unwrap();
        let (expected, _) = whole.step(model.clone(), gradients(&model, 9, 0.5), 0.7).unwrap();
        let (found, _) = restored.step(model.clone(), gradients(&model, 9, 0.5), 0.7).unwrap();
        assert!(weights(&found) == weights(&expected));
        assert_eq!(restored.updates(), 4);
    }
}

#[test]
fn state_of_another_optimizer_is_refused() {
    let start = model();
    let adamw = OptimizerConfig { kind: OptimizerKind::AdamW, ..muon() };
    let mut optimizer = Optimizer::new(&adamw);
    let (model, _) = optimizer.step(start.clone(), gradients(&start, 1, 1.0), 1.0).unwrap();
    let state = memory(&optimizer);
    let error = block_on(Optimizer::restore(&muon(), 1, &state, &model)).unwrap_err();
    assert!(error.to_string().contains("another `optimizer.kind`"), "{error}");
    let none = block_on(Optimizer::restore(&adamw, 0, &MemoryWeights::new(), &model)).unwrap();
    assert!(none.state().is_empty());
    let error = block_on(Optimizer::restore(&adamw, 0, &state, &model)).unwrap_err();
    assert!(error.to_string().contains("expected 0"), "{error}");
}

#[test]
fn a_gradient_without_its_parameter_is_refused() {
    let start = model();
    for (path, message) in [
        ("model.layers.99.mlp.up_proj.weight", "no such parameter"),
        ("model.norm.weight", "the gradient of `model.norm.weight` has shape [3]"),
    ] {
        let mut gradients = Gradients::new();
        gradients.add_one(path, ParameterTensor::Vector(Tensor::zeros([3], &Device::flex())));
        let error = Optimizer::new(&muon()).step(start.clone(), gradients, 1.0).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn values_out_of_range_are_named() {
    assert!(OptimizerConfig::default().validate().is_ok());
    let wrong = OptimizerConfig { lr: f64::NAN, betas: [0.9, 1.0], eps: 0.0, ..OptimizerConfig::default() };
    let message = wrong.validate().unwrap_err().to_string();
    for key in ["`optimizer.lr` is NaN", "`optimizer.betas[1]` is 1,", "`optimizer.eps` is 0,"] {
        assert!(message.contains(key), "{message}");
    }
    let read: OptimizerConfig =
        toml::from_str("kind = \"muon\"\nmuon_adjust = \"match_rms_adamw\"\nlr = 1e-3").unwrap();
    assert_eq!((read.kind, read.muon_adjust), (OptimizerKind::Muon, MuonAdjust::MatchRmsAdamw));
    assert!(toml::from_str::<OptimizerConfig>("learning_rate = 1").is_err());
}

/// Not a test: the time of a step of a model of about a million parameters.
#[test]
#[ignore = "measures"]
fn time_of_a_step() {
    let config = Qwen2Config {
        hidden_size: 128,
        intermediate_size: 384,
        num_hidden_layers: 4,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        ..Qwen2Config::tiny(512)
    };
    let going_on = &mut |_| ControlFlow::Continue(());
    let mut model = block_on(load(
        &config,
        &RandomWeights::new(&config, 1),
        &Device::flex(),
        &LoadOptions::default(),
        going_on,
    ))
    .unwrap();
    for kind in [OptimizerKind::AdamW, OptimizerKind::Muon] {
        let mut optimizer = Optimizer::new(&OptimizerConfig { kind, ..muon() });
        for seed in 0..10 {
            let gradients = gradients(&model, seed, 1.0);
            let start = std::time::Instant::now();
            model = optimizer.step(model, gradients, 1.0).unwrap().0;
            println!("{kind:?} {} parameters {:?}", config.num_parameters(), start.elapsed());
        }
    }
}
