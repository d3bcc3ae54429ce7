//! One forward pass: tokens of several rows through all layers, and logits of what comes out.
//!
//! ```text
//! x  = embed[token]
//! for each layer:
//!     q, k, v = linear(norm(x));  q, k = rotate(norm_of_heads(q, k))
//!     x += o(attention(q, keys, values))
//!     x += down(silu(gate(norm(x))) * up(norm(x)))
//! logits = head(norm(x))
//! ```

use crate::attention::{Token, attention};
use crate::cache::Cache;
use crate::elementwise::{GROUP, Group, RmsNorm, Round};
use crate::error::Error;
use crate::kernels::Inputs;
use crate::model::{Layer, Linear, Model};
use crate::observe::{Input, Observer};
use crate::product::{Hands, Product, gated, products};
use crate::rotary::Angles;
use crate::threads::{Scatter, Team};

/// How activations meet weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activations {
    /// Rounded to eight bits, a scale for each 32, where the weights are quantised: fast.
    #[default]
    Int8,
    /// Not rounded; weights are dequantised on the fly: an oracle.
    F32,
}

/// Which tokens' results a pass answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Output {
    /// The last token of each piece.
    #[default]
    Last,
    /// All tokens.
    All,
}

/// What a forward pass should do. The default is the fast one that answers the last tokens.
#[derive(Default)]
pub struct Pass<'a> {
    /// How activations meet weights.
    pub activations: Activations,
    /// Which tokens' results are answered.
    pub output: Output,
    /// Looks at the inputs of products.
    pub observer: Option<&'a mut dyn Observer>,
}

/// Tokens that go through a layer together: more would take memory, fewer would read the weights more often.
const CHUNK: usize = 256;

impl Model {
    /// Appends tokens to rows of the cache and answers the residual stream after the last layer, before the final norm.
    ///
    /// Each piece is a row and its tokens; a row has one piece at most. A token's result does not depend on what else is
    /// in the pass, nor on how tokens are divided into passes, to the bit.
    ///
    /// # Shapes
    ///
    /// - output: `[tokens asked for, hidden_size]`, in the order of `pieces`
    ///
    /// # Errors
    ///
    /// A cache of another shape, a row that is not there or full or named twice, no tokens, a token beyond the
    /// vocabulary. Nothing is appended then.
    pub fn forward(
        &self,
        cache: &mut Cache,
        pieces: &[(usize, &[u32])],
        mut pass: Pass<'_>,
    ) -> Result<Vec<f32>, Error> {
        let tokens = self.tokens(cache, pieces)?;
        let ends: Vec<usize> = pieces
            .iter()
            .scan(0, |end, (_, tokens)| {
                *end += tokens.len();
                Some(*end - 1)
            })
            .collect();
        let team = Team::gather(self.threads);
        let is_exact = pass.activations == Activations::F32;
        let hands = Hands { team: &team, level: self.level, is_exact };
        let mut room = Room::default();
        let mut out = Vec::new();
        for (index, tokens) in tokens.chunks(CHUNK).enumerate() {
            self.chunk(hands, cache, tokens, &mut room, pass.observer.as_deref_mut())?;
            for (at, x) in room.x.chunks_exact(self.shape.hidden_size).enumerate() {
                if pass.output == Output::All || ends.binary_search(&(index * CHUNK + at)).is_ok() {
                    out.extend_from_slice(x);
                }
            }
        }
        // Only now: a pass that ends in between has appended nothing.
        for (row, tokens) in pieces {
            cache.grow(*row, tokens.len());
        }
        Ok(out)
    }

    /// Logits of vectors of the residual stream: the final norm and the head.
    ///
    /// # Shapes
    ///
    /// - `hidden`: `[vectors, hidden_size]`
    /// - output: `[vectors, vocab_size]`
    ///
    /// # Errors
    ///
    /// `hidden` of another size than whole vectors.
    pub fn logits(&self, hidden: &[f32], pass: Pass<'_>) -> Result<Vec<f32>, Error> {
        let width = self.shape.hidden_size;
        let count = hidden.len() / width;
        Error::check("the residual stream", hidden.len(), count * width)?;
        let team = Team::gather(self.threads);
        let is_exact = pass.activations == Activations::F32;
        let hands = Hands { team: &team, level: self.level, is_exact };
        let (mut normed, mut groups) = (Vec::new(), Vec::new());
        self.norm(hands, hidden, &self.norm, &mut normed);
        if let Some(observer) = pass.observer {
            observer.observe(self.layers.len(), Input::Head, &normed, width);
        }
        let inputs = rounded(hands, width, &normed, &mut groups);
        let mut logits = vec![0.0; count * self.shape.vocab_size];
        let matrix = self.lm_head.as_ref().unwrap_or(&self.embed_tokens);
        let out = Scatter::new(&mut logits);
        products(hands, &inputs, count, &[Product { matrix, bias: None, out, is_added: false }]);
        Ok(logits)
    }

    /// The final norm of vectors of the residual stream: what the head takes.
    ///
    /// # Shapes
    ///
    /// - `hidden`, output: `[vectors, hidden_size]`
    ///
    /// # Errors
    ///
    /// `hidden` of another size than whole vectors.
    pub fn normed(&self, hidden: &[f32]) -> Result<Vec<f32>, Error> {
        let width = self.shape.hidden_size;
        Error::check("the residual stream", hidden.len(), hidden.len() / width * width)?;
        let team = Team::gather(self.threads);
        let hands = Hands { team: &team, level: self.level, is_exact: true };
        let mut normed = Vec::new();
        self.norm(hands, hidden, &self.norm, &mut normed);
        Ok(normed)
    }

    /// The tokens of a pass, all of them possible.
    fn tokens(&self, cache: &Cache, pieces: &[(usize, &[u32])]) -> Result<Vec<Token>, Error> {
        cache.check(&self.shape)?;
        let mut all = Vec::new();
        let mut is_named = vec![false; cache.rows()];
        for &(row, tokens) in pieces {
            let (length, position) = (cache.length(row)?, cache.position(row)?);
            let refuse = |reason: String| Err(Error::Append { row, reason });
            if std::mem::replace(&mut is_named[row], true) {
                return refuse("it is named twice: give all its tokens in one piece".into());
            }
            if tokens.is_empty() {
                return refuse("its piece has no tokens: leave it out".into());
            }
            if let Some(id) = tokens.iter().find(|&&id| id as usize >= self.shape.vocab_size) {
                return refuse(format!("token {id} is beyond the vocabulary of {}", self.shape.vocab_size));
            }
            cache.check_room(row, tokens.len())?;
            all.extend(tokens.iter().enumerate().map(|(index, &id)| Token {
                id,
                row,
                column: length + index,
                position: position + index,
            }));
        }
        Ok(all)
    }

    /// Some tokens through all layers; what comes out is `room.x`.
    fn chunk(
        &self,
        hands: Hands<'_>,
        cache: &mut Cache,
        tokens: &[Token],
        room: &mut Room,
        mut observer: Option<&mut (dyn Observer + '_)>,
    ) -> Result<(), Error> {
        let hidden = self.shape.hidden_size;
        room.resize(tokens.len(), self);
        for (token, x) in tokens.iter().zip(room.x.chunks_exact_mut(hidden)) {
            self.embed_tokens.row(token.id as usize, x)?;
        }
        let angles = self.rotary.angles(tokens.iter().map(|token| token.position as i64));
        for (index, layer) in self.layers.iter().enumerate() {
            let mut observe = |input, vectors: &[f32], width| {
                if let Some(observer) = &mut observer {
                    observer.observe(index, input, vectors, width);
                }
            };
            self.attend(hands, (cache, index), layer, (tokens, &angles), room, &mut observe);
            self.feed_forward(hands, layer, tokens.len(), room, &mut observe);
        }
        Ok(())
    }

    /// `x += o(attention(norm(x)))`
    fn attend(
        &self,
        hands: Hands<'_>,
        (cache, index): (&mut Cache, usize),
        layer: &Layer,
        (tokens, angles): (&[Token], &Angles),
        room: &mut Room,
        observe: &mut impl FnMut(Input, &[f32], usize),
    ) {
        let (hidden, count) = (self.shape.hidden_size, tokens.len());
        let Room { x, normed, groups, query, key, value, attended, .. } = room;
        self.norm(hands, x, &layer.input_layernorm, normed);
        observe(Input::Attention, normed, hidden);
        let inputs = rounded(hands, hidden, normed, groups);
        let linears =
            [(&layer.q_proj, &mut *query), (&layer.k_proj, &mut *key), (&layer.v_proj, &mut *value)];
        let parts = linears.map(|(linear, out)| part(linear, out, false));
        products(hands, &inputs, count, &parts);

        self.rotate(hands, layer.q_norm.as_deref(), angles, query, self.shape.num_attention_heads);
        self.rotate(hands, layer.k_norm.as_deref(), angles, key, self.shape.num_key_value_heads);
        // The queries are scaled, not the scores, of which there are more.
        let scale = 1.0 / (self.shape.head_dim as f32).sqrt();
        query.iter_mut().for_each(|x| *x *= scale);
        let width = self.shape.key_value_width();
        let pairs = key.chunks_exact(width).zip(value.chunks_exact(width));
        for (token, (key, value)) in tokens.iter().zip(pairs) {
            cache.write((token.row, index, token.column), key, value);
        }
        attention(hands, &self.shape, (cache, index), tokens, query, &Scatter::new(attended));

        let width = self.shape.query_width();
        observe(Input::Output, attended, width);
        let inputs = rounded(hands, width, attended, groups);
        products(hands, &inputs, count, &[part(&layer.o_proj, x, true)]);
    }

    /// `x += down(silu(gate(norm(x))) * up(norm(x)))`
    fn feed_forward(
        &self,
        hands: Hands<'_>,
        layer: &Layer,
        count: usize,
        room: &mut Room,
        observe: &mut impl FnMut(Input, &[f32], usize),
    ) {
        let (hidden, inner) = (self.shape.hidden_size, self.shape.intermediate_size);
        let Room { x, normed, groups, inner: activated, .. } = room;
        self.norm(hands, x, &layer.post_attention_layernorm, normed);
        observe(Input::Mlp, normed, hidden);
        let inputs = rounded(hands, hidden, normed, groups);
        gated(hands, &inputs, count, [&layer.gate_proj, &layer.up_proj], &Scatter::new(activated));

        observe(Input::Down, activated, inner);
        let inputs = rounded(hands, inner, activated, groups);
        let out = Scatter::new(x);
        products(
            hands,
            &inputs,
            count,
            &[Product { matrix: &layer.down_proj, bias: None, out, is_added: true }],
        );
    }

    /// RMS norm of all tokens.
    fn norm(&self, hands: Hands<'_>, x: &[f32], weight: &[f32], out: &mut Vec<f32>) {
        let width = weight.len();
        out.resize(x.len(), 0.0);
        let out = Scatter::new(out);
        let eps = self.shape.rms_norm_eps as f32;
        hands.team.ranges(x.len() / width, 8, |tokens| {
            for token in tokens {
                let range = token * width..(token + 1) * width;
                // SAFETY: a token belongs to one range.
                let out = unsafe { out.part(range.clone()) };
                hands.level.run(RmsNorm { x: &x[range], weight, eps, out });
            }
        });
    }

    /// Norm, where there is one, and rotation of the heads of all tokens, in place.
    fn rotate(
        &self,
        hands: Hands<'_>,
        norm: Option<&[f32]>,
        angles: &Angles,
        heads: &mut [f32],
        count: usize,
    ) {
        let width = self.shape.head_dim;
        let eps = self.shape.rms_norm_eps as f32;
        let tokens = heads.len() / (width * count);
        let heads = Scatter::new(heads);
        hands.team.ranges(tokens, 16, |tokens| {
            let mut before = vec![0.0; width];
            for token in tokens {
                // SAFETY: a token belongs to one range.
                let heads = unsafe { heads.part(token * count * width..(token + 1) * count * width) };
                for head in heads.chunks_exact_mut(width) {
                    if let Some(weight) = norm {
                        before.copy_from_slice(head);
                        hands.level.run(RmsNorm { x: &before, weight, eps, out: head });
                    }
                    angles.rotate(token, head);
                }
            }
        });
    }
}

fn part<'a>(linear: &'a Linear, out: &'a mut [f32], is_added: bool) -> Product<'a> {
    Product { matrix: &linear.weight, bias: linear.bias.as_deref(), out: Scatter::new(out), is_added }
}

/// The inputs of products: rounded to eight bits, unless the pass is exact or the width has no groups (then its matrices
/// are f32).
fn rounded<'a>(
    hands: Hands<'_>,
    columns: usize,
    floats: &'a [f32],
    groups: &'a mut Vec<Group>,
) -> Inputs<'a> {
    groups.clear();
    if !hands.is_exact && columns.is_multiple_of(GROUP) {
        groups.resize(floats.len() / GROUP, Group::default());
        let out = Scatter::new(groups);
        hands.team.ranges(floats.len() / columns, 8, |tokens| {
            let (start, end) = (tokens.start * columns, tokens.end * columns);
            // SAFETY: a token belongs to one range.
            let out = unsafe { out.part(start / GROUP..end / GROUP) };
            hands.level.run(Round { x: &floats[start..end], out });
        });
    }
    Inputs { columns, floats, groups }
}

/// Buffers of a pass.
#[derive(Default)]
struct Room {
    x: Vec<f32>,        // [tokens, hidden_size]
    normed: Vec<f32>,   // [tokens, hidden_size]
    groups: Vec<Group>, // [tokens, columns / 32]
    query: Vec<f32>,    // [tokens, heads * head_dim]
    key: Vec<f32>,      // [tokens, kv_heads * head_dim]
    value: Vec<f32>,    // [tokens, kv_heads * head_dim]
    attended: Vec<f32>, // [tokens, heads * head_dim]
    inner: Vec<f32>,    // [tokens, intermediate_size]
}

impl Room {
    fn resize(&mut self, tokens: usize, model: &Model) {
        let shape = &model.shape;
        let sizes = [
            (&mut self.x, shape.hidden_size),
            (&mut self.query, shape.query_width()),
            (&mut self.key, shape.key_value_width()),
            (&mut self.value, shape.key_value_width()),
            (&mut self.attended, shape.query_width()),
            (&mut self.inner, shape.intermediate_size),
        ];
        for (buffer, width) in sizes {
            buffer.resize(tokens * width, 0.0);
        }
    }
}
