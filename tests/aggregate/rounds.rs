//! `conclave aggregate --rounds`: pools, where they come from and where they go.

use serde_json::{Value, json};

use super::{of, rows_of, with_sets};
use crate::binary::{conclave_line, directory, set};
use crate::checkpoint::{model_that_writes_7, random_model};

#[test]
fn each_pool_is_aggregated_into_the_next() {
    let directory = with_sets();
    model_that_writes_7(&directory.path().join("seven"));
    let line =
        "aggregate sets.jsonl --model seven --rounds 2 --pool-size 2 --pools pools.jsonl --out rows.jsonl";
    let figures = ["round 0: accuracy 0.", "round 2: accuracy ", "pass@2"];
    conclave_line(directory.path(), line).expect("", 0, &figures);
    let rows = rows_of(&directory.path().join("rows.jsonl"));
    assert_eq!(of(&rows, "id"), ["stable", "split", "none", "silent"]);
    assert_eq!(of(&rows, "answer"), [json!("7"), json!("7"), Value::Null, json!("7")]);
    assert_eq!(of(&rows, "correct"), [json!(false), json!(true), Value::Null, json!(true)]);
    assert_eq!(of(&rows, "rounds"), [2, 2, 2, 2]);
    assert!(rows[1]["usage"]["completion_tokens"].as_u64() > Some(0));
    // The candidates were voted on before they were aggregated.
    let said = |row: &Value, field| of(row["layers"].as_array().unwrap(), field);
    assert_eq!(said(&rows[1], "layer"), ["vote", "model"]);
    assert_eq!(said(&rows[1], "answer"), ["2", "7"]);
    assert_eq!(rows[1]["layers"][1]["usage"], rows[1]["usage"]);
    assert_eq!(said(&rows[2], "layer"), ["vote"], "nobody to ask about nothing");

    let pools = rows_of(&directory.path().join("pools.jsonl"));
    assert_eq!(of(&pools, "round"), [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    let texts = |pool: &Value| of(pool["candidates"].as_array().unwrap(), "text");
    assert_eq!(texts(&pools[1]).len(), 4, "the recorded candidates");
    assert_eq!(texts(&pools[5]), ["7"; 4], "as many as there were");
    assert!(texts(&pools[6]).is_empty(), "nothing to aggregate");
    assert_eq!(texts(&pools[11]), ["7"]);
}

#[test]
fn a_generator_writes_the_first_pool() {
    let directory = with_sets();
    random_model(directory.path(), "random");
    model_that_writes_7(&directory.path().join("seven"));
    let line = "aggregate sets.jsonl --model seven --generator random --rounds 1 --temperature 1 \
                --num-candidates 3 --max-new-tokens 12 --pools pools.jsonl --json";
    let run = conclave_line(directory.path(), line);
    let rows = run.expect("", 0, &["round 1: accuracy"]).rows();
    assert_eq!(of(&rows, "answer"), ["7"; 4], "also of the set without candidates");
    assert!(rows.iter().all(|row| of(row["layers"].as_array().unwrap(), "layer") == ["model"]), "{rows:?}");
    let pools = rows_of(&directory.path().join("pools.jsonl"));
    let counts: Vec<usize> = pools.iter().map(|pool| pool["candidates"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [3; 8]);
    assert_ne!(pools[0]["candidates"][0]["text"], pools[0]["candidates"][1]["text"]);
}

#[test]
fn without_rounds_the_first_pool_is_voted_on() {
    let directory = with_sets();
    model_that_writes_7(&directory.path().join("seven"));
    let line = "aggregate sets.jsonl --model seven --generator seven --rounds 0 --temperature 1 --num-candidates 3 \
                --max-new-tokens 12 --pools pools.jsonl --json";
    let run = conclave_line(directory.path(), line);
    let rows = run.expect("", 0, &["round 0: accuracy"]).rows();
    assert_eq!(of(&rows, "method"), ["vote"; 4]);
    for row in &rows {
        assert_eq!(of(row["layers"].as_array().unwrap(), "layer"), ["vote"], "{row}");
        assert_eq!(row["layers"][0]["usage"], row["usage"], "what writing the candidates cost");
    }
    let pools = rows_of(&directory.path().join("pools.jsonl"));
    assert_eq!(of(&pools, "round"), [0; 4]);
    let counts: Vec<usize> = pools.iter().map(|pool| pool["candidates"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [3; 4]);
}

#[test]
fn a_set_that_does_not_fit_leaves_the_others_alone() {
    let novel = json!({"id": "novel", "problem": "Long ago ".repeat(400), "reference_answer": "7",
        "candidates": [{"text": "\\boxed{8}"}, {"text": "\\boxed{7}"}]});
    let (before, behind) = (set("before", "7", &["1", "2"]), set("behind", "7", &["1", "2"]));
    let directory = directory(&[("sets.jsonl", format!("{before}{novel}\n{behind}").as_bytes())]);
    model_that_writes_7(&directory.path().join("seven"));
    let of_generator = " --generator seven --temperature 1 --num-candidates 3";
    for (generator, reason) in [("", "no room for a candidate"), (of_generator, "are kept for the solution")]
    {
        let line =
            format!("aggregate sets.jsonl --model seven --rounds 1 --max-new-tokens 12 --json{generator}");
        let said = ["set `novel`", reason, "the vote is taken", "1 that do not fit"];
        let rows = conclave_line(directory.path(), &line).expect(&line, 1, &said).rows();
        assert_eq!(of(&rows, "id"), ["before", "novel", "behind"], "{line}");
        assert_eq!(of(&rows, "answer"), ["7", "8", "7"], "{line}");
        assert_eq!(of(&rows, "method"), ["generate", "vote", "generate"], "{line}");
        assert!(rows[1]["error"].as_str().is_some_and(|error| error.contains(reason)), "{:?}", rows[1]);
        // Nothing was spent on it.
        assert_eq!((&rows[1]["usage"]["prompt_tokens"], &rows[1]["rounds"]), (&json!(0), &Value::Null));
    }

    // What is drawn for the others is what is drawn beside a set that fits.
    random_model(directory.path(), "random");
    let fitting = format!("{before}{}{behind}", set("novel", "7", &["8", "7"]));
    std::fs::write(directory.path().join("fitting.jsonl"), fitting).unwrap();
    let pools = |sets: &str| {
        let line = format!(
            "aggregate {sets} --model random --generator random --rounds 1 --temperature 1 --num-candidates 3 --pool-size 2 \
             --max-new-tokens 12 --pools {sets}.pools --json"
        );
        conclave_line(directory.path(), &line);
        let mut pools = rows_of(&directory.path().join(format!("{sets}.pools")));
        pools.retain(|pool| pool["id"] != "novel");
        pools
    };
    let (beside_a_misfit, expected) = (pools("sets.jsonl"), pools("fitting.jsonl"));
    assert_eq!(beside_a_misfit.len(), 4);
    assert_eq!(beside_a_misfit, expected);
}

#[test]
fn the_built_in_model_is_not_asked_to_solve_what_it_cannot_read() {
    let known = "Ben has 15 packs of 7 books. He buys 95 books. How many now?";
    let sets = [
        json!({"id": "known", "problem": known, "candidates": [{"text": "First, multiply; the answer is 7."}]}),
        json!({"id": "words", "problem": "Natalia sold clips to 48 of her friends.", "candidates": []}),
    ];
    let directory = directory(&[("sets.jsonl", sets.map(|set| set.to_string() + "\n").concat().as_bytes())]);
    let line =
        "aggregate sets.jsonl --generator builtin --rounds 1 --temperature 1 --num-candidates 2 --json";
    let said = ["1 of 2 sets left to the vote"];
    let rows = conclave_line(directory.path(), line).expect(line, 0, &said).rows();
    assert_eq!(of(&rows, "method"), ["generate", "vote"]);
    assert!(rows[0]["unknown_words"].is_null() && rows[1]["unknown_words"].as_f64() > Some(0.2), "{rows:?}");
    assert_eq!(rows[1]["answer"], Value::Null);
}

#[test]
fn wrong_arguments_of_rounds_are_named() {
    let directory = with_sets();
    model_that_writes_7(&directory.path().join("m"));
    for (flags, part) in [
        ("--rounds -1", "unexpected argument '-1'"),
        ("--pool-size 2", "--rounds <T>"),
        ("--generator m", "--rounds <T>"),
        ("--rounds 1 --mode select", "cannot be used with"),
        ("--rounds 1 --policy vote", "cannot be used with"),
        ("--rounds 1 --generator m", "--generator needs a --temperature above 0"),
    ] {
        let line = format!("aggregate sets.jsonl --model m {flags}");
        conclave_line(directory.path(), &line).expect(flags, 2, &[part]);
    }
}
