//! The browser and edge host: what JavaScript can call, over the same crates that the native host uses.
//!
//! Votes and grades ([`answers`]), one kind of error for everything ([`error`]) and the start of the module ([`start`]).
//! With the feature `model`, which the devices `webgpu` and `cpu` bring: a model on a device ([`engine`]), from files that
//! JavaScript holds ([`files`]), with what it is told and asked meanwhile ([`callbacks`], [`pausing`]), and the tokenizer
//! ([`tokenizer`]). What does not live here: anything that could be decided without JavaScript, and networks and
//! storage, which are TypeScript's (`package/`).
#![cfg(target_family = "wasm")]

pub mod answers;
#[cfg(feature = "model")]
pub mod callbacks;
#[cfg(feature = "model")]
pub mod device;
#[cfg(feature = "model")]
pub mod engine;
pub mod error;
#[cfg(feature = "model")]
pub mod files;
#[cfg(feature = "model")]
pub mod pausing;
#[cfg(feature = "model")]
mod proof;
pub mod start;
#[cfg(feature = "model")]
pub mod tokenizer;
