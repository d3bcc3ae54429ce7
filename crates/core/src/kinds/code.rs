//! Whether a text is program code: by what its lines begin and end with and the signs in them, in any common language.

use super::words::words;

/// Words with which a line of code begins, in lower case.
#[rustfmt::skip]
const CODE_STARTS: &[&str] = &[
    "def ", "class ", "import ", "from ", "#include", "#define", "using ", "namespace ", "public ", "private ", "static ",
    "function ", "const ", "let ", "var ", "fn ", "pub ", "impl ", "struct ", "enum ", "return ", "return;", "if (", "if [", "for (",
    "while (", "else", "elif ", "} else", "try:", "try {", "except", "catch", "print(", "print ", "println", "printf", "console.",
    "select ", "insert into", "update ", "create table", "with ", "package ", "func ", "int ", "void ", "float ", "double ",
    "string ", "async ", "await ", "@", "//", "/*", "*/", "#!", "<?php", "<html", "<!doctype", "<div", "<p", "<span", "</", "for ",
    "while ", "if ", "export ", "module ", "use ", "echo ", "end", "begin", "$ ", "require", "where ", "group by", "order by",
    "limit ", "join ", "left join", "inner join", "do", "done", "fi", "then", "esac", "sudo ", "cd ", "mkdir ", "pip ", "npm ",
    "git ", "curl ", "puts ", "my $", "sub ", "(defun", "(define", "(let", "data ", "type ", "instance ", "template", "switch",
    "case ", "break", "continue", "raise ", "throw ", "assert ", "with open", "head ", "cat ", "grep ", "awk ", "set ", "yield ",
];

/// Signs that stand in code and hardly ever in sentences.
#[rustfmt::skip]
const CODE_SIGNS: &[&str] = &[
    "();", ");", "()", "==", "!=", "+=", "-=", "=>", "->", "::", "&&", "||", "<-", ":=", "</", "/>", " = ", "= [", "= {", "${", "$(", "\"$",
    "self.", "this.", "++", "--", "[i]", "<<", ">>", "%d", "\\n", "; ", "*.", " |", "$1", "i:", "0:",
];

/// Whether a text may be program code: without any of these no line is code for certain.
pub(super) fn may_be_code(text: &str) -> bool {
    const NEEDED: [&str; 14] = [
        "```", ";", "{\n", "}\n", ":\n", "\n  ", "\n\t", "import ", "print", "elect ", "ELECT ", "echo ",
        "end", "done",
    ];
    text.ends_with(['}', ']', ')']) || NEEDED.iter().any(|mark| text.contains(mark))
}

/// Whether most of a text is program code.
pub(super) fn is_code(text: &str) -> bool {
    if !may_be_code(text) {
        return false;
    }
    // A fence with code in it, and little behind it.
    if let Some(start) = text.find("```") {
        let rest = &text[start + 3..];
        let (inside, behind) = rest.split_once("```").unwrap_or((rest, ""));
        let (language, body) = inside.split_once('\n').unwrap_or((inside, ""));
        let language = language.trim().to_ascii_lowercase();
        let is_text =
            ["json", "latex", "math", "text", "txt", "markdown", "md", "output", "plaintext", "tex"];
        if !is_text.contains(&language.as_str()) && (!language.is_empty() || share_of_code(body) >= 0.4) {
            return words(behind) < 60 || behind.contains("```");
        }
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    if lines == 1 && is_call(text.trim()) {
        return true;
    }
    let is_one = lines == 1
        && text.trim_end().ends_with([';', '}'])
        && CODE_SIGNS.iter().any(|sign| text.contains(sign));
    is_one || lines >= 2 && share_of_code(text) >= 0.6
}

/// Whether a line is the call of a function with a text or a named argument: `get_weather(city="Oslo", days=3)`.
fn is_call(line: &str) -> bool {
    let Some((name, arguments)) = line.split_once('(') else { return false };
    let is_name = name.len() > 2 && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
    is_name && line.ends_with(')') && arguments.contains(['"', '\''])
}

/// The share of lines that look like code: they begin as code does, hold its signs or are indented, and are no sentences.
fn share_of_code(text: &str) -> f64 {
    let (mut all, mut code, mut sure) = (0usize, 0usize, 0usize);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        all += 1;
        let trimmed = line.trim();
        // LaTeX, a sentence, a point of a list.
        if trimmed.contains('\\') && !trimmed.contains("\\n")
            || trimmed.ends_with('.') && words(trimmed) > 4
            || trimmed.starts_with(['-', '*']) && words(trimmed) > 2
        {
            continue;
        }
        let signs = CODE_SIGNS.iter().filter(|sign| trimmed.contains(*sign)).count();
        if signs == 0 && trimmed.contains('$') {
            continue;
        }
        let lower = trimmed.get(..trimmed.floor_char_boundary(24)).unwrap_or(trimmed).to_ascii_lowercase();
        let first = lower.as_bytes().first();
        let begins =
            CODE_STARTS.iter().any(|start| start.as_bytes().first() == first && lower.starts_with(start));
        let closes =
            trimmed.ends_with([';', '{', '}']) || matches!(trimmed, ")" | "]" | "end" | "done" | "fi");
        let is_indented = line.starts_with("  ") || line.starts_with('\t');
        let is_strong =
            closes || begins && (signs > 0 || trimmed.ends_with(':')) || signs >= 2 && is_indented;
        sure += usize::from(is_strong);
        code += usize::from(is_strong || begins && words(trimmed) <= 12 || is_indented && signs > 0);
    }
    if sure == 0 { 0.0 } else { code as f64 / all as f64 }
}
