//! Numbers of JSON from texts and back, exactly as `serde_json` reads and writes them.
//!
//! Not by that crate: its tables for this are a twentieth of the smallest wasm module, and whole numbers of any length are there
//! in any case ([`crate::math::number`]). Short decimals, which are nearly all, need neither.

use serde_json::Number;

use crate::math::number::{BigInt, BigRational};

/// Digits of decimals that doubles hold exactly.
const SHORT: usize = 15;
/// More digits decide nothing but on which side of a number the others are: no number halfway between two doubles has as many.
const MOST_DIGITS: usize = 800;
/// Digits with which every double is another decimal.
const DISTINCT: usize = 17;

/// The digits that a text begins with, and what is behind them.
fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && split_digits(text).1.is_empty()
}

/// Whole numbers up to 19 digits.
fn whole(digits: &str) -> u64 {
    digits.bytes().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))
}

/// The number that a text is, by the grammar of JSON; none where it is none, or larger than any double.
pub(crate) fn read_number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let is_negative = unsigned.len() < text.len();
    let (digits, rest) = split_digits(unsigned);
    if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    if rest.is_empty() && (digits.len() < 20 || digits.len() == 20 && digits <= "18446744073709551615") {
        let size = whole(digits);
        if !is_negative {
            return Some(size.into());
        }
        if (1..=1 << 63).contains(&size) {
            return Some((size as i64).wrapping_neg().into());
        }
    }
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split_digits(rest),
        None => ("0", rest),
    };
    if fraction.is_empty() {
        return None;
    }
    let exponent = match rest.strip_prefix(['e', 'E']) {
        None if rest.is_empty() => 0,
        None => return None,
        Some(exponent) => {
            let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            if !is_digits(digits) {
                return None;
            }
            let digits = digits.trim_start_matches('0');
            // Far beyond all doubles, whatever digits are before it.
            let size = if digits.len() > 15 { 1 << 50 } else { whole(digits) as i64 };
            if exponent.starts_with('-') { -size } else { size }
        }
    };
    let size = nearest(&format!("{digits}{fraction}"), exponent - fraction.len() as i64);
    Number::from_f64(if is_negative { -size } else { size })
}

/// The double next to `digits` times ten to the power of `exponent`.
fn nearest(digits: &str, mut exponent: i64) -> f64 {
    let mut digits = digits.trim_start_matches('0');
    let magnitude = digits.len() as i64 + exponent;
    if digits.is_empty() || magnitude < -330 {
        return 0.0;
    }
    if magnitude > 310 {
        return f64::INFINITY;
    }
    let power = exponent.unsigned_abs() as u32;
    if digits.len() <= SHORT && power < 20 {
        let (size, power) = (whole(digits) as f64, 10u64.pow(power) as f64);
        return if exponent < 0 { size / power } else { size * power };
    }
    let cut;
    if digits.len() > MOST_DIGITS {
        let (kept, rest) = digits.split_at(MOST_DIGITS);
        exponent += rest.len() as i64 - 1;
        let is_more = rest.bytes().any(|digit| digit != b'0');
        cut = format!("{kept}{}", u8::from(is_more));
        digits = &cut;
    }
    let power = BigInt::from(10).pow(exponent.unsigned_abs() as u32);
    let size: BigInt = digits.parse().unwrap_or_default();
    match exponent < 0 {
        true => BigRational::of_lowest(size, power).to_f64(),
        false => BigRational::from_integer(&size * &power).to_f64(),
    }
}

/// The text of a number: of a double the shortest that is read as the same.
pub(crate) fn number_text(number: &Number) -> String {
    match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(size), ..) => size.to_string(),
        (_, Some(size), _) => size.to_string(),
        (.., value) => float_text(value.unwrap_or_default()),
    }
}

fn float_text(value: f64) -> String {
    let (digits, exponent) = shortest(value.abs());
    let kept = digits.trim_end_matches('0');
    let exponent = exponent + (digits.len() - kept.len()) as i64;
    // Digits before the point.
    let before = kept.len() as i64 + exponent;
    let zeros = |count: i64| "0".repeat(count as usize);
    let mut text = if value.is_sign_negative() { "-".to_owned() } else { String::new() };
    let parts = if kept.is_empty() {
        ["0.0".to_owned(), String::new(), String::new()]
    } else if exponent >= 0 && before <= 16 {
        [kept.to_owned(), zeros(exponent), ".0".to_owned()]
    } else if (1..=16).contains(&before) {
        let (whole, fraction) = kept.split_at(before as usize);
        [whole.to_owned(), ".".to_owned(), fraction.to_owned()]
    } else if (-4..=0).contains(&before) {
        ["0.".to_owned(), zeros(-before), kept.to_owned()]
    } else {
        let (first, rest) = kept.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if before > 0 { "+" } else { "" };
        [first.to_owned(), format!("{point}{rest}"), format!("e{sign}{}", before - 1)]
    };
    for part in parts {
        text.push_str(&part);
    }
    text
}

/// The fewest digits, and the power of ten that they are times, that only this double is next to.
fn shortest(size: f64) -> (String, i64) {
    if size == 0.0 {
        return (String::new(), 0);
    }
    for power in 0..20 {
        let scale = 10u64.pow(power) as f64;
        let digits = size * scale + 0.5;
        if digits >= 1e15 {
            break;
        }
        let digits = digits as u64;
        if digits as f64 / scale == size {
            return (digits.to_string(), -i64::from(power));
        }
    }
    let exact = BigRational::from_f64(size).unwrap_or_default();
    // More digits than are needed, at first by the logarithm of two.
    let scaled = |power: i64| {
        let ten = BigInt::from(10).pow(power.unsigned_abs() as u32);
        let (top, bottom) = match power < 0 {
            true => (exact.numer().clone(), exact.denom() * &ten),
            false => (exact.numer() * &ten, exact.denom().clone()),
        };
        top.div_rem(&bottom)
    };
    let bits = exact.numer().bits() as i64 - exact.denom().bits() as i64;
    let power = 20 - bits * 30_103 / 100_000;
    let (digits, rest) = scaled(power);
    // What is cut off below the last digit is told apart from nothing.
    let mut digits = digits.to_string();
    digits.push(if rest.is_zero() { '0' } else { '1' });
    let length = digits.len() as i64;
    let mut best = (digits.clone(), -power - 1);
    for count in (1..=DISTINCT).rev() {
        let exponent = length - count as i64 - power - 1;
        let (kept, rest) = digits.split_at(count);
        let above = (whole(kept) + 1).to_string();
        let is_up = match rest.trim_end_matches('0').cmp("5") {
            std::cmp::Ordering::Equal => kept.ends_with(['1', '3', '5', '7', '9']),
            order => order.is_gt(),
        };
        let tried = if is_up { [&above, kept] } else { [kept, &above] };
        match tried.into_iter().find(|tried| nearest(tried, exponent) == size) {
            Some(found) => best = (found.to_owned(), exponent),
            None => break,
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same(text: &str) {
        let theirs = text.parse::<Number>().ok();
        let ours = read_number(text);
        let bits =
            |number: &Option<Number>| number.as_ref().map(|number| (number.to_string(), number.is_f64()));
        assert_eq!(bits(&ours), bits(&theirs), "{text}");
        if let Some(number) = ours {
            assert_eq!(number_text(&number), number.to_string(), "{text}");
        }
    }

    #[test]
    fn ends() {
        for text in [
            "0",
            "-0",
            "-0.0",
            "0.0",
            "00",
            "01",
            "-",
            "",
            "1.",
            ".5",
            "1e",
            "1e+",
            "1e5",
            "1E-5",
            "1.5e+3",
            "1e400",
            "-1e400",
            "1e-400",
            "0e999999999999999999999",
            "1e-999999999999999999999",
            "1e999999999999999999999",
            "5e-324",
            "2e-324",
            "2.4703282292062327e-324",
            "2.4703282292062328e-324",
            "4.9e-324",
            "2.2250738585072011e-308",
            "2.2250738585072014e-308",
            "1.7976931348623157e308",
            "1.7976931348623158e308",
            "1.7976931348623159e308",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "123456789012345678901234567890",
            "9007199254740993.0",
            "9007199254740992.5",
            "1e15",
            "1e16",
            "1e17",
            "123456789012345680.0",
            "0.0001",
            "0.00001",
            "0.000012",
            "1e22",
            "1e23",
            "5e-5",
            "9.5367431640625e-7",
            "5.684341886080801e-14",
            "1.1",
            "1.0e0",
            "0x1",
            "1 ",
            "+1",
            "1e1.5",
            "--1",
            "1-",
        ] {
            same(text);
        }
        let long = format!("0.{}1", "0".repeat(2_000));
        same(&long);
        // Halfway between two doubles, and by one digit far behind above it.
        for end in ["", "0", "1"] {
            let halfway = "9007199254740993.".to_owned() + &"0".repeat(900) + "0" + end;
            same(&halfway);
        }
        for exponent in -1_074..1_024 {
            let power = 2f64.powi(exponent);
            for near in [power.next_down(), power, power.next_up()] {
                if let Some(number) = Number::from_f64(near) {
                    assert_eq!(number_text(&number), number.to_string());
                    same(&number.to_string());
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_double(bits in any::<u64>()) {
            if let Some(number) = Number::from_f64(f64::from_bits(bits)) {
                prop_assert_eq!(number_text(&number), number.to_string());
                same(&number.to_string());
            }
        }

        #[test]
        fn any_decimal(text in "-?[0-9]{1,25}(\\.[0-9]{0,25})?([eE][-+]?[0-9]{0,3})?") {
            same(&text);
        }

        #[test]
        fn short_decimals(text in "-?[1-9][0-9]{0,5}\\.[0-9]{1,4}") {
            same(&text);
        }

        #[test]
        fn anything(text in "[-+.eE0-9]{0,8}") {
            same(&text);
        }
    }
}
