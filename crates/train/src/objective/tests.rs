//! Losses by hand, and gradients by finite differences.

use super::*;

const OBJECTIVE: PolicyObjective =
    PolicyObjective { loss: PolicyLoss::Grpo, clip_epsilon: 0.2, clip_epsilon_high: 0.28, kl_coef: 0.0 };

#[track_caller]
fn assert_close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{found}, expected {expected}");
}

/// Log-probabilities with these ratios to `old`.
fn moved(old: &[f32], ratios: &[f64]) -> Vec<f32> {
    old.iter().zip(ratios).map(|(old, ratio)| (f64::from(*old) + ratio.ln()) as f32).collect()
}

#[test]
fn cross_entropy_by_hand() {
    // (1 * 2 + 3 * 0.5 + 7 * 0) / 2.5
    let (log_probs, weights) = ([-2.0, -0.5, -9.0], [1.0, 3.0, 0.0]);
    assert_close(cross_entropy(&log_probs, &weights, 2.5), 1.4, 1e-12);
    assert_eq!(cross_entropy_gradient(&weights, 2.5), [-0.4, -1.2, 0.0]);
    // The parts of a step add up to it.
    let total = 4.0;
    let whole = cross_entropy(&log_probs, &weights, total);
    let parts = cross_entropy(&log_probs[..1], &weights[..1], total)
        + cross_entropy(&log_probs[1..], &weights[1..], total);
    assert_close(parts, whole, 1e-12);
    assert_eq!(cross_entropy(&[-1.0], &[0.0], 0.0), 0.0);
    assert_eq!(cross_entropy_gradient(&[0.0], 0.0), [0.0]);
}

#[test]
fn policy_losses_by_hand() {
    // Sequence a, advantage 2: ratios 1 and 1.5, the second clipped at 1.28: losses -2 and -2.56.
    // Sequence b, advantage -1: ratios 0.5 (clipped at 0.8), 1.5 (not clipped: it is to fall) and 1: 0.8, 1.5 and 1.
    let old_a = [-1.0, -2.0];
    let old_b = [-1.0, -0.5, -3.0];
    let (a, b) = (moved(&old_a, &[1.0, 1.5]), moved(&old_b, &[0.5, 1.5, 1.0]));
    let sequences = [
        PolicySequence {
            log_probs: &a,
            old_log_probs: &old_a,
            ref_log_probs: None,
            advantage: Advantage(2.0),
            masked: false,
        },
        PolicySequence {
            log_probs: &b,
            old_log_probs: &old_b,
            ref_log_probs: None,
            advantage: Advantage(-1.0),
            masked: false,
        },
    ];
    let (sum_a, sum_b) = (-4.56, 3.3);
    for (loss, expected, weights) in [
        (PolicyLoss::Grpo, (sum_a / 2.0 + sum_b / 3.0) / 2.0, [1.0 / 4.0, 1.0 / 6.0]),
        (PolicyLoss::Dapo, (sum_a + sum_b) / 5.0, [0.2, 0.2]),
        (PolicyLoss::DrGrpo { constant: 8.0 }, (sum_a + sum_b) / 16.0, [1.0 / 16.0, 1.0 / 16.0]),
    ] {
        let found = PolicyObjective { loss, ..OBJECTIVE }.evaluate(&sequences);
        assert_close(found.loss, expected, 1e-6);
        let slopes = [vec![-2.0, 0.0], vec![0.0, 1.5, 1.0]];
        for (found, (slopes, weight)) in found.d_log_probs.iter().zip(slopes.iter().zip(weights)) {
            assert_eq!(found.len(), slopes.len());
            for (found, slope) in found.iter().zip(slopes) {
                assert_close(f64::from(*found), slope * weight, 1e-6);
            }
        }
        assert_eq!(found.metrics.tokens, 5);
        assert_close(found.metrics.clip_ratio_low(), 0.2, 1e-12);
        assert_close(found.metrics.clip_ratio_high(), 0.2, 1e-12);
        assert_close(found.metrics.clip_ratio(), 0.4, 1e-12);
        assert_close(found.metrics.mean_ratio(), 5.5 / 5.0, 1e-6);
        assert_eq!(found.metrics.kl(), None);
    }
}

#[test]
fn the_divergence_by_hand() {
    // ref - log_prob = ln 2: kl = 2 - ln 2 - 1, slope 1 - 2; and equal: kl 0, slope 0.
    let log_probs = [-2.0, -1.0];
    let reference = moved(&log_probs, &[2.0, 1.0]);
    let sequence = PolicySequence {
        log_probs: &log_probs,
        old_log_probs: &log_probs,
        ref_log_probs: Some(&reference),
        advantage: Advantage(0.0),
        masked: false,
    };
    let found = PolicyObjective { kl_coef: 0.5, ..OBJECTIVE }.evaluate(&[sequence]);
    let kl = (1.0 - 2f64.ln()) / 2.0;
    assert_close(found.metrics.kl().unwrap(), kl, 1e-6);
    assert_close(found.loss, 0.5 * kl, 1e-6);
    assert_close(f64::from(found.d_log_probs[0][0]), -0.5 / 2.0, 1e-6);
    assert_close(f64::from(found.d_log_probs[0][1]), 0.0, 1e-6);
    // Without a coefficient it is measured and changes nothing.
    let found = OBJECTIVE.evaluate(&[sequence]);
    assert_close(found.metrics.kl().unwrap(), kl, 1e-6);
    assert_eq!((found.loss, found.d_log_probs), (0.0, vec![vec![0.0, 0.0]]));
}

#[test]
fn what_is_masked_counts_nothing() {
    let log_probs = [-1.0, -2.0, -0.25];
    let sequence = PolicySequence {
        log_probs: &log_probs,
        old_log_probs: &log_probs,
        ref_log_probs: None,
        advantage: Advantage(1.0),
        masked: false,
    };
    let masked = PolicySequence { masked: true, advantage: Advantage(-1.0), ..sequence };
    let empty = PolicySequence { log_probs: &[], old_log_probs: &[], ..sequence };
    for loss in [PolicyLoss::Grpo, PolicyLoss::Dapo, PolicyLoss::DrGrpo { constant: 4.0 }] {
        let objective = PolicyObjective { loss, ..OBJECTIVE };
        let alone = objective.evaluate(&[sequence]);
        let among = objective.evaluate(&[masked, sequence, empty]);
        assert_eq!((among.loss, among.metrics), (alone.loss, alone.metrics));
        assert_eq!(among.d_log_probs, [vec![0.0; 3], alone.d_log_probs[0].clone(), vec![]]);
        let none = objective.evaluate(&[masked]);
        assert_eq!((none.loss, none.metrics.tokens, none.metrics.mean_ratio()), (0.0, 0, 1.0));
    }
}

/// Log-probabilities, old ones, the reference's, and the advantage.
type Part = (Vec<f32>, Vec<f32>, Vec<f32>, Advantage);

/// Sequences of several lengths with ratios inside and outside of the clip on both sides, with a reference.
fn mixed() -> Vec<Part> {
    let old = [-1.5, -0.25, -3.0, -0.75, -2.0, -1.0];
    let ratios = [0.5, 0.9, 1.0625, 1.5, 0.7, 1.4];
    let references = [1.5, 0.8, 1.0, 0.5, 1.2, 2.0];
    let log_probs = moved(&old, &ratios);
    let reference = moved(&log_probs, &references);
    let part = |from: usize, to: usize, advantage: f64| {
        (
            log_probs[from..to].to_vec(),
            old[from..to].to_vec(),
            reference[from..to].to_vec(),
            Advantage(advantage),
        )
    };
    vec![part(0, 6, 0.75), part(0, 6, -0.25), part(1, 4, -1.5), part(3, 5, 0.0)]
}

fn sequences(parts: &[Part]) -> Vec<PolicySequence<'_>> {
    parts
        .iter()
        .map(|(log_probs, old_log_probs, reference, advantage)| PolicySequence {
            log_probs,
            old_log_probs,
            ref_log_probs: Some(reference),
            advantage: *advantage,
            masked: false,
        })
        .collect()
}

#[test]
fn gradients_are_finite_differences() {
    for loss in [PolicyLoss::Grpo, PolicyLoss::Dapo, PolicyLoss::DrGrpo { constant: 16.0 }] {
        for kl_coef in [0.0, 0.05] {
            let objective = PolicyObjective { loss, kl_coef, ..OBJECTIVE };
            let parts = mixed();
            let found = objective.evaluate(&sequences(&parts));
            for row in 0..parts.len() {
                for i in 0..parts[row].0.len() {
                    // The step that f32 really makes.
                    let at = |by: f32| {
                        let mut parts = mixed();
                        parts[row].0[i] += by;
                        (objective.evaluate(&sequences(&parts)).loss, f64::from(parts[row].0[i]))
                    };
                    let ((high, x_high), (low, x_low)) = (at(1e-3), at(-1e-3));
                    let slope = (high - low) / (x_high - x_low);
                    assert!(
                        (f64::from(found.d_log_probs[row][i]) - slope).abs() < 1e-6,
                        "{loss:?} {row} {i}"
                    );
                }
            }
        }
    }
}

#[test]
fn parts_add_up() {
    for loss in [PolicyLoss::Grpo, PolicyLoss::Dapo, PolicyLoss::DrGrpo { constant: 16.0 }] {
        let objective = PolicyObjective { loss, kl_coef: 0.1, ..OBJECTIVE };
        let parts = mixed();
        let all = sequences(&parts);
        let whole = objective.evaluate(&all);
        let totals = Totals::of(&all);
        let (mut sum, mut metrics, mut d) = (0.0, PolicyMetrics::default(), Vec::new());
        for part in all.chunks(3) {
            let found = objective.evaluate_part(part, totals);
            sum += found.loss;
            metrics.add(&found.metrics);
            d.extend(found.d_log_probs);
        }
        assert_close(sum, whole.loss, 1e-12);
        assert_eq!(d, whole.d_log_probs);
        assert_eq!((metrics.tokens, metrics.ref_tokens), (17, 17));
        assert_close(metrics.kl().unwrap(), whole.metrics.kl().unwrap(), 1e-12);
        assert_close(metrics.clip_ratio(), whole.metrics.clip_ratio(), 1e-12);
    }
}
