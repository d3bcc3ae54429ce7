//! Training of aggregators on burn: SFT, GRPO and ParaGator.
