//! `conclave train ranker`: weights that tell which answer is right and how sure that is, from labelled sets. A minute or two for
//! a thousand sets, no language model.

use std::collections::BTreeMap;

use anyhow::Result;
use conclave_core::calibration::{Row, expected_calibration_error};
use conclave_core::kinds::ballot;
use conclave_core::metrics::{Figure, Ratio, paired_bootstrap};
use conclave_core::rank::Ranker;
use conclave_core::rank::fit::{
    DRAWS, Decided, Example, FEWEST, FitError, SIZES, Seen, draw, fit, kind_ranker,
};

use super::arguments::RankerArguments;
use crate::input::{Source, Tally};
use crate::kinds::Schemas;
use crate::messages::{count, say, visible};
use crate::output::Output;
use crate::sets::read_named_sets;
use crate::table::{Align, Table};
use crate::vote::Refusals;
use crate::{Outcome, UsageError};

/// The resamples of the intervals.
const SEED: u64 = 1;

/// Labelled sets of one kind, by file.
type Files = BTreeMap<String, Vec<Example>>;

/// Runs the command.
pub fn run(arguments: &RankerArguments) -> Result<Outcome> {
    let sources = Source::resolve(&arguments.sets)?;
    let inputs = arguments.reading.inputs(&arguments.sets).and(arguments.answers.schema());
    let mut output = Output::open(Some(&arguments.out), &inputs)?;
    let mut tally = Tally::default();
    let schemas = Schemas::default();
    let options = arguments.answers.options(&schemas)?;
    let reading = arguments.reading.options(&mut tally)?;
    let mut kinds: BTreeMap<&'static str, Files> = BTreeMap::new();
    let mut refusals = Refusals::default();
    let (mut unlabelled, mut records) = (0, 0);
    read_named_sets(&sources, &reading, &mut tally, |name, set| {
        let Some(reference) = &set.reference_answer else {
            unlabelled += 1;
            return Ok(());
        };
        match ballot(&set, &options) {
            Err(reason) => refusals.add(&reason, &set.id, name)?,
            Ok(ballot) if ballot.record.is_some() => records += 1,
            Ok(ballot) => {
                let accepts = |cluster: &conclave_core::Cluster| {
                    ballot.kind.accepts(reference, &cluster.answer, cluster.found_by, &options)
                };
                let correct = ballot.vote.clusters.iter().map(accepts).collect();
                let example = Example::new(&set, &ballot.vote, correct, arguments.voter.as_deref());
                if example.is_usable() {
                    let files = kinds.entry(ballot.kind.name()).or_default();
                    files.entry(name.to_owned()).or_default().push(example);
                }
            }
        }
        Ok(())
    })?;
    if unlabelled > 0 {
        say(&format!("{} without a reference teach nothing and are left out", count(unlabelled, "set")));
    }
    if records > 0 {
        say(&format!(
            "{} of records are left out: rankers judge answers that are one value",
            count(records, "set")
        ));
    }
    let mut table = Table::new(&[
        ("kind", Align::Left),
        ("judged", Align::Left),
        ("file", Align::Left),
        ("k", Align::Right),
        ("problems", Align::Right),
        ("vote", Align::Right),
        ("decision", Align::Right),
        ("oracle", Align::Right),
        ("gain in points", Align::Left),
        ("ECE", Align::Right),
    ]);
    let mut fitted = Vec::new();
    let mut too_few = Vec::new();
    for (kind, files) in &kinds {
        let problems: usize = files.values().map(Vec::len).sum();
        if problems < FEWEST {
            too_few.push(FitError::TooFew { kind: (*kind).to_owned(), found: problems }.to_string());
            continue;
        }
        let most = files.values().flatten().map(Example::candidates).max().unwrap_or(2);
        let all = |with_voters: bool| -> Vec<Seen> {
            files
                .values()
                .enumerate()
                .flat_map(|(at, examples)| draw(examples, at, &SIZES, DRAWS, with_voters))
                .collect()
        };
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        let (plain_rows, voter_rows) = (all(false), all(true));
        let (plain, validated) = fit(&plain_rows);
        push(&mut table, kind, "candidates", &names, &plain_rows, &validated.decided);
        let voters = (!voter_rows.is_empty()).then(|| {
            let (fit, validated) = fit(&voter_rows);
            push(&mut table, kind, "with voters", &names, &voter_rows, &validated.decided);
            fit
        });
        fitted.push(kind_ranker(kind, problems, (2, most), &plain, voters.as_ref()));
    }
    for line in too_few {
        say(&line);
    }
    if fitted.is_empty() {
        let reason =
            "nothing to fit a ranker on: expected sets with a reference and three candidates or more";
        return Err(anyhow::Error::new(UsageError(reason.to_owned())));
    }
    output.line(&serde_json::to_string_pretty(&Ranker::of(fitted))?)?;
    // What stands on standard output is for people, unless the ranker does.
    if arguments.out.as_os_str() == "-" {
        table.lines().iter().for_each(|line| say(line));
    } else {
        let mut shown = Output::standard_output();
        table.lines().iter().try_for_each(|line| shown.line(line))?;
        shown.finish()?;
    }
    let outcome = output.finish_after(&tally, None)?;
    Ok(outcome.and(refusals.finish()))
}

/// Rows of the table: what weights that never saw a problem make of it, by file and number of candidates.
fn push(table: &mut Table, kind: &str, what: &str, names: &[&str], rows: &[Seen], decided: &[Decided]) {
    for (file, name) in names.iter().enumerate() {
        for size in SIZES {
            let judged: Vec<(&Seen, &Decided)> =
                rows.iter().zip(decided).filter(|(seen, _)| seen.file == file && seen.k == size).collect();
            let problems = by_problem(&judged);
            if problems.is_empty() {
                continue;
            }
            let mean = |at: usize| {
                problems.values().map(|sums| sums[at] / sums[3]).sum::<f64>() / problems.len() as f64
            };
            let gains = problems.values().map(|sums| (sums[1] - sums[0]) / sums[3]).collect();
            let gain = paired_bootstrap(&[Ratio::mean(gains)], SEED).pop().flatten();
            table.push(vec![
                kind.to_owned(),
                what.to_owned(),
                visible(name),
                size.to_string(),
                problems.len().to_string(),
                format!("{:.3}", mean(0)),
                format!("{:.3}", mean(1)),
                format!("{:.3}", mean(2)),
                gain.map_or_else(
                    || "-".to_owned(),
                    |Figure { value, low, high }| {
                        format!("{:+.1} [{:+.1}, {:+.1}]", 100.0 * value, 100.0 * low, 100.0 * high)
                    },
                ),
                calibration_error(&judged).map_or_else(|| "-".to_owned(), |error| format!("{error:.3}")),
            ]);
        }
    }
}

/// Sums over the draws of each problem: the vote is right, the decision is, any class is, draws.
fn by_problem(judged: &[(&Seen, &Decided)]) -> BTreeMap<u64, [f64; 4]> {
    let mut problems: BTreeMap<u64, [f64; 4]> = BTreeMap::new();
    let is = |yes: bool| f64::from(u8::from(yes));
    for (seen, decided) in judged {
        let row = [is(seen.vote_is_right()), is(decided.is_right), is(seen.any_is_right()), 1.0];
        let sums = problems.entry(seen.problem).or_default();
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    problems
}

/// Expected calibration error of the decisions, ten bins.
fn calibration_error(judged: &[(&Seen, &Decided)]) -> Option<f64> {
    let rows: Vec<Row> = judged
        .iter()
        .map(|(_, decided)| Row { confidence: decided.confidence, is_right: decided.is_right })
        .collect();
    expected_calibration_error(&rows)
}
