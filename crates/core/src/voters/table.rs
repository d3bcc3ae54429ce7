//! Answers of voters, collected set by set, and what they show.

use std::collections::HashMap;

use serde::Serialize;

use super::em::{self, Said};
use super::{NotIdentified, Reliabilities, Voter, voter_of};
use crate::cluster::Cluster;
use crate::sample_set::SampleSet;

/// Sets with answers of two voters that are needed at least.
const FEWEST: usize = 20;

/// Reliabilities of less than this on average: answers agree no more than by chance.
const LEAST_MEAN: f64 = 0.05;

/// Who said what in the sets of a file. Holds four bytes an answer, not the sets.
#[derive(Debug, Clone, Default)]
pub struct VoterTable {
    names: Vec<String>,
    places: HashMap<String, u32>,
    sets: Vec<Said>,
    /// Candidates of each voter, those without an answer too.
    candidates: Vec<u64>,
    unnamed: u64,
}

/// One voter in the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoterRow {
    /// Its name.
    pub name: String,
    /// Its candidates.
    pub candidates: u64,
    /// Of these, with an answer.
    pub answers: u64,
    /// The probability that its answer is right, and a 95 % interval: that of a proportion of so many answers (Wilson).
    pub reliability: f64,
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// How often it agrees with another voter of the same set.
    pub agreement: Option<f64>,
    /// The weight of its vote.
    pub weight: f64,
}

/// How much the voters are worth together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CoFailure {
    /// Sets with answers of two voters or more.
    pub sets: usize,
    /// Votes a set on average.
    pub votes: f64,
    /// The correlation of being right, over pairs of voters, as the posterior has it.
    pub correlation: f64,
    /// Independent votes that are worth as much: N / (1 + (N - 1) rho).
    pub effective_votes: f64,
    /// Sets in which nobody is right, as the posterior has it: no choice among the answers can be better than 1 less this.
    pub all_wrong: f64,
}

impl VoterTable {
    /// Adds a set that was voted on. `field` names the field of candidates that says who wrote it; none: `model`.
    pub fn add(&mut self, set: &SampleSet, clusters: &[Cluster], field: Option<&str>) {
        let names: Vec<Option<String>> =
            set.candidates.iter().map(|candidate| voter_of(candidate, field)).collect();
        self.add_named(&names, clusters);
    }

    /// Adds a set by the names of its candidates' voters.
    pub fn add_named(&mut self, names: &[Option<String>], clusters: &[Cluster]) {
        let voters: Vec<Option<u32>> =
            names.iter().map(|name| name.as_ref().map(|name| self.place(name.clone()))).collect();
        for voter in &voters {
            match voter {
                Some(voter) => self.candidates[*voter as usize] += 1,
                None => self.unnamed += 1,
            }
        }
        let said: Said = clusters
            .iter()
            .map(|cluster| {
                cluster.candidates.iter().filter_map(|at| voters.get(*at).copied().flatten()).collect()
            })
            .filter(|voters: &Vec<u32>| !voters.is_empty())
            .collect();
        if !said.is_empty() {
            self.sets.push(said);
        }
    }

    fn place(&mut self, name: String) -> u32 {
        if let Some(place) = self.places.get(&name) {
            return *place;
        }
        let place = self.names.len() as u32;
        self.names.push(name.clone());
        self.candidates.push(0);
        self.places.insert(name, place);
        place
    }

    /// Candidates that do not say who wrote them.
    pub fn unnamed(&self) -> u64 {
        self.unnamed
    }

    /// Learns how far each voter can be believed.
    ///
    /// # Errors
    /// Where the file does not show it.
    pub fn learn(&self) -> Result<Reliabilities, NotIdentified> {
        match self.names.as_slice() {
            [] => return Err(NotIdentified::NoNames),
            [name] => return Err(NotIdentified::OneVoter(name.clone())),
            _ => {}
        }
        let shared = self.sets.iter().filter(|said| is_shared(said)).count();
        if shared < FEWEST {
            return Err(NotIdentified::TooFew { sets: shared, expected: FEWEST });
        }
        let learned = em::learn(&self.sets, self.names.len(), false);
        let reliabilities = self.named(&learned);
        if reliabilities.mean() < LEAST_MEAN {
            return Err(NotIdentified::NoAgreement);
        }
        // Bayesian information criterion: a reliability each has to explain more than one for all.
        let alike = em::learn(&self.sets, self.names.len(), true);
        let more = 2.0 * (learned.log_likelihood - alike.log_likelihood);
        let price = (self.names.len() - 1) as f64 * libm::log(self.sets.len() as f64);
        if more <= price {
            return Err(NotIdentified::Alike);
        }
        Ok(reliabilities)
    }

    fn named(&self, learned: &em::Learned) -> Reliabilities {
        let answers = self.answers();
        let voters = self.names.iter().zip(&learned.reliability).zip(&answers);
        let voters = voters
            .map(|((name, reliability), answers)| Voter {
                name: name.clone(),
                reliability: *reliability,
                answers: *answers,
            })
            .collect();
        let mut named = Reliabilities { voters, theta: learned.theta };
        named.sort();
        named
    }

    fn answers(&self) -> Vec<u64> {
        let mut answers = vec![0; self.names.len()];
        self.sets.iter().flatten().flatten().for_each(|voter| answers[*voter as usize] += 1);
        answers
    }

    /// The table: a row a voter, the most reliable first.
    pub fn rows(&self, reliabilities: &Reliabilities) -> Vec<VoterRow> {
        let answers = self.answers();
        let agreement = self.agreement();
        let mut rows: Vec<VoterRow> = (0..self.names.len())
            .map(|voter| {
                let reliability = reliabilities.of(Some(&self.names[voter]));
                let (low, high) = wilson(reliability, answers[voter] as f64);
                VoterRow {
                    name: self.names[voter].clone(),
                    candidates: self.candidates[voter],
                    answers: answers[voter],
                    reliability,
                    low,
                    high,
                    agreement: agreement[voter],
                    weight: super::weight(reliability),
                }
            })
            .collect();
        rows.sort_by(|a, b| b.reliability.total_cmp(&a.reliability));
        rows
    }

    /// For each voter the share of other voters' answers in its sets that are its own.
    fn agreement(&self) -> Vec<Option<f64>> {
        let mut counts = vec![(0usize, 0usize); self.names.len()];
        for said in &self.sets {
            let all: usize = said.iter().map(Vec::len).sum();
            for voters in said {
                for voter in voters {
                    let (same, others) = &mut counts[*voter as usize];
                    *same += voters.len() - 1;
                    *others += all - 1;
                }
            }
        }
        counts.into_iter().map(|(same, others)| (others > 0).then(|| same as f64 / others as f64)).collect()
    }

    /// How much the voters are worth together, by the probabilities that `reliabilities` give. None without shared sets.
    pub fn together(&self, reliabilities: &Reliabilities) -> Option<CoFailure> {
        let of: Vec<f64> = self.names.iter().map(|name| reliabilities.of(Some(name))).collect();
        let (mut sets, mut votes, mut none) = (0usize, 0usize, 0.0);
        let (mut covariance, mut variance) = (0.0, 0.0);
        for said in self.sets.iter().filter(|said| is_shared(said)) {
            let reliability = |voter: &u32| of[*voter as usize];
            let posterior =
                em::posterior(said.iter().map(|voters| voters.iter().map(reliability)), reliabilities.theta);
            sets += 1;
            let all: Vec<(usize, u32)> = said
                .iter()
                .enumerate()
                .flat_map(|(class, voters)| voters.iter().map(move |v| (class, *v)))
                .collect();
            votes += all.len();
            none += posterior.last().copied().unwrap_or(0.0);
            // E[(x_i - r_i)(x_j - r_j)] under the posterior, where x is being right: both are right only in one class.
            for (at, (class, voter)) in all.iter().enumerate() {
                let r = of[*voter as usize];
                for (other_class, other) in &all[..at] {
                    let s = of[*other as usize];
                    let both = if class == other_class { posterior[*class] } else { 0.0 };
                    covariance += both - r * posterior[*other_class] - s * posterior[*class] + r * s;
                    variance += libm::sqrt(r * (1.0 - r) * s * (1.0 - s));
                }
            }
        }
        if sets == 0 || variance <= 0.0 {
            return None;
        }
        let votes = votes as f64 / sets as f64;
        let correlation = (covariance / variance).clamp(0.0, 1.0);
        Some(CoFailure {
            sets,
            votes,
            correlation,
            effective_votes: votes / (1.0 + (votes - 1.0) * correlation),
            all_wrong: none / sets as f64,
        })
    }
}

/// Whether two voters or more have an answer.
fn is_shared(said: &Said) -> bool {
    let mut all = said.iter().flatten();
    let first = all.next();
    all.any(|voter| Some(voter) != first)
}

/// The 95 % interval of a proportion (Wilson 1927).
fn wilson(share: f64, n: f64) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if n <= 0.0 {
        return (0.0, 1.0);
    }
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * libm::sqrt(share * (1.0 - share) / n + Z * Z / (4.0 * n * n));
    ((middle - half).max(0.0), (middle + half).min(1.0))
}
