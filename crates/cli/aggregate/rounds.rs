//! `conclave aggregate --rounds`: pools that are aggregated into pools, and the vote of the last.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use conclave_core::layer::{Layer, MODEL, VOTE};
use conclave_core::prompt::PromptVariant;
use conclave_core::result::{AggregateResult, Method, Usage};
use conclave_core::sample_set::SampleSet;
use conclave_core::vote::majority_vote;
use conclave_model::decoder::Qwen2Decoder;
use conclave_model::open::read_tokenizer;
use conclave_model::tokenizer::Tokenizer;
use conclave_train::rollout::{RolloutCost, RolloutPrompt, roll_out};
use conclave_train::rounds::{
    PoolOptions, aggregate_pools, check_room, generate_pools, generator_prompt, report,
};
use conclave_train::workers::Workers;

use super::arguments::AggregateArguments;
use super::rows::Rows;
use super::{ERROR, Job, UNKNOWN_WORDS, rounded, say_vote_is_taken, vote_instead};
use crate::UsageError;
use crate::messages::{count, say};
use crate::model::arguments::ModelArguments;
use crate::model::{Opened, open, progress_bar};
use crate::output::Output;

/// Sets that are worked on at once, and the completions that are written at once.
const AT_ONCE: usize = 64;

/// Candidates that a generator writes where nothing else is said.
const GENERATED: u32 = 8;

/// The field of a pool that says which round it is of.
const ROUND: &str = "round";

/// The field of a row that says how many rounds it took.
const ROUNDS: &str = "rounds";

/// A model that completes prompts.
struct Writer {
    decoder: Qwen2Decoder,
    tokenizer: Tokenizer,
    stop_ids: Vec<u32>,
    context_length: usize,
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
    fn load(opened: &Opened) -> Result<Self> {
        let config = &opened.directory.config;
        let tokenizer = pollster::block_on(read_tokenizer(&opened.files, config))?;
        Ok(Self {
            decoder: opened.decoder(tokenizer.vocab_size())?,
            tokenizer,
            stop_ids: config.eos_token_ids.clone(),
            context_length: config.max_position_embeddings,
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
        let mut complete = |prompts: &[RolloutPrompt<'_>], stops: &_, options: &_| {
            let decoders = std::slice::from_mut(&mut *decoder);
            let (groups, cost) = roll_out(&workers, decoders, tokenizer, stops, prompts, options)?;
            total.add(&cost);
            Ok((groups, cost))
        };
        let done = work(&mut complete, tokenizer, &self.stop_ids)?;
        Ok((done, total))
    }
}

/// Makes the rows that are not there yet, some sets at a time.
pub fn work(
    arguments: &AggregateArguments,
    rounds: u32,
    opened: &Opened,
    generator: Option<&Opened>,
    jobs: &[Job<'_>],
    rows: &mut Rows,
) -> Result<()> {
    let done = rows.done();
    if done > 0 && arguments.pools.is_some() {
        bail!(
            "--pools: the pools of the earlier run were not kept; remove what it left of --out to start anew"
        );
    }
    if done == jobs.len() {
        return Ok(());
    }
    let mut pools_file = arguments.pools.as_deref().map(|path| Output::open(Some(path))).transpose()?;
    let mut aggregator = Writer::load(opened)?;
    let mut generator = generator.map(Writer::load).transpose()?;
    let variant = arguments.variant.map_or(opened.directory.manifest.prompt_variant, |name| name.variant());
    let bar = progress_bar(jobs.len() as u64, "{pos}/{len} {bar:32} {per_sec}, {eta} left");
    bar.set_position(done as u64);
    let mut by_round: Vec<Vec<SampleSet>> = vec![Vec::new(); rounds as usize + 1];
    for (part, first) in jobs[done..].chunks(AT_ONCE).zip((done..).step_by(AT_ONCE)) {
        let started = Instant::now();
        let sets: Vec<SampleSet> = part.iter().map(|job| job.set.clone()).collect();
        let first = first as u64;
        let misfits: Vec<Option<String>> = part
            .iter()
            .map(|job| match job.unknown {
                Some(_) => None,
                None if job.decided.is_some() => None,
                // There is nothing to ask about.
                None if generator.is_none() && job.set.candidates.is_empty() => None,
                None => misfit(job.set, &aggregator, generator.as_ref(), rounds, arguments, variant),
            })
            .collect();
        let asked: Vec<bool> = part
            .iter()
            .zip(&misfits)
            .map(|(job, misfit)| job.decided.is_none() && job.unknown.is_none() && misfit.is_none())
            .collect();
        let (mut pools, mut cost) = match &mut generator {
            None => (sets, RolloutCost::default()),
            Some(writer) => generated(writer, sets, &asked, first, arguments, variant)?,
        };
        by_round[0].extend(pools.iter().cloned());
        for round in 1..=rounds {
            let (next, taken) = aggregated(&mut aggregator, &pools, &asked, round, first, arguments, variant)
                .with_context(|| format!("round {round}"))?;
            pools = next;
            cost.add(&taken);
            by_round[round as usize].extend(pools.iter().cloned());
        }
        // Sets are worked on together: each that was has its share of the tokens and the time.
        let worked = asked.iter().zip(&pools).filter(|(asked, pool)| **asked && !pool.candidates.is_empty());
        let share = worked.count().max(1) as f64;
        for ((pool, job), misfit) in pools.iter().zip(part).zip(misfits) {
            if let Some(row) = job.decided {
                bar.suspend(|| rows.push(row))?;
                continue;
            }
            if let Some(share) = job.unknown {
                bar.suspend(|| rows.push(&vote_instead(job, UNKNOWN_WORDS, rounded(share))))?;
                continue;
            }
            if let Some(reason) = misfit {
                bar.suspend(|| {
                    say_vote_is_taken(&reason);
                    rows.push(&vote_instead(job, ERROR, reason))
                })?;
                continue;
            }
            let usage = Usage {
                prompt_tokens: (cost.prompt_tokens as f64 / share).round() as u64,
                completion_tokens: (cost.generated_tokens as f64 / share).round() as u64,
            };
            let own = generator.is_none().then_some(job.set);
            let mut row = row_of(pool, own, rounds, usage);
            row.elapsed_ms = started.elapsed().as_secs_f64() * 1e3 / share;
            bar.suspend(|| rows.push(&row))?;
        }
        bar.inc(part.len() as u64);
    }
    bar.finish_and_clear();
    if done > 0 {
        say(&format!(
            "the figures of the rounds are of the {} of this run",
            count((jobs.len() - done) as u64, "row")
        ));
    }
    for (round, pools) in by_round.iter().enumerate() {
        say_figures(pools, round as u64, arguments)?;
        if let Some(file) = &mut pools_file {
            for pool in pools {
                let mut pool = pool.clone();
                pool.extra.insert(ROUND.to_owned(), round.into());
                file.json_line(&pool)?;
            }
        }
    }
    pools_file.map_or(Ok(()), Output::finish)
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
fn say_figures(pools: &[SampleSet], round: u64, arguments: &AggregateArguments) -> Result<()> {
    let k = arguments.pool_size as usize;
    let report = report(pools, round, k)?;
    let (Some(accuracy), Some(vote)) = (report.sets.mean_at_1, report.sets.majority_first) else {
        return Ok(());
    };
    let pass = report.pass_at.map_or(String::new(), |pass| format!(", pass@{k} {:.3}", pass.value));
    let interval = format!("{:.3} to {:.3}", accuracy.low, accuracy.high);
    say(&format!("round {round}: accuracy {:.3} ({interval}){pass}, vote {:.3}", accuracy.value, vote.value));
    Ok(())
}
