//! The layouts that are read, how one is told from another, and their names.

use serde_json::{Map, Value};

use crate::presets::{self, Preset};
use crate::text::is_messages;

/// A layout of another tool, or our own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    /// Sample sets as Conclave writes them.
    Sets,
    /// lm-evaluation-harness, `--log_samples`.
    LmEval,
    /// Batch output of OpenAI's API and of vLLM.
    OpenAiBatch,
    /// Batch input: requests, not answers.
    BatchInput,
    /// Answers of a chat or completion API, one an object.
    Completions,
    /// Answers of OpenAI's Responses API.
    Responses,
    /// Batch results of Anthropic's API.
    AnthropicBatch,
    /// Samples of an inspect log.
    Inspect,
    /// Reviews or predictions of evalscope.
    EvalScope,
    /// Results of promptfoo.
    Promptfoo,
    /// Conversations as one text each.
    Transcripts,
    /// Conversations as lists of messages.
    Messages,
    /// Answers by turns of FastChat and LiveBench.
    ModelAnswer,
    /// Objects whose fields say what they are by their names.
    Fields(&'static Preset),
}

/// What a user can name, in the order of the documentation.
const NAMED: &[(&str, Layout, &str)] = &[
    ("sets", Layout::Sets, "sample sets"),
    ("lm-eval", Layout::LmEval, "lm-eval samples"),
    ("openai-batch", Layout::OpenAiBatch, "batch output"),
    ("batch-input", Layout::BatchInput, "batch input"),
    ("anthropic-batch", Layout::AnthropicBatch, "Anthropic batch results"),
    ("completions", Layout::Completions, "answers of a chat API"),
    ("responses", Layout::Responses, "answers of the Responses API"),
    ("inspect", Layout::Inspect, "an inspect log"),
    ("evalscope", Layout::EvalScope, "evalscope results"),
    ("promptfoo", Layout::Promptfoo, "promptfoo results"),
    ("model-answer", Layout::ModelAnswer, "model answers by turns"),
    ("transcripts", Layout::Transcripts, "chat transcripts"),
    ("messages", Layout::Messages, "conversations"),
];

impl Layout {
    /// The layout of this name.
    pub fn named(name: &str) -> Option<Self> {
        let named = NAMED.iter().find(|(known, _, _)| *known == name).map(|(_, layout, _)| *layout);
        named.or_else(|| presets::PRESETS.iter().find(|preset| preset.name == name).map(Self::Fields))
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, _, _)| *name).chain(presets::PRESETS.iter().map(|preset| preset.name))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fields(preset) => preset.name,
            _ => NAMED.iter().find(|(_, layout, _)| *layout == self).map_or("", |(name, _, _)| name),
        }
    }

    /// What it is, in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Fields(preset) => preset.title,
            _ => NAMED.iter().find(|(_, layout, _)| *layout == self).map_or("", |(_, _, title)| title),
        }
    }

    /// The layout of a value, where it has one. Of problems without candidates, the fields decide alone.
    pub fn of(value: &Value, is_problems: bool) -> Option<Self> {
        match value {
            Value::String(text) => crate::text::Transcript::read(text).is_some().then_some(Self::Transcripts),
            Value::Array(messages) => is_messages(messages).then_some(Self::Messages),
            Value::Object(object) => Self::of_object(object, is_problems),
            _ => None,
        }
    }

    fn of_object(object: &Map<String, Value>, is_problems: bool) -> Option<Self> {
        let has = |name: &str| object.get(name).is_some_and(|value| !value.is_null());
        let first = |name: &str| object.get(name).and_then(Value::as_array).and_then(|list| list.first());
        if has("clusters") && !has("candidates") && has("id") {
            return Some(Self::Sets);
        }
        if object.get("candidates").is_some_and(|list| !list.is_object()) && has("id") && has("problem") {
            return Some(Self::Sets);
        }
        if has("resps") && (has("doc") || has("doc_id")) {
            return Some(Self::LmEval);
        }
        if has("custom_id") {
            if object.get("result").is_some_and(|result| result.get("type").is_some()) {
                return Some(Self::AnthropicBatch);
            }
            if object.contains_key("response") || object.contains_key("error") {
                return Some(Self::OpenAiBatch);
            }
            if has("body") || has("params") {
                return Some(Self::BatchInput);
            }
        }
        if has("sample_score") || (has("model_output") && has("index") && (has("messages") || has("model"))) {
            let is_object = |name: &str| object.get(name).is_some_and(Value::is_object);
            if is_object("sample_score") || is_object("model_output") {
                return Some(Self::EvalScope);
            }
        }
        if has("vars") && (has("response") || has("output") || has("error") || has("provider")) {
            return Some(Self::Promptfoo);
        }
        if has("input")
            && (has("epoch") || object.get("output").is_some_and(|output| output.get("choices").is_some()))
        {
            return Some(Self::Inspect);
        }
        if let Some(choice) = first("choices") {
            if choice.get("turns").is_some() {
                return Some(Self::ModelAnswer);
            }
            if choice.get("message").is_some()
                || (choice.get("text").is_some() && choice.get("index").is_some())
            {
                return Some(Self::Completions);
            }
        }
        let is = |name: &str, expected: &str| object.get(name).and_then(Value::as_str) == Some(expected);
        if is("type", "message") && is("role", "assistant") {
            return Some(Self::Completions);
        }
        let is_item = |item: &Value| {
            item.get("type").and_then(Value::as_str) == Some("message") || item.get("call_id").is_some()
        };
        let items = object.get("output").and_then(Value::as_array);
        if is("object", "response") || items.is_some_and(|items| items.iter().any(is_item)) {
            return Some(Self::Responses);
        }
        presets::preset(object, is_problems).map(Self::Fields)
    }
}
