//! Training of aggregators on burn: SFT, GRPO and ParaGator.

pub mod parameters;
pub mod config;
pub mod error;
pub mod evaluate;
pub mod rollout;
#[cfg(test)]
mod scripted;
