//! `conclave model inspect`: what a model directory holds, and whether its files are what they were.

use std::path::Path;

use anyhow::{Context, Result, bail};
use conclave_core::prompt::PromptVariant;
use conclave_model::error::Error;
use conclave_model::files::ModelFiles;
use conclave_model::init::tensor_shapes;
use conclave_model::manifest::Mode;
use conclave_model::open::{ModelDirectory, read_tokenizer};
use conclave_model::safetensors::Dtype;
use conclave_model::tokenizer::Tokenizer;
use conclave_model::weights::{WeightSource, expect_shape};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::arguments::InspectArguments;
use super::say_notes;
use crate::Outcome;
use crate::directory::ModelSource;
use crate::messages::{count, say, visible, visible_clipped};
use crate::output::Output;
use crate::table::{Align, Table};

/// Characters of a value of the manifest that are shown.
const SHOWN: usize = 80;

/// Bytes hashed at once.
const PIECE: u64 = 8 << 20;

/// Runs the command.
pub fn run(arguments: &InspectArguments) -> Result<Outcome> {
    let files = ModelSource::open(&arguments.model)?;
    let directory = pollster::block_on(ModelDirectory::open(files.clone()))
        .with_context(|| format!("cannot open the model in {}", files.name()))?;
    if arguments.verify && directory.manifest.files.is_empty() {
        bail!(
            "{} has no conclave.json that names its files: there is nothing to verify them by",
            files.name()
        );
    }
    let damaged = if arguments.verify { verify(&files, &directory)? } else { Vec::new() };
    let tokenizer = pollster::block_on(read_tokenizer(&files, &directory.config));
    let mut problems = problems(&directory);
    problems.extend(tokenizer.as_ref().err().map(ToString::to_string));
    let mut output = Output::standard_output();
    if arguments.json {
        let tensors: Vec<_> = tensors_of(&directory)
            .map(|(name, info)| json!({"name": name, "dtype": info.dtype, "shape": info.shape}))
            .collect();
        let dtype = tensors_of(&directory).next().map_or(Dtype::F32, |(_, info)| info.dtype);
        let config: serde_json::Value = serde_json::from_str(&directory.config.to_json(dtype))
            .context("cannot write the configuration as JSON")?;
        output.json_line(&json!({
            "parameters": directory.config.num_parameters(),
            "config": config,
            "tokenizer_size": tokenizer.ok().map(|tokenizer| tokenizer.vocab_size()),
            "manifest": directory.manifest,
            "tensors": tensors,
            "notes": directory.notes,
            "problems": problems,
            "damaged": arguments.verify.then_some(&damaged),
        }))?;
    } else {
        for line in summary(&directory, &tokenizer) {
            output.line(&line)?;
        }
        output.line("")?;
        let mut table = Table::new(&[("tensor", Align::Left), ("type", Align::Left), ("shape", Align::Left)]);
        for (name, info) in tensors_of(&directory) {
            table.push(vec![visible(name), info.dtype.to_string(), format!("{:?}", info.shape)]);
        }
        for line in table.lines() {
            output.line(&line)?;
        }
    }
    output.finish()?;
    say_notes(&directory);
    for problem in &problems {
        say(&visible(problem));
    }
    for file in &damaged {
        say(&format!(
            "{file}: missing, or its sha256 is not the one in conclave.json: copy or download it again"
        ));
    }
    if arguments.verify && damaged.is_empty() {
        let files = count(directory.manifest.files.len() as u64, "file");
        say(&format!("verified: {files} as conclave.json says"));
    }
    Ok(if damaged.is_empty() && problems.is_empty() { Outcome::Done } else { Outcome::Incomplete })
}

type Directories = ModelDirectory<ModelSource>;

fn tensors_of(
    directory: &Directories,
) -> impl Iterator<Item = (&str, &conclave_model::safetensors::TensorInfo)> {
    let names = directory.weights.names().into_iter();
    names.filter_map(|name| directory.weights.info(name).map(|info| (name, info)))
}

fn summary(directory: &Directories, tokenizer: &Result<Tokenizer, Error>) -> Vec<String> {
    let config = &directory.config;
    let tokenizer = match tokenizer {
        Ok(tokenizer) => format!("{} ids", tokenizer.vocab_size()),
        Err(_) => "cannot be used".to_owned(),
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
        format!(
            "answers by   {}, {}",
            match directory.manifest.mode {
                Mode::Generate => "writing them (generate)",
                Mode::Select => "choosing among the candidates' (select)",
            },
            match directory.manifest.prompt_variant {
                PromptVariant::Think => "thinking first (think)",
                PromptVariant::NoThink => "without thinking (no-think)",
                PromptVariant::Compact => "thinking first, without an instruction (compact)",
            },
        ),
    ];
    for (key, value) in &directory.manifest.provenance {
        let value = visible_clipped(&value.to_string(), SHOWN);
        lines.push(format!("provenance   {} = {value}", visible_clipped(key, SHOWN)));
    }
    lines
}

/// Tensors that the configuration asks for and the weights do not have in that shape.
fn problems(directory: &Directories) -> Vec<String> {
    let expected = tensor_shapes(&directory.config).into_iter();
    let found = expected.filter_map(|(name, shape)| expect_shape(&directory.weights, &name, &shape).err());
    found.map(|error| error.to_string()).collect()
}

/// The files whose hash is not the recorded one.
fn verify(files: &ModelSource, directory: &Directories) -> Result<Vec<String>> {
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
