//! `conclave model quantize`: a model directory with weights of 4 or 8 bits.

use std::ops::ControlFlow;

use anyhow::{Context, Result, bail};
use conclave_disk::{NewFolder, stop};
use conclave_model::block_hash::BlockSink;
use conclave_model::export_quantized::{QuantizedExport, write_quantized};
use conclave_model::manifest::Manifest;
use conclave_model::open::ModelDirectory;
use conclave_model::quantized::QuantizedRows;
use conclave_quantize::config::Scheme;
use conclave_quantize::gptq::{DAMPING, Gptq};
use conclave_quantize::{int4, int8};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::arguments::QuantizeArguments;
use super::progress_bar;
use super::write::{copied_files, object};
use crate::directory::ModelSource;
use crate::{Outcome, UsageError};

/// Rows that a thread quantises at once.
const ROWS_A_THREAD: usize = 64;

/// What was learnt of the inputs of the matrices from text, by the names of their weights (`X.weight`).
pub struct Calibration<'a> {
    /// `E[x_j^2]` of each column.
    pub moments: &'a dyn Fn(&str) -> Option<Vec<f32>>,
    /// `E[x_i x_j]`, `[columns, columns]`; asked for by level 2 alone, once a matrix.
    pub products: &'a dyn Fn(&str) -> Option<Vec<f32>>,
    /// Sha256 of the prompts' token ids.
    pub hash: Option<&'a str>,
}

impl Calibration<'_> {
    /// Nothing was learnt: level 0.
    pub const NONE: Calibration<'static> =
        Calibration { moments: &|_| None, products: &|_| None, hash: None };
}

/// Writes the directory with what calibration found; the caller records the self-test and the quality on the result,
/// adds them to the manifest and completes the folder.
///
/// # Errors
/// A level that needs calibration, without; a model that is quantised already; weights that cannot be quantised.
pub fn write(
    arguments: &QuantizeArguments,
    source: &ModelSource,
    directory: &ModelDirectory<ModelSource>,
    calibration: &Calibration<'_>,
) -> Result<(NewFolder, Manifest)> {
    let level = level(arguments)?;
    let copied = copied_files(source)?;
    let files: Vec<(&str, &[u8])> = copied.iter().map(|(file, bytes)| (*file, bytes.as_slice())).collect();
    let scheme = scheme(arguments.bits)?;
    let head = arguments.head_bits.map_or(Ok(scheme), self::scheme)?;
    let export = QuantizedExport { config: &directory.config, scheme, head, files: &files };
    stop::listen()?;
    let mut folder = NewFolder::create_alone(&arguments.out)?;
    let bar = progress_bar(directory.config.num_parameters(), "quantising {bar:32} {percent}% ({eta} left)");
    let mut on_written = |count| {
        bar.inc(count);
        if stop::is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let quantizer = Quantizer { level, calibration, ready: Default::default() };
    let quantize =
        |name: &str, values: &[f32], columns, scheme| quantizer.rows(name, values, columns, scheme);
    let mut sink = BlockSink::new(&mut folder);
    let written = write_quantized(&export, &directory.weights, &quantize, &mut sink, &mut on_written);
    let files = pollster::block_on(written)
        .with_context(|| format!("cannot quantise the model in {}", source.name()))?;
    let blocks = sink.blocks;
    bar.finish_and_clear();
    let manifest = Manifest {
        files,
        blocks,
        provenance: provenance(arguments, level, directory, calibration),
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
        2 if arguments.bits == 8 => {
            bail!(UsageError(
                "--level 2 is for --bits 4: with 8 bits level 1 loses next to nothing".to_owned()
            ))
        }
        level => Ok(level),
    }
}

fn scheme(bits: u8) -> Result<Scheme> {
    match bits {
        4 => Ok(Scheme::INT4),
        8 => Ok(Scheme::Int8),
        _ => bail!(UsageError(format!("{bits} bits are not supported: use 4 or 8"))),
    }
}

fn provenance(
    arguments: &QuantizeArguments,
    level: u8,
    directory: &ModelDirectory<ModelSource>,
    calibration: &Calibration<'_>,
) -> serde_json::Map<String, Value> {
    let mut provenance =
        object(json!({"made_by": "conclave model quantize", "commit": env!("CONCLAVE_COMMIT"),
        "bits": arguments.bits, "head_bits": arguments.head_bits.unwrap_or(arguments.bits), "level": level,
        "calibration": calibration.hash}));
    let of = &directory.manifest.provenance;
    if !of.is_empty() {
        provenance.insert("of".to_owned(), Value::Object(of.clone()));
    }
    provenance
}

/// Quantises rows on all cores.
struct Quantizer<'a> {
    level: u8,
    calibration: &'a Calibration<'a>,
    /// What the matrix at work needs, which comes in several pieces.
    ready: std::cell::RefCell<Option<(String, Ready)>>,
}

/// What is made once for all rows of a matrix.
#[derive(Default)]
struct Ready {
    moments: Option<Vec<f32>>,
    gptq: Option<Gptq>,
}

impl Quantizer<'_> {
    fn rows(
        &self,
        name: &str,
        values: &[f32],
        columns: usize,
        scheme: Scheme,
    ) -> conclave_quantize::Result<QuantizedRows> {
        let mut slot = self.ready.borrow_mut();
        if slot.as_ref().is_none_or(|(of, _)| of != name) {
            // Of the one before first, as each may be hundreds of megabytes.
            *slot = None;
            *slot = Some((name.to_owned(), self.prepare(name, columns, scheme)?));
        }
        let Some((_, ready)) = slot.as_ref() else {
            return quantize_part(&Ready::default(), values, columns, scheme);
        };
        let parts = values.par_chunks((ROWS_A_THREAD * columns).max(1)).enumerate().map(|(part, values)| {
            quantize_part(ready, values, columns, scheme)
                .map_err(|error| error.from_row(part * ROWS_A_THREAD))
        });
        join(columns, scheme, parts.collect::<conclave_quantize::Result<_>>()?)
    }

    fn prepare(&self, name: &str, columns: usize, scheme: Scheme) -> conclave_quantize::Result<Ready> {
        let moments = (self.level > 0).then(|| (self.calibration.moments)(name)).flatten();
        let products =
            (self.level > 1 && scheme == Scheme::INT4).then(|| (self.calibration.products)(name)).flatten();
        let gptq = products.map(|products| Gptq::new(&products, columns, DAMPING)).transpose()?;
        Ok(Ready { moments, gptq })
    }
}

fn quantize_part(
    ready: &Ready,
    values: &[f32],
    columns: usize,
    scheme: Scheme,
) -> conclave_quantize::Result<QuantizedRows> {
    match (scheme, &ready.gptq) {
        (Scheme::Int8, _) => {
            int8::quantize_rows(values, columns, ready.moments.as_deref()).map(QuantizedRows::Int8)
        }
        (Scheme::Int4 { .. }, Some(gptq)) => gptq.quantize_rows(values).map(QuantizedRows::Int4),
        (Scheme::Int4 { .. }, None) => {
            int4::quantize_rows(values, columns, ready.moments.as_deref()).map(QuantizedRows::Int4)
        }
    }
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
// Calibration, the self-test and the quality on held-out prompts need an engine that computes the model: they go here,
// between opening and `write`, and between `write` and `complete`.
pub fn run(arguments: &QuantizeArguments) -> Result<Outcome> {
    let source = ModelSource::open(&arguments.model)?;
    let directory = pollster::block_on(ModelDirectory::open(source.clone()))
        .with_context(|| format!("cannot open the model in {}", source.name()))?;
    let (mut folder, manifest) = write(arguments, &source, &directory, &Calibration::NONE)?;
    conclave_model::export::write_manifest(&manifest, &mut folder)?;
    folder.complete()?;
    Ok(Outcome::Done)
}
