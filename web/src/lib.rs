//! The browser and edge host: what JavaScript can call, over the same crates that the native host uses.
//!
//! Votes and grades ([`answers`]), the tokenizer ([`tokenizer`]), one kind of error for all of them ([`error`]) and the
//! start of the module ([`start`]). What does not live here: anything that could be decided without JavaScript.
#![cfg(target_family = "wasm")]

pub mod answers;
pub mod error;
pub mod start;
pub mod tokenizer;
