//! `conclave model quantize`: a model directory with weights of 4 or 8 bits.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use anyhow::{Context, Result, bail};
use conclave_disk::{Folder, NewFolder, stop};
use conclave_model::block_hash::BlockSink;
use conclave_model::export::write_manifest;
use conclave_model::export_quantized::{QuantizedExport, write_quantized};
use conclave_model::files::ModelFiles;
use conclave_model::manifest::Manifest;
use conclave_model::open::{ModelDirectory, read_tokenizer};
use conclave_model::processor;
use conclave_model::quantized::QuantizedRows;
use conclave_processor::Model;
use conclave_quantize::config::Scheme;
use conclave_quantize::quality::Comparison;
use conclave_quantize::{int4, int8};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::arguments::QuantizeArguments;
use super::calibrate::{self, Prompts};
use super::write::{copied_files, object, record_self_test};
use super::{LoadBar, progress_bar, say_notes};
use crate::directory::ModelSource;
use crate::messages::say;
use crate::{Outcome, UsageError};

/// Rows that a thread quantises at once.
const ROWS_A_THREAD: usize = 64;

/// What was measured of the inputs of the matrices: by the names of their weights (`X.weight`) the mean square of each column,
/// and the sha256 of the prompts' token ids.
type Measured<'a> = (&'a BTreeMap<String, Vec<f32>>, Option<&'a str>);

/// Writes the directory with what calibration found; the caller records the self-test and the quality on the result,
/// adds them to the manifest and completes the folder.
///
/// # Errors
/// Weights that cannot be quantised, what reading and writing report.
fn write(
    arguments: &QuantizeArguments,
    level: u8,
    directory: &ModelDirectory<ModelSource>,
    copied: &[(&str, Vec<u8>)],
    (moments, hash): Measured<'_>,
) -> Result<(NewFolder, Manifest)> {
    let files: Vec<(&str, &[u8])> = copied.iter().map(|(file, bytes)| (*file, bytes.as_slice())).collect();
    let scheme = scheme(arguments.bits);
    let head = arguments.head_bits.map_or(scheme, self::scheme);
    let export = QuantizedExport { config: &directory.config, scheme, head, files: &files };
    let mut folder = NewFolder::create_alone(&arguments.out)?;
    let bar = progress_bar(directory.config.num_parameters(), "quantising {bar:32} {percent}% ({eta} left)");
    let mut on_written = |count| {
        bar.inc(count);
        if stop::is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let quantize = |name: &str, values: &[f32], columns, scheme| {
        quantize_rows(moments.get(name).map(Vec::as_slice), values, columns, scheme)
    };
    let mut sink = BlockSink::new(&mut folder);
    let written = write_quantized(&export, &directory.weights, &quantize, &mut sink, &mut on_written);
    let files = pollster::block_on(written)
        .with_context(|| format!("cannot quantise the model in {}", directory.weights.files().name()))?;
    let blocks = sink.blocks;
    bar.finish_and_clear();
    let manifest = Manifest {
        files,
        blocks,
        provenance: provenance(arguments, level, directory, hash),
        ..directory.manifest.clone()
    };
    Ok((folder, Manifest { format: Manifest::default().format, ..manifest }))
}

/// The level asked for, else the best that what is given allows without a look at held-out text.
fn level(arguments: &QuantizeArguments) -> Result<u8> {
    let calibrates = !arguments.calibrate.is_empty();
    match arguments.level.unwrap_or(u8::from(calibrates)) {
        level @ 1.. if !calibrates => bail!(UsageError(format!(
            "--level {level} needs the inputs of the matrices: name sample sets with --calibrate"
        ))),
        level => Ok(level),
    }
}

/// How weights of so many bits are quantised; the arguments let only 4 and 8 through.
fn scheme(bits: u8) -> Scheme {
    if bits == 4 { Scheme::INT4 } else { Scheme::Int8 }
}

fn provenance(
    arguments: &QuantizeArguments,
    level: u8,
    directory: &ModelDirectory<ModelSource>,
    hash: Option<&str>,
) -> serde_json::Map<String, Value> {
    let mut provenance =
        object(json!({"made_by": "conclave model quantize", "commit": env!("CONCLAVE_COMMIT"),
        "bits": arguments.bits, "head_bits": arguments.head_bits.unwrap_or(arguments.bits), "level": level,
        "calibration": hash}));
    let of = &directory.manifest.provenance;
    if !of.is_empty() {
        provenance.insert("of".to_owned(), Value::Object(of.clone()));
    }
    provenance
}

/// Quantises rows on all cores.
fn quantize_rows(
    moments: Option<&[f32]>,
    values: &[f32],
    columns: usize,
    scheme: Scheme,
) -> conclave_quantize::Result<QuantizedRows> {
    let part = |values: &[f32]| match scheme {
        Scheme::Int8 => int8::quantize_rows(values, columns, moments).map(QuantizedRows::Int8),
        Scheme::Int4 { .. } => int4::quantize_rows(values, columns, moments).map(QuantizedRows::Int4),
    };
    let parts = values.par_chunks((ROWS_A_THREAD * columns).max(1)).enumerate();
    let parts = parts.map(|(at, values)| part(values).map_err(|error| error.from_row(at * ROWS_A_THREAD)));
    join(columns, scheme, parts.collect::<conclave_quantize::Result<_>>()?)
}

/// The parts one under another.
fn join(
    columns: usize,
    scheme: Scheme,
    parts: Vec<QuantizedRows>,
) -> conclave_quantize::Result<QuantizedRows> {
    let (mut words, mut halves, mut floats) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        match part {
            QuantizedRows::Int4(rows) => {
                let (of_rows, scales) = rows.into_parts();
                words.extend(of_rows);
                halves.extend(scales);
            }
            QuantizedRows::Int8(rows) => {
                words.extend(rows.packed()?);
                floats.extend_from_slice(rows.scales());
            }
        }
    }
    match scheme {
        Scheme::Int4 { .. } => int4::Int4Rows::new(columns, words, halves).map(QuantizedRows::Int4),
        Scheme::Int8 => int8::Int8Rows::new(columns, &words, floats).map(QuantizedRows::Int8),
    }
}

/// `conclave model quantize`.
pub fn run(arguments: &QuantizeArguments) -> Result<Outcome> {
    let level = level(arguments)?;
    let source = ModelSource::open(&arguments.model)?;
    let directory = pollster::block_on(ModelDirectory::open(source.clone()))
        .with_context(|| format!("cannot open the model in {}", source.name()))?;
    say_notes(&directory);
    if directory.weights.is_quantized() {
        bail!("the model in {} is quantised already: quantise the one that it was made of", source.name());
    }
    let tokenizer = pollster::block_on(read_tokenizer(&source, &directory.config))
        .with_context(|| format!("cannot open the model in {}", source.name()))?;
    stop::listen()?;
    let prompts = match arguments.calibrate.as_slice() {
        [] => None,
        files => Some(Prompts::read(files, &directory.config, &directory.manifest, &tokenizer)?),
    };
    // As f32, which takes four bytes a parameter while it is needed.
    let reference = prompts.is_some().then(|| engine(&directory)).transpose()?;
    let mut moments = BTreeMap::new();
    let mut hash = None;
    if let (Some(prompts), Some(reference)) = (&prompts, &reference) {
        hash = Some(prompts.hash());
        if level > 0 {
            moments = calibrate::moments(reference, &directory.config, prompts)?;
        }
    }
    let copied = copied_files(&source)?;
    let (mut folder, mut manifest) =
        write(arguments, level, &directory, &copied, (&moments, hash.as_deref()))?;
    let found = match (&prompts, reference) {
        (Some(prompts), Some(reference)) => {
            let written = pollster::block_on(ModelDirectory::open(Folder::new(folder.path())))?;
            let found = calibrate::compare(&reference, &engine(&written)?, tokenizer.vocab_size(), prompts)?;
            Some(quality(&found, &mut manifest)?)
        }
        _ => None,
    };
    let json = copied.iter().find(|(file, _)| *file == "tokenizer.json");
    let self_test = record_self_test(&mut folder, json.map(|(_, json)| json.as_slice()))?;
    manifest.files.extend([self_test]);
    write_manifest(&manifest, &mut folder)?;
    folder.complete()?;
    let (parameters, bits) = (directory.config.num_parameters(), arguments.bits);
    let mut text =
        format!("`{}`: {parameters} parameters in {bits} bits, with a self-test", arguments.out.display());
    if let Some(found) = found {
        text += &format!("; {found}");
    }
    say(&text);
    Ok(Outcome::Done)
}

/// The weights of a directory in the engine of this processor, as they stand there.
fn engine(directory: &ModelDirectory<impl ModelFiles>) -> Result<Model> {
    let bar = LoadBar::new(directory.config.num_parameters());
    Ok(pollster::block_on(processor::load(&directory.config, &directory.weights, &mut bar.on_progress()))?)
}

/// Keeps what was found on the prompts that were kept out, and says it.
fn quality(found: &Comparison, manifest: &mut Manifest) -> Result<String> {
    let (Some(divergence), Some(agreement)) = (found.mean_divergence(), found.agreement()) else {
        bail!("no position was compared: the prompts of --calibrate are empty");
    };
    if !divergence.is_finite() {
        bail!(
            "the quantised model does not compute numbers on the prompts of --calibrate: the weights are damaged"
        );
    }
    let positions = found.positions();
    let kept = json!({"positions": positions, "mean_kl": divergence, "largest_kl": found.largest_divergence(),
        "arg_max_agreement": agreement});
    manifest.provenance.insert("quality".to_owned(), kept);
    Ok(format!(
        "on {positions} positions of prompts kept out: mean KL {divergence:.4} nats, the same best token at {:.1} %",
        100.0 * agreement
    ))
}
