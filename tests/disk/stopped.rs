//! Ctrl-C, SIGTERM and a parent that dies: what was done is saved or printed, in every command.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{pairs, sets};
use crate::binary::{Run, conclave_line, directory, ended, names, signal, start, wait_until};
use crate::checkpoint::random_model;

/// A file that is long enough to leave the program's buffers.
const MANY: usize = 2_000;

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// Gives a command more and more lines of a file on its standard input, and never its end, until `done`.
fn feed(child: &mut Child, text: &str, what: &str, done: impl Fn() -> bool) {
    child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    wait_until(what, done);
}

#[test]
fn rows_that_cannot_be_continued_are_kept_apart() {
    let directory = directory(&[("sets.jsonl", sets(3).as_bytes())]);
    let (path, unfinished) =
        (directory.path().join("rows.jsonl"), directory.path().join("rows.jsonl.unfinished"));
    for (command, text) in [("vote -", sets(MANY)), ("grade -", pairs(MANY)), ("convert -", sets(MANY))] {
        for name in ["INT", "TERM"] {
            std::fs::write(&path, "before\n").unwrap();
            let mut child = start(directory.path(), &format!("{command} --out rows.jsonl"));
            feed(&mut child, &text, command, || length(&unfinished) > 0);
            signal(child.id(), name);
            // The pipe is still open: the wish alone ends it.
            let stdin = child.stdin.take();
            let said =
                ["stopped: ", " are kept in `", "rows.jsonl.unfinished`; the same command begins anew"];
            ended(child).expect(command, 130, &said);
            drop(stdin);
            let kept = std::fs::read_to_string(&unfinished).unwrap();
            assert!(kept.ends_with('\n') && kept.lines().count() > 10, "{command}");
            kept.lines().for_each(|line| drop(serde_json::from_str::<Value>(line).expect(line)));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\n");
            assert_eq!(names(directory.path()), ["rows.jsonl", "rows.jsonl.unfinished", "sets.jsonl"]);
        }
    }
    // Nothing of it is in the way of rows that can be continued, or of the next run.
    let line = "aggregate sets.jsonl --policy vote --out rows.jsonl";
    conclave_line(directory.path(), line).expect(line, 0, &["3 rows"]);
    let line = "vote sets.jsonl --out rows.jsonl";
    conclave_line(directory.path(), line).expect(line, 0, &["3 sets"]);
    assert_eq!(names(directory.path()), ["rows.jsonl", "sets.jsonl"]);
}

#[test]
fn what_was_done_is_printed() {
    let directory = directory(&[]);
    for (command, end) in [("vote - --json", ""), ("vote -", " sets, "), ("grade -", ""), ("convert -", "")] {
        let mut child = start(directory.path(), command);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let text = if command.starts_with("grade") { pairs(MANY) } else { sets(MANY) };
        let mut first = String::new();
        if command == "vote -" {
            // A table is printed at the end.
            child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
        } else {
            child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
            lines.read_line(&mut first).unwrap();
        }
        signal(child.id(), "INT");
        let stdin = child.stdin.take();
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut lines, &mut rest).unwrap();
        let run = ended(child).expect(command, 130, &[]);
        drop(stdin);
        if command != "vote -" {
            let count =
                rest.lines().inspect(|line| drop(serde_json::from_str::<Value>(line).expect(line))).count();
            assert!(!first.is_empty() && rest.ends_with('\n') && count > 10, "{command}: {run:?}");
        } else {
            assert!(rest.is_empty() || rest.contains(end), "{rest}");
        }
    }
}

/// A run of `aggregate` that takes long, told of as it goes.
fn start_aggregation(directory: &Path, flags: &str) -> (Child, impl BufRead) {
    let line =
        format!("aggregate sets.jsonl --model m --policy always --mode select --progress json {flags}");
    let mut child = start(directory, &line);
    let said = BufReader::new(child.stderr.take().unwrap());
    (child, said)
}

/// Reads what is said until some rows are done.
fn wait_for_rows(said: &mut impl BufRead) {
    let mut line = String::new();
    while said.read_line(&mut line).unwrap() > 0 {
        let value: Value = serde_json::from_str(&line).unwrap_or_default();
        if value["progress"]["done"].as_u64() > Some(0) {
            return;
        }
        line.clear();
    }
    panic!("it ended before it could be stopped");
}

#[test]
fn an_aggregation_prints_or_keeps_its_rows() {
    let text: String = (0..400)
        .map(|i| {
            crate::binary::set(&format!("set-{i}"), "2", &["2", "3", &i.to_string(), &(i * i).to_string()])
        })
        .collect();
    let directory = directory(&[("sets.jsonl", text.as_bytes())]);
    random_model(directory.path(), "m");
    for (flags, name) in [("--json", "INT"), ("", "TERM"), ("--out rows.jsonl", "INT")] {
        let (child, mut said) = start_aggregation(directory.path(), flags);
        wait_for_rows(&mut said);
        signal(child.id(), name);
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut said, &mut rest).unwrap();
        let Run { code, stdout, .. } = ended(child);
        assert_eq!(code, 130, "{flags}: {rest}");
        assert!(rest.contains("\"outcome\":\"interrupted\""), "{flags}: {rest}");
        match flags {
            "--json" => {
                let rows = stdout
                    .lines()
                    .inspect(|line| drop(serde_json::from_str::<Value>(line).expect(line)))
                    .count();
                assert!(rows > 0 && stdout.ends_with('\n'), "{stdout}");
            }
            "" => assert!(stdout.contains("set-0 ") && rest.contains("rows: "), "{stdout}{rest}"),
            _ => {
                assert!(rest.contains("of 400 rows are kept in `"), "{rest}");
                let kept = std::fs::read_to_string(directory.path().join("rows.jsonl.partial")).unwrap();
                assert!(kept.ends_with('\n') && kept.lines().count() > 0);
            }
        }
    }
    let line = "aggregate sets.jsonl --model m --policy always --mode select --out rows.jsonl";
    conclave_line(directory.path(), line).expect(line, 0, &["rows were done by an earlier run", "400 rows"]);
}

#[test]
fn other_commands_stop_with_what_they_have() {
    let directory = directory(&[("sets.jsonl", sets(3).as_bytes())]);
    // Figures of the files that were read; that of the file that was being read is none.
    let mut child = start(directory.path(), "eval sets.jsonl - --out figures.json");
    child.stdin.as_mut().unwrap().write_all(sets(1).as_bytes()).unwrap();
    wait_until("the output", || directory.path().join("figures.json.unfinished").exists());
    signal(child.id(), "INT");
    let stdin = child.stdin.take();
    ended(child).expect("eval", 130, &[]);
    drop(stdin);
    assert!(!directory.path().join("figures.json").exists());

    let child = start(directory.path(), "data arithmetic --problems 100000000 --out made.jsonl");
    wait_until("some sets", || length(&directory.path().join("made.jsonl.unfinished")) > 0);
    signal(child.id(), "TERM");
    ended(child).expect("data", 130, &["are kept in `", "made.jsonl.unfinished`"]);
    assert!(!directory.path().join("made.jsonl").exists());
    assert!(names(directory.path()).iter().all(|name| !name.contains("partial")));
}

#[test]
fn a_child_does_not_outlive_its_parent_and_gives_its_file_back() {
    let directory = directory(&[("sets.jsonl", sets(3).as_bytes())]);
    let unfinished = directory.path().join("rows.jsonl.unfinished");
    // As an engine starts it; then the engine's worker is killed, and its child reads on.
    let mut worker = Command::new("bash")
        .args(["-c", "\"$0\" vote - --out rows.jsonl; true", env!("CARGO_BIN_EXE_conclave")])
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    feed(&mut worker, &sets(MANY), "the child", || length(&unfinished) > 0);
    let (stdin, mut stderr) = (worker.stdin.take(), worker.stderr.take().unwrap());
    worker.kill().unwrap();
    worker.wait().unwrap();
    // The retry waits for the lock, and gets it.
    let line = "vote sets.jsonl --out rows.jsonl";
    conclave_line(directory.path(), line).expect(line, 0, &["3 sets"]);
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
    assert!(said.contains("stopped, because the program that started it has ended"), "{said}");
    drop(stdin);
    assert_eq!(names(directory.path()), ["rows.jsonl", "sets.jsonl"]);
}

#[cfg(target_os = "linux")]
#[test]
fn under_nohup_it_does() {
    let directory = directory(&[]);
    let mut shell = Command::new("bash")
        .args(["-c", "trap '' HUP; \"$0\" vote - --out rows.jsonl; true", env!("CARGO_BIN_EXE_conclave")])
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    feed(&mut shell, &sets(MANY), "the child", || {
        length(&directory.path().join("rows.jsonl.unfinished")) > 0
    });
    shell.kill().unwrap();
    let (stdin, mut stderr) = (shell.stdin.take(), shell.stderr.take().unwrap());
    shell.wait().unwrap();
    // Longer than a parent is looked for; then its input ends, and it is done.
    std::thread::sleep(std::time::Duration::from_millis(500));
    drop(stdin);
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
    assert!(said.contains(&format!("{MANY} sets")), "{said}");
    assert!(directory.path().join("rows.jsonl").exists());
}
