//! The key-value cache: preallocated columns, shared by all rows, with a map of which column is whose.
//!
//! Every append writes one run of columns in *all* rows, so that it is a single write a layer. A row that had fewer
//! tokens to append than the longest gets *holes*: columns that the attention mask hides. A token's position is the
//! number of tokens before it in its row, not its column; keys are rotated before they are stored, so holes are free
//! to lie anywhere. Rewinding a row turns its last columns into holes, and columns that are holes in every row are
//! taken back. This file holds the tensors and that map; what is computed from them lives in `qwen2`.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::Qwen2Config;
use crate::error::{Error, ErrorKind};
use crate::rope::Rotary;

/// Attention reads columns in blocks of this many, so that few distinct shapes occur while a row grows.
const COLUMN_BLOCK: usize = 64;

/// Tensors have a multiple of this many columns, more than may be in use: products on GPUs read so many at once.
const COLUMN_VECTOR: usize = 4;

/// What attention adds to the score of a column that is hidden. Its exponential is zero in f32, also after adding a
/// score; infinity would make rows that see nothing (holes) NaN.
pub(crate) const HIDDEN: f32 = -1e30;

/// Keys and values of one layer. Keys stand transposed, as the scores of few queries read them fastest: a matrix product
/// by rows would first copy them all, which for a batch of rows is a quarter of the time of a step.
#[derive(Debug, Clone)]
pub struct LayerCache {
    key: Tensor<4>,   // [rows, kv_heads, head_dim, capacity rounded up]
    value: Tensor<4>, // [rows, kv_heads, capacity rounded up, head_dim]
}

impl LayerCache {
    /// Writes `key` and `value` at `column` and returns the first `columns` columns of both.
    ///
    /// # Shapes
    ///
    /// - `key`: `[rows, kv_heads, head_dim, seq]`, and so the first output with `columns`
    /// - `value`: `[rows, kv_heads, seq, head_dim]`, and so the second output with `columns`
    pub(crate) fn append(
        &mut self,
        key: Tensor<4>,
        value: Tensor<4>,
        column: usize,
        columns: usize,
    ) -> (Tensor<4>, Tensor<4>) {
        let [rows, kv_heads, seq, head_dim] = value.dims();
        let new = column..column + seq;
        self.key.inplace(|keys| keys.slice_assign([0..rows, 0..kv_heads, 0..head_dim, new.clone()], key));
        self.value.inplace(|values| values.slice_assign([0..rows, 0..kv_heads, new, 0..head_dim], value));
        (self.key.clone().narrow(3, 0, columns), self.value.clone().narrow(2, 0, columns))
    }
}

/// One append, planned: where the new columns go, who is in them, and what each may see.
#[derive(Debug)]
pub(crate) struct Append {
    /// First new column.
    pub column: usize,
    /// Columns that attention reads (a multiple of the block, or all there are).
    pub columns: usize,
    /// New columns.
    pub seq: usize,
    /// Position of every new token, `[rows * seq]`; holes repeat the row's length.
    pub positions: Vec<usize>,
    /// Added to the attention scores, `[rows, 1, seq, columns]`.
    pub mask: Vec<f32>,
}

/// What is different for the tokens of a block, which do not see the blocks before theirs.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockView {
    /// Columns of the other blocks.
    pub hidden: Range<usize>,
    /// Tokens of the other blocks, which do not count in positions.
    pub shift: usize,
}

/// The cache of all layers and rows.
#[derive(Debug)]
pub struct KvCache {
    pub(crate) layers: Vec<LayerCache>,
    capacity: usize,
    /// `occupied[row][column]`: a token of this row is stored there. One length for all rows: the columns in use.
    occupied: Vec<Vec<bool>>,
}

impl KvCache {
    /// An empty cache of `rows` rows and `capacity` columns.
    pub fn new(
        config: &Qwen2Config,
        rows: usize,
        capacity: usize,
        dtype: burn::tensor::DType,
        device: &Device,
    ) -> Self {
        let (kv_heads, head_dim) = (config.num_key_value_heads, config.head_dim());
        let zeros =
            |last: [usize; 2]| Tensor::<4>::zeros([rows, kv_heads, last[0], last[1]], (device, dtype));
        let stored = capacity.next_multiple_of(COLUMN_VECTOR);
        let layer = |_| LayerCache { key: zeros([head_dim, stored]), value: zeros([stored, head_dim]) };
        let layers = (0..config.num_hidden_layers).map(layer).collect();
        Self { layers, capacity, occupied: vec![Vec::new(); rows] }
    }

    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        self.occupied.len()
    }

    /// Number of columns that can be in use at once.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Columns in use.
    pub fn columns(&self) -> usize {
        self.occupied.first().map_or(0, Vec::len)
    }

    /// Number of tokens in a row.
    pub fn len(&self, row: usize) -> usize {
        self.occupied[row].iter().filter(|occupied| **occupied).count()
    }

    /// Refuses more new columns than there is room for.
    pub(crate) fn check_room(&self, new: usize) -> Result<(), Error> {
        let needed = self.columns() + new;
        if needed <= self.capacity {
            return Ok(());
        }
        let message = format!(
            "the key-value cache holds {} columns, {needed} are needed: shorten the prompt or raise the capacity",
            self.capacity
        );
        Err(Error::new(ErrorKind::Capacity, message))
    }

    /// Plans an append of `lengths[row]` tokens to each row and marks the columns as occupied.
    pub(crate) fn plan(&mut self, lengths: &[usize], view: &BlockView) -> Result<Append, Error> {
        let (column, seq) = (self.columns(), lengths.iter().copied().max().unwrap_or(0));
        self.check_room(seq)?;
        let stored = self.capacity.next_multiple_of(COLUMN_VECTOR);
        let columns = (column + seq).next_multiple_of(COLUMN_BLOCK).min(stored);
        let rows = self.num_rows();
        let mut positions = Vec::with_capacity(rows * seq);
        let mut mask = vec![HIDDEN; rows * seq * columns];
        for (row, &length) in lengths.iter().enumerate() {
            let before = self.len(row);
            positions.extend((0..seq).map(|i| (before + i.min(length)).saturating_sub(view.shift)));
            self.occupied[row].extend((0..seq).map(|i| i < length));
            for i in 0..seq {
                let line = &mut mask[(row * seq + i) * columns..][..columns];
                for (visible, occupied) in line.iter_mut().zip(&self.occupied[row][..=column + i]) {
                    if *occupied {
                        *visible = 0.0;
                    }
                }
                line[view.hidden.clone()].fill(HIDDEN);
            }
        }
        Ok(Append { column, columns, seq, positions, mask })
    }

    /// Forgets the tokens of `row` past the first `len`.
    pub fn rewind(&mut self, row: usize, len: usize) {
        let mut excess = self.len(row).saturating_sub(len);
        for occupied in self.occupied[row].iter_mut().rev() {
            if excess == 0 {
                break;
            }
            if std::mem::take(occupied) {
                excess -= 1;
            }
        }
        let used = self
            .occupied
            .iter()
            .map(|row| row.iter().rposition(|occupied| *occupied).map_or(0, |last| last + 1))
            .max()
            .unwrap_or(0);
        for row in &mut self.occupied {
            row.truncate(used);
        }
    }

    /// Rotates the keys of some columns of a row on.
    pub(crate) fn rotate_keys(&mut self, row: usize, columns: Range<usize>, rotary: &Rotary) {
        for layer in &mut self.layers {
            let [_, kv_heads, head_dim, _] = layer.key.dims();
            let place = [row..row + 1, 0..kv_heads, 0..head_dim, columns.clone()];
            layer.key.inplace(|key| {
                let rotated = rotary.apply(key.clone().slice(place.clone()).transpose()).transpose();
                key.slice_assign(place, rotated)
            });
        }
    }

    /// Zeroes every column in which a row has no token, up to the last that attention may read. The mask hides them, but a NaN
    /// in one would go through it: added to a score, and multiplied by a weight of 0, it stays a NaN.
    pub(crate) fn clean(&mut self) {
        let stored = self.capacity.next_multiple_of(COLUMN_VECTOR);
        let all: Vec<(usize, Range<usize>)> = (self.occupied.iter().enumerate())
            .flat_map(|(row, occupied)| holes(occupied, stored).into_iter().map(move |hole| (row, hole)))
            .collect();
        for layer in &mut self.layers {
            let [_, kv_heads, head_dim, _] = layer.key.dims();
            for (row, hole) in &all {
                let (row, hole) = (*row..row + 1, hole.clone());
                layer.key.inplace(|key| {
                    let zeros =
                        Tensor::zeros([1, kv_heads, head_dim, hole.len()], (&key.device(), key.dtype()));
                    key.slice_assign([row.clone(), 0..kv_heads, 0..head_dim, hole.clone()], zeros)
                });
                layer.value.inplace(|value| {
                    let zeros =
                        Tensor::zeros([1, kv_heads, hole.len(), head_dim], (&value.device(), value.dtype()));
                    value.slice_assign([row, 0..kv_heads, hole, 0..head_dim], zeros)
                });
            }
        }
    }

    /// Makes row `i` a copy of what was row `rows[i]`; rows not named are dropped.
    pub fn fork(&mut self, rows: &[usize], device: &Device) {
        let identity = rows.len() == self.num_rows() && rows.iter().enumerate().all(|(i, row)| i == *row);
        if identity {
            return;
        }
        let indices = row_indices(rows, device);
        for layer in &mut self.layers {
            layer.key.inplace(|key| key.select(0, indices.clone()));
            layer.value.inplace(|value| value.select(0, indices.clone()));
        }
        self.occupied = rows.iter().map(|&row| self.occupied[row].clone()).collect();
    }
}

/// The runs of columns below `stored` that a row does not occupy.
fn holes(occupied: &[bool], stored: usize) -> Vec<Range<usize>> {
    let mut holes: Vec<Range<usize>> = Vec::new();
    for column in (0..stored).filter(|column| occupied.get(*column) != Some(&true)) {
        match holes.last_mut() {
            Some(hole) if hole.end == column => hole.end += 1,
            _ => holes.push(column..column + 1),
        }
    }
    holes
}

/// Row numbers as an index tensor.
pub(crate) fn row_indices(rows: &[usize], device: &Device) -> Tensor<1, Int> {
    let indices: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
    Tensor::from_data(TensorData::new(indices, [rows.len()]), device)
}
