//! What a single value means: the normal form of numbers, dates and texts, and when two of them are the same.

use serde_json::{Number, Value};

use crate::equivalence::time::calendar_date;
use crate::float::read_number;
use crate::letters::{lowercase, normal};
use crate::order::sorted;

/// A text of this many words is free: it is compared by the words that it shares, not as one name.
const FREE_WORDS: usize = 10;
/// Words of a free text that are looked at.
const MOST_WORDS: usize = 2_000;
/// Free texts with this share of words in common say the same.
const FREE_SHARE: f64 = 0.6;
/// Characters of other texts that are looked at where they are compared.
const MOST_LETTERS: usize = 64;

/// A value's meaning. A container has none of its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Number(Quantity),
    /// Year, month, day.
    Date(u32, u32, u32),
    /// A name, in lower case, with single blanks and without punctuation around it.
    Text(String),
    /// The words of a free text, sorted, and its normal form.
    Free(Vec<String>, String),
}

/// A number; written as text it may have a sign of its currency, or a percent sign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quantity {
    /// Where it is an integer: its exact value.
    integer: Option<i128>,
    float: f64,
    unit: Option<char>,
}

impl Quantity {
    fn of(number: &Number) -> Option<Self> {
        let float = number.as_f64()?;
        let integer = number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
        Some(Self { integer: integer.or_else(|| whole(float)), float, unit: None })
    }

    /// `1,234.50`, `$12`, `-3 %`. None with zeros before it (`007`), as names of things have them, or with so
    /// many digits that it would not be exact.
    fn parse(text: &str) -> Option<Self> {
        const UNITS: [char; 7] = ['$', '€', '£', '¥', '₹', '%', '₩'];
        let (sign, rest) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (text.starts_with('-'), rest),
            None => (false, text),
        };
        let before = rest.chars().next().filter(|c| UNITS[..5].contains(c) || *c == '₩');
        let rest = before.map_or(rest, |unit| rest[unit.len_utf8()..].trim_start());
        let behind = rest.chars().last().filter(|c| before.is_none() && UNITS.contains(c));
        let digits = behind.map_or(rest, |unit| rest[..rest.len() - unit.len_utf8()].trim_end());
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(digits) if !sign && before.is_some() => (true, digits),
            _ => (sign, digits),
        };
        let (whole_part, fraction) = digits.split_once('.').map_or((digits, None), |(a, b)| (a, Some(b)));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let mut groups = whole_part.split(',');
        let first = groups.next()?;
        let is_grouped = groups.all(|group| group.len() == 3 && is_digits(group));
        let has_groups = whole_part.contains(',');
        let is_number = is_digits(first)
            && is_grouped
            && (!has_groups || first.len() <= 3)
            && (!first.starts_with('0') || whole_part == "0")
            && fraction.is_none_or(is_digits);
        if !is_number || digits.len() > 18 {
            return None;
        }
        let plain = digits.replace(',', "");
        let plain = Self::of(&read_number(&plain)?)?;
        let turn = |value: i128| if sign { -value } else { value };
        Some(Self {
            integer: plain.integer.map(turn),
            float: if sign { -plain.float } else { plain.float },
            unit: before.or(behind),
        })
    }

    fn is_near(&self, other: &Self, tolerance: f64) -> bool {
        let units = self.unit.is_none() || other.unit.is_none() || self.unit == other.unit;
        units
            && match (self.integer, other.integer) {
                (Some(a), Some(b)) if tolerance == 0.0 => a == b,
                _ => (self.float - other.float).abs() <= tolerance * self.float.abs().max(other.float.abs()),
            }
    }
}

/// The integer that a float is, where floats hold every integer around it.
fn whole(float: f64) -> Option<i128> {
    (float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0).then_some(float as i128)
}

impl Scalar {
    /// The meaning of a value that is no container.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Scalar::Null),
            Value::Bool(truth) => Some(Scalar::Bool(*truth)),
            Value::Number(number) => Quantity::of(number).map(Scalar::Number),
            Value::String(text) => Some(Self::of_text(text)),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn of_text(text: &str) -> Self {
        let words: Vec<String> = lowercase(&normal(text)).split_whitespace().map(str::to_owned).collect();
        let whole = words.join(" ");
        if is_free(&words) {
            return Scalar::Free(words_of(words), whole);
        }
        if let Some(number) = Quantity::parse(&whole) {
            return Scalar::Number(number);
        }
        let plain = stripped(&whole);
        match plain {
            "true" => return Scalar::Bool(true),
            "false" => return Scalar::Bool(false),
            _ => {}
        }
        if plain.bytes().any(|byte| byte.is_ascii_digit())
            && let Some((year, month, day)) = calendar_date(plain)
        {
            return Scalar::Date(year, month, day);
        }
        Scalar::Text(plain.to_owned())
    }

    /// Equal for values that are the same whatever the tolerance.
    pub(super) fn key(&self) -> String {
        match self {
            Scalar::Null => "null".to_owned(),
            Scalar::Bool(truth) => truth.to_string(),
            Scalar::Number(Quantity { integer: Some(integer), unit, .. }) => {
                format!("n{integer}{}", unit.unwrap_or(' '))
            }
            Scalar::Number(Quantity { float, unit, .. }) => {
                // Its bits: a float that is no integer has one form.
                format!("f{}{}", float.to_bits(), unit.unwrap_or(' '))
            }
            Scalar::Date(year, month, day) => format!("d{year}-{month}-{day}"),
            Scalar::Text(text) | Scalar::Free(_, text) => format!("t{text}"),
        }
    }

    /// Whether two values are the same, beyond those whose keys are equal. Not transitive: `$12` is 12, and
    /// so is `€12`.
    pub(super) fn is_near(&self, other: &Self, tolerance: f64) -> bool {
        match (self, other) {
            (Scalar::Number(a), Scalar::Number(b)) => a.is_near(b, tolerance),
            (Scalar::Free(..), Scalar::Free(..)) => self.similarity(other) >= FREE_SHARE,
            _ => self.key() == other.key(),
        }
    }

    /// How alike two values are, from 0 to 1.
    pub(super) fn similarity(&self, other: &Self) -> f64 {
        match (self, other) {
            (Scalar::Free(a, _), Scalar::Free(b, _)) => {
                if marks(a).eq(marks(b)) {
                    shared(a, b)
                } else {
                    0.5 * shared(a, b)
                }
            }
            (Scalar::Text(a) | Scalar::Free(_, a), Scalar::Text(b) | Scalar::Free(_, b)) => {
                let (a, b) = (head(a), head(b));
                let digits = |text: &str| -> String { text.chars().filter(|c| c.is_numeric()).collect() };
                // `Item 1` and `Item 2` are two things; one without a number leaves it out.
                let (of_a, of_b) = (digits(a), digits(b));
                let weight = if of_a == of_b || of_a.is_empty() || of_b.is_empty() { 1.0 } else { 0.5 };
                weight * strsim::normalized_levenshtein(a, b)
            }
            _ => f64::from(u8::from(self.is_near(other, 0.0))),
        }
    }
}

fn head(text: &str) -> &str {
    text.char_indices().nth(MOST_LETTERS).map_or(text, |(end, _)| &text[..end])
}

/// A text without quotes around it and punctuation behind it.
fn stripped(text: &str) -> &str {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '“' | '”' | '‘' | '’' | '«' | '»' | '`' | ' ');
    let plain = text
        .trim_start_matches(is_quote)
        .trim_end_matches(|c| is_quote(c) || matches!(c, '.' | ',' | ';' | ':' | '!' | '。' | '，'));
    if plain.is_empty() { text } else { plain }
}

/// Scripts without blanks between words: each letter counts as one.
fn is_letter_word(c: char) -> bool {
    ('\u{2e80}'..='\u{9fff}').contains(&c) || ('\u{e00}'..='\u{eff}').contains(&c)
}

fn is_free(words: &[String]) -> bool {
    words.len() >= FREE_WORDS
        || words.iter().flat_map(|word| word.chars()).filter(|c| is_letter_word(*c)).count() >= 2 * FREE_WORDS
}

/// The words of a free text without punctuation around them, sorted.
fn words_of(words: Vec<String>) -> Vec<String> {
    let mut out = Vec::new();
    for word in &words {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        if word.contains(is_letter_word) {
            out.extend(word.chars().map(String::from));
        } else if !word.is_empty() {
            out.push(word.to_owned());
        }
        if out.len() >= MOST_WORDS {
            break;
        }
    }
    sorted(out)
}

/// The words that turn what the others say: numbers, and negations.
fn marks(words: &[String]) -> impl Iterator<Item = &str> {
    const NEGATIONS: [&str; 10] =
        ["no", "not", "never", "none", "cannot", "without", "nicht", "kein", "pas", "不"];
    words.iter().map(String::as_str).filter_map(|word| {
        let is_negation = NEGATIONS.contains(&word) || word.ends_with("n't") || word.ends_with("n’t");
        // Which negation it is does not matter.
        if is_negation { Some("not") } else { word.chars().any(char::is_numeric).then_some(word) }
    })
}

/// The share of words that two sorted lists have in common (Dice's coefficient).
fn shared(a: &[String], b: &[String]) -> f64 {
    let (mut i, mut j, mut common) = (0, 0, 0usize);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                (i, j, common) = (i + 1, j + 1, common + 1);
            }
        }
    }
    2.0 * common as f64 / (a.len() + b.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn same(a: Value, b: Value, tolerance: f64) -> bool {
        let (a, b) = (Scalar::of(&a).unwrap(), Scalar::of(&b).unwrap());
        assert_eq!(a.is_near(&b, tolerance), b.is_near(&a, tolerance));
        assert!(a.key() != b.key() || a.is_near(&b, tolerance));
        a.is_near(&b, tolerance)
    }

    #[test]
    fn the_same_value_in_other_words() {
        for (a, b) in [
            (json!(1), json!(1.0)),
            (json!(1234.5), json!("1,234.50")),
            (json!(12), json!("$12")),
            (json!(-12), json!("-$12.00")),
            (json!("12%"), json!(12)),
            (json!(" Approved. "), json!("approved")),
            (json!("\"New  York\""), json!("new york")),
            (json!(true), json!("True")),
            (json!("2024-03-05"), json!("March 5, 2024")),
            (json!("05 Mar 2024"), json!("2024/03/05")),
            (json!("03/04/2024"), json!("03/04/2024")),
            (
                json!("The customer reports that the screen flickers when scrolling quickly."),
                json!("Customer reports the screen of the phone flickers when scrolling too quickly"),
            ),
        ] {
            assert!(same(a.clone(), b.clone(), 0.0), "{a} {b}");
        }
    }

    #[test]
    fn other_values() {
        for (a, b) in [
            (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64)),
            (json!("$12"), json!("€12")),
            (json!("007"), json!(7)),
            (json!("1,23"), json!(123)),
            (json!("C++"), json!("C")),
            (json!("resume"), json!("résumé")),
            (json!("03/04/2024"), json!("2024-03-04")),
            (json!(null), json!("")),
            (json!(null), json!("null")),
            (json!(0.1), json!(0.10001)),
            (
                json!("The supplier has to pay all of the costs within 30 days"),
                json!("The supplier has to pay all of the costs within 60 days"),
            ),
            (
                json!("The supplier has to pay all of the costs of the transport"),
                json!("The supplier does not have to pay all of the costs of the transport"),
            ),
        ] {
            assert!(!same(a.clone(), b.clone(), 0.0), "{a} {b}");
        }
    }

    #[test]
    fn a_tolerance_is_relative() {
        assert!(same(json!(100), json!(101), 0.01));
        assert!(!same(json!(100), json!(102), 0.01));
        assert!(same(json!("$0.100"), json!(0.101), 0.01));
        assert!(same(json!(0), json!(0.0), 0.01));
    }
}
