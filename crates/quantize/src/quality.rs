//! How far the logits of a changed model are from those of the model it was made from.
//!
//! For each position of held-out text, with p the reference's distribution over the vocabulary and q the other's:
//!
//! - the Kullback-Leibler divergence `KL(p || q) = sum p (log p - log q)`, in nats, both from a log-softmax in f64;
//! - whether both have the same most likely token (the first of equals);
//! - whether they differ though the reference was sure: its two most likely tokens are more than a margin apart. Where
//!   they are nearly equal, rounding alone can turn them over; where they are not, something is wrong.

use crate::error::{Error, Result, expect_len};

/// Sums over positions, added one at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    margin: f64,
    positions: usize,
    divergence: f64,
    largest_divergence: f64,
    agreeing: usize,
    differing_beyond_margin: usize,
}

impl Comparison {
    /// No positions yet. The reference is sure where its first two tokens are more than `margin` nats apart.
    pub fn new(margin: f64) -> Self {
        Self { margin, ..Self::default() }
    }

    /// Adds a position: the logits of both models over one vocabulary. Minus infinity stands for a token that cannot be.
    ///
    /// # Errors
    /// Vocabularies of different sizes or none, a logit that is NaN or plus infinity, no token that can be.
    pub fn add(&mut self, reference: &[f32], other: &[f32]) -> Result<()> {
        expect_len("the number of logits", other.len(), reference.len())?;
        let (p, q) = (Position::of(reference)?, Position::of(other)?);
        let divergence: f64 = reference.iter().zip(other).map(|(&a, &b)| p.divergence(a, &q, b)).sum();
        // Rounding can leave a little less than nothing.
        let divergence = divergence.max(0.0);
        self.positions += 1;
        self.divergence += divergence;
        self.largest_divergence = self.largest_divergence.max(divergence);
        if p.first == q.first {
            self.agreeing += 1;
        } else if p.lead > self.margin {
            self.differing_beyond_margin += 1;
        }
        Ok(())
    }

    /// Adds the positions of another comparison, as of another thread.
    pub fn merge(&mut self, other: &Self) {
        self.positions += other.positions;
        self.divergence += other.divergence;
        self.largest_divergence = self.largest_divergence.max(other.largest_divergence);
        self.agreeing += other.agreeing;
        self.differing_beyond_margin += other.differing_beyond_margin;
    }

    /// The number of positions.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Mean divergence in nats; `None` without positions.
    pub fn mean_divergence(&self) -> Option<f64> {
        (self.positions > 0).then(|| self.divergence / self.positions as f64)
    }

    /// The largest divergence of a position, in nats.
    pub fn largest_divergence(&self) -> f64 {
        self.largest_divergence
    }

    /// Share of positions at which both have the same most likely token; `None` without positions.
    pub fn agreement(&self) -> Option<f64> {
        (self.positions > 0).then(|| self.agreeing as f64 / self.positions as f64)
    }

    /// Positions at which they differ though the reference's first two tokens are more than the margin apart.
    pub fn differing_beyond_margin(&self) -> usize {
        self.differing_beyond_margin
    }
}

/// What one model says of the next token.
struct Position {
    /// The most likely token, the first of equals.
    first: usize,
    /// Nats from it to the second; infinite where there is none.
    lead: f64,
    /// Logarithm of the sum of exponentials.
    normaliser: f64,
}

impl Position {
    fn of(logits: &[f32]) -> Result<Self> {
        if let Some(token) = logits.iter().position(|&logit| logit.is_nan() || logit == f32::INFINITY) {
            return Err(Error::Logit { token, value: logits[token] });
        }
        let (mut first, mut most, mut second) = (0, f64::NEG_INFINITY, f64::NEG_INFINITY);
        for (token, &logit) in logits.iter().enumerate() {
            let logit = f64::from(logit);
            if logit > most {
                (first, second, most) = (token, most, logit);
            } else if logit > second {
                second = logit;
            }
        }
        if most == f64::NEG_INFINITY {
            let (what, expected) = ("the number of tokens that can be", "1 or more".to_owned());
            return Err(Error::Size { what, found: 0, expected });
        }
        let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - most).exp()).sum();
        Ok(Self { first, lead: most - second, normaliser: most + sum.ln() })
    }

    /// `p (log p - log q)` for a token with the logits `mine` and `theirs`.
    fn divergence(&self, mine: f32, other: &Self, theirs: f32) -> f64 {
        if mine == f32::NEG_INFINITY {
            return 0.0;
        }
        let log_p = f64::from(mine) - self.normaliser;
        let log_q = f64::from(theirs) - other.normaliser;
        log_p.exp() * (log_p - log_q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(pairs: &[(&[f32], &[f32])]) -> Comparison {
        let mut comparison = Comparison::new(0.1);
        for (reference, other) in pairs {
            comparison.add(reference, other).unwrap();
        }
        comparison
    }

    #[test]
    fn a_divergence_by_hand() {
        // p = (3/4, 1/4), q = (1/2, 1/2): 3/4 ln 3/2 + 1/4 ln 1/2.
        let comparison = compared(&[(&[3.0_f32.ln(), 0.0], &[5.0, 5.0])]);
        let expected = 0.75 * 1.5_f64.ln() + 0.25 * 0.5_f64.ln();
        assert!((comparison.mean_divergence().unwrap() - expected).abs() < 1e-7);
        // Equal logits: the first of them, which is the reference's too.
        assert_eq!(comparison.agreement(), Some(1.0));
    }

    #[test]
    fn a_shift_of_all_logits_changes_nothing() {
        let a: Vec<f32> = (0..50).map(|token| (token * 37 % 11) as f32 * 0.5).collect();
        let b: Vec<f32> = a.iter().map(|logit| logit + 1000.0).collect();
        let comparison = compared(&[(&a, &b)]);
        assert!(comparison.mean_divergence().unwrap() < 1e-9);
        assert_eq!(comparison.differing_beyond_margin(), 0);
    }

    #[test]
    fn only_a_sure_reference_counts_as_different() {
        let comparison = compared(&[
            (&[1.0, 1.05, 0.0], &[1.05, 1.0, 0.0]),
            (&[1.0, 2.0, 0.0], &[2.0, 1.0, 0.0]),
            (&[1.0, 2.0, 0.0], &[1.0, 2.0, 0.0]),
        ]);
        assert_eq!(comparison.agreement(), Some(1.0 / 3.0));
        assert_eq!(comparison.differing_beyond_margin(), 1);
        assert_eq!(comparison.positions(), 3);
    }

    #[test]
    fn merged_parts_are_the_whole() {
        let (a, b): (&[f32], &[f32]) = (&[0.0, 1.0, 3.0], &[2.0, 1.0, -1.0]);
        let mut merged = compared(&[(a, b)]);
        merged.merge(&compared(&[(b, a), (a, a)]));
        let whole = compared(&[(a, b), (b, a), (a, a)]);
        assert!((merged.mean_divergence().unwrap() - whole.mean_divergence().unwrap()).abs() < 1e-12);
        assert_eq!(merged.agreement(), whole.agreement());
    }

    #[test]
    fn impossible_tokens_and_wrong_logits() {
        let out = f32::NEG_INFINITY;
        assert_eq!(compared(&[(&[0.0, out], &[0.0, out])]).mean_divergence(), Some(0.0));
        assert_eq!(compared(&[(&[0.0, 0.0], &[0.0, out])]).mean_divergence(), Some(f64::INFINITY));
        let mut comparison = Comparison::new(0.1);
        for (reference, other) in [
            (&[0.0, 1.0][..], &[0.0][..]),
            (&[], &[]),
            (&[f32::NAN], &[0.0]),
            (&[0.0], &[f32::INFINITY]),
            (&[out, out], &[0.0, 0.0]),
        ] {
            assert!(comparison.add(reference, other).is_err(), "{reference:?} {other:?}");
        }
        assert_eq!((comparison.mean_divergence(), comparison.agreement()), (None, None));
    }
}
