//! What is read in each candidate by a kind, and the classes of equal answers.

use serde_json::Value;

use super::{AnswerKind, BallotError, VoteOptions, options, read_text, schema_check, text_key};
use crate::cluster::{Cluster, cluster_readings};
use crate::json_text::json_text;
use crate::order::{in_order, taken};
use crate::reader::{NoAnswer, Reading, Tier, read_candidates};
use crate::record::similar::normal_text;
use crate::record::{RecordReading, read_records};
use crate::sample_set::{Candidate, SampleSet};
use crate::tool_call;

/// What is read in the first `most` candidates of a set by a kind, and the classes of equal answers: the
/// larger first, ties by the earliest candidate. Nothing is decided. A class of records is of whole records,
/// where a vote on records decides each field.
///
/// # Errors
/// Where a schema cannot be used.
pub fn classes_of(
    set: &SampleSet,
    kind: &AnswerKind,
    options: &VoteOptions,
    most: usize,
) -> Result<(Vec<Reading>, Vec<Cluster>), BallotError> {
    let AnswerKind::Json(schema) = kind else {
        let (readings, clusters) = classes(set, kind, options, most, None);
        return Ok((readings, clusters));
    };
    let check = schema_check(schema.as_ref(), options)?;
    let validate = check.as_ref().map(|check| check as &dyn Fn(&Value) -> Option<String>);
    let first = set.candidates.get(..most).unwrap_or(&set.candidates);
    let records = read_records(first, validate);
    let keys: Vec<Option<String>> =
        records.iter().map(|reading| reading.record.as_ref().map(normal_text)).collect();
    let readings: Vec<Reading> = records.iter().map(record_reading).collect();
    let clusters = grouped(&readings, &keys);
    Ok((readings, clusters))
}

/// As [`classes_of`], for all kinds but records. `read`: what the reader of answers found in the candidates, where it was asked.
pub(super) fn classes(
    set: &SampleSet,
    kind: &AnswerKind,
    options: &VoteOptions,
    most: usize,
    read: Option<Vec<Reading>>,
) -> (Vec<Reading>, Vec<Cluster>) {
    match kind {
        AnswerKind::Math | AnswerKind::Json(_) => {
            let mut readings = read.unwrap_or_else(|| read_candidates(set));
            readings.truncate(most);
            let clusters = cluster_readings(&readings);
            (readings, clusters)
        }
        AnswerKind::Choice => {
            let mut readings = read.unwrap_or_else(|| read_candidates(set));
            readings.truncate(most);
            let readings: Vec<Reading> = readings.into_iter().map(options::chosen).collect();
            let clusters = cluster_readings(&readings);
            (readings, clusters)
        }
        AnswerKind::Labels(labels) => by_key(
            set.candidates.iter().take(most),
            |candidate| labels.read(&candidate.text, candidate.is_truncated()),
            |answer| labels.key(answer),
        ),
        AnswerKind::Text => by_key(
            set.candidates.iter().take(most),
            |candidate| read_text(&candidate.text, candidate.is_truncated()),
            text_key,
        ),
        AnswerKind::ToolCall => {
            let mut keys = Vec::new();
            let readings: Vec<Reading> = set
                .candidates
                .iter()
                .take(most)
                .map(|candidate| match tool_call::read_calls(candidate) {
                    Ok(calls) => {
                        keys.push(Some(tool_call::canonical(&calls, &options.ignore_arguments)));
                        Reading::found(tool_call::answer_text(&calls), Tier::Json)
                    }
                    Err(reason) => {
                        keys.push(None);
                        Reading::none(reason)
                    }
                })
                .collect();
            let clusters = grouped(&readings, &keys);
            (readings, clusters)
        }
    }
}

/// A record as a reading.
pub(super) fn record_reading(reading: &RecordReading) -> Reading {
    match (&reading.record, reading.no_answer) {
        (Some(record), _) => Reading::found(json_text(record), Tier::Json),
        (None, reason) => Reading::none(reason.unwrap_or(NoAnswer::Invalid)),
    }
}

fn by_key<'a>(
    candidates: impl Iterator<Item = &'a Candidate>,
    read: impl Fn(&Candidate) -> Reading,
    key: impl Fn(&str) -> String,
) -> (Vec<Reading>, Vec<Cluster>) {
    let readings: Vec<Reading> = candidates.map(read).collect();
    let keys: Vec<Option<String>> =
        readings.iter().map(|reading| reading.answer.as_deref().map(&key)).collect();
    let clusters = grouped(&readings, &keys);
    (readings, clusters)
}

impl AnswerKind {
    /// A text that is the same for answers of this kind that are the same; none for mathematics and choices,
    /// whose equality is decided pair by pair ([`crate::equivalence`]).
    pub fn key(&self, answer: &str, options: &VoteOptions) -> Option<String> {
        Some(match self {
            AnswerKind::Math | AnswerKind::Choice => return None,
            AnswerKind::Labels(labels) => labels.key(answer),
            AnswerKind::Text => text_key(answer),
            AnswerKind::Json(_) => {
                serde_json::from_str(answer).map_or_else(|_| answer.to_owned(), |record| normal_text(&record))
            }
            AnswerKind::ToolCall => {
                let candidate = Candidate { text: answer.to_owned(), ..Default::default() };
                tool_call::read_calls(&candidate).map_or_else(
                    |_| answer.to_owned(),
                    |calls| tool_call::canonical(&calls, &options.ignore_arguments),
                )
            }
        })
    }

    /// The classes of answers that were read by this kind before.
    pub fn group(&self, readings: &[Reading], options: &VoteOptions) -> Vec<Cluster> {
        if matches!(self, AnswerKind::Math | AnswerKind::Choice) {
            return cluster_readings(readings);
        }
        let key = |reading: &Reading| self.key(reading.answer.as_deref()?, options);
        let keys: Vec<Option<String>> = readings.iter().map(key).collect();
        grouped(readings, &keys)
    }
}

/// Classes of equal keys: more candidates first, ties by the earliest. A class shows the form that most of it
/// have, of several the first in the order of their letters, so that the order of the candidates changes no
/// answer.
pub(super) fn grouped(readings: &[Reading], keys: &[Option<String>]) -> Vec<Cluster> {
    let form = |candidate: usize| readings[candidate].answer.as_deref().unwrap_or_default();
    let of_key = |candidate: usize| (keys[candidate].as_deref(), form(candidate));
    // By key, and within it by form; candidates that wrote the same stay in their order.
    let sorted = in_order(keys.len(), &|a, b| of_key(a).cmp(&of_key(b)));
    let mut clusters: Vec<Option<Cluster>> = Vec::new();
    for same in sorted.chunk_by(|a, b| keys[*a] == keys[*b]) {
        if keys[same[0]].is_none() {
            continue;
        }
        let mut best: &[usize] = &[];
        let mut firsts: Vec<usize> = Vec::new();
        for alike in same.chunk_by(|a, b| form(*a) == form(*b)) {
            firsts.push(alike[0]);
            if alike.len() > best.len() {
                best = alike;
            }
        }
        let ascending = |places: &[usize]| -> Vec<usize> {
            in_order(places.len(), &|a, b| places[a].cmp(&places[b]))
                .into_iter()
                .map(|at| places[at])
                .collect()
        };
        let candidates = ascending(same);
        clusters.push(Some(Cluster {
            answer: form(best[0]).to_owned(),
            forms: ascending(&firsts).into_iter().map(|first| form(first).to_owned()).collect(),
            found_by: readings[candidates[0]].found_by,
            candidates,
            fits: Vec::new(),
        }));
    }
    let rank = |at: usize| {
        clusters[at].as_ref().map(|cluster| (usize::MAX - cluster.candidates.len(), cluster.candidates[0]))
    };
    let larger_first = in_order(clusters.len(), &|a, b| rank(a).cmp(&rank(b)));
    taken(&mut clusters, &larger_first).into_iter().flatten().collect()
}
