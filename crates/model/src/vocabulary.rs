//! The vocabulary matrix (`embed_tokens` and `lm_head`), held as row shards.
//!
//! At 152k rows it is the one tensor that no device limit fits: the f32 matrix of the 0.5B model is 545 MB, while a
//! storage binding may be 128 MiB. It is used in two directions: rows are looked up by token id, and hidden states
//! are multiplied by its transpose.

use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::product::transposed;

/// Largest shard in bytes, as stored on the device. Half of the 128 MiB that every WebGPU device binds.
pub const MAX_SHARD_BYTES: usize = 64 << 20;

/// A `[vocab_size, hidden_size]` matrix as consecutive row shards.
#[derive(Module, Debug)]
pub struct VocabularyMatrix {
    /// Row shards `[rows, hidden_size]`; all of `rows_per_shard` rows but the last.
    pub shards: Vec<Param<Tensor<2>>>,
    rows_per_shard: usize,
}

/// The row ranges that a matrix of `vocab_size` rows of `row_bytes` bytes is cut into, none over `max_bytes` (a
/// range has at least one row).
pub fn shard_ranges(vocab_size: usize, row_bytes: usize, max_bytes: usize) -> Vec<Range<usize>> {
    let rows = (max_bytes / row_bytes.max(1)).max(1);
    (0..vocab_size).step_by(rows).map(|start| start..(start + rows).min(vocab_size)).collect()
}

impl VocabularyMatrix {
    /// Wraps shards that were cut by [`shard_ranges`].
    pub fn new(shards: Vec<Tensor<2>>) -> Self {
        let rows_per_shard = shards.first().map_or(1, |shard| shard.dims()[0]);
        Self { shards: shards.into_iter().map(Param::from_tensor).collect(), rows_per_shard }
    }

    /// Looks up token ids, which must be below `vocab_size`.
    ///
    /// # Shapes
    ///
    /// - output: `[tokens, hidden_size]`
    pub fn embed(&self, tokens: &[u32]) -> Tensor<2> {
        if let [shard] = self.shards.as_slice() {
            return select_rows(&shard.val(), tokens.iter().map(|&token| token as usize));
        }
        // Rows found shard by shard, then put back into the order of the tokens.
        let mut order = vec![0; tokens.len()];
        let mut found = Vec::new();
        let mut count = 0;
        for (index, shard) in self.shards.iter().enumerate() {
            let start = index * self.rows_per_shard;
            let here: Vec<usize> =
                (0..tokens.len()).filter(|&i| tokens[i] as usize / self.rows_per_shard == index).collect();
            if here.is_empty() {
                continue;
            }
            found.push(select_rows(&shard.val(), here.iter().map(|&i| tokens[i] as usize - start)));
            for i in here {
                order[i] = count;
                count += 1;
            }
        }
        let found = if found.len() == 1 { found.remove(0) } else { Tensor::cat(found, 0) };
        if order.is_sorted() { found } else { select_rows(&found, order.into_iter()) }
    }

    /// Multiplies hidden states by the transpose: the logits over the vocabulary, in f32.
    ///
    /// # Shapes
    ///
    /// - `hidden`: `[tokens, hidden_size]`
    /// - output: `[tokens, vocab_size]`
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let mut parts: Vec<Tensor<2>> = self
            .shards
            .iter()
            .map(|shard| transposed(hidden.clone(), shard.val()).cast(DType::F32))
            .collect();
        if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, 1) }
    }
}

fn select_rows(matrix: &Tensor<2>, rows: impl Iterator<Item = usize>) -> Tensor<2> {
    let rows: Vec<i32> = rows.map(|row| row as i32).collect();
    matrix.clone().select(0, int_tensor(rows, &matrix.device()))
}

fn int_tensor(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}
