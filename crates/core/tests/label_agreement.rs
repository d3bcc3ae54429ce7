//! How far our own reader and equivalence agree with the labels of real candidate sets, file by file, and whether
//! the labels reproduce the figures that the data's description gives.
//!
//! The slices in tests/data/sets are always tested; the whole files in ../shared/data/sets where they are there.
//! `CONCLAVE_DISAGREEMENTS=FILE` writes every disagreement to FILE as JSON lines.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use conclave_core::reader::read_candidates;
use conclave_core::report::{EvalOptions, Evaluation, Report, SetsReport};
use conclave_core::{SampleSet, read_sample_sets};
use serde_json::{Value, json};

/// A file of the data's table: labelled problems, labelled candidates each, label, mean@1, any correct; and the
/// agreement in percent below which our reading of the candidates would be wrong.
struct Row {
    file: &'static str,
    problems: usize,
    candidates: usize,
    label: &'static str,
    mean_at_1: f64,
    any: f64,
    agreement: f64,
}

const fn row(
    file: &'static str,
    (problems, candidates): (usize, usize),
    label: &'static str,
    (mean_at_1, any): (f64, f64),
    agreement: f64,
) -> Row {
    Row { file, problems, candidates, label, mean_at_1, any, agreement }
}

const ROWS: [Row; 10] = [
    row("gsm8k-json-pooled-20.jsonl", (20, 12), "peer_correct", (0.7542, 1.0), 99.0),
    row("gsm8k-text-pooled-20.jsonl", (20, 12), "source_correct", (0.55, 0.95), 99.0),
    row("math-l5-json-pooled-20.jsonl", (20, 14), "peer_correct", (0.2321, 0.7), 97.5),
    row("math100-qwen-math-8.jsonl", (100, 8), "source_correct", (0.91, 0.96), 97.5),
    row("math500-llama3b-16.jsonl", (52, 16), "peer_correct", (0.4147, 0.7692), 97.5),
    row("math500-qwen1.5b-16.jsonl", (20, 16), "peer_correct", (0.4906, 0.8), 97.5),
    row("mmlu-pro-math-pooled-20.jsonl", (20, 12), "source_correct", (0.4542, 0.95), 97.5),
    row("train-gsm8k-json-pooled.jsonl.gz", (1128, 12), "peer_correct", (0.7628, 0.9805), 99.0),
    row("train-gsm8k-text-pooled.jsonl.gz", (1128, 12), "source_correct", (0.5837, 0.9539), 99.0),
    row("train-math-l5-json-pooled.jsonl.gz", (647, 14), "peer_correct", (0.2774, 0.8362), 97.5),
];

fn read(path: &Path) -> Vec<SampleSet> {
    let file = File::open(path).unwrap();
    let reader: Box<dyn BufRead> = if path.extension().is_some_and(|extension| extension == "gz") {
        Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    read_sample_sets(reader).collect::<Result<_, _>>().unwrap()
}

/// Agreement with `label` over the labelled candidates: how many agree, of how many. Disagreements go to `out`.
fn agreement(file: &str, sets: &[SampleSet], label: &str, out: &mut Option<File>) -> (usize, usize) {
    let (mut agree, mut all) = (0, 0);
    for set in sets {
        let Some(text) = &set.reference_answer else { continue };
        let reference = text.parsed();
        for (index, (reading, candidate)) in read_candidates(set).iter().zip(&set.candidates).enumerate() {
            let Some(expected) = candidate.extra.get(label).and_then(Value::as_bool) else { continue };
            let ours = reading.to_answer().is_some_and(|answer| reference.accepts(&answer));
            all += 1;
            agree += usize::from(ours == expected);
            if ours != expected
                && let Some(out) = out
            {
                let line = json!({
                    "file": file, "id": set.id, "candidate": index, "model": candidate.model, "reference": text,
                    "ours": reading, "we_say": ours, "label": expected,
                    "their_answer": candidate.extra.get("peer_answer").or(candidate.extra.get("source_answer")),
                    "end": &candidate.text[candidate.text.ceil_char_boundary(candidate.text.len().saturating_sub(400))..],
                });
                writeln!(out, "{line}").unwrap();
            }
        }
    }
    (agree, all)
}

fn report(sets: &[SampleSet], label: Option<&str>) -> SetsReport {
    let mut evaluation =
        Evaluation::new(EvalOptions { num_candidates: None, labels: label.map(str::to_string) });
    sets.iter().for_each(|set| evaluation.add_set(set).unwrap());
    match evaluation.report("") {
        Report::Sets(report) => report,
        Report::Results(_) => unreachable!("sets give a report on sets"),
    }
}

/// Slices are small enough to say exactly: the lines of tests/data/sets, and how many candidates of each differ.
#[test]
fn slices_agree_with_their_labels() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/sets");
    let mut found = Vec::new();
    for row in ROWS.iter().filter(|row| row.file.ends_with(".jsonl")) {
        let sets = read(&folder.join(row.file));
        let (agree, all) = agreement(row.file, &sets, row.label, &mut None);
        found.push((row.file, sets.len(), all, all - agree));
    }
    let expected = [
        ("gsm8k-json-pooled-20.jsonl", 4, 48, 0),
        ("gsm8k-text-pooled-20.jsonl", 3, 36, 0),
        ("math-l5-json-pooled-20.jsonl", 2, 28, 0),
        ("math100-qwen-math-8.jsonl", 4, 32, 0),
        ("math500-llama3b-16.jsonl", 2, 32, 0),
        ("math500-qwen1.5b-16.jsonl", 2, 32, 0),
        ("mmlu-pro-math-pooled-20.jsonl", 5, 60, 0),
    ];
    assert_eq!(found, expected);
}

fn value(figure: Option<conclave_core::Figure>) -> f64 {
    figure.map_or(f64::NAN, |figure| figure.value)
}

#[test]
fn whole_files_agree_with_their_labels() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/sets");
    if !folder.is_dir() {
        println!("../shared/data/sets is not there: only the slices in tests/data are tested");
        return;
    }
    let mut out =
        std::env::var_os("CONCLAVE_DISAGREEMENTS").map(|path| File::create(PathBuf::from(path)).unwrap());
    let mut failures = Vec::new();
    println!("{:36} {:>9} {:>16} {:>16} {:>16}", "file", "agreement", "mean@1", "majority", "any");
    for row in &ROWS {
        let sets = read(&folder.join(row.file));
        let (agree, all) = agreement(row.file, &sets, row.label, &mut out);
        let percent = 100.0 * agree as f64 / all as f64;
        let (theirs, ours) = (report(&sets, Some(row.label)), report(&sets, None));
        let pair = |part: fn(&SetsReport) -> Option<conclave_core::Figure>| {
            format!("{:.4} ({:.4})", value(part(&theirs)), value(part(&ours)))
        };
        println!(
            "{:36} {percent:8.2}% {:>16} {:>16} {:>16}   {} of {all} differ",
            row.file,
            pair(|report| report.mean_at_1),
            pair(|report| report.majority_expected),
            pair(|report| report.pass_at_k),
            all - agree,
        );
        if percent < row.agreement {
            failures.push(format!("{}: {percent:.2} % agreement, expected {} %", row.file, row.agreement));
        }
        let figures = [(theirs.mean_at_1, row.mean_at_1), (theirs.pass_at_k, row.any)];
        let exact = figures
            .iter()
            .all(|(found, expected)| format!("{:.4}", value(*found)) == format!("{expected:.4}"));
        if !exact || theirs.problems != row.problems || theirs.num_candidates != row.candidates {
            failures.push(format!("{}: the labels give {theirs:?}", row.file));
        }
    }
    println!("labels' figures first, ours in brackets");
    assert!(failures.is_empty(), "{failures:#?}");
}
