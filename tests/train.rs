//! `conclave train`: what is refused and how it is said, what a dry run tells, a short run from nothing to a model
//! directory, and the pictures. How training works is tested in the crate.

use std::path::Path;

use serde_json::Value;

use crate::binary::{conclave, conclave_line, directory};

/// The tiny model's own tokenizer.
const TOKENIZER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/model/assets/tiny/tokenizer.json");

/// A run of a few seconds.
fn config() -> String {
    format!(
        r#"[model]
preset = "tiny"
tokenizer = "{TOKENIZER}"
shape = {{ hidden_size = 32, intermediate_size = 64, num_hidden_layers = 1, num_attention_heads = 2, num_key_value_heads = 1 }}

[data]
train = {{ arithmetic = {{ seed = 1 }} }}
eval = {{ arithmetic = {{ seed = 2 }} }}
num_candidates = [2, 3]

[prompt]
variant = "compact"
max_new_tokens = 128

[optimizer]
lr = 0.001

[train]
steps = 3
batch_size = 2

[eval]
every = 2
problems = 2
num_candidates = 2

[checkpoint]
every = 2
"#
    )
}

fn log(directory: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(directory.join("run/metrics.jsonl")).expect("the log");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn wrong_configurations_are_named() {
    let good = config();
    let misspelled = good.replace("batch_size = 2", "batchsize = 2");
    let wrong = good.replace("steps = 3", "steps = \"three\"");
    let line_of = |text: &str, part: &str| 1 + text[..text.find(part).unwrap()].matches('\n').count();
    let directory = directory(&[
        ("good.toml", good.as_bytes()),
        ("misspelled.toml", misspelled.as_bytes()),
        ("wrong.toml", wrong.as_bytes()),
        ("notes.txt", b"mine"),
    ]);
    std::fs::create_dir(directory.path().join("full")).unwrap();
    std::fs::write(directory.path().join("full/notes.txt"), "mine").unwrap();
    let misspelled_at =
        format!("misspelled.toml:{}: unknown key `batchsize`", line_of(&misspelled, "batchsize"));
    let wrong_at =
        format!("wrong.toml:{}: [train.steps]: invalid type: string", line_of(&wrong, "\"three\""));
    let cases: &[(&str, i32, &[&str])] = &[
        ("train", 2, &["Usage: conclave train <COMMAND>", "paragator", "plot"]),
        ("train sft", 2, &["--config <FILE>"]),
        (
            "train sft --config nowhere.toml",
            1,
            &["`nowhere.toml`: it does not exist", "crates/train/configs"],
        ),
        ("train sft --config full", 1, &["cannot read the configuration"]),
        ("train sft --config misspelled.toml", 2, &[&misspelled_at, "did you mean `batch_size`?"]),
        ("train sft --config wrong.toml", 2, &[&wrong_at]),
        (
            "train sft --config good.toml --set train.step=5",
            2,
            &["--set train.step=5: unknown key `step` in [train]: did you mean `steps`?"],
        ),
        ("train sft --config good.toml --set steps", 2, &["expected section.key=value"]),
        (
            "train sft --config good.toml --set train.steps=0 --set data.eval.arithmetic={seed=1}",
            2,
            &["good.toml: ", "`train.steps` is 0", "have the same problems"],
        ),
        ("train grpo --config good.toml --set grpo.group_size=1", 2, &["expected at least 2"]),
        ("train sft --config good.toml --dry-run --resume", 2, &["cannot be used with"]),
        ("train sft --config good.toml --device cuda", 1, &["CUDA"]),
        (
            "train sft --config good.toml --set model.tokenizer=nowhere.json --dry-run",
            1,
            &["cannot read the tokenizer `nowhere.json`"],
        ),
        (
            "train sft --config good.toml --set data.train.files=[\"nowhere.jsonl\"] --dry-run",
            1,
            &["cannot read `nowhere.jsonl`"],
        ),
        ("train sft --config good.toml --output full", 1, &["is not empty and has no run in it"]),
        ("train sft --config good.toml --output notes.txt", 1, &["is not a folder"]),
    ];
    for (line, code, parts) in cases {
        let run = conclave_line(directory.path(), line).expect(line, *code, parts);
        assert_eq!(run.stdout, "", "{line}");
    }
    assert!(!directory.path().join("runs").exists(), "nothing was begun");
}

#[test]
fn a_dry_run_tells_what_a_run_would_be() {
    let directory = directory(&[("small.toml", config().as_bytes())]);
    let line = "train sft --config small.toml --dry-run --set train.steps=40";
    let run = conclave_line(directory.path(), line).expect(
        line,
        0,
        &["model: ", " parameters", "sequences: ", "run: 40 steps, 80 sequences, about ", "memory: about "],
    );
    // What it prints is the run again, with every default in it.
    std::fs::write(directory.path().join("resolved.toml"), &run.stdout).unwrap();
    for part in ["steps = 40\n", "gradient_accumulation = 1\n", "# context_length is not set\n"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    let again = conclave_line(directory.path(), "train sft --config resolved.toml --dry-run");
    assert_eq!(again.expect("again", 0, &[]).stdout, run.stdout);
    let files = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(files, 2, "nothing is written");
}

#[test]
fn a_run_ends_in_a_model_and_goes_on_only_as_the_same() {
    let directory = directory(&[("small.toml", config().as_bytes())]);
    let path = directory.path();
    let line = "train sft --config small.toml --output run";
    conclave_line(path, line).expect(
        line,
        0,
        &["step 3/3: loss ", "held-out accuracy", "the model after step 3"],
    );
    let steps: Vec<u64> = log(path)
        .iter()
        .filter(|line| !line["loss"].is_null())
        .filter_map(|line| line["step"].as_u64())
        .collect();
    assert_eq!(steps, [1, 2, 3]);
    conclave_line(path, "model inspect --model run/model --verify").expect("inspect", 0, &[]);
    conclave_line(path, "model check --model run/model").expect("check", 0, &[]);
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(path.join("run/model/conclave.json")).unwrap()).unwrap();
    assert_eq!(manifest["prompt_variant"], "compact");
    assert_eq!(manifest["provenance"]["made_by"], "conclave train sft");
    assert_eq!(manifest["provenance"]["config"]["train"]["steps"], 3);
    assert!(manifest["provenance"]["commit"].is_string());

    conclave_line(path, line).expect(line, 1, &["`run` has a run in it", "--resume"]);
    let other = "train sft --config small.toml --output run --resume --set train.seed=3";
    conclave_line(path, other).expect(other, 1, &["`train.seed` differs"]);
    let more = "train sft --config small.toml --output run --resume --set train.steps=5";
    conclave_line(path, more).expect(more, 0, &["step 5/5: loss ", "the model after step 5"]);
    let steps: Vec<u64> = log(path)
        .iter()
        .filter(|line| !line["loss"].is_null())
        .filter_map(|line| line["step"].as_u64())
        .collect();
    assert_eq!(steps, [1, 2, 3, 4, 5]);

    let plot = "train plot run --out curve.svg";
    conclave_line(path, plot).expect(plot, 0, &["1 run"]);
    let svg = std::fs::read_to_string(path.join("curve.svg")).unwrap();
    assert!(svg.contains("Loss") && svg.contains("majority vote"), "{svg}");
}

#[test]
fn pictures_are_drawn_from_logs() {
    let log = b"{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"loss\":2.0,\"reward\":0.5}\n";
    let directory = directory(&[
        ("a.jsonl", log),
        ("bad.jsonl", b"{\"step\":1}\nnotes\n{\"step\":2}\n"),
        ("empty.jsonl", b""),
    ]);
    for (line, code, parts) in [
        ("train plot", 2, vec!["<RUNS>", "--out <FILE>"]),
        ("train plot a.jsonl --out curve.jpg", 2, vec!["name a file.svg or a file.png"]),
        ("train plot nowhere --out curve.svg", 1, vec!["`nowhere`: it does not exist"]),
        ("train plot bad.jsonl --out curve.svg", 1, vec!["bad.jsonl:2: is not a line of a log"]),
        ("train plot empty.jsonl --out curve.svg", 1, vec!["there is nothing to draw"]),
        ("train plot a.jsonl a.jsonl --out curve.svg", 0, vec!["2 runs, 4 lines, 2 panels"]),
        ("train plot a.jsonl --out curve.png", 0, vec!["1 run, 2 lines, 2 panels"]),
    ] {
        conclave_line(directory.path(), line).expect(line, code, &parts);
    }
    let svg = std::fs::read_to_string(directory.path().join("curve.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("Reward"), "{svg}");
    // Two panels side by side, in twice the pixels.
    let png = std::fs::read(directory.path().join("curve.png")).unwrap();
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!((number(16), number(20)), (2 * 2 * 520, 2 * 310));
    let printed = conclave(directory.path(), &["train", "plot", "a.jsonl", "--out", "-"], b"");
    assert!(printed.stdout.starts_with("<svg"), "{printed:?}");
}

/// Completions of one prompt share a row of the trainer's network, where each has to be as probable as when it was drawn.
fn sampler_and_trainer_agree(device: &str) {
    let directory = directory(&[]);
    let root = env!("CARGO_MANIFEST_DIR");
    let line = format!(
        "train grpo --config {root}/crates/train/configs/tiny-grpo.toml --output run --device {device} \
         --set model.path={root}/crates/model/assets/tiny --set data.num_candidates=[3] --set train.steps=1 \
         --set grpo.prompts_per_step=2 --set grpo.group_size=3 --set grpo.mask_truncated=false \
         --set prompt.max_new_tokens=24 --set eval.at_start=false --set eval.problems=1"
    );
    conclave_line(directory.path(), &line).expect(&line, 0, &["step 1/1: loss "]);
    let log = log(directory.path());
    let gap = log[0]["sampling/sampling_logp_difference/max"].as_f64().unwrap();
    assert!(gap < 1e-3, "log-probabilities are up to {gap} apart");
    let (all, learned) = (log[0]["rollout/entropy"].as_f64(), log[0]["entropy"].as_f64());
    assert!(all > Some(0.0) && learned > Some(0.0), "{}", log[0]);
}

#[test]
fn sampler_and_trainer_agree_on_the_processor() {
    sampler_and_trainer_agree("cpu");
}

/// The test run leaves tests of this name out where there is no driver.
#[cfg(feature = "wgpu")]
mod wgpu {
    #[test]
    fn sampler_and_trainer_agree() {
        super::sampler_and_trainer_agree("wgpu");
    }
}
