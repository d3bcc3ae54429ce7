//! Low-rank updates (LoRA; Hu and others, arXiv 2106.09685): instead of a matrix `W`, two narrow ones are trained,
//!
//! ```text
//! W + (alpha / rank) A B,   W: [in, out], A: [in, rank], B: [rank, out]
//! ```
//!
//! and everything else is frozen. `B` begins at zero, so a run begins with the model it was given; `A` is uniform in
//! `1 / sqrt(in)`, as PEFT has it, drawn by the seed and the path of the matrix.
//!
//! Every pass runs on the merged matrix. What decodes, evaluates, saves or exports a model needs to know nothing of this, and
//! rollouts cost what they cost without. The factors' gradients follow from the matrix's own, exactly:
//!
//! ```text
//! d_A = (alpha / rank) d_W B^T,   d_B = (alpha / rank) A^T d_W
//! ```
//!
//! What that saves is the optimizer's state, which is of the factors alone. What it does not save are the gradients of the
//! weights in full (as much memory as the weights in f32), and the merged matrices beside the base's.
//!
//! burn's own `Module::apply_lora` puts adapters inside `Param`s and merges in every pass, under autodiff. Here parameters are
//! plain tensors by path (optimizer, checkpoints, workers' sums), and the decoder's weights are the trainer's; adapters would
//! have to be found by path, saved and taken out for rollouts, for the same gradient of the merged matrix.
//!
//! What is not here: when updates are made (`trainer`), the file (`checkpoint`). The base is not saved: it is what the run began
//! with, and a resumption checks that it still is.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor, TensorData};
use conclave_model::config::Qwen2Config;
use conclave_model::qwen2::Qwen2;
use conclave_model::weights::WeightSource;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::config::LoraConfig;
use crate::error::{Result, TrainError};
use crate::gradients::Gradients;
use crate::host::read_tensor;
use crate::optimizer::{Optimizer, StepReport};
use crate::parameters::{Change, ParameterKind, ParameterTensor, Parameters, map, visit};

const LORA_A: &str = "lora_a";
const LORA_B: &str = "lora_b";

/// The factors of all matrices that are trained, f32. As [`Parameters`] they are `MATRIX/lora_a` and `MATRIX/lora_b`.
#[derive(Debug, Clone)]
pub struct Lora {
    rank: usize,
    scale: f64,
    /// By the path of the matrix.
    factors: BTreeMap<String, Factors>,
}

#[derive(Debug, Clone)]
struct Factors {
    /// `[in, rank]`
    a: Tensor<2>,
    /// `[rank, out]`
    b: Tensor<2>,
}

/// A matrix that is to be trained.
struct Target {
    path: String,
    shape: [usize; 2],
    device: Device,
}

impl Lora {
    /// Factors for `base` that change nothing yet.
    ///
    /// # Errors
    /// Where no matrix has a name that `config` names.
    pub fn new(config: &LoraConfig, base: &Qwen2, seed: u64) -> Result<Self> {
        let factors =
            targets(config, base)?.into_iter().map(|Target { path, shape: [input, output], device }| {
                let a = uniform(seed, &path, [input, config.rank], &device);
                let b = Tensor::zeros([config.rank, output], (&device, DType::F32));
                (path, Factors { a, b })
            });
        Ok(Self::with(config, factors.collect()))
    }

    /// The factors in `source`, as [`tensors`](Self::tensors) gives them.
    ///
    /// # Errors
    /// Tensors that are missing, left over or of another shape.
    pub async fn restore(config: &LoraConfig, base: &Qwen2, source: &impl WeightSource) -> Result<Self> {
        let mut factors = BTreeMap::new();
        for Target { path, shape: [input, output], device } in targets(config, base)? {
            let read = async |part: &str, shape| {
                let tensor = read_tensor(source, &format!("{path}/{part}"), shape, &device).await;
                tensor.map_err(|error| error.context("the checkpoint is of another `[lora]`"))
            };
            let a = read(LORA_A, [input, config.rank]).await?;
            let b = read(LORA_B, [config.rank, output]).await?;
            factors.insert(path, Factors { a, b });
        }
        let (found, used) = (source.names().len(), 2 * factors.len());
        if found != used {
            let message =
                format!("the checkpoint has {found} factors, expected {used}: it is of another `[lora]`");
            return Err(TrainError::Checkpoint(message));
        }
        Ok(Self::with(config, factors))
    }

    fn with(config: &LoraConfig, factors: BTreeMap<String, Factors>) -> Self {
        Self { rank: config.rank, scale: config.alpha / config.rank as f64, factors }
    }

    /// What is trained, for people.
    pub fn description(&self, shape: &Qwen2Config) -> String {
        let mut values = 0;
        self.visit(&mut |_, tensor| values += tensor.shape().iter().product::<usize>());
        format!(
            "LoRA of rank {} on {} matrices: {values} values are trained beside {} frozen ones",
            self.rank,
            self.factors.len(),
            shape.num_parameters()
        )
    }

    /// The gradients of the factors, given those of the merged model.
    pub fn gradients(&self, mut merged: Gradients) -> Gradients {
        let mut found = Gradients::new();
        for (path, Factors { a, b }) in &self.factors {
            let Some(gradient) = merged.remove(path) else { continue };
            let gradient = gradient.into_rows();
            let d_a = gradient.clone().matmul(b.clone().transpose()) * self.scale;
            let d_b = a.clone().transpose().matmul(gradient) * self.scale;
            found.add_one(&format!("{path}/{LORA_A}"), ParameterTensor::Matrix(d_a));
            found.add_one(&format!("{path}/{LORA_B}"), ParameterTensor::Matrix(d_b));
        }
        found
    }

    /// The factors after an update, given the gradients of the merged model.
    ///
    /// # Errors
    /// As [`Optimizer::step`].
    pub fn step(
        &self,
        optimizer: &mut Optimizer,
        merged: Gradients,
        lr_scale: f64,
    ) -> Result<(Self, StepReport)> {
        optimizer.step(self.clone(), self.gradients(merged), lr_scale)
    }

    /// `base` with the updates in it; what is frozen shares its memory.
    pub fn merge(&self, base: &Qwen2) -> Qwen2 {
        map(base.clone(), |path, value| match self.factors.get(path) {
            Some(Factors { a, b }) => {
                let update = a.clone().matmul(b.clone()) * self.scale;
                ParameterTensor::Matrix(value.into_rows() + update)
            }
            None => value,
        })
    }

    /// The factors by name, in order.
    pub fn tensors(&self) -> Vec<(String, Tensor<2>)> {
        let mut tensors = Vec::new();
        self.visit(&mut |path, tensor| tensors.push((path.to_owned(), tensor.into_rows())));
        tensors
    }
}

impl Parameters for Lora {
    fn map(mut self, change: Change<'_>) -> Self {
        for (path, Factors { a, b }) in &mut self.factors {
            for (part, factor) in [(LORA_A, a), (LORA_B, b)] {
                let value = ParameterTensor::Matrix(factor.clone());
                *factor = change(&format!("{path}/{part}"), value).into_rows();
            }
        }
        self
    }
}

/// The matrices of `base` that `config` names, in the order of the model.
fn targets(config: &LoraConfig, base: &Qwen2) -> Result<Vec<Target>> {
    let named = |path: &str| {
        let name = path.strip_suffix(".weight").and_then(|path| path.rsplit('.').next());
        name.is_some_and(|name| config.targets.iter().any(|target| target == name))
    };
    let mut targets = Vec::new();
    visit(base, |path, tensor| {
        if ParameterKind::of(path) == ParameterKind::Projection && named(path) {
            let device = tensor.device();
            targets.push(Target { path: path.to_owned(), shape: tensor.into_rows().dims(), device });
        }
    });
    if targets.is_empty() || config.rank == 0 {
        let message = format!("[lora] trains nothing: rank {}, targets {:?}", config.rank, config.targets);
        return Err(TrainError::Config(message));
    }
    Ok(targets)
}

/// Numbers between -1 and 1, divided by the root of the rows. Spelt out: the random number crates promise their bits, not
/// their distributions.
fn uniform(seed: u64, path: &str, shape: [usize; 2], device: &Device) -> Tensor<2> {
    let key = Sha256::digest([&seed.to_le_bytes(), b"/lora_a/".as_slice(), path.as_bytes()].concat());
    let mut rng = ChaCha8Rng::from_seed(key.into());
    let bound = 1.0 / (shape[0] as f32).sqrt();
    let value = |_| ((rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0) * bound;
    let values: Vec<f32> = (0..shape[0] * shape[1]).map(value).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
