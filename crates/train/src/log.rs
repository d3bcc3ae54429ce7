//! The log of a run: `metrics.jsonl`, a line of numbers a step, appended as the steps are done.
//!
//! A run that goes on from a checkpoint drops the lines behind it: those steps are done again, and a step has one line.
//! Event files for TensorBoard are not written: the crates that can (tensorboard-rs, of 2022 and declared inactive by its
//! author; tfrecord) are not kept any more. What the numbers are called is in [`metric`](crate::observer::metric).

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use conclave_disk::AppendedLog;
use serde_json::Value;

use crate::error::{Result, TrainError};
use crate::observer::StepMetrics;

/// Name of the log in the folder of a run.
pub const FILE_NAME: &str = "metrics.jsonl";

/// A log that is being written.
#[derive(Debug)]
pub struct MetricsLog(AppendedLog);

impl MetricsLog {
    /// Opens the log at `path` for a run that goes on behind `step` (0 for a new one): lines about later steps, and a
    /// torn last line, are dropped.
    ///
    /// # Errors
    /// Where the file cannot be read or written, or is no log.
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        let kept = path.exists().then(|| lines_until(path, step)).transpose()?;
        Ok(Self(AppendedLog::open(path, kept.as_deref())?))
    }

    /// Appends a line; it survives the end of the process when this returns.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&mut self, metrics: &StepMetrics) -> Result<()> {
        Ok(self.0.line(&metrics.to_json().to_string())?)
    }
}

/// The log at `path`.
///
/// # Errors
/// A file that cannot be read, or has a line that is not one of a log's; a torn last line is passed over.
pub fn read(path: &Path) -> Result<Vec<StepMetrics>> {
    let mut found = Vec::new();
    each_line(path, &mut |metrics, _| found.push(metrics))?;
    Ok(found)
}

fn lines_until(path: &Path, step: u64) -> Result<String> {
    let mut kept = String::new();
    each_line(path, &mut |metrics, line| {
        // A new run begins an empty log: not even the evaluation before its first step is kept.
        if metrics.step <= step && step > 0 {
            kept.push_str(line);
        }
    })?;
    Ok(kept)
}

fn each_line(path: &Path, each: &mut dyn FnMut(StepMetrics, &str)) -> Result<()> {
    let failure = |error| TrainError::io(path, error);
    let mut reader = BufReader::new(File::open(path).map_err(failure)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(failure)? == 0 {
            break;
        }
        let text = std::str::from_utf8(&line).unwrap_or_default();
        let metrics =
            serde_json::from_str::<Value>(text).ok().and_then(|value| StepMetrics::from_json(&value));
        match metrics {
            Some(metrics) if text.ends_with('\n') => each(metrics, text),
            // The process ended in the middle of it.
            _ if !line.ends_with(b"\n") => break,
            _ => {
                let path = path.display();
                return Err(TrainError::Data(format!(
                    "{path}:{number}: is not a line of a log, expected {{\"step\": N, ...}}"
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;

    fn steps(path: &Path) -> Vec<u64> {
        read(path).unwrap().iter().map(|metrics| metrics.step).collect()
    }

    #[test]
    fn a_resumed_run_has_each_step_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let mut log = MetricsLog::open(&path, 0).unwrap();
        log.write(&StepMetrics::new(0).with("eval_accuracy", 0.25)).unwrap();
        for step in 1..=5 {
            log.write(&StepMetrics::new(step).with("loss", 1.0 / step as f64)).unwrap();
        }
        drop(log);
        // Killed in the middle of a line.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"step\": 6, \"lo").unwrap();
        assert_eq!(steps(&path), [0, 1, 2, 3, 4, 5]);

        let mut log = MetricsLog::open(&path, 3).unwrap();
        assert_eq!(steps(&path), [0, 1, 2, 3]);
        log.write(&StepMetrics::new(4).with("loss", 0.25)).unwrap();
        assert_eq!(steps(&path), [0, 1, 2, 3, 4]);
        assert_eq!(read(&path).unwrap()[3].get("loss"), Some(1.0 / 3.0));

        drop(MetricsLog::open(&path, 0).unwrap());
        assert!(steps(&path).is_empty(), "a new run begins anew");
    }

    #[test]
    fn numbers_are_written_as_what_they_are() {
        let metrics = StepMetrics::new(7)
            .with("loss", 0.1)
            .with("num_tokens", 1e9)
            .with("kl", f64::NAN)
            .with("reward", 1.0)
            .with("reward", 0.5);
        let json = metrics.to_json();
        assert_eq!(
            json.to_string(),
            r#"{"step":7,"loss":0.1,"num_tokens":1000000000,"kl":null,"reward":0.5}"#
        );
        let back = StepMetrics::from_json(&json).unwrap();
        assert_eq!((back.step, back.get("loss"), back.get("kl")), (7, Some(0.1), None));
        assert!(!metrics.is_evaluation() && metrics.with("eval_loss", 1.0).is_evaluation());
    }

    #[test]
    fn what_is_no_log_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.jsonl");
        std::fs::write(&path, "{\"step\": 1}\nnotes\n{\"step\": 2}\n").unwrap();
        let message = MetricsLog::open(&path, 1).unwrap_err().to_string();
        assert!(message.contains("notes.jsonl:2: is not a line of a log"), "{message}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"step\": 1}\nnotes\n{\"step\": 2}\n");
    }
}
