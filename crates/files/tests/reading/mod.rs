//! Reading bytes as a host reads files: unpacked, looked at, joined, counted.

use std::io::{BufRead, BufReader};

use conclave_core::sample_set::SampleSet;
use conclave_files::{Counts, Join, Layout, Notes, Options, Row, SetReader, Used, unpack};

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    pub sets: Vec<SampleSet>,
    pub results: usize,
    /// `line: reason` of what could not be read.
    pub bad: Vec<String>,
    /// Why a file is not read at all.
    pub refusal: Option<String>,
    pub layout: Option<Layout>,
    pub phrase: String,
    pub notes: Vec<String>,
}

/// Reads files together.
pub fn read_all(files: &[(&str, &[u8])], options: &Options) -> Read {
    read_by(files, options, 1 << 16)
}

/// The same, through a reader that gives so many bytes at a time.
pub fn read_by(files: &[(&str, &[u8])], options: &Options, capacity: usize) -> Read {
    let (mut read, mut notes, mut counts) = (Read::default(), Notes::default(), Counts::default());
    let mut join = Join::new(tempfile::tempfile);
    let (mut place, mut used, mut is_ours) = (None, Used::default(), false);
    for (name, bytes) in files {
        let reader: Box<dyn BufRead> = Box::new(BufReader::with_capacity(capacity, *bytes));
        let opened = unpack(reader, name).and_then(|unpacked| SetReader::open(unpacked.reader, name, options));
        let mut reader = match opened {
            Ok(Ok(reader)) => reader,
            Ok(Err(refusal)) => {
                read.refusal = Some(refusal);
                continue;
            }
            Err(error) => {
                read.bad.push(error.to_string());
                continue;
            }
        };
        read.layout = Some(reader.layout());
        is_ours = reader.layout() == Layout::Sets;
        place = reader.place();
        while let Some(row) = reader.next() {
            match row {
                Ok(Row::Set(set)) => {
                    counts.add(&set, is_ours, &mut notes);
                    read.sets.push(set);
                }
                Ok(Row::Part(key, set)) => join.push(key, set).unwrap(),
                Ok(Row::Result(_)) => read.results += 1,
                Ok(Row::Nothing) => {}
                Err(error) => read.bad.push(format!("{}: {}", error.line, error.reason)),
            }
        }
        used = reader.used().clone();
        notes.append(reader.take_notes());
    }
    for set in join.finish().unwrap() {
        let mut set = set.unwrap();
        if set.id.is_empty() {
            set.id = (read.sets.len() + 1).to_string();
        }
        counts.add(&set, false, &mut notes);
        read.sets.push(set);
    }
    if let Some(layout) = read.layout {
        read.phrase = counts.phrase(layout, place, &used);
    }
    read.notes = notes.messages();
    read
}

/// Reads one file.
pub fn read(name: &str, bytes: &[u8]) -> Read {
    read_all(&[(name, bytes)], &Options::default())
}
