//! Random small models, and the plainest forward pass of them in f64.

use std::collections::BTreeMap;

use conclave_processor::{
    Error, F32Matrix, Input, Int4Matrix, Int8Matrix, Layer, Linear, Matrix, Model, Shape,
};
use half::f16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Qwen2,
    Qwen3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int4,
    Int8,
    F32,
}

/// A model before it is checked.
pub struct Parts {
    pub shape: Shape,
    pub embed_tokens: Matrix,
    pub layers: Vec<Layer>,
    pub norm: Vec<f32>,
    pub lm_head: Option<Matrix>,
}

impl Parts {
    pub fn build(self) -> Result<Model, Error> {
        Model::new(self.shape, self.embed_tokens, self.layers, self.norm, self.lm_head)
    }
}

/// xorshift64
struct Random(u64);

impl Random {
    fn number(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn vector(&mut self, length: usize) -> Vec<f32> {
        (0..length).map(|_| self.number()).collect()
    }

    /// Around 1, as a norm's weight is.
    fn norm(&mut self, length: usize) -> Vec<f32> {
        (0..length).map(|_| 1.0 + 0.3 * self.number()).collect()
    }

    fn matrix(&mut self, kind: Kind, rows: usize, columns: usize) -> Matrix {
        let size = 2.0 / (columns as f32).sqrt();
        match kind {
            Kind::Int4 => {
                let packed: Vec<u32> = (0..rows * columns / 8)
                    .map(|_| {
                        (0..8)
                            .fold(0, |word, i| word | (((self.number() + 1.0) * 8.0) as u32 & 15) << (4 * i))
                    })
                    .collect();
                let scales: Vec<f16> = (0..rows * columns / 32)
                    .map(|_| f16::from_f32(size * (0.6 + 0.4 * self.number()) / 8.0))
                    .collect();
                Matrix::Int4(Int4Matrix::new(rows, columns, &packed, &scales).expect("sizes fit"))
            }
            Kind::Int8 => {
                let values: Vec<i8> = (0..rows * columns).map(|_| (self.number() * 127.0) as i8).collect();
                let scales: Vec<f32> =
                    (0..rows).map(|_| size * (0.6 + 0.4 * self.number()) / 127.0).collect();
                Matrix::Int8(Int8Matrix::new(rows, columns, &values, &scales).expect("sizes fit"))
            }
            Kind::F32 => {
                let values: Vec<f32> = (0..rows * columns).map(|_| size * self.number()).collect();
                Matrix::F32(F32Matrix::new(rows, columns, &values).expect("sizes fit"))
            }
        }
    }
}

pub fn parts(family: Family, kind: Kind, seed: u64) -> Parts {
    let is_qwen3 = family == Family::Qwen3;
    let shape = Shape {
        vocab_size: 203,
        hidden_size: 64,
        intermediate_size: 160,
        num_hidden_layers: 2,
        num_attention_heads: if is_qwen3 { 6 } else { 4 },
        num_key_value_heads: if is_qwen3 { 2 } else { 1 },
        head_dim: if is_qwen3 { 48 } else { 16 }, // of Qwen3, not a part of the width
        rms_norm_eps: 1e-6,
        rope_theta: 1e4,
    };
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let (hidden, inner) = (shape.hidden_size, shape.intermediate_size);
    let (query, key) = (shape.query_width(), shape.key_value_width());
    let embed_tokens = random.matrix(kind, shape.vocab_size, hidden);
    let layers = (0..shape.num_hidden_layers)
        .map(|_| {
            let mut linear = |rows| Linear {
                weight: random.matrix(kind, rows, hidden),
                bias: (!is_qwen3).then(|| random.vector(rows)),
            };
            let [q_proj, k_proj, v_proj] = [linear(query), linear(key), linear(key)];
            Layer {
                input_layernorm: random.norm(hidden),
                q_proj,
                k_proj,
                v_proj,
                o_proj: random.matrix(kind, hidden, query).into(),
                q_norm: is_qwen3.then(|| random.norm(shape.head_dim)),
                k_norm: is_qwen3.then(|| random.norm(shape.head_dim)),
                post_attention_layernorm: random.norm(hidden),
                gate_proj: random.matrix(kind, inner, hidden),
                up_proj: random.matrix(kind, inner, hidden),
                down_proj: random.matrix(kind, hidden, inner),
            }
        })
        .collect();
    let norm = random.norm(hidden);
    let lm_head = is_qwen3.then(|| random.matrix(kind, shape.vocab_size, hidden));
    Parts { shape, embed_tokens, layers, norm, lm_head }
}

pub fn model(family: Family, kind: Kind, seed: u64) -> Model {
    parts(family, kind, seed).build().expect("it fits")
}

/// The embedding of [`model`] with f32 weights, `[vocab_size, hidden_size]`.
pub fn embedding(family: Family, seed: u64) -> (Shape, Vec<f32>) {
    let parts = parts(family, Kind::F32, seed);
    let rows = rows(&parts.embed_tokens).concat().into_iter().map(|x| x as f32).collect();
    (parts.shape, rows)
}

pub fn with_embedding(family: Family, kind: Kind, seed: u64, rows: &[f32]) -> Model {
    let mut parts = parts(family, kind, seed);
    let (count, width) = (parts.shape.vocab_size, parts.shape.hidden_size);
    parts.embed_tokens = Matrix::F32(F32Matrix::new(count, width, rows).expect("sizes fit"));
    parts.build().expect("it fits")
}

/// Some tokens of the vocabulary; none of them is 7.
pub fn tokens(count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| (i * 53 + i / 7 * 11) % 203).map(|id| if id == 7 { 8 } else { id }).collect()
}

type Vectors = Vec<Vec<f64>>;

fn rows(matrix: &Matrix) -> Vectors {
    let row = |row| {
        let mut weights = vec![0.0; matrix.columns()];
        matrix.row(row, &mut weights).expect("a row of it");
        weights.into_iter().map(f64::from).collect()
    };
    (0..matrix.rows()).map(row).collect()
}

fn linear(matrix: &Matrix, bias: Option<&[f32]>, x: &Vectors) -> Vectors {
    let rows = rows(matrix);
    let one = |x: &Vec<f64>| {
        let bias = |row: usize| bias.map_or(0.0, |bias| f64::from(bias[row]));
        let dot = |weights: &Vec<f64>| weights.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        rows.iter().enumerate().map(|(row, weights)| dot(weights) + bias(row)).collect()
    };
    x.iter().map(one).collect()
}

fn norm(weight: &[f32], x: &[f64]) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    x.iter().zip(weight).map(|(x, w)| x / (mean + 1e-6).sqrt() * f64::from(*w)).collect()
}

fn rotate(shape: &Shape, position: usize, head: &[f64]) -> Vec<f64> {
    let half = head.len() / 2;
    let mut out = vec![0.0; head.len()];
    for i in 0..half {
        let angle = position as f64 * shape.rope_theta.powf(-2.0 * i as f64 / head.len() as f64);
        out[i] = head[i] * angle.cos() - head[i + half] * angle.sin();
        out[i + half] = head[i + half] * angle.cos() + head[i] * angle.sin();
    }
    out
}

fn heads(shape: &Shape, weight: Option<&Vec<f32>>, x: &Vectors) -> Vec<Vectors> {
    let one = |(position, x): (usize, &Vec<f64>)| {
        let head = |head: &[f64]| {
            let normed = weight.map_or_else(|| head.to_vec(), |weight| norm(weight, head));
            rotate(shape, position, &normed)
        };
        x.chunks(shape.head_dim).map(head).collect()
    };
    x.iter().enumerate().map(one).collect()
}

fn attention(shape: &Shape, query: &[Vectors], key: &[Vectors], value: &Vectors) -> Vectors {
    let group = shape.num_attention_heads / shape.num_key_value_heads;
    let one = |position: usize| {
        let mut out = Vec::new();
        for head in 0..shape.num_attention_heads {
            let dot = |token: usize| {
                let pairs = query[position][head].iter().zip(&key[token][head / group]);
                pairs.map(|(a, b)| a * b).sum::<f64>() / (shape.head_dim as f64).sqrt()
            };
            let scores: Vec<f64> = (0..=position).map(dot).collect();
            let largest = scores.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for d in 0..shape.head_dim {
                let at = head / group * shape.head_dim + d;
                let terms = weights.iter().zip(value).map(|(weight, value)| weight * value[at]);
                out.push(terms.sum::<f64>() / sum);
            }
        }
        out
    };
    (0..query.len()).map(one).collect()
}

type Observed = BTreeMap<(usize, Input), Vectors>;

fn run(family: Family, kind: Kind, seed: u64, tokens: &[u32]) -> (Vectors, Vectors, Observed) {
    let parts = parts(family, kind, seed);
    let shape = &parts.shape;
    let mut observed = Observed::new();
    let embedding = rows(&parts.embed_tokens);
    let mut x: Vectors = tokens.iter().map(|&id| embedding[id as usize].clone()).collect();
    let add = |x: &mut Vectors, y: Vectors| {
        for (x, y) in x.iter_mut().flatten().zip(y.into_iter().flatten()) {
            *x += y;
        }
    };
    for (index, layer) in parts.layers.iter().enumerate() {
        let normed: Vectors = x.iter().map(|x| norm(&layer.input_layernorm, x)).collect();
        let project = |linear_: &Linear| linear(&linear_.weight, linear_.bias.as_deref(), &normed);
        let query = heads(shape, layer.q_norm.as_ref(), &project(&layer.q_proj));
        let key = heads(shape, layer.k_norm.as_ref(), &project(&layer.k_proj));
        let attended = attention(shape, &query, &key, &project(&layer.v_proj));
        add(&mut x, linear(&layer.o_proj.weight, None, &attended));
        observed.insert((index, Input::Attention), normed);
        observed.insert((index, Input::Output), attended);
        let normed: Vectors = x.iter().map(|x| norm(&layer.post_attention_layernorm, x)).collect();
        let mut inner = linear(&layer.gate_proj, None, &normed);
        let up = linear(&layer.up_proj, None, &normed);
        for (gate, up) in inner.iter_mut().flatten().zip(up.into_iter().flatten()) {
            *gate = *gate / (1.0 + (-*gate).exp()) * up;
        }
        add(&mut x, linear(&layer.down_proj, None, &inner));
        observed.insert((index, Input::Mlp), normed);
        observed.insert((index, Input::Down), inner);
    }
    let normed: Vectors = x.iter().map(|x| norm(&parts.norm, x)).collect();
    let logits = linear(parts.lm_head.as_ref().unwrap_or(&parts.embed_tokens), None, &normed);
    observed.insert((parts.layers.len(), Input::Head), normed);
    (x, logits, observed)
}

/// The residual stream after the last layer, `[tokens, hidden_size]`, and the logits, `[tokens, vocab_size]`.
pub fn forward(family: Family, kind: Kind, seed: u64, tokens: &[u32]) -> (Vec<f64>, Vec<f64>) {
    let (hidden, logits, _) = run(family, kind, seed, tokens);
    (hidden.concat(), logits.concat())
}

/// The mean square of each input of products.
pub fn moments(family: Family, kind: Kind, seed: u64, tokens: &[u32]) -> BTreeMap<(usize, Input), Vec<f64>> {
    let (_, _, observed) = run(family, kind, seed, tokens);
    let mean = |vectors: &Vectors| {
        let column = |column: usize| {
            vectors.iter().map(|vector| vector[column] * vector[column]).sum::<f64>() / vectors.len() as f64
        };
        (0..vectors[0].len()).map(column).collect()
    };
    observed.iter().map(|(key, vectors)| (*key, mean(vectors))).collect()
}
