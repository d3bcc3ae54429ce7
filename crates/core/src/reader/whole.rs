//! Whether a text is an answer and nothing else: mathematics, or a few words that are no speech of its author.

use super::value::{choice_at, clean_answer, number_at};
use crate::letters::lowercase;

/// Whether a text may be an answer and nothing else: no mark inside it, and not several lines. Whether it announces an answer
/// is a question of its own ([`super::phrases::announces`]).
pub(super) fn may_be_whole(text: &str) -> bool {
    let many = text.contains('\n')
        && !text.starts_with("\\begin{")
        && !text.starts_with("[[")
        && !text.contains("([[");
    !many && !has_mark(text)
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

/// Whether a text is sentences, which are no answer and no mathematics that could be read: the lexer knows no full stop
/// behind a word, save for those of abbreviations. To parse them would be a waste.
pub(super) fn is_sentences(text: &str) -> bool {
    const MOST_WORDS: usize = 16;
    let bytes = text.as_bytes();
    let first = bytes.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let is_stop = |window: &[u8]| {
        window[5] == b'.'
            && window[6] == b' '
            && window[7].is_ascii_uppercase()
            && window[..5].iter().all(u8::is_ascii_alphabetic)
            && window[..5] != *b"pprox"
    };
    first > 1
        && matches!(bytes.get(first), Some(b' ' | b','))
        && bytes.windows(8).any(is_stop)
        && !has_text_command(text)
        && !["\\math", "\\bf"].iter().any(|command| text.contains(command))
        && text.split_whitespace().nth(MOST_WORDS).is_some()
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
    if text.len() > MOST {
        return false;
    }
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
    has_value && depth == 0 && !has_words(text) && !has_text_command(text)
}

/// Whether a command of TeX holds words or a box.
fn has_text_command(text: &str) -> bool {
    text.as_bytes().windows(2).enumerate().any(|(at, pair)| {
        matches!(pair, [b'\\', b't' | b'b' | b'f' | b'm' | b'h' | b'o'])
            && ["text", "box", "fbox", "mbox", "frame", "hbox", "mathrm", "operatorname"]
                .iter()
                .any(|name| text[at + 1..].starts_with(name))
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
