//! Short answers in words, compared as SQuAD compares them: in lower case, without punctuation and articles.
//!
//! The normal form is that of SQuAD's evaluation script (Rajpurkar et al., 2016).

use crate::letters::{lowercase, normal};
use crate::reader::{MAX_ANSWER_BYTES, NoAnswer, Reading, Tier, concluded, read, said_nothing};

/// Reads the answer in words of a text: what it announces as its answer, else all that it says in the end.
pub fn read_text(text: &str, truncated: bool) -> Reading {
    let form = normal(text);
    let (said, is_cut) = match concluded(&form, truncated) {
        Ok(conclusion) => conclusion,
        Err(reason) => return Reading::none(reason),
    };
    let announced = read(said, is_cut);
    if let Some(tier) = announced.found_by
        && !matches!(tier, Tier::Whole | Tier::Last)
    {
        return announced;
    }
    if let Some(reason) = said_nothing(said) {
        return Reading::none(reason);
    }
    if is_cut {
        return Reading::none(NoAnswer::Truncated);
    }
    // Longer than an answer can be.
    if said.len() > MAX_ANSWER_BYTES || text_key(said).is_empty() {
        return Reading::none(NoAnswer::NotFound);
    }
    Reading::found(said.trim_matches(['"', '“', '”', '*', ' ']), Tier::Whole)
}

/// What texts are compared by.
pub fn text_key(text: &str) -> String {
    let lower = lowercase(&normal(text));
    let is_letter = |c: char| c.is_alphanumeric() || matches!(c, '+' | '%' | '$' | '€' | '£');
    // An apostrophe, a comma in a number and a stop in an abbreviation are left out; other marks part words.
    let mut kept = String::with_capacity(lower.len());
    let mut signs = lower.chars().peekable();
    while let Some(c) = signs.next() {
        let is_in_number = kept.ends_with(|last: char| last.is_ascii_digit())
            && signs.peek().is_some_and(char::is_ascii_digit);
        match c {
            '.' if is_in_number => kept.push(c),
            '\'' | '’' | ',' | '.' => {}
            c if is_letter(c) => kept.push(c),
            _ => kept.push(' '),
        }
    }
    let words: Vec<&str> =
        kept.split_whitespace().filter(|word| !matches!(*word, "a" | "an" | "the")).collect();
    // `The` alone is more than nothing.
    if words.is_empty() { kept.split_whitespace().collect::<Vec<_>>().join(" ") } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_and_marks_do_not_count() {
        for (a, b) in [
            ("The Eiffel Tower", "eiffel tower."),
            ("U.S.A.", "usa"),
            ("an apple-pie", "Apple pie!"),
            ("1,000 men", "1000 men"),
            ("Ｐａｒｉｓ", "paris"),
        ] {
            assert_eq!(text_key(a), text_key(b));
        }
        assert_ne!(text_key("Paris"), text_key("Lyon"));
        assert_eq!(text_key("The"), "the");
        assert_ne!(text_key("3.5"), text_key("35"));
    }

    #[test]
    fn what_is_announced_is_the_answer() {
        let answer = |text: &str| read_text(text, false).answer;
        assert_eq!(answer("I think so.\nAnswer: Marie Curie").as_deref(), Some("Marie Curie"));
        assert_eq!(answer("Marie Curie.").as_deref(), Some("Marie Curie."));
        assert_eq!(answer("<think>Pierre?</think>Marie Curie").as_deref(), Some("Marie Curie"));
        assert_eq!(answer("I cannot answer this."), None);
        assert_eq!(read_text("Marie Cu", true).no_answer, Some(NoAnswer::Truncated));
    }
}
