//! Commands that are killed or stopped at random moments and run again: no row is lost or doubled, and no half file has its name.
#![cfg(unix)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{read, sets};
use crate::binary::{conclave_line, directory, names, set, signal};
use crate::checkpoint::random_model;
use crate::sample::server::{Server, stream_text};
use crate::train_killed::Draws;

/// A command that writes `rows.jsonl`.
struct Case<'a> {
    line: &'a str,
    /// Whether what it wrote is continued.
    continues: bool,
}

/// Rows without what differs from run to run.
fn rows(path: &Path) -> Vec<Value> {
    let text = String::from_utf8(read(path)).unwrap();
    let row = |line: &str| {
        let mut row: Value = serde_json::from_str(line).expect(line);
        row.as_object_mut().unwrap().remove("elapsed_ms");
        row
    };
    text.lines().map(row).collect()
}

fn whole_lines(path: &Path) -> usize {
    read(path).iter().filter(|byte| **byte == b'\n').count()
}

/// Runs the command again and again and sends it a signal at a random moment, until that was done `kills` times and it has ended.
/// Returns how often it was really ended by it, and how often it was done.
fn end_at_random(directory: &Path, case: &Case<'_>, name: &str, kills: u64) -> (u64, u64) {
    let (out, partial) = (directory.join("rows.jsonl"), directory.join("rows.jsonl.partial"));
    let begun = Instant::now();
    conclave_line(directory, case.line).expect(case.line, 0, &[]);
    let time = begun.elapsed();
    let expected = rows(&out);
    std::fs::remove_file(&out).unwrap();
    let mut draws = Draws(kills ^ name.len() as u64);
    let (mut ended, mut done, mut kept) = (0, 1, 0);
    loop {
        let mut child = Command::new(env!("CARGO_BIN_EXE_conclave"))
            .args(case.line.split_whitespace())
            .current_dir(directory)
            .env_remove("OPENAI_API_KEY")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if ended < kills {
            // A run that is continued has less and less to do.
            let share = if case.continues { 3 } else { 1 };
            std::thread::sleep(draws.duration(time / share));
            if child.try_wait().unwrap().is_none() {
                signal(child.id(), name);
            }
        }
        let status = child.wait().unwrap();
        // By the signal itself where it came before the command listened.
        let is_ended = status.code().is_none() || status.code() == Some(130);
        assert!(is_ended || status.success(), "{}: {status}", case.line);
        if out.exists() {
            assert!(rows(&out) == expected, "{}: a file that is not whole has its name", case.line);
        }
        if case.continues && !out.exists() {
            let now = whole_lines(&partial);
            assert!(now >= kept, "{}: {kept} rows were there, and {now} are", case.line);
            kept = now;
        }
        if is_ended {
            ended += 1;
            continue;
        }
        assert!(rows(&out) == expected, "{}", case.line);
        std::fs::remove_file(&out).unwrap();
        (kept, done) = (0, done + 1);
        if ended >= kills {
            break;
        }
    }
    let left = names(directory);
    assert!(left.iter().all(|name| !name.contains("rows.jsonl")), "{}: {left:?}", case.line);
    (ended, done)
}

/// Ends each command so many times with each signal.
fn check(kills: &[(&str, u64)]) {
    let asked: String = (0..40)
        .map(|i| set(&format!("set-{i}"), "2", &["2", "3", &i.to_string(), &(i * i).to_string()]))
        .collect();
    let directory = directory(&[("sets.jsonl", sets(3_000).as_bytes()), ("asked.jsonl", asked.as_bytes())]);
    random_model(directory.path(), "m");
    for shard in 1..=2 {
        let line = format!("convert sets.jsonl --shard {shard}/2 --out part-{shard}.jsonl");
        conclave_line(directory.path(), &line).expect(&line, 0, &[]);
    }
    for (line, continues) in [
        ("aggregate asked.jsonl --model m --policy always --mode select --out rows.jsonl", true),
        ("vote sets.jsonl --out rows.jsonl", false),
        ("convert sets.jsonl --out rows.jsonl", false),
        ("merge part-1.jsonl part-2.jsonl --out rows.jsonl", false),
    ] {
        for (name, kills) in kills {
            let begun = Instant::now();
            let (ended, _) = end_at_random(directory.path(), &Case { line, continues }, name, *kills);
            println!("{line}: ended {ended} times by SIG{name} in {:.1} s", begun.elapsed().as_secs_f64());
        }
    }
}

/// The same of `sample`, whose candidates cost something: what has arrived is not asked for again.
fn check_sample(kills: &[(&str, u64)]) {
    const PROBLEMS: usize = 10;
    const CANDIDATES: usize = 6;
    let problem =
        |i: usize| json!({"id": format!("p-{i}"), "problem": format!("What is {i}?")}).to_string() + "\n";
    let problems: String = (0..PROBLEMS).map(problem).collect();
    for (name, kills) in kills {
        let directory = directory(&[("problems.jsonl", problems.as_bytes())]);
        let answered = Arc::new(AtomicU64::new(0));
        let theirs = Arc::clone(&answered);
        let server = Server::start(move |_, received, stream| {
            // An answer takes its time, so that most moments are within a set.
            std::thread::sleep(Duration::from_millis(10));
            stream_text(stream, &["So \\boxed{", &received.body["seed"].to_string(), "}."]);
            theirs.fetch_add(1, Ordering::SeqCst);
        });
        let url = server.base_url();
        let line = format!(
            "sample problems.jsonl --base-url {url} --model m --num-candidates {CANDIDATES} --concurrency 2 --seed 0 --no-key \
             --out rows.jsonl"
        );
        let (ended, done) =
            end_at_random(directory.path(), &Case { line: &line, continues: true }, name, *kills);
        // Lost are at most the two that were under way when a process ended, and one that was being written down.
        let most = done * (PROBLEMS * CANDIDATES) as u64 + ended * 3;
        let asked = answered.load(Ordering::SeqCst);
        assert!(asked <= most, "{asked} answers for {done} runs that were ended {ended} times");
        println!("sample: ended {ended} times by SIG{name}, {asked} answers");
    }
}

#[test]
fn commands_may_be_ended_at_any_moment() {
    check(&[("KILL", 3), ("TERM", 2), ("INT", 1)]);
}

#[test]
fn sampling_may_be_ended_at_any_moment() {
    check_sample(&[("KILL", 4), ("INT", 2)]);
}

/// `cargo test --test tests hundred -- --ignored`; `CONCLAVE_KILLS` is another number.
#[test]
#[ignore = "minutes: a hundred kills for each command and signal"]
fn a_hundred_kills_of_commands() {
    let number = std::env::var("CONCLAVE_KILLS").ok().and_then(|number| number.parse().ok()).unwrap_or(100);
    let kills = ["KILL", "TERM", "INT"].map(|name| (name, number));
    check(&kills);
    check_sample(&kills);
}

/// The same on a disk that is full: needs the right to mount one.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "mounts a file system: needs root"]
fn a_hundred_kills_leave_a_full_disk_usable() {
    let disk = directory(&[]);
    let mount = |arguments: &[&str]| {
        let done = Command::new("mount").args(arguments).arg(disk.path()).status().expect("mount");
        assert!(done.success(), "cannot mount a small file system: is this root?");
    };
    mount(&["-t", "tmpfs", "-o", "size=256k", "tmpfs"]);
    let asked: String = (0..200)
        .map(|i| set(&format!("set-{i}"), "2", &["2", "3", &i.to_string(), &(i * i).to_string()]))
        .collect();
    let elsewhere = directory(&[("sets.jsonl", asked.as_bytes())]);
    let out = disk.path().join("rows.jsonl");
    for command in ["aggregate sets.jsonl --policy vote", "vote sets.jsonl", "convert sets.jsonl"] {
        let whole = format!("{command} --out whole.jsonl");
        conclave_line(elsewhere.path(), &whole).expect(&whole, 0, &[]);
        // Room for a part of the rows only.
        std::fs::write(disk.path().join("ballast"), vec![0; 200 << 10]).unwrap();
        let line = format!("{command} --out {}", out.display());
        let run = conclave_line(elsewhere.path(), &line).expect(&line, 1, &["No space left on device"]);
        assert!(!out.exists(), "{run:?}");
        let partial = disk.path().join("rows.jsonl.partial");
        let text = read(&partial);
        assert!(text.is_empty() || text.ends_with(b"\n"), "{line}: a torn row");
        std::fs::remove_file(disk.path().join("ballast")).unwrap();
        conclave_line(elsewhere.path(), &line).expect(&line, 0, &[]);
        assert!(rows(&out) == rows(&elsewhere.path().join("whole.jsonl")), "{line}");
        std::fs::remove_file(&out).unwrap();
        assert_eq!(names(disk.path()), [""; 0], "{line}");
    }
    assert!(Command::new("umount").arg(disk.path()).status().unwrap().success());
}
