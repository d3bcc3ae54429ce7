//! The factor of the learning rates over a run.

use std::f64::consts::PI;

use crate::config::{ScheduleConfig, ScheduleKind};

/// A schedule over a known number of steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    config: ScheduleConfig,
    total_steps: u64,
}

impl Schedule {
    /// The schedule of a run of `total_steps` steps.
    pub fn new(config: &ScheduleConfig, total_steps: u64) -> Self {
        Self { config: config.clone(), total_steps }
    }

    /// The factor at `step`, counted from 0.
    ///
    /// In the warm-up it is `(step + 1) / warmup_steps`: no step is lost on a rate of 0, and the last step of the warm-up
    /// has the full rate. Behind it the rate falls from 1 to `min_ratio`, which it would reach at `total_steps`, and
    /// stays there. A `wsd` schedule begins to fall `decay_fraction` of all steps before the end.
    pub fn factor(&self, step: u64) -> f64 {
        let ScheduleConfig { kind, warmup_steps, decay_fraction, min_ratio } = self.config;
        if step < warmup_steps {
            return (step + 1) as f64 / warmup_steps as f64;
        }
        let total = self.total_steps as f64;
        let warmup = (warmup_steps as f64).min(total);
        let start = match kind {
            ScheduleKind::Wsd => (total - decay_fraction * total).max(warmup),
            _ => warmup,
        };
        // 0 where it begins to fall, 1 at the end.
        let step = step as f64;
        let fallen = match (step < start, total > start) {
            (true, _) => 0.0,
            (false, true) => ((step - start) / (total - start)).min(1.0),
            (false, false) => 1.0,
        };
        let left = match kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Linear | ScheduleKind::Wsd => 1.0 - fallen,
            ScheduleKind::Cosine => (1.0 + (PI * fallen).cos()) / 2.0,
        };
        min_ratio + (1.0 - min_ratio) * left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(config: ScheduleConfig, total_steps: u64, expected: &[(u64, f64)]) {
        let schedule = Schedule::new(&config, total_steps);
        for &(step, factor) in expected {
            let found = schedule.factor(step);
            assert!((found - factor).abs() < 1e-12, "step {step}: {found}, expected {factor}");
        }
    }

    fn config(kind: ScheduleKind, warmup_steps: u64) -> ScheduleConfig {
        ScheduleConfig { kind, warmup_steps, decay_fraction: 0.2, min_ratio: 0.0 }
    }

    #[test]
    fn constant_is_constant_behind_the_warm_up() {
        check(config(ScheduleKind::Constant, 0), 10, &[(0, 1.0), (9, 1.0), (99, 1.0)]);
        check(config(ScheduleKind::Constant, 4), 10, &[(0, 0.25), (1, 0.5), (2, 0.75), (3, 1.0), (4, 1.0)]);
    }

    #[test]
    fn linear_falls_from_the_warm_up_to_the_end() {
        let linear = config(ScheduleKind::Linear, 2);
        check(
            linear.clone(),
            10,
            &[(0, 0.5), (1, 1.0), (2, 1.0), (3, 0.875), (6, 0.5), (9, 0.125), (10, 0.0), (11, 0.0)],
        );
        let linear = ScheduleConfig { min_ratio: 0.2, ..linear };
        check(linear, 10, &[(0, 0.5), (2, 1.0), (6, 0.6), (10, 0.2), (50, 0.2)]);
    }

    #[test]
    fn cosine_falls_along_half_a_wave() {
        let cosine = config(ScheduleKind::Cosine, 0);
        // cos(pi / 3) = 1 / 2.
        check(cosine.clone(), 12, &[(0, 1.0), (4, 0.75), (6, 0.5), (8, 0.25), (12, 0.0), (13, 0.0)]);
        let cosine = ScheduleConfig { min_ratio: 0.1, warmup_steps: 4, ..cosine };
        check(cosine, 16, &[(3, 1.0), (4, 1.0), (8, 0.775), (10, 0.55), (16, 0.1)]);
    }

    #[test]
    fn wsd_stays_then_falls() {
        let wsd = config(ScheduleKind::Wsd, 10);
        check(
            wsd.clone(),
            100,
            &[
                (4, 0.5),
                (9, 1.0),
                (10, 1.0),
                (79, 1.0),
                (80, 1.0),
                (85, 0.75),
                (90, 0.5),
                (99, 0.05),
                (100, 0.0),
            ],
        );
        // A decay that would begin in the warm-up begins behind it.
        check(ScheduleConfig { decay_fraction: 1.0, ..wsd.clone() }, 30, &[(9, 1.0), (10, 1.0), (20, 0.5)]);
        check(ScheduleConfig { decay_fraction: 0.0, min_ratio: 0.5, ..wsd }, 30, &[(29, 1.0), (30, 0.5)]);
    }

    #[test]
    fn a_warm_up_longer_than_the_run_goes_on_rising() {
        for kind in [ScheduleKind::Constant, ScheduleKind::Linear, ScheduleKind::Cosine, ScheduleKind::Wsd] {
            check(config(kind, 20), 10, &[(0, 0.05), (9, 0.5), (19, 1.0)]);
            assert!(Schedule::new(&config(kind, 0), 0).factor(0).is_finite());
        }
    }
}
