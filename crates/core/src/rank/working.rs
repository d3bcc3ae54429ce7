//! What can be seen in the working of a text without understanding it: its numbers, and whether the sums that it states are
//! right.
//!
//! One pass over the characters; nothing here allocates more than the numbers that it finds.

use crate::order::{in_order, taken};

/// Numbers of a text that are kept; of a longer one the last ones, nearest to the answer, are what counts.
const MOST_NUMBERS: usize = 512;

/// Terms of a sum that is checked; longer ones are listings, not steps.
const MOST_TERMS: usize = 16;

/// What was seen in a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Working {
    /// Its distinct numbers, ascending.
    pub numbers: Vec<f64>,
    /// Stated sums that are right: `5 * 2 = 10`.
    pub right: usize,
    /// Stated sums that are wrong.
    pub wrong: usize,
    /// The last number that a stated sum gives.
    pub last_result: Option<f64>,
}

/// A piece of a text that can be part of a sum.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Piece {
    /// A value and its digits behind the point.
    Number(f64, u32),
    Operator(Operator),
    Equals,
    /// Anything else: a sum ends here.
    Break,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Plus,
    Minus,
    Times,
    Over,
}

/// One side of an equation: numbers with operators between them.
#[derive(Debug, Default)]
struct Side {
    terms: Vec<(Operator, f64)>,
    /// An operator that waits for its number.
    pending: Option<Operator>,
    digits: u32,
    /// It is not a plain sum: broken off by words, brackets or too long.
    is_broken: bool,
}

impl Side {
    fn broken() -> Self {
        Self { is_broken: true, ..Self::default() }
    }

    fn number(&mut self, value: f64, digits: u32) {
        let operator = match (self.terms.is_empty(), self.pending.take()) {
            (true, None) => Operator::Plus,
            (true, Some(Operator::Minus)) => Operator::Minus,
            (false, Some(operator)) => operator,
            // A sign in front of the first number, or two numbers side by side.
            _ => return self.is_broken = true,
        };
        if self.terms.len() == MOST_TERMS {
            self.is_broken = true;
            return;
        }
        self.terms.push((operator, value));
        self.digits = digits;
    }

    fn operator(&mut self, operator: Operator) {
        if self.pending.is_some() || self.terms.is_empty() && operator != Operator::Minus {
            self.is_broken = true;
        }
        self.pending = Some(operator);
    }

    /// Its value, where it is a whole sum: products first, then from the left.
    fn value(&self) -> Option<f64> {
        if self.is_broken || self.terms.is_empty() || self.pending.is_some() {
            return None;
        }
        let (mut total, mut product) = (0.0, 0.0);
        for &(operator, value) in &self.terms {
            match operator {
                Operator::Plus => {
                    total += product;
                    product = value;
                }
                Operator::Minus => {
                    total += product;
                    product = -value;
                }
                Operator::Times => product *= value,
                Operator::Over => product /= value,
            }
        }
        Some(total + product).filter(|value| value.is_finite())
    }
}

/// Reads the working of a text.
pub(crate) fn working(text: &str) -> Working {
    let mut found = Working::default();
    let mut pieces = Pieces { text, at: 0, count: 0 };
    // The side before the last sign of equality, if it had a value.
    let mut before: Option<(f64, bool)> = None;
    let mut side = Side::default();
    let mut is_over = false;
    while !is_over {
        let piece = pieces.next(&mut found.numbers).unwrap_or_else(|| {
            is_over = true;
            Piece::Break
        });
        match piece {
            Piece::Number(value, digits) => side.number(value, digits),
            Piece::Operator(operator) => side.operator(operator),
            Piece::Equals | Piece::Break => {
                // `3 + 4 = 7 apples`: words behind a number end it; `= 7 *` is no whole side.
                let is_sum = side.terms.len() > 1;
                let value = side.value();
                // `5 * 2 = 10 * 3 = 30`: an abuse of the sign, but no wrong step.
                let carries_on = is_sum && before.is_some_and(|(left, _)| side.terms[0].1 == left);
                if let (Some((left, was_sum)), Some(right)) = (before, value)
                    && (was_sum || is_sum)
                    && !carries_on
                {
                    match compare(left, right, side.digits) {
                        Some(true) => found.right += 1,
                        Some(false) => found.wrong += 1,
                        None => {}
                    }
                    found.last_result = Some(right);
                }
                if piece == Piece::Equals {
                    before = value.map(|value| (value, is_sum));
                    side = Side::default();
                } else {
                    before = None;
                    side = if pieces.goes_on() { Side::broken() } else { Side::default() };
                }
            }
        }
    }
    sort(&mut found.numbers);
    found.numbers.dedup();
    found
}

/// Sorts numbers.
pub(crate) fn sort(numbers: &mut Vec<f64>) {
    let places = in_order(numbers.len(), &|a, b| numbers[a].total_cmp(&numbers[b]));
    *numbers = taken(numbers, &places);
}

/// Whether the two sides of an equation are the same number, at the digits that the right one has. None where a whole number
/// may have been rounded: `7 / 2 = 4`.
fn compare(left: f64, right: f64, digits: u32) -> Option<bool> {
    let apart = (left - right).abs();
    if apart <= 1e-9 * left.abs().max(1.0) {
        return Some(true);
    }
    let step = 10f64.powi(-(digits.min(12) as i32));
    match digits {
        0 if apart < 1.0 && left.fract() != 0.0 => None,
        0 => Some(false),
        _ => Some(apart <= step),
    }
}

struct Pieces<'a> {
    text: &'a str,
    at: usize,
    /// Numbers so far.
    count: usize,
}

impl Pieces<'_> {
    /// Whether what was just read goes on in brackets or powers, so that a sum behind it is a part of something larger.
    fn goes_on(&self) -> bool {
        self.text[..self.at]
            .chars()
            .next_back()
            .is_some_and(|c| matches!(c, ')' | ']' | '}' | '^' | '%' | '_' | '!'))
    }

    fn starts_line(&self) -> bool {
        self.text[..self.at].trim_end_matches([' ', '\t']).chars().next_back().is_none_or(|c| c == '\n')
    }

    /// The next piece; numbers are noted. A break at the end.
    fn next(&mut self, numbers: &mut Vec<f64>) -> Option<Piece> {
        let bytes = self.text.as_bytes();
        loop {
            let byte = *bytes.get(self.at)?;
            match byte {
                b' ' | b'$' | b'\t' => self.at += 1,
                // The mark of a list, not a sign.
                b'-' if bytes.get(self.at + 1) == Some(&b' ') && self.starts_line() => {
                    self.at += 1;
                    return Some(Piece::Break);
                }
                b'0'..=b'9' => {
                    let is_factor =
                        self.at > 1 && bytes[self.at - 1] == b'x' && bytes[self.at - 2].is_ascii_digit();
                    let is_part = !is_factor
                        && self.at > 0
                        && (bytes[self.at - 1].is_ascii_alphabetic() || bytes[self.at - 1] == b'_');
                    let (value, digits) = self.number();
                    let Some(value) = value else { return Some(Piece::Break) };
                    match numbers.len() < MOST_NUMBERS {
                        true => numbers.push(value),
                        false => numbers[self.count % MOST_NUMBERS] = value,
                    }
                    self.count += 1;
                    let goes_on = bytes
                        .get(self.at)
                        .is_some_and(|b| matches!(b, b'^' | b'%' | b'!') || b.is_ascii_alphabetic());
                    // `2x`, `5%`, `3^2`, `x1`: not a plain number, unless it is `2x3`.
                    let is_product = bytes.get(self.at) == Some(&b'x')
                        && bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit);
                    if is_part || goes_on && !is_product {
                        return Some(Piece::Break);
                    }
                    return Some(Piece::Number(value, digits));
                }
                _ => {
                    let (piece, length) = operator(&self.text[self.at..]);
                    self.at += length;
                    return Some(piece);
                }
            }
        }
    }

    /// A number from here: `1,250.5`. None for one of more digits than are exact.
    fn number(&mut self) -> (Option<f64>, u32) {
        let bytes = self.text.as_bytes();
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let (mut value, mut count, mut digits) = (0.0, 0u32, 0u32);
        let mut is_behind = false;
        loop {
            match bytes.get(self.at) {
                Some(b @ b'0'..=b'9') => {
                    value = value * 10.0 + f64::from(b - b'0');
                    count += 1;
                    digits += u32::from(is_behind);
                }
                // A comma between groups of three, a point before digits.
                Some(b',') if !is_behind && (1..=3).all(|i| digit(self.at + i)) && !digit(self.at + 4) => {}
                Some(b'.') if !is_behind && digit(self.at + 1) => is_behind = true,
                _ => break,
            }
            self.at += 1;
        }
        let value = (count <= 15).then(|| value / 10f64.powi(digits as i32));
        (value, digits)
    }
}

/// The operator at the start of a text, or a break, and its length in bytes.
fn operator(text: &str) -> (Piece, usize) {
    use Operator::{Minus, Over, Plus, Times};
    const WORDS: [(&str, Piece); 12] = [
        ("\\times", Piece::Operator(Times)),
        ("\\cdot", Piece::Operator(Times)),
        ("\\div", Piece::Operator(Over)),
        ("==", Piece::Break),
        ("**", Piece::Break),
        ("=", Piece::Equals),
        ("+", Piece::Operator(Plus)),
        ("-", Piece::Operator(Minus)),
        ("*", Piece::Operator(Times)),
        ("/", Piece::Operator(Over)),
        ("x ", Piece::Operator(Times)),
        ("x", Piece::Operator(Times)),
    ];
    for (word, piece) in WORDS {
        if let Some(rest) = text.strip_prefix(word) {
            let is_product = word != "x" || rest.starts_with(|c: char| c.is_ascii_digit());
            if is_product {
                return (piece, word.len());
            }
        }
    }
    match text.chars().next() {
        Some('×' | '·' | '⋅') => (Piece::Operator(Times), text.chars().next().map_or(1, char::len_utf8)),
        Some('÷') => (Piece::Operator(Over), '÷'.len_utf8()),
        Some('−') => (Piece::Operator(Minus), '−'.len_utf8()),
        Some(c) => (Piece::Break, c.len_utf8()),
        None => (Piece::Break, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stated_sums_are_checked() {
        for (text, right, wrong) in [
            ("She pays 5 * 2 = <<5*2=10>>10 for it", 1, 0),
            ("- 5 * 2 = 11", 0, 1),
            ("x = 5 + 3 = 8", 1, 0),
            ("5*2=10*3=30", 1, 0),
            ("1,250 - 50 = $1,200", 1, 0),
            ("10/3=3.3333", 1, 0),
            ("22/7 = 3.1, 22/7 = 3.4", 1, 1),
            ("7 / 2 = 4", 0, 0),
            ("2 + 3 * 4 = 14", 1, 0),
            ("3 \\times 4 = 13", 0, 1),
            ("4x5=20 and 4 x 5 = 21", 1, 1),
            ("4 × 5 = 20; 20 ÷ 4 = 5; 5 − 2 = 3", 3, 0),
            // No plain sums: brackets, powers, percents, names with digits.
            ("(2+3)*4=21", 0, 0),
            ("20% * 50 = 11", 0, 0),
            ("a_1 + 2 = 4", 0, 0),
            ("2^3 = 9", 0, 0),
            ("1 / 0 = 5", 0, 0),
            ("", 0, 0),
        ] {
            let found = working(text);
            assert_eq!((found.right, found.wrong), (right, wrong), "{text}: {found:?}");
        }
        assert_eq!(working("3 + 4 = 7 apples and 7 - 2 = 5.").last_result, Some(5.0));
        assert_eq!(working("2 cats, 1,250.5 and 2 dogs").numbers, [2.0, 1250.5]);
    }

    #[test]
    fn long_texts_keep_the_last_numbers() {
        let text: String = (0..2_000).map(|number| format!("{number} ")).collect();
        let numbers = working(&text).numbers;
        assert_eq!((numbers.len(), numbers[0], numbers[511]), (512, 1_488.0, 1_999.0));
        // Sixteen digits are not exact, and no number.
        assert!(working("1234567890123456").numbers.is_empty());
    }
}
