//! Fitting the prior of the learned rule to finished sets. No reference is needed: only which answers were equal.
//!
//! The urn's two numbers are those of the largest likelihood. A history of n candidates in classes of c_1 .. c_K has the
//! probability (Pitman 1995)
//!
//! prod_{i=1}^{K-1} (t + i d) / prod_{i=1}^{n-1} (t + i) * prod_k prod_{j=1}^{c_k - 1} (j - d),
//!
//! of which sums over all histories need only how often each factor occurs. The levels are then found by drawing the
//! histories again in many orders: the largest probability of a change at which stopping misses no more than half of what the
//! agreement allows, at the budget that was recorded and at half of it.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::urn::{StopLevel, StopPrior};
use super::{StopRule, Tally};
use crate::vote::Vote;

/// Agreements for which levels are found.
const AGREEMENTS: [f64; 3] = [0.99, 0.995, 0.999];

/// Larger histories are left out: nobody draws so many where stopping matters, and they would take long.
const MOST_CANDIDATES: u64 = 1_024;

/// Orders in which each history is drawn again.
const ORDERS: usize = 32;

/// A finished set: how many candidates gave each answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Sizes of the classes of equal answers, in any order.
    pub classes: Vec<u64>,
    /// Candidates without an answer.
    pub unanswered: u64,
}

impl History {
    /// What a vote had.
    pub fn of(vote: &Vote) -> Self {
        let classes = vote.clusters.iter().map(|cluster| cluster.candidates.len() as u64).collect();
        Self { classes, unanswered: (vote.readings.len() - vote.answered) as u64 }
    }

    /// How many candidates there were.
    fn len(&self) -> u64 {
        self.classes.iter().fold(self.unanswered, |sum, &size| sum.saturating_add(size))
    }

    /// One number for each candidate: its class; none where it has no answer.
    fn candidates(&self) -> Vec<Option<usize>> {
        let classes = self.classes.iter().enumerate();
        let answered = classes.flat_map(|(class, &size)| (0..size).map(move |_| Some(class)));
        answered.chain((0..self.unanswered).map(|_| None)).collect()
    }
}

/// The prior that fits histories best, with its levels; nothing where no history has from 2 to 1,024
/// candidates (others are left out). For an agreement of
/// .999 two thousand histories are needed that vouch for it, for .99 two hundred: where there are fewer, the level is what
/// is left to 1. A pure function: the same histories give the same bits.
pub fn fit_stop_prior(histories: &[History]) -> Option<StopPrior> {
    let is_of_use = |history: &&History| (2..=MOST_CANDIDATES).contains(&history.len());
    let histories: Vec<&History> = histories.iter().filter(is_of_use).collect();
    let factors = Factors::of(&histories)?;
    let (discount, strength) = factors.most_likely();
    let levels = AGREEMENTS.map(|agreement| StopLevel { agreement, level: 1.0 - agreement });
    let prior = StopPrior::new(discount, strength, levels).ok()?;
    let shown = Replay::of(&prior, &histories);
    let levels = AGREEMENTS.map(|agreement| StopLevel { agreement, level: shown.level(agreement) });
    StopPrior::new(discount, strength, levels).ok()
}

/// How often each factor of the likelihood occurs, by its number from 1 (place 0).
struct Factors {
    /// t + i d.
    new_classes: Vec<f64>,
    /// t + i.
    draws: Vec<f64>,
    /// j - d.
    repeats: Vec<f64>,
}

impl Factors {
    /// A candidate without an answer counts as a class of its own, as it does where the rule is asked.
    fn of(histories: &[&History]) -> Option<Self> {
        let mut factors = Self { new_classes: Vec::new(), draws: Vec::new(), repeats: Vec::new() };
        for history in histories {
            let classes = history.classes.iter().filter(|&&size| size > 0);
            let number = classes.clone().count() as u64 + history.unanswered;
            count(&mut factors.new_classes, number);
            count(&mut factors.draws, history.len());
            classes.for_each(|&size| count(&mut factors.repeats, size));
        }
        (!factors.draws.is_empty()).then_some(factors)
    }

    fn log_likelihood(&self, discount: f64, strength: f64) -> f64 {
        let sum = |counts: &[f64], factor: &dyn Fn(f64) -> f64| -> f64 {
            let terms = counts.iter().enumerate();
            terms.map(|(i, count)| count * libm::log(factor(i as f64 + 1.0))).sum()
        };
        sum(&self.new_classes, &|i| strength + i * discount) - sum(&self.draws, &|i| strength + i)
            + sum(&self.repeats, &|j| j - discount)
    }

    /// Discount and strength, by a grid and then ever smaller steps to the best neighbour. The second coordinate of the search
    /// is ln(strength + discount), which may be any number.
    fn most_likely(&self) -> (f64, f64) {
        let place = |(x, y): (i32, i32), step: f64| (f64::from(x) * step, f64::from(y) * step);
        let bounded = |(d, log): (f64, f64)| (d.clamp(0.0, 0.99), log.clamp(-6.0, 9.0));
        let value = |(d, log): (f64, f64)| self.log_likelihood(d, libm::exp(log) - d);
        let grid = (0..10).flat_map(|x| (-6..10).map(move |y| (f64::from(x) / 10.0, f64::from(y))));
        let better = |best: ((f64, f64), f64), point: (f64, f64)| {
            let found = value(point);
            if found > best.1 { (point, found) } else { best }
        };
        let mut best = grid.fold(((0.5, 0.0), f64::NEG_INFINITY), better);
        let mut step = 0.05;
        while step > 1e-6 {
            let around = [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)];
            let from = best.0;
            let found = around.iter().fold(best, |best, &by| {
                let (x, y) = place(by, step);
                better(best, bounded((from.0 + x, from.1 + y)))
            });
            if found.0 == from {
                step /= 2.0;
            }
            best = found;
        }
        let (discount, log) = best.0;
        (discount, libm::exp(log) - discount)
    }
}

/// One more of the factors 1 to `number` - 1.
fn count(counts: &mut Vec<f64>, number: u64) {
    let factors = number.saturating_sub(1) as usize;
    if counts.len() < factors {
        counts.resize(factors, 0.0);
    }
    counts[..factors].iter_mut().for_each(|count| *count += 1.0);
}

/// What stopping would have cost on histories.
struct Replay {
    problems: f64,
    /// For each of [`steps`], how many problems' winners would have been missed: at the whole budget and at half of it.
    missed: [Vec<f64>; 2],
}

/// The levels that are tried, ascending: 1/1024 to 1/4, eight to an octave.
fn steps() -> impl Iterator<Item = f64> {
    (0..=64).map(|i| libm::exp2(f64::from(i) / 8.0 - 10.0))
}

impl Replay {
    fn of(prior: &StopPrior, histories: &[&History]) -> Self {
        let steps: Vec<f64> = steps().collect();
        let mut missed = [vec![0.0; steps.len()], vec![0.0; steps.len()]];
        let mut known = BTreeMap::new();
        for (index, history) in histories.iter().enumerate() {
            let mut candidates = history.candidates();
            let mut rng = ChaCha8Rng::seed_from_u64(index as u64);
            for _ in 0..ORDERS {
                shuffle(&mut candidates, &mut rng);
                for (missed, budget) in missed.iter_mut().zip([candidates.len(), candidates.len() / 2]) {
                    let path = path(&candidates[..budget.max(1)], history.classes.len());
                    let last = path.last().and_then(|step| step.1);
                    // Levels from `tried` on have stopped already.
                    let mut tried = steps.len();
                    for (tally, leader) in path {
                        let changes = *known.entry(tally).or_insert_with(|| change(prior, &tally));
                        let stop = steps[..tried].partition_point(|&level| level < changes);
                        if leader != last {
                            missed[stop..tried].iter_mut().for_each(|count| *count += 1.0 / ORDERS as f64);
                        }
                        tried = stop;
                    }
                }
            }
        }
        Self { problems: histories.len() as f64, missed }
    }

    /// The largest level up to which no more than half of the rest to `agreement` is missed, and one problem more: the other
    /// half is kept for problems and models that are not in the histories.
    fn level(&self, agreement: f64) -> f64 {
        let left = 1.0 - agreement;
        if self.problems * left < 2.0 {
            return left;
        }
        let holds = |missed: f64| (2.0 * missed + 1.0) / (self.problems + 1.0) <= left;
        let both = self.missed[0].iter().zip(&self.missed[1]);
        let kept = steps().zip(both).take_while(|(_, (whole, half))| holds(**whole) && holds(**half));
        kept.map(|(level, _)| level).last().unwrap_or(0.0)
    }
}

/// The probability the rule compares with its level: 0 where it stops in any case.
fn change(prior: &StopPrior, tally: &Tally) -> f64 {
    let always = StopRule::Learned { prior: *prior, level: -1.0 };
    if always.stops(tally) { 0.0 } else { prior.change_probability(tally, tally.remaining()) }
}

/// Where the set stands after each candidate, and its leader: ties go to the class that was there first.
fn path(candidates: &[Option<usize>], classes: usize) -> Vec<(Tally, Option<usize>)> {
    let mut sizes = vec![0u64; classes];
    let mut order: Vec<usize> = Vec::new();
    let budget = candidates.len() as u64;
    let step = |(drawn, candidate): (usize, &Option<usize>)| {
        if let Some(class) = *candidate {
            if sizes[class] == 0 {
                order.push(class);
            }
            sizes[class] += 1;
        }
        let leader = order.iter().rev().max_by_key(|&&class| sizes[class]).copied();
        (Tally::new(sizes.iter().copied(), drawn as u64 + 1, budget), leader)
    };
    candidates.iter().enumerate().map(step).collect()
}

/// Fisher and Yates; the bias of a 32-bit remainder is below 1e-5 for sets that are drawn.
fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, rng.next_u32() as usize % (last + 1));
    }
}
