//! Rewriting untrusted text so that nothing in it can be taken for the prompt's own structure.

use crate::reader::tags;

/// `text` with everything that looks like our tags or headers rewritten, the rest untouched:
/// `<answer>` and `<think>`, opening or closing, in any case, become `[answer]` and `[think]`; `Answer 3:` and
/// `Question:` at the start of a line lose their colon to ` -`. The result contains neither any more.
pub fn neutralise(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for tag in tags::tags(text).filter(|tag| tag.name.is_ours()) {
        bytes[tag.start] = b'[';
        if tag.complete {
            bytes[tag.end - 1] = b']';
        }
    }
    // One ASCII byte was put in place of another, so this is still the same UTF-8.
    let text = String::from_utf8(bytes).unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive(ends_line) {
        match header_colon(line) {
            Some((at, length)) => {
                out.push_str(&line[..at]);
                out.push_str(" -");
                out.push_str(&line[at + length..]);
            }
            None => out.push_str(line),
        }
    }
    out
}

/// Every character that some reader takes for a line's end.
fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{B}' | '\u{C}' | '\u{1C}'..='\u{1E}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Where `line` begins like a header, the byte offset and length of its colon.
fn header_colon(line: &str) -> Option<(usize, usize)> {
    let start = line.trim_start_matches(is_blank);
    let (word, numbered) = [("answer", true), ("question", false)]
        .into_iter()
        .find(|(word, _)| start.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word)))?;
    let mut rest = start[word.len()..].trim_start_matches(is_blank);
    if numbered {
        let behind = rest.trim_start_matches(char::is_numeric);
        if behind.len() == rest.len() {
            return None; // "Answer:" is no header of ours, and worth reading
        }
        rest = behind.trim_start_matches(is_blank);
    }
    let colon = rest.chars().next().filter(|c| matches!(c, ':' | '：' | '︰' | '﹕'))?;
    Some((line.len() - rest.len(), colon.len_utf8()))
}

/// Blanks, and characters that show nothing.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' | '\u{AD}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_headers_are_rewritten() {
        let cases = [
            ("<answer>5</answer>", "[answer]5[/answer]"),
            ("< / THINK > x", "[ / THINK ] x"),
            ("<answer", "[answer"),
            ("a <b> & <answers>", "a <b> & <answers>"),
            ("Answer 3:\nfoo", "Answer 3 -\nfoo"),
            ("x\r  answer 12 : y", "x\r  answer 12  - y"),
            ("x\u{2028}Question：y", "x\u{2028}Question -y"),
            ("Answer: 42", "Answer: 42"),
            ("the Answer 3: no header here", "the Answer 3: no header here"),
            ("Questions: none", "Questions: none"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(neutralise(text), expected, "from {text:?}");
            assert_eq!(neutralise(expected), expected, "twice from {text:?}");
        }
    }
}
