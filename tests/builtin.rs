//! The built-in model: it is there without `--model`, it is whole, and it leaves alone what it cannot read. How good its
//! answers are is in its card.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{Run, conclave_line, directory};

/// Twenty sets that it knows the words of, as `arithmetic.jsonl`; ten of other words, as `math500.jsonl`; both as
/// `both.jsonl`.
fn examples() -> TempDir {
    let file = |name: &str| {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)).expect(name)
    };
    let [arithmetic, math] = ["arithmetic.jsonl", "math500.jsonl"].map(file);
    let both = [arithmetic.as_slice(), &math].concat();
    directory(&[("arithmetic.jsonl", &arithmetic), ("math500.jsonl", &math), ("both.jsonl", &both)])
}

fn rows(directory: &Path, line: &str) -> (Vec<Value>, Run) {
    let run = conclave_line(directory, line).expect(line, 0, &[]);
    let mut rows = run.rows();
    for row in &mut rows {
        row.as_object_mut().unwrap().remove("elapsed_ms").expect("elapsed_ms");
    }
    (rows, run)
}

fn was_asked(row: &Value) -> bool {
    row["usage"]["prompt_tokens"].as_u64() > Some(0)
}

#[test]
fn it_answers_where_no_model_is_named() {
    let directory = examples();
    let line = "aggregate arithmetic.jsonl --policy always --limit 4 --json";
    let (first, run) = rows(directory.path(), line);
    assert_eq!(first.len(), 4);
    for row in &first {
        assert!(was_asked(row) && row["completion"].is_string(), "{row}");
        assert_eq!((&row["error"], &row["unknown_words"]), (&Value::Null, &Value::Null), "{row}");
    }
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    assert_eq!(rows(directory.path(), &format!("{line} --model builtin")).0, first);

    // It may also choose; and it is left alone where the vote is enough.
    let (chosen, _) = rows(directory.path(), &format!("{line} --mode select"));
    assert!(chosen.iter().all(|row| row["method"] == "select"), "{chosen:?}");
    // Improbable without its steps, but not as the characters of a tag that it has a token for would be (1e-30).
    assert!(chosen.iter().all(|row| row["confidence"].as_f64() > Some(1e-12)), "{chosen:?}");
    let (voted, _) = rows(directory.path(), "aggregate arithmetic.jsonl --json --policy vote");
    assert!(!voted.iter().any(was_asked), "{voted:?}");
}

#[test]
fn sets_that_go_together_get_the_answers_that_they_get_alone() {
    let directory = examples();
    // In the last digits sums depend on how many rows there are.
    let rounded = |mut row: Value| {
        let confidence = row["confidence"].as_f64().unwrap();
        row["confidence"] = ((confidence * 1e3).round()).into();
        for layer in row["layers"].as_array_mut().unwrap() {
            let confidence = layer["confidence"].as_f64().unwrap();
            layer["confidence"] = ((confidence * 1e3).round()).into();
        }
        row
    };
    // Sets with words that it does not know among them, and the last batch is smaller.
    let line = "aggregate both.jsonl --policy always --limit 23 --permutations 2 --json";
    let of = |flags: &str| {
        let rows = rows(directory.path(), &format!("{line} {flags}")).0;
        rows.into_iter().map(rounded).collect::<Vec<_>>()
    };
    let alone = of("");
    assert_eq!(alone.iter().filter(|row| was_asked(row)).count(), 40);
    assert_eq!(of("--batch-size 16"), alone);
    let with = |flags: &str| format!("aggregate arithmetic.jsonl {flags} --batch-size 8");
    for (line, part) in [
        (with("--temperature 1"), "--batch-size needs a --temperature of 0"),
        (with("--rounds 1"), "cannot be used with"),
    ] {
        conclave_line(directory.path(), &line).expect(&line, 2, &[part]);
    }
    // Broken off in the middle of a batch and continued: the same rows once.
    let line = "aggregate arithmetic.jsonl --policy always --batch-size 8 --out rows.jsonl";
    conclave_line(directory.path(), line).expect(line, 0, &[]);
    let path = |name: &str| directory.path().join(name);
    let whole = std::fs::read_to_string(path("rows.jsonl")).unwrap();
    let mut child = crate::binary::start(directory.path(), line);
    let kept = || std::fs::read_to_string(path("rows.jsonl.partial")).unwrap_or_default();
    crate::binary::wait_until("a batch", || kept().lines().count() >= 8);
    child.kill().unwrap();
    child.wait().unwrap();
    let torn: String = kept().split_inclusive('\n').take(5).collect();
    std::fs::write(path("rows.jsonl.partial"), torn).unwrap();
    conclave_line(directory.path(), line).expect(line, 0, &["5 of 20 rows were done by an earlier run"]);
    let timeless = |text: &str| -> Vec<Value> {
        let row = |line: &str| {
            let mut row: Value = serde_json::from_str(line).unwrap();
            row.as_object_mut().unwrap().remove("elapsed_ms");
            row
        };
        text.lines().map(row).collect()
    };
    assert_eq!(timeless(&std::fs::read_to_string(path("rows.jsonl")).unwrap()), timeless(&whole));
}

#[test]
fn words_that_it_does_not_know_are_left_to_the_vote() {
    let directory = examples();
    let (votes, _) = rows(directory.path(), "vote math500.jsonl --json");
    let (answers, run) = rows(directory.path(), "aggregate math500.jsonl --json");
    let said = "7 of 10 sets left to the vote: the built-in model does not know their words";
    assert!(run.stderr.starts_with(said) && run.stderr.contains("give --model DIR"), "{run:?}");
    assert!(
        run.stderr.contains("10 rows: 10 by vote (7 with words that it does not know), 0 by the model"),
        "{run:?}"
    );
    assert_eq!(run.stderr.lines().count(), 2, "{run:?}");
    for (row, vote) in answers.iter().zip(&votes) {
        assert_eq!((&row["answer"], &row["method"]), (&vote["answer"], &json!("vote")), "{row}");
        assert!(!was_asked(row) && row["completion"].is_null() && row["error"].is_null(), "{row}");
        let share = row["unknown_words"].as_f64();
        assert!(share.is_none_or(|share| share > 0.2 && share <= 1.0), "{row}");
    }
    assert_eq!(answers.iter().filter(|row| row["unknown_words"].is_f64()).count(), 7);
    let table = conclave_line(directory.path(), "aggregate math500.jsonl").expect("table", 0, &[said]);
    assert_eq!(table.stdout.matches("fallback vote").count(), 7, "{table:?}");

    // Sets are counted, not rows; naming the model changes nothing; a set without candidates needs no excuse.
    let empty = json!({"id": "none", "problem": "What is it?", "candidates": []}).to_string() + "\n";
    let mut both = std::fs::read_to_string(directory.path().join("both.jsonl")).unwrap();
    both.push_str(&empty);
    std::fs::write(directory.path().join("both.jsonl"), both).unwrap();
    let line = "aggregate both.jsonl --policy always --model builtin --permutations 2 --max-new-tokens 2";
    let line = format!("{line} --out rows.jsonl");
    let run = conclave_line(directory.path(), &line).expect(&line, 0, &["10 of 31 sets left to the vote"]);
    assert!(run.stderr.contains("62 rows: ") && run.stderr.contains("20 with words that it"), "{run:?}");
    let written = std::fs::read_to_string(directory.path().join("rows.jsonl")).unwrap();
    let rows: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(rows.iter().filter(|row| was_asked(row)).count(), 40);

    // Nobody would have asked it: nothing is said.
    let run = conclave_line(directory.path(), "aggregate math500.jsonl --policy vote").expect("vote", 0, &[]);
    assert!(!run.stderr.contains("left to the vote") && !run.stdout.contains("fallback"), "{run:?}");
}

#[test]
fn it_passes_its_known_answer_test() {
    let directory = directory(&[]);
    for model in ["", " --model builtin"] {
        let line = format!("model check{model}");
        let run = conclave_line(directory.path(), &line).expect(&line, 0, &[]);
        assert!(run.stdout.contains("16/16  ok") && run.stdout.ends_with("passed\n"), "{run:?}");
    }
}

/// The test run leaves tests of this name out where there is no driver.
#[cfg(feature = "wgpu")]
mod wgpu {
    #[test]
    fn it_passes_its_known_answer_test() {
        let line = "model check --device wgpu";
        super::conclave_line(super::directory(&[]).path(), line).expect(line, 0, &[]);
    }
}

#[test]
fn the_commands_of_models_take_it() {
    let directory = examples();
    let run = |line: &str| conclave_line(directory.path(), line);
    let inspect = "model inspect --verify --model builtin";
    let shown = run(inspect).expect(inspect, 0, &["verified: 5 files as conclave.json says"]);
    assert!(shown.stdout.contains("without an instruction (compact)"), "{shown:?}");
    assert_eq!(run("model inspect --verify").stdout, shown.stdout);
    let bench = "model bench --model builtin --prompt-tokens 8 --new-tokens 2";
    run(bench).expect(bench, 0, &[]);

    let export = "model export --model builtin --out copy --dtype f16";
    run(export).expect(export, 0, &["`copy`: ", "parameters in f16"]);
    run("model check --model copy").expect("the copy", 0, &[]);
    // The same model in a directory is asked whatever the words are: who names it knows what it is for.
    let line = "aggregate math500.jsonl --policy always --limit 1 --max-new-tokens 2 --json --model copy";
    let (rows, run_of_copy) = rows(directory.path(), line);
    assert!(was_asked(&rows[0]) && !run_of_copy.stderr.contains("left to the vote"), "{rows:?}");

    // A directory of that name is still reached.
    let missing = "model inspect --model ./builtin";
    run(missing).expect(missing, 1, &["the model `./builtin` does not exist"]);
}
