//! GGUF files: what is in them, their numbers, and what their metadata says of a model.
