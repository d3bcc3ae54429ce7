//! The scanner for `<answer>` and `<think>` tags: tolerant of case and of spaces inside the tag, and never an XML parser
//! (a `<` or `&` between the tags is text). The reader, the parsing of completions and the neutralising of candidates in
//! prompts all use it, so that they agree on what a tag is.

/// The names that count as tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Answer,
    Think,
    /// Another word for a thought, `<reasoning>`: no tag of ours.
    Thought,
    /// Another word for an answer, `<final_answer>`: no tag of ours either.
    FinalAnswer,
}

impl Name {
    /// Whether what stands between such tags is a thought.
    pub fn is_thought(self) -> bool {
        matches!(self, Name::Think | Name::Thought)
    }

    /// Whether what stands between such tags is an answer.
    pub fn is_answer(self) -> bool {
        matches!(self, Name::Answer | Name::FinalAnswer)
    }

    /// Whether a prompt of ours has such tags.
    pub fn is_ours(self) -> bool {
        matches!(self, Name::Answer | Name::Think)
    }
}

/// What models call the two: thoughts have many names.
#[rustfmt::skip]
const NAMES: &[(Name, &str)] = &[
    (Name::Answer, "answer"), (Name::Think, "think"), (Name::FinalAnswer, "final_answer"), (Name::FinalAnswer, "finalanswer"), (Name::FinalAnswer, "final"),
    (Name::FinalAnswer, "solution"), (Name::FinalAnswer, "output"), (Name::Thought, "thinking"),
    (Name::Thought, "thought"), (Name::Thought, "thoughts"), (Name::Thought, "reason"),
    (Name::Thought, "reasoning"), (Name::Thought, "reflection"), (Name::Thought, "scratchpad"),
    (Name::Thought, "analysis"), (Name::Thought, "inner_monologue"),
];

/// One tag in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    pub name: Name,
    /// `</...>`
    pub closing: bool,
    /// Byte offset of `<`.
    pub start: usize,
    /// Byte offset behind `>`, or behind the name where `complete` is false.
    pub end: usize,
    /// Whether the tag ends with `>`. Text that merely begins like a tag (`<answer key="1">`, `<answer` at the end) is
    /// not read as one, but is neutralised like one.
    pub complete: bool,
}

/// All tags of `text` in order. Linear: the look-ahead from each `<` is bounded.
pub(crate) fn tags(text: &str) -> impl Iterator<Item = Tag> + '_ {
    let bytes = text.as_bytes();
    text.match_indices('<').filter_map(|(start, _)| tag_at(bytes, start))
}

/// The tag whose `<` stands at `start`.
pub(super) fn tag_at(bytes: &[u8], start: usize) -> Option<Tag> {
    let mut at = skip_space(bytes, start + 1);
    let closing = bytes.get(at) == Some(&b'/');
    if closing {
        at = skip_space(bytes, at + 1);
    }
    let (name, length) = NAMES.iter().find_map(|&(name, word)| {
        let found = bytes.get(at..at + word.len())?;
        let ends =
            !bytes.get(at + word.len()).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        (ends && found.eq_ignore_ascii_case(word.as_bytes())).then_some((name, word.len()))
    })?;
    at += length;
    let end = skip_space(bytes, at);
    let complete = bytes.get(end) == Some(&b'>');
    Some(Tag { name, closing, start, end: if complete { end + 1 } else { at }, complete })
}

/// Skips a few blanks, not line ends: enough for what models write, bounded so that the whole scan stays linear.
fn skip_space(bytes: &[u8], from: usize) -> usize {
    const MOST: usize = 4;
    let blanks = bytes.iter().skip(from).take(MOST).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    from + blanks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        tags(text)
            .map(|t| {
                format!(
                    "{}{:?} {}{}",
                    if t.closing { "/" } else { "" },
                    t.name,
                    &text[t.start..t.end],
                    if t.complete { "" } else { " ..." }
                )
            })
            .collect()
    }

    #[test]
    fn finds_tags_as_models_write_them() {
        assert_eq!(shown("a <b <answer>x<y&z</ANSWER >"), ["Answer <answer>", "/Answer </ANSWER >"]);
        assert_eq!(shown("< think ></think>"), ["Think < think >", "/Think </think>"]);
        assert_eq!(shown("<answers> <answerx> <thinker>"), Vec::<String>::new());
        assert_eq!(shown("<answer"), ["Answer <answer ..."]);
        assert_eq!(shown("<answer id=1>"), ["Answer <answer ..."]);
        assert_eq!(shown("<"), Vec::<String>::new());
        assert_eq!(shown("<é"), Vec::<String>::new());
    }
}
