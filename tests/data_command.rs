//! `conclave data` as its users meet it. What the sets are made of, and that their figures are right, is tested in core.

use std::path::Path;

use serde_json::Value;

use crate::binary::{Run, conclave_line};

const EXAMPLE: &str = "data arithmetic --seed 1 --problems 20 --num-candidates 8";

fn run(directory: &Path, arguments: &str) -> Run {
    conclave_line(directory, arguments)
}

/// examples/README.md gives the command.
#[test]
fn the_example_is_what_the_command_writes() {
    let directory = tempfile::tempdir().unwrap();
    let printed = run(directory.path(), EXAMPLE);
    assert_eq!((printed.code, printed.stderr.as_str()), (0, "20 problems, 160 candidates\n"));
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/arithmetic.jsonl");
    assert!(printed.stdout == std::fs::read_to_string(example).unwrap(), "examples/arithmetic.jsonl differs");

    // To standard output or to a file: the same bytes.
    assert_eq!(run(directory.path(), &format!("{EXAMPLE} --out -")).stdout, printed.stdout);
    let written = run(directory.path(), &format!("{EXAMPLE} --out sets.jsonl"));
    assert_eq!((written.code, written.stdout.as_str()), (0, ""));
    assert_eq!(std::fs::read_to_string(directory.path().join("sets.jsonl")).unwrap(), printed.stdout);
    assert!(!directory.path().join("sets.jsonl.unfinished").exists());

    // And the other commands read them.
    let voted = run(directory.path(), "vote sets.jsonl --json");
    assert!(voted.code == 0 && voted.stderr.contains("20 sets, 160 candidates; correct "), "{voted:?}");
    assert!(!voted.stderr.contains("without an answer"), "{voted:?}");
}

#[test]
fn more_problems_begin_with_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let [few, many, other] = ["5 --seed 3", "9 --seed 3", "5 --seed 4"]
        .map(|rest| run(directory.path(), &format!("data arithmetic --problems {rest}")).stdout);
    assert!(many.starts_with(&few) && many.lines().count() == 9);
    assert_ne!(few, other);
    let row: Value = serde_json::from_str(few.lines().next().unwrap()).unwrap();
    assert_eq!(row["id"], "arithmetic-3-0");
    assert_eq!(row["candidates"].as_array().map(Vec::len), Some(8));
    assert!(
        row["derivation"]
            .as_str()
            .unwrap()
            .ends_with(&format!(";#{}", row["reference_answer"].as_str().unwrap()))
    );
}

#[test]
fn solvers_are_the_candidates_models() {
    let directory = tempfile::tempdir().unwrap();
    let models = |solvers: &str| -> Vec<String> {
        let command = format!("data arithmetic --problems 20 --solvers {solvers}");
        let mut models: Vec<String> = run(directory.path(), &command)
            .stdout
            .lines()
            .flat_map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["candidates"].as_array().unwrap().clone()
            })
            .map(|candidate| candidate["model"].as_str().unwrap().to_owned())
            .collect();
        models.sort();
        models.dedup();
        models
    };
    assert_eq!(models("standard"), ["standard"]);
    assert_eq!(models("mixed"), ["careful", "hasty", "standard"]);
}

#[test]
fn wrong_arguments_and_places() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, code, part) in [
        ("data", 2, "Usage: conclave data <COMMAND>"),
        ("data geometry", 2, "unrecognized subcommand 'geometry'"),
        ("data arithmetic", 2, "--problems <N>"),
        ("data arithmetic --problems 0", 2, "'--problems <N>'"),
        ("data arithmetic --problems x", 2, "'--problems <N>'"),
        ("data arithmetic --problems 1 --seed -1", 2, "unexpected argument '-1'"),
        ("data arithmetic --problems 1 --num-candidates 100001", 2, "'--num-candidates <K>'"),
        ("data arithmetic --problems 1 --solvers perfect", 2, "[possible values: standard, mixed]"),
        ("data arithmetic --problems 1 --out nowhere/x", 1, "cannot create `nowhere/x.unfinished`"),
        ("data arithmetic --problems 1 --num-candidates 0", 0, "1 problem, 0 candidates"),
    ] {
        let run = run(directory.path(), arguments);
        assert_eq!(run.code, code, "conclave {arguments}: {run:?}");
        assert!(run.stderr.contains(part), "conclave {arguments}: no `{part}` in {run:?}");
    }
    let help = run(directory.path(), "data arithmetic --help");
    assert!(help.code == 0 && help.stdout.contains("Exit codes: 0 done"), "{help:?}");
}
