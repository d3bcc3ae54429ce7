//! Labels: which of a few words a text gives as its verdict.
//!
//! Where it is looked for, the first place that has one wins: the whole text, where there is a list; a field of a JSON object
//! (`label`, `verdict`, ...); double brackets (`[[A]]`); what the reader of answers finds as announced ([`crate::reader`]); a line such
//! as `Sentiment: positive`; the beginning (`Yes, because ...`) or a point on a scale; without a list the whole text; with one the end
//! of the last sentence (`... so it is positive.`), then the only one of them that the text mentions. A label behind `not` is none.

use serde_json::Value;

use crate::json_text::json_text;
use crate::letters::{lowercase, normal};
use crate::math::plain::PlainNumber;
use crate::order::in_order;
use crate::reader::{NoAnswer, Reading, Tier, concluded, read, said_nothing};
use crate::record::parse_all;

use super::words::{ends_with_key, ends_with_word, key, key_end, starts_with_word, words};

/// Words and bytes of a label that is not in a list.
const MOST_WORDS: usize = 4;
const MOST_BYTES: usize = 48;

/// Bytes of a text that are searched for labels in its sentences, from its end.
const WINDOW: usize = 4_096;

/// Fields of a JSON object, and words before a colon, that name a label.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "label", "verdict", "class", "category", "classification", "sentiment", "decision", "judgement", "judgment", "prediction",
    "rating", "grade", "score", "stance", "intent", "topic", "result", "answer", "final answer", "choice", "output", "status",
    "priority", "severity", "type", "tag", "winner", "preference", "response", "relevance", "conclusion", "final verdict",
];

/// Words that are a verdict at the beginning of a sentence.
#[rustfmt::skip]
pub(super) const YES_OR_NO: [&str; 16] = [
    "yes", "no", "true", "false", "correct", "incorrect", "ja", "nein", "oui", "non", "sí", "sim", "não", "da", "да", "нет",
];

/// Why a list of labels is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Fewer than two.
    #[error("expected at least two labels, as in labels=positive,negative")]
    TooFew,
    /// A label without a letter or digit.
    #[error("label {0} is empty: expected words between the commas, as in labels=positive,negative")]
    Empty(usize),
    /// The same label twice.
    #[error("the label `{0}` stands twice in the list")]
    Twice(String),
}

/// The labels that an answer may be: a list, or any few words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    names: Vec<String>,
    keys: Vec<String>,
    /// Two labels differ in their case alone.
    is_exact: bool,
}

impl Labels {
    /// The labels of a list, in its order, which is that of `--ordinal`.
    ///
    /// # Errors
    /// Where there are fewer than two, or one is empty or stands twice.
    pub fn new(names: impl IntoIterator<Item = String>) -> Result<Self, LabelError> {
        let names: Vec<String> = names.into_iter().map(|name| name.trim().to_owned()).collect();
        if names.len() < 2 {
            return Err(LabelError::TooFew);
        }
        let folded: Vec<String> = names.iter().map(|name| key(name, false)).collect();
        let is_exact = first_twice(&folded).is_some();
        let keys = if is_exact { names.iter().map(|name| key(name, true)).collect() } else { folded };
        if let Some(at) = keys.iter().position(String::is_empty) {
            return Err(LabelError::Empty(at + 1));
        }
        match first_twice(&keys) {
            Some(at) => Err(LabelError::Twice(names[at].clone())),
            None => Ok(Self { names, keys, is_exact }),
        }
    }

    /// Any few words.
    pub fn open() -> Self {
        Self::default()
    }

    /// The labels of the list; empty where any few words may be one.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Place in the list of the label that `text` is and nothing else. A number is the label of its value: `4.0` is 4.
    pub fn place(&self, text: &str) -> Option<usize> {
        let key = self.key(text);
        self.keys.iter().position(|label| *label == key).or_else(|| {
            let value = PlainNumber::parse(bare(text))?;
            self.names.iter().position(|name| PlainNumber::parse(name).is_some_and(|label| label == value))
        })
    }

    /// What labels are compared by: letters and digits, in lower case unless case tells two labels of the list apart.
    pub fn key(&self, text: &str) -> String {
        key(&normal(text), self.is_exact)
    }

    /// Reads the label of a text. `truncated`: it was cut off, so what stands at its end is no verdict.
    pub fn read(&self, text: &str, truncated: bool) -> Reading {
        let normal = normal(text);
        let (text, is_cut) = match concluded(&normal, truncated) {
            Ok(conclusion) => conclusion,
            Err(reason) => return Reading::none(reason),
        };
        let mut other = false;
        if let Some((label, tier)) = self.find(text, is_cut, &mut other) {
            return Reading::found(label, tier);
        }
        let reason = match said_nothing(text) {
            Some(reason) => reason,
            None if is_cut => NoAnswer::Truncated,
            None if other => NoAnswer::OtherLabel,
            None => NoAnswer::NotFound,
        };
        Reading::none(reason)
    }

    /// The label as it is shown, and where it was found. `other`: something was announced that is no label.
    fn find(&self, text: &str, is_cut: bool, other: &mut bool) -> Option<(String, Tier)> {
        // Before the whole text: JSON without blanks is one word, and short.
        if let Some(object) = object_in(text) {
            return match self.field_of(&object) {
                Some(label) => Some((label, Tier::Json)),
                None => {
                    *other = true;
                    None
                }
            };
        }
        // Of a list a text that is one of it needs no second look; any few words may still announce others.
        let is_listed = !self.names.is_empty();
        if is_listed
            && !is_cut
            && let Some(label) = self.whole(text)
        {
            return Some((label, Tier::Whole));
        }
        // Judges are asked to put their verdict like this.
        if let Some(said) = bracketed(text)
            && let Some(label) = self.whole(said)
        {
            return Some((label, Tier::Boxed));
        }
        let announced = read(text, is_cut);
        if let (Some(answer), Some(tier)) = (&announced.answer, announced.found_by)
            && !matches!(tier, Tier::Whole | Tier::Last)
        {
            if let Some(label) = self.whole(answer).or_else(|| self.start(answer)) {
                return Some((label, tier));
            }
            *other |= !self.names.is_empty();
        }
        if let Some(label) = self.line(text, is_cut, other) {
            return Some((label, Tier::Line));
        }
        if let Some(label) = self.start(text).or_else(|| self.on_scale(text)) {
            return Some((label, Tier::Phrase));
        }
        if is_cut {
            return None;
        }
        if !is_listed
            && let Some(label) = said_of(text).and_then(|said| self.whole(said)).or_else(|| self.whole(text))
        {
            return Some((label, Tier::Whole));
        }
        self.end(text).map(|label| (label, Tier::Phrase)).or_else(|| {
            *other |= self.names.is_empty() || short(text);
            self.only_mentioned(text).map(|label| (label, Tier::Last))
        })
    }

    /// The label that a text is: in a list, or few words with a letter in them.
    fn whole(&self, text: &str) -> Option<String> {
        let text = without_command(text.trim());
        if !self.names.is_empty() {
            return self.place(text).map(|place| self.names[place].clone());
        }
        // `Label: positive` is a line that names its label.
        if text.split_once([':', '=']).is_some_and(|(name, _)| is_name(&key(name, false))) {
            return None;
        }
        let is_label = short(text)
            && text.contains(char::is_alphabetic)
            && said_nothing(text).is_none()
            && !is_interjection(text);
        is_label.then(|| bare(text).to_owned()).filter(|label| !label.is_empty())
    }

    /// The label that a text begins with, where the sentence ends behind it or goes on to a reason.
    fn start(&self, text: &str) -> Option<String> {
        let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
        let (words, rest) = if self.names.is_empty() {
            let word = YES_OR_NO
                .iter()
                .find(|word| starts_with_word(text, word))
                .map_or(capitals(text), |word| word.len());
            if word == 0 {
                return None;
            }
            (text.get(..word)?.to_owned(), text.get(word..)?)
        } else {
            let (place, end) = self.prefix(text)?;
            (self.names[place].clone(), text.get(end..)?)
        };
        let rest = rest.trim_start_matches(['*', '_', '"', '\'', '`', ')', ']', '’', '”']);
        let first = rest.chars().next();
        let stops = first.is_none_or(|c| {
            matches!(c, ',' | '.' | ';' | ':' | '!' | '(' | '\n' | '—' | '–' | '/' | '|' | '%')
        }) || rest.trim_start().starts_with(['(', '-', '—', '–', '\n', '|', '/'])
            || REASONS.iter().any(|reason| rest.trim_start().starts_with(reason));
        // `3.5` and `1,000` are not 3 and 1.
        let goes_on =
            matches!(first, Some('.' | ',' | '/')) && rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
        let is_scale = first == Some('/') && !self.names.is_empty() && scale(rest);
        (stops && (!goes_on || is_scale)).then_some(words)
    }

    /// The label before the last `out of 5` or `/5`, where labels are numbers.
    fn on_scale(&self, text: &str) -> Option<String> {
        let (before, behind) = text.rsplit_once(" out of ")?;
        let is_number = behind.trim_start().starts_with(|c: char| c.is_ascii_digit());
        let said = before.rsplit(char::is_whitespace).next()?;
        let label = self.whole(said).filter(|_| is_number && !self.names.is_empty())?;
        label.starts_with(|c: char| c.is_ascii_digit()).then_some(label)
    }

    /// The longest label that `text` begins with, as whole words, and where it ends in `text`.
    fn prefix(&self, text: &str) -> Option<(usize, usize)> {
        let mut best: Option<(usize, usize, usize)> = None;
        for (place, label) in self.keys.iter().enumerate() {
            let Some(end) = key_end(text, label, self.is_exact) else { continue };
            if best.is_none_or(|(_, _, longest)| label.len() > longest) {
                best = Some((place, end, label.len()));
            }
        }
        best.map(|(place, end, _)| (place, end))
    }

    /// The label of the last line of the form `Sentiment: positive`.
    fn line(&self, text: &str, is_cut: bool, other: &mut bool) -> Option<String> {
        let mut lines = text.lines().rev();
        if is_cut {
            lines.next();
        }
        for line in lines.take(64) {
            let Some((name, said)) = line.split_once([':', '=', '：']) else { continue };
            let name = key(name, false);
            if !is_name(&name) {
                // Whatever stands before the colon, a label of the list and nothing else behind it is one.
                if !self.names.is_empty()
                    && words(&name) <= MOST_WORDS
                    && let Some(label) = self.whole(said)
                {
                    return Some(label);
                }
                continue;
            }
            if let Some(label) = self.whole(said).or_else(|| self.start(said)) {
                return Some(label);
            }
            *other = true;
        }
        None
    }

    /// The label with which the last sentence ends.
    fn end(&self, text: &str) -> Option<String> {
        let text = text.trim_end_matches(|c: char| !c.is_alphanumeric());
        let sentence = text.rsplit(['\n', '.', '!', '?', ';']).next()?.trim();
        let mut longest: Option<(usize, &str)> = None;
        for (place, label) in self.keys.iter().enumerate() {
            if let Some(before) = ends_with_key(sentence, label, self.is_exact)
                && longest.is_none_or(|(of, _)| self.keys[of].len() < label.len())
            {
                longest = Some((place, before));
            }
        }
        let (place, before) = longest?;
        let before =
            lowercase(before.trim_end_matches(|c: char| !c.is_alphanumeric() && c != ':' && c != '='));
        // `not a positive` says nothing of what it is.
        let is_denied = before.split_whitespace().rev().take(3).any(|word| NEGATIONS.contains(&word));
        let announces =
            before.ends_with([':', '=']) || LINKS.iter().any(|link| ends_with_word(&before, link));
        (announces && !is_denied).then(|| self.names[place].clone())
    }

    /// The one label of the list that a text mentions, not denied. A number, a letter and `no` are in many texts for
    /// other reasons.
    fn only_mentioned(&self, text: &str) -> Option<String> {
        let window = &text[text.ceil_char_boundary(text.len().saturating_sub(WINDOW))..];
        let folded = format!(" {} ", key(window, self.is_exact));
        let mut found: Option<usize> = None;
        let order = in_order(self.keys.len(), &|a, b| self.keys[b].len().cmp(&self.keys[a].len()));
        let mut left = folded;
        for place in order {
            let label = &self.keys[place];
            let wanted = format!(" {label} ");
            let Some(at) = left.find(&wanted) else { continue };
            if label.chars().filter(|c| c.is_alphabetic()).count() < 3 || found.is_some() {
                return None;
            }
            let mut before = left[..at].split(' ').rev().filter(|word| !word.is_empty()).take(3);
            if before.any(|word| NEGATIONS.contains(&word)) {
                return None;
            }
            found = Some(place);
            // A shorter label within a longer one is not mentioned by it.
            left = left.replace(&wanted, " | ");
        }
        found.map(|place| self.names[place].clone())
    }

    /// The label in a JSON object: of a field that names one, else the only text of the list among its values.
    fn field_of(&self, object: &serde_json::Map<String, Value>) -> Option<String> {
        for name in NAMES {
            for (field, value) in object {
                if key(field, false) == *name
                    && let Some(label) = self.value(value)
                {
                    return Some(label);
                }
            }
        }
        let mut only: Option<String> = None;
        for label in object.values().filter(|value| value.is_string()).filter_map(|value| self.listed(value))
        {
            if only.as_ref().is_some_and(|other| *other != label) {
                return None;
            }
            only = Some(label);
        }
        only
    }

    fn listed(&self, value: &Value) -> Option<String> {
        if self.names.is_empty() { None } else { self.value(value) }
    }

    fn value(&self, value: &Value) -> Option<String> {
        match value {
            Value::String(text) => self.whole(text).or_else(|| self.start(text)),
            Value::Bool(_) => self.whole(&json_text(value)),
            Value::Number(_) if !self.names.is_empty() => self.whole(&json_text(value)),
            _ => None,
        }
    }
}

/// Words that go on from a label to its reason.
#[rustfmt::skip]
const REASONS: [&str; 11] = [
    "because", "since", "as ", "due to", "given", "for the", "based on", "with ", "star", "point", "weil ",
];

/// Words before a label at the end of a sentence that make it the verdict.
const LINKS: [&str; 18] = [
    "is",
    "as",
    "be",
    "was",
    "are",
    "label",
    "verdict",
    "class",
    "category",
    "sentiment",
    "to",
    "with",
    "say",
    "therefore",
    "choose",
    "clearly",
    "a",
    "an",
];

/// Words that deny the label behind them.
const NEGATIONS: [&str; 8] = ["not", "no", "never", "isn", "than", "neither", "nor", "without"];

/// What a sentence says of a thing whose name is that of a label: `the sentiment is positive`.
fn said_of(text: &str) -> Option<&str> {
    let (name, said) = text.split_once(" is ")?;
    (short(text) || words(text) < 12).then_some(said).filter(|_| is_name(&key(name, false)))
}

/// What a command of LaTeX for words has within it: `\text{No}`.
fn without_command(text: &str) -> &str {
    let inside = text.strip_prefix('\\').and_then(|rest| rest.split_once('{')).and_then(|(name, rest)| {
        let is_words =
            matches!(name, "text" | "textbf" | "textit" | "mathrm" | "mathbf" | "boxed" | "texttt" | "mbox");
        rest.strip_suffix('}').filter(|inside| is_words && !inside.contains(['{', '}']))
    });
    inside.unwrap_or(text)
}

/// What stands in the last `[[...]]` of a text.
pub(super) fn bracketed(text: &str) -> Option<&str> {
    let (before, _) = text.rsplit_once("]]")?;
    let (_, said) = before.rsplit_once("[[")?;
    (short(said) && !said.contains([',', '['])).then_some(said)
}

/// Words in capitals that begin a part of a text.
const HEADINGS: [&str; 10] = [
    "ANSWER",
    "NOTE",
    "TODO",
    "WARNING",
    "SOLUTION",
    "QUESTION",
    "EXPLANATION",
    "REASONING",
    "THOUGHT",
    "SUMMARY",
];

/// The length of a word in capitals that a text begins with, alone on its line or before a colon; 0 where there is none.
pub(super) fn capitals(text: &str) -> usize {
    let length =
        text.bytes().take_while(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-')).count();
    let ends = text[length..].chars().next().is_none_or(|c| matches!(c, ':' | '\n' | '*'));
    if length >= 3 && ends && !HEADINGS.contains(&&text[..length]) { length } else { 0 }
}

/// Whether a text is a sound of thinking, and says nothing.
pub(super) fn is_interjection(text: &str) -> bool {
    let word = key(text, false);
    matches!(
        word.as_str(),
        "hm" | "hmm" | "hmmm" | "um" | "umm" | "uh" | "er" | "erm" | "eh" | "ah" | "oh" | "huh"
    )
}

/// Whether what stands before a colon names a label, alone or with words before it: `final verdict`.
fn is_name(name: &str) -> bool {
    NAMES.iter().any(|known| {
        let is_behind_words = name.strip_suffix(known).is_some_and(|before| before.ends_with(' '));
        name == *known || is_behind_words && words(name) <= MOST_WORDS
    })
}

/// The object that a text is, alone, in a fence or with words around it.
fn object_in(text: &str) -> Option<serde_json::Map<String, Value>> {
    let (start, end) = (text.find('{')?, text.rfind('}')?);
    let around = text.len() - (end.checked_sub(start)? + 1);
    // A sentence with braces somewhere in it is no object.
    match parse_all(text.get(start..=end)?)? {
        Value::Object(object) if !object.is_empty() && around < 400 => Some(object),
        _ => None,
    }
}

/// `4/5` and `4 / 10`: a point on a scale.
fn scale(rest: &str) -> bool {
    let most = rest[1..].trim_start();
    matches!(most.trim_end_matches(['.', ' ']), "5" | "10" | "100" | "7" | "4" | "3")
}

/// A text without the marks around it.
fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '+' | '#' | '%' | '$' | '-'))
}

fn short(text: &str) -> bool {
    text.len() <= MOST_BYTES && !text.trim().contains('\n') && words(text) <= MOST_WORDS
}

fn first_twice(keys: &[String]) -> Option<usize> {
    (1..keys.len()).find(|&at| keys[..at].contains(&keys[at]))
}
