//! `conclave model`: directories made, looked at, checked, measured and rewritten, and what is said where that fails.

use std::path::Path;

use serde_json::{Value, json};

use crate::binary::{conclave_line, directory};
use crate::checkpoint::{TOKENIZER, copy, edit_json, overwrite, random_model};

/// The checkpoints that transformers wrote, with what it computed.
const PARITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/parity");

fn json_of(directory: &Path, line: &str) -> Value {
    let run = conclave_line(directory, line).expect(line, 0, &[]);
    serde_json::from_str(&run.stdout).expect("JSON on standard output")
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn wrong_arguments_and_files_are_named() {
    let empty = "{}";
    // The highest id counts, whatever lies between.
    let mut large: Value = serde_json::from_slice(&std::fs::read(TOKENIZER).unwrap()).unwrap();
    large["added_tokens"][0]["id"] = json!(151_936);
    let directory =
        directory(&[("empty.json", empty.as_bytes()), ("large.json", large.to_string().as_bytes())]);
    random_model(directory.path(), "m");
    let init = |rest: &str| format!("model init --out new {rest}");
    let cases: &[(String, i32, &[&str])] = &[
        ("model".into(), 2, &["Usage: conclave model <COMMAND>", "inspect"]),
        ("model init".into(), 2, &["--preset <NAME>", "--tokenizer <FILE>", "--out <DIR>"]),
        (
            init(&format!("--preset 7b --tokenizer {TOKENIZER}")),
            2,
            &["unknown preset `7b`", "qwen2.5-0.5b, ", "tiny"],
        ),
        (init("--preset qwen2.5-0.5b --tokenizer large.json"), 2, &["has 151936 ids, the tokenizer 151937"]),
        (
            init(&format!("--preset tiny --tokenizer {TOKENIZER} --max-shard-size 5x")),
            2,
            &["such as 500MB or 2GiB"],
        ),
        (init(&format!("--preset tiny --tokenizer {TOKENIZER} --dtype f64")), 2, &["f32, f16, bf16"]),
        (init(&format!("--preset tiny --tokenizer {TOKENIZER} --seed x")), 2, &["'--seed <SEED>'"]),
        (
            init("--preset tiny --tokenizer nowhere"),
            1,
            &["cannot read the tokenizer `nowhere`: No such file"],
        ),
        (init("--preset tiny --tokenizer m"), 1, &["`m`: it is a directory; name the tokenizer.json in it"]),
        (
            init("--preset tiny --tokenizer empty.json"),
            1,
            &["cannot use `empty.json` as a tokenizer", "`model`"],
        ),
        (format!("model init --preset tiny --tokenizer {TOKENIZER} --out m"), 1, &["`m` is not empty"]),
        (
            format!("model init --preset tiny --tokenizer {TOKENIZER} --out empty.json/new"),
            1,
            &["cannot create `empty.json/new`", "is not a directory"],
        ),
        ("model export --model m --out m".into(), 1, &["`m` is not empty: name a new directory with --out"]),
        (
            "model export --model nowhere --out new".into(),
            1,
            &["the model `nowhere` does not exist", "config.json"],
        ),
        ("model export".into(), 2, &["--out <DIR>"]),
        (
            "model inspect --model nowhere".into(),
            1,
            &["the model `nowhere` does not exist", "nothing is downloaded"],
        ),
        (
            "model inspect --model Nobody/No-Model@v1".into(),
            1,
            &["does not exist", "nothing is downloaded unasked", "conclave model pull Nobody/No-Model@v1"],
        ),
        ("model pull ../x".into(), 2, &["cannot be the name of a model", "OWNER/NAME"]),
        ("model pull a/b --file c.bin".into(), 2, &["expected the name of a .gguf file"]),
        ("model inspect --model empty.json".into(), 1, &["the model `empty.json` is not a directory"]),
        ("model inspect --model .".into(), 1, &["cannot open the model in `.`", "config.json: no such file"]),
        (
            format!("model inspect --verify --model {PARITY}/tied-gqa"),
            1,
            &["no conclave.json", "nothing to verify"],
        ),
        (format!("model check --model {PARITY}/tied-gqa"), 1, &["no selftest.safetensors", "--reference"]),
        (
            "model check --model m --reference nowhere".into(),
            1,
            &["cannot read the reference `nowhere`: No such file"],
        ),
        (
            "model check --model m --reference m".into(),
            1,
            &["`m`: it is a directory; name a safetensors file"],
        ),
        ("model check --model m --reference empty.json".into(), 1, &["empty.json: ends at byte 2"]),
        (
            "model check --model m --reference m/model.safetensors".into(),
            1,
            &["has no case: expected tensors `NAME.ids`"],
        ),
        (
            format!("model check --model m --reference {PARITY}/tied-gqa/expected.safetensors"),
            1,
            &["is it the one of this model?", "vocab_size 257"],
        ),
        ("model check --model m --tolerance nan".into(), 2, &["'--tolerance <X>'", "such as 1e-4"]),
        ("model check --model m --device gpu".into(), 2, &["cpu, wgpu, cuda"]),
        (
            "model bench --model m --prompt-tokens 1000".into(),
            2,
            &["1000 prompt and 32 new", "context of 1024"],
        ),
        ("model bench --model m --new-tokens 5000".into(), 2, &["lower --prompt-tokens or --new-tokens"]),
        ("model bench --model m --new-tokens 0".into(), 2, &["'--new-tokens <N>'"]),
        #[cfg(not(feature = "cuda"))]
        (
            "model check --model m --device cuda".into(),
            1,
            &["built without CUDA", "--features cuda", "--device cpu"],
        ),
        #[cfg(not(feature = "wgpu"))]
        (
            "model check --model m --device wgpu".into(),
            1,
            &["built without wgpu", "--features wgpu", "--device cpu"],
        ),
    ];
    for (line, code, parts) in cases {
        conclave_line(directory.path(), line).expect(line, *code, parts);
    }
    assert_eq!(files(directory.path()), ["empty.json", "large.json", "m"], "a failed command left something");
}

#[test]
fn a_new_model_is_whole() {
    let directory = directory(&[]);
    random_model(directory.path(), "m");
    random_model(directory.path(), "again");
    let model = directory.path().join("m");
    let expected = [
        "conclave.json",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "selftest.safetensors",
        "tokenizer.json",
    ];
    assert_eq!(files(&model), expected);
    for file in expected {
        let of = |name: &str| std::fs::read(directory.path().join(name).join(file)).unwrap();
        assert!(of("m") == of("again"), "{file}: the same seed makes another");
    }
    let shown = json_of(directory.path(), "model inspect --model m --json");
    assert_eq!(shown["parameters"], 821_504);
    assert_eq!((&shown["config"]["vocab_size"], &shown["tokenizer_size"]), (&json!(257), &json!(257)));
    assert_eq!(shown["manifest"]["provenance"]["seed"], 1);
    assert_eq!(shown["manifest"]["files"].as_object().map(|files| files.len()), Some(5));
    let tensors = shown["tensors"].as_array().unwrap();
    assert_eq!(tensors.len(), 50);
    assert!(
        tensors.contains(&json!({"name": "model.norm.weight", "dtype": "F32", "shape": [128]})),
        "{tensors:?}"
    );
    assert_eq!((&shown["problems"], &shown["damaged"]), (&json!([]), &Value::Null));

    let run = conclave_line(directory.path(), "model inspect --model m --verify");
    let run = run.expect("inspect --verify", 0, &["verified: 5 files as conclave.json says"]);
    assert!(run.stdout.starts_with("parameters   821504\n"), "{run:?}");
    assert!(run.stdout.contains("257 rows, tokenizer: 257 ids"), "{run:?}");
    let checked = json_of(directory.path(), "model check --model m --json");
    assert_eq!(checked["passed"], true);
    assert_eq!(checked["cases"][0]["greedy_agreeing"], 16);
}

#[test]
fn damage_is_found() {
    let directory = directory(&[]);
    random_model(directory.path(), "m");
    let norm = "model.norm.weight";
    let weights = "model.safetensors";
    type Damage<'a> = &'a dyn Fn(&Path);
    // What is done to the directory; what `inspect --verify` and `check` say to it.
    let cases: &[(&str, Damage, &[&str], &[&str])] = &[
        (
            "value",
            &|model| overwrite(&model.join(weights), norm, 3.0),
            &["model.safetensors: missing, or its sha256 is not the one"],
            &["the weights are damaged", "inspect --verify"],
        ),
        (
            "nan",
            &|model| overwrite(&model.join(weights), norm, f32::NAN),
            &["model.safetensors: missing, or its sha256"],
            &["cannot load the model in `nan`", "`model.norm.weight` holds NaN"],
        ),
        (
            "cut",
            &|model| {
                let bytes = std::fs::read(model.join(weights)).unwrap();
                std::fs::write(model.join(weights), &bytes[..1_000_000]).unwrap();
            },
            &["cannot open the model in `cut`: model.safetensors: ends at byte 1000000"],
            &["cannot open the model in `cut`", "download it again"],
        ),
        (
            "layers",
            &|model| edit_json(&model.join("config.json"), |json| json["num_hidden_layers"] = json!(5)),
            &["no tensor is called `model.layers.4.self_attn.q_proj.weight`", "config.json: missing, or"],
            &["cannot load the model in `layers`", "model.layers.4."],
        ),
        (
            "shape",
            &|model| edit_json(&model.join("config.json"), |json| json["intermediate_size"] = json!(256)),
            &["mlp.up_proj.weight` has shape [384, 128], expected [256, 128]"],
            &["cannot load the model in `shape`", "expected [256, 128]"],
        ),
        (
            "tokenizer",
            &|model| std::fs::remove_file(model.join("tokenizer.json")).unwrap(),
            &["tokenizer.json: missing, or"],
            &[],
        ),
    ];
    for (name, damage, inspected, checked) in cases {
        let model = directory.path().join(name);
        copy(&directory.path().join("m"), &model);
        damage(&model);
        conclave_line(directory.path(), &format!("model inspect --verify --model {name}"))
            .expect(name, 1, inspected);
        let code = if checked.is_empty() { 0 } else { 1 };
        let run = conclave_line(directory.path(), &format!("model check --model {name}"))
            .expect(name, code, checked);
        if *name == "value" {
            assert!(run.stdout.contains("FAILED"), "{run:?}");
        }
    }
    let shown = conclave_line(directory.path(), "model inspect --json --verify --model value");
    assert_eq!(serde_json::from_str::<Value>(&shown.stdout).unwrap()["damaged"], json!([weights]));
    // What does not fit in an exponent does not become infinite in silence.
    overwrite(&directory.path().join("m").join(weights), norm, 1e30);
    let run = conclave_line(directory.path(), "model export --model m --out half --dtype f16");
    run.expect("export", 1, &["`model.norm.weight`", "too large for F16", "BF16 or F32"]);
    assert!(!directory.path().join("half").exists(), "half a model stays");
}

#[test]
fn the_parity_fixtures_pass_on_the_processor() {
    parity("cpu", 1e-4);
}

/// The test run leaves tests of this name out where there is no driver.
#[cfg(feature = "wgpu")]
mod wgpu {
    #[test]
    fn the_parity_fixtures_pass() {
        super::parity("wgpu", 1e-3);
    }
}

/// Logits within `tolerance` of those of transformers, and the same greedy tokens.
fn parity(device: &str, tolerance: f64) {
    let directory = directory(&[]);
    for fixture in ["tied-gqa", "untied-mqa-bf16-sharded"] {
        let model = format!("{PARITY}/{fixture}");
        let check =
            format!("model check --model {model} --reference {model}/expected.safetensors --device {device}");
        let report = json_of(directory.path(), &format!("{check} --json"));
        assert_eq!((&report["passed"], &report["device"]), (&json!(true), &json!(device)), "{report}");
        assert_eq!(report["tolerance"], tolerance);
        let cases = report["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 3, "{report}");
        for case in cases {
            assert!(
                case["max_difference"].as_f64().is_some_and(|difference| difference <= tolerance),
                "{case}"
            );
            assert_eq!(
                (&case["greedy_agreeing"], &case["greedy_tokens"]),
                (&json!(24), &json!(24)),
                "{case}"
            );
        }
        // What no device can do fails.
        conclave_line(directory.path(), &format!("{check} --tolerance 1e-12")).expect(fixture, 1, &[]);
        if device == "cpu" {
            for dtype in ["f16", "bf16"] {
                json_of(directory.path(), &format!("{check} --dtype {dtype} --json"));
            }
        }
    }
}

#[test]
fn bench_measures() {
    let directory = directory(&[]);
    random_model(directory.path(), "m");
    let report = json_of(directory.path(), "model bench --model m --prompt-tokens 40 --new-tokens 4 --json");
    let fields: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = "parameters device dtype prompt_tokens new_tokens load_seconds prefill_tokens_per_second \
                    decode_tokens_per_second peak_memory_bytes";
    assert_eq!(fields.join(" "), expected);
    assert_eq!((&report["prompt_tokens"], &report["new_tokens"]), (&json!(40), &json!(4)));
    for field in ["load_seconds", "prefill_tokens_per_second", "decode_tokens_per_second"] {
        assert!(report[field].as_f64().is_some_and(|value| value > 0.0), "{field}: {report}");
    }
    // Without lengths, what the context has room for; no tokenizer is needed.
    let report = json_of(directory.path(), &format!("model bench --model {PARITY}/tied-gqa --json"));
    assert_eq!((&report["prompt_tokens"], &report["new_tokens"]), (&json!(480), &json!(32)));
    let run = conclave_line(directory.path(), "model bench --model m --prompt-tokens 8 --new-tokens 2");
    let run = run.expect("bench", 0, &[]);
    assert!(run.stdout.contains("prefill") && run.stdout.contains("tokens/s (8 tokens)"), "{run:?}");
}

#[test]
fn an_export_is_the_same_model() {
    let directory = directory(&[]);
    let fixture = format!("{PARITY}/untied-mqa-bf16-sharded");
    let from = [("m", "m"), ("parity", fixture.as_str())];
    random_model(directory.path(), "m");
    for (name, model) in from {
        for (dtype, size, sharded) in
            [("f32", "4GiB", false), ("f16", "20kB", true), ("bf16", "100KiB", true)]
        {
            let out = format!("{name}-{dtype}");
            let export =
                format!("model export --model {model} --out {out} --dtype {dtype} --max-shard-size {size}");
            conclave_line(directory.path(), &export).expect(
                &export,
                0,
                &["parameters in", dtype, "self-test"],
            );
            let index = directory.path().join(&out).join("model.safetensors.index.json");
            assert_eq!(index.exists(), sharded, "{export}");
            conclave_line(directory.path(), &format!("model check --model {out}")).expect(&out, 0, &[]);
            let line = format!("model inspect --verify --model {out} --json");
            // The fixture has no tokenizer, which is told.
            let (code, said): (_, &[&str]) =
                if name == "m" { (0, &[]) } else { (1, &["tokenizer.json: no such file"]) };
            let run = conclave_line(directory.path(), &line).expect(&line, code, said);
            let shown: Value = serde_json::from_str(&run.stdout).expect("JSON on standard output");
            let stored = match dtype {
                "f32" => ("F32", "float32"),
                "f16" => ("F16", "float16"),
                _ => ("BF16", "bfloat16"),
            };
            assert_eq!(shown["tensors"][0]["dtype"], stored.0);
            assert_eq!(shown["config"]["torch_dtype"], stored.1);
            let provenance = &shown["manifest"]["provenance"];
            assert_eq!((&provenance["dtype"], &shown["damaged"]), (&json!(dtype), &json!([])));
            if name == "m" {
                assert_eq!(provenance["of"]["made_by"], "conclave model init");
            }
        }
    }
    // bf16 weights lose nothing in f32, so what transformers computed still holds.
    let check = format!("model check --model parity-f32 --reference {fixture}/expected.safetensors");
    conclave_line(directory.path(), &check).expect(&check, 0, &[]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_no_half_model() {
    let directory = directory(&[]);
    let mut limited = std::process::Command::new("sh");
    let script =
        "trap '' XFSZ; ulimit -f 1000; exec \"$0\" model init --preset tiny --tokenizer \"$1\" --out m";
    limited.args(["-c", script, env!("CARGO_BIN_EXE_conclave"), TOKENIZER]);
    let run = crate::binary::finish(limited, directory.path(), b"");
    run.expect("model init", 1, &["cannot write `m/model.safetensors`: File too large"]);
    assert_eq!(files(directory.path()), Vec::<String>::new());
}
