//! Runs that are interrupted, and the runs that continue them.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{rows_of, timeless};
use crate::binary::{conclave_line, directory, finish, set};
use crate::checkpoint::random_model;

const ROWS: usize = 60;

const LINE: &str = "aggregate sets.jsonl --model m --policy always --mode select --out rows.jsonl";

fn sets(rows: usize) -> String {
    let set = |i: usize| set(&format!("set-{i}"), "2", &["2", "3", &i.to_string(), &(i * i).to_string()]);
    (0..rows).map(set).collect()
}

fn with_sets_and_model() -> TempDir {
    let directory = directory(&[("sets.jsonl", sets(ROWS).as_bytes())]);
    random_model(directory.path(), "m");
    directory
}

fn whole_lines(path: &Path) -> usize {
    std::fs::read(path).unwrap_or_default().iter().filter(|&&byte| byte == b'\n').count()
}

/// Runs [`LINE`] on a disk that has room for a few rows only.
#[cfg(target_os = "linux")]
fn run_on_a_small_disk(directory: &Path, kilobytes: u32) -> crate::binary::Run {
    let mut limited = Command::new("bash");
    let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" {LINE}");
    limited.args(["-c", &script, env!("CARGO_BIN_EXE_conclave")]);
    finish(limited, directory, b"")
}

#[test]
fn a_killed_run_continues_where_it_was() {
    let directory = with_sets_and_model();
    let (partial, out) = (directory.path().join("rows.jsonl.partial"), directory.path().join("rows.jsonl"));
    let whole = LINE.replace("rows.jsonl", "whole.jsonl");
    conclave_line(directory.path(), &whole).expect(&whole, 0, &["60 rows: 0 by vote, 60 by the model"]);

    let mut child = Command::new(env!("CARGO_BIN_EXE_conclave"))
        .args(LINE.split_whitespace())
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while whole_lines(&partial) < 3 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let done = whole_lines(&partial);
    assert!((3..ROWS).contains(&done) && !out.exists(), "{done} rows");
    // As a machine that goes down leaves it: half a line.
    OpenOptions::new().append(true).open(&partial).unwrap().write_all(b"{\"id\":\"set-").unwrap();

    let said =
        [format!("{done} of 60 rows were done by an earlier run"), "60 rows: 0 by vote, 60".to_owned()];
    let run = conclave_line(directory.path(), LINE).expect(LINE, 0, &[&said[0], &said[1]]);
    let rows: Vec<Value> = rows_of(&out).into_iter().map(timeless).collect();
    let expected: Vec<Value> =
        rows_of(&directory.path().join("whole.jsonl")).into_iter().map(timeless).collect();
    assert_eq!(rows, expected);
    let prompt_tokens: u64 = rows.iter().map(|row| row["usage"]["prompt_tokens"].as_u64().unwrap()).sum();
    assert!(
        run.stderr.contains(&format!("tokens: {prompt_tokens} in, ")),
        "the first rows count too: {run:?}"
    );
    assert!(!partial.exists() && !directory.path().join("rows.jsonl.partial.json").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_keeps_what_is_done() {
    let directory = with_sets_and_model();
    let partial = directory.path().join("rows.jsonl.partial");
    std::fs::write(directory.path().join("rows.jsonl"), "before\n").unwrap();
    let run = run_on_a_small_disk(directory.path(), 4);
    let run = run.expect(LINE, 1, &["rows.jsonl.partial`: File too large", "the same command continues"]);
    let done = whole_lines(&partial);
    assert!(done > 0 && run.stderr.contains(&format!("{done} of 60 rows are kept in `")), "{run:?}");
    assert_eq!(std::fs::read_to_string(directory.path().join("rows.jsonl")).unwrap(), "before\n");
    conclave_line(directory.path(), LINE).expect(LINE, 0, &[&format!("{done} of 60 rows were done")]);
    assert_eq!(rows_of(&directory.path().join("rows.jsonl")).len(), ROWS);
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_of_something_else_is_not_continued() {
    let directory = with_sets_and_model();
    let path = |name: &str| directory.path().join(name);
    run_on_a_small_disk(directory.path(), 4).expect(LINE, 1, &[]);
    let before = std::fs::read(path("rows.jsonl.partial")).unwrap();
    let refused = |line: &str, parts: &[&str]| {
        conclave_line(directory.path(), line).expect(line, 1, parts);
        assert!(
            std::fs::read(path("rows.jsonl.partial")).unwrap() == before,
            "conclave {line} changed the rows"
        );
    };

    for (flags, difference) in [
        ("--seed 7", "seed: 0, now 7"),
        ("--temperature 0.5", "temperature: 0.0, now 0.5"),
        ("--permutations 2", "permutations: null, now 2"),
        ("--limit 10", "now \"10 sets "),
        ("--dtype f16", "dtype: \"f32\", now \"f16\""),
    ] {
        refused(
            &format!("{LINE} {flags}"),
            &["of a run with other settings", difference, "remove it to start anew"],
        );
    }
    refused(&LINE.replace("select", "generate"), &["mode: \"select\", now \"generate\""]);

    // The same sets under another name are the same; one changed candidate is another input.
    std::fs::write(path("sets.jsonl"), sets(ROWS).replace("So ", "Thus ")).unwrap();
    refused(LINE, &["of a run with other settings (sets: \"60 sets "]);
    std::fs::write(path("renamed.jsonl"), sets(ROWS)).unwrap();
    std::fs::rename(path("m"), path("first")).unwrap();
    random_model(directory.path(), "m");
    refused(&LINE.replace("sets.jsonl", "renamed.jsonl"), &["(model: \"files ", "now \"files "]);
    std::fs::remove_dir_all(path("m")).unwrap();
    std::fs::rename(path("first"), path("m")).unwrap();

    // What is not ours is neither continued nor cut.
    let settings = std::fs::read(path("rows.jsonl.partial.json")).unwrap();
    std::fs::remove_file(path("rows.jsonl.partial.json")).unwrap();
    refused(&LINE.replace("sets.jsonl", "renamed.jsonl"), &["(they are not recorded)"]);
    std::fs::write(path("rows.jsonl.partial.json"), settings).unwrap();
    let line = LINE.replace("sets.jsonl", "renamed.jsonl");
    conclave_line(directory.path(), &line).expect(&line, 0, &["were done by an earlier run"]);
    std::fs::write(path("rows.jsonl.partial"), "my notes\nand more\n").unwrap();
    conclave_line(directory.path(), LINE).expect(
        LINE,
        1,
        &["cannot continue `", "line 1 is not one of its rows"],
    );
    assert_eq!(std::fs::read_to_string(path("rows.jsonl.partial")).unwrap(), "my notes\nand more\n");
}
