//! Values in sentences: "Sally has 9 books.", "43 (his age) + 7 = 50", "18입니다".

use super::value::{answer_of, number_at};
use crate::letters::lowercase;

/// Whether there is a number, a letter by itself or a formula in a text.
pub(super) fn has_value(text: &str) -> bool {
    text.contains('\\')
        || text.chars().any(|c| c.is_ascii_digit())
        || text.chars().count() <= 2
        || text
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| word.chars().count() == 1 && word != "a" && word != "I" && word != "s")
}

/// Whether words say that there is no such thing: that is an answer, however long.
pub(super) fn denies(text: &str) -> bool {
    let lower = lowercase(text);
    let mut words = lower.split(|c: char| !c.is_alphabetic());
    text.split_whitespace().nth(9).is_none()
        && words.any(|word| {
            matches!(
                word,
                "no" | "none"
                    | "not"
                    | "never"
                    | "cannot"
                    | "impossible"
                    | "undefined"
                    | "infinitely"
                    | "does"
                    | "all"
                    | "both"
                    | "neither"
                    | "yes"
            )
        })
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

/// A number with letters of a script without blanks right behind it, "18입니다", "18です", "18元": the number.
pub(super) fn number_before_words(text: &str) -> Option<&str> {
    let number = number_at(text)?;
    let behind = text[number.len()..].trim_start();
    let is_wide = behind.starts_with(|c: char| c >= '\u{900}' && c.is_alphabetic());
    is_wide.then_some(number)
}
