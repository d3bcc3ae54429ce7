//! What the candidates of one row are worth: by our grading, by labels, or from a result's clusters.

use std::collections::HashMap;

use serde_json::Value;

use super::ReportError;
use crate::cluster::Cluster;
use crate::equivalence::Answer;
use crate::kinds::{AnswerKind, BallotError, VoteOptions, classes_of};
use crate::metrics::{GradedClass, Majority, majority, pass_at_k};
use crate::reader::{NoAnswer, Reading, Tier, clean_answer, read_candidates};
use crate::reference::{ParsedReference, Reference};
use crate::result::AggregateResult;
use crate::sample_set::{Candidate, SampleSet};

/// What the candidates of one row are worth.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolScore {
    pub candidates: usize,
    pub mean_at_1: f64,
    pub majority: Majority,
    pub any: f64,
}

/// A row, as far as reports go: its classes of equal answers.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Candidates, those without an answer too.
    pub candidates: usize,
    pub classes: Vec<Class>,
    /// Whether there is a reference.
    pub is_graded: bool,
}

/// Candidates of equal answers.
#[derive(Debug, Clone)]
pub(super) struct Class {
    pub answer: String,
    /// Indices of its candidates, ascending.
    pub members: Vec<usize>,
    /// Whether the answer is right; false without a reference.
    pub is_right: bool,
}

/// What decides whether answers of a row are right: its reference, which is parsed once where answers are mathematics.
pub(super) struct Judge<'a> {
    kind: &'a AnswerKind,
    votes: &'a VoteOptions<'a>,
    reference: &'a Reference,
    parsed: Option<ParsedReference>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(kind: &'a AnswerKind, votes: &'a VoteOptions<'a>, reference: &'a Reference) -> Self {
        let parsed = (*kind == AnswerKind::Math).then(|| reference.parsed());
        Self { kind, votes, reference, parsed }
    }

    pub(super) fn accepts(&self, answer: &str, found_by: Option<Tier>) -> bool {
        match &self.parsed {
            Some(parsed) => parsed.accepts(&Answer::found_by(answer, found_by)),
            None => self.kind.accepts(self.reference, answer, found_by, self.votes),
        }
    }
}

impl Item {
    /// The first `most` candidates of a set by its kind.
    ///
    /// # Errors
    /// Where its schema cannot be used.
    pub(super) fn of_set(
        set: &SampleSet,
        kind: &AnswerKind,
        votes: &VoteOptions,
        most: usize,
    ) -> Result<Self, BallotError> {
        let (readings, clusters) = classes_of(set, kind, votes, most)?;
        let judge = set.reference_answer.as_ref().map(|reference| Judge::new(kind, votes, reference));
        let is_right = |cluster: &Cluster| {
            judge.as_ref().is_some_and(|judge| judge.accepts(&cluster.answer, cluster.found_by))
        };
        let classes = clusters.into_iter().map(|cluster| Class {
            is_right: is_right(&cluster),
            answer: cluster.answer,
            members: cluster.candidates,
        });
        Ok(Self { candidates: readings.len(), classes: classes.collect(), is_graded: judge.is_some() })
    }

    /// The first `most` candidates of a result, by its clusters. Records are one class where they are equal by value: a vote
    /// shows how each was written.
    pub(super) fn of_result(
        result: &AggregateResult,
        kind: &AnswerKind,
        votes: &VoteOptions,
        most: usize,
    ) -> Self {
        let candidates = result.num_candidates.min(most);
        let judge = result.reference_answer.as_ref().map(|reference| Judge::new(kind, votes, reference));
        let mut classes: Vec<Class> = Vec::new();
        let mut place_of: HashMap<String, usize> = HashMap::new();
        for cluster in &result.clusters {
            let mut members: Vec<usize> =
                cluster.candidates.iter().copied().filter(|&candidate| candidate < most).collect();
            let key = match kind {
                AnswerKind::Json(_) => kind.key(&cluster.answer, votes),
                _ => None,
            };
            let place = key.map_or(classes.len(), |key| *place_of.entry(key).or_insert(classes.len()));
            if let Some(class) = classes.get_mut(place) {
                class.members.append(&mut members);
                continue;
            }
            let found_by = result.tier_of(cluster);
            let is_right = judge.as_ref().is_some_and(|judge| judge.accepts(&cluster.answer, found_by));
            classes.push(Class { answer: cluster.answer.clone(), members, is_right });
        }
        // A file may say anything.
        classes.iter_mut().for_each(|class| class.members.sort_unstable());
        classes.retain(|class| !class.members.is_empty());
        Self { candidates, classes, is_graded: judge.is_some() }
    }

    /// What the candidates are worth.
    pub(super) fn score(&self) -> PoolScore {
        let classes = self.classes.iter();
        let graded = classes.map(|class| (class.members.as_slice(), f64::from(u8::from(class.is_right))));
        pool(self.candidates, graded)
    }
}

/// The score of the first `most` labelled candidates of a set by the labels in `field`; none where none is labelled.
pub(super) fn labelled(
    set: &SampleSet,
    field: &str,
    kind: &AnswerKind,
    votes: &VoteOptions,
    most: usize,
) -> Result<Option<PoolScore>, ReportError> {
    let labels = labels_of(set, field)?;
    let is_labelled = |i: &usize| labels[*i].is_some();
    let labelled: Vec<usize> = (0..labels.len()).filter(is_labelled).take(most).collect();
    if labelled.is_empty() {
        return Ok(None);
    }
    let readings = match kind {
        AnswerKind::Math => read_candidates(set),
        _ => {
            let read = classes_of(set, kind, votes, usize::MAX);
            read.map_err(|error| ReportError::Ballot { id: set.id.clone(), error })?.0
        }
    };
    let (mut correct, mut wrong) = (Vec::new(), vec![Reading::none(NoAnswer::NotFound); labelled.len()]);
    for (place, &i) in labelled.iter().enumerate() {
        if labels[i] == Some(true) {
            correct.push(place);
        } else {
            wrong[place] = labelled_answer(&set.candidates[i], field).unwrap_or_else(|| readings[i].clone());
        }
    }
    let clusters = kind.group(&wrong, votes);
    let classes = clusters.iter().map(|cluster| (cluster.candidates.as_slice(), 0.0));
    Ok(Some(pool(labelled.len(), classes.chain([(correct.as_slice(), 1.0)]))))
}

/// The verdicts of a set's candidates.
fn labels_of(set: &SampleSet, field: &str) -> Result<Vec<Option<bool>>, ReportError> {
    let labels = set.candidates.iter().enumerate().map(|(i, candidate)| match candidate.extra.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(label)) => Ok(Some(*label)),
        Some(other) => Err(ReportError::BadLabel {
            id: set.id.clone(),
            candidate: i + 1,
            field: field.to_string(),
            found: other.to_string(),
        }),
    });
    labels.collect()
}

/// The answer that the verdict in `NAME_correct` was on: `NAME_answer`.
fn labelled_answer(candidate: &Candidate, field: &str) -> Option<Reading> {
    let answer = candidate.extra.get(&format!("{}_answer", field.strip_suffix("_correct")?))?.as_str()?;
    let text = clean_answer(answer);
    // Which tier found it is not known, and not used.
    (!text.is_empty()).then(|| Reading::found(text, Tier::Last))
}

/// The score of a pool of `candidates` candidates with these classes: their candidates and how correct they are.
fn pool<'a>(candidates: usize, classes: impl Iterator<Item = (&'a [usize], f64)>) -> PoolScore {
    let classes: Vec<GradedClass> = classes
        .filter_map(|(members, correct)| {
            Some(GradedClass { votes: members.len(), earliest: *members.iter().min()?, correct })
        })
        .collect();
    let correct: f64 = classes.iter().map(|class| class.votes as f64 * class.correct).sum();
    PoolScore {
        candidates,
        mean_at_1: correct / candidates.max(1) as f64,
        majority: majority(&classes),
        any: any_of(candidates, correct.round() as usize),
    }
}

/// pass@k with k the number of candidates; a problem without candidates is not solved.
fn any_of(candidates: usize, correct: usize) -> f64 {
    pass_at_k(candidates as u64, correct as u64, candidates as u64).unwrap_or(0.0)
}
