//! Lists of phrases of which most texts hold none: one pass over a text tells that, however many phrases there are.

/// Phrases of four bytes or more, in lower case.
pub(super) struct Phrases {
    all: &'static [&'static str],
    /// A bit for the first four bytes of each, so that most words of a text need one look.
    starts: [u64; WORDS],
}

/// 512 bits: of the words that begin no phrase one in ten is looked at twice.
const WORDS: usize = 8;

const fn slot(bytes: [u8; 4]) -> (usize, u64) {
    let hash = u32::from_le_bytes(bytes).wrapping_mul(0x9e37_79b1) >> (32 - 9);
    (hash as usize / 64, 1 << (hash % 64))
}

impl Phrases {
    pub const fn new(all: &'static [&'static str]) -> Self {
        let mut starts = [0; WORDS];
        let mut at = 0;
        while at < all.len() {
            let bytes = all[at].as_bytes();
            let (word, bit) = slot([bytes[0], bytes[1], bytes[2], bytes[3]]);
            starts[word] |= bit;
            at += 1;
        }
        Self { all, starts }
    }

    fn may_begin(&self, text: &[u8]) -> bool {
        text.first_chunk().is_some_and(|start| {
            let (word, bit) = slot(*start);
            self.starts[word] & bit != 0
        })
    }

    /// Whether a text begins with one of them.
    pub fn begin(&self, text: &str) -> bool {
        self.may_begin(text.as_bytes()) && self.all.iter().any(|phrase| text.starts_with(phrase))
    }

    /// The first of them that begins where a word does; `whole`: and ends where one does.
    pub fn first_in(&self, text: &str, whole: bool) -> Option<(usize, &'static str)> {
        let bytes = text.as_bytes();
        let mut starts = true;
        for (at, byte) in bytes.iter().enumerate() {
            // Of the others whole characters; scripts without blanks have words anywhere.
            let (is_letter, is_wide) = if byte.is_ascii() {
                (byte.is_ascii_alphanumeric(), false)
            } else if let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
                (c.is_alphanumeric(), c >= '\u{2e80}')
            } else {
                continue;
            };
            if (starts || !is_letter || is_wide) && self.may_begin(&bytes[at..]) {
                let ends = |phrase: &str| {
                    let behind = text[at + phrase.len()..].chars().next();
                    !whole || is_wide || behind.is_none_or(|c| !c.is_alphanumeric() || c >= '\u{2e80}')
                };
                let begins = |phrase: &&&str| {
                    let phrase = phrase.as_bytes();
                    phrase[0] == *byte && bytes[at..].starts_with(phrase)
                };
                let found = self.all.iter().filter(begins).find(|phrase| ends(phrase));
                if let Some(phrase) = found {
                    return Some((at, phrase));
                }
            }
            starts = !is_letter;
        }
        None
    }

    /// How many places of a text begin one of them, up to two.
    pub fn count_in(&self, text: &str) -> usize {
        match self.first_in(text, false) {
            None => 0,
            Some((at, phrase)) => {
                1 + usize::from(self.first_in(&text[at + phrase.len()..], false).is_some())
            }
        }
    }
}
