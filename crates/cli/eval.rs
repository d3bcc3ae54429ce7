//! `conclave eval`: how good candidates, votes and results are, a row a file. What the figures are is core's
//! business.

mod confidence;
mod plot;
mod repeats;

use anyhow::{Result, bail};
use conclave_core::metrics::Figure;
use conclave_core::report::{EvalOptions, EvalRow, Evaluation, Report, SetsReport};
use conclave_disk::stop;
use conclave_files::Options;

use crate::arguments::EvalArguments;
use crate::input::{Source, Tally};
use crate::kinds::Schemas;
use crate::messages::{count, say, visible, visible_clipped};
use crate::output::Output;
use crate::picture::Format;
use crate::sets::{Item, read_items};
use crate::table::{Align, Table};
use crate::{Outcome, UsageError};

/// What helps where the kind of sets cannot be told.
const ADVICE: &str =
    "; if that is wrong say what the answers are with --answers (labels=A,B,..., json, text, math, ...)";

/// Characters of an id that a message shows.
const SHOWN_ID: usize = 48;

/// Runs the command.
pub fn run(arguments: &EvalArguments) -> Result<Outcome> {
    let options = EvalOptions { num_candidates: arguments.num_candidates, labels: arguments.labels.clone() };
    if arguments.rules.are_given() && !arguments.repeats {
        bail!(UsageError(
            "--rule, --ties and --ordinal say when votes decide: give --repeats too".to_owned()
        ));
    }
    let plot = arguments.plot.as_deref().map(|path| Ok((path, Format::of(path)?)));
    let plot = plot.transpose().map_err(|error: anyhow::Error| error.context("--plot"))?;
    let schemas = Schemas::default();
    let votes = arguments.rules.decide(arguments.answers.options(&schemas)?)?;
    let sources = Source::resolve(&arguments.files)?;
    let inputs = arguments.reading.inputs(&arguments.files).and(arguments.answers.schema());
    stop::listen()?;
    let mut output = Output::open(arguments.out.as_deref(), &inputs)?;
    let mut tally = Tally::default();
    let reading = arguments.reading.options(&mut tally)?;
    let mut outcome = Outcome::Done;
    let mut reports = Vec::new();
    for source in &sources {
        let mut evaluation = Evaluation::by_kind(options.clone(), votes.clone());
        if arguments.repeats {
            evaluation = evaluation.with_repeats();
        }
        let report = evaluate(source, &reading, evaluation, &mut tally)?;
        // Figures of a part of a file are not those of the file; those of the files before it are shown.
        if stop::is_requested() {
            break;
        }
        if !say_what_was_skipped(source, &report, &options) {
            outcome = Outcome::Incomplete;
        }
        confidence::say_out_of_range(&report);
        reports.push(report);
    }
    if arguments.json || arguments.out.is_some() {
        write_json(&reports, &mut output)?;
    } else {
        let tables = [sets_table(&reports), results_table(&reports)];
        let tables = tables.iter().filter(|table| table.len() > 0).map(Table::lines);
        let confidences = reports.iter().flat_map(confidence::blocks);
        let repeats = reports.iter().map(candidates_of).filter_map(|report| {
            report.repeats.as_ref().map(|repeats| repeats::lines(&report.file, repeats))
        });
        for (index, lines) in tables.chain(confidences).chain(repeats).enumerate() {
            if index > 0 {
                output.line("")?;
            }
            lines.iter().try_for_each(|line| output.line(line))?;
        }
    }
    let finished = output.finish_after(&tally, None)?.and(outcome);
    if let Some((path, format)) = plot {
        plot::write(&reports, path, format, &inputs)?;
    }
    Ok(finished)
}

fn evaluate(
    source: &Source,
    reading: &Options,
    mut evaluation: Evaluation,
    tally: &mut Tally,
) -> Result<Report> {
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

/// Reports rows without a verdict. False when that leaves nothing of the file, or sets are not voted on,
/// which a flag can change.
fn say_what_was_skipped(source: &Source, report: &Report, options: &EvalOptions) -> bool {
    let figures = candidates_of(report);
    let rows = count((figures.skipped + figures.problems) as u64, "row");
    let is_sets = matches!(report, Report::Sets(_));
    for known in &figures.not_voted {
        let first = visible_clipped(&known.first, SHOWN_ID);
        let advice = match is_sets {
            true => ADVICE,
            false => "",
        };
        let left_out = format!("{} of {rows} left out, the first is `{first}`", known.rows);
        say(&format!("{}: {left_out}: {}{advice}", source.name(), known.reason));
    }
    let refused: usize = figures.not_voted.iter().map(|known| known.rows).sum();
    let items = figures.repeats.as_ref().map_or(0, |repeats| repeats.items);
    // How stable answers are needs no reference: without any there are just no figures that do.
    let is_said = figures.problems == 0 && items > 0;
    if figures.skipped > refused && !is_said {
        let reason = match &options.labels {
            Some(field) => format!("no candidate has the field `{}`", visible(field)),
            None => "no `reference_answer`".to_owned(),
        };
        let what = if figures.repeats.is_some() { "not graded" } else { "left out" };
        say(&format!("{}: {} of {rows} {what}: {reason}", source.name(), figures.skipped - refused));
    }
    let is_useful = figures.skipped == 0 || figures.problems > 0 || items > 0;
    is_useful && (refused == 0 || !is_sets)
}

fn candidates_of(report: &Report) -> &SetsReport {
    match report {
        Report::Sets(report) => report,
        Report::Results(report) => &report.sets,
    }
}

/// Whether a report on repeats has no figure that needs a reference: its tables say it all.
fn is_ungraded(report: &SetsReport) -> bool {
    report.repeats.is_some() && report.problems == 0
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
        if is_ungraded(report) {
            continue;
        }
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
        if is_ungraded(sets) {
            continue;
        }
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
