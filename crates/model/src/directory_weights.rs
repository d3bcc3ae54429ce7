//! The weights of a model directory, quantised or not: either way a [`WeightSource`] of numbers, and where a matrix is
//! quantised also of the rows as they stand.

use std::ops::Range;

use conclave_quantize::config::{QuantizationConfig, Scheme};

use crate::error::{Error, Result};
use crate::files::ModelFiles;
use crate::quantized::{PACKED, Quantized, QuantizedRows};
use crate::safetensors::TensorInfo;
use crate::weights::{Safetensors, TensorBytes, WeightSource};

/// Weights as a directory has them.
pub enum DirectoryWeights<F> {
    /// Numbers.
    Plain(Safetensors<F>),
    /// Matrices of few bits, and numbers.
    Quantized(Quantized<Safetensors<F>>),
}

impl<F: ModelFiles> DirectoryWeights<F> {
    /// Opens the weights of `files`, whose `config.json` says `quantization`.
    ///
    /// # Errors
    /// Those of [`Safetensors::open`] and [`Quantized::new`]; quantised weights of which `config.json` says nothing.
    pub async fn open(files: F, quantization: Option<&QuantizationConfig>) -> Result<Self> {
        let weights = Safetensors::open(files).await?;
        if let Some(quantization) = quantization {
            return Quantized::new(weights, quantization).await.map(Self::Quantized);
        }
        match weights.names().iter().find(|name| name.ends_with(PACKED)) {
            None => Ok(Self::Plain(weights)),
            Some(name) => Err(Error::config(format!(
                "`{name}` is quantised, but config.json has no `quantization_config`: take the config.json that belongs to \
                 these weights"
            ))),
        }
    }

    /// The tensors as they stand in the files.
    pub fn stored(&self) -> &Safetensors<F> {
        match self {
            Self::Plain(weights) => weights,
            Self::Quantized(weights) => weights.source(),
        }
    }

    /// Where the files come from.
    pub fn files(&self) -> &F {
        self.stored().files()
    }

    /// The names of the weight files, in order.
    pub fn file_names(&self) -> impl Iterator<Item = &str> {
        self.stored().file_names()
    }

    /// Whether any matrix is quantised.
    pub fn is_quantized(&self) -> bool {
        matches!(self, Self::Quantized(_))
    }

    /// How the matrix `name` is quantised; `None` where it is not.
    pub fn scheme(&self, name: &str) -> Option<Scheme> {
        match self {
            Self::Plain(_) => None,
            Self::Quantized(weights) => weights.scheme(name),
        }
    }

    /// Rows of the quantised matrix `name` as they are stored; `None` where it is not quantised.
    ///
    /// # Errors
    /// Those of [`Quantized::read_rows`].
    pub async fn read_rows(&self, name: &str, rows: Option<Range<usize>>) -> Result<Option<QuantizedRows>> {
        match self {
            Self::Quantized(weights) if weights.scheme(name).is_some() => {
                weights.read_rows(name, rows).await.map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl<F: ModelFiles> WeightSource for DirectoryWeights<F> {
    fn info(&self, name: &str) -> Option<&TensorInfo> {
        match self {
            Self::Plain(weights) => weights.info(name),
            Self::Quantized(weights) => weights.info(name),
        }
    }

    fn names(&self) -> Vec<&str> {
        match self {
            Self::Plain(weights) => weights.names(),
            Self::Quantized(weights) => weights.names(),
        }
    }

    async fn read(&self, name: &str, rows: Option<Range<usize>>) -> Result<TensorBytes> {
        match self {
            Self::Plain(weights) => weights.read(name, rows).await,
            Self::Quantized(weights) => weights.read(name, rows).await,
        }
    }
}
