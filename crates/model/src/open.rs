//! Opening a model directory: every small file read and checked against the others, the weights' headers too.
//!
//! Nothing large is read here; `load` brings the weights to a device.

use std::ops::ControlFlow;

use burn::tensor::Device;

use crate::aggregate::Aggregator;
use crate::config::Qwen2Config;
use crate::error::Error;
use crate::files::{ModelFiles, missing_file, read_text};
use crate::load::{LoadOptions, LoadProgress, load};
use crate::manifest::Manifest;
use crate::qwen2_decoder::Qwen2Decoder;
use crate::tokenizer::{SplitFiles, Tokenizer};
use crate::vocabulary::shard_ranges;
use crate::weights::{READ_BLOCK, Safetensors, WeightSource, refuse_adapter};

/// Bytes of a configuration file at most.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Bytes of a tokenizer file at most: the largest published are 35 MB.
const MAX_TOKENIZER_BYTES: u64 = 256 << 20;

/// A model directory, read but for its weights.
pub struct ModelDirectory<F> {
    /// `config.json` and `generation_config.json`.
    pub config: Qwen2Config,
    /// `conclave.json`, or its default.
    pub manifest: Manifest,
    /// The weights' headers.
    pub weights: Safetensors<F>,
    /// What a person should know of it though it can be used, one sentence each.
    pub notes: Vec<String>,
}

const EMBEDDINGS: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// The note on a head that should not be there.
const OTHER_HEAD: &str = "config.json says `tie_word_embeddings`, but the stored `lm_head.weight` is not \
    `model.embed_tokens.weight`: the stored head is used (as transformers 5 does, older releases use the embeddings); set \
    `tie_word_embeddings` to false to make it sure";

/// Whether a head is stored beside the embeddings that has other values. A copy of them is none.
async fn has_other_head(weights: &impl WeightSource) -> Result<bool, Error> {
    let (Some(embeddings), Some(head)) = (weights.info(EMBEDDINGS), weights.info(HEAD)) else {
        return Ok(false);
    };
    if embeddings.shape != head.shape {
        return Ok(true);
    }
    let row_bytes = embeddings.byte_len().checked_div(embeddings.rows() as u64).unwrap_or(0);
    let row_bytes = usize::try_from(row_bytes).unwrap_or(usize::MAX);
    for rows in shard_ranges(embeddings.rows(), row_bytes, READ_BLOCK as usize) {
        let (a, b) =
            (weights.read(EMBEDDINGS, Some(rows.clone())).await?, weights.read(HEAD, Some(rows)).await?);
        let equal = if a.dtype == b.dtype { a.bytes == b.bytes } else { a.to_f32()? == b.to_f32()? };
        if !equal {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads `config.json` with `generation_config.json`.
///
/// # Errors
///
/// A missing file; see [`Qwen2Config::from_json`].
pub async fn read_config<F: ModelFiles>(files: &F) -> Result<Qwen2Config, Error> {
    let Some(config) = read_text(files, "config.json", MAX_CONFIG_BYTES).await? else {
        let adapter = refuse_adapter(files).await?;
        return Err(adapter.unwrap_or_else(|| missing_file("config.json").context("not a model directory")));
    };
    let generation_config = read_text(files, "generation_config.json", MAX_CONFIG_BYTES).await?;
    Qwen2Config::from_json(&config, generation_config.as_deref())
}

/// Reads `tokenizer.json`, or `vocab.json` and `merges.txt` where there is none, and checks that it fits the model.
///
/// # Errors
///
/// A missing file, a tokenizer that cannot be used or has more ids than the model.
pub async fn read_tokenizer<F: ModelFiles>(files: &F, config: &Qwen2Config) -> Result<Tokenizer, Error> {
    let tokenizer = match read_text(files, "tokenizer.json", MAX_TOKENIZER_BYTES).await? {
        Some(json) => Tokenizer::from_json(json.as_bytes())?,
        None => read_split_tokenizer(files).await?,
    };
    tokenizer.check_fits(config)?;
    Ok(tokenizer)
}

async fn read_split_tokenizer<F: ModelFiles>(files: &F) -> Result<Tokenizer, Error> {
    let vocab = read_text(files, "vocab.json", MAX_TOKENIZER_BYTES).await?;
    let merges = read_text(files, "merges.txt", MAX_TOKENIZER_BYTES).await?;
    let (vocab, merges) = match (vocab, merges) {
        (Some(vocab), Some(merges)) => (vocab, merges),
        (None, None) => return Err(missing_file("tokenizer.json")),
        (Some(_), None) => return Err(missing_file("merges.txt").context("vocab.json needs it")),
        (None, Some(_)) => return Err(missing_file("vocab.json").context("merges.txt needs it")),
    };
    let tokenizer_config = read_text(files, "tokenizer_config.json", MAX_CONFIG_BYTES).await?;
    let added_tokens = read_text(files, "added_tokens.json", MAX_CONFIG_BYTES).await?;
    Tokenizer::from_split_files(SplitFiles {
        vocab: &vocab,
        merges: &merges,
        tokenizer_config: tokenizer_config.as_deref(),
        added_tokens: added_tokens.as_deref(),
    })
}

impl<F: ModelFiles> ModelDirectory<F> {
    /// Opens a directory. Where `config.json` ties the head to the embeddings and the weights hold a head of other values, the
    /// stored head is used, as transformers 5 does: `config` then says that the head is its own, and `notes` why.
    ///
    /// # Errors
    ///
    /// What is missing, damaged or not supported, by file.
    pub async fn open(files: F) -> Result<Self, Error> {
        let mut config = read_config(&files).await?;
        let manifest = Manifest::read(&files).await?;
        let weights = Safetensors::open(files).await?;
        let mut notes = Vec::new();
        if config.tie_word_embeddings && has_other_head(&weights).await? {
            config.tie_word_embeddings = false;
            notes.push(OTHER_HEAD.to_owned());
        }
        Ok(Self { config, manifest, weights, notes })
    }

    /// Loads the weights and wraps them in a decoder that chooses among `num_tokens` ids.
    ///
    /// # Errors
    ///
    /// See [`load`].
    pub async fn decoder(
        &self,
        num_tokens: usize,
        device: &Device,
        options: &LoadOptions,
        progress: &mut dyn FnMut(LoadProgress) -> ControlFlow<()>,
    ) -> Result<Qwen2Decoder, Error> {
        let model = load(&self.config, &self.weights, device, options, progress).await?;
        Ok(Qwen2Decoder::new(model, self.config.clone(), num_tokens))
    }

    /// Loads everything into an aggregator.
    ///
    /// # Errors
    ///
    /// See [`read_tokenizer`] and [`load`].
    pub async fn aggregator(
        self,
        device: &Device,
        options: &LoadOptions,
        progress: &mut dyn FnMut(LoadProgress) -> ControlFlow<()>,
    ) -> Result<Aggregator<Qwen2Decoder>, Error> {
        let tokenizer = read_tokenizer(self.weights.files(), &self.config).await?;
        let decoder = self.decoder(tokenizer.vocab_size(), device, options, progress).await?;
        let stop_ids = self.config.eos_token_ids.clone();
        Ok(Aggregator::new(decoder, tokenizer, self.manifest, stop_ids))
    }
}
