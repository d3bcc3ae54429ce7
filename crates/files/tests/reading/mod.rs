//! Reading bytes as a host reads files: unpacked, looked at, joined, counted.
#![allow(dead_code)]

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
    let (mut place, mut used) = (None, Used::default());
    for (name, bytes) in files {
        let reader: Box<dyn BufRead> = Box::new(BufReader::with_capacity(capacity, *bytes));
        let opened =
            unpack(reader, name).and_then(|unpacked| SetReader::open(unpacked.reader, name, options));
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
        let is_ours = reader.layout() == Layout::Sets;
        place = reader.place();
        for row in reader.by_ref() {
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

/// Bytes written as base64.
pub fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = chunk.iter().fold(0_u32, |bits, &byte| bits << 6 | u32::from(value(byte)));
        let bits = bits << (6 * (4 - chunk.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    bytes
}

/// Reads an archive of inspect.
pub fn read_archive(reader: impl std::io::Read + std::io::Seek, options: &Options) -> Read {
    let mut read = Read::default();
    let samples = conclave_files::archive::samples(reader).unwrap().unwrap();
    let mut reader = SetReader::of_elements(samples, Layout::Inspect, "an archive", options);
    let (mut join, mut counts, mut notes) =
        (Join::new(tempfile::tempfile), Counts::default(), Notes::default());
    for row in reader.by_ref() {
        match row {
            Ok(Row::Part(key, set)) => join.push(key, set).unwrap(),
            other => read.bad.push(format!("{other:?}")),
        }
    }
    read.sets = join.finish().unwrap().collect::<std::io::Result<_>>().unwrap();
    read.sets.iter().for_each(|set| counts.add(set, false, &mut notes));
    read.layout = Some(reader.layout());
    read.phrase = counts.phrase(reader.layout(), reader.place(), reader.used());
    read
}
