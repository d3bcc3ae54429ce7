//! Quantities: a value with its currency or unit, and the letters that may be either a unit or a variable.

use super::calls;
use super::{Kind, ParseError, Parsed, Parser};
use crate::math::exact::parse_number;
use crate::math::lexer::Token;
use crate::math::node::Node;
use crate::math::units;

impl Parser<'_> {
    /// A sum with what makes it a quantity: a currency before it, or a unit after it.
    pub(super) fn quantity(&mut self) -> Parsed {
        if let Some(quantity) = self.unit_letter()? {
            return Ok(quantity);
        }
        if let Some(quantity) = self.unit_letter_behind()? {
            return Ok(quantity);
        }
        let negative = matches!(self.symbol_at(1), Some('$' | '€' | '£' | '¥')) && self.eat('-');
        let currency = self.currency();
        let mut sum = match currency.as_ref().and_then(|_| self.abbreviated()) {
            Some(amount) => amount?,
            None => self.sum()?,
        };
        if negative {
            sum = Node::Negative(Box::new(sum));
        }
        // `343 \pmod{1000}`: what it is taken by is left out where the other side has none, as a unit is.
        if matches!(self.kind(), Some(Kind::Command(name)) if name == "pmod") {
            self.at += 1;
            let modulus = match self.script()? {
                Node::Number(modulus) => modulus.to_string(),
                _ => return Err(ParseError),
            };
            return Ok(Node::Quantity(Box::new(sum), format!("mod {modulus}")));
        }
        // `3 (mod 7)`
        if let (
            Some('('),
            Some(Kind::Letters(word) | Kind::Command(word)),
            Some(Kind::Number(modulus)),
            Some(')'),
        ) = (self.symbol(), self.kind_at(1), self.kind_at(2), self.symbol_at(3))
            && matches!(word.as_str(), "mod" | "bmod")
        {
            let modulus = modulus.clone();
            self.at += 4;
            return Ok(Node::Quantity(Box::new(sum), format!("mod {modulus}")));
        }
        // `10 \choose 3`, without braces.
        if matches!(self.kind(), Some(Kind::Command(name)) if name == "choose") {
            self.at += 1;
            let lower = self.sum()?;
            return Ok(Node::Binomial(Box::new(sum), Box::new(lower)));
        }
        let unit = self.unit()?;
        Ok(match unit.or(currency) {
            Some(unit) => Node::Quantity(Box::new(in_unit(sum, &unit)), unit),
            None => sum,
        })
    }

    /// A currency before its amount: `$`, `€`, `USD`, `Rs`.
    fn currency(&mut self) -> Option<String> {
        let currency = match (self.kind()?, self.kind_at(1)) {
            (Kind::Symbol(symbol @ ('$' | '€' | '£' | '¥' | '₹' | '₩' | '₽')), _) => {
                symbol.to_string()
            }
            (Kind::Letters(code), Some(Kind::Number(_) | Kind::Symbol('-'))) if units::is_currency(code) => {
                code.clone()
            }
            // `US$ 5`
            (Kind::Letters(code), Some(Kind::Symbol('$'))) if units::is_currency(code) || code.len() <= 2 => {
                self.at += 1;
                if code_is_us(&self.tokens[self.at - 1].kind) {
                    "$".to_owned()
                } else {
                    self.letters_at(self.at - 1) + "$"
                }
            }
            _ => return None,
        };
        self.at += 1;
        Some(currency)
    }

    fn letters_at(&self, at: usize) -> String {
        match self.tokens.get(at).map(|token| &token.kind) {
            Some(Kind::Letters(letters)) => letters.clone(),
            _ => String::new(),
        }
    }

    /// `2.5M` and `70k` behind a currency.
    fn abbreviated(&mut self) -> Option<Parsed> {
        let (Some(Kind::Number(digits)), Some(Kind::Letters(letters))) = (self.kind(), self.kind_at(1))
        else {
            return None;
        };
        let zeros = match letters.as_str() {
            "k" | "K" => 3,
            "M" | "m" | "mn" | "mm" | "MM" | "mil" => 6,
            "B" | "b" | "bn" => 9,
            "T" | "tn" => 12,
            _ => return None,
        };
        if self.tokens[self.at + 1].spaced
            || !matches!(self.kind_at(2), None | Some(Kind::Symbol(',' | ';' | ')')))
        {
            return None;
        }
        let value = parse_number(&format!("{digits}e{zeros}"))?;
        self.at += 2;
        Some(Ok(Node::Number(value)))
    }

    /// A number and nothing behind it but bare letters that are units too: `12 m`, `5 km/h`, `9.8 m/s^2`, `3 μA`.
    fn unit_letter(&mut self) -> Result<Option<Node>, ParseError> {
        let from = self.at;
        let negative = self.symbol() == Some('-');
        let number = from + usize::from(negative);
        let is_number = matches!(self.tokens.get(number).map(|token| &token.kind), Some(Kind::Number(_)));
        if !is_number || self.tokens.len() - number > 16 {
            return Ok(None);
        }
        let is_end = |token: &&Token| !matches!(token.kind, Kind::And | Kind::Or | Kind::Symbol(',' | ';'));
        let end = number + 1 + self.tokens[number + 1..].iter().take_while(is_end).count();
        let Some(unit) = unit_of(&self.tokens[number + 1..end]) else { return Ok(None) };
        let is_tight = self.tokens.get(number + 1).is_some_and(|token| !token.spaced);
        if !units::is_symbols(&unit) || is_tight && units::is_product(&unit) {
            return Ok(None);
        }
        let digits = match &self.tokens[number].kind {
            Kind::Number(digits) => parse_number(digits).ok_or(ParseError)?,
            _ => return Err(ParseError),
        };
        // What it is otherwise, a product of variables, as long as it ends at the same place.
        let saved: Vec<Token> = self.tokens[from..end].to_vec();
        let product = self.sum();
        let is_product = product.is_ok() && self.at == end;
        self.at = end;
        self.tokens[from..end].clone_from_slice(&saved);
        let inner = Node::Number(if negative { -digits } else { digits });
        // A unit of several letters is nothing else.
        let bare = unit.chars().filter(|c| c.is_alphabetic()).count();
        Ok(Some(match product {
            Ok(product) if is_product && bare == 1 => {
                Node::UnitLetter { product: Box::new(product), inner: Box::new(inner), unit }
            }
            _ => Node::Quantity(Box::new(inner), unit),
        }))
    }

    /// A constant that is no plain number with bare letters behind it that are a unit too: `2√3 m`, `3\times 10^8 m/s`.
    fn unit_letter_behind(&mut self) -> Result<Option<Node>, ParseError> {
        const MOST_TOKENS: usize = 32;
        let from = self.at;
        let is_end = |token: &&Token| !matches!(token.kind, Kind::And | Kind::Or | Kind::Symbol(',' | ';'));
        let end = from + self.tokens[from..].iter().take(MOST_TOKENS + 1).take_while(is_end).count();
        if end - from > MOST_TOKENS {
            return Ok(None);
        }
        // The unit begins with the last letters that stand behind a blank.
        let is_spaced = |token: &Token| token.spaced && matches!(&token.kind, Kind::Letters(_));
        let Some(start) = (from + 1..end).rev().find(|at| is_spaced(&self.tokens[*at])) else {
            return Ok(None);
        };
        let Some(unit) = unit_of(&self.tokens[start..end]).filter(|unit| units::is_symbols(unit)) else {
            return Ok(None);
        };
        let is_operand = matches!(
            &self.tokens[start - 1].kind,
            Kind::Number(_) | Kind::Symbol('}' | ')') | Kind::Command(_)
        );
        let letters = unit.chars().filter(|c| c.is_alphabetic()).count();
        if !is_operand || letters > 1 && !unit.contains('/') {
            return Ok(None);
        }
        let saved = self.tokens[from..end].to_vec();
        let mut inside = Parser {
            tokens: self.tokens[from..start].to_vec(),
            at: 0,
            bars: 0,
            in_rows: false,
            budget: &mut *self.budget,
        };
        let inner = inside.sum();
        let is_whole = inside.at == inside.tokens.len();
        let Some(inner) = inner.ok().filter(|inner| is_whole && !inner.has_variables()) else {
            return Ok(None);
        };
        if letters > 1 {
            self.at = end;
            return Ok(Some(Node::Quantity(Box::new(inner), unit)));
        }
        let product = self.sum();
        let is_product = self.at == end;
        self.tokens[from..end].clone_from_slice(&saved);
        match product {
            Ok(product) if is_product => {
                Ok(Some(Node::UnitLetter { product: Box::new(product), inner: Box::new(inner), unit }))
            }
            _ => {
                self.at = from;
                Ok(None)
            }
        }
    }

    /// A unit as written: words, `%`, `°`, a currency sign; with powers, `/` and `\cdot` between units.
    pub(super) fn unit(&mut self) -> Result<Option<String>, ParseError> {
        let mut unit = String::new();
        loop {
            self.step()?;
            match self.kind() {
                Some(Kind::Text(words)) => push_word(&mut unit, words),
                Some(Kind::Letters(word)) if !unit.is_empty() || is_unit_word(word) || self.words_ahead() => {
                    push_word(&mut unit, word)
                }
                // `light-years`
                Some(Kind::Symbol('-'))
                    if unit.ends_with(|c: char| c.is_ascii_alphabetic())
                        && !self.spaced()
                        && matches!(self.tokens.get(self.at + 1), Some(Token { kind: Kind::Letters(word), spaced: false }) if word.len() > 1) =>
                {
                    unit.push('-');
                }
                Some(Kind::Greek("mu")) if self.word_at(1) && !self.tokens[self.at + 1].spaced => {
                    push_word(&mut unit, "μ");
                    if let Some(Kind::Text(word) | Kind::Letters(word)) = self.kind_at(1) {
                        unit.push_str(word);
                    }
                    self.at += 1;
                }
                Some(Kind::Symbol(symbol @ ('%' | '°' | '$' | '€' | '£' | '¥' | '¢' | '₹' | '₩' | '₽'))) =>
                {
                    unit.push(*symbol);
                }
                Some(Kind::Symbol('^')) if !unit.is_empty() => match self.unit_power() {
                    Some((power, tokens)) => {
                        unit.push('^');
                        unit.push_str(&power);
                        self.at += tokens - 1;
                    }
                    None => return Err(ParseError),
                },
                Some(Kind::Symbol('/')) if !unit.is_empty() && self.word_at(1) => unit.push('/'),
                Some(Kind::Symbol('*')) if !unit.is_empty() && self.word_at(1) => unit.push('*'),
                _ if units::changes_value(&unit) => return Err(ParseError),
                _ => return Ok((!unit.is_empty()).then_some(unit)),
            }
            self.at += 1;
        }
    }

    /// Whether words of language follow, `red roses`: two runs of two small letters or more, each behind a blank.
    pub(super) fn words_ahead(&self) -> bool {
        let is_word = |offset: usize| match self.tokens.get(self.at + offset) {
            Some(Token { kind: Kind::Letters(word), spaced: true }) => {
                word.len() > 1 && word.bytes().all(|b| b.is_ascii_lowercase()) && !calls::is_constant(word)
            }
            _ => false,
        };
        is_word(0) && is_word(1)
    }

    fn word_at(&self, offset: usize) -> bool {
        matches!(self.kind_at(offset), Some(Kind::Text(_) | Kind::Letters(_)))
    }

    /// `^2` or `^{2}` after a unit: the power and the tokens it takes.
    fn unit_power(&self) -> Option<(String, usize)> {
        match (self.kind_at(1), self.kind_at(2), self.kind_at(3)) {
            (Some(Kind::Number(power)), ..) => Some((power.clone(), 2)),
            (Some(Kind::Symbol('{')), Some(Kind::Number(power)), Some(Kind::Symbol('}'))) => {
                Some((power.clone(), 4))
            }
            (Some(Kind::Symbol('-')), Some(Kind::Number(power)), _) => Some((format!("-{power}"), 3)),
            (Some(Kind::Symbol('{')), Some(Kind::Symbol('-')), Some(Kind::Number(power)))
                if matches!(self.kind_at(4), Some(Kind::Symbol('}'))) =>
            {
                Some((format!("-{power}"), 5))
            }
            _ => None,
        }
    }
}

/// Tokens that can only be a unit, as one text: letters, powers, strokes. `None` where anything else is among them.
fn unit_of(tokens: &[Token]) -> Option<String> {
    let mut unit = String::new();
    let mut open = false;
    let separate = |unit: &mut String| {
        if !(unit.is_empty() || unit.ends_with(['/', '*', 'μ'])) {
            unit.push('*');
        }
    };
    for token in tokens {
        match &token.kind {
            Kind::Letters(letters) => {
                separate(&mut unit);
                unit.push_str(letters);
            }
            Kind::Greek("mu") => {
                separate(&mut unit);
                unit.push('μ');
            }
            Kind::Greek("Omega") => unit.push('Ω'),
            Kind::Symbol(mark @ ('/' | '*' | '^')) if !unit.is_empty() => unit.push(*mark),
            Kind::Symbol('-') if unit.ends_with('^') => unit.push('-'),
            Kind::Symbol('{') if unit.ends_with('^') => open = true,
            // Its own brace, not that of a root around it.
            Kind::Symbol('}') if open => open = false,
            Kind::Number(power) if unit.ends_with(['^', '-']) => unit.push_str(power),
            _ => return None,
        }
    }
    (!unit.is_empty()).then_some(unit)
}

/// `30^\circ + 45^\circ`: the unit at the end is that of every term.
fn in_unit(sum: Node, unit: &str) -> Node {
    let bare = |term: Node| match term {
        Node::Degrees(inner) if unit == "°" => *inner,
        Node::Percent(inner) if unit == "%" => *inner,
        term => term,
    };
    match sum {
        Node::Sum(terms) => Node::Sum(terms.into_iter().map(bare).collect()),
        sum => sum,
    }
}

fn code_is_us(kind: &Kind) -> bool {
    matches!(kind, Kind::Letters(code) if code == "US" || code == "USD")
}

fn push_word(unit: &mut String, word: &str) {
    if !unit.is_empty() && !unit.ends_with(['/', '*', 'μ', '-']) {
        unit.push(' ');
    }
    unit.push_str(word);
}

/// Whether a bare run of letters after a number reads as a unit and not as a product of variables.
pub(super) fn is_unit_word(word: &str) -> bool {
    if SHORT_UNITS.contains(&word) {
        return true;
    }
    let ascending = word.as_bytes().windows(2).all(|pair| pair[0] < pair[1]);
    word.len() >= 4 && !ascending && calls::function(word).is_none() && word != "sqrt" && word != "cbrt"
}

/// Short unit symbols that may stand bare after a number; longer words are recognised by their length.
#[rustfmt::skip]
const SHORT_UNITS: &[&str] = &[
    "g", "L", "th", "st", "nd", "rd", "cm", "mm", "km", "dm", "nm", "kg", "mg", "lb", "lbs", "oz", "ft",
    "yd", "mi", "mph", "kph", "hr", "hrs", "min", "mins", "sec", "secs", "ms", "ml", "mL", "km", "kW", "Hz",
    "kHz", "pm", "am", "PM", "AM", "day", "men", "way", "car", "cup", "cat", "USD", "cc", "ohm", "amp",
    "mol", "rad", "sq", "cu", "per", "EUR", "GBP", "INR", "wk", "yr", "yen", "won", "kgs", "cms", "kms", "gal", "tsp", "tbsp", "hp", "atm", "cal", "rpm",
    "mmHg", "kB", "MB", "GB", "TB", "dB", "eV", "qt", "pt", "in", "yrs",
];
