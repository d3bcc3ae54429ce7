//! Keys and values of the tokens that were read: rows that grow, are copied and go back.
//!
//! Keys are kept rotated. What lies behind a row's length is never read as a key or a value, so whatever an earlier or a
//! failed pass left there does not matter.

use std::ops::Range;

use crate::error::Error;
use crate::rotary::Rotary;
use crate::shape::Shape;

/// Tokens that are computed with together in the keys: a vector has one element of eight keys.
pub(crate) const TOKENS: usize = 8;

/// The cache of some rows.
#[derive(Debug, Clone)]
pub struct Cache {
    layers: usize,
    kv_heads: usize,
    head_dim: usize,
    rotary: Rotary,
    capacity: usize,
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    length: usize,
    /// Of the next token.
    position: usize,
    layers: Vec<LayerCache>,
}

/// One layer of one row.
#[derive(Debug, Clone)]
pub(crate) struct LayerCache {
    /// `[kv_heads, capacity / 8, head_dim]` of 8 tokens
    pub keys: Vec<f32>,
    /// `[kv_heads, capacity, head_dim]`
    pub values: Vec<f32>,
}

impl Cache {
    /// `rows` empty rows for up to `capacity` tokens each. Memory is used as rows grow.
    ///
    /// # Errors
    ///
    /// A shape that cannot work; more than can be addressed.
    pub fn new(shape: &Shape, rows: usize, capacity: usize) -> Result<Self, Error> {
        shape.check()?;
        let mut cache = Self {
            layers: shape.num_hidden_layers,
            kv_heads: shape.num_key_value_heads,
            head_dim: shape.head_dim,
            rotary: Rotary::new(shape),
            capacity: 0,
            rows: Vec::new(),
        };
        cache.reset(rows, capacity)?;
        Ok(cache)
    }

    /// Empties the cache and gives it `rows` rows for up to `capacity` tokens each.
    ///
    /// # Errors
    ///
    /// More than can be addressed.
    pub fn reset(&mut self, rows: usize, capacity: usize) -> Result<(), Error> {
        let padded = capacity.checked_next_multiple_of(TOKENS);
        let size = padded.and_then(|padded| padded.checked_mul(self.kv_heads * self.head_dim * 8));
        let size = size.and_then(|size| size.checked_mul(self.layers.max(1))?.checked_mul(rows.max(1)));
        if size.is_none_or(|size| isize::try_from(size).is_err()) {
            let found = format!("{rows} rows of {capacity} tokens");
            return Err(Error::size("the cache", found, "what can be addressed"));
        }
        if capacity != self.capacity {
            self.rows.clear();
        }
        self.capacity = capacity;
        self.rows.truncate(rows);
        for row in &mut self.rows {
            (row.length, row.position) = (0, 0);
        }
        while self.rows.len() < rows {
            let row = self.empty_row();
            self.rows.push(row);
        }
        Ok(())
    }

    fn empty_row(&self) -> Row {
        let size = self.kv_heads * self.padded() * self.head_dim;
        // Zeroed memory is lent by the system, and only taken when something is written to it.
        let layer = |_| LayerCache { keys: vec![0.0; size], values: vec![0.0; size] };
        Row { length: 0, position: 0, layers: (0..self.layers).map(layer).collect() }
    }

    fn padded(&self) -> usize {
        self.capacity.next_multiple_of(TOKENS)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// How many tokens a row can have.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many tokens a row has.
    ///
    /// # Errors
    ///
    /// No such row.
    pub fn length(&self, row: usize) -> Result<usize, Error> {
        Ok(self.row(row)?.length)
    }

    /// The position of the next token of a row: its length, unless [`set_position`](Self::set_position) said otherwise.
    ///
    /// # Errors
    ///
    /// No such row.
    pub fn position(&self, row: usize) -> Result<usize, Error> {
        Ok(self.row(row)?.position)
    }

    /// Gives the next token of a row another position, and those after it the following ones.
    ///
    /// # Errors
    ///
    /// No such row.
    pub fn set_position(&mut self, row: usize, position: usize) -> Result<(), Error> {
        self.row_mut(row)?.position = position;
        Ok(())
    }

    /// Makes row `i` a copy of what was row `rows[i]`, for as many rows as `rows` names.
    ///
    /// # Errors
    ///
    /// A row that is not there.
    pub fn fork(&mut self, rows: &[usize]) -> Result<(), Error> {
        for &row in rows {
            self.row(row)?;
        }
        let mut uses = vec![0; self.rows.len()];
        rows.iter().for_each(|&row| uses[row] += 1);
        let mut old: Vec<Option<Row>> = std::mem::take(&mut self.rows).into_iter().map(Some).collect();
        for &row in rows {
            uses[row] -= 1;
            // The last one who asks gets the row itself.
            let copy =
                if uses[row] == 0 { old[row].take() } else { old[row].as_ref().map(|row| self.copy(row)) };
            self.rows.extend(copy);
        }
        Ok(())
    }

    fn copy(&self, row: &Row) -> Row {
        let mut copy = self.empty_row();
        let head = self.padded() * self.head_dim;
        // Keys stand in blocks of eight tokens, of which the last is copied whole.
        let used = row.length.next_multiple_of(TOKENS) * self.head_dim;
        for (to, from) in copy.layers.iter_mut().zip(&row.layers) {
            for kv_head in 0..self.kv_heads {
                let range = kv_head * head..kv_head * head + used;
                to.keys[range.clone()].copy_from_slice(&from.keys[range.clone()]);
                to.values[range.clone()].copy_from_slice(&from.values[range]);
            }
        }
        (copy.length, copy.position) = (row.length, row.position);
        copy
    }

    /// Forgets the tokens of a row after the first `length`. The next position goes back by as many.
    ///
    /// # Errors
    ///
    /// No such row, or one that is shorter.
    pub fn rewind(&mut self, row: usize, length: usize) -> Result<(), Error> {
        let row = self.row_mut(row)?;
        if length > row.length {
            return Err(Error::Missing { what: "token", found: length, count: row.length });
        }
        row.position = row.position.saturating_sub(row.length - length);
        row.length = length;
        Ok(())
    }

    /// Appends tokens of another cache's row to a row, their positions moved by `delta`. Whoever reads the row next sees
    /// them; they themselves keep what they saw. The next position stays as it is:
    /// [`set_position`](Self::set_position) says where it goes on.
    ///
    /// # Errors
    ///
    /// No such row or tokens, a cache of another model, no room.
    pub fn append_block(
        &mut self,
        row: usize,
        (from, from_row, tokens): (&Self, usize, Range<usize>),
        delta: i64,
    ) -> Result<(), Error> {
        let source = from.row(from_row)?;
        if tokens.start > tokens.end || tokens.end > source.length {
            return Err(Error::Missing { what: "token", found: tokens.end, count: source.length });
        }
        let sizes = |cache: &Self| (cache.layers, cache.kv_heads, cache.head_dim);
        if sizes(self) != sizes(from) {
            let text = |cache| format!("{:?} layers, heads and head_dim", sizes(cache));
            return Err(Error::size("a block of another cache", text(from), text(self)));
        }
        self.check_room(row, tokens.len())?;
        let angles = self.rotary.angles(std::iter::once(delta));
        let (head, from_head) = (self.padded() * self.head_dim, from.padded() * from.head_dim);
        let (head_dim, kv_heads) = (self.head_dim, self.kv_heads);
        let mut key = vec![0.0; head_dim];
        let target = self.row_mut(row)?;
        for (to, from) in target.layers.iter_mut().zip(&source.layers) {
            for kv_head in 0..kv_heads {
                let from_keys = &from.keys[kv_head * from_head..];
                let from_values = &from.values[kv_head * from_head..];
                for (index, token) in tokens.clone().enumerate() {
                    let base = token / TOKENS * TOKENS * head_dim + token % TOKENS;
                    key.iter_mut().enumerate().for_each(|(d, key)| *key = from_keys[base + d * TOKENS]);
                    angles.rotate(0, &mut key);
                    let value = &from_values[token * head_dim..(token + 1) * head_dim];
                    to.set(kv_head * head, target.length + index, &key, value);
                }
            }
        }
        target.length += tokens.len();
        Ok(())
    }

    pub(crate) fn check_room(&self, row: usize, tokens: usize) -> Result<(), Error> {
        let length = self.row(row)?.length;
        if self.capacity - length < tokens {
            let reason = format!(
                "it has {length} tokens and room for {} in all, not for {tokens} more: reset the cache with a larger \
                 capacity",
                self.capacity
            );
            return Err(Error::Append { row, reason });
        }
        Ok(())
    }

    fn row(&self, row: usize) -> Result<&Row, Error> {
        let missing = Error::Missing { what: "row", found: row, count: self.rows.len() };
        self.rows.get(row).ok_or(missing)
    }

    fn row_mut(&mut self, row: usize) -> Result<&mut Row, Error> {
        let missing = Error::Missing { what: "row", found: row, count: self.rows.len() };
        self.rows.get_mut(row).ok_or(missing)
    }

    /// Whether it was made for a model of this shape.
    pub(crate) fn check(&self, shape: &Shape) -> Result<(), Error> {
        let sizes = (shape.num_hidden_layers, shape.num_key_value_heads, shape.head_dim);
        if (self.layers, self.kv_heads, self.head_dim) == sizes {
            return Ok(());
        }
        let found = format!("{:?} layers, heads and head_dim", (self.layers, self.kv_heads, self.head_dim));
        Err(Error::size("the cache", found, format!("{sizes:?} as the model has")))
    }

    pub(crate) fn layer(&self, row: usize, layer: usize) -> &LayerCache {
        &self.rows[row].layers[layer]
    }

    /// Writes key and value of one token, behind or within the length of its row.
    pub(crate) fn write(&mut self, (row, layer, token): (usize, usize, usize), key: &[f32], value: &[f32]) {
        let (head, head_dim) = (self.padded() * self.head_dim, self.head_dim);
        let cache = &mut self.rows[row].layers[layer];
        let heads = key.chunks_exact(head_dim).zip(value.chunks_exact(head_dim));
        for (kv_head, (key, value)) in heads.enumerate() {
            cache.set(kv_head * head, token, key, value);
        }
    }

    /// Elements of one head's keys in a layer, and of its values.
    pub(crate) fn head_size(&self) -> usize {
        self.padded() * self.head_dim
    }

    /// Counts tokens that were written.
    pub(crate) fn grow(&mut self, row: usize, tokens: usize) {
        let row = &mut self.rows[row];
        row.length += tokens;
        row.position += tokens;
    }
}

impl LayerCache {
    #[inline]
    fn set(&mut self, head: usize, token: usize, key: &[f32], value: &[f32]) {
        let base = head + token / TOKENS * TOKENS * key.len() + token % TOKENS;
        let keys = self.keys[base..].iter_mut().step_by(TOKENS);
        keys.zip(key).for_each(|(to, from)| *to = *from);
        self.values[head + token * value.len()..][..value.len()].copy_from_slice(value);
    }
}
