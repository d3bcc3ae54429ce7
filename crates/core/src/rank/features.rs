//! Features: what the ranker knows of each class of answers, and of "none of these".

use super::signs::{self, Look, Signs};
use crate::cluster::Cluster;
use crate::voters::{Reliabilities, log_odds};

/// Of the votes of a class.
const VOTES: [&str; 6] = ["share", "gap", "ln_votes", "is_largest", "logit_share", "log_lead"];

/// Of the voters of a class, where their reliabilities are known.
const VOTERS: [&str; 10] = [
    "log_odds",
    "reliability",
    "most_reliable",
    "reliability_squared",
    "ln_posterior",
    "log_odds_by_root",
    "reliability_by_root",
    "most_reliable_by_root",
    "reliability_squared_by_root",
    "ln_posterior_by_root",
];

/// Of the set, for "none of these".
const SET: [&str; 7] = ["constant", "share", "second_share", "classes", "ln_k", "answered", "ln_k_share"];

/// Of the set where reliabilities are known.
const SET_VOTERS: [&str; 2] = ["mean_reliability", "logit_none"];

/// Numbers of a class.
pub(crate) const PER_CLASS: usize = VOTES.len() + signs::COUNT + VOTERS.len();

/// Numbers of a set.
pub(crate) const PER_SET: usize = SET.len() + signs::COUNT + SET_VOTERS.len();

/// Which features of a class are signs of its candidates.
pub(crate) fn is_sign(feature: usize) -> bool {
    (VOTES.len()..VOTES.len() + signs::COUNT).contains(&feature)
}

/// Which features of a set are.
pub(crate) fn is_set_sign(feature: usize) -> bool {
    (SET.len()..SET.len() + signs::COUNT).contains(&feature)
}

/// The names of a class's features, in their order.
pub(crate) fn class_names() -> impl Iterator<Item = &'static str> {
    VOTES.into_iter().chain(signs::NAMES).chain(VOTERS)
}

/// The names of a set's features, in their order.
pub(crate) fn set_names() -> impl Iterator<Item = &'static str> {
    SET.into_iter().chain(signs::NAMES).chain(SET_VOTERS)
}

/// A set, ready for the ranker.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Features {
    /// One row a class, in the order of the clusters.
    pub classes: Vec<[f64; PER_CLASS]>,
    /// The set's.
    pub set: [f64; PER_SET],
}

/// The features of candidates, by class. `voters`: the reliabilities with those of the candidates, where they are known.
pub(crate) fn features(
    looks: &[&Look],
    clusters: &[Cluster],
    voters: Option<(&Reliabilities, &[f64])>,
) -> Features {
    let k = looks.len() as f64;
    let signs = signs::signs(looks);
    let answered: usize = clusters.iter().map(|cluster| cluster.candidates.len()).sum();
    let mean = mean_of(&signs, clusters.iter().flat_map(|cluster| &cluster.candidates));
    let posterior = voters.map(|(learned, of)| (learned.posterior(clusters, of), of));
    let votes = |at: usize| clusters.get(at).map_or(0.0, |cluster| cluster.candidates.len() as f64);
    let classes = clusters.iter().enumerate().map(|(at, cluster)| {
        let mut row = [0.0; PER_CLASS];
        let own = votes(at);
        let other = if at == 0 { votes(1) } else { votes(0) };
        row[..VOTES.len()].copy_from_slice(&of_votes(own, other, k));
        let class = mean_of(&signs, cluster.candidates.iter());
        for (sign, (class, mean)) in class.iter().zip(&mean).enumerate() {
            row[VOTES.len() + sign] = class - mean;
        }
        if let Some((posterior, of)) = &posterior {
            let of = |at: &usize| of.get(*at).copied().unwrap_or(0.5);
            let own = cluster.candidates.iter();
            let numbers = [
                own.clone().map(|at| log_odds(of(at))).sum::<f64>(),
                own.clone().map(of).sum::<f64>(),
                own.clone().map(of).fold(0.0, f64::max),
                own.map(|at| of(at) * of(at)).sum::<f64>(),
                libm::log(posterior[at] + 1e-4),
            ];
            let from = VOTES.len() + signs::COUNT;
            for (place, number) in numbers.into_iter().enumerate() {
                row[from + place] = number;
                row[from + numbers.len() + place] = number / libm::sqrt(k);
            }
        }
        row
    });
    let classes: Vec<[f64; PER_CLASS]> = classes.collect();
    let mut set = [0.0; PER_SET];
    set[..SET.len()].copy_from_slice(&of_set(votes(0), votes(1), clusters.len(), answered, k));
    set[SET.len()..SET.len() + signs::COUNT].copy_from_slice(&mean);
    if let Some((posterior, of)) = &posterior {
        let none = posterior.last().copied().unwrap_or(1.0);
        set[SET.len() + signs::COUNT] = of.iter().sum::<f64>() / k.max(1.0);
        set[SET.len() + signs::COUNT + 1] = libm::log((none + 1e-4) / (1.0 - none + 1e-4));
    }
    Features { classes, set }
}

/// What the votes of a class show: its own, the most of another, all candidates.
pub(super) fn of_votes(own: f64, other: f64, k: f64) -> [f64; VOTES.len()] {
    [
        own / k,
        (own - other) / k,
        libm::log(own),
        f64::from(u8::from(own >= other)),
        libm::log((own + 0.5) / (k - own + 0.5)),
        libm::log((own + 0.5) / (other + 0.5)),
    ]
}

/// What the votes of a set show: the most and second most of a class, classes, answers, candidates.
pub(super) fn of_set(most: f64, second: f64, classes: usize, answered: usize, k: f64) -> [f64; SET.len()] {
    let k = k.max(1.0);
    let share = most / k;
    [1.0, share, second / k, classes as f64 / k, libm::log(k), answered as f64 / k, libm::log(k) * share]
}

fn mean_of<'a>(signs: &[Signs], candidates: impl Iterator<Item = &'a usize>) -> Signs {
    let mut sum = [0.0; signs::COUNT];
    let mut count = 0.0;
    for candidate in candidates {
        if let Some(signs) = signs.get(*candidate) {
            sum.iter_mut().zip(signs).for_each(|(sum, sign)| *sum += sign);
            count += 1.0;
        }
    }
    sum.map(|sum| if count > 0.0 { sum / count } else { 0.0 })
}
