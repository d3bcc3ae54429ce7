//! `conclave vote`: the majority vote of each sample set, as a table or as JSON lines.

use std::time::Instant;

use anyhow::Result;
use conclave_core::result::{AggregateResult, ClusterResult};
use conclave_core::vote::majority_vote;

use crate::Outcome;
use crate::arguments::VoteArguments;
use crate::input::{Source, Tally};
use crate::messages::{count, visible_clipped};
use crate::output::Output;
use crate::sets::read_sets;
use crate::table::{Align, Table};

/// Characters of an id and of an answer that the table shows.
const SHOWN_ID: usize = 48;
const SHOWN: usize = 32;

/// Runs the command.
pub fn run(arguments: &VoteArguments) -> Result<Outcome> {
    let sources = Source::resolve(&arguments.sets)?;
    let mut output = Output::open(arguments.out.as_deref())?;
    let json = arguments.json || arguments.out.is_some();
    let mut tally = Tally::default();
    let mut summary = Summary::default();
    let mut table = Table::new(&[
        ("id", Align::Left),
        ("answer", Align::Left),
        ("votes", Align::Right),
        ("confidence", Align::Right),
        ("note", Align::Left),
    ]);
    let options = arguments.reading.options(&mut tally)?;
    read_sets(&sources, &options, &mut tally, |set| {
        let started = Instant::now();
        let mut result = AggregateResult::from_vote(&set, &majority_vote(&set));
        result.elapsed_ms = started.elapsed().as_secs_f64() * 1e3;
        summary.add(&result);
        if json {
            output.json_line(&result)?;
        } else {
            table.push(row(&result));
            if arguments.verbose {
                readings(&result).for_each(|line| table.push_note(line));
            }
        }
        Ok(())
    })?;
    if !json && table.len() > 0 {
        for line in table.lines() {
            output.line(&line)?;
        }
        output.line("")?;
        output.line(&summary.text())?;
    }
    output.finish_after(&tally, json.then(|| summary.text()))
}

/// Whether the answer is right, where that is known.
pub fn verdict(result: &AggregateResult) -> Option<String> {
    let reference = result.reference_answer.as_deref().unwrap_or_default();
    result.correct.map(|correct| match correct {
        true => "correct".to_owned(),
        false => format!("wrong: expected {}", visible_clipped(reference, SHOWN)),
    })
}

/// A line for each candidate: what was read in it, and how it was found or why there is none.
pub fn readings(result: &AggregateResult) -> impl Iterator<Item = String> {
    result.readings.iter().enumerate().map(|(at, reading)| {
        let found = match (&reading.answer, reading.found_by, reading.no_answer) {
            (Some(answer), Some(tier), _) => format!("{}  ({})", visible_clipped(answer, SHOWN), tier.name()),
            (_, _, Some(reason)) => format!("-  ({})", reason.name()),
            _ => "-".to_owned(),
        };
        format!("  {:>3}  {found}", at + 1)
    })
}

/// What is said of an answer that stands alone because it would fit several others.
fn fits(cluster: &ClusterResult) -> Option<String> {
    let others: Vec<String> = cluster.fits.iter().map(|answer| visible_clipped(answer, SHOWN)).collect();
    let (last, first) = others.split_last()?;
    let all = if first.is_empty() { last.clone() } else { format!("{} and {last}", first.join(", ")) };
    Some(format!("{} fits {all} and joins none", visible_clipped(&cluster.answer, SHOWN)))
}

fn row(result: &AggregateResult) -> Vec<String> {
    let votes = result.clusters.first().map_or(0, |cluster| cluster.votes);
    let mut notes = Vec::from_iter(verdict(result));
    match tied(result) {
        [_, second, rest @ ..] => {
            let others = if rest.is_empty() {
                String::new()
            } else {
                format!(" and {}", count(rest.len() as u64, "other"))
            };
            notes.push(format!("tie with {}{others}", visible_clipped(&second.answer, SHOWN)));
        }
        _ if result.num_candidates == 0 => notes.push("no candidates".to_owned()),
        _ if result.answer.is_none() => notes.push("no candidate has an answer".to_owned()),
        _ => {}
    }
    notes.extend(result.clusters.iter().filter_map(fits));
    vec![
        visible_clipped(&result.id, SHOWN_ID),
        result.answer.as_deref().map_or_else(|| "-".to_owned(), |answer| visible_clipped(answer, SHOWN)),
        format!("{votes}/{}", result.num_candidates),
        format!("{:.3}", result.confidence),
        notes.join("; "),
    ]
}

/// The clusters that share the first place.
fn tied(result: &AggregateResult) -> &[ClusterResult] {
    let most = result.clusters.first().map_or(0, |cluster| cluster.votes);
    let tied = result.clusters.iter().take_while(|cluster| cluster.votes == most).count();
    &result.clusters[..tied]
}

/// Totals over all sets.
#[derive(Default)]
struct Summary {
    sets: u64,
    candidates: u64,
    without_answer: u64,
    ties: u64,
    graded: u64,
    correct: u64,
}

impl Summary {
    fn add(&mut self, result: &AggregateResult) {
        self.sets += 1;
        self.candidates += result.num_candidates as u64;
        self.without_answer += u64::from(result.answer.is_none());
        self.ties += u64::from(tied(result).len() > 1);
        self.graded += u64::from(result.correct.is_some());
        self.correct += u64::from(result.correct == Some(true));
    }

    fn text(&self) -> String {
        let mut text = format!("{}, {}", count(self.sets, "set"), count(self.candidates, "candidate"));
        if self.graded > 0 {
            let share = self.correct as f64 / self.graded as f64;
            text += &format!("; correct {} of {} ({:.1} %)", self.correct, self.graded, 100.0 * share);
        }
        if self.ties > 0 {
            text += &format!("; {} broken by the earliest candidate", count(self.ties, "tie"));
        }
        if self.without_answer > 0 {
            text += &format!("; {} without an answer", self.without_answer);
        }
        text
    }
}
