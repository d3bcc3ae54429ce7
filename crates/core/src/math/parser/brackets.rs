//! Brackets: groups, tuples, intervals, sets, lists as programs print them, matrices.

use super::{Kind, ParseError, Parsed, Parser};
use crate::math::exact::parse_number;
use crate::math::node::{Function, Node, Shape};

impl Parser<'_> {
    /// What stands in brackets that open here.
    pub(super) fn bracket(&mut self, open: char) -> Parsed {
        self.at += 1;
        match open {
            '{' if self.symbol() == Some('}') => self.choose_before(),
            '{' => self.braces(),
            '[' if self.is_spaced_list() => self.spaced_list(),
            '(' | '[' | ']' => self.round_or_square(open),
            '⦃' => {
                if self.eat('⦄') {
                    return Ok(Node::Sequence(Shape::Set, Vec::new()));
                }
                if self.eat_set_builder() {
                    // `\{x \mid x > 3\}` is what its condition says of x.
                    let condition = self.relation()?;
                    self.expect('⦄')?;
                    return Ok(condition);
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
            // `_{5}C_{2}`
            '_' | '^' => self.choose_of(),
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
        if self.eat_set_builder() {
            let condition = self.relation()?;
            self.expect('}')?;
            return Ok(condition);
        }
        let inside = self.inside_brackets()?;
        if matches!(self.kind(), Some(Kind::Command(name)) if name == "over") {
            self.at += 1;
            let bottom = self.sum()?;
            self.expect('}')?;
            return Ok(Node::Product(vec![inside, Node::Inverse(Box::new(bottom))]));
        }
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
        // In a list of lists a list of one is a list: `[[1], [2]]` is a column.
        let is_list_of_lists = open == '[' && self.symbol() == Some('[');
        let outer = std::mem::replace(&mut self.in_rows, is_list_of_lists);
        let inside = self.inside_brackets();
        self.in_rows = outer;
        let inside = inside?;
        let close = self.symbol().ok_or(ParseError)?;
        self.at += 1;
        let shape = match (open, close) {
            ('(', ')') => Shape::Round,
            ('[', ']') => Shape::Square,
            ('(', ']') => Shape::RoundSquare,
            ('[', ')') => Shape::SquareRound,
            // Brackets turned outwards: `]0, 1[`.
            (']', '[') => Shape::Round,
            (']', ']') => Shape::RoundSquare,
            ('[', '[') => Shape::SquareRound,
            _ => return Err(ParseError),
        };
        match inside {
            Node::Sequence(Shape::Bare, items) => {
                if matches!(shape, Shape::RoundSquare | Shape::SquareRound) && items.len() != 2 {
                    return Err(ParseError);
                }
                Ok(Node::Sequence(shape, items))
            }
            single if shape == Shape::Square && self.in_rows => Ok(Node::Sequence(shape, vec![single])),
            // `(1010)_2`
            Node::Number(value)
                if shape == Shape::Round && value.is_integer() && self.symbol() == Some('_') =>
            {
                self.at += 1;
                match self.script()? {
                    Node::Number(base) => {
                        let base = base.to_integer().try_into().map_err(|_| ParseError)?;
                        Ok(Node::Based(value.to_string(), base))
                    }
                    _ => Err(ParseError),
                }
            }
            single if matches!(shape, Shape::Round | Shape::Square) => Ok(single),
            _ => Err(ParseError),
        }
    }

    /// `x \mid`, `x :`, `x \in \mathbb{R} \mid` at the start of a set.
    fn eat_set_builder(&mut self) -> bool {
        let is_name = match self.kind() {
            Some(Kind::Letters(name)) => name.len() == 1,
            Some(Kind::Greek(_)) => true,
            _ => false,
        };
        if !is_name {
            return false;
        }
        let is_real = self.symbol_at(1) == Some('∈')
            && matches!(self.kind_at(2), Some(Kind::Command(name)) if name == "reals");
        let bar = if is_real { 3 } else { 1 };
        let found = matches!(self.symbol_at(bar), Some('|' | ':'));
        if found {
            self.at += bar + 1;
        }
        found
    }

    /// Whether numbers with nothing but blanks between them follow, `[1 2; 3 4]`, `[[1. 2.] [3. 4.]]`, or a column of three
    /// or more, `[1; 2; 3]` (of two it is an interval where a semicolon separates).
    fn is_spaced_list(&self) -> bool {
        let mut depth = 1;
        let mut found = false;
        let mut rows = 0;
        let (mut commas, mut slashes) = (false, false);
        for (at, token) in self.tokens.iter().enumerate().skip(self.at) {
            match &token.kind {
                Kind::Symbol('[') => {
                    found |= matches!(self.tokens[at - 1].kind, Kind::Symbol(']'));
                    depth += 1;
                }
                Kind::Symbol(']') => depth -= 1,
                Kind::Symbol(';') => {
                    rows += 1;
                    found |= rows == 2 || commas;
                }
                Kind::Symbol(',') if depth == 1 => {
                    if slashes {
                        return false; // `[1 1/2, 2]` has a mixed number
                    }
                    commas = true;
                    found |= rows > 0;
                }
                Kind::Symbol('-') => {}
                Kind::Symbol('/') if commas => return false,
                Kind::Symbol('/') => slashes = true,
                Kind::Number(_) => {
                    let before = self.tokens[at - 1].kind.clone();
                    found |= token.spaced && matches!(before, Kind::Number(_));
                    // `1 -2`: a sign that belongs to its number.
                    found |= !token.spaced
                        && before == Kind::Symbol('-')
                        && self.tokens[at - 1].spaced
                        && matches!(self.tokens[at - 2].kind, Kind::Number(_));
                }
                _ => return false,
            }
            if depth == 0 {
                return found;
            }
        }
        false
    }

    fn spaced_list(&mut self) -> Parsed {
        let mut rows: Vec<Vec<Node>> = vec![Vec::new()];
        let mut nested = false;
        loop {
            self.step()?;
            match self.symbol() {
                Some(']') => break,
                Some(',') => self.at += 1,
                Some(';') => {
                    self.at += 1;
                    rows.push(Vec::new());
                }
                Some('[') if !nested || rows.last().is_some_and(|row| !row.is_empty()) || rows.len() == 1 => {
                    self.at += 1;
                    if nested {
                        rows.push(Vec::new());
                    }
                    nested = true;
                    while self.symbol() != Some(']') {
                        let item = self.spaced_number()?;
                        if let Some(row) = rows.last_mut() {
                            row.push(item);
                        }
                    }
                    self.at += 1;
                }
                _ => {
                    let item = self.spaced_number()?;
                    if let Some(row) = rows.last_mut() {
                        row.push(item);
                    }
                }
            }
        }
        self.at += 1;
        if !nested && rows.len() == 1 {
            return Ok(Node::Sequence(Shape::Square, rows.swap_remove(0)));
        }
        let width = rows.first().map_or(0, Vec::len);
        if width == 0 || rows.iter().any(|row| row.len() != width) {
            return Err(ParseError);
        }
        Ok(Node::Matrix(rows))
    }

    fn spaced_number(&mut self) -> Parsed {
        self.step()?;
        let negative = self.eat('-');
        let Some(Kind::Number(digits)) = self.kind() else { return Err(ParseError) };
        let mut value = parse_number(digits).ok_or(ParseError)?;
        self.at += 1;
        if self.eat('/') {
            let Some(Kind::Number(digits)) = self.kind() else { return Err(ParseError) };
            let bottom = parse_number(digits).filter(|bottom| !bottom.is_zero());
            value = value / bottom.ok_or(ParseError)?;
            self.at += 1;
        }
        Ok(Node::Number(if negative { -value } else { value }))
    }

    pub(super) fn matrix(&mut self) -> Parsed {
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

fn items_of(inside: Node) -> Vec<Node> {
    match inside {
        Node::Sequence(Shape::Bare, items) => items,
        single => vec![single],
    }
}
