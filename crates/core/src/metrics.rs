//! The arithmetic of evaluation: pass@k, what a pool of graded candidates is worth, paired bootstrap intervals.
//!
//! What lives here: numbers in, numbers out. What does not: which rows count and what a file's report says
//! ([`crate::report`]).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// Resamples of a bootstrap.
pub const RESAMPLES: usize = 2_000;

/// A figure over problems with its 95 % bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The figure on the data.
    pub value: f64,
    /// 2.5th percentile of the resamples.
    pub low: f64,
    /// 97.5th percentile of the resamples.
    pub high: f64,
}

/// Numbers for which pass@k is not defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("pass@{k} of {correct} correct among {n}: expected 1 <= k <= n and correct <= n")]
pub struct PassAtKError {
    /// Candidates.
    pub n: u64,
    /// Correct ones.
    pub correct: u64,
    /// Drawn.
    pub k: u64,
}

/// pass@k: the probability that k of `n` candidates, drawn without putting back, hold one of the `correct` ones. The
/// unbiased estimator 1 - C(n - c, k) / C(n, k) of Chen et al. (arXiv 2107.03374), as a product that cannot overflow.
///
/// # Errors
/// Unless 1 <= k <= n and c <= n.
pub fn pass_at_k(n: u64, correct: u64, k: u64) -> Result<f64, PassAtKError> {
    if k == 0 || k > n || correct > n {
        return Err(PassAtKError { n, correct, k });
    }
    if n - correct < k {
        return Ok(1.0);
    }
    // C(n-c, k) / C(n, k) is symmetric in c and k; the shorter product is taken.
    let (short, long) = (correct.min(k), correct.max(k));
    let none: f64 = (0..short).map(|i| 1.0 - long as f64 / (n - i) as f64).product();
    Ok(1.0 - none)
}

/// One class of equal answers in a pool, as far as metrics go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradedClass {
    /// Candidates in it.
    pub votes: usize,
    /// Index of its earliest candidate.
    pub earliest: usize,
    /// 1 correct, 0 wrong.
    pub correct: f64,
}

/// What the majority of a pool is worth.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Majority {
    /// Expected value where the largest classes tie: the mean over them.
    pub expected: f64,
    /// Ties broken by the earliest candidate, as `majority_vote` does.
    pub first: f64,
}

/// The majority among `classes`; nothing is worth 0.
pub fn majority(classes: &[GradedClass]) -> Majority {
    let most = classes.iter().map(|class| class.votes).max().unwrap_or(0);
    let tied = || classes.iter().filter(|class| class.votes == most);
    let Some(first) = tied().min_by_key(|class| class.earliest) else { return Majority::default() };
    Majority {
        expected: tied().map(|class| class.correct).sum::<f64>() / tied().count() as f64,
        first: first.correct,
    }
}

/// One figure's parts, one entry a problem: the figure is the ratio of the sums. A mean has ones below.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ratio {
    /// Numerators.
    pub above: Vec<f64>,
    /// Denominators.
    pub below: Vec<f64>,
}

impl Ratio {
    /// The mean of `values`.
    pub fn mean(values: Vec<f64>) -> Self {
        Self { below: vec![1.0; values.len()], above: values }
    }
}

/// The figures with 95 % percentile intervals from [`RESAMPLES`] resamples of the problems, paired: every figure sees the
/// same resamples, so that differences between figures of one report are meaningful. Null where the sum below is 0 (no
/// problems; nothing to gain); resamples in which it is are left out. Every ratio must have one entry a problem.
///
/// The seed fixes the resamples: a report recomputed from the same rows is the same.
pub fn paired_bootstrap(ratios: &[Ratio], seed: u64) -> Vec<Option<Figure>> {
    let problems = ratios.iter().map(|ratio| ratio.above.len().min(ratio.below.len())).min().unwrap_or(0);
    let mut resampled: Vec<Vec<f64>> = vec![Vec::with_capacity(RESAMPLES); ratios.len()];
    resamples(problems, seed, &mut |counts| {
        for (ratio, values) in ratios.iter().zip(&mut resampled) {
            values.extend(quotient(ratio, |problem| f64::from(counts[problem]), problems));
        }
    });
    let figures = ratios
        .iter()
        .zip(&mut resampled)
        .map(|(ratio, values)| Some(interval(quotient(ratio, |_| 1.0, problems)?, values)));
    figures.collect()
}

/// [`RESAMPLES`] resamples of so many problems: how often each is drawn.
pub(crate) fn resamples(problems: usize, seed: u64, each: &mut dyn FnMut(&[u32])) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut counts = vec![0u32; problems];
    for _ in 0..RESAMPLES {
        counts.fill(0);
        for _ in 0..problems {
            // Multiply-shift: a 32-bit draw scaled to 0..problems.
            let draw = (u64::from(rng.next_u32()) * problems as u64) >> 32;
            counts[draw as usize] += 1;
        }
        each(&counts);
    }
}

/// A figure with the percentiles of its resamples.
pub(crate) fn interval(value: f64, resampled: &mut [f64]) -> Figure {
    resampled.sort_by(f64::total_cmp);
    Figure { value, low: percentile(resampled, 0.025, value), high: percentile(resampled, 0.975, value) }
}

fn quotient(ratio: &Ratio, weight: impl Fn(usize) -> f64, problems: usize) -> Option<f64> {
    let (mut above, mut below) = (0.0, 0.0);
    for problem in 0..problems {
        let weight = weight(problem);
        above += weight * ratio.above[problem];
        below += weight * ratio.below[problem];
    }
    // The parts are sums of shares: what is left of zero after rounding is zero.
    (below.abs() > 1e-9).then(|| above / below)
}

/// The percentile of sorted values, between neighbours by proportion; `otherwise` where there are none.
fn percentile(sorted: &[f64], share: f64, otherwise: f64) -> f64 {
    let place = share * (sorted.len().max(1) - 1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    match (sorted.get(low), sorted.get(high)) {
        (Some(a), Some(b)) => a + (b - a) * place.fract(),
        _ => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By counting all subsets.
    fn brute_pass_at_k(n: u32, correct: u32, k: u32) -> f64 {
        let (mut all, mut hit) = (0.0, 0.0);
        for subset in 0u32..1 << n {
            if subset.count_ones() == k {
                all += 1.0;
                hit += f64::from(u8::from(subset & ((1 << correct) - 1) != 0));
            }
        }
        hit / all
    }

    #[test]
    fn pass_at_k_is_the_share_of_subsets() {
        for n in 1..=9 {
            for correct in 0..=n {
                for k in 1..=n {
                    let found = pass_at_k(n.into(), correct.into(), k.into()).unwrap();
                    assert!((found - brute_pass_at_k(n, correct, k)).abs() < 1e-12, "{n} {correct} {k}");
                }
            }
        }
    }

    #[test]
    fn pass_at_k_refuses_what_is_not_defined() {
        for (n, correct, k) in [(4, 1, 5), (4, 1, 0), (4, 5, 1), (0, 0, 1)] {
            assert_eq!(pass_at_k(n, correct, k), Err(PassAtKError { n, correct, k }));
        }
        assert_eq!(
            pass_at_k(4, 1, 5).unwrap_err().to_string(),
            "pass@5 of 1 correct among 4: expected 1 <= k <= n and correct <= n"
        );
        assert_eq!(pass_at_k(1_000_000_000, 1, 1_000_000_000), Ok(1.0));
    }

    #[test]
    fn majorities() {
        let class = |votes, earliest, correct| GradedClass { votes, earliest, correct };
        let tie = [class(2, 3, 1.0), class(2, 0, 0.0), class(1, 1, 1.0), class(2, 4, 0.0)];
        assert_eq!(majority(&tie), Majority { expected: 1.0 / 3.0, first: 0.0 });
        assert_eq!(majority(&tie[2..3]), Majority { expected: 1.0, first: 1.0 });
        assert_eq!(majority(&[]), Majority { expected: 0.0, first: 0.0 });
    }

    #[test]
    fn the_bootstrap_of_a_proportion_is_near_the_normal_interval() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i % 4 == 0))).collect();
        let figure = paired_bootstrap(&[Ratio::mean(values)], 1)[0].unwrap();
        let half = 1.96 * (0.25f64 * 0.75 / 400.0).sqrt();
        assert_eq!(figure.value, 0.25);
        assert!((figure.low - (0.25 - half)).abs() < 0.005, "{figure:?}");
        assert!((figure.high - (0.25 + half)).abs() < 0.005, "{figure:?}");
    }

    #[test]
    fn the_bootstrap_is_paired_and_seeded() {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i % 7)).collect();
        let double: Vec<f64> = values.iter().map(|value| value * 2.0).collect();
        let figures = paired_bootstrap(&[Ratio::mean(values.clone()), Ratio::mean(double)], 9);
        let (one, two) = (figures[0].unwrap(), figures[1].unwrap());
        assert!((one.low * 2.0 - two.low).abs() < 1e-12 && (one.high * 2.0 - two.high).abs() < 1e-12);
        assert_eq!(paired_bootstrap(&[Ratio::mean(values)], 9)[0].unwrap(), one);
    }

    #[test]
    fn nothing_below_is_null() {
        let none = Ratio { above: vec![0.0, 0.0], below: vec![0.0, 0.0] };
        assert_eq!(paired_bootstrap(&[none, Ratio::mean(vec![])], 1), [None, None]);
        let rare = Ratio { above: vec![1.0, 0.0], below: vec![2.0, 0.0] };
        let figure = paired_bootstrap(&[rare], 1)[0].unwrap();
        assert_eq!((figure.value, figure.low, figure.high), (0.5, 0.5, 0.5));
    }
}
