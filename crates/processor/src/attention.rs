//! Grouped-query attention over the cache.
//!
//! Scores of a query are taken against eight keys at a time, each summed in the order of the head's elements; values are
//! added in the order of tokens. So a query's result does not depend on what is computed with it.

use std::cell::RefCell;
use std::ops::Range;

use crate::cache::{Cache, TOKENS};
use crate::elementwise::Exponentials;
use crate::lanes::Lanes;
use crate::level::{Level, Loops};
use crate::product::Hands;
use crate::shape::Shape;
use crate::threads::Scatter;

/// A token of a forward pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub id: u32,
    pub row: usize,
    /// Which token of its row it is: it sees `column + 1` of them.
    pub column: usize,
    pub position: usize,
}

/// Tokens whose queries share a walk through the keys.
const TILE: usize = 4;
/// Values that are walked through for all queries before the next: 16 KiB of a head of 64.
const VALUES: usize = 64;

thread_local! {
    static SCORES: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Some query heads of one key-value head, for neighbouring tokens of one row.
struct Item {
    tokens: Range<usize>,
    heads: Range<usize>,
}

/// Attends with all queries of `layer`: `query` and `out` are `[tokens, heads * head_dim]`.
pub(crate) fn attention(
    hands: Hands<'_>,
    shape: &Shape,
    (cache, layer): (&Cache, usize),
    tokens: &[Token],
    query: &[f32],
    out: &Scatter<'_, f32>,
) {
    let items = items(hands.team.threads(), shape, tokens);
    hands.team.each(items.len(), |index| {
        // The last ones see the most: they come first, so that no thread is left with a long one.
        let item = &items[items.len() - 1 - index];
        SCORES.with_borrow_mut(|scores| {
            attend(hands.level, shape, (cache, layer), tokens, item, query, scores, out);
        });
    });
}

fn items(threads: usize, shape: &Shape, tokens: &[Token]) -> Vec<Item> {
    let mut tiles = Vec::new();
    let mut start = 0;
    for end in 1..=tokens.len() {
        let is_full = end - start == TILE;
        if is_full || end == tokens.len() || tokens[end].row != tokens[start].row {
            tiles.push(start..end);
            start = end;
        }
    }
    let group = shape.num_attention_heads / shape.num_key_value_heads;
    let count = tiles.len() * shape.num_key_value_heads;
    // Where there is too little for the threads, the heads of a group are shared out, too.
    let parts = (2 * threads / count.max(1)).clamp(1, group);
    let parts = if count >= threads { 1 } else { parts };
    let size = group.div_ceil(parts);
    let mut items = Vec::new();
    for tile in tiles {
        for kv_head in 0..shape.num_key_value_heads {
            let (first, end) = (kv_head * group, (kv_head + 1) * group);
            for head in (first..end).step_by(size) {
                items.push(Item { tokens: tile.clone(), heads: head..(head + size).min(end) });
            }
        }
    }
    items
}

#[allow(clippy::too_many_arguments)] // one step of one function, which others do not call
fn attend(
    level: Level,
    shape: &Shape,
    (cache, layer): (&Cache, usize),
    tokens: &[Token],
    item: &Item,
    query: &[f32],
    scores: &mut Vec<f32>,
    out: &Scatter<'_, f32>,
) {
    let head_dim = shape.head_dim;
    let group = shape.num_attention_heads / shape.num_key_value_heads;
    let tile = &tokens[item.tokens.clone()];
    let visible = tile.last().map_or(0, |token| token.column + 1); // columns of a row ascend
    let stride = visible.next_multiple_of(TOKENS);
    let heads = item.heads.len();
    if scores.len() < tile.len() * heads * stride {
        scores.resize(tile.len() * heads * stride, 0.0);
    }
    let cached = cache.layer(tile[0].row, layer);
    let size = cache.head_size();
    let start = item.heads.start / group * size;
    let at = |line: usize| {
        let token = item.tokens.start + line / heads;
        (token * shape.num_attention_heads + item.heads.start + line % heads) * head_dim
    };
    let queries: Vec<&[f32]> =
        (0..tile.len() * heads).map(|line| &query[at(line)..at(line) + head_dim]).collect();
    let keys = cached.keys[start..start + stride * head_dim].as_chunks::<TOKENS>().0;
    level.run(Scores { keys, queries: &queries, stride, scores });

    let values = &cached.values[start..start + visible * head_dim];
    for (index, token) in tile.iter().enumerate() {
        let visible = token.column + 1;
        let lines = &mut scores[index * heads * stride..(index + 1) * heads * stride];
        let line = at(index * heads);
        // SAFETY: a head of a token belongs to one item.
        let out = unsafe { out.part(line..line + heads * head_dim) };
        let sums: Vec<f32> = lines
            .chunks_exact_mut(stride)
            .map(|line| level.run(Exponentials { scores: &mut line[..visible] }))
            .collect();
        level.run(Weigh { weights: lines, stride, values: &values[..visible * head_dim], head_dim, out });
        for (out, sum) in out.chunks_exact_mut(head_dim).zip(sums) {
            out.iter_mut().for_each(|x| *x /= sum);
        }
    }
}

/// Dot products of queries with all keys.
struct Scores<'a> {
    /// `[stride / 8, head_dim]` of 8 keys
    keys: &'a [[f32; TOKENS]],
    queries: &'a [&'a [f32]],
    stride: usize,
    /// `[queries, stride]`
    scores: &'a mut [f32],
}

impl Loops for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let head_dim = self.queries[0].len();
        for (index, keys) in self.keys.chunks(2 * head_dim).enumerate() {
            let (first, second) = keys.split_at(head_dim);
            let mut line = 0;
            while line < self.queries.len() {
                let at = line * self.stride + 2 * index * TOKENS;
                let rest = &mut self.scores[at..];
                let queries = &self.queries[line..];
                line += if second.is_empty() {
                    several::<V, 1>(&[first], queries, self.stride, rest)
                } else {
                    several::<V, 2>(&[first, second], queries, self.stride, rest)
                };
            }
        }
    }
}

/// The scores of up to four queries for `B` blocks of eight keys; answers how many queries it took.
#[inline(always)]
fn several<V: Lanes, const B: usize>(
    keys: &[&[[f32; TOKENS]]; B],
    queries: &[&[f32]],
    stride: usize,
    scores: &mut [f32],
) -> usize {
    match queries {
        [a, b, c, d, ..] => dots::<V, B, 4>(keys, [a, b, c, d], stride, scores),
        [a, b, c] => dots::<V, B, 3>(keys, [a, b, c], stride, scores),
        [a, b] => dots::<V, B, 2>(keys, [a, b], stride, scores),
        [a, ..] => dots::<V, B, 1>(keys, [a], stride, scores),
        [] => 1,
    }
}

#[inline(always)]
fn dots<V: Lanes, const B: usize, const R: usize>(
    keys: &[&[[f32; TOKENS]]; B],
    queries: [&[f32]; R],
    stride: usize,
    scores: &mut [f32],
) -> usize {
    let head_dim = keys[0].len();
    let keys = keys.map(|keys| &keys[..head_dim]);
    let queries = queries.map(|query| &query[..head_dim]);
    let mut sums = [[V::splat(0.0); B]; R];
    for d in 0..head_dim {
        let keys: [V; B] = std::array::from_fn(|b| V::load(&keys[b][d]));
        for r in 0..R {
            let query = V::splat(queries[r][d]);
            for b in 0..B {
                sums[r][b] = sums[r][b].add(query.mul(keys[b]));
            }
        }
    }
    for r in 0..R {
        let (blocks, _) = scores[r * stride..].as_chunks_mut::<TOKENS>();
        for b in 0..B {
            sums[r][b].store(&mut blocks[b]);
        }
    }
    R
}

/// Sums of values by weights.
struct Weigh<'a> {
    /// `[heads, stride]`
    weights: &'a [f32],
    stride: usize,
    /// `[tokens, head_dim]`
    values: &'a [f32],
    head_dim: usize,
    /// `[heads, head_dim]`
    out: &'a mut [f32],
}

impl Loops for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let head_dim = self.head_dim;
        let heads = self.out.len() / head_dim;
        self.out.fill(0.0);
        for (tile, values) in self.values.chunks(VALUES * head_dim).enumerate() {
            let weights = &self.weights[tile * VALUES..];
            let mut head = 0;
            while head < heads {
                let weights = &weights[head * self.stride..];
                let out = &mut self.out[head * head_dim..];
                if heads - head >= 2 {
                    weigh_heads::<V, 2>(weights, self.stride, values, head_dim, out);
                    head += 2;
                } else {
                    weigh_heads::<V, 1>(weights, self.stride, values, head_dim, out);
                    head += 1;
                }
            }
        }
    }
}

#[inline(always)]
fn weigh_heads<V: Lanes, const R: usize>(
    weights: &[f32],
    stride: usize,
    values: &[f32],
    head_dim: usize,
    out: &mut [f32],
) {
    let tokens = values.len() / head_dim;
    let weights: [&[f32]; R] = std::array::from_fn(|r| &weights[r * stride..][..tokens]);
    let mut first = 0;
    while first < head_dim {
        if head_dim - first >= 32 {
            weigh::<V, R, 4>(weights, values, head_dim, first, out);
            first += 32;
        } else {
            weigh::<V, R, 1>(weights, values, head_dim, first, out);
            first += 8;
        }
    }
}

/// Adds to `8 * W` elements of `R` heads.
#[inline(always)]
fn weigh<V: Lanes, const R: usize, const W: usize>(
    weights: [&[f32]; R],
    values: &[f32],
    head_dim: usize,
    first: usize,
    out: &mut [f32],
) {
    let mut sums = [[V::splat(0.0); W]; R];
    for r in 0..R {
        let (vectors, _) = out[r * head_dim + first..].as_chunks::<8>();
        for w in 0..W {
            sums[r][w] = V::load(&vectors[w]);
        }
    }
    for (token, value) in values.chunks_exact(head_dim).enumerate() {
        let (vectors, _) = value[first..first + 8 * W].as_chunks::<8>();
        for r in 0..R {
            let weight = V::splat(weights[r][token]);
            for w in 0..W {
                sums[r][w] = sums[r][w].add(weight.mul(V::load(&vectors[w])));
            }
        }
    }
    for r in 0..R {
        let (vectors, _) = out[r * head_dim + first..].as_chunks_mut::<8>();
        for w in 0..W {
            sums[r][w].store(&mut vectors[w]);
        }
    }
}
