//! JSON as models write it: strict JSON is read as it is, and what is nearly JSON as it was meant.
//!
//! Repaired: commas before a closing bracket, comments, strings in single quotes, raw line breaks in strings,
//! keys without quotes, Python's `True`, `False`, `None`, and `NaN` (which is null). The last of two equal
//! keys wins. A number that neither a 64-bit integer nor a 64-bit float can hold is kept as text, with all
//! its digits. What is deeper than [`MOST_DEPTH`] is not read.

use serde_json::{Map, Value};

use crate::float::read_number;

/// The depth to which values are read: that of serde_json, so that what is read here can be read again.
const MOST_DEPTH: usize = 127;

/// Why a value could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The text ends inside it.
    Ends,
    /// It is no JSON.
    Broken,
    /// It is nested too deeply.
    TooDeep,
}

/// A reader of one value.
pub(super) struct Parser<'a> {
    text: &'a str,
    /// How far it was read.
    pub at: usize,
    /// Brackets that are open there.
    pub open: usize,
    /// Keys that were read, with the colon behind them: what has none may be no JSON at all.
    pub keys: usize,
}

/// The value that a whole text is.
pub fn parse_all(text: &str) -> Option<Value> {
    let mut parser = Parser::new(text, 0);
    let value = parser.value().ok()?;
    parser.blank().ok()?;
    (parser.at == text.len()).then_some(value)
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, at: usize) -> Self {
        Self { text, at, open: 0, keys: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes blanks and comments.
    fn blank(&mut self) -> Result<(), Failure> {
        loop {
            let is_blank = |c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}');
            let rest = self.rest().trim_start_matches(is_blank);
            self.at = self.text.len() - rest.len();
            let (length, end) = if rest.starts_with("//") || rest.starts_with('#') {
                (rest.find('\n'), 1)
            } else if rest.starts_with("/*") {
                (rest.find("*/"), 2)
            } else {
                return Ok(());
            };
            self.at = length.map_or(self.text.len(), |length| self.at + length + end);
        }
    }

    /// The next byte that is no blank.
    fn next_byte(&mut self) -> Result<u8, Failure> {
        self.blank()?;
        self.peek().ok_or(Failure::Ends)
    }

    pub(super) fn value(&mut self) -> Result<Value, Failure> {
        match self.next_byte()? {
            b'{' => self.object(),
            b'[' => self.array(),
            quote @ (b'"' | b'\'') => self.string(quote).map(Value::String),
            b'-' | b'+' | b'.' | b'0'..=b'9' => self.number(),
            _ => match self.word()? {
                "true" | "True" | "TRUE" => Ok(Value::Bool(true)),
                "false" | "False" | "FALSE" => Ok(Value::Bool(false)),
                "null" | "None" | "NULL" | "undefined" | "NaN" | "nan" | "Infinity" => Ok(Value::Null),
                _ => Err(Failure::Broken),
            },
        }
    }

    fn enter(&mut self) -> Result<(), Failure> {
        self.at += 1;
        self.open += 1;
        if self.open > MOST_DEPTH { Err(Failure::TooDeep) } else { Ok(()) }
    }

    /// Whether the value ends here; if not, the comma before its next part is passed.
    fn ends(&mut self, close: u8, is_first: bool) -> Result<bool, Failure> {
        let mut byte = self.next_byte()?;
        if byte == b',' && !is_first {
            self.at += 1;
            byte = self.next_byte()?;
        } else if byte != close && !is_first {
            return Err(Failure::Broken);
        }
        if byte != close {
            return Ok(false);
        }
        self.at += 1;
        self.open -= 1;
        Ok(true)
    }

    fn array(&mut self) -> Result<Value, Failure> {
        self.enter()?;
        let mut items = Vec::new();
        while !self.ends(b']', items.is_empty())? {
            items.push(self.value()?);
        }
        Ok(Value::Array(items))
    }

    fn object(&mut self) -> Result<Value, Failure> {
        self.enter()?;
        let mut fields = Map::new();
        while !self.ends(b'}', fields.is_empty())? {
            let key = match self.next_byte()? {
                quote @ (b'"' | b'\'') => self.string(quote)?,
                _ => self.word()?.to_owned(),
            };
            if self.next_byte()? != b':' {
                return Err(Failure::Broken);
            }
            self.at += 1;
            self.keys += 1;
            let value = self.value()?;
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }

    /// A name without quotes.
    fn word(&mut self) -> Result<&'a str, Failure> {
        let rest = self.rest();
        let length =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '$'))).unwrap_or(rest.len());
        if length == 0 || rest.as_bytes()[0].is_ascii_digit() {
            return Err(Failure::Broken);
        }
        self.at += length;
        // A word that is cut off may have been another.
        if self.at == self.text.len() && self.open > 0 { Err(Failure::Ends) } else { Ok(&rest[..length]) }
    }

    fn number(&mut self) -> Result<Value, Failure> {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.');
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let literal = &rest[..length];
        self.at += length;
        if self.at == self.text.len() && self.open > 0 {
            return Err(Failure::Ends);
        }
        if literal == "-Infinity" {
            return Ok(Value::Null);
        }
        let digits = literal.trim_start_matches(['-', '+']);
        if literal.len() > digits.len() + 1 || !digits.bytes().any(|byte| byte.is_ascii_digit()) {
            return Err(Failure::Broken);
        }
        let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit());
        let signed = literal.trim_start_matches('+');
        match read_number(signed) {
            Some(number) if !(is_integer && number.is_f64() && digits != "0") => Ok(Value::Number(number)),
            // Too large, or with zeros before it, as names of things have them: its digits are kept.
            _ if is_integer => Ok(Value::String(literal.to_owned())),
            // `.5`, `5.`, and what is too large for a float.
            _ => repaired(literal).ok_or(Failure::Broken),
        }
    }

    fn string(&mut self, quote: u8) -> Result<String, Failure> {
        self.at += 1;
        let mut out = String::new();
        let marks = [char::from(quote), '\\'];
        loop {
            let rest = self.rest();
            let length = rest.find(marks).ok_or(Failure::Ends)?;
            out.push_str(&rest[..length]);
            self.at += length + 1;
            if rest.as_bytes()[length] == quote {
                return Ok(out);
            }
            self.escape(&mut out)?;
        }
    }

    /// What stands behind a backslash. One that begins no escape of JSON is meant as itself: `\d`, `\alpha`.
    fn escape(&mut self, out: &mut String) -> Result<(), Failure> {
        let rest = self.rest();
        let c = rest.chars().next().ok_or(Failure::Ends)?;
        self.at += c.len_utf8();
        match c {
            '"' | '\\' | '/' | '\'' => out.push(c),
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'u' => match code_unit(rest) {
                Some(high) => {
                    self.at += 4;
                    let low = rest[5..].strip_prefix('\\').and_then(code_unit);
                    let low =
                        low.filter(|low| (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(low));
                    let code = match low {
                        Some(low) => {
                            self.at += 6;
                            0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                        }
                        None => high,
                    };
                    // Half a pair of surrogates stands for no character.
                    out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                None => out.push_str("\\u"),
            },
            _ => {
                out.push('\\');
                out.push(c);
            }
        }
        Ok(())
    }
}

/// A number that is nearly one of JSON: `.5`, `5.`; or one that is too large, as text.
fn repaired(literal: &str) -> Option<Value> {
    let (mantissa, exponent) = literal
        .split_once(['e', 'E'])
        .map_or((literal, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = mantissa.trim_start_matches(['-', '+']);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_number = is_digits(whole)
        && is_digits(fraction)
        && whole.len() + fraction.len() > 0
        && exponent.is_none_or(|exponent| {
            let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !digits.is_empty() && is_digits(digits)
        });
    if !is_number {
        return None;
    }
    let sign = if literal.starts_with('-') { "-" } else { "" };
    let power = exponent.map_or_else(String::new, |exponent| "e".to_owned() + exponent);
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = if fraction.is_empty() { "0" } else { fraction };
    let number = read_number(&[sign, whole, ".", fraction, &power].concat());
    Some(number.map_or_else(|| Value::String(literal.to_owned()), Value::Number))
}

/// The code unit of `u00e9`.
fn code_unit(text: &str) -> Option<u32> {
    let hex = text.strip_prefix('u')?.get(..4)?;
    hex.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(hex, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn strict_json_is_read_as_serde_json_reads_it() {
        for text in [
            r#"{"a":[1,-2.5,1e3,-0,true,false,null,"x\n\u00e9\ud83d\ude00\/\b\f"],"b":{},"c":[]}"#,
            "[ ]",
            r#"{"a":1,"b":2,"a":3}"#,
            "[18446744073709551615,-9223372036854775808,0.1]",
            "12",
            r#""x""#,
        ] {
            assert_eq!(parse_all(text), serde_json::from_str(text).ok(), "{text}");
        }
    }

    #[test]
    fn what_is_nearly_json_is_read_as_it_was_meant() {
        for (text, expected) in [
            ("{'a': True, 'b': None, 'c': False,}", json!({"a": true, "b": null, "c": false})),
            ("{a: 1, // one\n b: /* two */ 2, # three\n}", json!({"a": 1, "b": 2})),
            ("[NaN, -Infinity, +5, .5, 5.]", json!([null, null, 5, 0.5, 5.0])),
            ("{\"a\": \"two\nlines\"}", json!({"a": "two\nlines"})),
            (r#"["\d \ud800 it\'s"]"#, json!(["\\d \u{fffd} it's"])),
            (
                "[123456789012345678901234567890, 007, 1e999]",
                json!(["123456789012345678901234567890", "007", "1e999"]),
            ),
        ] {
            assert_eq!(parse_all(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_says_why() {
        let failure = |text: &str| Parser::new(text, 0).value().unwrap_err();
        for text in ["{", "[1", "[1,", "{\"a", "{\"a\":", "[tru", "[12", "[\"a\\"] {
            assert_eq!(failure(text), Failure::Ends, "{text}");
        }
        for text in ["{1:2}", "[1 2]", "{\"a\" 1}", "[--1]", "[1-2]", "{,}", "[é]", "[yes]", "[1e]"] {
            assert_eq!(failure(text), Failure::Broken, "{text}");
        }
        assert_eq!(failure(&"[".repeat(100_000)), Failure::TooDeep);
        let deepest = "[".repeat(MOST_DEPTH) + &"]".repeat(MOST_DEPTH);
        assert_eq!(parse_all(&deepest), serde_json::from_str(&deepest).ok());
        assert!(parse_all(&deepest).is_some());
    }
}
