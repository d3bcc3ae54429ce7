//! Results: one answer a problem, with how it was reached and at what cost. One JSON line each.
//!
//! What lives here: the format. What does not: deciding the answer ([`crate::vote`], the model crate) and judging files
//! of results ([`crate::report`]).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::equivalence::Answer;
use crate::kinds::{Abstention, Ballot, BallotError, Undecided, VoteOptions, is_letter};
use crate::layer::{self, Layer};
use crate::rank::Ranking;
use crate::rank::votes::correct;
use crate::reader::{Reading, Tier};
use crate::record::FieldVote;
use crate::reference::Reference;
use crate::sample_set::SampleSet;
use crate::vote::Vote;

/// How the answer was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Majority vote, no model call.
    Vote,
    /// The model scored each cluster's answer.
    Select,
    /// The model wrote an answer.
    Generate,
}

/// What [`AggregateResult::confidence`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfidenceKind {
    /// The probability that the answer is right, by a ranker ([`crate::rank`]) that was fitted on answers of this kind.
    Correct,
    /// The probability that the top class leads the second: the stability of the vote, not the probability of being correct.
    /// Results of earlier versions have it; today it is [`AggregateResult::lead_probability`].
    LeadProbability,
    /// Select: the un-normalised probability mass of the winning cluster's surface forms.
    AnswerMass,
    /// Generate: the product of the probabilities of the answer's tokens.
    TokenProduct,
    /// The votes of the answer over all candidates, those without an answer too; with weights the answer's part of all weights.
    /// Records: the mean of that over their fields.
    Share,
}

/// Exact token counts of the model calls made for one result (0 for a vote).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
}

/// One cluster of equal answers, as a result shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterResult {
    /// The surface form of the cluster's earliest candidate.
    pub answer: String,
    /// How many candidates gave it.
    pub votes: usize,
    /// `votes` over the number of answered candidates.
    pub share: f64,
    /// Select mode: natural logarithm of the cluster's mass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_prob: Option<f64>,
    /// Indices of its candidates in the sample set, from 0.
    pub candidates: Vec<usize>,
    /// The answers of other clusters that this one's would fit too, where it stands alone because those are different from
    /// each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fits: Vec<String>,
}

/// One answer for one sample set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AggregateResult {
    /// The set's id.
    pub id: String,
    /// The answer; null where no candidate gave one and no model was asked.
    pub answer: Option<String>,
    /// How it was reached.
    pub method: Method,
    /// Between 0 and 1; what it means is in `confidence_kind`.
    pub confidence: f64,
    /// What `confidence` is.
    pub confidence_kind: ConfidenceKind,
    /// Mathematics and choice: how stable the vote is, the probability that its largest class leads the second
    /// ([`crate::vote::lead_probability`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_probability: Option<f64>,
    /// What the answers are: `math`, `choice`, `labels`, `json`, `tool-call` or `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_kind: Option<String>,
    /// Why there is no answer although candidates have some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abstained: Option<Abstention>,
    /// The answer that is not given because its confidence is too low.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
    /// What a set looks like that is not voted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undecided: Option<Undecided>,
    /// The fields of a merged record, with their votes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<FieldVote>>,
    /// Number of candidates in the set, those without an answer included.
    pub num_candidates: usize,
    /// The candidates' answers by equivalence, largest first.
    pub clusters: Vec<ClusterResult>,
    /// What was read in each candidate, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Reading>,
    /// Who was asked, in order, what each said and what it cost; of a set that was not voted on, and in files of earlier releases, none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
    /// What the model wrote, prefill excluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<String>,
    /// Token counts.
    #[serde(default)]
    pub usage: Usage,
    /// Wall time in milliseconds; the host measures it, this crate takes no clock.
    #[serde(default)]
    pub elapsed_ms: f64,
    /// The set's reference answer, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_answer: Option<Reference>,
    /// Whether `answer` is equivalent to it; absent without a reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correct: Option<bool>,
    /// Every other field of the line, in its order.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl AggregateResult {
    /// The result of a vote on mathematics or letters. Also where a model's result starts from: the same clusters, then [`Self::note`] and
    /// [`Self::take_last`].
    pub fn from_vote(set: &SampleSet, vote: &Vote) -> Self {
        let clusters = vote.clusters.iter().map(|cluster| ClusterResult {
            answer: cluster.answer.clone(),
            votes: cluster.candidates.len(),
            share: cluster.candidates.len() as f64 / vote.answered.max(1) as f64,
            log_prob: None,
            candidates: cluster.candidates.clone(),
            fits: cluster.fits.clone(),
        });
        let mut result = Self {
            id: set.id.clone(),
            answer: None,
            method: Method::Vote,
            confidence: vote.share(),
            confidence_kind: ConfidenceKind::Share,
            lead_probability: Some(vote.confidence),
            answer_kind: None,
            abstained: None,
            withheld: None,
            undecided: None,
            fields: None,
            num_candidates: set.candidates.len(),
            clusters: clusters.collect(),
            readings: vote.readings.clone(),
            layers: Vec::new(),
            completion: None,
            usage: Usage::default(),
            elapsed_ms: 0.0,
            reference_answer: set.reference_answer.clone(),
            correct: None,
            extra: Map::new(),
        };
        result.set_answer(vote.answer().map(str::to_string));
        result.layers = vec![Layer::of(layer::VOTE, &result)];
        // Letters are a choice, for which the built-in ranker has no weights.
        if !vote.clusters.iter().all(|cluster| is_letter(&cluster.answer))
            && let Some(ranking) = correct(vote)
        {
            result.set_ranking(&ranking, vote.winner);
        }
        result
    }

    /// The result of a vote by kind. Its confidence is the ballot's.
    pub fn from_ballot(set: &SampleSet, ballot: &Ballot, options: &VoteOptions) -> Self {
        let mut result = Self::from_vote(set, &ballot.vote);
        let found_by = ballot.vote.winner.and_then(|winner| ballot.vote.clusters[winner].found_by);
        result.correct = set.reference_answer.as_ref().map(|reference| {
            let answer = ballot.answer.as_deref();
            answer.is_some_and(|answer| ballot.kind.accepts(reference, answer, found_by, options))
        });
        result.answer.clone_from(&ballot.answer);
        result.confidence = ballot.confidence;
        result.confidence_kind = ballot.confidence_kind;
        result.lead_probability = ballot.kind.is_for_models().then_some(ballot.vote.confidence);
        result.answer_kind = Some(ballot.kind.name().to_owned());
        result.abstained = ballot.abstained;
        result.fields = ballot.record.as_ref().map(|record| record.fields.clone());
        result.layers = vec![Layer::of(layer::VOTE, &result)];
        result
    }

    /// The row of a set that is not voted on: no answer, neither right nor wrong. Where that is for another reason than its
    /// looks, the field `error` says it.
    pub fn not_voted(set: &SampleSet, reason: &BallotError) -> Self {
        let mut result = Self::from_vote(set, &crate::vote::vote_on(Vec::new()));
        result.lead_probability = None;
        result.correct = None;
        result.layers.clear();
        match reason {
            BallotError::Undecided(undecided) => result.undecided = Some(*undecided),
            other => {
                result.extra.insert("error".to_owned(), other.to_string().into());
            }
        }
        result
    }

    /// Makes the confidence the probability that the answer of a vote is right.
    pub fn set_ranking(&mut self, ranking: &Ranking, winner: Option<usize>) {
        if let Some(probability) = winner.and_then(|winner| ranking.classes.get(winner)) {
            self.confidence = *probability;
            self.confidence_kind = ConfidenceKind::Correct;
            // It is the vote's answer still: its layer says the same.
            self.layers = vec![Layer::of(layer::VOTE, self)];
        }
    }

    /// Sets the answer, and `correct` where there is a reference. No answer is not correct.
    pub fn set_answer(&mut self, answer: Option<String>) {
        self.answer = answer;
        self.correct = self
            .reference_answer
            .as_ref()
            .map(|reference| self.to_answer().is_some_and(|answer| reference.accepts(&answer)));
    }

    /// Withholds an answer of less confidence than `at_least`; with none asked for, any answer.
    pub fn abstain_below(&mut self, at_least: Option<f64>) {
        if self.answer.is_none() || at_least.is_some_and(|at_least| self.confidence >= at_least) {
            return;
        }
        self.withheld = self.answer.take();
        self.abstained = Some(Abstention::Unsure);
        self.correct = self.correct.map(|_| false);
    }

    /// The answer that the confidence is about, given or withheld.
    pub fn claimed(&self) -> Option<&str> {
        self.answer.as_deref().or(self.withheld.as_deref())
    }

    /// The answer for comparisons: read as the candidate's that gave it, or as one that was announced, where a model
    /// wrote it.
    pub fn to_answer(&self) -> Option<Answer> {
        self.answer.as_deref().map(|answer| Answer::found_by(answer, self.answer_tier()))
    }

    /// A cluster's answer for comparisons.
    pub fn cluster_answer(&self, cluster: &ClusterResult) -> Answer {
        Answer::found_by(&cluster.answer, self.tier_of(cluster))
    }

    /// How the answer, given or withheld, was found in the candidate that gave it; announced, where a model wrote it.
    pub(crate) fn answer_tier(&self) -> Option<Tier> {
        let reading = self.readings.iter().find(|reading| reading.answer.as_deref() == self.claimed());
        reading.map_or(Some(Tier::AnswerTag), |reading| reading.found_by)
    }

    /// How the answer of a cluster was found in its earliest candidate.
    pub(crate) fn tier_of(&self, cluster: &ClusterResult) -> Option<Tier> {
        let reading = cluster.candidates.first().and_then(|first| self.readings.get(*first));
        reading.map_or(Some(Tier::AnswerTag), |reading| reading.found_by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_set::Candidate;
    use crate::vote::majority_vote;

    #[test]
    fn a_vote_becomes_a_line() {
        let candidates = ["7", "7.0", "I cannot say.", "8"]
            .map(|text| Candidate { text: text.into(), ..Default::default() });
        let mut set = SampleSet {
            id: "s".into(),
            problem: "p".into(),
            reference_answer: Some("7".into()),
            candidates: candidates.into(),
            extra: Map::new(),
        };
        let result = AggregateResult::from_vote(&set, &majority_vote(&set));
        let line = serde_json::to_string(&result).unwrap();
        let expected = concat!(
            r#"{"id":"s","answer":"7","method":"vote","confidence":0.5151559568417119,"confidence_kind":"correct","lead_probability":0.6875,"#,
            r#""num_candidates":4,"clusters":[{"answer":"7","votes":2,"share":0.6666666666666666,"candidates":[0,1]},"#,
            r#"{"answer":"8","votes":1,"share":0.3333333333333333,"candidates":[3]}],"#,
            r#""readings":[{"answer":"7","found_by":"whole"},{"answer":"7.0","found_by":"whole"},"#,
            r#"{"answer":null,"found_by":null,"no_answer":"refusal"},{"answer":"8","found_by":"whole"}],"#,
            r#""layers":[{"layer":"vote","answer":"7","confidence":0.5151559568417119,"confidence_kind":"correct"}],"#,
            r#""usage":{"prompt_tokens":0,"completion_tokens":0},"elapsed_ms":0.0,"reference_answer":"7","correct":true}"#
        );
        assert_eq!(line, expected);
        assert_eq!(serde_json::from_str::<AggregateResult>(&line).unwrap(), result);

        let mut sure = result.clone();
        sure.abstain_below(Some(0.515));
        assert_eq!(sure, result);
        let mut unsure = result.clone();
        unsure.abstain_below(Some(0.516));
        unsure.abstain_below(None);
        assert_eq!(
            (unsure.answer.as_deref(), unsure.correct, unsure.claimed()),
            (None, Some(false), Some("7"))
        );
        let line = serde_json::to_string(&unsure).unwrap();
        assert!(line.contains(r#""abstained":"unsure","withheld":"7""#), "{line}");

        set.candidates.clear();
        let empty = AggregateResult::from_vote(&set, &majority_vote(&set));
        let mut nothing = empty.clone();
        nothing.abstain_below(None);
        assert_eq!(nothing, empty, "what is not there is not withheld");
        assert_eq!((empty.answer, empty.correct, empty.confidence), (None, Some(false), 0.0));
        set.reference_answer = None;
        assert_eq!(AggregateResult::from_vote(&set, &majority_vote(&set)).correct, None);
    }
}
