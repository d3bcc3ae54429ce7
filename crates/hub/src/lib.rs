//! Models by name from a hub of the Hugging Face kind.
