//! Look.
mod reading;
#[test]
fn look() {
    let text = std::fs::read_to_string("../../tests/data/cases/files.jsonl").unwrap();
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let content = case["content"].as_str().unwrap();
        let bytes = if case["encoding"] == "base64" { decode(content) } else { content.as_bytes().to_vec() };
        let read = reading::read(case["file"].as_str().unwrap(), &bytes);
        println!("{} {}\n   {}\n   {:?} {:?} {:?}", case["n"], case["file"], read.phrase, read.notes, read.bad, read.refusal);
        for set in &read.sets { println!("   {}", serde_json::to_string(set).unwrap()); }
    }
}
fn decode(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte { b'A'..=b'Z' => byte - b'A', b'a'..=b'z' => byte - b'a' + 26, b'0'..=b'9' => byte - b'0' + 52, b'+' => 62, _ => 63 };
    let mut out = Vec::new();
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0u32;
        for byte in chunk { bits = bits << 6 | value(*byte) as u32; }
        bits <<= 6 * (4 - chunk.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    out
}
