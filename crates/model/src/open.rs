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
use crate::tokenizer::Tokenizer;
use crate::weights::Safetensors;

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
}

/// Reads `config.json` with `generation_config.json`.
///
/// # Errors
///
/// A missing file; see [`Qwen2Config::from_json`].
pub async fn read_config<F: ModelFiles>(files: &F) -> Result<Qwen2Config, Error> {
    let Some(config) = read_text(files, "config.json", MAX_CONFIG_BYTES).await? else {
        return Err(missing_file("config.json").context("not a model directory"));
    };
    let generation_config = read_text(files, "generation_config.json", MAX_CONFIG_BYTES).await?;
    Qwen2Config::from_json(&config, generation_config.as_deref())
}

/// Reads `tokenizer.json` and checks that it fits the model.
///
/// # Errors
///
/// A missing file, a tokenizer that cannot be used or has more ids than the model.
pub async fn read_tokenizer<F: ModelFiles>(files: &F, config: &Qwen2Config) -> Result<Tokenizer, Error> {
    let Some(json) = read_text(files, "tokenizer.json", MAX_TOKENIZER_BYTES).await? else {
        return Err(missing_file("tokenizer.json"));
    };
    let tokenizer = Tokenizer::from_json(json.as_bytes())?;
    tokenizer.check_fits(config)?;
    Ok(tokenizer)
}

impl<F: ModelFiles> ModelDirectory<F> {
    /// Opens a directory.
    ///
    /// # Errors
    ///
    /// What is missing, damaged or not supported, by file.
    pub async fn open(files: F) -> Result<Self, Error> {
        let config = read_config(&files).await?;
        let manifest = Manifest::read(&files).await?;
        let weights = Safetensors::open(files).await?;
        Ok(Self { config, manifest, weights })
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
