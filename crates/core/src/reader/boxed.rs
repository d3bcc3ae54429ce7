//! Boxes: `\boxed{...}`, with nested braces, several boxes, `\fbox{}` and `\boxed 5`.

use std::ops::Range;

use super::{Scan, prose, value};

/// A box and what it holds.
pub(super) struct Boxed {
    pub text: String,
    /// Byte range of the whole box in the text.
    pub within: Range<usize>,
}

impl Scan {
    /// The last box that closes and is not empty; else, where the text was not cut off, the rest of the line behind a
    /// last box that never closes.
    ///
    /// Linear: boxes are tried from the end, and where a box does not close, neither does any box around it, so the
    /// search for an earlier one's end stops where this one began.
    pub(super) fn last_boxed(&mut self, text: &str) -> Option<Boxed> {
        self.charge(text.len());
        let mut limit = text.len();
        let mut unclosed: Option<(usize, usize)> = None;
        let mut from = text.len();
        while let Some((start, content)) = previous_box(text, from) {
            from = start;
            let end = self.content_end(text, content, limit);
            if let Some(end) = end {
                let open = usize::from(text.as_bytes().get(content) == Some(&b'{'));
                let inner = &text[content + open..end];
                if let Some(last) = value::answer_of(inner).and_then(|last| self.kept_box(last)) {
                    let answer = self.with_neighbours(text, start, last);
                    return Some(Boxed { text: answer, within: start..end + open });
                }
            } else {
                unclosed = unclosed.or(Some((start, content)));
            }
            limit = start;
        }
        // An open box at the very end is a text that was cut off; before that its line was forgotten to be closed.
        let (start, content) = unclosed?;
        let is_cut = !text[content..].trim_end().contains('\n');
        if self.truncated || is_cut {
            return None;
        }
        let line = text[content..].trim_start_matches('{').lines().next()?;
        let line = line.trim_end_matches(|c: char| c == '$' || c == '.' || c.is_whitespace());
        Some(Boxed { text: value::answer_of(line)?, within: start..text.len() })
    }

    /// The value of a box, unless it is a blank to be filled in or no answer but a bound.
    fn kept_box(&mut self, content: String) -> Option<String> {
        if super::nothing::placeholder(&content).is_some() {
            return self.kept(content);
        }
        self.kept(plain(content))
    }

    /// The content of the last box, with those of the boxes right before it: `\boxed{1}, \boxed{2} and \boxed{3}` are
    /// one answer in three boxes. Right before: one word at most between them that is not `and` or `or`.
    fn with_neighbours(&mut self, text: &str, mut start: usize, last: String) -> String {
        let mut contents = vec![last];
        while contents.len() < MOST_NEIGHBOURS
            && text[super::window_start(&text[..start], NEIGHBOURHOOD)..start].contains("ox")
            && let Some((before, content)) =
                previous_box(&text[..start], start).filter(|(before, _)| start - before <= NEIGHBOURHOOD)
            && let Some(end) = self.content_end(text, content, start)
            && text.as_bytes().get(content) == Some(&b'{')
            && (connects(&text[end + 1..start]) || enumerates(text, before, &text[end + 1..start]))
            && let Some(inner) = value::answer_of(&text[content + 1..end]).map(plain)
        {
            if !contents.contains(&inner) {
                contents.push(inner);
            }
            start = before;
        }
        contents.reverse();
        contents.join(", ")
    }

    /// Where the content of a box that begins at `content` ends, looking no further than `limit`.
    fn content_end(&mut self, text: &str, content: usize, limit: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        if bytes.get(content) != Some(&b'{') {
            let rest = &text[content..limit.max(content)];
            let length =
                rest.find(|c: char| c.is_whitespace() || c == '$' || c == '\\').unwrap_or(rest.len());
            self.charge(length);
            return Some(content + length);
        }
        let mut depth = 0usize;
        let mut at = content;
        let end = loop {
            match bytes.get(at).filter(|_| at < limit) {
                None => break None,
                Some(b'\\') => at += 1, // the next byte is escaped
                Some(b'{') => depth += 1,
                Some(b'}') if depth == 1 => break Some(at),
                Some(b'}') => depth -= 1,
                Some(_) => {}
            }
            at += 1;
        };
        self.charge(at - content);
        end
    }
}

/// The value of a box that holds a label (`\boxed{ANSWER: 199}`, `\boxed{\text{radius } r = 5}`) or a sentence
/// (`\boxed{\text{Adam loses \$16.}}`); any other content as it is.
fn plain(content: String) -> String {
    if let Some(value) = value::label_stripped(&content) {
        return value;
    }
    let sentence = content.strip_prefix("\\text{").and_then(|inner| inner.strip_suffix('}'));
    let sentence =
        sentence.filter(|inner| !inner.contains(['{', '}'])).map(|inner| inner.replace("\\$", "$"));
    sentence.and_then(|sentence| prose::value_in_prose(&sentence)).unwrap_or(content)
}

/// Whether what stands between two boxes ends the line or clause of the first and gives the second a name or a number of
/// its own, as the first has one too: `$a = \boxed{3}$, $b = \boxed{-1}$`, `1. First: \boxed{3}`, `2. Second: \boxed{-1}`.
fn enumerates(text: &str, first: usize, between: &str) -> bool {
    if between.len() > 120 || between.contains("\n\n\n") {
        return false;
    }
    let line = &text[super::window_start(&text[..first], 120)..first];
    let line = line.rsplit('\n').next().unwrap_or(line);
    match (name_before(between), name_before(line)) {
        (Some(own), Some(other)) => own != other,
        _ => false,
    }
}

/// The name of what stands behind a text, `a` of "and $a =", or the number of its line, `2` of "2. Second part:".
fn name_before(text: &str) -> Option<String> {
    let line = text.rsplit('\n').next().unwrap_or(text);
    let start =
        line.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '-' | '#' | '(' | '$'));
    let digits = start.bytes().take_while(u8::is_ascii_digit).count();
    let is_listed = |rest: &str| {
        rest.starts_with(['.', ')', ':']) && !rest[1..].starts_with(|c: char| c.is_ascii_digit())
    };
    if digits > 0 && digits <= 2 && is_listed(&start[digits..]) && !line.contains('=') {
        return Some(start[..digits].to_owned());
    }
    // `(a)`, `Part 1:`
    let mut letters = start.chars();
    if let (Some(letter @ 'a'..='h'), Some(')')) = (letters.next(), letters.next()) {
        return Some(letter.to_string());
    }
    if let Some(part) = start.strip_prefix("Part ").or_else(|| start.strip_prefix("part ")) {
        return part.split([':', ')', ' ', '.']).next().map(str::to_owned);
    }
    // `, $b = `: a name of a letter or two before an equals sign, and nothing else that is a step of reasoning.
    let equation = text.trim_end().trim_end_matches(['$', ' ']).strip_suffix('=')?.trim_end();
    let clause = equation.rsplit([',', ';', '\n']).next().unwrap_or(equation);
    let name = clause.rsplit(|c: char| c.is_whitespace() || matches!(c, '$' | '(' | '&' | '~')).next()?;
    let words: Vec<&str> = clause[..clause.len() - name.len()]
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .collect();
    let is_name = !name.is_empty() && name.len() <= 12 && !name.contains(['+', '-', '*', '/', '=', '.']);
    (is_name
        && words
            .iter()
            .all(|word| matches!(*word, "and" | "quad" | "qquad" | "text" | "so" | "So" | "also" | "with")))
    .then(|| name.trim_start_matches("\\(").to_owned())
}

/// Boxes that may make one answer.
const MOST_NEIGHBOURS: usize = 16;
/// How far back, in bytes, the next of them may begin.
const NEIGHBOURHOOD: usize = 256;

/// Whether what stands between two boxes joins them.
fn connects(between: &str) -> bool {
    if between.len() > 48 || between.contains(['\n', '.']) && !between.trim().is_empty() {
        return false;
    }
    // A value or an equation between them is a step from one to the other.
    if between.contains(|c: char| c == '=' || c.is_ascii_digit()) {
        return false;
    }
    const CORRECTIONS: [&str; 10] =
        ["then", "so", "but", "no", "not", "hence", "thus", "therefore", "is", "correct"];
    let words = || between.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    let other = |word: &&str| !matches!(*word, "and" | "or" | "text" | "quad" | "qquad" | "mbox");
    words().filter(other).count() <= 1 && !words().any(|word| CORRECTIONS.contains(&word))
}

/// The last box command before `end`: where it starts, and where its content does (at `{`, if it has one).
fn previous_box(text: &str, mut end: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    loop {
        // By one byte, which is searched for much faster than two are.
        let x = text[..end].rfind('x')?;
        end = x;
        let Some(at) = x.checked_sub(1).filter(|at| bytes[*at] == b'o') else { continue };
        let start = if bytes[..at].ends_with(b"\\b") && bytes[at..].starts_with(b"oxed") {
            Some((at - 2, at + 4))
        } else if bytes[..at].ends_with(b"\x08") && bytes[at..].starts_with(b"oxed") {
            Some((at - 1, at + 4)) // "\b" read as a JSON escape
        } else if bytes[..at].ends_with(b"\\fb") {
            Some((at - 3, at + 2))
        } else if bytes[..at].ends_with(b"\\frameb") {
            Some((at - 7, at + 2))
        } else {
            None
        };
        if let Some((start, command_end)) = start {
            let blanks = bytes[command_end..].iter().take(4).take_while(|byte| **byte == b' ').count();
            return Some((start, command_end + blanks));
        }
    }
}
