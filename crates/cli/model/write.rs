//! `conclave model init` and `conclave model export`: writing model directories.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use conclave_disk::{Folder, NewFolder, stop};
use conclave_model::config::Qwen2Config;
use conclave_model::export::{Export, write_manifest, write_model, write_self_test};
use conclave_model::files::ModelFiles;
use conclave_model::init::RandomWeights;
use conclave_model::load::LoadOptions;
use conclave_model::manifest::Manifest;
use conclave_model::open::ModelDirectory;
use conclave_model::self_test::record_case;
use conclave_model::tokenizer::Tokenizer;
use conclave_model::weights::WeightSource;
use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value, json};

use super::arguments::{ExportArguments, InitArguments, WriteArguments};
use super::{LoadBar, progress_bar, say_notes};
use crate::directory::ModelSource;
use crate::messages::say;
use crate::{Outcome, UsageError};

/// Files of a model directory that are copied as they are, where they exist.
const COPIED: [&str; 8] = [
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "LICENSE",
];

/// What a self-test's prompt says. Short, as its logits over a vocabulary of 152k are 5 MB.
const SELF_TEST_PROMPT: &str = "Question:\nWhat is 6 times 7?\n";
const SELF_TEST_PROMPT_TOKENS: usize = 8;
const SELF_TEST_NEW_TOKENS: usize = 16;

/// `conclave model init`.
pub fn init(arguments: &InitArguments) -> Result<Outcome> {
    let json = read_tokenizer_file(&arguments.tokenizer)?;
    let tokenizer = Tokenizer::from_json(&json)
        .with_context(|| format!("cannot use `{}` as a tokenizer", arguments.tokenizer.display()))?;
    let mut config = Qwen2Config::preset(&arguments.preset, tokenizer.vocab_size())
        .map_err(|error| UsageError(error.to_string()))?;
    if config.eos_token_ids.is_empty() {
        config.eos_token_ids.extend(tokenizer.token_id("<|endoftext|>"));
    }
    let provenance = json!({"made_by": "conclave model init", "commit": env!("CONCLAVE_COMMIT"),
        "preset": arguments.preset, "seed": arguments.seed});
    let manifest = Manifest { provenance: object(provenance), ..Manifest::default() };
    let weights = RandomWeights::new(&config, arguments.seed);
    let files = [("tokenizer.json", json.as_slice())];
    write(&arguments.write, &config, &weights, &files, manifest)
}

/// `conclave model export`.
pub fn export(arguments: &ExportArguments) -> Result<Outcome> {
    let source = ModelSource::open(&arguments.model)?;
    let directory = pollster::block_on(ModelDirectory::open(source.clone()))
        .with_context(|| format!("cannot open the model in {}", source.name()))?;
    say_notes(&directory);
    let copied = copied_files(&source)?;
    let files: Vec<(&str, &[u8])> = copied.iter().map(|(file, bytes)| (*file, bytes.as_slice())).collect();
    let mut manifest = directory.manifest.clone();
    let of = std::mem::take(&mut manifest.provenance);
    manifest.provenance = object(json!({"made_by": "conclave model export",
        "commit": env!("CONCLAVE_COMMIT"), "dtype": arguments.write.dtype.name()}));
    if !of.is_empty() {
        manifest.provenance.insert("of".to_owned(), Value::Object(of));
    }
    write(&arguments.write, &directory.config, &directory.weights, &files, manifest)
}

/// The files of a model directory that go with its weights wherever they go.
pub fn copied_files(source: &ModelSource) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let mut copied = Vec::new();
    for file in COPIED {
        if pollster::block_on(source.len(file))?.is_some() {
            copied.push((file, pollster::block_on(source.read(file, None))?));
        }
    }
    Ok(copied)
}

/// The fields of a JSON object.
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The tokenizer's JSON, unzipped where it is gzipped.
pub fn read_tokenizer_file(path: &Path) -> Result<Vec<u8>> {
    let name = path.display();
    if path.is_dir() {
        bail!("cannot read the tokenizer `{name}`: it is a directory; name the tokenizer.json in it");
    }
    let bytes = std::fs::read(path).with_context(|| format!("cannot read the tokenizer `{name}`"))?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut json = Vec::new();
    MultiGzDecoder::new(bytes.as_slice())
        .read_to_end(&mut json)
        .with_context(|| format!("cannot unzip the tokenizer `{name}`"))?;
    Ok(json)
}

fn write(
    arguments: &WriteArguments,
    config: &Qwen2Config,
    weights: &impl WeightSource,
    files: &[(&str, &[u8])],
    manifest: Manifest,
) -> Result<Outcome> {
    let export =
        Export { config, dtype: arguments.dtype.stored(), max_shard_size: arguments.max_shard_size, files };
    stop::listen()?;
    write_directory(NewFolder::create_alone(&arguments.out)?, &export, weights, manifest)?;
    let (parameters, dtype) = (config.num_parameters(), arguments.dtype.name());
    say(&format!("`{}`: {parameters} parameters in {dtype}, with a self-test", arguments.out.display()));
    Ok(Outcome::Done)
}

/// Writes a directory, then loads what stands on disk and records its self-test; `conclave.json` comes last.
pub fn write_directory(
    mut sink: NewFolder,
    export: &Export<'_>,
    weights: &impl WeightSource,
    mut manifest: Manifest,
) -> Result<()> {
    let Export { config, files, .. } = *export;
    let bar = progress_bar(config.num_parameters(), "writing {bar:32} {percent}% ({eta} left)");
    let mut on_written = |count| {
        bar.inc(count);
        if stop::is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    manifest.files = pollster::block_on(write_model(export, weights, &mut sink, &mut on_written))?;
    bar.finish_and_clear();

    let directory = pollster::block_on(ModelDirectory::open(Folder::new(sink.path())))?;
    let bar = LoadBar::new(config.num_parameters());
    let tokenizer = files.iter().find(|(file, _)| *file == "tokenizer.json");
    let tokenizer = tokenizer.map(|(_, json)| Tokenizer::from_json(json)).transpose()?;
    let mut decoder = pollster::block_on(directory.decoder(
        config.vocab_size,
        &Device::flex(),
        &LoadOptions::default(),
        &mut bar.on_progress(),
    ))?;
    drop(bar);
    let mut ids = match &tokenizer {
        Some(tokenizer) => tokenizer.encode_untrusted(SELF_TEST_PROMPT)?,
        None => (0..config.vocab_size.min(SELF_TEST_PROMPT_TOKENS) as u32).collect(),
    };
    ids.truncate(SELF_TEST_PROMPT_TOKENS);
    let case = pollster::block_on(record_case(&mut decoder, "selftest", &ids, SELF_TEST_NEW_TOKENS))?;
    manifest.files.extend([write_self_test(&[case], &mut sink)?]);
    write_manifest(&manifest, &mut sink)?;
    sink.complete()?;
    Ok(())
}
