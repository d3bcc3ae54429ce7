//! One set aggregated by itself, for commands that made it themselves: the model is opened before the set is there, so
//! that a wrong flag is found before anything is paid for, and its weights are loaded when they are needed.

use std::time::Instant;

use anyhow::Result;
use conclave_core::result::AggregateResult;
use conclave_core::router::{Route, route_set};
use conclave_core::sample_set::SampleSet;
use conclave_core::vote::majority_vote;

use super::arguments::AggregateArguments;
use super::decided::{Decided, Deciding};
use super::{Job, aggregate, check_room, load, unknown};
use crate::kinds::Schemas;
use crate::model::{Opened, open, progress_bar};
use crate::vote::Refusals;

/// An aggregator that will be asked once.
pub struct Single {
    arguments: AggregateArguments,
    opened: Opened,
}

impl Single {
    /// Opens the model. Of the arguments, those about files and rounds are of no use here.
    pub fn open(arguments: AggregateArguments) -> Result<Self> {
        let opened = open(&arguments.model)?;
        check_room(&arguments, &opened)?;
        arguments.kinds.options(&Schemas::default())?;
        Ok(Self { arguments, opened })
    }

    /// The answer of `set`, by the same rules as in a run over files.
    pub fn aggregate(self, set: &SampleSet) -> Result<AggregateResult> {
        let Self { arguments, opened } = self;
        let policy = arguments.policy.policy();
        let started = Instant::now();
        let schemas = Schemas::default();
        let sets = std::slice::from_ref(set);
        let options = arguments.kinds.options(&schemas)?;
        let refusals = &mut Refusals::default();
        let decided = Deciding { options: &options, policy, weights: None, refusals }.decide(sets)?;
        if let Some(Decided::Row(result)) = decided.first() {
            let elapsed_ms = started.elapsed().as_secs_f64() * 1e3;
            return Ok(AggregateResult { elapsed_ms, ..(**result).clone() });
        }
        let shares = unknown::shares(&opened, None, policy, sets, &decided)?;
        unknown::report(&shares);
        let unknown = shares.first().copied().flatten();
        let job = Job { set, permutation: None, unknown, decided: None, vote: None };
        let vote = majority_vote(set);
        if job.unknown.is_none() && route_set(policy, set, &vote) == Route::Vote {
            let mut result = AggregateResult::from_vote(set, &vote);
            result.elapsed_ms = started.elapsed().as_secs_f64() * 1e3;
            return Ok(result);
        }
        // The answer of a set with unknown words needs no weights either, but goes through the same function; the only
        // model with that fate is small.
        let mut aggregator = load(opened)?;
        let bar = progress_bar(1, "{spinner} {msg}");
        let result = aggregate(&mut aggregator, &job, &arguments, &bar);
        bar.finish_and_clear();
        result
    }
}
