//! The one dialect: chat completions as OpenAI's API has them, which most servers speak.
//!
//! Here is what is asked. What is answered, streamed or not, is read by [`AnswerReader`]; a refusal becomes a named error in
//! [`refusal`].
//!
//! Servers differ in two fields, which are learnt from a refusal instead of being asked for: some do not know
//! `stream_options`, and some want `max_completion_tokens` in place of `max_tokens`.

mod reader;
pub mod refusal;

use serde_json::{Value, json};

pub use reader::{AnswerReader, Delta, MAX_ANSWER};

use crate::sample::SampleRequest;

/// The system prompt that makes answers easy to find and compare; a host may offer it as its default.
pub const SYSTEM: &str = "Solve the problem step by step. End with the final answer alone in \\boxed{...}.";

/// What a server turned out to understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// `stream_options`, which asks for the count of tokens.
    pub stream_options: bool,
    /// `max_completion_tokens` instead of `max_tokens`.
    pub max_completion_tokens: bool,
}

impl Default for Accepted {
    fn default() -> Self {
        Self { stream_options: true, max_completion_tokens: false }
    }
}

impl Accepted {
    /// What is left after a refusal with these words; `None` where it is about something else.
    pub fn learn(self, status: u16, body: &str, request: &SampleRequest) -> Option<Self> {
        if !matches!(status, 400 | 422) {
            return None;
        }
        if self.stream_options && body.contains("stream_options") {
            return Some(Self { stream_options: false, ..self });
        }
        let wants_other = !self.max_completion_tokens && body.contains("max_completion_tokens");
        (wants_other && request.max_tokens.is_some()).then_some(Self { max_completion_tokens: true, ..self })
    }
}

/// The seed of a candidate: those of one problem differ, or all would be the same.
pub fn seed(request: &SampleRequest, index: usize) -> Option<u64> {
    request.seed.map(|seed| seed.wrapping_add(index as u64))
}

/// The body of the request for candidate `index`.
pub fn body(request: &SampleRequest, index: usize, accepted: Accepted) -> Vec<u8> {
    let mut messages = Vec::new();
    if let Some(system) = &request.system {
        messages.push(json!({"role": "system", "content": system}));
    }
    messages.push(json!({"role": "user", "content": request.problem}));
    let mut body = json!({"model": request.model, "messages": messages, "stream": true});
    if accepted.stream_options {
        body["stream_options"] = json!({"include_usage": true});
    }
    let limit = if accepted.max_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
    let optional = [
        ("temperature", request.temperature.map(Value::from)),
        (limit, request.max_tokens.map(Value::from)),
        ("seed", seed(request, index).map(Value::from)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> SampleRequest {
        SampleRequest::new("m", "1 + 1?", 2)
    }

    fn sent(request: &SampleRequest, index: usize, accepted: Accepted) -> Value {
        serde_json::from_slice(&body(request, index, accepted)).unwrap()
    }

    #[test]
    fn what_is_not_said_is_not_sent() {
        let plain = sent(&request(), 0, Accepted { stream_options: false, max_completion_tokens: false });
        let expected =
            json!({"model": "m", "messages": [{"role": "user", "content": "1 + 1?"}], "stream": true});
        assert_eq!(plain, expected);
        let mut all = request();
        all.system = Some("Be brief.".to_owned());
        (all.temperature, all.max_tokens, all.seed) = (Some(0.7), Some(64), Some(u64::MAX));
        let body = sent(&all, 1, Accepted::default());
        assert_eq!(body["messages"][0], json!({"role": "system", "content": "Be brief."}));
        assert_eq!(
            (&body["temperature"], &body["max_tokens"], &body["seed"]),
            (&json!(0.7), &json!(64), &json!(0))
        );
        assert_eq!(body["stream_options"], json!({"include_usage": true}));
    }

    #[test]
    fn two_differences_are_learnt() {
        let mut request = request();
        let accepted = Accepted::default();
        let without = accepted.learn(422, "extra field: stream_options", &request).unwrap();
        assert!(!without.stream_options);
        assert_eq!(without.learn(422, "extra field: stream_options", &request), None);
        let unsupported = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.";
        assert_eq!(accepted.learn(400, unsupported, &request), None, "none was sent");
        request.max_tokens = Some(64);
        let other = accepted.learn(400, unsupported, &request).unwrap();
        assert_eq!(sent(&request, 0, other)["max_completion_tokens"], 64);
        assert_eq!(other.learn(400, unsupported, &request), None);
        assert_eq!(accepted.learn(500, "stream_options", &request), None);
    }
}
