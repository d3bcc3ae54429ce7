//! Building a GGUF: any metadata, any tensors, right or wrong; and where its lengths, counts and types stand.

use std::ops::Range;

/// A value of the metadata, as it is written.
#[derive(Clone, Debug)]
pub enum Value {
    U32(u32),
    U64(u64),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
    /// A type and the bytes after it.
    Raw(u32, Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A tensor: its dimensions fastest first, as a file has them.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub name: String,
    pub dimensions: Vec<u64>,
    pub kind: u32,
    pub data: Vec<u8>,
    /// In place of where the data lies.
    pub offset: Option<u64>,
}

/// A file to be.
#[derive(Clone, Debug)]
pub struct File {
    pub version: u32,
    pub entries: Vec<(String, Value)>,
    pub tensors: Vec<Tensor>,
    pub alignment: u64,
    /// In place of the count of tensors, and of entries.
    pub counts: (Option<u64>, Option<u64>),
}

pub const F32: u32 = 0;
pub const F16: u32 = 1;
pub const Q8_0: u32 = 8;

impl File {
    /// A file with nothing in it.
    pub fn empty() -> Self {
        Self { version: 3, entries: Vec::new(), tensors: Vec::new(), alignment: 32, counts: (None, None) }
    }

    /// Puts a value under a key, in place of what was there.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        match self.entries.iter_mut().find(|entry| entry.0 == key) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((key.to_owned(), value)),
        }
        self
    }

    /// Takes a key out.
    pub fn without(mut self, key: &str) -> Self {
        self.entries.retain(|entry| entry.0 != key);
        self
    }

    /// Puts a tensor in, in place of one of the same name.
    pub fn tensor(mut self, name: &str, dimensions: &[u64], kind: u32, data: Vec<u8>) -> Self {
        self = self.without_tensor(name);
        let (name, dimensions) = (name.to_owned(), dimensions.to_vec());
        self.tensors.push(Tensor { name, dimensions, kind, data, offset: None });
        self
    }

    /// Takes a tensor out.
    pub fn without_tensor(mut self, name: &str) -> Self {
        self.tensors.retain(|tensor| tensor.name != name);
        self
    }

    /// Changes the tensor `name`.
    pub fn change(mut self, name: &str, change: impl FnOnce(&mut Tensor)) -> Self {
        change(self.tensors.iter_mut().find(|tensor| tensor.name == name).expect("it is there"));
        self
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        self.written().bytes
    }

    /// The bytes, and where the fields of the header stand.
    pub fn written(&self) -> Written {
        let mut out = Written { bytes: b"GGUF".to_vec(), fields: Vec::new() };
        out.u32(self.version);
        out.u64(self.counts.0.unwrap_or(self.tensors.len() as u64));
        out.u64(self.counts.1.unwrap_or(self.entries.len() as u64));
        for (key, value) in &self.entries {
            out.text(key);
            out.value(value);
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            out.text(&tensor.name);
            out.u32(tensor.dimensions.len() as u32);
            for &dimension in &tensor.dimensions {
                out.u64(dimension);
            }
            out.u32(tensor.kind);
            out.u64(tensor.offset.unwrap_or(offset));
            offset = (offset + tensor.data.len() as u64).next_multiple_of(self.alignment);
        }
        for tensor in &self.tensors {
            let start = (out.bytes.len() as u64).next_multiple_of(self.alignment);
            out.bytes.resize(start as usize, 0);
            out.bytes.extend(&tensor.data);
        }
        out
    }
}

/// The bytes of a file.
pub struct Written {
    pub bytes: Vec<u8>,
    /// Where numbers stand that the file's structure hangs on.
    pub fields: Vec<Range<usize>>,
}

impl Written {
    fn field(&mut self, bytes: &[u8]) {
        self.fields.push(self.bytes.len()..self.bytes.len() + bytes.len());
        self.bytes.extend(bytes);
    }

    fn u32(&mut self, value: u32) {
        self.field(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.field(&value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u64(text.len() as u64);
        self.bytes.extend(text.bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::U32(value) => {
                self.u32(4);
                self.u32(*value);
            }
            Value::U64(value) => {
                self.u32(10);
                self.u64(*value);
            }
            Value::F32(value) => {
                self.u32(6);
                self.bytes.extend(value.to_le_bytes());
            }
            Value::Bool(value) => {
                self.u32(7);
                self.field(&[u8::from(*value)]);
            }
            Value::Text(text) => {
                self.u32(8);
                self.text(text);
            }
            Value::Texts(texts) => {
                self.u32(9);
                self.u32(8);
                self.u64(texts.len() as u64);
                texts.iter().for_each(|text| self.text(text));
            }
            Value::I32s(values) => {
                self.u32(9);
                self.u32(5);
                self.u64(values.len() as u64);
                values.iter().for_each(|value| self.bytes.extend(value.to_le_bytes()));
            }
            Value::Raw(kind, bytes) => {
                self.u32(*kind);
                self.bytes.extend(bytes);
            }
        }
    }
}

/// Numbers that look like weights, the same every time.
pub fn weights(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Random(seed);
    (0..count).map(|_| ((random.next() >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.2).collect()
}

/// f32 numbers as bytes.
pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Numbers rounded to Q8_0.
pub fn q8_0_bytes(values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in values.chunks(32) {
        let scale = block.iter().fold(0f32, |most, value| most.max(value.abs())) / 127.0;
        bytes.extend(half::f16::from_f32(scale).to_le_bytes());
        bytes.extend(block.iter().map(|value| (value / scale).round() as i8 as u8));
    }
    bytes
}

/// SplitMix64: a stream of numbers from a seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// A whole Qwen2 of one layer, width 32, 16 tokens: valid in every respect.
pub fn tiny_qwen2() -> File {
    let mut file = File::empty()
        .set("general.architecture", "qwen2")
        .set("general.type", "model")
        .set("qwen2.block_count", Value::U32(1))
        .set("qwen2.context_length", Value::U32(128))
        .set("qwen2.embedding_length", Value::U32(32))
        .set("qwen2.feed_forward_length", Value::U32(64))
        .set("qwen2.attention.head_count", Value::U32(4))
        .set("qwen2.attention.head_count_kv", Value::U32(2))
        .set("qwen2.rope.freq_base", Value::F32(1e6))
        .set("qwen2.attention.layer_norm_rms_epsilon", Value::F32(1e-6))
        .set("tokenizer.ggml.model", "gpt2")
        .set("tokenizer.ggml.pre", "qwen2")
        .set("tokenizer.ggml.tokens", Value::Texts(tokens()))
        .set("tokenizer.ggml.token_type", Value::I32s(vec![1, 1, 1, 1, 1, 1, 3, 3, 3, 4, 5, 5]))
        .set("tokenizer.ggml.merges", Value::Texts(vec!["t h".into(), "th e".into()]))
        .set("tokenizer.ggml.eos_token_id", Value::U32(8))
        .set("tokenizer.ggml.padding_token_id", Value::U32(6))
        .set("tokenizer.ggml.add_bos_token", Value::Bool(false));
    for (index, (name, dimensions)) in [
        ("token_embd.weight", [32, 16]),
        ("blk.0.attn_q.weight", [32, 32]),
        ("blk.0.attn_k.weight", [32, 16]),
        ("blk.0.attn_v.weight", [32, 16]),
        ("blk.0.attn_output.weight", [32, 32]),
        ("blk.0.ffn_gate.weight", [32, 64]),
        ("blk.0.ffn_up.weight", [32, 64]),
        ("blk.0.ffn_down.weight", [64, 32]),
    ]
    .into_iter()
    .enumerate()
    {
        let count = dimensions.iter().product::<u64>() as usize;
        file = file.tensor(name, &dimensions, Q8_0, q8_0_bytes(&weights(count, index as u64)));
    }
    for (name, count) in [
        ("output_norm.weight", 32),
        ("blk.0.attn_norm.weight", 32),
        ("blk.0.ffn_norm.weight", 32),
        ("blk.0.attn_q.bias", 32),
        ("blk.0.attn_k.bias", 16),
        ("blk.0.attn_v.bias", 16),
    ] {
        file = file.tensor(name, &[count], F32, f32_bytes(&weights(count as usize, count)));
    }
    file
}

/// The tokens of [`tiny_qwen2`].
pub fn tokens() -> Vec<String> {
    [
        "t",
        "h",
        "e",
        "!",
        "th",
        "the",
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<tool_call>",
        "[PAD10]",
        "[PAD11]",
    ]
    .map(str::to_owned)
    .to_vec()
}
