//! From gradients to new weights: clipping by the global norm, then AdamW or Muon for each parameter by what it is.
//!
//! The matrices of the layers are of one group, trained by [`kind`](OptimizerConfig::kind); everything else (vocabulary,
//! norms, biases) is always AdamW's. Weight decay is decoupled and for matrices only. The rules themselves are in
//! `adamw` and `muon`, plain functions of tensors.
//!
//! State is kept by parameter path in f32 and can be read and restored to the bit; a step sums in a fixed order. What is
//! not here: how the learning rate changes over a run (`schedule`), files (`checkpoint`).

mod adamw;
mod muon;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use conclave_model::weights::WeightSource;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};
use crate::gradients::Gradients;
use crate::host::read_tensor;
use crate::parameters::{ParameterKind, ParameterTensor, Parameters};
use adamw::{AdamWRule, Moments};
use muon::MuonRule;

/// `[optimizer]`: how a gradient becomes a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// What trains the matrices of the layers. Vocabulary, norms and biases are always AdamW's.
    pub kind: OptimizerKind,
    /// Learning rate of AdamW.
    pub lr: f64,
    /// Learning rate of Muon.
    pub muon_lr: f64,
    /// How Muon's learning rate follows from the shape of a matrix.
    pub muon_adjust: MuonAdjust,
    /// Momentum of Muon (Nesterov's).
    pub muon_momentum: f64,
    /// Decay rates of AdamW's averages of the gradient and of its square.
    pub betas: [f64; 2],
    /// What AdamW adds to the root of the square.
    pub eps: f64,
    /// Share of a matrix that is taken off at each step, times the learning rate.
    pub weight_decay: f64,
    /// The norm of all gradients together is cut to this; 0 leaves it as it is.
    pub max_grad_norm: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::AdamW,
            lr: 1e-5,
            muon_lr: 0.02,
            muon_adjust: MuonAdjust::Original,
            muon_momentum: 0.95,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
        }
    }
}

/// What trains the matrices of the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Loshchilov and Hutter, arXiv 1711.05101.
    AdamW,
    /// Keller Jordan and others, <https://kellerjordan.github.io/posts/muon>.
    Muon,
}

/// How Muon's learning rate follows from the shape of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MuonAdjust {
    /// Times `sqrt(max(1, out / in))`.
    Original,
    /// Times `0.2 * sqrt(max(out, in))`: an update is as large as AdamW's usually is, and `muon_lr` is a rate for AdamW
    /// (Liu and others, arXiv 2502.16982).
    MatchRmsAdamw,
}

impl OptimizerConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// Names the keys that are wrong, and what is expected.
    pub fn validate(&self) -> Result<()> {
        let below_one = |value: f64| (0.0..1.0).contains(&value);
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        let checks = [
            ("lr", self.lr, not_negative(self.lr), "0 or more"),
            ("muon_lr", self.muon_lr, not_negative(self.muon_lr), "0 or more"),
            ("muon_momentum", self.muon_momentum, below_one(self.muon_momentum), "0 or more and less than 1"),
            ("betas[0]", self.betas[0], below_one(self.betas[0]), "0 or more and less than 1"),
            ("betas[1]", self.betas[1], below_one(self.betas[1]), "0 or more and less than 1"),
            ("eps", self.eps, self.eps > 0.0 && self.eps.is_finite(), "more than 0"),
            ("weight_decay", self.weight_decay, not_negative(self.weight_decay), "0 or more"),
            ("max_grad_norm", self.max_grad_norm, not_negative(self.max_grad_norm), "0 (no limit) or more"),
        ];
        let wrong = checks.iter().filter(|(_, _, right, _)| !right);
        let problems: Vec<String> = wrong
            .map(|(key, value, _, expected)| format!("`optimizer.{key}` is {value}, expected {expected}"))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(TrainError::Config(problems.join("; "))) }
    }

    fn kind_of(&self, path: &str) -> OptimizerKind {
        match ParameterKind::of(path) {
            ParameterKind::Projection => self.kind,
            _ => OptimizerKind::AdamW,
        }
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The norm of all gradients together, before it was cut.
    pub grad_norm: f64,
    /// Whether it was cut.
    pub clipped: bool,
    /// Whether nothing was done, because the norm is not a finite number.
    pub skipped: bool,
}

/// An optimizer with its state.
#[derive(Debug, Clone)]
pub struct Optimizer {
    config: OptimizerConfig,
    updates: u64,
    state: BTreeMap<String, State>,
}

/// What is remembered of one parameter, as rows (see [`ParameterTensor::into_rows`]).
#[derive(Debug, Clone)]
enum State {
    AdamW(Box<Moments>),
    Muon(Box<Tensor<2>>),
}

impl Optimizer {
    /// An optimizer that has seen nothing yet.
    pub fn new(config: &OptimizerConfig) -> Self {
        Self { config: config.clone(), updates: 0, state: BTreeMap::new() }
    }

    /// Updates that were made (skipped ones do not count): with the state, all that has to be saved.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// One update of `parameters` (plain, f32). `lr_scale` is the schedule's factor of the learning rates. A parameter without
    /// a gradient has a gradient of zero. Where the gradients' norm is not finite, nothing changes, and the report says
    /// so.
    ///
    /// # Errors
    /// A gradient of a parameter that is not among them, or of another shape; a device that cannot be read.
    pub fn step<P: Parameters>(
        &mut self,
        parameters: P,
        gradients: Gradients,
        lr_scale: f64,
    ) -> Result<(P, StepReport)> {
        check_fit(&parameters, &gradients)?;
        let grad_norm = gradients.norm()?;
        if !grad_norm.is_finite() {
            return Ok((parameters, StepReport { grad_norm, clipped: false, skipped: true }));
        }
        let limit = self.config.max_grad_norm;
        let clipped = limit > 0.0 && grad_norm > limit;
        let mut gradients = if clipped { gradients.scale(limit / grad_norm) } else { gradients };
        self.updates += 1;
        // Muon's matrices wait until all directions are there.
        let mut directions = Vec::new();
        let parameters = parameters.map(&mut |path, value| {
            let gradient = match gradients.remove(path) {
                Some(gradient) => gradient.into_rows(),
                None => value.clone().into_rows().zeros_like(),
            };
            match self.config.kind_of(path) {
                OptimizerKind::AdamW => self.update_by_adamw(path, value, gradient, lr_scale),
                OptimizerKind::Muon => {
                    directions.push((path.to_owned(), self.direction(path, gradient, lr_scale)));
                    value
                }
            }
        });
        if directions.is_empty() {
            return Ok((parameters, StepReport { grad_norm, clipped, skipped: false }));
        }
        let mut directions = muon::orthogonal_by_name(directions);
        let rule = self.muon_rule(lr_scale);
        let parameters = parameters.map(&mut |path, value| match directions.remove(path) {
            Some(direction) => ParameterTensor::Matrix(rule.apply(value.into_rows(), direction)),
            None => value,
        });
        Ok((parameters, StepReport { grad_norm, clipped, skipped: false }))
    }

    fn update_by_adamw(
        &mut self,
        path: &str,
        value: ParameterTensor,
        gradient: Tensor<2>,
        lr_scale: f64,
    ) -> ParameterTensor {
        let config = &self.config;
        let rule = AdamWRule {
            lr: config.lr * lr_scale,
            betas: config.betas,
            eps: config.eps,
            weight_decay: match value {
                ParameterTensor::Matrix(_) => config.weight_decay,
                ParameterTensor::Vector(_) => 0.0,
            },
            update: self.updates,
        };
        let moments = match self.state.remove(path) {
            Some(State::AdamW(moments)) => Some(*moments),
            _ => None,
        };
        let shape = value.shape();
        let (rows, moments) = rule.apply(value.into_rows(), gradient, moments);
        self.state.insert(path.to_owned(), State::AdamW(Box::new(moments)));
        match shape[..] {
            [len] => ParameterTensor::Vector(rows.reshape([len])),
            _ => ParameterTensor::Matrix(rows),
        }
    }

    fn direction(&mut self, path: &str, gradient: Tensor<2>, lr_scale: f64) -> Tensor<2> {
        let momentum = match self.state.remove(path) {
            Some(State::Muon(momentum)) => Some(*momentum),
            _ => None,
        };
        let (direction, momentum) = self.muon_rule(lr_scale).direction(gradient, momentum);
        self.state.insert(path.to_owned(), State::Muon(Box::new(momentum)));
        direction
    }

    /// Of projections, which are all matrices.
    fn muon_rule(&self, lr_scale: f64) -> MuonRule {
        MuonRule {
            lr: self.config.muon_lr * lr_scale,
            adjust: self.config.muon_adjust,
            momentum: self.config.muon_momentum,
            weight_decay: self.config.weight_decay,
        }
    }

    /// The state as named tensors, in order: `PATH/moment_1` and `PATH/moment_2` of AdamW, `PATH/momentum` of Muon. A
    /// vector's are `[1, n]`.
    pub fn state(&self) -> Vec<(String, Tensor<2>)> {
        let mut tensors = Vec::new();
        for (path, state) in &self.state {
            match state {
                State::AdamW(moments) => {
                    tensors.push((format!("{path}/{MOMENT_1}"), moments.first.clone()));
                    tensors.push((format!("{path}/{MOMENT_2}"), moments.second.clone()));
                }
                State::Muon(momentum) => tensors.push((format!("{path}/{MOMENTUM}"), (**momentum).clone())),
            }
        }
        tensors
    }

    /// An optimizer that goes on where another stopped after `updates` updates of `parameters` with the state in `source`.
    ///
    /// # Errors
    /// State that is missing, left over or of another shape: it is of another model or another kind of optimizer.
    pub async fn restore(
        config: &OptimizerConfig,
        updates: u64,
        source: &impl WeightSource,
        parameters: &impl Parameters,
    ) -> Result<Self> {
        let mut restored = Self { config: config.clone(), updates, state: BTreeMap::new() };
        let mut expected = Vec::new();
        if updates > 0 {
            parameters.visit(&mut |path, tensor| {
                expected.push((path.to_owned(), tensor.clone().into_rows().dims(), tensor.device()));
            });
        }
        let mut used = 0;
        for (path, shape, device) in expected {
            let read = async |part: &str| {
                let tensor = read_tensor(source, &format!("{path}/{part}"), shape, &device).await;
                let explain = "the optimizer's state is of another model or another `optimizer.kind`";
                tensor.map_err(|error| TrainError::Model(error.context(explain)))
            };
            let state = match config.kind_of(&path) {
                OptimizerKind::AdamW => {
                    used += 2;
                    let (first, second) = (read(MOMENT_1).await?, read(MOMENT_2).await?);
                    State::AdamW(Box::new(Moments { first, second }))
                }
                OptimizerKind::Muon => {
                    used += 1;
                    State::Muon(Box::new(read(MOMENTUM).await?))
                }
            };
            restored.state.insert(path, state);
        }
        let found = source.names().len();
        if found != used {
            return Err(TrainError::Checkpoint(format!(
                "the optimizer's state has {found} tensors, expected {used}: it is of another model or another `optimizer.kind`"
            )));
        }
        Ok(restored)
    }
}

const MOMENT_1: &str = "moment_1";
const MOMENT_2: &str = "moment_2";
const MOMENTUM: &str = "momentum";

/// Checks that every gradient has its parameter.
fn check_fit(parameters: &impl Parameters, gradients: &Gradients) -> Result<()> {
    let mut shapes = BTreeMap::new();
    parameters.visit(&mut |path, tensor| {
        shapes.insert(path.to_owned(), tensor.shape());
    });
    for name in gradients.names() {
        let shape = gradients.get(name).map(ParameterTensor::shape).unwrap_or_default();
        match shapes.get(name) {
            Some(expected) if *expected == shape => {}
            Some(expected) => {
                return Err(TrainError::Data(format!(
                    "the gradient of `{name}` has shape {shape:?}, the parameter {expected:?}"
                )));
            }
            None => {
                return Err(TrainError::Data(format!(
                    "there is a gradient of `{name}`, and no such parameter"
                )));
            }
        }
    }
    Ok(())
}
