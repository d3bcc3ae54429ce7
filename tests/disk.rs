//! The disk from outside: what is never lost, never doubled and never taken for whole. Shards and their merging are in [`shards`],
//! signals and dying parents in [`stopped`], kills at random moments in [`killed`].

mod killed;
mod shards;
mod stopped;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::binary::{conclave_line, directory, ended, names, pair, set, start};

/// Sets whose vote is stable, with other numbers each.
pub fn sets(count: usize) -> String {
    let one = |i: usize| {
        let answer = i.to_string();
        set(&format!("set-{i}"), &answer, &[&answer, &answer, &answer, &answer, "7"])
    };
    (0..count).map(one).collect()
}

/// As many pairs.
pub fn pairs(count: usize) -> String {
    (0..count).map(|i| pair(&i.to_string(), &format!("The answer is {}", i / 2 * 2))).collect()
}

fn with_sets() -> TempDir {
    directory(&[("sets.jsonl", sets(3).as_bytes()), ("pairs.jsonl", pairs(3).as_bytes())])
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}

#[test]
fn output_that_cannot_be_continued_leaves_rows_that_can_alone() {
    let directory = with_sets();
    // As `aggregate` and `sample` leave it.
    for (name, text) in [
        ("rows.jsonl.partial", "{\"id\":\"paid\"}\n"),
        ("rows.jsonl.partial.json", "{\"command\":\"sample\"}"),
        ("rows.jsonl.partial.begun", "{\"set\":1}\n"),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let partial = || {
        ["", ".json", ".begun"].map(|end| read(&directory.path().join(format!("rows.jsonl.partial{end}"))))
    };
    let before = partial();
    for command in [
        "vote sets.jsonl",
        "grade pairs.jsonl",
        "convert sets.jsonl",
        "eval sets.jsonl",
        "data arithmetic --problems 2",
        "merge sets.jsonl --of sets.jsonl",
    ] {
        let line = format!("{command} --out rows.jsonl");
        conclave_line(directory.path(), &line).expect(&line, 0, &[]);
        assert_eq!(partial(), before, "{line}");
        assert_eq!(names(directory.path()).len(), 6, "{line}: {:?}", names(directory.path()));
    }
}

#[test]
fn an_input_is_never_written() {
    let directory = with_sets();
    let path = |name: &str| directory.path().join(name);
    std::fs::hard_link(path("sets.jsonl"), path("hard.jsonl")).unwrap();
    std::fs::copy(path("sets.jsonl"), path("other.jsonl.partial")).unwrap();
    std::fs::copy(path("sets.jsonl"), path("last.jsonl.unfinished")).unwrap();
    std::fs::write(path("schema.json"), "{\"type\": \"object\"}").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(path("sets.jsonl"), path("link.jsonl")).unwrap();
    let before: Vec<(String, Vec<u8>)> =
        names(directory.path()).into_iter().map(|name| (name.clone(), read(&path(&name)))).collect();
    let url = "--base-url http://127.0.0.1:9/v1 --model m --no-key";
    for (line, part) in [
        ("vote sets.jsonl --out sets.jsonl", "it is the input `sets.jsonl`"),
        ("vote sets.jsonl --out ./sets.jsonl", "it is the input"),
        ("vote sets.jsonl --out hard.jsonl", "it is the input"),
        #[cfg(unix)]
        ("vote sets.jsonl --out link.jsonl", "it is the input"),
        #[cfg(unix)]
        ("vote link.jsonl --out sets.jsonl", "it is the input `link.jsonl`"),
        ("vote sets.jsonl --shard 1/1 --out sets.jsonl", "it is the input"),
        ("vote sets.jsonl --problems pairs.jsonl --out pairs.jsonl", "it is the input `pairs.jsonl`"),
        ("vote sets.jsonl --answers json=schema.json --out schema.json", "it is the input `schema.json`"),
        ("vote sets.jsonl --weights schema.json --out schema.json", "it is the input `schema.json`"),
        ("vote sets.jsonl --weights learned --save-weights sets.jsonl", "it is the input `sets.jsonl`"),
        ("aggregate sets.jsonl --ranker schema.json --out schema.json", "it is the input `schema.json`"),
        ("grade pairs.jsonl --out pairs.jsonl", "it is the input"),
        ("convert sets.jsonl --out sets.jsonl", "it is the input"),
        ("convert last.jsonl.unfinished --out last.jsonl", "`last.jsonl.unfinished`, which is the input"),
        ("eval sets.jsonl --out sets.jsonl", "it is the input"),
        ("merge sets.jsonl --of hard.jsonl --out hard.jsonl", "it is the input"),
        ("aggregate sets.jsonl --out sets.jsonl", "it is the input"),
        ("aggregate other.jsonl.partial --out other.jsonl", "`other.jsonl.partial`, which is the input"),
        ("aggregate sets.jsonl --rounds 1 --pools sets.jsonl", "it is the input"),
        ("aggregate sets.jsonl --rounds 1 --pools new --out new", "--pools and --out are one file"),
        (&format!("sample sets.jsonl {url} --out sets.jsonl"), "it is the input"),
    ] {
        conclave_line(directory.path(), line).expect(line, 2, &[part]);
    }
    let after: Vec<(String, Vec<u8>)> =
        names(directory.path()).into_iter().map(|name| (name.clone(), read(&path(&name)))).collect();
    assert_eq!(after, before);
}

/// Runs `conclave vote -` with files as standard input and output.
#[cfg(unix)]
fn vote_on(directory: &Path, stdin: &str, stdout: Stdio, arguments: &[&str]) -> crate::binary::Run {
    let mut vote = Command::new(env!("CARGO_BIN_EXE_conclave"));
    vote.args(["vote", "-"]).args(arguments).current_dir(directory);
    vote.stdin(File::open(directory.join(stdin)).unwrap()).stdout(stdout).stderr(Stdio::piped());
    ended(vote.spawn().unwrap())
}

#[cfg(unix)]
#[test]
fn standard_input_and_output_may_be_one_file_too() {
    let directory = with_sets();
    let before = read(&directory.path().join("sets.jsonl"));
    let run = vote_on(directory.path(), "sets.jsonl", Stdio::piped(), &["--out", "sets.jsonl"]);
    run.expect("vote -", 2, &["it is the input `-`"]);
    let append = File::options().append(true).open(directory.path().join("sets.jsonl")).unwrap();
    let run = vote_on(directory.path(), "sets.jsonl", append.into(), &["--json"]);
    run.expect("vote - >> sets.jsonl", 2, &["standard output goes to the input `-`"]);
    assert_eq!(read(&directory.path().join("sets.jsonl")), before);
}

#[test]
fn a_file_that_is_being_written_is_left_to_its_writer() {
    let directory = with_sets();
    let writer = start(directory.path(), "vote - --out rows.jsonl");
    crate::binary::wait_until("the lock", || directory.path().join("rows.jsonl.unfinished").exists());
    let line = "vote sets.jsonl --out rows.jsonl";
    conclave_line(directory.path(), line).expect(
        line,
        1,
        &["another run is writing `", "wait for it or choose another"],
    );
    // Its standard input ends with the pipe.
    ended(writer).expect("vote -", 0, &["0 sets"]);
    conclave_line(directory.path(), line).expect(line, 0, &["3 sets"]);
    assert_eq!(names(directory.path()), ["pairs.jsonl", "rows.jsonl", "sets.jsonl"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let directory = with_sets();
    for command in ["vote sets.jsonl", "aggregate sets.jsonl"] {
        // Even root writes nothing there.
        let line = format!("{command} --out /sys/rows.jsonl");
        conclave_line(directory.path(), &line).expect(
            &line,
            1,
            &["cannot create `/sys/rows.jsonl.", "may write to"],
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing_half() {
    let directory = directory(&[("sets.jsonl", sets(200).as_bytes())]);
    std::fs::write(directory.path().join("rows.jsonl"), "before\n").unwrap();
    for (command, name) in [
        ("vote sets.jsonl", "rows.jsonl"),
        ("convert sets.jsonl", "rows.jsonl"),
        ("vote sets.jsonl --shard 1/1", "new.jsonl"),
    ] {
        let mut limited = Command::new("bash");
        let script = format!("trap '' XFSZ; ulimit -f 4; exec \"$0\" {command} --out {name}");
        limited.args(["-c", &script, env!("CARGO_BIN_EXE_conclave")]);
        let run = crate::binary::finish(limited, directory.path(), b"");
        run.expect(command, 1, &[&format!("cannot write `{name}`"), "File too large"]);
        assert_eq!(names(directory.path()), ["rows.jsonl", "sets.jsonl"], "{command}");
        assert_eq!(read(&directory.path().join("rows.jsonl")), b"before\n");
    }
}
