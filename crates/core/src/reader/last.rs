//! The last value in a text that announces none: a formula, a number or a choice letter.

use super::{MAX_ANSWER_BYTES, Scan, announced, value};

/// How far from the end of the text a value is looked for, in bytes.
const WINDOW: usize = 4_096;

impl Scan {
    /// The last value of the text: the end of a chain of equations where the last line is one, else whatever value stands
    /// last.
    pub(super) fn last_value(&mut self, text: &str) -> Option<String> {
        let window = without_instructions(&text[super::window_start(text, WINDOW)..]);
        self.charge(window.len());
        if is_call(window) {
            return None;
        }
        if let Some(list) = last_list(window).or_else(|| last_alternatives(window)) {
            return Some(list);
        }
        if let Some(letter) = letter_called_right(window).or_else(|| letter_at_end(window)) {
            return Some(letter);
        }
        let window = without_clause(window);
        if let Some(value) = last_equation(window) {
            return Some(value);
        }
        if let Some(formula) = last_formula(window) {
            return Some(formula);
        }
        last_in(window)
    }
}

/// `text` without sentences at its end that tell how to answer, as prompts do.
fn without_instructions(text: &str) -> &str {
    let mut text = text.trim_end();
    for _ in 0..4 {
        let body = text.trim_end_matches(['.', '!', '?', ' ', '\n', '*']);
        let start = body
            .rfind(['\n', '!', '?'])
            .map_or(0, |at| at + 1)
            .max(super::last(body, ". ").map_or(0, |at| at + 2));
        if !super::nothing::is_instruction(&body[start..]) {
            break;
        }
        text = body[..start].trim_end();
    }
    text
}

/// Whether a text is a call of a program's function and nothing else.
fn is_call(text: &str) -> bool {
    let text = text.trim();
    let name =
        text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')).count();
    let is_code = text.contains(['\'', '"'])
        || matches!(&text[..name], "print" | "return" | "eval" | "exec" | "console.log");
    name > 2 && text[name..].starts_with('(') && text.ends_with([')', ';']) && is_code
        || text.starts_with('<') && text.ends_with('>') && text.contains("</")
}

/// The items of a last sentence that says what several things are: "The solutions are 2 and 3."
fn last_list(text: &str) -> Option<String> {
    let body = text.trim_end_matches(|c: char| c.is_whitespace() || c == '.');
    let start = body.rfind('\n').map_or(0, |at| at + 1).max(super::last(body, ". ").map_or(0, |at| at + 2));
    let sentence = &body[start..];
    let at = ["are:", "are", "were", "be"].iter().find_map(|verb| {
        let at = super::last(sentence, &format!(" {verb} "))?;
        Some(at + verb.len() + 2)
    })?;
    let list = sentence[at..].trim();
    let joined = list
        .replace(" and ", ", ")
        .replace(" or ", ", ")
        .replace(['$'], "")
        .replace("\\(", "")
        .replace("\\)", "");
    let items: Vec<&str> = joined.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    let is_value = |item: &&str| {
        let item = item.split_once('=').map_or(*item, |(_, value)| value.trim());
        value::number_at(item).is_some_and(|number| number.len() == item.len())
            || item.contains('\\') && !item.contains(' ')
            || item.len() == 1 && item.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    (items.len() > 1 && items.iter().all(is_value)).then(|| items.join(", "))
}

/// The formulas of a last sentence that are joined by a word: "Therefore $x=-1$ or $x=2$."
fn last_alternatives(text: &str) -> Option<String> {
    let sentence = &text[last_sentence(text)..];
    let sentence = sentence.trim_end_matches(|c: char| c.is_whitespace() || c == '.');
    let start = sentence.find('$')?;
    let joined = &sentence[start..];
    let parts: Vec<&str> = joined.split('$').collect();
    // Empty, formula, word, formula, ..., empty.
    let are_joined = parts.len() >= 5
        && parts.len() % 2 == 1
        && parts.first().is_some_and(|part| part.is_empty())
        && parts.last().is_some_and(|part| part.is_empty())
        && parts[2..parts.len() - 1]
            .iter()
            .step_by(2)
            .all(|part| matches!(part.trim(), "or" | "and" | "," | ", and" | ", or"))
        && parts.iter().skip(1).step_by(2).all(|part| part.contains('='));
    let formulas: Vec<&str> = parts.into_iter().skip(1).step_by(2).collect();
    if are_joined { value::answer_of(&formulas.join(", ")) } else { None }
}

/// Where the last sentence of a text begins.
fn last_sentence(text: &str) -> usize {
    let body = text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '.' | '!' | '*'));
    body.rfind('\n').map_or(0, |at| at + 1).max(super::last(body, ". ").map_or(0, |at| at + 2))
}

/// The letter of an option that the last sentence calls right: "Option A is correct.", "C is the best answer."
fn letter_called_right(text: &str) -> Option<String> {
    let sentence = &text[last_sentence(text)..];
    let at = [" is correct", " is the correct", " is right", " is the right", " is best", " is the best"]
        .iter()
        .filter_map(|words| super::last(sentence, words))
        .max()?;
    let word = sentence[..at].rsplit([' ', '*']).next()?.trim_matches(['(', ')', '*', '"', '\'']);
    (word.len() == 1
        && word.bytes().all(|byte| byte.is_ascii_uppercase())
        && !sentence[at..].contains(" not "))
    .then(|| word.to_owned())
}

/// The choice letter that ends the last sentence behind a word that chooses: "I'd go with B.", "So, B."
pub(super) fn letter_at_end(text: &str) -> Option<String> {
    let sentence = text[last_sentence(text)..]
        .trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '.' | '!' | '*' | ')' | '"'));
    let letter = sentence.chars().next_back().filter(|letter| ('A'..='J').contains(letter))?;
    let before = sentence[..sentence.len() - 1].trim_end_matches(['(', '*', '"', ' ', ',', ':']);
    let word = before.rsplit(|c: char| !c.is_alphabetic()).next()?.to_ascii_lowercase();
    let is_apart = sentence[..sentence.len() - 1].ends_with(['(', '*', '"', ' ']);
    let chooses = matches!(
        word.as_str(),
        "with"
            | "be"
            | "choose"
            | "pick"
            | "select"
            | "option"
            | "choice"
            | "so"
            | "thus"
            | "therefore"
            | "hence"
            | "leaves"
            | "for"
            | "is"
    );
    let is_negated = sentence
        .to_ascii_lowercase()
        .split(|c: char| !c.is_alphabetic() && c != '\'')
        .any(|word| matches!(word, "not" | "cannot" | "never" | "neither") || word.ends_with("n't"));
    (is_apart && chooses && !is_negated).then(|| letter.to_string())
}

/// `text` without a clause at its end that speaks of something else: "12, although I considered 13", "12 (13 fails)".
fn without_clause(text: &str) -> &str {
    const WORDS: [&str; 9] = [
        ", although ",
        ", though ",
        " because ",
        ", but not ",
        ", not ",
        ", rather than ",
        " rather than ",
        ", unlike ",
        " instead of ",
    ];
    let start = last_sentence(text);
    let sentence = &text[start..];
    let cut = WORDS.iter().filter_map(|word| super::first(sentence, word)).min();
    // Words in brackets behind the value, which hold none that is a step of a computation.
    let remark = sentence.rfind(" (").filter(|at| {
        let Some((inside, _)) = sentence[at + 2..].split_once(')') else { return false };
        inside
            .split_whitespace()
            .filter(|word| word.len() > 3 && word.bytes().all(|b| b.is_ascii_alphabetic()))
            .count()
            > 1
    });
    let end = match (cut, remark) {
        (Some(a), Some(b)) => a.min(b),
        (a, b) => a.or(b).unwrap_or(sentence.len()),
    };
    // Only where a value was said before it.
    if sentence[..end].bytes().any(|byte| byte.is_ascii_digit()) { &text[..start + end] } else { text }
}

/// The value of a last line that is an equation without words, `= -1013 ln 2026` or `AD = h = 3 + 2√2.`
fn last_equation(text: &str) -> Option<String> {
    let ends = |line: &&str| line.chars().any(char::is_alphanumeric);
    let line = text.lines().rev().find(ends)?.trim();
    let (_, right) = line.rsplit_once('=')?;
    // Words of language are no part of a formula, save for names of functions.
    let is_word = |word: &str| {
        word.chars().count() > 3
            && !matches!(
                word,
                "sqrt" | "cbrt" | "frac" | "sinh" | "cosh" | "tanh" | "arcsin" | "arccos" | "arctan"
            )
    };
    let words = |text: &str| text.split(|c: char| !c.is_alphabetic()).any(is_word);
    if line.contains(['$', '\\', '<', '>', '`', '{', '"', ':', ';', '#']) || words(line) {
        return None;
    }
    let value = value::answer_of(right.trim_end_matches(|c: char| c.is_whitespace() || c == '.'))?;
    let answer = crate::equivalence::Answer::parse(&value);
    (!answer.is_text()).then_some(value)
}

/// The last `$...$`, `\(...\)` or `\[...\]` of a text whole, where no number stands behind it and it says more than the value
/// behind its last equals sign: `x \le 2`, a matrix.
fn last_formula(text: &str) -> Option<String> {
    let formula = |open: &str, close: &str| {
        let end = text.rfind(close)?;
        let start = text[..end].rfind(open)? + open.len();
        Some((end, &text[start..end], &text[end + close.len()..]))
    };
    let last = [("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")].into_iter().filter_map(|(o, c)| formula(o, c));
    let (_, inside, behind) = last.max_by_key(|(end, ..)| *end)?;
    let even = text.matches('$').count().is_multiple_of(2);
    let says_more = inside.contains(['<', '>', '≤', '≥', '∈'])
        || ["\\le", "\\ge", "\\lt", "\\gt", "\\in ", "\\in[", "\\begin", "\\ne"]
            .iter()
            .any(|mark| inside.contains(mark));
    if !even || !says_more || behind.contains(|c: char| c.is_ascii_digit()) || inside.len() > MAX_ANSWER_BYTES
    {
        return None;
    }
    let answer = crate::equivalence::Answer::parse(inside);
    if answer.is_text() { None } else { value::answer_of(inside) }
}

/// The last formula, number or marked choice letter of `text`, whichever stands last.
pub(super) fn last_in(text: &str) -> Option<String> {
    let mut last: Option<String> = None;
    let mut at = 0;
    let mut word = false; // whether the character before belongs to a word, so that no number starts here
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if !word
            && matches!(c, '$' | '\\')
            && let Some((inner, behind)) = announced::math_span(rest)
        {
            // "for each $x$": a variable's name is no value.
            let is_name =
                |value: &String| value.len() == 1 && value.starts_with(|c: char| c.is_ascii_lowercase());
            last = formula_value(inner).filter(|value| !is_name(value)).or(last);
            at = text.len() - behind.len();
        } else if !word
            && matches!(c, '0'..='9' | '-' | '+' | '−' | '$' | '.')
            && let Some(number) = value::number_at(rest)
        {
            if is_label(&text[..at], &rest[number.len()..]) {
                at += number.len();
                word = true;
                continue;
            }
            let length = expression_at(rest, number.len());
            last = value::answer_of(&rest[..length]).or(last);
            at += length;
            word = true;
            continue;
        } else if !word
            && c == '\\'
            && let Some(length) = latex_at(rest)
        {
            last = value::answer_of(&rest[..length]).or(last);
            at += length;
            word = false;
            continue;
        } else if !word
            && matches!(c, '(' | '*')
            && let Some(letter) = value::choice_at(rest)
        {
            last = Some(letter.to_string());
            at += 1;
        } else {
            at += c.len_utf8();
        }
        // Scripts without blanks put their numbers right behind words.
        word = (c.is_alphanumeric() && c < '\u{2e80}') || c == '_';
    }
    last
}

/// Whether a number is the name of something, "Step 3:", "page 5", or numbers a line of a list, "3. Done".
fn is_label(before: &str, behind: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or(before);
    let lists = line.trim().is_empty()
        && before.contains('\n')
        && (behind.starts_with(". ") || behind.starts_with(") "))
        && behind[2..].starts_with(|c: char| c.is_alphabetic());
    let word =
        line.trim_end().rsplit(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_ascii_lowercase();
    lists
        || line.ends_with(' ')
            && matches!(
                word.as_str(),
                "step"
                    | "page"
                    | "case"
                    | "part"
                    | "equation"
                    | "figure"
                    | "question"
                    | "problem"
                    | "theorem"
                    | "lemma"
                    | "example"
                    | "chapter"
                    | "section"
            )
}

/// The length of a formula without dollars that begins with a command: `\frac{54\sqrt{6}}{25}`.
fn latex_at(text: &str) -> Option<usize> {
    const STARTS: [&str; 7] = ["\\frac", "\\dfrac", "\\tfrac", "\\sqrt", "\\pi", "\\binom", "\\dbinom"];
    STARTS.iter().any(|start| text.starts_with(start)).then_some(())?;
    let mut depth = 0;
    let mut end = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' if depth == 0 => break,
            '}' | ')' | ']' => depth -= 1,
            '\\' | '^' | '_' | '+' | '-' | '*' | '/' => {}
            _ if c.is_ascii_alphanumeric() => {}
            _ if depth > 0 => {}
            _ => break,
        }
        end = at + c.len_utf8();
    }
    (depth == 0 && end > 0).then_some(end)
}

/// The length of the expression that begins with a number of this length: `4S/3`, `2 / 1`, `2,74`, `3√2`, `5 * 10^6`. It is
/// taken whole: a piece of it would be another value.
fn expression_at(text: &str, number: usize) -> usize {
    let mut end = number;
    loop {
        let rest = &text[end..];
        let next = rest.chars().next();
        // A decimal comma, "2,74 euros": neither a group of thousands nor the end of a clause.
        if let Some(decimals) = rest.strip_prefix(',')
            && !text[..end].contains([',', '.', '/'])
        {
            let digits = decimals.bytes().take_while(u8::is_ascii_digit).count();
            let ends = !decimals[digits..].starts_with(|c: char| c == ',' || c.is_ascii_digit());
            if (1..=2).contains(&digits) && ends {
                end += 1 + digits;
                continue;
            }
        }
        if let Some(length) = latex_at(rest) {
            end += length;
            continue;
        }
        // A letter or a root right behind: a factor.
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let is_factor = letters == 1 && rest[1..].starts_with(['/', '^', '*', '²', '³']);
        if is_factor && !text[..end].contains('%') {
            end += 1;
            continue;
        }
        match next {
            Some('√') => {
                let digits = rest['√'.len_utf8()..].bytes().take_while(u8::is_ascii_digit).count();
                if digits == 0 {
                    return end;
                }
                end += '√'.len_utf8() + digits;
                continue;
            }
            Some('π') => {
                end += 'π'.len_utf8();
                continue;
            }
            Some('²' | '³') => {
                end += 2;
                continue;
            }
            _ => {}
        }
        // A ratio: `3:2`.
        if let Some(digits) = rest.strip_prefix(':')
            && digits.starts_with(|c: char| c.is_ascii_digit())
        {
            end += 1 + digits.bytes().take_while(u8::is_ascii_digit).count();
            continue;
        }
        // An operator with an operand behind it, spaced on both sides or on none.
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        let behind = &rest[blanks..];
        let Some(operator) = behind.chars().next().filter(|c| matches!(c, '/' | '^' | '*' | '·' | '×' | '÷'))
        else {
            return end;
        };
        if behind.starts_with("**") && !behind[2..].starts_with(|c: char| c.is_ascii_digit()) {
            return end;
        }
        let after = behind.trim_start_matches(operator);
        let spaces = after.len() - after.trim_start_matches(' ').len();
        if blanks > 1 || spaces != blanks {
            return end;
        }
        let operand = &after[spaces..];
        let operand = operand.strip_prefix(['-', '(']).unwrap_or(operand);
        let digits = operand.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let digits = operand[..digits].trim_end_matches('.').len();
        if digits == 0 {
            return end;
        }
        end = text.len() - operand.len() + digits;
        // A closing parenthesis of the operand's own.
        end += usize::from(text[..end].contains('(') && text[end..].starts_with(')'));
    }
}

/// The value of a formula: what stands behind its last equals sign outside braces; all of it where it gives several.
fn formula_value(formula: &str) -> Option<String> {
    if [" or ", " and ", "\\lor", "\\land"].iter().any(|several| formula.contains(several)) {
        return value::answer_of(formula);
    }
    let mut depth = 0i32;
    let mut start = 0;
    for (at, byte) in formula.bytes().enumerate() {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            b'=' if depth == 0 => start = at + 1,
            _ => {}
        }
    }
    value::answer_of(&formula[start..])
}
