//! Hostile files: whatever the bytes, an error or a value that keeps its promises; no panic, no read outside the file,
//! and no allocation of a size that the file only claims.
//!
//! 100,000 files; `CONCLAVE_FUZZ_CASES` says another number, `CONCLAVE_FUZZ_SEED` where to begin (a failure names its
//! seed).

use std::cell::Cell;
use std::ops::Range;

use conclave_gguf::{Bytes, Gguf, Model, Options};

use crate::allocation::watch;
use crate::build::{F16, F32, File, Random, Value, Written, f32_bytes, tiny_qwen2, weights};

/// A file that fails the test when it is asked for what it does not have.
struct Strict {
    bytes: Vec<u8>,
    read: Cell<u64>,
}

impl Bytes for Strict {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> std::io::Result<Vec<u8>> {
        assert!(range.start <= range.end && range.end <= Bytes::len(self), "{range:?} was asked for");
        self.read.set(self.read.get() + (range.end - range.start));
        self.bytes.read(range)
    }
}

/// Numbers that readers of counts, lengths, offsets and types get wrong.
const NUMBERS: [u64; 24] = [
    0,
    1,
    2,
    3,
    4,
    5,
    8,
    9,
    10,
    12,
    13,
    31,
    32,
    33,
    64,
    255,
    256,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 32,
    10 << 30,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// The valid files that are damaged.
fn files() -> Vec<Written> {
    let head =
        weights(32 * 16, 0).iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes()).collect();
    let nested = [
        &9u32.to_le_bytes()[..],
        &1u64.to_le_bytes(),
        &8u32.to_le_bytes(),
        &1u64.to_le_bytes(),
        &2u64.to_le_bytes(),
        b"ab",
    ]
    .concat();
    vec![
        tiny_qwen2().written(),
        tiny_qwen2()
            .tensor("output.weight", &[32, 16], F16, head)
            .set("general.alignment", Value::U32(32))
            .written(),
        File::empty()
            .set("nested", Value::Raw(9, nested))
            .set("number", Value::F32(1.0))
            .tensor("one", &[2, 1, 1], F32, f32_bytes(&[1.0, 2.0]))
            .tensor("two", &[3], F32, f32_bytes(&[1.0, 2.0, 3.0]))
            .written(),
        File::empty().written(),
    ]
}

/// One hostile file.
fn hostile(files: &[Written], random: &mut Random) -> Vec<u8> {
    match random.below(16) {
        0 => return noise(random),
        1..=3 => return contradiction(random),
        _ => {}
    }
    let file = &files[random.below(files.len())];
    let mut bytes = file.bytes.clone();
    // What lies behind the header is only numbers.
    let header = file.fields.last().map_or(bytes.len(), |field| field.end + 8).min(bytes.len());
    for _ in 0..1 + random.below(4) {
        damage(&mut bytes, header, &file.fields, random);
    }
    bytes
}

fn damage(bytes: &mut Vec<u8>, header: usize, fields: &[Range<usize>], random: &mut Random) {
    let header = header.min(bytes.len());
    let part = |random: &mut Random| {
        let start = random.below(header + 1);
        start..(start + random.below(40)).min(header)
    };
    match random.below(10) {
        // A number of the structure becomes another.
        0..=4 => {
            let field = fields[random.below(fields.len())].clone();
            let number = match random.below(3) {
                0 => NUMBERS[random.below(NUMBERS.len())],
                1 => random.below(4096) as u64,
                _ => random.next() >> random.below(64),
            };
            if let Some(place) = bytes.get_mut(field) {
                let len = place.len();
                place.copy_from_slice(&number.to_le_bytes()[..len]);
            }
        }
        5 => {
            if let Some(byte) = bytes.get_mut(random.below(header)) {
                *byte = random.next() as u8;
            }
        }
        6 => bytes.truncate(random.below(bytes.len() + 1)),
        7 => drop(bytes.drain(part(random))),
        8 => {
            let copy = bytes[part(random)].to_vec();
            let at = random.below(header + 1);
            bytes.splice(at..at, copy);
        }
        _ => {
            let at = random.below(header.saturating_sub(8));
            if let Some(place) = bytes.get_mut(at..at + 8) {
                place.copy_from_slice(&NUMBERS[random.below(NUMBERS.len())].to_le_bytes());
            }
        }
    }
}

/// A file whose structure is in order and whose values are not: what describing a model has to find out.
fn contradiction(random: &mut Random) -> Vec<u8> {
    let mut file = tiny_qwen2();
    for _ in 0..1 + random.below(3) {
        let (entry, tensor) = (random.below(file.entries.len()), random.below(file.tensors.len()));
        match random.below(8) {
            0 => drop(file.entries.remove(entry)),
            1 => drop(file.tensors.remove(tensor)),
            2 => file.tensors[tensor].dimensions = vec![32 * random.below(4) as u64, random.below(40) as u64],
            3 => file.tensors[tensor].kind = random.below(42) as u32,
            4 => file.entries[entry].0 = file.entries[random.below(file.entries.len())].0.clone(),
            _ => file.entries[entry].1 = value(random),
        }
    }
    file.bytes()
}

/// Any value.
fn value(random: &mut Random) -> Value {
    const TEXTS: [&str; 8] = ["", "qwen2", "qwen3", "gpt2", "t h", "<|im_end|>", "\u{0}\u{1b}", "é"];
    let number = NUMBERS[random.below(NUMBERS.len())];
    let text = TEXTS[random.below(TEXTS.len())].to_owned();
    match random.below(8) {
        0 => Value::U32(number as u32),
        1 => Value::U64(number),
        2 => Value::F32([0.0, -1.0, 1e-6, 1e30, f32::NAN, f32::INFINITY][random.below(6)]),
        3 => Value::Bool(random.below(2) == 0),
        4 => Value::Text(text),
        5 => Value::Texts(vec![text; random.below(20)]),
        6 => Value::I32s((0..random.below(20)).map(|_| random.below(8) as i32 - 1).collect()),
        _ => Value::U32(random.below(20) as u32),
    }
}

/// A header that begins as one and goes on at random.
fn noise(random: &mut Random) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend((random.below(6) as u64).to_le_bytes());
    bytes.extend((random.below(6) as u64).to_le_bytes());
    for _ in 0..random.below(60) {
        match random.below(4) {
            0 => bytes.extend((random.below(20) as u64).to_le_bytes()),
            1 => bytes.extend((random.below(14) as u32).to_le_bytes()),
            2 => bytes.extend(NUMBERS[random.below(NUMBERS.len())].to_le_bytes()),
            _ => bytes.push(random.next() as u8),
        }
    }
    bytes
}

/// What an accepted file promises.
fn check(gguf: &Gguf<&Strict>) {
    let len = gguf.file_len();
    let mut places: Vec<Range<u64>> = gguf.tensors().values().map(|tensor| tensor.range.clone()).collect();
    places.sort_by_key(|range| range.start);
    assert!(places.windows(2).all(|pair| pair[0].end <= pair[1].start));
    for (name, tensor) in gguf.tensors() {
        assert!(tensor.range.end <= len && !tensor.is_empty());
        assert_eq!(tensor.kind.byte_len(tensor.len()), Some(tensor.range.end - tensor.range.start));
        if tensor.kind.is_read() {
            let last = gguf.read_f32(name, tensor.len() - 1..tensor.len()).expect("it is there");
            assert_eq!(last.len(), 1);
        } else {
            assert!(gguf.read_f32(name, 0..1).is_err());
        }
    }
    for key in gguf.metadata().keys() {
        let _ = gguf.string(key);
        if let Ok(Some(elements)) = gguf.array(key) {
            elements.strings().for_each(drop);
            elements.integers().for_each(drop);
        }
    }
}

fn run(seed: u64, files: &[Written], accepted: &mut [u64; 2]) {
    let bytes = hostile(files, &mut Random(seed));
    let len = bytes.len();
    let file = Strict { bytes, read: Cell::new(0) };
    let (opened, asked) = watch(|| Gguf::open(&file));
    // Beside the file: messages, and the first node of a map.
    assert!(asked.largest <= len + 4096, "{} bytes at once for a file of {len}", asked.largest);
    assert!(asked.held <= 16 * len + 16_384, "{} bytes held for a file of {len}", asked.held);
    assert!(file.read.get() <= 2 * len as u64 + 65_536 + 4096, "{} bytes read of {len}", file.read.get());
    let gguf = match opened {
        Ok(gguf) => gguf,
        Err(error) => {
            assert!(error.to_string().len() < 1000, "{error}");
            return;
        }
    };
    accepted[0] += 1;
    check(&gguf);
    let (model, asked) = watch(|| Model::read(&gguf, Options::default()));
    // A vocabulary is written as JSON, where a character may take six, and a head is compared as f32.
    assert!(asked.largest <= 16 * len + 4096, "{} bytes at once for a model of {len}", asked.largest);
    if let Ok(model) = model {
        accepted[1] += 1;
        let tokenizer = serde_json::from_str::<serde_json::Value>(&model.vocabulary.tokenizer_json);
        assert!(tokenizer.is_ok() && !model.vocabulary.stops.is_empty());
        assert!(model.tensors().iter().all(|tensor| gguf.tensors().contains_key(&tensor.source)));
    }
}

#[test]
fn hostile_files() {
    let number =
        |name: &str, otherwise| std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"));
    let (cases, first) = (number("CONCLAVE_FUZZ_CASES", 100_000), number("CONCLAVE_FUZZ_SEED", 0));
    let files = files();
    let mut accepted = [0; 2];
    for seed in first..first + cases {
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed, &files, &mut accepted)));
        assert!(result.is_ok(), "CONCLAVE_FUZZ_SEED={seed} CONCLAVE_FUZZ_CASES=1 shows it alone");
    }
    // Damage that nobody could see would be no test: many are accepted, many are not.
    println!("{cases} files: {} opened, {} were models", accepted[0], accepted[1]);
    if cases >= 1000 {
        assert!((cases / 100..cases / 2).contains(&accepted[0]), "{accepted:?}");
        assert!(accepted[1] > cases / 1000, "{accepted:?}");
    }
}
