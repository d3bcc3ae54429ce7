//! The value behind an announcement: what stands between the two, where the value ends, and what is none.

use super::phrases::is_labelled;
use super::{NoAnswer, prose, value};
use crate::letters::lowercase;

/// How a sentence about an answer goes on that does not give it.
#[rustfmt::skip]
const ABOUT: &[&str] = &[
    "reasonable", "correct", "consistent", "valid", "verified", "confirmed", "right", "clear", "obvious", "found", "shown", "obtained",
    "below", "above", "wrong", "incorrect", "accurate", "supported", "therefore", "also", "rounded", "expected",
];

/// Words between an announcement and its value that say nothing of it.
#[rustfmt::skip]
pub(super) const FILLERS: &[&str] = &[
    "a ", "o ", "la ", "el ", "le ", "les ", "die ", "der ", "das ", "a letra ", "letra ", "lettera ",
    "the option ", "the letter ", "option", "вариант ", "选择", "que ", "option ", "choice ", "letter ",
    "approximately ", "about ", "roughly ", "equal to ", "simply ", "therefore ", "just ", "exactly ",
    "therefore, ", "thus ", "given by ", "as follows: ", "clearly ", "indeed ", "actually ", "precisely ",
    "i guess it must be ", "opción ", "选项", "选", "igual a ", "égale à ", "gleich ",
    "probably ", "definitely ", "about",
];

/// The value that stands at the start of `rest`: on its line, or where nothing does, on the next that is not blank.
pub(super) fn announced_value(rest: &str, is_line: bool, nothing: &mut Option<NoAnswer>) -> Option<String> {
    let is_decoration = |c: char| {
        c.is_whitespace() || matches!(c, '*' | '_' | ':' | '：' | '#' | '`' | '}' | '】' | '>' | '"' | '“')
    };
    let is_heading = rest.lines().next().is_none_or(|line| {
        line.trim_matches(|c: char| is_decoration(c) || matches!(c, '\\' | ']' | ')')).is_empty()
    });
    let mut rest = rest;
    loop {
        let next = rest.trim_start_matches(is_decoration);
        // A bracket that the label was in, `\[ \text{ANSWER:} \] 5`; rules between a heading and its value.
        let next =
            ["\\]", "\\)", "\\quad", "\\;", "\\,", "---", "\\ ", "</b>", "</strong>", "\\Large", "\\large"]
                .iter()
                .find_map(|mark| next.strip_prefix(mark))
                .unwrap_or(next);
        if next.len() == rest.len() {
            break;
        }
        rest = next;
    }
    let rest = &rest[..rest.floor_char_boundary(super::MAX_ANSWER_BYTES)];
    if is_heading && is_labelled(rest.lines().next()?) {
        return None; // the next line speaks for itself
    }
    let filler = |rest: &str| {
        FILLERS
            .iter()
            .find(|filler| rest.get(..filler.len()).is_some_and(|start| start.eq_ignore_ascii_case(filler)))
            .map(|filler| filler.len())
    };
    let mut rest = rest;
    for _ in 0..2 {
        let Some(length) = filler(rest) else { break };
        let next = rest[length..].trim_start();
        // "a B" is the letter with its article, "a score" is none.
        if matches!(rest[..length].trim(), "a" | "o" | "A" | "O") && value::choice_at(next).is_none() {
            break;
        }
        rest = next;
    }
    if let Some(letter) = value::choice_at(rest) {
        return Some(letter.to_string());
    }
    if let Some((inner, behind)) = math_span(rest) {
        let more = behind.trim_start();
        let goes_on =
            [", $", ", \\(", "and $", "and \\(", "or $", "or \\(", ", and $", ", and \\(", ", or $"]
                .iter()
                .any(|next| more.starts_with(next));
        if !goes_on {
            return value::label_stripped(inner).or_else(|| value::answer_of(inner));
        }
    }
    let line = rest.lines().next()?;
    // Mathematics over several lines.
    if line.starts_with("\\begin{")
        && let Some(end) = rest.find("\\end{")
        && let Some(close) = rest[end..].find('}')
    {
        return value::answer_of(&rest[..end + close + 1]);
    }
    // "5? No, that is wrong."
    let asked = line.find('?').is_some_and(|at| at < sentence(line).len());
    if asked {
        return None;
    }
    let (sentence, was_cut) = value::cut(sentence(line));
    // "The answer is reasonable": about the answer, and none.
    let first = sentence.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    if ABOUT.contains(&lowercase(first).as_str()) {
        return None;
    }
    // "(or 8 if 0 counts)"
    if was_cut && line[sentence.len()..].trim_start().starts_with("(or ") {
        *nothing = nothing.or(Some(NoAnswer::Hedge));
        return None;
    }
    if let Some(reason) = super::nothing::hedge(sentence) {
        *nothing = nothing.or(Some(reason));
        return None;
    }
    let value = sentence_value(sentence, is_line)?;
    // A sentence about the answer that has no value in it: "The answer is an integer, as required".
    (!was_cut || prose::has_value(&value) || value.split_whitespace().nth(3).is_none()).then_some(value)
}

/// The mathematics that `text` begins with, and what stands behind it.
pub(super) fn math_span(text: &str) -> Option<(&str, &str)> {
    for (open, close) in [("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$")] {
        if let Some(rest) = text.strip_prefix(open) {
            let end = rest.find(close)?;
            let inner = &rest[..end];
            // "$85 or $90": dollars, not mathematics.
            let dollars = open == "$" && (inner.ends_with(' ') || inner.contains('\n'));
            return (!dollars && !inner.trim().is_empty()).then(|| (inner, &rest[end + close.len()..]));
        }
    }
    None
}

/// `line` up to the end of its first sentence.
fn sentence(line: &str) -> &str {
    let ends = [". ", "! ", "。", "।", "۔", ".**", "; "];
    let end = ends
        .iter()
        .filter_map(|end| super::first(line, end).filter(|at| *at > 0))
        .min()
        .unwrap_or(line.len());
    &line[..end]
}

/// The value in a sentence that was announced as the answer.
fn sentence_value(sentence: &str, is_line: bool) -> Option<String> {
    let sentence =
        sentence.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '.' | '*' | '!' | '。' | '।'));
    let reason = [
        " because",
        " since ",
        " which ",
        " as ",
        ", so ",
        " (because",
        " and not ",
        " rather than ",
        ", not ",
        " instead of ",
        ", where ",
        ", when ",
        " if we ",
        " denn ",
        " porque ",
        " parce ",
        " weil ",
        ", denn ",
        " after ",
        " assuming ",
        ", а не ",
        ", nicht ",
        ", no ",
        ", pas ",
        ", não ",
        " und nicht ",
        ", e não",
        ", y no ",
        ", et non",
        " no, wait",
        ", no wait",
        "，而不是",
        "，不是",
    ];
    let end = reason.iter().filter_map(|word| super::first(sentence, word)).min().unwrap_or(sentence.len());
    let sentence = &sentence[..end];
    if let Some(letter) = value::choice_at(sentence) {
        return Some(letter.to_string());
    }
    let words = sentence.split_whitespace().count();
    if let Some(number) = prose::number_before_words(sentence) {
        return value::answer_of(number);
    }
    if let Some(number) = value::number_at(sentence) {
        let behind = &sentence[number.len()..];
        let unit = behind.trim();
        let is_words = !unit.is_empty()
            && unit.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '\'' | '-' | ','));
        if is_words && behind.starts_with(' ') && words > 4 {
            return value::answer_of(number);
        }
    }
    const MOST_WORDS: usize = 12;
    // A sentence around formulas: "the magnitude of $z$ is $16$".
    let plain = sentence.split_whitespace().filter(|word| word.chars().all(char::is_alphabetic)).count();
    let has_formula = sentence.contains(['$', '\\']) && plain > 2 && !sentence.starts_with(['$', '\\']);
    let is_wide = sentence.starts_with(|c: char| c >= '\u{2e80}')
        && sentence.contains(|c: char| c == '\\' || c.is_ascii_digit());
    if words > MOST_WORDS || has_formula || is_wide {
        return super::last::last_in(sentence);
    }
    if let Some(value) = prose::value_in_prose(sentence) {
        return Some(value);
    }
    // Prose without a value is no answer, save for short ones and for what says that there is none.
    let value = value::answer_of(sentence)?;
    let is_math = value.contains(['\\', '=', '<', '>', '^', '{', '$', '≤', '≥']) || prose::has_value(&value);
    let is_short = words <= if is_line { 6 } else { 4 };
    (is_math || is_short || prose::denies(&value)).then_some(value)
}
