//! Qwen2 and Qwen3 on a processor, on quantised weights, without a tensor library.
//!
//! A [`Model`] is matrices of four or eight bits or f32, repacked so that integer dot products run over eight outputs at
//! once; a [`Cache`] has rows of tokens; [`Model::forward`] appends tokens to rows, [`Model::logits`] is the head. Results
//! are the same bits on every processor, for any number of threads and however tokens are divided into passes. What is
//! not here: files, tokens as text, choosing a token.

mod attention;
mod cache;
mod elementwise;
mod error;
mod forward;
mod int4;
mod int8;
mod kernels;
mod lanes;
mod level;
mod matrix;
mod model;
mod observe;
mod product;
mod rotary;
mod shape;
mod threads;

pub use cache::Cache;
pub use error::Error;
pub use forward::{Activations, Output, Pass};
pub use int4::Int4Matrix;
pub use int8::Int8Matrix;
pub use level::Level;
pub use matrix::{F32Matrix, Matrix};
pub use model::{Layer, Linear, Model};
pub use observe::{Input, Moments, Observer};
pub use shape::Shape;
