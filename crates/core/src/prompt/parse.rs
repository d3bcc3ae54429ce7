//! Reading a completion of the aggregator.

use serde::{Deserialize, Serialize};

use crate::reader::{read_announced, tags};

/// What a completion says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParsedCompletion {
    /// The answer in the last closed `<answer>` that holds one.
    pub answer: Option<String>,
    /// Whether there is exactly one `<answer>`, closed, with an answer in it.
    pub well_formed: bool,
}

/// Reads prefill and completion as one text, never the prompt, so that a tag in the instruction is not graded as an
/// answer. An answer whose tag was not closed is none: it may have been cut off.
pub fn parse_completion(prefill: &str, completion: &str) -> ParsedCompletion {
    let text = format!("{prefill}{completion}");
    let (mut opened, mut closed) = (0usize, 0usize);
    let mut open: Option<usize> = None;
    let mut answer: Option<String> = None;
    for tag in tags::tags(&text).filter(|tag| tag.name == tags::Name::Answer && tag.complete) {
        if !tag.closing {
            opened += 1;
            open = Some(tag.end);
            continue;
        }
        closed += 1;
        if let Some(start) = open.take() {
            answer = read_announced(&text[start..tag.start]).answer.or(answer);
        }
    }
    ParsedCompletion { well_formed: opened == 1 && closed == 1 && answer.is_some(), answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_is_one_closed_answer() {
        let cases: [(&str, &str, Option<&str>, bool); 10] = [
            ("<answer>", "42</answer>", Some("42"), true),
            ("<answer>", " $x < y & z$ </answer> bye", Some("x < y & z"), true),
            ("<think>", "so</think> <answer>1</answer>", Some("1"), true),
            ("<answer>", "42", None, false),
            ("<answer>", "</answer>", None, false),
            ("<answer>", " \n</answer>", None, false),
            ("<answer>", "1</answer><answer>2</answer>", Some("2"), false),
            ("<answer>", "<answer>1</answer>", Some("1"), false),
            ("<think>", "1</answer>", None, false),
            ("<think>", "no idea", None, false),
        ];
        for (prefill, completion, answer, well_formed) in cases {
            let expected = ParsedCompletion { answer: answer.map(str::to_string), well_formed };
            assert_eq!(parse_completion(prefill, completion), expected, "of {prefill}{completion}");
        }
    }
}
