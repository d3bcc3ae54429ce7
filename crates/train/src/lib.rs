//! Training of aggregators on burn: SFT, GRPO and ParaGator.

pub mod parameters;
pub mod config;
pub mod error;
