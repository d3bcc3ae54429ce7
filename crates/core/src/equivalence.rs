//! When two answers are the same answer. Conservative: what cannot be shown equal is not equivalent.
//!
//! The tiers, each tried only where the one before does not decide (docs/equivalence.md has the policies):
//! 1. the same text;
//! 2. the same plain number (128-bit rationals, no parser);
//! 3. the same canonical form: exact arithmetic over rationals, roots, π, e, i and variables, and structures
//!    (lists, intervals, matrices, equations, units, ...) built from such forms;
//! 4. sampled: the same value at fixed points, on both sides of every branch, to 22 digits (31-digit arithmetic with error
//!    bounds).
//!
//! A verdict has three values: [`Verdict::Unknown`] is neither the same nor different, and never joins two answers.
//! Finding answers in long texts is not here (see `reader`), nor is voting.

mod chain;
mod classes;
mod clean;
mod compare;
pub(crate) mod time;
mod value;

use crate::math::budget::Budget;
use crate::math::lexer;
use crate::math::node::{Node, Shape};
use crate::math::number::{BigInt, BigRational};
use crate::math::parser;
use crate::math::plain::PlainNumber;
pub use crate::math::verdict::Verdict;
use crate::reader::Tier;
pub use classes::{Bucket, Classes};
use std::borrow::Cow;
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

/// How an answer was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// As a reference, or by itself.
    Plain,
    /// In a box or on an answer line.
    Announced,
}

impl Answer {
    /// Reads an answer. Never fails: what is not understood as mathematics is text.
    pub fn parse(text: &str) -> Answer {
        Self::read(text, Given::Plain, &mut Budget::default())
    }

    /// Reads an answer that was announced as one, in a box or on an answer line: there an equation whose left side is a sum
    /// or quotient of bare names says what they come to, so that `m+n=293` is 293 too.
    pub fn announced(text: &str) -> Answer {
        Self::read(text, Given::Announced, &mut Budget::default())
    }

    /// Reads an answer by how it was found.
    pub(crate) fn found_by(text: &str, tier: Option<Tier>) -> Answer {
        match tier {
            Some(Tier::AnswerTag | Tier::Line | Tier::Boxed | Tier::Json | Tier::Phrase) => {
                Self::announced(text)
            }
            Some(Tier::Whole | Tier::Last) | None => Self::parse(text),
        }
    }

    /// Reads an answer within a budget; once it is spent, the answer is text.
    pub fn parse_within(text: &str, budget: &mut Budget) -> Answer {
        Self::read(text, Given::Plain, budget)
    }

    fn read(text: &str, given: Given, budget: &mut Budget) -> Answer {
        let text = text.to_owned();
        if let Some(number) = PlainNumber::parse(&text) {
            return Answer { text, key: number.canonical(), content: Content::Plain(number) };
        }
        if text.len() > MAX_LENGTH {
            let key = format!("t:{}", text.trim());
            return Answer { text, key, content: Content::Text };
        }
        let normal = crate::letters::normal(&text);
        let entities = if normal.contains('&') { clean::without_entities(&normal) } else { None };
        let normal = entities.map_or(normal, Cow::Owned);
        let cleaned = clean::clean(&normal);
        if let Some(number) = PlainNumber::parse(cleaned) {
            return Answer { key: number.canonical(), content: Content::Plain(number), text };
        }
        let unescaped = clean::ungrouped(cleaned).or_else(|| clean::unescape(cleaned));
        let cleaned = unescaped.as_deref().unwrap_or(cleaned);
        match meaning(cleaned, given, budget) {
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

    /// Whether it is one value, with or without a unit.
    pub(crate) fn is_scalar(&self) -> bool {
        match &self.content {
            Content::Plain(_) => true,
            Content::Value(value) => {
                matches!(**value, Value::Scalar(_) | Value::Quantity(..) | Value::UnitLetter { .. })
            }
            Content::Text => false,
        }
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

fn meaning(text: &str, given: Given, budget: &mut Budget) -> Option<Value> {
    if let Some(value) = time::parse(text) {
        return Some(value);
    }
    if let Some((letter, rest)) = clean::choice(text) {
        let words =
            meaning_of(rest, Given::Plain, budget).unwrap_or_else(|| Value::Text(clean::plain_text(rest)));
        return Some(Value::Choice(letter, Box::new(words)));
    }
    if text == "{}" {
        return Some(Value::Sequence(Shape::Set, Vec::new()));
    }
    // What needs words is not looked for where there are none.
    let has_words = crate::reader::has_words(text);
    let unwrapped =
        if has_words { clean::without_wrapper(text).or_else(|| clean::option(text)) } else { None };
    let text = unwrapped.unwrap_or(text);
    let ratio = if has_words { clean::ratio_in_words(text) } else { None };
    let text = ratio.as_deref().unwrap_or(text);
    match meaning_of(text, given, budget) {
        Some(value) => Some(value),
        // `E[X^2] = 432`: a name that we cannot read as mathematics, and its value.
        None => {
            let (name, right) = clean::applied_name(text)?;
            let value = meaning_of(right, Given::Plain, budget)?;
            matches!(value, Value::Scalar(_) | Value::Quantity(..)).then(|| Value::Named {
                name,
                value: Box::new(value),
                equation: None,
            })
        }
    }
}

fn meaning_of(text: &str, given: Given, budget: &mut Budget) -> Option<Value> {
    let tokens = lexer::tokenize(text, budget)?;
    if let Some(words) = clean::words_of(&tokens) {
        return Some(Value::Text(words));
    }
    let node = parser::parse_tokens(tokens, budget).ok()?;
    if given == Given::Announced
        && let Some(value) = chain::announced(&node, budget)
    {
        return Some(value);
    }
    Value::of(node, budget)
}

/// Whether two answers are the same answer. Symmetric and reflexive; unknown is `false`.
pub fn is_equivalent(a: &Answer, b: &Answer) -> bool {
    compare(a, b).is_same()
}

/// What is known of two answers. Symmetric; an answer is the same as itself.
pub fn compare(a: &Answer, b: &Answer) -> Verdict {
    compare_within(a, b, &mut Budget::default())
}

/// [`compare`] within a budget; once it is spent, the verdict is unknown.
pub fn compare_within(a: &Answer, b: &Answer, budget: &mut Budget) -> Verdict {
    if a.key == b.key || a.text == b.text {
        return Verdict::Same;
    }
    // In a fixed order, so that matching items of lists cannot make it matter which comes first.
    let (a, b) = if (&a.key, &a.text) <= (&b.key, &b.text) { (a, b) } else { (b, a) };
    let verdict = match (&a.content, &b.content) {
        (Content::Text, Content::Text) if is_words(a) && is_words(b) => Verdict::Different,
        (Content::Text, _) | (_, Content::Text) => Verdict::Unknown,
        (Content::Plain(x), Content::Plain(y)) => plain_verdict(x, y),
        (Content::Value(a), Content::Value(b)) => compare::same(a, b, budget),
        (Content::Plain(number), Content::Value(value)) => {
            compare::same(&of_plain(number, budget), value, budget)
        }
        (Content::Value(value), Content::Plain(number)) => {
            compare::same(value, &of_plain(number, budget), budget)
        }
    };
    if budget.is_spent() { Verdict::Unknown } else { verdict }
}

/// [`compare`] for two numbers.
pub(crate) fn compare_numbers(x: &PlainNumber, y: &PlainNumber) -> Verdict {
    if x == y { Verdict::Same } else { plain_verdict(x, y) }
}

/// Two different numbers; but a decimal of ten digits is what the other one rounds to, where it does.
fn plain_verdict(x: &PlainNumber, y: &PlainNumber) -> Verdict {
    let (a, b) = (x.numerator as f64 / x.denominator as f64, y.numerator as f64 / y.denominator as f64);
    if (a - b).abs() > 1e-9 * a.abs().max(b.abs()) {
        return Verdict::Different;
    }
    let (x, y) = (of_rational(x), of_rational(y));
    let rounds = |value: &BigRational, other: &BigRational| {
        value::long_decimal(value).is_some_and(|(places, digits)| {
            let gap = if value > other { value - other } else { other - value };
            let half = BigRational::new(1.into(), BigInt::from(10).pow(places) * BigInt::from(2));
            let is_double = value::DOUBLE_DIGITS.contains(&digits)
                && crate::math::numeric::is_printed_double(value)
                && value.to_f64() == other.to_f64();
            gap <= half || is_double
        })
    };
    Verdict::known(rounds(&x, &y) || rounds(&y, &x))
}

/// A plain number is in lowest terms already.
fn of_rational(number: &PlainNumber) -> BigRational {
    BigRational::of_lowest(number.numerator.into(), number.denominator.into())
}

/// Whether a text is words of language, so that another one is another answer.
fn is_words(answer: &Answer) -> bool {
    answer.key.starts_with("t:") && answer.key[2..].chars().all(|c| c.is_alphabetic() || c == ' ')
}

fn of_plain(number: &PlainNumber, budget: &mut Budget) -> Value {
    Value::Scalar(Scalar::new(Node::Number(of_rational(number)), budget))
}

/// The classes of answers that are the same ([`Classes`]). Answers are first joined by key, then compared within shared
/// buckets ([`Answer::buckets`]): 10,000 distinct answers take well under two seconds.
pub fn equivalence_classes(answers: &[Answer]) -> Classes {
    classes::classes(answers)
}
