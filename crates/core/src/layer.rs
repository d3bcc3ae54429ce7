//! Layers: who was asked for the answer of a set, what each said, and what it cost.

use serde::{Deserialize, Serialize};

use crate::result::{AggregateResult, ConfidenceKind, Method, Usage};

/// The name of the vote.
pub const VOTE: &str = "vote";

/// The name of the language model.
pub const MODEL: &str = "model";

/// What one layer said about a set. Layers stand in the order in which they were asked; the answer of a result is that of one of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Its name.
    pub layer: String,
    /// Its answer; null where it gave none.
    pub answer: Option<String>,
    /// Between 0 and 1; what it means is in `confidence_kind`.
    pub confidence: f64,
    /// What `confidence` is.
    pub confidence_kind: ConfidenceKind,
    /// Tokens of its calls of a model; absent where it made none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Candidates that it did not see; absent where it saw all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<usize>,
}

impl Layer {
    /// What the layer of this name said where `result` is all its own.
    pub fn of(name: &str, result: &AggregateResult) -> Self {
        let is_free = result.usage == Usage::default();
        Self {
            layer: name.to_owned(),
            answer: result.answer.clone(),
            confidence: result.confidence,
            confidence_kind: result.confidence_kind,
            usage: (!is_free).then_some(result.usage),
            omitted: None,
        }
    }
}

impl AggregateResult {
    /// Notes what a layer said and adds what it cost. The answer stays what it was.
    pub fn note(&mut self, layer: Layer) {
        if let Some(usage) = layer.usage {
            self.usage.prompt_tokens += usage.prompt_tokens;
            self.usage.completion_tokens += usage.completion_tokens;
        }
        self.layers.push(layer);
    }

    /// Takes what the layer asked last said for the answer.
    pub fn take_last(&mut self, method: Method) {
        let Some(layer) = self.layers.last().cloned() else { return };
        self.method = method;
        self.confidence = layer.confidence;
        self.confidence_kind = layer.confidence_kind;
        self.set_answer(layer.answer);
    }

    /// What the layer of this name said last, where it was asked.
    pub fn layer(&self, name: &str) -> Option<&Layer> {
        self.layers.iter().rev().find(|layer| layer.layer == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{BallotError, VoteOptions, ballot};
    use crate::sample_set::SampleSet;
    use crate::vote::majority_vote;

    fn voted(texts: &[&str]) -> AggregateResult {
        let value =
            serde_json::json!({"id": "s", "problem": "p", "reference_answer": "8", "candidates": texts});
        let set = SampleSet::try_from(value).unwrap();
        AggregateResult::from_vote(&set, &majority_vote(&set))
    }

    fn model(answer: &str) -> Layer {
        Layer {
            layer: MODEL.to_owned(),
            answer: Some(answer.to_owned()),
            confidence: 0.5,
            confidence_kind: ConfidenceKind::TokenProduct,
            usage: Some(Usage { prompt_tokens: 9, completion_tokens: 3 }),
            omitted: Some(2),
        }
    }

    #[test]
    fn a_vote_is_one_layer_and_costs_nothing() {
        let result = voted(&["7", "7", "8"]);
        let [layer] = result.layers.as_slice() else { panic!("{:?}", result.layers) };
        assert_eq!((layer.layer.as_str(), layer.answer.as_deref()), (VOTE, Some("7")));
        assert_eq!((layer.confidence_kind, layer.confidence), (ConfidenceKind::Correct, result.confidence));
        assert!(!serde_json::to_string(layer).unwrap().contains("usage"));
        // By kind too, where the confidence is another.
        let value = serde_json::json!({"id": "s", "problem": "p", "candidates": ["yes", "yes", "no"]});
        let set = SampleSet::try_from(value).unwrap();
        let options = VoteOptions::default();
        let result = AggregateResult::from_ballot(&set, &ballot(&set, &options).unwrap(), &options);
        let found = (result.layers.len(), result.layers[0].confidence_kind, &result.layers[0].answer);
        assert_eq!(found, (1, ConfidenceKind::Share, &result.answer));
        // Who was not asked said nothing.
        let refused = AggregateResult::not_voted(&set, &BallotError::NoOrder);
        assert_eq!(refused.layers, []);
    }

    #[test]
    fn what_a_layer_says_is_noted_and_may_be_taken() {
        let mut result = voted(&["7", "7", "8"]);
        result.note(model("8"));
        assert_eq!(
            (result.answer.as_deref(), result.correct, result.method),
            (Some("7"), Some(false), Method::Vote)
        );
        assert_eq!(result.usage, Usage { prompt_tokens: 9, completion_tokens: 3 });
        result.take_last(Method::Generate);
        assert_eq!((result.answer.as_deref(), result.correct), (Some("8"), Some(true)));
        assert_eq!((result.method, result.confidence), (Method::Generate, 0.5));
        assert_eq!(result.layer(MODEL), Some(&model("8")));
        assert_eq!(result.layer("ranker"), None);
        result.note(model("9"));
        assert_eq!(
            result.usage,
            Usage { prompt_tokens: 18, completion_tokens: 6 },
            "a row costs what its layers cost"
        );
        let line = serde_json::to_string(&result).unwrap();
        assert_eq!(serde_json::from_str::<AggregateResult>(&line).unwrap(), result);
    }

    #[test]
    fn results_without_layers_are_read_and_written_as_they_are() {
        let mut result = voted(&["7", "8"]);
        result.layers.clear();
        let line = serde_json::to_string(&result).unwrap();
        assert!(!line.contains("layers"), "{line}");
        assert_eq!(serde_json::from_str::<AggregateResult>(&line).unwrap(), result);
    }
}
