//! Decimal literals: thousands separators, fractions, repeating tails, exponents.

use super::{Kind, Lexer};
use crate::math::plain::is_grouped;

impl Lexer<'_> {
    /// A decimal literal, with thousands separators (`1,234` outside brackets, `1{,}234`, `1,\!234`, `1\,234`).
    pub(super) fn number(&mut self) {
        let bytes = self.rest.as_bytes();
        let run = bytes.iter().take_while(|b| b.is_ascii_digit() || **b == b',').count();
        let whole = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        let plain = &self.rest[..run];
        let plain = plain.trim_end_matches(',');
        let (mut digits, mut used) =
            if plain.len() > whole && self.brackets == 0 && is_grouped(plain.as_bytes()) {
                (plain.replace(',', ""), plain.len())
            } else {
                (self.rest[..whole].to_owned(), whole)
            };
        if used == whole && (1..=3).contains(&whole) {
            while let Some((group, length)) = typeset_group(&self.rest[used..]) {
                digits.push_str(group);
                used += length;
            }
        }
        self.skip(used);
        self.fraction_part(digits);
    }

    /// What follows the whole part: `.25`, `.1\overline{6}`, `e-3`.
    fn fraction_part(&mut self, mut digits: String) {
        if let Some(after) = self.rest.strip_prefix('.') {
            let length = after.bytes().take_while(u8::is_ascii_digit).count();
            let repeating = repeating_tail(&after[length..]);
            // `0.333...`, `0.1666\ldots`
            if repeating.is_none()
                && let Some(dots) = dots(&after[length..])
                && let Some((head, period)) = period_of(&after[..length])
            {
                digits.push('.');
                digits.push_str(head);
                let period = period.to_owned();
                self.skip(1 + length + dots);
                self.push(Kind::Repeating(digits, period));
                return;
            }
            if length > 0 || repeating.is_some() {
                digits.push('.');
                digits.push_str(&after[..length]);
                self.skip(1 + length);
            } else if !digits.is_empty() {
                // `5.` at the end of a clause; the point means nothing.
                self.skip(1);
            }
            if let Some((tail, used)) = repeating {
                self.skip(used);
                self.push(Kind::Repeating(digits, tail));
                return;
            }
        }
        if let Some(length) = exponent_length(self.rest) {
            digits.push('e');
            digits.push_str(&self.rest[1..length]);
            self.skip(length);
        }
        self.push(Kind::Number(digits));
    }
}

/// `,\!234`, `{,}234`, `\,234`, `\!234`: a typeset thousands separator and its group; the bytes used.
fn typeset_group(rest: &str) -> Option<(&str, usize)> {
    const SEPARATORS: [&str; 7] = ["{,}", ",\\!", ",\\,", "\\,", "\\!", "{,\\!}", " {, }"];
    let separator = SEPARATORS.iter().find(|separator| rest.starts_with(**separator))?;
    let after = rest[separator.len()..].trim_start();
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    (digits == 3).then(|| (&after[..3], rest.len() - after.len() + 3))
}

/// `\overline{6}` and the like; the digits and the bytes used.
fn repeating_tail(rest: &str) -> Option<(String, usize)> {
    // `0.\dot{1}4285\dot{7}`: a dot on the first and the last digit.
    if let Some(first) = rest.strip_prefix("\\dot{")
        && let Some((first, behind)) = first.split_once('}')
    {
        let middle = behind.bytes().take_while(u8::is_ascii_digit).count();
        let is_digit = |text: &str| text.len() == 1 && text.bytes().all(|b| b.is_ascii_digit());
        if let Some(last) = behind[middle..].strip_prefix("\\dot{")
            && let Some((last, behind_all)) = last.split_once('}')
            && is_digit(first)
            && is_digit(last)
            && middle <= 16
        {
            return Some((format!("{first}{}{last}", &behind[..middle]), rest.len() - behind_all.len()));
        }
    }
    // `0.1(6)`
    if let Some(inside) = rest.strip_prefix('(') {
        let length = inside.bytes().take_while(u8::is_ascii_digit).count();
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '(');
        return ((1..=18).contains(&length) && inside[length..].strip_prefix(')').is_some_and(ends))
            .then(|| (inside[..length].to_owned(), length + 2));
    }
    let inside = ["\\overline{", "\\bar{", "\\dot{"].iter().find_map(|prefix| rest.strip_prefix(*prefix))?;
    let length = inside.bytes().take_while(u8::is_ascii_digit).count();
    (length > 0 && length <= 18 && inside[length..].starts_with('}'))
        .then(|| (inside[..length].to_owned(), rest.len() - inside.len() + length + 1))
}

/// The length of the dots that say that a decimal goes on.
fn dots(rest: &str) -> Option<usize> {
    let blanks = rest.len() - rest.trim_start().len();
    ["...", "…", "\\ldots", "\\dots", "\\cdots"]
        .iter()
        .find_map(|dots| rest[blanks..].starts_with(dots).then_some(blanks + dots.len()))
}

/// Decimals with the period at their end: one digit three times, or more digits twice.
fn period_of(decimals: &str) -> Option<(&str, &str)> {
    (1..=decimals.len() / 2).find_map(|length| {
        let period = &decimals[decimals.len() - length..];
        let times = if length == 1 { 3 } else { 2 };
        let repeated = decimals.len() >= times * length
            && (1..times).all(|at| {
                let end = decimals.len() - at * length;
                &decimals[end - length..end] == period
            });
        repeated.then(|| (decimals.trim_end_matches(period), period))
    })
}

/// The length of `e-12` after a number, if that is what follows.
fn exponent_length(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix(['e', 'E'])?;
    let digits = after.strip_prefix(['+', '-']).unwrap_or(after);
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let ends = !digits[length..].starts_with(|c: char| c.is_ascii_alphanumeric());
    ((1..=6).contains(&length) && ends).then(|| rest.len() - digits.len() + length)
}
