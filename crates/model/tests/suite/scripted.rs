//! A decoder that says what a test wrote down, and remembers what it was told.

use std::ops::ControlFlow;

use conclave_model::decoder::Decoder;
use conclave_model::error::Error;
use conclave_model::sampler::{Choice, Sampled};

/// The fake.
#[derive(Default)]
pub struct Scripted {
    /// Tokens it samples in turn, each with its probability, whatever the row.
    pub script: Vec<(u32, f64)>,
    /// Probability of each text it is asked to score, spread over the text's bytes; others have 1e-9.
    pub scores: Vec<(&'static str, f64)>,
    /// Tokens of each row.
    pub rows: Vec<Vec<u32>>,
    /// Longest sequence.
    pub context_length: usize,
    /// Number of tokens sampled.
    pub sampled: usize,
}

impl Decoder for Scripted {
    fn vocab_size(&self) -> usize {
        257
    }

    fn context_length(&self) -> usize {
        self.context_length
    }

    fn num_rows(&self) -> usize {
        self.rows.len()
    }

    fn len(&self, row: usize) -> usize {
        self.rows[row].len()
    }

    fn reset(&mut self, num_rows: usize, capacity: usize) -> Result<(), Error> {
        assert!(capacity > 0);
        self.rows = vec![Vec::new(); num_rows];
        Ok(())
    }

    async fn append(
        &mut self,
        tokens: &[&[u32]],
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        for (row, tokens) in self.rows.iter_mut().zip(tokens) {
            row.extend_from_slice(tokens);
        }
        match progress(tokens.iter().map(|row| row.len()).max().unwrap_or(0)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::cancelled()),
        }
    }

    async fn sample(&mut self, rows: &[usize], choices: &[Choice]) -> Result<Vec<Sampled>, Error> {
        assert_eq!(rows.len(), choices.len());
        let (token, probability) = self.script[self.sampled];
        self.sampled += 1;
        Ok(vec![Sampled { token, log_prob: probability.ln() }; rows.len()])
    }

    async fn top_k(&mut self, _: usize, _: usize) -> Result<Vec<(u32, f64)>, Error> {
        Err(Error::unsupported("not scripted"))
    }

    async fn log_probs(&mut self, _: usize, tokens: &[u32]) -> Result<Vec<f64>, Error> {
        let bytes: Vec<u8> = tokens.iter().map(|&token| token as u8).collect();
        let known = self.scores.iter().find(|(text, _)| text.as_bytes() == bytes);
        let log_prob = known.map_or(1e-9, |(_, probability)| *probability).ln();
        Ok(vec![log_prob / tokens.len() as f64; tokens.len()])
    }

    async fn end_state(&mut self, _: usize) -> Result<Vec<f32>, Error> {
        Err(Error::unsupported("not scripted"))
    }

    async fn forced_logits(&mut self, _: usize, _: &[u32]) -> Result<Vec<f32>, Error> {
        Err(Error::unsupported("not scripted"))
    }

    fn fork(&mut self, _: &[usize]) -> Result<(), Error> {
        Err(Error::unsupported("not scripted"))
    }

    fn rewind(&mut self, row: usize, len: usize) -> Result<(), Error> {
        self.rows[row].truncate(len);
        Ok(())
    }
}
