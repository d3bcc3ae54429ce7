//! Training runs whose process is killed at any moment, and gone on with: they end as a run that nobody disturbs.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary::{directory, signal};

const TOKENIZER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/model/assets/tiny/tokenizer.json");

/// A method of training, and how its run is ended.
#[derive(Clone, Copy)]
struct Case {
    method: &'static str,
    steps: u64,
    kills: u64,
    /// The signals, in turn.
    signals: &'static [&'static str],
}

/// A very small model, with a checkpoint every other step.
fn config(case: Case) -> String {
    let Case { method, steps, .. } = case;
    let own = match method {
        "sft" => "batch_size = 4",
        _ => "\n[grpo]\ngroup_size = 2\nprompts_per_step = 2\nrollout_batch_size = 4",
    };
    let target = if method == "sft" { "target = \"answer\"" } else { "" };
    format!(
        "[model]
preset = \"tiny\"
tokenizer = '{TOKENIZER}'
shape = {{ hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 2, num_key_value_heads = 1 }}

[data]
train = {{ arithmetic = {{ seed = 1, problems = 50 }} }}
eval = {{ arithmetic = {{ seed = 2 }} }}
num_candidates = [1, 2]
{target}

[prompt]
variant = \"compact\"
max_new_tokens = 16

[optimizer]
lr = 3e-3

[train]
steps = {steps}
seed = 7
threads = 2
{own}

[checkpoint]
every = 2

[eval]
every = 10
problems = 2
num_candidates = 2
"
    )
}

/// Numbers to draw moments by, the same in every run of the test (splitmix64).
pub struct Draws(pub u64);

impl Draws {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)] {
            mixed = (mixed ^ (mixed >> shift)).wrapping_mul(factor);
        }
        (mixed ^ (mixed >> 31)) % end.max(1)
    }

    pub fn duration(&mut self, end: Duration) -> Duration {
        Duration::from_micros(self.below(end.as_micros() as u64))
    }
}

/// Goes on with the run in `output`, or begins it.
fn spawn(directory: &Path, method: &str, output: &str) -> Child {
    let said = OpenOptions::new().create(true).append(true).open(directory.join("said.txt")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_conclave"))
        .args(["train", method, "--config", "run.toml", "--output", output, "--resume"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(File::create(directory.join("stdout.txt")).unwrap())
        .stderr(said)
        .spawn()
        .unwrap()
}

/// The log's lines but for the times; a torn last line is left out.
fn log(run: &Path) -> Vec<BTreeMap<String, Value>> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let timeless = |line: &str| {
        let mut numbers: BTreeMap<String, Value> = serde_json::from_str(line).expect(line);
        numbers.retain(|name, _| !name.contains("time") && !name.contains("per_second"));
        numbers
    };
    whole.map(timeless).collect()
}

fn steps(log: &[BTreeMap<String, Value>]) -> Vec<u64> {
    log.iter().map(|numbers| numbers["step"].as_u64().unwrap()).collect()
}

/// Waits until `done`; false where the process ends by itself before.
fn wait_until(child: &mut Child, done: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !done() {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "the run does not get on");
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

#[track_caller]
fn check_same(whole: &Path, run: &Path) {
    let found = log(run);
    let last = *steps(&found).last().expect("a log");
    assert_eq!(steps(&found), (0..=last).collect::<Vec<_>>(), "every step once");
    assert_eq!(found, log(whole));
    let last = format!("checkpoints/step-{last:08}");
    for (folder, file) in
        [("model", "model.safetensors"), (&last, "model.safetensors"), (&last, "optimizer.safetensors")]
    {
        let read = |run: &Path| std::fs::read(run.join(folder).join(file)).expect(file);
        assert!(read(run) == read(whole), "{folder}/{file} differs");
    }
}

#[test]
fn a_run_may_be_killed_at_any_moment() {
    check(Case { method: "sft", steps: 40, kills: 20, signals: &["KILL"] });
}

#[test]
fn a_run_of_grpo_may_be_killed_or_stopped_at_any_moment() {
    check(Case { method: "grpo", steps: 12, kills: 6, signals: &["KILL", "TERM", "INT"] });
}

/// `cargo test --test tests hundred -- --ignored`; `CONCLAVE_KILLS` is another number.
#[test]
#[ignore = "minutes: a hundred kills for each method and signal"]
fn a_hundred_kills_of_training() {
    let kills = std::env::var("CONCLAVE_KILLS").ok().and_then(|number| number.parse().ok()).unwrap_or(100);
    for signals in [&["KILL"][..], &["TERM", "INT"]] {
        check(Case { method: "sft", steps: 40, kills, signals });
        check(Case { method: "grpo", steps: 12, kills, signals });
    }
}

/// Kills runs until it was often enough; each ends as one that nobody disturbs.
fn check(case: Case) {
    let directory = directory(&[("run.toml", config(case).as_bytes())]);
    let directory = directory.path();
    let said = || std::fs::read_to_string(directory.join("said.txt")).unwrap();
    let whole = directory.join("whole");
    let begun = Instant::now();
    let mut child = spawn(directory, case.method, "whole");
    assert!(wait_until(&mut child, || !log(&whole).is_empty()), "{}", said());
    let start_up = begun.elapsed();
    assert!(child.wait().unwrap().success(), "{}", said());
    let step = (begun.elapsed() - start_up) / case.steps as u32;

    let mut draws = Draws(1);
    let (mut kills, mut runs) = (0, 0);
    // A run that is done before it was killed often enough is followed by another.
    while kills < case.kills {
        runs += 1;
        let output = format!("run-{runs}");
        let run = directory.join(&output);
        let ended = loop {
            let mut child = spawn(directory, case.method, &output);
            if kills < case.kills {
                // One of three somewhere while it starts, the others somewhere behind a step that is new.
                let (wanted, delay) = match draws.below(3) {
                    0 => (None, draws.duration(start_up)),
                    _ => {
                        let last = steps(&log(&run)).last().copied().unwrap_or(0);
                        (Some(last + 1 + draws.below(3)), draws.duration(3 * step))
                    }
                };
                let reached = |wanted: u64| steps(&log(&run)).last().is_some_and(|last| *last >= wanted);
                if wait_until(&mut child, || wanted.is_none_or(reached)) {
                    std::thread::sleep(delay);
                    if child.try_wait().unwrap().is_none() {
                        let name = case.signals[kills as usize % case.signals.len()];
                        signal(child.id(), name);
                        let ended = child.wait().unwrap();
                        // One that was about to end may do so; one that listens says how to go on.
                        let is_stopped =
                            name == "KILL" || ended.code() == Some(130) || ended.code().is_none();
                        if is_stopped {
                            kills += 1;
                            continue;
                        }
                        break ended;
                    }
                }
            }
            break child.wait().unwrap();
        };
        assert!(ended.success(), "run {runs}, killed {kills} times: {}", said());
        check_same(&whole, &run);
    }
    let said = said();
    assert!(!said.contains("passed over"), "a checkpoint was not whole: {said}");
    assert!(said.contains("going on from step") && !said.contains("panicked"), "{said}");
}
