//! Writing a model directory: the Hugging Face files, in any precision and shard size, with `conclave.json`.
//!
//! Tensors are streamed from a [`WeightSource`] in row ranges, so that writing needs as little memory as loading.
//! Where the bytes go is the host's [`ModelSink`]; hashes are taken on the way.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::config::Qwen2Config;
use crate::error::{Error, ErrorKind};
use crate::init::tensor_shapes;
use crate::manifest::{self, Manifest};
use crate::safetensors::{Dtype, header_bytes};
use crate::self_test::{self, Case};
use crate::weights::{WeightSource, expect_shape};

/// Bytes of a tensor read and written at once, at most (and at least one row).
pub(crate) const PIECE_BYTES: usize = 16 << 20;

/// Where a directory's files are written.
pub trait ModelSink {
    /// Begins a file.
    fn create(&mut self, file: &str) -> Result<(), Error>;
    /// Appends to the file begun last.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error>;
    /// Ends the file: it is whole now, and only now may it stand under its name.
    fn finish(&mut self) -> Result<(), Error>;
}

/// What is written beside the weights.
#[derive(Debug)]
pub struct Export<'a> {
    /// The configuration.
    pub config: &'a Qwen2Config,
    /// Precision of the weights: F32, F16 or BF16.
    pub dtype: Dtype,
    /// Bytes of tensor data a shard at most; a larger tensor has a shard of its own.
    pub max_shard_size: u64,
    /// Files copied as they are, such as `tokenizer.json`.
    pub files: &'a [(&'a str, &'a [u8])],
}

/// A sink that hashes what passes.
pub(crate) struct Hashed<'a, K> {
    sink: &'a mut K,
    hash: Sha256,
    file: String,
    pub(crate) files: BTreeMap<String, String>,
}

impl<'a, K: ModelSink> Hashed<'a, K> {
    pub(crate) fn new(sink: &'a mut K) -> Self {
        Self { sink, hash: Sha256::new(), file: String::new(), files: BTreeMap::new() }
    }

    pub(crate) fn create(&mut self, file: &str) -> Result<(), Error> {
        self.hash = Sha256::new();
        self.file = file.to_owned();
        self.sink.create(file)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hash.update(bytes);
        self.sink.write(bytes)
    }

    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        let digest = std::mem::take(&mut self.hash).finalize();
        self.files.insert(std::mem::take(&mut self.file), format!("{digest:x}"));
        self.sink.finish()
    }

    pub(crate) fn whole(&mut self, file: &str, bytes: &[u8]) -> Result<(), Error> {
        self.create(file)?;
        self.write(bytes)?;
        self.finish()
    }
}

/// Writes weights, configuration and the other files; returns their hashes for [`write_manifest`]. `progress` is told
/// the parameters written since it was told last, and cancels by breaking.
///
/// # Errors
///
/// The source's, the sink's, a precision that weights cannot have.
pub async fn write_model<S: WeightSource, K: ModelSink>(
    export: &Export<'_>,
    source: &S,
    sink: &mut K,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<BTreeMap<String, String>, Error> {
    if !matches!(export.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
        let message = format!("weights cannot be written as {}: use F32, F16 or BF16", export.dtype);
        return Err(Error::unsupported(message));
    }
    let size = export.dtype.size();
    let mut out = Hashed::new(sink);
    let shards = shards(tensor_shapes(export.config), size, export.max_shard_size);
    // What transformers writes, and some readers ask for.
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let mut index = BTreeMap::new();
    let mut total = 0;
    for (number, shard) in shards.iter().enumerate() {
        let file = match shards.len() {
            1 => "model.safetensors".to_owned(),
            count => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
        };
        out.create(&file)?;
        let entries = shard.iter().map(|(name, shape)| (name.as_str(), export.dtype, shape.as_slice()));
        out.write(&header_bytes(entries, &metadata)?)?;
        for (name, shape) in shard {
            write_tensor(export.dtype, source, name, shape, &mut out, progress).await?;
            total += shape.iter().product::<usize>() as u64 * size as u64;
            index.insert(name.clone(), file.clone());
        }
        out.finish()?;
    }
    if shards.len() > 1 {
        let index = json!({ "metadata": { "total_size": total }, "weight_map": index });
        out.whole("model.safetensors.index.json", pretty(&index)?.as_bytes())?;
    }
    out.whole("config.json", export.config.to_json(export.dtype).as_bytes())?;
    out.whole("generation_config.json", export.config.generation_config_json().as_bytes())?;
    for (file, bytes) in export.files {
        out.whole(file, bytes)?;
    }
    Ok(out.files)
}

/// Writes the self-test; returns its hash.
///
/// # Errors
///
/// The sink's.
pub fn write_self_test<K: ModelSink>(cases: &[Case], sink: &mut K) -> Result<(String, String), Error> {
    let mut out = Hashed::new(sink);
    let tensors: Vec<_> = cases.iter().flat_map(Case::tensors).collect();
    let entries = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.dtype, tensor.shape.as_slice()));
    let header = header_bytes(entries, &BTreeMap::new())?;
    out.create(self_test::FILE_NAME)?;
    out.write(&header)?;
    for (_, tensor) in &tensors {
        out.write(&tensor.bytes)?;
    }
    out.finish()?;
    out.files.pop_first().ok_or_else(|| Error::new(ErrorKind::Input, "the self-test was not written"))
}

/// Writes `conclave.json`, last, so that a directory that has one is whole.
///
/// # Errors
///
/// The sink's.
pub fn write_manifest<K: ModelSink>(manifest: &Manifest, sink: &mut K) -> Result<(), Error> {
    let json = serde_json::to_value(manifest)
        .map_err(|error| Error::new(ErrorKind::Format, format!("cannot write conclave.json: {error}")))?;
    sink.create(manifest::FILE_NAME)?;
    sink.write(pretty(&json)?.as_bytes())?;
    sink.finish()
}

pub(crate) fn pretty(value: &serde_json::Value) -> Result<String, Error> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|error| Error::new(ErrorKind::Format, format!("cannot write JSON: {error}")))
}

/// Cuts the tensors into shards of at most `max_bytes`, in order.
fn shards(tensors: Vec<(String, Vec<usize>)>, size: usize, max_bytes: u64) -> Vec<Vec<(String, Vec<usize>)>> {
    let mut shards: Vec<Vec<_>> = Vec::new();
    let mut used = 0;
    for (name, shape) in tensors {
        let bytes = shape.iter().product::<usize>() as u64 * size as u64;
        if shards.is_empty() || used + bytes > max_bytes {
            shards.push(Vec::new());
            used = 0;
        }
        used += bytes;
        if let Some(shard) = shards.last_mut() {
            shard.push((name, shape));
        }
    }
    shards
}

pub(crate) async fn write_tensor<S: WeightSource, K: ModelSink>(
    dtype: Dtype,
    source: &S,
    name: &str,
    shape: &[usize],
    out: &mut Hashed<'_, K>,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<(), Error> {
    expect_shape(source, name, shape)?;
    let width: usize = shape[1..].iter().product();
    let rows = (PIECE_BYTES / (width * 4).max(1)).max(1);
    for start in (0..shape[0]).step_by(rows) {
        let end = (start + rows).min(shape[0]);
        let piece = source.read(name, Some(start..end)).await?;
        let piece = piece.to_dtype(dtype).map_err(|error| error.context(format!("`{name}`")))?;
        out.write(&piece.bytes)?;
        if progress(((end - start) * width) as u64).is_break() {
            return Err(Error::cancelled().context("writing the model"));
        }
    }
    Ok(())
}
