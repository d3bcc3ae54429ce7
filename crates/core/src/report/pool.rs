//! What the candidates of one row are worth: by our grading, by labels, or from a result's clusters.

use serde_json::Value;

use super::ReportError;
use crate::cluster::cluster_readings;
use crate::metrics::{GradedClass, Majority, majority, pass_at_k};
use crate::reader::{NoAnswer, Reading, Tier, clean_answer, read_candidates};
use crate::reference::ParsedReference;
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

/// The score of the first `most` candidates of a set by the reference; none where there is no reference.
pub(super) fn graded(set: &SampleSet, most: usize) -> Option<PoolScore> {
    let reference = set.reference_answer.as_ref()?.parsed();
    let mut readings = read_candidates(set);
    readings.truncate(most);
    let clusters = cluster_readings(&readings);
    let classes = clusters.iter().map(|cluster| {
        let correct = reference.accepts(&cluster.to_answer());
        (cluster.candidates.as_slice(), f64::from(u8::from(correct)))
    });
    Some(pool(readings.len(), classes))
}

/// The score of the first `most` labelled candidates of a set by the labels in `field`; none where none is labelled.
pub(super) fn labelled(set: &SampleSet, field: &str, most: usize) -> Result<Option<PoolScore>, ReportError> {
    let labels = labels_of(set, field)?;
    let is_labelled = |i: &usize| labels[*i].is_some();
    let labelled: Vec<usize> = (0..labels.len()).filter(is_labelled).take(most).collect();
    if labelled.is_empty() {
        return Ok(None);
    }
    let readings = read_candidates(set);
    let (mut correct, mut wrong) = (Vec::new(), vec![Reading::none(NoAnswer::NotFound); labelled.len()]);
    for (place, &i) in labelled.iter().enumerate() {
        if labels[i] == Some(true) {
            correct.push(place);
        } else {
            wrong[place] = labelled_answer(&set.candidates[i], field).unwrap_or_else(|| readings[i].clone());
        }
    }
    let clusters = cluster_readings(&wrong);
    let classes = clusters.iter().map(|cluster| (cluster.candidates.as_slice(), 0.0));
    Ok(Some(pool(labelled.len(), classes.chain([(correct.as_slice(), 1.0)]))))
}

/// The score of the first `most` candidates of a result, from its clusters.
pub(super) fn of_result(result: &AggregateResult, reference: &ParsedReference, most: usize) -> PoolScore {
    let kept = result.clusters.iter().map(|cluster| {
        let correct = reference.accepts(&result.cluster_answer(cluster));
        let candidates = cluster.candidates.iter().copied().filter(|&candidate| candidate < most).collect();
        (candidates, f64::from(u8::from(correct)))
    });
    let kept: Vec<(Vec<usize>, f64)> = kept.collect();
    let classes = kept.iter().map(|(candidates, correct)| (candidates.as_slice(), *correct));
    pool(result.num_candidates.min(most), classes)
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
