//! Problems with options to choose from, and answers that are a letter.

use crate::reader::Reading;

/// Letters of options.
const LETTERS: &str = "ABCDEFGHIJ";

/// Whether a problem lists options: `A)`, `(A)`, `A.` or `A:`, at least A and B, in their order.
pub(super) fn has_options(problem: &str) -> bool {
    let mut from = 0;
    let mut found = 0;
    for letter in LETTERS.chars() {
        match option_at(problem, from, letter) {
            Some(end) => {
                from = end;
                found += 1;
            }
            None => break,
        }
    }
    found >= 2
}

/// Where the mark of option `letter` ends, at or behind `from`.
fn option_at(problem: &str, from: usize, letter: char) -> Option<usize> {
    for (at, _) in problem.get(from..)?.match_indices(letter) {
        let at = from + at;
        let before = problem[..at].chars().next_back();
        let rest = &problem[at + 1..];
        let is_bracketed = before == Some('(') && rest.starts_with(')');
        let starts = before.is_none_or(|c| c == '\n' || c == '\t' || c == ' ' || c == '*');
        let line = problem[..at].trim_end_matches([' ', '\t', '*', '-']);
        let at_line = line.is_empty() || line.ends_with('\n');
        // Within a line a stop may end a sentence, `vitamin A. `; a bracket hardly ever does.
        let is_mark = starts && (rest.starts_with(')') || at_line && rest.starts_with(['.', ':']))
            || is_bracketed
            || starts && rest.starts_with(". ") && problem[..at].ends_with("  ");
        if is_mark {
            return Some(at + 1);
        }
    }
    None
}

/// Whether a text is a choice letter and nothing else, and whether it is written as one.
pub(super) fn letter(text: &str) -> Option<bool> {
    let inner = text.trim().trim_matches(['*', '(', ')', '.', '[', ']', ':', '"', ' ', '$']);
    let mut chars = inner.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if LETTERS.contains(c.to_ascii_uppercase()) => {
            Some(c.is_ascii_uppercase() || text.contains(['(', ')', '.', '*']))
        }
        _ => None,
    }
}

/// Whether an answer is a letter of an option and nothing else.
pub(crate) fn is_letter(answer: &str) -> bool {
    letter(answer).is_some()
}

/// Whether a text is several choice letters and nothing else: `A, C, E`.
pub(super) fn letters(text: &str) -> bool {
    let parts: Vec<&str> = text
        .split([',', ' ', '.', ';', '&'])
        .filter(|part| !part.is_empty() && *part != "and" && *part != "or")
        .collect();
    parts.len() > 1 && parts.iter().all(|part| letter(part) == Some(true))
}

/// The letter that an answer among options chooses, where it is written otherwise: `b`, `(B)`, `Option B`, `B) because 4 < 5`.
pub(super) fn upper(answer: &str) -> Option<String> {
    if letter(answer).is_some() {
        let inner: String = answer.chars().filter(char::is_ascii_alphabetic).collect();
        let upper = inner.to_ascii_uppercase();
        return (upper != answer).then_some(upper);
    }
    let mut rest = answer.trim_start_matches(['(', '*', ' ']);
    let mut is_named = false;
    for word in ["option ", "Option ", "choice ", "Choice "] {
        if let Some(behind) = rest.strip_prefix(word) {
            (rest, is_named) = (behind, true);
        }
    }
    let rest = rest.trim_start_matches(['(', '*']);
    let chosen = rest.chars().next().filter(|c| LETTERS.contains(*c))?;
    let behind = rest[1..].trim_start_matches('*');
    let is_marked =
        behind.starts_with([')', ':']) || behind.starts_with(". ") || is_named && behind.is_empty();
    is_marked.then(|| chosen.to_string())
}

/// A reading with the letter that its answer chooses, if it chooses one.
pub(super) fn chosen(mut reading: Reading) -> Reading {
    if let Some(upper) = reading.answer.as_deref().and_then(upper) {
        reading.answer = Some(upper);
    }
    reading
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_where_they_are_listed() {
        for problem in [
            "Which is prime?\nA. 4\nB. 6\nC. 7",
            "Which is prime? (A) 4 (B) 6 (C) 7",
            "Which is prime?\nA) 4 B) 7",
            "Which?\n  A: red\n  B: blue",
            "**A.** one\n**B.** two",
        ] {
            assert!(has_options(problem), "{problem}");
        }
        for problem in [
            "Is vitamin A. or B. better?",
            "Points A and B lie on a line.",
            "Let f(A) = B.",
            "",
            "A. only one",
        ] {
            assert!(!has_options(problem), "{problem}");
        }
    }

    #[test]
    fn letters_alone() {
        assert_eq!(
            (letter("B"), letter("(b)"), letter("b"), letter("**C**.")),
            (Some(true), Some(true), Some(false), Some(true))
        );
        assert_eq!((letter("x"), letter("AB"), letter("")), (None, None, None));
        assert_eq!(
            (upper("a").as_deref(), upper("(b)").as_deref(), upper("A")),
            (Some("A"), Some("B"), None)
        );
    }
}
