//! Formats that are known and not read: told by their first bytes or their name, with what to do instead.

/// Why a file that begins like this cannot be read, where that is known.
pub fn refusal(start: &[u8], name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let begins = |magic: &[u8]| start.starts_with(magic);
    let text = start.trim_ascii_start();
    let html = |tag: &[u8]| text.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag));
    let python = "in Python, write its rows with `json.dumps`, one a line";
    let (what, remedy) = if begins(b"PAR1") {
        ("Parquet", PARQUET)
    } else if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") {
        match ends(&[".xlsx", ".ods"]) {
            true => ("a spreadsheet", "save it as CSV"),
            false if ends(&[".npz", ".pt", ".pth"]) => ("an archive of arrays", python),
            false => (
                "a zip archive",
                "unpack it and give the files inside (only inspect's `.eval` archives are read as they are)",
            ),
        }
    } else if begins(b"%PDF") {
        ("a PDF document", "give the file that it was made from")
    } else if begins(b"SQLite format 3\0") {
        ("an SQLite database", "export a table with `sqlite3 FILE -csv -header 'select ...'`")
    } else if begins(&[0x80]) && matches!(start.get(1), Some(2..=5)) {
        (
            "a Python pickle",
            "pickles run code when they are opened: in Python, write what is in it with `json.dumps`, one row a line",
        )
    } else if begins(b"\x93NUMPY") {
        ("a NumPy array", python)
    } else if begins(b"ARROW1") || begins(&[0xff, 0xff, 0xff, 0xff]) {
        ("an Arrow file", "in Python: `datasets.load_from_disk(FOLDER).to_json('sets.jsonl')`")
    } else if begins(b"\xfd7zXZ\0") || begins(b"BZh") || begins(b"7z\xbc\xaf\x27\x1c") {
        ("packed by xz, bzip2 or 7-Zip", "unpack it first (gzip and zstd are read as they are)")
    } else if start.get(257..262) == Some(b"ustar") {
        ("a tar archive", "unpack it and give the files inside")
    } else if begins(&[0xd0, 0xcf, 0x11, 0xe0]) {
        ("an old spreadsheet or document", "save it as CSV")
    } else if begins(b"\x89HDF") {
        ("an HDF5 file", python)
    } else if is_safetensors(start) {
        ("safetensors", "these are a model's weights; give the texts that it wrote")
    } else if html(b"<!doctype") || html(b"<html") || html(b"<?xml") {
        ("a page of HTML or XML", "was an error page downloaded in place of the file? Give the file itself")
    } else if ends(&[".yaml", ".yml"]) && !matches!(text.first(), Some(b'{' | b'[')) {
        ("YAML", "write it as JSON, as in `yq -o=json . FILE`")
    } else if ends(&[".pkl", ".pickle"]) && !matches!(text.first(), Some(b'{' | b'[')) {
        ("a Python pickle", python)
    } else if start.iter().take(1024).any(|&byte| byte == 0) {
        ("a binary file", "give JSON, JSON lines or CSV")
    } else {
        return None;
    };
    Some(format!("this is {what}, which is not read: {remedy}"))
}

#[cfg(feature = "parquet")]
const PARQUET: &str = "it must be a file, not a stream, to be read";
#[cfg(not(feature = "parquet"))]
const PARQUET: &str = "build conclave with `--features parquet`, or in Python: `pandas.read_parquet(FILE).to_json('sets.jsonl', orient='records', lines=True)`";

/// A length of eight bytes, and behind it a JSON object.
fn is_safetensors(start: &[u8]) -> bool {
    let length = start.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
    length.is_some_and(|length| (2..1 << 32).contains(&length)) && start.get(8..10) == Some(b"{\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named() {
        let of = |start: &[u8], name: &str| refusal(start, name).unwrap_or_default();
        for (start, name, what) in [
            (&b"PAR1\x15"[..], "a", "Parquet"),
            (b"PK\x03\x04", "a.zip", "zip archive"),
            (b"PK\x03\x04", "a.xlsx", "spreadsheet"),
            (b"\x80\x04\x95", "a.pkl", "pickle"),
            (b"SQLite format 3\0", "a.db", "SQLite"),
            (b"%PDF-1.7", "a", "PDF"),
            (b"<!DOCTYPE html>", "a.json", "HTML"),
            (b"- a: 1", "a.yaml", "YAML"),
            (b"\x10\0\0\0\0\0\0\0{\"a\"", "a", "safetensors"),
            (b"ab\0cd", "a", "binary"),
        ] {
            assert!(of(start, name).contains(what), "{name}: {}", of(start, name));
        }
        assert_eq!(refusal(b"{\"id\": 1}", "a.jsonl"), None);
        assert_eq!(refusal(b"{\"id\": 1}", "a.yaml"), None);
        assert_eq!(refusal(b"", ""), None);
    }
}
