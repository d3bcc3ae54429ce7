//! `conclave aggregate --rounds`: pools that are aggregated into pools, and the vote of the last.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use conclave_core::layer::{Layer, MODEL, VOTE};
use conclave_core::prompt::PromptVariant;
use conclave_core::result::{AggregateResult, Method, Usage};
use conclave_core::sample_set::SampleSet;
use conclave_core::vote::majority_vote;
use conclave_disk::{Inputs, Resumable, is_replaceable, partial_path, resolve_link, stop};
use conclave_model::any_decoder::AnyDecoder;
use conclave_model::open::read_tokenizer;
use conclave_model::tokenizer::Tokenizer;
use conclave_train::rollout::{RolloutCost, RolloutOptions, RolloutPrompt, roll_out};
use conclave_train::rounds::{
    PoolEvaluation, PoolOptions, PoolReport, aggregate_pools, check_room, generate_pools, generator_prompt,
};
use conclave_train::workers::Workers;
use serde_json::Value;

use super::arguments::AggregateArguments;
use super::rows::Rows;
use super::{ERROR, Job, UNKNOWN_WORDS, rounded, say_vote_is_taken, vote_instead};
use crate::messages::{count, say};
use crate::model::arguments::ModelArguments;
use crate::model::{Opened, open, progress_bar};
use crate::output::{Output, to_json_line};
use crate::progress::Reporter;
use crate::{Outcome, UsageError};

/// Sets that are worked on at once, and the completions that are written at once, at most.
const AT_ONCE: usize = 64;

/// Candidates that a generator writes where nothing else is said.
const GENERATED: u32 = 8;

/// The field of a pool that says which round it is of.
const ROUND: &str = "round";

/// The field of a row that says how many rounds it took.
const ROUNDS: &str = "rounds";

/// How many rows of so many tokens fit `memory`. What is written does not depend on it.
fn rows_within(memory: u64, token_bytes: u64, tokens: usize) -> usize {
    let row = token_bytes.saturating_mul(tokens as u64).max(1);
    // At most AT_ONCE, so that no cast loses anything.
    (memory / row).clamp(1, AT_ONCE as u64) as usize
}

/// A model that completes prompts.
struct Writer {
    decoder: AnyDecoder,
    tokenizer: Tokenizer,
    stop_ids: Vec<u32>,
    context_length: usize,
    /// Bytes of keys and values of a token.
    token_bytes: u64,
    /// Bytes of keys and values of all rows.
    cache_memory: u64,
}

/// Opens the model of `--generator`, on the device of the other.
pub fn open_generator(arguments: &AggregateArguments) -> Result<Option<Opened>> {
    let Some(directory) = &arguments.generator else { return Ok(None) };
    if arguments.temperature <= 0.0 {
        let message =
            "--generator needs a --temperature above 0: otherwise all candidates of a problem are the same";
        return Err(anyhow::Error::new(UsageError(message.to_owned())));
    }
    open(&ModelArguments { model: directory.clone(), ..arguments.model.clone() }).map(Some)
}

impl Writer {
    fn load(opened: &Opened, arguments: &AggregateArguments) -> Result<Self> {
        let config = &opened.directory.config;
        let tokenizer = pollster::block_on(read_tokenizer(&opened.files, config))?;
        Ok(Self {
            decoder: opened.decoder(tokenizer.vocab_size())?,
            tokenizer,
            stop_ids: config.eos_token_ids.clone(),
            context_length: config.max_position_embeddings,
            token_bytes: 2
                * (config.num_hidden_layers * config.kv_size()) as u64
                * arguments.model.dtype.bytes(),
            cache_memory: arguments.cache_memory,
        })
    }

    /// What `rounds` asks of it, with everything but the number of the first problem.
    fn options(&self, arguments: &AggregateArguments, variant: PromptVariant) -> PoolOptions {
        let quarter = self.context_length / 4;
        let new_tokens = match variant {
            PromptVariant::NoThink => 128.min(quarter),
            PromptVariant::Think | PromptVariant::Compact => 512.min(quarter),
        };
        let new_tokens = arguments.max_new_tokens.map_or(new_tokens, |asked| asked as usize);
        PoolOptions {
            variant,
            context_length: self.context_length,
            num_candidates: 0,
            pool_size: arguments.pool_size as usize,
            generator_max_new_tokens: new_tokens,
            max_new_tokens: new_tokens,
            temperature: arguments.temperature,
            rows: AT_ONCE,
            seed: arguments.seed,
            first: 0,
        }
    }

    /// Runs `work` with what completes prompts, and gives the tokens it took too.
    fn with<T>(
        &mut self,
        work: impl FnOnce(
            &mut conclave_train::rounds::RollOut<'_>,
            &Tokenizer,
            &[u32],
        ) -> conclave_train::Result<T>,
    ) -> Result<(T, RolloutCost)> {
        let workers = Workers::new(1)?;
        let mut total = RolloutCost::default();
        let (decoder, tokenizer) = (&mut self.decoder, &self.tokenizer);
        let (memory, token_bytes) = (self.cache_memory, self.token_bytes);
        let mut complete = |prompts: &[RolloutPrompt<'_>], stops: &_, options: &RolloutOptions| {
            let longest =
                prompts.iter().map(|prompt| prompt.tokens.len()).max().unwrap_or(0) + options.max_new_tokens;
            let options =
                &RolloutOptions { rows: rows_within(memory, token_bytes, longest), ..options.clone() };
            let decoders = std::slice::from_mut(&mut *decoder);
            let (groups, cost) = roll_out(&workers, decoders, tokenizer, stops, prompts, options)?;
            total.add(&cost);
            Ok((groups, cost))
        };
        let done = work(&mut complete, tokenizer, &self.stop_ids)?;
        Ok((done, total))
    }
}

/// A run in rounds: what was asked for.
pub struct Run<'a> {
    /// The flags.
    pub arguments: &'a AggregateArguments,
    /// How many rounds.
    pub rounds: u32,
    /// What decides the rows, and so the pools.
    pub settings: &'a Value,
    /// What is read.
    pub inputs: &'a Inputs,
}

impl Run<'_> {
    /// Makes the rows that are not there yet, some sets at a time.
    pub fn work(
        &self,
        opened: &Opened,
        generator: Option<&Opened>,
        jobs: &[Job<'_>],
        rows: &mut Rows,
        reporter: &mut Reporter,
    ) -> Result<Outcome> {
        let done = rows.done();
        let is_done = done == jobs.len();
        // Sets are worked on together, and their pools are written before their rows: those of a group that was broken off are
        // made again, to the same bits.
        let begin = if self.arguments.pools.is_some() { done - done % AT_ONCE } else { done };
        let Some(mut pools_file) = Pools::open(self, if is_done { done } else { begin }, is_done)? else {
            return Ok(Outcome::Done);
        };
        let mut aggregator = Writer::load(opened, self.arguments)?;
        let mut generator = generator.map(|generator| Writer::load(generator, self.arguments)).transpose()?;
        let default = opened.directory.manifest.prompt_variant;
        let variant = self.arguments.variant.map_or(default, |name| name.variant());
        let bar = progress_bar(jobs.len() as u64, "{pos}/{len} {bar:32} {per_sec}, {eta} left");
        bar.set_position(done as u64);
        for (group, first) in jobs[begin..].chunks(AT_ONCE).zip((begin..).step_by(AT_ONCE)) {
            if stop::is_requested() {
                bar.finish_and_clear();
                return Ok(Outcome::Interrupted);
            }
            let writers = (&mut aggregator, generator.as_mut());
            let made = self.group(writers, group, first as u64, variant, &mut pools_file)?;
            // Of the first group some rows may be there already.
            for row in made.iter().skip(rows.done().saturating_sub(first)) {
                bar.suspend(|| {
                    if let Some(reason) = row.extra.get(ERROR).and_then(Value::as_str) {
                        say_vote_is_taken(reason);
                    }
                    rows.push(row)
                })?;
                bar.inc(1);
                reporter.add();
            }
        }
        bar.finish_and_clear();
        if begin > 0 && self.arguments.pools.is_none() {
            let left = count((jobs.len() - begin) as u64, "row");
            say(&format!("the figures of the rounds are of the {left} of this run"));
        }
        pools_file.finish()?;
        Ok(Outcome::Done)
    }

    /// The rows of some sets, whose pools go to `pools_file` round by round.
    fn group(
        &self,
        (aggregator, generator): (&mut Writer, Option<&mut Writer>),
        group: &[Job<'_>],
        first: u64,
        variant: PromptVariant,
        pools_file: &mut Pools,
    ) -> Result<Vec<AggregateResult>> {
        let (arguments, rounds) = (self.arguments, self.rounds);
        let started = Instant::now();
        let misfits: Vec<Option<String>> = group
            .iter()
            .map(|job| match job.unknown {
                Some(_) => None,
                None if job.decided.is_some() => None,
                // There is nothing to ask about.
                None if generator.is_none() && job.set.candidates.is_empty() => None,
                None => misfit(job.set, aggregator, generator.as_deref(), rounds, arguments, variant),
            })
            .collect();
        let asked: Vec<bool> = group
            .iter()
            .zip(&misfits)
            .map(|(job, misfit)| job.decided.is_none() && job.unknown.is_none() && misfit.is_none())
            .collect();
        let sets: Vec<SampleSet> = group.iter().map(|job| job.set.clone()).collect();
        let is_recorded = generator.is_none();
        let (mut pools, mut cost) = match generator {
            None => (sets, RolloutCost::default()),
            Some(writer) => generated(writer, sets, &asked, first, arguments, variant)?,
        };
        pools_file.add(0, &pools)?;
        for round in 1..=rounds {
            let (next, taken) = aggregated(aggregator, &pools, &asked, round, first, arguments, variant)
                .with_context(|| format!("round {round}"))?;
            pools = next;
            cost.add(&taken);
            pools_file.add(round, &pools)?;
        }
        // Sets are worked on together: each that was has its share of the tokens and the time.
        let worked = asked.iter().zip(&pools).filter(|(asked, pool)| **asked && !pool.candidates.is_empty());
        let share = worked.count().max(1) as f64;
        let row = |((pool, job), misfit): ((&SampleSet, &Job<'_>), Option<String>)| {
            if let Some(row) = job.decided {
                return row.clone();
            }
            if let Some(share) = job.unknown {
                return vote_instead(job, UNKNOWN_WORDS, rounded(share));
            }
            if let Some(reason) = misfit {
                return vote_instead(job, ERROR, reason);
            }
            let usage = Usage {
                prompt_tokens: (cost.prompt_tokens as f64 / share).round() as u64,
                completion_tokens: (cost.generated_tokens as f64 / share).round() as u64,
            };
            let own = is_recorded.then_some(job.set);
            let mut row = row_of(pool, own, rounds, usage);
            row.elapsed_ms = started.elapsed().as_secs_f64() * 1e3 / share;
            row
        };
        Ok(pools.iter().zip(group).zip(misfits).map(row).collect())
    }
}

/// The pools of all rounds on their way to a file, and what they are worth. None is kept in memory.
struct Pools {
    file: Option<PoolsFile>,
    worth: Vec<PoolEvaluation>,
}

enum PoolsFile {
    /// Continued together with the rows.
    Resumable(Resumable),
    /// Where the rows are printed or a device is written: there is nothing to continue.
    Output(Output),
}

impl Pools {
    /// Opens the file of `--pools`; those of the first `sets` sets must be there. Nothing where all is done.
    fn open(run: &Run<'_>, sets: usize, is_done: bool) -> Result<Option<Self>> {
        let (arguments, rounds) = (run.arguments, run.rounds);
        let k = arguments.pool_size as usize;
        let mut worth: Vec<PoolEvaluation> =
            (0..=u64::from(rounds)).map(|round| PoolEvaluation::new(round, k)).collect();
        let is_file = |path: &&Path| *path != Path::new("-") && is_replaceable(path);
        let rows_file = arguments.out.as_deref().filter(is_file);
        let file = match arguments.pools.as_deref() {
            // The pools get their name before the rows do.
            Some(path) if is_done && !partial_path(&resolve_link(path)).exists() => return Ok(None),
            None if is_done => return Ok(None),
            None => None,
            Some(path) if rows_file.is_some() && is_file(&path) => {
                let mut settings = run.settings.clone();
                settings["file"] = "pools".into();
                let expected = sets as u64 * (u64::from(rounds) + 1);
                let mut add = |pool: SampleSet| {
                    let round = pool.extra.get(ROUND).and_then(Value::as_u64).unwrap_or(0) as usize;
                    if let Some(worth) = worth.get_mut(round) {
                        worth.add(&pool);
                    }
                };
                // A group whose rows are all there is not made again, whatever the number of its sets.
                let most = if is_done { None } else { Some(expected) };
                let file = Resumable::open(path, &settings, most, &mut add)?;
                if file.rows() < expected {
                    bail!(
                        "{} has {} of the {expected} pools of the earlier run: remove what it left of --out to start anew",
                        file.name(),
                        file.rows()
                    );
                }
                if is_done {
                    file.finish()?;
                    return Ok(None);
                }
                Some(PoolsFile::Resumable(file))
            }
            Some(path) => Some(PoolsFile::Output(Output::open(Some(path), run.inputs)?)),
        };
        Ok(Some(Self { file, worth }))
    }

    /// Writes the pools of a round.
    fn add(&mut self, round: u32, pools: &[SampleSet]) -> Result<()> {
        for pool in pools {
            if let Some(worth) = self.worth.get_mut(round as usize) {
                worth.add(pool);
            }
            let Some(file) = &mut self.file else { continue };
            let mut pool = pool.clone();
            pool.extra.insert(ROUND.to_owned(), round.into());
            match file {
                PoolsFile::Resumable(file) => file.row(&to_json_line(&pool)?)?,
                PoolsFile::Output(file) => file.json_line(&pool)?,
            }
        }
        Ok(())
    }

    /// Says what the rounds are worth, and completes the file.
    fn finish(self) -> Result<()> {
        for worth in &self.worth {
            say_figures(&worth.report()?);
        }
        match self.file {
            Some(PoolsFile::Resumable(file)) => Ok(file.finish()?),
            Some(PoolsFile::Output(file)) => file.finish(),
            None => Ok(()),
        }
    }
}

/// The row of the last pool of a set, its vote. The candidates of the set itself, where the rounds began with them, were voted on before.
fn row_of(pool: &SampleSet, own: Option<&SampleSet>, rounds: u32, usage: Usage) -> AggregateResult {
    let mut row = AggregateResult::from_vote(pool, &majority_vote(pool));
    row.extra.insert(ROUNDS.to_owned(), rounds.into());
    if pool.candidates.is_empty() {
        return row;
    }
    row.usage = usage;
    let mut layers = Vec::new();
    if rounds > 0 {
        row.method = Method::Generate;
        layers.extend(own.map(|set| Layer::of(VOTE, &AggregateResult::from_vote(set, &majority_vote(set)))));
    }
    layers.push(Layer::of(if rounds > 0 { MODEL } else { VOTE }, &row));
    row.layers = layers;
    row
}

/// Why the models cannot be asked about a set: its problem leaves no room for what they are to read and write.
fn misfit(
    set: &SampleSet,
    aggregator: &Writer,
    generator: Option<&Writer>,
    rounds: u32,
    arguments: &AggregateArguments,
    variant: PromptVariant,
) -> Option<String> {
    let generates = generator.map_or(Ok(()), |writer| {
        generator_prompt(set, &writer.tokenizer, &writer.options(arguments, variant)).map(|_| ())
    });
    let aggregates = match rounds {
        0 => Ok(()),
        _ => check_room(set, &aggregator.tokenizer, &aggregator.options(arguments, variant)),
    };
    generates.and(aggregates).err().map(|error| error.to_string())
}

/// The first pools, of a generator. A set that it is not `asked` about stays as it is.
fn generated(
    generator: &mut Writer,
    mut sets: Vec<SampleSet>,
    asked: &[bool],
    first: u64,
    arguments: &AggregateArguments,
    variant: PromptVariant,
) -> Result<(Vec<SampleSet>, RolloutCost)> {
    let mut total = RolloutCost::default();
    let num_candidates = arguments.num_candidates.unwrap_or(GENERATED) as usize;
    let places: Vec<usize> = (0..sets.len()).filter(|&place| asked[place]).collect();
    for run in places.chunk_by(|a, b| a + 1 == *b) {
        let first = first + run[0] as u64;
        let options = PoolOptions { num_candidates, first, ..generator.options(arguments, variant) };
        let of_run = &sets[run[0]..run[0] + run.len()];
        let (made, cost) = generator.with(|complete, tokenizer, stop_ids| {
            generate_pools(complete, of_run, tokenizer, stop_ids, &options)
        })?;
        total.add(&cost);
        run.iter().zip(made).for_each(|(&place, pool)| sets[place] = pool);
    }
    Ok((sets, total))
}

/// One round. A pool without candidates, or that the model is not `asked` about, stays as it is.
fn aggregated(
    aggregator: &mut Writer,
    pools: &[SampleSet],
    asked: &[bool],
    round: u32,
    first: u64,
    arguments: &AggregateArguments,
    variant: PromptVariant,
) -> Result<(Vec<SampleSet>, RolloutCost)> {
    let mut next = pools.to_vec();
    let mut total = RolloutCost::default();
    // Pools of one size go together; recorded sets may have different ones.
    let size_of =
        |place: &usize| Some(pools[*place].candidates.len()).filter(|size| *size > 0 && asked[*place]);
    let mut sizes: Vec<usize> = (0..pools.len()).filter_map(|place| size_of(&place)).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for size in sizes {
        let places: Vec<usize> = (0..pools.len()).filter(|place| size_of(place) == Some(size)).collect();
        for run in places.chunk_by(|a, b| a + 1 == *b) {
            let num_candidates = arguments.num_candidates.map_or(size, |number| number as usize);
            let first = first + run[0] as u64;
            let options = PoolOptions { num_candidates, first, ..aggregator.options(arguments, variant) };
            let of_run = &pools[run[0]..run[0] + run.len()];
            let (made, cost) = aggregator.with(|complete, tokenizer, stop_ids| {
                aggregate_pools(complete, of_run, u64::from(round), tokenizer, stop_ids, &options)
            })?;
            total.add(&cost);
            run.iter().zip(made).for_each(|(&place, pool)| next[place] = pool);
        }
    }
    Ok((next, total))
}

/// Says what the pools of a round are worth, where that is known.
fn say_figures(report: &PoolReport) {
    let (Some(accuracy), Some(vote)) = (report.sets.mean_at_1, report.sets.majority_first) else { return };
    let (round, k) = (report.round, report.k);
    let pass = report.pass_at.map_or(String::new(), |pass| format!(", pass@{k} {:.3}", pass.value));
    let interval = format!("{:.3} to {:.3}", accuracy.low, accuracy.high);
    say(&format!("round {round}: accuracy {:.3} ({interval}){pass}, vote {:.3}", accuracy.value, vote.value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_the_memory() {
        // Four layers of width 128 in 32 bits.
        let of_token = 4 * 2 * 128 * 4;
        assert_eq!(rows_within(2 << 30, of_token, 1_000), AT_ONCE, "never more");
        assert_eq!(rows_within(100 * of_token * 1_000, of_token, 1_000), 64);
        assert_eq!(rows_within(10 * of_token * 1_000, of_token, 1_000), 10);
        assert_eq!(rows_within(1, of_token, 1_000), 1, "there is no less");
        // The 0.5B at 4k tokens, of which 64 rows were 6.4 GB.
        assert_eq!(rows_within(2 << 30, 24 * 2 * 128 * 4, 4_096), 21);
    }
}
