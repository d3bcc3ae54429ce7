//! Fitting a ranker on labelled sets.
//!
//! Each set is used as many smaller ones: [`DRAWS`] draws of each number of candidates in [`SIZES`] that it has, as rankers are
//! asked about few candidates too. Sets of two candidates teach nothing: they have no majority. Where candidates name their voters, the reliabilities are learned for each
//! number of candidates and each draw from the file itself, without its references, exactly as `vote --weights learned` does.
//!
//! The weights maximise the likelihood of the right class (or of "none of these" where no candidate is right), every problem
//! counting once, less a quadratic penalty on standardised features. How strong the penalty on the signs of texts is (they are
//! what differs most from one file to the next) is chosen by cross-validation: over files where there are several, so that
//! what is chosen is what holds for files not seen, else over parts of the problems.

mod draws;
mod logit;

use super::features::{self, Features, is_set_sign, is_sign};
use super::signs::{Look, looks};
use super::weights::KindRanker;
use crate::cluster::Cluster;
use crate::math::numeric::hash;
use crate::sample_set::SampleSet;
use crate::voters::{VoterTable, voter_of};
use draws::Draw;

pub use logit::Fit;

/// Numbers of candidates that are drawn.
pub const SIZES: [usize; 4] = [3, 5, 8, 12];

/// Draws of each.
pub const DRAWS: usize = 4;

/// Penalties of the signs that are tried; with the last there are none, and texts need not be looked at.
const SIGN_PENALTIES: [f64; 4] = [30.0, 300.0, 3_000.0, f64::INFINITY];

/// The penalty of everything else of a class, and of a set.
const PENALTY: f64 = 30.0;
const SET_PENALTY: f64 = 1.0;

/// Parts of the problems for cross-validation within one file.
const PARTS: u64 = 5;

/// Problems that are needed at least.
pub const FEWEST: usize = 30;

/// Why nothing can be fitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Not enough sets to learn from.
    #[error(
        "{found} sets of kind `{kind}` have a reference and three candidates or more: at least {FEWEST} are needed"
    )]
    TooFew {
        /// The kind.
        kind: String,
        /// Usable sets.
        found: usize,
    },
}

/// A labelled set, ready to be drawn from. Holds numbers, not texts.
pub struct Example {
    problem: u64,
    looks: Vec<Look>,
    /// Candidates of each class.
    classes: Vec<Vec<usize>>,
    correct: Vec<bool>,
    voters: Vec<Option<String>>,
}

impl Example {
    /// Of a set, its classes, and for each whether it is right. `field` names what says who wrote a candidate.
    pub fn new(set: &SampleSet, vote: &crate::vote::Vote, correct: Vec<bool>, field: Option<&str>) -> Self {
        Self {
            problem: hash(set.problem.trim()),
            looks: looks(set, &vote.readings),
            classes: vote.clusters.iter().map(|cluster| cluster.candidates.clone()).collect(),
            correct,
            voters: set.candidates.iter().map(|candidate| voter_of(candidate, field)).collect(),
        }
    }

    /// Whether something can be learned from it: it has as many candidates as the smallest draw.
    pub fn is_usable(&self) -> bool {
        self.looks.len() >= SIZES[0]
    }

    /// How many candidates it has.
    pub fn candidates(&self) -> usize {
        self.looks.len()
    }
}

/// One draw of a set, seen.
#[derive(Debug, Clone)]
pub struct Seen {
    pub(super) features: Features,
    /// For each class whether it is right.
    pub(super) correct: Vec<bool>,
    /// The set's problem.
    pub problem: u64,
    /// Candidates drawn.
    pub k: usize,
    /// Which draw of so many candidates, from 0.
    pub number: usize,
    /// Which file.
    pub file: usize,
}

impl Seen {
    /// Whether the vote, ties to the earliest, is right.
    pub fn vote_is_right(&self) -> bool {
        self.correct.first() == Some(&true)
    }

    /// Whether any class is right.
    pub fn any_is_right(&self) -> bool {
        self.correct.contains(&true)
    }

    /// The share of the largest class among all candidates.
    pub fn share(&self) -> f64 {
        self.features.set[1]
    }

    /// What fitted weights make of it.
    pub fn decide(&self, weights: &Fit) -> Decided {
        let ranking = weights.weights.rank(&self.features);
        Decided {
            is_right: ranking.best.is_some_and(|best| self.correct[best]),
            confidence: ranking.confidence(),
            of_vote: ranking.classes.first().copied().unwrap_or(0.0),
        }
    }
}

/// What fitted weights make of a draw.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Decided {
    /// Whether the likeliest class is right.
    pub is_right: bool,
    /// Its probability.
    pub confidence: f64,
    /// The probability of the vote's answer.
    pub of_vote: f64,
}

/// All draws of the sets of a file. With `with_voters` reliabilities are learned for each number of candidates and each draw;
/// draws where they are not identified are left out.
pub fn draw(
    examples: &[Example],
    file: usize,
    sizes: &[usize],
    draws: usize,
    with_voters: bool,
) -> Vec<Seen> {
    let mut seen = Vec::new();
    for &size in sizes {
        for number in 0..draws {
            let drawn: Vec<(usize, Draw)> = examples
                .iter()
                .enumerate()
                .filter(|(_, example)| example.is_usable())
                .filter_map(|(at, example)| Draw::of(example, size, number).map(|draw| (at, draw)))
                .collect();
            let learned = if with_voters {
                let mut table = VoterTable::default();
                drawn
                    .iter()
                    .for_each(|(at, draw)| table.add_named(&draw.voters(&examples[*at]), &draw.clusters));
                match table.learn() {
                    Ok(learned) => Some(learned),
                    Err(_) => continue,
                }
            } else {
                None
            };
            for (at, draw) in drawn {
                let example = &examples[at];
                let looks: Vec<&Look> =
                    draw.chosen.iter().map(|candidate| &example.looks[*candidate]).collect();
                let of: Option<Vec<f64>> = learned.as_ref().map(|learned| {
                    draw.voters(example).iter().map(|voter| learned.of(voter.as_deref())).collect()
                });
                let voters = learned.as_ref().zip(of.as_deref());
                seen.push(Seen {
                    features: features::features(&looks, &draw.clusters, voters),
                    correct: draw.classes.iter().map(|class| example.correct[*class]).collect(),
                    problem: example.problem,
                    k: draw.chosen.len(),
                    number,
                    file,
                });
            }
        }
    }
    seen
}

/// What cross-validation found.
#[derive(Debug, Clone)]
pub struct Validated {
    /// The penalty of the signs that was chosen.
    pub sign_penalty: f64,
    /// For each draw, by weights that never saw its problem (nor its file, where files are left out).
    pub decided: Vec<Decided>,
}

/// Chooses the penalty and fits. Cross-validation is over files if there are several, else over parts of the problems.
pub fn fit(seen: &[Seen]) -> (Fit, Validated) {
    let validated = validate(seen);
    (Fit::on(&used(seen, |_| true), &penalties(validated.sign_penalty)), validated)
}

/// The draws that weights are fitted on.
fn used(seen: &[Seen], is_wanted: impl Fn(&Seen) -> bool) -> Vec<&Seen> {
    seen.iter().filter(|seen| seen.number < DRAWS && is_wanted(seen)).collect()
}

/// Cross-validation alone. A problem is never judged by weights that saw it, whichever file it stood in.
pub fn validate(seen: &[Seen]) -> Validated {
    let files = seen.iter().map(|seen| seen.file).max().map_or(0, |most| most + 1);
    let parts = if files > 1 { 2 } else { PARTS };
    let folds: Vec<(Option<usize>, u64)> = match files {
        0 | 1 => (0..parts).map(|part| (None, part)).collect(),
        _ => (0..files).flat_map(|file| (0..parts).map(move |part| (Some(file), part))).collect(),
    };
    let is_held = |seen: &Seen, (file, part): (Option<usize>, u64)| {
        seen.problem % parts == part && file.is_none_or(|file| seen.file == file)
    };
    let is_other = |seen: &Seen, (file, part): (Option<usize>, u64)| {
        seen.problem % parts != part && file.is_none_or(|file| seen.file != file)
    };
    let mut best: Option<(f64, Validated)> = None;
    for sign_penalty in SIGN_PENALTIES {
        let mut decided = vec![Decided::default(); seen.len()];
        let mut loss = 0.0;
        for fold in &folds {
            let fit = Fit::on(&used(seen, |seen| is_other(seen, *fold)), &penalties(sign_penalty));
            // Each fold counts as much as any other, however many sets it has.
            loss += fit.mean_loss(&used(seen, |seen| is_held(seen, *fold)));
            for (seen, decided) in seen.iter().zip(&mut decided).filter(|(seen, _)| is_held(seen, *fold)) {
                *decided = seen.decide(&fit);
            }
        }
        if best.as_ref().is_none_or(|(least, _)| loss < *least) {
            best = Some((loss, Validated { sign_penalty, decided }));
        }
    }
    best.map_or(Validated { sign_penalty: PENALTY, decided: Vec::new() }, |(_, validated)| validated)
}

/// The penalty of each feature, those of a class first.
pub fn penalties(signs: f64) -> Vec<f64> {
    let of_class = (0..features::PER_CLASS).map(|feature| if is_sign(feature) { signs } else { PENALTY });
    let of_set = (0..features::PER_SET).map(|feature| match feature {
        // The constant is free.
        0 => 0.0,
        feature if is_set_sign(feature) => signs * SET_PENALTY / PENALTY,
        _ => SET_PENALTY,
    });
    of_class.chain(of_set).collect()
}

/// What was fitted for one kind of answers. `candidates`: of how many a set may be, twice the larger at most.
pub fn kind_ranker(
    kind: &str,
    problems: usize,
    candidates: (usize, usize),
    plain: &Fit,
    voters: Option<&Fit>,
) -> KindRanker {
    let (without_voters, with_voters) = (plain.weights.clone(), voters.map(|fit| fit.weights.clone()));
    KindRanker { kind: kind.to_owned(), problems, candidates, without_voters, with_voters }
}

fn cluster(candidates: Vec<usize>) -> Cluster {
    Cluster { answer: String::new(), candidates, forms: Vec::new(), found_by: None, fits: Vec::new() }
}
