//! `config.json` of a Qwen2 or a dense Qwen3 model: read without trust in either dialect, checked, written.
//!
//! Field names are the keys of `config.json`. What is neither, or asks for something that is not implemented
//! (sliding windows, scaled rotary positions, quantised weights), is refused by key and value. The two dialects are
//! `rope_theta` at top level (transformers 4) and `rope_parameters: {rope_theta, rope_type}` (transformers 5).
//! Reading the file, and the shapes of single weights, are not here.

mod keys;
mod presets;

use crate::error::{Error, Result};
use crate::safetensors::Dtype;
use conclave_quantize::config::QuantizationConfig;
use keys::Keys;
use serde_json::{Map, Value, json};

/// Which of the two architectures a model has. They share all but four things: Qwen2 has biases on queries, keys and values;
/// Qwen3 has none of them (or, with `attention_bias`, one on each projection of the attention), norms each head's query and
/// key before they are rotated, and names the width of its heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelType {
    /// `"qwen2"`, which Qwen2.5 is too.
    Qwen2,
    /// `"qwen3"`, without experts.
    Qwen3,
}

impl ModelType {
    /// As `model_type` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }

    /// The language model of it, as `architectures` has it.
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
        }
    }
}

/// The sizes and constants of a Qwen2 or Qwen3 model; every value is within the bounds below, so sums of products of them
/// cannot overflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Qwen2Config {
    /// The architecture.
    pub model_type: ModelType,
    /// Rows of the embedding table; may be more than the tokenizer has ids.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Width of one head where it is not `hidden_size / num_attention_heads`; see [`head_dim`](Self::head_dim).
    pub head_dim: Option<usize>,
    /// Whether a Qwen3 has biases on the four projections of its attention. A Qwen2 always has those on three of them.
    pub attention_bias: bool,
    /// Longest sequence the model was made for, in tokens.
    pub max_position_embeddings: usize,
    /// Added to the mean square in every RMS norm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Whether the output head is the embedding table.
    pub tie_word_embeddings: bool,
    /// Ids that end a completion, from `config.json` and `generation_config.json`, ascending.
    pub eos_token_ids: Vec<u32>,
    /// First id of a text, where the model has one; only passed through.
    pub bos_token_id: Option<u32>,
    /// Filling id, where the model has one; only passed through.
    pub pad_token_id: Option<u32>,
}

const MAX_VOCAB_SIZE: usize = 1 << 24;
const MAX_HIDDEN_SIZE: usize = 1 << 17;
const MAX_INTERMEDIATE_SIZE: usize = 1 << 19;
const MAX_LAYERS: usize = 1 << 10;
const MAX_HEADS: usize = 1 << 10;
const MAX_HEAD_DIM: usize = 1 << 10;
const MAX_POSITIONS: usize = 1 << 24;
const MAX_EOS_TOKENS: usize = 64;

impl Qwen2Config {
    /// Reads `config.json` and, where there is one, `generation_config.json` (for its `eos_token_id`).
    ///
    /// # Errors
    /// Names the key, its value and what is supported: [`ErrorKind::Config`](crate::error::ErrorKind::Config) for
    /// what is missing or contradictory, `Unsupported` for what is not implemented, `Format` for what is not JSON.
    pub fn from_json(config: &str, generation_config: Option<&str>) -> Result<Self> {
        let keys = Keys::parse("config.json", config)?;
        let model_type = model_type(&keys)?;
        refuse_other_models(&keys)?;
        let num_attention_heads = keys.size("num_attention_heads", MAX_HEADS)?;
        let mut config = Self {
            model_type,
            vocab_size: keys.size("vocab_size", MAX_VOCAB_SIZE)?,
            hidden_size: keys.size("hidden_size", MAX_HIDDEN_SIZE)?,
            intermediate_size: keys.size("intermediate_size", MAX_INTERMEDIATE_SIZE)?,
            num_hidden_layers: keys.size("num_hidden_layers", MAX_LAYERS)?,
            num_attention_heads,
            // The defaults below are transformers' own.
            num_key_value_heads: match model_type {
                ModelType::Qwen2 => keys.size_or("num_key_value_heads", MAX_HEADS, num_attention_heads)?,
                ModelType::Qwen3 => keys.size_or("num_key_value_heads", MAX_HEADS, 32)?,
            },
            head_dim: match model_type {
                ModelType::Qwen2 => keys.optional_size("head_dim", MAX_HEAD_DIM)?,
                ModelType::Qwen3 => Some(keys.size_or("head_dim", MAX_HEAD_DIM, 128)?),
            },
            attention_bias: model_type == ModelType::Qwen3 && keys.flag("attention_bias")?.unwrap_or(false),
            max_position_embeddings: keys.size_or("max_position_embeddings", MAX_POSITIONS, 32_768)?,
            rms_norm_eps: keys.number("rms_norm_eps")?.unwrap_or(1e-6),
            rope_theta: rope_theta(&keys)?,
            tie_word_embeddings: keys.flag("tie_word_embeddings")?.unwrap_or(false),
            eos_token_ids: keys.token_ids("eos_token_id")?,
            bos_token_id: keys.optional_token_id("bos_token_id"),
            pad_token_id: keys.optional_token_id("pad_token_id"),
        };
        if let Some(text) = generation_config {
            config
                .eos_token_ids
                .extend(Keys::parse("generation_config.json", text)?.token_ids("eos_token_id")?);
        }
        config.eos_token_ids.sort_unstable();
        config.eos_token_ids.dedup();
        config.head_dim = config.head_dim.filter(|width| width * num_attention_heads != config.hidden_size);
        config.validate()?;
        Ok(config)
    }

    /// Width of one head: the field of this name, else `hidden_size / num_attention_heads`.
    pub fn head_dim(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads)
    }

    /// Width of all query heads together: `num_attention_heads * head_dim`.
    pub fn query_size(&self) -> usize {
        self.num_attention_heads * self.head_dim()
    }

    /// Width of all key (or all value) heads together: `num_key_value_heads * head_dim`.
    pub fn kv_size(&self) -> usize {
        self.num_key_value_heads * self.head_dim()
    }

    /// Whether the projections to queries, keys and values have biases.
    pub fn has_input_bias(&self) -> bool {
        self.model_type == ModelType::Qwen2 || self.attention_bias
    }

    /// Whether the attention's output projection has a bias.
    pub fn has_output_bias(&self) -> bool {
        self.model_type == ModelType::Qwen3 && self.attention_bias
    }

    /// Whether each head's query and key are normed (`q_norm`, `k_norm`).
    pub fn has_head_norms(&self) -> bool {
        self.model_type == ModelType::Qwen3
    }

    /// Number of trained numbers; a tied head counts once.
    pub fn num_parameters(&self) -> u64 {
        let [vocab, hidden, inner] =
            [self.vocab_size, self.hidden_size, self.intermediate_size].map(|n| n as u64);
        let [query, kv, head] = [self.query_size(), self.kv_size(), self.head_dim()].map(|n| n as u64);
        let when = |has: bool, count: u64| if has { count } else { 0 };
        let biases = when(self.has_input_bias(), query + 2 * kv) + when(self.has_output_bias(), hidden);
        let attention = 2 * (query + kv) * hidden + biases + when(self.has_head_norms(), 2 * head);
        let layer = attention + 3 * hidden * inner + 2 * hidden;
        let tables = if self.tie_word_embeddings { 1 } else { 2 };
        tables * vocab * hidden + self.num_hidden_layers as u64 * layer + hidden
    }

    /// Checks what has to hold between the values, for a configuration made by hand too.
    ///
    /// # Errors
    /// Names the key, its value and what is supported.
    pub fn validate(&self) -> Result<()> {
        for (key, value, most) in [
            ("vocab_size", self.vocab_size, MAX_VOCAB_SIZE),
            ("hidden_size", self.hidden_size, MAX_HIDDEN_SIZE),
            ("intermediate_size", self.intermediate_size, MAX_INTERMEDIATE_SIZE),
            ("num_hidden_layers", self.num_hidden_layers, MAX_LAYERS),
            ("num_attention_heads", self.num_attention_heads, MAX_HEADS),
            ("num_key_value_heads", self.num_key_value_heads, MAX_HEADS),
            ("max_position_embeddings", self.max_position_embeddings, MAX_POSITIONS),
        ] {
            if !(1..=most).contains(&value) {
                return Err(invalid(key, value, &format!("a whole number from 1 to {most}")));
            }
        }
        let Self { hidden_size, num_attention_heads: heads, num_key_value_heads: kv_heads, .. } = *self;
        if self.head_dim.is_none() && !hidden_size.is_multiple_of(heads) {
            return Err(invalid(
                "hidden_size",
                hidden_size,
                &format!("a multiple of num_attention_heads = {heads}"),
            ));
        }
        if !heads.is_multiple_of(kv_heads) {
            return Err(invalid(
                "num_key_value_heads",
                kv_heads,
                &format!("a divisor of num_attention_heads = {heads}"),
            ));
        }
        // Rotary positions turn the two halves of a head against each other.
        if let Some(width) = self.head_dim
            && !(width.is_multiple_of(2) && (2..=MAX_HEAD_DIM).contains(&width))
        {
            return Err(invalid("head_dim", width, &format!("an even number from 2 to {MAX_HEAD_DIM}")));
        }
        if !self.head_dim().is_multiple_of(2) || self.head_dim() > MAX_HEAD_DIM {
            let expected = format!("an even hidden_size / num_attention_heads of at most {MAX_HEAD_DIM}");
            return Err(invalid("hidden_size", format!("{hidden_size} with {heads} heads"), &expected));
        }
        if !(self.rms_norm_eps > 0.0 && self.rms_norm_eps < 1.0) {
            return Err(invalid("rms_norm_eps", self.rms_norm_eps, "a number between 0 and 1, such as 1e-6"));
        }
        if !(1.0..=1e12).contains(&self.rope_theta) {
            return Err(invalid("rope_theta", self.rope_theta, "a number from 1 to 1e12, such as 1000000.0"));
        }
        if self.eos_token_ids.len() > MAX_EOS_TOKENS {
            let count = format!("a list of {}", self.eos_token_ids.len());
            return Err(invalid("eos_token_id", count, &format!("at most {MAX_EOS_TOKENS} ids")));
        }
        match self.eos_token_ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            Some(id) => {
                Err(invalid("eos_token_id", id, &format!("ids below vocab_size = {}", self.vocab_size)))
            }
            None => Ok(()),
        }
    }

    /// `config.json` in the dialect every release of transformers reads, for weights stored as `dtype`.
    pub fn to_json(&self, dtype: Dtype) -> String {
        let mut config = json!({
            "architectures": [self.model_type.architecture()],
            "attention_dropout": 0.0,
            "bos_token_id": self.bos_token_id,
            "eos_token_id": eos_value(&self.eos_token_ids),
            "hidden_act": "silu",
            "hidden_size": self.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings,
            "max_window_layers": self.num_hidden_layers,
            "model_type": self.model_type.name(),
            "num_attention_heads": self.num_attention_heads,
            "num_hidden_layers": self.num_hidden_layers,
            "num_key_value_heads": self.num_key_value_heads,
            "pad_token_id": self.pad_token_id,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "sliding_window": null,
            "tie_word_embeddings": self.tie_word_embeddings,
            "torch_dtype": dtype.torch_name(),
            "use_cache": true,
            "use_sliding_window": false,
            "vocab_size": self.vocab_size,
        });
        // Qwen3 has a default of its own that has nothing to do with the other sizes.
        if self.head_dim.is_some() || self.model_type == ModelType::Qwen3 {
            config["head_dim"] = self.head_dim().into();
        }
        if self.model_type == ModelType::Qwen3 {
            config["attention_bias"] = self.attention_bias.into();
        }
        format!("{config:#}\n")
    }

    /// `generation_config.json`: the stop ids once more, where transformers looks for them when it generates.
    pub fn generation_config_json(&self) -> String {
        let mut config = Map::new();
        for (key, id) in [("bos_token_id", self.bos_token_id), ("pad_token_id", self.pad_token_id)] {
            if let Some(id) = id {
                config.insert(key.into(), id.into());
            }
        }
        config.insert("do_sample".into(), false.into());
        config.insert("eos_token_id".into(), eos_value(&self.eos_token_ids));
        format!("{:#}\n", Value::Object(config))
    }
}

/// The architecture, by both keys that name it.
fn model_type(keys: &Keys) -> Result<ModelType> {
    const SUPPORTED: &str = "\"qwen2\" or \"qwen3\"";
    let Some(name) = keys.get("model_type") else { return Err(keys.missing("model_type", SUPPORTED)) };
    let model_type = [ModelType::Qwen2, ModelType::Qwen3].into_iter().find(|known| name == known.name());
    let Some(model_type) = model_type else { return Err(keys.unsupported("model_type", SUPPORTED)) };
    // A classifier or a reward model has the same layers and another head. Some trainers put a word of their own in front of
    // the class (`FSDPQwen2ForCausalLM`).
    let is_ours =
        |class: &Value| class.as_str().is_some_and(|class| class.ends_with(model_type.architecture()));
    match keys.get("architectures") {
        Some(Value::Array(classes)) if !classes.is_empty() && !classes.iter().any(is_ours) => {
            let supported = format!("[\"{}\"], a language model with its head", model_type.architecture());
            Err(keys.unsupported("architectures", &supported))
        }
        _ => Ok(model_type),
    }
}

/// Refuses by name every key whose value would make another computation than the one implemented.
fn refuse_other_models(keys: &Keys) -> Result<()> {
    if keys.get("hidden_act").is_some_and(|act| act != "silu") {
        return Err(keys.unsupported("hidden_act", "\"silu\""));
    }
    for key in ["use_sliding_window", "use_mrope"] {
        if keys.flag(key)? == Some(true) {
            return Err(keys.unsupported(key, "false"));
        }
    }
    if let Some(types) = keys.get("layer_types") {
        let full = |kind: &Value| kind == "full_attention";
        if !types.as_array().is_some_and(|types| types.iter().all(full)) {
            return Err(keys.unsupported("layer_types", "a list of \"full_attention\" only"));
        }
    }
    quantization_of(keys).map(|_| ())
}

/// How the weights are quantised, by the text of `config.json`; nothing where they are not.
///
/// # Errors
/// What is not JSON; any other quantisation than [`conclave_quantize::config`] reads, by key and value.
pub fn quantization(config: &str) -> Result<Option<QuantizationConfig>> {
    quantization_of(&Keys::parse("config.json", config)?)
}

fn quantization_of(keys: &Keys) -> Result<Option<QuantizationConfig>> {
    let Some(found) = keys.get("quantization_config") else { return Ok(None) };
    let wrong = |error| Error::unsupported(format!("config.json: `quantization_config`: {error}"));
    QuantizationConfig::from_json(found).map(Some).map_err(wrong)
}

/// The rotary base of either dialect; anything but plain rotary positions is refused.
fn rope_theta(keys: &Keys) -> Result<f64> {
    const TRANSFORMERS_DEFAULT: f64 = 10_000.0;
    let mut nested = None;
    for key in ["rope_scaling", "rope_parameters"] {
        let Some(value) = keys.get(key) else { continue };
        let Value::Object(rope) = value else {
            return Err(keys.unsupported(key, "null or an object with rope_type \"default\""));
        };
        let kind =
            ["rope_type", "type"].iter().find_map(|name| rope.get(*name).filter(|kind| !kind.is_null()));
        // A scaled rope always carries its factor; a rope by layer type has objects inside.
        let plain = kind.is_none_or(|kind| kind == "default")
            && rope.get("factor").is_none_or(Value::is_null)
            && !rope.values().any(Value::is_object);
        if !plain {
            return Err(keys.unsupported(key, "rope_type \"default\" (no scaling)"));
        }
        let inner = Keys { file: keys.file, map: rope.clone() };
        match inner.number("rope_theta")? {
            Some(theta) if nested.is_some_and(|other| other != theta) => {
                return Err(keys.contradiction(key, theta));
            }
            theta => nested = theta.or(nested),
        }
    }
    match (keys.number("rope_theta")?, nested) {
        (Some(top), Some(nested)) if top != nested => Err(keys.contradiction("rope_theta", nested)),
        (top, nested) => Ok(nested.or(top).unwrap_or(TRANSFORMERS_DEFAULT)),
    }
}

/// One id as a number, several as a list, none as null: as transformers writes it.
fn eos_value(ids: &[u32]) -> Value {
    match ids {
        [] => Value::Null,
        [id] => (*id).into(),
        ids => ids.into(),
    }
}

fn invalid(key: &str, value: impl std::fmt::Display, expected: &str) -> Error {
    Error::config(format!("config.json: `{key}` is {value}, expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// Qwen2.5-0.5B's own file, in the dialect of transformers 4.
    const QWEN2_5_0_5B: &str = r#"{
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
        "eos_token_id": 151643, "hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02,
        "intermediate_size": 4864, "max_position_embeddings": 32768, "max_window_layers": 24,
        "model_type": "qwen2", "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true,
        "torch_dtype": "bfloat16", "transformers_version": "4.40.1", "use_cache": true, "use_mrope": false,
        "use_sliding_window": false, "vocab_size": 151936 }"#;

    /// `QWEN2_5_0_5B` with `key` set to `value` (JSON).
    fn with(key: &str, value: &str) -> String {
        let mut config: Map<String, Value> = serde_json::from_str(QWEN2_5_0_5B).unwrap();
        config.insert(key.into(), serde_json::from_str(value).unwrap());
        serde_json::to_string(&config).unwrap()
    }

    #[track_caller]
    fn check_refused(key: &str, value: &str, kind: ErrorKind) {
        let error = Qwen2Config::from_json(&with(key, value), None).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(&format!("`{key}`")), "the key is not named: {error}");
    }

    #[test]
    fn the_published_file_is_the_preset() {
        assert_eq!(Qwen2Config::from_json(QWEN2_5_0_5B, None).unwrap(), Qwen2Config::qwen2_5_0_5b());
    }

    #[test]
    fn stop_ids_come_from_both_files() {
        let generation = r#"{"eos_token_id": [151645, 151643], "temperature": 0.7}"#;
        let config = Qwen2Config::from_json(QWEN2_5_0_5B, Some(generation)).unwrap();
        assert_eq!(config.eos_token_ids, [151_643, 151_645]);
        let none = Qwen2Config::from_json(&with("eos_token_id", "null"), None).unwrap();
        assert!(none.eos_token_ids.is_empty());
        check_refused("eos_token_id", "151936", ErrorKind::Config);
        check_refused("eos_token_id", "-1", ErrorKind::Config);
        check_refused("eos_token_id", "[1, \"2\"]", ErrorKind::Config);
    }

    #[test]
    fn both_dialects_of_the_rotary_base() {
        let theta =
            |key: &str, value: &str| Qwen2Config::from_json(&with(key, value), None).unwrap().rope_theta;
        assert_eq!(theta("rope_theta", "10000"), 10_000.0);
        assert_eq!(theta("rope_scaling", "null"), 1e6);
        assert_eq!(theta("rope_parameters", r#"{"rope_theta": 1e6, "rope_type": "default"}"#), 1e6);
        let both = Qwen2Config::from_json(&with("rope_parameters", r#"{"rope_theta": 5}"#), None);
        assert!(
            both.unwrap_err().to_string().ends_with("rope_theta 5 contradict each other: keep one of them")
        );
        let nested = with("rope_theta", "null").replace(
            "\"rope_theta\":null",
            r#""rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}"#,
        );
        assert_eq!(Qwen2Config::from_json(&nested, None).unwrap().rope_theta, 5e5);
    }

    #[test]
    fn what_is_not_implemented_is_refused_by_name() {
        use ErrorKind::Unsupported;
        check_refused("model_type", "\"llama\"", Unsupported);
        check_refused("hidden_act", "\"gelu\"", Unsupported);
        check_refused("use_sliding_window", "true", Unsupported);
        check_refused("use_mrope", "true", Unsupported);
        check_refused("rope_scaling", r#"{"type": "yarn", "factor": 4.0}"#, Unsupported);
        check_refused("rope_scaling", r#"{"factor": 4.0}"#, Unsupported);
        check_refused(
            "rope_parameters",
            r#"{"rope_theta": 1e6, "rope_type": "linear", "factor": 2}"#,
            Unsupported,
        );
        check_refused("rope_parameters", r#"{"full_attention": {"rope_theta": 1e6}}"#, Unsupported);
        check_refused("layer_types", r#"["full_attention", "sliding_attention"]"#, Unsupported);
        check_refused("quantization_config", r#"{"quant_method": "gptq"}"#, Unsupported);
        check_refused("architectures", r#"["Qwen2ForSequenceClassification"]"#, Unsupported);
        check_refused("architectures", r#"["Qwen3ForCausalLM"]"#, Unsupported);
        for tolerated in ["null", "[]", r#"["FSDPQwen2ForCausalLM"]"#, "7"] {
            Qwen2Config::from_json(&with("architectures", tolerated), None).unwrap();
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused_by_name() {
        for key in
            ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"]
        {
            for value in ["0", "-1", "1.5", "\"896\"", "18446744073709551615", "99999999999999999999999"] {
                check_refused(key, value, ErrorKind::Config);
            }
        }
        for value in ["0", "63", "1026", "1.5"] {
            check_refused("head_dim", value, ErrorKind::Config);
        }
        check_refused("hidden_size", "900", ErrorKind::Config);
        check_refused("hidden_size", "42", ErrorKind::Config);
        check_refused("num_key_value_heads", "3", ErrorKind::Config);
        check_refused("rms_norm_eps", "0", ErrorKind::Config);
        check_refused("rope_theta", "-5", ErrorKind::Config);
        let missing = QWEN2_5_0_5B.replace("hidden_size", "hidden_sizes");
        let error = Qwen2Config::from_json(&missing, None).unwrap_err().to_string();
        assert_eq!(error, "config.json: `hidden_size` is missing, expected a whole number from 1 to 131072");
    }

    /// Qwen3-0.6B's own file.
    const QWEN3_0_6B: &str = r#"{
        "architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024,
        "initializer_range": 0.02, "intermediate_size": 3072, "max_position_embeddings": 40960,
        "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16, "num_hidden_layers": 28,
        "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000,
        "sliding_window": null, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
        "transformers_version": "4.51.0", "use_cache": true, "use_sliding_window": false, "vocab_size": 151936 }"#;

    #[test]
    fn a_qwen3_names_the_width_of_its_heads() {
        let config = Qwen2Config::from_json(QWEN3_0_6B, None).unwrap();
        assert_eq!(config, Qwen2Config::qwen3_0_6b());
        assert_eq!((config.head_dim(), config.query_size(), config.kv_size()), (128, 2_048, 1_024));
        assert_eq!(config.num_parameters(), 596_049_920);
        let without = QWEN3_0_6B.replace("\"head_dim\": 128,", "").replace("\"num_key_value_heads\": 8,", "");
        let defaults = Qwen2Config::from_json(
            &without.replace("\"num_attention_heads\": 16", "\"num_attention_heads\": 32"),
            None,
        );
        let defaults = defaults.unwrap();
        assert_eq!((defaults.head_dim(), defaults.num_key_value_heads), (128, 32), "transformers' defaults");
        for (attention_bias, more) in [(false, 0), (true, 28 * (2_048 + 2 * 1_024 + 1_024))] {
            let biased = Qwen2Config { attention_bias, ..config.clone() };
            assert_eq!(biased.num_parameters(), config.num_parameters() + more);
            assert_eq!(Qwen2Config::from_json(&biased.to_json(Dtype::F32), None).unwrap(), biased);
        }
    }

    #[test]
    fn the_width_of_a_head_is_written_where_it_cannot_be_told() {
        let config = Qwen2Config::from_json(&with("head_dim", "128"), None).unwrap();
        assert_eq!((config.head_dim, config.query_size()), (Some(128), 14 * 128));
        assert_eq!(Qwen2Config::from_json(&config.to_json(Dtype::F32), None).unwrap(), config);
        assert_eq!(Qwen2Config::from_json(&with("head_dim", "64"), None).unwrap().head_dim, None);
        // Another number of heads than fits the width is no contradiction then.
        let fifteen = Qwen2Config { num_attention_heads: 15, num_key_value_heads: 3, ..config };
        fifteen.validate().unwrap();
    }

    #[test]
    fn what_is_not_json_is_a_format_error() {
        for text in ["", "[]", "{\"vocab_size\": 1", "null"] {
            assert_eq!(Qwen2Config::from_json(text, None).unwrap_err().kind(), ErrorKind::Format, "{text:?}");
        }
    }

    #[test]
    fn the_largest_sizes_do_not_overflow() {
        let config = Qwen2Config {
            vocab_size: MAX_VOCAB_SIZE,
            hidden_size: MAX_HIDDEN_SIZE,
            intermediate_size: MAX_INTERMEDIATE_SIZE,
            num_hidden_layers: MAX_LAYERS,
            num_attention_heads: MAX_HEADS,
            num_key_value_heads: MAX_HEADS,
            tie_word_embeddings: false,
            ..Qwen2Config::qwen2_5_3b()
        };
        config.validate().unwrap();
        assert!(config.num_parameters() > 1 << 40);
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut config = Qwen2Config::preset("tiny", 300).unwrap();
        config.eos_token_ids = vec![3, 7];
        config.bos_token_id = Some(1);
        let generation = config.generation_config_json();
        let written = config.to_json(Dtype::BF16);
        assert_eq!(Qwen2Config::from_json(&written, Some(&generation)).unwrap(), config);
        assert_eq!(Qwen2Config::from_json(&written, None).unwrap(), config);
        assert!(written.contains(r#""torch_dtype": "bfloat16""#), "{written}");
    }
}
