//! Units of measurement, as answers write them, in one spelling. No conversion: 100 cm is not 1 m here.

use crate::letters::lowercase;
use num_bigint::BigInt;
use num_rational::BigRational;

/// Spellings that mean the same; the first is the canonical one.
const SPELLINGS: [&[&str]; 42] = [
    &["%", "percent", "pct", "percents"],
    &["°", "degree", "deg"],
    &["$", "dollar", "usd", "us$", "buck"],
    &["€", "euro", "eur"],
    &["£", "pound sterling", "gbp"],
    &["¥", "yen", "yuan", "rmb"],
    &["¢", "cent"],
    &["mm", "millimeter", "millimetre"],
    &["cm", "centimeter", "centimetre"],
    &["dm", "decimeter", "decimetre"],
    &["m", "meter", "metre"],
    &["km", "kilometer", "kilometre"],
    &["in", "inch", "inche"],
    &["ft", "foot", "feet"],
    &["yd", "yard"],
    &["mi", "mile"],
    &["mg", "milligram"],
    &["g", "gram", "gm"],
    &["kg", "kilogram", "kilo"],
    &["lb", "pound"],
    &["oz", "ounce"],
    &["t", "ton", "tonne"],
    &["ml", "milliliter", "millilitre", "cc"],
    &["l", "liter", "litre"],
    &["gal", "gallon"],
    &["ms", "millisecond"],
    &["s", "second", "sec"],
    &["min", "minute"],
    &["h", "hour", "hr"],
    &["day", "d"],
    &["week", "wk"],
    &["month", "mo"],
    &["year", "yr"],
    &["rad", "radian"],
    &["mi/h", "mph"],
    &["km/h", "kph", "kmh"],
    &["hz", "hertz"],
    &["person", "people"],
    &["man", "men"],
    &["woman", "women"],
    &["child", "children"],
    &["unit", ""],
];

/// Words of number, not of unit: they multiply.
const MULTIPLIERS: [(&str, u32); 5] =
    [("hundred", 2), ("thousand", 3), ("million", 6), ("billion", 9), ("trillion", 12)];

/// A unit with its multiplier split off: `million dollars` is (1,000,000, `$`).
pub(super) fn split_multiplier(unit: &str) -> (Option<BigRational>, &str) {
    let unit = unit.trim();
    let (first, rest) = unit.split_once(' ').unwrap_or((unit, ""));
    match MULTIPLIERS.iter().find(|(word, _)| first.eq_ignore_ascii_case(word)) {
        Some((_, zeros)) => (Some(BigRational::from_integer(BigInt::from(10).pow(*zeros))), rest),
        None => (None, unit),
    }
}

/// The canonical spelling of a unit; empty for `units`, which says nothing.
pub(super) fn canonical(unit: &str) -> String {
    let cleaned: String = unit.chars().filter(|c| !matches!(c, '.' | '{' | '}')).collect();
    let lower = lowercase(cleaned.trim()).replace(" per ", "/");
    let parts: Vec<String> = lower.split('/').map(canonical_part).collect();
    parts.join("/")
}

fn canonical_part(part: &str) -> String {
    let mut power = String::new();
    let mut words: Vec<&str> = Vec::new();
    for word in part.split_whitespace() {
        match word {
            "square" | "sq" | "squared" => power = "^2".to_owned(),
            "cubic" | "cubed" => power = "^3".to_owned(),
            "of" | "the" | "a" | "an" => {}
            _ => words.push(word),
        }
    }
    let joined = words.join(" ");
    let base = match joined.split_once('^') {
        Some((base, exponent)) => {
            power = format!("^{exponent}");
            base
        }
        None => &joined,
    };
    format!("{}{power}", canonical_word(base.trim()))
}

fn canonical_word(word: &str) -> String {
    let singular = if word.len() > 2 { word.strip_suffix('s').unwrap_or(word) } else { word };
    for spellings in SPELLINGS {
        if spellings.contains(&word) || spellings.contains(&singular) {
            return if spellings[0] == "unit" { String::new() } else { spellings[0].to_owned() };
        }
    }
    singular.to_owned()
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn spellings_meet() {
        for (a, b) in [
            ("centimeters", "cm"),
            ("square inches", "in^2"),
            ("inches^2", "in^2"),
            ("miles per hour", "mph"),
            ("dollars", "$"),
            ("feet", "ft"),
            ("p.m.", "pm"),
            ("units", ""),
            ("square units", "units^2"),
        ] {
            assert_eq!(canonical(a), canonical(b), "{a} {b}");
        }
        assert_ne!(canonical("cm"), canonical("m"));
        assert_ne!(canonical("cm"), canonical("cm^2"));
        assert_ne!(canonical("dollars"), canonical("cents"));
    }
}
