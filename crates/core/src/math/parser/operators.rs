//! Operators with scripts: binomials, maxima, sums, products and integrals.

use super::{Kind, ParseError, Parsed, Parser};
use crate::math::exact::parse_number;
use crate::math::lexer::Token;
use crate::math::node::{Node, Operation, Shape};

impl Parser<'_> {
    /// `C(10, 3)`, `C_{10}^{3}`: a binomial; `P(5, 2)`, `P_5^2`: a falling product.
    pub(super) fn choose(&mut self, name: &str) -> Result<Option<Node>, ParseError> {
        let from = self.at;
        // What is read may split a token, and is read again if it is no binomial.
        let saved: Vec<Token> = self.tokens.iter().skip(from).take(4).cloned().collect();
        let node = |n: Node, k: Node| match name {
            "C" => Node::Binomial(Box::new(n), Box::new(k)),
            _ => Node::Product(vec![
                Node::Binomial(Box::new(n), Box::new(k.clone())),
                Node::Factorial(Box::new(k)),
            ]),
        };
        if self.symbol() == Some('(')
            && let (Some(Kind::Number(n)), Some(','), Some(Kind::Number(k)), Some(')')) =
                (self.kind_at(1), self.symbol_at(2), self.kind_at(3), self.symbol_at(4))
        {
            // `P(5, 2)` may as well be a point.
            if let (Some(n), Some(k), "C") = (parse_number(n), parse_number(k), name) {
                self.at += 5;
                return Ok(Some(node(Node::Number(n), Node::Number(k))));
            }
        }
        if self.eat('_') {
            let n = self.script()?;
            if n.is_integer() && self.eat('^') {
                let k = self.script()?;
                if k.is_integer() {
                    return Ok(Some(node(n, k)));
                }
            }
        }
        self.at = from;
        self.tokens[from..from + saved.len()].clone_from_slice(&saved);
        Ok(None)
    }

    /// `{}^{6}C_{2}`, `{}_{6}C_{2}`: a binomial whose upper number stands before its letter.
    pub(super) fn choose_before(&mut self) -> Parsed {
        self.at += 1;
        if !(self.eat('^') || self.eat('_')) {
            return Err(ParseError);
        }
        self.choose_of()
    }

    /// The rest of it, from the upper number on.
    pub(super) fn choose_of(&mut self) -> Parsed {
        let n = self.script()?;
        match self.kind() {
            Some(Kind::Letters(letter)) if letter == "C" => self.at += 1,
            _ => return Err(ParseError),
        }
        self.expect('_')?;
        Ok(Node::Binomial(Box::new(n), Box::new(self.script()?)))
    }

    /// A subscript or superscript: braces or the whole number that follows, `_10`, where TeX would take its first digit.
    pub(super) fn script(&mut self) -> Parsed {
        match self.kind() {
            Some(Kind::Number(digits)) => {
                let value = parse_number(digits).ok_or(ParseError)?;
                self.at += 1;
                Ok(Node::Number(value))
            }
            _ => self.argument(),
        }
    }

    /// The arguments of a maximum and its like, in round or set brackets.
    pub(super) fn many(&mut self, operation: Operation) -> Parsed {
        let items = match self.primary()? {
            Node::Sequence(Shape::Round | Shape::Set | Shape::Bare, items) => items,
            single => vec![single],
        };
        if items.is_empty() {
            return Err(ParseError);
        }
        Ok(Node::Many(operation, items))
    }

    /// `\sum_{k=1}^{5} k^2`: the index with its first value below, the last value above, the term behind.
    pub(super) fn repeated(&mut self, is_product: bool) -> Parsed {
        let (mut below, mut above) = (None, None);
        for _ in 0..2 {
            if self.eat('_') {
                below = Some(self.argument_relation()?);
            } else if self.eat('^') {
                above = Some(self.script()?);
            }
        }
        let (Some(Node::Chain(sides, relations)), Some(to)) = (below, above) else { return Err(ParseError) };
        let ([Node::Variable(index), from], [crate::math::node::Relation::Equal]) =
            (sides.as_slice(), relations.as_slice())
        else {
            return Err(ParseError);
        };
        let (index, from) = (index.clone(), Box::new(from.clone()));
        let mut body = self.product()?;
        // An index `i` is no imaginary unit.
        if index == "i" {
            body = named_i(body);
        }
        let body = Box::new(body);
        Ok(Node::Repeated { index, from, to: Box::new(to), body, is_product })
    }

    /// A brace group with a relation in it: `{k=1}`. The index may be `i`, which is no imaginary unit there.
    fn argument_relation(&mut self) -> Parsed {
        self.expect('{')?;
        let name = match self.kind() {
            Some(Kind::Letters(name)) if name.len() == 1 => name.clone(),
            _ => return Err(ParseError),
        };
        self.at += 1;
        self.expect('=')?;
        let from = self.sum()?;
        self.expect('}')?;
        Ok(Node::Chain(vec![Node::Variable(name), from], vec![crate::math::node::Relation::Equal]))
    }

    /// `\int_0^1 x^2 \, dx`
    pub(super) fn integral(&mut self) -> Parsed {
        let (mut from, mut to) = (None, None);
        for _ in 0..2 {
            if self.eat('_') {
                from = Some(self.signed_script()?);
            } else if self.eat('^') {
                to = Some(self.signed_script()?);
            }
        }
        let (Some(from), Some(to)) = (from, to) else { return Err(ParseError) };
        // The integrand ends at `dx`, in one run of letters or as an upright d and a letter.
        let ends = |token: &Token| match &token.kind {
            Kind::Letters(run) => {
                let letters = run.as_bytes();
                letters.len() >= 2 && letters[letters.len() - 2] == b'd'
            }
            _ => false,
        };
        let end = (self.at..self.tokens.len()).find(|at| ends(&self.tokens[*at])).ok_or(ParseError)?;
        let Kind::Letters(run) = self.tokens[end].kind.clone() else { return Err(ParseError) };
        let (before, differential) = run.split_at(run.len() - 2);
        let variable = differential[1..].to_owned();
        let mut inside: Vec<Token> = self.tokens[self.at..end].to_vec();
        if !before.is_empty() {
            inside.push(Token { kind: Kind::Letters(before.to_owned()), spaced: self.tokens[end].spaced });
        }
        if inside.is_empty() {
            inside.push(Token { kind: Kind::Number("1".to_owned()), spaced: false });
        }
        let mut parser = Parser { tokens: inside, at: 0, bars: 0, in_rows: false, budget: &mut *self.budget };
        let body = parser.sum()?;
        if parser.at < parser.tokens.len() {
            return Err(ParseError);
        }
        self.at = end + 1;
        Ok(Node::Integral { variable, from: Box::new(from), to: Box::new(to), body: Box::new(body) })
    }

    fn signed_script(&mut self) -> Parsed {
        match self.eat('-') {
            true => Ok(Node::Negative(Box::new(self.script()?))),
            false => self.script(),
        }
    }
}

fn named_i(node: Node) -> Node {
    match node {
        Node::I => Node::Variable("i".to_owned()),
        node => node.map_children(&mut named_i),
    }
}
