//! The beginning of a file, read ahead so that what it is can be found out: its first values, the last of them perhaps cut off.

use std::io::{self, BufRead};

use conclave_core::json_lines::parse_json;
use serde_json::Value;

/// How much is looked at.
pub const LENGTH: usize = 1 << 20;

/// Nesting beyond which serde_json gives up too.
const MOST_DEPTH: usize = 120;

/// The first bytes of a reader: as many as are looked at, or as `is_enough` asks for, so that who pipes line by line is not waited
/// for.
///
/// # Errors
/// Of the reader.
pub fn read_ahead(reader: &mut dyn BufRead, is_enough: impl Fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < LENGTH {
        let buffer = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        let used = buffer.len().min(LENGTH - bytes.len());
        if used == 0 {
            break;
        }
        bytes.extend_from_slice(&buffer[..used]);
        reader.consume(used);
        // What has been looked at need not be looked at again, save where a line ended.
        if bytes[bytes.len() - used..].contains(&b'\n') && is_enough(&bytes) {
            break;
        }
    }
    Ok(bytes)
}

/// A value that stands at the beginning of some bytes.
pub struct First {
    /// The value; of one that is cut off, what is there.
    pub value: Value,
    /// Bytes that it takes, blanks before it included.
    pub length: usize,
    /// Whether it ends.
    pub is_whole: bool,
}

/// The value at the beginning of `bytes`, which may end within it. Nothing where that is no JSON.
pub fn first(bytes: &[u8]) -> Option<First> {
    let outline = outline(bytes)?;
    let mut text = String::from_utf8_lossy(bytes.get(..outline.safe)?).into_owned();
    text.extend(outline.open.iter().rev().map(|&closer| char::from(closer)));
    let value = parse_json(&text).ok()?;
    Some(First { value, length: outline.length, is_whole: outline.is_whole })
}

/// Where a value could be cut off so that closing brackets make it whole.
struct Outline {
    safe: usize,
    open: Vec<u8>,
    length: usize,
    is_whole: bool,
}

fn outline(bytes: &[u8]) -> Option<Outline> {
    // Closing brackets, and whether a key comes next.
    let mut stack: Vec<(u8, bool)> = Vec::new();
    let mut safe: Option<(usize, Vec<u8>)> = None;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let mut completes = false;
        match byte {
            b'{' | b'[' => {
                stack.push((if byte == b'{' { b'}' } else { b']' }, byte == b'{'));
                if stack.len() > MOST_DEPTH {
                    return None;
                }
                safe = Some((at + 1, stack.iter().map(|open| open.0).collect()));
                at += 1;
            }
            b'}' | b']' => {
                if stack.pop()?.0 != byte {
                    return None;
                }
                completes = true;
                at += 1;
            }
            b'"' => {
                let Some(length) = string(&bytes[at..])? else { break };
                at += length;
                completes = !matches!(stack.last(), Some((_, true)));
            }
            b':' | b',' => {
                if let Some((closer, key_next)) = stack.last_mut() {
                    *key_next = byte == b',' && *closer == b'}';
                } else {
                    return None;
                }
                at += 1;
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+') => {
                let scalar = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                let length = bytes[at..].iter().take_while(|byte| scalar(byte)).count();
                at += length;
                // One that the bytes end in may go on.
                completes = at < bytes.len() || stack.is_empty();
            }
            _ => return None,
        }
        if completes {
            if stack.is_empty() {
                return Some(Outline { safe: at, open: Vec::new(), length: at, is_whole: true });
            }
            safe = Some((at, stack.iter().map(|open| open.0).collect()));
        }
    }
    let (safe, open) = safe?;
    Some(Outline { safe, open, length: bytes.len(), is_whole: false })
}

/// The length of a string with its quotes: `Some(None)` where the bytes end within it, nothing where a line does, which JSON
/// has no strings for.
fn string(bytes: &[u8]) -> Option<Option<usize>> {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => return Some(Some(at + 1)),
            b'\n' | b'\r' => return None,
            _ => {}
        }
        at += 1;
    }
    Some(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cut_value_keeps_what_is_there() {
        let text = br#"{"id": 1, "candidates": [{"text": "a, \"b\""}, {"text": "c"}], "n": 12} {"#;
        let whole = first(text).unwrap();
        assert!(whole.is_whole);
        assert_eq!((whole.length, &whole.value["n"]), (text.len() - 2, &json!(12)));
        for end in 1..text.len() - 2 {
            let cut = first(&text[..end]).unwrap_or_else(|| panic!("{end}"));
            assert!(!cut.is_whole && cut.value.is_object(), "{end}");
        }
        assert_eq!(first(&text[..44]).unwrap().value, json!({"id": 1, "candidates": [{"text": "a, \"b\""}]}));
    }

    #[test]
    fn what_is_no_json_is_none() {
        for text in ["", "  ", "{]", "]", "{\"a\": \"b\nc\"}", "id,answer", "{\"a\" 1}x}", &"[".repeat(200)] {
            assert!(first(text.as_bytes()).is_none(), "{text}");
        }
    }
}
