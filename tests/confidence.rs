//! How far confidences can be believed, and answers that are withheld: `eval` with its picture, `--abstain-below` and `--risk`.

use std::path::Path;

use serde_json::{Value, json};

use crate::binary::{conclave, conclave_line, directory, set};

/// Sets of eight candidates: `sure` of them are of one answer, which is right in all but every `wrong`-th set, the others
/// are as many different ones.
fn sets(prefix: &str, number: usize, sure: usize, wrong: usize) -> String {
    let set = |at: usize| {
        let right = if at % wrong == wrong - 1 { "8" } else { "7" };
        let others: Vec<String> = (0..8 - sure).map(|other| (100 + other).to_string()).collect();
        let answers: Vec<&str> = (0..sure).map(|_| right).chain(others.iter().map(String::as_str)).collect();
        self::set(&format!("{prefix}{at}"), "7", &answers)
    };
    (0..number).map(set).collect()
}

/// Of 150 sets with all candidates alike 3 are wrong, of 150 with 2 of 8 alike half.
fn mixed() -> String {
    sets("a", 150, 8, 50) + &sets("b", 150, 2, 2)
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn eval_says_how_far_confidences_can_be_believed() {
    let directory = directory(&[("sets.jsonl", mixed().as_bytes())]);
    conclave_line(directory.path(), "vote sets.jsonl --out votes.jsonl").expect("vote", 0, &[]);
    let run = conclave_line(directory.path(), "eval votes.jsonl --plot picture.svg").expect("eval", 0, &[]);
    assert_eq!(run.stderr, "");
    let block = &lines(&run.stdout)[3..];
    let start = "votes.jsonl: correct of 300 answers; ECE 0.084, AUROC 0.812 [0.7";
    assert!(block[0].starts_with(start) && block[0].ends_with(", Brier 0.146"), "{run:?}");
    let expected = [
        "confidence  answers   mean  accuracy  yield from here on  accuracy",
        "0.9 to 1.0      150  0.997     0.980               0.500     0.980",
        "0.3 to 0.4      150  0.349     0.500               1.000     0.740",
    ];
    // The fields are of the widths of the titles.
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(block[1..].iter().map(|line| words(line)).collect::<Vec<_>>(), expected.map(words));
    let svg = std::fs::read_to_string(directory.path().join("picture.svg")).unwrap();
    for part in ["<svg", "stated confidence", "share that is right", "correct, 300 answers of votes.jsonl"] {
        assert!(svg.contains(part), "no `{part}` in the picture");
    }

    let run =
        conclave_line(directory.path(), "eval votes.jsonl --json --plot picture.png").expect("eval", 0, &[]);
    let png = std::fs::read(directory.path().join("picture.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    let reports: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    let [report] = reports[0]["calibration"].as_array().unwrap().as_slice() else { panic!("{run:?}") };
    let names: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["kind", "rows", "ece", "auroc", "brier", "bins", "yield"]);
    assert_eq!((&report["kind"], &report["rows"]), (&json!("correct"), &json!(300)));
    assert_eq!(report["bins"].as_array().unwrap().len(), 10);
    assert_eq!(report["yield"][0]["yield"], 0.5);
    assert_eq!((&report["yield"][1]["yield"], &report["yield"][1]["accuracy"]), (&json!(1.0), &json!(0.74)));
    // The same rows give the same bytes.
    let again = conclave_line(directory.path(), "eval votes.jsonl --json");
    assert_eq!(again.stdout, run.stdout);
}

#[test]
fn kinds_of_confidence_are_never_mixed() {
    let row = |id: &str, kind: &str, confidence: f64, answer: &str| {
        let row = json!({"id": id, "answer": answer, "method": "vote", "confidence": confidence, "confidence_kind": kind,
            "num_candidates": 0, "clusters": [], "reference_answer": "7"});
        row.to_string() + "\n"
    };
    let rows = [
        row("a", "share", 0.5, "7"),
        row("b", "answer_mass", 0.2, "8"),
        row("c", "share", 0.25, "8"),
        row("d", "share", 3.0, "8"),
    ];
    let directory = directory(&[("rows.jsonl", rows.concat().as_bytes())]);
    let run = conclave_line(directory.path(), "eval rows.jsonl").expect("eval", 0, &[]);
    let message = "rows.jsonl: 1 row with a confidence (share) that is not between 0 and 1, left out of the figures on confidence\n";
    assert_eq!(run.stderr, message);
    // One row of a kind has nothing to say in the table; in JSON it stands.
    let text = lines(&run.stdout)[3];
    assert!(
        text.starts_with("rows.jsonl: share of 2 answers; ECE 0.375, AUROC 1.000 [1.00, 1.00], Brier 0."),
        "{run:?}"
    );
    assert!(!run.stdout.contains("answer_mass"), "{run:?}");
    let run = conclave_line(directory.path(), "eval rows.jsonl --json");
    let reports: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&reports[0]["calibration"][1]["kind"], &reports[0]["calibration"][1]["auroc"]),
        (&json!("answer_mass"), &Value::Null)
    );
    assert_eq!(reports[0]["calibration"][0]["out_of_range"], 1);
}

#[test]
fn pictures_need_confidences_and_a_name() {
    let directory = directory(&[("sets.jsonl", set("a", "2", &["2", "3"]).as_bytes())]);
    for (arguments, code, part) in [
        (
            "eval sets.jsonl --plot x.svg",
            1,
            "`x.svg` is not written: there is nothing to draw; expected results",
        ),
        ("eval sets.jsonl --plot x.pdf", 2, "cannot write `x.pdf`: name a file.svg or a file.png"),
        ("eval sets.jsonl --plot -", 2, "name a file.svg or a file.png"),
    ] {
        conclave_line(directory.path(), arguments).expect(arguments, code, &[part]);
    }
    assert!(!directory.path().join("x.svg").exists());
}

/// The rows of a file of results by id: answer, withheld answer, why.
fn withheld(directory: &Path, file: &str) -> Vec<(Value, Value, Value)> {
    let text = std::fs::read_to_string(directory.join(file)).unwrap();
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        (row["answer"].clone(), row["withheld"].clone(), row["abstained"].clone())
    };
    text.lines().map(row).collect()
}

#[test]
fn answers_of_little_confidence_are_withheld() {
    let sets = set("clear", "2", &["2", "2", "2", "2", "3"])
        + &set("split", "2", &["2", "2", "3"])
        + &set("wrong", "2", &["3", "4"])
        + &json!({"id": "none", "problem": "?", "candidates": []}).to_string()
        + "\n";
    let directory = directory(&[("sets.jsonl", sets.as_bytes())]);
    let run = conclave_line(directory.path(), "vote sets.jsonl --abstain-below 0.8").expect("vote", 0, &[]);
    let expected = "\
id     answer  votes  confidence  note
clear  2         4/5       0.958  correct
split  -         2/3       0.792  expected 2; 2 is withheld
wrong  -         1/2       0.337  expected 2; tie with 4; 3 is withheld
none   -         0/0       0.000  no candidates

4 sets, 10 candidates; correct 1 of 3 (33.3 %); 1 without an answer; 2 of 3 answers withheld (confidence below 0.8); \
1 of the 1 given are right
";
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (expected, ""));

    for command in
        ["vote sets.jsonl --abstain-below 0.8", "aggregate sets.jsonl --policy vote --abstain-below 0.8"]
    {
        let run = conclave_line(directory.path(), &format!("{command} --out rows.jsonl")).expect(
            command,
            0,
            &["; 2 of 3 answers withheld (confidence below 0.8); 1 of the 1 given are right"],
        );
        let rows = withheld(directory.path(), "rows.jsonl");
        assert_eq!(rows[0], (json!("2"), Value::Null, Value::Null), "{run:?}");
        assert_eq!(rows[1], (Value::Null, json!("2"), json!("unsure")), "{run:?}");
        assert_eq!(rows[3], (Value::Null, Value::Null, Value::Null), "{run:?}");
        // No answer is not correct; the confidences are those of the answers that are withheld.
        let run = conclave_line(directory.path(), "eval rows.jsonl --json");
        let reports: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(reports[0]["accuracy"]["value"], 1.0 / 3.0);
        assert_eq!(
            (&reports[0]["calibration"][0]["rows"], &reports[0]["calibration"][0]["auroc"]["value"]),
            (&json!(3), &json!(1.0))
        );
    }
}

#[test]
fn a_risk_is_promised_by_labelled_results() {
    let fresh = sets("fresh", 40, 8, 50) + &sets("split", 10, 2, 2);
    let directory = directory(&[
        ("labelled.jsonl", mixed().as_bytes()),
        ("few.jsonl", sets("few", 30, 8, 100).as_bytes()),
        ("hopeless.jsonl", sets("hopeless", 300, 8, 2).as_bytes()),
        ("labels.jsonl", set("a", "yes", &["yes", "yes", "no"]).as_bytes()),
        ("fresh.jsonl", fresh.as_bytes()),
    ]);
    for name in ["labelled", "few", "hopeless"] {
        conclave_line(directory.path(), &format!("vote {name}.jsonl --out {name}-votes.jsonl")).expect(
            name,
            0,
            &[],
        );
    }
    for command in ["vote fresh.jsonl", "aggregate fresh.jsonl --policy vote"] {
        let line = format!("{command} --risk 0.1 --calibrated-on labelled-votes.jsonl --out rows.jsonl");
        let run = conclave_line(directory.path(), &line).expect(command, 0, &[
            "; 10 of 50 answers withheld (of correct 0.35 and more at most 10 % are wrong, with 95 % confidence, \
             by 300 rows of labelled-votes.jsonl); 40 of the 40 given are right",
        ]);
        let rows = withheld(directory.path(), "rows.jsonl");
        assert_eq!(rows.iter().filter(|row| row.2 == "unsure").count(), 10, "{run:?}");
    }

    // Nothing can be promised: everything is withheld, and why is said.
    for (name, why) in [
        (
            "few",
            "no threshold keeps the share of wrong answers at 5 % by 30 rows of few-votes.jsonl, which takes at least 118)",
        ),
        (
            "hopeless",
            "no threshold keeps the share of wrong answers at 5 % by 300 rows of hopeless-votes.jsonl)",
        ),
    ] {
        let line =
            format!("vote fresh.jsonl --risk 0.05 --calibrated-on {name}-votes.jsonl --out rows.jsonl");
        let what = format!("; 50 of 50 answers withheld (correct: {why}");
        conclave_line(directory.path(), &line).expect(name, 0, &[&what]);
        assert!(withheld(directory.path(), "rows.jsonl").iter().all(|row| row.0.is_null()));
    }
    // A kind of confidence that the labelled file does not have is promised nothing.
    let line =
        "vote labels.jsonl --answers labels=yes,no --risk 0.1 --calibrated-on labelled-votes.jsonl --json";
    conclave_line(directory.path(), line).expect(
        "another kind",
        0,
        &["1 of 1 answer withheld (share: no threshold", "by 0 rows"],
    );
}

#[test]
fn wrong_flags_say_what_is_missing() {
    let good = set("a", "2", &["2", "2"]);
    let unlabelled = json!({"id": "a", "problem": "?", "candidates": [{"text": "2"}]}).to_string() + "\n";
    let directory =
        directory(&[("sets.jsonl", good.as_bytes()), ("unlabelled.jsonl", unlabelled.as_bytes())]);
    for name in ["sets", "unlabelled"] {
        conclave_line(directory.path(), &format!("vote {name}.jsonl --out {name}-votes.jsonl")).expect(
            name,
            0,
            &[],
        );
    }
    let votes = std::fs::read_to_string(directory.path().join("sets-votes.jsonl")).unwrap();
    std::fs::write(directory.path().join("torn.jsonl"), votes + "{\"id\": \"b\", \"clus\n").unwrap();
    for command in ["vote sets.jsonl", "aggregate sets.jsonl"] {
        for (flags, code, part) in [
            ("--risk 0.1", 2, "--risk needs --calibrated-on RESULTS: a file of results with references"),
            ("--calibrated-on sets-votes.jsonl", 2, "--calibrated-on needs --risk ALPHA"),
            ("--risk 0.1 --abstain-below 0.5", 2, "cannot be used with"),
            ("--risk 1", 2, "must be a number above 0 and below 1"),
            ("--abstain-below 1.5", 2, "must be a number from 0 to 1"),
            ("--risk 0.1 --calibrated-on none.jsonl", 1, "cannot read `none.jsonl`"),
            (
                "--risk 0.1 --calibrated-on sets.jsonl",
                2,
                "1 sample set without an answer; expected results with `reference_answer`",
            ),
            (
                "--risk 0.1 --calibrated-on unlabelled-votes.jsonl",
                2,
                "1 row, none of them with an answer and a reference",
            ),
            (
                "--risk 0.1 --calibrated-on torn.jsonl",
                2,
                "not all of it can be read; a promise needs all of it",
            ),
        ] {
            conclave_line(directory.path(), &format!("{command} {flags}")).expect(flags, code, &[part]);
        }
    }
    // Whatever a file says, nothing panics.
    let odd = json!({"id": "a", "answer": "2", "method": "vote", "confidence": -1e300, "confidence_kind": "share",
        "num_candidates": 1, "clusters": [{"answer": "2", "votes": 1, "share": 1.0, "candidates": [9]}], "reference_answer": "2"});
    std::fs::write(directory.path().join("odd.jsonl"), odd.to_string() + "\n").unwrap();
    let run = conclave(directory.path(), &["eval", "odd.jsonl", "--json"], b"");
    assert_eq!(run.code, 0, "{run:?}");
    let line = "vote sets.jsonl --risk 0.1 --calibrated-on odd.jsonl";
    conclave_line(directory.path(), line).expect(line, 0, &[]);
}
