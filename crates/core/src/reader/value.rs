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
        for (open, close) in WRAPPERS {
            let inner = next.strip_prefix(open).and_then(|inner| inner.strip_suffix(close));
            if let Some(inner) = inner
                && !inner.contains(open)
            {
                next = inner;
            }
        }
        next = unmatched_ends(next);
        if next.len() == text.len() {
            break;
        }
        text = next;
    }
    text
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
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| matches!(byte, 0x7..=0xd)) {
        if let Some(command) = command(at, byte) {
            out.push_str(&text[from..at]);
            out.push_str(command);
            from = at + 1;
        }
    }
    (from > 0).then(|| out + &text[from..])
}

/// Whether a text may be an answer and nothing else: no mark that announces one inside it, and not several sentences.
pub(super) fn may_be_whole(text: &str) -> bool {
    let many = text.contains('\n')
        && !text.starts_with("\\begin{")
        && !text.starts_with("[[")
        && !text.contains("([[");
    !many && !has_mark(text) && !super::phrases::announces(text)
}

/// Whether something in a text marks an answer or a formula in it. One pass, since most bare answers have none.
fn has_mark(text: &str) -> bool {
    const COMMANDS: [&str; 5] = ["boxed", "fbox", "framebox", "(", "["];
    let mut skip = false;
    text.bytes().enumerate().any(|(at, byte)| {
        if std::mem::take(&mut skip) {
            return false;
        }
        let starts = |marks: &[&str], from: usize| {
            marks.iter().any(|mark| text.as_bytes()[from..].starts_with(mark.as_bytes()))
        };
        match byte {
            b'\\' => {
                // A row break with a length, `\\[4pt]`, opens no formula.
                skip = text.as_bytes().get(at + 1) == Some(&b'\\');
                !skip && starts(&COMMANDS, at + 1)
            }
            b'<' => starts(&["<answer"], at),
            b'#' => starts(&["####"], at),
            b'`' => starts(&["```"], at),
            b'n' => starts(&["nswer\"", "nswer'"], at),
            _ => false,
        }
    })
}

/// A choice letter that is the whole of a short text, `(C)`, `**B**`, `C.`
pub(super) fn letter_alone(text: &str) -> Option<char> {
    if text.chars().count() > 8 || text.contains([',', '=', '+']) {
        return None;
    }
    choice_at(text).filter(|_| text.chars().filter(|c| c.is_alphanumeric()).count() == 1)
}

/// Whether a text that holds no mark is an answer as a whole: mathematics, or a few words that are no speech of its author.
pub(super) fn is_whole(text: &str, answer: &crate::equivalence::Answer) -> bool {
    /// Words up to this many are an answer ("There is no real root"); more are a text.
    const MOST_WORDS: usize = 8;
    // Somebody who speaks of himself or of the text is not giving an answer.
    #[rustfmt::skip]
    const SPEECH: &[&str] = &[
        "i", "me", "my", "we", "us", "our", "let", "let's", "let’s", "wait", "hm", "hmm", "uh", "um", "okay", "ok", "well",
        "step", "now", "first", "next", "so", "then", "therefore", "thus", "hence", "please", "you", "your", "as", "above",
        "below", "see", "here", "done", "sure", "hello", "hi", "thanks", "continue",
    ];
    let speaks = |word: &str| SPEECH.contains(&word) || word.starts_with("i'") || word.starts_with("we'");
    if text.chars().all(char::is_alphabetic) && speaks(&lowercase(text)) {
        return false;
    }
    if !answer.is_text() {
        // Words that happen to parse as a product of letters, "I get 5".
        let is_speech = answer.is_scalar()
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.contains(' ')
            && !text.contains('=')
            && text.bytes().any(|byte| byte.is_ascii_digit())
            && !crate::math::units::is_currency(text.split(' ').next().unwrap_or_default())
            && words_of_prose(text) > usize::from(text.contains(" and ") || text.contains(" or "));
        if is_speech {
            return false;
        }
        // "12 is the answer" parses as a number and its unit; so do longer sentences.
        let words = |word: &str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
        let count = text.split_whitespace().count();
        return count <= 16
            || text.contains(['\\', '[', '('])
            || text.split_whitespace().filter(|word| words(word)).count() * 4 < count;
    }
    let cleaned = clean_answer(text);
    if cleaned.starts_with("\\begin{") && cleaned.ends_with('}') {
        return true;
    }
    if text.contains('$') {
        return false;
    }
    if cleaned.split_whitespace().nth(MOST_WORDS).is_some() {
        return false;
    }
    // Sentences of scripts without blanks.
    let wide = cleaned.chars().filter(|c| *c >= '\u{2e80}' && c.is_alphabetic()).count();
    if wide > 8 || wide > 0 && cleaned.contains(['。', '，', ',', ';', ':', '(']) {
        return false;
    }
    let lower = lowercase(cleaned);
    if lower.contains(" it's ") {
        return false;
    }
    let words = || {
        lower.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’').filter(|word| !word.is_empty())
    };
    // Words of language: not the names of commands, environments and functions of TeX and of programs.
    let has_digits = lower.bytes().any(|byte| byte.is_ascii_digit());
    let prose = words_of_prose(cleaned);
    let numbers = cleaned
        .split(|c: char| !c.is_ascii_digit() && c != ',' && c != '.')
        .filter(|run| run.bytes().any(|b| b.is_ascii_digit()))
        .count();
    // "5 squared" is not 5, nor is "7 red, 3 blue" 3; a sentence with a number in it has that value.
    let is_changed = number_at(cleaned)
        .is_some_and(|number| crate::math::units::changes_value(&cleaned[number.len()..]) && prose < 4);
    let says = words().any(|word| {
        matches!(
            word,
            "is" | "are"
                | "was"
                | "were"
                | "be"
                | "equals"
                | "makes"
                | "gives"
                | "has"
                | "have"
                | "to"
                | "in"
                | "of"
                | "at"
        )
    });
    let is_list = numbers > 1 && prose <= 4 && !says && !cleaned.contains(['=', ';']);
    if has_digits && prose > 0 && !is_changed && !is_list {
        return false;
    }
    if [" is correct", " is the correct", " is right", " is the right", " is best", " is the best"]
        .iter()
        .any(|words| lower.contains(words))
    {
        return false;
    }
    // A letter at the end of a sentence, "I'd go with B".
    if prose > 0 && super::last::letter_at_end(cleaned).is_some() {
        return false;
    }
    // A letter marked as a choice among words, "so it is (E)".
    if prose > 1 && lower.contains(" (") && text.contains(')') || text.contains("**") && prose > 2 {
        return false;
    }
    !words().any(speaks)
}

/// Whether there may be words in a text: two letters in a row that are no command of TeX. One pass, since most answers have
/// none.
pub(crate) fn has_words(text: &str) -> bool {
    let mut run = 0;
    let mut command = false;
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' if command => {}
            b'a'..=b'z' | b'A'..=b'Z' => {
                run += 1;
                if run == 2 {
                    return true;
                }
            }
            _ if !byte.is_ascii() => return true,
            _ => {
                run = 0;
                command = byte == b'\\';
            }
        }
    }
    false
}

/// Whether a text is mathematics and nothing else, as far as its characters go: no words, no mark that a reader looks for.
pub(super) fn is_plain(text: &str) -> bool {
    const MOST: usize = 400;
    let is_mark = |byte: u8| matches!(byte, b'<' | b'#' | b'`' | b'"' | b'?' | b':' | b'!') || byte < b' ';
    let mut before = 0;
    let mut has_value = false;
    let mut depth = 0i32;
    for byte in text.bytes() {
        // `**5**` is bold, `\(5\)` a formula in a text.
        if is_mark(byte) || before == b'*' && byte == b'*' || before == b'\\' && matches!(byte, b'(' | b'[') {
            return false;
        }
        has_value |= byte.is_ascii_alphanumeric();
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        before = byte;
    }
    text.len() <= MOST && has_value && depth == 0 && !has_words(text) && !has_text_command(text)
}

/// Whether a command of TeX holds words or a box.
fn has_text_command(text: &str) -> bool {
    text.match_indices('\\').any(|(at, _)| {
        let rest = &text[at + 1..];
        ["text", "box", "fbox", "mbox", "frame", "hbox", "mathrm", "operatorname"]
            .iter()
            .any(|name| rest.starts_with(name))
    })
}

/// How many words of language there are in a text: runs of three letters or more that name no command of TeX, no environment
/// and no function.
fn words_of_prose(text: &str) -> usize {
    let mut count = 0;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if !c.is_alphabetic() {
            at += c.len_utf8();
            continue;
        }
        let length: usize = text[at..].chars().take_while(|c| c.is_alphabetic()).map(char::len_utf8).sum();
        let (before, behind) = (&text[..at], &text[at + length..]);
        let is_name = before.ends_with('\\')
            || ["\\begin{", "\\end{", "\\operatorname{", "\\operatorname*{"]
                .iter()
                .any(|command| before.ends_with(command))
            || behind.starts_with('(');
        count += usize::from(length > 2 && !is_name);
        at += length;
    }
    count
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
    let at = lower.rfind("answer").map(|at| at + "answer".len()).or_else(|| {
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

/// Whether there is a number, a letter by itself or a formula in a text.
pub(super) fn has_value(text: &str) -> bool {
    text.contains('\\')
        || text.chars().any(|c| c.is_ascii_digit())
        || text.chars().count() <= 2
        || text
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| word.chars().count() == 1 && word != "a" && word != "I" && word != "s")
}

/// Whether words say that there is no such thing: that is an answer, however long.
pub(super) fn denies(text: &str) -> bool {
    let lower = lowercase(text);
    let mut words = lower.split(|c: char| !c.is_alphabetic());
    text.split_whitespace().nth(9).is_none()
        && words.any(|word| {
            matches!(
                word,
                "no" | "none"
                    | "not"
                    | "never"
                    | "cannot"
                    | "impossible"
                    | "undefined"
                    | "infinitely"
                    | "does"
                    | "all"
                    | "both"
                    | "neither"
                    | "yes"
            )
        })
}

/// The value in an answer written out in words: the number of a sentence with exactly one, "Sally has 9 books."; the last
/// value of the last sentence of a longer text, "The goats cost $1500. ... The total is $4500.".
pub(super) fn value_in_prose(text: &str) -> Option<String> {
    computed_in_words(text).or_else(|| sentence_value(text))
}

/// The result of a computation written out with words or money, "43 (his age) + 7 = 50", "3 bags * $5/bag = $15": the
/// number behind the last equals sign. An equation in variables is no computation.
fn computed_in_words(text: &str) -> Option<String> {
    let (left, right) = text.rsplit_once('=')?;
    let mut runs = left.split(|c: char| !c.is_alphabetic() && c != '\'').filter(|run| !run.is_empty());
    let has_variable = runs.clone().any(|run| run.chars().count() == 1 && run != "x");
    let has_words = runs.any(|run| run.len() > 2) || left.contains('$');
    let is_computed = left.contains(|c: char| c.is_ascii_digit()) && !text.contains(['\\', '^', '<', '>']);
    if has_variable || !has_words || !is_computed {
        return None;
    }
    let right = right.trim();
    let number = number_at(right)?;
    right[number.len()..]
        .chars()
        .all(|c| c.is_alphabetic() || matches!(c, ' ' | '.'))
        .then(|| answer_of(number))?
}

fn sentence_value(text: &str) -> Option<String> {
    const LONG: usize = 12; // words
    let mut words = text.split_whitespace();
    let starts_with_word = words.next()?.chars().filter(|c| c.is_alphabetic()).nth(1).is_some();
    if text.starts_with('\\') || !starts_with_word || words.nth(1).is_none() {
        return None;
    }
    if words.nth(LONG).is_some() {
        let text = text.trim_end_matches(|c: char| c.is_whitespace() || c == '.');
        return super::last::last_in(&text[text.rfind(". ").map_or(0, |at| at + 2)..]);
    }
    if text.contains(['\\', '=', '^', '{', '(', '[', '<', '>', '/', '*', '+', '|', '_']) {
        return None;
    }
    // "not 5" is no 5.
    let negated = |word: &str| {
        ["not", "no", "none", "never", "neither", "cannot", "nor"].contains(&word) || word.ends_with("n't")
    };
    if text.split(|c: char| !c.is_alphabetic() && c != '\'').any(|word| negated(&lowercase(word))) {
        return None;
    }
    let mut number = None;
    let mut at = 0;
    let mut in_word = false;
    while let Some(c) = text[at..].chars().next() {
        let found = if in_word { None } else { number_at(&text[at..]) };
        if found.is_some() && number.is_some() {
            return None;
        }
        at += found.map_or(c.len_utf8(), str::len);
        in_word = found.is_some() || c.is_alphanumeric();
        number = number.or(found);
    }
    answer_of(number?)
}

/// A number with letters of a script without blanks right behind it, "18입니다", "18です", "18元": the number.
pub(super) fn number_before_words(text: &str) -> Option<&str> {
    let number = number_at(text)?;
    let behind = text[number.len()..].trim_start();
    let is_wide = behind.starts_with(|c: char| c >= '\u{900}' && c.is_alphabetic());
    is_wide.then_some(number)
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
