//! How stable answers are when the same question is asked again: the candidates of an item (a set, or a result's) are repeats.
//!
//! Classes of equal answers are those over all candidates that are looked at; a part of the candidates has what of these classes
//! is in it. What the figures are:
//! - `flips` of an item: the share of the pairs of its candidates that do not agree; one without an answer agrees with nobody.
//!   Items with fewer than two candidates have none. `flips` of a file: their mean.
//! - `rules`: plurality, strict, unanimous, the at-least M that was asked for, and the median where labels have an order. Of each
//!   `yield`, the share of items with an answer; `accuracy`, the share of these that are right, over the items that have a
//!   reference; `flips`, the share of votes with one candidate left out, each in turn, whose outcome is another than that of
//!   all (another answer, or one instead of none), as a mean over items with two candidates or more.
//! - `by_candidates`: the first n candidates, over the items that have so many. `agreement`, the mean share of pairs that agree;
//!   `same`, the share of items whose vote has the outcome that it has over all; `accuracy` and `yield` of the vote, as above.
//!   n is 1, 2, 3, 4, 6, 8, 12, 16 and so on, and the most that an item has.
//! - `by_share`: what is kept where an answer needs a share of all candidates. `yield`, the items kept; `accuracy`, of these.
//! - `alpha`: Krippendorff's, of labels alone ([`crate::agreement`]): answers of other kinds are not of one scale, as each item has
//!   its own.
//!
//! The vote of the last two is the one that was asked for, else that of the item's kind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SEED;
use super::pool::{Class, Item};
use crate::agreement::Alpha;
use crate::kinds::{AnswerKind, Rule, Ties, VoteOptions, decide_votes, median_votes};
use crate::metrics::{Figure, Ratio, paired_bootstrap};

/// Steps of `by_candidates`.
const MOST_STEPS: usize = 32;

/// Tenths of the candidates that an answer needs, for `by_share`.
const TENTHS: [usize; 7] = [10, 9, 8, 7, 6, 5, 0];

/// How stable the answers of a file are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepeatsReport {
    /// Items in the figures, with a reference or without.
    pub items: usize,
    /// Most candidates of an item.
    pub num_candidates: usize,
    /// Mean share of pairs of candidates that do not agree.
    pub flips: Option<Figure>,
    /// Krippendorff's alpha of the labels; none where there are no labels, or nothing to compare.
    pub alpha: Option<f64>,
    /// What each rule would decide.
    pub rules: Vec<RuleReport>,
    /// What fewer candidates would have said.
    pub by_candidates: Vec<StepReport>,
    /// Accuracy against yield.
    pub by_share: Vec<ShareReport>,
    /// Items, those that flip most first.
    pub by_item: Vec<ItemReport>,
}

/// What a rule decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleReport {
    /// `plurality`, `strict`, `unanimous`, `at-least 3` or `median`.
    pub rule: String,
    /// Share of items with an answer.
    #[serde(rename = "yield")]
    pub kept: Option<Figure>,
    /// Share of these that are right.
    pub accuracy: Option<Figure>,
    /// Share of votes without one candidate that have another outcome.
    pub flips: Option<Figure>,
}

/// What the first candidates say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// How many.
    pub candidates: usize,
    /// Items that have so many.
    pub items: usize,
    /// Mean share of pairs that agree; none of one candidate.
    pub agreement: Option<f64>,
    /// Share of items whose vote has the outcome of all candidates.
    pub same: Option<f64>,
    /// Share of items with an answer that are right.
    pub accuracy: Option<f64>,
    /// Share of items with an answer.
    #[serde(rename = "yield")]
    pub kept: Option<f64>,
}

/// Items whose answer has a share of the candidates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShareReport {
    /// The share.
    pub at_least: f64,
    /// Share of items kept.
    #[serde(rename = "yield")]
    pub kept: Option<f64>,
    /// Share of these that are right.
    pub accuracy: Option<f64>,
}

/// How stable one item is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemReport {
    /// Its id.
    pub id: String,
    /// Its candidates.
    pub candidates: usize,
    /// Of these, the ones with an answer.
    pub answered: usize,
    /// Different answers.
    pub answers: usize,
    /// Share of pairs of candidates that do not agree.
    pub flips: Option<f64>,
}

/// How a vote is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Rule(Rule),
    Median,
}

impl Decision {
    fn name(self) -> String {
        match self {
            Decision::Rule(Rule::Plurality) => "plurality".to_owned(),
            Decision::Rule(Rule::Strict) => "strict".to_owned(),
            Decision::Rule(Rule::Unanimous) => "unanimous".to_owned(),
            Decision::Rule(Rule::AtLeast(least)) => format!("at-least {least}"),
            Decision::Median => "median".to_owned(),
        }
    }
}

/// The votes of an item's classes, and what else decides.
struct Votes {
    /// Candidates of each class, ascending.
    members: Vec<Vec<usize>>,
    /// Places of the classes in an order of labels; empty where they have none.
    places: Vec<usize>,
    ties: Ties,
}

impl Votes {
    /// The class that wins where each has so many votes, the earliest of them so early, of `of` candidates.
    fn outcome(&self, votes: &[usize], earliest: &[usize], of: usize, decision: Decision) -> Option<usize> {
        let rule = match decision {
            Decision::Median => return median_votes(votes, &self.places, self.ties).ok().flatten(),
            Decision::Rule(rule) => rule,
        };
        let (mut first, mut second) = (None::<usize>, 0);
        for (class, &count) in votes.iter().enumerate() {
            let Some(best) = first else {
                first = Some(class);
                continue;
            };
            if (count, earliest[best]) > (votes[best], earliest[class]) {
                second = votes[best];
                first = Some(class);
            } else {
                second = second.max(count);
            }
        }
        let best = first?;
        decide_votes(votes[best], second, of, rule, self.ties).is_ok_and(|is_won| is_won).then_some(best)
    }

    /// The outcome over the first `n` candidates.
    fn of_first(&self, n: usize, decision: Decision) -> Option<usize> {
        let votes: Vec<usize> =
            self.members.iter().map(|members| members.partition_point(|&member| member < n)).collect();
        self.outcome(&votes, &self.earliest(), n, decision)
    }

    fn earliest(&self) -> Vec<usize> {
        self.members.iter().map(|members| members.first().copied().unwrap_or(usize::MAX)).collect()
    }

    /// The share of the votes with one candidate left out whose outcome is not `all`.
    fn left_out(&self, candidates: usize, decision: Decision, all: Option<usize>) -> f64 {
        let mut votes: Vec<usize> = self.members.iter().map(Vec::len).collect();
        let mut earliest = self.earliest();
        let answered: usize = votes.iter().sum();
        let mut others = 0;
        for class in 0..votes.len() {
            votes[class] -= 1;
            // All but the earliest of a class leave the same behind.
            let rest = votes[class];
            if rest > 0 && self.outcome(&votes, &earliest, candidates - 1, decision) != all {
                others += rest;
            }
            let first = earliest[class];
            earliest[class] = self.members[class].get(1).copied().unwrap_or(usize::MAX);
            others += usize::from(self.outcome(&votes, &earliest, candidates - 1, decision) != all);
            earliest[class] = first;
            votes[class] += 1;
        }
        let silent = candidates.saturating_sub(answered);
        if silent > 0 && self.outcome(&votes, &earliest, candidates - 1, decision) != all {
            others += silent;
        }
        others as f64 / candidates as f64
    }
}

/// Sums over items.
#[derive(Debug, Clone, Default)]
struct Sums {
    items: usize,
    agreement: f64,
    same: usize,
    answered: usize,
    /// Answered, with a reference.
    graded: usize,
    right: usize,
}

impl Sums {
    fn share(part: usize, of: usize) -> Option<f64> {
        (of > 0).then(|| part as f64 / of as f64)
    }

    fn add_outcome(&mut self, item: &Item, outcome: Option<usize>) {
        self.items += 1;
        let Some(class) = outcome.and_then(|class| item.classes.get(class)) else { return };
        self.answered += 1;
        self.graded += usize::from(item.is_graded);
        self.right += usize::from(item.is_graded && class.is_right);
    }
}

/// The figures of one rule, an entry an item.
#[derive(Debug, Clone)]
struct RuleSums {
    decision: Decision,
    kept: Vec<f64>,
    accuracy: Ratio,
    flips: Ratio,
}

/// Repeats in progress: items in, one report out. Holds a few numbers an item.
#[derive(Debug, Clone)]
pub(super) struct Repeats {
    rule: Option<Rule>,
    ties: Option<Ties>,
    is_ordinal: bool,
    num_candidates: usize,
    flips: Ratio,
    has_labels: bool,
    alpha: Alpha,
    rules: Vec<RuleSums>,
    steps: BTreeMap<usize, Sums>,
    /// All candidates of the items that have the most.
    all: Sums,
    shares: [Sums; TENTHS.len()],
    items: Vec<ItemReport>,
}

impl Repeats {
    /// Of no items yet.
    pub(super) fn new(votes: &VoteOptions) -> Self {
        let mut decisions = [Rule::Plurality, Rule::Strict, Rule::Unanimous].map(Decision::Rule).to_vec();
        if let Some(rule @ Rule::AtLeast(_)) = votes.rule {
            decisions.push(Decision::Rule(rule));
        }
        let order = match &votes.kind {
            Some(AnswerKind::Labels(labels)) if votes.is_ordinal => labels.names(),
            _ => &[],
        };
        let is_ordinal = !order.is_empty();
        if is_ordinal {
            decisions.push(Decision::Median);
        }
        let empty = |decision| RuleSums {
            decision,
            kept: Vec::new(),
            accuracy: Ratio::default(),
            flips: Ratio::default(),
        };
        Self {
            rule: votes.rule,
            ties: votes.ties,
            is_ordinal,
            num_candidates: 0,
            flips: Ratio::default(),
            has_labels: false,
            alpha: if is_ordinal { Alpha::ordinal(order.to_vec()) } else { Alpha::nominal() },
            rules: decisions.into_iter().map(empty).collect(),
            steps: BTreeMap::new(),
            all: Sums::default(),
            shares: Default::default(),
            items: Vec::new(),
        }
    }

    /// Adds an item of a kind.
    pub(super) fn add(&mut self, id: &str, kind: &AnswerKind, item: &Item) {
        let candidates = item.candidates;
        let votes = Votes {
            members: item.classes.iter().map(|class| class.members.clone()).collect(),
            places: self.places(kind, &item.classes),
            ties: self.ties.unwrap_or(kind.default_ties()),
        };
        let agreement = agreement(&votes.members, candidates);
        push(&mut self.flips, agreement.map(|agreement| 1.0 - agreement));
        for sums in &mut self.rules {
            let all = votes.of_first(candidates, sums.decision);
            sums.kept.push(f64::from(u8::from(all.is_some())));
            let right = all.and_then(|class| item.classes.get(class)).filter(|_| item.is_graded);
            push(&mut sums.accuracy, right.map(|class| f64::from(u8::from(class.is_right))));
            let left_out = (candidates > 1).then(|| votes.left_out(candidates, sums.decision, all));
            push(&mut sums.flips, left_out);
        }
        let decision = match self.is_ordinal {
            true => Decision::Median,
            false => Decision::Rule(self.rule.unwrap_or(kind.default_rule())),
        };
        let all = votes.of_first(candidates, decision);
        let add_step = |sums: &mut Sums, n: usize| {
            let outcome = votes.of_first(n, decision);
            sums.add_outcome(item, outcome);
            sums.agreement += self::agreement(&votes.members, n).unwrap_or(0.0);
            sums.same += usize::from(outcome == all);
        };
        for n in steps().take_while(|&n| n <= candidates) {
            add_step(self.steps.entry(n).or_default(), n);
        }
        if candidates > self.num_candidates {
            self.num_candidates = candidates;
            self.all = Sums::default();
        }
        if candidates == self.num_candidates {
            add_step(&mut self.all, candidates);
        }
        let winner = all.and_then(|class| item.classes.get(class)).map_or(0, |class| class.members.len());
        for (tenths, sums) in TENTHS.iter().zip(&mut self.shares) {
            let is_kept = 10 * winner as u128 >= *tenths as u128 * candidates as u128;
            sums.add_outcome(item, all.filter(|_| is_kept));
        }
        self.add_labels(kind, &item.classes);
        self.items.push(ItemReport {
            id: id.to_owned(),
            candidates,
            answered: item.classes.iter().map(|class| class.members.len()).sum(),
            answers: item.classes.len(),
            flips: agreement.map(|agreement| 1.0 - agreement),
        });
    }

    /// Where each class stands in the order of the labels, where there is one.
    fn places(&self, kind: &AnswerKind, classes: &[Class]) -> Vec<usize> {
        match kind {
            AnswerKind::Labels(labels) if self.is_ordinal => {
                classes.iter().map(|class| labels.place(&class.answer).unwrap_or(usize::MAX)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn add_labels(&mut self, kind: &AnswerKind, classes: &[Class]) {
        let AnswerKind::Labels(labels) = kind else { return };
        self.has_labels = true;
        let name = |class: &Class| match labels.place(&class.answer) {
            Some(place) => labels.names()[place].clone(),
            None => labels.key(&class.answer),
        };
        let counted: Vec<(String, usize)> =
            classes.iter().map(|class| (name(class), class.members.len())).collect();
        self.alpha.add(counted.iter().map(|(name, count)| (name.as_str(), *count)));
    }

    /// The report on the items added so far.
    pub(super) fn report(&self) -> RepeatsReport {
        let mut ratios = vec![self.flips.clone()];
        for sums in &self.rules {
            ratios.extend([Ratio::mean(sums.kept.clone()), sums.accuracy.clone(), sums.flips.clone()]);
        }
        let figures = paired_bootstrap(&ratios, SEED);
        let of_rules = figures.get(1..).unwrap_or_default().chunks_exact(3);
        let rules = self.rules.iter().zip(of_rules).map(|(sums, figures)| RuleReport {
            rule: sums.decision.name(),
            kept: figures[0],
            accuracy: figures[1],
            flips: figures[2],
        });
        let mut steps: Vec<StepReport> = self.steps.iter().map(|(&n, sums)| step(n, sums)).collect();
        if self.num_candidates > 0 && !self.steps.contains_key(&self.num_candidates) {
            steps.push(step(self.num_candidates, &self.all));
        }
        let shares = TENTHS.iter().zip(&self.shares).map(|(&tenths, sums)| ShareReport {
            at_least: tenths as f64 / 10.0,
            kept: Sums::share(sums.answered, sums.items),
            accuracy: Sums::share(sums.right, sums.graded),
        });
        let mut by_item = self.items.clone();
        by_item.sort_by(|a, b| b.flips.unwrap_or(-1.0).total_cmp(&a.flips.unwrap_or(-1.0)));
        RepeatsReport {
            items: self.items.len(),
            num_candidates: self.num_candidates,
            flips: figures.first().copied().flatten(),
            alpha: self.alpha.value().filter(|_| self.has_labels),
            rules: rules.collect(),
            by_candidates: steps,
            by_share: shares.collect(),
            by_item,
        }
    }
}

fn step(candidates: usize, sums: &Sums) -> StepReport {
    StepReport {
        candidates,
        items: sums.items,
        agreement: (candidates > 1 && sums.items > 0).then(|| sums.agreement / sums.items as f64),
        same: Sums::share(sums.same, sums.items),
        accuracy: Sums::share(sums.right, sums.graded),
        kept: Sums::share(sums.answered, sums.items),
    }
}

/// Adds an item to a mean; none leaves it out.
fn push(ratio: &mut Ratio, value: Option<f64>) {
    ratio.above.push(value.unwrap_or(0.0));
    ratio.below.push(f64::from(u8::from(value.is_some())));
}

/// 1, 2, 3, 4, 6, 8, 12, 16 and so on: powers of two, and what lies between two of them.
fn steps() -> impl Iterator<Item = usize> {
    let doubled = (1..).flat_map(|power: u32| [1usize << power, 3usize << (power - 1)]);
    std::iter::once(1).chain(doubled).take(MOST_STEPS)
}

/// The share of pairs of the first `n` candidates that are in one class; none where there are no pairs.
fn agreement(members: &[Vec<usize>], n: usize) -> Option<f64> {
    let pairs = |n: usize| n as f64 * (n as f64 - 1.0) / 2.0;
    let first = |members: &Vec<usize>| members.partition_point(|&member| member < n);
    (n > 1).then(|| members.iter().map(|members| pairs(first(members))).sum::<f64>() / pairs(n))
}

#[cfg(test)]
mod tests;
