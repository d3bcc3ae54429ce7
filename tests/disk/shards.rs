//! Shards: the same rows however many there are, files that are left alone when they are complete, and merging, which notices what is
//! missing or stands twice. An engine is played that starts shards, loses its workers and starts them again.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{pairs, read, sets};
use crate::binary::{conclave_line, directory, gzip, names, set};

/// Rows of a file without what differs from run to run.
fn rows(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let mut row: Value = serde_json::from_str(line).expect(line);
        row.as_object_mut().unwrap().remove("elapsed_ms");
        row
    };
    text.lines().map(row).collect()
}

#[test]
fn shards_together_are_the_whole() {
    // Blank lines, and other line ends, are nobody's.
    let text: Vec<String> = sets(23).lines().map(str::to_owned).collect();
    let text = format!("{}\r\n\n{}\n  \n{}", text[0], text[1..20].join("\n"), text[20..].join("\r\n"));
    let array = format!("[{}]", sets(11).lines().collect::<Vec<_>>().join(","));
    let directory = directory(&[
        ("sets.jsonl", text.as_bytes()),
        ("sets.jsonl.gz", &gzip(text.as_bytes())),
        ("array.json", array.as_bytes()),
        ("pairs.jsonl", pairs(23).as_bytes()),
    ]);
    let path = |name: &str| directory.path().join(name);
    for command in [
        "vote sets.jsonl",
        "vote sets.jsonl.gz",
        "vote sets.jsonl sets.jsonl.gz --answers math",
        "vote array.json",
        "convert sets.jsonl.gz",
        "convert array.json",
        "grade pairs.jsonl",
        "aggregate sets.jsonl --policy vote",
        "aggregate sets.jsonl.gz --policy vote --permutations 3",
    ] {
        let whole = format!("{command} --out whole.jsonl");
        conclave_line(directory.path(), &whole).expect(&whole, 0, &[]);
        for of in [1, 2, 7, 40] {
            let mut files = String::new();
            for shard in (1..=of).rev() {
                let line = format!("{command} --shard {shard}/{of} --out part-{shard}.jsonl");
                conclave_line(directory.path(), &line).expect(&line, 0, &[]);
                files += &format!(" part-{shard}.jsonl");
            }
            let merge = format!("merge{files} --out merged.jsonl");
            // Two files that hold the same sets have each id twice, which is what merging is there to notice.
            if command.contains("sets.jsonl sets.jsonl.gz") {
                conclave_line(directory.path(), &merge).expect(
                    &merge,
                    1,
                    &[" stands 2 times: ", "nothing is written"],
                );
                assert!(!path("merged.jsonl").exists());
            } else {
                conclave_line(directory.path(), &merge).expect(&merge, 0, &["in the order of the input"]);
                assert_eq!(rows(&path("merged.jsonl")), rows(&path("whole.jsonl")), "{command} in {of}");
                std::fs::remove_file(path("merged.jsonl")).unwrap();
            }
            for shard in 1..=of {
                std::fs::remove_file(path(&format!("part-{shard}.jsonl"))).unwrap();
                std::fs::remove_file(path(&format!("part-{shard}.jsonl.shard.json"))).unwrap();
            }
        }
        std::fs::remove_file(path("whole.jsonl")).unwrap();
        assert_eq!(names(directory.path()).len(), 4, "{command} left something");
    }
}

#[test]
fn joined_sets_are_divided_too() {
    let row = |id: usize, answer: usize| {
        format!(
            "{{\"question\": \"What is {id}?\", \"ground_truth\": \"{id}\", \"response\": \"\\\\boxed{{{answer}}}\"}}\n"
        )
    };
    let text: String = (0..3).flat_map(|pass| (0..5).map(move |id| row(id, id + pass / 2))).collect();
    let directory = directory(&[("rows.jsonl", text.as_bytes())]);
    let whole = conclave_line(directory.path(), "convert rows.jsonl").expect("convert", 0, &[]).rows();
    assert_eq!(whole.len(), 5);
    let mut parts: Vec<Value> = Vec::new();
    for shard in 1..=2 {
        let line = format!("convert rows.jsonl --shard {shard}/2");
        parts.extend(conclave_line(directory.path(), &line).expect(&line, 0, &[]).rows());
    }
    parts.sort_by_key(|set| set["id"].to_string());
    let mut sorted = whole;
    sorted.sort_by_key(|set| set["id"].to_string());
    assert_eq!(parts, sorted);
}

#[test]
fn a_complete_file_is_left_alone() {
    let directory = directory(&[("sets.jsonl", sets(5).as_bytes())]);
    let path = directory.path().join("a.jsonl");
    let line = "vote sets.jsonl --shard 1/2 --out a.jsonl";
    conclave_line(directory.path(), line).expect(line, 0, &["3 sets"]);
    let (before, modified) = (read(&path), path.metadata().unwrap().modified().unwrap());
    let skipped = format!("{line} --progress json");
    let said = ["`a.jsonl` is complete: shard 1/2, 3 rows; nothing is to be done", "\"outcome\":\"skipped\""];
    // The name may be another way to the same place.
    let run = conclave_line(directory.path(), &skipped);
    run.expect(&skipped, 0, &[&said[0].replace("`a.jsonl`", "a.jsonl`"), said[1]]);
    for (other, difference) in [
        ("vote sets.jsonl --shard 2/2 --out a.jsonl", "(shard: 1/2, now 2/2)"),
        ("vote sets.jsonl --shard 1/3 --out a.jsonl", "(shard: 1/2, now 1/3)"),
        ("vote sets.jsonl --shard 1/2 --answers text --out a.jsonl", "(kinds: "),
        ("vote sets.jsonl sets.jsonl --shard 1/2 --out a.jsonl", "(bytes of the inputs: "),
        ("convert sets.jsonl --shard 1/2 --out a.jsonl", "(command: vote, now convert)"),
        ("aggregate sets.jsonl --policy vote --shard 1/2 --out a.jsonl", "(command: vote, now aggregate)"),
    ] {
        let said = ["is complete, but of something else", difference, "choose another --out, or remove it"];
        conclave_line(directory.path(), other).expect(other, 1, &said);
    }
    assert_eq!((read(&path), path.metadata().unwrap().modified().unwrap()), (before, modified));
    // What is there without a record is not known to be anything.
    std::fs::write(directory.path().join("mine.jsonl"), "mine\n").unwrap();
    let line = "vote sets.jsonl --shard 1/2 --out mine.jsonl";
    conclave_line(directory.path(), line).expect(line, 1, &["nothing beside it says that it is this shard"]);
    // A file that was changed since is not taken for whole.
    std::fs::write(&path, "{}\n").unwrap();
    let line = "vote sets.jsonl --shard 1/2 --out a.jsonl";
    conclave_line(directory.path(), line).expect(line, 1, &["has 3 bytes, but "]);
    // A shard whose lines could not all be read says so again.
    std::fs::write(directory.path().join("bad.jsonl"), format!("{}[\n", sets(2))).unwrap();
    for shard in [("1/2", 1), ("1/2", 1), ("2/2", 0), ("2/2", 0)] {
        let line = format!("vote bad.jsonl --shard {} --out bad-{}.jsonl", shard.0, &shard.0[..1]);
        conclave_line(directory.path(), &line).expect(&line, shard.1, &[]);
    }
    let line = "merge bad-1.jsonl bad-2.jsonl --out all.jsonl";
    conclave_line(directory.path(), line).expect(
        line,
        1,
        &["2 rows of 2 files", "1 line of the input could not be read"],
    );
}

#[test]
fn shards_that_are_none_are_wrong_arguments() {
    let directory = directory(&[("sets.jsonl", sets(3).as_bytes())]);
    for (shard, part) in [
        ("0/4", "shards of 4 have the numbers 1 to 4"),
        ("5/4", "shards of 4 have the numbers 1 to 4"),
        ("1/0", "no shard of 0"),
        ("a", "expected I/N"),
    ] {
        for command in ["vote sets.jsonl", "grade sets.jsonl", "convert sets.jsonl", "aggregate sets.jsonl"] {
            let line = format!("{command} --shard {shard}");
            conclave_line(directory.path(), &line).expect(&line, 2, &[part]);
        }
    }
    // More shards than lines: the rest is empty, and whole.
    let line = "vote sets.jsonl --shard 9/9 --json";
    assert!(conclave_line(directory.path(), line).expect(line, 0, &["0 sets"]).stdout.is_empty());
}

#[test]
fn what_is_missing_or_stands_twice_is_not_merged() {
    let directory = directory(&[("sets.jsonl", sets(7).as_bytes()), ("half.jsonl", sets(3).as_bytes())]);
    let vote = |shard: &str, out: &str| {
        let line = format!("vote sets.jsonl --shard {shard} --out {out}");
        conclave_line(directory.path(), &line).expect(&line, 0, &[]);
    };
    for shard in 1..=3 {
        vote(&format!("{shard}/3"), &format!("{shard}.jsonl"));
    }
    vote("1/3", "again.jsonl");
    vote("1/4", "other.jsonl");
    let plain = "vote sets.jsonl --out plain.jsonl";
    conclave_line(directory.path(), plain).expect(plain, 0, &[]);
    conclave_line(directory.path(), "vote half.jsonl --out half-votes.jsonl").expect("vote", 0, &[]);
    std::fs::copy(directory.path().join("2.jsonl"), directory.path().join("lost.jsonl")).unwrap();
    let text = String::from_utf8(read(&directory.path().join("plain.jsonl"))).unwrap();
    std::fs::write(directory.path().join("torn.jsonl"), &text[..text.len() - 9]).unwrap();
    std::fs::write(directory.path().join("nameless.jsonl"), "{\"answer\": \"1\"}\n").unwrap();
    std::fs::write(directory.path().join("notes.jsonl"), "my notes\n").unwrap();
    let before = names(directory.path());
    for (line, code, parts) in [
        ("merge 1.jsonl 3.jsonl", 1, &["1 shard missing: 2/3"][..]),
        (
            "merge 1.jsonl 2.jsonl 3.jsonl again.jsonl",
            1,
            &["shard 1/3 stands twice: `1.jsonl` and `again.jsonl`"],
        ),
        ("merge 1.jsonl 2.jsonl other.jsonl", 1, &["are not of one run (shards: "]),
        (
            "merge 1.jsonl lost.jsonl 3.jsonl",
            2,
            &["cannot be told: `lost.jsonl` has no `lost.jsonl.shard.json`", "--of"],
        ),
        ("merge plain.jsonl", 2, &["--of"]),
        (
            "merge plain.jsonl plain.jsonl --of sets.jsonl",
            1,
            &["`set-0` stands 2 times: plain.jsonl:1, plain.jsonl:1", "7 rows stand more than once"],
        ),
        (
            "merge half-votes.jsonl --of sets.jsonl",
            1,
            &["4 sets without a row: `set-3`, `set-4`, `set-5`, `set-6`"],
        ),
        ("merge plain.jsonl --of half.jsonl", 1, &["4 rows are of sets that are not in those of --of"]),
        ("merge torn.jsonl --of sets.jsonl", 1, &["torn.jsonl:7: ", "cut off"]),
        ("merge nameless.jsonl --of sets.jsonl", 1, &["nameless.jsonl:1: no `id`"]),
        ("merge notes.jsonl --of sets.jsonl", 1, &["notes.jsonl:1: ", "expected a row of an output"]),
        ("merge 4.jsonl", 1, &["cannot read `4.jsonl`"]),
        ("merge - --of sets.jsonl", 2, &["by their names"]),
    ] {
        let line = format!("{line} --out merged.jsonl");
        conclave_line(directory.path(), &line).expect(&line, code, parts);
        assert_eq!(names(directory.path()), before, "{line} left something");
    }
    // A row more than the record has, of the same length in all.
    let path = directory.path().join("3.jsonl");
    let whole = read(&path);
    let blank = [&vec![b' '; whole.len() - 1][..], b"\n"].concat();
    std::fs::write(&path, blank).unwrap();
    let line = "merge 1.jsonl 2.jsonl 3.jsonl --out merged.jsonl";
    conclave_line(directory.path(), line).expect(
        line,
        1,
        &["`3.jsonl` has 0 rows, and 2 when it was written"],
    );
    std::fs::write(&path, whole).unwrap();
    conclave_line(directory.path(), line).expect(line, 0, &["7 rows of 3 files, in the order of the input"]);
    let line = "merge half-votes.jsonl --of half.jsonl --out half-merged.jsonl";
    conclave_line(directory.path(), line).expect(line, 0, &["3 rows of 1 file, one file after another"]);
    // Rows of one set, told apart by their permutation.
    let line = "aggregate half.jsonl --policy vote --permutations 2 --out orders.jsonl";
    conclave_line(directory.path(), line).expect(line, 0, &[]);
    let line = "merge orders.jsonl --of half.jsonl --out orders-merged.jsonl";
    conclave_line(directory.path(), line).expect(line, 0, &["6 rows of 1 file"]);
}

#[test]
fn progress_is_told_to_programs() {
    let directory = directory(&[("sets.jsonl", sets(5).as_bytes())]);
    for command in ["vote", "convert", "aggregate --policy vote"] {
        let line = format!("{command} sets.jsonl --shard 1/2 --progress json --out {}.jsonl", &command[..4]);
        let run = conclave_line(directory.path(), &line).expect(&line, 0, &[]);
        let told = run.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let told: Vec<Value> = told.map(|mut line| line["progress"].take()).collect();
        let last = told.last().expect("progress");
        assert_eq!(
            (&last["command"], &last["shard"]),
            (&Value::from(&command[..command.find(' ').unwrap_or(command.len())]), &"1/2".into())
        );
        assert_eq!((&last["done"], &last["outcome"]), (&3.into(), &"done".into()), "{run:?}");
        assert!(told[0]["outcome"].is_null() && told[0]["seconds"].is_number());
    }
    let line = "vote nowhere.jsonl --progress json";
    conclave_line(directory.path(), line).expect(line, 1, &["cannot read `nowhere.jsonl`"]);
    let line = "merge vote.jsonl --out all.jsonl --progress json";
    conclave_line(directory.path(), line).expect(line, 1, &["\"outcome\":\"failed\""]);
}

/// One shard as an engine's worker runs it: a process of its own that starts the command. Of some the worker is killed.
fn run_shard(directory: &Path, shard: usize, of: usize, kill_after: Option<std::time::Duration>) -> bool {
    let script = format!("\"$0\" vote sets.jsonl --shard {shard}/{of} --out part-{shard}.jsonl; exit $?");
    let mut worker = Command::new("bash")
        .args(["-c", &script, env!("CARGO_BIN_EXE_conclave")])
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    if let Some(after) = kill_after {
        std::thread::sleep(after);
        drop(worker.kill());
    }
    worker.wait().unwrap().success()
}

#[test]
fn an_engine_may_lose_its_workers() {
    const SHARDS: usize = 8;
    let directory = directory(&[("sets.jsonl", sets(4_000).as_bytes())]);
    let begun = std::time::Instant::now();
    assert!(run_shard(directory.path(), 1, SHARDS, None));
    let time = begun.elapsed();
    let mut kills = 0;
    for shard in 2..=SHARDS {
        // At another point of its life each time, and again at once.
        let mut attempts = 0;
        loop {
            let kill = (attempts < 2).then(|| time * (shard as u32 * 2 + attempts) / 18);
            attempts += 1;
            if run_shard(directory.path(), shard, SHARDS, kill) {
                break;
            }
            kills += 1;
            assert!(attempts < 20, "shard {shard} does not end");
        }
    }
    assert!(kills > 0, "no worker was killed before it was done");
    let files: Vec<String> = (1..=SHARDS).map(|shard| format!("part-{shard}.jsonl")).collect();
    let line = format!("merge {} --of sets.jsonl --out merged.jsonl", files.join(" "));
    conclave_line(directory.path(), &line).expect(
        &line,
        0,
        &["4000 rows of 8 files, in the order of the input"],
    );
    let ids = rows(&directory.path().join("merged.jsonl")).into_iter().map(|row| row["id"].clone());
    assert!(ids.eq((0..4_000).map(|i| Value::from(format!("set-{i}")))));
    // The child of a killed worker may have saved what it had done; nothing of it is taken for a shard.
    let left = names(directory.path());
    assert!(left.iter().all(|name| !name.contains("partial")), "{left:?}");
}

#[test]
fn pools_are_written_as_they_come_and_continued() {
    let text: String = (0..70).map(|i| set(&format!("set-{i}"), "7", &["2", "7", &i.to_string()])).collect();
    let directory = directory(&[("sets.jsonl", text.as_bytes())]);
    crate::checkpoint::model_that_writes_7(&directory.path().join("seven"));
    let path = |name: &str| directory.path().join(name);
    let line = |name: &str| {
        format!(
            "aggregate sets.jsonl --model seven --rounds 1 --pool-size 2 --pools {name}-pools.jsonl --out {name}.jsonl"
        )
    };
    let figures =
        conclave_line(directory.path(), &line("whole")).expect("whole", 0, &["round 1: accuracy"]).stderr;
    let mut child = crate::binary::start(directory.path(), &line("cut"));
    // The pools of the first sets are on the disk before their rows are, and long before the last set is begun.
    let partial = path("cut-pools.jsonl.partial");
    let lines = |path: &Path| read(path).iter().filter(|byte| **byte == b'\n').count();
    crate::binary::wait_until("pools", || lines(&partial) >= 70);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!path("cut.jsonl").exists() && lines(&partial) < 140);
    let again = conclave_line(directory.path(), &line("cut")).expect("cut", 0, &[]).stderr;
    for name in [".jsonl", "-pools.jsonl"] {
        let rows_of = |begin: &str| rows(&path(&format!("{begin}{name}")));
        assert_eq!(rows_of("cut"), rows_of("whole"), "{name}");
    }
    let of_rounds = |text: &str| {
        text.lines().filter(|line| line.starts_with("round ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(of_rounds(&again), of_rounds(&figures), "figures count the pools of the earlier run");
    assert!(names(directory.path()).iter().all(|name| !name.contains("partial")));
}
