//! From rewards to advantages.
//!
//! A [`Reward`] says how good a completion is, an [`Advantage`] how much better than its group; they are not to be
//! mixed up. What is not here: how rewards come about (`reward`), what advantages do (`objective`).

use conclave_core::metrics::pass_at_k;
use serde::{Deserialize, Serialize};

/// How good a completion is.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reward(pub f64);

/// How much better than its group a completion is.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Advantage(pub f64);

/// What `reward - mean` is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleRewards {
    /// The standard deviation within the group (GRPO): hard and easy problems count as much as others.
    #[default]
    Group,
    /// The standard deviation of all rewards of the step.
    Batch,
    /// Nothing (Dr.GRPO).
    None,
}

/// Keeps a group of equal rewards from a division by zero, and its noise small.
const SCALE_FLOOR: f64 = 1e-4;

/// Advantages of completions that stand group by group, `group_size` of one prompt together: `reward - mean of the
/// group`, optionally divided by a sample standard deviation + 1e-4.
pub fn group_advantages(rewards: &[Reward], scale: ScaleRewards, group_size: usize) -> Vec<Advantage> {
    let batch = deviation(rewards);
    let mut advantages = Vec::with_capacity(rewards.len());
    for group in rewards.chunks(group_size.max(1)) {
        let divisor = match scale {
            ScaleRewards::Group => deviation(group) + SCALE_FLOOR,
            ScaleRewards::Batch => batch + SCALE_FLOOR,
            ScaleRewards::None => 1.0,
        };
        let mean = mean(group);
        advantages.extend(group.iter().map(|reward| Advantage((reward.0 - mean) / divisor)));
    }
    advantages
}

/// The mean of some rewards; 0 of none.
pub fn mean(rewards: &[Reward]) -> f64 {
    // By differences from the first, so that the mean of equal rewards is exactly theirs and nothing is learned from
    // rounding.
    let Some(first) = rewards.first() else { return 0.0 };
    first.0 + rewards.iter().map(|reward| reward.0 - first.0).sum::<f64>() / rewards.len() as f64
}

/// The sample standard deviation of some rewards; 0 of less than two.
pub fn deviation(rewards: &[Reward]) -> f64 {
    if rewards.len() < 2 {
        return 0.0;
    }
    let mean = mean(rewards);
    let squares: f64 = rewards.iter().map(|reward| (reward.0 - mean).powi(2)).sum();
    (squares / (rewards.len() - 1) as f64).sqrt()
}

/// Advantages of one group under the pass@k objective (ParaGator, arXiv 2603.18886): the reward of a set of `k`
/// completions is 1 where any of them is correct, and a completion's advantage is the mean reward of the sets it is in
/// minus the mean reward of all sets. They sum to zero, and are zero where nothing or everything is correct, and where
/// every set of `k` holds a correct one.
///
/// In closed form, with `n` completions of which `c` are correct: `pass@k(n, c)` is the mean over all sets; the sets of
/// a correct one all succeed; those of a wrong one succeed where one of the other `k - 1`, of `n - 1`, is correct. `k` is
/// taken within `1..=n`; at 1 it is the plain `reward - mean`.
pub fn pass_at_k_advantages(correct: &[bool], k: usize) -> Vec<Advantage> {
    let n = correct.len() as u64;
    let c = correct.iter().filter(|correct| **correct).count() as u64;
    let k = (k as u64).clamp(1, n.max(1));
    // Both are within the bounds that `pass_at_k` asks for, wherever a completion is there to have an advantage.
    let mean = pass_at_k(n, c, k).unwrap_or_default();
    let of_wrong = if k == 1 { 0.0 } else { pass_at_k(n.saturating_sub(1), c, k - 1).unwrap_or(1.0) };
    correct.iter().map(|correct| Advantage(if *correct { 1.0 } else { of_wrong } - mean)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_close(found: &[Advantage], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        let close = |(found, expected): (&Advantage, &f64)| (found.0 - expected).abs() < 1e-12;
        assert!(found.iter().zip(expected).all(close), "{found:?}, expected {expected:?}");
    }

    #[test]
    fn groups_by_hand() {
        // Group means 0.5 and 2; sample variances 1/3 and 8/3; that of all eight, around 1.25: 10.5 / 7.
        let rewards = [0.0, 0.0, 1.0, 1.0, 0.0, 2.0, 2.0, 4.0].map(Reward);
        let centred = [-0.5, -0.5, 0.5, 0.5, -2.0, 0.0, 0.0, 2.0];
        assert_close(&group_advantages(&rewards, ScaleRewards::None, 4), &centred);
        let (first, second) = ((1f64 / 3.0).sqrt() + 1e-4, (8f64 / 3.0).sqrt() + 1e-4);
        let divisors = [first, first, first, first, second, second, second, second];
        let scaled: Vec<f64> = centred.iter().zip(divisors).map(|(a, divisor)| a / divisor).collect();
        assert_close(&group_advantages(&rewards, ScaleRewards::Group, 4), &scaled);
        // Squares around 1.25: 3 x 1.5625 + 2 x 0.0625 + 2 x 0.5625 + 7.5625 = 13.5.
        let batch = (13.5f64 / 7.0).sqrt() + 1e-4;
        let scaled: Vec<f64> = centred.iter().map(|a| a / batch).collect();
        assert_close(&group_advantages(&rewards, ScaleRewards::Batch, 4), &scaled);
    }

    #[test]
    fn equal_rewards_teach_nothing() {
        for value in [0.0, 0.05, 1.0, 0.1] {
            for scale in [ScaleRewards::Group, ScaleRewards::Batch, ScaleRewards::None] {
                let advantages = group_advantages(&[Reward(value); 7], scale, 7);
                assert!(advantages.iter().all(|advantage| advantage.0 == 0.0), "{value} {scale:?}");
            }
        }
        assert_eq!(group_advantages(&[Reward(3.0)], ScaleRewards::Group, 1), [Advantage(0.0)]);
        assert_eq!(group_advantages(&[], ScaleRewards::Batch, 4), []);
    }

    #[test]
    fn pass_at_k_of_the_paper() {
        let group = |wrong: usize| (0..8).map(|i| i >= wrong).collect::<Vec<bool>>();
        let found = pass_at_k_advantages(&group(7), 4);
        assert!((found[7].0 - 0.5).abs() < 1e-12 && (found[0].0 + 1.0 / 14.0).abs() < 1e-12);
        let found = pass_at_k_advantages(&group(6), 4);
        assert!((found[7].0 - 3.0 / 14.0).abs() < 1e-12 && (found[0].0 + 1.0 / 14.0).abs() < 1e-12);
    }

    #[test]
    fn pass_at_1_is_reward_minus_mean() {
        let correct = [true, false, false, true, false];
        let rewards = correct.map(|correct| Reward(f64::from(u8::from(correct))));
        let expected: Vec<f64> =
            group_advantages(&rewards, ScaleRewards::None, 5).iter().map(|advantage| advantage.0).collect();
        assert_close(&pass_at_k_advantages(&correct, 1), &expected);
    }

    /// Every group of up to 10, every k: against the mean over all subsets of k, one by one.
    #[test]
    fn pass_at_k_by_brute_force() {
        for n in 1..=10usize {
            for pattern in 0..1u32 << n {
                let correct: Vec<bool> = (0..n).map(|i| pattern >> i & 1 == 1).collect();
                for k in 1..=n {
                    let (mut sets, mut successes) = (0, 0);
                    let (mut sets_with, mut successes_with) = (vec![0; n], vec![0; n]);
                    for set in (0..1u32 << n).filter(|set| set.count_ones() as usize == k) {
                        let success = u32::from(set & pattern != 0);
                        (sets, successes) = (sets + 1, successes + success);
                        for i in (0..n).filter(|i| set >> i & 1 == 1) {
                            sets_with[i] += 1;
                            successes_with[i] += success;
                        }
                    }
                    let mean = f64::from(successes) / f64::from(sets);
                    let of = |i: usize| f64::from(successes_with[i]) / f64::from(sets_with[i]) - mean;
                    let expected: Vec<f64> = (0..n).map(of).collect();
                    let found = pass_at_k_advantages(&correct, k);
                    assert_close(&found, &expected);
                    assert!(found.iter().map(|advantage| advantage.0).sum::<f64>().abs() < 1e-12);
                    let wrong = |(found, correct): (&Advantage, &bool)| !correct && found.0 > 1e-12;
                    assert!(!found.iter().zip(&correct).any(wrong), "a wrong answer is never encouraged");
                }
            }
        }
    }

    #[test]
    fn no_signal_no_advantage() {
        // Fewer wrong ones than k: every set succeeds. None correct: none does. k beyond the group is the group.
        for (correct, k) in
            [(&[true, false, true][..], 2), (&[false; 4], 2), (&[true; 4], 3), (&[true, false], 9)]
        {
            assert!(pass_at_k_advantages(correct, k).iter().all(|advantage| advantage.0.abs() < 1e-12));
        }
        assert_eq!(pass_at_k_advantages(&[], 4), []);
    }
}
