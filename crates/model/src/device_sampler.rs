//! Choosing the next token where the logits stay on the device.
//!
//! The device reduces each block of 256 logits to two numbers, which are read back; `sampler` says which blocks hold the
//! answer, and just these are read. The rest of the logits never leaves the device.

use burn::tensor::{Tensor, TensorData};

use crate::error::Error;
use crate::kv_cache::row_indices;
use crate::sampler::{BLOCK, Choice, PADDING, RowBlocks, Sampled};

/// The blocks of some rows of logits, with what the device reduced them to.
struct DeviceBlocks {
    values: Tensor<2>, // [rows * count, BLOCK]
    /// Blocks of a row.
    count: usize,
    rows: Vec<RowBlocks>,
}

/// Chooses a token for each row.
///
/// `limit` is the number of token ids that exist: logits above are padding of the matrix and never chosen.
///
/// # Shapes
///
/// - `logits`: `[rows, vocab_size]`, f32
///
/// # Errors
///
/// `NotFinite` when a row has a NaN or no finite logit.
pub async fn sample(logits: Tensor<2>, limit: usize, choices: &[Choice]) -> Result<Vec<Sampled>, Error> {
    let scales: Vec<f64> = choices.iter().map(Choice::scale).collect();
    let blocks = DeviceBlocks::reduce(logits, limit, &scales).await?;
    let mut wanted: Vec<Vec<usize>> =
        blocks.rows.iter().zip(choices).map(|(row, choice)| row.wanted(choice)).collect();
    let mut chosen: Vec<Option<Sampled>> = vec![None; choices.len()];
    while chosen.iter().any(Option::is_none) {
        let read = blocks.read(&wanted).await?;
        for (row, choice) in choices.iter().enumerate() {
            if chosen[row].is_some() {
                continue;
            }
            chosen[row] = blocks.rows[row].choose(choice, &wanted[row], &read[row]);
            if chosen[row].is_none() {
                wanted[row] = blocks.rows[row].more(&wanted[row]);
            }
        }
    }
    Ok(chosen.into_iter().flatten().collect())
}

/// The `k` most probable tokens of each row with their log-probabilities, most probable first.
///
/// # Errors
///
/// As [`sample`].
pub async fn top_k(logits: Tensor<2>, limit: usize, k: usize) -> Result<Vec<Vec<(u32, f64)>>, Error> {
    let [rows, _] = logits.dims();
    let blocks = DeviceBlocks::reduce(logits, limit, &vec![1.0; rows]).await?;
    let wanted: Vec<Vec<usize>> = blocks.rows.iter().map(|row| row.largest(k)).collect();
    let read = blocks.read(&wanted).await?;
    let ranked = blocks.rows.iter().zip(wanted.iter().zip(&read));
    Ok(ranked.map(|(row, (wanted, read))| row.top_k(wanted, read, k)).collect())
}

impl DeviceBlocks {
    async fn reduce(logits: Tensor<2>, limit: usize, scales: &[f64]) -> Result<Self, Error> {
        let [rows, vocab_size] = logits.dims();
        let device = logits.device();
        let limit = limit.min(vocab_size);
        let count = limit.div_ceil(BLOCK);
        let mut logits = if limit < vocab_size { logits.narrow(1, 0, limit) } else { logits };
        if count * BLOCK > limit {
            let padding = Tensor::full([rows, count * BLOCK - limit], PADDING, &device);
            logits = Tensor::cat(vec![logits, padding], 1);
        }
        let values = logits.reshape([rows, count, BLOCK]);
        let inverse: Vec<f32> = scales.iter().map(|scale| (1.0 / scale) as f32).collect();
        let inverse = Tensor::<1>::from_data(TensorData::new(inverse, [rows]), &device).reshape([rows, 1, 1]);
        let maxima = values.clone().max_dim(2); // [rows, count, 1]
        let row_maximum = maxima.clone().max_dim(1);
        let sums = ((values.clone() - row_maximum) * inverse).exp().sum_dim(2);
        let reduced = read_f32(Tensor::cat(vec![maxima, sums], 2).reshape([rows * count, 2])).await?;
        let reduced_row = |row: usize| {
            let pairs = &reduced[row * count * 2..(row + 1) * count * 2];
            let (maxima, sums) = pairs.chunks_exact(2).map(|pair| (pair[0], f64::from(pair[1]))).unzip();
            RowBlocks::new(maxima, sums).map_err(|error| error.context(format_args!("row {row}")))
        };
        let reduced_rows = (0..rows).map(reduced_row).collect::<Result<_, Error>>()?;
        Ok(Self { values: values.reshape([rows * count, BLOCK]), count, rows: reduced_rows })
    }

    /// Reads the wanted blocks of every row in one transfer.
    async fn read(&self, wanted: &[Vec<usize>]) -> Result<Vec<Vec<f32>>, Error> {
        let indices: Vec<usize> = wanted
            .iter()
            .enumerate()
            .flat_map(|(row, blocks)| blocks.iter().map(move |block| row * self.count + block))
            .collect();
        let device = self.values.device();
        let values = read_f32(self.values.clone().select(0, row_indices(&indices, &device))).await?;
        let mut rest = values.as_slice();
        Ok(wanted
            .iter()
            .map(|blocks| {
                let (row, tail) = rest.split_at(blocks.len() * BLOCK);
                rest = tail;
                row.to_vec()
            })
            .collect())
    }
}

/// Reads a tensor back as f32.
pub(crate) async fn read_f32<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, Error> {
    let data = tensor
        .into_data_async()
        .await
        .map_err(|error| Error::device(format!("cannot read a result back from the device: {error:?}")))?;
    Ok(data.iter::<f32>().collect())
}
