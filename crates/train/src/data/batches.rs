//! Which examples go together: batches of sequences of similar length, as a pure function of (seed, step).
//!
//! A *window* of several batches of positions is prepared at once, sorted by length and cut into batches, whose order is
//! drawn. Every position of a window is used in it exactly once, so that the step alone says where in the data a run
//! stands. Windows do not reach across the stages of a curriculum.

use std::ops::Range;

use super::draw::{Purpose, shuffle, stream};
use super::prepare::{Examples, Prepared};
use crate::batch::{Batch, Sequence};
use crate::config::DataConfig;
use crate::error::{Result, TrainError};

/// Batches of a window: enough for little padding, few enough to be ready at once.
const WINDOW: u64 = 16;

/// How many candidates are shown and how many sequences go together, step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curriculum {
    /// In order; the last has no end.
    stages: Vec<Stage>,
    /// Batches of a step.
    passes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stage {
    first_step: u64,
    /// The first step behind it.
    end: u64,
    first_position: u64,
    num_candidates: Vec<usize>,
    batch_size: usize,
}

/// The data of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepData<'a> {
    /// So many positions are used up by the step, these where steps are not put together by length.
    pub positions: Range<u64>,
    /// Numbers of candidates to draw from.
    pub num_candidates: &'a [usize],
    /// Sequences of a batch.
    pub batch_size: usize,
}

impl Curriculum {
    /// The stages of `data`, with `batch_size` sequences a batch where a stage does not say another, and `passes` batches
    /// a step.
    pub fn new(data: &DataConfig, batch_size: usize, passes: usize) -> Self {
        let passes = passes.max(1) as u64;
        let (mut first_step, mut first_position) = (0, 0);
        let mut stages = Vec::new();
        let named = data.stages.iter().map(|stage| {
            let num_candidates = stage.num_candidates.as_ref().unwrap_or(&data.num_candidates);
            (stage.steps, num_candidates, stage.batch_size.unwrap_or(batch_size))
        });
        let rest = std::iter::once((u64::MAX, &data.num_candidates, batch_size));
        for (steps, num_candidates, batch_size) in named.chain(rest) {
            let (end, batch_size) = (steps.saturating_add(first_step), batch_size.max(1));
            let num_candidates = num_candidates.clone();
            stages.push(Stage { first_step, end, first_position, num_candidates, batch_size });
            let used = steps.saturating_mul(passes).saturating_mul(batch_size as u64);
            first_position = used.saturating_add(first_position);
            first_step = end;
        }
        Self { stages, passes }
    }

    /// What `step` (from 0) works on.
    pub fn at(&self, step: u64) -> StepData<'_> {
        let stage = self.stage(step);
        StepData {
            positions: self.position(stage, step)..self.position(stage, step + 1),
            num_candidates: &stage.num_candidates,
            batch_size: stage.batch_size,
        }
    }

    /// The largest number of candidates that is ever shown.
    pub fn most_candidates(&self) -> usize {
        self.stages.iter().flat_map(|stage| &stage.num_candidates).copied().max().unwrap_or(0)
    }

    /// The steps whose data are prepared together with that of `step`.
    fn window(&self, step: u64) -> Range<u64> {
        let stage = self.stage(step);
        let length = (WINDOW / self.passes).max(1);
        let first = step - (step - stage.first_step) % length;
        first..(first + length).min(stage.end)
    }

    fn stage(&self, step: u64) -> &Stage {
        // The last ends at the largest step there is; there is always one.
        let place = self.stages.partition_point(|stage| stage.end <= step).min(self.stages.len() - 1);
        &self.stages[place]
    }

    fn position(&self, stage: &Stage, step: u64) -> u64 {
        stage.first_position + (step - stage.first_step) * self.passes * stage.batch_size as u64
    }
}

/// The batches of a run, step by step.
pub struct Batches<'t> {
    examples: Examples<'t>,
    curriculum: Curriculum,
    /// The window of the step asked for last: its steps, and the batches of all of them.
    window: Option<(Range<u64>, Vec<Batch>)>,
}

impl<'t> Batches<'t> {
    /// Puts `examples` together as `curriculum` says.
    pub fn new(examples: Examples<'t>, curriculum: Curriculum) -> Self {
        Self { examples, curriculum, window: None }
    }

    /// The batches of `step`: as many as it has passes. Any step may be asked for at any time; one after the other is
    /// fastest.
    ///
    /// # Errors
    /// As [`Examples::get`].
    pub fn step(&mut self, step: u64) -> Result<&[Batch]> {
        let (steps, batches) = match self.window.take() {
            Some(window) if window.0.contains(&step) => window,
            _ => self.prepare(self.curriculum.window(step))?,
        };
        let passes = self.curriculum.passes as usize;
        let first = (step - steps.start) as usize * passes;
        let (_, batches) = self.window.insert((steps, batches));
        Ok(&batches[first..first + passes])
    }

    /// A batch at least as large as any of the run is likely to be, for a rehearsal: as many sequences as the stage has, all
    /// as long as the longest of the first `sample` examples with the most candidates. The stage whose batch has the most
    /// tokens is taken.
    ///
    /// # Errors
    /// As [`Examples::get`].
    pub fn largest(&self, sample: u64) -> Result<Batch> {
        let mut largest: Option<Batch> = None;
        for stage in &self.curriculum.stages {
            let Some(most) = stage.num_candidates.iter().max() else { continue };
            let positions = stage.first_position..stage.first_position.saturating_add(sample.max(1));
            let prepared = self.examples.range(positions, &[*most])?;
            let longest = prepared.iter().map(|example| &example.sequence).max_by_key(|s| s.tokens.len());
            let batch = longest.map(|longest| Batch::new(&vec![longest; stage.batch_size]));
            let tokens = |batch: &Option<Batch>| batch.as_ref().map_or(0, |batch| batch.tokens.len());
            if tokens(&batch) > tokens(&largest) {
                largest = batch;
            }
        }
        largest.ok_or_else(|| TrainError::Config("`data.num_candidates` is empty".to_owned()))
    }

    /// The examples, one by one.
    pub fn examples(&self) -> &Examples<'t> {
        &self.examples
    }

    /// Which data which step works on.
    pub fn curriculum(&self) -> &Curriculum {
        &self.curriculum
    }

    fn prepare(&self, steps: Range<u64>) -> Result<(Range<u64>, Vec<Batch>)> {
        let first = self.curriculum.at(steps.start);
        let positions = first.positions.start..self.curriculum.at(steps.end - 1).positions.end;
        let mut rng = stream(self.examples.seed(), Purpose::Batches, positions.start);
        let prepared = self.examples.range(positions, first.num_candidates)?;
        let mut sequences: Vec<Sequence> =
            prepared.into_iter().map(|Prepared { sequence, .. }| sequence).collect();
        // Stable: equal lengths stay in the order of their positions.
        sequences.sort_by_key(|sequence| sequence.tokens.len());
        let mut batches: Vec<Batch> = sequences
            .chunks(first.batch_size)
            .map(|sequences| Batch::new(&sequences.iter().collect::<Vec<_>>()))
            .collect();
        shuffle(&mut rng, &mut batches);
        Ok((steps, batches))
    }
}
