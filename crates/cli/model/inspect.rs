//! `conclave model inspect`: what a model directory holds, and whether its files are what they were.

use std::path::Path;

use anyhow::{Context, Result};
use conclave_model::files::ModelFiles;
use conclave_model::open::{ModelDirectory, read_tokenizer};
use conclave_model::weights::WeightSource;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::arguments::InspectArguments;
use crate::Outcome;
use crate::directory::Directory;
use crate::messages::{say, visible, visible_clipped};
use crate::output::Output;
use crate::table::{Align, Table};

/// Characters of a value of the manifest that are shown.
const SHOWN: usize = 80;

/// Bytes hashed at once.
const PIECE: u64 = 8 << 20;

/// Runs the command.
pub fn run(arguments: &InspectArguments) -> Result<Outcome> {
    let files = Directory::open(&arguments.model)?;
    let directory = pollster::block_on(ModelDirectory::open(files.clone()))
        .with_context(|| format!("cannot open the model in `{}`", arguments.model.display()))?;
    let damaged = if arguments.verify { verify(&files, &directory)? } else { Vec::new() };
    let mut output = Output::open(None)?;
    if arguments.json {
        let tensors: Vec<_> = tensors(&directory)
            .map(|(name, info)| json!({"name": name, "dtype": info.dtype, "shape": info.shape}))
            .collect();
        let config: serde_json::Value =
            serde_json::from_str(&directory.config.to_json(conclave_model::safetensors::Dtype::F32))
                .context("cannot write the configuration as JSON")?;
        let tokenizer = pollster::block_on(read_tokenizer(&files, &directory.config)).ok();
        output.json_line(&json!({
            "parameters": directory.config.num_parameters(),
            "config": config,
            "tokenizer_size": tokenizer.map(|tokenizer| tokenizer.vocab_size()),
            "manifest": directory.manifest,
            "tensors": tensors,
            "damaged": arguments.verify.then_some(&damaged),
        }))?;
    } else {
        for line in summary(&files, &directory) {
            output.line(&line)?;
        }
        output.line("")?;
        let mut table = Table::new(&[("tensor", Align::Left), ("type", Align::Left), ("shape", Align::Left)]);
        for (name, info) in tensors(&directory) {
            table.push(vec![visible(name), info.dtype.to_string(), format!("{:?}", info.shape)]);
        }
        for line in table.lines() {
            output.line(&line)?;
        }
    }
    output.finish()?;
    for file in &damaged {
        say(&format!("{file}: its sha256 is not the one in conclave.json: copy or download it again"));
    }
    if arguments.verify && damaged.is_empty() {
        say(&match directory.manifest.files.len() {
            0 => "conclave.json names no files: nothing was verified".to_owned(),
            count => format!("{count} files are what conclave.json says"),
        });
    }
    Ok(if damaged.is_empty() { Outcome::Done } else { Outcome::Incomplete })
}

type Directories = ModelDirectory<Directory>;

fn tensors(
    directory: &Directories,
) -> impl Iterator<Item = (&str, &conclave_model::safetensors::TensorInfo)> {
    let names = directory.weights.names().into_iter();
    names.filter_map(|name| directory.weights.info(name).map(|info| (name, info)))
}

fn summary(files: &Directory, directory: &Directories) -> Vec<String> {
    let config = &directory.config;
    let tokenizer = match pollster::block_on(read_tokenizer(files, config)) {
        Ok(tokenizer) => format!("{} ids", tokenizer.vocab_size()),
        Err(error) => visible(&error.to_string()),
    };
    let head = if config.tie_word_embeddings { "tied" } else { "its own" };
    let mut lines = vec![
        format!("parameters   {}", config.num_parameters()),
        format!(
            "shape        {} layers, hidden {}, intermediate {}, {} heads ({} key-value), head {head}",
            config.num_hidden_layers,
            config.hidden_size,
            config.intermediate_size,
            config.num_attention_heads,
            config.num_key_value_heads,
        ),
        format!("vocabulary   {} rows, tokenizer: {tokenizer}", config.vocab_size),
        format!(
            "context      {} tokens, stop ids {:?}",
            config.max_position_embeddings, config.eos_token_ids
        ),
        format!("answers by   {:?}, prompt {:?}", directory.manifest.mode, directory.manifest.prompt_variant),
    ];
    for (key, value) in &directory.manifest.provenance {
        let value = visible_clipped(&value.to_string(), SHOWN);
        lines.push(format!("provenance   {} = {value}", visible_clipped(key, SHOWN)));
    }
    lines
}

/// The files whose hash is not the recorded one.
fn verify(files: &Directory, directory: &Directories) -> Result<Vec<String>> {
    let mut damaged = Vec::new();
    for (file, expected) in &directory.manifest.files {
        let plain = Path::new(file).components().count() == 1 && !file.starts_with('.');
        let Some(len) = (if plain { pollster::block_on(files.len(file))? } else { None }) else {
            damaged.push(visible(file));
            continue;
        };
        let mut hash = Sha256::new();
        for start in (0..len).step_by(PIECE as usize) {
            hash.update(pollster::block_on(files.read(file, Some(start..(start + PIECE).min(len))))?);
        }
        if format!("{:x}", hash.finalize()) != expected.to_lowercase() {
            damaged.push(visible(file));
        }
    }
    Ok(damaged)
}
