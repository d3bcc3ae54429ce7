//! The alphabet of byte-level vocabularies: every byte has a printable character to stand for it.
//!
//! Printable ASCII and Latin-1 characters stand for themselves; the 68 other bytes, in order, for U+0100 and on (so
//! a space is `Ġ`). It is GPT-2's table, which Qwen2's vocabulary uses.

/// Whether a byte stands for the character of the same number.
const fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The other bytes, in order: the nth stands for U+0100 + n.
const SHIFTED: [u8; 68] = {
    let mut shifted = [0; 68];
    let (mut byte, mut n) = (0u8, 0);
    while n < shifted.len() {
        if !is_printable(byte) {
            shifted[n] = byte;
            n += 1;
        }
        byte = byte.wrapping_add(1);
    }
    shifted
};

/// The byte that `character` stands for; `None` outside the alphabet.
pub fn byte_of(character: char) -> Option<u8> {
    match u32::from(character) {
        code @ 0..=0xFF => Some(code as u8).filter(|&byte| is_printable(byte)),
        code => SHIFTED.get((code - 0x100) as usize).copied(),
    }
}

/// The 256 characters of the alphabet.
pub fn alphabet() -> impl Iterator<Item = char> {
    (0..0x100 + SHIFTED.len() as u32)
        .filter_map(char::from_u32)
        .filter(|&character| byte_of(character).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        let mut bytes: Vec<u8> = alphabet().filter_map(byte_of).collect();
        bytes.sort_unstable();
        assert!(bytes.into_iter().eq(0..=255));
    }

    #[test]
    fn known_characters() {
        assert_eq!([byte_of('a'), byte_of('Ġ'), byte_of('Ċ'), byte_of('Ń')], [97, 32, 10, 0xAD].map(Some));
        assert_eq!([byte_of(' '), byte_of('ń'), byte_of('中')], [None; 3]);
    }
}
