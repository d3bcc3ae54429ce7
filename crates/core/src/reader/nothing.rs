//! What is no answer: errors of APIs that were saved as texts, refusals, hedges, and blanks to be filled in.
//!
//! Phrases are looked for in small windows, and only where no answer is marked: "I'm sorry for the confusion. The answer is
//! 5." has one.

use super::NoAnswer;
use super::list::Phrases;
use crate::letters::lowercase;

/// Longer texts are not errors, whatever they say about errors.
const MOST_ERROR: usize = 4_000;

/// Whether a text is the message of a failed request.
pub(super) fn api_error(text: &str) -> Option<NoAnswer> {
    /// What only such messages say.
    #[rustfmt::skip]
    const SIGNS: &Phrases = &Phrases::new(&[
        "ratelimiterror", "rate limit reached", "rate limit exceeded", "rate_limit_exceeded",
        "rate_limit_error", "too many requests", "apiconnectionerror", "apitimeouterror", "apistatuserror",
        "internalservererror", "apierror", "badrequesterror", "authenticationerror",
        "permissiondeniederror", "notfounderror", "serviceunavailable", "service unavailable",
        "internal server error", "bad gateway", "gateway timeout", "gateway time-out", "overloaded_error",
        "overloadederror", "insufficient_quota", "exceeded your current quota", "quota exceeded",
        "resource_exhausted", "resourceexhausted", "context_length_exceeded", "maximum context length",
        "contextwindowexceeded", "invalid_api_key", "incorrect api key", "invalid api key",
        "invalid_request_error", "max retries exceeded", "connection error", "connection refused",
        "connection reset", "connection aborted", "connecttimeout", "readtimeout", "read timed out",
        "request timed out", "httpconnectionpool", "httpsconnectionpool", "httpstatuserror", "httperror",
        "remoteprotocolerror", "econnrefused", "econnreset", "etimedout", "enotfound",
        "upstream connect error", "traceback (most recent call last)", "the model is overloaded",
        "server is overloaded", "model_overloaded", "content_filter", "server_error", "cloudflare",
        "deadline_exceeded", "max retries", "content management policy",
        "content filtering policy", "error code", "overloaded (", "is currently overloaded", "status code",
    ]);
    /// How such messages begin.
    #[rustfmt::skip]
    const STARTS: &Phrases = &Phrases::new(&[
        "error code:", "error:", "[error]", "error -", "error ", "exception:", "litellm.", "openai.",
        "anthropic.", "google.api_core", "httpx.", "requests.exceptions", "aiohttp.", "urllib3.", "grpc.",
        "<!doctype html", "<html", "http error", "http/1.1 ", "api error", "request failed",
        "request timed out", "cuda out of memory", "cuda error", "torch.cuda.", "torch.outofmemory",
        "runtimeerror: cuda", "outofmemoryerror", "out of memory",
    ]);
    if text.len() > MOST_ERROR {
        return None;
    }
    let plain_of =
        |text| str::trim_start_matches(text, ['*', '`', '"', '\'', '(', '⚠', '❌', '\u{fe0f}', ' ', '\n']);
    let start = plain_of(text.trim());
    let begins = STARTS.begin(&lowercase(&start[..start.floor_char_boundary(32)]));
    // A long text is one only if it begins like one.
    if !begins && text.len() > 1_000 && !start.starts_with('{') {
        return None;
    }
    let lower = lowercase(text.trim());
    let plain = plain_of(&lower);
    let is_marked =
        || ["\\boxed{", "####", "<answer>", "answer is", "answer:"].iter().any(|mark| lower.contains(mark));
    // What only speaks of errors marks its answer.
    if !begins && text.len() > 200 && !plain.starts_with('{') && is_marked() {
        return None;
    }
    let signs = SIGNS.count_in(&lower);
    // `{"error": {"message": ...}}`
    let has_key = |key: &str| plain.contains(&format!("\"{key}\"")) || plain.contains(&format!("'{key}'"));
    let is_body = plain.starts_with('{')
        && !plain.contains("answer")
        && (has_key("error")
            || has_key("errors")
            || has_key("detail") && (has_key("status") || has_key("title") || !plain.contains(','))
            || has_key("message")
                && (has_key("code") || has_key("status") || has_key("statuscode") || has_key("type")));
    let has_status = |text: &str| {
        ["400", "401", "403", "404", "408", "413", "429", "500", "502", "503", "504", "529"]
            .iter()
            .any(|status| text.contains(status))
    };
    let is_short = text.len() <= 400;
    // `TypeError: ...` of the client's own program.
    let first_word = plain.split([':', '(', ' ']).next().unwrap_or_default();
    let is_class = first_word.len() > 5
        && (first_word.ends_with("error") || first_word.ends_with("exception"))
        && !first_word.contains(' ')
        && plain[first_word.len()..].starts_with([':', '(']);
    // "Error 5", "Error 5: timeout"
    let is_numbered = plain.strip_prefix("error ").is_some_and(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && (rest.len() == digits || rest[digits..].starts_with(':'))
    });
    let is_error = is_numbered
        || is_body
        || is_class
        || begins
            && (signs > 0
                || has_status(plain)
                || plain.starts_with('<')
                || is_short && !plain.starts_with("error "))
        || signs > 0 && is_short && !is_marked()
        || signs > 1 && !is_marked()
        || is_short && plain.starts_with("http ") && has_status(plain)
        || is_short && plain.starts_with("status") && has_status(plain) && plain.contains("code");
    (is_error && (begins || is_body || !is_marked())).then_some(NoAnswer::ApiError)
}

/// Whether a text without a marked answer says that its author cannot or will not answer.
pub(super) fn refusal(text: &str) -> Option<NoAnswer> {
    #[rustfmt::skip]
    const PHRASES: &Phrases = &Phrases::new(&[
        "i'm sorry", "i am sorry", "sorry, but", "sorry, i", "my apologies", "i apologize", "i apologise",
        "i cannot", "i can't", "i can not", "i couldn't", "i could not", "i'm unable", "i am unable",
        "i was unable", "i'm not able", "i am not able", "i won't", "i will not", "i'd rather not",
        "i must decline", "i have to decline", "as an ai", "as a language model", "i'm just an ai",
        "i don't know", "i do not know", "i dont know", "i'm not sure", "i am not sure", "i have no idea",
        "no idea", "i'm afraid", "i am afraid", "i give up", "unable to answer", "unable to provide",
        "unable to assist", "unable to help", "unable to solve", "cannot answer", "can't answer",
        "cannot assist", "cannot help", "can't help", "can't assist", "not comfortable",
        "against my guidelines", "violates our", "violates my", "need more information", "more information to answer", "not enough information",
        "does not contain the answer", "insufficient information", "% sure", "lo siento", "no puedo", "je suis désolé", "je ne peux pas",
        "es tut mir leid", "ich kann nicht", "ich kann das nicht", "desculpe", "não posso", "mi dispiace",
        "非常抱歉", "抱歉", "对不起", "извините", "я не могу", "申し訳", "죄송",
    ]);
    // The beginning says it; what stands far behind it was said of something else.
    let window = &text[..text.floor_char_boundary(400)];
    let mut lower = lowercase(window);
    if lower.contains('’') {
        lower = lower.replace('’', "'");
    }
    let words = lower.trim_start_matches(|c: char| !c.is_alphanumeric());
    let at_start = &words[..words.floor_char_boundary(160)];
    PHRASES.first_in(at_start, true).map(|_| NoAnswer::Refusal)
}

/// Whether an answer that was announced is none: bounds, alternatives, or words of doubt.
pub(super) fn hedge(answer: &str) -> Option<NoAnswer> {
    #[rustfmt::skip]
    const BOUNDS: &Phrases = &Phrases::new(&[
        "for now", "no wait", "no, wait", "i mean", "greater than", "more than", "less than", "fewer than",
        "larger than", "smaller than", "at least", "at most", "no more than", "no less than",
        "not more than", "not less than", "or more", "or less", "or fewer", "or greater",
        "in the range", "either", "or else", "or maybe", "or perhaps",
        "or possibly", "or so", "maybe", "perhaps", "might be", "may be", "could be", "possibly",
        "not sure", "unsure", "uncertain", "cannot be", "can't be", "is not", "isn't",
        "certainly not",
    ]);
    if answer.len() > 200 || !answer.contains(' ') {
        return None;
    }
    // Mathematics says what it means; only words hedge.
    if !super::whole::has_words(answer) {
        return None;
    }
    let lower = lowercase(answer);
    let words: String = lower.replace("\\text{", " ").replace(['}', '$'], " ");
    if !words.chars().any(|c| c.is_ascii_digit() || c.is_ascii_lowercase()) {
        return None;
    }
    let has_value =
        words.chars().any(|c| c.is_ascii_digit()) || words.split_whitespace().any(|word| word.len() == 1);
    let has_digit = |text: &str| text.chars().any(|c| c.is_ascii_digit());
    // "The angle between them": two values stand between "between" and its end.
    let is_between = words.split_once("between").is_some_and(|(_, rest)| {
        rest.split_once(" and ").is_some_and(|(low, high)| has_digit(low) && has_digit(high))
    });
    let starts = ["over ", "under ", "up to ", "somewhere ", "around "];
    let found = starts.iter().any(|phrase| words.trim_start().starts_with(phrase))
        || is_between
        || BOUNDS.first_in(&words, true).is_some();
    // "Not 10, it's 12" says what it is.
    let is_corrected = words.contains(" it's ") || words.contains(" it is ");
    let is_negated = words.trim_start().starts_with("not ") && !is_corrected;
    // `B or C`: one of several options was asked for.
    let mut parts = answer.split(" or ").map(|part| part.trim().trim_matches(['(', ')', '.', '*', '$']));
    let letters = answer.contains(" or ")
        && parts.all(|part| part.len() == 1 && part.bytes().all(|byte| byte.is_ascii_uppercase()));
    let found = found || is_negated || letters;
    // "Either" needs something to choose from; without a value these words may be the answer ("less than").
    (found && has_value).then_some(NoAnswer::Hedge)
}

/// Whether the last sentence of a text without a marked answer says no more than a bound or alternatives.
pub(super) fn hedge_at_end(text: &str) -> bool {
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '.' | '!' | '*'));
    let start = text.rfind(['\n', '.', '!', '?', ';']).map_or(0, |at| at + 1);
    let sentence = &text[start..];
    // "the final line gives 12, at least as far as I can see" is none; the value has to stand behind the bound.
    #[rustfmt::skip]
    const SIGNS: &Phrases = &Phrases::new(&[
        "somewhere", "around", "impossible to", "under", "nearly", "or more", "or fewer", "or less", "considered", "cannot be", "can't be", "is not", "isn't", "may be", "might be", "could be",
        "at least", "at most", "more than", "less than", "greater than", "fewer than", "either", "or else",
        "between", "not sure", "maybe", "perhaps", "i guess", "possibly",
    ]);
    if sentence.contains(['=', '\\', '$']) {
        return false;
    }
    let lower = lowercase(sentence);
    SIGNS.first_in(&lower, true).is_some_and(|(at, _)| lower[at..].chars().any(|c| c.is_ascii_digit()))
}

/// Whether an answer is a blank to be filled in.
pub(super) fn placeholder(answer: &str) -> Option<NoAnswer> {
    #[rustfmt::skip]
    const WORDS: &[&str] = &[
        "insert", "your", "the", "final", "answer", "answers", "here", "result", "value", "number",
        "numeric", "numerical", "integer", "letter", "option", "choice", "solution", "response", "of", "in",
        "goes", "put", "write", "fill", "enter", "correct", "a", "an", "only", "without", "quotes", "tbd",
        "todo", "na", "placeholder", "blank", "expression", "simplified", "exact", "boxed", "box", "and",
        "or", "as", "to", "provide", "place", "my", "is", "this", "type", "will", "be", "added", "later",
        "calculated", "computed", "question", "from", "between", "digits", "digit", "decimal", "places",
        "rounded", "nearest", "single", "null", "nil",
    ];
    const MOST: usize = 100;
    if answer.len() > MOST {
        return None;
    }
    let is_blank =
        |c: char| matches!(c, '_' | '.' | '?' | '-' | '…' | ' ' | '\\' | '□' | '▢' | '＿' | 'X' | 'x');
    let mut text = answer.trim();
    // Only marks: `____`, `???`, `[ ]`, `\ldots`.
    let marks = text.trim_matches(['[', ']', '(', ')', '{', '}', '<', '>', '$']);
    if !text.is_empty()
        && marks.chars().all(|c| is_blank(c) && !matches!(c, 'x' | 'X'))
        && !(marks.is_empty() && matches!(text, "{}" | "()" | "[]"))
        && text != "\\{\\}"
        && !text.chars().all(|c| c == '-')
        || matches!(
            text,
            "\\ldots" | "\\dots" | "\\cdots" | "\\square" | "\\Box" | "XXXX" | "xxx" | "[X]" | "[x]" | "None"
        )
    {
        return Some(NoAnswer::Placeholder);
    }
    // What is left to be told has words, or is `n/a`, and ends with one of a few words, or is a name behind a dollar.
    if !super::whole::has_words(text) && !text.contains('/') {
        return None;
    }
    let last = text.rsplit(|c: char| !c.is_alphabetic()).find(|word| !word.is_empty());
    if !text.contains('$') && !last.is_some_and(|word| WORDS.contains(&lowercase(word).as_str())) {
        return None;
    }
    let mut bracketed = false;
    for _ in 0..4 {
        let before = text;
        for (open, close) in [
            ("\\text{", "}"),
            ("\\textbf{", "}"),
            ("\\mathrm{", "}"),
            ("{{", "}}"),
            ("[", "]"),
            ("<", ">"),
            ("{", "}"),
            ("(", ")"),
            ("**", "**"),
            ("\"", "\""),
            ("'", "'"),
            ("_", "_"),
            ("`", "`"),
            ("«", "»"),
        ] {
            if let Some(inside) = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)) {
                bracketed |= matches!(open, "[" | "<" | "{" | "{{" | "(" | "«");
                text = inside.trim();
            }
        }
        text = text.trim_end_matches(['.', '!', '…', ':']).trim();
        if text == before {
            break;
        }
    }
    if let Some(name) = text.strip_prefix('$') {
        // `$ANSWER`, as prompts write it.
        if name.len() > 2 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            || matches!(name, "Answer" | "answer")
        {
            return Some(NoAnswer::Placeholder);
        }
    }
    #[rustfmt::skip]
    const KEYS: &[&str] = &[
        "answer", "answers", "result", "value", "number", "placeholder", "insert", "tbd", "todo",
        "solution", "letter", "integer", "na", "expression",
    ];
    let lower = lowercase(text).replace("n/a", "na").replace(['_', '-'], " ");
    let words: Vec<&str> = lower
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '/' | '(' | ')' | '[' | ']'))
        .filter(|word| !word.is_empty())
        .collect();
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let known = !words.is_empty() && words.iter().all(|word| WORDS.contains(word) || is_number(word));
    let keyed = words.iter().any(|word| KEYS.contains(word));
    let alone = matches!(
        lower.trim(),
        "answer"
            | "final answer"
            | "placeholder"
            | "tbd"
            | "todo"
            | "na"
            | "your answer"
            | "result"
            | "null"
            | "nil"
            | "nan"
    );
    let keyed = keyed || alone;
    let addressed = words.iter().any(|word| {
        matches!(*word, "insert" | "your" | "here" | "placeholder" | "goes" | "fill" | "enter" | "tbd")
    });
    (known && keyed && (bracketed || alone || addressed)).then_some(NoAnswer::Placeholder)
}

/// Whether a sentence tells somebody how to answer: an echo of the prompt.
pub(super) fn is_instruction(sentence: &str) -> bool {
    #[rustfmt::skip]
    const STARTS: &Phrases = &Phrases::new(&[
        "please answer", "please reason", "please put", "please provide", "please give", "please respond",
        "please solve", "please think", "please output", "please write", "answer with", "answer in",
        "answer using", "respond with", "provide your", "put your", "give your", "write your",
        "express your answer", "round your answer", "think step by step", "let's think step by step",
        "show your work", "your answer should",
    ]);
    let lower = lowercase(&sentence[..sentence.floor_char_boundary(60)]);
    let start = lower.trim_start_matches(|c: char| !c.is_alphanumeric());
    STARTS.begin(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_apis_are_told_from_texts_about_errors() {
        for text in [
            "Error code: 429 - Rate limit reached for requests. Please try again in 20s.",
            "litellm.RateLimitError: 429",
            "Request timed out. Retrying 5",
            r#"{"error": {"message": "The server had an error", "type": "server_error", "code": 500}}"#,
            "<html><head><title>502 Bad Gateway</title></head></html>",
            "HTTPSConnectionPool(host='api.example.com', port=443): Max retries exceeded",
            "anthropic.APIStatusError: 529 overloaded_error",
        ] {
            assert_eq!(api_error(text), Some(NoAnswer::ApiError), "{text}");
        }
        for text in [
            "The relative error is 5 percent.",
            "There is an error of 429 in the table. The answer is 12.",
            "The status code 404 means not found, so the answer is \\boxed{404}.",
            "42",
        ] {
            assert_eq!(api_error(text), None, "{text}");
        }
    }

    #[test]
    fn refusals_hedges_and_blanks_are_no_answers() {
        for text in
            ["I'm sorry, but I can't help with that.", "I don't know; it may be 7.", "抱歉，我无法回答。"]
        {
            assert!(refusal(text).is_some(), "{text}");
        }
        for text in ["no solution", "It cannot be determined.", "The sum is 5"] {
            assert!(refusal(text).is_none(), "{text}");
        }
        for text in
            ["greater than 12", "either 12 or 13", "94106 or else 94107", "between 10 and 12", "12 or so"]
        {
            assert!(hedge(text).is_some(), "{text}");
        }
        for text in ["12", "x > 3", "3 or -3", "less than", "x = 2 \\text{ or } x = 3", "the overtime of 5"] {
            assert!(hedge(text).is_none(), "{text}");
        }
        for text in [
            "[Insert your final answer here]",
            "<your answer>",
            "$ANSWER",
            "...",
            "____",
            "\\text{answer}",
            "[number]",
            "TBD",
        ] {
            assert!(placeholder(text).is_some(), "{text}");
        }
        for text in ["5", "x", "\\{\\}", "no solution", "(1, 2)", "the number of them", "[0, 1]", "-"] {
            assert!(placeholder(text).is_none(), "{text}");
        }
    }
}
