//! The known-answer test: a model's logits and greedy continuations against recorded ones.
//!
//! A reference is a safetensors file with, for each case `c`: `c.ids` `[seq]` (i64), `c.logits` `[seq, vocab_size]`
//! and `c.greedy` `[n]` (i64), the greedy tokens after the prompt with stop tokens ignored. It is run at load and by
//! `conclave model check`, because a driver that miscompiles a shader does not say so: it answers nonsense.

use std::ops::ControlFlow;

use serde::Serialize;

use crate::decoder::Decoder;
use crate::error::{Error, ErrorKind};
use crate::files::ModelFiles;
use crate::sampler::Choice;
use crate::tensor_bytes::TensorBytes;
use crate::weights::{Safetensors, WeightSource};

/// Name of the reference in a model directory.
pub const FILE_NAME: &str = "selftest.safetensors";

/// One recorded case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The prompt.
    pub ids: Vec<u32>,
    /// Logits after each token of the prompt, `[seq, vocab_size]` row-major.
    pub logits: Vec<f32>,
    /// Greedy tokens after the prompt.
    pub greedy: Vec<u32>,
}

/// How a case came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Largest absolute difference of a logit; infinite when one is not finite.
    pub max_difference: f64,
    /// Greedy tokens that agree before the first that does not.
    pub greedy_agreeing: usize,
    /// Greedy tokens recorded.
    pub greedy_tokens: usize,
}

impl CaseReport {
    /// Whether the logits are within `tolerance` and all greedy tokens agree.
    pub fn passes(&self, tolerance: f64) -> bool {
        self.max_difference <= tolerance && self.greedy_agreeing == self.greedy_tokens
    }
}

/// Reads the cases of a reference file.
///
/// # Errors
///
/// A file that is no safetensors file, has no case, or a case with a part missing or of the wrong shape.
pub async fn read_cases<F: ModelFiles>(files: F, file: &str) -> Result<Vec<Case>, Error> {
    let source = Safetensors::open_file(files, file).await?;
    let mut names: Vec<String> =
        source.names().iter().filter_map(|name| name.strip_suffix(".ids")).map(str::to_owned).collect();
    names.sort();
    if names.is_empty() {
        return Err(Error::new(
            ErrorKind::Format,
            format!("`{file}` has no case: expected tensors `NAME.ids`, `NAME.logits`, `NAME.greedy`"),
        ));
    }
    let mut cases = Vec::with_capacity(names.len());
    for name in names {
        let ids = read_ids(&source, &format!("{name}.ids")).await?;
        let greedy = read_ids(&source, &format!("{name}.greedy")).await?;
        let logits = source.read(&format!("{name}.logits"), None).await?;
        if logits.shape.len() != 2 || logits.shape[0] != ids.len() || ids.is_empty() {
            return Err(Error::new(
                ErrorKind::Shape,
                format!("`{name}.logits` has shape {:?}, expected [{}, vocab_size]", logits.shape, ids.len()),
            ));
        }
        cases.push(Case { name, ids, logits: logits.to_f32()?, greedy });
    }
    Ok(cases)
}

/// Runs one case.
///
/// # Errors
///
/// The decoder's; a reference for another vocabulary. Logits that are not finite are a difference, not an error.
pub async fn run_case<D: Decoder>(decoder: &mut D, case: &Case) -> Result<CaseReport, Error> {
    decoder.reset(1, case.ids.len() + case.greedy.len())?;
    let logits = decoder.forced_logits(0, &case.ids).await?;
    if logits.len() != case.logits.len() {
        return Err(Error::new(
            ErrorKind::Shape,
            format!(
                "case `{}` records {} logits, the model has {}: is this the model's own reference?",
                case.name,
                case.logits.len(),
                logits.len()
            ),
        ));
    }
    let difference = |(a, b): (&f32, &f32)| {
        let difference = f64::from((a - b).abs());
        if difference.is_nan() { f64::INFINITY } else { difference }
    };
    let max_difference = logits.iter().zip(&case.logits).map(difference).fold(0.0, f64::max);
    let mut agreeing = 0;
    if max_difference.is_finite() {
        for (index, &expected) in case.greedy.iter().enumerate() {
            let token = decoder.sample(&[0], &[Choice::GREEDY]).await?[0].token;
            if token != expected {
                break;
            }
            agreeing += 1;
            if index + 1 < case.greedy.len() {
                decoder.append(&[&[token]], &mut |_| ControlFlow::Continue(())).await?;
            }
        }
    }
    Ok(CaseReport {
        name: case.name.clone(),
        prompt_tokens: case.ids.len(),
        max_difference,
        greedy_agreeing: agreeing,
        greedy_tokens: case.greedy.len(),
    })
}

/// Records a case: what `decoder` computes for `ids`.
///
/// # Errors
///
/// The decoder's.
pub async fn record_case<D: Decoder>(
    decoder: &mut D,
    name: &str,
    ids: &[u32],
    greedy_tokens: usize,
) -> Result<Case, Error> {
    decoder.reset(1, ids.len() + greedy_tokens)?;
    let logits = decoder.forced_logits(0, ids).await?;
    let mut greedy = Vec::with_capacity(greedy_tokens);
    for index in 0..greedy_tokens {
        let token = decoder.sample(&[0], &[Choice::GREEDY]).await?[0].token;
        greedy.push(token);
        if index + 1 < greedy_tokens {
            decoder.append(&[&[token]], &mut |_| ControlFlow::Continue(())).await?;
        }
    }
    Ok(Case { name: name.to_owned(), ids: ids.to_vec(), logits, greedy })
}

impl Case {
    /// The tensors of this case, as they stand in a reference file.
    pub fn tensors(&self) -> Vec<(String, TensorBytes)> {
        let ids = |ids: &[u32]| {
            let values: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
            TensorBytes::from_i64(&[ids.len()], &values)
        };
        let vocab_size = self.logits.len() / self.ids.len().max(1);
        let logits = TensorBytes::from_f32(&[self.ids.len(), vocab_size], &self.logits);
        vec![
            (format!("{}.greedy", self.name), ids(&self.greedy)),
            (format!("{}.ids", self.name), ids(&self.ids)),
            (format!("{}.logits", self.name), logits),
        ]
    }
}

async fn read_ids<F: ModelFiles>(source: &Safetensors<F>, name: &str) -> Result<Vec<u32>, Error> {
    let id = |id: i64| {
        u32::try_from(id).map_err(|_| Error::format(format!("`{name}` has {id}, which is no token id")))
    };
    source
        .read(name, None)
        .await?
        .to_i64()
        .map_err(|error| error.context(name))?
        .into_iter()
        .map(id)
        .collect()
}
