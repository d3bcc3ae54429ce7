//! `conclave train plot`: the curves of one or several runs as one picture. What the panels show is here; how they are
//! drawn is [`chart`].

mod chart;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use conclave_disk::Inputs;
use conclave_train::log::{FILE_NAME, read};
use conclave_train::observer::{StepMetrics, metric};

use super::arguments::PlotArguments;
use crate::Outcome;
use crate::messages::{count, say, visible_clipped};
use crate::picture::Format;
use chart::{Line, Panel, draw};

/// Characters of a run's name that the picture shows.
const SHOWN_NAME: usize = 28;

/// What a panel shows: its title and the metrics in it, each with its name in the legend. The first is the one that the
/// panel is about and gets a full line, the others are dashed.
const PANELS: [(&str, &[(&str, &str)]); 10] = [
    (
        "Loss",
        &[
            (metric::LOSS, "training"),
            (metric::COMPLETION_LOSS, "targets alone"),
            (metric::EVAL_LOSS, "held out"),
        ],
    ),
    (
        "Accuracy on held-out problems",
        &[
            (metric::EVAL_ACCURACY, "aggregator"),
            (metric::EVAL_MAJORITY, "majority vote"),
            (metric::EVAL_ORACLE, "any candidate"),
        ],
    ),
    (
        "Accuracy on held-out problems, by round of aggregation",
        &[
            ("eval_round_0/accuracy", "generated"),
            ("eval_round_1/accuracy", "round 1"),
            ("eval_round_2/accuracy", "round 2"),
            ("eval_round_3/accuracy", "round 3"),
        ],
    ),
    ("Reward", &[(metric::REWARD, "mean"), (metric::REWARD_STD, "deviation in a group")]),
    (
        "Generator and aggregator",
        &[
            ("aggregator/reward", "aggregator"),
            ("generator/reward", "generator"),
            ("generator/pass_at_k", "generator, pass@k"),
        ],
    ),
    ("KL divergence and entropy", &[(metric::ENTROPY, "entropy"), (metric::KL, "KL to the start")]),
    (
        "Log-probabilities: sampler less trainer",
        &[(metric::SAMPLING_GAP_MEAN, "mean"), (metric::SAMPLING_GAP_MAX, "largest")],
    ),
    (
        "Tokens of a completion",
        &[(metric::COMPLETIONS_MEAN_LENGTH, "mean"), (metric::COMPLETIONS_MAX_LENGTH, "longest")],
    ),
    ("Norm of the gradient", &[(metric::GRAD_NORM, "before clipping")]),
    ("Learning rate", &[(metric::LEARNING_RATE, "of the step")]),
];

/// A log that is to be drawn.
struct Run {
    name: String,
    metrics: Vec<StepMetrics>,
}

/// Runs the command.
pub fn run(arguments: &PlotArguments) -> Result<Outcome> {
    let format = match arguments.out == Path::new("-") {
        true => Format::Svg,
        false => Format::of(&arguments.out)?,
    };
    let mut runs = Vec::new();
    for path in &arguments.runs {
        runs.push(open(path)?);
    }
    let panels = panels(&runs);
    if panels.is_empty() {
        bail!("there is nothing to draw: {} without a number in it", count(runs.len() as u64, "log"));
    }
    let svg = draw(&panels).context("cannot draw the curves")?;
    let logs = arguments.runs.iter().map(|run| log_of(run));
    format.write(&svg, &arguments.out, &Inputs::of(logs))?;
    let steps: usize = runs.iter().map(|run| run.metrics.len()).sum();
    say(&format!(
        "{}, {}, {}",
        count(runs.len() as u64, "run"),
        count(steps as u64, "line"),
        count(panels.len() as u64, "panel")
    ));
    Ok(Outcome::Done)
}

/// The log of a run's folder, or a log itself.
fn log_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(FILE_NAME) } else { PathBuf::from(path) }
}

fn open(path: &Path) -> Result<Run> {
    let file = log_of(path);
    if !file.exists() {
        bail!(
            "cannot read `{}`: it does not exist (expected the folder of a run, or its {FILE_NAME})",
            file.display()
        );
    }
    let folder =
        if file.file_name().is_some_and(|name| name == FILE_NAME) { file.parent() } else { Some(&*file) };
    // The name of `.` or `..` is known only where it leads.
    let folder = folder.map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.to_owned()));
    let name = folder.as_deref().and_then(Path::file_stem).map(|name| name.to_string_lossy().into_owned());
    let metrics = read(&file)?;
    Ok(Run { name: visible_clipped(&name.unwrap_or_default(), SHOWN_NAME), metrics })
}

fn panels(runs: &[Run]) -> Vec<Panel> {
    let panels = PANELS.iter().map(|(title, metrics)| Panel { title, lines: lines(runs, metrics) });
    panels.filter(|panel| !panel.lines.is_empty()).collect()
}

fn lines(runs: &[Run], metrics: &[(&str, &str)]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let alone = runs.len() == 1;
    for (index, run) in runs.iter().enumerate() {
        for (style, (metric, name)) in metrics.iter().enumerate() {
            let value = |line: &StepMetrics| Some((line.step as f64, line.get(metric)?));
            let points: Vec<(f64, f64)> = run.metrics.iter().filter_map(value).collect();
            // Runs on the same held-out sets share the vote's curve: once is enough.
            let same = lines.iter_mut().find(|line| line.style == style && line.points == points);
            if let Some(line) = same {
                (line.run, line.name) = (None, (*name).to_owned());
            } else if !points.is_empty() {
                let name = if alone { (*name).to_owned() } else { format!("{}: {name}", run.name) };
                lines.push(Line { name, run: Some(index), style, alone, points });
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(step: u64) -> StepMetrics {
        let x = step as f64;
        let wave = (x * 1.7).sin();
        let metrics = StepMetrics::new(step)
            .with(metric::LOSS, 0.2 + 2.0 / (1.0 + x / 20.0) + 0.1 * wave)
            .with(metric::REWARD, 0.5 + x / 600.0 + 0.05 * wave)
            .with(metric::ENTROPY, 0.4 - x / 2000.0)
            .with(metric::KL, x / 9000.0);
        if !step.is_multiple_of(20) {
            return metrics;
        }
        metrics
            .with(metric::EVAL_ACCURACY, 0.4 + 0.3 * (1.0 - (-x / 60.0).exp()))
            .with(metric::EVAL_MAJORITY, 0.55)
            .with(metric::EVAL_ORACLE, 0.81)
    }

    #[test]
    fn panels_are_those_that_have_numbers() {
        let run = |name: &str| Run { name: name.to_owned(), metrics: (0..200).map(metrics).collect() };
        let one = panels(&[run("a")]);
        let titles: Vec<&str> = one.iter().map(|panel| panel.title).collect();
        assert_eq!(titles, ["Loss", "Accuracy on held-out problems", "Reward", "KL divergence and entropy"]);
        assert_eq!(one[1].lines.iter().map(|line| line.points.len()).collect::<Vec<_>>(), [10, 10, 10]);
        assert_eq!(one[1].lines[1].name, "majority vote");

        let mut other = run("b <&> c");
        for line in &mut other.metrics {
            if let Some(value) = line.get(metric::EVAL_ACCURACY) {
                line.set(metric::EVAL_ACCURACY, value - 0.05);
            }
        }
        let two = panels(&[run("a"), other]);
        let names: Vec<&str> = two[1].lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["a: aggregator", "majority vote", "any candidate", "b <&> c: aggregator"]);
        let svg = draw(&two).unwrap();
        for part in ["<svg", "Loss", "b &lt;&amp;&gt; c: aggregator", "any candidate"] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        if let Ok(folder) = std::env::var("CONCLAVE_TEST_PICTURES") {
            std::fs::write(Path::new(&folder).join("one.svg"), draw(&one).unwrap()).unwrap();
            std::fs::write(Path::new(&folder).join("two.svg"), svg).unwrap();
        }
    }

    #[test]
    fn a_single_point_and_a_flat_line_can_be_drawn() {
        let flat =
            Run { name: "flat".to_owned(), metrics: vec![StepMetrics::new(0).with(metric::LOSS, 0.0)] };
        let svg = draw(&panels(&[flat])).unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
