//! The decoder of a directory, whichever computes it: burn on a device, or the engine for quantised weights on a
//! processor.

use std::ops::ControlFlow;

use crate::decoder::Decoder;
use crate::error::Result;
use crate::processor_decoder::ProcessorDecoder;
use crate::qwen2_decoder::Qwen2Decoder;
use crate::sampler::{Choice, Sampled};

/// One of the decoders.
#[derive(Debug)]
pub enum AnyDecoder {
    /// On burn.
    Burn(Box<Qwen2Decoder>),
    /// On a processor, with quantised weights.
    Processor(Box<ProcessorDecoder>),
}

macro_rules! delegate {
    ($self:ident, $decoder:ident => $call:expr) => {
        match $self {
            Self::Burn($decoder) => $call,
            Self::Processor($decoder) => $call,
        }
    };
}

impl AnyDecoder {
    /// How many decoders of one model compute beside each other: one engine of a processor takes all its cores.
    pub fn at_once(&self, workers: usize) -> usize {
        match self {
            Self::Burn(_) => workers,
            Self::Processor(_) => 1,
        }
    }

    /// A decoder without rows, of the same model.
    ///
    /// # Errors
    /// None for a model that has a decoder already.
    pub fn another(&self) -> Result<Self> {
        Ok(match self {
            Self::Burn(decoder) => {
                let (model, config) = (decoder.model().clone(), decoder.config().clone());
                Self::Burn(Box::new(Qwen2Decoder::new(model, config, decoder.vocab_size())))
            }
            Self::Processor(decoder) => Self::Processor(Box::new(decoder.another()?)),
        })
    }

    /// Computes without rounding activations, where this decoder rounds them; returns whether it does.
    pub fn set_exact(&mut self, is_exact: bool) -> bool {
        use conclave_processor::Activations;
        match self {
            Self::Burn(_) => false,
            Self::Processor(decoder) => {
                decoder.set_activations(if is_exact { Activations::F32 } else { Activations::Int8 });
                true
            }
        }
    }
}

impl Decoder for AnyDecoder {
    fn vocab_size(&self) -> usize {
        delegate!(self, decoder => decoder.vocab_size())
    }

    fn context_length(&self) -> usize {
        delegate!(self, decoder => decoder.context_length())
    }

    fn num_rows(&self) -> usize {
        delegate!(self, decoder => decoder.num_rows())
    }

    fn len(&self, row: usize) -> usize {
        delegate!(self, decoder => decoder.len(row))
    }

    fn reset(&mut self, num_rows: usize, capacity: usize) -> Result<()> {
        delegate!(self, decoder => decoder.reset(num_rows, capacity))
    }

    async fn append(
        &mut self,
        tokens: &[&[u32]],
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<()> {
        delegate!(self, decoder => decoder.append(tokens, progress).await)
    }

    async fn sample(&mut self, rows: &[usize], choices: &[Choice]) -> Result<Vec<Sampled>> {
        delegate!(self, decoder => decoder.sample(rows, choices).await)
    }

    async fn step(&mut self, rows: &[usize], choices: &[Choice]) -> Result<Vec<Sampled>> {
        delegate!(self, decoder => decoder.step(rows, choices).await)
    }

    async fn top_k(&mut self, row: usize, k: usize) -> Result<Vec<(u32, f64)>> {
        delegate!(self, decoder => decoder.top_k(row, k).await)
    }

    async fn log_probs(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<f64>> {
        delegate!(self, decoder => decoder.log_probs(row, tokens).await)
    }

    async fn log_probs_many(&mut self, row: usize, continuations: &[&[u32]]) -> Result<Vec<Vec<f64>>> {
        delegate!(self, decoder => decoder.log_probs_many(row, continuations).await)
    }

    async fn end_state(&mut self, row: usize) -> Result<Vec<f32>> {
        delegate!(self, decoder => decoder.end_state(row).await)
    }

    async fn forced_logits(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<f32>> {
        delegate!(self, decoder => decoder.forced_logits(row, tokens).await)
    }

    fn fork(&mut self, rows: &[usize]) -> Result<()> {
        delegate!(self, decoder => decoder.fork(rows))
    }

    fn rewind(&mut self, row: usize, len: usize) -> Result<()> {
        delegate!(self, decoder => decoder.rewind(row, len))
    }
}
