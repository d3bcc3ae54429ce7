//! Numbers, names, brackets, fractions, roots and functions.

use super::calls::{function, is_constant};
use super::{Kind, ParseError, Parsed, Parser};
use crate::math::exact::parse_number;
use crate::math::node::{Function, Node, Shape};

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Parsed {
        self.nested(|parser| {
            let kind = parser.kind().cloned().ok_or(ParseError)?;
            match kind {
                Kind::Number(digits) => parser.number(&digits),
                Kind::Repeating(digits, tail) => {
                    parser.at += 1;
                    repeating(&digits, &tail)
                }
                Kind::Letters(word) => parser.word(&word),
                Kind::Greek(name) => {
                    parser.at += 1;
                    parser.variable(name.to_owned())
                }
                Kind::Text(word) if word.len() == 1 => {
                    parser.at += 1;
                    parser.name(&word)
                }
                Kind::Text(word) => {
                    parser.at += 1;
                    Ok(Node::Text(word))
                }
                Kind::Command(name) => parser.command(&name),
                Kind::Symbol(symbol) => parser.bracket(symbol),
                Kind::BeginMatrix => parser.matrix(),
                Kind::And | Kind::RowBreak | Kind::EndMatrix => Err(ParseError),
            }
        })
    }

    /// A number, a mixed number (`1\frac{4}{5}`, `1 4/5`) or digits in a base (`52_8`).
    fn number(&mut self, digits: &str) -> Parsed {
        self.at += 1;
        if self.eat('_') {
            let base = match self.argument()? {
                Node::Number(base) => base.to_integer().try_into().map_err(|_| ParseError)?,
                _ => return Err(ParseError),
            };
            return Ok(Node::Based(digits.to_owned(), base));
        }
        let value = parse_number(digits).ok_or(ParseError)?;
        if !value.is_integer() {
            return Ok(Node::Number(value));
        }
        if matches!(self.kind(), Some(Kind::Command(name)) if name == "frac") {
            return self.mixed_fraction(Node::Number(value));
        }
        if let (Some(Kind::Number(top)), Some('/'), Some(Kind::Number(bottom))) =
            (self.kind(), self.symbol_at(1), self.kind_at(2))
            && self.spaced()
        {
            let (top, bottom) =
                (parse_number(top).ok_or(ParseError)?, parse_number(bottom).ok_or(ParseError)?);
            if top.is_integer() && bottom.is_integer() && top < bottom {
                self.at += 3;
                return Ok(Node::Number(value + top / bottom));
            }
        }
        Ok(Node::Number(value))
    }

    /// The fraction after a whole number: added when it is numeric, else multiplied.
    fn mixed_fraction(&mut self, whole: Node) -> Parsed {
        let fraction = self.primary()?;
        let numeric = match &fraction {
            Node::Product(parts) => match parts.as_slice() {
                [top, Node::Inverse(bottom)] => top.is_integer() && bottom.is_integer(),
                _ => false,
            },
            _ => false,
        };
        Ok(if numeric { Node::Sum(vec![whole, fraction]) } else { Node::Product(vec![whole, fraction]) })
    }

    /// A run of letters: a function, a constant, or a product of one-letter variables.
    fn word(&mut self, word: &str) -> Parsed {
        self.at += 1;
        if word == "sqrt" || word == "cbrt" {
            let index = Node::integer(if word == "sqrt" { 2 } else { 3 });
            return Ok(Node::Root(Box::new(index), Box::new(self.argument()?)));
        }
        if matches!(word, "log" | "lg" | "ln") {
            return self.logarithm(word);
        }
        if let Some(function) = function(word) {
            return self.call(function);
        }
        match word {
            "pi" | "Pi" | "PI" => return Ok(Node::Pi),
            "inf" | "infinity" | "Infinity" | "oo" | "infty" => return Ok(Node::Variable("∞".to_owned())),
            _ if super::is_word(word) && !is_points(word) => {
                // `Area = 5`: a word may name a value, and nothing else.
                let names = self.symbol() == Some('=');
                return if names { Ok(Node::Text(word.to_owned())) } else { Err(ParseError) };
            }
            _ => {}
        }
        if word.len() == 1 {
            return self.name(word);
        }
        let mut factors = Vec::new();
        for (at, letter) in word.char_indices() {
            let last = at + 1 == word.len();
            factors.push(if last {
                self.name(&letter.to_string())?
            } else {
                simple_name(&letter.to_string())
            });
        }
        Ok(Node::Product(factors))
    }

    /// A one-letter name: a constant, an unknown function that is applied, or a variable.
    fn name(&mut self, name: &str) -> Parsed {
        let bare = !matches!(self.symbol(), Some('_' | '\''));
        if bare && matches!(name, "e" | "i") {
            return Ok(simple_name(name));
        }
        let variable = self.variable(name.to_owned())?;
        // `f(2)`, and `p(x) = ...`, which names p(x); other brackets multiply.
        let defines = matches!(self.kind_at(1), Some(Kind::Letters(word)) if word.len() == 1)
            && self.symbol_at(2) == Some(')')
            && self.symbol_at(3) == Some('=');
        if (matches!(name, "f" | "g" | "h") || defines)
            && self.symbol() == Some('(')
            && let Node::Variable(name) = &variable
        {
            let name = name.clone();
            return match self.bracket('(')? {
                Node::Sequence(_, arguments) => Ok(Node::Apply(name, arguments)),
                argument => Ok(Node::Apply(name, vec![argument])),
            };
        }
        Ok(variable)
    }

    /// Subscript and primes belong to the name.
    fn variable(&mut self, mut name: String) -> Parsed {
        if self.eat('_') {
            let subscript = self.argument()?;
            name.push('_');
            name.push_str(&subscript_name(&subscript).ok_or(ParseError)?);
        } else if let Some(Kind::Number(digits)) = self.kind()
            && !self.spaced()
            && digits.bytes().all(|b| b.is_ascii_digit())
        {
            // `x1`: nobody writes x times one so.
            name.push('_');
            name.push_str(digits);
            self.at += 1;
        }
        while self.eat('\'') {
            self.step()?;
            name.push('\'');
        }
        Ok(Node::Variable(name))
    }

    fn command(&mut self, name: &str) -> Parsed {
        self.at += 1;
        match name {
            "pi" => Ok(Node::Pi),
            "reals" => Ok(Node::Reals),
            "emptyset" | "varnothing" => Ok(Node::Sequence(Shape::Set, Vec::new())),
            "frac" => {
                let top = self.argument()?;
                let bottom = self.argument()?;
                Ok(Node::Product(vec![top, Node::Inverse(Box::new(bottom))]))
            }
            "binom" => Ok(Node::Binomial(Box::new(self.argument()?), Box::new(self.argument()?))),
            "sqrt" | "cbrt" => {
                let mut index = Node::integer(if name == "sqrt" { 2 } else { 3 });
                if self.eat('[') {
                    index = self.sum()?;
                    self.expect(']')?;
                }
                Ok(Node::Root(Box::new(index), Box::new(self.radicand()?)))
            }
            "log" | "lg" | "ln" => self.logarithm(name),
            "max" | "min" => Ok(Node::Text(name.to_owned())),
            "angle" | "triangle" | "measuredangle" | "operatorname" => self.primary(),
            _ => match function(name) {
                Some(function) => self.call(function),
                None => Err(ParseError),
            },
        }
    }

    /// The argument of a root: braces, or the whole number or name that follows.
    fn radicand(&mut self) -> Parsed {
        match self.kind() {
            Some(Kind::Number(_)) => self.primary(),
            _ => self.argument(),
        }
    }

    /// A TeX argument: a brace group, or one digit, letter, command or bracketed group.
    pub(super) fn argument(&mut self) -> Parsed {
        let split = match self.kind() {
            Some(Kind::Number(digits)) if digits.len() > 1 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some((Kind::Number(digits[..1].to_owned()), Kind::Number(digits[1..].to_owned())))
            }
            Some(Kind::Letters(word)) if word.len() > 1 && !is_constant(word) && function(word).is_none() => {
                Some((Kind::Letters(word[..1].to_owned()), Kind::Letters(word[1..].to_owned())))
            }
            _ => None,
        };
        let Some((first, rest)) = split else { return self.primary() };
        self.step()?;
        self.tokens[self.at].kind = rest;
        self.tokens[self.at].spaced = false;
        match first {
            Kind::Number(digit) => parse_number(&digit).map(Node::Number).ok_or(ParseError),
            Kind::Letters(letter) => Ok(simple_name(&letter)),
            _ => Err(ParseError),
        }
    }

    fn bracket(&mut self, open: char) -> Parsed {
        self.at += 1;
        match open {
            '{' => self.braces(),
            '(' | '[' => self.round_or_square(open),
            '⦃' => {
                if self.eat('⦄') {
                    return Ok(Node::Sequence(Shape::Set, Vec::new()));
                }
                let inside = self.inside_brackets()?;
                self.expect('⦄')?;
                Ok(Node::Sequence(Shape::Set, items_of(inside)))
            }
            '⟨' => {
                let inside = self.inside_brackets()?;
                self.expect('⟩')?;
                Ok(Node::Sequence(Shape::Round, items_of(inside)))
            }
            '|' => {
                self.bars += 1;
                let inside = self.sum();
                self.bars -= 1;
                self.expect('|')?;
                Ok(Node::Call(Function::Abs, Box::new(inside?)))
            }
            '⌊' | '⌈' => {
                let inside = self.sum()?;
                let (close, function) =
                    if open == '⌊' { ('⌋', Function::Floor) } else { ('⌉', Function::Ceil) };
                self.expect(close)?;
                Ok(Node::Call(function, Box::new(inside)))
            }
            '∞' => Ok(Node::Variable("∞".to_owned())),
            _ => Err(ParseError),
        }
    }

    fn inside_brackets(&mut self) -> Parsed {
        let bars = std::mem::take(&mut self.bars);
        let inside = self.list(false);
        self.bars = bars;
        inside
    }

    fn braces(&mut self) -> Parsed {
        let inside = self.inside_brackets()?;
        if matches!(self.kind(), Some(Kind::Command(name)) if name == "choose") {
            self.at += 1;
            let lower = self.sum()?;
            self.expect('}')?;
            return Ok(Node::Binomial(Box::new(inside), Box::new(lower)));
        }
        self.expect('}')?;
        Ok(inside)
    }

    /// Grouping when there is one item, else a tuple, a list or an interval by its brackets.
    fn round_or_square(&mut self, open: char) -> Parsed {
        let inside = self.inside_brackets()?;
        let close = self.symbol().ok_or(ParseError)?;
        self.at += 1;
        let shape = match (open, close) {
            ('(', ')') => Shape::Round,
            ('[', ']') => Shape::Square,
            ('(', ']') => Shape::RoundSquare,
            ('[', ')') => Shape::SquareRound,
            _ => return Err(ParseError),
        };
        match inside {
            Node::Sequence(Shape::Bare, items) => {
                if matches!(shape, Shape::RoundSquare | Shape::SquareRound) && items.len() != 2 {
                    return Err(ParseError);
                }
                Ok(Node::Sequence(shape, items))
            }
            single if matches!(shape, Shape::Round | Shape::Square) => Ok(single),
            _ => Err(ParseError),
        }
    }

    fn matrix(&mut self) -> Parsed {
        self.at += 1;
        let mut rows = vec![Vec::new()];
        loop {
            self.step()?;
            match self.kind() {
                Some(Kind::EndMatrix) => break,
                Some(Kind::RowBreak) => {
                    rows.push(Vec::new());
                    self.at += 1;
                }
                Some(Kind::Command(name)) if name == "hline" => self.at += 1,
                Some(Kind::Symbol('&')) => self.at += 1,
                Some(_) => {
                    let cell = self.relation()?;
                    if !matches!(self.kind(), Some(Kind::EndMatrix | Kind::RowBreak | Kind::Symbol('&'))) {
                        return Err(ParseError);
                    }
                    if let Some(row) = rows.last_mut() {
                        row.push(cell);
                    }
                }
                None => return Err(ParseError),
            }
        }
        self.at += 1;
        if rows.last().is_some_and(Vec::is_empty) {
            rows.pop();
        }
        let width = rows.first().map_or(0, Vec::len);
        if width == 0 || rows.iter().any(|row| row.len() != width) {
            return Err(ParseError);
        }
        Ok(Node::Matrix(rows))
    }
}

/// Names of points in geometry, `ABC`: a product of names, so that it may stand in expressions.
fn is_points(word: &str) -> bool {
    word.len() <= 4 && word.bytes().all(|b| b.is_ascii_uppercase())
}

fn items_of(inside: Node) -> Vec<Node> {
    match inside {
        Node::Sequence(Shape::Bare, items) => items,
        single => vec![single],
    }
}

fn simple_name(name: &str) -> Node {
    match name {
        "e" => Node::E,
        "i" => Node::I,
        _ => Node::Variable(name.to_owned()),
    }
}

fn subscript_name(node: &Node) -> Option<String> {
    match node {
        Node::Number(value) => Some(value.to_string()),
        Node::Variable(name) | Node::Text(name) => Some(name.clone()),
        Node::E => Some("e".to_owned()),
        Node::I => Some("i".to_owned()),
        Node::Product(parts) | Node::Sum(parts) | Node::Sequence(Shape::Bare, parts) => {
            let names: Option<Vec<_>> = parts.iter().map(subscript_name).collect();
            names.map(|names| names.join("."))
        }
        Node::Negative(inner) => subscript_name(inner).map(|name| format!("-{name}")),
        _ => None,
    }
}

fn repeating(digits: &str, tail: &str) -> Parsed {
    let places = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let head = parse_number(digits.trim_end_matches('.')).ok_or(ParseError)?;
    let period = parse_number(&format!("{}e{}", "9".repeat(tail.len()), places)).ok_or(ParseError)?;
    let tail = parse_number(tail).ok_or(ParseError)?;
    Ok(Node::Number(head + tail / period))
}
