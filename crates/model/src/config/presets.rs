//! Configurations by name: the sizes of published Qwen2.5 and Qwen3 models, and one small enough to train in minutes.

use super::{ModelType, Qwen2Config};
use crate::error::{Error, Result};

impl Qwen2Config {
    /// The names that [`preset`](Self::preset) knows.
    pub const PRESETS: [&str; 5] = ["qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-3b", "qwen3-0.6b", "tiny"];

    /// A configuration by name; `tokenizer_size` (highest id + 1) is the vocabulary of `tiny`, the published sizes
    /// have their own. The short names `1.5b` and `3b` are taken too.
    ///
    /// # Errors
    /// An unknown name, or a tokenizer larger than the preset's vocabulary.
    pub fn preset(name: &str, tokenizer_size: usize) -> Result<Self> {
        let config = match name.strip_prefix("qwen2.5-").unwrap_or(name) {
            "0.5b" => Self::qwen2_5_0_5b(),
            "1.5b" => Self::qwen2_5_1_5b(),
            "3b" => Self::qwen2_5_3b(),
            "qwen3-0.6b" => Self::qwen3_0_6b(),
            "tiny" => Self::tiny(tokenizer_size),
            _ => {
                let known = Self::PRESETS.join(", ");
                return Err(Error::input(format!("unknown preset `{name}`, expected one of {known}")));
            }
        };
        config.validate()?;
        if tokenizer_size > config.vocab_size {
            let message =
                format!("preset `{name}` has {} ids, the tokenizer {tokenizer_size}", config.vocab_size);
            return Err(Error::tokenizer(message + ": use another preset or its own tokenizer"));
        }
        Ok(config)
    }

    /// Qwen2.5-0.5B: 494,032,768 parameters.
    pub fn qwen2_5_0_5b() -> Self {
        Self::qwen2_5(24, 896, 4_864, 14, 2)
    }

    /// Qwen2.5-1.5B: 1,543,714,304 parameters.
    pub fn qwen2_5_1_5b() -> Self {
        Self::qwen2_5(28, 1_536, 8_960, 12, 2)
    }

    /// Qwen2.5-3B: 3,085,938,688 parameters.
    pub fn qwen2_5_3b() -> Self {
        Self::qwen2_5(36, 2_048, 11_008, 16, 2)
    }

    /// Qwen3-0.6B: 596,049,920 parameters.
    pub fn qwen3_0_6b() -> Self {
        Self {
            model_type: ModelType::Qwen3,
            head_dim: Some(128),
            max_position_embeddings: 40_960,
            eos_token_ids: vec![151_645],
            ..Self::qwen2_5(28, 1_024, 3_072, 16, 8)
        }
    }

    /// Four layers of width 128, for tests, demonstrations and training on a CPU. It has no stop ids: they are the
    /// tokenizer's to name.
    pub fn tiny(vocab_size: usize) -> Self {
        Self {
            model_type: ModelType::Qwen2,
            vocab_size,
            hidden_size: 128,
            intermediate_size: 384,
            num_hidden_layers: 4,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: None,
            attention_bias: false,
            max_position_embeddings: 1_024,
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            tie_word_embeddings: true,
            eos_token_ids: Vec::new(),
            bos_token_id: None,
            pad_token_id: None,
        }
    }

    fn qwen2_5(layers: usize, hidden: usize, inner: usize, heads: usize, kv_heads: usize) -> Self {
        const END_OF_TEXT: u32 = 151_643;
        Self {
            model_type: ModelType::Qwen2,
            vocab_size: 151_936,
            hidden_size: hidden,
            intermediate_size: inner,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: kv_heads,
            head_dim: None,
            attention_bias: false,
            max_position_embeddings: 32_768,
            rms_norm_eps: 1e-6,
            rope_theta: 1_000_000.0,
            tie_word_embeddings: true,
            eos_token_ids: vec![END_OF_TEXT],
            bos_token_id: Some(END_OF_TEXT),
            pad_token_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn the_published_totals() {
        assert_eq!(Qwen2Config::qwen2_5_0_5b().num_parameters(), 494_032_768);
        assert_eq!(Qwen2Config::qwen2_5_1_5b().num_parameters(), 1_543_714_304);
        assert_eq!(Qwen2Config::qwen2_5_3b().num_parameters(), 3_085_938_688);
        let untied = Qwen2Config { tie_word_embeddings: false, ..Qwen2Config::qwen2_5_0_5b() };
        assert_eq!(untied.num_parameters(), 494_032_768 + 151_936 * 896);
    }

    #[test]
    fn presets_by_name() {
        for name in Qwen2Config::PRESETS {
            assert!(Qwen2Config::preset(name, 1_000).is_ok(), "{name}");
        }
        assert_eq!(Qwen2Config::preset("1.5b", 151_665).unwrap(), Qwen2Config::qwen2_5_1_5b());
        assert_eq!(Qwen2Config::preset("7b", 1_000).unwrap_err().kind(), ErrorKind::Input);
        assert_eq!(Qwen2Config::preset("3b", 200_000).unwrap_err().kind(), ErrorKind::Tokenizer);
        assert_eq!(Qwen2Config::preset("tiny", 0).unwrap_err().kind(), ErrorKind::Config);
    }
}
