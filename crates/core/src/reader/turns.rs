//! What the author of a text concluded: without the control tokens of its model, without thoughts and other channels, and
//! without the next turn or question that it runs on into.

use super::{NoAnswer, Scan, tags};

/// One turn of a text.
pub(super) struct Turn<'a> {
    /// What was said in the end.
    pub conclusion: &'a str,
    /// What stands before the end of the last thought, where something stands behind it.
    pub thoughts: Option<&'a str>,
    /// Whether a control token says that the turn ended here.
    pub is_ended: bool,
}

/// Tokens that end a turn, and at which a text is cut.
#[rustfmt::skip]
const END_TOKENS: &[&str] = &[
    "</s>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>", "<|end|>",
    "<|return|>", "<|eom_id|>", "<|end_of_sentence|>", "<|end▁of▁sentence|>", "<|END_OF_TURN_TOKEN|>",
    "<|endofturn|>", "[/s]", "<eos>", "<|eot|>", "<EOS>", "<|eos|>", "<pad>", "<|pad|>",
];

/// Tokens that begin the turn of somebody else.
#[rustfmt::skip]
const TURN_TOKENS: &[&str] = &[
    "<|im_start|>user", "<|im_start|>system", "<|start_header_id|>user", "<start_of_turn>user", "[INST]",
    "<|user|>", "<|start|>user", "<|User|>", "<|prompter|>",
];

/// Tokens that begin the turn itself; what stands before them is a prompt.
#[rustfmt::skip]
const OWN_TOKENS: &[&str] = &[
    "<|im_start|>assistant", "<|start_header_id|>assistant<|end_header_id|>", "<start_of_turn>model",
    "[/INST]", "<|assistant|>", "<|Assistant|>", "<|start|>assistant", "<|CHATBOT_TOKEN|>", "<s>",
];

/// Marks around thoughts other than `<think>` and its like, which the scanner of tags knows.
const THOUGHTS: [(&str, &str); 7] = [
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<seed:think>", "</seed:think>"),
    ("<|begin▁of▁thought|>", "<|end▁of▁thought|>"),
    ("<unused94>thought", "<unused95>"),
];

impl Scan {
    /// The turn that a text holds; or why it has no conclusion.
    pub(super) fn conclusion<'a>(&mut self, text: &'a str) -> Result<Turn<'a>, NoAnswer> {
        self.charge(text.len());
        let text = channels(text)?;
        if !may_have_marks(text) {
            return match text.trim().is_empty() {
                true => Err(NoAnswer::Empty),
                false => Ok(Turn { conclusion: text, thoughts: None, is_ended: false }),
            };
        }
        let (text, is_ended) = own_turn(text);
        if text.trim().is_empty() {
            return Err(NoAnswer::Empty);
        }
        let mut turn = Turn { conclusion: text, thoughts: None, is_ended };
        // The last thought that closes: what stands behind it counts.
        if let Some((start, end)) = thought_end(text) {
            turn.conclusion = &text[end..];
            turn.thoughts = Some(&text[..start]);
        }
        // A thought that opens and never closes: what was said before it counts.
        if let Some(open) = thought_start(turn.conclusion) {
            turn.conclusion = &turn.conclusion[..open];
            if turn.conclusion.trim().is_empty() {
                return Err(NoAnswer::UnclosedThought);
            }
        }
        for mark in ["<|begin_of_solution|>", "<|end_of_solution|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"]
        {
            if let Some((before, behind)) = turn.conclusion.split_once(mark) {
                turn.conclusion = if mark.contains("END") || mark.contains("end") { before } else { behind };
            }
        }
        if turn.conclusion.trim().is_empty() {
            return Err(if self.truncated && !is_ended { NoAnswer::Truncated } else { NoAnswer::Empty });
        }
        Ok(turn)
    }

    /// The parts of a text that runs on into the next question or turn. A text that begins with such a mark is a prompt's
    /// echo; its answer stands in a later part.
    pub(super) fn segments<'a>(&mut self, text: &'a str) -> Vec<&'a str> {
        self.charge(text.len());
        let mut segments = Vec::new();
        let mut start = 0;
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if at > start && is_next_question(line) {
                segments.push(&text[start..at]);
                start = at;
            }
            at += line.len();
        }
        segments.push(&text[start..]);
        segments
    }
}

/// `text` without paragraphs at its end that are not about the answer: notes, explanations behind it, offers of more help.
pub(super) fn without_asides(text: &str) -> &str {
    #[rustfmt::skip]
    const STARTS: &[&str] = &[
        "note", "remark", "p.s.", "ps:", "explanation", "let me know", "i hope", "would you like", "feel free", "if you have",
        "if you'd like", "is there anything", "do you want", "hope this", "please let", "happy to", "disclaimer", "reference",
        "sources", "see also", "fun fact", "bonus", "aside",
    ];
    let mut text = text;
    for _ in 0..4 {
        let Some(at) = super::last(text, "\n\n") else { break };
        let paragraph = text[at..].trim_start().trim_start_matches(['*', '#', '_', '>', '-', '(', ' ']);
        let start = crate::letters::lowercase(&paragraph[..paragraph.floor_char_boundary(24)]);
        let is_rule = text[at..].trim().chars().all(|c| matches!(c, '-' | '*' | '_' | '='));
        // What is marked counts wherever it stands.
        let is_marked = || {
            ["\\boxed", "####", "<answer", "nswer is", "nswer:"].iter().any(|mark| text[at..].contains(mark))
        };
        let is_aside = STARTS.iter().any(|word| start.starts_with(word)) && !is_marked();
        if !(is_aside || is_rule) || text[..at].trim().is_empty() {
            break;
        }
        text = text[..at].trim_end();
    }
    text
}

/// What an answer begins behind, where a text begins with the question: "Answer:", "Assistant:".
pub(super) fn behind_question(segment: &str) -> Option<&str> {
    if !is_next_question(segment.trim_start().lines().next().unwrap_or_default()) {
        return Some(segment);
    }
    const WORDS: [&str; 6] = ["assistant", "answer", "a", "solution", "response", "ai"];
    let mut at = 0;
    for line in segment.split_inclusive('\n') {
        let trimmed = line.trim_start().trim_start_matches(['#', '*', ' ']);
        if let Some(colon) = trimmed.find(':').filter(|colon| {
            WORDS.contains(&trimmed[..*colon].trim_matches(['*', ' ']).to_ascii_lowercase().as_str())
        }) {
            let start = at + (line.len() - trimmed.len()) + colon + 1;
            return Some(&segment[start..]);
        }
        at += line.len();
    }
    None
}

/// Whether a mark of a model is in a text: each begins with `<`, `[` or `◁`. Most texts have none, and
/// relations and brackets far more often.
fn may_have_marks(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_token = |at: usize| {
        let begins = |token: &str| bytes[at..].starts_with(token.as_bytes());
        [END_TOKENS, TURN_TOKENS, OWN_TOKENS].iter().any(|tokens| tokens.iter().any(|token| begins(token)))
            || THOUGHTS.iter().any(|(open, close)| begins(open) || begins(close))
    };
    let is_mark = |at: usize| match bytes.get(at + 1) {
        Some(b'|') => true,
        Some(b'a'..=b'z' | b'A'..=b'Z' | b'/') if is_token(at) => true,
        _ => bytes[at] == b'<' && tags::tag_at(bytes, at).is_some(),
    };
    ['<', '['].iter().any(|open| text.match_indices(*open).any(|(at, _)| is_mark(at))) || text.contains('◁')
}

/// The final channel of gpt-oss, with its control tokens or without: then the names of channels stand glued to the text.
fn channels(text: &str) -> Result<&str, NoAnswer> {
    if text.contains("<|channel|>") {
        if let Some(at) = text.rfind("<|channel|>final") {
            let rest = &text[at + "<|channel|>final".len()..];
            return Ok(rest
                .find("<|message|>")
                .map_or(rest, |message| &rest[message + "<|message|>".len()..]));
        }
        if text.contains("<|channel|>analysis") || text.contains("<|channel|>commentary") {
            return Err(NoAnswer::UnclosedThought);
        }
    }
    let trimmed = text.trim_start();
    for channel in ["analysis", "commentary"] {
        let glued = trimmed.strip_prefix(channel).is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit() || c == '\n')
        });
        if glued {
            return match trimmed.rfind("assistantfinal") {
                Some(at) => Ok(&trimmed[at + "assistantfinal".len()..]),
                None => Err(NoAnswer::UnclosedThought),
            };
        }
    }
    Ok(text)
}

/// The first turn of the assistant, without the control tokens around it; and whether one of them ended it.
fn own_turn(text: &str) -> (&str, bool) {
    let mut text = text;
    // A whole conversation: what stands before the assistant's turn is a prompt.
    let has_bars = text.contains("<|");
    for token in OWN_TOKENS.iter().filter(|token| has_bars || !token.starts_with("<|")) {
        let before_answer = |at: usize| {
            at == text.len() - text.trim_start().len()
                || TURN_TOKENS.iter().any(|turn| text[..at].trim_start().starts_with(turn))
        };
        if let Some(at) = super::first(text, token).filter(|at| before_answer(*at)) {
            text = &text[at + token.len()..];
        }
    }
    let mut text = text.trim_start();
    // Of texts that begin with an end token.
    while let Some(token) = END_TOKENS.iter().find(|token| text.starts_with(**token)) {
        text = text[token.len()..].trim_start();
    }
    let is_token = |tokens: &[&str], at: usize| tokens.iter().any(|token| text[at..].starts_with(token));
    let ends = |at: &usize| is_token(END_TOKENS, *at) || *at > 0 && is_token(TURN_TOKENS, *at);
    let end = |open: char| text.match_indices(open).map(|(at, _)| at).find(ends);
    match ['<', '['].into_iter().filter_map(end).min() {
        Some(end) => (&text[..end], true),
        None => (text, false),
    }
}

/// The end of the last thought: where its closing mark starts and where it ends.
fn thought_end(text: &str) -> Option<(usize, usize)> {
    let has_bars = text.contains("<|");
    let tag = tags::tags(text)
        .filter(|tag| tag.name.is_thought() && tag.closing && tag.complete)
        .last()
        .map(|tag| (tag.start, tag.end));
    let mark = THOUGHTS
        .iter()
        .filter(|(_, close)| has_bars || !close.starts_with("<|"))
        .filter_map(|(_, close)| super::last(text, close).map(|at| (at, at + close.len())))
        .max();
    tag.max(mark)
}

/// Where a thought starts that does not close: at the start of a line, as models write it.
fn thought_start(text: &str) -> Option<usize> {
    let is_at_start = |at: usize| {
        let before = text[..at].trim_end_matches([' ', '\t', '*', '#']);
        before.is_empty() || before.ends_with('\n')
    };
    let tag = tags::tags(text)
        .find(|tag| tag.name.is_thought() && !tag.closing && tag.complete && is_at_start(tag.start))
        .map(|tag| tag.start);
    let mark =
        THOUGHTS.iter().filter_map(|(open, _)| super::first(text, open).filter(|at| is_at_start(*at))).min();
    match (tag, mark) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Whether a line begins a next question or the turn of somebody else, as models write them when they do not stop.
fn is_next_question(line: &str) -> bool {
    #[rustfmt::skip]
    const WORDS: &[&str] = &[
        "question", "q", "problem", "user", "human", "instruction", "prompt", "exercise", "input", "问题",
        "题目", "pregunta", "frage", "вопрос",
    ];
    let trimmed = line.trim_start().trim_start_matches(['#', '*', '<', '|', '[', '>', ' ', '_']);
    if trimmed.starts_with(|c: char| c.is_ascii() && !"quphieQUPHIEfF".contains(c)) {
        return false;
    }
    WORDS.iter().any(|word| {
        let start: String = trimmed.chars().take(word.chars().count()).collect();
        let rest = &trimmed[start.len()..];
        if crate::letters::lowercase(&start) != *word || *word == "q" && start != "Q" {
            return false;
        }
        // A number of its own: `Question 2:`, `Problem #3.`
        let rest = rest.trim_start_matches(|c: char| {
            c.is_ascii_digit() || matches!(c, ' ' | '#' | '*' | '_' | ']' | '|')
        });
        let behind = rest.strip_prefix([':', '.']);
        behind.is_some_and(|behind| !behind.starts_with(|c: char| c.is_ascii_digit()))
            || matches!(*word, "instruction" | "user" | "human") && rest.trim().is_empty()
    })
}
