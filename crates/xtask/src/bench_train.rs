//! `cargo xtask bench train`: tokens per second of supervised steps and of rollouts, and where Python has PyTorch its rates on
//! the same model, tokens and cores.
//!
//! Both sides are programs that wait for requests (`crates/train/benches/train.rs`, `scripts/bench_train.py`), asked in turns,
//! so that whatever else the machine does meets both alike. They begin with the same weights and take the same steps: their
//! losses agree, or they do not measure the same thing.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::tools::{cargo, root, target_directory, works};

/// Rounds of a measurement, and seconds that the slower side takes for each.
const ROUNDS: usize = 7;
const ROUND_SECONDS: f64 = 10.0;

/// What is measured, and under which name it is asked for.
const KINDS: [(&str, &str); 2] = [
    ("sft", "supervised steps: 16 sequences of 256 tokens, forward, backward, AdamW"),
    ("rollout", "rollouts: 8 prompts of 200 tokens, 8 completions of 64 tokens each"),
];

/// Losses after some steps differ by rounding alone.
const LOSS_TOLERANCE: f64 = 0.02;

/// Measures and prints; `quick` is one short round of a build without optimisation of our own code.
pub fn run(quick: bool) -> Result<bool> {
    let folder = target_directory().join("bench-train");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let threads = std::thread::available_parallelism()?;
    let mut ours =
        cargo(&["bench", "--package", "conclave-train", "--features", "processor", "--bench", "train"]);
    if quick {
        ours.args(["--profile", "dev"]);
    }
    ours.args(["--", "--serve"]).arg(&folder);
    let mut sides = vec![Side::start("Conclave", ours)?];
    if works("python3", &["-c", "import torch, transformers"]) {
        let mut theirs = Command::new("python3");
        theirs.arg(root().join("crates/xtask/scripts/bench_train.py")).arg(&folder).arg(threads.to_string());
        sides.push(Side::start("PyTorch", theirs)?);
    } else {
        println!(
            "\nPyTorch is not installed, so its rates are not shown: `pip install torch transformers` for the `python3` that \
             is found first (a virtual environment's, with its `bin` in PATH)"
        );
    }
    println!("\n{threads} threads, f32; tokens per second, of rollouts the generated ones");
    let mut agree = true;
    for (kind, description) in KINDS {
        println!("\n{description}");
        agree &= measure(&mut sides, kind, quick)?;
    }
    sides.into_iter().try_for_each(Side::end)?;
    Ok(agree)
}

/// One kind on all sides, in turns. Gives whether they agree on what they computed.
fn measure(sides: &mut [Side], kind: &str, quick: bool) -> Result<bool> {
    let mut slowest = 0.0f64;
    for side in sides.iter_mut() {
        slowest = slowest.max(side.ask(kind, 1)?.seconds);
    }
    let (rounds, count) = match quick {
        true => (1, 1),
        false => (ROUNDS, (ROUND_SECONDS / slowest).round().max(1.0) as usize),
    };
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); sides.len()];
    let mut agree = true;
    for round in 1..=rounds {
        let mut line = format!("  round {round}:");
        let mut values = Vec::new();
        for (side, rates) in sides.iter_mut().zip(&mut rates) {
            let answer = side.ask(kind, count)?;
            let rate = answer.tokens / answer.seconds;
            rates.push(rate);
            values.push(answer.value);
            line.push_str(&format!("  {} {rate:9.0}", side.name));
        }
        println!("{line}");
        if let [ours, theirs] = values[..]
            && kind == "sft"
            && (ours - theirs).abs() > LOSS_TOLERANCE
        {
            println!("  the losses differ: {ours:.4} and {theirs:.4}, so this is no comparison");
            agree = false;
        }
    }
    for (side, rates) in sides.iter().zip(&rates) {
        println!("  {:9} {:9.0} tokens/s (median of {rounds})", side.name, median(rates.clone()));
    }
    if let [ours, theirs] = &rates[..] {
        let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        let (low, high) = ratios.iter().fold((f64::MAX, 0.0f64), |(l, h), r| (l.min(*r), h.max(*r)));
        println!("  ratio     {:9.2} (median; {low:.2} to {high:.2})", median(ratios.clone()));
    }
    Ok(agree)
}

/// The middle one, or the mean of the two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => f64::midpoint(values[len / 2 - 1], values[len / 2]),
    }
}

/// A program that measures on request.
struct Side {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

struct Answer {
    tokens: f64,
    seconds: f64,
    /// The loss, or the mean log-probability.
    value: f64,
}

impl Side {
    /// Starts the program and waits until it is ready.
    fn start(name: &'static str, mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}'s side: {command:?}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{name}'s side has no pipes");
        };
        let mut side = Self { name, child, input, output: BufReader::new(output) };
        let line = side.line()?;
        ensure!(line == "ready", "{name}'s side said `{line}`, expected `ready`");
        Ok(side)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).with_context(|| format!("{} is silent", self.name))?;
        if read == 0 {
            bail!("{}'s side ended before its time, with {}", self.name, self.child.wait()?);
        }
        Ok(line.trim_end().to_owned())
    }

    fn ask(&mut self, kind: &str, count: usize) -> Result<Answer> {
        writeln!(self.input, "{kind} {count}")?;
        let line = self.line()?;
        let numbers: Option<Vec<f64>> = line.split(' ').map(|word| word.parse().ok()).collect();
        match numbers.as_deref() {
            Some([tokens, seconds, value]) => {
                Ok(Answer { tokens: *tokens, seconds: *seconds, value: *value })
            }
            _ => bail!("{}'s side said `{line}`, expected tokens, seconds and a value", self.name),
        }
    }

    /// Ends the program, which goes on until its input ends.
    fn end(mut self) -> Result<()> {
        drop(self.input);
        let status = self.child.wait()?;
        ensure!(status.success(), "{}'s side ended with {status}", self.name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
