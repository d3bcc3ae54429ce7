//! What a server means that says no: a status and some words become one of the named failures.

use serde_json::Value;

use crate::endpoint::HttpUrl;
use crate::error::{ClientError, ErrorKind, quote};
use crate::secret::Secret;

/// Most bytes of a refusal that are read.
pub const MAX_REFUSAL: usize = 64 << 10;

/// Who was asked for what: what an error names.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Where.
    pub url: &'a HttpUrl,
    /// Which model.
    pub model: &'a str,
    /// What must not be quoted.
    pub key: Option<&'a Secret>,
}

/// The error of an answer with this status and body.
pub fn of_status(asked: Asked<'_>, status: u16, body: &str) -> ClientError {
    let json: Option<Value> = serde_json::from_str(body).ok();
    let words = json.as_ref().and_then(words_of).unwrap_or_else(|| page_as_words(body));
    let error = json.as_ref().map(|json| json.get("error").unwrap_or(json));
    let said = words.to_ascii_lowercase() + " " + &error.map(codes_of).unwrap_or_default();
    failure(asked, kind_of(status, &said), Some(status), &words)
}

/// The error that stands within an answer: an object with a `message`, or a text.
pub fn within_answer(asked: Asked<'_>, error: &Value) -> ClientError {
    let words = words_of(error).unwrap_or_else(|| error.to_string());
    let said = words.to_ascii_lowercase() + " " + &codes_of(error);
    let code = error.get("code").or_else(|| error.get("status"));
    let status = code.and_then(|code| match code {
        Value::String(text) => text.parse().ok(),
        code => code.as_u64().and_then(|code| u16::try_from(code).ok()),
    });
    let status = status.filter(|status| (400..600).contains(status));
    let kind = status.map_or(ErrorKind::Server, |status| kind_of(status, &said));
    failure(asked, kind, status, &words)
}

fn failure(asked: Asked<'_>, kind: ErrorKind, status: Option<u16>, words: &str) -> ClientError {
    let Asked { url, model, key } = asked;
    let model = quote(model, key);
    let what = match kind {
        ErrorKind::WrongKey if key.is_none() => format!("{url} wants a key"),
        ErrorKind::WrongKey => format!("{url} does not accept the key"),
        ErrorKind::NoSuchModel => format!("{url} does not have the model `{model}`"),
        ErrorKind::NotFound => format!("there are no chat completions at {url}"),
        ErrorKind::RateLimited => format!("{url} has had too many requests"),
        ErrorKind::NoCredit => format!("{url} wants to be paid"),
        ErrorKind::Server => format!("{url} failed"),
        _ => format!("{url} does not accept the request"),
    };
    let status = status.map_or(String::new(), |status| format!(" ({status})"));
    let words = match quote(words, key) {
        words if words.is_empty() => words,
        words => format!(", and says: \"{words}\""),
    };
    ClientError::new(kind, format!("{what}{status}{words}"))
}

fn kind_of(status: u16, said: &str) -> ErrorKind {
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let unknown_model = says(&["model_not_found", "invalid model", "unknown model", "no such model"])
        || (says(&["model"]) && says(&["not found", "does not exist", "not exist", "no endpoints found"]));
    match status {
        // Some gateways refuse a text that they do not like as others refuse a key.
        403 if says(&["moderation", "flagged", "content policy", "content_policy", "content_filter"]) => {
            ErrorKind::Rejected
        }
        401 | 403 => ErrorKind::WrongKey,
        402 => ErrorKind::NoCredit,
        400 | 404 | 422 if unknown_model => ErrorKind::NoSuchModel,
        300..=399 | 404 | 405 | 410 => ErrorKind::NotFound,
        429 if says(&["insufficient_quota", "insufficient balance", "exceeded your current quota"]) => {
            ErrorKind::NoCredit
        }
        429 => ErrorKind::RateLimited,
        408 => ErrorKind::Timeout,
        500.. => ErrorKind::Server,
        _ => ErrorKind::Rejected,
    }
}

/// The words of an error, in the shapes that servers give it.
fn words_of(json: &Value) -> Option<String> {
    let error = json.get("error").unwrap_or(json);
    let candidates = [error.get("message"), json.get("message"), json.get("detail"), Some(error)];
    candidates.into_iter().flatten().find_map(|value| value.as_str()).map(str::to_owned)
}

/// `code` and `type`, which name some errors better than the status does.
fn codes_of(error: &Value) -> String {
    let names = ["code", "type"].iter().filter_map(|field| error.get(field)?.as_str());
    names.map(str::to_ascii_lowercase).collect::<Vec<_>>().join(" ")
}

/// What is not JSON: the text, or nothing of a page made for a browser.
fn page_as_words(body: &str) -> String {
    if body.trim_start().starts_with('<') { "a page of HTML".to_owned() } else { body.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-1234567890abcdef";

    fn check(status: u16, body: &str, kind: ErrorKind, part: &str) {
        let url = HttpUrl::parse("https://host/v1/chat/completions").unwrap();
        let key = Secret::new(KEY).unwrap();
        let error = of_status(Asked { url: &url, model: "m", key: Some(&key) }, status, body);
        assert_eq!(error.kind(), kind, "{status} {body}: {error}");
        assert!(error.to_string().contains(part), "{status} {body}: {error}");
        assert!(!error.to_string().contains(KEY), "{error}");
    }

    #[test]
    fn refusals_are_named() {
        use ErrorKind::*;
        check(
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-1234567890abcdef."}}"#,
            WrongKey,
            "[key].",
        );
        check(403, "Forbidden", WrongKey, "says: \"Forbidden\"");
        check(403, r#"{"error":{"message":"Your input was flagged"}}"#, Rejected, "was flagged");
        check(
            404,
            r#"{"error":{"message":"The model `m` does not exist","code":"model_not_found"}}"#,
            NoSuchModel,
            "`m`",
        );
        check(404, r#"{"error":"model 'm' not found, try pulling it first"}"#, NoSuchModel, "pulling");
        check(
            400,
            r#"{"error":{"message":"Invalid model name passed in model=m","code":"400"}}"#,
            NoSuchModel,
            "m",
        );
        check(404, "404 page not found", NotFound, "most end in /v1");
        check(404, r#"{"detail":"Not Found"}"#, NotFound, "Not Found");
        check(307, "", NotFound, "(307)");
        check(405, "<html><body>x", NotFound, "a page of HTML");
        check(402, r#"{"error":{"message":"Insufficient Balance"}}"#, NoCredit, "Balance");
        check(429, r#"{"error":{"message":"slow down"}}"#, RateLimited, "slow down");
        check(429, r#"{"error":{"message":"x","code":"insufficient_quota"}}"#, NoCredit, "credit");
        check(400, r#"{"error":{"message":"temperature too high"}}"#, Rejected, "temperature too high");
        check(422, r#"{"message":"extra field"}"#, Rejected, "extra field");
        check(500, "\u{1b}[31mboom\u{1b}[0m", Server, "[31mboom");
        check(503, "", Server, "(503)");
        check(200, "{}", Rejected, "(200)");
    }

    #[test]
    fn errors_within_answers_are_named() {
        let url = HttpUrl::parse("https://host/v1/chat/completions").unwrap();
        let asked = Asked { url: &url, model: "m", key: None };
        for (error, kind, part) in [
            (r#"{"message":"overloaded","type":"server_error"}"#, ErrorKind::Server, "overloaded"),
            (r#"{"message":"later","code":429}"#, ErrorKind::RateLimited, "(429)"),
            (r#"{"message":"bad","code":"401"}"#, ErrorKind::WrongKey, "wants a key"),
            (r#""out of memory""#, ErrorKind::Server, "out of memory"),
            (r#"{"odd":[1]}"#, ErrorKind::Server, "odd"),
        ] {
            let found = within_answer(asked, &serde_json::from_str(error).unwrap());
            assert!(found.kind() == kind && found.to_string().contains(part), "{error}: {found}");
        }
    }
}
