//! The `answer` field of a JSON object, as models write JSON: unescaped backslashes and quotes, raw newlines,
//! single quotes, cut off, wrapped in code fences, or only the field without its object.

use super::{MAX_ANSWER_BYTES, Scan, prose, value};

/// An `answer` field.
pub(super) struct JsonAnswer {
    pub text: String,
    /// Byte offset of the field's key.
    pub key: usize,
    /// Byte offset of the `{` that seems to open its object (the first one in the text).
    pub object: usize,
}

/// How many keys are tried, from the end.
const MOST_TRIES: usize = 64;

#[rustfmt::skip]
const KEYS: &[&str] = &[
    "answer", "final_answer", "finalanswer", "final answer", "final-answer", "answers", "final_answers",
    "correct_answer", "your_answer", "the_answer",
];

fn is_plural(key: &str) -> bool {
    key.contains("nswers") || key.contains("NSWERS")
}

impl Scan {
    /// The value of the last `answer` key that has one.
    pub(super) fn json_answer(&mut self, text: &str) -> Option<JsonAnswer> {
        self.charge(text.len());
        // The last of either spelling; each is searched for again only when it was used.
        let (mut small, mut capital) = (super::last(text, "nswer"), super::last(text, "NSWER"));
        // A text may be full of keys without values; each try looks at a bounded window.
        let mut tries = 0;
        while tries < MOST_TRIES {
            // Every key ends with "nswer" and a quote.
            let at = small.max(capital)?;
            if small == Some(at) {
                small = super::last(&text[..at], "nswer");
            } else {
                capital = super::last(&text[..at], "NSWER");
            }
            let Some((key, content)) = key_around(text, at) else { continue };
            tries += 1;
            let Some(raw) = self.field_value(&text[content..]) else { continue };
            // A list under `answers` is a list of answers.
            let raw = match raw.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                Some(items) if is_plural(&text[key..content]) && !items.contains('[') => {
                    items.replace('"', "")
                }
                _ => raw,
            };
            if let Some(answer) = value::answer_of(&raw).and_then(|answer| self.kept(answer)) {
                let object = text[..key].find('{').unwrap_or(key);
                let text = prose::value_in_prose(&answer).unwrap_or(answer);
                return Some(JsonAnswer { text, key, object });
            }
        }
        None
    }

    /// The value that `rest` begins with, decoded.
    fn field_value(&mut self, rest: &str) -> Option<String> {
        let window = &rest[..rest.floor_char_boundary(MAX_ANSWER_BYTES * 2)];
        self.charge(window.len());
        let first = window.chars().next()?;
        match first {
            '"' | '\'' | '“' => self.string_value(&window[first.len_utf8()..], first),
            '[' | '{' => bracketed(window).map(str::to_string),
            _ => {
                let length = window.find([',', '}', '\n', '"']).unwrap_or(window.len());
                // "1,234" without quotes is no JSON, but its meaning is plain.
                let thousands = value::number_at(window).filter(|number| number.len() > length);
                let raw = thousands.unwrap_or(&window[..length]).trim();
                let complete = length < window.len() || !self.truncated;
                (complete && !raw.is_empty() && raw != "null").then(|| raw.to_string())
            }
        }
    }

    /// The string whose opening quote was just read. Its end is the first unescaped quote with a comma, a closing bracket,
    /// a line's or the text's end behind it; else the first unescaped quote.
    fn string_value(&mut self, rest: &str, quote: char) -> Option<String> {
        let close = if quote == '“' { '”' } else { quote };
        let mut first = None;
        let mut escaped = false;
        for (at, c) in rest.char_indices() {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == close {
                let behind = rest[at + c.len_utf8()..].trim_start_matches([' ', '\t', '`', '\\']);
                if behind.is_empty() || behind.starts_with([',', '}', ']', '\n', '\r']) {
                    return Some(decoded(&rest[..at]));
                }
                first = first.or(Some(at));
            } else if c == '\n' && first.is_some() {
                break;
            }
        }
        match first {
            Some(at) => Some(decoded(&rest[..at])),
            None if self.truncated => None,
            // Never closed: the rest of its line, without what closes the object.
            None => Some(decoded(rest.lines().next()?.trim_end_matches(['}', ',', ' ', '`', '"']))),
        }
    }
}

/// Where `nswer` at `at` is the end of a quoted key with a colon behind it: the key's offset and its value's.
fn key_around(text: &str, at: usize) -> Option<(usize, usize)> {
    let mut end = at + "nswer".len();
    end += usize::from(text[end..].starts_with(['s', 'S']));
    let behind = text[end..].strip_prefix('\\').unwrap_or(&text[end..]);
    let quote = behind.chars().next().filter(|c| matches!(c, '"' | '\'' | '”'))?;
    let after_quote = &behind[quote.len_utf8()..];
    let value = after_quote.trim_start_matches(|c: char| c.is_whitespace()).strip_prefix(':')?;
    let value = value.trim_start_matches(|c: char| c.is_whitespace() || c == '\\');
    let open = if quote == '”' { '“' } else { quote };
    let before = &text[..at];
    let key_start = before[super::window_start(before, 16)..].rfind(open)? + super::window_start(before, 16);
    let key = &text[key_start + open.len_utf8()..end];
    KEYS.iter().any(|known| key.eq_ignore_ascii_case(known)).then(|| (key_start, text.len() - value.len()))
}

/// A bracketed value, as its raw text.
fn bracketed(text: &str) -> Option<&str> {
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 1 => return Some(&text[..at + 1]),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// LaTeX commands that begin with a letter that JSON reads as an escape: where one follows, the backslash is LaTeX's.
#[rustfmt::skip]
const AMBIGUOUS: &[&str] = &[
    "bar", "begin", "beta", "big", "bigl", "binom", "bmod", "boxed", "bullet", "bot", "frac", "forall",
    "ne", "neg", "nabla", "not", "nu", "right", "rangle", "rho", "rfloor", "rceil", "rm", "tan", "tau",
    "text", "tfrac", "theta", "times", "tilde", "to", "top", "triangle", "tbinom", "underline", "union",
    "neq", "nexists", "notin", "ni", "rightarrow", "textbf", "textit", "textrm", "tanh", "bmatrix",
];

/// The character of `u00e9`, or of a pair of surrogates `ud83d\ude00`; half a pair stands for no character.
fn escaped(text: &str) -> Option<(char, usize)> {
    let unit = |text: &str| {
        let hex = text.strip_prefix('u')?.get(..4)?;
        hex.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(hex, 16).ok())?
    };
    let high = unit(text)?;
    if !(0xd800..0xe000).contains(&high) {
        return Some((char::from_u32(high)?, 5));
    }
    let low = text[5..].strip_prefix('\\').and_then(unit).filter(|low| (0xdc00..0xe000).contains(low));
    match low {
        Some(low) if high < 0xdc00 => {
            Some((char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?, 11))
        }
        _ => Some((char::REPLACEMENT_CHARACTER, 5)),
    }
}

/// A JSON string's content with its escapes undone, leaving LaTeX commands alone.
fn decoded(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        // A whole command: `\nexists` is none that begins with `\ne`, and `\nexactly` is a line break.
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let latex = AMBIGUOUS.contains(&&behind[..letters])
            || behind.starts_with("boxed")
            || behind.starts_with("frac")
            || behind.starts_with("text");
        let (decoded, length) = match behind.chars().next() {
            Some('n' | 'r' | 't') if !latex => (Some(' '), 1),
            Some(c @ ('"' | '\'' | '\\' | '/')) => (Some(c), 1),
            Some('u') if !latex => match escaped(behind) {
                Some((c, length)) => (Some(c), length),
                None => (Some('\\'), 0),
            },
            _ => (Some('\\'), 0),
        };
        out.extend(decoded);
        rest = &behind[length..];
    }
    out.push_str(rest);
    out
}
