//! `conclave aggregate`: policies and modes, what rows and summaries add up to, and where they go.
//! Unusual sets and models that fail are in [`failures`], interrupted runs in [`resume`], rounds in [`rounds`].

mod failures;
mod resume;
mod rounds;

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{conclave, conclave_line, directory, set};
use crate::checkpoint::{model_that_writes_7, random_model};

/// A row with what differs from run to run taken out.
fn timeless(mut row: Value) -> Value {
    row.as_object_mut().unwrap().remove("elapsed_ms").expect("elapsed_ms");
    row
}

/// The rows of a file.
fn rows_of(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn of(rows: &[Value], field: &str) -> Vec<Value> {
    rows.iter().map(|row| row[field].clone()).collect()
}

/// Sets: the vote is stable, it is not, there is no candidate, no candidate has an answer.
fn with_sets() -> TempDir {
    let sets = [
        set("stable", "2", &["2", "2.0", "2", "2", "2"]),
        set("split", "7", &["2", "7", "2", "8"]),
        json!({"id": "none", "problem": "?", "candidates": []}).to_string() + "\n",
        json!({"id": "silent", "problem": "?", "reference_answer": "7", "candidates": [{"text": "hm"}]})
            .to_string()
            + "\n",
    ];
    directory(&[("sets.jsonl", sets.concat().as_bytes())])
}

#[test]
fn wrong_arguments_are_named() {
    let directory = with_sets();
    random_model(directory.path(), "m");
    let cases: &[(&str, i32, &[&str])] = &[
        ("aggregate", 2, &["<SETS>..."]),
        ("aggregate --model m", 2, &["<SETS>..."]),
        (
            "aggregate sets.jsonl --model nowhere",
            1,
            &["the model `nowhere` does not exist", "tokenizer.json"],
        ),
        ("aggregate sets.jsonl --model sets.jsonl", 1, &["the model `sets.jsonl` is not a directory"]),
        ("aggregate m --model m", 1, &["cannot read `m`: it is a directory"]),
        ("aggregate nowhere --model m", 1, &["cannot read `nowhere`", "is the name right?"]),
        ("aggregate sets.jsonl --model m --policy maybe", 2, &["auto, always, vote"]),
        ("aggregate sets.jsonl --model m --mode pick", 2, &["generate, select"]),
        ("aggregate sets.jsonl --model m --variant cot", 2, &["think, no-think, compact"]),
        ("aggregate sets.jsonl --model m --temperature hot", 2, &["a number from 0 to 100"]),
        ("aggregate sets.jsonl --model m --top-p 0", 2, &["above 0 and at most 1"]),
        ("aggregate sets.jsonl --model m --top-k 0", 2, &["'--top-k <K>'"]),
        ("aggregate sets.jsonl --model m --permutations 0", 2, &["'--permutations <N>'"]),
        ("aggregate sets.jsonl --model m --max-new-tokens 1024", 2, &["no room for a prompt", "1024 tokens"]),
        ("aggregate sets.jsonl --model m --out m", 1, &["cannot write `m`: it is a directory"]),
        (
            "aggregate sets.jsonl --model m --out nowhere/x",
            1,
            &["cannot create `nowhere/x.partial`", "directory"],
        ),
        #[cfg(not(feature = "cuda"))]
        ("aggregate sets.jsonl --model m --device cuda", 1, &["built without CUDA", "--device cpu"]),
    ];
    for (line, code, parts) in cases {
        conclave_line(directory.path(), line).expect(line, *code, parts);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "a failed command left something");
}

#[test]
fn policies_and_modes() {
    let directory = with_sets();
    random_model(directory.path(), "random");
    model_that_writes_7(&directory.path().join("seven"));
    let (vote, select, generate) = (json!("vote"), json!("select"), json!("generate"));
    // flags; the method of `stable`, `split` and `silent`; whether the model read these
    let cases = [
        ("--model seven --policy vote", [&vote, &vote, &vote], [false, false, false]),
        ("--model seven", [&vote, &generate, &generate], [false, true, true]),
        // No candidate of the first has a 7, and the model has not earned that it is taken all the same.
        ("--model seven --policy always", [&vote, &generate, &generate], [true, true, true]),
        ("--model seven --policy always --variant think", [&vote, &vote, &vote], [true, true, true]),
        ("--model seven --mode select", [&vote, &select, &vote], [false, true, false]),
        ("--model random --policy always --mode select", [&select, &select, &vote], [true, true, false]),
        ("--model random --policy always --max-new-tokens 8", [&vote, &vote, &vote], [true, true, true]),
    ];
    for (flags, methods, asked) in cases {
        let run = conclave_line(directory.path(), &format!("aggregate sets.jsonl --json {flags}"));
        let rows = run.expect(flags, 0, &["4 rows: "]).rows();
        assert_eq!(of(&rows, "id"), ["stable", "split", "none", "silent"], "{flags}");
        assert_eq!((&rows[2]["method"], &rows[2]["answer"]), (&vote, &Value::Null), "{flags}");
        for (row, (method, asked)) in [0, 1, 3].map(|row| &rows[row]).iter().zip(methods.iter().zip(asked)) {
            assert_eq!(row["method"], **method, "{flags}: {row}");
            let kind = match method.as_str().unwrap() {
                "vote" if row["answer"].is_null() => "share",
                "vote" => "correct",
                "select" => "answer_mass",
                _ => "token_product",
            };
            assert_eq!(row["confidence_kind"], kind, "{flags}: {row}");
            assert!(row["confidence"].as_f64().is_some_and(|value| (0.0..=1.0).contains(&value)), "{row}");
            for count in ["prompt_tokens", "completion_tokens"] {
                assert_eq!(row["usage"][count].as_u64() > Some(0), asked, "{flags}: {row}");
            }
            let layers = of(row["layers"].as_array().unwrap(), "layer");
            // Select mode has nothing to ask about where nobody answered.
            assert_eq!(layers, if asked { vec!["vote", "model"] } else { vec!["vote"] }, "{flags}: {row}");
            if asked {
                assert_eq!(row["layers"][1]["usage"], row["usage"], "{flags}: {row}");
            }
            let scored =
                row["clusters"].as_array().is_some_and(|all| all.iter().any(|one| one["log_prob"].is_f64()));
            assert_eq!(scored, **method == select, "{flags}: {row}");
        }
    }
}

#[test]
fn a_written_answer_counts_and_the_table_shows_how_it_came() {
    let directory = with_sets();
    model_that_writes_7(&directory.path().join("seven"));
    let run = conclave_line(directory.path(), "aggregate sets.jsonl --model seven --json").expect("", 0, &[]);
    let row = &run.rows()[1];
    assert_eq!((&row["answer"], &row["correct"]), (&json!("7"), &json!(true)));
    // Seven and the closing tag, a byte each, all certain.
    assert_eq!((&row["completion"], &row["usage"]["completion_tokens"]), (&json!("7</answer>"), &json!(10)));
    assert!(row["confidence"].as_f64().is_some_and(|product| product > 0.999), "{row}");

    let run = conclave_line(directory.path(), "aggregate sets.jsonl --model seven").expect("", 0, &[]);
    let expected = "\
id      answer  by        confidence  vote     note
stable  2       vote           0.993  2 (5/5)  correct
split   7       generate       1.000  2 (2/4)  correct
none    -       vote           0.000  -        no candidates
silent  7       generate       1.000  -        correct; no candidate has an answer
";
    assert_eq!(run.stdout, expected);
    assert!(run.stderr.starts_with("4 rows: 2 by vote, 2 by the model; 3 of 3 correct; tokens: "), "{run:?}");

    // One that no candidate has is kept beside the vote, which stands in.
    let line = "aggregate sets.jsonl --model seven --policy always";
    let said = ["4 rows: 2 by vote (1 where no candidate has what the model wrote), 2 by the model"];
    let run = conclave_line(directory.path(), line).expect(line, 0, &said);
    assert!(run.stdout.contains("stable  2       fallback vote       0.993  2 (5/5)  correct"), "{run:?}");

    // An answer cut off by the limit is none; the vote stands in.
    let line = "aggregate sets.jsonl --model seven --max-new-tokens 5";
    let run = conclave_line(directory.path(), line);
    let run = run.expect(line, 0, &["4 rows: 4 by vote (2 where the model wrote no answer), 0 by the model"]);
    assert!(
        run.stdout.contains("split   2       fallback vote       0.636  2 (2/4)  wrong: expected 7"),
        "{run:?}"
    );
}

#[test]
fn tokens_add_up() {
    let directory = with_sets();
    random_model(directory.path(), "m");
    for mode in ["generate", "select"] {
        let line = format!("aggregate sets.jsonl --model m --policy always --mode {mode} --out {mode}.jsonl");
        let run = conclave_line(directory.path(), &line).expect(&line, 0, &[]);
        assert_eq!(run.stdout, "");
        let rows = rows_of(&directory.path().join(format!("{mode}.jsonl")));
        let sum = |count: &str| rows.iter().map(|row| row["usage"][count].as_u64().unwrap()).sum::<u64>();
        let (prompt, completion) = (sum("prompt_tokens"), sum("completion_tokens"));
        assert!(prompt > 500 && completion > 0, "{prompt} {completion}");
        assert!(run.stderr.contains(&format!("; tokens: {prompt} in, {completion} out; ")), "{run:?}");
        let line = format!("eval {mode}.jsonl --json");
        let run = conclave_line(directory.path(), &line).expect(&line, 0, &[]);
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        let counts = (&report[0]["prompt_tokens"], &report[0]["completion_tokens"]);
        // Rows without a reference are in no figure; of ours, that is the set without candidates: it cost nothing.
        assert_eq!(counts, (&json!(prompt), &json!(completion)));
        if mode == "select" {
            // What is scored: the bytes of each form of an answer and of its closing tag.
            let closing = "</answer>".len();
            assert_eq!(rows[0]["usage"]["completion_tokens"], json!("2".len() + "2.0".len() + 2 * closing));
            assert_eq!(rows[1]["usage"]["completion_tokens"], json!(3 * (1 + closing)));
        }
    }
}

#[test]
fn limits_permutations_and_seeds() {
    let directory = with_sets();
    random_model(directory.path(), "m");
    let aggregate = |flags: &str| {
        let line = format!("aggregate sets.jsonl --model m --policy always --json {flags}");
        conclave_line(directory.path(), &line)
            .expect(&line, 0, &[])
            .rows()
            .into_iter()
            .map(timeless)
            .collect::<Vec<_>>()
    };
    let all = aggregate("--mode select");
    assert_eq!(aggregate("--mode select --limit 2"), all[..2]);
    assert_eq!(aggregate("--mode select --limit 0"), [] as [Value; 0]);

    let orders = aggregate("--mode select --limit 2 --permutations 3");
    assert_eq!(of(&orders, "id"), ["stable", "stable", "stable", "split", "split", "split"]);
    assert_eq!(of(&orders, "permutation"), [0, 1, 2, 0, 1, 2]);
    for (row, single) in [(&orders[0], &all[0]), (&orders[3], &all[1])] {
        let mut row = row.clone();
        row.as_object_mut().unwrap().remove("permutation");
        assert_eq!(row, *single, "the first order is the set's own");
    }
    let log_probs = |row: &Value| of(row["clusters"].as_array().unwrap(), "log_prob");
    assert_ne!(log_probs(&orders[4]), log_probs(&orders[3]), "another order is another prompt");
    let line =
        "aggregate sets.jsonl --model m --policy always --mode select --permutations 3 --out orders.jsonl";
    conclave_line(directory.path(), line).expect(line, 0, &[]);
    let run = conclave_line(directory.path(), "eval orders.jsonl --json").expect("eval", 0, &[]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(report[0]["flip_rate"]["value"].is_f64(), "{report}");

    let sampled = "--limit 2 --temperature 1 --top-k 50 --top-p 0.9 --max-new-tokens 16 --seed";
    let first = aggregate(&format!("{sampled} 1"));
    assert_eq!(aggregate(&format!("{sampled} 1")), first);
    assert_ne!(of(&aggregate(&format!("{sampled} 2")), "completion"), of(&first, "completion"));
}

#[cfg(target_os = "linux")]
#[test]
fn devices_and_pipes_are_written_directly() {
    use std::os::unix::fs::FileTypeExt;

    let directory = with_sets();
    random_model(directory.path(), "m");
    let line = "aggregate sets.jsonl --model m --policy vote --out";
    let run = conclave_line(directory.path(), &format!("{line} -")).expect(line, 0, &["4 rows"]);
    assert_eq!(run.rows().len(), 4);
    // A pipe of our own, not a device: a mistake would put a file in its place.
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut reader = Command::new("cat").arg(&pipe).stdout(Stdio::piped()).spawn().unwrap();
    let run = conclave_line(directory.path(), &format!("{line} pipe"));
    if !std::fs::metadata(&pipe).unwrap().file_type().is_fifo() {
        reader.kill().unwrap();
        panic!("the pipe was replaced: {run:?}");
    }
    run.expect(line, 0, &["4 rows"]);
    let read = reader.wait_with_output().unwrap().stdout;
    assert_eq!(String::from_utf8(read).unwrap().lines().count(), 4);

    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_conclave"))
        .args(["aggregate", "sets.jsonl", "--model", "m", "--json"])
        .current_dir(directory.path())
        .stdout(full)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot write standard output: No space left on device"), "{stderr}");

    // A link stays a link.
    std::os::unix::fs::symlink("behind.jsonl", directory.path().join("link.jsonl")).unwrap();
    std::fs::write(directory.path().join("behind.jsonl"), "before\n").unwrap();
    conclave_line(directory.path(), &format!("{line} link.jsonl")).expect(line, 0, &["4 rows"]);
    assert!(directory.path().join("link.jsonl").is_symlink());
    assert_eq!(rows_of(&directory.path().join("behind.jsonl")).len(), 4);
    let run = conclave(
        directory.path(),
        &["aggregate", "-", "--model", "m", "--json"],
        set("a", "2", &["2"]).as_bytes(),
    );
    assert_eq!(run.expect("standard input", 0, &[]).rows().len(), 1);
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_the_run_quietly() {
    let directory = with_sets();
    random_model(directory.path(), "m");
    for flags in [&["--json"][..], &[]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_conclave"))
            .args(["aggregate", "-", "--model", "m"])
            .args(flags)
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Closed before anything is written: the child waits for its input until then.
        drop(child.stdout.take());
        let sets = std::fs::read(directory.path().join("sets.jsonl")).unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), &sets).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{flags:?}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{flags:?}");
    }
}
