//! Completions of many prompts at once, on the weights as they are.
//!
//! Each prompt is read once and its row is copied `group_size` times; then all rows go on together, one token a step.
//! Rows that are done stop costing anything once a quarter of the batch is done: the rest moves together. Prompts of
//! like length go together, as a batch is as long as its longest. Greedy evaluation is the same with a temperature of 0
//! and groups of one.
//!
//! A completion's draws depend on the seed, the purpose, the prompt's `stream` and the completion's place in its group,
//! and on nothing else: not on the batch it happens to be in. What is not here: prompts, rewards, the aggregator's answer
//! to a single set (`conclave-model`).

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use conclave_model::config::Qwen2Config;
use conclave_model::decoder::{Decoder, PREFILL_CHUNK};
use conclave_model::generate::{FinishReason, Stops};
use conclave_model::qwen2::Qwen2;
use conclave_model::qwen2_decoder::Qwen2Decoder;
use conclave_model::sampler::{Choice, Sampled};
use conclave_model::stream::{StopStrings, TextStream};
use conclave_model::tokenizer::Tokenizer;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{Result, TrainError};
use crate::workers::Workers;

/// A batch moves together when at most this share of its rows still goes on.
const COMPACT_AT: f64 = 0.75;

/// How completions are drawn.
#[derive(Debug, Clone)]
pub struct RolloutOptions {
    /// Completions of each prompt.
    pub group_size: usize,
    /// 0 is greedy. Nothing is cut off (no top-k, no top-p), so that the log-probabilities are the policy's own.
    pub temperature: f64,
    /// Tokens of a completion at most.
    pub max_new_tokens: usize,
    /// Rows that go on at once, at most (a group is never split).
    pub rows: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// What the draws are for: streams of different purposes have nothing in common.
    pub purpose: u64,
}

/// A prompt to be completed.
#[derive(Debug, Clone, Copy)]
pub struct RolloutPrompt<'a> {
    /// Its tokens, at least one.
    pub tokens: &'a [u32],
    /// Which draws are its own: different for every prompt of a run.
    pub stream: u64,
}

/// One completion.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// The tokens that were chosen, a stop id among them: ending is a choice of the policy too.
    pub tokens: Vec<u32>,
    /// Log-probability of each when it was chosen, of logits / temperature (of the logits, where that is 0).
    pub log_probs: Vec<f32>,
    /// The text, up to and including a stop string; a stop id has none.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// What rollouts took. Times are means over the decoders that went side by side.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RolloutCost {
    /// Tokens of prompts, each read once.
    pub prompt_tokens: usize,
    /// Tokens chosen.
    pub generated_tokens: usize,
    /// Time for the prompts.
    pub prefill: Duration,
    /// Time for the completions.
    pub decode: Duration,
}

impl RolloutCost {
    /// Tokens generated in a second of decoding.
    pub fn tokens_per_second(&self) -> f64 {
        self.generated_tokens as f64 / self.decode.as_secs_f64().max(1e-9)
    }

    /// With what others took.
    pub fn add(&mut self, other: &Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.generated_tokens += other.generated_tokens;
        self.prefill += other.prefill;
        self.decode += other.decode;
    }
}

/// A decoder for rollouts of `rows` rows. Small models are read in short pieces, so that what a pass computes stays in a
/// processor's cache; for large ones a pass should be long.
pub fn rollout_decoder(model: &Qwen2, config: &Qwen2Config, num_tokens: usize, rows: usize) -> Qwen2Decoder {
    /// Tokens of one pass of a small model.
    const PASS: usize = 1_024;
    let decoder = Qwen2Decoder::new(model.clone(), config.clone(), num_tokens);
    if config.hidden_size > 256 {
        return decoder;
    }
    decoder.with_prefill_chunk((PASS / rows.max(1)).clamp(16, PREFILL_CHUNK))
}

/// Groups with the number of their prompt.
type Groups = Vec<(usize, Vec<Rollout>)>;

/// Completes each prompt `group_size` times: one group a prompt, in the order of the prompts. The decoders, all of one
/// model, go side by side on the workers and share the rows; one decoder is used on the calling thread.
///
/// # Errors
/// A prompt without tokens or without room behind it in the context; the decoder's.
pub fn roll_out<D: Decoder + Send>(
    workers: &Workers,
    decoders: &mut [D],
    tokenizer: &Tokenizer,
    stops: &Stops,
    prompts: &[RolloutPrompt],
    options: &RolloutOptions,
) -> Result<(Vec<Vec<Rollout>>, RolloutCost)> {
    let context = decoders.iter().map(Decoder::context_length).min().unwrap_or(0);
    if let Some(prompt) = prompts.iter().find(|prompt| !(1..context).contains(&prompt.tokens.len())) {
        let message = format!(
            "a prompt has {} tokens: expected 1 to {}, so that the context of {context} has room for a completion",
            prompt.tokens.len(),
            context.saturating_sub(1)
        );
        return Err(TrainError::Data(message));
    }
    let mut by_length: Vec<usize> = (0..prompts.len()).collect();
    by_length.sort_by_key(|&prompt| std::cmp::Reverse(prompts[prompt].tokens.len()));
    let count = decoders.len();
    let batch_len = (options.rows / count.max(1) / options.group_size.max(1)).max(1);
    let batches: Vec<&[usize]> = by_length.chunks(batch_len).collect();
    let next = AtomicUsize::new(0);
    // One lock a decoder, held by the worker that drives it.
    let decoders: Vec<Mutex<&mut D>> = decoders.iter_mut().map(Mutex::new).collect();
    let drive = |decoder: &Mutex<&mut D>| -> Result<(Groups, RolloutCost)> {
        let mut decoder = decoder.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut done, mut cost) = (Groups::new(), RolloutCost::default());
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let chosen: Vec<RolloutPrompt> = batch.iter().map(|&prompt| prompts[prompt]).collect();
            let groups = complete(&mut **decoder, tokenizer, stops, &chosen, options, &mut cost);
            done.extend(batch.iter().copied().zip(pollster::block_on(groups)?));
        }
        Ok((done, cost))
    };
    let mut groups: Vec<Vec<Rollout>> = vec![Vec::new(); prompts.len()];
    let mut cost = RolloutCost::default();
    for driven in workers.map(&decoders, drive) {
        let (done, part) = driven?;
        cost.add(&part);
        done.into_iter().for_each(|(prompt, group)| groups[prompt] = group);
    }
    (cost.prefill, cost.decode) = (cost.prefill / count.max(1) as u32, cost.decode / count.max(1) as u32);
    Ok((groups, cost))
}

/// Takes up the memory that rollouts of `prompts` prompts like `prompt` take: the whole cache, one token of each.
///
/// # Errors
/// The decoder's.
pub fn rehearse<D: Decoder>(
    decoder: &mut D,
    prompt: &[u32],
    prompts: usize,
    options: &RolloutOptions,
) -> Result<()> {
    let going_on = &mut |_| ControlFlow::Continue(());
    pollster::block_on(async {
        decoder.reset(prompts, prompt.len() + options.max_new_tokens)?;
        decoder.append(&vec![prompt; prompts], going_on).await?;
        let of_group = |prompt: usize| std::iter::repeat_n(prompt, options.group_size);
        let rows: Vec<usize> = (0..prompts).flat_map(of_group).collect();
        decoder.fork(&rows)?;
        let rows: Vec<usize> = (0..rows.len()).collect();
        let choice = Choice { temperature: options.temperature, draw: 0.5, ..Choice::GREEDY };
        let sampled = decoder.sample(&rows, &vec![choice; rows.len()]).await?;
        let tokens: Vec<u32> = sampled.iter().map(|sampled| sampled.token).collect();
        let pieces: Vec<&[u32]> = tokens.chunks(1).collect();
        decoder.append(&pieces, going_on).await?;
        Ok(())
    })
}

/// The groups of prompts that go on at once.
async fn complete<D: Decoder>(
    decoder: &mut D,
    tokenizer: &Tokenizer,
    stops: &Stops,
    prompts: &[RolloutPrompt<'_>],
    options: &RolloutOptions,
    cost: &mut RolloutCost,
) -> Result<Vec<Vec<Rollout>>> {
    let started = Instant::now();
    let tokens: Vec<&[u32]> = prompts.iter().map(|prompt| prompt.tokens).collect();
    let longest = tokens.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
    decoder.reset(prompts.len(), longest + options.max_new_tokens)?;
    decoder.append(&tokens, &mut |_| ControlFlow::Continue(())).await?;
    let of_group = |prompt: usize| std::iter::repeat_n(prompt, options.group_size);
    let forks: Vec<usize> = (0..prompts.len()).flat_map(of_group).collect();
    decoder.fork(&forks)?;
    cost.prompt_tokens += tokens.iter().map(|tokens| tokens.len()).sum::<usize>();
    cost.prefill += started.elapsed();

    let started = Instant::now();
    let mut rows: Vec<Row> = Vec::with_capacity(forks.len());
    for prompt in prompts {
        rows.extend(
            (0..options.group_size).map(|place| Row::new(tokenizer, stops, options, prompt.stream, place)),
        );
    }
    // Which of `rows` each row of the decoder is.
    let mut held: Vec<usize> = (0..rows.len()).collect();
    for step in 1..=options.max_new_tokens {
        let going: Vec<usize> = (0..held.len()).filter(|&row| !rows[held[row]].done).collect();
        let choices: Vec<Choice> =
            going.iter().map(|&row| rows[held[row]].choice(options.temperature)).collect();
        let sampled = decoder.sample(&going, &choices).await?;
        for (&row, sampled) in going.iter().zip(sampled) {
            let full = step == options.max_new_tokens || decoder.len(row) == decoder.context_length();
            rows[held[row]].push(sampled, stops, full);
        }
        let left: Vec<usize> = going.into_iter().filter(|&row| !rows[held[row]].done).collect();
        if left.is_empty() {
            break;
        }
        if left.len() as f64 <= held.len() as f64 * COMPACT_AT {
            decoder.fork(&left)?;
            held = left.into_iter().map(|row| held[row]).collect();
        }
        let next: Vec<Option<u32>> = held.iter().map(|&row| rows[row].next()).collect();
        let pieces: Vec<&[u32]> = next.iter().map(Option::as_slice).collect();
        decoder.append(&pieces, &mut |_| ControlFlow::Continue(())).await?;
    }
    cost.generated_tokens += rows.iter().map(|row| row.rollout.tokens.len()).sum::<usize>();
    cost.decode += started.elapsed();
    let mut rollouts = rows.into_iter().map(Row::finish);
    Ok(prompts.iter().map(|_| rollouts.by_ref().take(options.group_size).collect()).collect())
}

/// A completion in progress.
struct Row<'a> {
    stream: TextStream<'a>,
    stops: StopStrings,
    rng: ChaCha8Rng,
    rollout: Rollout,
    /// Bytes of text that certainly stand before any stop string.
    shown: usize,
    done: bool,
}

impl<'a> Row<'a> {
    fn new(
        tokenizer: &'a Tokenizer,
        stops: &Stops,
        options: &RolloutOptions,
        stream: u64,
        place: usize,
    ) -> Self {
        let mut key = [0; 32];
        for (part, word) in [options.seed, options.purpose, stream, place as u64].into_iter().enumerate() {
            key[part * 8..][..8].copy_from_slice(&word.to_le_bytes());
        }
        let (tokens, log_probs, text) = (Vec::new(), Vec::new(), String::new());
        Self {
            stream: TextStream::new(tokenizer),
            stops: StopStrings::new(stops.strings.iter().cloned()),
            rng: ChaCha8Rng::from_seed(key),
            rollout: Rollout { tokens, log_probs, text, finish_reason: FinishReason::Length },
            shown: 0,
            done: false,
        }
    }

    fn choice(&mut self, temperature: f64) -> Choice {
        Choice { temperature, top_k: None, top_p: None, draw: self.rng.random() }
    }

    /// Takes a token in; `full` where there is no room for another one.
    fn push(&mut self, sampled: Sampled, stops: &Stops, full: bool) {
        self.rollout.tokens.push(sampled.token);
        self.rollout.log_probs.push(sampled.log_prob as f32);
        self.done = full;
        if stops.ids.contains(&sampled.token) {
            (self.done, self.rollout.finish_reason) = (true, FinishReason::Stop);
            return;
        }
        let text = self.stream.push(sampled.token);
        self.rollout.text.push_str(&text);
        let found = self.stops.push(&text);
        self.shown += found.text.len();
        if let Some(stop) = found.stop {
            (self.done, self.rollout.finish_reason) = (true, FinishReason::Stop);
            self.rollout.text.truncate(self.shown + stop.len());
        }
    }

    /// The token to append, of a row that goes on.
    fn next(&self) -> Option<u32> {
        if self.done { None } else { self.rollout.tokens.last().copied() }
    }

    fn finish(mut self) -> Rollout {
        if !self.stops.is_stopped() {
            self.rollout.text.push_str(&self.stream.finish());
        }
        self.rollout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{END, Rule, bytes, random_model, small_model};

    fn options(group_size: usize, rows: usize) -> RolloutOptions {
        RolloutOptions { group_size, temperature: 1.3, max_new_tokens: 12, rows, seed: 5, purpose: 1 }
    }

    /// Prompts of different lengths.
    fn prompts() -> Vec<Vec<u32>> {
        (1..8u32).map(|i| (0..i * 9).map(|j| (i * 31 + j * 7) % 256).collect()).collect()
    }

    /// About a quarter of a random model's tokens end a completion.
    fn stops() -> Stops {
        Stops { ids: (0..64).collect(), strings: vec!["no such text".into()] }
    }

    fn run<D: Decoder + Send>(
        decoder: &mut D,
        prompts: &[(u64, Vec<u32>)],
        stops: &Stops,
        options: &RolloutOptions,
    ) -> Vec<Vec<Rollout>> {
        let prompts: Vec<RolloutPrompt> =
            prompts.iter().map(|(stream, tokens)| RolloutPrompt { tokens, stream: *stream }).collect();
        let (workers, decoders) = (Workers::new(1).unwrap(), std::slice::from_mut(decoder));
        roll_out(&workers, decoders, &bytes(), stops, &prompts, options).unwrap().0
    }

    fn decoder_of(seed: u64) -> Qwen2Decoder {
        let (model, config) = small_model(seed);
        rollout_decoder(&model, &config, 257, 64)
    }

    #[test]
    fn rollouts_are_the_same_in_any_batch() {
        let mut decoder = decoder_of(3);
        let prompts: Vec<(u64, Vec<u32>)> = (0..).zip(prompts()).collect();
        let all = run(&mut decoder, &prompts, &stops(), &options(5, 64));
        let lengths: Vec<usize> = all.iter().flatten().map(|rollout| rollout.tokens.len()).collect();
        assert!(lengths.contains(&1) && lengths.contains(&12), "early and late ends: {lengths:?}");
        let backwards: Vec<(u64, Vec<u32>)> = prompts.iter().rev().cloned().collect();
        for (order, rows) in [(&prompts, 5), (&prompts, 10), (&backwards, 1), (&backwards, 17)] {
            let mut other = run(&mut decoder, order, &stops(), &options(5, rows));
            if order[0].0 > 0 {
                other.reverse();
            }
            for (a, b) in all.iter().flatten().zip(other.iter().flatten()) {
                assert_eq!((&a.tokens, &a.text, a.finish_reason), (&b.tokens, &b.text, b.finish_reason));
                assert!(a.log_probs.iter().zip(&b.log_probs).all(|(a, b)| (a - b).abs() < 1e-4));
            }
        }
        let mut decoders = [(); 3].map(|()| decoder_of(3));
        let asked: Vec<RolloutPrompt> =
            prompts.iter().map(|(stream, tokens)| RolloutPrompt { tokens, stream: *stream }).collect();
        let workers = Workers::new(3).unwrap();
        let (groups, cost) =
            roll_out(&workers, &mut decoders, &bytes(), &stops(), &asked, &options(5, 24)).unwrap();
        let tokens = |groups: &[Vec<Rollout>]| -> Vec<Vec<u32>> {
            groups.iter().flatten().map(|rollout| rollout.tokens.clone()).collect()
        };
        assert_eq!(tokens(&groups), tokens(&all), "side by side");
        assert_eq!(cost.generated_tokens, lengths.iter().sum::<usize>());
        let smaller = run(&mut decoder, &prompts[2..3], &stops(), &options(2, 64));
        assert_eq!(smaller[0][1].tokens, all[2][1].tokens);
        let other_purpose = RolloutOptions { purpose: 2, ..options(5, 64) };
        assert_ne!(run(&mut decoder, &prompts, &stops(), &other_purpose), all);
    }

    #[test]
    fn log_probs_are_those_of_the_weights() {
        let mut decoder = decoder_of(4);
        let prompts: Vec<(u64, Vec<u32>)> = (0..).zip(prompts()).collect();
        let options = RolloutOptions { temperature: 1.0, ..options(2, 64) };
        let groups = run(&mut decoder, &prompts, &stops(), &options);
        for ((_, prompt), group) in prompts.iter().zip(&groups) {
            for rollout in group {
                decoder.reset(1, 128).unwrap();
                let scored = pollster::block_on(async {
                    decoder.append(&[prompt], &mut |_| ControlFlow::Continue(())).await?;
                    decoder.log_probs(0, &rollout.tokens).await
                });
                for (a, b) in scored.unwrap().iter().zip(&rollout.log_probs) {
                    assert!((a - f64::from(*b)).abs() < 1e-4, "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn completions_end_where_they_should() {
        // Counts up from the prompt's last byte.
        let mut decoder = Rule::new(|row: &[u32]| row[row.len() - 1] + 1);
        let stops = Stops { ids: vec![u32::from(b'Z'), END], strings: vec!["fg".into()] };
        let options = RolloutOptions { max_new_tokens: 9, ..options(2, 4) };
        let prompts: Vec<(u64, Vec<u32>)> =
            ["a", "W", "k"].iter().map(|text| (0, text.bytes().map(u32::from).collect())).collect();
        let groups = run(&mut decoder, &prompts, &stops, &options);
        let found: Vec<(&str, usize, FinishReason)> =
            groups.iter().map(|g| (g[1].text.as_str(), g[1].tokens.len(), g[1].finish_reason)).collect();
        assert_eq!(found[0], ("bcdefg", 6, FinishReason::Stop));
        assert_eq!(found[1], ("XY", 3, FinishReason::Stop), "the stop id is a token and no text");
        assert_eq!(found[2], ("lmnopqrst", 9, FinishReason::Length));
        assert_eq!(decoder.most_rows, 4, "two groups of two at once");
    }

    #[test]
    fn a_prompt_needs_room() {
        let mut decoder = Rule::new(|_: &[u32]| END);
        for length in [0, 4_096] {
            let tokens = vec![1; length];
            let prompts = [RolloutPrompt { tokens: &tokens, stream: 0 }];
            let (workers, decoders) = (Workers::new(1).unwrap(), std::slice::from_mut(&mut decoder));
            let error = roll_out(&workers, decoders, &bytes(), &stops(), &prompts, &options(1, 1));
            assert!(error.unwrap_err().to_string().starts_with(&format!("a prompt has {length} tokens")));
        }
    }

    /// `cargo test --release -p conclave-train speed_of_rollouts -- --ignored --nocapture`
    #[test]
    #[ignore = "a measurement"]
    fn speed_of_rollouts() {
        /// Processor seconds of all threads: the machine may have other work.
        fn processor() -> f64 {
            let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
            let ticks =
                stat.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<f64>().ok());
            ticks.sum::<f64>() / 100.0
        }
        let number = |name: &str, otherwise: usize| {
            std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
        };
        let config = Qwen2Config { eos_token_ids: vec![END], ..Qwen2Config::tiny(257) };
        let (model, rows) = (random_model(&config, 1), number("ROWS", 64));
        let workers = Workers::new(number("WORKERS", 1)).unwrap();
        let mut decoders: Vec<Qwen2Decoder> = (0..workers.count())
            .map(|_| rollout_decoder(&model, &config, 257, rows / workers.count()))
            .collect();
        for (prompt_len, group_size) in [(400, 1), (400, 8), (100, 8)] {
            let tokens: Vec<Vec<u32>> = (0..64 / group_size as u32)
                .map(|i| (0..prompt_len - i).map(|j| (i + j) % 256).collect())
                .collect();
            let prompts: Vec<RolloutPrompt> =
                tokens.iter().map(|tokens| RolloutPrompt { tokens, stream: 0 }).collect();
            let mut rates = Vec::new();
            let mut before = (0.0, 0.0);
            for max_new_tokens in [1, 65] {
                let started = processor();
                let options = RolloutOptions { max_new_tokens, ..options(group_size, rows) };
                let stops = Stops::default();
                let (_, cost) =
                    roll_out(&workers, &mut decoders, &bytes(), &stops, &prompts, &options).unwrap();
                let (tokens, seconds) = (cost.generated_tokens as f64, processor() - started);
                rates.push(if max_new_tokens == 1 {
                    cost.prompt_tokens as f64 / seconds
                } else {
                    (tokens - before.0) / (seconds - before.1)
                });
                before = (tokens, seconds);
            }
            println!(
                "prompts of {prompt_len}, groups of {group_size}: {:.0} prompt tokens and {:.0} generated tokens \
                 per processor second",
                rates[0], rates[1]
            );
        }
    }
}
