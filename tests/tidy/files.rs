//! Rules on every file: its size, what it gives away of a machine, where it says packages come from, and in documents
//! that links lead somewhere.

use std::collections::HashSet;

use super::{File, Problem};

/// A clone stays small.
const MOST_BYTES: usize = 8 << 20;

/// Folders of somebody's machine, which mean nothing on another.
const MACHINE_FOLDERS: [&str; 4] = ["/work", "/root", "/home", "/Users"];

/// Where crates come from; anything else is a mirror that others cannot reach. Lock files of npm name no address at all.
const CRATES: &str = "registry+https://github.com/rust-lang/crates.io-index";
const NO_ADDRESS: &str = "no address (npm's setting omit-lockfile-registry-resolved)";

/// All rules on files.
pub fn check(files: &[File]) -> Vec<Problem> {
    let paths = existing(files);
    let mut problems = Vec::new();
    for file in files {
        problems.extend(size(file));
        let Some(text) = file.text() else { continue };
        for (index, line) in text.lines().enumerate() {
            let message = machine_path(line).or_else(|| registry(file, line));
            problems.extend(message.map(|message| Problem::new(&file.path, index + 1, message)));
        }
        if file.has_extension(&["md"]) {
            problems.extend(links(file, text, &paths));
        }
    }
    problems
}

fn size(file: &File) -> Option<Problem> {
    let message =
        format!("has {} bytes, more than {MOST_BYTES}: keep it outside the repository", file.bytes.len());
    (file.bytes.len() > MOST_BYTES).then(|| Problem::new(&file.path, 1, message))
}

/// An absolute path of a machine.
fn machine_path(line: &str) -> Option<String> {
    let begins = |at: usize| {
        // Not within a longer path or an address: `$HOME/work/`, `example.org/root/`.
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || "_.-~/})".contains(before))
    };
    let names = |folder: &&&str| {
        let folder = format!("{folder}/");
        let mut places = line.match_indices(&folder);
        places.any(|(at, _)| {
            begins(at) && line[at + folder.len()..].starts_with(|after: char| after.is_alphanumeric())
        })
    };
    let folder = MACHINE_FOLDERS.iter().find(names)?;
    Some(format!(
        "a path below {folder} means nothing on another machine: write it from the root of the repository"
    ))
}

/// A place that packages come from other than the public one.
fn registry(file: &File, line: &str) -> Option<String> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let line = line.trim();
    let (found, expected) = match name {
        "Cargo.lock" => (line.strip_prefix("source = \"")?.trim_end_matches('"'), CRATES),
        "package-lock.json" => (line.strip_prefix("\"resolved\": \"http").map(|_| line)?, NO_ADDRESS),
        ".npmrc" => (line.strip_prefix("registry=").map(|_| line)?, NO_ADDRESS),
        "config.toml" if file.path.starts_with(".cargo/") => {
            let sections = ["[source", "[registries", "[registry", "replace-with"];
            (
                sections.iter().any(|section| line.starts_with(section)).then_some(line)?,
                "no setting of registries",
            )
        }
        "requirements.txt" | "pip.conf" | "pyproject.toml" => {
            (line.contains("index-url").then_some(line)?, "no index of its own")
        }
        _ => return None,
    };
    (!found.starts_with(expected)).then(|| format!("`{found}`: expected {expected}"))
}

/// The files and all folders above them.
fn existing(files: &[File]) -> HashSet<String> {
    let mut paths = HashSet::from([String::new()]);
    for file in files {
        let mut path = file.path.as_str();
        paths.insert(path.to_owned());
        while let Some((folder, _)) = path.rsplit_once('/') {
            paths.insert(folder.to_owned());
            path = folder;
        }
    }
    paths
}

/// Relative links of a document that lead nowhere.
fn links(file: &File, text: &str, paths: &HashSet<String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut is_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        }
        let targets = if is_code { Vec::new() } else { targets(line) };
        for target in targets {
            let is_elsewhere =
                target.contains("://") || target.starts_with("mailto:") || target.starts_with('#');
            let path = target.split(['#', '?']).next().unwrap_or_default();
            if !is_elsewhere && !resolve(&file.path, path).is_some_and(|path| paths.contains(&path)) {
                let message = format!("the link `{target}` leads to no file of the repository");
                problems.push(Problem::new(&file.path, index + 1, message));
            }
        }
    }
    problems
}

/// What a line of Markdown links to: `[text](target)`, `[name]: target`, `src="target"`, `href="target"`.
fn targets(line: &str) -> Vec<String> {
    // What stands between backticks is code: every second piece.
    let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let mut found = Vec::new();
    for (open, close) in [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"'), ("href=\"", '"')] {
        for (at, _) in text.match_indices(open) {
            let rest = &text[at + open.len()..];
            found.extend(rest.find(close).map(|end| rest[..end].to_owned()));
        }
    }
    if let Some((_, target)) = text.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
        found.push(target.to_owned());
    }
    // A title may follow the target.
    found.iter().filter_map(|target| target.split_whitespace().next()).map(str::to_owned).collect()
}

/// The path that a relative link in the document `from` means; nothing where it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    fn found(path: &str, text: &str) -> Vec<String> {
        places(check, &[(path, text)])
    }

    #[test]
    fn a_large_file_is_found() {
        assert_eq!(found("a.bin", &"x".repeat(MOST_BYTES + 1)), ["a.bin:1"]);
        assert_eq!(found("a.bin", &"x".repeat(MOST_BYTES)), [""; 0]);
    }

    #[test]
    fn a_path_of_a_machine_is_found() {
        for folder in MACHINE_FOLDERS {
            let text = format!("fine\nsee {folder}/x/y\n");
            assert_eq!(found("a.txt", &text), ["a.txt:2"], "{folder}");
            let good =
                format!("$HOME{folder}/x https://example.org{folder}/x ..{folder}/x {folder} {folder}/\n");
            assert_eq!(found("a.txt", &good), [""; 0], "{folder}");
        }
    }

    #[test]
    fn a_mirror_is_found() {
        let lock = format!("source = \"{CRATES}\"\nsource = \"registry+https://mirror.example/index\"\n");
        assert_eq!(found("Cargo.lock", &lock), ["Cargo.lock:2"]);
        let lock = "\"resolved\": \"packages/a\",\n  \"resolved\": \"https://mirror.example/a.tgz\",\n";
        assert_eq!(found("www/package-lock.json", lock), ["www/package-lock.json:2"]);
        assert_eq!(found("www/.npmrc", "registry=https://mirror.example/\n"), ["www/.npmrc:1"]);
        assert_eq!(found(".cargo/config.toml", "[alias]\n[source.crates-io]\n"), [".cargo/config.toml:2"]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let text =
            "[a](b.md)\n[c](docs/d.md#e) ![f](none.svg \"title\")\n[g]: ../up.md\n<img src=\"h.svg\">\n";
        let files = [
            ("README.md", text),
            ("docs/d.md", "[up](../README.md) [here](.) [x](#y) [w](https://example.org)\n"),
        ];
        assert_eq!(places(check, &files), ["README.md:1", "README.md:2", "README.md:3", "README.md:4"]);
    }

    #[test]
    fn code_is_not_a_link() {
        assert_eq!(found("README.md", "`[a](b)` and `x](y)`\n```\n[a](b)\n```\n"), [""; 0]);
    }
}
