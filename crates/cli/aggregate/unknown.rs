//! Sets of words that the built-in model does not know: the vote answers them, and the run says so once.
//!
//! A model that is named by its directory is asked whatever its vocabulary is; whoever names it knows what it is for.

use anyhow::Result;
use conclave_core::router::{Policy, Route, route};
use conclave_core::sample_set::SampleSet;
use conclave_core::vote::majority_vote;
use conclave_model::builtin;
use conclave_model::open::read_tokenizer;

use crate::directory::ModelSource;
use crate::messages::{count, say};
use crate::model::Opened;

/// For each set: the share of its words that the built-in model does not know, where it would be asked and cannot be.
pub fn shares(opened: &Opened, policy: Policy, sets: &[SampleSet]) -> Result<Vec<Option<f64>>> {
    if !matches!(opened.files, ModelSource::Builtin(_)) {
        return Ok(vec![None; sets.len()]);
    }
    let tokenizer = pollster::block_on(read_tokenizer(&opened.files, &opened.directory.config))?;
    let share = |set: &SampleSet| {
        let would_be_asked = || route(policy, &majority_vote(set)) == Route::Model;
        let share = Some(builtin::unknown_share(&tokenizer, set));
        share.filter(|&share| {
            share > builtin::MAX_UNKNOWN_SHARE && !set.candidates.is_empty() && would_be_asked()
        })
    };
    Ok(sets.iter().map(share).collect())
}

/// Says how many sets are left to the vote, and what to do about it.
pub fn report(shares: &[Option<f64>]) {
    let left = shares.iter().flatten().count();
    if left == 0 {
        return;
    }
    say(&format!(
        "{left} of {} left to the vote: the built-in model does not know their words (it is for arithmetic word problems, \
         as `conclave data arithmetic` makes them); give --model DIR for a general model",
        count(shares.len() as u64, "set")
    ));
}
