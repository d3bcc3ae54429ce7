//! Sums, products and powers, with implicit multiplication and mixed numbers.

use super::quantity::is_unit_word;
use super::{Kind, ParseError, Parsed, Parser, calls};
use crate::math::node::{Node, Operation};

impl Parser<'_> {
    pub(super) fn sum(&mut self) -> Parsed {
        self.nested(|parser| {
            let mut terms = Vec::new();
            let mut sign = parser.sign();
            loop {
                parser.step()?;
                let term = parser.product()?;
                terms.push(match sign {
                    Some('-') => Node::Negative(Box::new(term)),
                    Some('±') => Node::PlusMinus(Box::new(term), false),
                    Some('∓') => Node::PlusMinus(Box::new(term), true),
                    _ => term,
                });
                match parser.symbol() {
                    Some('+' | '-' | '±' | '∓') => sign = parser.sign(),
                    _ => break,
                }
            }
            Ok(if terms.len() == 1 { terms.swap_remove(0) } else { Node::Sum(terms) })
        })
    }

    /// Reads signs and folds them into one: `- -` is `+`.
    fn sign(&mut self) -> Option<char> {
        let mut sign = None;
        while let Some(next @ ('+' | '-' | '±' | '∓')) = self.symbol() {
            self.at += 1;
            sign = match (sign, next) {
                (Some('-'), '-') => Some('+'),
                (Some('-'), '+') => Some('-'),
                (Some('±' | '∓'), _) => sign,
                _ => Some(next),
            };
        }
        sign
    }

    /// Factors with `*`, `/` (from left to right) or nothing between them.
    pub(super) fn product(&mut self) -> Parsed {
        let mut factors = vec![self.signed_power()?];
        loop {
            self.step()?;
            match self.symbol() {
                Some('*') => {
                    self.at += 1;
                    factors.push(self.signed_power()?);
                }
                Some('/') => {
                    self.at += 1;
                    factors.push(Node::Inverse(Box::new(self.signed_power()?)));
                }
                _ if self.is_remainder() => {
                    self.at += 1;
                    let modulus = self.signed_power()?;
                    let dividend =
                        if factors.len() == 1 { factors.swap_remove(0) } else { Node::Product(factors) };
                    factors = vec![Node::Many(Operation::Mod, vec![dividend, modulus])];
                }
                _ if self.starts_factor(&factors) => factors.push(self.power()?),
                _ => break,
            }
        }
        Ok(if factors.len() == 1 { factors.swap_remove(0) } else { Node::Product(factors) })
    }

    /// `\bmod`, `\mod` or `mod` between two numbers.
    fn is_remainder(&self) -> bool {
        match self.kind() {
            Some(Kind::Command(name)) => matches!(name.as_str(), "bmod" | "mod"),
            Some(Kind::Letters(word)) => word == "mod" && self.spaced(),
            _ => false,
        }
    }

    fn signed_power(&mut self) -> Parsed {
        match self.sign() {
            Some('-') => Ok(Node::Negative(Box::new(self.power()?))),
            Some(sign @ ('±' | '∓')) => Ok(Node::PlusMinus(Box::new(self.power()?), sign == '∓')),
            _ => self.power(),
        }
    }

    /// Whether the next token multiplies what stands before it.
    fn starts_factor(&self, factors: &[Node]) -> bool {
        match self.kind() {
            Some(Kind::Number(_) | Kind::Repeating(..)) => !matches!(factors.last(), Some(Node::Number(_))),
            Some(Kind::Letters(word)) => {
                let ordinal = matches!(word.as_str(), "th" | "st" | "nd" | "rd")
                    && matches!(factors.last(), Some(Node::Number(_)));
                let unit = ordinal || self.spaced() && (is_unit_word(word) || self.words_ahead());
                !unit || calls::is_constant(word)
            }
            // `\mu\text{m}` is a unit.
            Some(Kind::Greek("mu")) if matches!(self.kind_at(1), Some(Kind::Text(_))) => false,
            Some(Kind::Greek(_) | Kind::Accented(_)) => true,
            Some(Kind::Command(name)) => calls::starts_primary(name),
            // `3 (mod 7)` says what 3 is taken by.
            Some(Kind::Symbol('(')) if matches!(self.kind_at(1), Some(Kind::Letters(word) | Kind::Command(word)) if matches!(word.as_str(), "mod" | "bmod")) => {
                false
            }
            Some(Kind::Symbol('(' | '{' | '⌊' | '⌈')) => true,
            Some(Kind::Symbol('|')) => self.bars == 0,
            Some(Kind::BeginMatrix) => true,
            _ => false,
        }
    }

    /// `a^b`, right-associative.
    pub(super) fn power(&mut self) -> Parsed {
        let base = self.postfix()?;
        if self.symbol() != Some('^') {
            return Ok(base);
        }
        // `12^{\text{th}}`, `21^{st}`: an ordinal is its number.
        if base.is_integer()
            && let Some(length) = self.ordinal()
        {
            self.at += length;
            return Ok(base);
        }
        self.nested(|parser| {
            parser.at += 1;
            let exponent = parser.exponent()?;
            let power = Node::Power(Box::new(base), Box::new(exponent));
            parser.postfix_of(power)
        })
    }

    /// The tokens of an ordinal's ending behind `^`.
    fn ordinal(&self) -> Option<usize> {
        let is_ending = |offset: usize| match self.kind_at(offset) {
            Some(Kind::Text(word) | Kind::Letters(word)) => {
                matches!(word.as_str(), "th" | "st" | "nd" | "rd")
            }
            _ => false,
        };
        match self.symbol_at(1) {
            Some('{') if is_ending(2) && self.symbol_at(3) == Some('}') => Some(4),
            None if is_ending(1) => Some(2),
            _ => None,
        }
    }

    /// What may stand after `^` without braces: a signed number, a letter, a group or a command.
    pub(super) fn exponent(&mut self) -> Parsed {
        if self.eat('-') {
            return Ok(Node::Negative(Box::new(self.exponent_base()?)));
        }
        self.eat('+');
        self.exponent_base()
    }

    fn exponent_base(&mut self) -> Parsed {
        if let Some(Kind::Letters(word)) = self.kind()
            && word.len() > 1
            && !calls::is_constant(word)
            && calls::function(word).is_none()
            && word != "sqrt"
        {
            return Err(ParseError);
        }
        // `x^2\frac{y}{2}`: no mixed number.
        let is_alone = matches!(self.kind(), Some(Kind::Number(_)))
            && matches!(self.kind_at(1), Some(Kind::Command(name)) if name == "frac");
        let base = if is_alone { self.script()? } else { self.postfix()? };
        if self.symbol() != Some('^') {
            return Ok(base);
        }
        self.nested(|parser| {
            parser.at += 1;
            Ok(Node::Power(Box::new(base), Box::new(parser.exponent()?)))
        })
    }

    fn postfix(&mut self) -> Parsed {
        let node = self.primary()?;
        self.postfix_of(node)
    }

    /// `!`, and `%` and `°` where an expression goes on after them (at its end they are units).
    fn postfix_of(&mut self, mut node: Node) -> Parsed {
        let mut depth = 0;
        loop {
            node = match self.symbol() {
                Some('!') if depth < 4 => Node::Factorial(Box::new(node)),
                // Not before another number: `1 % 0` is a program's remainder.
                Some('%') if matches!(self.symbol_at(1), Some('+' | '-' | '*' | '/')) => {
                    Node::Percent(Box::new(node))
                }
                Some('°') if !self.ends_at(1) => Node::Degrees(Box::new(node)),
                _ => return Ok(node),
            };
            depth += 1;
            self.at += 1;
        }
    }

    /// Whether the expression ends before the token at `offset`.
    fn ends_at(&self, offset: usize) -> bool {
        match self.kind_at(offset) {
            None | Some(Kind::And | Kind::Or | Kind::RowBreak | Kind::EndMatrix | Kind::Text(_)) => true,
            Some(Kind::Letters(word)) => word.len() > 1 || matches!(word.as_str(), "C" | "F"),
            Some(Kind::Symbol(symbol)) => ",;:)]}⦄⟩=<>≤≥≠≈∈∪∩&|".contains(*symbol),
            _ => false,
        }
    }
}
