//! What the tiers share: taking the wrappers off an answer, and telling numbers and choice letters in running text.

use super::MAX_ANSWER_BYTES;
use crate::letters::lowercase;

/// `text` without what only presents an answer: blanks, `$...$`, `\(...\)`, `**...**`, quotes, backticks, a final stop.
/// What belongs to the value (`\text{}`, units, braces) stays.
pub fn clean_answer(text: &str) -> &str {
    /// Real answers wear two or three wrappers; the bound keeps hostile ones linear.
    const MOST_ROUNDS: usize = 16;
    let mut text = text;
    for _ in 0..MOST_ROUNDS {
        let mut next = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{200B}' | '\u{FEFF}'));
        // "0.333..." keeps its dots: they say that it goes on.
        if !next.ends_with("...") {
            next = next.trim_end_matches(['.', ';', ',', '。']);
        }
        for (open, close) in WRAPPERS {
            let inner = next.strip_prefix(open).and_then(|inner| inner.strip_suffix(close));
            if let Some(inner) = inner
                && !inner.contains(open)
            {
                next = inner;
            }
        }
        next = unmatched_ends(next);
        if next.len() == text.len() {
            break;
        }
        text = next;
    }
    text
}

const WRAPPERS: [(&str, &str); 10] = [
    ("$$", "$$"),
    ("$", "$"),
    ("\\(", "\\)"),
    ("\\[", "\\]"),
    ("**", "**"),
    ("__", "__"),
    ("`", "`"),
    ("\"", "\""),
    ("“", "”"),
    ("'", "'"),
];

/// `text` without a mark at an end whose partner is missing.
fn unmatched_ends(text: &str) -> &str {
    let mut text = text;
    if text.ends_with('$') && !text.ends_with("\\$") && text.matches('$').count() % 2 == 1 {
        text = &text[..text.len() - 1];
    }
    for (open, close) in [("\\(", "\\)"), ("\\[", "\\]")] {
        if text.ends_with(close) && !text.contains(open) {
            text = &text[..text.len() - close.len()];
        }
        if text.starts_with(open) && !text.contains(close) {
            text = &text[open.len()..];
        }
    }
    if text.matches('"').count() == 1 && !text.contains('\'') {
        // Of a string cut out of JSON; feet and inches keep theirs.
        text = text.strip_suffix('"').or_else(|| text.strip_prefix('"')).unwrap_or(text);
    }
    for mark in ["**", "__"] {
        if text.matches(mark).count() == 1 {
            text = text.strip_prefix(mark).or_else(|| text.strip_suffix(mark)).unwrap_or(text);
        }
    }
    text
}

/// The cleaned answer, or none where nothing of substance is left.
pub(super) fn answer_of(raw: &str) -> Option<String> {
    // Cleaning counts marks, so what is too long anyway is refused first.
    if raw.len() > 2 * MAX_ANSWER_BYTES {
        return None;
    }
    // "\b" and "\f" that some reader took for JSON escapes: the characters themselves occur in no answer.
    if raw.contains(['\u{8}', '\u{C}']) {
        return answer_of(&raw.replace('\u{8}', "\\b").replace('\u{C}', "\\f"));
    }
    let text = clean_answer(raw);
    let blank =
        text.chars().all(|c| c.is_whitespace() || c.is_ascii_punctuation() || c == '…' || c.is_control());
    if (blank && text != "\\{\\}") || text.len() > MAX_ANSWER_BYTES {
        return None;
    }
    Some(text.to_string())
}

/// The value in an answer written out in words: the number of a sentence with exactly one, "Sally has 9 books."; the last
/// value of the last sentence of a longer text, "The goats cost $1500. ... The total is $4500.".
pub(super) fn value_in_prose(text: &str) -> Option<String> {
    computed_in_words(text).or_else(|| sentence_value(text))
}

/// The result of a computation written out with words or money, "43 (his age) + 7 = 50", "3 bags * $5/bag = $15": the
/// number behind the last equals sign. An equation in variables is no computation.
fn computed_in_words(text: &str) -> Option<String> {
    let (left, right) = text.rsplit_once('=')?;
    let mut runs = left.split(|c: char| !c.is_alphabetic() && c != '\'').filter(|run| !run.is_empty());
    let has_variable = runs.clone().any(|run| run.chars().count() == 1 && run != "x");
    let has_words = runs.any(|run| run.len() > 2) || left.contains('$');
    let is_computed = left.contains(|c: char| c.is_ascii_digit()) && !text.contains(['\\', '^', '<', '>']);
    if has_variable || !has_words || !is_computed {
        return None;
    }
    let right = right.trim();
    let number = number_at(right)?;
    right[number.len()..]
        .chars()
        .all(|c| c.is_alphabetic() || matches!(c, ' ' | '.'))
        .then(|| answer_of(number))?
}

fn sentence_value(text: &str) -> Option<String> {
    const LONG: usize = 12; // words
    let mut words = text.split_whitespace();
    let starts_with_word = words.next()?.chars().filter(|c| c.is_alphabetic()).nth(1).is_some();
    if text.starts_with('\\') || !starts_with_word || words.nth(1).is_none() {
        return None;
    }
    if words.nth(LONG).is_some() {
        let text = text.trim_end_matches(|c: char| c.is_whitespace() || c == '.');
        return super::last::last_in(&text[text.rfind(". ").map_or(0, |at| at + 2)..]);
    }
    if text.contains(['\\', '=', '^', '{', '(', '[', '<', '>', '/', '*', '+', '|', '_']) {
        return None;
    }
    // "not 5" is no 5.
    let negated = |word: &str| {
        ["not", "no", "none", "never", "neither", "cannot", "nor"].contains(&word) || word.ends_with("n't")
    };
    if text.split(|c: char| !c.is_alphabetic() && c != '\'').any(|word| negated(&lowercase(word))) {
        return None;
    }
    let mut number = None;
    let mut at = 0;
    let mut in_word = false;
    while let Some(c) = text[at..].chars().next() {
        let found = if in_word { None } else { number_at(&text[at..]) };
        if found.is_some() && number.is_some() {
            return None;
        }
        at += found.map_or(c.len_utf8(), str::len);
        in_word = found.is_some() || c.is_alphanumeric();
        number = number.or(found);
    }
    answer_of(number?)
}

/// The number that `text` begins with: sign, currency sign, thousands separators, decimals, `a/b`, a percent sign.
pub(super) fn number_at(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut at = 0;
    if matches!(bytes.first(), Some(b'-' | b'+')) {
        at += 1;
    } else if text.starts_with('−') {
        at += '−'.len_utf8();
    }
    if bytes.get(at) == Some(&b'\\') && bytes.get(at + 1) == Some(&b'$') {
        at += 2;
    } else if bytes.get(at) == Some(&b'$') {
        at += 1;
    }
    let digits =
        |from: usize| bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(at);
    at += whole;
    while whole > 0 && whole <= 3 && bytes.get(at) == Some(&b',') && digits(at + 1) == 3 {
        at += 4;
    }
    let fraction = if bytes.get(at) == Some(&b'.') { digits(at + 1) } else { 0 };
    if whole + fraction == 0 {
        return None;
    }
    if fraction > 0 {
        at += 1 + fraction;
    }
    if bytes.get(at) == Some(&b'/') && digits(at + 1) > 0 {
        at += 1 + digits(at + 1);
    }
    if bytes.get(at) == Some(&b'%') {
        at += 1;
    } else if bytes[at..].starts_with(b"\\%") {
        at += 2;
    }
    Some(&text[..at])
}

/// The choice letter that `text` begins with: `(C)`, `C)`, `C.`, `C:`, `**C**`, `\text{(C)}`, or `C` alone.
pub(super) fn choice_at(text: &str) -> Option<char> {
    let mut rest =
        text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_' | '`' | '"' | '$'));
    for prefix in ["\\boxed{", "\\text{", "\\textbf{", "\\mathrm{", "\\mathbf{"] {
        rest = rest.strip_prefix(prefix).unwrap_or(rest);
    }
    let open = rest.starts_with(['(', '[']);
    let rest = if open { &rest[1..] } else { rest };
    let mut chars = rest.chars();
    let letter = chars.next().filter(char::is_ascii_uppercase)?;
    let rest = chars.as_str();
    let marked = rest.starts_with([')', ']', '*']);
    if open {
        return marked.then_some(letter);
    }
    let ends = rest.is_empty() || rest.starts_with([')', '*', '}', '`', '"', '\n', '\r', '$']);
    let stops = rest.starts_with(['.', ':', ',', ';'])
        && rest[1..].chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, '*' | '<'));
    (ends || stops).then_some(letter)
}
