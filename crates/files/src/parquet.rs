//! Rows of Parquet files as values, one after another. What they mean is the business of [`crate::fields`].

use std::fs::File;

use parquet::file::reader::SerializedFileReader;
use parquet::record::reader::RowIter;

use crate::elements::Element;

/// The rows of a file.
///
/// # Errors
/// Why it is no Parquet file that can be read.
pub fn rows(file: File) -> Result<Box<dyn Iterator<Item = Element>>, String> {
    let reader =
        SerializedFileReader::new(file).map_err(|error| format!("this is Parquet, and damaged: {error}"))?;
    let rows = RowIter::from_file_into(Box::new(reader));
    let element = |(at, row): (usize, parquet::errors::Result<parquet::record::Row>)| Element {
        line: at as u64 + 1,
        name: None,
        value: row.map(|row| row.to_json_value()).map_err(|error| error.to_string()),
    };
    Ok(Box::new(rows.enumerate().map(element)))
}
