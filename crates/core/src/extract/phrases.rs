//! Tier 4: phrases that announce an answer: "The final answer is", `#### 18`, `A: 18`, "**Answer:** 18", and
//! the `;#18` at the end of a chain of steps.

use super::{Scan, value};

/// How far from the end of the text phrases are looked for, in bytes.
const WINDOW: usize = 1 << 16;
/// How many announced places are tried.
const MOST_TRIES: usize = 64;

impl Scan {
    /// The value behind the last phrase that announces one.
    ///
    /// A model that does not stop goes on to the next questions, or recites the examples of its prompt: lines that
    /// announce one choice letter after another with nothing between. Of such a list the letter announced before it
    /// counts, else its first.
    pub(super) fn phrase(&mut self, text: &str) -> Option<String> {
        let window = &text[super::window_start(text, WINDOW)..];
        self.charge(window.len());
        let mut letters = Letters::default();
        let mut tries = 0;
        let mut end = Some(window.len());
        while let Some(line_end) = end.filter(|_| tries < MOST_TRIES) {
            let start = window[..line_end].rfind('\n').map_or(0, |at| at + 1);
            let line = &window[start..line_end];
            // Cut off on its last line, the value may be cut off too.
            let cut_off = self.truncated && line_end == window.len();
            let announced = if cut_off { None } else { announced(line) };
            tries += usize::from(announced.is_some());
            let value = announced.and_then(|at| announced_value(&window[start + at..]));
            match value {
                Some(value) if letters.is_list_line(line, &value) => letters.run.push(value),
                Some(value) => return letters.decide().or(Some(value)),
                None if line.trim().is_empty() => {}
                None if letters.run.is_empty() => {}
                None if letters.is_list() => letters.ended = true,
                None => break,
            }
            end = start.checked_sub(1);
        }
        letters.decide().or(letters.run.pop())
    }
}

/// Choice letters announced line after line, from the end of the text.
#[derive(Default)]
struct Letters {
    run: Vec<String>,
    /// Whether something else stands before the list.
    ended: bool,
}

impl Letters {
    /// Whether `line` announces the letter `value` and nothing else, and belongs to the run.
    fn is_list_line(&self, line: &str, value: &str) -> bool {
        !self.ended
            && line.trim().len() < 40
            && value.len() == 1
            && value.starts_with(|c: char| c.is_ascii_uppercase())
    }

    /// Whether the run answers several questions: three different letters or more.
    fn is_list(&self) -> bool {
        let Some(first) = self.run.first() else { return false };
        let second = self.run.iter().find(|letter| *letter != first);
        self.run.iter().any(|letter| letter != first && Some(letter) != second)
    }

    /// The letter of a run that is no list: the last in the text. None for a list, which something before it decides.
    fn decide(&self) -> Option<String> {
        if self.is_list() { None } else { self.run.first().cloned() }
    }
}

/// Where on `line` the value behind the line's last announcement starts.
fn announced(line: &str) -> Option<usize> {
    let hashes = line.rfind("####").map(|at| at + 4);
    let trimmed =
        line.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '#' | '>' | '-' | '_'));
    let indent = line.len() - trimmed.len();
    let labelled = ["A:", "Ans:", "ANS:", "A :"].iter().find(|label| trimmed.starts_with(**label));
    let labelled = labelled.map(|label| indent + label.len());
    hashes.max(labelled).max(after_answer_word(line)).max(behind_chain(line))
}

/// Where the value starts behind a chain of steps, `2*3=6;6+1=7;#7`. Anywhere else `#7` is the name of something.
fn behind_chain(line: &str) -> Option<usize> {
    let (chain, value) = line.rsplit_once('#')?;
    let is_number = value::number_at(value).is_some_and(|number| value[number.len()..].trim().is_empty());
    (is_number && chain.trim_end().ends_with(';')).then_some(chain.len() + 1)
}

/// Where the value starts behind "answer is", "answer:", "answer to the question is", "correct option is".
fn after_answer_word(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    // One word at a time, each searched from the end once: linear in the line.
    ["answer", "correct option", "correct choice"]
        .into_iter()
        .filter_map(|word| after_word(&lower, word))
        .max()
}

/// Where the value starts behind the last `word` that has a verb or a colon soon behind it.
fn after_word(lower: &str, word: &str) -> Option<usize> {
    /// Between the word and its verb there is room for "to the original question".
    const ROOM: usize = 60;
    const VERBS: [&str; 8] = [" is", ":", " are", " would be", " should be", " =", " was", "**"];
    let mut end = lower.len();
    while let Some(at) = lower[..end].rfind(word) {
        end = at;
        let behind = at + word.len();
        let room = &lower[behind..lower.floor_char_boundary(behind + ROOM)];
        let sentence = &room[..room.find(". ").unwrap_or(room.len())];
        let verb = VERBS.iter().filter_map(|verb| {
            let found = sentence.find(verb)?;
            let after = &sentence[found + verb.len()..];
            (!after.starts_with(|c: char| c.is_ascii_alphanumeric())).then_some((found, verb.len()))
        });
        if let Some((found, length)) = verb.min() {
            return Some(behind + found + length);
        }
        if room.len() < ROOM && room.trim_matches(['*', '#', ' ']).is_empty() {
            return Some(lower.len()); // a heading: the value is on the next line
        }
    }
    None
}

/// Words between an announcement and its value that say nothing of it.
const FILLERS: [&str; 12] = [
    "option ",
    "Option ",
    "choice ",
    "Choice ",
    "letter ",
    "approximately ",
    "about ",
    "roughly ",
    "equal to ",
    "simply ",
    "therefore ",
    "just ",
];

/// The value that stands at the start of `rest`: on its line, or where nothing does, on the next that is not blank.
fn announced_value(rest: &str) -> Option<String> {
    let is_heading =
        rest.lines().next().is_none_or(|line| line.trim_matches(['*', '_', ':', '#', ' ']).is_empty());
    let rest =
        rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_' | ':' | '#' | '`'));
    let rest = &rest[..rest.floor_char_boundary(super::MAX_ANSWER_BYTES)];
    if is_heading && announced(rest.lines().next()?).is_some() {
        return None; // the next line speaks for itself
    }
    let rest = FILLERS.iter().find_map(|filler| rest.strip_prefix(filler)).unwrap_or(rest).trim_start();
    if let Some(letter) = value::choice_at(rest) {
        return Some(letter.to_string());
    }
    if let Some((inner, behind)) = math_span(rest) {
        let more = behind.trim_start();
        let goes_on =
            [", $", ", \\(", "and $", "and \\(", "or $", "or \\("].iter().any(|next| more.starts_with(next));
        if !goes_on {
            return value::answer_of(inner);
        }
    }
    let line = rest.lines().next()?;
    sentence_value(sentence(line))
}

/// The mathematics that `text` begins with, and what stands behind it.
pub(super) fn math_span(text: &str) -> Option<(&str, &str)> {
    for (open, close) in [("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$")] {
        if let Some(rest) = text.strip_prefix(open) {
            let end = rest.find(close)?;
            let inner = &rest[..end];
            // "$85 or $90": dollars, not mathematics.
            let dollars = open == "$" && (inner.ends_with(' ') || inner.contains('\n'));
            return (!dollars && !inner.trim().is_empty()).then(|| (inner, &rest[end + close.len()..]));
        }
    }
    None
}

/// `line` up to the end of its first sentence.
fn sentence(line: &str) -> &str {
    let end = line.find(". ").or_else(|| line.find("! ")).unwrap_or(line.len());
    &line[..end]
}

/// The value in a sentence that was announced as the answer.
fn sentence_value(sentence: &str) -> Option<String> {
    let sentence = sentence.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '.' | '*' | '!'));
    let reason = [" because", " since ", " which ", " as ", ", so ", " (because"];
    let end = reason.iter().filter_map(|word| sentence.find(word)).min().unwrap_or(sentence.len());
    let sentence = &sentence[..end];
    let words = sentence.split_whitespace().count();
    if let Some(number) = value::number_at(sentence) {
        let behind = &sentence[number.len()..];
        let unit = behind.trim();
        let is_words = !unit.is_empty()
            && unit.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '\'' | '-' | ','));
        if is_words && behind.starts_with(' ') && words > 4 {
            return value::answer_of(number);
        }
    }
    const MOST_WORDS: usize = 12;
    if words > MOST_WORDS {
        return super::last::last_in(sentence);
    }
    value::value_in_prose(sentence).or_else(|| value::answer_of(sentence))
}
