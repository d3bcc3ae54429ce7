//! Functions and logarithms: exponents, bases and arguments with and without brackets.

use super::{Kind, Parsed, Parser};
use crate::math::exact::parse_number;
use crate::math::node::{Function, Node};

impl Parser<'_> {
    /// `\sin^2 x`, `\sin(x)`, `\sin 2x`, `\sin^{-1} x`.
    pub(super) fn call(&mut self, function: Function) -> Parsed {
        let mut exponent = None;
        if self.eat('^') {
            exponent = Some(match self.eat('-') {
                true => Node::Negative(Box::new(self.argument()?)),
                false => self.argument()?,
            });
        }
        let argument = self.function_argument()?;
        let inverse = exponent.as_ref().is_some_and(is_minus_one);
        if inverse && let Some(function) = inverse_of(function) {
            return Ok(Node::Call(function, Box::new(argument)));
        }
        let call = Node::Call(function, Box::new(argument));
        Ok(match exponent {
            Some(exponent) => Node::Power(Box::new(call), Box::new(exponent)),
            None => call,
        })
    }

    pub(super) fn logarithm(&mut self, name: &str) -> Parsed {
        let mut base = match name {
            "lg" => Some(Node::integer(10)),
            _ => None,
        };
        if self.eat('_') {
            base = Some(self.script()?);
        } else if let (Some(Kind::Number(digits)), Some('(')) = (self.kind().cloned(), self.symbol_at(1))
            && !self.spaced()
        {
            // `log2(x)`
            self.at += 1;
            base = parse_number(&digits).map(Node::Number);
        }
        let mut exponent = None;
        if self.eat('^') {
            exponent = Some(self.argument()?);
        }
        let argument = self.function_argument()?;
        let call = match name {
            "ln" => Node::Call(Function::Ln, Box::new(argument)),
            _ => Node::Log(base.map(Box::new), Box::new(argument)),
        };
        Ok(match exponent {
            Some(exponent) => Node::Power(Box::new(call), Box::new(exponent)),
            None => call,
        })
    }

    /// A bracketed argument, or the factors up to the next sign, function or end: `\sin 2x \cos y`.
    fn function_argument(&mut self) -> Parsed {
        if matches!(self.symbol(), Some('(' | '[' | '{')) {
            return match self.primary()? {
                // `\sin(30^\circ)`
                Node::Quantity(angle, unit) if unit == "°" => Ok(Node::Degrees(angle)),
                argument => self.degrees(argument),
            };
        }
        let negative = self.eat('-');
        let mut factors = vec![self.power()?];
        loop {
            self.step()?;
            let goes_on = match self.kind() {
                Some(Kind::Number(_)) => !matches!(factors.last(), Some(Node::Number(_))),
                Some(Kind::Letters(word)) => {
                    is_constant(word)
                        || word.len() == 1
                        || (word.len() <= 3 && function(word).is_none() && !self.spaced())
                }
                Some(Kind::Greek(_)) => true,
                Some(Kind::Command(name)) => matches!(name.as_str(), "pi" | "frac" | "sqrt" | "angle"),
                Some(Kind::Symbol('/')) => matches!(self.kind_at(1), Some(Kind::Number(_))),
                _ => false,
            };
            if !goes_on {
                break;
            }
            if self.eat('/') {
                factors.push(Node::Inverse(Box::new(self.power()?)));
            } else {
                factors.push(self.power()?);
            }
        }
        let argument = if factors.len() == 1 { factors.swap_remove(0) } else { Node::Product(factors) };
        let argument = self.degrees(argument)?;
        Ok(if negative { Node::Negative(Box::new(argument)) } else { argument })
    }

    fn degrees(&mut self, argument: Node) -> Parsed {
        Ok(if self.eat('°') { Node::Degrees(Box::new(argument)) } else { argument })
    }
}

fn is_minus_one(node: &Node) -> bool {
    match node {
        Node::Negative(inner) => **inner == Node::integer(1),
        _ => *node == Node::integer(-1),
    }
}

/// Whether a run of letters is a constant or a function, and so multiplies even after a space.
pub(super) fn is_constant(word: &str) -> bool {
    matches!(word, "pi" | "Pi" | "sqrt" | "cbrt" | "log" | "ln" | "lg" | "infinity" | "inf" | "oo")
        || function(word).is_some()
}

/// Whether a command begins an expression.
pub(super) fn starts_primary(name: &str) -> bool {
    matches!(
        name,
        "frac"
            | "binom"
            | "sqrt"
            | "cbrt"
            | "pi"
            | "log"
            | "ln"
            | "lg"
            | "sum"
            | "prod"
            | "int"
            | "max"
            | "min"
            | "gcd"
            | "lcm"
            | "unit_i"
            | "unit_j"
            | "unit_k"
    ) || function(name).is_some()
}

pub(super) fn function(name: &str) -> Option<Function> {
    Some(match name {
        "sin" => Function::Sin,
        "cos" => Function::Cos,
        "tan" | "tg" => Function::Tan,
        "cot" | "ctg" => Function::Cot,
        "sec" => Function::Sec,
        "csc" | "cosec" => Function::Csc,
        "arcsin" | "asin" => Function::Arcsin,
        "arccos" | "acos" => Function::Arccos,
        "arctan" | "atan" => Function::Arctan,
        "sinh" => Function::Sinh,
        "cosh" => Function::Cosh,
        "tanh" => Function::Tanh,
        "exp" => Function::Exp,
        "abs" => Function::Abs,
        "sgn" | "sign" => Function::Sign,
        "floor" => Function::Floor,
        "ceil" => Function::Ceil,
        _ => return None,
    })
}

fn inverse_of(function: Function) -> Option<Function> {
    Some(match function {
        Function::Sin => Function::Arcsin,
        Function::Cos => Function::Arccos,
        Function::Tan => Function::Arctan,
        _ => return None,
    })
}
