//! Letters and digits: lower case, for comparing words, and plain forms, for reading numbers.
//!
//! Lower case is that of the alphabets that have two cases and are written today: Latin, Greek, Cyrillic, Armenian. The standard library knows every
//! letter of Unicode, by a table that would be a twentieth of the smallest wasm module.

use std::borrow::Cow;

/// The text in lower case, character by character.
pub fn lowercase(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.chars().map(lower).collect() }
}

/// The character in lower case.
pub(crate) fn lower(c: char) -> char {
    let by = |distance: u32| char::from_u32(u32::from(c) + distance).unwrap_or(c);
    // Of pairs that stand side by side, the capital comes first.
    let of_pair = |capital_is_odd: bool| if (u32::from(c) % 2 == 1) == capital_is_odd { by(1) } else { c };
    match c {
        'A'..='Z' | 'À'..='Ö' | 'Ø'..='Þ' | 'Α'..='Ρ' | 'Σ'..='Ϋ' | 'А'..='Я' => by(32),
        'İ' => 'i',
        'ı' | 'ĸ' | 'ŉ' => c,
        'Ÿ' => 'ÿ',
        'Ā'..='ķ' | 'Ŋ'..='ŷ' | 'Ѡ'..='ҁ' | 'Ҋ'..='ҿ' | 'Ӑ'..='ԯ' | 'Ḁ'..='ẕ' | 'Ạ'..='ỿ' => {
            of_pair(false)
        }
        'Ĺ'..='ň' | 'Ź'..='ž' | 'Ӂ'..='ӎ' => of_pair(true),
        'Ӏ' => 'ӏ',
        'Ά' => 'ά',
        'Έ'..='Ί' => by(37),
        'Ό' => 'ό',
        'Ύ' | 'Ώ' => by(63),
        'Ѐ'..='Џ' => by(80),
        'Ա'..='Ֆ' => by(48),
        _ => c,
    }
}

/// The text in the letters and digits that mathematics is written in: full-width and styled forms (`４２`, `𝟒𝟐`, `﹣5`) as
/// plain ones, the digits of all scripts (`٤٢`) as 0 to 9, blanks of all widths as blanks, and without what is not seen
/// (zero-width characters, marks of direction). Superscripts, subscripts and fractions in one character stay: they mean
/// something.
pub fn normal(text: &str) -> Cow<'_, str> {
    // Without a way out of the loop, so that many bytes are looked at together.
    let has_control = text.bytes().fold(false, |any, byte| any | matches!(byte, 0..=6 | 0xe..=0x1f));
    let is_special_at = |(at, byte): (usize, u8)| byte >= 0xc0 && text[at..].starts_with(is_special);
    if !has_control && (text.is_ascii() || !text.bytes().enumerate().any(is_special_at)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !is_special(c) {
            out.push(c);
        } else if let Some(digit) = digit(c) {
            out.push(char::from(b'0' + digit));
        } else {
            match c {
                '\0'..='\u{1f}'
                | '\u{ad}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2064}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
                | '\u{fe0e}'
                | '\u{fe0f}' => {}
                '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => out.push(' '),
                '٫' => out.push('.'),
                '٬' | '،' => out.push(','),
                '∶' => out.push(':'),
                _ => decompose_compatible(c, |part| out.push(part)),
            }
        }
    }
    Cow::Owned(out)
}

/// What a compatibility form stands for: of Unicode's NFKC the part that mathematics and units are written in. The whole of
/// its tables, by a crate, would make the smallest wasm module larger by a fifth.
fn decompose_compatible(c: char, mut push: impl FnMut(char)) {
    let code = u32::from(c);
    let ascii = |code: u32| char::from_u32(code).unwrap_or(c);
    match c {
        '！'..='～' => push(ascii(code - 0xfee0)),
        '𝐀'..='𝚣' => {
            let letter = (code - 0x1d400) % 52;
            push(ascii(if letter < 26 { 0x41 + letter } else { 0x61 + letter - 26 }));
        }
        '①'..='⑨' => push(ascii(code - 0x2460 + 0x31)),
        '﹣' => push('-'),
        '﹢' => push('+'),
        '﹤' => push('<'),
        '﹥' => push('>'),
        '﹦' => push('='),
        '﹙' => push('('),
        '﹚' => push(')'),
        '﹕' => push(':'),
        '﹐' => push(','),
        '﹒' => push('.'),
        '﹪' => push('%'),
        '\u{2126}' => push('Ω'),
        '\u{212a}' => push('K'),
        'µ' => push('μ'),
        '℃' => "°C".chars().for_each(push),
        '℉' => "°F".chars().for_each(push),
        '㎜' => "mm".chars().for_each(push),
        '㎝' => "cm".chars().for_each(push),
        '㎞' => "km".chars().for_each(push),
        '㎎' => "mg".chars().for_each(push),
        '㎏' => "kg".chars().for_each(push),
        _ => push(c),
    }
}

/// Whether [`normal`] changes a character.
fn is_special(c: char) -> bool {
    match c {
        '\0'..='\u{6}' | '\u{e}'..='\u{1f}' => true,
        '\u{7}'..='\u{9f}' => false,
        '\u{a0}' | '\u{ad}' | 'µ' | '∶' | '٫' | '٬' | '،' => true,
        '\u{2000}'..='\u{200f}' | '\u{202a}'..='\u{202f}' | '\u{205f}'..='\u{2069}' | '\u{3000}' => true,
        // Letterlike symbols, roman numerals, digits in circles, units of East Asian text.
        '\u{2126}' | '\u{212a}' | '℃' | '℉' | '①'..='⑨' | '㎎' | '㎏' | '㎜'..='㎞' => true,
        // Small and full-width forms, styled letters and digits.
        '\u{fe0e}' | '\u{fe0f}' | '︐'..='﹫' | '\u{feff}'..='￯' | '𝐀'..='𝟿' => true,
        _ => digit(c).is_some(),
    }
}

/// The digit zero of each script beyond ASCII whose nine others follow it. No kept crate has the values of digits.
const ZEROS: [char; 44] = [
    '٠', '۰', '߀', '०', '০', '੦', '૦', '୦', '௦', '౦', '೦', '൦', '෦', '๐', '໐', '༠', '၀', '႐', '០', '᠐', '᥆',
    '᧐', '᪀', '᪐', '᭐', '᮰', '᱀', '᱐', '꘠', '꣐', '꤀', '꧐', '꧰', '꩐', '꯰', '０', '𐒠', '𝟎', '𝟘', '𝟢', '𝟬', '𝟶',
    '𞥐', '🯰',
];

/// The value of a digit that is not ASCII.
fn digit(c: char) -> Option<u8> {
    if u32::from(c) < 0x660 {
        return None;
    }
    let zero = ZEROS.iter().rev().find(|zero| **zero <= c)?;
    u8::try_from(u32::from(c) - u32::from(*zero)).ok().filter(|value| *value < 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_digits_of_all_forms_become_plain() {
        for (text, expected) in [
            ("４２", "42"),
            ("𝟒𝟐", "42"),
            ("٤٢٫٥", "42.5"),
            ("४२", "42"),
            ("﹣5", "-5"),
            ("（Ａ）：", "(A):"),
            ("4\u{200b}2\u{202c}", "42"),
            ("1\u{202f}000", "1 000"),
            ("µΩ", "μΩ"),
            ("x² ½ x₁ ∛ é 答案", "x² ½ x₁ ∛ é 答案"),
            ("㎝", "cm"),
            ("plain", "plain"),
        ] {
            assert_eq!(normal(text), expected, "{text}");
        }
        // Ascending, as the search needs it.
        assert!(ZEROS.windows(2).all(|pair| pair[0] < pair[1]));
        for zero in ZEROS {
            assert!(
                (0..10).all(|n| char::from_u32(u32::from(zero) + n).is_some_and(char::is_numeric)),
                "{zero}"
            );
        }
    }

    #[test]
    fn is_what_the_standard_library_says() {
        // İ becomes two characters there. The others are letters of phonetics, of Coptic and of African languages.
        let elsewhere = |c: char| matches!(c, 'İ' | '\u{180}'..='\u{24f}' | '\u{370}'..='\u{37f}' | '\u{3cf}'..='\u{3ff}');
        for c in ('\0'..='\u{58f}').chain('\u{1e00}'..='\u{1eff}') {
            let expected: String = c.to_lowercase().collect();
            if !elsewhere(c) && !('\u{1e96}'..='\u{1e9f}').contains(&c) {
                assert_eq!(lower(c).to_string(), expected, "{c} U+{:04X}", u32::from(c));
            }
            assert_eq!(lower(lower(c)), lower(c), "{c}");
        }
        assert_eq!(lowercase("École POLYTECHNIQUE, Ψ ДА 12"), "école polytechnique, ψ да 12");
    }
}
