//! Every type that is read, against the f32 that PyPI gguf makes of the same blocks: the same bits.

use conclave_gguf::types::READ;
use conclave_gguf::{GgmlType, Gguf};

/// The fixture of a type.
fn fixture(kind: GgmlType) -> Gguf<Vec<u8>> {
    let path = format!("{}/tests/fixtures/{kind}.gguf", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Gguf::open(bytes).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_type_has_the_bits_of_pypi_gguf() {
    for kind in READ {
        let gguf = fixture(kind);
        let info = gguf.tensor("x").expect("the blocks");
        assert_eq!((info.kind, info.shape.as_slice()), (kind, &[3, 512][..]));
        let expected = gguf.read_f32("expected", 0..1536).expect("the numbers");
        let values = gguf.read_f32("x", 0..1536).expect("the blocks");
        for (index, (value, expected)) in values.iter().zip(&expected).enumerate() {
            let bits = (value.to_bits(), expected.to_bits());
            assert_eq!(bits.0, bits.1, "{kind}: number {index} is {value:e}, expected {expected:e}");
        }
        assert!(expected.iter().any(|value| *value != 0.0) && values.len() == 1536);
    }
}

#[test]
fn any_part_is_the_part_of_the_whole() {
    for kind in READ {
        let gguf = fixture(kind);
        let whole = gguf.read_f32("x", 0..1536).expect("the whole");
        for range in [0..0, 0..1, 1535..1536, 512..1024, 31..33, 200..900, 255..257, 1536..1536] {
            let part = gguf.read_f32("x", range.clone()).expect("a part");
            assert_eq!(part, whole[range.start as usize..range.end as usize], "{kind} {range:?}");
        }
        let mut appended = vec![1.0];
        gguf.append_f32("x", 300..302, &mut appended).expect("a part");
        assert_eq!(appended, [1.0, whole[300], whole[301]]);
        let reversed = std::ops::Range { start: 4, end: 3 };
        for range in [reversed, 0..1537, 1537..1537, 0..u64::MAX] {
            let error = gguf.read_f32("x", range).expect_err("not there").to_string();
            assert!(error.contains("tensor `x`: has 1536 numbers"), "{error}");
        }
    }
}
