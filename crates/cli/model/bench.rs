//! `conclave model bench`: prefill and decode speed, and peak memory.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use conclave_model::decoder::Decoder;
use conclave_model::open::read_tokenizer;
use conclave_model::sampler::Choice;
use serde_json::json;

use super::arguments::BenchArguments;
use super::open;
use crate::output::Output;
use crate::{Outcome, UsageError};

/// Tokens of the prompt where none are asked for and the context has room.
const PROMPT_TOKENS: usize = 512;

/// Runs the command.
pub fn run(arguments: &BenchArguments) -> Result<Outcome> {
    let opened = open(&arguments.model)?;
    let config = &opened.directory.config;
    let (prompt_tokens, new_tokens) = lengths(arguments, config.max_position_embeddings)?;
    // A benchmark needs no tokenizer; where there is one, only its ids are chosen among.
    let tokenizer = pollster::block_on(read_tokenizer(&opened.files, config)).ok();
    let num_tokens = tokenizer.as_ref().map_or(config.vocab_size, |tokenizer| tokenizer.vocab_size());
    drop(tokenizer);
    let started = Instant::now();
    let mut decoder = opened.decoder(num_tokens)?;
    let load_seconds = started.elapsed().as_secs_f64();
    // Spread over the vocabulary; the same every time.
    let prompt: Vec<u32> = (0..prompt_tokens).map(|i| ((i * 7919 + 13) % num_tokens) as u32).collect();
    // Once before, on a few tokens: compilation of kernels, first touches of memory.
    measure(&mut decoder, &prompt[..prompt.len().min(8)], 2)?;
    let (prefill, decode) = measure(&mut decoder, &prompt, new_tokens)?;
    let (prefill, decode) = (prompt_tokens as f64 / prefill, new_tokens as f64 / decode);
    let peak = peak_memory();
    let mut output = Output::standard_output();
    if arguments.json {
        output.json_line(&json!({
            "parameters": config.num_parameters(),
            "device": arguments.model.device.name(),
            "dtype": arguments.model.dtype.name(),
            "prompt_tokens": prompt_tokens,
            "new_tokens": new_tokens,
            "load_seconds": load_seconds,
            "prefill_tokens_per_second": prefill,
            "decode_tokens_per_second": decode,
            "peak_memory_bytes": peak,
        }))?;
    } else {
        output.line(&format!("load     {load_seconds:.1} s"))?;
        output.line(&format!("prefill  {prefill:.1} tokens/s ({prompt_tokens} tokens)"))?;
        output.line(&format!("decode   {decode:.2} tokens/s ({new_tokens} tokens)"))?;
        let peak = peak.map_or("not known here".to_owned(), |bytes| {
            format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
        });
        output.line(&format!("peak     {peak} of memory"))?;
    }
    output.finish()?;
    Ok(Outcome::Done)
}

/// Tokens of the prompt and after it, which the context must have room for.
fn lengths(arguments: &BenchArguments, context: usize) -> Result<(usize, usize)> {
    let new_tokens = arguments.new_tokens as usize;
    let room = context.saturating_sub(new_tokens);
    let prompt_tokens = arguments.prompt_tokens.map_or(PROMPT_TOKENS.min(room), |asked| asked as usize);
    if prompt_tokens == 0 || prompt_tokens > room {
        bail!(UsageError(format!(
            "{} prompt and {new_tokens} new tokens do not fit the model's context of {context}: lower \
             --prompt-tokens or --new-tokens",
            prompt_tokens.max(1)
        )));
    }
    Ok((prompt_tokens, new_tokens))
}

/// Seconds of the prefill and of decoding `new_tokens` greedy tokens.
fn measure(decoder: &mut impl Decoder, prompt: &[u32], new_tokens: usize) -> Result<(f64, f64)> {
    let mut on = |_| ControlFlow::Continue(());
    decoder.reset(1, prompt.len() + new_tokens).context("cannot make room for the prompt")?;
    let started = Instant::now();
    pollster::block_on(decoder.append(&[prompt], &mut on))?;
    // Sampling reads a result back, so the clock stops when the device is done.
    let mut token = pollster::block_on(decoder.sample(&[0], &[Choice::GREEDY]))?[0].token;
    let prefill = started.elapsed().as_secs_f64();
    let started = Instant::now();
    for _ in 0..new_tokens {
        pollster::block_on(decoder.append(&[&[token]], &mut on))?;
        token = pollster::block_on(decoder.sample(&[0], &[Choice::GREEDY]))?[0].token;
    }
    Ok((prefill, started.elapsed().as_secs_f64()))
}

/// Largest resident set of this process in bytes, where the system says it.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
