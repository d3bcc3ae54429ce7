//! Votes that are weighed by their voters, and rankers.

use serde_json::{Value, json};

use crate::binary::{conclave_line, directory};

/// 240 problems; `good` is nearly always right, the others are wrong in a half, a third and a quarter, each in its own way.
fn sets() -> String {
    let line = |at: usize| {
        let candidate = |model: &str, is_wrong: bool, wrong: usize| {
            let answer = if is_wrong { wrong } else { 7 };
            json!({"model": model, "text": format!("ANSWER: {answer}")})
        };
        let candidates = [
            candidate("bad", at.is_multiple_of(2), 100 + at % 7),
            candidate("worse", at.is_multiple_of(3), 200 + at % 5),
            candidate("good", at % 20 == 1, 300),
            candidate("fair", at.is_multiple_of(4), 400),
        ];
        let set = json!({
            "id": at.to_string(),
            "problem": format!("problem {at}"),
            "reference_answer": "7",
            "candidates": candidates
        });
        set.to_string() + "\n"
    };
    (0..240).map(line).collect()
}

/// How many are right, of the summary `; correct N of 240`.
fn right(summary: &str) -> usize {
    let (_, behind) = summary.split_once("; correct ").unwrap();
    behind.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn voters_are_learned_weighed_and_kept() {
    let directory = directory(&[("sets.jsonl", sets().as_bytes())]);
    let path = directory.path();
    let run = conclave_line(path, "vote sets.jsonl").expect("vote", 0, &[]);
    let plain = right(&run.stdout);
    assert!(plain <= 220 && run.stdout.contains("broken by the earliest candidate"), "{run:?}");
    let run = conclave_line(path, "vote sets.jsonl --weights learned --save-weights voters.json").expect(
        "learned",
        0,
        &[],
    );
    for part in ["reliability", "240/240", "votes a set are worth", "by the references in 0 of 240"] {
        assert!(run.stdout.contains(part), "no `{part}` in {}", run.stdout);
    }
    assert!(right(&run.stdout) > plain + 10 && !run.stdout.contains("tie"), "{run:?}");
    let learned: Value = serde_json::from_slice(&std::fs::read(path.join("voters.json")).unwrap()).unwrap();
    assert_eq!(learned["voters"].as_array().unwrap().len(), 4);
    // The same rows by the file.
    let rows = |flags: &str| {
        conclave_line(path, &format!("vote sets.jsonl --json {flags}")).expect(flags, 0, &[]).rows()
    };
    let answers = |rows: &[Value]| {
        rows.iter().map(|row| (row["answer"].clone(), row["confidence"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(answers(&rows("--weights learned")), answers(&rows("--weights voters.json")));
    assert!(rows("--weights voters.json").iter().all(|row| row["confidence_kind"] == "correct"));
}

#[test]
fn an_aggregation_weighs_its_votes() {
    let directory = directory(&[("sets.jsonl", sets().as_bytes())]);
    let path = directory.path();
    let rows = |command: &str| conclave_line(path, command).expect(command, 0, &[]).rows();
    let kept = |rows: &[Value]| {
        let of = |row: &Value| {
            ["answer", "confidence", "confidence_kind", "correct"].map(|name| row[name].clone())
        };
        rows.iter().map(of).collect::<Vec<_>>()
    };
    let voted = rows("vote sets.jsonl --json --weights learned");
    let plain = rows("vote sets.jsonl --json");
    assert_ne!(kept(&voted), kept(&plain));
    assert_eq!(kept(&rows("aggregate sets.jsonl --json --weights learned --policy vote")), kept(&voted));
    // The built-in model knows no such words: the weighed vote stands in for it, and of those that are sure it is not asked.
    let always = rows("aggregate sets.jsonl --json --weights learned --policy always");
    let auto = rows("aggregate sets.jsonl --json --weights learned");
    assert_eq!((kept(&always), kept(&auto)), (kept(&voted), kept(&voted)));
    let unsure = |row: &&Value| row["confidence"].as_f64().unwrap() < 0.9;
    let asked = |rows: &[Value]| rows.iter().filter(|row| !row["unknown_words"].is_null()).count();
    assert_eq!((asked(&always), asked(&auto)), (240, voted.iter().filter(unsure).count()));
    conclave_line(path, "aggregate sets.jsonl --weights learned --rounds 1").expect(
        "rounds",
        2,
        &["--rounds"],
    );
}

#[test]
fn what_cannot_be_learned_or_read_is_said() {
    let one = json!({"id": "a", "problem": "p", "candidates": [{"text": "7", "model": "m"}, {"text": "8", "model": "n"}]}).to_string();
    let directory = directory(&[
        ("one.jsonl", one.as_bytes()),
        ("bad.json", br#"{"voters": [{"name": "m", "reliability": 2}]}"#),
        ("none.json", b"[]"),
    ]);
    let path = directory.path();
    let said = [
        "voters are not weighed: only 1 sets have answers of two or more voters",
        "no reliabilities are written",
    ];
    conclave_line(path, "vote one.jsonl --weights learned --save-weights out.json").expect("few", 0, &said);
    assert!(!path.join("out.json").exists());
    for (flags, code, words) in [
        ("--weights bad.json", 1, "the reliability of `m` is 2"),
        ("--weights none.json", 1, "--save-weights writes it"),
        ("--weights missing.json", 1, "cannot read --weights `missing.json`"),
        ("--weights learned --rule strict", 2, "--rule plurality alone"),
        ("--weights bad.json --save-weights x.json", 2, "nothing to write with a file"),
        ("--voter by", 2, "--weights"),
        ("--ranker none.json", 1, "not a ranker"),
    ] {
        conclave_line(path, &format!("vote one.jsonl {flags}")).expect(flags, code, &[words]);
    }
}

#[test]
fn a_ranker_is_fitted_and_used() {
    let directory = directory(&[
        ("sets.jsonl", sets().as_bytes()),
        ("few.jsonl", sets().lines().take(3).collect::<Vec<_>>().join("\n").as_bytes()),
    ]);
    let path = directory.path();
    let run = conclave_line(path, "train ranker sets.jsonl --out ranker.json").expect("train", 0, &[]);
    for part in ["kind  judged", "math  candidates   sets.jsonl", "math  with voters  sets.jsonl"] {
        assert!(run.stdout.contains(part), "no `{part}` in {}", run.stdout);
    }
    let ranker: Value = serde_json::from_slice(&std::fs::read(path.join("ranker.json")).unwrap()).unwrap();
    assert_eq!((&ranker["format"], &ranker["kinds"][0]["problems"]), (&json!(1), &json!(240)));
    let rows =
        conclave_line(path, "vote sets.jsonl --json --ranker ranker.json").expect("vote", 0, &[]).rows();
    assert!(rows.iter().all(|row| row["confidence_kind"] == "correct"), "{}", rows[0]);
    conclave_line(path, "train ranker few.jsonl --out few.json").expect(
        "few",
        2,
        &["at least 30 are needed", "nothing to fit"],
    );
    assert!(!path.join("few.json").exists());
}
