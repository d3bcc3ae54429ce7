//! What a run shows and keeps while it lasts: the log, a live line (on a terminal) or a line now and then, and the wish
//! of whoever presses Ctrl-C.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use conclave_train::error::TrainError;
use conclave_train::log::{FILE_NAME, MetricsLog};
use conclave_train::observer::{Observer, StepMetrics, metric};
use indicatif::{HumanDuration, ProgressBar};

use crate::messages::say;
use crate::model::progress_bar;

/// Where nobody watches, a line at most so often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The observer of a run.
pub struct Recorder {
    path: PathBuf,
    /// Opened at the first numbers: they tell which step the run goes on behind.
    log: Option<MetricsLog>,
    resumed: bool,
    every: u64,
    steps: u64,
    bar: ProgressBar,
    /// When the first step was seen, and which it was.
    begun: Option<(Instant, u64)>,
    said: Option<Instant>,
    stop: Arc<AtomicBool>,
    failure: Option<TrainError>,
    evaluation: Option<StepMetrics>,
}

impl Recorder {
    /// For a run of `steps` steps in `folder` that logs every so many.
    pub fn new(folder: &Path, resumed: bool, steps: u64, every: u64, stop: Arc<AtomicBool>) -> Self {
        Self {
            path: folder.join(FILE_NAME),
            log: None,
            resumed,
            every,
            steps,
            bar: progress_bar(steps, "{pos}/{len} {bar:24} {msg}"),
            begun: None,
            said: None,
            stop,
            failure: None,
            evaluation: None,
        }
    }

    /// Ends the display.
    ///
    /// # Errors
    /// What kept the log from being written.
    pub fn finish(self) -> Result<Option<StepMetrics>, TrainError> {
        self.bar.finish_and_clear();
        self.failure.map_or(Ok(self.evaluation), Err)
    }

    fn write(&mut self, metrics: &StepMetrics) -> Result<(), TrainError> {
        let due =
            metrics.is_evaluation() || metrics.step.is_multiple_of(self.every) || metrics.step == self.steps;
        if self.log.is_none() {
            // What is behind the checkpoint is done again. An evaluation alone is about a step that was done before.
            let behind =
                if numbers(metrics).is_empty() { metrics.step } else { metrics.step.saturating_sub(1) };
            self.log = Some(MetricsLog::open(&self.path, if self.resumed { behind } else { 0 })?);
        }
        match &mut self.log {
            Some(log) if due => log.write(metrics),
            _ => Ok(()),
        }
    }

    fn show(&mut self, metrics: &StepMetrics) {
        let now = Instant::now();
        let (begun, first) = *self.begun.get_or_insert((now, metrics.step));
        if metrics.is_evaluation() {
            self.tell(&format!("step {}: {}", metrics.step, evaluation(metrics)));
            self.evaluation = Some(metrics.clone());
        }
        let mut parts = numbers(metrics);
        if parts.is_empty() {
            return;
        }
        let done = metrics.step.saturating_sub(first);
        let left = (done > 0).then(|| {
            let seconds = now.duration_since(begun).as_secs_f64() / done as f64;
            let left = Duration::from_secs_f64(seconds * self.steps.saturating_sub(metrics.step) as f64);
            format!("{} left", HumanDuration(left))
        });
        parts.extend(left);
        let text = parts.join(" · ");
        if self.bar.is_hidden() {
            let last = metrics.step == self.steps;
            if last || self.said.is_none_or(|said| now.duration_since(said) >= LINE_EVERY) {
                say(&format!("step {}/{}: {text}", metrics.step, self.steps));
                self.said = Some(now);
            }
        } else {
            self.bar.set_position(metrics.step);
            self.bar.set_message(text);
        }
    }

    /// A line that stays.
    fn tell(&self, text: &str) {
        self.bar.suspend(|| say(text));
    }
}

impl Observer for Recorder {
    fn step(&mut self, metrics: &StepMetrics) {
        if let Err(error) = self.write(metrics) {
            // A run whose numbers are lost is stopped; the trainer knows nothing of files of ours.
            self.failure.get_or_insert(error);
        }
        self.show(metrics);
    }

    fn message(&mut self, text: &str) {
        self.tell(text);
    }

    fn should_stop(&self) -> bool {
        self.failure.is_some() || self.stop.load(Ordering::Relaxed)
    }
}

/// The numbers of a step that fit a line.
fn numbers(metrics: &StepMetrics) -> Vec<String> {
    let shown: [(&str, &dyn Fn(f64) -> String); 7] = [
        (metric::LOSS, &|value| format!("loss {value:.4}")),
        (metric::REWARD, &|value| format!("reward {value:.3}")),
        (metric::KL, &|value| format!("kl {value:.4}")),
        (metric::ENTROPY, &|value| format!("entropy {value:.3}")),
        (metric::GRAD_NORM, &|value| format!("gradient {value:.2}")),
        (metric::LEARNING_RATE, &|value| format!("lr {value:.1e}")),
        (metric::TOKENS_PER_SECOND, &|value| format!("{value:.0} tokens/s")),
    ];
    shown.iter().filter_map(|(name, text)| metrics.get(name).map(text)).collect()
}

/// An evaluation in words.
fn evaluation(metrics: &StepMetrics) -> String {
    let percent = |value: f64| format!("{:.1} %", value * 100.0);
    let shown: [(&str, &str); 7] = [
        (metric::EVAL_ACCURACY, "held-out accuracy"),
        (metric::EVAL_MAJORITY, "majority"),
        (metric::EVAL_ORACLE, "any candidate"),
        (metric::EVAL_GAP_CLOSED, "gap closed"),
        (metric::EVAL_REGRESSIONS, "regressions"),
        (metric::EVAL_FLIP_RATE, "flip rate"),
        (metric::EVAL_LOSS, "held-out loss"),
    ];
    let text = |(name, words): &(&str, &str)| {
        let value = metrics.get(name)?;
        Some(format!(
            "{words} {}",
            if *name == metric::EVAL_LOSS { format!("{value:.4}") } else { percent(value) }
        ))
    };
    shown.iter().filter_map(text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_there_is() {
        let metrics = StepMetrics::new(3)
            .with(metric::LOSS, 0.51239)
            .with(metric::LEARNING_RATE, 1.5e-3)
            .with(metric::TOKENS_PER_SECOND, 4123.4);
        assert_eq!(numbers(&metrics).join(" · "), "loss 0.5124 · lr 1.5e-3 · 4123 tokens/s");
        let metrics = StepMetrics::new(3)
            .with(metric::EVAL_ACCURACY, 0.655)
            .with(metric::EVAL_MAJORITY, 0.538)
            .with(metric::EVAL_GAP_CLOSED, 0.44);
        assert_eq!(evaluation(&metrics), "held-out accuracy 65.5 %, majority 53.8 %, gap closed 44.0 %");
    }
}
