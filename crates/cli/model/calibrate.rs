//! What `model quantize` takes from sample sets: how large the inputs of each matrix are, and on prompts that were kept out
//! of that, how far the quantised model is from the other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use conclave_core::prompt::{PromptOptions, build_prompt};
use conclave_core::sample_set::SampleSet;
use conclave_disk::stop;
use conclave_files::Options;
use conclave_model::config::Qwen2Config;
use conclave_model::manifest::Manifest;
use conclave_model::tokenizer::Tokenizer;
use conclave_processor::{Activations, Cache, Input, Model, Moments, Observer, Output, Pass};
use conclave_quantize::quality::Comparison;
use sha2::{Digest, Sha256};

use super::progress_bar;
use crate::UsageError;
use crate::input::{Source, Tally};
use crate::sets::read_sets;

/// Prompts that are kept out for the comparison.
const HELD_OUT: usize = 8;

/// Tokens of such a prompt at most: 8 times as many positions are compared.
const HELD_OUT_TOKENS: usize = 320;

/// Tokens that the inputs are measured on, and of one prompt at most.
const CALIBRATION_TOKENS: usize = 16_384;
const PROMPT_TOKENS: usize = 512;

/// Fewest sets: those kept out, and as many to learn from.
const FEWEST_SETS: usize = 2 * HELD_OUT;

/// Positions whose logits are held at once: 32 rows of Qwen2's vocabulary are 20 MB.
const POSITIONS: usize = 32;

/// A reference whose two best logits are this far apart (in nats) must not be answered otherwise.
const MARGIN: f64 = 0.1;

/// Prompts as token ids.
pub struct Prompts {
    measured: Vec<Vec<u32>>,
    held_out: Vec<Vec<u32>>,
}

impl Prompts {
    /// The aggregator's prompts for the sets of some files, as the model of `manifest` is asked. Every n-th set is kept out.
    pub fn read(
        files: &[PathBuf],
        config: &Qwen2Config,
        manifest: &Manifest,
        tokenizer: &Tokenizer,
    ) -> Result<Self> {
        let (mut sets, mut tally): (Vec<SampleSet>, _) = (Vec::new(), Tally::new(false));
        read_sets(&Source::resolve(files)?, &Options::default(), &mut tally, |set| {
            if !set.candidates.is_empty() {
                sets.push(set);
            }
            Ok(())
        })?;
        if sets.len() < FEWEST_SETS {
            bail!(UsageError(format!(
                "--calibrate has {} sets with candidates, at least {FEWEST_SETS} are needed: {HELD_OUT} are kept out to compare",
                sets.len()
            )));
        }
        let options = PromptOptions {
            variant: manifest.prompt_variant,
            context_length: config.max_position_embeddings,
            max_new_tokens: 1,
            permutation_seed: None,
        };
        let count = |text: &str| tokenizer.count(text);
        let ids = |set: &SampleSet, most: usize| -> Result<Vec<u32>> {
            let prompt = build_prompt(set, &options, &count)
                .with_context(|| format!("--calibrate: set `{}`", set.id))?;
            let mut ids = tokenizer.encode_segments(&prompt.segments)?;
            ids.truncate(most);
            Ok(ids)
        };
        let every = sets.len() / HELD_OUT;
        let is_kept_out = |at: usize| at.is_multiple_of(every) && at / every < HELD_OUT;
        let (mut measured, mut tokens) = (Vec::new(), 0);
        for (_, set) in sets.iter().enumerate().filter(|(at, _)| !is_kept_out(*at)) {
            if tokens >= CALIBRATION_TOKENS {
                break;
            }
            let ids = ids(set, PROMPT_TOKENS.min(CALIBRATION_TOKENS - tokens))?;
            tokens += ids.len();
            measured.push(ids);
        }
        let held_out = sets.iter().enumerate().filter(|(at, _)| is_kept_out(*at));
        let held_out = held_out.map(|(_, set)| ids(set, HELD_OUT_TOKENS)).collect::<Result<_>>()?;
        Ok(Self { measured, held_out })
    }

    /// Lower-case hexadecimal sha256 of the token ids that the inputs are measured on.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for ids in &self.measured {
            ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
            hash.update(u32::MAX.to_le_bytes());
        }
        format!("{:x}", hash.finalize())
    }
}

/// The mean square of each input column of each matrix, by the name of its weight.
pub fn moments(model: &Model, config: &Qwen2Config, prompts: &Prompts) -> Result<BTreeMap<String, Vec<f32>>> {
    let mut moments = Moments::default();
    let tokens: usize = prompts.measured.iter().map(Vec::len).sum();
    let bar = progress_bar(tokens as u64, "measuring inputs {bar:32} {percent}% ({eta} left)");
    for ids in &prompts.measured {
        let hidden = read(model, ids, Some(&mut moments))?;
        let normed = model.normed(&hidden)?;
        moments.observe(config.num_hidden_layers, Input::Head, &normed, config.hidden_size);
        bar.inc(ids.len() as u64);
    }
    bar.finish_and_clear();
    let mut by_name = BTreeMap::new();
    for layer in 0..=config.num_hidden_layers {
        for input in [Input::Attention, Input::Output, Input::Mlp, Input::Down, Input::Head] {
            let Some(mean) = moments.mean(layer, input) else { continue };
            let mean: Vec<f32> = mean.into_iter().map(|square| square as f32).collect();
            for product in input.products() {
                let name = match input {
                    Input::Head if config.tie_word_embeddings => "model.embed_tokens.weight".to_owned(),
                    Input::Head => format!("{product}.weight"),
                    _ => format!("model.layers.{layer}.{product}.weight"),
                };
                by_name.insert(name, mean.clone());
            }
        }
    }
    Ok(by_name)
}

/// How far `other` is from `reference` on the prompts that were kept out, among the first `num_tokens` ids.
pub fn compare(reference: &Model, other: &Model, num_tokens: usize, prompts: &Prompts) -> Result<Comparison> {
    let mut comparison = Comparison::new(MARGIN);
    let (width, vocab_size) = (reference.shape().hidden_size, reference.shape().vocab_size);
    let tokens: usize = prompts.held_out.iter().map(Vec::len).sum();
    let bar = progress_bar(tokens as u64, "comparing {bar:32} {percent}% ({eta} left)");
    for ids in &prompts.held_out {
        let (expected, found) = (read(reference, ids, None)?, read(other, ids, None)?);
        for (expected, found) in expected.chunks(POSITIONS * width).zip(found.chunks(POSITIONS * width)) {
            let (expected, found) = (logits(reference, expected)?, logits(other, found)?);
            let rows = expected.chunks_exact(vocab_size).zip(found.chunks_exact(vocab_size));
            for (expected, found) in rows {
                let count = num_tokens.min(vocab_size);
                comparison.add(&expected[..count], &found[..count])?;
            }
        }
        bar.inc(ids.len() as u64);
    }
    bar.finish_and_clear();
    Ok(comparison)
}

/// The residual stream after each token, with activations that are not rounded.
fn read(model: &Model, ids: &[u32], observer: Option<&mut dyn Observer>) -> Result<Vec<f32>> {
    if stop::is_requested() {
        bail!(conclave_model::Error::cancelled());
    }
    let mut cache = Cache::new(model.shape(), 1, ids.len())?;
    let pass = Pass { activations: Activations::F32, output: Output::All, observer };
    Ok(model.forward(&mut cache, &[(0, ids)], pass)?)
}

fn logits(model: &Model, hidden: &[f32]) -> Result<Vec<f32>> {
    let pass = Pass { activations: Activations::F32, output: Output::All, observer: None };
    Ok(model.logits(hidden, pass)?)
}
