//! What is learned from each token: losses and their gradients by log-probability, on plain numbers.
//!
//! Cross-entropy for SFT, and the clipped policy losses of RL (Schulman et al., arXiv 1707.06347), which differ in how
//! tokens are averaged: GRPO (Shao et al., arXiv 2402.03300), DAPO (Yu et al., arXiv 2503.14476), Dr.GRPO (Liu et al.,
//! arXiv 2503.20783). For a token with `r = exp(log_prob - old_log_prob)` and the advantage `A` of its sequence:
//!
//! ```text
//! loss = -min(r A, clamp(r, 1 - clip_epsilon, 1 + clip_epsilon_high) A) + kl_coef * kl
//! kl   = exp(ref_log_prob - log_prob) - (ref_log_prob - log_prob) - 1          (k3: unbiased, never negative)
//! ```
//!
//! Sums are in f64, in order. What is not here: where log-probabilities come from (`vocabulary`), rewards and
//! advantages (`reward`, `advantage`).

use crate::advantage::Advantage;

/// Cross-entropy: the mean of `-log_prob`, weighted. `total_weight` is the sum of the weights of the whole step, of
/// which these tokens may be a part; without any weight there is no loss.
pub fn cross_entropy(log_probs: &[f32], weights: &[f32], total_weight: f64) -> f64 {
    assert_eq!(log_probs.len(), weights.len(), "one weight for each token");
    let sum: f64 = log_probs.iter().zip(weights).map(|(l, w)| -f64::from(*l) * f64::from(*w)).sum();
    if total_weight > 0.0 { sum / total_weight } else { 0.0 }
}

/// The gradient of [`cross_entropy`] by each log-probability, on which it does not depend.
pub fn cross_entropy_gradient(weights: &[f32], total_weight: f64) -> Vec<f32> {
    let factor = if total_weight > 0.0 { -1.0 / total_weight } else { 0.0 };
    weights.iter().map(|weight| (f64::from(*weight) * factor) as f32).collect()
}

/// How the tokens' losses are averaged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PolicyLoss {
    /// Over the tokens of a sequence, then over the sequences: a token of a short sequence counts more.
    Grpo,
    /// Over all tokens: a long sequence counts more.
    Dapo,
    /// Their sum, divided by the number of sequences times a constant: no length is favoured.
    DrGrpo {
        /// Commonly the longest completion allowed.
        constant: f64,
    },
}

/// A policy loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyObjective {
    /// How tokens are averaged.
    pub loss: PolicyLoss,
    /// The ratio is clipped below at 1 minus this.
    pub clip_epsilon: f64,
    /// The ratio is clipped above at 1 plus this.
    pub clip_epsilon_high: f64,
    /// Weight of the divergence from the reference; 0 turns it off.
    pub kl_coef: f64,
}

/// One completion.
#[derive(Debug, Clone, Copy)]
pub struct PolicySequence<'a> {
    /// Of its tokens under the model that learns.
    pub log_probs: &'a [f32],
    /// Under the model that wrote it.
    pub old_log_probs: &'a [f32],
    /// Under the frozen reference, where there is one.
    pub ref_log_probs: Option<&'a [f32]>,
    /// How much better than its group it did.
    pub advantage: Advantage,
    /// Counts nothing, neither as a sequence nor by its tokens: one that was cut off at the length limit.
    pub masked: bool,
}

impl PolicySequence<'_> {
    fn counts(&self) -> bool {
        !self.masked && !self.log_probs.is_empty()
    }
}

/// What a loss is an average over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Sequences that count.
    pub sequences: usize,
    /// Their tokens.
    pub tokens: usize,
}

impl Totals {
    /// Of these sequences.
    pub fn of(sequences: &[PolicySequence<'_>]) -> Self {
        let mut totals = Self::default();
        for sequence in sequences.iter().filter(|sequence| sequence.counts()) {
            totals.sequences += 1;
            totals.tokens += sequence.log_probs.len();
        }
        totals
    }
}

/// What a policy loss saw, as sums over tokens, so that parts of a step add up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PolicyMetrics {
    /// Tokens that counted.
    pub tokens: usize,
    /// Those of them with a reference.
    pub ref_tokens: usize,
    kl: f64,
    ratio: f64,
    clipped_low: usize,
    clipped_high: usize,
}

impl PolicyMetrics {
    /// Mean k3 divergence from the reference, where there is one.
    pub fn kl(&self) -> Option<f64> {
        (self.ref_tokens > 0).then(|| self.kl / self.ref_tokens as f64)
    }

    /// Mean ratio of the new to the old probability; 1 on-policy.
    pub fn mean_ratio(&self) -> f64 {
        if self.tokens == 0 { 1.0 } else { self.ratio / self.tokens as f64 }
    }

    /// Share of the tokens that have become so improbable that a negative advantage moves them no further.
    pub fn clip_ratio_low(&self) -> f64 {
        self.clipped_low as f64 / self.tokens.max(1) as f64
    }

    /// Share of the tokens that have become so probable that a positive advantage moves them no further.
    pub fn clip_ratio_high(&self) -> f64 {
        self.clipped_high as f64 / self.tokens.max(1) as f64
    }

    /// Share of the tokens that are clipped at either end.
    pub fn clip_ratio(&self) -> f64 {
        self.clip_ratio_low() + self.clip_ratio_high()
    }

    /// With the tokens of another part.
    pub fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.ref_tokens += other.ref_tokens;
        self.kl += other.kl;
        self.ratio += other.ratio;
        self.clipped_low += other.clipped_low;
        self.clipped_high += other.clipped_high;
    }
}

/// A loss, and which way it falls.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenGradients {
    /// The loss, or this part's share of it.
    pub loss: f64,
    /// d loss / d log_prob of each token of each sequence; zeros where a sequence is masked.
    pub d_log_probs: Vec<Vec<f32>>,
    /// What was seen on the way.
    pub metrics: PolicyMetrics,
}

impl PolicyObjective {
    /// The loss over these sequences, which are a whole step.
    ///
    /// # Panics
    /// Where the slices of a sequence differ in length.
    pub fn evaluate(&self, sequences: &[PolicySequence<'_>]) -> TokenGradients {
        self.evaluate_part(sequences, Totals::of(sequences))
    }

    /// The share of these sequences in the loss of a step with such totals: the parts of a step add up to its loss and
    /// its gradient.
    ///
    /// # Panics
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_part(&self, sequences: &[PolicySequence<'_>], totals: Totals) -> TokenGradients {
        let mut metrics = PolicyMetrics::default();
        let mut loss = 0.0;
        let mut d_log_probs = Vec::with_capacity(sequences.len());
        for sequence in sequences {
            let count = sequence.log_probs.len();
            if !sequence.counts() {
                d_log_probs.push(vec![0.0; count]);
                continue;
            }
            let weight = match self.loss {
                PolicyLoss::Grpo => 1.0 / (count * totals.sequences.max(1)) as f64,
                PolicyLoss::Dapo => 1.0 / totals.tokens.max(1) as f64,
                PolicyLoss::DrGrpo { constant } => 1.0 / (totals.sequences.max(1) as f64 * constant),
            };
            assert_eq!(count, sequence.old_log_probs.len(), "one old log-probability for each token");
            let reference = sequence.ref_log_probs;
            assert!(
                reference.is_none_or(|reference| reference.len() == count),
                "one reference for each token"
            );
            let mut d = Vec::with_capacity(count);
            for i in 0..count {
                let at = |log_probs: &[f32]| f64::from(log_probs[i]);
                let (log_prob, old) = (at(sequence.log_probs), at(sequence.old_log_probs));
                let (token_loss, slope) =
                    self.token(log_prob, old, reference.map(at), sequence.advantage.0, &mut metrics);
                loss += token_loss * weight;
                d.push((slope * weight) as f32);
            }
            d_log_probs.push(d);
        }
        TokenGradients { loss, d_log_probs, metrics }
    }

    /// The loss of one token and its slope.
    fn token(
        &self,
        log_prob: f64,
        old: f64,
        reference: Option<f64>,
        advantage: f64,
        metrics: &mut PolicyMetrics,
    ) -> (f64, f64) {
        let ratio = (log_prob - old).exp();
        let (low, high) = (1.0 - self.clip_epsilon, 1.0 + self.clip_epsilon_high);
        // The smaller of the two products is the clipped one exactly where the ratio has left the interval in the
        // direction that the advantage pushes to; there the slope is 0.
        let is_low = ratio < low && advantage < 0.0;
        let is_high = ratio > high && advantage > 0.0;
        let (mut loss, mut slope) = match (is_low, is_high) {
            (true, _) => (-low * advantage, 0.0),
            (_, true) => (-high * advantage, 0.0),
            _ => (-ratio * advantage, -ratio * advantage),
        };
        metrics.tokens += 1;
        metrics.ratio += ratio;
        metrics.clipped_low += usize::from(is_low);
        metrics.clipped_high += usize::from(is_high);
        if let Some(reference) = reference {
            let behind = reference - log_prob;
            let kl = behind.exp() - behind - 1.0;
            metrics.ref_tokens += 1;
            metrics.kl += kl;
            if self.kl_coef != 0.0 {
                loss += self.kl_coef * kl;
                slope += self.kl_coef * (1.0 - behind.exp());
            }
        }
        (loss, slope)
    }
}

#[cfg(test)]
mod tests;
