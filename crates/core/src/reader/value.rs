//! What the tiers share: taking the wrappers off an answer, and telling numbers and choice letters in running text.

use super::MAX_ANSWER_BYTES;
use crate::letters::lowercase;

/// `text` without what only presents an answer: blanks, `$...$`, `\(...\)`, `**...**`, quotes, backticks, a final stop.
/// What belongs to the value (`\text{}`, units, braces) stays.
pub fn clean_answer(text: &str) -> &str {
    /// Real answers wear two or three wrappers; the bound keeps hostile ones linear.
    const MOST_ROUNDS: usize = 16;
    let mut text = text;
    for _ in 0..MOST_ROUNDS {
        let mut next = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{200B}' | '\u{FEFF}'));
        // "0.333..." keeps its dots: they say that it goes on.
        if !next.ends_with("...") {
            next = next.trim_end_matches(['.', ';', ',', '。', '，', '।', '۔', '、']);
        }
        // Most values wear nothing.
        if is_marked(next.as_bytes()) {
            for (open, close) in WRAPPERS {
                let inner = next.strip_prefix(open).and_then(|inner| inner.strip_suffix(close));
                if let Some(inner) = inner
                    && !inner.contains(open)
                {
                    next = inner;
                }
            }
            next = unmatched_ends(next);
        }
        if next.len() == text.len() {
            break;
        }
        text = next;
    }
    text
}

/// Whether a text begins or ends with a mark of [`WRAPPERS`].
fn is_marked(text: &[u8]) -> bool {
    let is_mark = |byte: u8| matches!(byte, b'$' | b'*' | b'_' | b'`' | b'"' | b'\'') || !byte.is_ascii();
    match text {
        [b'\\', b'(' | b'[', ..] | [.., b'\\', b')' | b']'] => true,
        [first, .., last] => is_mark(*first) || is_mark(*last),
        [only] => is_mark(*only),
        [] => false,
    }
}

#[rustfmt::skip]
const WRAPPERS: &[(&str, &str)] = &[
    ("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("__", "__"), ("`", "`"),
    ("\"", "\""), ("“", "”"), ("'", "'"),
];

/// `text` without a mark at an end whose partner is missing.
fn unmatched_ends(text: &str) -> &str {
    let mut text = text;
    if text.ends_with('$') && !text.ends_with("\\$") && text.matches('$').count() % 2 == 1 {
        text = &text[..text.len() - 1];
    }
    for (open, close) in [("\\(", "\\)"), ("\\[", "\\]")] {
        if text.ends_with(close) && !text.contains(open) {
            text = &text[..text.len() - close.len()];
        }
        if text.starts_with(open) && !text.contains(close) {
            text = &text[open.len()..];
        }
    }
    if text.matches('"').count() == 1 && !text.contains('\'') {
        // Of a string cut out of JSON; feet and inches keep theirs.
        text = text.strip_suffix('"').or_else(|| text.strip_prefix('"')).unwrap_or(text);
    }
    for mark in ["**", "__"] {
        if text.matches(mark).count() == 1 {
            text = text.strip_prefix(mark).or_else(|| text.strip_suffix(mark)).unwrap_or(text);
        }
    }
    text
}

/// The cleaned answer, or none where nothing of substance is left.
pub(super) fn answer_of(raw: &str) -> Option<String> {
    // Cleaning counts marks, so what is too long anyway is refused first.
    if raw.len() > 2 * MAX_ANSWER_BYTES {
        return None;
    }
    let text = clean_answer(raw);
    let blank =
        text.chars().all(|c| c.is_whitespace() || c.is_ascii_punctuation() || c == '…' || c.is_control());
    if (blank && text != "\\{\\}" && text != "{}") || text.len() > MAX_ANSWER_BYTES {
        return None;
    }
    Some(text.to_string())
}

/// `text` with its blanks of TeX as blanks, where whole sentences are written with them: `The\ sum\ is\ 5`.
pub(super) fn unspaced(text: &str) -> Option<String> {
    if !text.contains("\\ ") {
        return None;
    }
    let is_between = |at: usize| {
        text[..at].ends_with(|c: char| c.is_ascii_alphabetic())
            && text[at + 2..].starts_with(|c: char| c.is_alphanumeric() || c == '\\')
    };
    let many = text.match_indices("\\ ").filter(|(at, _)| is_between(*at)).take(3).count() == 3;
    many.then(|| text.replace("\\ ", " "))
}

/// `text` with the commands put right that a reader of JSON took for escapes: a backspace and `oxed`, a form feed and `rac`,
/// a tab and `imes`. None where there is nothing to put right.
pub(super) fn repaired(text: &str) -> Option<String> {
    /// What stands behind a control character that was the beginning of a command.
    #[rustfmt::skip]
    const REST: &[(u8, &str, &[&str])] = &[
        (0x7, "\\a", &["lpha", "ngle", "pprox", "rc", "st"]),
        (0x8, "\\b", &["oxed", "eta", "inom", "ar{", "egin{", "mod", "ig", "f{", "ullet"]),
        (b'\t', "\\t", &["imes", "ext{", "extbf{", "heta", "frac", "riangle", "binom", "ilde", "herefore"]),
        (b'\n', "\\n", &["eq ", "eq\\", "abla", "otin", "exists"]),
        (0xb, "\\v", &["ec", "ert", "ar", "dots", "artheta", "phi"]),
        (0xc, "\\f", &["rac", "orall", "box", "loor"]),
        (b'\r', "\\r", &["ight", "angle", "ho", "floor", "ceil", "brace", "brack", "vert"]),
    ];
    // Without a way out of the loop, so that many bytes are looked at together.
    let is_control = |byte: u8| matches!(byte, 0x7..=0xd);
    if !text.bytes().fold(false, |any, byte| any | is_control(byte)) {
        return None;
    }
    let command = |at: usize, byte: u8| {
        let rest = &text[at + 1..];
        let (_, command, rests) = REST.iter().find(|(control, ..)| *control == byte)?;
        let is_command = rests.iter().any(|word| rest.starts_with(word));
        // A line that begins with "eq" is one only behind something.
        let is_line = byte == b'\n' && !text[..at].ends_with(|c: char| !c.is_whitespace());
        (is_command && !is_line).then_some(*command)
    };
    let mut out = String::new();
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| is_control(*byte)) {
        if let Some(command) = command(at, byte) {
            out.push_str(&text[from..at]);
            out.push_str(command);
            from = at + 1;
        }
    }
    (from > 0).then(|| out + &text[from..])
}

/// Whether a text ends inside something that was opened: an open brace or bracket of TeX in its last paragraph, `\left` or
/// `\frac` without what belongs to it.
pub(super) fn ends_open(text: &str) -> bool {
    let text = text.trim_end();
    let window = &text[super::window_start(text, 2_000)..];
    let paragraph = &window[window.rfind("\n\n").map_or(0, |at| at + 2)..];
    let mut depth = 0i32;
    let mut bytes = paragraph.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'{' => depth += 1,
            b'}' => depth = (depth - 1).max(0),
            _ => {}
        }
    }
    let command = &paragraph[paragraph.rfind('\\').unwrap_or(paragraph.len())..];
    let is_begun = matches!(
        command.trim_end(),
        "\\left"
            | "\\left("
            | "\\left["
            | "\\frac"
            | "\\dfrac"
            | "\\tfrac"
            | "\\sqrt"
            | "\\cdot"
            | "\\times"
            | "\\boxed"
            | "\\text"
            | "\\"
    ) && !paragraph.ends_with("\\\\");
    let opened = paragraph.matches("\\left").count()
        > paragraph.matches("\\right").count() + paragraph.matches("\\leftarrow").count();
    // An object of JSON that breaks off.
    if text.starts_with('{') && text.contains('"') && !text.contains('}') {
        return true;
    }
    let is_latex = paragraph.contains('\\') || paragraph.contains('$');
    is_begun || is_latex && (depth > 0 || opened && paragraph.contains("\\left"))
}

/// The value behind a label inside a box or a formula: `ANSWER: 199`, `\text{ANSWER: } 352`, `\text{ANSWER: 434}`,
/// `\text{the answer is 0}`, `\text{the radius } r = 5`. None where there is no label.
pub(super) fn label_stripped(content: &str) -> Option<String> {
    let text = content.trim();
    let (label, rest, is_text) = match ["\\text{", "\\textbf{", "\\mathrm{", "\\mbox{", "\\textrm{"]
        .iter()
        .find_map(|command| text.strip_prefix(command))
    {
        Some(inside) => {
            let close = closing_brace(inside)?;
            (&inside[..close], inside[close + 1..].trim(), true)
        }
        None => (text, "", false),
    };
    let lower = label.to_ascii_lowercase();
    // Of the last word for it: "the final answer is".
    let answer = if lower.contains('w') { lower.rfind("answer") } else { None };
    let at = answer.map(|at| at + "answer".len()).or_else(|| {
        // Most boxes hold no such mark.
        if lower.is_ascii() && !lower.contains(':') {
            return None;
        }
        ["result:", "solution:", "答案", "ans:"]
            .iter()
            .find_map(|word| lower.find(word).map(|at| at + word.len() - usize::from(word.ends_with(':'))))
    });
    if let Some(at) = at {
        let behind = label[at..].trim_start();
        let value =
            [":", "：", "is:", "is", "=", "为", "是"].iter().find_map(|verb| behind.strip_prefix(verb));
        if let Some(value) = value {
            let value = value.trim();
            let whole = if value.is_empty() {
                rest.trim_start_matches([':', '=', ' ', '~']).trim_start_matches("\\ ").to_owned()
            } else {
                format!("{value} {rest}")
            };
            return answer_of(whole.trim());
        }
        if behind.is_empty() && !rest.is_empty() {
            return answer_of(rest.trim_start_matches([':', '=', ' ']));
        }
        return None;
    }
    // Words, then a name and its value.
    let words = label
        .split_whitespace()
        .filter(|word| word.chars().filter(|c| c.is_alphabetic()).count() > 1)
        .count();
    if is_text && words >= 1 && !rest.is_empty() {
        let value = rest.rsplit_once('=').map(|(_, value)| value).filter(|value| !value.contains(['<', '>']));
        let is_label = label.trim_end().ends_with([':', '=']) || words > 2;
        return match value {
            Some(value) => answer_of(value),
            None if is_label && label.trim_end().ends_with([':', '=']) => answer_of(rest),
            None => None,
        };
    }
    None
}

/// Where the brace that was opened before `text` closes.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The part of a line that can be the value that was announced on it: up to a brace or mark that nothing opened, a remark in
/// parentheses, or a comma with words behind it. And whether something was cut off.
pub(super) fn cut(line: &str) -> (&str, bool) {
    let mut depth = Vec::new();
    let mut dollars = 0;
    let mut end = line.len();
    let mut skip = false;
    for (at, c) in line.char_indices() {
        if skip {
            skip = false;
            continue;
        }
        let rest = &line[at..];
        match c {
            '\\' => {
                skip = rest[1..].starts_with(['{', '}', '$', '\\', '(', ')', '[', ']', '%']);
                let open = if rest.starts_with("\\]") { "\\[" } else { "\\(" };
                if (rest.starts_with("\\]") || rest.starts_with("\\)")) && !line[..at].contains(open) {
                    end = at;
                    break;
                }
            }
            '$' => {
                // A dollar that closes what the line did not open.
                dollars += 1;
                let later = line[at + 1..].matches('$').count();
                if dollars == 1
                    && later == 0
                    && at > 0
                    && !rest[1..].starts_with(|c: char| c.is_ascii_digit())
                {
                    end = at;
                    break;
                }
            }
            '(' if at > 0
                && depth.is_empty()
                && line[..at].ends_with(' ')
                && is_remark(&line[..at], &rest[1..]) =>
            {
                end = at;
                break;
            }
            '（' if at > 0 => {
                end = at;
                break;
            }
            '{' | '(' | '[' => depth.push(c),
            '}' => {
                let Some(_) = depth.pop() else {
                    end = at;
                    break;
                };
            }
            // Half-open intervals close with either bracket.
            ')' | ']' => {
                depth.pop();
            }
            '*' if rest.starts_with("**") && depth.is_empty() => {
                let is_power = line[..at].ends_with(|c: char| c.is_alphanumeric() || c == ')')
                    && rest[2..].starts_with(|c: char| c.is_ascii_digit() || c == '(' || c == '-');
                if !is_power && at > 0 {
                    end = at;
                    break;
                }
            }
            ',' | ';' | '，' | '；' | '—' | '–'
                if depth.is_empty() && dollars % 2 == 0 && is_clause(&line[..at], &rest[c.len_utf8()..]) =>
            {
                end = at;
                break;
            }
            _ => {}
        }
    }
    (line[..end].trim_end(), end < line.len())
}

/// Whether an open parenthesis begins a remark: words, and no argument of a function.
fn is_remark(before: &str, inside: &str) -> bool {
    let inside = &inside[..inside.find(')').unwrap_or(inside.len())];
    let letters = |word: &str| word.chars().filter(|c| c.is_alphabetic()).count();
    if inside.contains('\\') && !inside.contains(' ') {
        return false;
    }
    // "6 apples (12 ÷ 2)"
    let is_counted = before
        .trim_end()
        .rsplit(' ')
        .next()
        .is_some_and(|word| letters(word) > 2 && letters(word) == word.chars().count());
    if is_counted && inside.contains(['÷', '×', '=', '+', '*']) {
        return true;
    }
    inside.split_whitespace().any(|word| {
        letters(word) > 1 && !word.starts_with('\\') && !matches!(word, "mod" | "sin" | "cos" | "ln" | "log")
    })
}

/// Whether a comma behind a value begins a clause and not a next item: words, other than those that join items.
fn is_clause(before: &str, behind: &str) -> bool {
    #[rustfmt::skip]
    const JOINS: &[&str] = &[
        "and", "or", "und", "oder", "et", "ou", "y", "e", "o", "и", "или", "和", "或", "text", "quad", "und",
    ];
    let value = before.trim_end_matches(|c: char| c.is_whitespace() || c == '*' || c == '$');
    let ends_with_value =
        value.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '}' | ')' | ']' | '%' | '°'));
    let word: String = behind.trim_start().chars().take_while(|c| c.is_alphabetic() || *c == '\'').collect();
    let letters = word.chars().count();
    let is_wide = word.chars().next().is_some_and(|c| c >= '\u{2e80}');
    // "no, that is all" is no value with a clause; a number or a formula is needed before it.
    let has_value =
        value.chars().any(|c| c.is_ascii_digit()) || value.contains('\\') || value.chars().count() == 1;
    ends_with_value && has_value && (letters > 1 || is_wide) && !JOINS.contains(&lowercase(&word).as_str())
}

/// The number that `text` begins with: sign, currency sign, thousands separators, decimals, `a/b`, a percent sign.
pub(super) fn number_at(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut at = 0;
    if matches!(bytes.first(), Some(b'-' | b'+')) {
        at += 1;
    } else if text.starts_with('−') {
        at += '−'.len_utf8();
    }
    if bytes.get(at) == Some(&b'\\') && bytes.get(at + 1) == Some(&b'$') {
        at += 2;
    } else if bytes.get(at) == Some(&b'$') {
        at += 1;
    }
    let digits =
        |from: usize| bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(at);
    at += whole;
    while whole > 0 && whole <= 3 && bytes.get(at) == Some(&b',') && digits(at + 1) == 3 {
        at += 4;
    }
    let fraction = if bytes.get(at) == Some(&b'.') { digits(at + 1) } else { 0 };
    if whole + fraction == 0 {
        return None;
    }
    if fraction > 0 {
        at += 1 + fraction;
    }
    if bytes.get(at) == Some(&b'/') && digits(at + 1) > 0 {
        at += 1 + digits(at + 1);
    }
    if bytes.get(at) == Some(&b'%') {
        at += 1;
    } else if bytes[at..].starts_with(b"\\%") {
        at += 2;
    }
    Some(&text[..at])
}

/// The choice letter that `text` begins with: `(C)`, `C)`, `C.`, `C:`, `**C**`, `\text{(C)}`, or `C` alone.
pub(super) fn choice_at(text: &str) -> Option<char> {
    let mut rest = text.trim_start_matches(|c: char| {
        c.is_whitespace() || matches!(c, '*' | '_' | '`' | '"' | '$' | '<' | '\'')
    });
    for prefix in ["\\boxed{", "\\text{", "\\textbf{", "\\mathrm{", "\\mathbf{"] {
        rest = rest.strip_prefix(prefix).unwrap_or(rest);
    }
    let open = rest.starts_with(['(', '[']);
    let rest = if open { &rest[1..] } else { rest };
    let mut chars = rest.chars();
    let letter = chars.next().filter(char::is_ascii_uppercase)?;
    let rest = chars.as_str();
    let marked = rest.starts_with([')', ']', '*']);
    if open {
        return marked.then_some(letter);
    }
    let ends = rest.is_empty()
        || rest
            .starts_with([')', '*', '}', '`', '"', '\n', '\r', '$', '>', '\'', '。', '，', '！', '।', '<'])
        || rest.trim_start_matches(' ').starts_with(|c: char| c >= '\u{900}' && c.is_alphabetic());
    let stops = rest.starts_with(['.', ':', ',', ';', '!'])
        && rest[1..].chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, '*' | '<' | '$' | '}'));
    // "C, D": several letters are no single choice.
    let another = rest.strip_prefix(',').map(str::trim_start).is_some_and(|next| {
        let mut chars = next.chars();
        chars.next().is_some_and(|c| c.is_ascii_uppercase())
            && chars.next().is_none_or(|c| !c.is_alphabetic())
    });
    ((ends || stops) && !another).then_some(letter)
}
