//! The text around an answer: punctuation, mark-up, choice letters; and answers that are words.

use crate::letters::lowercase;
use crate::math::lexer::{Kind, Token};
use crate::math::parser;

/// Strips white space, mark-up and sentence punctuation that are no part of an answer.
pub(super) fn clean(text: &str) -> &str {
    let mut text = text;
    loop {
        let before = text.len();
        text = text.trim().trim_matches(['`', '"', '\u{201c}', '\u{201d}']);
        text = text.trim_end_matches(['.', ',', ';', ':', '。', '，']).trim_end();
        text = strip_wrapping(text, "**");
        if text.ends_with('\\') && !text.ends_with("\\\\") {
            text = &text[..text.len() - 1];
        }
        text = text.strip_suffix("\\\\").unwrap_or(text);
        if let Some(inside) = strip_dollars(text) {
            text = inside;
        }
        if text.len() == before {
            return choice_letter(text).unwrap_or(text);
        }
    }
}

/// A whole answer of digits grouped by blanks, `9 500`, without them.
pub(super) fn without_blanks(text: &str) -> Option<String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let mut groups = digits.split([' ', '\u{a0}', '\u{202f}']);
    let is_digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
    let lead =
        groups.next().filter(|lead| (1..=3).contains(&lead.len()) && is_digits(lead) && *lead != digits)?;
    groups.all(|group| group.len() == 3 && is_digits(group)).then(|| {
        let sign = &text[..text.len() - digits.len()];
        format!("{sign}{lead}{}", digits[lead.len()..].replace([' ', '\u{a0}', '\u{202f}'], ""))
    })
}

/// Undoes doubled backslashes (`\\\\frac`, from text that was escaped twice); `None` where there are none, or where they
/// may be the row breaks of a matrix.
pub(super) fn unescape(text: &str) -> Option<String> {
    let doubled = text
        .match_indices("\\\\")
        .any(|(at, _)| text[at + 2..].starts_with(|c: char| c.is_ascii_alphabetic()));
    (doubled && !text.contains("\\begin")).then(|| text.replace("\\\\", "\\"))
}

fn strip_wrapping<'a>(text: &'a str, mark: &str) -> &'a str {
    let text = text.strip_suffix(mark).unwrap_or(text);
    text.strip_prefix(mark).unwrap_or(text)
}

/// `$...$` with nothing but mathematics inside.
fn strip_dollars(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('$')?.strip_suffix('$')?;
    (!inside.contains('$')).then_some(inside)
}

/// `A)`, `(A`, `A:`: a choice letter with half a bracket.
fn choice_letter(text: &str) -> Option<&str> {
    let letter = text.strip_suffix(')').or_else(|| text.strip_prefix('('))?.trim();
    (letter.len() == 1 && letter.as_bytes()[0].is_ascii_uppercase()).then_some(letter)
}

/// The words of an answer that has nothing but words in it, in lower case; `None` for anything else.
pub(super) fn words_of(tokens: &[Token]) -> Option<String> {
    let mut words = String::new();
    let mut wordy = false;
    for token in tokens {
        let word = match &token.kind {
            Kind::Letters(word) => {
                wordy |= parser::is_word(word);
                word
            }
            Kind::Text(word) => {
                wordy |= word.len() > 1;
                word
            }
            Kind::And => "and",
            Kind::Symbol(',' | '-' | '\'' | ';') => continue,
            _ => return None,
        };
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    let mut words = lowercase(&words);
    words.retain(|c| c != '.' && c != '\'');
    wordy.then(|| words.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The text of an answer that is neither mathematics nor plain words, without spacing and sizing.
pub(super) fn plain_text(text: &str) -> String {
    let mut plain: String = text.chars().filter(|c| !c.is_whitespace() && *c != '$').collect();
    for command in ["\\left", "\\right", "\\!", "\\,", "\\;", "\\quad"] {
        if plain.contains(command) {
            plain = plain.replace(command, "");
        }
    }
    plain.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
}
