//! Whether a file's output head is its embedding once more.
//!
//! llama.cpp writes some tied models with both `output.weight` and `token_embd.weight`: one matrix, rounded to two
//! types. The rule: both are rounded to their types with a relative error that the type explains
//! ([`rounding`](crate::types::GgmlType), r below), so for one matrix the difference of a row is at most
//! `2 (r1 + r2)` of its length, and of the whole matrix at most `1.5 (r1 + r2)`. Rows of another matrix, even of one
//! that was trained a little further, differ by more; two unrelated matrices differ by 1.4. (A real file of 151,936
//! rows in Q8_0 and Q5_0 has 1.1 at most and 0.9 as a whole.) A tie that is missed costs room alone.

use crate::bytes::Bytes;
use crate::error::Result;
use crate::reader::Gguf;

/// Numbers that are compared at once.
const CHUNK: u64 = 1 << 18;

/// How much more than its expected share a row, and the whole, may differ.
const ROW_FACTOR: f64 = 2.0;
const WHOLE_FACTOR: f64 = 1.5;

/// Differences of numbers this small are no evidence: there the f16 scales of blocks run out of bits.
const SMALLEST: f64 = 1e-6;

/// How two tensors of one shape compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Whether they are one matrix, rounded twice.
    pub is_same: bool,
    /// Root of the summed squares of the differences, relative to the longer one's; over the rows compared: the
    /// comparison ends with the first row that is another.
    pub difference: f64,
}

/// Compares two tensors, row by row; holds a few mebibytes.
///
/// # Errors
/// Shapes that differ, or what reading reports.
pub fn compare<B: Bytes>(gguf: &Gguf<B>, first: &str, second: &str) -> Result<Comparison> {
    let (info, other) = (gguf.tensor(first)?, gguf.tensor(second)?);
    if info.shape != other.shape {
        return Ok(Comparison { is_same: false, difference: f64::INFINITY });
    }
    let rounding = info.kind.rounding() + other.kind.rounding();
    let (row_len, len) = (info.row_len(), info.len());
    let step = (CHUNK / row_len).max(1).saturating_mul(row_len);
    let mut whole = Squares::default();
    let mut start = 0;
    while start < len {
        let end = len.min(start.saturating_add(step));
        let (a, b) = (gguf.read_f32(first, start..end)?, gguf.read_f32(second, start..end)?);
        let row_len = usize::try_from(row_len).unwrap_or(usize::MAX);
        for (a, b) in a.chunks(row_len).zip(b.chunks(row_len)) {
            let row = Squares::of(a, b);
            whole.add(row);
            let most = ROW_FACTOR * rounding * row.length() + SMALLEST * (row_len as f64).sqrt();
            let is_within = row.difference.sqrt() <= most;
            if !is_within {
                return Ok(Comparison { is_same: false, difference: whole.relative() });
            }
        }
        start = end;
    }
    let difference = whole.relative();
    Ok(Comparison { is_same: difference <= WHOLE_FACTOR * rounding, difference })
}

/// Sums of squares of two vectors and of their difference.
#[derive(Clone, Copy, Debug, Default)]
struct Squares {
    first: f64,
    second: f64,
    difference: f64,
}

impl Squares {
    fn of(a: &[f32], b: &[f32]) -> Self {
        let mut sums = Self::default();
        for (&a, &b) in a.iter().zip(b) {
            let (a, b) = (f64::from(a), f64::from(b));
            sums.add(Self { first: a * a, second: b * b, difference: (a - b) * (a - b) });
        }
        sums
    }

    fn add(&mut self, other: Self) {
        self.first += other.first;
        self.second += other.second;
        self.difference += other.difference;
    }

    /// Length of the longer one.
    fn length(&self) -> f64 {
        self.first.max(self.second).sqrt()
    }

    fn relative(&self) -> f64 {
        if self.difference == 0.0 { 0.0 } else { self.difference.sqrt() / self.length() }
    }
}
