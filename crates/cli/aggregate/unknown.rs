//! Sets of words that the built-in model does not know: the vote answers them, and the run says so once.
//!
//! A model that is named by its directory is asked whatever its vocabulary is; whoever names it knows what it is for.

use anyhow::Result;
use conclave_core::router::{Policy, Route, route_set};
use conclave_core::sample_set::SampleSet;
use conclave_core::vote::majority_vote;
use conclave_model::builtin;
use conclave_model::open::read_tokenizer;

use super::decided::Decided;
use crate::directory::ModelSource;
use crate::messages::{count, say};
use crate::model::Opened;

/// For each set: the share of its words that the built-in model does not know, where it would be asked and cannot be. With a
/// generator the candidates of the sets are not read: the problem alone counts, whichever of the two models is the built-in one.
pub fn shares(
    opened: &Opened,
    generator: Option<&Opened>,
    policy: Policy,
    sets: &[SampleSet],
    decided: &[Decided],
) -> Result<Vec<Option<f64>>> {
    let mut models = [Some(opened), generator].into_iter().flatten();
    let Some(builtin) = models.find(|model| matches!(model.files, ModelSource::Builtin(_))) else {
        return Ok(vec![None; sets.len()]);
    };
    let tokenizer = pollster::block_on(read_tokenizer(&builtin.files, &builtin.directory.config))?;
    let share = |(set, decided): (&SampleSet, &Decided)| {
        let Decided::Open(weighed) = decided else { return None };
        let (share, would_be_asked) = match generator {
            Some(_) => (tokenizer.unknown_share(&set.problem), true),
            None => {
                // A weighed vote that is enough was decided before.
                let is_to_be_asked =
                    weighed.is_some() || route_set(policy, set, &majority_vote(set)) == Route::Model;
                (builtin::unknown_share(&tokenizer, set), is_to_be_asked)
            }
        };
        (would_be_asked && share > builtin::MAX_UNKNOWN_SHARE).then_some(share)
    };
    Ok(sets.iter().zip(decided).map(share).collect())
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
