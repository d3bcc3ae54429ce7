//! Products of matrices by the vectors of all tokens, shared among threads.
//!
//! A thread takes some blocks of eight rows and computes them for all tokens, a few tokens at a time, so that a block is
//! unpacked once for those few, and is read from memory once for many.

use std::ops::Range;

use crate::elementwise::Gated;
use crate::int4::ROWS;
use crate::kernels::{Inputs, tile};
use crate::level::Level;
use crate::matrix::{Block, Matrix};
use crate::threads::{Scatter, Team};

/// Who computes, and how.
#[derive(Clone, Copy)]
pub(crate) struct Hands<'a> {
    pub team: &'a Team,
    pub level: Level,
    /// Activations are f32, and weights become so.
    pub is_exact: bool,
}

/// One matrix and where its products go.
pub(crate) struct Product<'a> {
    pub matrix: &'a Matrix,
    pub bias: Option<&'a [f32]>,
    /// `[tokens, rows]`
    pub out: Scatter<'a, f32>,
    /// Adds to what stands in `out`.
    pub is_added: bool,
}

/// Bytes of activations that are gone through for each block: they stay in the second cache.
const TILE_BYTES: usize = 128 << 10;

/// The vectors of `tokens` by some matrices that all have `inputs.columns`.
pub(crate) fn products(hands: Hands<'_>, inputs: &Inputs<'_>, tokens: usize, products: &[Product<'_>]) {
    let blocks = |product: &Product<'_>| product.matrix.rows().div_ceil(ROWS);
    let total = products.iter().map(blocks).sum();
    hands.team.ranges(total, least_blocks(inputs), |range| {
        let mut first = 0;
        for product in products {
            let count = blocks(product);
            let (start, end) = (range.start.max(first), range.end.min(first + count));
            if start < end {
                some_blocks(hands, inputs, tokens, product, start - first..end - first);
            }
            first += count;
        }
    });
}

/// Fewer blocks are not worth a thread's coming.
fn least_blocks(inputs: &Inputs<'_>) -> usize {
    (8192 / inputs.columns).clamp(1, 8)
}

fn some_blocks(
    hands: Hands<'_>,
    inputs: &Inputs<'_>,
    tokens: usize,
    product: &Product<'_>,
    blocks: Range<usize>,
) {
    let rows = product.matrix.rows();
    let mut scratch = Vec::new();
    for tokens in token_tiles(hands, product.matrix, inputs, tokens) {
        for index in blocks.clone() {
            let block = product.matrix.block(hands, index, &mut scratch);
            let bias = product.bias.map(|bias| &bias[index * ROWS..rows.min((index + 1) * ROWS)]);
            each_token(hands.level, block, inputs, tokens.clone(), |token, mut sums| {
                if let Some(bias) = bias {
                    sums.iter_mut().zip(bias).for_each(|(sum, bias)| *sum += bias);
                }
                let at = token * rows + index * ROWS;
                let end = (at + ROWS).min((token + 1) * rows);
                // SAFETY: a block of a token is computed by one thread, and no two blocks share an element.
                let out = unsafe { product.out.part(at..end) };
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = if product.is_added { *out + sum } else { sum };
                }
            });
        }
    }
}

/// `silu(gate x) * (up x)` of all tokens, `[tokens, rows]`.
pub(crate) fn gated(
    hands: Hands<'_>,
    inputs: &Inputs<'_>,
    tokens: usize,
    [gate, up]: [&Matrix; 2],
    out: &Scatter<'_, f32>,
) {
    let rows = gate.rows();
    hands.team.ranges(rows.div_ceil(ROWS), least_blocks(inputs), |blocks| {
        let (mut scratch, mut other_scratch) = (Vec::new(), Vec::new());
        let mut gates = Vec::new();
        let mut ups = Vec::new();
        for tokens in token_tiles(hands, gate, inputs, tokens) {
            for index in blocks.clone() {
                gates.clear();
                ups.clear();
                let block = gate.block(hands, index, &mut scratch);
                each_token(hands.level, block, inputs, tokens.clone(), |_, sums| gates.push(sums));
                let block = up.block(hands, index, &mut other_scratch);
                each_token(hands.level, block, inputs, tokens.clone(), |_, sums| ups.push(sums));
                hands.level.run(Gated { gate: &mut gates, up: &ups });
                for (token, sums) in tokens.clone().zip(&gates) {
                    let at = token * rows + index * ROWS;
                    let end = (at + ROWS).min((token + 1) * rows);
                    // SAFETY: a block of a token is computed by one thread, and no two blocks share an element.
                    let out = unsafe { out.part(at..end) };
                    out.copy_from_slice(&sums[..end - at]);
                }
            }
        }
    });
}

/// Ranges of tokens whose activations stay in a cache. One where a block must be dequantised first, which is dear.
fn token_tiles(
    hands: Hands<'_>,
    matrix: &Matrix,
    inputs: &Inputs<'_>,
    tokens: usize,
) -> impl Iterator<Item = Range<usize>> + use<> {
    let size = if hands.is_exact || !matrix.is_quantised() {
        tokens.max(1)
    } else {
        (TILE_BYTES / inputs.columns).next_multiple_of(8)
    };
    (0..tokens.div_ceil(size)).map(move |tile| tile * size..((tile + 1) * size).min(tokens))
}

/// The products of a block by each vector, in order of tokens.
#[inline]
fn each_token(
    level: Level,
    block: Block<'_>,
    inputs: &Inputs<'_>,
    tokens: Range<usize>,
    mut take: impl FnMut(usize, [f32; ROWS]),
) {
    let mut token = tokens.start;
    let mut several = |token: usize, sums: &[[f32; ROWS]]| {
        sums.iter().enumerate().for_each(|(r, sums)| take(token + r, *sums));
    };
    // Vectors of f32 want more sums at a time: each takes one addition a column, and additions take their time.
    while matches!(block, Block::F32(_)) && token + 8 <= tokens.end {
        several(token, &tile::<8>(level, block, inputs, token));
        token += 8;
    }
    while token + 4 <= tokens.end {
        several(token, &tile::<4>(level, block, inputs, token));
        token += 4;
    }
    if token + 2 <= tokens.end {
        several(token, &tile::<2>(level, block, inputs, token));
        token += 2;
    }
    if token < tokens.end {
        several(token, &tile::<1>(level, block, inputs, token));
    }
}
