//! Training of aggregators on burn: SFT, GRPO and ParaGator.

pub mod parameters;
