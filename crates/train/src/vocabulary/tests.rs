//! The head of a model against the plain formula in f64, by hand and by finite differences.

use burn::tensor::{Device, Tensor, TensorData};
use conclave_model::qwen2::{Qwen2, RmsNorm};
use conclave_model::vocabulary::VocabularyMatrix;

use super::*;

/// A model that is only a vocabulary, in shards of so many rows.
fn model(weights: &[f32], hidden_size: usize, shard_rows: usize, tied: bool) -> Qwen2 {
    let device = Device::flex();
    let shards = |weights: &[f32]| -> VocabularyMatrix {
        let shard = |values: &[f32]| {
            let shape = [values.len() / hidden_size, hidden_size];
            Tensor::from_data(TensorData::new(values.to_vec(), shape), &device)
        };
        VocabularyMatrix::new(weights.chunks(shard_rows * hidden_size).map(shard).collect())
    };
    let norm = RmsNorm::new(Tensor::ones([hidden_size], &device), 1e-6);
    let (embed_tokens, lm_head) = match tied {
        true => (shards(weights), None),
        false => (shards(&vec![0.0; weights.len()]), Some(shards(weights))),
    };
    Qwen2 { embed_tokens, layers: Vec::new(), norm, lm_head }
}

fn matrix(values: &[f32], columns: usize) -> Tensor<2> {
    let shape = [values.len() / columns, columns];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

fn values(tensor: &Tensor<2>) -> Vec<f32> {
    tensor.to_data().try_to_vec().unwrap()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(*found) - expected).abs();
        assert!(difference <= tolerance * expected.abs().max(1.0), "at {i}: {found}, expected {expected}");
    }
}

/// Numbers in -1 to 1, of no meaning.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    (0..count as u32)
        .map(|i| {
            let mixed = (i + 1).wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503));
            ((mixed ^ (mixed >> 15)).wrapping_mul(2_246_822_519) >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// The same in f64, one position at a time: log-probabilities and entropies.
fn reference(
    weights: &[f64],
    normed: &[f64],
    hidden_size: usize,
    at: (&[usize], &[u32]),
    temperature: f64,
) -> (Vec<f64>, Vec<f64>) {
    let score = |(position, target): (&usize, &u32)| {
        let x = &normed[position * hidden_size..(position + 1) * hidden_size];
        let dot = |row: &[f64]| row.iter().zip(x).map(|(a, b)| a * b).sum::<f64>() / temperature;
        let logits: Vec<f64> = weights.chunks(hidden_size).map(dot).collect();
        let total = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
        let entropy: f64 = logits.iter().map(|logit| -(logit - total).exp() * (logit - total)).sum();
        (logits[*target as usize] - total, entropy)
    };
    at.0.iter().zip(at.1).map(score).unzip()
}

#[test]
fn by_hand() {
    // Logits ln 2 and 0 at both positions: probabilities 2/3 and 1/3.
    let model = model(&[std::f32::consts::LN_2, 0.0, 9.0], 1, 3, true);
    let head = Head::new(&model, 2, 1.0, 8);
    let normed = matrix(&[1.0, 7.0, 1.0], 1);
    let (scores, gradients) = head.score_and_backward(&normed, &[0, 2], &[0, 1], &[-1.0, 0.5]).unwrap();
    let (ln2, ln3) = (2f64.ln(), 3f64.ln());
    assert_close(&scores.log_probs, &[ln2 - ln3, -ln3], 1e-6);
    assert_close(&scores.entropies, &[ln3 - 2.0 / 3.0 * ln2, ln3 - 2.0 / 3.0 * ln2], 1e-6);
    // d logits: -1 * (1/3, -1/3) and 0.5 * (-2/3, 2/3).
    assert_close(&values(&gradients.d_normed), &[-ln2 / 3.0, 0.0, -ln2 / 3.0], 1e-6);
    let d_matrix = [-2.0 / 3.0, 2.0 / 3.0, 0.0];
    assert_close(&values(&gradients.d_shards[0]), &d_matrix, 1e-6);
}

/// Every way to cut the work gives the numbers of the plain formula, and gradients those of finite differences.
#[test]
fn chunks_and_shards_change_nothing() {
    let (hidden_size, vocab_size, limit, rows) = (5, 23, 19, 11);
    let (weights, normed) = (noise(vocab_size * hidden_size, 1), noise(rows * hidden_size, 2));
    let positions: Vec<usize> = vec![0, 1, 2, 4, 5, 7, 8, 9, 10];
    let targets: Vec<u32> = vec![0, 18, 6, 7, 7, 13, 2, 11, 18];
    let coefficients: Vec<f32> = vec![1.0, -0.5, 0.0, 0.25, 2.0, -1.0, 0.0, 0.125, 1.0];
    let temperature = 0.7;

    let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|value| f64::from(*value)).collect() };
    let (weights64, normed64) = (wide(&weights), wide(&normed));
    let score = |weights: &[f64], normed: &[f64]| {
        reference(&weights[..limit * hidden_size], normed, hidden_size, (&positions, &targets), temperature)
    };
    let (log_probs, entropies) = score(&weights64, &normed64);
    let loss = |weights: &[f64], normed: &[f64]| -> f64 {
        score(weights, normed).0.iter().zip(&coefficients).map(|(a, b)| a * f64::from(*b)).sum()
    };
    let differences = |values: &[f64], loss: &dyn Fn(&[f64]) -> f64| -> Vec<f64> {
        let moved = |i: usize, by: f64| {
            let mut values = values.to_vec();
            values[i] += by;
            loss(&values)
        };
        (0..values.len()).map(|i| (moved(i, 1e-5) - moved(i, -1e-5)) / 2e-5).collect()
    };
    let d_normed = differences(&normed64, &|normed| loss(&weights64, normed));
    let d_weights = differences(&weights64, &|weights| loss(weights, &normed64));

    let normed = matrix(&normed, hidden_size);
    for tied in [true, false] {
        for shard_rows in [1, 4, 6, 19, 23] {
            let model = model(&weights, hidden_size, shard_rows, tied);
            for chunk in [1, 2, 7, 1000] {
                let head = Head::new(&model, limit, temperature, chunk);
                let scores = head.score(&normed, &positions, &targets).unwrap();
                assert_close(&scores.log_probs, &log_probs, 2e-6);
                assert_close(&scores.entropies, &entropies, 2e-6);
                let (again, both) =
                    head.score_and_backward(&normed, &positions, &targets, &coefficients).unwrap();
                assert_eq!(again, scores);
                let alone = head.backward(&normed, &positions, &targets, &coefficients).unwrap();
                for gradients in [both, alone] {
                    assert_close(&values(&gradients.d_normed), &d_normed, 1e-5);
                    let d_found: Vec<f32> = gradients.d_shards.iter().flat_map(values).collect();
                    assert_close(&d_found, &d_weights, 1e-5);
                    assert!(d_found[limit * hidden_size..].iter().all(|value| *value == 0.0));
                }
            }
        }
    }
}

#[test]
fn gradients_have_the_names_of_parameters() {
    for (tied, name) in [(true, "model.embed_tokens.weight"), (false, "lm_head.weight")] {
        let model = model(&noise(12, 3), 2, 4, tied);
        let head = Head::new(&model, 6, 1.0, 2);
        let gradients = head.backward(&matrix(&noise(4, 4), 2), &[1], &[5], &[1.0]).unwrap();
        let (d_normed, gradients) = gradients.into_parts();
        assert_eq!(d_normed.dims(), [2, 2]);
        assert_eq!(gradients.names().collect::<Vec<_>>(), [format!("{name}#0"), format!("{name}#1")]);
    }
}

#[test]
fn extreme_logits() {
    // Far beyond what exp can hold; the probabilities are 1, 0 and 0.
    let model = model(&[1.0, -1.0, 0.0], 1, 3, true);
    let head = Head::new(&model, 3, 1.0, 1);
    let normed = matrix(&[300.0], 1);
    let (scores, gradients) = head.score_and_backward(&normed, &[0], &[2], &[1.0]).unwrap();
    assert_eq!((scores.log_probs[0], scores.entropies[0]), (-300.0, 0.0));
    assert_eq!(values(&gradients.d_normed), [-1.0]);
    assert_eq!(values(&gradients.d_shards[0]), [-300.0, 0.0, 300.0]);
}

#[test]
fn nothing_asked_is_nothing_done() {
    let model = model(&noise(6, 5), 2, 3, true);
    let head = Head::new(&model, 3, 1.0, 4);
    let normed = matrix(&noise(4, 6), 2);
    assert_eq!(head.score(&normed, &[], &[]).unwrap(), Scores::default());
    let gradients = head.backward(&normed, &[0, 1], &[2, 2], &[0.0, 0.0]).unwrap();
    assert_eq!(values(&gradients.d_normed), [0.0; 4]);
    assert_eq!(values(&gradients.d_shards[0]), [0.0; 6]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let model = model(&noise(6, 7), 2, 2, true);
    let head = Head::new(&model, 2, 1.0, 4);
    let normed = matrix(&[1.0, 2.0, f32::NAN, 0.0], 2);
    let message = |result: Result<Scores>| result.unwrap_err().to_string();
    assert!(message(head.score(&normed, &[0], &[2])).contains("token id 2 is not below 2"));
    assert!(message(head.score(&normed, &[2], &[0])).contains("below 2"));
    assert!(message(head.score(&normed, &[0, 0], &[0, 0])).contains("ascend"));
    assert!(message(head.score(&normed, &[0], &[0, 0])).contains("1 positions for 2 targets"));
    assert!(matches!(head.score(&normed, &[1], &[0]), Err(TrainError::NotFinite(_))));
    assert!(matches!(head.backward(&normed, &[0], &[0], &[f32::NAN]), Err(TrainError::NotFinite(_))));
    assert!(head.backward(&normed, &[0], &[0], &[]).is_err());
    let cold = Head::new(&model, 2, 0.0, 4);
    assert!(message(cold.score(&normed, &[0], &[0])).contains("temperature"));
}
