//! Training of aggregators on burn: SFT, GRPO and ParaGator.

pub mod advantage;
pub mod config;
pub mod error;
pub mod evaluate;
pub mod log;
pub mod objective;
pub mod observer;
pub mod parameters;
pub mod reward;
pub mod rollout;
#[cfg(test)]
mod scripted;
pub mod start;
