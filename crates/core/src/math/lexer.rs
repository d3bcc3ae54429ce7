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
    /// A letter under an accent: `bar x`.
    Accented(String),
    /// A one-symbol variable that is not an ASCII letter (`\alpha`, `θ`), by name.
    Greek(&'static str),
    /// A command that the parser knows: `frac`, `sqrt`, `sin`, ...
    Command(String),
    /// Words inside `\text{}` and its like.
    Text(String),
    /// Operator, bracket or punctuation. `⦃` and `⦄` are set braces; `$` is a currency sign.
    Symbol(char),
    /// `and`: separates list items like a comma.
    And,
    /// `or`: separates list items, and what it joins may be a union.
    Or,
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
    let mut lexer =
        Lexer { rest: text, tokens: Vec::new(), spaced: false, boxed: false, brackets: 0, cases: 0 };
    // With an even number of dollar signs they delimit mathematics; a single one is a currency.
    let escaped = text.as_bytes().windows(2).filter(|pair| pair == b"\\$").count();
    let dollars = text.matches('$').count() - escaped;
    let is_delimited = || text.contains("\\(") || text.contains("\\[");
    lexer.run(dollars % 2 == 1 && !is_delimited(), 0, budget)?;
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
    /// Depth of `\begin{cases}` without columns: its rows are the items of a list.
    cases: u32,
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
                // `12 sq. units`
                '.' if self.is_abbreviated() => {
                    self.skip(1);
                    self.spaced = true;
                }
                _ if !first.is_ascii() && self.other_letters(first) => {}
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

    fn is_abbreviated(&self) -> bool {
        const SHORT: [&str; 20] = [
            "sq", "cu", "Rs", "rs", "approx", "ft", "in", "lb", "lbs", "oz", "hr", "hrs", "min", "mins",
            "sec", "secs", "mi", "yd", "yr", "yrs",
        ];
        matches!(self.tokens.last(), Some(Token { kind: Kind::Letters(word) | Kind::Text(word), .. }) if SHORT.contains(&word.as_str()))
    }

    /// A run of letters of another script is a word: `18 рублей`, `18元`.
    fn other_letters(&mut self, first: char) -> bool {
        let is_other = |c: char| {
            c.is_alphabetic()
                && !c.is_ascii()
                && greek_letter(c).is_none()
                && !matches!(c, 'π' | '𝜋' | 'ℝ' | 'ℤ' | 'ℕ' | 'ℚ' | 'ℂ' | 'ⁿ' | 'ˣ' | 'º' | 'ª')
                || matches!(c, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{903}' | '\u{93a}'..='\u{94f}' | '\u{981}'..='\u{983}' | '\u{9bc}'..='\u{9cd}' | '\u{64b}'..='\u{652}')
        };
        if !is_other(first) {
            return false;
        }
        let length: usize = self.rest.chars().take_while(|c| is_other(*c)).map(char::len_utf8).sum();
        let word = &self.rest[..length];
        self.skip(length);
        self.push(Kind::Text(word.to_owned()));
        true
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
        let mut run = &self.rest[..length];
        // `3orx=-3`, written without blanks.
        if !self.spaced && self.last_is_number() {
            for (word, kind) in [("or", Kind::Or), ("and", Kind::And)] {
                if run.len() > word.len() && run.starts_with(word) {
                    self.skip(word.len());
                    self.push(kind);
                    run = &run[word.len()..];
                    break;
                }
            }
        }
        self.skip(run.len());
        // As SymPy prints the imaginary unit: `3*sqrt(2)*I`.
        if run == "U"
            && (self.last_is(')') || self.last_is(']'))
            && self.rest.trim_start().starts_with(['(', '['])
        {
            self.symbol('∪');
        } else if run == "I" && self.last_is('*') {
            self.push(Kind::Letters("i".to_owned()));
        } else if matches!(run, "and" | "And" | "AND") {
            self.push(Kind::And);
        } else if matches!(run, "or" | "Or" | "OR") {
            self.push(Kind::Or);
        } else if matches!(run, "x" | "X") && self.last_is_number() && is_power_of_ten(self.rest) {
            self.symbol('*');
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
            '∜' => {
                self.push(Kind::Command("sqrt".to_owned()));
                self.push(Kind::Symbol('['));
                self.push(Kind::Number("4".to_owned()));
                self.push(Kind::Symbol(']'));
            }
            '∑' => self.push(Kind::Command("sum".to_owned())),
            '∏' => self.push(Kind::Command("prod".to_owned())),
            '∫' => self.push(Kind::Command("int".to_owned())),
            'ℤ' => self.push(Kind::Letters("Z".to_owned())),
            'ℕ' => self.push(Kind::Letters("N".to_owned())),
            'ℚ' => self.push(Kind::Letters("Q".to_owned())),
            'ℂ' => self.push(Kind::Letters("C".to_owned())),
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

    /// Whether the text so far ends in a number and the letter m.
    fn is_metre(&self) -> bool {
        let [.., number, letter] = self.tokens.as_slice() else { return false };
        matches!(&number.kind, Kind::Number(_))
            && matches!(&letter.kind, Kind::Letters(name) if name == "m")
            && !self.rest.trim_start().starts_with(['+', '-', '−', '=', '*', '^'])
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
        if matches!(digits.as_str(), "2" | "3") && self.is_metre() {
            // `20 m²`: people who square a variable behind a number write `20m^2`.
            if let Some(Token { kind, .. }) = self.tokens.last_mut() {
                *kind = Kind::Text(if digits == "2" { "m²" } else { "m³" }.to_owned());
            }
            return;
        }
        self.push(Kind::Symbol('^'));
        self.push(Kind::Symbol('{'));
        if let Some(rest) = digits.strip_prefix('-') {
            self.push(Kind::Symbol('-'));
            digits = rest.to_owned();
        }
        // `2ⁿ⁺¹`: letters, signs and numbers, one token each.
        let mut rest = digits.as_str();
        while let Some(c) = rest.chars().next() {
            let length = rest.bytes().take_while(u8::is_ascii_digit).count();
            match c {
                '+' | '-' => self.push(Kind::Symbol(c)),
                '0'..='9' => self.push(Kind::Number(rest[..length].to_owned())),
                _ => self.push(Kind::Letters(c.to_string())),
            }
            rest = &rest[length.max(1)..];
        }
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
            "Large" | "large" | "LARGE" | "huge" | "Huge" | "small" | "normalsize" | "bfseries" => {
                self.spaced = true
            }
            "textcolor" | "colorbox" => {
                self.argument()?;
                let content = self.argument()?;
                self.nested(content, nesting, budget)?;
            }
            "not" if self.rest.trim_start().starts_with(['=', '\\']) => {
                let rest = self.rest.trim_start();
                let length =
                    if rest.starts_with('=') { 1 } else { rest.strip_prefix("\\equiv").map(|_| 6)? };
                self.rest = &rest[length..];
                self.symbol('≠');
            }
            "cr" => self.push(Kind::RowBreak),
            "lor" | "vee" => self.push(Kind::Or),
            "land" | "wedge" => self.push(Kind::And),
            "hspace" | "vspace" | "color" | "label" | "phantom" | "hphantom" | "tag" | "kern" => {
                self.argument()?;
                self.spaced = true;
            }
            "text" | "mbox" | "textbf" | "textit" | "textrm" | "textnormal" | "mathrm" | "operatorname"
            | "hbox" | "textup" | "emph" | "mathop" | "textsc" | "texttt" | "mathsf" | "textsf"
            | "mathtt" => {
                let content = self.argument()?;
                match content.trim() {
                    function @ ("lcm" | "gcd" | "max" | "min" | "mod" | "sgn" | "sign") => {
                        self.push(Kind::Command(function.to_owned()));
                    }
                    _ => self.words(content, nesting, budget)?,
                }
            }
            "boxed" | "fbox" => {
                let content = self.argument()?;
                if self.boxed
                    && !matches!(
                        self.tokens.last(),
                        Some(Token { kind: Kind::And | Kind::Or | Kind::Symbol(','), .. })
                    )
                {
                    self.push(Kind::And);
                }
                self.boxed = true;
                self.nested(content, nesting, budget)?;
            }
            "mathbf" | "boldsymbol" | "bm" | "hat" | "vec" | "mathbfit" | "widehat" | "bar" | "overline"
            | "tilde" | "widetilde" | "overrightarrow" | "dot" | "ddot" => {
                let content = self.argument()?;
                self.accented(name, content, nesting, budget)?;
            }
            "mathit" | "mathcal" | "ensuremath" | "underline" | "displaylines" | "mathbin" | "mathrel"
            | "mathord" => {
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
                } else if environment == "cases" {
                    self.cases = self.cases.saturating_sub(1);
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
            '\\' if self.cases > 0 => self.symbol(','),
            '\\' => {
                // `\\[4pt]`
                if let Some(length) = self.rest.strip_prefix('[').and_then(|rest| rest.find(']'))
                    && self.rest[1..=length].ends_with(|c: char| c.is_ascii_alphabetic())
                {
                    self.skip(length + 2);
                }
                self.push(Kind::RowBreak);
            }
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

    /// `\bar x`, `\vec a`, `\hat\imath`: a mean, a conjugate or a vector is another thing than the letter under the accent.
    /// Over several letters (`\overline{AB}`) and in bold an accent is notation alone.
    fn accented(&mut self, accent: &str, content: &'a str, nesting: u32, budget: &mut Budget) -> Option<()> {
        let inner = content.trim().trim_start_matches('\\');
        let is_upright = matches!(accent, "mathbf" | "boldsymbol" | "bm" | "mathbfit");
        let unit = match inner {
            "i" | "imath" => Some("unit_i"),
            "j" | "jmath" => Some("unit_j"),
            "k" if is_upright || accent == "hat" => Some("unit_k"),
            _ => None,
        };
        if let Some(unit) = unit.filter(|_| !matches!(accent, "bar" | "overline" | "dot" | "ddot")) {
            self.push(Kind::Command(unit.to_owned()));
            return Some(());
        }
        // A conjugate of something longer is nothing that we know.
        if matches!(accent, "bar" | "overline")
            && inner.contains(['+', '-', 'i', 'z', '^', '('])
            && inner.len() > 1
        {
            return None;
        }
        let is_letter = inner.len() == 1 && inner.bytes().all(|byte| byte.is_ascii_alphabetic());
        if is_letter && !is_upright {
            let accent = match accent {
                "bar" | "overline" => "bar",
                "hat" | "widehat" => "hat",
                "tilde" | "widetilde" => "tilde",
                "vec" | "overrightarrow" => "vec",
                accent => accent,
            };
            self.push(Kind::Accented(format!("{accent} {inner}")));
            return Some(());
        }
        self.nested(content, nesting, budget)
    }

    /// The content of `\text{}`: words, a separator, or mathematics after all.
    fn words(&mut self, content: &'a str, nesting: u32, budget: &mut Budget) -> Option<()> {
        budget.take(content.len() as u64)?;
        let words = content.trim();
        // `180 \text{ (days)}`: a remark is no part of the value; one word or two may be its unit.
        if let Some(remark) = words.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'))
            && remark.chars().filter(|c| c.is_alphabetic()).nth(1).is_some()
            && remark.chars().all(|c| c.is_alphabetic() || " ,.'-".contains(c))
            && !self.tokens.is_empty()
        {
            if remark.split_whitespace().nth(2).is_none() {
                self.push(Kind::Text(remark.trim().to_owned()));
            }
            return Some(());
        }
        // `\mathrm{m\,s^{-1}}`
        if let Some(unit) = super::units::compound(words) {
            self.push(Kind::Text(unit));
            self.spaced |= content.ends_with(char::is_whitespace);
            return Some(());
        }
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
        } else if environment == "cases" {
            // With columns it defines a function by its pieces, which we do not read.
            let content = &self.rest[..self.rest.find("\\end{cases}")?];
            if content.contains('&') {
                return None;
            }
            self.cases += 1;
        } else if matches!(environment, "vmatrix" | "Vmatrix" | "tabular") {
            return None;
        }
        Some(())
    }
}

/// Whether `10^...` follows: then an x before it is a times sign.
fn is_power_of_ten(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.strip_prefix("10").is_some_and(|rest| rest.starts_with('^') || rest.starts_with("**"))
}

fn is_matrix(environment: &str) -> bool {
    matches!(environment, "pmatrix" | "bmatrix" | "matrix" | "array" | "Bmatrix" | "smallmatrix")
}

/// `u221a`, left over from JSON that was never decoded.
fn json_escape(rest: &str) -> Option<(char, usize)> {
    let hex =
        rest.strip_prefix('u')?.get(..4).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, 5))
}
