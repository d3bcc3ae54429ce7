//! Units of measurement, as answers write them, in one spelling. No conversion: 100 cm is not 1 m here.

use crate::letters::lowercase;
use crate::math::number::{BigInt, BigRational};

/// Spellings that mean the same; the first is the canonical one.
#[rustfmt::skip]
const SPELLINGS: &[&[&str]] = &[
    &["%", "percent", "pct", "percents", "percentage", "percentage point", "per cent"],
    &["°", "degree", "deg"],
    &["$", "dollar", "usd", "us$", "buck", "us dollar", "美元", "доллар", "долларов", "доллара"],
    &["€", "euro", "eur"], &["£", "pound sterling", "gbp"],
    &["¥", "yen", "jpy", "円"], &["yuan", "rmb", "cny", "元", "块"], &["₹", "rupee", "rs", "inr"],
    &["ohm", "Ω", "ω"], &["volt", "v"], &["watt", "w"], &["ampere", "amp"], &["mole", "mol"],
    &["newton", "n"], &["joule", "j"], &["pascal", "pa"], &["kwh", "kilowatt-hour", "kilowatt hour"], &["kwatt", "kw"], &["kjoule", "kj"],
    &["μm", "micrometer", "micrometre", "micron"], &["nm", "nanometer", "nanometre"],
    &["μs", "microsecond"], &["mampere", "ma"], &["khz", "kilohertz"], &["¢", "cent"],
    &["mm", "millimeter", "millimetre"], &["cm", "centimeter", "centimetre", "厘米", "см"],
    &["dm", "decimeter", "decimetre"], &["m", "meter", "metre", "米", "м"],
    &["km", "kilometer", "kilometre"], &["in", "inch", "inche"], &["ft", "foot", "feet"], &["yd", "yard"],
    &["mi", "mile"], &["mg", "milligram"], &["g", "gram", "gm"], &["kg", "kilogram", "kilo"],
    &["lb", "pound"], &["oz", "ounce"], &["t", "ton", "tonne"], &["ml", "milliliter", "millilitre", "cc"],
    &["l", "liter", "litre"], &["gal", "gallon"], &["ms", "millisecond"], &["s", "second", "sec"],
    &["min", "minute"], &["h", "hour", "hr"], &["day", "d"], &["week", "wk"], &["month", "mo"],
    &["year", "yr"], &["rad", "radian"], &["mi/h", "mph"], &["km/h", "kph", "kmh"], &["hz", "hertz"],
    &["person", "people"], &["man", "men"], &["woman", "women"], &["child", "children"], &["unit", ""],
];

/// Words of number, not of unit: they multiply.
const MULTIPLIERS: [(&str, u64); 8] = [
    ("dozen", 12),
    ("hundred", 100),
    ("thousand", 1_000),
    ("lakh", 100_000),
    ("million", 1_000_000),
    ("crore", 10_000_000),
    ("billion", 1_000_000_000),
    ("trillion", 1_000_000_000_000),
];

/// A unit with its multiplier split off: `million dollars` is (1,000,000, `$`).
pub(crate) fn split_multiplier(unit: &str) -> (Option<BigRational>, &str) {
    let unit = unit.trim();
    let (first, rest) = unit.split_once(' ').unwrap_or((unit, ""));
    match MULTIPLIERS.iter().find(|(word, _)| first.eq_ignore_ascii_case(word)) {
        Some((_, factor)) => (Some(BigRational::from_integer(BigInt::from(*factor))), rest),
        None => (None, unit),
    }
}

/// The canonical spelling of a unit: its factors in order, each with its power, `m*s^-2`; empty for `units`, which says
/// nothing.
pub(crate) fn canonical(unit: &str) -> String {
    let cleaned: String = unit.chars().filter(|c| !matches!(c, '.' | '{' | '}')).collect();
    let cleaned = cleaned.trim();
    // Symbols are told apart by their case: `mW` and `MW`.
    let is_mega = cleaned
        .strip_prefix('M')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()) && symbol(rest).is_some());
    if is_mega {
        return cleaned.to_owned();
    }
    if is_symbols(cleaned) {
        return joined(cleaned, &|part| symbol(part).map_or_else(|| part.to_owned(), str::to_owned));
    }
    let mut lower = lowercase(cleaned).replace(" per ", "/");
    let has_degrees = lower.contains('°') || lower.contains("degree");
    for (words, symbol) in [("celsius", "°c"), ("fahrenheit", "°f")].into_iter().filter(|_| has_degrees) {
        for form in [
            format!("° {}", &symbol["°".len()..]),
            format!("° {words}"),
            format!("°{words}"),
            format!("degrees {words}"),
            format!("degree {words}"),
        ] {
            lower = lower.replace(&form, symbol);
        }
    }
    joined(&lower, &|part| canonical_word(part))
}

/// The factors of a unit, each brought into its spelling, with their powers.
fn joined(unit: &str, spelling: &dyn Fn(&str) -> String) -> String {
    let mut factors: Vec<(String, i32)> = Vec::new();
    for (at, part) in unit.split('/').enumerate() {
        for factor in part.split('*') {
            let (base, power) = base_and_power(factor);
            let power = if at == 0 { power } else { -power };
            // `km/h` and its like are spelled with a stroke.
            for (at, word) in spelling(&base).split('/').enumerate().filter(|(_, word)| !word.is_empty()) {
                let power = if at == 0 { power } else { -power };
                match factors.iter_mut().find(|(known, _)| known == word) {
                    Some((_, known)) => *known += power,
                    None => {
                        let place = factors
                            .iter()
                            .position(|(known, _)| known.as_str() > word)
                            .unwrap_or(factors.len());
                        factors.insert(place, (word.to_owned(), power));
                    }
                }
            }
        }
    }
    factors.retain(|(_, power)| *power != 0);
    let shown = factors.into_iter().map(|(word, power)| match power {
        1 => word,
        power => format!("{word}^{power}"),
    });
    shown.collect::<Vec<_>>().join("*")
}

/// `square inches`, `cm^2`, `s^-1`: the words without what says the power, and the power.
fn base_and_power(part: &str) -> (String, i32) {
    let mut power = 1;
    let mut words: Vec<&str> = Vec::new();
    for word in part.split_whitespace() {
        match word {
            "square" | "sq" | "squared" => power = 2,
            "cubic" | "cubed" | "cu" => power = 3,
            "of" | "the" | "a" | "an" => {}
            _ => words.push(word),
        }
    }
    let joined = words.join(" ");
    let split = joined
        .split_once('^')
        .and_then(|(base, exponent)| Some((base, i32::from(exponent.trim().parse::<i16>().ok()?))));
    match split {
        Some((base, exponent)) => (base.trim().to_owned(), exponent),
        None => match joined.strip_suffix(['²', '³']) {
            Some(base) => (base.to_owned(), if joined.ends_with('²') { 2 } else { 3 }),
            None => (joined, power),
        },
    }
}

fn canonical_word(word: &str) -> String {
    let singular = if word.len() > 2 { word.strip_suffix('s').unwrap_or(word) } else { word };
    for spellings in SPELLINGS {
        if spellings.contains(&word) || spellings.contains(&singular) {
            return if spellings[0] == "unit" { String::new() } else { spellings[0].to_owned() };
        }
    }
    // A prefix written out, as its symbol.
    const PREFIXES: [(&str, &str); 8] = [
        ("kilo", "k"),
        ("kil", "k"),
        ("milli", "m"),
        ("micro", "μ"),
        ("mega", "mega"),
        ("meg", "mega"),
        ("giga", "giga"),
        ("nano", "n"),
    ];
    for (prefix, symbol) in PREFIXES {
        if let Some(base) = singular.strip_prefix(prefix).filter(|base| base.len() > 2) {
            let spelled = canonical_word(base);
            if SPELLINGS.iter().any(|spellings| spellings[0] == spelled) {
                return format!("{symbol}{spelled}");
            }
        }
    }
    singular.to_owned()
}

/// Whether words behind a number change what it is, so that they are no unit and nothing that was counted.
pub(crate) fn changes_value(unit: &str) -> bool {
    #[rustfmt::skip]
    const WORDS: &[&str] = &[
        "squared", "cubed", "factorial", "inverse", "half", "halves", "third", "thirds", "fourths", "quarter", "quarters", "fifths",
        "sixths", "sevenths", "eighths", "ninths", "tenth", "tenths", "hundredth", "hundredths", "thousandth", "thousandths",
        "basis", "mille", "permille", "below", "above", "less", "more", "fewer", "times", "wrong", "false", "true", "plus", "minus",
        "divided", "multiplied", "cubes", "modulo", "mod", "not", "or", "over", "score", "power", "root", "incorrect", "sure",
        "negative",
    ];
    let mut words = unit.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).peekable();
    // `5 squared` but `5 meters squared`, `5 cm cubed`.
    let first = words.peek().map(|word| word.to_ascii_lowercase());
    let is_power = |word: &str| matches!(word, "squared" | "cubed");
    words.any(|word| {
        let word = word.to_ascii_lowercase();
        WORDS.contains(&word.as_str()) && !(is_power(&word) && first.as_deref() != Some(&word))
    })
}

/// Whether letters before an amount are the code of a currency.
pub(crate) fn is_currency(code: &str) -> bool {
    #[rustfmt::skip]
    const CODES: &[&str] = &[
        "USD", "EUR", "GBP", "JPY", "CNY", "RMB", "INR", "Rs", "rs", "CAD", "AUD", "CHF", "KRW", "BRL",
        "RUB", "NZD",
    ];
    CODES.contains(&code)
}

/// Symbols of units that are written as bare letters behind a number, where case matters, with their spelling.
#[rustfmt::skip]
const SYMBOLS: &[(&str, &str)] = &[
    ("m", "m"), ("s", "s"), ("g", "g"), ("L", "l"), ("l", "l"), ("h", "h"), ("t", "t"), ("A", "ampere"),
    ("V", "volt"), ("W", "watt"), ("J", "joule"), ("N", "newton"), ("K", "kelvin"), ("C", "coulomb"),
    ("F", "farad"), ("H", "henry"), ("T", "tesla"), ("Ω", "ohm"), ("Hz", "hz"), ("Pa", "pascal"),
    ("mol", "mole"), ("cm", "cm"), ("mm", "mm"), ("km", "km"), ("dm", "dm"), ("nm", "nm"), ("μm", "μm"),
    ("kg", "kg"), ("mg", "mg"), ("μg", "μg"), ("ms", "ms"), ("ns", "ns"), ("μs", "μs"), ("min", "min"),
    ("mL", "ml"), ("ml", "ml"), ("kW", "kwatt"), ("MW", "megawatt"), ("mW", "mwatt"), ("kV", "kvolt"),
    ("mV", "mvolt"), ("mA", "mampere"), ("μA", "μampere"), ("kJ", "kjoule"), ("MJ", "megajoule"),
    ("kN", "knewton"), ("kPa", "kpascal"), ("kΩ", "kohm"), ("MΩ", "megaohm"), ("kHz", "khz"),
    ("MHz", "megahz"), ("GHz", "gigahz"), ("eV", "ev"), ("keV", "kev"), ("MeV", "megaev"), ("cal", "cal"),
    ("kcal", "kcal"), ("atm", "atm"), ("bar", "bar"), ("ft", "ft"), ("lb", "lb"), ("kWh", "kwh"),
];

fn symbol(part: &str) -> Option<&'static str> {
    SYMBOLS.iter().find(|(symbol, _)| *symbol == part).map(|(_, spelling)| *spelling)
}

/// Whether a unit is made of known symbols alone: `m`, `m/s^2`, `N*m`.
pub(crate) fn is_symbols(unit: &str) -> bool {
    !unit.is_empty()
        && unit.split(['/', '*']).all(|part| {
            let (base, power) = part.split_once('^').unwrap_or((part, "1"));
            symbol(base.trim()).is_some() && power.parse::<i16>().is_ok()
        })
}

/// Whether two letters without a blank before them are rather a product of variables.
pub(crate) fn is_product(unit: &str) -> bool {
    matches!(unit, "nm" | "ms" | "ns" | "mA" | "mV" | "kN")
}

/// What stands upright, `m\,s^{-1}` or `N \cdot m`, as one unit where it is made of known symbols and there are several.
pub(crate) fn compound(content: &str) -> Option<String> {
    let content = content.trim();
    // Words are no symbols, and one symbol alone needs no reading.
    let longest = content.split(|c: char| !c.is_ascii_alphabetic()).map(str::len).max().unwrap_or(0);
    if content.len() > 40 || longest > 5 || !content.contains(['\\', '^', ' ', '~', '/']) {
        return None;
    }
    let mut unit = content.replace(['{', '}'], "");
    for (mark, meaning) in [
        ("\\cdot", "*"),
        ("\\times", "*"),
        ("\\,", "*"),
        ("\\;", "*"),
        ("\\ ", "*"),
        ("~", "*"),
        ("\\mu", "μ"),
        ("\\Omega", "Ω"),
    ] {
        unit = unit.replace(mark, meaning);
    }
    let unit = unit.split_whitespace().collect::<Vec<_>>().join("*");
    let unit = unit
        .split('*')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("*")
        .replace("*/", "/")
        .replace("/*", "/");
    is_symbols(&unit).then_some(unit)
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
            ("m/s^2", "m*s^-2"),
            ("meters per second", "m/s"),
            ("km/h", "kilometers per hour"),
            ("percentage points", "%"),
            ("Ω", "ohms"),
            ("N*m", "m*N"),
        ] {
            assert_eq!(canonical(a), canonical(b), "{a} {b}");
        }
        assert_ne!(canonical("cm"), canonical("m"));
        assert_ne!(canonical("cm"), canonical("cm^2"));
        assert_ne!(canonical("dollars"), canonical("cents"));
    }
}
