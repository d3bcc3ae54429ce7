//! Numbers, names, brackets, fractions, roots and functions.

use super::calls::{function, is_constant};
use super::{Kind, ParseError, Parsed, Parser};
use crate::math::exact::parse_number;
use crate::math::node::{Node, Operation, Shape};

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
                Kind::Accented(name) => {
                    parser.at += 1;
                    parser.variable(name)
                }
                Kind::And | Kind::Or | Kind::RowBreak | Kind::EndMatrix => Err(ParseError),
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
        if let Some(operation) = operation(word)
            && self.symbol() == Some('(')
        {
            return self.many(operation);
        }
        if matches!(word, "Rational" | "Fraction")
            && self.symbol() == Some('(')
            && let Node::Sequence(Shape::Round, items) = self.bracket('(')?
            && let [top, bottom] = items.as_slice()
        {
            return Ok(Node::Product(vec![top.clone(), Node::Inverse(Box::new(bottom.clone()))]));
        }
        if matches!(word, "binomial" | "binom" | "comb" | "nCr" | "choose")
            && self.symbol() == Some('(')
            && let Node::Sequence(Shape::Round, items) = self.bracket('(')?
            && let [n, k] = items.as_slice()
        {
            return Ok(Node::Binomial(Box::new(n.clone()), Box::new(k.clone())));
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
        // `ab^2` is a times b squared; `AB^2` is the square of a segment.
        if !is_points(word)
            && let Some(mark @ ('^' | '!')) = self.symbol()
            && let Some(last) = factors.pop()
        {
            self.at += 1;
            factors.push(match mark {
                '^' => Node::Power(Box::new(last), Box::new(self.exponent()?)),
                _ => Node::Factorial(Box::new(last)),
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
        if matches!(name, "C" | "P")
            && let Some(choose) = self.choose(name)?
        {
            return Ok(choose);
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
            "max" | "min" if !matches!(self.symbol(), Some('(' | '{' | '⦃')) => {
                Ok(Node::Text(name.to_owned()))
            }
            "sum" | "prod" => self.repeated(name == "prod"),
            "int" => self.integral(),
            "unit_i" | "unit_j" | "unit_k" => Ok(Node::Variable(name.to_owned())),
            "angle" | "triangle" | "measuredangle" | "operatorname" => self.primary(),
            _ => match (operation(name), function(name)) {
                (Some(operation), _) => self.many(operation),
                (None, Some(function)) => self.call(function),
                (None, None) => Err(ParseError),
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
        let Some((first, rest)) = split else {
            // A number alone: behind an exponent no fraction makes it a mixed number, `x^2\frac{1}{2}`.
            let Some(Kind::Number(digits)) = self.kind() else { return self.primary() };
            let number = parse_number(digits).map(Node::Number).ok_or(ParseError)?;
            self.at += 1;
            return Ok(number);
        };
        self.step()?;
        self.tokens[self.at].kind = rest;
        self.tokens[self.at].spaced = false;
        match first {
            Kind::Number(digit) => parse_number(&digit).map(Node::Number).ok_or(ParseError),
            Kind::Letters(letter) => Ok(simple_name(&letter)),
            _ => Err(ParseError),
        }
    }
}

/// Names of points in geometry, `ABC`: a product of names, so that it may stand in expressions.
fn is_points(word: &str) -> bool {
    word.len() <= 4 && word.bytes().all(|b| b.is_ascii_uppercase())
}

/// The function of several arguments of this name.
fn operation(name: &str) -> Option<Operation> {
    Some(match name {
        "max" => Operation::Max,
        "min" => Operation::Min,
        "gcd" => Operation::Gcd,
        "lcm" => Operation::Lcm,
        _ => return None,
    })
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
