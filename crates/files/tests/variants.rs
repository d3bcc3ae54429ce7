//! Every layout in other dress: as an array on one line and over many, wrapped in an object, with other line ends and marks, packed;
//! cut off at every place; in any bytes. What is read does not change, and nothing panics.

mod reading;

use std::path::Path;
use std::sync::LazyLock;

use conclave_files::Options;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use reading::{Read, read, read_by};
use serde_json::Value;

static FIXTURES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/layouts");
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
});

/// What two readings have in common where they are the same.
fn gist(read: &Read) -> Vec<(String, String, usize, Option<String>)> {
    let reference = |set: &conclave_core::SampleSet| {
        set.reference_answer.as_ref().map(|reference| reference.first().to_owned())
    };
    read.sets
        .iter()
        .map(|set| (set.id.clone(), set.problem.clone(), set.candidates.len(), reference(set)))
        .collect()
}

#[test]
fn the_same_rows_in_another_dress() {
    let mut tried = 0;
    for (name, bytes) in
        FIXTURES.iter().filter(|(name, _)| name.ends_with(".jsonl") && !name.starts_with("utf16"))
    {
        let expected = read(name, bytes);
        if expected.sets.is_empty() {
            continue;
        }
        let rows: Vec<Value> = String::from_utf8(bytes.clone())
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let array = Value::Array(rows.clone());
        let pretty: Vec<String> = rows.iter().map(|row| serde_json::to_string_pretty(row).unwrap()).collect();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        std::io::Write::write_all(&mut gzip, bytes).unwrap();
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let dresses: Vec<(&str, Vec<u8>)> = vec![
            ("an array", serde_json::to_vec(&array).unwrap()),
            ("a pretty array", serde_json::to_vec_pretty(&array).unwrap()),
            (
                "an array with a row a line",
                format!("[\n{}\n]\n", text.trim_end().replace('\n', ",\n")).into_bytes(),
            ),
            (
                "a wrapped array",
                serde_json::to_vec(&serde_json::json!({"meta": {"n": 1}, "data": array})).unwrap(),
            ),
            ("pretty objects", pretty.join("\n").into_bytes()),
            ("on one line", text.replace('\n', " ").into_bytes()),
            ("Windows", text.replace('\n', "\r\n").into_bytes()),
            ("old Macs", text.replace('\n', "\r").into_bytes()),
            ("a mark and blank lines", format!("\u{feff}\n\n{}", text.replace('\n', "\n\n")).into_bytes()),
            ("gzip without a name", gzip.finish().unwrap()),
            ("UTF-16 without a mark", wide),
        ];
        for (dress, bytes) in dresses {
            // A log's own array stands under a name of its own.
            let found = read("file", &bytes);
            assert_eq!(
                gist(&found),
                gist(&expected),
                "{name} as {dress}: {:?} {:?}",
                found.bad,
                found.refusal
            );
            assert_eq!(found.bad.len(), expected.bad.len(), "{name} as {dress}: {:?}", found.bad);
            tried += 1;
        }
    }
    assert!(tried > 200, "{tried}");
}

/// Cut off anywhere, a file gives what is whole, and few messages.
#[test]
fn a_cut_file_gives_what_it_holds() {
    for (name, bytes) in FIXTURES.iter() {
        let whole = read(name, bytes);
        let candidates = |read: &Read| read.sets.iter().map(|set| set.candidates.len()).sum::<usize>();
        let step = (bytes.len() / 60).max(1);
        for end in (0..bytes.len()).step_by(step) {
            let cut = read(name, &bytes[..end]);
            let is_table = name.ends_with("csv") || name.ends_with("tsv");
            assert!(is_table || candidates(&cut) <= candidates(&whole), "{name} at {end}: {cut:?}");
            assert!(cut.bad.len() <= 4, "{name} at {end}: {:?}", cut.bad);
        }
    }
}

/// However a reader gives its bytes, the same is read.
#[test]
fn chunks_do_not_matter() {
    for (name, bytes) in FIXTURES.iter() {
        let whole = read(name, bytes);
        for capacity in [1, 3, 17, 1000] {
            let parts = read_by(&[(name, bytes)], &Options::default(), capacity);
            assert_eq!(
                (gist(&parts), &parts.bad, &parts.refusal),
                (gist(&whole), &whole.bad, &whole.refusal),
                "{name} by {capacity}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), name in "[a-z]{0,3}(\\.csv|\\.json|\\.gz|\\.zst|\\.eval)?") {
        let found = read(&name, &bytes);
        prop_assert!(found.bad.len() <= bytes.len() + 1);
    }

    #[test]
    fn no_signs_panic(text in "[\\[\\]{}\",:0-9a-z\\\\ \n\r\tNI.-]{0,120}") {
        read("a.json", text.as_bytes());
        read("a.csv", text.as_bytes());
    }

    #[test]
    fn a_damaged_fixture_does_not_panic(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let (name, mut bytes) = FIXTURES[which.index(FIXTURES.len())].clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        read(&name, &bytes);
        read(&name, &bytes[cut.index(bytes.len())..]);
    }
}
