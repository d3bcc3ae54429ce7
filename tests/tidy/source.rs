//! Rules on Rust sources: module documentation, platform seams, unfinished work, names of files.
//!
//! The rules look at code without its comments and the contents of its strings, so that a text may speak of what code
//! must not do; [`views`] separates the three.

use super::{File, Problem};

/// Names that say nothing of what lives in a file.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "base", "manager", "handler", "misc"];

/// What of the trainer reads and writes files: the rest gets its data from the host.
const FILES_OF_TRAINING: [&str; 4] = [
    "crates/train/src/checkpoint.rs",
    "crates/train/src/checkpoint/",
    "crates/train/src/log.rs",
    "crates/train/src/config/read.rs",
];

/// What changes the disk, as code names it.
const WRITES: [&str; 11] = [
    "OpenOptions",
    "File::create",
    "File::options",
    "fs::write",
    "fs::rename",
    "fs::copy",
    "fs::hard_link",
    "remove_file",
    "remove_dir_all",
    "create_dir",
    "create_dir_all",
];

/// All rules on sources.
pub fn check(files: &[File]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files {
        let Some(text) = file.text() else { continue };
        if file.has_extension(&["rs"]) {
            let views = views(text);
            problems.extend(module_doc(file, text));
            problems.extend(platform(file, text, &views.code));
            problems.extend(seams(file, &views.code));
            problems.extend(writes(file, &views.code));
            problems.extend(unfinished_code(file, &views.code));
            problems.extend(unowned_notes(file, &views.comments));
        } else if file.has_extension(&["mjs", "js", "ts", "py", "sh", "toml", "css", "html", "yml", "wgsl"]) {
            problems.extend(unowned_notes(file, text));
        }
        problems.extend(name(file));
    }
    problems
}

/// A source begins with what lives in it.
fn module_doc(file: &File, text: &str) -> Option<Problem> {
    let message = "begins without a module doc: `//! What lives here, and what does not.`";
    (!text.starts_with("//!")).then(|| Problem::new(&file.path, 1, message))
}

/// Only hosts know the platform.
fn platform(file: &File, text: &str, code: &str) -> Vec<Problem> {
    let names_wasm = |(code, line): (&str, &str)| {
        has_word(code, "target_family") || (has_word(code, "target_arch") && line.contains("wasm"))
    };
    let message =
        "a cfg for wasm outside web/: pass in what differs (a device, a source of bytes, a transport)";
    // Vector instructions are of a platform.
    if ["web/", "crates/processor/"].iter().any(|free| file.path.starts_with(free)) {
        return Vec::new();
    }
    lines_where(code.lines().zip(text.lines()), names_wasm, &file.path, message)
}

/// What libraries get from their hosts and never reach for themselves.
fn seams(file: &File, code: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let is_library = |crate_: &str| file.path.starts_with(crate_) && !file.path.ends_with("/tests.rs");
    let library = library_part(code);
    let forbid_std = |module: &'static str, message: &str| {
        let offsets = std_module_uses(library, module);
        offsets
            .into_iter()
            .map(|offset| Problem::new(&file.path, line_at(library, offset), message))
            .collect::<Vec<_>>()
    };
    if is_library("crates/core/src/") {
        problems.extend(forbid_std("fs", "core does no IO: take a `BufRead` or the text"));
        problems.extend(forbid_std(
            "time",
            "core takes no clock: times are plain arguments, and budgets count steps",
        ));
        let message = "core is not async: what waits belongs to a host, a client or a model";
        let is_async = |line: &str| has_word(line, "async") || line.contains(".await");
        problems.extend(lines_where(library.lines(), is_async, &file.path, message));
    }
    if is_library("crates/train/src/") && !FILES_OF_TRAINING.iter().any(|path| file.path.starts_with(path)) {
        problems.extend(forbid_std(
            "fs",
            "the trainer's files are those of `checkpoint`, `log` and the configuration: take the contents",
        ));
    }
    if is_library("crates/model/src/") {
        problems.extend(forbid_std("fs", "the model reads through `ModelFiles`, which hosts implement"));
        let message = "a backend by name: the host passes in a device";
        let backends =
            ["burn_flex", "burn_wgpu", "burn_cuda", "burn_ndarray", "burn_cubecl", "cubecl", "wgpu"];
        let names_backend = |line: &str| backends.iter().any(|backend| has_word(line, backend));
        problems.extend(lines_where(library.lines(), names_backend, &file.path, message));
    }
    problems
}

/// One room for the disk: what the programs write goes through `conclave-disk`, which knows locks, names and what a killed
/// process leaves. (Tests, and the developer commands, write as they like. The cache of a hub is a layout with locks of its own that
/// other programs share, and `conclave-disk` knows the model's seams, which a download has no use for: one module writes it.)
fn writes(file: &File, code: &str) -> Vec<Problem> {
    let is_program = ["crates/", "web/src/", "build.rs"].iter().any(|folder| file.path.starts_with(folder));
    let is_free = ["crates/disk/", "crates/xtask/", "crates/hub/src/store.rs"]
        .iter()
        .any(|folder| file.path.starts_with(folder));
    let is_test = ["/tests/", "/benches/"].iter().any(|folder| file.path.contains(folder));
    if !is_program || is_free || is_test || file.path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let library = &code[..code.find("#[cfg(test)]\nmod tests {").unwrap_or(code.len())];
    let message = "writes to the disk: `conclave-disk` does that (WholeFile, Resumable, NewFolder, ...)";
    let is_write = |line: &str| {
        WRITES.iter().any(|name| has_word(line, name))
            || words(line, "tempfile").any(|end| line[end..].starts_with("::"))
    };
    lines_where(library.lines(), is_write, &file.path, message)
}

/// Macros that stand for work not done.
fn unfinished_code(file: &File, code: &str) -> Vec<Problem> {
    let message = "unfinished code: finish it, or leave it out";
    let is_unfinished = |line: &str| ["todo", "unimplemented"].iter().any(|name| has_macro(line, name));
    lines_where(code.lines(), is_unfinished, &file.path, message)
}

/// Notes about work to do that name nobody who will do it.
fn unowned_notes(file: &File, comments: &str) -> Vec<Problem> {
    let message = "a note without an owner: `TODO(name): what and when`, or do it, or leave it out";
    let is_unowned = |line: &str| {
        ["TODO", "FIXME"].iter().any(|note| words(line, note).any(|end| !line[end..].starts_with('(')))
    };
    lines_where(comments.lines(), is_unowned, &file.path, message)
}

/// A file is named for what lives in it.
fn name(file: &File) -> Option<Problem> {
    let stem = file.path.rsplit('/').next()?.split('.').next()?;
    let message = format!("`{stem}` names nothing: name the noun or verb of the field that lives here");
    let is_code = file.has_extension(&["rs", "mjs", "js", "ts", "py", "wgsl"]);
    (is_code && EMPTY_NAMES.contains(&stem)).then(|| Problem::new(&file.path, 1, message))
}

/// The text with everything but one kind of content blanked, line breaks kept.
struct Views {
    /// Without comments and the contents of strings and characters.
    code: String,
    /// Only the comments.
    comments: String,
}

/// Separates code from comments and strings: as much of Rust's lexical rules as that takes.
fn views(text: &str) -> Views {
    let mut code = text.as_bytes().to_vec();
    let mut comments = text.as_bytes().to_vec();
    let mut at = 0;
    while at < text.len() {
        let (length, kind) = token(text, at);
        for index in at..at + length {
            let blank = |bytes: &mut Vec<u8>| {
                if bytes[index] != b'\n' {
                    bytes[index] = b' ';
                }
            };
            match kind {
                Kind::Code => blank(&mut comments),
                Kind::Comment => blank(&mut code),
                Kind::Literal => {
                    blank(&mut code);
                    blank(&mut comments);
                }
            }
        }
        at += length;
    }
    let whole = |bytes| String::from_utf8(bytes).expect("whole tokens are blanked");
    Views { code: whole(code), comments: whole(comments) }
}

#[derive(Clone, Copy)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// Length and kind of what begins at `at`: a comment, a string, a character, or one character of code.
fn token(text: &str, at: usize) -> (usize, Kind) {
    let rest = &text[at..];
    let first = rest.chars().next().map_or(1, char::len_utf8);
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Kind::Comment);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), Kind::Comment);
    }
    if rest.starts_with('"') {
        return (quoted(rest, '"'), Kind::Literal);
    }
    if let Some(length) = raw_string(text, at) {
        return (length, Kind::Literal);
    }
    if let Some(inside) = rest.strip_prefix('\'') {
        // 'x' or '\...' is a character, anything else a lifetime.
        let second = inside.chars().next().map_or(0, char::len_utf8);
        if inside.starts_with('\\') || inside.get(second..).is_some_and(|end| end.starts_with('\'')) {
            return (quoted(rest, '\''), Kind::Literal);
        }
    }
    (first, Kind::Code)
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Length up to and with the closing quote; `\` escapes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of `r"..."`, `r#"..."#` and so on, which may begin with `b` or `c`.
fn raw_string(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    if text[..at].ends_with(is_word) {
        return None;
    }
    let after_r = rest.strip_prefix(['b', 'c']).unwrap_or(rest).strip_prefix('r')?;
    let hashes = after_r.len() - after_r.trim_start_matches('#').len();
    let body = after_r[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - body.len();
    Some(body.find(&close).map_or(rest.len(), |end| start + end + close.len()))
}

/// The part of a file before its unit tests.
fn library_part(code: &str) -> &str {
    let tests = code.find("#[cfg(test)]\nmod ").or_else(|| code.find("#[cfg(test)]\n#["));
    &code[..tests.unwrap_or(code.len())]
}

/// Where `std::MODULE` is named, directly or within `std::{...}`.
fn std_module_uses(code: &str, module: &str) -> Vec<usize> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("std::") {
        let rest = &code[at + 5..];
        if code[..at].ends_with(is_word) {
            continue;
        }
        if starts_with_word(rest, module) {
            found.push(at);
        } else if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut begins) = (1, true);
            for (offset, character) in group.char_indices() {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ if depth == 1 && begins && starts_with_word(&group[offset..], module) => {
                        found.push(at + 6 + offset)
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                begins = character == ',' || (begins && character.is_whitespace());
            }
        }
    }
    found
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| !rest.starts_with(is_word))
}

/// The ends of the occurrences of a whole word.
fn words<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let whole =
        move |&(at, _): &(usize, &str)| starts_with_word(&line[at..], word) && !line[..at].ends_with(is_word);
    line.match_indices(word).filter(whole).map(move |(at, _)| at + word.len())
}

fn has_word(line: &str, word: &str) -> bool {
    words(line, word).next().is_some()
}

fn has_macro(line: &str, name: &str) -> bool {
    words(line, name).any(|end| line[end..].starts_with('!') && !line[end..].starts_with("!="))
}

fn line_at(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

fn lines_where<T>(
    lines: impl Iterator<Item = T>,
    is_wrong: impl Fn(T) -> bool,
    path: &str,
    message: &str,
) -> Vec<Problem> {
    let wrong = lines.enumerate().filter_map(|(index, line)| is_wrong(line).then_some(index + 1));
    wrong.map(|line| Problem::new(path, line, message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    /// The lines with problems of a source, whose first line is a module doc (line 1).
    fn lines(path: &str, code: &str) -> Vec<String> {
        let found = places(check, &[(path, &format!("//! Doc.\n{code}"))]);
        found.iter().map(|place| place.rsplit(':').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn a_file_without_a_module_doc_is_found() {
        for text in ["", "use std::io;\n//! Late.\n", "// Not a doc.\n"] {
            assert_eq!(places(check, &[("crates/cli/main.rs", text)]), ["crates/cli/main.rs:1"]);
        }
    }

    #[test]
    fn a_platform_cfg_is_found_outside_the_browser_host() {
        let code = "#[cfg(not(target_family = \"wasm\"))]\nfn a() {}\nif cfg!(target_arch = \"wasm32\") {}\n";
        assert_eq!(lines("crates/model/src/a.rs", code), ["2", "4"]);
        assert_eq!(lines("web/src/a.rs", code), [""; 0]);
        let good =
            "// no cfg(target_family) here\nlet s = \"target_family\";\n#[cfg(target_arch = \"x86_64\")]\n";
        assert_eq!(lines("crates/model/src/a.rs", good), [""; 0]);
    }

    #[test]
    fn files_clocks_and_async_are_found_in_core() {
        let code =
            "use std::fs;\nuse std::{io, fs::File};\nuse std::time::Instant;\nasync fn f() {}\nx.await;\n";
        assert_eq!(lines("crates/core/src/a.rs", code), ["2", "3", "4", "5", "6"]);
        let good = "use std::{fmt, io};\nuse my_std::fs;\nuse std::fsx;\nuse std::{io::{self, fs}};\nlet asynchronous = 1;\n";
        assert_eq!(lines("crates/core/src/a.rs", good), [""; 0]);
        assert_eq!(lines("crates/cli/a.rs", code), [""; 0]);
    }

    #[test]
    fn files_and_backends_are_found_in_the_model_but_not_in_its_tests() {
        let code = "use std::{\n    io,\n    fs,\n};\nuse burn_wgpu::X;\n";
        assert_eq!(lines("crates/model/src/a.rs", code), ["4", "6"]);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{code}}}\n");
        assert_eq!(lines("crates/model/src/a.rs", &tests), [""; 0]);
    }

    #[test]
    fn files_are_found_in_the_trainer_but_not_where_a_run_is_saved() {
        let code = "use std::fs;\n";
        assert_eq!(lines("crates/train/src/data/sets.rs", code), ["2"]);
        for path in ["log.rs", "checkpoint.rs", "checkpoint/files.rs", "config/read.rs", "config/tests.rs"] {
            assert_eq!(lines(&format!("crates/train/src/{path}"), code), [""; 0], "{path}");
        }
    }

    #[test]
    fn writing_is_found_outside_of_the_room_for_the_disk() {
        let code = "let a = File::create(path);\nstd::fs::write(path, text);\nOpenOptions::new();\nfs::rename(a, b);\n\
                    use std::fs::{remove_file};\ntempfile::tempdir();\nstd::fs::create_dir_all(path);\n";
        for path in [
            "crates/cli/vote.rs",
            "crates/train/src/checkpoint/mod.rs",
            "crates/files/src/a.rs",
            "web/src/a.rs",
        ] {
            assert_eq!(lines(path, code), ["2", "3", "4", "5", "6", "7", "8"], "{path}");
        }
        let free = [
            "crates/disk/src/whole.rs",
            "crates/xtask/src/a.rs",
            "tests/a.rs",
            "crates/train/tests/a.rs",
            "crates/train/src/a/tests.rs",
        ];
        for path in free {
            assert_eq!(lines(path, code), [""; 0], "{path}");
        }
        let good = format!(
            "File::open(path);\nfs::read(path);\nwrite!(a, \"\");\nfile.set_len(0);\n#[cfg(test)]\nmod tests {{\n{code}}}\n"
        );
        assert_eq!(lines("crates/cli/vote.rs", &good), [""; 0]);
    }

    #[test]
    fn unfinished_work_is_found() {
        let code = "fn f() { todo!() }\nfn g() { unimplemented!(\"later\") }\n// TODO: later\n/* FIXME */\nlet todo = 1;\n";
        assert_eq!(lines("crates/cli/a.rs", code), ["2", "3", "4", "5"]);
        let good = "// TODO(ada): when 0.23 is out\nlet text = \"TODO: todo!()\";\nlet s = r#\"FIXME \"todo!()\" \"#;\nTODOS;\n";
        assert_eq!(lines("crates/cli/a.rs", good), [""; 0]);
        assert_eq!(places(check, &[("web/a.mjs", "f();\n// TODO later\n")]), ["web/a.mjs:2"]);
    }

    #[test]
    fn an_empty_name_is_found() {
        assert_eq!(lines("crates/cli/utils.rs", ""), ["1"]);
        assert_eq!(lines("crates/cli/based_on.rs", ""), [""; 0]);
    }

    #[test]
    fn code_comments_and_strings_are_told_apart() {
        let text =
            "a('\"', \"b//\\\"c\", 'l: '\\'', r\"\\\", br#\"d\"#) // e \"f\"\n/* g /* h */ i */ 'é' r#type j";
        let views = views(text);
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed(&views.code), "a( , , 'l: , , ) r#type j");
        assert_eq!(squeezed(&views.comments), "// e \"f\" /* g /* h */ i */");
    }
}
