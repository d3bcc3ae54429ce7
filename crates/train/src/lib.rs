//! Training of aggregators on burn: SFT, GRPO and ParaGator.

pub mod advantage;
pub mod allocator;
pub mod attention;
pub mod batch;
pub mod checkpoint;
pub mod config;
pub mod data;
pub mod error;
pub mod evaluate;
pub mod flush_to_zero;
pub mod gradients;
pub mod grpo;
mod host;
pub mod layer;
pub mod log;
pub mod lora;
pub mod network;
pub mod objective;
pub mod observer;
pub mod optimizer;
pub mod paragator;
pub mod parameters;
pub mod policy;
mod processor;
pub mod reward;
pub mod rollout;
pub mod rounds;
pub mod schedule;
#[cfg(test)]
mod scripted;
pub mod sft;
pub mod start;
pub mod trainer;
pub mod vocabulary;
pub mod workers;

pub use error::{Result, TrainError};
