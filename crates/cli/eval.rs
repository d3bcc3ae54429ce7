//! `conclave eval`: how good candidates, votes and results are, a row a file. What the figures are is core's business.

use anyhow::Result;
use conclave_core::metrics::Figure;
use conclave_core::report::{EvalOptions, EvalRow, Evaluation, Report, SetsReport};
use conclave_files::Options;

use crate::Outcome;
use crate::arguments::EvalArguments;
use crate::input::{Source, Tally};
use crate::messages::{count, say, visible};
use crate::output::Output;
use crate::sets::{Item, read_items};
use crate::table::{Align, Table};

/// Runs the command.
pub fn run(arguments: &EvalArguments) -> Result<Outcome> {
    let options = EvalOptions { num_candidates: arguments.num_candidates, labels: arguments.labels.clone() };
    let sources = Source::resolve(&arguments.files)?;
    let mut output = Output::open(arguments.out.as_deref())?;
    let mut tally = Tally::default();
    let reading = arguments.reading.options(&mut tally)?;
    let mut outcome = Outcome::Done;
    let mut reports = Vec::new();
    for source in &sources {
        let report = evaluate(source, &reading, &options, &mut tally)?;
        if !say_what_was_skipped(source, candidates_of(&report), &options) {
            outcome = Outcome::Incomplete;
        }
        reports.push(report);
    }
    if arguments.json || arguments.out.is_some() {
        write_json(&reports, &mut output)?;
    } else {
        let tables = [sets_table(&reports), results_table(&reports)];
        for (index, table) in tables.iter().filter(|table| table.len() > 0).enumerate() {
            if index > 0 {
                output.line("")?;
            }
            table.lines().iter().try_for_each(|line| output.line(line))?;
        }
    }
    Ok(output.finish_after(&tally, None)?.and(outcome))
}

fn evaluate(source: &Source, reading: &Options, options: &EvalOptions, tally: &mut Tally) -> Result<Report> {
    let mut evaluation = Evaluation::new(options.clone());
    read_items(std::slice::from_ref(source), reading, tally, |_, item| {
        let row = match item {
            Item::Set(set) => Ok(EvalRow::Set(set)),
            Item::Result(value) => EvalRow::try_from(value),
        };
        // A row that does not belong into the report is a bad line too.
        Ok(row.and_then(|row| evaluation.add(&row).map_err(|error| error.to_string())))
    })?;
    Ok(evaluation.report(source.argument()))
}

/// Reports rows without a verdict. False when that leaves nothing of the file.
fn say_what_was_skipped(source: &Source, report: &SetsReport, options: &EvalOptions) -> bool {
    if report.skipped == 0 {
        return true;
    }
    let reason = match &options.labels {
        Some(field) => format!("no candidate has the field `{}`", visible(field)),
        None => "no `reference_answer`".to_owned(),
    };
    let rows = count((report.skipped + report.problems) as u64, "row");
    say(&format!("{}: {} of {rows} left out: {reason}", source.name(), report.skipped));
    report.problems > 0
}

fn candidates_of(report: &Report) -> &SetsReport {
    match report {
        Report::Sets(report) => report,
        Report::Results(report) => &report.sets,
    }
}

/// An array with one report a line.
fn write_json(reports: &[Report], output: &mut Output) -> Result<()> {
    output.line("[")?;
    for (index, report) in reports.iter().enumerate() {
        let end = if index + 1 < reports.len() { "," } else { "" };
        output.json_line_with(report, end)?;
    }
    output.line("]")
}

fn sets_table(reports: &[Report]) -> Table {
    let mut table = Table::new(&[
        ("file", Align::Left),
        ("problems", Align::Right),
        ("candidates", Align::Right),
        ("mean@1", Align::Left),
        ("majority (expected)", Align::Left),
        ("majority (first)", Align::Left),
        ("pass@k", Align::Left),
    ]);
    for report in reports {
        let Report::Sets(report) = report else { continue };
        table.push(vec![
            visible(&report.file),
            report.problems.to_string(),
            report.num_candidates.to_string(),
            figure(report.mean_at_1),
            figure(report.majority_expected),
            figure(report.majority_first),
            figure(report.pass_at_k),
        ]);
    }
    table
}

/// Answers beside the vote they start from and the best choice there was.
fn results_table(reports: &[Report]) -> Table {
    let mut table = Table::new(&[
        ("file", Align::Left),
        ("problems", Align::Right),
        ("candidates", Align::Right),
        ("accuracy", Align::Left),
        ("majority (first)", Align::Left),
        ("pass@k", Align::Left),
        ("gap closed", Align::Left),
        ("recoveries", Align::Right),
        ("regressions", Align::Right),
        ("flip rate", Align::Left),
        ("tokens in", Align::Right),
        ("tokens out", Align::Right),
    ]);
    for report in reports {
        let Report::Results(report) = report else { continue };
        let sets = &report.sets;
        table.push(vec![
            visible(&sets.file),
            sets.problems.to_string(),
            sets.num_candidates.to_string(),
            figure(report.accuracy),
            figure(sets.majority_first),
            figure(sets.pass_at_k),
            figure(report.gap_closed),
            report.recoveries.to_string(),
            report.regressions.to_string(),
            figure(report.flip_rate),
            report.prompt_tokens.to_string(),
            report.completion_tokens.to_string(),
        ]);
    }
    table
}

/// The value and its 95 % interval.
fn figure(figure: Option<Figure>) -> String {
    match figure {
        Some(Figure { value, low, high }) => format!("{value:.3} [{low:.2}, {high:.2}]"),
        None => "-".to_owned(),
    }
}
