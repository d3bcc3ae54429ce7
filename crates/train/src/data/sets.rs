//! Sources of sample sets: the arithmetic domain, or sets that a host has read.
//!
//! A *position* counts the examples of a run, from 0; a shard of several sees every so-manieth of them. An endless
//! stream has another problem at each position. A finite source is gone through in epochs, each in an order of its own,
//! so no set comes twice before all others came. What does not live here: reading files.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use conclave_core::arithmetic::{Numbers, Options, Solver, sample_set};
use conclave_core::sample_set::SampleSet;

use super::draw::{Purpose, shuffle, stream};
use super::filter::{Unusable, unwanted};
use crate::config::{ArithmeticSource, FilterConfig, NumberRange, Solvers};
use crate::error::{Result, TrainError};

/// Problems that an endless stream keeps for each position where some of them are left out.
const ATTEMPTS: u64 = 64;

/// A source of sample sets by position.
pub struct Sets {
    source: Source,
    shard: u64,
    num_shards: u64,
    /// The order of the epoch asked for last, which costs as much as its length.
    epoch: Mutex<Option<Epoch>>,
}

enum Source {
    Endless { domain: Arithmetic, filters: FilterConfig },
    Problems { domain: Arithmetic, indices: Vec<u32> },
    Memory(Vec<SampleSet>),
}

/// The arithmetic domain with what does not change in a run.
struct Arithmetic {
    seed: u64,
    solvers: Vec<Solver>,
    numbers: Numbers,
}

impl Arithmetic {
    fn set(&self, index: u64, num_candidates: usize) -> SampleSet {
        let Self { solvers, numbers, .. } = self;
        sample_set(self.seed, index, &Options { num_candidates, solvers: solvers.clone(), numbers: *numbers })
    }
}

#[derive(Clone)]
struct Epoch {
    seed: u64,
    number: u64,
    order: Arc<[u32]>,
}

/// Says of each set what is wrong with it, if anything is.
pub(super) type Judge<'a> = dyn Fn(&[Cow<'_, SampleSet>]) -> Vec<Option<Unusable>> + 'a;

impl Sets {
    /// Problems of the arithmetic domain. Without a number of problems the stream is endless, and position i has the
    /// problem i that `conclave data arithmetic` writes.
    ///
    /// # Errors
    /// No problems, or more than an order can be made of.
    pub fn arithmetic(source: &ArithmeticSource) -> Result<Self> {
        let solvers = match source.solvers {
            Solvers::Standard => vec![Solver::STANDARD],
            Solvers::Mixed => Solver::MIXED.to_vec(),
        };
        let numbers = match source.numbers {
            NumberRange::Standard => Numbers::Standard,
            NumberRange::Small => Numbers::Small,
        };
        let domain = Arithmetic { seed: source.seed, solvers, numbers };
        Ok(Self::new(match source.problems {
            None => Source::Endless { domain, filters: FilterConfig::default() },
            Some(problems) => Source::Problems { domain, indices: (0..length(problems)?).collect() },
        }))
    }

    /// Sets that a host has read.
    ///
    /// # Errors
    /// No sets.
    pub fn memory(sets: Vec<SampleSet>) -> Result<Self> {
        length(sets.len() as u64)?;
        Ok(Self::new(Source::Memory(sets)))
    }

    fn new(source: Source) -> Self {
        Self { source, shard: 0, num_shards: 1, epoch: Mutex::new(None) }
    }

    /// One of `num_shards` parts for as many processes: no position of one has an example of another, and together they
    /// go through the same epochs.
    ///
    /// # Errors
    /// A shard that is not one of them.
    pub fn sharded(mut self, shard: u64, num_shards: u64) -> Result<Self> {
        if shard >= num_shards {
            let message = format!("shard {shard} of {num_shards}: they are numbered from 0");
            return Err(TrainError::Config(message));
        }
        (self.shard, self.num_shards) = (shard, num_shards);
        Ok(self)
    }

    /// Sets of an epoch, over all shards; none where the stream is endless.
    pub fn epoch_len(&self) -> Option<u64> {
        match &self.source {
            Source::Endless { .. } => None,
            Source::Problems { indices, .. } => Some(indices.len() as u64),
            Source::Memory(sets) => Some(sets.len() as u64),
        }
    }

    /// The set at `position`. The arithmetic domain has as many candidates as are asked for, a set in memory all it
    /// has. `seed` decides the order of the epochs.
    ///
    /// # Errors
    /// An endless stream whose filters leave nothing.
    pub fn get(&self, seed: u64, position: u64, num_candidates: usize) -> Result<Cow<'_, SampleSet>> {
        let position = position * self.num_shards + self.shard;
        match &self.source {
            Source::Endless { domain, filters } => {
                wanted(domain, filters, position, num_candidates).map(Cow::Owned)
            }
            Source::Problems { domain, indices } => {
                let place = self.place(seed, position, indices.len());
                Ok(Cow::Owned(domain.set(u64::from(indices[place]), num_candidates)))
            }
            Source::Memory(sets) => Ok(Cow::Borrowed(&sets[self.place(seed, position, sets.len())])),
        }
    }

    /// The source without the sets that `judge` finds fault with, and every verdict. Of an endless stream, which drops
    /// by `filters` while it runs, the verdicts on the first problems.
    pub(super) fn filtered(
        mut self,
        filters: &FilterConfig,
        num_candidates: usize,
        judge: &Judge<'_>,
    ) -> Result<(Self, Vec<Option<Unusable>>)> {
        /// Enough for a share of a percent.
        const LOOKED_AT: u64 = 1_000;
        /// So many sets of a long list are made at once.
        const CHUNK: usize = 4_096;
        let mut verdicts = Vec::new();
        match &mut self.source {
            Source::Endless { domain, filters: kept } => {
                kept.clone_from(filters);
                let first: Vec<_> =
                    (0..LOOKED_AT).map(|index| Cow::Owned(domain.set(index, num_candidates))).collect();
                verdicts = judge(&first);
            }
            Source::Problems { domain, indices } => {
                for chunk in indices.chunks(CHUNK) {
                    let made = chunk.iter().map(|&index| domain.set(u64::from(index), num_candidates));
                    verdicts.extend(judge(&made.map(Cow::Owned).collect::<Vec<_>>()));
                }
                keep(indices, &verdicts);
                length(indices.len() as u64)?;
            }
            Source::Memory(sets) => {
                verdicts = judge(&sets.iter().map(Cow::Borrowed).collect::<Vec<_>>());
                keep(sets, &verdicts);
                length(sets.len() as u64)?;
            }
        }
        Ok((self, verdicts))
    }

    /// Where in its list the example of a position stands.
    fn place(&self, seed: u64, position: u64, length: usize) -> usize {
        let (number, within) = (position / length as u64, position % length as u64);
        // A panic elsewhere leaves a memo that is whole: it is replaced in one assignment.
        let mut memo = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        let known = memo.as_ref().filter(|epoch| (epoch.seed, epoch.number) == (seed, number)).cloned();
        let epoch = known.unwrap_or_else(|| {
            let mut order: Vec<u32> = (0..length as u32).collect();
            shuffle(&mut stream(seed, Purpose::Order, number), &mut order);
            Epoch { seed, number, order: order.into() }
        });
        let place = epoch.order[within as usize] as usize;
        *memo = Some(epoch);
        place
    }
}

/// The problem of a position. Where some are left out, each position has a run of problems of its own, of which the first
/// that is wanted is taken: so a position says it all, and no problem comes twice.
fn wanted(
    domain: &Arithmetic,
    filters: &FilterConfig,
    position: u64,
    num_candidates: usize,
) -> Result<SampleSet> {
    if !filters.drop_all_correct && !filters.drop_all_wrong {
        return Ok(domain.set(position, num_candidates));
    }
    let attempts = (0..ATTEMPTS).map(|attempt| domain.set(position * ATTEMPTS + attempt, num_candidates));
    attempts.into_iter().find(|set| unwanted(filters, set).is_none()).ok_or_else(|| {
        TrainError::Data(format!(
            "`data.filters` leave none of {ATTEMPTS} arithmetic problems with {num_candidates} candidates: ask for more \
             candidates, or drop less"
        ))
    })
}

fn length(sets: u64) -> Result<u32> {
    match u32::try_from(sets) {
        Ok(0) => Err(TrainError::Data("there are no sample sets to learn from (left)".to_owned())),
        Ok(sets) => Ok(sets),
        Err(_) => Err(TrainError::Data(format!("{sets} sets are more than an order can be made of"))),
    }
}

fn keep<T>(items: &mut Vec<T>, verdicts: &[Option<Unusable>]) {
    let mut verdicts = verdicts.iter();
    items.retain(|_| verdicts.next().is_some_and(Option::is_none));
}
