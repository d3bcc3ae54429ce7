//! Rows of Parquet files as values, a row group at a time. What they mean is the business of [`crate::fields`].

use std::fs::File;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::SerializedFileReader as Reader;

use crate::elements::Element;

/// The rows of a file one after another.
///
/// # Errors
/// Why it is no Parquet file that can be read.
pub fn rows(file: File) -> Result<Box<dyn Iterator<Item = Element>>, String> {
    let reader: Reader<File> =
        SerializedFileReader::new(file).map_err(|error| format!("this is Parquet, and damaged: {error}"))?;
    let groups = 0..reader.num_row_groups();
    let mut at = 0;
    let element = move |row: Result<serde_json::Value, String>| {
        at += 1;
        Element { line: at, name: None, value: row }
    };
    let rows = groups.flat_map(move |group| -> Box<dyn Iterator<Item = Result<serde_json::Value, String>>> {
        // The rows borrow their group, so they are taken out of it group by group.
        let rows = reader.get_row_group(group).and_then(|group| {
            let rows = group.get_row_iter(None)?;
            Ok(rows
                .map(|row| row.map(|row| row.to_json_value()).map_err(|error| error.to_string()))
                .collect::<Vec<_>>())
        });
        match rows {
            Ok(rows) => Box::new(rows.into_iter()),
            Err(error) => Box::new(std::iter::once(Err(error.to_string()))),
        }
    });
    Ok(Box::new(rows.map(element)))
}
