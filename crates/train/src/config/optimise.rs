//! `[schedule]`: how the learning rate changes over a run.

use serde::{Deserialize, Serialize};

/// `[schedule]`: a factor of the learning rates, over `train.steps`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Its course after the warm-up.
    pub kind: ScheduleKind,
    /// Steps in which the rate rises from 0.
    pub warmup_steps: u64,
    /// For `wsd`: the share of all steps at the end in which the rate falls.
    pub decay_fraction: f64,
    /// What is left of the rate at the end.
    pub min_ratio: f64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { kind: ScheduleKind::Cosine, warmup_steps: 0, decay_fraction: 0.2, min_ratio: 0.0 }
    }
}

/// The course of a schedule after its warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Stays.
    Constant,
    /// Falls in a straight line.
    Linear,
    /// Falls along half a cosine.
    Cosine,
    /// Stays, then falls in a straight line (warm-up, stable, decay).
    Wsd,
}
