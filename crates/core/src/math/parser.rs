//! Tokens to trees: lists, relations, sets and units here; sums, products and below in `expression`.
//!
//! ```text
//! list     = relation ((',' | ';' | 'and') relation)*
//! relation = set (('=' | '<' | '∈' | ...) set)*
//! set      = ratio (('∪' | '∩' | '∖') ratio)*
//! ratio    = quantity (':' quantity)*
//! quantity = [currency] sum [unit]
//! ```

mod calls;
mod expression;
mod primary;

use super::budget::Budget;
use super::lexer::{Kind, Token, tokenize};
use super::node::{Node, Relation, Shape};
use std::fmt;

/// The text is no mathematics that we know, or too much of it for the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError;

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a mathematical expression")
    }
}

impl std::error::Error for ParseError {}

/// Parses a whole answer: all of the text must be used.
pub fn parse(text: &str, budget: &mut Budget) -> Result<Node, ParseError> {
    let tokens = tokenize(text, budget).ok_or(ParseError)?;
    parse_tokens(tokens, budget)
}

/// Parses tokens that were made by [`tokenize`].
pub fn parse_tokens(tokens: Vec<Token>, budget: &mut Budget) -> Result<Node, ParseError> {
    let mut parser = Parser { tokens, at: 0, bars: 0, budget };
    parser.skip_lead_in();
    let node = parser.list(true)?;
    if parser.at == parser.tokens.len() { Ok(node) } else { Err(ParseError) }
}

pub(crate) struct Parser<'b> {
    tokens: Vec<Token>,
    at: usize,
    /// Open `|` bars: inside them a bar closes.
    bars: u32,
    budget: &'b mut Budget,
}

type Parsed = Result<Node, ParseError>;

impl Parser<'_> {
    fn kind(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn kind_at(&self, offset: usize) -> Option<&Kind> {
        self.tokens.get(self.at + offset).map(|token| &token.kind)
    }

    fn symbol(&self) -> Option<char> {
        match self.kind() {
            Some(Kind::Symbol(symbol)) => Some(*symbol),
            _ => None,
        }
    }

    fn symbol_at(&self, offset: usize) -> Option<char> {
        match self.kind_at(offset) {
            Some(Kind::Symbol(symbol)) => Some(*symbol),
            _ => None,
        }
    }

    fn spaced(&self) -> bool {
        self.tokens.get(self.at).is_some_and(|token| token.spaced)
    }

    fn eat(&mut self, symbol: char) -> bool {
        let found = self.symbol() == Some(symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: char) -> Result<(), ParseError> {
        if self.eat(symbol) { Ok(()) } else { Err(ParseError) }
    }

    fn step(&mut self) -> Result<(), ParseError> {
        self.budget.take(1).ok_or(ParseError)
    }

    /// Runs `inner` one level deeper.
    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        self.budget.enter().ok_or(ParseError)?;
        let node = inner(self);
        self.budget.leave();
        node
    }

    /// `answer:`, `approximately`, a leading `≈` or `=`: says nothing about the value.
    fn skip_lead_in(&mut self) {
        loop {
            match (self.kind(), self.kind_at(1)) {
                (Some(Kind::Letters(word)), Some(Kind::Symbol(':')))
                    if matches!(word.as_str(), "answer" | "Answer") =>
                {
                    self.at += 2;
                }
                (Some(Kind::Letters(word)), _)
                    if matches!(word.as_str(), "approximately" | "Approximately" | "about" | "approx") =>
                {
                    self.at += 1;
                }
                (Some(Kind::Symbol('≈' | '=')), _) => self.at += 1,
                _ => return,
            }
        }
    }

    /// Whether the next token separates list items; runs such as `, and` count once.
    fn eat_separator(&mut self) -> Option<char> {
        let mut found = None;
        loop {
            match self.kind() {
                Some(Kind::Symbol(symbol @ (',' | ';'))) => {
                    found = Some(found.map_or(*symbol, |f: char| f.max(*symbol)))
                }
                Some(Kind::And) => found = Some(found.unwrap_or(',')),
                _ => return found,
            }
            self.at += 1;
        }
    }

    /// Items and their separators up to a closing token. A single item stands for itself.
    fn list(&mut self, top: bool) -> Parsed {
        let first = self.relation()?;
        let Some(separator) = self.eat_separator() else { return Ok(first) };
        let mut groups = vec![vec![first]];
        let mut last = separator;
        let mut mixed = false;
        while !self.at_close() {
            self.step()?;
            let item = self.relation()?;
            if last == ';' {
                groups.push(vec![item]);
            } else if let Some(group) = groups.last_mut() {
                group.push(item);
            }
            match self.eat_separator() {
                Some(next) => {
                    mixed |= next != separator;
                    last = next;
                }
                None => break,
            }
        }
        if !top && last != separator && groups.is_empty() {
            return Err(ParseError);
        }
        Ok(Node::Sequence(Shape::Bare, join_groups(groups, mixed)))
    }

    fn at_close(&self) -> bool {
        match self.kind() {
            None => true,
            Some(Kind::Symbol(symbol)) => matches!(symbol, ')' | ']' | '}' | '⦄' | '⟩'),
            Some(kind) => matches!(kind, Kind::EndMatrix | Kind::RowBreak),
        }
    }

    fn relation(&mut self) -> Parsed {
        self.nested(|parser| {
            let mut sides = vec![parser.set()?];
            let mut relations = Vec::new();
            while let Some(relation) = parser.symbol().and_then(relation_of) {
                parser.step()?;
                parser.at += 1;
                relations.push(relation);
                sides.push(parser.set()?);
            }
            Ok(if relations.is_empty() { sides.swap_remove(0) } else { Node::Chain(sides, relations) })
        })
    }

    fn set(&mut self) -> Parsed {
        let first = self.ratio()?;
        match self.symbol() {
            Some('∪') => {
                let mut parts = vec![first];
                while self.eat('∪') {
                    self.step()?;
                    parts.push(self.ratio()?);
                }
                Ok(Node::Union(parts))
            }
            Some(operator @ ('∩' | '∖')) => {
                self.at += 1;
                let second = self.ratio()?;
                Ok(Node::SetOperation(operator, vec![first, second]))
            }
            _ => Ok(first),
        }
    }

    fn ratio(&mut self) -> Parsed {
        let first = self.quantity()?;
        if self.symbol() != Some(':') {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.eat(':') {
            self.step()?;
            parts.push(self.quantity()?);
        }
        let ratio = Node::Ratio(parts);
        Ok(match self.unit()? {
            Some(unit) => Node::Quantity(Box::new(ratio), unit),
            None => ratio,
        })
    }

    /// A sum with what makes it a quantity: a currency before it, or a unit after it.
    fn quantity(&mut self) -> Parsed {
        let negative = matches!(self.symbol_at(1), Some('$' | '€' | '£' | '¥')) && self.eat('-');
        let currency = match self.symbol() {
            Some(symbol @ ('$' | '€' | '£' | '¥')) => {
                self.at += 1;
                Some(symbol.to_string())
            }
            _ => None,
        };
        let mut sum = self.sum()?;
        if negative {
            sum = Node::Negative(Box::new(sum));
        }
        let unit = self.unit()?;
        Ok(match unit.or(currency) {
            Some(unit) => Node::Quantity(Box::new(in_unit(sum, &unit)), unit),
            None => sum,
        })
    }

    /// A unit as written: words, `%`, `°`, a currency sign; with powers and `/`.
    fn unit(&mut self) -> Result<Option<String>, ParseError> {
        let mut unit = String::new();
        loop {
            self.step()?;
            match self.kind() {
                Some(Kind::Text(words)) => push_word(&mut unit, words),
                Some(Kind::Letters(word)) if !unit.is_empty() || is_unit_word(word) => {
                    push_word(&mut unit, word)
                }
                Some(Kind::Symbol(symbol @ ('%' | '°' | '$' | '€' | '£' | '¥' | '¢'))) => {
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
                _ => return Ok((!unit.is_empty()).then_some(unit)),
            }
            self.at += 1;
        }
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
            _ => None,
        }
    }
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

/// With both separators in use the commas bind tighter: `5, 2; 7, 2` is two pairs.
fn join_groups(groups: Vec<Vec<Node>>, mixed: bool) -> Vec<Node> {
    if !mixed {
        return groups.into_iter().flatten().collect();
    }
    let tuple = |mut group: Vec<Node>| {
        if group.len() == 1 { group.swap_remove(0) } else { Node::Sequence(Shape::Round, group) }
    };
    groups.into_iter().map(tuple).collect()
}

fn push_word(unit: &mut String, word: &str) {
    if !unit.is_empty() && !unit.ends_with('/') {
        unit.push(' ');
    }
    unit.push_str(word);
}

fn relation_of(symbol: char) -> Option<Relation> {
    Some(match symbol {
        '=' => Relation::Equal,
        '≈' => Relation::Approximate,
        '≠' => Relation::NotEqual,
        '<' => Relation::Less,
        '≤' => Relation::LessEqual,
        '>' => Relation::Greater,
        '≥' => Relation::GreaterEqual,
        '∈' => Relation::In,
        _ => return None,
    })
}

/// Short unit symbols that may stand bare after a number; longer words are recognised by their length.
const SHORT_UNITS: [&str; 46] = [
    "g", "L", "th", "st", "nd", "rd", "cm", "mm", "km", "dm", "nm", "kg", "mg", "lb", "lbs", "oz", "ft",
    "yd", "mi", "mph", "kph", "hr", "hrs", "min", "mins", "sec", "secs", "ms", "ml", "mL", "km", "kW", "Hz",
    "kHz", "pm", "am", "PM", "AM", "day", "men", "way", "car", "cup", "cat", "USD", "cc",
];

/// Whether a bare run of letters after a number reads as a unit and not as a product of variables.
fn is_unit_word(word: &str) -> bool {
    if SHORT_UNITS.contains(&word) {
        return true;
    }
    let ascending = word.as_bytes().windows(2).all(|pair| pair[0] < pair[1]);
    word.len() >= 4 && !ascending && calls::function(word).is_none() && word != "sqrt" && word != "cbrt"
}

/// Whether a bare run of letters reads as a word of language and not as a product of variables.
pub(crate) fn is_word(word: &str) -> bool {
    const SHORT: [&str; 26] = [
        "no", "No", "NO", "yes", "YES", "odd", "all", "one", "two", "six", "ten", "red", "day", "sum", "not",
        "any", "the", "is", "are", "has", "can", "none", "DNE", "dne", "win", "tie",
    ];
    let letters = word.as_bytes();
    let capitalised = letters.len() > 1
        && letters[0].is_ascii_uppercase()
        && letters[1..].iter().all(u8::is_ascii_lowercase);
    let shouted = letters.len() > 2 && letters.iter().all(u8::is_ascii_uppercase);
    // `abcd` is a product; no word of four letters has its letters in alphabetical order, or nearly none.
    let product = letters.len() < 5 && letters.windows(2).all(|pair| pair[0] < pair[1]);
    if calls::is_constant(word) || matches!(word, "Infinity" | "infty" | "Pi" | "PI") {
        return false;
    }
    SHORT.contains(&word) || letters.len() > 3 && !product || capitalised || shouted
}
