//! When two answers are the same answer. Conservative: what cannot be shown equal is not equivalent.
//! Extraction of answers from long texts is not here (see `extract`), nor is voting.

use crate::math::plain::PlainNumber;
use std::collections::HashMap;

/// An answer, parsed once and compared many times.
#[derive(Clone, Debug)]
pub struct Answer {
    text: String,
    key: String,
}

impl Answer {
    /// Reads an answer. Never fails: what is not understood as mathematics is text.
    pub fn parse(text: &str) -> Answer {
        let key = match PlainNumber::parse(text) {
            Some(number) => format!("={}", number.canonical()),
            None => format!("t:{}", text.split_whitespace().collect::<Vec<_>>().join(" ")),
        };
        Answer { text: text.to_owned(), key }
    }

    /// The text as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A canonical form: answers with equal keys are equivalent (the converse does not hold).
    pub fn canonical_key(&self) -> &str {
        &self.key
    }
}

/// Whether two answers are the same answer. Symmetric and reflexive; unknown is `false`.
pub fn is_equivalent(a: &Answer, b: &Answer) -> bool {
    a.key == b.key
}

/// The equivalence class of each answer: `classes[i] == classes[j]` exactly when `i` and `j` are connected by a chain
/// of equivalent answers. Classes are numbered by first appearance; the partition does not depend on the order.
/// No all-pairs comparison: 10,000 distinct answers take well under two seconds.
pub fn equivalence_classes(answers: &[Answer]) -> Vec<usize> {
    let mut classes = HashMap::new();
    answers
        .iter()
        .map(|answer| {
            let next = classes.len();
            *classes.entry(answer.canonical_key()).or_insert(next)
        })
        .collect()
}
