//! A run of named steps: each printed with a header, streamed while its test counts are read, timed and summed up.
//!
//! What the steps are is the commands' business.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::tools::root;

/// Tests that passed and failed, as the test programs themselves reported them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
}

impl Counts {
    /// Adds what one line of a test program says, if it is a line that counts: `test result: ok. 3 passed; 0 failed;
    /// ...` of cargo test (once a test binary), `pass 3` and `fail 0` of the summary of `node --test`.
    fn read_line(&mut self, line: &str) {
        if let Some((_, result)) = line.split_once("test result: ") {
            let words: Vec<&str> = result.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
            for pair in words.windows(2) {
                match (pair[0].parse::<u64>(), pair[1]) {
                    (Ok(count), "passed") => self.passed += count,
                    (Ok(count), "failed") => self.failed += count,
                    _ => {}
                }
            }
        } else if let Some(summary) = line.strip_prefix("\u{2139} ").or_else(|| line.strip_prefix("# ")) {
            match summary.split_once(' ').map(|(word, count)| (word, count.trim().parse::<u64>())) {
                Some(("pass", Ok(count))) => self.passed += count,
                Some(("fail", Ok(count))) => self.failed += count,
                _ => {}
            }
        }
    }
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Passed,
    /// It failed.
    Failed,
    /// It could not run here, for the reason given, and that is no failure.
    Skipped(String),
}

struct Row {
    name: &'static str,
    outcome: Outcome,
    counts: Counts,
    elapsed: Duration,
}

/// The steps run so far.
#[derive(Default)]
pub struct Steps {
    rows: Vec<Row>,
}

impl Steps {
    /// Runs `work` as the step `name`; an error is printed and fails the step, not the run. Returns whether the step
    /// did not fail. A step that has been run is not run again: two commands of one call share what both of them need.
    pub fn step(&mut self, name: &'static str, work: impl FnOnce(&mut Counts) -> Result<Outcome>) -> bool {
        if let Some(row) = self.rows.iter().find(|row| row.name == name) {
            return row.outcome != Outcome::Failed;
        }
        println!("\n==> {name}");
        let (start, mut counts) = (Instant::now(), Counts::default());
        let outcome = work(&mut counts).unwrap_or_else(|error| {
            flush();
            eprintln!("error: {error:#}");
            Outcome::Failed
        });
        let elapsed = start.elapsed();
        let word = match &outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Failed => "FAILED".to_owned(),
            Outcome::Skipped(reason) => format!("skipped: {reason}"),
        };
        println!("<== {name}: {word} ({})", duration(elapsed));
        let failed = outcome == Outcome::Failed;
        self.rows.push(Row { name, outcome, counts, elapsed });
        !failed
    }

    /// Runs one command as the step `name`.
    pub fn command(&mut self, name: &'static str, command: &mut Command) -> bool {
        self.step(name, |counts| run(command, counts))
    }

    /// Prints how long each step took and, as the last line, `N passed, N failed`: tests, and one failure more for
    /// each step that failed without a failed test. Returns whether nothing failed.
    pub fn finish(&self) -> bool {
        println!("\nTime   Tests  Step");
        let mut total = Counts::default();
        for row in &self.rows {
            let counted = row.counts.passed + row.counts.failed;
            let tests = if counted > 0 { counted.to_string() } else { String::new() };
            let note = match &row.outcome {
                Outcome::Passed => String::new(),
                Outcome::Failed => "  FAILED".to_owned(),
                Outcome::Skipped(reason) => format!("  skipped: {reason}"),
            };
            println!("{:>6} {tests:>5}  {}{note}", duration(row.elapsed), row.name);
            total.passed += row.counts.passed;
            let silent_failure = row.outcome == Outcome::Failed && row.counts.failed == 0;
            total.failed += row.counts.failed + u64::from(silent_failure);
        }
        println!("{:>6}        in all", duration(self.rows.iter().map(|row| row.elapsed).sum()));
        println!("{} passed, {} failed", total.passed, total.failed);
        total.failed == 0
    }
}

/// Runs `command` with its output passed through line by line and read for test counts.
pub fn run(command: &mut Command, counts: &mut Counts) -> Result<Outcome> {
    println!("$ {}", display(command));
    flush();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", command.get_program().display()))?;
    let output = child.stdout.take().context("the child has no standard output")?;
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    // Bytes, not text: a failing test may print anything.
    while reader.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        counts.read_line(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    let status = child.wait()?;
    flush();
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed })
}

/// The command as it could be typed, without the settings of its environment.
fn display(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let name = program.rsplit(['/', '\\']).next().unwrap_or(&program).to_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    let typed = std::iter::once(name).chain(arguments).collect::<Vec<_>>().join(" ");
    let folder = command.get_current_dir().and_then(|folder| folder.strip_prefix(root()).ok());
    match folder.filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => format!("cd {} && {typed}", folder.display()),
        None => typed,
    }
}

/// Puts our lines in order with those that the children write to the same place; a closed pipe is no reason to stop.
fn flush() {
    std::io::stdout().flush().ok();
}

/// `3.2s`, `12m05s`.
fn duration(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if seconds < 60 {
        format!("{:.1}s", elapsed.as_secs_f64())
    } else {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(lines: &[&str]) -> Counts {
        let mut counts = Counts::default();
        lines.iter().for_each(|line| counts.read_line(line));
        counts
    }

    #[test]
    fn the_results_of_several_test_binaries_are_summed() {
        let lines = [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "test result: FAILED. 4 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "test a_test_that_says_pass ... ok",
        ];
        assert_eq!(counts(&lines), Counts { passed: 7, failed: 2 });
    }

    #[test]
    fn the_summary_of_node_counts_and_its_other_lines_do_not() {
        let lines =
            ["\u{2139} tests 5", "\u{2139} pass 4", "\u{2139} fail 1", "# pass 2", "pass 9", "# todo 3"];
        assert_eq!(counts(&lines), Counts { passed: 6, failed: 1 });
    }

    #[test]
    fn a_failed_step_is_never_silent() {
        let mut steps = Steps::default();
        assert!(steps.step("good", |counts| {
            counts.passed += 2;
            Ok(Outcome::Passed)
        }));
        assert!(steps.step("elsewhere", |_| Ok(Outcome::Skipped("not here".into()))));
        assert!(steps.finish());
        assert!(!steps.step("bad", |_| anyhow::bail!("no")));
        assert!(!steps.finish());
    }

    #[test]
    fn a_step_is_run_once_and_counted_once() {
        let mut steps = Steps::default();
        for outcome in [Outcome::Passed, Outcome::Failed] {
            assert!(steps.step("built", |_| Ok(outcome)));
        }
        for outcome in [Outcome::Failed, Outcome::Passed] {
            assert!(!steps.step("broken", |_| Ok(outcome)));
        }
        assert_eq!(steps.rows.len(), 2);
        assert!(!steps.finish());
    }

    #[test]
    fn commands_are_shown_as_they_could_be_typed() {
        let mut command = Command::new("/somewhere/npm");
        command.args(["run", "build"]).env("A", "b");
        assert_eq!(display(&command), "npm run build");
        assert_eq!(display(command.current_dir(root())), "npm run build");
        assert_eq!(display(command.current_dir(root().join("web"))), "cd web && npm run build");
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(duration(Duration::from_millis(3240)), "3.2s");
        assert_eq!(duration(Duration::from_secs(725)), "12m05s");
    }
}
