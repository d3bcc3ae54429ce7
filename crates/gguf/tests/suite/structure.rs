//! Files that are in order: what the reader makes of them.

use conclave_gguf::metadata::Value as Read;
use conclave_gguf::{Bytes, Gguf, Seekable};

use crate::build::{F16, F32, File, Value, f32_bytes, tiny_qwen2};

#[test]
fn every_type_of_value_is_read() {
    let nested =
        [&9u32.to_le_bytes()[..], &1u64.to_le_bytes(), &0u32.to_le_bytes(), &2u64.to_le_bytes(), &[7, 8]]
            .concat();
    let file = File::empty()
        .set("u8", Value::Raw(0, vec![200]))
        .set("i8", Value::Raw(1, vec![200]))
        .set("u16", Value::Raw(2, vec![1, 2]))
        .set("i16", Value::Raw(3, vec![255, 255]))
        .set("u32", Value::U32(7))
        .set("i32", Value::Raw(5, (-9i32).to_le_bytes().to_vec()))
        .set("f32", Value::F32(1e-6))
        .set("bool", Value::Bool(true))
        .set("text", "Qwen é")
        .set("texts", Value::Texts(vec!["a".into(), String::new(), "é".into()]))
        .set("numbers", Value::I32s(vec![1, -2, 3]))
        .set("nested", Value::Raw(9, nested))
        .set("u64", Value::U64(1 << 40))
        .set("i64", Value::Raw(11, (-1i64).to_le_bytes().to_vec()))
        .set("f64", Value::Raw(12, 0.5f64.to_le_bytes().to_vec()));
    for version in [2, 3] {
        let gguf = Gguf::open(File { version, ..file.clone() }.bytes()).expect("it is in order");
        let value = |key: &str| &gguf.metadata()[key];
        assert_eq!(value("u8"), &Read::U8(200));
        assert_eq!(value("i8"), &Read::I8(-56));
        assert_eq!((value("u16").as_u64(), value("i16").as_u64()), (Some(513), None));
        assert_eq!((value("u32").as_u64(), value("i32").as_u64()), (Some(7), None));
        assert_eq!((value("f32").as_f64(), value("f64").as_f64()), (Some(1e-6), Some(0.5)));
        assert_eq!((value("bool").as_bool(), value("u8").as_bool()), (Some(true), None));
        assert_eq!((value("u64").as_u64(), value("i64")), (Some(1 << 40), &Read::I64(-1)));
        assert_eq!(gguf.string("text").expect("a string").as_deref(), Some("Qwen é"));
        assert_eq!(gguf.string("none").expect("no such key"), None);
        let texts = gguf.array("texts").expect("an array").expect("it is there");
        let texts: Vec<&str> = texts.strings().collect::<Result<_, _>>().expect("strings");
        assert_eq!(texts, ["a", "", "é"]);
        let numbers = gguf.array("numbers").expect("an array").expect("it is there");
        assert_eq!(numbers.integers().collect::<Vec<_>>(), [Some(1), Some(-2), Some(3)]);
        assert!(numbers.strings().next().is_some_and(|text| text.is_err()));
        let Read::Array(nested) = value("nested") else { panic!("an array") };
        assert_eq!((nested.count, nested.range.end - nested.range.start), (1, 14));
        assert!(gguf.string("u8").is_err() && gguf.array("text").is_err());
    }
}

#[test]
fn tensors_lie_where_the_header_says() {
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    for alignment in [8, 32, 4096] {
        let file = File { alignment, ..File::empty() }
            .set("general.alignment", Value::U32(alignment as u32))
            .tensor("first", &[1], F32, f32_bytes(&[9.0]))
            .tensor("second", &[3, 2], F32, f32_bytes(&values))
            .tensor("third", &[2, 1, 1, 1], F16, vec![0, 0x3c, 0, 0x40]);
        let bytes = file.bytes();
        let seekable = Seekable::new(std::io::Cursor::new(bytes.clone())).expect("it has an end");
        let gguf = Gguf::open(seekable).expect("it is in order");
        assert_eq!(gguf.file_len(), Bytes::len(&bytes));
        let second = gguf.tensor("second").expect("it is there");
        assert_eq!((second.shape.as_slice(), second.len(), second.row_len()), (&[2, 3][..], 6, 3));
        assert!(second.range.start.is_multiple_of(alignment) && !second.is_empty());
        assert_eq!(gguf.read_f32("first", 0..1).expect("it is there"), [9.0]);
        assert_eq!(gguf.read_f32("second", 0..6).expect("it is there"), values);
        assert_eq!(gguf.read_f32("third", 0..2).expect("it is there"), [1.0, 2.0]);
        assert_eq!(gguf.tensors().len(), 3);
    }
}

/// Refuses to give away more than a part of the file, and counts.
struct Sparse(Vec<u8>, std::cell::Cell<u64>);

impl Bytes for Sparse {
    fn len(&self) -> u64 {
        Bytes::len(&self.0)
    }

    fn read(&self, range: std::ops::Range<u64>) -> std::io::Result<Vec<u8>> {
        self.1.set(self.1.get().max(range.end - range.start));
        self.0.read(range)
    }
}

#[test]
fn large_tensors_are_read_in_pieces() {
    let values: Vec<f32> = (0..1_000_000).map(|i| i as f32).collect();
    let file = tiny_qwen2().tensor("large", &[1000, 1000], F32, f32_bytes(&values)).bytes();
    let gguf = Gguf::open(Sparse(file, 0.into())).expect("it is in order");
    assert!(gguf.read_f32("large", 0..1_000_000).expect("it is there") == values);
    assert!(gguf.read_f32("large", 3..900_001).expect("it is there") == values[3..900_001]);
    // A window of the header and a piece of a tensor, each far smaller than the file.
    let bytes =
        Sparse(tiny_qwen2().tensor("large", &[1000, 1000], F32, f32_bytes(&values)).bytes(), 0.into());
    Gguf::open(&bytes).and_then(|gguf| gguf.read_f32("large", 0..1_000_000)).expect("it is there");
    assert!(bytes.1.get() <= 1 << 20, "{} bytes at once", bytes.1.get());
}
