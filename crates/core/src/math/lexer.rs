//! Characters to tokens, for LaTeX, Unicode and plain maths alike. Spacing, sizing and font commands vanish here.

mod number;
mod symbols;

use super::budget::Budget;
use symbols::{greek_command, greek_letter, plain_symbol, superscripts, symbol_command};

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A decimal literal without separators: digits, at most one point, perhaps an exponent (`1.5e-3`).
    Number(String),
    /// A decimal with a repeating tail: `0.1\overline{6}` is ("0.1", "6").
    Repeating(String, String),
    /// A run of ASCII letters.
    Letters(String),
    /// A one-symbol variable that is not an ASCII letter (`\alpha`, `θ`), by name.
    Greek(&'static str),
    /// A command that the parser knows: `frac`, `sqrt`, `sin`, ...
    Command(String),
    /// Words inside `\text{}` and its like.
    Text(String),
    /// Operator, bracket or punctuation. `⦃` and `⦄` are set braces; `$` is a currency sign.
    Symbol(char),
    /// `and`, `or`: separates list items like a comma.
    And,
    /// `\\` in a matrix.
    RowBreak,
    /// `\begin{pmatrix}` and its like.
    BeginMatrix,
    /// `\end{pmatrix}` and its like.
    EndMatrix,
}

/// A token and whether white space stood before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Whether white space (of any kind) stood before it.
    pub spaced: bool,
}

/// Splits `text` into tokens. `None`: something that is no mathematics, or the budget is spent.
pub fn tokenize(text: &str, budget: &mut Budget) -> Option<Vec<Token>> {
    let mut lexer = Lexer { rest: text, tokens: Vec::new(), spaced: false, boxed: false, brackets: 0 };
    // With an even number of dollar signs they delimit mathematics; a single one is a currency.
    let dollars = text.matches('$').count() - text.matches("\\$").count();
    let delimited = text.contains("\\(") || text.contains("\\[");
    lexer.run(dollars % 2 == 1 && !delimited, 0, budget)?;
    Some(lexer.tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    tokens: Vec<Token>,
    spaced: bool,
    /// Whether a `\boxed` has been read: a second one begins another item.
    boxed: bool,
    /// Depth of `(`, `[`, `\{`: inside them a comma always separates.
    brackets: u32,
}

impl<'a> Lexer<'a> {
    fn run(&mut self, dollar_is_currency: bool, nesting: u32, budget: &mut Budget) -> Option<()> {
        while let Some(first) = self.rest.chars().next() {
            budget.take(1)?;
            match first {
                '\\' => self.command(nesting, budget)?,
                '0'..='9' => self.number(),
                '.' if self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(),
                'a'..='z' | 'A'..='Z' => self.letters(),
                '$' => {
                    self.skip(1);
                    if dollar_is_currency {
                        self.symbol('$');
                    } else {
                        self.spaced = true;
                    }
                }
                '*' if self.rest.starts_with("**") => {
                    self.skip(2);
                    self.symbol('^');
                }
                '<' | '>' | '=' | '!' => self.comparison(first),
                _ if first.is_whitespace() || first == '~' || first == '\u{200b}' => {
                    self.skip(first.len_utf8());
                    self.spaced = true;
                }
                _ => {
                    self.skip(first.len_utf8());
                    self.character(first)?;
                }
            }
        }
        Some(())
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn push(&mut self, kind: Kind) {
        self.tokens.push(Token { kind, spaced: self.spaced });
        self.spaced = false;
    }

    fn symbol(&mut self, symbol: char) {
        match symbol {
            '(' | '[' | '⦃' => self.brackets += 1,
            ')' | ']' | '⦄' => self.brackets = self.brackets.saturating_sub(1),
            // `^\circ` and `^{\circ}` are one degree sign.
            '°' if self.last_is('^') => {
                self.tokens.pop();
            }
            '}' if self.ends_with_braced_degree() => {
                let degree = self.tokens.len() - 3;
                self.tokens.drain(degree..degree + 2);
                return;
            }
            _ => {}
        }
        self.push(Kind::Symbol(symbol));
    }

    fn last_is(&self, symbol: char) -> bool {
        matches!(self.tokens.last(), Some(Token { kind: Kind::Symbol(last), .. }) if *last == symbol)
    }

    fn ends_with_braced_degree(&self) -> bool {
        let expected = ['^', '{', '°'];
        self.tokens.len() >= 3
            && self.tokens[self.tokens.len() - 3..]
                .iter()
                .zip(expected)
                .all(|(token, symbol)| token.kind == Kind::Symbol(symbol))
    }

    fn comparison(&mut self, first: char) {
        let (symbol, length) = match (first, self.rest.as_bytes().get(1)) {
            ('<', Some(b'=')) => ('≤', 2),
            ('>', Some(b'=')) => ('≥', 2),
            ('!', Some(b'=')) => ('≠', 2),
            ('=', Some(b'=')) => ('=', 2),
            _ => (first, 1),
        };
        self.skip(length);
        self.symbol(symbol);
    }

    fn letters(&mut self) {
        let length = self.rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let run = &self.rest[..length];
        self.skip(length);
        if matches!(run, "and" | "or" | "And" | "Or" | "AND" | "OR") {
            self.push(Kind::And);
        } else if run.eq_ignore_ascii_case("percent") || run == "pct" {
            self.symbol('%');
        } else if matches!(run, "degrees" | "degree" | "deg") {
            self.symbol('°');
        } else {
            self.push(Kind::Letters(run.to_owned()));
        }
    }

    /// A character that is neither ASCII letter nor digit.
    fn character(&mut self, c: char) -> Option<()> {
        if let Some(name) = greek_letter(c) {
            self.push(Kind::Greek(name));
            return Some(());
        }
        if let Some(digit) = superscripts().find(|(glyph, _)| *glyph == c).map(|(_, digit)| digit) {
            self.superscript(digit);
            return Some(());
        }
        match c {
            '₀'..='₉' => {
                let digit = char::from(b'0' + (c as u32 - '₀' as u32) as u8);
                if !(self.last_is_number() && self.tokens.len() >= 2 && self.underscore_before_last()) {
                    self.symbol('_');
                    self.push(Kind::Number(digit.to_string()));
                } else if let Some(Token { kind: Kind::Number(digits), .. }) = self.tokens.last_mut() {
                    digits.push(digit);
                }
            }
            '½' => self.vulgar("1", "2"),
            '⅓' => self.vulgar("1", "3"),
            '⅔' => self.vulgar("2", "3"),
            '¼' => self.vulgar("1", "4"),
            '¾' => self.vulgar("3", "4"),
            '⅕' => self.vulgar("1", "5"),
            '⅛' => self.vulgar("1", "8"),
            'π' | '𝜋' => self.push(Kind::Command("pi".to_owned())),
            '√' => self.push(Kind::Command("sqrt".to_owned())),
            '∛' => self.push(Kind::Command("cbrt".to_owned())),
            'ℝ' => self.push(Kind::Command("reals".to_owned())),
            '∅' => self.push(Kind::Command("emptyset".to_owned())),
            _ => self.symbol(plain_symbol(c)?),
        }
        Some(())
    }

    fn last_is_number(&self) -> bool {
        matches!(self.tokens.last(), Some(Token { kind: Kind::Number(_), .. }))
    }

    fn underscore_before_last(&self) -> bool {
        self.tokens[self.tokens.len() - 2].kind == Kind::Symbol('_')
    }

    /// `½` as `\frac{1}{2}`, so that `2½` is a mixed number.
    fn vulgar(&mut self, top: &str, bottom: &str) {
        self.push(Kind::Command("frac".to_owned()));
        for part in [top, bottom] {
            self.push(Kind::Symbol('{'));
            self.push(Kind::Number(part.to_owned()));
            self.push(Kind::Symbol('}'));
        }
    }

    /// Superscript glyphs: `x²`, `10⁻³`.
    fn superscript(&mut self, first: char) {
        let mut digits = String::from(first);
        while let Some((glyph, digit)) =
            self.rest.chars().next().and_then(|c| superscripts().find(|(glyph, _)| *glyph == c))
        {
            digits.push(digit);
            self.skip(glyph.len_utf8());
        }
        self.push(Kind::Symbol('^'));
        self.push(Kind::Symbol('{'));
        if let Some(rest) = digits.strip_prefix('-') {
            self.push(Kind::Symbol('-'));
            digits = rest.to_owned();
        }
        self.push(if digits == "n" { Kind::Letters(digits) } else { Kind::Number(digits) });
        self.push(Kind::Symbol('}'));
    }

    /// After a backslash.
    fn command(&mut self, nesting: u32, budget: &mut Budget) -> Option<()> {
        self.skip(1);
        let length = self.rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        if length == 0 {
            return self.control_symbol();
        }
        let name = &self.rest[..length];
        if let Some((escaped, used)) = json_escape(self.rest) {
            self.skip(used);
            return self.character(escaped);
        }
        let from = self.rest;
        self.skip(length);
        if let Some(symbol) = symbol_command(name) {
            self.symbol(symbol);
            return Some(());
        }
        if let Some(greek) = greek_command(name) {
            self.push(Kind::Greek(greek));
            return Some(());
        }
        match name {
            "left" | "right" | "middle" => {
                // `\left.` is an invisible bracket.
                let rest = self.rest.trim_start();
                self.rest = rest.strip_prefix('.').unwrap_or(rest);
            }
            "quad" | "qquad" | "enspace" | "thinspace" | "displaystyle" | "textstyle" | "limits"
            | "nolimits" | "big" | "Big" | "bigg" | "Bigg" | "bigl" | "bigr" | "Bigl" | "Bigr" | "biggl"
            | "biggr" | "Biggl" | "Biggr" | "mathstrut" | "strut" | "rm" | "bf" | "it" | "mathopen"
            | "mathclose" | "newline" => {
                self.spaced = true;
            }
            "hspace" | "vspace" | "color" | "label" | "phantom" | "hphantom" | "tag" | "kern" => {
                self.argument()?;
                self.spaced = true;
            }
            "text" | "mbox" | "textbf" | "textit" | "textrm" | "textnormal" | "mathrm" | "operatorname"
            | "hbox" | "textup" | "emph" | "mathop" | "textsc" | "texttt" | "mathsf" | "textsf" => {
                let content = self.argument()?;
                self.words(content, nesting, budget)?;
            }
            "boxed" | "fbox" => {
                let content = self.argument()?;
                if self.boxed
                    && !matches!(self.tokens.last(), Some(Token { kind: Kind::And | Kind::Symbol(','), .. }))
                {
                    self.push(Kind::And);
                }
                self.boxed = true;
                self.nested(content, nesting, budget)?;
            }
            "mathbf" | "boldsymbol" | "bm" | "mathit" | "mathcal" | "ensuremath" | "vec" | "hat"
            | "overrightarrow" | "overline" | "bar" | "widehat" | "underline" | "displaylines"
            | "mathbin" | "mathrel" | "mathord" => {
                let content = self.argument()?;
                self.nested(content, nesting, budget)?;
            }
            "mathbb" | "Bbb" => match self.argument()?.trim() {
                "R" => self.push(Kind::Command("reals".to_owned())),
                other => self.push(Kind::Letters(other.chars().filter(char::is_ascii_alphabetic).collect())),
            },
            // `\quadx_2`, typed without a space.
            _ if name.starts_with("quad") => {
                self.rest = &from[4..];
                self.spaced = true;
            }
            "begin" => self.begin()?,
            "end" => {
                let environment = self.argument()?;
                if is_matrix(environment) {
                    self.push(Kind::EndMatrix);
                }
            }
            "dfrac" | "tfrac" | "cfrac" | "frac" => self.push(Kind::Command("frac".to_owned())),
            "dbinom" | "tbinom" | "binom" => self.push(Kind::Command("binom".to_owned())),
            _ => self.push(Kind::Command(name.to_owned())),
        }
        Some(())
    }

    /// `\%`, `\{`, `\\`, `\,` and the like.
    fn control_symbol(&mut self) -> Option<()> {
        let Some(c) = self.rest.chars().next() else { return Some(()) };
        self.skip(c.len_utf8());
        match c {
            '{' => self.symbol('⦃'),
            '}' => self.symbol('⦄'),
            '%' | '$' | '&' => self.symbol(c),
            '|' => self.symbol('‖'),
            '\\' => self.push(Kind::RowBreak),
            '_' | '#' => return None,
            // `\,`, `\!`, `\ `, and the delimiters `\(`, `\[`.
            _ => self.spaced = true,
        }
        Some(())
    }

    /// The `{...}` after a command, or its next character.
    fn argument(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let Some(inside) = rest.strip_prefix('{') else {
            let length = rest.chars().next()?.len_utf8();
            self.rest = &rest[length..];
            return Some(&rest[..length]);
        };
        let mut depth = 1usize;
        let mut escaped = false;
        for (at, byte) in inside.bytes().enumerate() {
            match byte {
                _ if escaped => {
                    escaped = false;
                    continue;
                }
                b'\\' => escaped = true,
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.rest = &inside[at + 1..];
                return Some(&inside[..at]);
            }
        }
        None
    }

    fn nested(&mut self, content: &'a str, nesting: u32, budget: &mut Budget) -> Option<()> {
        if nesting >= 8 {
            return None;
        }
        let rest = std::mem::replace(&mut self.rest, content);
        let done = self.run(false, nesting + 1, budget);
        self.rest = rest;
        done
    }

    /// The content of `\text{}`: words, a separator, or mathematics after all.
    fn words(&mut self, content: &'a str, nesting: u32, budget: &mut Budget) -> Option<()> {
        budget.take(content.len() as u64)?;
        let words = content.trim();
        self.spaced |= content.starts_with(char::is_whitespace);
        let is_words = words.starts_with(|c: char| c.is_alphabetic())
            && words.chars().all(|c| c.is_alphabetic() || " .'-/^".contains(c) || c == '2' || c == '3')
            && !words.split(' ').any(|word| matches!(word, "and" | "or"));
        if is_words {
            self.text(words);
        } else {
            self.nested(content, nesting, budget)?;
        }
        self.spaced |= content.ends_with(char::is_whitespace);
        Some(())
    }

    fn text(&mut self, words: &str) {
        match words {
            "percent" | "pct" => self.symbol('%'),
            "degrees" | "degree" => self.symbol('°'),
            _ => self.push(Kind::Text(words.to_owned())),
        }
    }

    fn begin(&mut self) -> Option<()> {
        let environment = self.argument()?;
        if is_matrix(environment) {
            if environment == "array" && self.rest.trim_start().starts_with('{') {
                self.argument()?;
            }
            self.push(Kind::BeginMatrix);
        } else if matches!(environment, "cases" | "vmatrix" | "Vmatrix" | "tabular") {
            return None;
        }
        Some(())
    }
}

fn is_matrix(environment: &str) -> bool {
    matches!(environment, "pmatrix" | "bmatrix" | "matrix" | "array" | "Bmatrix" | "smallmatrix")
}

/// `u221a`, left over from JSON that was never decoded.
fn json_escape(rest: &str) -> Option<(char, usize)> {
    let hex = rest.strip_prefix('u')?.get(..4)?;
    Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, 5))
}
