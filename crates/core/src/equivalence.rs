//! When two answers are the same answer. Conservative: what cannot be shown equal is not equivalent.
//!
//! The tiers, each tried only where the one before does not decide (docs/equivalence.md has the policies):
//! 1. the same text;
//! 2. the same plain number (128-bit rationals, no parser);
//! 3. the same canonical form: exact arithmetic over rationals, roots, π, e, i and variables, and structures
//!    (lists, intervals, matrices, equations, units, ...) built from such forms;
//! 4. the same value at several fixed points to 22 digits (31-digit arithmetic with error bounds).
//!
//! Extraction of answers from long texts is not here (see `extract`), nor is voting.

mod chain;
mod classes;
mod clean;
mod compare;
mod units;
mod value;

use crate::math::budget::Budget;
use crate::math::lexer;
use crate::math::node::Node;
use crate::math::parser;
use crate::math::plain::PlainNumber;
pub use classes::Bucket;
use value::{Scalar, Value};

/// Longer answers are compared as text: nobody writes them as mathematics, and parsing them buys nothing.
const MAX_LENGTH: usize = 2_000;

/// An answer, parsed once and compared many times.
#[derive(Clone, Debug)]
pub struct Answer {
    text: String,
    key: String,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Plain(PlainNumber),
    Value(Box<Value>),
    Text,
}

impl Answer {
    /// Reads an answer. Never fails: what is not understood as mathematics is text.
    pub fn parse(text: &str) -> Answer {
        Self::parse_within(text, &mut Budget::default())
    }

    /// Reads an answer within a budget; once it is spent, the answer is text.
    pub fn parse_within(text: &str, budget: &mut Budget) -> Answer {
        let text = text.to_owned();
        if let Some(number) = PlainNumber::parse(&text) {
            return Answer { text, key: number.canonical(), content: Content::Plain(number) };
        }
        if text.len() > MAX_LENGTH {
            let key = format!("t:{}", text.trim());
            return Answer { text, key, content: Content::Text };
        }
        let cleaned = clean::clean(&text);
        if let Some(number) = PlainNumber::parse(cleaned) {
            return Answer { key: number.canonical(), content: Content::Plain(number), text };
        }
        let unescaped = clean::without_blanks(cleaned).or_else(|| clean::unescape(cleaned));
        let cleaned = unescaped.as_deref().unwrap_or(cleaned);
        match meaning(cleaned, budget) {
            Some(Value::Text(words)) => Answer { key: format!("t:{words}"), content: Content::Text, text },
            Some(value) => Answer { key: value.key(), content: Content::Value(Box::new(value)), text },
            None => Answer { key: format!("t:{}", clean::plain_text(cleaned)), content: Content::Text, text },
        }
    }

    /// The text as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether nothing but text could be made of it: words, or something that is no mathematics we know.
    pub fn is_text(&self) -> bool {
        matches!(self.content, Content::Text)
    }

    /// A canonical form: answers with equal keys are equivalent (the converse does not hold).
    pub fn canonical_key(&self) -> &str {
        &self.key
    }

    /// Coarse fingerprints: equivalent answers with different keys share at least one of them.
    pub fn buckets(&self) -> Vec<Bucket> {
        classes::buckets(self)
    }
}

fn meaning(text: &str, budget: &mut Budget) -> Option<Value> {
    let tokens = lexer::tokenize(text, budget)?;
    if let Some(words) = clean::words_of(&tokens) {
        return Some(Value::Text(words));
    }
    let node = parser::parse_tokens(tokens, budget).ok()?;
    Value::of(node, budget)
}

/// Whether two answers are the same answer. Symmetric and reflexive; unknown is `false`.
pub fn is_equivalent(a: &Answer, b: &Answer) -> bool {
    is_equivalent_within(a, b, &mut Budget::default())
}

/// [`is_equivalent`] within a budget; once it is spent, the answers are not equivalent.
pub fn is_equivalent_within(a: &Answer, b: &Answer, budget: &mut Budget) -> bool {
    if a.key == b.key || a.text == b.text {
        return true;
    }
    // In a fixed order, so that matching items of lists cannot make it matter which comes first.
    let (a, b) = if (&a.key, &a.text) <= (&b.key, &b.text) { (a, b) } else { (b, a) };
    match (&a.content, &b.content) {
        (Content::Text, _) | (_, Content::Text) | (Content::Plain(_), Content::Plain(_)) => false,
        (Content::Value(a), Content::Value(b)) => compare::same(a, b, budget),
        (Content::Plain(number), Content::Value(value)) => {
            compare::same(&of_plain(number, budget), value, budget)
        }
        (Content::Value(value), Content::Plain(number)) => {
            compare::same(value, &of_plain(number, budget), budget)
        }
    }
}

fn of_plain(number: &PlainNumber, budget: &mut Budget) -> Value {
    let value = num_rational::BigRational::new(number.numerator.into(), number.denominator.into());
    Value::Scalar(Scalar::new(Node::Number(value), budget))
}

/// The equivalence class of each answer: `classes[i] == classes[j]` exactly when `i` and `j` are connected by a chain
/// of equivalent answers (so `12 cm`, `12` and `12 m` are one class when all three occur, though the first and the
/// last are not equivalent). Classes are numbered by first appearance; the partition does not depend on the order.
/// Answers are first joined by key, then compared within shared buckets ([`Answer::buckets`]): 10,000 distinct answers
/// take well under two seconds.
pub fn equivalence_classes(answers: &[Answer]) -> Vec<usize> {
    classes::classes(answers).0
}
