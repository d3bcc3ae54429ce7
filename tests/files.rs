//! Files of other tools as users give them to commands: what comes out, and what is said. What each layout is, is tested in
//! `crates/files`.

use serde_json::{Value, json};

use crate::binary::{conclave, conclave_line, directory, set};

const LM_EVAL: &str = r#"{"doc_id": 0, "doc": {"question": "2 + 2?", "answer": "4"}, "target": "4", "resps": [["So 4.", "It is 5.", "4"]], "filter": "strict-match"}
{"doc_id": 0, "doc": {"question": "2 + 2?", "answer": "4"}, "target": "4", "resps": [["So 4.", "It is 5.", "4"]], "filter": "flexible-extract"}
"#;

#[test]
fn convert_writes_sets_and_says_what_was_read() {
    let batch = json!({"custom_id": "q", "response": {"status_code": 200, "body": {"model": "m", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}]}}, "error": null});
    let problems = "id,question,answer\nq,What is 2 + 2?,4\n";
    let pass =
        |answer: &str| json!([format!("system\nBe brief.\nuser\n2 + 2?\nassistant\n{answer}")]).to_string();
    let directory = directory(&[
        ("samples.jsonl", LM_EVAL.as_bytes()),
        ("batch.jsonl", batch.to_string().as_bytes()),
        ("problems.csv", problems.as_bytes()),
        ("pass0.json", pass("4").as_bytes()),
        ("pass1.json", pass("5").as_bytes()),
    ]);
    let run = conclave_line(directory.path(), "convert samples.jsonl").expect("convert", 0, &[
        "samples.jsonl: lm-eval samples, 1 problem, 3 candidates each; problem from doc.question, reference from target",
        "samples.jsonl: 1 row left out: other filters",
        "1 set, 3 candidates",
    ]);
    let [row] = run.rows().try_into().unwrap();
    assert_eq!(
        (&row["id"], &row["problem"], &row["reference_answer"]),
        (&json!("0"), &json!("2 + 2?"), &json!("4"))
    );
    assert_eq!(row["candidates"][1], json!({"text": "It is 5."}));

    // A file that is joined with its problems, and what was read as JSON.
    let line = "convert batch.jsonl --problems problems.csv --out sets.jsonl --json";
    let run = conclave_line(directory.path(), line).expect(line, 0, &["problems.csv: 1 problem by id"]);
    let [summary] = run.rows().try_into().unwrap();
    assert_eq!((&summary["sets"], &summary["files"][0]["format"]), (&json!(1), &json!("openai-batch")));
    let run = conclave_line(directory.path(), "vote --json sets.jsonl");
    assert_eq!((run.code, &run.rows()[0]["correct"]), (0, &json!(true)), "{run:?}");

    // Rows of one problem in several files are one set, for every command.
    let run = conclave_line(directory.path(), "vote --json pass0.json pass1.json").expect(
        "vote",
        0,
        &["pass0.json and 1 more file: chat transcripts in an array, 1 problem, 2 candidates each"],
    );
    assert_eq!(run.rows()[0]["num_candidates"], 2);
    let run = conclave(directory.path(), &["convert", "-"], LM_EVAL.as_bytes());
    assert_eq!(run.rows().len(), 1, "{run:?}");
}

#[test]
fn every_command_reads_them() {
    let table = "id,question,gold,response_1,response_2\n1,2 + 2?,4,So 4.,4\n2,3 + 3?,6,5,6\n";
    let directory = directory(&[("runs.csv", table.as_bytes())]);
    let run = conclave_line(directory.path(), "eval runs.csv --json").expect(
        "eval",
        0,
        &["runs.csv: a table, 2 problems"],
    );
    let reports: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&reports[0]["problems"], &reports[0]["mean_at_1"]["value"]), (&json!(2), &json!(0.75)));
    let run = conclave_line(directory.path(), "aggregate runs.csv --policy vote --json").expect(
        "aggregate",
        0,
        &["a table"],
    );
    assert_eq!(run.rows().len(), 2);
    let line = "convert runs.csv --field problem=question,reference_answer=gold,candidates=response_2";
    let run = conclave_line(directory.path(), line).expect(line, 0, &[]);
    assert_eq!(run.rows()[1]["candidates"].as_array().map(Vec::len), Some(1), "{run:?}");
    conclave_line(directory.path(), "vote runs.csv --from nonsense").expect(
        "--from",
        2,
        &["is none of sets, lm-eval"],
    );
    conclave_line(directory.path(), "vote runs.csv --field nonsense=x").expect(
        "--field",
        2,
        &["is no field of a set"],
    );
}

#[test]
fn what_is_not_read_is_one_message() {
    let rows: Vec<String> = (0..1000).map(|at| format!("  {{\n    \"nr\": {at}\n  }}")).collect();
    let bad = "{\"id\": \"1\", \"problem\": \"p\", \"candidates\": [],}\n".repeat(30);
    let twice = set("a", "2", &["2"]).repeat(3)
        + "{\"id\": \"b\", \"problem\": \"p\", \"answer\": \"2\", \"candidates\": [\"2\"]}\n";
    let request =
        json!({"custom_id": "q", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": []}})
            .to_string();
    let directory = directory(&[
        ("array.json", format!("[\n{}\n]", rows.join(",\n")).as_bytes()),
        ("archive.zip", b"PK\x03\x04 and so on"),
        ("traces.pkl", b"\x80\x04\x95\x40\x00"),
        ("details.parquet", b"PAR1 and so on PAR1"),
        ("input.jsonl", request.as_bytes()),
        ("bad.jsonl", bad.as_bytes()),
        ("twice.jsonl", twice.as_bytes()),
    ]);
    for (name, code, lines, part) in [
        ("array.json", 1, 1, "they have `nr`: name them, as in --field problem=NAME,candidates=NAME"),
        ("archive.zip", 1, 1, "this is a zip archive, which is not read: unpack it"),
        ("traces.pkl", 1, 1, "this is a Python pickle"),
        ("details.parquet", 1, 1, "arquet"),
        ("input.jsonl", 1, 1, "these are requests of a batch, not answers"),
        ("bad.jsonl", 1, 12, "bad.jsonl: 20 more lines like these"),
        ("twice.jsonl", 0, 2, "2 sets with an id that an earlier one has, as `a`"),
        ("twice.jsonl", 0, 2, "1 set without `reference_answer`: `answer` is taken as the reference"),
    ] {
        let run = conclave_line(directory.path(), &format!("vote {name}")).expect(name, code, &[part]);
        assert_eq!(run.stderr.lines().count(), lines, "{name}: {run:?}");
    }
}

/// The reported files for `grade`: other names, numbers, lists.
#[test]
fn pairs_are_read_as_they_are_meant() {
    let text = include_str!("data/cases/files.jsonl");
    let cases: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let grade = |name: &str| {
        let case = cases.iter().find(|case| case["file"] == name).expect(name);
        let run = conclave(
            tempfile::tempdir().unwrap().path(),
            &["grade", "-"],
            case["content"].as_str().unwrap().as_bytes(),
        );
        assert_eq!(run.code, 0, "{name}: {run:?}");
        run
    };
    let run = grade("pairs_answer_prediction.jsonl");
    let row = &run.rows()[0];
    assert_eq!(
        (&row["reference"], &row["equivalent"], &row["answer"]),
        (&json!("18"), &json!(true), &json!("18"))
    );
    assert!(run.stderr.contains("`answer` is taken as the reference of 1 pair"), "{run:?}");
    assert_eq!(grade("pairs_numbers.jsonl").rows()[0]["equivalent"], true);
    let rows = grade("pairs_list.jsonl").rows();
    let verdicts: Vec<_> = rows.iter().map(|row| (row["index"].clone(), row["equivalent"].clone())).collect();
    assert_eq!(verdicts, [(json!(0), json!(true)), (json!(1), json!(false))]);
    assert_eq!(rows[1]["prediction"], "It is 20.");

    let several = json!([{"gold": ["4", "5"], "output": 5}, {"gold": true, "output": "False"}]).to_string();
    let run = conclave(tempfile::tempdir().unwrap().path(), &["grade", "-"], several.as_bytes());
    let equivalent: Vec<_> = run.rows().iter().map(|row| row["equivalent"].clone()).collect();
    assert_eq!((run.code, equivalent), (0, vec![json!(true), json!(false)]), "{run:?}");
}
