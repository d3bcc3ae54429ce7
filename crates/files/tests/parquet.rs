//! Parquet, where it is built in.
#![cfg(feature = "parquet")]

mod reading;

use conclave_files::{Layout, Options, Row, SetReader, parquet};

#[test]
fn rows_of_parquet_are_sets() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/layouts/generations.parquet");
    let rows = parquet::rows(std::fs::File::open(path).unwrap()).unwrap();
    let options = Options::default();
    let layout = Layout::named("lists").unwrap();
    let sets: Vec<_> = SetReader::of_elements(rows, layout, "Parquet", &options)
        .map(|row| match row.unwrap() {
            Row::Set(set) => (set.id, set.reference_answer.unwrap().first().to_owned(), set.candidates.len()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sets, [("u-1".to_owned(), "56".to_owned(), 2), ("u-2".to_owned(), "4".to_owned(), 1)]);
    let case = reading::read("generations.parquet", &std::fs::read(path).unwrap());
    assert!(case.refusal.unwrap().contains("must be a file"));
}
