//! Tier 5: the last value in a text that announces none: a formula, a number or a choice letter.

use super::{Scan, phrases, value};

/// How far from the end of the text a value is looked for, in bytes.
const WINDOW: usize = 4_096;

impl Scan {
    /// The last value of the text; a short text of one line may be one as a whole.
    pub(super) fn last_value(&mut self, text: &str) -> Option<String> {
        let window = &text[super::window_start(text, WINDOW)..];
        self.charge(window.len());
        let whole = text.trim();
        if whole.len() <= 8
            && let Some(letter) = value::choice_at(whole)
        {
            return Some(letter.to_string());
        }
        if whole.len() <= 200 && !whole.contains('\n') && is_bare_value(value::clean_answer(whole)) {
            return value::answer_of(whole);
        }
        last_in(window)
    }
}

/// Whether a text is nothing but a value: mathematics without words.
fn is_bare_value(text: &str) -> bool {
    let words = text
        .split(|c: char| !c.is_alphabetic() && c != '\\')
        .filter(|word| word.chars().count() > 1 && !word.starts_with('\\'));
    words.count() == 0
}

/// The last formula, number or marked choice letter of `text`, whichever stands last.
pub(super) fn last_in(text: &str) -> Option<String> {
    let mut last: Option<String> = None;
    let mut at = 0;
    let mut word = false; // whether the character before belongs to a word, so that no number starts here
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if !word
            && matches!(c, '$' | '\\')
            && let Some((inner, behind)) = phrases::math_span(rest)
        {
            // "for each $x$": a variable's name is no value.
            let is_name =
                |value: &String| value.len() == 1 && value.starts_with(|c: char| c.is_ascii_lowercase());
            last = formula_value(inner).filter(|value| !is_name(value)).or(last);
            at = text.len() - behind.len();
        } else if !word
            && matches!(c, '0'..='9' | '-' | '+' | '−' | '$' | '.')
            && let Some(number) = value::number_at(rest)
        {
            last = value::answer_of(number).or(last);
            at += number.len();
            word = true;
            continue;
        } else if !word
            && matches!(c, '(' | '*')
            && let Some(letter) = value::choice_at(rest)
        {
            last = Some(letter.to_string());
            at += 1;
        } else {
            at += c.len_utf8();
        }
        word = c.is_alphanumeric() || c == '_';
    }
    last
}

/// The value of a formula: what stands behind its last equals sign outside braces; all of it where it gives several.
fn formula_value(formula: &str) -> Option<String> {
    if [" or ", " and ", "\\lor", "\\land"].iter().any(|several| formula.contains(several)) {
        return value::answer_of(formula);
    }
    let mut depth = 0i32;
    let mut start = 0;
    for (at, byte) in formula.bytes().enumerate() {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            b'=' if depth == 0 => start = at + 1,
            _ => {}
        }
    }
    value::answer_of(&formula[start..])
}
