//! The tables of the lexer: which character or command stands for which symbol.

pub(super) fn superscripts() -> impl Iterator<Item = (char, char)> {
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿˣ".chars().zip("0123456789-+nx".chars())
}

pub(super) fn plain_symbol(c: char) -> Option<char> {
    Some(match c {
        '+' | '-' | '*' | '/' | '^' | '_' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | ',' | ';' | ':'
        | '%' | '\'' | '&' | '°' | '±' | '∓' | '∈' | '∪' | '∩' | '∞' | '≤' | '≥' | '≠' | '≈' | '⟨' | '⟩'
        | '⌊' | '⌋' | '⌈' | '⌉' | '€' | '£' | '¥' | '¢' | '₹' | '₩' | '₽' => c,
        '×' | '·' | '⋅' | '∗' | '∙' | '•' => '*',
        '÷' | '∕' | '⁄' => '/',
        '−' | '–' | '—' | '‐' | '‑' => '-',
        '≡' => '=',
        '⩽' | '≦' => '≤',
        '⩾' | '≧' => '≥',
        '≃' | '∼' => '≈',
        '，' | '、' => ',',
        '；' => ';',
        '：' => ':',
        '（' => '(',
        '）' => ')',
        '％' => '%',
        '′' | '’' => '\'',
        'º' | '˚' => '°',
        '∖' => '∖',
        _ => return None,
    })
}

pub(super) fn symbol_command(name: &str) -> Option<char> {
    Some(match name {
        "cdot" | "times" | "ast" | "bullet" => '*',
        "div" => '/',
        "pm" => '±',
        "mp" => '∓',
        "le" | "leq" | "leqslant" | "leqq" => '≤',
        "ge" | "geq" | "geqslant" | "geqq" => '≥',
        "lt" => '<',
        "gt" => '>',
        "ne" | "neq" => '≠',
        "equiv" => '=',
        "approx" | "simeq" | "sim" | "doteq" | "approxeq" => '≈',
        "in" => '∈',
        "cup" | "bigcup" => '∪',
        "cap" => '∩',
        "setminus" | "backslash" => '∖',
        "infty" | "infinity" => '∞',
        "circ" | "degree" | "textdegree" => '°',
        "lbrace" => '⦃',
        "rbrace" => '⦄',
        "lbrack" => '[',
        "rbrack" => ']',
        "langle" => '⟨',
        "rangle" => '⟩',
        "lvert" | "rvert" | "vert" | "mid" => '|',
        "lfloor" => '⌊',
        "rfloor" => '⌋',
        "lceil" => '⌈',
        "rceil" => '⌉',
        "prime" => '\'',
        "colon" => ':',
        "textdollar" => '$',
        "euro" => '€',
        "pounds" => '£',
        "cent" => '¢',
        "lparen" => '(',
        "rparen" => ')',
        _ => return None,
    })
}

const GREEK: [(&str, char); 30] = [
    ("alpha", 'α'),
    ("beta", 'β'),
    ("gamma", 'γ'),
    ("delta", 'δ'),
    ("epsilon", 'ε'),
    ("varepsilon", 'ϵ'),
    ("zeta", 'ζ'),
    ("eta", 'η'),
    ("theta", 'θ'),
    ("vartheta", 'ϑ'),
    ("iota", 'ι'),
    ("kappa", 'κ'),
    ("lambda", 'λ'),
    ("mu", 'μ'),
    ("nu", 'ν'),
    ("xi", 'ξ'),
    ("rho", 'ρ'),
    ("sigma", 'σ'),
    ("tau", 'τ'),
    ("upsilon", 'υ'),
    ("phi", 'φ'),
    ("varphi", 'ϕ'),
    ("chi", 'χ'),
    ("psi", 'ψ'),
    ("omega", 'ω'),
    ("Gamma", 'Γ'),
    ("Delta", 'Δ'),
    ("Omega", 'Ω'),
    ("Sigma", 'Σ'),
    ("ell", 'ℓ'),
];

pub(super) fn greek_command(name: &str) -> Option<&'static str> {
    GREEK.iter().find(|(command, _)| *command == name).map(|(command, _)| *command)
}

pub(super) fn greek_letter(c: char) -> Option<&'static str> {
    if c.is_ascii() {
        return None;
    }
    GREEK.iter().find(|(_, letter)| *letter == c).map(|(command, _)| *command)
}
