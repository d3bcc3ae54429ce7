//! The text around an answer: punctuation, mark-up, choice letters; and answers that are words.

use crate::letters::lowercase;
use crate::math::lexer::{Kind, Token};
use crate::math::parser;

/// Strips white space, mark-up and sentence punctuation that are no part of an answer.
pub(super) fn clean(text: &str) -> &str {
    let mut text = text;
    loop {
        let before = text.len();
        text = text.trim().trim_matches(['`', '"', '\u{201c}', '\u{201d}']);
        // "Yes!"; a factorial has a number or a letter alone before it.
        if let Some(words) = text.strip_suffix('!')
            && words.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | ',' | '\''))
            && words.split_whitespace().next_back().is_some_and(parser::is_word)
        {
            text = words;
        }
        if !text.ends_with("...") {
            text = text.trim_end_matches(['.', ',', ';', ':', '。', '，', '、', '।', '۔']).trim_end();
        }
        text = strip_wrapping(text, "**");
        if text.ends_with('\\') && !text.ends_with("\\\\") {
            text = &text[..text.len() - 1];
        }
        text = text.strip_suffix("\\\\").unwrap_or(text);
        if let Some(inside) = strip_dollars(text) {
            text = inside;
        }
        // `=> 5`
        let may_be_arrow = text.starts_with(['=', '-', '\\']) || !text.is_ascii();
        for arrow in ["=>", "⇒", "∴", "→", "->", "\\therefore", "\\implies", "\\Rightarrow"]
            .iter()
            .filter(|_| may_be_arrow)
        {
            text = text.strip_prefix(arrow).unwrap_or(text);
        }
        // `[[B]]`, as judges are told to write.
        if let Some(inside) = text.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]"))
            && !inside.contains(['[', ']', ',', ' '])
        {
            text = inside;
        }
        if text.len() == before {
            return choice_letter(text).unwrap_or(text);
        }
    }
}

/// `text` without the entities of HTML that mathematics is escaped with; `None` where there are none.
pub(super) fn without_entities(text: &str) -> Option<String> {
    text.contains("&lt;")
        .then_some(())
        .or(text.contains("&gt;").then_some(()))
        .or(text.contains("&amp;").then_some(()))?;
    Some(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}

/// A whole answer of digits in groups of three, by blanks (`9 500`), apostrophes (`1'234'567`), points where there are two
/// of them or more (`1.234.567`), or underscores as in Python (`1_234`), without what groups them.
pub(super) fn ungrouped(text: &str) -> Option<String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let lead = digits.bytes().take_while(u8::is_ascii_digit).count();
    let mark = digits[lead..].chars().next().filter(|_| (1..=3).contains(&lead))?;
    if !matches!(mark, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\'' | '’' | '.' | '_') {
        return None;
    }
    // A decimal part behind blanks: `9 500.25`.
    let (whole, decimals) = match mark {
        '.' => (digits, ""),
        _ => digits.find('.').map_or((digits, ""), |point| digits.split_at(point)),
    };
    let mut groups = whole.split(mark).skip(1);
    let are_groups = groups.all(|group| group.len() == 3 && group.bytes().all(|b| b.is_ascii_digit()));
    let are_decimals =
        decimals.is_empty() || decimals.len() > 1 && decimals[1..].bytes().all(|b| b.is_ascii_digit());
    let enough = mark != '.' || whole.matches('.').count() > 1;
    (are_groups && are_decimals && enough).then(|| {
        let sign = &text[..text.len() - digits.len()];
        format!("{sign}{}{decimals}", whole.replace(mark, ""))
    })
}

/// `Option B`, `choice (B)`, `\text{Option B}`: the letter.
pub(super) fn option(text: &str) -> Option<&str> {
    let inside = ["\\text{", "\\textbf{", "\\mathrm{"]
        .iter()
        .find_map(|command| text.strip_prefix(command)?.strip_suffix('}'));
    let text = inside.unwrap_or(text).trim();
    let word = text.bytes().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let names =
        ["option", "choice", "answer", "letter"].iter().any(|name| text[..word].eq_ignore_ascii_case(name));
    let letter = text[word..].trim().trim_start_matches(['(', '[']).trim_end_matches([')', ']']);
    (names && letter.len() == 1 && letter.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(letter)
}

/// `3 to 2`, `3 is to 2`: a ratio in words, with colons.
pub(super) fn ratio_in_words(text: &str) -> Option<String> {
    if text.len() > 40 || !text.contains(" to ") {
        return None;
    }
    let parts: Vec<&str> =
        text.split(" to ").map(|part| part.strip_suffix(" is").unwrap_or(part).trim()).collect();
    let is_number =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (parts.len() > 1 && parts.iter().all(is_number)).then(|| parts.join(":"))
}

/// A choice letter with something beside it: `(C) 60`, `C. sixty`, `E: a score`, `\textbf{(C)}\ 60`, `\text{C: ...}`.
pub(super) fn choice(text: &str) -> Option<(char, &str)> {
    if !text.starts_with(['(', '[', '\\', '*', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J']) {
        return None;
    }
    let mut rest = text;
    let mut braces = false;
    for command in ["\\text{", "\\textbf{", "\\mathrm{", "\\mathbf{", "\\textrm{", "\\bf{", "**"] {
        if let Some(inside) = rest.strip_prefix(command) {
            rest = inside.trim_start();
            braces = command.ends_with('{');
            break;
        }
    }
    let open = rest.starts_with(['(', '[']);
    let inside = if open { &rest[1..] } else { rest };
    let letter = inside.chars().next().filter(|letter| ('A'..='J').contains(letter))?;
    let behind = &inside[1..];
    let mark = behind.chars().next()?;
    let marked = match mark {
        ')' | ']' => true,
        '.' | ':' => {
            !open && behind[1..].starts_with(|c: char| c.is_whitespace() || c == '\\' || c == '*' || c == '}')
        }
        // `B — a sound guess`
        ' ' => !open && behind.trim_start().starts_with(['—', '–']),
        _ => false,
    };
    if !marked {
        return None;
    }
    let mut behind = behind.trim_start().trim_start_matches([')', ']', '.', ':', '—', '–']);
    behind = behind.trim_start();
    // What the command of the letter closed, or what closes at the very end.
    if braces {
        let open = behind.matches('{').count();
        let close = behind.matches('}').count();
        if behind.starts_with('}') {
            behind = &behind[1..];
        } else if close == open + 1 {
            behind = behind.strip_suffix('}').unwrap_or(behind);
        }
    }
    behind = behind.trim_start_matches("**");
    for blank in ["\\ ", "\\,", "\\;", "\\quad", "~"] {
        behind = behind.trim_start().strip_prefix(blank).unwrap_or(behind);
    }
    let behind = behind.trim_matches(|c: char| c.is_whitespace() || c == '$');
    // An interval or a product is no choice: `(A)(B)`, `(A) + 1`.
    let is_math = behind.starts_with(['+', '*', '/', '^', '=', '-', ',', '(', '∪', '<', '>'])
        || behind.starts_with("\\cup")
        || behind.starts_with("\\cdot");
    let is_list = behind.starts_with("and ") || behind.starts_with("or ");
    (!behind.is_empty() && !is_math && !is_list).then_some((letter, behind))
}

/// What a program prints around a list or a matrix: `array([[1, 2], [3, 4]])`, `Matrix(...)`, `tensor(...)`.
pub(super) fn without_wrapper(text: &str) -> Option<&str> {
    let open = text.find('(')?;
    #[rustfmt::skip]
    const NAMES: &[&str] = &[
        "array", "np.array", "numpy.array", "Matrix", "sp.Matrix", "sympy.Matrix", "tensor", "torch.tensor",
        "list", "tuple", "jnp.array", "ImmutableMatrix",
    ];
    let name = text[..open].trim();
    (NAMES.contains(&name) || name == "matrix").then_some(())?;
    let inside = text[open + 1..].trim_end().strip_suffix(')')?;
    let end = inside.find(", dtype").unwrap_or(inside.len());
    Some(inside[..end].trim())
}

/// The name and the value of an equation whose left side is a name applied to something: `E[X^2] = 432`,
/// `P(A \cap B) = 1/6`, `|AB| = 5`.
pub(super) fn applied_name(text: &str) -> Option<(String, &str)> {
    let (left, right) = text.split_once('=')?;
    let (left, right) = (left.trim(), right.rsplit('=').next().unwrap_or(right).trim());
    let plain = left.trim_start_matches('\\');
    let name = plain.bytes().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let applied = plain[name..].trim_start_matches("\\left");
    let is_applied = (1..=12).contains(&name)
        && (applied.starts_with('[') && applied.ends_with(']')
            || applied.starts_with('(') && applied.ends_with(')')
            || applied.starts_with('{') && applied.ends_with('}'));
    (is_applied && !right.is_empty()).then(|| (plain_text(left), right))
}

/// Undoes doubled backslashes (`\\\\frac`, from text that was escaped twice); `None` where there are none, or where they
/// may be the row breaks of a matrix.
pub(super) fn unescape(text: &str) -> Option<String> {
    // One look at each byte, since most answers have none.
    let may_be = |bytes: &[u8]| bytes[0] == b'\\' && bytes[1] == b'\\' && bytes[2].is_ascii_alphabetic();
    if !text.as_bytes().windows(3).any(may_be) {
        return None;
    }
    let doubled = text
        .match_indices("\\\\")
        .any(|(at, _)| text[at + 2..].starts_with(|c: char| c.is_ascii_alphabetic()));
    (doubled && !text.contains("\\begin")).then(|| text.replace("\\\\", "\\"))
}

fn strip_wrapping<'a>(text: &'a str, mark: &str) -> &'a str {
    let text = text.strip_suffix(mark).unwrap_or(text);
    text.strip_prefix(mark).unwrap_or(text)
}

/// `$...$` with nothing but mathematics inside.
fn strip_dollars(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('$')?.strip_suffix('$')?;
    (!inside.contains('$')).then_some(inside)
}

/// `A)`, `(A`, `A:`: a choice letter with half a bracket.
fn choice_letter(text: &str) -> Option<&str> {
    let letter = text.strip_suffix(')').or_else(|| text.strip_prefix('('))?.trim();
    (letter.len() == 1 && letter.as_bytes()[0].is_ascii_uppercase()).then_some(letter)
}

/// The words of an answer that has nothing but words in it, in lower case; `None` for anything else.
pub(super) fn words_of(tokens: &[Token]) -> Option<String> {
    let mut words = String::new();
    let mut wordy = false;
    for token in tokens {
        let word = match &token.kind {
            Kind::Letters(word) => {
                wordy |= parser::is_word(word);
                word
            }
            Kind::Text(word) => {
                wordy |= word.len() > 1;
                word
            }
            Kind::And => "and",
            Kind::Or => "or",
            Kind::Symbol(',' | '-' | '\'' | ';') => continue,
            _ => return None,
        };
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    let mut words = lowercase(&words);
    words.retain(|c| c != '.' && c != '\'');
    wordy.then(|| said(&words))
}

/// Words without those that only make a sentence of them: "There is no solution" says "no solution".
fn said(words: &str) -> String {
    #[rustfmt::skip]
    const LEADS: &[&str] = &[
        "there is", "there are", "there exists", "there exist", "it is", "it was", "this is", "that is",
        "its", "the",
    ];
    let mut words: Vec<&str> = words.split_whitespace().collect();
    for lead in LEADS {
        let lead: Vec<&str> = lead.split(' ').collect();
        if words.len() > lead.len() && words.starts_with(&lead) {
            words.drain(..lead.len());
        }
    }
    if words.len() > 1 && matches!(words[0], "a" | "an") {
        words.remove(0);
    }
    let singular = |word: &str| match word {
        "solutions" => "solution".to_owned(),
        "roots" => "root".to_owned(),
        "dne" => "does not exist".to_owned(),
        word => word.to_owned(),
    };
    words.into_iter().map(singular).collect::<Vec<_>>().join(" ")
}

/// The text of an answer that is neither mathematics nor plain words, without spacing and sizing.
pub(super) fn plain_text(text: &str) -> String {
    let mut plain: String = text.chars().filter(|c| !c.is_whitespace() && *c != '$').collect();
    for command in ["\\left", "\\right", "\\!", "\\,", "\\;", "\\quad"] {
        if plain.contains(command) {
            plain = plain.replace(command, "");
        }
    }
    plain = plain.replace("\\ldots", "\\dots").replace("...", "\\dots");
    if plain.contains("\\to") || plain.contains("arrow") {
        plain = plain.replace("\\rightarrow", "→").replace("\\longrightarrow", "→").replace("\\to", "→");
    }
    plain.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
}
