//! Weights of 4 and 8 bits: choosing scales, packing, the error they make.
//!
//! A matrix `[rows, columns]` (row-major, as `torch.nn.Linear` and `torch.nn.Embedding` keep it: one row an output)
//! becomes whole numbers times scales, `w ~ scale * q`:
//!
//! - [`int4`]: q in -8..=7, one f16 scale for each 32 neighbours of a row: 4.5 bits a weight;
//! - [`int8`]: q in -127..=127, one f32 scale a row.
//!
//! Three levels choose q and scale, all for the same file format. Level 0 searches scales for the least squared error;
//! level 1 weights that error by the inputs' second moments; level 2 ([`gptq`]) lets each column make up for the
//! rounding of the columns before it. The format is the `pack-quantized` of compressed-tensors:
//! [`pack`](mod@pack) has its words, [`config`] its JSON. [`quality`] compares the logits of two models.
//!
//! Everything is plain arithmetic on one thread, in the same order on every platform. Rows do not depend on each other:
//! a host with several cores gives each some rows.

mod cholesky;
pub mod config;
mod error;
pub mod gptq;
pub mod int4;
pub mod int8;
pub mod pack;
pub mod quality;
mod search;

pub use error::{Error, Result};
