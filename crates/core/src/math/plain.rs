//! The fast path: plain integers, decimals, thousands separators and small fractions, in 128-bit integers.
//! Anything else (LaTeX, big numbers, scientific notation) is for the parser.

use super::number::{BigInt, gcd};

/// An exact rational number that fits 128 bits, in lowest terms with a positive denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainNumber {
    /// Numerator, carrying the sign.
    pub numerator: i128,
    /// Denominator, always positive.
    pub denominator: i128,
}

/// Digits a plain number may have: 10^30 times another such denominator still fits 128 bits of numerator or denominator.
const MAX_DIGITS: usize = 30;

impl PlainNumber {
    /// Reads `-12`, `1,234.50`, `.5`, `3/4`; `None` when the text is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > 80 {
            return None;
        }
        match text.split_once('/') {
            None => Self::parse_decimal(text),
            Some((top, bottom)) => {
                let (top, bottom) = (parse_integer(top.trim_end())?, parse_integer(bottom.trim_start())?);
                Self::new(top, bottom)
            }
        }
    }

    /// Lowest terms; `None` for a zero denominator.
    fn new(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 {
            return None;
        }
        let divisor =
            gcd(numerator.unsigned_abs(), denominator.unsigned_abs()) as i128 * denominator.signum();
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    fn parse_decimal(text: &str) -> Option<Self> {
        let (negative, body) = split_sign(text);
        let (whole, fraction) = match body.split_once('.') {
            Some((whole, fraction)) => (whole, fraction),
            None => (body, ""),
        };
        if whole.is_empty() && fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if whole.len() + fraction.len() > MAX_DIGITS {
            return None;
        }
        let mut value = if whole.is_empty() { 0 } else { parse_grouped(whole)? };
        let mut scale = 1i128;
        for digit in fraction.bytes() {
            value = value * 10 + i128::from(digit - b'0');
            scale *= 10;
        }
        Self::new(if negative { -value } else { value }, scale)
    }

    /// `3/4`, or `3` when the denominator is one.
    pub fn canonical(&self) -> String {
        // As the library writes 128 bits is a part of the wasm module that nothing else needs.
        let digits = |value: i128| BigInt::from(value).to_string();
        if self.denominator == 1 {
            digits(self.numerator)
        } else {
            format!("{}/{}", digits(self.numerator), digits(self.denominator))
        }
    }
}

fn split_sign(text: &str) -> (bool, &str) {
    if let Some(rest) = text.strip_prefix('-').or_else(|| text.strip_prefix('\u{2212}')) {
        (true, rest)
    } else {
        (false, text.strip_prefix('+').unwrap_or(text))
    }
}

fn parse_integer(text: &str) -> Option<i128> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value = digits.bytes().fold(0i128, |value, digit| value * 10 + i128::from(digit - b'0'));
    Some(if negative { -value } else { value })
}

/// Digits with or without thousands separators: `1234`, `1,234`, not `12,34`.
fn parse_grouped(text: &str) -> Option<i128> {
    if !is_grouped(text.as_bytes()) {
        return None;
    }
    Some(text.bytes().filter(|b| *b != b',').fold(0, |value, digit| value * 10 + i128::from(digit - b'0')))
}

/// Whether `text` is a run of digits, or digits in well-formed groups of three (`1,234,567`).
pub(crate) fn is_grouped(text: &[u8]) -> bool {
    let mut groups = text.split(|b| *b == b',');
    let Some(first) = groups.next() else { return false };
    if first.is_empty() || !first.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let mut more = false;
    for group in groups {
        more = true;
        if group.len() != 3 || !group.iter().all(u8::is_ascii_digit) {
            return false;
        }
    }
    !more || first.len() <= 3
}

#[cfg(test)]
mod tests {
    use super::PlainNumber;

    fn canonical(text: &str) -> Option<String> {
        PlainNumber::parse(text).map(|number| number.canonical())
    }

    #[test]
    fn reads_plain_numbers() {
        for (text, expect) in [
            ("5", "5"),
            ("-05", "-5"),
            ("1,234.50", "2469/2"),
            (".5", "1/2"),
            ("1000.0", "1000"),
            ("-6/4", "-3/2"),
            ("3/-6", "-1/2"),
            ("\u{2212}7", "-7"),
            ("-0", "0"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expect), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in ["", "-", ".", "12,34", "1/0", "1,2345", "1.2.3", "x", "1e5", "--1", ",123", "5%"] {
            assert_eq!(canonical(text), None, "{text}");
        }
        assert_eq!(canonical(&"9".repeat(60)), None);
    }
}
