//! Training runs whose process is killed at any moment, and gone on with: they end as a run that nobody disturbs.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary::directory;

const TOKENIZER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/model/assets/tiny/tokenizer.json");

const STEPS: u64 = 40;

const KILLS: u64 = 20;

/// A very small model, with a checkpoint every other step.
fn config() -> String {
    format!(
        "[model]
preset = \"tiny\"
tokenizer = '{TOKENIZER}'
shape = {{ hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 2, num_key_value_heads = 1 }}

[data]
train = {{ arithmetic = {{ seed = 1, problems = 50 }} }}
eval = {{ arithmetic = {{ seed = 2 }} }}
num_candidates = [1, 2]
target = \"answer\"

[prompt]
variant = \"compact\"
max_new_tokens = 16

[optimizer]
lr = 3e-3

[train]
steps = {STEPS}
batch_size = 4
seed = 7
threads = 2

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
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)] {
            mixed = (mixed ^ (mixed >> shift)).wrapping_mul(factor);
        }
        (mixed ^ (mixed >> 31)) % end.max(1)
    }

    fn duration(&mut self, end: Duration) -> Duration {
        Duration::from_micros(self.below(end.as_micros() as u64))
    }
}

/// Goes on with the run in `output`, or begins it.
fn spawn(directory: &Path, output: &str) -> Child {
    let said = OpenOptions::new().create(true).append(true).open(directory.join("said.txt")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_conclave"))
        .args(["train", "sft", "--config", "run.toml", "--output", output, "--resume"])
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
        for name in ["step_time", "tokens_per_second"] {
            numbers.remove(name);
        }
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
    assert_eq!(steps(&found), (0..=STEPS).collect::<Vec<_>>(), "every step once");
    assert_eq!(found, log(whole));
    let last = format!("checkpoints/step-{STEPS:08}");
    for (folder, file) in
        [("model", "model.safetensors"), (&last, "model.safetensors"), (&last, "optimizer.safetensors")]
    {
        let read = |run: &Path| std::fs::read(run.join(folder).join(file)).expect(file);
        assert!(read(run) == read(whole), "{folder}/{file} differs");
    }
}

#[test]
fn a_run_may_be_killed_at_any_moment() {
    let directory = directory(&[("run.toml", config().as_bytes())]);
    let directory = directory.path();
    let said = || std::fs::read_to_string(directory.join("said.txt")).unwrap();
    let whole = directory.join("whole");
    let begun = Instant::now();
    let mut child = spawn(directory, "whole");
    assert!(wait_until(&mut child, || !log(&whole).is_empty()), "{}", said());
    let start_up = begun.elapsed();
    assert!(child.wait().unwrap().success(), "{}", said());
    let step = (begun.elapsed() - start_up) / STEPS as u32;

    let mut draws = Draws(1);
    let (mut kills, mut runs) = (0, 0);
    // A run that is done before it was killed often enough is followed by another.
    while kills < KILLS {
        runs += 1;
        let output = format!("run-{runs}");
        let run = directory.join(&output);
        let ended = loop {
            let mut child = spawn(directory, &output);
            if kills < KILLS {
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
                        child.kill().unwrap();
                        child.wait().unwrap();
                        kills += 1;
                        continue;
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
