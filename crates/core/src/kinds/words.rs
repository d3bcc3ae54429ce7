//! Words of texts, as labels are compared by them.

use crate::letters::lowercase;

/// The number of words.
pub(super) fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// What labels are compared by.
pub(super) fn key(text: &str, is_exact: bool) -> String {
    let mut key = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        if c.is_alphanumeric() || matches!(c, '+' | '#') {
            if gap && !key.is_empty() {
                key.push(' ');
            }
            gap = false;
            key.push(c);
        } else {
            gap = true;
        }
    }
    // A minus before a number is its sign.
    if text.trim_start().starts_with('-') && key.starts_with(|c: char| c.is_ascii_digit()) {
        key.insert(0, '-');
    }
    if is_exact { key } else { lowercase(&key) }
}

/// Where in `text` the key that it begins with ends, if whole words of it are `label`.
pub(super) fn key_end(text: &str, label: &str, is_exact: bool) -> Option<usize> {
    let count = label.split(' ').count();
    let (mut seen, mut inside, mut end) = (0, false, text.len());
    for (at, c) in text.char_indices() {
        let is_word = c.is_alphanumeric() || matches!(c, '+' | '#');
        if inside && !is_word {
            seen += 1;
            if seen == count {
                end = at;
                break;
            }
        }
        inside = is_word;
        if at > label.len() * 4 + 16 {
            return None;
        }
    }
    (key(text.get(..end)?, is_exact) == label).then_some(end)
}

/// What stands before the words of `label` at the end of `sentence`.
pub(super) fn ends_with_key<'a>(sentence: &'a str, label: &str, is_exact: bool) -> Option<&'a str> {
    let count = label.split(' ').count();
    let (mut seen, mut inside) = (0, false);
    for (at, c) in sentence.char_indices().rev() {
        let is_word = c.is_alphanumeric() || matches!(c, '+' | '#');
        if inside && !is_word {
            seen += 1;
            let behind = at + c.len_utf8();
            if seen == count {
                return (key(&sentence[behind..], is_exact) == label).then(|| &sentence[..behind]);
            }
        }
        inside = is_word;
    }
    None
}

/// Whether `text` begins with `word`, which is in lower case, and not with a longer one.
pub(super) fn starts_with_word(text: &str, word: &str) -> bool {
    let is = text.get(..word.len()).is_some_and(|start| lowercase(start) == word);
    is && !text[word.len()..].starts_with(char::is_alphanumeric)
}

/// Whether `text` ends with `word`, and not with a longer one.
pub(super) fn ends_with_word(text: &str, word: &str) -> bool {
    text.strip_suffix(word).is_some_and(|before| !before.ends_with(char::is_alphanumeric))
}
