//! Text for people: messages on standard error, and untrusted text made safe to show on a terminal.

use std::io::Write;

/// Writes one message line to standard error. A closed or full standard error is not worth failing for.
pub fn say(message: &str) {
    let _ = writeln!(std::io::stderr(), "{message}");
}

/// Whether a character must not reach a terminal as it is: controls (escape sequences, line breaks, the C1 controls
/// that some terminals obey), and the invisible characters that reorder or hide the text around them.
pub fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Untrusted text as one printable line: what [`is_unprintable`] is written as an escape (`\n`, `\u{1b}`).
pub fn visible(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unprintable(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// [`visible`] text of at most `width` characters; a longer one ends in `…`.
pub fn visible_clipped(text: &str, width: usize) -> String {
    // No more is looked at than can be shown: a candidate may be megabytes long.
    let shown: String = text.chars().take(width + 1).collect();
    let line = visible(&shown);
    if line.chars().count() <= width {
        return line;
    }
    let mut clipped: String = line.chars().take(width.saturating_sub(1)).collect();
    clipped.push('…');
    clipped
}

/// `1 line`, `2 lines`.
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_become_visible() {
        assert_eq!(visible("\u{1b}[31mred\u{1b}[0m"), "\\u{1b}[31mred\\u{1b}[0m");
        assert_eq!(visible("a\r\nb\tc"), "a\\r\\nb\\tc");
        assert_eq!(visible("\u{9b}2J \u{202e}evil \u{200b}"), "\\u{9b}2J \\u{202e}evil \\u{200b}");
        assert_eq!(visible("√2 ∪ [0, ∞) 角"), "√2 ∪ [0, ∞) 角");
    }

    #[test]
    fn long_text_is_clipped_after_escaping() {
        assert_eq!(visible_clipped("12345", 5), "12345");
        assert_eq!(visible_clipped("123456", 5), "1234…");
        assert_eq!(visible_clipped("\n\n\n", 5), "\\n\\n…");
        assert_eq!(visible_clipped("", 5), "");
    }

    #[test]
    fn nouns_agree_with_their_number() {
        assert_eq!(count(1, "line"), "1 line");
        assert_eq!(count(0, "line"), "0 lines");
    }
}
