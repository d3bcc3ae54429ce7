//! The prior of the learned rule: an urn from which answers are drawn, and how probable it is that more draws change the
//! leader.
//!
//! The urn is the two-parameter one of Pitman and Yor (Pitman, Exchangeable and partially exchangeable random partitions,
//! 1995; Pitman and Yor, The two-parameter Poisson-Dirichlet distribution, 1997). With discount d and strength t, after n
//! draws in K classes the next draw is of a class of c with probability (c - d) / (t + n), of a new one with
//! (t + K d) / (t + n). Mixtures of such urns, fitted by EM to recorded sets, fall together to one of them: two numbers are
//! what histories have to say here.
//!
//! **The probability of a change.** Under the urn the shares of a leader of a votes, a rival of b and all others are Dirichlet
//! with A = a - d, B = b - d, C = t + n - A - B, whatever the other classes are: so three counts suffice. From a tie on
//! the two are alike; the rival therefore ends ahead (a tie counted half) in half of the cases in which it ever draws
//! level. With l = a - b, it first draws level at the draw l + 2i of the pair with probability
//!
//! h(i) = l / (l + 2i) * C(l + 2i, i) * (B)_{l+i} (A)_i / (A + B)_{l+2i}
//!
//! (the ballot theorem for exchangeable draws; (x)_i = x (x + 1) ... (x + i - 1)), and of m draws s are of the pair with
//! the Beta-binomial probability C(m, s) (A + B)_s (C)_{m-s} / (A + B + C)_m. All terms are positive, and nothing cancels.
//! The same sum with b = 0 and h(0) = (t + K d) (1 - d)_{a-1} / (a - 2d)_a is the expected number of classes yet unseen that
//! draw level. What is given out is the sum over the second, the third, as many classes of the third's size as the rest
//! may hold, and classes unseen: the expected number of rivals that end ahead, which is the probability that one does or
//! little more.

use serde::{Deserialize, Serialize};

use super::Tally;

/// How far ahead is looked, and how many draws may lie behind.
const MOST: u64 = 1 << 16;

/// How answers spread over a kind of problem and the models that are asked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Numbers", into = "Numbers")]
pub struct StopPrior {
    discount: f64,
    strength: f64,
    levels: [StopLevel; 3],
}

/// A level for an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StopLevel {
    /// The share of stopped sets that shall have the winner of the whole budget.
    pub agreement: f64,
    /// The probability of a change at which asking stops for it.
    pub level: f64,
}

/// Numbers that are no prior.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a discount from 0 to below 1, a strength above minus the discount, and agreements and levels from 0 to 1"
)]
pub struct BadPrior;

/// As it is written.
#[derive(Serialize, Deserialize)]
struct Numbers {
    discount: f64,
    strength: f64,
    levels: [StopLevel; 3],
}

impl TryFrom<Numbers> for StopPrior {
    type Error = BadPrior;

    fn try_from(numbers: Numbers) -> Result<Self, BadPrior> {
        Self::new(numbers.discount, numbers.strength, numbers.levels)
    }
}

impl From<StopPrior> for Numbers {
    fn from(prior: StopPrior) -> Self {
        Self { discount: prior.discount, strength: prior.strength, levels: prior.levels }
    }
}

impl StopPrior {
    /// Fitted by [`super::fit_stop_prior`] to recorded candidates of some thirty models on 2,811 problems of GSM8K and MATH,
    /// none of which stands in a set on which figures are given.
    pub const BUILT_IN: Self = Self {
        discount: 0.694,
        strength: -0.297,
        levels: [
            StopLevel { agreement: 0.99, level: 0.034 },
            StopLevel { agreement: 0.995, level: 0.0156 },
            StopLevel { agreement: 0.999, level: 0.006 },
        ],
    };

    /// A prior of these numbers.
    ///
    /// # Errors
    /// Where they are no urn: 0 <= discount < 1 and strength > -discount, both finite; agreements and levels from 0 to 1.
    pub fn new(discount: f64, strength: f64, levels: [StopLevel; 3]) -> Result<Self, BadPrior> {
        let is_share = |value: f64| (0.0..=1.0).contains(&value);
        let is_urn = (0.0..1.0).contains(&discount) && strength > -discount && strength.is_finite();
        let are_levels = levels.iter().all(|level| is_share(level.agreement) && is_share(level.level));
        if is_urn && are_levels { Ok(Self { discount, strength, levels }) } else { Err(BadPrior) }
    }

    /// The urn's discount: near 1, most answers are new ones.
    pub fn discount(&self) -> f64 {
        self.discount
    }

    /// The urn's strength: the larger, the flatter answers spread.
    pub fn strength(&self) -> f64 {
        self.strength
    }

    /// The levels that were found on histories.
    pub fn levels(&self) -> [StopLevel; 3] {
        self.levels
    }

    /// The level for an agreement: that of the least agreement on record that is not below it; beyond these, what is left to
    /// 1, which keeps the promise wherever the urn is right.
    pub fn level(&self, agreement: f64) -> f64 {
        let enough = self.levels.iter().filter(|level| level.agreement >= agreement);
        let least = enough.min_by(|a, b| a.agreement.total_cmp(&b.agreement));
        least.map_or((1.0 - agreement).max(0.0), |level| level.level)
    }

    /// How probable it is that another class leads after `more` draws (module text; a tie counts half). A leader of one
    /// vote leads nobody: 1. At most 2^16 draws are looked ahead; where more lie behind, the flat prior's figure for
    /// endless draws is taken.
    pub fn change_probability(&self, tally: &Tally, more: u64) -> f64 {
        let (top, second, third, rest) = (tally.top(), tally.second(), tally.third(), tally.rest());
        if more == 0 || top > second.saturating_add(more) {
            return 0.0;
        }
        if top < 2 {
            return 1.0;
        }
        let others = rest.checked_div(third).map_or(0.0, |others| 1.0 + others as f64);
        if tally.drawn() > MOST {
            let changes = |rival| 1.0 - crate::vote::lead_probability(top, rival);
            return (changes(second) + others * changes(third)).min(1.0);
        }
        let race = Race { discount: self.discount, total: self.strength + tally.drawn() as f64, top, more };
        let mut changes = 0.0;
        if second > 0 {
            changes += race.known(second);
        }
        if third > 0 {
            changes += others * race.known(third);
        }
        let classes = [second, third].iter().filter(|&&class| class > 0).count() as u64 + 1 + rest;
        changes += race.unseen(self.strength + classes as f64 * self.discount);
        changes.min(1.0)
    }
}

/// A leader, and the draws to come.
struct Race {
    discount: f64,
    /// Strength and draws behind.
    total: f64,
    /// At least 2.
    top: u64,
    /// Not 0.
    more: u64,
}

impl Race {
    /// The probability that a class of `votes` ends ahead.
    fn known(&self, votes: u64) -> f64 {
        let lead = self.top - votes;
        let (a, b) = (self.top as f64 - self.discount, votes as f64 - self.discount);
        let logs = (0..lead).map(|i| libm::log((b + i as f64) / (a + b + i as f64)));
        self.ahead(lead, a + b, logs.sum())
    }

    /// The expected number of unseen classes that end ahead; `mass` of the total is what they have.
    fn unseen(&self, mass: f64) -> f64 {
        let pair = self.top as f64 - 2.0 * self.discount;
        let ratio = |i: u64| (i as f64 - self.discount) / (pair + i as f64);
        let logs = (1..self.top).map(|i| libm::log(ratio(i)));
        self.ahead(self.top, pair, libm::log(mass / pair) + logs.sum::<f64>())
    }

    /// Half of the sum of h(i) over the ways to draw level within the draws to come: `pair` is A + B, `first` ln h(0).
    fn ahead(&self, lead: u64, pair: f64, first: f64) -> f64 {
        if lead == 0 {
            return 0.5;
        }
        let more = self.more.min(MOST);
        if lead > more {
            return 0.0;
        }
        let a = self.top as f64 - self.discount;
        let (lead, draws) = (lead as f64, more as f64);
        // ln of the probabilities that s draws are of the pair, up to a constant.
        let rest = self.total - pair;
        let mut of_pair = Vec::with_capacity(more as usize + 1);
        let (mut log, mut most) = (0.0, 0.0f64);
        of_pair.push(log);
        for s in 0..more {
            let s = s as f64;
            log += libm::log((draws - s) * (pair + s) / ((s + 1.0) * (rest + draws - s - 1.0)));
            most = most.max(log);
            of_pair.push(log);
        }
        let (mut whole, mut level, mut ahead) = (0.0, 0.0, 0.0);
        let (mut log_h, mut i) = (first, 0.0);
        for (s, log) in of_pair.iter().enumerate() {
            if s as f64 == lead + 2.0 * i {
                level += libm::exp(log_h);
                let twice = lead + 2.0 * i;
                let up = twice * (twice + 1.0) * (a + i);
                let down = 2.0 * (i + 1.0) * (lead + i + 1.0) * (2.0 * (a + i) + 1.0);
                log_h += libm::log(up / down);
                i += 1.0;
            }
            let weight = libm::exp(log - most);
            whole += weight;
            ahead += weight * level;
        }
        ahead / whole / 2.0
    }
}
