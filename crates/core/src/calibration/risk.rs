//! The threshold below which answers are withheld, chosen on labelled rows so that a promised share of wrong answers holds.
//!
//! The risk is that among the rows which keep their answer. It need not fall with the threshold, so conformal risk control
//! (Angelopoulos et al., arXiv 2208.02814), which wants a monotone loss, does not give it. Learn then Test does
//! (Angelopoulos et al., arXiv 2110.01052): each threshold of a list that is fixed beforehand is a hypothesis "more than alpha
//! of the answers that it keeps are wrong", tested by the exact binomial tail, as in selective classification
//! (Geifman and El-Yaniv, arXiv 1705.08500). The tests go from the strictest threshold on and end at the first that does not
//! reject (fixed sequence testing), so that none of them costs the others anything.
//!
//! The sequence begins where a threshold keeps twice the rows of which all must be right for a rejection: with fewer, one
//! wrong answer by chance would end it at once. That beginning is a matter of counts and not of who is right; it
//! leaves the guarantee exact where rows of more confidence are no more often wrong, which is what makes them confident.

use super::Row;
use crate::binomial::at_most;

/// How sure the promise is: the share of labelled files whose threshold keeps it.
pub const RISK_CONFIDENCE: f64 = 0.95;

/// Thresholds: 1 to .99 by thousandths, where most confidences of models are, and on to 0 by hundredths.
const THOUSANDTHS: u32 = 10;
const HUNDREDTHS: u32 = 99;

/// What may be promised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RiskThreshold {
    /// Rows of at least this confidence keep their answer; none where nothing can be promised, whatever is withheld.
    pub at_least: Option<f64>,
    /// Labelled rows that keep theirs.
    pub kept: usize,
    /// Of these, the wrong ones.
    pub wrong: usize,
}

/// The smallest threshold at which at most `alpha` of the answers that are kept are wrong: on rows like these, with
/// confidence [`RISK_CONFIDENCE`]. The rows must be of different problems.
pub fn risk_threshold(rows: &[Row], alpha: f64) -> RiskThreshold {
    let mut found = RiskThreshold { at_least: None, kept: 0, wrong: 0 };
    let Some(fewest) = fewest_rows(alpha) else { return found };
    for at_least in thresholds() {
        let is_kept = |row: &&Row| row.confidence >= at_least;
        let kept = rows.iter().filter(is_kept).count();
        if (kept as u64) < fewest {
            continue;
        }
        let wrong = rows.iter().filter(is_kept).filter(|row| !row.is_right).count();
        if at_most(wrong as u64, kept as u64, alpha) > 1.0 - RISK_CONFIDENCE {
            break;
        }
        found = RiskThreshold { at_least: Some(at_least), kept, wrong };
    }
    found
}

/// Labelled rows that a threshold must keep before it is tried; none where `alpha` is not between 0 and 1.
pub fn fewest_rows(alpha: f64) -> Option<u64> {
    // (1 - alpha)^n, the probability that n answers of risk alpha are all right.
    let all_right = libm::ceil(libm::log(1.0 - RISK_CONFIDENCE) / libm::log1p(-alpha));
    (alpha > 0.0 && alpha < 1.0).then_some((all_right as u64).saturating_mul(2))
}

/// The strictest first.
fn thresholds() -> impl Iterator<Item = f64> {
    let near_one = (0..THOUSANDTHS).map(|down| f64::from(1000 - down) / 1000.0);
    near_one.chain((0..=HUNDREDTHS).rev().map(|hundredths| f64::from(hundredths) / 100.0))
}
