//! `conclave sample` and `conclave ask`, against a server on this machine that says what the tests want. What the client
//! does with each failure is tested where it lives; here is what becomes of it at the command line.

// Shared with the client's own tests, which use more of it.
#[allow(dead_code)]
#[path = "../crates/client/tests/loopback/server.rs"]
pub mod server;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{Run, conclave, directory, finish, set};
use server::{Received, Server, begin_stream, chunk, event, hang, respond, stream_text};

const KEY: &str = "sk-not-a-real-key-0123456789";

/// Runs a line with the address of `server` as URL and [`KEY`] in the variable `KEY_OF_TEST`, which must not come out.
fn run(directory: &Path, server: &Server, line: &str) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conclave"));
    let line = line.replace("API", &format!("--base-url {} --model m", server.base_url()));
    command.args(line.split_whitespace()).env("KEY_OF_TEST", KEY).env_remove("OPENAI_API_KEY");
    // Nobody answers for this proxy: this machine is reached without one.
    command.env("ALL_PROXY", "http://127.0.0.1:9");
    let run = finish(command, directory, b"");
    assert!(!run.stdout.contains(KEY) && !run.stderr.contains(KEY), "the key came out: {run:?}");
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(!written.contains(KEY), "the key is in {}", path.display());
    }
    run
}

fn problems() -> TempDir {
    let problem = |id: &str, reference: &str| {
        json!({"id": id, "problem": format!("What is {id}?"), "reference_answer": reference, "level": 1})
            .to_string()
            + "\n"
    };
    let lines = problem("one", "1") + "\n" + &problem("two", "2") + &problem("three", "3");
    directory(&[
        ("problems.jsonl", lines.as_bytes()),
        ("sets.jsonl", set("kept", "2", &["2", "3"]).as_bytes()),
    ])
}

/// The seed tells which candidate a request is for.
fn index(received: &Received) -> u64 {
    received.body["seed"].as_u64().unwrap_or(0)
}

/// The problem that a request is about.
fn problem(received: &Received) -> String {
    let messages = received.body["messages"].as_array().expect("messages");
    messages.last().expect("a message")["content"].as_str().expect("a text").to_owned()
}

/// Answers everything with 2.
fn two() -> Server {
    Server::start(|_, _, stream| stream_text(stream, &["So \\boxed{", "2}."]))
}

fn rows_of(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn problems_become_sample_sets() {
    let (directory, server) = (problems(), two());
    let line = "sample problems.jsonl API --num-candidates 3 --seed 5 --temperature 0.5 --max-tokens 9 --key-env KEY_OF_TEST";
    let run_of = run(directory.path(), &server, line).expect(line, 0, &["3 sets, 9 candidates"]);
    let rows = run_of.rows();
    assert_eq!(rows.iter().map(|row| &row["id"]).collect::<Vec<_>>(), ["one", "two", "three"]);
    assert_eq!((&rows[0]["reference_answer"], &rows[0]["level"]), (&json!("1"), &json!(1)));
    let expected = json!({
        "text": "So \\boxed{2}.", "model": "m", "finish_reason": "stop", "usage": {"completion_tokens": 2}, "seed": 6,
    });
    assert_eq!(rows[1]["candidates"][1], expected);
    assert_eq!(rows[0]["failures"], Value::Null);
    let requests = server.seen.requests.lock().unwrap();
    assert_eq!(requests.len(), 9);
    assert_eq!(problem(&requests[0]), "What is one?");
    assert!(requests[0].body["messages"][0]["content"].as_str().unwrap().contains("\\boxed"));
    assert_eq!((&requests[0].body["temperature"], &requests[0].body["max_tokens"]), (&json!(0.5), &json!(9)));
    let bearer = format!("Bearer {KEY}");
    assert!(requests.iter().all(|received| received.header("authorization") == Some(bearer.as_str())));
    drop(requests);

    // What comes out goes in again.
    std::fs::write(directory.path().join("drawn.jsonl"), &run_of.stdout).unwrap();
    let vote = "vote drawn.jsonl --json";
    assert_eq!(run(directory.path(), &server, vote).expect(vote, 0, &[]).rows()[1]["correct"], json!(true));
}

#[test]
fn candidates_of_a_set_are_replaced_or_kept() {
    let (directory, server) = (problems(), two());
    let line = "sample sets.jsonl API --num-candidates 1 --system= --limit 1";
    let replaced =
        run(directory.path(), &server, line).expect(line, 0, &["2 candidates of the input are left out"]);
    assert_eq!(replaced.rows()[0]["candidates"].as_array().unwrap().len(), 1);
    let request = server.seen.requests.lock().unwrap()[0].clone();
    assert_eq!(request.body["messages"].as_array().unwrap().len(), 1, "an empty system prompt is none");
    assert_eq!(request.header("authorization"), None, "no key was given: {}", request.head);
    let line = format!("{line} --keep");
    let kept = run(directory.path(), &server, &line).expect(&line, 0, &["1 set, 3 candidates"]);
    let texts: Vec<Value> =
        kept.rows()[0]["candidates"].as_array().unwrap().iter().map(|one| one["text"].clone()).collect();
    assert_eq!(texts, ["So \\boxed{2}.", "So \\boxed{3}.", "So \\boxed{2}."]);
}

#[test]
fn a_candidate_that_fails_is_recorded() {
    let directory = problems();
    let server = Server::start(|_, received, stream| match index(received) {
        1 => {
            begin_stream(stream);
            chunk(stream, &event("So"));
        }
        2 => stream_text(stream, &["the key is ", KEY]),
        _ => stream_text(stream, &["2"]),
    });
    let line = "sample problems.jsonl API --num-candidates 4 --seed 0 --limit 1 --out sets.out --key-env KEY_OF_TEST";
    let said =
        ["`one`: 1 candidate failed: ", "broke off its answer", "1 set, 3 candidates; 1 candidate did not"];
    run(directory.path(), &server, line).expect(line, 1, &said);
    let row = &rows_of(&directory.path().join("sets.out"))[0];
    assert_eq!(row["candidates"].as_array().unwrap().len(), 3);
    assert_eq!(row["candidates"][1]["text"], "the key is [key]");
    assert_eq!(
        (&row["failures"][0]["candidate"], &row["failures"][0]["code"]),
        (&json!(1), &json!("disconnected"))
    );
}

#[test]
fn a_run_without_an_answer_says_why() {
    let directory = problems();
    let says = |status: &'static str, body: &'static str| {
        Server::start(move |_, _, stream| respond(stream, status, "", body))
    };
    let line = "sample problems.jsonl API --num-candidates 2 --key-env KEY_OF_TEST --out sets.out";
    for (status, body, parts) in [
        (
            "401 No",
            "{\"error\":{\"message\":\"bad key sk-not-a-real-key-0123456789\"}}",
            ["does not accept the key", "\"bad key [key]\""],
        ),
        ("404 No", "{\"error\":\"model 'm' not found\"}", ["does not have the model `m`", "GET /models"]),
        ("404 No", "nothing here", ["there are no chat completions at http://127.0.0.1:", "most end in /v1"]),
        ("429 Busy\r\nRetry-After: 999", "{}", ["has had too many requests", "ask for fewer at once"]),
        ("200 Fine", "<html>", ["a page of HTML", "OpenAI-compatible"]),
    ] {
        let failed = run(directory.path(), &says(status, body), line).expect(line, 1, &parts);
        assert!(failed.stderr.contains("no candidate for `one`"), "{failed:?}");
        assert!(
            !directory.path().join("sets.out").exists()
                && !directory.path().join("sets.out.partial").exists()
        );
    }
    let server = two();
    let gone = Server {
        port: std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(),
        ..server
    };
    run(directory.path(), &gone, line).expect(line, 1, &["nothing listens at", "is the server running"]);
}

#[test]
fn wrong_arguments_are_named_and_keys_are_not() {
    let (directory, server) = (problems(), two());
    std::fs::write(directory.path().join("empty.key"), "\n").unwrap();
    let secret = "hunter2-hunter2-hunter2";
    let in_the_clear = "sample problems.jsonl --model m --base-url http://192.0.2.1/v1 --key-env KEY_OF_TEST";
    let cases: &[(&str, i32, &[&str])] = &[
        ("sample problems.jsonl", 2, &["--base-url <URL>", "--model <NAME>"]),
        ("sample problems.jsonl API --num-candidates 0", 2, &["'--num-candidates <N>'"]),
        ("sample problems.jsonl API --concurrency 0", 2, &["'--concurrency <C>'"]),
        ("sample problems.jsonl API --temperature hot", 2, &["a number from 0 to 100"]),
        ("sample nowhere API", 1, &["cannot read `nowhere`"]),
        (
            "sample problems.jsonl API --key-env hunter2-hunter2-hunter2",
            2,
            &["is not set", "not the key itself"],
        ),
        ("sample problems.jsonl API --key-file nowhere", 1, &["cannot read the key in `nowhere`"]),
        ("sample problems.jsonl API --key-file empty.key", 1, &["the key is empty"]),
        ("sample problems.jsonl API --no-key --key-env KEY_OF_TEST", 2, &["cannot be used with"]),
        (
            "sample problems.jsonl --model m --base-url https://me:hunter2-hunter2-hunter2@host/v1",
            2,
            &["a password"],
        ),
        (
            "sample problems.jsonl --model m --base-url https://host/v1?key=hunter2-hunter2-hunter2",
            2,
            &["a query"],
        ),
        ("sample problems.jsonl --model m --base-url host/v1", 2, &["does not begin with http://"]),
        (in_the_clear, 2, &["in the clear", "--allow-http-key"]),
        ("ask why API --aggregator nowhere", 1, &["the model `nowhere` does not exist"]),
        ("ask why API --policy maybe", 2, &["auto, always, vote"]),
        ("ask - API", 1, &["standard input is empty"]),
    ];
    for (line, code, parts) in cases {
        let run = run(directory.path(), &server, line).expect(line, *code, parts);
        assert!(!run.stderr.contains(secret), "{run:?}");
    }
    let url = server.base_url();
    let empty = ["ask", " ", "--model", "m", "--base-url", &url];
    conclave(directory.path(), &empty, b"").expect("ask", 2, &["the problem is empty"]);
    assert_eq!(server.count(), 0);
}

#[test]
fn a_run_that_fails_continues_where_it_was() {
    let directory = problems();
    let works = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&works);
    let server = Server::start(move |_, received, stream| {
        if problem(received).contains("three") && !theirs.load(Ordering::SeqCst) {
            return respond(stream, "401 Unauthorized", "", "{}");
        }
        stream_text(stream, &["2"]);
    });
    let line = "sample problems.jsonl API --num-candidates 2 --out out.jsonl --key-env KEY_OF_TEST";
    let said = ["no candidate for `three`", "2 of 3 sets are kept in `", "the same command continues"];
    run(directory.path(), &server, line).expect(line, 1, &said);
    assert!(!directory.path().join("out.jsonl").exists());

    let other = format!("{line} --max-tokens 7");
    run(directory.path(), &server, &other).expect(&other, 1, &["of a run with other settings (api: "]);
    let other = line.replace("problems.jsonl", "sets.jsonl");
    run(directory.path(), &server, &other).expect(&other, 1, &["of a run with other settings (problems: "]);

    works.store(true, Ordering::SeqCst);
    let said = ["2 of 3 sets were done by an earlier run", "3 sets, 6 candidates"];
    let before = server.count();
    run(directory.path(), &server, line).expect(line, 0, &said);
    assert_eq!(server.count(), before + 2);
    assert_eq!(rows_of(&directory.path().join("out.jsonl")).len(), 3);
    assert!(!directory.path().join("out.jsonl.partial").exists());
}

#[test]
fn a_problem_that_is_refused_does_not_stop_the_others() {
    let directory = problems();
    let server = Server::start(|_, received, stream| match problem(received).as_str() {
        "What is two?" => respond(stream, "400 No", "", "{\"error\":{\"message\":\"not this one\"}}"),
        _ => stream_text(stream, &["2"]),
    });
    let line = "sample problems.jsonl API --num-candidates 2 --out sets.out";
    let said =
        ["`two`: 2 candidates failed: ", "no candidate for `two`", "3 sets, 4 candidates; 2 candidates"];
    run(directory.path(), &server, line).expect(line, 1, &said);
    let rows = rows_of(&directory.path().join("sets.out"));
    let numbers = rows.iter().map(|row| row["candidates"].as_array().unwrap().len());
    assert_eq!(numbers.collect::<Vec<_>>(), [2, 0, 2]);
    assert_eq!(rows[1]["failures"][1]["code"], "rejected");
    assert_eq!(rows[2]["id"], "three");

    // Of what was never answered nothing is kept.
    let refusing = Server::start(|_, _, stream| respond(stream, "400 No", "", "{}"));
    let line = "sample sets.jsonl API --num-candidates 1 --out none.out";
    run(directory.path(), &refusing, line).expect(line, 1, &["no candidate for `kept`", "does not accept"]);
    assert!(!directory.path().join("none.out").exists());
    assert!(!directory.path().join("none.out.partial").exists());
}

#[test]
fn a_bad_line_is_reported_and_the_rest_is_done() {
    let (directory, server) = (problems(), two());
    let lines = "{\"id\": \"a\"}\n{\"id\": \"b\", \"problem\": \"What?\"}\n[\n";
    std::fs::write(directory.path().join("bad.jsonl"), lines).unwrap();
    let line = "sample bad.jsonl API --num-candidates 1";
    let said = ["bad.jsonl:1: `problem`: missing", "bad.jsonl:3: not JSON", "2 of 3 lines could not be read"];
    assert_eq!(run(directory.path(), &server, line).expect(line, 1, &said).rows().len(), 1);
}

/// Answers with 41 twice, 42 otherwise, nothing to be found once; candidate 5 fails on purpose.
fn split() -> Server {
    Server::start(|_, received, stream| match index(received) {
        0 | 3 => stream_text(stream, &["So \\boxed{41}."]),
        2 => stream_text(stream, &["Hm."]),
        5 => respond(stream, "400 On purpose", "", "{\"error\":{\"message\":\"on purpose\"}}"),
        _ => stream_text(stream, &["So \\boxed{", "42}."]),
    })
}

#[test]
fn a_question_gets_an_answer_and_its_dissent() {
    let (directory, server) = (problems(), split());
    let line = "ask why? API --num-candidates 8 --seed 0 --policy vote";
    let said = ["1 candidate failed: ", "\"on purpose\""];
    let shown = run(directory.path(), &server, line).expect(line, 0, &said);
    let expected = "\
answer      42
by          vote
confidence  0.825 (that the answer is right, as far as votes can tell)
votes       4 of 7 candidates
dissent     41 (2), no answer (1)
";
    assert_eq!(shown.stdout, expected);

    let line = format!("{line} --json --out set.jsonl");
    let row = run(directory.path(), &server, &line).expect(&line, 0, &said).rows().remove(0);
    assert_eq!(
        (&row["answer"], &row["method"], &row["num_candidates"]),
        (&json!("42"), &json!("vote"), &json!(7))
    );
    let recorded = &rows_of(&directory.path().join("set.jsonl"))[0];
    assert_eq!((&recorded["problem"], &recorded["failures"][0]["candidate"]), (&json!("why?"), &json!(5)));
    // The same as of the recorded set.
    let line = "aggregate set.jsonl --policy vote --json";
    let mut again = run(directory.path(), &server, line).expect(line, 0, &[]).rows().remove(0);
    again["elapsed_ms"] = row["elapsed_ms"].clone();
    assert_eq!(again, row);
}

#[test]
fn a_question_that_the_built_in_model_cannot_read_is_left_to_the_vote() {
    let (directory, server) = (problems(), split());
    let line = "ask Wherefore? API --num-candidates 8 --seed 0";
    let shown = run(directory.path(), &server, line).expect(line, 0, &["1 of 1 set left to the vote"]);
    assert!(shown.stdout.contains("answer      42\nby          fallback vote\n"), "{shown:?}");

    let silent = Server::start(|_, _, stream| stream_text(stream, &["Hm."]));
    let line = "ask why? API --num-candidates 2 --policy vote";
    let shown = run(directory.path(), &silent, line).expect(line, 1, &[]);
    assert!(shown.stdout.contains("none has an answer"), "{shown:?}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_has_arrived() {
    let (directory, line) = (problems(), "--num-candidates 5 --seed 0 --concurrency 1");
    for (command, expected) in
        [("ask why? --policy vote", "answer      2\n"), ("sample problems.jsonl", "{\"id\":\"one\"")]
    {
        let server = Server::start(|_, received, stream| match index(received) {
            0 | 1 => stream_text(stream, &["2"]),
            _ => hang(stream),
        });
        let url = server.base_url();
        let child = Command::new(env!("CARGO_BIN_EXE_conclave"))
            .args(format!("{command} --base-url {url} --model m {line}").split_whitespace())
            .current_dir(directory.path())
            .env_remove("OPENAI_API_KEY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The third request is there, so the first two candidates are.
        while server.count() < 3 {
            std::thread::yield_now();
        }
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).starts_with(expected), "{output:?}");
        let stopped = String::from_utf8_lossy(&output.stderr).contains("the 2 candidates that arrived");
        assert_eq!(stopped, command.starts_with("ask"), "{output:?}");
        assert_eq!(server.count(), 3);
        if command.starts_with("sample") {
            let row: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(row["candidates"].as_array().unwrap().len(), 2, "{row}");
            assert_eq!(row["failures"].as_array().unwrap().len(), 3, "{row}");
        }
    }
}

#[cfg(unix)]
#[test]
fn candidates_of_the_present_problem_are_not_paid_for_twice() {
    for signal in ["INT", "TERM", "KILL"] {
        let (directory, works) = (problems(), Arc::new(AtomicBool::new(false)));
        let theirs = Arc::clone(&works);
        let server = Server::start(move |_, received, stream| match index(received) {
            1 | 2 if !theirs.load(Ordering::SeqCst) => hang(stream),
            seed => stream_text(stream, &[&format!("So \\boxed{{{seed}}}.")]),
        });
        let line = "sample problems.jsonl API --num-candidates 4 --seed 0 --concurrency 4 --out sets.out";
        let url = server.base_url();
        let child = Command::new(env!("CARGO_BIN_EXE_conclave"))
            .args(line.replace("API", &format!("--base-url {url} --model m")).split_whitespace())
            .current_dir(directory.path())
            .env_remove("OPENAI_API_KEY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = directory.path().join("sets.out.partial.begun");
        let lines = || std::fs::read_to_string(&begun).unwrap_or_default().matches('\n').count();
        crate::binary::wait_until("two candidates", || lines() == 2);
        crate::binary::signal(child.id(), signal);
        let stopped = crate::binary::ended(child);
        if signal != "KILL" {
            stopped.expect(
                line,
                130,
                &["0 of 3 sets are kept in `", "with 2 candidates of the next; the same command"],
            );
        }
        let other = format!("{line} --max-tokens 7");
        run(directory.path(), &server, &other).expect(
            &other,
            1,
            &["0 rows of a run with other settings (api: "],
        );

        works.store(true, Ordering::SeqCst);
        let before = server.count();
        let said = ["2 candidates of an earlier run are there already", "3 sets, 12 candidates"];
        run(directory.path(), &server, line).expect(line, 0, &said);
        assert_eq!(server.count() - before, 10, "{signal}");
        let rows = rows_of(&directory.path().join("sets.out"));
        for row in rows {
            let texts: Vec<&Value> =
                row["candidates"].as_array().unwrap().iter().map(|candidate| &candidate["text"]).collect();
            assert_eq!(texts, ["So \\boxed{0}.", "So \\boxed{1}.", "So \\boxed{2}.", "So \\boxed{3}."]);
        }
        assert_eq!(crate::binary::names(directory.path()), ["problems.jsonl", "sets.jsonl", "sets.out"]);
    }
}
