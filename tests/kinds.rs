//! `eval` and `grade` by kind of answer, and `eval --repeats`, as their users meet them. What the figures are
//! is tested in core.

use serde_json::{Value, json};

use crate::binary::{conclave, conclave_line, directory};

/// A line with these candidates as they stand.
fn set(id: &str, reference: &str, candidates: &[&str]) -> String {
    let candidates: Vec<Value> = candidates.iter().map(|text| json!({"text": text})).collect();
    json!({"id": id, "problem": "?", "reference_answer": reference, "candidates": candidates}).to_string()
        + "\n"
}

/// Labels, a tie among them, one set without a reference, and code.
fn sets() -> String {
    let code = ["def f(x):\n    return x + 1\n", "def f(x):\n    y = x\n    return y + 1\n"];
    let open =
        json!({"id": "d", "problem": "?", "candidates": [{"text": "pos"}, {"text": "neg"}, {"text": ""}]});
    [
        set("a", "pos", &["pos", "pos", "neg"]),
        set("b", "pos", &["neg", "pos", "neg", "neg"]),
        set("c", "pos", &["pos", "Pos.", "pos", "pos"]),
        open.to_string() + "\n",
        set("code", "def f(): return 1", &code),
    ]
    .concat()
}

#[test]
fn eval_grades_by_kind_and_says_what_is_not_voted_on() {
    let directory = directory(&[("sets.jsonl", sets().as_bytes())]);
    let run = conclave_line(directory.path(), "eval sets.jsonl --json");
    let run = run.expect(
        "eval",
        1,
        &[
            "sets.jsonl: 1 of 5 rows left out, the first is `code`: the candidates look like code; if that is wrong say",
            "sets.jsonl: 1 of 5 rows left out: no `reference_answer`",
        ],
    );
    let reports: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&reports[0]["problems"], &reports[0]["skipped"]), (&json!(3), &json!(2)));
    assert_eq!(reports[0]["not_voted"][0]["first"], "code");
    assert_eq!(reports[0].get("repeats"), None);

    // What the vote wrote is judged by its kind, and what it refused is no fault of the file.
    conclave_line(directory.path(), "vote sets.jsonl --out votes.jsonl").expect("vote", 1, &["not voted on"]);
    let run = conclave_line(directory.path(), "eval votes.jsonl --json").expect("eval", 0, &["`code`"]);
    let reports: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(reports[0]["problems"], 3);
    assert!((reports[0]["accuracy"]["value"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-12);

    // Said to be texts, all are voted on.
    let run = conclave_line(directory.path(), "eval sets.jsonl --answers text --json").expect("eval", 0, &[]);
    let reports: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&reports[0]["problems"], &reports[0]["skipped"]), (&json!(4), &json!(1)));
}

#[test]
fn eval_repeats_in_tables() {
    let directory =
        directory(&[("sets.jsonl", sets().lines().take(4).collect::<Vec<_>>().join("\n").as_bytes())]);
    let run = conclave_line(directory.path(), "eval sets.jsonl --repeats --rule at-least=3");
    let run = run.expect("eval", 0, &["sets.jsonl: 1 of 4 rows not graded: no `reference_answer`"]);
    let expected = "
sets.jsonl: 4 items, up to 4 candidates; flips 0.542 [0.17, 0.88]; Krippendorff's alpha 0.100

rule        yield               accuracy            flips without one
plurality   0.750 [0.25, 1.00]  0.667 [0.00, 1.00]  0.333 [0.00, 0.67]
strict      0.750 [0.25, 1.00]  0.667 [0.00, 1.00]  0.167 [0.00, 0.50]
unanimous   0.250 [0.00, 0.75]  1.000 [1.00, 1.00]  0.146 [0.00, 0.29]
at-least 3  0.500 [0.00, 1.00]  0.500 [0.00, 1.00]  0.188 [0.00, 0.56]

candidates  items  agreement  vote as of all  accuracy  yield
         1      4          -           0.500         -  0.000
         2      4      0.500           0.500         -  0.000
         3      4      0.417           0.750     1.000  0.250
         4      2      0.750           1.000     0.500  1.000

share of votes  yield  accuracy
        >= 1.0  0.250     1.000
        >= 0.9  0.250     1.000
        >= 0.8  0.250     1.000
        >= 0.7  0.500     0.500
        >= 0.6  0.500     0.500
        >= 0.5  0.500     0.500
        >= 0.0  0.500     0.500

item  candidates  answered  answers  flips
d              3         2        2  1.000
a              3         3        2  0.667
b              4         4        2  0.500
";
    let (graded, repeats) = run.stdout.split_at(run.stdout.find("\n\n").unwrap() + 1);
    assert_eq!(graded.lines().count(), 2, "{graded}");
    assert_eq!(repeats, expected);
}

#[test]
fn eval_repeats_needs_no_reference() {
    let silent = sets().lines().nth(3).unwrap().to_owned();
    let many: String = (0..12).map(|n| silent.replace("\"d\"", &format!("\"d{n}\"")) + "\n").collect();
    let directory = directory(&[("open.jsonl", many.as_bytes()), ("one.jsonl", silent.as_bytes())]);
    let run = conclave_line(directory.path(), "eval open.jsonl --repeats").expect("eval", 0, &[]);
    assert_eq!(run.stderr, "");
    assert!(
        run.stdout.starts_with("open.jsonl: 12 items, up to 3 candidates; flips 1.000"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.ends_with("2 items more; --json has all\n"), "{}", run.stdout);
    let run =
        conclave_line(directory.path(), "eval open.jsonl one.jsonl --repeats --json").expect("eval", 0, &[]);
    let reports: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(reports[0]["repeats"]["by_item"].as_array().unwrap().len(), 12);
    assert_eq!(reports[1]["repeats"]["rules"][0]["accuracy"], Value::Null);
    let ordinal = "eval one.jsonl --repeats --answers labels=neg,pos --ordinal --ties first --json";
    let run = conclave_line(directory.path(), ordinal).expect("eval", 0, &[]);
    assert!(run.stdout.contains(r#"{"rule":"median","yield":{"value":1.0"#), "{}", run.stdout);
    for (line, part) in [
        ("eval one.jsonl --rule strict", "give --repeats too"),
        ("eval one.jsonl --repeats --labels ok", "--labels"),
        ("eval one.jsonl --repeats --ordinal", "--ordinal needs the labels in their order"),
        ("eval one.jsonl --answers verse", "--answers: `verse` is no kind of answer"),
    ] {
        conclave_line(directory.path(), line).expect(line, 2, &[part]);
    }
}

#[test]
fn grade_by_kind() {
    let record = json!({"a": 1, "b": "x"}).to_string();
    let pairs = [
        json!({"reference": record, "prediction": "Here: {\"a\": 1.0, \"b\": \"y\"}"}),
        json!({"reference": record, "prediction": "{\"b\": \"x\", \"a\": 1}", "fields": ["theirs"]}),
        json!({"reference": record, "prediction": "none"}),
    ]
    .map(|pair| pair.to_string() + "\n");
    let labels = json!({"reference": "spam", "prediction": "Verdict: SPAM"}).to_string();
    let schema = json!({"type": "object", "properties": {"b": {"const": "x"}}}).to_string();
    let directory = directory(&[
        ("records.jsonl", pairs.concat().as_bytes()),
        ("labels.jsonl", labels.as_bytes()),
        ("schema.json", schema.as_bytes()),
    ]);
    let path = directory.path();
    let run = conclave_line(path, "grade records.jsonl --answers json").expect(
        "grade",
        0,
        &["3 pairs, 1 equivalent"],
    );
    let rows = run.rows();
    let of = |field: &str| rows.iter().map(|row| row[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("verdict"), ["different", "same", "different"]);
    let differs = json!([{"path": "/a", "same": true}, {"path": "/b", "same": false}]);
    assert_eq!(of("fields"), [differs, json!(["theirs"]), Value::Null]);
    assert_eq!(of("no_answer"), [Value::Null, Value::Null, json!("invalid")]);
    let run = conclave_line(path, "grade records.jsonl --answers json=schema.json").expect("grade", 0, &[]);
    assert_eq!(run.rows()[0]["no_answer"], "invalid", "the schema does not allow it");
    let run = conclave(path, &["grade", "labels.jsonl", "--answers", "labels=spam,ham"], b"");
    let expected = json!({"reference": "spam", "prediction": "Verdict: SPAM", "answer": "spam", "equivalent": true, "verdict": "same"});
    assert_eq!(run.rows(), [expected], "{run:?}");
    conclave_line(path, "grade labels.jsonl --answers labels=spam").expect(
        "grade",
        2,
        &["at least two labels"],
    );
}
