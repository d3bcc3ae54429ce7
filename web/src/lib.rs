//! The browser and edge host: what JavaScript can call, over the same crates that the native host uses.
//!
//! Votes and grades ([`answers`]) with what JavaScript gives to them ([`options`]), one kind of error for everything ([`error`])
//! and the start of the module ([`start`]).
//! With the feature `client`: candidates of live APIs ([`sample`]) over the host's `fetch` ([`fetch`]). With the feature
//! `model`, which the devices `webgpu` and `cpu` bring: a model on a device ([`engine`]), from files that JavaScript holds
//! ([`files`]) or of the package ([`builtin`]), and the tokenizer ([`tokenizer`]). Calls that take a while are told and asked things meanwhile
//! ([`callbacks`], [`pausing`]). What does not live here: anything that could be decided without JavaScript, and the
//! download and storage of models, which are TypeScript's (`package/`).
#![cfg(target_family = "wasm")]

pub mod answers;
#[cfg(feature = "model")]
pub mod builtin;
#[cfg(any(feature = "model", feature = "client"))]
pub mod callbacks;
#[cfg(feature = "model")]
pub mod device;
#[cfg(feature = "model")]
pub mod engine;
pub mod error;
#[cfg(feature = "client")]
pub mod fetch;
#[cfg(feature = "model")]
pub mod files;
pub mod options;
#[cfg(feature = "model")]
pub mod pausing;
#[cfg(feature = "model")]
mod proof;
#[cfg(feature = "client")]
pub mod sample;
pub mod start;
#[cfg(feature = "model")]
pub mod tokenizer;
