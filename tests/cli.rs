//! The command line as its users meet it: exit codes, messages, bad input, pipes and files, with the commands that need
//! no model. Every test runs the built binary in a directory of its own. What answers are right is tested in core.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::binary::{Run, conclave, conclave_line, directory, finish, gzip, pair, set};

#[test]
fn exit_codes_and_messages() {
    let good = set("a", "2", &["2", "2", "3"]);
    let mixed = format!("{good}{{\"id\": \"cut\", \"prob\n\n{}", set("b", "3", &["3"]));
    let hash = set("h", "#### 18", &["18"]);
    let mut latin1 = good.clone().into_bytes();
    latin1.extend(b"{\"id\": \"caf\xe9\", \"problem\": \"?\", \"candidates\": []}\n");
    let directory = directory(&[
        ("good.jsonl", good.as_bytes()),
        ("mixed.jsonl", mixed.as_bytes()),
        ("hash.jsonl", hash.as_bytes()),
        ("latin1.jsonl", &latin1),
        ("empty.jsonl", b""),
        ("empty.jsonl.gz", b""),
        ("fake.jsonl.gz", good.as_bytes()),
        ("pairs.jsonl", pair("1/2", "0.5").as_bytes()),
        ("odd.jsonl", b"7\n{\"reference\": null, \"prediction\": \"5\"}\n"),
    ]);
    std::fs::create_dir(directory.path().join("folder")).unwrap();

    // arguments, exit code, parts of standard error
    let cases: &[(&str, i32, &[&str])] = &[
        ("", 2, &["Usage: conclave <COMMAND>"]),
        ("cast", 2, &["unrecognized subcommand 'cast'"]),
        ("vote", 2, &["required arguments", "<SETS>..."]),
        ("vote --jsn good.jsonl", 2, &["unexpected argument '--jsn'", "'--json'"]),
        ("vote - -", 2, &["`-` (standard input) can be read only once"]),
        ("eval --num-candidates 0 good.jsonl", 2, &["'--num-candidates <N>'", "at least 1"]),
        ("eval --num-candidates x good.jsonl", 2, &["whole number"]),
        ("vote good.jsonl", 0, &[]),
        (
            "vote good.jsonl missing.jsonl",
            1,
            &["conclave: cannot read `missing.jsonl`", "is the name right?"],
        ),
        ("vote folder", 1, &["cannot read `folder`: it is a directory", "folder/*.jsonl"]),
        ("vote mixed.jsonl", 1, &["mixed.jsonl:2: not JSON at column", "1 of 3 lines could not be read"]),
        ("vote hash.jsonl", 0, &[]),
        ("vote latin1.jsonl", 1, &["latin1.jsonl:2: not UTF-8 at byte 12", "1 of 2 lines could not be read"]),
        ("vote empty.jsonl", 0, &["empty.jsonl: has no lines"]),
        ("vote empty.jsonl.gz", 0, &["empty.jsonl.gz: has no lines"]),
        (
            "vote fake.jsonl.gz",
            1,
            &["fake.jsonl.gz: cannot be read on after 0 lines", "gzip", "1 file broke off"],
        ),
        ("vote pairs.jsonl", 1, &["pairs.jsonl:1: `id`: missing", "1 of 1 line could not be read"]),
        ("vote good.jsonl --out folder", 1, &["cannot write `folder`: it is a directory"]),
        ("vote good.jsonl --out nowhere/x", 1, &["cannot create `nowhere/x.unfinished`", "directory"]),
        ("grade good.jsonl", 1, &["good.jsonl:1: `prediction`: missing; expected a string"]),
        (
            "grade odd.jsonl",
            1,
            &["odd.jsonl:1: expected an object", "`reference`: expected an answer, found null", "none of 2"],
        ),
        ("grade pairs.jsonl", 0, &["1 pair, 1 equivalent"]),
        ("eval pairs.jsonl", 1, &["pairs.jsonl:1: "]),
        ("eval empty.jsonl", 0, &["empty.jsonl: has no lines"]),
        ("eval missing.jsonl", 1, &["cannot read `missing.jsonl`"]),
        ("eval good.jsonl --labels peer_correct", 1, &["peer_correct"]),
    ];
    for (arguments, code, parts) in cases {
        conclave_line(directory.path(), arguments).expect(arguments, *code, parts);
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let directory = directory(&[]);
    for command in [
        "",
        "vote",
        "grade",
        "eval",
        "aggregate",
        "model pull",
        "model init",
        "model inspect",
        "model check",
        "model bench",
        "model export",
    ] {
        let run = conclave_line(directory.path(), &format!("{command} --help"));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{command}");
        assert!(
            run.stdout.contains("Usage: conclave") && run.stdout.contains("Exit codes: 0 done"),
            "{run:?}"
        );
    }
    let run = conclave(directory.path(), &["--version"], b"");
    assert!(run.stdout.starts_with(concat!("conclave ", env!("CARGO_PKG_VERSION"), " (")), "{run:?}");
}

#[test]
fn the_vote_table_is_for_people() {
    let sets = [
        set("clear", "2", &["2", "2.0", "2", "2", "3"]),
        set("tie", "3", &["2", "3", "2", "3", "4"]),
        json!({"id": "none", "problem": "?", "candidates": []}).to_string() + "\n",
        json!({"id": "silent", "problem": "?", "candidates": [{"text": "hm"}]}).to_string() + "\n",
    ];
    let run = conclave(tempfile::tempdir().unwrap().path(), &["vote", "-"], sets.concat().as_bytes());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let expected = "\
id      answer  votes  confidence  note
clear   2         4/5       0.958  correct
tie     2         2/5       0.396  wrong: expected 3; tie with 3
none    -         0/0       0.000  no candidates
silent  -         0/1       0.000  no candidate has an answer

4 sets, 11 candidates; correct 1 of 2 (50.0 %); 1 tie broken by the earliest candidate; 2 without an answer
";
    assert_eq!(run.stdout, expected);
}

#[test]
fn vote_rows_follow_the_results_format() {
    let sets = set("a", "2", &["2", "2.0", "3"]);
    let run = conclave(tempfile::tempdir().unwrap().path(), &["vote", "-", "--json"], sets.as_bytes());
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.stderr, "1 set, 3 candidates; correct 1 of 1 (100.0 %)\n");
    let [row] = run.rows().try_into().unwrap();
    assert!(row["elapsed_ms"].as_f64().is_some_and(|elapsed| elapsed >= 0.0), "{row}");
    assert!(row["confidence"].as_f64().is_some_and(|correct| (0.5..0.9).contains(&correct)), "{row}");
    assert_eq!(row["lead_probability"], 0.6875);
    for (field, value) in [
        ("id", json!("a")),
        ("answer", json!("2")),
        ("method", json!("vote")),
        ("confidence_kind", json!("correct")),
        ("usage", json!({"prompt_tokens": 0, "completion_tokens": 0})),
        ("reference_answer", json!("2")),
        ("correct", json!(true)),
    ] {
        assert_eq!(row[field], value, "{field}");
    }
    assert_eq!(row["clusters"][0]["candidates"], json!([0, 1]));
    assert_eq!(row["clusters"][1]["votes"], 1);
}

#[test]
fn grade_keeps_order_and_fields() {
    let pairs = [
        json!({"id": 1, "reference": "1/2", "prediction": "It is \\boxed{0.5}", "equivalent": true})
            .to_string(),
        json!({"id": 2, "reference": "4", "prediction": "5", "equivalent": true}).to_string(),
        json!({"id": 3, "reference": "4", "prediction": "4"}).to_string(),
    ];
    let run = conclave(tempfile::tempdir().unwrap().path(), &["grade", "-"], pairs.join("\n").as_bytes());
    assert_eq!(run.code, 0, "{run:?}");
    let rows = run.rows();
    let of = |field: &str| rows.iter().map(|row| row[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("id"), [1, 2, 3]);
    assert_eq!(of("equivalent"), [true, false, true]);
    assert_eq!(of("input_equivalent"), [json!(true), json!(true), Value::Null]);
    assert_eq!(of("answer"), ["0.5", "5", "4"]);
    assert_eq!(of("prediction"), ["It is \\boxed{0.5}", "5", "4"]);
    let summary = "3 pairs, 2 equivalent; agrees with the input's own `equivalent` on 1 of 2 (0 equivalent only here, 1 only there)\n";
    assert_eq!(run.stderr, summary);
}

#[test]
fn eval_reports_sets_and_results_a_row_a_file() {
    let labelled = json!({"id": "c", "problem": "?", "reference_answer": "2", "candidates": [
        {"text": "\\boxed{2}", "ok": false}, {"text": "\\boxed{5}", "ok": true}, {"text": "\\boxed{2}"}]});
    let sets =
        set("a", "2", &["2", "2", "3"]) + &set("b", "2", &["3", "3", "2"]) + &labelled.to_string() + "\n";
    let directory = directory(&[("sets.jsonl", sets.as_bytes())]);
    let run = conclave(directory.path(), &["vote", "sets.jsonl", "--out", "results.jsonl"], b"");
    assert_eq!(run.code, 0, "{run:?}");

    let run = conclave(directory.path(), &["eval", "sets.jsonl", "results.jsonl", "--json"], b"");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let reports: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    let figure = |report: usize, name: &str| {
        let figure = &reports[report][name];
        let [value, low, high] = ["value", "low", "high"].map(|part| figure[part].as_f64().expect(name));
        assert!(low <= value && value <= high, "{name}: {figure}");
        (value * 1000.0).round() / 1000.0
    };
    let names =
        |report: usize| reports[report].as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    let of_sets = "file problems skipped num_candidates mean_at_1 majority_expected majority_first pass_at_k";
    assert_eq!(names(0), of_sets);
    let of_results = "accuracy gap_closed recoveries regressions prompt_tokens completion_tokens calibration";
    assert_eq!(names(1), format!("{of_sets} {of_results}"));
    for report in [0, 1] {
        let counts = ["problems", "skipped", "num_candidates"].map(|name| &reports[report][name]);
        assert_eq!(counts, [&json!(3), &json!(0), &json!(3)]);
        assert_eq!(figure(report, "mean_at_1"), 0.556);
        assert_eq!(figure(report, "majority_first"), 0.667);
        assert_eq!(figure(report, "pass_at_k"), 1.0);
    }
    assert_eq!((figure(1, "accuracy"), figure(1, "gap_closed")), (0.667, 0.0));

    // The table: both kinds, each with its columns.
    let run = conclave(directory.path(), &["eval", "sets.jsonl", "results.jsonl"], b"");
    let first_words: Vec<&str> =
        run.stdout.lines().map(|line| line.split_whitespace().next().unwrap_or_default()).collect();
    let tables = ["file", "sets.jsonl", "", "file", "results.jsonl", "", "results.jsonl:", "confidence"];
    assert_eq!(first_words[..8], tables, "{run:?}");

    // Labels instead of our grading: only the two labelled candidates of `c` count.
    let run = conclave(directory.path(), &["eval", "sets.jsonl", "--labels", "ok", "--json"], b"");
    let reports: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&reports[0]["problems"], &reports[0]["skipped"]), (&json!(1), &json!(2)));
    assert_eq!(reports[0]["mean_at_1"]["value"], 0.5);
    assert_eq!(run.stderr, "sets.jsonl: 2 of 3 rows left out: no candidate has the field `ok`\n");

    let run = conclave(directory.path(), &["eval", "sets.jsonl", "--num-candidates", "1", "--json"], b"");
    let reports: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&reports[0]["num_candidates"], &reports[0]["mean_at_1"]["value"]),
        (&json!(1), &json!(2.0 / 3.0))
    );

    // One file holds one kind of rows.
    let both = sets + &std::fs::read_to_string(directory.path().join("results.jsonl")).unwrap();
    let run = conclave(directory.path(), &["eval", "-"], both.as_bytes());
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.stderr.contains("<stdin>:4: ") && run.stderr.contains("3 of 6 lines could not be read"),
        "{run:?}"
    );
}

#[test]
fn gzip_is_read_by_name_and_from_standard_input() {
    let (first, second) = (set("a", "2", &["2"]), set("b", "3", &["3"]));
    // Two members in one file, as `cat a.gz b.gz` makes them.
    let zipped = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
    let directory = directory(&[("two.jsonl.gz", &zipped), ("plain.jsonl", first.as_bytes())]);
    let ids = |run: &Run| run.rows().iter().map(|row| row["id"].clone()).collect::<Vec<_>>();

    let run = conclave(directory.path(), &["vote", "--json", "two.jsonl.gz", "plain.jsonl"], b"");
    assert_eq!((run.code, ids(&run)), (0, vec![json!("a"), json!("b"), json!("a")]), "{run:?}");
    let run = conclave(directory.path(), &["vote", "--json", "plain.jsonl", "-"], &zipped);
    assert_eq!((run.code, ids(&run)), (0, vec![json!("a"), json!("a"), json!("b")]), "{run:?}");
}

#[test]
fn a_cut_gzip_file_gives_what_it_holds() {
    let lines: String =
        (0..2000).map(|i| set(&format!("set-{i}"), &i.to_string(), &[&i.to_string()])).collect();
    let zipped = gzip(lines.as_bytes());
    let directory = directory(&[("cut.jsonl.gz", &zipped[..zipped.len() / 2])]);
    let run = conclave(directory.path(), &["vote", "--json", "cut.jsonl.gz", "-"], b"");
    assert_eq!(run.code, 1, "{run:?}");
    let rows = run.rows();
    assert!(rows.len() > 100 && rows.len() < 2000, "{} rows", rows.len());
    assert!(run.stderr.contains("cut.jsonl.gz: cannot be read on after"), "{}", run.stderr);
    assert!(run.stderr.contains("1 file broke off"), "{}", run.stderr);
}

#[test]
fn extreme_sets_are_valid() {
    let many: Vec<String> = (0..10_000).map(|i| (i % 5000).to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = format!("{} The answer is \\boxed{{7}}.", "word ".repeat(2_000_000));
    let input = [
        set("many", "0", &many),
        json!({"id": "long", "problem": "?", "candidates": [{"text": long}]}).to_string() + "\n",
        json!({"id": "none", "problem": "?", "candidates": []}).to_string() + "\n",
    ];
    let run =
        conclave(tempfile::tempdir().unwrap().path(), &["vote", "--json", "-"], input.concat().as_bytes());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let rows = run.rows();
    assert_eq!(rows[0]["clusters"].as_array().map(Vec::len), Some(5000));
    assert_eq!(rows[1]["answer"], "7");
    assert_eq!((&rows[2]["answer"], &rows[2]["clusters"]), (&Value::Null, &json!([])));
}

#[test]
fn untrusted_text_cannot_drive_the_terminal() {
    let evil = "\u{1b}[2J\u{9b}31m\u{202e}2\u{7}";
    let text = json!({"id": evil, "problem": evil, "reference_answer": "2",
        "candidates": [{"text": format!("<answer>{evil}</answer>")}]});
    let input = format!("{text}\n{{\"id\": \"{evil}\n");
    for arguments in [&["vote", "-"][..], &["vote", "-", "--json"], &["eval", "-"], &["eval", "-", "--json"]]
    {
        let run = conclave(tempfile::tempdir().unwrap().path(), arguments, input.as_bytes());
        let unsafe_character = |c: &char| (c.is_control() && *c != '\n') || *c == '\u{202e}';
        assert_eq!(run.stdout.chars().find(unsafe_character), None, "{arguments:?}: {run:?}");
        assert_eq!(run.stderr.chars().find(unsafe_character), None, "{arguments:?}: {run:?}");
        assert!(run.stderr.contains("<stdin>:2: "), "{run:?}");
    }
    // Escaped, not changed.
    let run = conclave(tempfile::tempdir().unwrap().path(), &["vote", "-", "--json"], input.as_bytes());
    assert_eq!(run.rows()[0]["id"], evil);
}

#[test]
fn an_output_file_appears_complete_or_not_at_all() {
    let directory =
        directory(&[("sets.jsonl", set("a", "2", &["2"]).as_bytes()), ("rows.jsonl", b"before\n")]);
    let path = directory.path().join("rows.jsonl");
    let run = conclave(directory.path(), &["vote", "sets.jsonl", "--out", "rows.jsonl"], b"");
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
    let rows = std::fs::read_to_string(&path).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&rows).unwrap()["id"], "a");

    // The rest is written although a line was bad.
    let input = format!("nonsense\n{}", set("b", "3", &["3"]));
    let run = conclave(directory.path(), &["vote", "-", "--out", "rows.jsonl"], input.as_bytes());
    assert_eq!(run.code, 1, "{run:?}");
    let rows = std::fs::read_to_string(&path).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&rows).unwrap()["id"], "b");

    // With nothing to write, the earlier file stays.
    let run = conclave(directory.path(), &["vote", "-", "--out", "rows.jsonl"], b"nonsense\n[]\n");
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.stderr.contains("`rows.jsonl` is not written") && run.stderr.contains("none of 2 lines"),
        "{run:?}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), rows);
    assert!(!directory.path().join("rows.jsonl.unfinished").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_costs_nothing_written_before() {
    let sets: String = (0..200).map(|i| set(&format!("set-{i}"), "2", &["2", "3"])).collect();
    let directory = directory(&[("sets.jsonl", sets.as_bytes()), ("rows.jsonl", b"before\n")]);

    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_conclave"))
        .args(["vote", "--json", "sets.jsonl"])
        .current_dir(directory.path())
        .stdout(full)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot write standard output: No space left on device"), "{stderr}");

    let run = conclave(directory.path(), &["vote", "sets.jsonl", "--out", "/dev/full"], b"");
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("cannot write `/dev/full`: No space left on device"), "{run:?}");

    // A file size limit of 8 blocks stands for a disk that fills up in the middle.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" vote sets.jsonl --out rows.jsonl"]);
    limited.arg(env!("CARGO_BIN_EXE_conclave"));
    let run = finish(limited, directory.path(), b"");
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.stderr.contains("cannot write `") && run.stderr.contains("(the file is as it was before)"),
        "{run:?}"
    );
    assert_eq!(std::fs::read_to_string(directory.path().join("rows.jsonl")).unwrap(), "before\n");
    assert!(!directory.path().join("rows.jsonl.unfinished").exists());
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_quietly() {
    let lines: String = (0..5000).map(|i| set(&format!("set-{i}"), "2", &["2", "3"])).collect();
    for arguments in [&["vote", "--json", "-"][..], &["vote", "-"], &["grade", "-"]] {
        let input = if arguments[0] == "grade" { pair("1", "2").repeat(5000) } else { lines.clone() };
        let mut child = Command::new(env!("CARGO_BIN_EXE_conclave"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Closed before anything is written: the child waits for its input until then.
        drop(child.stdout.take());
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
}
