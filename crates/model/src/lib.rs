//! The Qwen2 language model on burn.
