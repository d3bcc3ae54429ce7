//! Sets that are unusual or cannot be read, and models that cannot be used.

use std::path::Path;

use serde_json::json;

use super::{of, rows_of, timeless, with_sets};
use crate::binary::{Run, conclave_line, directory, set};
use crate::checkpoint::{copy, edit_json, overwrite, random_model};

#[test]
fn unusual_sets_are_valid_or_named() {
    let many: Vec<String> = (0..10_000).map(|i| (i % 5000).to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = format!("{} The answer is \\boxed{{7}}.", "word ".repeat(2_000_000));
    let short = [json!({"text": "\\boxed{7}"}), json!({"text": "\\boxed{8}"})];
    let two = set("two", "7", &["7", "8"]);
    let many = set("many", "0", &many);
    let long_candidate =
        json!({"id": "long", "problem": "?", "candidates": [{"text": long}, {"text": "\\boxed{8}"}]})
            .to_string();
    let long_problem =
        json!({"id": "novel", "problem": "Long ago ".repeat(200), "candidates": short}).to_string();
    let mut latin1 = b"{\"id\": \"caf\xe9\", \"problem\": \"?\", \"candidates\": []}\n".to_vec();
    latin1.extend(two.as_bytes());
    let rest = |line: String| (line + "\n" + &two).into_bytes();
    // name, file, rows, exit code, what is said
    type Case<'a> = (&'a str, Vec<u8>, usize, i32, &'a [&'a str]);
    let cases: &[Case] = &[
        ("many", rest(many), 2, 0, &["2 rows"]),
        ("long", rest(long_candidate), 2, 0, &["2 rows"]),
        (
            "novel",
            rest(long_problem),
            2,
            1,
            &[
                "set `novel`",
                "leaves no room for a candidate in a context of 1024",
                "the vote is taken",
                "that do not fit",
            ],
        ),
        ("latin1", latin1, 1, 1, &["latin1.jsonl:1: not UTF-8 at byte 12", "1 of 2 lines could not be read"]),
        ("empty", Vec::new(), 0, 0, &["empty.jsonl: has no lines", "0 rows"]),
        ("pairs", b"{\"reference\": \"1\", \"prediction\": \"1\"}\n".to_vec(), 0, 1, &["`id`: missing"]),
    ];
    let directory = directory(&[]);
    random_model(directory.path(), "m");
    for (name, bytes, rows, code, parts) in cases {
        std::fs::write(directory.path().join(format!("{name}.jsonl")), bytes).unwrap();
        for mode in ["generate", "select"] {
            let line =
                format!("aggregate {name}.jsonl --model m --policy always --max-new-tokens 8 --mode {mode}");
            let run = conclave_line(directory.path(), &format!("{line} --json")).expect(&line, *code, parts);
            assert_eq!(run.rows().len(), *rows, "{line}");
            let out = directory.path().join(format!("{name}-{mode}.jsonl"));
            let line = format!("{line} --out {name}-{mode}.jsonl");
            conclave_line(directory.path(), &line).expect(&line, *code, parts);
            // Where not one line could be used, nothing is written.
            assert_eq!(out.exists(), *name != "pairs", "{line}");
            if *rows > 0 {
                assert_eq!(
                    rows_of(&out).iter().cloned().map(timeless).collect::<Vec<_>>(),
                    run.rows().into_iter().map(timeless).collect::<Vec<_>>()
                );
            }
            if *name == "novel" {
                let row = &rows_of(&out)[0];
                assert_eq!((&row["method"], &row["answer"]), (&json!("vote"), &json!("7")));
                assert!(row["error"].as_str().is_some_and(|error| error.contains("no room")), "{row}");
            }
        }
    }
    let left = std::fs::read_dir(directory.path()).unwrap();
    let left = left.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("partial"));
    assert_eq!(left.count(), 0);
}

#[test]
fn a_model_that_cannot_be_used_costs_nothing() {
    let directory = with_sets();
    random_model(directory.path(), "m");
    std::fs::write(directory.path().join("rows.jsonl"), "before\n").unwrap();
    let weights = "model.safetensors";
    type Damage<'a> = &'a dyn Fn(&Path);
    let cases: &[(&str, Damage, &[&str])] = &[
        (
            "missing",
            &|model| std::fs::remove_file(model.join(weights)).unwrap(),
            &["no weights: expected model.safetensors"],
        ),
        (
            "cut",
            &|model| {
                let bytes = std::fs::read(model.join(weights)).unwrap();
                std::fs::write(model.join(weights), &bytes[..bytes.len() - 1]).unwrap();
            },
            &["model.safetensors: ends at byte", "download it again"],
        ),
        (
            "header",
            &|model| std::fs::write(model.join(weights), "{}").unwrap(),
            &["model.safetensors: ends at byte 2"],
        ),
        (
            "llama",
            &|model| edit_json(&model.join("config.json"), |json| json["model_type"] = json!("llama")),
            &["`model_type` is \"llama\", supported is \"qwen2\""],
        ),
        (
            "json",
            &|model| std::fs::write(model.join("config.json"), "{").unwrap(),
            &["config.json: not valid JSON"],
        ),
        (
            "shape",
            &|model| edit_json(&model.join("config.json"), |json| json["hidden_size"] = json!(256)),
            &["cannot load the model in `shape`", "has shape [257, 128], expected [257, 256]"],
        ),
        (
            "larger",
            &|model| {
                edit_json(&model.join("tokenizer.json"), |json| json["added_tokens"][0]["id"] = json!(257))
            },
            &["tokenizer.json has ids up to 257", "`vocab_size` 257"],
        ),
        (
            "wordless",
            &|model| std::fs::remove_file(model.join("tokenizer.json")).unwrap(),
            &["tokenizer.json: no such file"],
        ),
        (
            "nan",
            &|model| overwrite(&model.join(weights), "model.norm.weight", f32::NAN),
            &["cannot load the model in `nan`", "`model.norm.weight` holds NaN", "download it again"],
        ),
        (
            "huge",
            &|model| overwrite(&model.join(weights), "model.norm.weight", f32::MAX),
            &["cannot aggregate set `stable`", "not finite", "when they were loaded"],
        ),
    ];
    for (name, damage, parts) in cases {
        let model = directory.path().join(name);
        copy(&directory.path().join("m"), &model);
        damage(&model);
        for mode in ["generate", "select"] {
            let line =
                format!("aggregate sets.jsonl --model {name} --policy always --mode {mode} --out rows.jsonl");
            let run = conclave_line(directory.path(), &line).expect(&line, 1, parts);
            assert_eq!(run.stderr.lines().count(), 1, "one failure, one line: {run:?}");
        }
    }
    assert_eq!(std::fs::read_to_string(directory.path().join("rows.jsonl")).unwrap(), "before\n");
    let left = std::fs::read_dir(directory.path()).unwrap();
    assert_eq!(left.count(), 3 + cases.len(), "a run without rows leaves nothing");
}

#[test]
fn a_failure_keeps_the_rows_before_it() {
    let directory = with_sets();
    random_model(directory.path(), "m");
    overwrite(&directory.path().join("m/model.safetensors"), "model.norm.weight", f32::MAX);
    // The vote of the first set is stable; the second asks the model, whose numbers become infinite.
    let failure: &[&str] = &["conclave: cannot aggregate set `split`", "not finite"];
    let line = "aggregate sets.jsonl --model m";
    let ids = |run: &Run| of(&run.rows(), "id");
    let run = conclave_line(directory.path(), &format!("{line} --json")).expect(line, 1, failure);
    assert_eq!(ids(&run), ["stable"]);
    let run = conclave_line(directory.path(), line).expect(line, 1, failure);
    assert!(run.stdout.contains("stable  2       vote"), "{run:?}");
    let run = conclave_line(directory.path(), &format!("{line} --out rows.jsonl")).expect(line, 1, failure);
    assert!(
        run.stderr.contains("1 of 4 rows are kept in `rows.jsonl.partial`; the same command continues"),
        "{run:?}"
    );
    assert_eq!(of(&rows_of(&directory.path().join("rows.jsonl.partial")), "id"), ["stable"]);
    assert!(!directory.path().join("rows.jsonl").exists());
    // In 16 bits the numbers are too large, and the remedy another.
    let line = format!("{line} --dtype f16");
    conclave_line(directory.path(), &line).expect(&line, 1, &["float16 at most 65504", "load it as float32"]);
}
