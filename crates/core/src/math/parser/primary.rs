//! Numbers, names, brackets, fractions, roots and functions.

use super::calls::{function, is_constant};
use super::{Kind, ParseError, Parsed, Parser};
use crate::math::exact::parse_number;
use crate::math::lexer::Token;
use crate::math::node::{Function, Node, Operation, Shape};

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

    /// `C(10, 3)`, `C_{10}^{3}`: a binomial; `P(5, 2)`, `P_5^2`: a falling product.
    fn choose(&mut self, name: &str) -> Result<Option<Node>, ParseError> {
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
    fn choose_before(&mut self) -> Parsed {
        self.at += 1;
        if !(self.eat('^') || self.eat('_')) {
            return Err(ParseError);
        }
        self.choose_of()
    }

    /// The rest of it, from the upper number on.
    fn choose_of(&mut self) -> Parsed {
        let n = self.script()?;
        match self.kind() {
            Some(Kind::Letters(letter)) if letter == "C" => self.at += 1,
            _ => return Err(ParseError),
        }
        self.expect('_')?;
        Ok(Node::Binomial(Box::new(n), Box::new(self.script()?)))
    }

    /// A subscript or superscript: braces or the whole number that follows.
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
    fn many(&mut self, operation: Operation) -> Parsed {
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
    fn repeated(&mut self, is_product: bool) -> Parsed {
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
    fn integral(&mut self) -> Parsed {
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

    fn bracket(&mut self, open: char) -> Parsed {
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
            let bottom = parse_number(digits).filter(|bottom| *bottom != num_traits::Zero::zero());
            value /= bottom.ok_or(ParseError)?;
            self.at += 1;
        }
        Ok(Node::Number(if negative { -value } else { value }))
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

fn named_i(node: Node) -> Node {
    match node {
        Node::I => Node::Variable("i".to_owned()),
        node => node.map_children(&mut named_i),
    }
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
