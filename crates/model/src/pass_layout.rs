//! Where the tokens of one forward pass stand and what each of them sees: what all layers of the pass share.
//!
//! Most passes over whole sequences are causal, and on a processor nobody reads their mask: it is made when it is first read,
//! once for all rows and heads. A mask that hides more than the tokens behind one (holes of the cache, trees) is given.

use std::ops::Range;
use std::sync::OnceLock;

use burn::tensor::{Device, Tensor, TensorData};

use crate::config::Qwen2Config;
use crate::kv_cache::{Append, HIDDEN};
use crate::rope::Rotary;

/// Positions, mask and columns of one forward pass of `rows` sequences with `seq` tokens each.
#[derive(Debug)]
pub struct PassLayout {
    rotary: Rotary,
    seq: usize,
    mask: Mask,
    /// Where the cache writes the new tokens.
    column: usize,
    /// Columns that attention reads.
    columns: usize,
}

#[derive(Debug)]
enum Mask {
    /// `[rows, 1, seq, columns]`
    Given(Tensor<4>),
    /// `[1, 1, seq, seq]`, once somebody has asked for it.
    Causal(OnceLock<Tensor<4>>, Device),
}

impl PassLayout {
    /// From explicit positions and an additive mask.
    ///
    /// `positions` is `[rows * seq]`, `mask` is `[rows, 1, seq, columns]` with 0 where a column is seen and a large
    /// negative number where it is not; both row-major.
    pub fn new(
        config: &Qwen2Config,
        rows: usize,
        positions: &[usize],
        mask: Vec<f32>,
        device: &Device,
    ) -> Self {
        let seq = positions.len() / rows.max(1);
        let columns = mask.len() / positions.len().max(1);
        let mask = Tensor::from_data(TensorData::new(mask, [rows, 1, seq, columns]), device);
        let rotary = Rotary::new(config, positions, rows, device);
        Self { rotary, seq, mask: Mask::Given(mask), column: 0, columns }
    }

    /// Whole sequences of `seq` tokens, each token seeing itself and those before it: training and scoring.
    /// Padding goes to the right, where nothing that counts can see it.
    pub fn causal(config: &Qwen2Config, rows: usize, seq: usize, device: &Device) -> Self {
        let positions: Vec<usize> = (0..seq).collect::<Vec<_>>().repeat(rows);
        let rotary = Rotary::new(config, &positions, rows, device);
        let mask = Mask::Causal(OnceLock::new(), device.clone());
        Self { rotary, seq, mask, column: 0, columns: seq }
    }

    pub(crate) fn appended(config: &Qwen2Config, rows: usize, append: Append, device: &Device) -> Self {
        let (column, columns) = (append.column, append.columns);
        let layout = Self::new(config, rows, &append.positions, append.mask, device);
        Self { column, columns, ..layout }
    }

    /// Whether the mask is known to hide what lies behind the diagonal and nothing else, so that nobody has to read it.
    pub fn is_causal(&self) -> bool {
        matches!(self.mask, Mask::Causal(..))
    }

    /// The rotation of queries and keys.
    pub fn rotary(&self) -> &Rotary {
        &self.rotary
    }

    /// New tokens of each row.
    pub fn seq(&self) -> usize {
        self.seq
    }

    pub(crate) fn column(&self) -> usize {
        self.column
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// What is added to the scores of some of the queries over the first `columns` columns: 0, or a large negative number.
    ///
    /// # Shapes
    ///
    /// - output: `[rows, 1, queries, columns]`; of a causal pass `[1, 1, queries, columns]`, as all rows have the same
    pub fn mask(&self, queries: Range<usize>, columns: usize) -> Tensor<4> {
        let whole = match &self.mask {
            Mask::Given(mask) => mask,
            Mask::Causal(made, device) => made.get_or_init(|| {
                let all: Tensor<2> = Tensor::full([self.seq, self.seq], HIDDEN, device);
                all.triu(1).reshape([1, 1, self.seq, self.seq])
            }),
        };
        let [_, _, seq, all_columns] = whole.dims();
        if queries.len() == seq && columns == all_columns {
            return whole.clone();
        }
        whole.clone().narrow(2, queries.start, queries.len()).narrow(3, 0, columns)
    }

    /// Adds the mask to the scores of some of the queries.
    ///
    /// # Shapes
    ///
    /// - `scores`, output: `[rows, kv_heads, groups * queries, columns]`
    pub fn hide(&self, scores: Tensor<4>, queries: Range<usize>) -> Tensor<4> {
        let [rows, kv_heads, stacked, columns] = scores.dims();
        let len = queries.len();
        let mask = self.mask(queries, columns);
        if stacked == len {
            return scores + mask;
        }
        let apart = scores.reshape([rows, kv_heads, stacked / len, len, columns]);
        (apart + mask.unsqueeze_dim::<5>(2)).reshape([rows, kv_heads, stacked, columns])
    }

    /// Whether a causal mask was made.
    #[cfg(test)]
    fn has_mask(&self) -> bool {
        match &self.mask {
            Mask::Given(_) => true,
            Mask::Causal(made, _) => made.get().is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    #[test]
    fn a_causal_mask_is_made_once_and_when_it_is_read() {
        let (config, device) = (Qwen2Config::tiny(64), Device::flex());
        let (rows, seq, groups) = (3, 5, 2);
        let causal = PassLayout::causal(&config, rows, seq, &device);
        assert!(causal.is_causal() && !causal.has_mask());
        assert_eq!(causal.mask(0..seq, seq).dims(), [1, 1, seq, seq], "not for each row or head");
        assert!(causal.has_mask());
        let line = |i: usize| (0..seq).map(move |j| if j <= i { 0.0 } else { HIDDEN });
        let written: Vec<f32> = (0..seq).flat_map(line).collect();
        let positions: Vec<usize> = (0..seq).collect::<Vec<_>>().repeat(rows);
        let given = PassLayout::new(&config, rows, &positions, written.repeat(rows), &device);
        assert!(!given.is_causal());
        let shape = [rows, 2, groups, 4];
        for (queries, columns) in [(0..seq, seq), (1..3, 3), (4..5, 5)] {
            assert_eq!(
                numbers(causal.mask(queries.clone(), columns)).repeat(rows),
                numbers(given.mask(queries.clone(), columns))
            );
            let [rows, kv_heads, groups, _] = shape;
            let scores: Vec<f32> =
                (0..rows * kv_heads * groups * queries.len() * columns).map(|i| i as f32).collect();
            let shape = [rows, kv_heads, groups * queries.len(), columns];
            let scores = Tensor::<4>::from_data(TensorData::new(scores, shape), &device);
            let hidden = numbers(causal.hide(scores.clone(), queries.clone()));
            assert_eq!(hidden, numbers(given.hide(scores.clone(), queries.clone())));
            for (i, (hidden, score)) in hidden.iter().zip(numbers(scores)).enumerate() {
                let (query, column) = (queries.start + i / columns % queries.len(), i % columns);
                assert_eq!(*hidden, if column <= query { score } else { score + HIDDEN }, "{i}");
            }
        }
    }
}
