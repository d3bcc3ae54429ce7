//! What decides the rows of an aggregation: a run is continued only where all of it is the same.

use anyhow::Result;
use conclave_core::sample_set::SampleSet;
use conclave_model::files::ModelFiles;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::arguments::AggregateArguments;
use crate::messages::count;
use crate::model::Opened;

/// Hexadecimal digits of a hash that are kept: it tells a mistake, not an attack.
const DIGITS: usize = 16;

/// The settings by name, as they stand in the file beside an unfinished output; without the sets.
pub fn settings(
    arguments: &AggregateArguments,
    opened: &Opened,
    generator: Option<&Opened>,
) -> Result<Value> {
    Ok(json!({
        "command": "aggregate",
        "version": env!("CARGO_PKG_VERSION"),
        "model": model_as_found(opened)?,
        "device": arguments.model.device.name(),
        "dtype": arguments.model.dtype.name(),
        "policy": arguments.policy.policy(),
        "mode": arguments.mode.map(|mode| mode.mode()),
        "variant": arguments.variant.map(|variant| variant.variant()),
        "temperature": arguments.temperature,
        "top_k": arguments.top_k,
        "top_p": arguments.top_p,
        "max_new_tokens": arguments.max_new_tokens,
        "seed": arguments.seed,
        // Sums of one row and of several are not the same to the bit.
        "batch_size": Some(arguments.batch_size).filter(|size| *size > 1),
        "permutations": arguments.permutations,
        "rounds": arguments.rounds,
        "pool_size": arguments.rounds.map(|_| arguments.pool_size),
        "num_candidates": arguments.num_candidates,
        "kinds": arguments.kinds.settings(),
        "weights": Some(arguments.weights.settings()).filter(|_| arguments.weights.are_given()),
        "generator": generator.map(model_as_found).transpose()?,
        "limit": arguments.limit,
        "reading": arguments.reading.settings(),
        "shard": arguments.work.shard.map(|shard| shard.to_string()),
    }))
}

/// The same with the sets that were read.
pub fn with_sets(mut settings: Value, sets: &[SampleSet]) -> Result<Value> {
    settings["sets"] = sets_as_read(sets)?.into();
    // Only what was read counts, not how the files are named.
    settings["reading"] = Value::Null;
    settings["limit"] = Value::Null;
    Ok(settings)
}

/// The sets by their content, so that it does not matter how their files are called.
pub fn sets_as_read(sets: &[SampleSet]) -> Result<String> {
    let mut hash = Sha256::new();
    for set in sets {
        hash.update(serde_json::to_vec(set)?);
        hash.update(b"\n");
    }
    Ok(format!("{} {}", count(sets.len() as u64, "set"), digits(hash)))
}

/// The model by its small files and by the length and time of its weights: they are too large to be hashed each time.
fn model_as_found(opened: &Opened) -> Result<String> {
    let mut hash = Sha256::new();
    for file in ["config.json", "generation_config.json", "conclave.json", "tokenizer.json"] {
        if pollster::block_on(opened.files.len(file))?.is_some() {
            hash.update(pollster::block_on(opened.files.read(file, None))?);
        }
        hash.update([0]);
    }
    for file in opened.directory.weights.file_names() {
        hash.update(file.as_bytes());
        hash.update(pollster::block_on(opened.files.len(file))?.unwrap_or(0).to_le_bytes());
        hash.update(opened.files.modified(file).to_le_bytes());
    }
    Ok(format!("files {}", digits(hash)))
}

fn digits(hash: Sha256) -> String {
    let mut digits = format!("{:x}", hash.finalize());
    digits.truncate(DIGITS);
    digits
}
