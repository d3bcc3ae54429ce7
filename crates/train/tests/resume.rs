//! A run that is stopped and gone on with ends bit by bit where one without a break ends: weights, the optimizer's state,
//! metrics. Runs whose process is killed are tested with the command line (`tests/train_killed.rs` of the workspace).

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use conclave_core::arithmetic::{Options, sample_set};
use conclave_core::sample_set::SampleSet;
use conclave_model::config::Qwen2Config;
use conclave_model::init::RandomWeights;
use conclave_model::load::{LoadOptions, load};
use conclave_model::tokenizer::Tokenizer;
use conclave_train::config::{Method, RunConfig, SetSource};
use conclave_train::data::Sets;
use conclave_train::error::Result;
use conclave_train::observer::{Collected, metric};
use conclave_train::sft;
use conclave_train::start::{Outcome, Start};
use pollster::block_on;
use tempfile::tempdir;

const TOKENIZER: &[u8] = include_bytes!("../../model/assets/tiny/tokenizer.json");

/// Every run: a stage of its curriculum ends before step 10, another behind it.
const CONFIG: &str = r#"
[model]
preset = "tiny"
tokenizer = "tokenizer.json"

[data]
train = { arithmetic = { seed = 1, solvers = "mixed" } }
eval = { arithmetic = { seed = 2 } }
num_candidates = [2, 3]
target = "answer"
truncation = { probability = 0.3 }

[[data.stages]]
steps = 7
num_candidates = [1, 2]
batch_size = 3

[[data.stages]]
steps = 6
num_candidates = [2]

[prompt]
variant = "compact"
max_new_tokens = 16

[optimizer]
lr = 3e-3
weight_decay = 0.1

[schedule]
kind = "cosine"
warmup_steps = 3

[train]
steps = 20
batch_size = 4
prompt_loss_weight = 0.3
seed = 7

[checkpoint]
every = 5
keep_last = 3

[eval]
every = 10
problems = 4
num_candidates = 2
at_start = true
"#;

fn config(settings: &[&str]) -> RunConfig {
    let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
    let config = RunConfig::from_toml(CONFIG, "run.toml", &settings).unwrap();
    config.validate(Method::Sft).unwrap();
    config
}

/// A process that trains until `stop_after`.
struct Process<'a> {
    config: &'a RunConfig,
    folder: &'a Path,
    hidden_size: usize,
    resume: bool,
    stop_after: Option<u64>,
}

impl Process<'_> {
    fn run(&self) -> (Result<Outcome>, Collected) {
        let tokenizer = Tokenizer::from_json(TOKENIZER).unwrap();
        let shape = Qwen2Config {
            hidden_size: self.hidden_size,
            intermediate_size: 64,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            eos_token_ids: vec![0],
            ..Qwen2Config::tiny(tokenizer.vocab_size())
        };
        let weights = RandomWeights::new(&shape, 1);
        let going_on = &mut |_| ControlFlow::Continue(());
        let model =
            block_on(load(&shape, &weights, &Device::flex(), &LoadOptions::default(), going_on)).unwrap();
        let start = Start {
            config: shape,
            tokenizer,
            files: vec![("tokenizer.json".to_owned(), TOKENIZER.to_vec())],
            resume: self.resume,
            rehearse_only: false,
            commit: "abc".to_owned(),
        };
        let Some(SetSource::Arithmetic(source)) = &self.config.data.train else { panic!("no data") };
        let sets = Sets::arithmetic(source).unwrap();
        let mut observer = Collected { stop_after: self.stop_after, ..Collected::default() };
        let ended = sft::run(self.config, &start, model, sets, held_out(), self.folder, &mut observer);
        (ended, observer)
    }

    /// Has to end well, and gives its metrics but for the times.
    #[track_caller]
    fn train(&self) -> Vec<Numbers> {
        let (ended, observer) = self.run();
        let ended = ended.unwrap();
        assert_eq!(ended.step, self.stop_after.unwrap_or(self.config.train.steps));
        observer
            .metrics
            .iter()
            .map(|metrics| {
                let numbers = metrics
                    .iter()
                    .filter(|(name, _)| ![metric::STEP_TIME, metric::TOKENS_PER_SECOND].contains(name))
                    .map(|(name, value)| (name.to_owned(), value.to_bits()));
                (metrics.step, numbers.collect())
            })
            .collect()
    }
}

/// A step and its numbers, to the bit.
type Numbers = (u64, BTreeMap<String, u64>);

fn held_out() -> Vec<SampleSet> {
    (0..4).map(|index| sample_set(2, index, &Options::standard(2))).collect()
}

fn checkpoint(folder: &Path, step: u64) -> PathBuf {
    folder.join("checkpoints").join(format!("step-{step:08}"))
}

/// Every file of a checkpoint: weights, state, where the run is.
fn files(folder: &Path, step: u64) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(checkpoint(folder, step)).unwrap().map(|entry| entry.unwrap());
    let read = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    let files: BTreeMap<_, _> = entries.map(read).collect();
    assert!(files.contains_key("model.safetensors") && files.contains_key("optimizer.safetensors"));
    files
}

#[track_caller]
fn check_same(expected: &Path, found: &Path, what: &str) {
    let (expected, found) = (files(expected, 20), files(found, 20));
    for (name, bytes) in &expected {
        assert!(found.get(name) == Some(bytes), "{what}: {name} differs");
    }
    assert_eq!(expected.len(), found.len());
}

/// 20 steps are 10, a stop and 10 more.
#[track_caller]
fn check_stop(settings: &[&str]) {
    let config = config(settings);
    let (whole, parts) = (tempdir().unwrap(), tempdir().unwrap());
    let process =
        Process { config: &config, folder: whole.path(), hidden_size: 32, resume: false, stop_after: None };
    let expected = process.train();
    let steps: Vec<u64> = expected.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, (0..=20).collect::<Vec<_>>());
    for name in [metric::LOSS, metric::GRAD_NORM, metric::ENTROPY, metric::EVAL_ACCURACY] {
        assert!(expected[10].1.contains_key(name), "{name}: {expected:?}");
    }
    let process = Process { folder: parts.path(), stop_after: Some(10), ..process };
    let mut found = process.train();
    found.extend(Process { resume: true, stop_after: None, ..process }.train());
    assert_eq!(found, expected, "{settings:?}");
    check_same(whole.path(), parts.path(), &format!("{settings:?}"));
}

#[test]
fn a_stop_changes_nothing() {
    check_stop(&["train.threads=1"]);
}

#[test]
fn a_stop_changes_nothing_with_workers_and_recomputation() {
    check_stop(&["train.threads=2", "train.recompute=true"]);
}

#[test]
fn a_stop_changes_nothing_with_accumulation_and_muon() {
    check_stop(&["train.threads=2", "train.gradient_accumulation=2", "optimizer.kind=muon"]);
}

#[test]
fn a_run_goes_on_from_the_checkpoint_before_a_damaged_one() {
    let config = config(&["train.threads=2"]);
    let (whole, damaged) = (tempdir().unwrap(), tempdir().unwrap());
    let process =
        Process { config: &config, folder: whole.path(), hidden_size: 32, resume: false, stop_after: None };
    let expected = process.train();

    let process = Process { folder: damaged.path(), stop_after: Some(12), ..process };
    process.train();
    std::fs::remove_file(checkpoint(damaged.path(), 12).join("model.safetensors")).unwrap();
    let (ended, observer) = Process { resume: true, stop_after: Some(13), ..process }.run();
    assert_eq!(ended.unwrap().step, 13);
    let said = observer.messages.join("\n");
    assert!(said.contains("passed over") && said.contains("step-00000012"), "{said}");
    assert!(said.contains("going on from step 10"), "{said}");
    assert_eq!(observer.metrics[0].step, 11);
    // A byte of the optimizer's state, too.
    let state = checkpoint(damaged.path(), 13).join("optimizer.safetensors");
    let mut bytes = std::fs::read(&state).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&state, bytes).unwrap();
    let found = Process { resume: true, stop_after: None, ..process }.train();
    assert_eq!(found, expected[11..], "from step 10 again");
    check_same(whole.path(), damaged.path(), "damaged");
}

#[test]
fn what_makes_another_run_is_refused_and_other_changes_are_told() {
    let folder = tempdir().unwrap();
    let before = config(&["train.threads=2", "train.steps=14", "eval.every=0", "eval.at_start=false"]);
    let process = Process {
        config: &before,
        folder: folder.path(),
        hidden_size: 32,
        resume: false,
        stop_after: Some(1),
    };
    process.train();
    let kept = files(folder.path(), 1);
    let process = Process { resume: true, stop_after: Some(2), ..process };
    for (setting, key) in [
        ("train.seed=8", "train.seed"),
        ("data.train.arithmetic.seed=9", "data.train.arithmetic.seed"),
        ("data.num_candidates=[4]", "data.num_candidates"),
        ("data.permute=false", "data.permute"),
        ("model.shape.hidden_size=64", "model.shape.hidden_size"),
        ("model.tokenizer=other.json", "model.tokenizer"),
        ("prompt.max_new_tokens=24", "prompt.max_new_tokens"),
        ("optimizer.kind=muon", "optimizer.kind"),
        ("lora.rank=4", "lora"),
    ] {
        let config =
            config(&["train.threads=2", "train.steps=14", "eval.every=0", "eval.at_start=false", setting]);
        let (ended, _) = Process { config: &config, ..process }.run();
        let error = ended.expect_err(setting).to_string();
        assert!(error.contains(&format!("`{key}` differs")), "{setting}: {error}");
    }
    // The same words, another model behind them.
    let error = Process { hidden_size: 48, ..process }.run().0.unwrap_err().to_string();
    assert!(error.contains("a model of another shape"), "{error}");
    assert!(files(folder.path(), 1) == kept, "what is refused leaves everything as it was");

    let changes =
        ["train.threads=1", "optimizer.lr=1e-3", "model.dtype=f16", "train.steps=15", "train.recompute=true"];
    let config = config(&[["eval.every=0", "eval.at_start=false"].as_slice(), &changes].concat());
    let (ended, observer) = Process { config: &config, ..process }.run();
    assert_eq!(ended.unwrap().step, 2);
    let said = observer.messages.join("\n");
    for change in changes {
        let (key, _) = change.split_once('=').unwrap();
        assert!(said.contains(&format!("`{key}` has changed since the checkpoint")), "{key}: {said}");
    }
    assert_eq!(said.matches("has changed").count(), changes.len(), "{said}");
}
