//! Writing a model directory with quantised weights: compressed-tensors' `pack-quantized` under Hugging Face's names.
//!
//! All weights stand in one `model.safetensors`, as no tensor may be split and no browser limits a file that is read by
//! ranges. Rows are read, quantised and written a piece at a time; of the matrix at work only its scales are held.
//! Who quantises, with how many threads and by which level, is the caller's `quantize`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use conclave_quantize::config::{Group, QuantizationConfig, Scheme};
use serde_json::Value;

use crate::config::Qwen2Config;
use crate::error::{Error, ErrorKind};
use crate::export::{Hashed, ModelSink, PIECE_BYTES, pretty, write_tensor};
use crate::init::tensor_shapes;
use crate::quantized::{PACKED, QuantizedRows, SCALE, SHAPE};
use crate::safetensors::{Dtype, header_bytes};
use crate::weights::{SINGLE_FILE, WeightSource, expect_shape};

/// The modules that hold a row for each token.
const EMBEDDING: &str = "model.embed_tokens";
const HEAD: &str = "lm_head";

/// What is written beside the weights, and how they are quantised.
#[derive(Debug)]
pub struct QuantizedExport<'a> {
    /// The configuration.
    pub config: &'a Qwen2Config,
    /// How the matrices of the layers are quantised, and the embedding where `head` does not say otherwise.
    pub scheme: Scheme,
    /// How the head is quantised; where it is the embedding, that.
    pub head: Scheme,
    /// Files copied as they are, such as `tokenizer.json`.
    pub files: &'a [(&'a str, &'a [u8])],
}

impl QuantizedExport<'_> {
    /// How the tensor `name` of `shape` is quantised; `None` for what is not a matrix.
    fn scheme_of(&self, name: &str, shape: &[usize]) -> Option<Scheme> {
        if shape.len() != 2 {
            return None;
        }
        let head = if self.config.tie_word_embeddings { EMBEDDING } else { HEAD };
        Some(if name.strip_suffix(".weight") == Some(head) { self.head } else { self.scheme })
    }

    /// What `config.json` says of it.
    fn quantization(&self) -> QuantizationConfig {
        let group = |targets: &[&str], scheme| {
            let targets = targets.iter().map(|&target| target.to_owned()).collect();
            Group { targets, scheme }
        };
        let tied = self.config.tie_word_embeddings;
        let groups = match (self.head == self.scheme, tied) {
            (true, _) => vec![group(&["Linear", "Embedding"], self.scheme)],
            (false, true) => vec![group(&["Linear"], self.scheme), group(&[EMBEDDING], self.head)],
            // Names before classes: other readers take the first that they find so.
            (false, false) => vec![group(&[HEAD], self.head), group(&["Linear", "Embedding"], self.scheme)],
        };
        // A tied head has no tensor of its own.
        let ignore = if tied { vec![HEAD.to_owned()] } else { Vec::new() };
        QuantizationConfig { groups, ignore }
    }

    /// The tensors of the file in order, those of a matrix one after another.
    fn entries(&self, tensors: &[(String, Vec<usize>)]) -> Result<Vec<(String, Dtype, Vec<usize>)>, Error> {
        let mut entries = Vec::new();
        for (name, shape) in tensors {
            let (Some(scheme), &[rows, columns]) = (self.scheme_of(name, shape), shape.as_slice()) else {
                entries.push((name.clone(), Dtype::F32, shape.clone()));
                continue;
            };
            let module = name.strip_suffix(".weight").unwrap_or(name);
            let scales = scheme.scales_a_row(columns).ok_or_else(|| {
                let message = format!(
                    "`{name}` has rows of {columns}, expected a multiple of 32 to share scales: use --bits 8"
                );
                Error::unsupported(message)
            })?;
            let scale_type = if scheme == Scheme::Int8 { Dtype::F32 } else { Dtype::F16 };
            entries.push((format!("{module}{PACKED}"), Dtype::I32, vec![rows, scheme.words_a_row(columns)]));
            entries.push((format!("{module}{SCALE}"), scale_type, vec![rows, scales]));
            entries.push((format!("{module}{SHAPE}"), Dtype::I64, vec![2]));
        }
        Ok(entries)
    }
}

/// Quantises rows of the tensor that is named: values, columns, how.
pub type Quantize<'a> = dyn Fn(&str, &[f32], usize, Scheme) -> conclave_quantize::Result<QuantizedRows> + 'a;

/// Writes weights, configuration and the other files; returns their hashes, as
/// [`write_model`](crate::export::write_model) does.
///
/// # Errors
/// The source's, the sink's and `quantize`'s; columns that groups do not fill.
pub async fn write_quantized<S: WeightSource, K: ModelSink>(
    export: &QuantizedExport<'_>,
    source: &S,
    quantize: &Quantize<'_>,
    sink: &mut K,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<BTreeMap<String, String>, Error> {
    let mut out = Hashed::new(sink);
    let tensors = tensor_shapes(export.config);
    let entries = export.entries(&tensors)?;
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    out.create(SINGLE_FILE)?;
    let named = entries.iter().map(|(name, dtype, shape)| (name.as_str(), *dtype, shape.as_slice()));
    out.write(&header_bytes(named, &metadata)?)?;
    for (name, shape) in &tensors {
        match export.scheme_of(name, shape) {
            Some(scheme) => write_matrix(source, (name, shape), scheme, quantize, &mut out, progress).await?,
            None => write_tensor(Dtype::F32, source, name, shape, &mut out, progress).await?,
        }
    }
    out.finish()?;
    out.whole("config.json", config_json(export)?.as_bytes())?;
    out.whole("generation_config.json", export.config.generation_config_json().as_bytes())?;
    for (file, bytes) in export.files {
        out.whole(file, bytes)?;
    }
    Ok(out.files)
}

/// `config.json` with `quantization_config`.
fn config_json(export: &QuantizedExport<'_>) -> Result<String, Error> {
    let failed = |error| Error::new(ErrorKind::Format, format!("cannot write config.json: {error}"));
    // Other readers compute in the type that the scales have.
    let dtype = if export.scheme == Scheme::Int8 { Dtype::F32 } else { Dtype::F16 };
    let mut config: Value = serde_json::from_str(&export.config.to_json(dtype)).map_err(failed)?;
    config["quantization_config"] = export.quantization().to_json();
    pretty(&config)
}

async fn write_matrix<S: WeightSource, K: ModelSink>(
    source: &S,
    (name, shape): (&str, &[usize]),
    scheme: Scheme,
    quantize: &Quantize<'_>,
    out: &mut Hashed<'_, K>,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<(), Error> {
    expect_shape(source, name, shape)?;
    let [rows, columns] = [shape[0], shape[1]];
    let piece = (PIECE_BYTES / (columns * 4).max(1)).max(1);
    let mut scales = Vec::new();
    for start in (0..rows).step_by(piece) {
        let end = rows.min(start + piece);
        let values = source.read(name, Some(start..end)).await?.to_f32()?;
        let refused =
            |error: conclave_quantize::Error| Error::input(format!("`{name}`: {}", error.from_row(start)));
        let words = match quantize(name, &values, columns, scheme).map_err(refused)? {
            QuantizedRows::Int4(rows) => {
                let (words, of_rows) = rows.into_parts();
                scales.extend(of_rows.iter().flat_map(|scale| scale.to_le_bytes()));
                words
            }
            QuantizedRows::Int8(rows) => {
                scales.extend(rows.scales().iter().flat_map(|scale| scale.to_le_bytes()));
                rows.packed().map_err(refused)?
            }
        };
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        out.write(&bytes)?;
        if progress(values.len() as u64).is_break() {
            return Err(Error::cancelled().context("writing the model"));
        }
    }
    out.write(&scales)?;
    let sizes: Vec<u8> = [rows, columns].iter().flat_map(|&size| (size as u64).to_le_bytes()).collect();
    out.write(&sizes)
}
