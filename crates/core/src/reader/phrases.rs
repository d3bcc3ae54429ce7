//! Phrases that announce an answer: explicit answer lines (`ANSWER: 5`, `#### 18`, "**Final answer:** 18"), sentences ("so
//! the answer is 5"), the `;#18` at the end of a chain of steps; in English and in the other languages spoken most.

use super::announced::{FILLERS, announced_value};
use super::{NoAnswer, Scan, value};
use crate::letters::{lower, lowercase};

/// How far from the end of the text phrases are looked for, in bytes.
const WINDOW: usize = 1 << 16;
/// How many announced places are tried.
const MOST_TRIES: usize = 64;

/// An answer that was announced.
pub(super) struct Announced {
    pub text: String,
    /// Where its line ends.
    pub at: usize,
    /// Whether its line says nothing else: an explicit answer line.
    pub is_line: bool,
    /// Whether the value stands right behind the announcement, and not somewhere in a sentence about the answer.
    pub is_direct: bool,
}

impl Announced {
    /// Whether this is a choice letter, and `boxed` a value: the box is then a step on the way to the choice.
    pub fn is_letter_behind(&self, boxed: &str) -> bool {
        self.text.len() == 1
            && self.text.starts_with(|c: char| c.is_ascii_uppercase())
            && value::choice_at(boxed).is_none()
    }
}

impl Scan {
    /// The value behind the last phrase that announces one.
    ///
    /// A model that does not stop goes on to the next questions, or recites the examples of its prompt: lines that
    /// announce one choice letter after another with nothing between. Of such a list the letter announced before it
    /// counts, else its first.
    pub(super) fn phrase(&mut self, text: &str) -> Option<Announced> {
        let from = super::window_start(text, WINDOW);
        let window = &text[from..];
        self.charge(window.len());
        let mut letters = Letters::default();
        let mut tries = 0;
        let mut end = Some(window.len());
        while let Some(line_end) = end.filter(|_| tries < MOST_TRIES) {
            let start = window[..line_end].rfind('\n').map_or(0, |at| at + 1);
            let line = &window[start..line_end];
            // Cut off on its last line, the value may be cut off too.
            let cut_off = self.truncated && line_end == window.len();
            let announced = if cut_off || is_remark(line) { None } else { announced(line) };
            tries += usize::from(announced.is_some());
            let value = announced
                .and_then(|found| {
                    let value =
                        announced_value(&window[start + found.value..], found.is_line, &mut self.nothing)?;
                    Some((found, value))
                })
                .and_then(|(found, value)| {
                    if value::ends_open(&value) {
                        self.nothing = self.nothing.or(Some(NoAnswer::Truncated));
                        return None;
                    }
                    let is_direct = is_direct(&window[start + found.value..], &value);
                    let text = self.kept(value)?;
                    Some(Announced { text, at: from + line_end, is_line: found.is_line, is_direct })
                });
            match value {
                Some(value) if letters.is_list_line(line, &value.text) => letters.run.push(value),
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

/// Whether a text begins with a value, but for marks and a word or two before it.
fn is_direct(text: &str, value: &str) -> bool {
    let window = &text[..text.floor_char_boundary(value.len() + 60)];
    let starts = |c: char| {
        c.is_ascii_digit()
            || matches!(c, '-' | '−' | '+' | '$' | '\\' | '(' | '[' | '{' | '|' | '.' | '√' | 'π' | '€' | '£')
    };
    let is_value = value.starts_with(starts)
        || value.chars().nth(1).is_none_or(|c| !c.is_alphabetic())
        || value.split_whitespace().nth(3).is_none() && !value.bytes().any(|byte| byte.is_ascii_digit());
    is_value
        && window.find(value).is_some_and(|at| {
            !window[..at]
                .split(|c: char| !c.is_alphabetic())
                .any(|word| word.chars().count() > 1 && !is_filler(word))
        })
}

fn is_filler(word: &str) -> bool {
    let word = lowercase(word);
    FILLERS.iter().any(|filler| filler.trim().split(' ').any(|part| part == word))
        || matches!(
            word.as_str(),
            "text"
                | "textbf"
                | "boxed"
                | "the"
                | "in"
                | "is"
                | "answer"
                | "final"
                | "large"
                | "mathbf"
                | "displaystyle"
                | "quad"
                | "left"
        )
}

/// Choice letters announced line after line, from the end of the text.
#[derive(Default)]
struct Letters {
    run: Vec<Announced>,
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
        let second = self.run.iter().find(|letter| letter.text != first.text);
        self.run
            .iter()
            .any(|letter| letter.text != first.text && Some(&letter.text) != second.map(|s| &s.text))
    }

    /// The letter of a run that is no list: the last in the text. None for a list, which something before it decides.
    fn decide(&mut self) -> Option<Announced> {
        if self.is_list() || self.run.is_empty() { None } else { Some(self.run.swap_remove(0)) }
    }
}

/// Where on a line an announcement stands.
#[derive(Clone, Copy)]
struct Found {
    /// Its first byte.
    label: usize,
    /// The first byte of the value.
    value: usize,
    /// Whether the line begins with it.
    is_line: bool,
}

/// The last announcement on a line.
fn announced(line: &str) -> Option<Found> {
    let starts = starts_on(line);
    if starts == 0 {
        return None;
    }
    let found = |label: usize, value: usize| Found { label, value, is_line: false };
    let start = label_start(line);
    let hashes = super::last(line, "####").map(|at| Found { is_line: true, ..found(at, at + 4) });
    let labelled = LABELS.iter().find(|label| line[start..].starts_with(**label));
    let labelled = labelled.map(|label| Found { is_line: true, ..found(start, start + label.len()) });
    let chain = behind_chain(line).map(|at| found(at, at));
    let words = after_answer_word(line, start, starts).map(|mut found| {
        found.is_line = found.label <= start || is_lead_in(&line[start..found.label]);
        found
    });
    // Of a line that says it twice the later one counts; what begins the line is as good as that.
    [hashes, labelled, words, chain].into_iter().flatten().max_by_key(|found| found.value)
}

/// The bit of the first three letters of a word of an announcement, in small letters; zero for any others.
fn bit_of(start: [u8; 3]) -> u16 {
    match &start {
        b"ans" => 1,
        b"cor" => 1 << 1,
        b"res" => 1 << 2,
        b"rep" => 1 << 3,
        b"ant" => 1 << 4,
        b"jaw" => 1 << 5,
        b"ris" => 1 << 6,
        b"cev" => 1 << 7,
        b"sva" => 1 << 8,
        b"odp" => 1 << 9,
        b"a :" | [b'a', b':', _] => 1 << 10,
        _ => 0,
    }
}

/// The bit of "ans" with no letter behind it, so that "answer" needs no second look.
const ABBREVIATED: u16 = 1 << 11;

/// How the words on a line begin ([`bit_of`]): one pass over its bytes, since most lines have none. All of them where
/// other scripts or marks may announce something; none where only commands of TeX begin so.
fn starts_on(line: &str) -> u16 {
    if !line.is_ascii() || line.contains('#') {
        return u16::MAX;
    }
    let bytes = line.as_bytes();
    let (mut found, mut announces) = (0, false);
    let mut before = b' ';
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(byte | 0x20, b'a' | b'c' | b'r' | b'j' | b's' | b'o')
            && byte.is_ascii_alphabetic()
            && !before.is_ascii_alphabetic()
        {
            let lower = |offset: usize| bytes.get(at + offset).map_or(0, u8::to_ascii_lowercase);
            let start = [lower(0), lower(1), lower(2)];
            let bit = bit_of(start);
            found |= bit;
            announces |= bit != 0 && before != b'\\';
            if start == *b"ans" && !lower(3).is_ascii_alphabetic() {
                found |= ABBREVIATED;
            }
        }
        before = *byte;
    }
    if announces { found } else { 0 }
}

/// Labels that need no other word.
const LABELS: [&str; 6] = ["A:", "Ans:", "ANS:", "A :", "Ans.", "ANS."];

/// Where a line begins behind what decorates it: blanks, marks of lists and headings, a box or a text command.
fn label_start(line: &str) -> usize {
    let mut rest = line;
    loop {
        let next = rest.trim_start_matches(|c: char| {
            c.is_whitespace()
                || matches!(
                    c,
                    '*' | '#'
                        | '>'
                        | '-'
                        | '_'
                        | '$'
                        | '{'
                        | '✅'
                        | '👉'
                        | '→'
                        | '•'
                        | '`'
                        | '"'
                        | '【'
                        | '['
                        | '='
                        | '⇒'
                        | '∴'
                )
        });
        let next = [
            "\\[",
            "\\(",
            "\\text{",
            "\\textbf{",
            "\\boxed{",
            "\\mathbf{",
            "\\bf",
            "\\therefore",
            "\\quad",
            "\\large",
            "\\Large",
            "<b>",
            "<strong>",
        ]
        .iter()
        .find_map(|mark| next.strip_prefix(mark))
        .unwrap_or(next);
        if next.len() == rest.len() {
            return line.len() - rest.len();
        }
        rest = next;
    }
}

/// Whether what stands before "answer" on a line is part of its announcement: "So the final", "Therefore, my".
fn is_lead_in(text: &str) -> bool {
    #[rustfmt::skip]
    const WORDS: &[&str] = &[
        "answer", "answer:", "best", "right", "the", "so", "so,", "therefore", "therefore,", "thus",
        "thus,", "hence", "hence,", "final", "my", "correct", "is", "and", "our", "required", "numerical",
        "a", "short", "overall", "in", "conclusion", "conclusion,", "finally", "finally,", "step", "la",
        "el", "le", "die", "das", "der", "also", "a", "correcta", "final:", "exact", "then", "consequently",
        "consequently,",
    ];
    if text.len() >= 60 {
        return false;
    }
    let lower = lowercase(text);
    // In other languages a word or two stand before it as well: "Respuesta final", "最终答案".
    let is_short = !text.is_ascii() || !lower.contains(['.', ',', ':']);
    let few = lower.split_whitespace().count() <= 2 && text.chars().count() <= 16 && is_short;
    few && !lower.contains(|c: char| c.is_ascii_digit() || c == '=' || c == '\\')
        || lower
            .split(|c: char| c.is_whitespace() || matches!(c, '*' | '_'))
            .filter(|word| !word.is_empty())
            .all(|word| {
                WORDS.contains(&word) || word.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b':')
            })
}

/// Whether an answer is announced anywhere on the first line of a text.
pub(super) fn announces(text: &str) -> bool {
    text.lines().next().and_then(announced).is_some()
}

/// Whether a text begins with a label of an answer.
pub(super) fn is_labelled(text: &str) -> bool {
    text.lines().next().and_then(announced).is_some_and(|found| found.is_line)
}

/// Whether a line is a remark in parentheses, which announces nothing: "(Any answer written as 005 is acceptable.)"
fn is_remark(line: &str) -> bool {
    let line = line.trim().trim_matches(['*', '_']);
    line.starts_with('(')
        && line.trim_end_matches('.').ends_with(')')
        && line.split_whitespace().nth(2).is_some()
}

/// Where the value starts behind a chain of steps, `2*3=6;6+1=7;#7`. Anywhere else `#7` is the name of something.
fn behind_chain(line: &str) -> Option<usize> {
    let (chain, value) = line.rsplit_once('#')?;
    let is_number = value::number_at(value).is_some_and(|number| value[number.len()..].trim().is_empty());
    (is_number && chain.trim_end().ends_with(';')).then_some(chain.len() + 1)
}

/// Words for "answer", in small letters; those of other languages with what announces behind them.
#[rustfmt::skip]
const ANSWER_WORDS: &[&str] = &[
    "故选", "应选", "选择", "选", "ans", "vastaus", "svaret", "câu trả lời", "câu trả lời", "answer", "correct option", "correct choice", "respuesta", "réponse", "reponse",
    "resposta", "antwort", "ответ", "jawaban", "risposta", "cevap", "cevabı", "đáp án", "đáp số", "答案",
    "答え", "答", "正解", "정답", "답", "उत्तर", "जवाब", "উত্তর", "الجواب", "الإجابة", "الاجابة", "جواب", "پاسخ",
    "odpowiedź", "antwoord", "svar", "відповідь", "απάντηση", "คำตอบ", "விடை", "సమాధానం",
];

/// Where the value starts behind "answer is", "answer:", "answer to the question is", "correct option is".
/// `starts`: how the words on the line begin ([`starts_on`]).
fn after_answer_word(line: &str, start: usize, starts: u16) -> Option<Found> {
    // Letters of two cases are lowered without a change of length, so that offsets stay.
    let is_ascii = line.is_ascii();
    let lower: String = if is_ascii {
        line.to_ascii_lowercase()
    } else {
        line.chars().map(|c| Some(lower(c)).filter(|l| l.len_utf8() == c.len_utf8()).unwrap_or(c)).collect()
    };
    // One word at a time, each searched from the end once: linear in the line.
    ANSWER_WORDS
        .iter()
        .filter(|word| match word.is_ascii() {
            true if ***word == *"ans" => starts & ABBREVIATED != 0,
            true => {
                let bit = word.as_bytes().first_chunk().map_or(0, |start| bit_of(*start));
                bit == 0 || starts & bit != 0
            }
            false => !is_ascii,
        })
        .filter(|word| lower.contains(**word))
        .filter_map(|word| after_word(line, &lower, start, word))
        .max_by_key(|found| found.value)
}

/// Where the value starts behind the last `word` that has a verb or a colon soon behind it.
fn after_word(line: &str, lower: &str, start: usize, word: &str) -> Option<Found> {
    /// Between the word and its verb there is room for "to the original question".
    const ROOM: usize = 60;
    #[rustfmt::skip]
    const VERBS: &[&str] = &[
        " is", ":", " are", " would be", " should be", " must be", " =", " was", "**", "：", " comes out to",
        " equals", " becomes",
    ];
    /// In other languages the verb stands right behind the word, or behind "final".
    #[rustfmt::skip]
    const OTHER_VERBS: &[&str] = &[
        "：", ":", "是", "为", "應為", "应为", "は、", "は", "은", "는", "है", "हैं", "হল", "হলো", "هو", "هي", "ہے",
        "选", " est", " es", " é", " è", " ist", " lautet", "=", " adalah", " is", " är", " er", " on", " это", " —", " –", " là", "等于",
        "**", " -",
    ];
    let is_wide = word.chars().next().is_some_and(|c| c >= '\u{2e80}');
    let verbs: &[&str] = if word.is_ascii() && matches!(word, "answer" | "correct option" | "correct choice")
    {
        VERBS
    } else {
        OTHER_VERBS
    };
    let mut end = lower.len();
    while let Some(at) = lower[..end].rfind(word) {
        end = at;
        // "答" in "回答", "answer" in "answered": a part of another word.
        let before = lower[..at].chars().next_back();
        if !is_wide && before.is_some_and(char::is_alphabetic) || word == "答" && before == Some('回') {
            continue;
        }
        let behind = at + word.len();
        if word != "answer" && !is_wide && lower[behind..].starts_with(char::is_alphabetic) {
            continue;
        }
        let room = &lower[behind..lower.floor_char_boundary(behind + ROOM)];
        let sentence = &room[..room.find(". ").unwrap_or(room.len())];
        // Behind a comma or a bracket the verb is that of another clause, save for "answer, then, is".
        let verb = verbs.iter().filter_map(|verb| {
            let found = super::first(sentence, verb)?;
            let after = &sentence[found + verb.len()..];
            let between = &sentence[..found];
            let is_near = match verbs.len() == VERBS.len() {
                true => is_about(between),
                false => between.chars().count() <= 12 && !between.contains([',', '，', '.']),
            };
            let ends = match verb.chars().next_back() {
                Some('-' | '—' | '–') => after.starts_with(' '),
                Some(c) if c.is_ascii_alphanumeric() => !after.starts_with(|c: char| c.is_alphanumeric()),
                _ => true,
            };
            (is_near && ends).then_some((found, verb.len()))
        });
        if let Some((found, length)) = verb.min_by_key(|(found, length)| (*found, usize::MAX - length)) {
            return Some(Found { label: at, value: behind + found + length, is_line: false });
        }
        if room.len() < ROOM
            && room.trim_matches(['*', '#', ' ', '}', '\\', ']', '_', '】', '>', '=']).is_empty()
        {
            return Some(Found { label: at, value: lower.len(), is_line: false }); // a heading: the value is on the next line
        }
        // "Answer 5", "ANSWER - B", "उत्तर १८"
        let rest = &line[behind..line.floor_char_boundary(behind + ROOM)];
        let rest = rest.trim_start_matches(['*', '_', '}', ' ', '–', '—', '>']);
        let rest = rest.strip_prefix("- ").unwrap_or(rest);
        let is_value = value::number_at(rest).is_some()
            || rest.starts_with(['$', '\\'])
            || value::choice_at(rest).is_some();
        let is_label = room.starts_with([' ', '*', '-', '—', '}']) && start == at;
        // "Also ist die Antwort 18", "所以选 (B)"
        let is_other = verbs.len() != VERBS.len() && word != "ans";
        if is_value && (is_label || is_other) {
            return Some(Found { label: at, value: behind, is_line: false });
        }
    }
    None
}

/// Whether what stands between "answer" and its verb leads to the value, "to the original question"; in "the answer checks out:"
/// and "the answer, but it is" it does not.
fn is_about(between: &str) -> bool {
    #[rustfmt::skip]
    const OTHERWISE: &[&str] = &[
        "check", "checks", "verified", "verification", "verify", "consistent", "matches", "seems", "but", "because", "since", "however",
        "when", "would", "looks", "makes", "explanation", "choices", "options", "cannot", "can't", "we", "so", "confirmed", "it",
        "they", "does", "depends", "key", "sheet", "correctly",
    ];
    !between.contains(['?', '!', ';'])
        && !between.split(|c: char| !c.is_alphabetic() && c != '\'').any(|word| OTHERWISE.contains(&word))
}
