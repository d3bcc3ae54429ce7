//! Level 2: each column is rounded knowing what the columns before it were rounded to (GPTQ, arXiv 2210.17323).
//!
//! The error that counts is that of the outputs, `e H e^T` for a row's error e and the second moments `H = X^T X` of the
//! inputs. With `H = R R^T`, R upper triangular, it is `sum_j (R_jj (q_j - w'_j))^2`, where
//!
//! `w'_j = w_j - sum_{i < j} R_ij e_i / R_jj`, `e_i = q_i - w_i`
//!
//! is the weight that best makes up for the columns before it. So columns are rounded in order, each at its w'. This is
//! GPTQ's update; the differences in how it is reached are:
//!
//! 1. GPTQ inverts H and factors the inverse; one factor of H, from its last column up, says the same (arXiv 2507.18553:
//!    GPTQ is Babai's nearest plane) with a third of the work and better conditioned.
//! 2. Errors are kept as sums over groups of 32 columns instead of updates of all columns to come.
//! 3. The scale of a group is searched when the group is reached, on the w' that hold if none of its own columns were
//!    rounded, with the weights `H_jj` of level 1.
//!
//! Columns keep their order: another would need an index in the file. Inputs that were always zero keep level 0's rounding.

use crate::cholesky;
use crate::error::{Error, Result, check_weights, count_rows, expect_len};
use crate::int4::{GROUP, Int4, Int4Rows, MOST, check_columns, fit_group, importance_of_groups};
use crate::pack::pack;
use crate::search::code;
use half::f16;

/// Share of the mean diagonal that is usually added to the diagonal.
pub const DAMPING: f64 = 0.01;

/// Times that the damping is made ten times as much where the matrix is not positive definite.
const MOST_TRIES: usize = 4;

/// The second moments of a matrix's inputs, made ready: for all its rows, from as many threads as there are.
#[derive(Clone, Debug)]
pub struct Gptq {
    columns: usize,
    /// For each group its columns of `R_ij / R_jj`, rows 0 to its last, one after another: `[rows up to here][32]`.
    panels: Vec<Vec<[f32; GROUP]>>,
    /// The diagonal of H as the search of scales takes it.
    importance: Vec<Option<[f32; GROUP]>>,
}

impl Gptq {
    /// Factors the second moments `X^T X` (`[columns, columns]`, any multiple of them; the lower triangle is read), with
    /// `damping` times the mean of their diagonal added to it, see [`DAMPING`].
    ///
    /// Takes 8 bytes for each of them while it runs and 2 to keep.
    ///
    /// # Errors
    /// Columns that are not a multiple of 32, moments of another number, a moment that is not finite, a negative one on
    /// the diagonal, moments that are not positive definite even with a thousand times that damping.
    pub fn new(moments: &[f32], columns: usize, damping: f64) -> Result<Self> {
        check_columns(columns)?;
        expect_len("the number of second moments", moments.len(), columns.saturating_mul(columns))?;
        if let Some(at) = moments.iter().position(|moment| !moment.is_finite()) {
            return Err(Error::Moment { column: at % columns, value: moments[at].into() });
        }
        let diagonal: Vec<f32> = moments.iter().step_by(columns + 1).copied().collect();
        let importance = importance_of_groups(&diagonal, columns)?;
        let sum: f64 = diagonal.iter().map(|&moment| f64::from(moment)).sum();
        let mean = if sum > 0.0 { sum / columns as f64 } else { 1.0 };
        let mut added = damping.max(0.0) * mean;
        let mut failed_at = 0;
        for _ in 0..MOST_TRIES {
            let mut factor = reversed(moments, &diagonal, columns, mean, added);
            match cholesky::factor(&mut factor, columns) {
                Ok(()) => return Ok(Self { columns, panels: panels(&factor, columns), importance }),
                Err(column) => failed_at = columns - 1 - column,
            }
            added = (added * 10.0).max(1e-6 * mean);
        }
        Err(Error::NotPositiveDefinite { column: failed_at })
    }

    /// Quantises rows of a matrix, `[rows, columns]`.
    ///
    /// # Errors
    /// As [`int4::quantize_rows`](crate::int4::quantize_rows).
    pub fn quantize_rows(&self, values: &[f32]) -> Result<Int4Rows> {
        let columns = self.columns;
        let rows = count_rows("the number of weights", values.len(), columns)?;
        check_weights(values, columns, MOST)?;
        let groups = columns / GROUP;
        let (all_weights, _) = values.as_chunks::<GROUP>();
        let mut errors = vec![0.0_f32; values.len()];
        let mut codes = vec![0_i8; values.len()];
        let mut scales = vec![f16::ZERO; rows * groups];
        // Groups outside, so that a panel is read from memory once for all rows.
        for (at, panel) in self.panels.iter().enumerate() {
            let (before, own) = panel.split_at(at * GROUP);
            for row in 0..rows {
                let start = row * columns + at * GROUP;
                let weights = &all_weights[row * groups + at];
                let (known, errors) = errors[row * columns..].split_at_mut(at * GROUP);
                let group = Group { weights, shifts: weighted_sum(known, before), factors: own };
                let scale = fit_group(&group.undisturbed(), self.importance[at].as_ref()).scale;
                group.round(scale, &mut codes[start..start + GROUP], &mut errors[..GROUP]);
                scales[row * groups + at] = f16::from_f32(scale);
            }
        }
        Int4Rows::new(columns, pack(&codes, columns, 4)?, scales)
    }
}

/// One group of a row.
struct Group<'a> {
    weights: &'a [f32; GROUP],
    /// `sum R_ij e_i / R_jj` over the columns before the group.
    shifts: [f32; GROUP],
    /// `R_ij / R_jj` within the group.
    factors: &'a [[f32; GROUP]],
}

impl Group<'_> {
    /// The weights that make up for the columns before the group, if nothing of the group were rounded.
    fn undisturbed(&self) -> [f32; GROUP] {
        let mut weights = *self.weights;
        let mut shifts = self.shifts;
        for (column, factors) in self.factors.iter().enumerate() {
            let error = bounded(weights[column] - shifts[column]) - weights[column];
            weights[column] += error;
            for (shift, factor) in shifts.iter_mut().zip(factors).skip(column + 1) {
                *shift += error * factor;
            }
        }
        weights
    }

    /// Rounds the columns in order; gives their codes and errors.
    fn round(&self, scale: f32, codes: &mut [i8], errors: &mut [f32]) {
        let mut shifts = self.shifts;
        for (column, factors) in self.factors.iter().enumerate() {
            let code = code::<Int4>(bounded(self.weights[column] - shifts[column]), scale);
            let error = scale * code - self.weights[column];
            codes[column] = code as i8;
            errors[column] = error;
            for (shift, factor) in shifts.iter_mut().zip(factors).skip(column + 1) {
                *shift += error * factor;
            }
        }
    }
}

/// Within what the format can hold: weights at its limit, or moments near to singular, may ask for more.
fn bounded(weight: f32) -> f32 {
    if weight.is_nan() { 0.0 } else { weight.clamp(-MOST, MOST) }
}

/// `sum_i errors_i * panel_i`.
fn weighted_sum(errors: &[f32], panel: &[[f32; GROUP]]) -> [f32; GROUP] {
    let mut sums = [0.0; GROUP];
    for (error, factors) in errors.iter().zip(panel) {
        for (sum, factor) in sums.iter_mut().zip(factors) {
            *sum += error * factor;
        }
    }
    sums
}

/// The moments with rows and columns from last to first, so that the lower factor of it is R from last to first. An
/// input that was always zero stands for itself with the mean.
fn reversed(moments: &[f32], diagonal: &[f32], columns: usize, mean: f64, added: f64) -> Vec<f64> {
    let last = columns - 1;
    let mut matrix = vec![0.0; columns * columns];
    for row in 0..columns {
        for column in 0..=row {
            // The entry (i, j) with i >= j of the original.
            let (i, j) = (last - column, last - row);
            matrix[row * columns + column] = if diagonal[i] == 0.0 || diagonal[j] == 0.0 {
                if i == j { mean } else { 0.0 }
            } else {
                f64::from(moments[i * columns + j])
            };
        }
        matrix[row * columns + row] += added;
    }
    matrix
}

/// `R_ij / R_jj` by groups of columns, from the factor of the reversed moments: `R_ij = L[last - i][last - j]`.
fn panels(factor: &[f64], columns: usize) -> Vec<Vec<[f32; GROUP]>> {
    let last = columns - 1;
    let entry = |i: usize, j: usize| factor[(last - i) * columns + last - j];
    let quotient = |i: usize, j: usize| if i <= j { (entry(i, j) / entry(j, j)) as f32 } else { 0.0 };
    let panel = |group: usize| {
        (0..(group + 1) * GROUP)
            .map(|i| std::array::from_fn(|lane| quotient(i, group * GROUP + lane)))
            .collect()
    };
    (0..columns / GROUP).map(panel).collect()
}
