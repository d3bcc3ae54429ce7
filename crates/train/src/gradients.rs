//! Gradients by parameter.
//!
//! Keys are checkpoint names (`model.layers.0.self_attn.q_proj.weight`; a shard of the vocabulary matrix has `#0`, `#1`,
//! ... behind its name); shapes are those of the module (`Linear` weights are `[in, out]`). What is not here: how they
//! come about (`network`, `layer`, `vocabulary`), what is done with them (`optimizer`).

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::error::Result;
use crate::host::read_f32;
use crate::parameters::ParameterTensor;

/// Gradients of a model's parameters; a parameter that is not there has a gradient of zero.
#[derive(Debug, Clone, Default)]
pub struct Gradients(BTreeMap<String, ParameterTensor>);

impl Gradients {
    /// No gradient at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the gradient of one parameter.
    pub fn add_one(&mut self, name: &str, gradient: ParameterTensor) {
        let sum = match self.0.remove(name) {
            Some(present) => sum_of(present, gradient),
            None => gradient,
        };
        self.0.insert(name.to_owned(), sum);
    }

    /// Adds gradients, parameter by parameter.
    pub fn add(&mut self, other: Self) {
        for (name, gradient) in other.0 {
            self.add_one(&name, gradient);
        }
    }

    /// All times `factor`.
    #[must_use]
    pub fn scale(self, factor: f64) -> Self {
        Self(self.0.into_iter().map(|(name, gradient)| (name, scaled(gradient, factor))).collect())
    }

    /// The norm over all parameters together (the global norm). Bit by bit the same for the same gradients.
    ///
    /// # Errors
    /// Where the device cannot be read.
    pub fn norm(&self) -> Result<f64> {
        let sums: Vec<Tensor<1>> = self.0.values().map(square_sums).collect();
        if sums.is_empty() {
            return Ok(0.0);
        }
        let sums = read_f32(Tensor::cat(sums, 0))?;
        Ok(sums.iter().map(|sum| f64::from(*sum)).sum::<f64>().sqrt())
    }

    /// The gradient of a parameter.
    pub fn get(&self, name: &str) -> Option<&ParameterTensor> {
        self.0.get(name)
    }

    /// Takes the gradient of a parameter out.
    pub fn remove(&mut self, name: &str) -> Option<ParameterTensor> {
        self.0.remove(name)
    }

    /// The parameters that have one, in order of their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn sum_of(a: ParameterTensor, b: ParameterTensor) -> ParameterTensor {
    let rows = a.clone().into_rows() + b.into_rows();
    a.with_rows(rows)
}

fn scaled(a: ParameterTensor, factor: f64) -> ParameterTensor {
    match a {
        ParameterTensor::Vector(a) => ParameterTensor::Vector(a * factor),
        ParameterTensor::Matrix(a) => ParameterTensor::Matrix(a * factor),
    }
}

/// Sums of squares by row; the rows are summed on the host in f64, in order. So it is the same number on every run, which
/// a sum over a large tensor is not: those are split as threads come.
fn square_sums(gradient: &ParameterTensor) -> Tensor<1> {
    let rows = gradient.clone().into_rows();
    let [count, _] = rows.dims();
    rows.square().sum_dim(1).reshape([count])
}
