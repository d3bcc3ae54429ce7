//! The README's recorded terminal session is still what the commands print.
//!
//! Every fenced `console` block of the README is replayed: lines that start with `$ conclave` are run in one directory
//! that holds the repository's `examples/`, and their output (standard output, then standard error) must be the lines
//! that follow. `[..]` in a line stands for any text (times, rates), as little of it as possible.
//!
//! After a wanted change, `CONCLAVE_RECORD=1 cargo test --test tests transcript` records the session anew.

use std::path::Path;

use crate::binary::conclave;

/// A command of the transcript and what it printed.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    /// Line of the README, from 1.
    line: usize,
    command: String,
    output: Vec<String>,
}

#[test]
fn the_transcript_in_the_readme_is_what_the_commands_print() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(repository.join("README.md")).expect("README.md");
    let steps = steps(&readme);
    for command in ["vote", "grade", "eval", "model init", "aggregate"] {
        let start = format!("conclave {command} ");
        assert!(steps.iter().any(|step| step.command.starts_with(&start)), "README.md shows no `{start}`");
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("examples")).unwrap();
    for entry in std::fs::read_dir(repository.join("examples")).expect("examples/") {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), directory.path().join("examples").join(entry.file_name())).unwrap();
        }
    }
    let (mut changed, mut recorded) = (Vec::new(), Vec::new());
    for step in &steps {
        let arguments: Vec<&str> = step.command.split_whitespace().skip(1).collect();
        let run = conclave(directory.path(), &arguments, b"");
        let printed: Vec<String> = run.stdout.lines().chain(run.stderr.lines()).map(str::to_owned).collect();
        let same = printed.len() == step.output.len()
            && printed.iter().zip(&step.output).all(|(line, pattern)| matches(pattern, line));
        if !same {
            changed.push(format!("README.md:{}: $ {}\n{}", step.line, step.command, printed.join("\n")));
        }
        recorded.push(merge(&step.output, printed));
    }
    if std::env::var_os("CONCLAVE_RECORD").is_some() {
        std::fs::write(repository.join("README.md"), record(&readme, &recorded)).expect("README.md");
        return;
    }
    assert!(changed.is_empty(), "these commands now print:\n{}", changed.join("\n\n"));
}

/// What is recorded of a step: the lines printed, save those that an earlier pattern still covers.
fn merge(patterns: &[String], printed: Vec<String>) -> Vec<String> {
    let pattern_for =
        |line: &String| patterns.iter().find(|pattern| pattern.contains("[..]") && matches(pattern, line));
    printed.into_iter().map(|line| pattern_for(&line).cloned().unwrap_or(line)).collect()
}

/// The Markdown text with the outputs of its steps replaced.
fn record(markdown: &str, outputs: &[Vec<String>]) -> String {
    let mut outputs = outputs.iter();
    let mut lines: Vec<String> = Vec::new();
    let mut inside = false;
    let mut first = true;
    for line in markdown.lines() {
        match (inside, line) {
            (false, "```console") => (inside, first) = (true, true),
            (true, "```") => inside = false,
            (true, _) if line.starts_with("$ ") => {
                if !first {
                    lines.push(String::new());
                }
                first = false;
                lines.push(line.to_owned());
                lines.extend(outputs.next().into_iter().flatten().cloned());
                continue;
            }
            (true, _) => continue,
            _ => {}
        }
        lines.push(line.to_owned());
    }
    lines.join("\n") + "\n"
}

/// The commands in the `console` blocks of a Markdown text. A command ends at the next one or with its block; an empty
/// line before the next command is not part of the output.
fn steps(markdown: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (index, line) in markdown.lines().enumerate() {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, _) => match (line.strip_prefix("$ conclave"), steps.last_mut()) {
                (Some(arguments), _) => steps.push(Step {
                    line: index + 1,
                    command: format!("conclave{arguments}"),
                    output: Vec::new(),
                }),
                (None, Some(step)) if !line.starts_with("$ ") => step.output.push(line.to_owned()),
                _ => panic!("README.md:{}: expected a line `$ conclave ...`, found `{line}`", index + 1),
            },
            _ => {}
        }
    }
    for step in &mut steps {
        while step.output.last().is_some_and(String::is_empty) {
            step.output.pop();
        }
    }
    steps
}

/// Whether a line is of the pattern's form, where `[..]` stands for any text.
fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("[..]");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut open = false;
    let mut last = "";
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        open = true;
        last = part;
    }
    // The text must end with the last part; the first place that part was found at need not be the end.
    rest.is_empty() || (open && (last.is_empty() || rest.ends_with(last)))
}

#[test]
fn patterns_match_whole_lines() {
    for (pattern, line, expected) in [
        ("12 sets", "12 sets", true),
        ("12 sets", "12 sets!", false),
        ("took [..] s", "took 0.5 s", true),
        ("took [..] s", "took 0.5 seconds", false),
        ("took [..] s", "took 5 s and 6 s", true),
        ("[..] tokens/s [..]", "9 tokens/s ", true),
        ("[..] tokens/s", "tokens", false),
    ] {
        assert_eq!(matches(pattern, line), expected, "`{pattern}` and `{line}`");
    }
}

#[test]
fn recording_replaces_outputs_and_keeps_patterns() {
    let markdown = "text\n```console\n$ conclave a\nold\ntook [..] s\n$ conclave b\n```\nmore\n";
    let outputs = [
        merge(&steps(markdown)[0].output, vec!["new".to_owned(), "took 3 s".to_owned()]),
        vec!["b".to_owned()],
    ];
    let expected = "text\n```console\n$ conclave a\nnew\ntook [..] s\n\n$ conclave b\nb\n```\nmore\n";
    assert_eq!(record(markdown, &outputs), expected);
}

#[test]
fn steps_are_found_in_console_blocks_only() {
    let markdown = "$ conclave no\n```console\n$ conclave vote a\nrow\n\n$ conclave eval b\n```\n```sh\n$ conclave no\n```\n";
    let step = |line, command: &str, output: &[&str]| Step {
        line,
        command: command.to_owned(),
        output: output.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(steps(markdown), [step(3, "conclave vote a", &["row"]), step(6, "conclave eval b", &[])]);
}
