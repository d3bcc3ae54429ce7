//! Answer extraction: from a candidate's text to its final answer.
//!
//! Tiers, first that finds something wins, each recorded so that reports can show how answers were found:
//! 1. `<answer>...</answer>`, by a tolerant scanner (`<` and `&` inside are just text);
//! 2. the last `\boxed{...}`;
//! 3. the `answer` field of a JSON object, malformed ones too;
//! 4. phrases: "The final answer is", `#### 18`, `A: 18`, "The answer is (C)", `2*9=18;#18`;
//! 5. the last mathematical value, number or choice letter, only where the text was not cut off.
//!
//! Three deviations from a strict order, both about where an answer was *meant* to stand: text behind a closed
//! `</think>` is searched before the thoughts; and a box inside the string of a JSON object that goes on to give its own
//! `answer` belongs to the reasoning, so that field wins; and a choice
//! letter announced behind a box that holds a value ("... = \boxed{0.151}. The answer is (H).") is the answer.
//!
//! What does not live here: what an answer means ([`crate::equivalence`]). No answer is a valid outcome. Every scan is
//! linear in the text and charged to a step count, which the tests bound.

mod boxed;
mod json;
mod last;
mod phrases;
pub(crate) mod tags;
mod value;

use serde::{Deserialize, Serialize};

pub use value::clean_answer;

/// Longest answer in bytes; anything longer is a text about an answer.
pub const MAX_ANSWER_BYTES: usize = 4_096;

/// How an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Inside `<answer>` tags.
    AnswerTag,
    /// Inside the last `\boxed{}`.
    Boxed,
    /// The `answer` field of a JSON object.
    Json,
    /// Behind a phrase such as "The final answer is".
    Phrase,
    /// The last value in the text.
    Last,
}

/// A final answer as its candidate wrote it, without wrappers such as `$...$`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractedAnswer {
    /// The answer, trimmed, never empty.
    pub text: String,
    /// How it was found.
    pub tier: Tier,
}

/// The final answer of `text`, or none. `truncated`: the text was cut off at a length limit, so its last number is no
/// answer, nor is a box, a tag or a string that was still open.
pub fn extract_answer(text: &str, truncated: bool) -> Option<ExtractedAnswer> {
    extract_answer_counted(text, truncated).0
}

/// As [`extract_answer`], with the number of steps taken: bytes looked at, over all scans.
pub fn extract_answer_counted(text: &str, truncated: bool) -> (Option<ExtractedAnswer>, u64) {
    let mut scan = Scan { truncated, steps: 0 };
    let text = scan.without_end_tokens(text);
    let answer = match scan.thoughts(text) {
        Some((thoughts, conclusion)) => scan.tiers(conclusion).or_else(|| scan.tiers(thoughts)),
        None => scan.tiers(text),
    };
    (answer, scan.steps)
}

/// One extraction: what is known about the text, and the work done on it so far.
pub(crate) struct Scan {
    truncated: bool,
    steps: u64,
}

impl Scan {
    /// Charges a scan of `bytes` bytes.
    fn charge(&mut self, bytes: usize) {
        self.steps += bytes as u64 + 1;
    }

    fn tiers(&mut self, text: &str) -> Option<ExtractedAnswer> {
        let found = |tier: Tier| move |text: String| ExtractedAnswer { text, tier };
        if let Some(answer) = self.answer_tag(text) {
            return Some(found(Tier::AnswerTag)(answer));
        }
        let boxed = self.last_boxed(text);
        if let Some(boxed) = &boxed
            && let Some(letter) = self.choice_behind(boxed, text)
        {
            return Some(found(Tier::Phrase)(letter));
        }
        let json = self.json_answer(text);
        match (boxed, json) {
            (Some(boxed), Some(json)) if boxed.within.start > json.key || boxed.within.end < json.object => {
                Some(found(Tier::Boxed)(boxed.text))
            }
            (_, Some(json)) => Some(found(Tier::Json)(json.text)),
            (Some(boxed), None) => Some(found(Tier::Boxed)(boxed.text)),
            (None, None) => self
                .phrase(text)
                .map(found(Tier::Phrase))
                .or_else(|| if self.truncated { None } else { self.last_value(text).map(found(Tier::Last)) }),
        }
    }

    /// The choice letter announced behind a box that holds a value: the box is then a step on the way to the choice.
    fn choice_behind(&mut self, boxed: &boxed::Boxed, text: &str) -> Option<String> {
        let is_letter = |text: &str| text.len() == 1 && text.starts_with(|c: char| c.is_ascii_uppercase());
        let letter = self.phrase(&text[boxed.within.end..])?;
        (is_letter(&letter) && value::choice_at(&boxed.text).is_none()).then_some(letter)
    }

    /// The content of the last closed `<answer>` that holds one; else, where the text was not cut off, what follows a
    /// last one that was never closed (a server's stop string removes the closing tag).
    fn answer_tag(&mut self, text: &str) -> Option<String> {
        self.charge(text.len());
        let mut open: Option<usize> = None;
        let mut last: Option<String> = None;
        for tag in tags::tags(text).filter(|tag| tag.name == tags::Name::Answer && tag.complete) {
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
        let is_prose = plain.contains('\n') || plain.split_whitespace().nth(8).is_some();
        if is_prose && let Some(phrase) = self.phrase(content) {
            return Some(phrase);
        }
        Some(value::value_in_prose(&plain).unwrap_or(plain))
    }

    /// The text before and behind the last `</think>`, where there is one.
    fn thoughts<'a>(&mut self, text: &'a str) -> Option<(&'a str, &'a str)> {
        self.charge(text.len());
        let last = tags::tags(text)
            .filter(|tag| tag.name == tags::Name::Think && tag.closing && tag.complete)
            .last()?;
        Some((&text[..last.start], &text[last.end..]))
    }

    /// `text` without the end-of-text tokens that some servers leave in.
    fn without_end_tokens<'a>(&mut self, text: &'a str) -> &'a str {
        const END_TOKENS: [&str; 6] =
            ["</s>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>"];
        let mut rest = text.trim_end();
        while let Some(shorter) = END_TOKENS.iter().find_map(|token| rest.strip_suffix(token)) {
            rest = shorter.trim_end();
        }
        self.charge(text.len() - rest.len());
        rest
    }
}

/// The start of the window of at most `bytes` bytes at the end of `text`, on a character boundary.
fn window_start(text: &str, bytes: usize) -> usize {
    text.ceil_char_boundary(text.len().saturating_sub(bytes))
}

#[cfg(test)]
mod tests;
