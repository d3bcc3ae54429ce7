//! `conclave vote`: the majority vote of each sample set, as a table or as JSON lines.

use std::time::Instant;

use anyhow::Result;
use conclave_core::agreement::Alpha;
use conclave_core::kinds::{Abstention, AnswerKind, Ballot, BallotError, KindSource, VoteOptions, ballot};
use conclave_core::reader::NoAnswer;
use conclave_core::result::{AggregateResult, ClusterResult};
use conclave_core::sample_set::SampleSet;
use conclave_disk::stop;
use serde_json::json;

use crate::arguments::VoteArguments;
use crate::input::{Source, Tally};
use crate::kinds::Schemas;
use crate::messages::{count, say, visible_clipped};
use crate::output::Output;
use crate::sets::read_named_sets;
use crate::shard::Part;
use crate::table::{Align, Table};
use crate::unsure::{self, Unsure};
use crate::voters::Weights;
use crate::{Outcome, UsageError};

/// Characters of an id, of an answer, of one of a few words or a record, and of a field's path that the table shows.
const SHOWN_ID: usize = 48;
const SHOWN: usize = 32;
const SHOWN_RECORD: usize = 64;
const SHOWN_PATH: usize = 32;

/// Sets that are named one by one where they are not voted on.
const MOST_NAMED: u64 = 10;

/// Runs the command.
pub fn run(arguments: &VoteArguments) -> Result<Outcome> {
    let sources = Source::resolve(&arguments.sets)?;
    let out = arguments.out.as_deref();
    let inputs = arguments.reading.inputs(&arguments.sets).and(arguments.kinds.answers.schema());
    let inputs = inputs.and(arguments.weights.files()).and(arguments.unsure.calibrated_on.clone());
    let schemas = Schemas::default();
    let options = arguments.kinds.options(&schemas)?;
    let mut unsure = Unsure::open(&arguments.unsure, &options)?;
    let mut settings = json!({
        "kinds": arguments.kinds.settings(),
        "reading": arguments.reading.settings(),
        "weights": arguments.weights.settings(),
    });
    unsure.add_settings(&mut settings);
    let part = Part::new(&arguments.work, out, "vote", settings, &arguments.sets);
    arguments.weights.refuse_learning(part.is_some())?;
    let mut reporter = arguments.work.reporter("vote");
    if let Some(outcome) = part.as_ref().map(|part| part.finished(&inputs)).transpose()?.flatten() {
        return Ok(reporter.skip(outcome));
    }
    stop::listen()?;
    let mut output = Output::open(out, &inputs)?;
    let json = arguments.json || arguments.out.is_some();
    let mut tally = Tally::new(part.is_some());
    let (mut summary, mut refusals) = (Summary::new(&options), Refusals::default());
    let mut table = Table::new(&[
        ("id", Align::Left),
        ("answer", Align::Left),
        ("votes", Align::Right),
        ("confidence", Align::Right),
        ("note", Align::Left),
    ]);
    let mut weights = Weights::open(&arguments.weights, &options, &inputs)?;
    let mut reading = arguments.reading.options(&mut tally)?;
    reading.share = part.as_ref().map(|part| part.share.clone());
    let mut decide =
        |name: &str, set: &SampleSet, voted: Result<Ballot, BallotError>, weights: &mut Weights| {
            let started = Instant::now();
            let voted = voted.map(|ballot| weights.weighed(set, ballot, &options));
            let mut result = match &voted {
                Ok(ballot) => {
                    let mut result = AggregateResult::from_ballot(set, ballot, &options);
                    if let Some(ranking) = weights.judge().rank(ballot.kind.name(), set, &ballot.vote) {
                        result.set_ranking(&ranking, ballot.vote.winner);
                    }
                    result
                }
                Err(reason) => {
                    refusals.add(reason, &set.id, name)?;
                    AggregateResult::not_voted(set, reason)
                }
            };
            result.elapsed_ms = started.elapsed().as_secs_f64() * 1e3;
            unsure.apply(&mut result);
            summary.add(&result, voted.as_ref().ok(), weights.is_weighing());
            reporter.add();
            if json {
                output.json_line(&result)?;
            } else {
                table.push(row(&result, weights.is_weighing()));
                if arguments.verbose {
                    if let Ok(ballot) = &voted {
                        table.push_note(format!("  {}", source_of(ballot)));
                    }
                    readings(&result).chain(fields(&result)).for_each(|line| table.push_note(line));
                }
            }
            anyhow::Ok(())
        };
    // Who can be believed is known when all sets were seen.
    let mut held = Vec::new();
    read_named_sets(&sources, &reading, &mut tally, |name, set| {
        let voted = ballot(&set, &options);
        if !weights.is_learning() {
            return decide(name, &set, voted, &mut weights);
        }
        weights.see(&set, &voted);
        held.push((name.to_owned(), set, voted));
        Ok(())
    })?;
    // Of some of the sets nothing is learned.
    if !(weights.is_learning() && stop::is_requested()) {
        weights.learn()?;
        for (name, set, voted) in held {
            decide(&name, &set, voted, &mut weights)?;
        }
    }
    if !json && table.len() > 0 {
        for line in table.lines() {
            output.line(&line)?;
        }
        output.line("")?;
        output.line(&(summary.text() + &unsure.text()))?;
    }
    let voters = weights.report();
    if !voters.is_empty() {
        match json {
            true => voters.iter().for_each(|line| say(line)),
            false => {
                output.line("")?;
                voters.iter().try_for_each(|line| output.line(line))?;
            }
        }
    }
    let refused = refusals.finish();
    let outcome =
        output.finish_part(part.as_ref(), &tally, refused, json.then(|| summary.text() + &unsure.text()))?;
    Ok(reporter.end(outcome))
}

/// Names sets that are not voted on, up to some.
#[derive(Default)]
pub struct Refusals(u64);

impl Refusals {
    /// Names one of `source`; options that can be of no set are an error of the command.
    pub fn add(&mut self, error: &BallotError, id: &str, source: &str) -> Result<()> {
        if matches!(error, BallotError::NoOrder) {
            return Err(anyhow::Error::new(UsageError(error.to_string())));
        }
        self.0 += 1;
        if self.0 <= MOST_NAMED {
            say(&format!("{source}: set `{}`: {error}", visible_clipped(id, SHOWN_ID)));
        }
        Ok(())
    }

    /// Says how many were not named. Work was left undone where there are any.
    pub fn finish(&self) -> Outcome {
        if self.0 > MOST_NAMED {
            say(&format!("{} more of that kind", count(self.0 - MOST_NAMED, "set")));
        }
        if self.0 > 0 { Outcome::Incomplete } else { Outcome::Done }
    }
}

/// What the answers of a set are, and who says so.
fn source_of(ballot: &Ballot) -> String {
    let by = match ballot.source {
        KindSource::Given => "as --answers says",
        KindSource::Set => "as the set says",
        KindSource::Shown(why) => why,
    };
    format!("{}: {by}", ballot.kind.name())
}

/// Whether the row is of a set that was not voted on.
pub fn is_refused(row: &AggregateResult) -> bool {
    row.answer_kind.is_none() && (row.undecided.is_some() || row.extra.contains_key("error"))
}

/// A line for each field of a merged record.
pub fn fields(result: &AggregateResult) -> impl Iterator<Item = String> {
    result.fields.iter().flatten().map(|field| {
        let value = field.value.as_ref().map_or_else(|| "(missing)".to_owned(), |value| value.to_string());
        let review = if field.review { "  review" } else { "" };
        let path = visible_clipped(&field.path, SHOWN_PATH);
        let votes = format!("{}/{}", field.votes, result.num_candidates);
        format!("  {path:<24} {:<32} {votes}{review}", visible_clipped(&value, SHOWN))
    })
}

/// Whether the answer is right, where that is known.
pub fn verdict(result: &AggregateResult) -> Option<String> {
    let reference = result.reference_answer.as_deref().unwrap_or_default();
    result.correct.map(|correct| match correct {
        true => "correct".to_owned(),
        // Who abstains is not right, but says nothing wrong.
        false if result.abstained.is_some() => format!("expected {}", visible_clipped(reference, SHOWN)),
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

fn row(result: &AggregateResult, is_weighed: bool) -> Vec<String> {
    // Of a record: the candidates that have one.
    let votes = match &result.fields {
        Some(_) => result.clusters.iter().map(|cluster| cluster.votes).sum(),
        None => winner(result).map_or(0, |cluster| cluster.votes),
    };
    let votes = format!("{votes}/{}", result.num_candidates);
    let shown = if result.fields.is_some() { SHOWN_RECORD } else { SHOWN };
    let mut notes = Vec::from_iter(verdict(result));
    match tied(result, is_weighed) {
        [_, second, rest @ ..] if result.fields.is_none() => {
            let others = if rest.is_empty() {
                String::new()
            } else {
                format!(" and {}", count(rest.len() as u64, "other"))
            };
            notes.push(format!("tie with {}{others}", visible_clipped(&second.answer, SHOWN)));
        }
        _ if result.num_candidates == 0 => notes.push("no candidates".to_owned()),
        _ if is_refused(result) => notes.push("not voted on".to_owned()),
        _ if result.clusters.is_empty() => notes.push("no candidate has an answer".to_owned()),
        _ => {}
    }
    match result.abstained {
        Some(Abstention::Tie) => notes.push("no answer".to_owned()),
        Some(Abstention::TooFew) => notes.push(format!("{} is too few", clipped_answer(&result.clusters))),
        Some(Abstention::Unsure) => notes.extend(unsure::note(result)),
        None => {}
    }
    let review = result.fields.iter().flatten().filter(|field| field.review).count();
    if review > 0 {
        notes.push(format!("{} to review", count(review as u64, "field")));
    }
    notes.extend(result.clusters.iter().filter_map(fits));
    vec![
        visible_clipped(&result.id, SHOWN_ID),
        result.answer.as_deref().map_or_else(|| "-".to_owned(), |answer| visible_clipped(answer, shown)),
        votes,
        format!("{:.3}", result.confidence),
        notes.join("; "),
    ]
}

fn clipped_answer(clusters: &[ClusterResult]) -> String {
    clusters.first().map_or_else(String::new, |first| visible_clipped(&first.answer, SHOWN))
}

/// The cluster of the answer; without an answer the largest. With weights it need not be the largest.
fn winner(result: &AggregateResult) -> Option<&ClusterResult> {
    let chosen = result.clusters.iter().find(|cluster| Some(&cluster.answer) == result.answer.as_ref());
    chosen.or(result.clusters.first())
}

/// The clusters that share the first place, whose tie the earliest candidate broke: not where weights decided.
fn tied(result: &AggregateResult, is_weighed: bool) -> &[ClusterResult] {
    if is_weighed {
        return &[];
    }
    let most = result.clusters.first().map_or(0, |cluster| cluster.votes);
    let tied = result.clusters.iter().take_while(|cluster| cluster.votes == most).count();
    &result.clusters[..tied]
}

/// Totals over all sets.
struct Summary {
    sets: u64,
    candidates: u64,
    without_answer: u64,
    ties: u64,
    abstained: u64,
    graded: u64,
    correct: u64,
    other_labels: u64,
    review: u64,
    /// Sets of each kind, in the order in which kinds were met.
    kinds: Vec<(&'static str, u64)>,
    labels: Alpha,
    refused: u64,
}

impl Summary {
    fn new(options: &VoteOptions) -> Self {
        let labels = match &options.kind {
            Some(AnswerKind::Labels(labels)) if options.is_ordinal => Alpha::ordinal(labels.names().to_vec()),
            _ => Alpha::nominal(),
        };
        Self {
            sets: 0,
            candidates: 0,
            without_answer: 0,
            ties: 0,
            abstained: 0,
            graded: 0,
            correct: 0,
            other_labels: 0,
            review: 0,
            kinds: Vec::new(),
            labels,
            refused: 0,
        }
    }

    fn add(&mut self, result: &AggregateResult, voted: Option<&Ballot>, is_weighed: bool) {
        self.sets += 1;
        self.candidates += result.num_candidates as u64;
        self.graded += u64::from(result.correct.is_some());
        self.correct += u64::from(result.correct == Some(true));
        let Some(ballot) = voted else {
            self.refused += 1;
            return;
        };
        self.abstained += u64::from(result.abstained.is_some() && result.withheld.is_none());
        self.without_answer += u64::from(result.answer.is_none() && result.abstained.is_none());
        let is_first = result.answer.is_some() && result.lead_probability.is_some();
        self.ties += u64::from(is_first && tied(result, is_weighed).len() > 1);
        self.review += u64::from(ballot.record.as_ref().is_some_and(|record| record.needs_review()));
        let others = result.readings.iter().filter(|reading| reading.no_answer == Some(NoAnswer::OtherLabel));
        self.other_labels += others.count() as u64;
        if matches!(ballot.kind, AnswerKind::Labels(_)) {
            self.labels.add(result.clusters.iter().map(|cluster| (cluster.answer.as_str(), cluster.votes)));
        }
        let name = ballot.kind.name();
        match self.kinds.iter_mut().find(|(kind, _)| *kind == name) {
            Some((_, number)) => *number += 1,
            None => self.kinds.push((name, 1)),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{}, {}", count(self.sets, "set"), count(self.candidates, "candidate"));
        // What was taken for what is said where it is not mathematics alone.
        if self.kinds.iter().any(|(kind, _)| *kind != "math") {
            let kinds: Vec<String> =
                self.kinds.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
            text += &format!(" ({})", kinds.join(", "));
        }
        if self.graded > 0 {
            let share = self.correct as f64 / self.graded as f64;
            text += &format!("; correct {} of {} ({:.1} %)", self.correct, self.graded, 100.0 * share);
        }
        if self.ties > 0 {
            text += &format!("; {} broken by the earliest candidate", count(self.ties, "tie"));
        }
        if self.abstained > 0 {
            text += &format!("; {} undecided", self.abstained);
        }
        if self.without_answer > 0 {
            text += &format!("; {} without an answer", self.without_answer);
        }
        if self.other_labels > 0 {
            text +=
                &format!("; {} with a label that is not in the list", count(self.other_labels, "candidate"));
        }
        if self.review > 0 {
            text += &format!("; {} to review", count(self.review, "record"));
        }
        if let Some(alpha) = self.labels.value() {
            text += &format!("; Krippendorff's alpha {alpha:.3}");
        }
        if self.refused > 0 {
            text += &format!("; {} not voted on", self.refused);
        }
        text
    }
}
