//! Reading, refusing, and writing back.

use std::path::Path;

use super::*;

fn read(text: &str, settings: &[&str]) -> Result<RunConfig, String> {
    let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
    RunConfig::from_toml(text, "run.toml", &settings).map_err(|error| error.to_string())
}

#[track_caller]
fn check_refused(text: &str, settings: &[&str], expected: &str) {
    assert_eq!(read(text, settings).expect_err(text), expected);
}

/// What every run needs.
const SMALL: &str = "[model]\npreset = \"tiny\"\ntokenizer = \"tokenizer.json\"\n\
    [data]\ntrain = { arithmetic = { seed = 1 } }\neval = { arithmetic = { seed = 2, problems = 50 } }\n\
    [train]\nsteps = 10\n";

#[test]
fn unknown_keys_name_the_nearest() {
    for (text, expected) in [
        (
            "[train]\nsteps = 5\nbatchsize = 3\n",
            "run.toml:3: unknown key `batchsize` in [train]: did you mean `batch_size`?",
        ),
        ("[trian]\nsteps = 5\n", "run.toml:1: unknown key `trian`: did you mean `train`?"),
        ("[train]\nkl_coef = 5\n", "run.toml:2: unknown key `kl_coef` in [train]: it belongs into [grpo]"),
        ("[checkpoint]\nevry = 5\n", "run.toml:2: unknown key `evry` in [checkpoint]: did you mean `every`?"),
        ("[log]\nzzz = 5\n", "run.toml:2: unknown key `zzz` in [log]: expected one of every"),
        (
            "[data]\ntrain = { arithmetic = { sed = 1 } }\n",
            "run.toml:2: unknown key `sed` in [data.train]: did you mean `seed`?",
        ),
        (
            "[data]\ntrain = { file = [] }\n",
            "run.toml:2: `file` is not known in [data.train]: did you mean `files`?",
        ),
        (
            "[prompt]\nvariant = \"thnk\"\n",
            "run.toml:2: `thnk` is not known in [prompt.variant]: did you mean `think`?",
        ),
    ] {
        check_refused(text, &[], expected);
    }
}

#[test]
fn wrong_values_say_what_is_expected() {
    for (text, expected) in [
        ("[train]\nsteps = -5\n", "run.toml:2: [train.steps]: invalid value: integer `-5`, expected u64"),
        (
            "[train]\nsteps = \"many\"\n",
            "run.toml:2: [train.steps]: invalid type: string \"many\", expected u64",
        ),
        ("[[data.stages]]\nnum_candidates = [2]\n", "run.toml:1: [data.stages]: missing field `steps`"),
    ] {
        check_refused(text, &[], expected);
    }
    let message = read("[train\nsteps = 1\n", &[]).unwrap_err();
    assert!(message.starts_with("run.toml:1: "), "{message}");
}

#[test]
fn settings_replace_what_the_file_says() {
    let config = read(
        SMALL,
        &[
            "train.steps=20",
            "train.prompt_loss_weight=0.3",
            "data.num_candidates=[2, 3]",
            "model.preset=qwen2.5-0.5b",
            "data.eval.files=[\"held-out.jsonl\"]",
            "grpo.kl_coef=0",
            "lora.rank=4",
            "data.target.field=response",
        ],
    )
    .unwrap();
    assert_eq!(config.train.steps, 20);
    assert_eq!(config.train.prompt_loss_weight, 0.3);
    assert_eq!(config.data.num_candidates, [2, 3]);
    assert_eq!(config.model.preset.as_deref(), Some("qwen2.5-0.5b"));
    assert_eq!(config.data.eval, Some(SetSource::Files(vec!["held-out.jsonl".into()])));
    assert_eq!(config.data.target, TargetKind::Field("response".into()));
    assert_eq!(config.lora.map(|lora| lora.rank), Some(4));
    assert_eq!(config.grpo.kl_coef, 0.0);
    let config = read(SMALL, &[]).unwrap();
    assert_eq!((config.train.steps, config.data.num_candidates.as_slice()), (10, [5].as_slice()));
}

#[test]
fn wrong_settings_are_named() {
    for (setting, expected) in [
        ("train.step=5", "--set train.step=5: unknown key `step` in [train]: did you mean `steps`?"),
        ("steps=5", "--set steps=5: expected section.key=value, such as train.steps=500"),
        ("train.steps", "--set train.steps: expected section.key=value, such as train.steps=500"),
        ("train.steps.more=5", "--set train.steps.more=5: `steps` is a value and not a section"),
        (
            "train.steps=[5",
            "--set train.steps=[5: `[5` is not a TOML value: expected a number, true, false, \"text\" or [1, 2]",
        ),
        (
            "train.steps=1\nseed=2",
            "--set train.steps=1\nseed=2: `1\nseed=2` is not a TOML value: expected a number, true, false, \"text\" or [1, 2]",
        ),
    ] {
        check_refused(SMALL, &["train.seed=3", setting], expected);
    }
}

#[test]
fn the_resolved_file_reads_as_the_same() {
    let mut config = read(SMALL, &[]).unwrap();
    config.data.eval = Some(SetSource::Files(vec!["a.jsonl".into(), "b.jsonl.gz".into()]));
    config.data.target = TargetKind::Field("a \"b\" \\ c".into());
    config.data.stages = vec![
        StageConfig { steps: 3, num_candidates: Some(vec![1, 2]), batch_size: None },
        StageConfig { steps: 4, num_candidates: None, batch_size: Some(8) },
    ];
    config.lora = Some(LoraConfig::default());
    config.grpo.kl_coef = 0.01;
    let text = config.to_toml(Method::Paragator);
    assert_eq!(read(&text, &[]).as_ref(), Ok(&config), "{text}");
    assert!(text.contains("# context_length is not set\n"), "{text}");
    assert!(text.contains("clip_epsilon = 0.2\n"), "{text}");

    let text = RunConfig { grpo: GrpoConfig::default(), ..config }.to_toml(Method::Sft);
    assert!(!text.contains("grpo") && !text.contains("paragator"), "{text}");
}

#[test]
fn a_configuration_is_checked_as_a_whole() {
    let check = |settings: &[&str], method: Method, expected: &str| {
        let message = read(SMALL, settings).unwrap().validate(method).expect_err(expected).to_string();
        assert!(message.contains(expected), "{settings:?}: {message}");
    };
    read(SMALL, &[]).unwrap().validate(Method::Sft).unwrap();
    // A look at the first steps of a curriculum is a run like any other.
    let curriculum = format!("{SMALL}\n[[data.stages]]\nsteps = 500\nnum_candidates = [2]\n");
    read(&curriculum, &["train.steps=3"]).unwrap().validate(Method::Sft).unwrap();
    read(SMALL, &[]).unwrap().validate(Method::Paragator).unwrap();
    check(&["train.steps=0"], Method::Sft, "`train.steps` is 0, expected at least 1");
    check(&["model.path=tiny"], Method::Sft, "take out `preset`");
    check(&["data.eval.arithmetic={ seed = 1 }"], Method::Sft, "have the same problems");
    check(&["data.num_candidates=[]"], Method::Sft, "`data.num_candidates` is empty");
    check(&["data.truncation.probability=2"], Method::Sft, "expected 0 to 1");
    check(&["prompt.context_length=100"], Method::Sft, "leaves no room for a prompt");
    check(&["prompt.max_candidates=0"], Method::Sft, "`prompt.max_candidates` is 0, expected at least 1");
    check(&["grpo.group_size=1"], Method::Grpo, "`grpo.group_size` is 1, expected at least 2");
    check(&["paragator.pass_k=9"], Method::Paragator, "more than the 8 solutions");
    check(&["lora.targets=[\"q\"]"], Method::Sft, "`lora.targets` names `q`");
    read(SMALL, &["grpo.group_size=1"]).unwrap().validate(Method::Sft).unwrap();
    let nothing = RunConfig::default().validate(Method::Sft).unwrap_err().to_string();
    for part in ["give `path`", "`data.train` is missing", "`data.eval` is missing", "`train.steps` is 0"] {
        assert!(nothing.contains(part), "{part}: {nothing}");
    }
}

#[test]
fn the_shipped_files_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("the folder of configurations")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 5, "{names:?}");
    for name in names.iter().filter(|name| name.ends_with(".toml")) {
        let method = match name {
            name if name.contains("paragator") => Method::Paragator,
            name if name.contains("grpo") => Method::Grpo,
            _ => Method::Sft,
        };
        let config = RunConfig::read(&folder.join(name), &[]).unwrap_or_else(|error| panic!("{error}"));
        config.validate(method).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = RunConfig::from_toml(&config.to_toml(Method::Paragator), name, &[]);
        assert_eq!(again.unwrap_or_else(|error| panic!("{error}")), config, "{name}");
    }
}
