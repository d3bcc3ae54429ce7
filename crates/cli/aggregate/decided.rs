//! Which sets need no model: those of other kinds than mathematics and choice, and votes that are enough.

use anyhow::Result;
use conclave_core::kinds::{Ballot, BallotError, VoteOptions, ballot};
use conclave_core::result::AggregateResult;
use conclave_core::router::{Policy, Route, route};
use conclave_core::sample_set::SampleSet;

use crate::vote::Refusals;
use crate::voters::Weights;

/// What is known of a set before a model is asked.
pub enum Decided {
    /// Its row.
    Row(Box<AggregateResult>),
    /// The model may be asked; with weights, the vote that stands in where it gives no answer.
    Open(Option<Box<AggregateResult>>),
}

/// Decides without a model.
pub struct Deciding<'a> {
    /// What the answers are.
    pub options: &'a VoteOptions<'a>,
    /// When a vote is enough.
    pub policy: Policy,
    /// What votes count, where they do not all count the same.
    pub weights: Option<Weights>,
    /// Names what cannot be voted on.
    pub refusals: &'a mut Refusals,
}

impl Deciding<'_> {
    /// Decides every set. Without weights, whether a vote on mathematics is enough is left to the aggregator.
    pub fn decide(&mut self, sets: &[SampleSet]) -> Result<Vec<Decided>> {
        let ballots: Vec<Result<Ballot, BallotError>> =
            sets.iter().map(|set| ballot(set, self.options)).collect();
        if let Some(weights) = &mut self.weights
            && weights.is_learning()
        {
            sets.iter().zip(&ballots).for_each(|(set, voted)| weights.see(set, voted));
            weights.learn()?;
        }
        sets.iter().zip(ballots).map(|(set, voted)| self.one(set, voted)).collect()
    }

    /// The table of voters, where they were learned.
    pub fn voters(&self) -> Vec<String> {
        self.weights.as_ref().map(Weights::report).unwrap_or_default()
    }

    fn one(&mut self, set: &SampleSet, voted: Result<Ballot, BallotError>) -> Result<Decided> {
        let ballot = match voted {
            Ok(ballot) => ballot,
            Err(reason) => {
                self.refusals.add(&reason, &set.id, "sets")?;
                return Ok(Decided::Row(Box::new(AggregateResult::not_voted(set, &reason))));
            }
        };
        let is_for_models = ballot.kind.is_for_models();
        let Some(weights) = &mut self.weights else {
            return Ok(match is_for_models {
                true => Decided::Open(None),
                false => Decided::Row(Box::new(AggregateResult::from_ballot(set, &ballot, self.options))),
            });
        };
        let ballot = weights.weighed(set, ballot, self.options);
        let mut row = Box::new(AggregateResult::from_ballot(set, &ballot, self.options));
        let ranking = weights.judge().rank(ballot.kind.name(), set, &ballot.vote);
        if let Some(ranking) = &ranking {
            row.set_ranking(ranking, ballot.vote.winner);
        }
        let correct = ranking.map(|_| row.confidence);
        let is_enough = !is_for_models
            || set.candidates.is_empty()
            || route(self.policy, &ballot.vote, correct) == Route::Vote;
        Ok(if is_enough { Decided::Row(row) } else { Decided::Open(Some(row)) })
    }
}
