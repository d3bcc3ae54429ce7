//! The reader: one function decides what the answer of a text is, for a bare answer and a whole solution alike. Grades,
//! votes, reports, rewards and the browser all read by it.
//!
//! Before the answer is looked for, the text is reduced to what its author concluded ([`turns`]): without control tokens,
//! closed thoughts, other channels and later turns. What is no answer at all says why ([`NoAnswer`]).
//!
//! Tiers; the first that finds something wins, and each is recorded, so that reports can show how answers were found:
//! 1. `<answer>...</answer>`, by a tolerant scanner (`<` and `&` inside are just text);
//! 2. the whole text, where it is nothing but a value, a letter or a few words;
//! 3. an explicit answer line (`ANSWER: 5`, `#### 18`, `Final answer: 5`) or `\boxed{...}`, whichever stands last;
//! 4. the `answer` field of a JSON object, malformed ones too;
//! 5. phrases inside a sentence: "so the answer is", `2*9=18;#18`;
//! 6. the last mathematical value, number or choice letter, only where the text was not cut off.
//!
//! Two deviations from a strict order, both about where an answer was *meant* to stand: a box inside the string of a JSON
//! object that goes on to give its own `answer` belongs to the reasoning, so that field wins; and a choice letter that is
//! announced behind a box that holds a value ("... = \boxed{0.151}. The answer is (H).") is the answer.
//!
//! What does not live here: what an answer means ([`crate::equivalence`]). Every scan is linear in the text and charged to a
//! step count, which the tests bound.

mod announced;
mod boxed;
mod json;
mod last;
mod list;
mod nothing;
mod phrases;
mod prose;
mod said;
pub(crate) mod tags;
mod turns;
mod value;
mod whole;

use serde::{Deserialize, Serialize};

use crate::equivalence::Answer;
use crate::math::plain::PlainNumber;
use crate::sample_set::{Candidate, SampleSet};
pub(crate) use said::{concluded, nothing_said, said, said_nothing};
pub use value::clean_answer;
pub(crate) use whole::has_words;

/// Longest answer in bytes; anything longer is a text about an answer.
pub const MAX_ANSWER_BYTES: usize = 4_096;

/// How an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Inside `<answer>` tags.
    AnswerTag,
    /// On an explicit answer line: `ANSWER: 5`, `#### 18`.
    Line,
    /// Inside the last `\boxed{}`.
    Boxed,
    /// The `answer` field of a JSON object.
    Json,
    /// Behind a phrase in a sentence, such as "so the answer is".
    Phrase,
    /// The text is the answer and nothing else.
    Whole,
    /// The last value in the text.
    Last,
}

/// Why a text has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoAnswer {
    /// There is no text, or nothing behind its thoughts.
    Empty,
    /// An error of an API that was saved as if it were a text.
    ApiError,
    /// A thought that never closes, or a channel without a final one.
    UnclosedThought,
    /// The text breaks off before its answer.
    Truncated,
    /// The model says that it cannot or will not answer.
    Refusal,
    /// Bounds or alternatives instead of an answer: "greater than 12", "94106 or else 94107".
    Hedge,
    /// A blank to be filled in: `[insert your final answer here]`.
    Placeholder,
    /// Nothing in the text is an answer.
    NotFound,
    /// A record or a call was asked for, and this is none: no JSON, or JSON that its schema does not allow.
    Invalid,
    /// An answer that is none of the labels.
    OtherLabel,
}

impl NoAnswer {
    /// Its name in results: `api_error`.
    pub fn name(self) -> &'static str {
        match self {
            NoAnswer::Empty => "empty",
            NoAnswer::ApiError => "api_error",
            NoAnswer::UnclosedThought => "unclosed_thought",
            NoAnswer::Truncated => "truncated",
            NoAnswer::Refusal => "refusal",
            NoAnswer::Hedge => "hedge",
            NoAnswer::Placeholder => "placeholder",
            NoAnswer::NotFound => "not_found",
            NoAnswer::Invalid => "invalid",
            NoAnswer::OtherLabel => "other_label",
        }
    }
}

impl Tier {
    /// Its name in results: `answer_tag`.
    pub fn name(self) -> &'static str {
        match self {
            Tier::AnswerTag => "answer_tag",
            Tier::Line => "line",
            Tier::Boxed => "boxed",
            Tier::Json => "json",
            Tier::Phrase => "phrase",
            Tier::Whole => "whole",
            Tier::Last => "last",
        }
    }
}

/// What was read in a text: an answer and how it was found, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The answer as its author wrote it, trimmed, without wrappers such as `$...$`, never empty.
    pub answer: Option<String>,
    /// How it was found; none where there is no answer.
    pub found_by: Option<Tier>,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer: Option<NoAnswer>,
}

impl Reading {
    /// A reading that found an answer.
    pub fn found(answer: impl Into<String>, found_by: Tier) -> Self {
        Self { answer: Some(answer.into()), found_by: Some(found_by), no_answer: None }
    }

    /// A reading that found none.
    pub fn none(reason: NoAnswer) -> Self {
        Self { answer: None, found_by: None, no_answer: Some(reason) }
    }

    /// The answer for comparisons. What stood in a box, in a tag or on an answer line was announced
    /// ([`Answer::announced`]).
    pub fn to_answer(&self) -> Option<Answer> {
        Some(Answer::found_by(self.answer.as_deref()?, self.found_by))
    }
}

/// Reads `text`. `truncated`: it was cut off at a length limit, so its last number is no answer, nor is a box, a tag or a
/// string that was still open.
pub fn read(text: &str, truncated: bool) -> Reading {
    read_counted(text, truncated).0
}

/// As [`read`], with the number of steps taken: bytes looked at, over all scans.
pub fn read_counted(text: &str, truncated: bool) -> (Reading, u64) {
    let (reading, _, steps) = read_all(text, truncated);
    (reading, steps)
}

/// Reads a text that was marked as the answer by its place: what stands between `<answer>` tags.
pub fn read_announced(content: &str) -> Reading {
    let mut scan = Scan { truncated: false, steps: 0, nothing: None };
    let normal = crate::letters::normal(content);
    match scan.within_tag(&normal) {
        Some(answer) => Reading::found(answer, Tier::AnswerTag),
        None => Reading::none(scan.nothing.unwrap_or(NoAnswer::Empty)),
    }
}

/// Reads the text of a candidate.
pub fn read_candidate(candidate: &Candidate) -> Reading {
    read(&candidate.text, candidate.is_truncated())
}

/// Reads all candidates of a set, in order.
pub fn read_candidates(set: &SampleSet) -> Vec<Reading> {
    set.candidates.iter().map(read_candidate).collect()
}

/// The reading of a text, with its answer parsed where it has one.
pub(crate) fn read_parsed(text: &str, truncated: bool) -> (Reading, Option<Answer>) {
    let (reading, parsed, _) = read_all(text, truncated);
    let parsed = parsed.or_else(|| reading.to_answer());
    (reading, parsed)
}

/// The answer that a reference is, or holds; one in which no answer can be read is taken as it stands.
pub(crate) fn read_reference(text: &str) -> Answer {
    match read_all(text, false) {
        (Reading { found_by: Some(Tier::Whole), .. }, Some(answer), _) => answer,
        (Reading { answer: Some(answer), .. }, ..) => Answer::parse(&answer),
        _ => Answer::parse(text),
    }
}

/// The number that a text is, in digits and with nothing around it.
pub(crate) fn plain_number(text: &str) -> Option<PlainNumber> {
    const MOST: usize = 40;
    let may_be = text.len() <= MOST && text.bytes().any(|byte| byte.is_ascii_digit());
    if may_be { PlainNumber::parse(text) } else { None }
}

fn read_all(text: &str, truncated: bool) -> (Reading, Option<Answer>, u64) {
    // Most bare answers: no scan at all.
    if !truncated && plain_number(text).is_some() {
        return (Reading::found(text.trim(), Tier::Whole), None, 1);
    }
    // A bare answer without words: none of the questions below arises.
    if !truncated
        && whole::is_plain(text)
        && let Some(shown) = value::answer_of(text)
    {
        let answer = Answer::parse(&shown);
        if !answer.is_text()
            && whole::letter_alone(&shown).is_none()
            && (text.len() > 8 || nothing::placeholder(text).is_none())
        {
            return (Reading::found(shown, Tier::Whole), Some(answer), text.len() as u64);
        }
    }
    let mut scan = Scan { truncated, steps: 0, nothing: None };
    let normal = crate::letters::normal(text);
    let repaired = value::repaired(&normal);
    let repaired = repaired.as_deref().unwrap_or(&normal);
    let unspaced = value::unspaced(repaired);
    scan.charge(text.len());
    let (reading, parsed) = scan.read(unspaced.as_deref().unwrap_or(repaired));
    (reading, parsed, scan.steps)
}

/// One reading: what is known about the text, and the work done on it so far.
pub(crate) struct Scan {
    truncated: bool,
    steps: u64,
    /// Why what looked like an answer was none.
    nothing: Option<NoAnswer>,
}

/// Segments of a text that runs on are tried up to this number.
const MOST_SEGMENTS: usize = 8;

impl Scan {
    /// Charges a scan of `bytes` bytes.
    fn charge(&mut self, bytes: usize) {
        self.steps += bytes as u64 + 1;
    }

    fn read(&mut self, text: &str) -> (Reading, Option<Answer>) {
        if text.trim().is_empty() {
            return (Reading::none(NoAnswer::Empty), None);
        }
        // A line of mathematics, in which no model left its marks.
        let is_line = !text.contains(['\n', '<', '[', ':']);
        let error = if is_line && whole::has_words(text) { nothing::api_error(text) } else { None };
        let mut as_line = (is_line && error.is_none()).then(|| self.whole(text));
        if let Some(Some((_, Some(answer)))) = &as_line
            && !answer.is_text()
            && let Some(found) = as_line.take().flatten()
        {
            return found;
        }
        let turn = match self.conclusion(text) {
            Ok(turn) => turn,
            Err(reason) => return (Reading::none(reason), None),
        };
        let conclusion = turns::without_asides(turn.conclusion.trim());
        // A turn that ended by itself was not cut off, whatever stands behind it.
        self.truncated &= !turn.is_ended;
        // Most texts conclude with all that they say, of which both questions were asked already.
        let is_all = is_line && conclusion.len() == text.len();
        let error = if is_all && whole::has_words(text) { error } else { nothing::api_error(conclusion) };
        if let Some(reason) = error {
            return (Reading::none(reason), None);
        }
        // What runs on into a next question: the first part with an answer counts.
        let segments = self.segments(conclusion);
        let was_truncated = self.truncated;
        for (at, segment) in segments.iter().enumerate().take(MOST_SEGMENTS) {
            self.truncated = was_truncated && at + 1 == segments.len();
            let whole = match as_line.take() {
                Some(whole) if is_all => whole,
                _ => self.whole(segment),
            };
            if let Some(found) = whole {
                return found;
            }
            if let Some(found) = self.explicit(segment) {
                return (found, None);
            }
        }
        self.truncated = was_truncated;
        // Thoughts count only where something was said behind them, but not what.
        if let Some(thoughts) = turn.thoughts
            && nothing::refusal(conclusion).is_none()
            && self.nothing.is_none()
            && let Some(found) = self.explicit(thoughts)
        {
            return (found, None);
        }
        let first = segments.iter().find(|segment| !segment.trim().is_empty()).copied().unwrap_or(conclusion);
        // Numbers of a question that was repeated are no answer to it.
        match turns::behind_question(first) {
            Some(said) => (self.last_tier(said), None),
            None => (Reading::none(self.nothing.unwrap_or(NoAnswer::NotFound)), None),
        }
    }

    /// The whole text, where it is nothing but an answer.
    fn whole(&mut self, text: &str) -> Option<(Reading, Option<Answer>)> {
        let text = text.trim();
        if self.truncated || text.is_empty() || text.len() > MAX_ANSWER_BYTES || !whole::may_be_whole(text) {
            return None;
        }
        // Before the line is searched for an announcement, which takes longer.
        let is_sentences = whole::is_sentences(text);
        if !is_sentences && phrases::announces(text) {
            return None;
        }
        self.charge(text.len());
        // Only words, or a few signs, say that there is no answer.
        if (text.len() <= 8 || whole::has_words(text) || !text.contains(char::is_alphanumeric))
            && let Some(reason) = nothing::refusal(text).or_else(|| nothing::placeholder(text))
            && !(is_sentences && phrases::announces(text))
        {
            self.nothing = self.nothing.or(Some(reason));
            return None;
        }
        if is_sentences {
            return None;
        }
        if let Some(letter) = whole::letter_alone(text) {
            return Some((Reading::found(letter.to_string(), Tier::Whole), None));
        }
        // What is shown is what is compared: without dollars, quotes and a final stop.
        let shown = value::answer_of(text)?;
        let answer = Answer::parse(&shown);
        if !whole::is_whole(text, &answer) {
            return None;
        }
        if let Some(reason) = nothing::hedge(text) {
            self.nothing = self.nothing.or(Some(reason));
            return None;
        }
        // What stands alone in bold was announced, `**m + n = 293**`.
        if text.starts_with("**") && text.ends_with("**") {
            return Some((Reading::found(shown, Tier::Line), None));
        }
        Some((Reading::found(shown, Tier::Whole), Some(answer)))
    }

    /// The answer that a text marks as such.
    fn explicit(&mut self, text: &str) -> Option<Reading> {
        if let Some(answer) = self.answer_tag(text) {
            return Some(Reading::found(answer, Tier::AnswerTag));
        }
        let boxed = self.last_boxed(text);
        // Behind a box only what announces an answer better than the box does.
        if let Some(boxed) = &boxed
            && let Some(announced) = self.phrase(&text[boxed.within.end..])
            && (announced.is_line
                && announced.is_direct
                && announced.at > same_line(&text[boxed.within.end..])
                || announced.is_letter_behind(&boxed.text))
        {
            let tier = if announced.is_line { Tier::Line } else { Tier::Phrase };
            return Some(Reading::found(announced.text, tier));
        }
        let json = self.json_answer(text);
        match (boxed, json) {
            (Some(boxed), Some(json)) if boxed.within.start > json.key || boxed.within.end < json.object => {
                Some(Reading::found(boxed.text, Tier::Boxed))
            }
            (_, Some(json)) => Some(Reading::found(json.text, Tier::Json)),
            (Some(boxed), None) => Some(Reading::found(boxed.text, Tier::Boxed)),
            (None, None) => self.phrase(text).map(|announced| {
                let tier = if announced.is_line { Tier::Line } else { Tier::Phrase };
                Reading::found(announced.text, tier)
            }),
        }
    }

    /// What is left where nothing is marked: the last value, unless the text says or shows that it has none.
    fn last_tier(&mut self, text: &str) -> Reading {
        if let Some(reason) = nothing::refusal(text) {
            return Reading::none(reason);
        }
        if let Some(reason) = self.nothing {
            return Reading::none(reason);
        }
        self.charge(text.len());
        if self.truncated || value::ends_open(text) {
            return Reading::none(NoAnswer::Truncated);
        }
        let is_short = text.len() < 60 && !text.contains('\n');
        if nothing::hedge_at_end(text) || is_short && nothing::hedge(text).is_some() {
            return Reading::none(NoAnswer::Hedge);
        }
        match self.last_value(text) {
            Some(answer) if nothing::placeholder(&answer).is_some() => Reading::none(NoAnswer::Placeholder),
            Some(answer) => Reading::found(answer, Tier::Last),
            None => Reading::none(NoAnswer::NotFound),
        }
    }

    /// The content of the last closed `<answer>` that holds one; else, where the text was not cut off, what follows a
    /// last one that was never closed (a server's stop string removes the closing tag).
    fn answer_tag(&mut self, text: &str) -> Option<String> {
        self.charge(text.len());
        let mut open: Option<usize> = None;
        let mut last: Option<String> = None;
        for tag in tags::tags(text).filter(|tag| tag.name.is_answer() && tag.complete) {
            match (tag.closing, open) {
                (false, _) => open = Some(tag.end),
                (true, Some(start)) => {
                    last = self.within_tag(&text[start..tag.start]).or(last);
                    open = None;
                }
                (true, None) => {}
            }
        }
        if last.is_none() && !self.truncated {
            let rest = &text[open?..];
            last = self.within_tag(rest.trim_start().lines().next().unwrap_or_default());
        }
        last
    }

    /// An answer from the content of a tag: a box in it, a phrase in it, or all of it.
    fn within_tag(&mut self, content: &str) -> Option<String> {
        if let Some(boxed) = self.last_boxed(content) {
            return Some(boxed.text);
        }
        let plain = value::answer_of(content)?;
        if let Some(reason) = nothing::placeholder(&plain).or_else(|| nothing::hedge(&plain)) {
            self.nothing = Some(reason);
            return None;
        }
        let is_prose = plain.contains('\n') || plain.split_whitespace().nth(8).is_some();
        if (is_prose || phrases::is_labelled(&plain))
            && let Some(phrase) = self.phrase(content)
        {
            return Some(phrase.text);
        }
        Some(prose::value_in_prose(&plain).unwrap_or(plain))
    }

    /// An answer that was found, unless it is a blank to be filled in or no answer but a bound.
    fn kept(&mut self, answer: String) -> Option<String> {
        match nothing::placeholder(&answer).or_else(|| nothing::hedge(&answer)) {
            Some(reason) => {
                self.nothing = self.nothing.or(Some(reason));
                None
            }
            None => Some(answer),
        }
    }
}

/// The length of what is left of a line on which only `####` begins an answer line of its own.
fn same_line(text: &str) -> usize {
    let line = text.lines().next().unwrap_or_default();
    if line.contains("####") { 0 } else { line.len() }
}

/// Where `word` stands first in a text. Most words are not in it, which the library finds out many bytes at a time.
fn first(text: &str, word: &str) -> Option<usize> {
    if text.contains(word) { text.find(word) } else { None }
}

/// Where `word` stands last in a text; see [`first`].
fn last(text: &str, word: &str) -> Option<usize> {
    if text.contains(word) { text.rfind(word) } else { None }
}

/// The start of the window of at most `bytes` bytes at the end of `text`, on a character boundary.
fn window_start(text: &str, bytes: usize) -> usize {
    text.ceil_char_boundary(text.len().saturating_sub(bytes))
}

#[cfg(test)]
mod tests;
