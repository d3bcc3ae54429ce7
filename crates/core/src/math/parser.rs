//! Tokens to trees: lists, relations and sets here; units in `quantity`; sums, products and below in `expression`.
//!
//! ```text
//! list     = relation ((',' | ';' | 'and') relation)*
//! relation = set (('=' | '<' | '∈' | ...) set)*
//! set      = ratio (('∪' | '∩' | '∖') ratio)*
//! ratio    = quantity (':' quantity)*
//! quantity = [currency] sum [unit]
//! ```

mod brackets;
mod calls;
mod expression;
mod operators;
mod primary;
mod quantity;

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
    let mut parser = Parser { tokens, at: 0, bars: 0, in_rows: false, budget };
    parser.skip_lead_in();
    let node = parser.list(true)?;
    if parser.at == parser.tokens.len() { Ok(node) } else { Err(ParseError) }
}

pub(crate) struct Parser<'b> {
    tokens: Vec<Token>,
    at: usize,
    /// Open `|` bars: inside them a bar closes.
    bars: u32,
    /// Whether the list that is read is one of lists.
    in_rows: bool,
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
                Some(Kind::And | Kind::Or) => found = Some(found.unwrap_or(',')),
                _ => return found,
            }
            self.at += 1;
        }
    }

    /// Items and their separators up to a closing token. A single item stands for itself.
    fn list(&mut self, top: bool) -> Parsed {
        let first = self.relation()?;
        let from = self.at;
        let Some(separator) = self.eat_separator() else { return Ok(first) };
        let mut alternatives = self.tokens[from..self.at].iter().any(|token| token.kind == Kind::Or);
        // `x > 2 and x < 5`
        let both = self.tokens[from..self.at].iter().all(|token| token.kind == Kind::And);
        let mut groups = vec![vec![first]];
        let mut last = separator;
        let mut mixed = false;
        // Whether a separator stands at the end.
        let mut ended = true;
        while !self.at_close() {
            self.step()?;
            let item = self.relation()?;
            if last == ';' {
                groups.push(vec![item]);
            } else if let Some(group) = groups.last_mut() {
                group.push(item);
            }
            let from = self.at;
            match self.eat_separator() {
                Some(next) => {
                    ended = true;
                    alternatives &= self.tokens[from..self.at].iter().any(|token| token.kind == Kind::Or);
                    mixed |= next != separator;
                    last = next;
                }
                None => {
                    ended = false;
                    break;
                }
            }
        }
        // `(1; 2,)`: one separator too many, and of another kind, is a slip and no list.
        if !top && mixed && ended {
            return Err(ParseError);
        }
        let items = join_groups(groups, mixed);
        // `x < 3 or x > 5`
        Ok(if alternatives && top && items.iter().all(is_inequality) {
            Node::Union(items)
        } else if both && top && items.len() == 2 && items.iter().all(is_inequality) {
            Node::SetOperation('∩', items)
        } else {
            Node::Sequence(Shape::Bare, items)
        })
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
}

fn is_inequality(node: &Node) -> bool {
    use Relation::{Approximate, Equal, In};
    matches!(node, Node::Chain(_, relations) if relations.iter().all(|relation| !matches!(relation, Equal | Approximate | In)))
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

/// Whether a bare run of letters reads as a word of language and not as a product of variables.
pub(crate) fn is_word(word: &str) -> bool {
    #[rustfmt::skip]
    const SHORT: &[&str] = &[
        "no", "No", "NO", "yes", "YES", "odd", "all", "one", "two", "six", "ten", "red", "day", "sum",
        "not", "any", "the", "is", "are", "has", "can", "none", "DNE", "dne", "win", "tie",
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
