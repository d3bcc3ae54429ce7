//! What lies in a model directory in place of a file: a Git LFS pointer, or a web page.
//!
//! Both have the right name and are small and well formed, so that whoever reads on only finds that the file "is not valid", and
//! downloading it again in the same way brings the same. Here they are told by their first bytes, with what helps.

use crate::error::Error;

/// Bytes of a file's beginning that suffice to tell.
pub(crate) const TELLING_BYTES: u64 = 256;

/// The error for a file that begins like something else than a model's file does; `None` for all others.
pub(crate) fn refuse_stand_in(file: &str, beginning: &[u8]) -> Option<Error> {
    let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning).trim_ascii_start();
    let begins =
        |tag: &str| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()));
    let message = if begins("version https://git-lfs.github.com/spec/") {
        "is a Git LFS pointer, a text of three lines in place of the file: run `git lfs pull` where it was cloned, or \
         download the file itself"
    } else if ["<!doctype html", "<html", "<head", "<?xml"].into_iter().any(begins) {
        "is a web page in place of the file: download it again from the address of the file itself (on Hugging Face, \
         /resolve/ instead of /blob/), logged in if it asks for that"
    } else {
        return None;
    };
    Some(Error::format(format!("{file}: {message}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_told_and_files_are_not() {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 988097824\n";
        for (beginning, expected) in [
            (pointer, Some("git lfs pull")),
            ("<!DOCTYPE html>\n<html class=\"\">", Some("web page")),
            ("\u{feff}\n  <HTML><head>", Some("web page")),
            ("{\"version\": \"1.0\"}", None),
            ("#version: 0.2\nĠ Ġ", None),
            ("", None),
            ("<", None),
        ] {
            let found = refuse_stand_in("a.json", beginning.as_bytes()).map(|error| error.to_string());
            match expected {
                None => assert_eq!(found, None, "{beginning}"),
                Some(words) => {
                    assert!(
                        found.is_some_and(|it| it.starts_with("a.json: ") && it.contains(words)),
                        "{beginning}"
                    );
                }
            }
        }
    }
}
