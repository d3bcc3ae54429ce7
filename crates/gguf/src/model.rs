//! Which model a GGUF holds, as a Hugging Face directory says it: `config.json`, `generation_config.json`,
//! `tokenizer.json`, and the tensors by their names there.
//!
//! Dense Qwen2 and Qwen3 are known. Whatever would make another computation is refused by its key: scaled rotary
//! positions, sliding windows, experts, pooling, tensors that are not theirs. The norms' epsilon and the rotary base
//! are f32 in the file and are taken as the decimals they were made of.

use std::collections::HashSet;

use serde_json::{Map, Value as Json, json};

use crate::bytes::Bytes;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::names::{self, Architecture, EMBEDDING, HEAD, Mapped, Sizes};
use crate::reader::{Gguf, shown};
use crate::tokenizer::{self, Vocabulary};
use crate::tying;

/// Largest sizes that are taken, so that products of them cannot overflow.
const MAX_VOCAB_SIZE: u64 = 1 << 24;
const MAX_HIDDEN_SIZE: u64 = 1 << 17;
const MAX_INTERMEDIATE_SIZE: u64 = 1 << 19;
const MAX_LAYERS: u64 = 1 << 10;
const MAX_HEADS: u64 = 1 << 10;
const MAX_HEAD_DIM: u64 = 1 << 10;
const MAX_POSITIONS: u64 = 1 << 24;

/// llama.cpp's default.
const DEFAULT_ROPE_BASE: f64 = 10_000.0;

/// What to make of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Keep the head and the embedding apart even where they are copies of one matrix.
    pub untied: bool,
}

/// What stands for the output head.
#[derive(Clone, Debug, PartialEq)]
pub enum Head {
    /// The file has the embedding alone: it is the head too.
    Embedding,
    /// The file has two copies of one matrix; the finer one, `kept`, is both.
    Copies {
        /// The tensor that is used.
        kept: &'static str,
        /// The tensor that is not used.
        dropped: &'static str,
        /// Their relative difference.
        difference: f64,
    },
    /// A matrix of its own; the difference from the embedding, where they were compared.
    Own {
        /// Their relative difference.
        difference: Option<f64>,
    },
}

/// A model that a GGUF holds.
#[derive(Clone, Debug)]
pub struct Model {
    /// The kind of network.
    pub architecture: Architecture,
    /// Its sizes.
    pub sizes: Sizes,
    /// Longest sequence it was made for, in tokens.
    pub context_length: u64,
    /// Added to the mean square in every norm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// What stands for the output head.
    pub head: Head,
    /// The vocabulary.
    pub vocabulary: Vocabulary,
    tensors: Vec<Mapped>,
}

impl Model {
    /// Reads what the metadata says and checks that every tensor is there.
    ///
    /// # Errors
    /// Names the key or the tensor, what was expected, and what to do.
    pub fn read<B: Bytes>(gguf: &Gguf<B>, options: Options) -> Result<Self> {
        refuse_parts(gguf)?;
        let architecture = architecture(gguf)?;
        let keys = Keys { gguf, prefix: architecture.name() };
        refuse_other_computations(&keys)?;
        let sizes = sizes(&keys, architecture)?;
        let context_length = keys.size("context_length", MAX_POSITIONS)?;
        let rms_norm_eps = keys.number("attention.layer_norm_rms_epsilon", 0.0..1.0)?;
        let rms_norm_eps = rms_norm_eps.filter(|&eps| eps > 0.0).ok_or_else(|| {
            keys.missing("attention.layer_norm_rms_epsilon", "a number between 0 and 1, such as 1e-6")
        })?;
        let rope_theta = keys.number("rope.freq_base", 1.0..1e12)?.unwrap_or(DEFAULT_ROPE_BASE);
        check_tensors(gguf, architecture, &sizes)?;
        let vocabulary = tokenizer::read(gguf, sizes.vocab_size)?;
        let head = head(gguf, options)?;
        let tensors = mapped(architecture, &sizes, &head);
        Ok(Self { architecture, sizes, context_length, rms_norm_eps, rope_theta, head, vocabulary, tensors })
    }

    /// Whether the head is the embedding.
    pub fn is_tied(&self) -> bool {
        !matches!(self.head, Head::Own { .. })
    }

    /// The tensors of the checkpoint, in the order of the model, the head last where there is one.
    pub fn tensors(&self) -> &[Mapped] {
        &self.tensors
    }

    /// One sentence on the head, for whoever imports the file.
    pub fn head_note(&self) -> String {
        match &self.head {
            Head::Embedding => {
                "the output head is the embedding (the file has one matrix for both)".to_owned()
            }
            Head::Copies { kept, dropped, difference } => format!(
                "`{kept}` and `{dropped}` are two copies of one matrix (they differ by {difference:.1e}): tied, both \
                 are taken from `{kept}`, the finer one; --untied keeps both"
            ),
            Head::Own { difference: Some(difference) } => format!(
                "`{HEAD}` and `{EMBEDDING}` are two matrices (they differ by {difference:.1e}): both are kept"
            ),
            Head::Own { difference: None } => format!("`{HEAD}` and `{EMBEDDING}` are both kept, untied"),
        }
    }

    /// `config.json` in the dialect that every release of transformers reads, for weights stored as `torch_dtype`
    /// (`float32`, `float16` or `bfloat16`).
    pub fn config_json(&self, torch_dtype: &str) -> String {
        let sizes = &self.sizes;
        let mut config = json!({
            "architectures": [self.architecture.class()],
            "attention_dropout": 0.0,
            "bos_token_id": self.vocabulary.bos,
            "eos_token_id": self.vocabulary.eos,
            "hidden_act": "silu",
            "hidden_size": sizes.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": sizes.intermediate_size,
            "max_position_embeddings": self.context_length,
            "max_window_layers": sizes.num_hidden_layers,
            "model_type": self.architecture.name(),
            "num_attention_heads": sizes.num_attention_heads,
            "num_hidden_layers": sizes.num_hidden_layers,
            "num_key_value_heads": sizes.num_key_value_heads,
            "pad_token_id": self.vocabulary.pad,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "sliding_window": null,
            "tie_word_embeddings": self.is_tied(),
            "torch_dtype": torch_dtype,
            "use_cache": true,
            "use_sliding_window": false,
            "vocab_size": sizes.vocab_size,
        });
        if self.architecture == Architecture::Qwen3 {
            config["attention_bias"] = false.into();
            config["head_dim"] = sizes.head_dim.into();
        }
        format!("{config:#}\n")
    }

    /// `generation_config.json`: the ids that end a text, where transformers looks for them.
    pub fn generation_config_json(&self) -> String {
        let mut config = Map::new();
        let ids = [("bos_token_id", self.vocabulary.bos), ("pad_token_id", self.vocabulary.pad)];
        for (key, id) in ids {
            if let Some(id) = id {
                config.insert(key.to_owned(), id.into());
            }
        }
        config.insert("do_sample".to_owned(), false.into());
        config.insert("eos_token_id".to_owned(), self.vocabulary.stops.clone().into());
        format!("{:#}\n", Json::Object(config))
    }
}

/// Refuses files that are no whole model.
fn refuse_parts<B: Bytes>(gguf: &Gguf<B>) -> Result<()> {
    let kind = gguf.string("general.type")?;
    let is_lora = |name: &&String| name.ends_with(".lora_a") || name.ends_with(".lora_b");
    let lora = gguf.tensors().keys().find(is_lora);
    if lora.is_some() || kind.as_deref() == Some("adapter") {
        return Err(Error::unsupported(
            "is an adapter (LoRA) alone, expected a model: merge it into its base model with `llama-export-lora` of \
             llama.cpp, and import what that writes",
        ));
    }
    if let Some(kind) = kind.filter(|kind| kind != "model") {
        return Err(Error::unsupported(format!(
            "`general.type` is \"{}\", expected \"model\": take the file of the language model itself",
            shown(&kind)
        )));
    }
    let split = gguf.metadata().get("split.count").map(|value| (value.as_u64(), value.describe()));
    match split {
        None | Some((Some(0 | 1), _)) => Ok(()),
        Some((_, count)) => Err(Error::unsupported(format!(
            "is one of {count} files (`split.count`), expected a model in one file: join them with `llama-gguf-split \
             --merge FIRST-00001-of-N.gguf OUT.gguf` of llama.cpp, and import OUT.gguf"
        ))),
    }
}

fn architecture<B: Bytes>(gguf: &Gguf<B>) -> Result<Architecture> {
    const EXPECTED: &str = "expected qwen2 or qwen3 (dense): take a model of Qwen2, Qwen2.5 or Qwen3";
    let Some(name) = gguf.string("general.architecture")? else {
        return Err(Error::metadata(format!("`general.architecture` is missing, {EXPECTED}")));
    };
    let found = Architecture::ALL.into_iter().find(|architecture| architecture.name() == name);
    found.ok_or_else(|| {
        Error::unsupported(format!("`general.architecture` is \"{}\", {EXPECTED}", shown(&name)))
    })
}

/// Refuses by key what would make another computation than the one implemented.
fn refuse_other_computations<B: Bytes>(keys: &Keys<'_, B>) -> Result<()> {
    if let Some(kind) = keys.gguf.string(&keys.key("rope.scaling.type"))?.filter(|kind| kind != "none") {
        let found = format!("\"{}\"", shown(&kind));
        return Err(keys.unsupported("rope.scaling.type", &found, "\"none\": positions are not scaled"));
    }
    // llama.cpp reads a factor of 0 as 1.
    for key in ["rope.scaling.factor", "rope.scale_linear"] {
        keys.expect(key, "1: positions are not scaled", |value| matches!(value.as_f64(), Some(0.0 | 1.0)))?;
    }
    for (key, expected) in [
        ("attention.sliding_window", "0: every token sees all before it"),
        ("expert_count", "0: a dense model"),
        ("pooling_type", "0: a model that writes text, not one of embeddings or ranks"),
    ] {
        keys.expect(key, expected, |value| value.as_u64() == Some(0))?;
    }
    keys.expect("attention.causal", "true", |value| value.as_bool() == Some(true))?;
    let version = keys.gguf.metadata().get("general.quantization_version");
    match version.filter(|version| version.as_u64() != Some(2)) {
        None => Ok(()),
        Some(found) => Err(Error::unsupported(format!(
            "`general.quantization_version` is {}, expected 2: take a newer file",
            found.describe()
        ))),
    }
}

fn sizes<B: Bytes>(keys: &Keys<'_, B>, architecture: Architecture) -> Result<Sizes> {
    let embedding = keys.gguf.tensor(EMBEDDING)?;
    let vocab_size = embedding.shape.first().copied().unwrap_or(0);
    if vocab_size > MAX_VOCAB_SIZE {
        let message =
            format!("tensor `{EMBEDDING}` has {vocab_size} rows, expected at most {MAX_VOCAB_SIZE}");
        return Err(Error::metadata(message));
    }
    keys.expect("vocab_size", &format!("the {vocab_size} rows of `{EMBEDDING}`"), |value| {
        value.as_u64() == Some(vocab_size)
    })?;
    let hidden_size = keys.size("embedding_length", MAX_HIDDEN_SIZE)?;
    let num_attention_heads = keys.size("attention.head_count", MAX_HEADS)?;
    let num_key_value_heads =
        keys.optional_size("attention.head_count_kv", MAX_HEADS)?.unwrap_or(num_attention_heads);
    if !num_attention_heads.is_multiple_of(num_key_value_heads) {
        return Err(keys.invalid(
            "attention.head_count_kv",
            &num_key_value_heads.to_string(),
            &format!("a divisor of the {num_attention_heads} heads"),
        ));
    }
    let even = hidden_size / num_attention_heads;
    let head_dim = keys.optional_size("attention.key_length", MAX_HEAD_DIM)?.unwrap_or(even);
    if !head_dim.is_multiple_of(2) || head_dim == 0 || head_dim > MAX_HEAD_DIM {
        let expected = format!("an even number of at most {MAX_HEAD_DIM}");
        return Err(keys.invalid("attention.key_length", &head_dim.to_string(), &expected));
    }
    if architecture == Architecture::Qwen2 && head_dim * num_attention_heads != hidden_size {
        let expected = format!("{hidden_size} / {num_attention_heads} heads, as Qwen2 has it");
        return Err(keys.invalid("attention.key_length", &head_dim.to_string(), &expected));
    }
    for key in ["attention.value_length", "rope.dimension_count"] {
        keys.expect(key, &format!("{head_dim}, the width of a key"), |value| {
            value.as_u64() == Some(head_dim)
        })?;
    }
    Ok(Sizes {
        vocab_size,
        hidden_size,
        intermediate_size: keys.size("feed_forward_length", MAX_INTERMEDIATE_SIZE)?,
        num_hidden_layers: keys.size("block_count", MAX_LAYERS)?,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
    })
}

/// Checks every tensor of the model, and that there is no other.
fn check_tensors<B: Bytes>(gguf: &Gguf<B>, architecture: Architecture, sizes: &Sizes) -> Result<()> {
    let mut expected: HashSet<String> = HashSet::new();
    let head = gguf.tensors().contains_key(HEAD).then(|| names::head(sizes));
    for tensor in names::tensors(architecture, sizes).chain(head) {
        let info = gguf.tensor(&tensor.source)?;
        if info.shape != tensor.shape {
            return Err(Error::metadata(format!(
                "tensor `{}` has the shape {:?} (slowest first), expected {:?} by the metadata: the file contradicts \
                 itself, take another",
                tensor.source, info.shape, tensor.shape
            )));
        }
        info.kind.check_read().map_err(|error| error.context(format_args!("tensor `{}`", tensor.source)))?;
        expected.insert(tensor.source);
    }
    let Some(other) = gguf.tensors().keys().find(|name| !expected.contains(*name)) else { return Ok(()) };
    Err(Error::unsupported(format!(
        "the tensor `{}` does not belong to a dense {architecture} of {} layers: it would be left out, and the model \
         would compute something else; take a plain file of the model",
        shown(other),
        sizes.num_hidden_layers
    )))
}

/// Decides what the output head is.
fn head<B: Bytes>(gguf: &Gguf<B>, options: Options) -> Result<Head> {
    let Some(head) = gguf.tensors().get(HEAD) else { return Ok(Head::Embedding) };
    if options.untied {
        return Ok(Head::Own { difference: None });
    }
    let compared = tying::compare(gguf, HEAD, EMBEDDING)?;
    let difference = compared.difference;
    if !compared.is_same {
        return Ok(Head::Own { difference: Some(difference) });
    }
    let is_head_finer = head.kind.rounding() <= gguf.tensor(EMBEDDING)?.kind.rounding();
    let (kept, dropped) = if is_head_finer { (HEAD, EMBEDDING) } else { (EMBEDDING, HEAD) };
    Ok(Head::Copies { kept, dropped, difference })
}

fn mapped(architecture: Architecture, sizes: &Sizes, head: &Head) -> Vec<Mapped> {
    let mut tensors: Vec<Mapped> = names::tensors(architecture, sizes).collect();
    match head {
        Head::Embedding => {}
        Head::Own { .. } => tensors.push(names::head(sizes)),
        // The embedding is the first.
        Head::Copies { kept, .. } => tensors[0].source = (*kept).to_owned(),
    }
    tensors
}
