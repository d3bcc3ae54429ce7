//! The sampler against a sort of the whole row.

use burn::tensor::{Device, Tensor, TensorData};
use conclave_model::device_sampler::{sample, top_k};
use conclave_model::error::ErrorKind;
use conclave_model::sampler::{self, Choice, Sampled};
use pollster::block_on;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const VOCAB_SIZE: usize = 1000; // not a multiple of a block
const LIMIT: usize = 990; // the last ten have no token

fn rows(seed: u64, count: usize, scale: f32) -> Vec<Vec<f32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| (0..VOCAB_SIZE).map(|_| (rng.random::<f32>() - 0.5) * scale).collect()).collect()
}

fn tensor(rows: &[Vec<f32>]) -> Tensor<2> {
    let data = TensorData::new(rows.concat(), [rows.len(), VOCAB_SIZE]);
    Tensor::from_data(data, &Device::flex())
}

/// Token ids by descending probability with their probabilities at a temperature, by brute force.
fn distribution(logits: &[f32], temperature: f64) -> Vec<(u32, f64)> {
    let maximum = logits[..LIMIT].iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| (f64::from(logit - maximum) / temperature).exp();
    let total: f64 = logits[..LIMIT].iter().map(|logit| weight(*logit)).sum();
    let mut all: Vec<(u32, f64)> =
        (0..LIMIT).map(|token| (token as u32, weight(logits[token]) / total)).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all
}

/// What may be chosen, with its probability among what may.
fn allowed(logits: &[f32], choice: &Choice) -> Vec<(u32, f64)> {
    let mut kept = distribution(logits, choice.temperature);
    kept.truncate(choice.top_k.unwrap_or(usize::MAX));
    let total: f64 = kept.iter().map(|(_, p)| p).sum();
    if let Some(top_p) = choice.top_p {
        let mut mass = 0.0;
        let nucleus = kept.iter().position(|(_, p)| {
            mass += p / total;
            mass >= top_p
        });
        kept.truncate(nucleus.map_or(kept.len(), |last| last + 1));
    }
    let total: f64 = kept.iter().map(|(_, p)| p).sum();
    kept.into_iter().map(|(token, p)| (token, p / total)).collect()
}

#[test]
fn greedy_takes_the_first_of_the_largest_below_the_limit() {
    let mut rows = rows(1, 3, 10.0);
    rows[0][995] = 100.0; // padding of the matrix, not a token
    (rows[1][300], rows[1][700]) = (50.0, 50.0);
    let sampled = block_on(sample(tensor(&rows), LIMIT, &[Choice::GREEDY; 3])).unwrap();
    assert_eq!(sampled[1].token, 300);
    for (row, sampled) in rows.iter().zip(&sampled) {
        let (token, probability) = distribution(row, 1.0)[0];
        assert_eq!(sampled.token, token);
        assert!((sampled.log_prob - probability.ln()).abs() < 1e-5);
    }
}

#[test]
fn top_k_is_the_head_of_the_sorted_row() {
    let rows = rows(2, 2, 6.0);
    for k in [1, 5, 40, 2000] {
        let found = block_on(top_k(tensor(&rows), LIMIT, k)).unwrap();
        for (row, found) in rows.iter().zip(&found) {
            let expected = distribution(row, 1.0);
            assert_eq!(found.len(), k.min(LIMIT));
            for ((token, log_prob), (expected, probability)) in found.iter().zip(&expected) {
                assert_eq!(token, expected);
                assert!((log_prob - probability.ln()).abs() < 1e-5);
            }
        }
    }
}

/// Draws on a fine grid must give each token its share of the grid, and no token that may not be chosen.
#[test]
fn draws_follow_the_distribution() {
    const DRAWS: usize = 1500;
    for (scale, seed) in [(12.0, 3), (0.02, 4)] {
        let row = rows(seed, 1, scale).remove(0);
        for (temperature, top_k, top_p) in [
            (1.0, None, None),
            (0.5, None, None),
            (2.0, Some(7), None),
            (0.7, Some(40), Some(0.9)),
            (1.0, None, Some(0.95)),
            (1.0, None, Some(0.1)),
            (1.0, None, Some(1.0)),
            (1.0, Some(1), Some(0.5)),
        ] {
            let choice =
                |i: usize| Choice { temperature, top_k, top_p, draw: (i as f64 + 0.5) / DRAWS as f64 };
            let choices: Vec<Choice> = (0..DRAWS).map(choice).collect();
            let logits = tensor(std::slice::from_ref(&row)).repeat_dim(0, DRAWS);
            let sampled = block_on(sample(logits, LIMIT, &choices)).unwrap();
            let allowed = allowed(&row, &choices[0]);
            let log_probs = distribution(&row, temperature);
            let mut counts = vec![0usize; LIMIT];
            for Sampled { token, log_prob } in sampled {
                counts[token as usize] += 1;
                let (_, p) = log_probs.iter().find(|(other, _)| *other == token).unwrap();
                assert!((log_prob - p.ln()).abs() < 1e-4, "log-probability before top-k and top-p");
            }
            // Mass of the float32 block sums may fall to a neighbour at the edge of the nucleus.
            let slack = 3.0 / DRAWS as f64;
            let mut seen = 0;
            for (token, p) in &allowed {
                let share = counts[*token as usize] as f64 / DRAWS as f64;
                assert!((share - p).abs() <= slack, "{choice:?}: {share} of {p}", choice = choices[0]);
                seen += counts[*token as usize];
            }
            assert!(seen + 2 >= DRAWS, "{} draws fell outside what is allowed", DRAWS - seen);
        }
    }
}

#[test]
fn logits_that_are_not_finite_are_an_error() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut rows = rows(5, 2, 4.0);
        rows[1][511] = bad;
        let error = block_on(sample(tensor(&rows), LIMIT, &[Choice::GREEDY; 2])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFinite, "{error}");
        assert!(error.to_string().contains("row 1"), "{error}");
        rows[1][511] = 0.0;
        rows[1][995] = bad; // not a token: of no concern
        block_on(sample(tensor(&rows), LIMIT, &[Choice::GREEDY; 2])).unwrap();
    }
}

#[test]
fn a_vanishing_temperature_is_as_good_as_greedy() {
    let rows = rows(6, 1, 8.0);
    let greedy = block_on(sample(tensor(&rows), LIMIT, &[Choice::GREEDY])).unwrap()[0].token;
    for temperature in [1e-300, 1e-40, 1e-9] {
        let choice = Choice { temperature, top_k: None, top_p: None, draw: 0.5 };
        let sampled = block_on(sample(tensor(&rows), LIMIT, &[choice])).unwrap()[0];
        assert_eq!(sampled.token, greedy);
        assert!(sampled.log_prob.abs() < 1e-6, "{}", sampled.log_prob);
    }
}

/// Chosen from the same logits in memory, draw by draw, tokens are the device's; a draw that falls within rounding of the
/// edge between two tokens may take either.
#[test]
fn a_row_in_memory_is_chosen_from_as_on_the_device() {
    const DRAWS: usize = 400;
    for (scale, seed) in [(12.0, 7), (2.0, 8), (0.02, 9)] {
        let row = rows(seed, 1, scale).remove(0);
        for (temperature, top_k, top_p) in [
            (0.0, None, None),
            (1.0, None, None),
            (0.5, None, None),
            (1e-9, None, None),
            (2.0, Some(7), None),
            (0.7, Some(40), Some(0.9)),
            (1.0, None, Some(0.95)),
            (1.0, None, Some(1.0)),
        ] {
            let choice =
                |i: usize| Choice { temperature, top_k, top_p, draw: (i as f64 + 0.37) / DRAWS as f64 };
            let choices: Vec<Choice> = (0..DRAWS).map(choice).collect();
            let logits = tensor(std::slice::from_ref(&row)).repeat_dim(0, DRAWS);
            let on_device = block_on(sample(logits, LIMIT, &choices)).unwrap();
            let mut others = 0;
            for (choice, expected) in choices.iter().zip(on_device) {
                let found = sampler::choose(&row, LIMIT, choice).unwrap();
                if found.token == expected.token {
                    assert!((found.log_prob - expected.log_prob).abs() < 1e-5, "{choice:?}");
                } else {
                    others += 1;
                }
            }
            assert!(others <= 1, "{others} of {DRAWS} draws differ: {:?}", choices[0]);
        }
        for k in [1, 40, 2000] {
            let expected = block_on(top_k(tensor(std::slice::from_ref(&row)), LIMIT, k)).unwrap().remove(0);
            let found = sampler::top_k_of(&row, LIMIT, k).unwrap();
            assert_eq!(found.len(), expected.len());
            for ((token, log_prob), (expected_token, expected)) in found.into_iter().zip(expected) {
                assert_eq!(token, expected_token);
                assert!((log_prob - expected).abs() < 1e-5);
                assert!((sampler::log_prob_of(&row, LIMIT, token).unwrap() - expected).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn a_row_in_memory_with_numbers_that_are_not_finite_is_an_error() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut row = rows(5, 1, 4.0).remove(0);
        row[511] = bad;
        for choice in [Choice::GREEDY, Choice { temperature: 1.0, draw: 0.5, ..Choice::GREEDY }] {
            let error = sampler::choose(&row, LIMIT, &choice).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFinite, "{error}");
        }
        assert_eq!(sampler::top_k_of(&row, LIMIT, 3).unwrap_err().kind(), ErrorKind::NotFinite);
        assert_eq!(sampler::log_prob_of(&row, LIMIT, 3).unwrap_err().kind(), ErrorKind::NotFinite);
        row[511] = 0.0;
        row[995] = bad; // not a token: of no concern
        sampler::choose(&row, LIMIT, &Choice::GREEDY).unwrap();
    }
}
