//! Rows of one set, joined wherever they stand and in however many files, in the order in which their sets began.
//!
//! Rows that follow one another are joined as they come. What has been joined so far is kept as bytes; where those grow too many, they
//! go to temporary files, parted by their keys, and each part is joined by itself. So memory is that of the largest set and of
//! a small share of the rows, whatever there is.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use conclave_core::sample_set::SampleSet;

use crate::row::hash;

/// Bytes that are kept in memory.
const MOST_BYTES: usize = 16 << 20;

/// Temporary files that rows are parted into; the number of files that a process may have open is small on some systems.
const PARTS: usize = 128;

/// Bytes of the buffer of each.
const BUFFER: usize = 16 << 10;

/// Rows that are being joined. `scratch` opens an empty temporary file, which is gone when it is closed.
pub struct Join<'a> {
    scratch: Box<dyn FnMut() -> io::Result<File> + 'a>,
    most_bytes: usize,
    /// The set that the last rows belong to.
    current: Option<(u64, String, SampleSet)>,
    kept: Vec<u8>,
    parts: Vec<BufWriter<File>>,
    rows: u64,
}

impl<'a> Join<'a> {
    /// Without a row.
    pub fn new(scratch: impl FnMut() -> io::Result<File> + 'a) -> Self {
        Self::with_memory(scratch, MOST_BYTES)
    }

    fn with_memory(scratch: impl FnMut() -> io::Result<File> + 'a, most_bytes: usize) -> Self {
        Self {
            scratch: Box::new(scratch),
            most_bytes,
            current: None,
            kept: Vec::new(),
            parts: Vec::new(),
            rows: 0,
        }
    }

    /// Whether there is no row yet.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds the row of a set.
    ///
    /// # Errors
    /// Of temporary files.
    pub fn push(&mut self, key: String, set: SampleSet) -> io::Result<()> {
        self.rows += 1;
        if let Some((_, current_key, current)) = &mut self.current
            && *current_key == key
        {
            merge(current, set);
            return Ok(());
        }
        let started = self.current.replace((self.rows, key, set));
        self.keep(started)
    }

    fn keep(&mut self, row: Option<(u64, String, SampleSet)>) -> io::Result<()> {
        let Some((number, key, set)) = row else { return Ok(()) };
        let part = part_of(&key);
        let record = Record { number, key: key.into_bytes(), body: serde_json::to_vec(&set)? };
        if !self.parts.is_empty() {
            return record.write(&mut self.parts[part]);
        }
        record.write(&mut self.kept)?;
        if self.kept.len() > self.most_bytes {
            for _ in 0..PARTS {
                self.parts.push(BufWriter::with_capacity(BUFFER, (self.scratch)()?));
            }
            let kept = std::mem::take(&mut self.kept);
            let mut rest = kept.as_slice();
            while let Some(record) = Record::read(&mut rest)? {
                let part = part_of(&String::from_utf8_lossy(&record.key));
                record.write(&mut self.parts[part])?;
            }
        }
        Ok(())
    }

    /// The sets.
    ///
    /// # Errors
    /// Of temporary files.
    pub fn finish(mut self) -> io::Result<Joined> {
        let last = self.current.take();
        self.keep(last)?;
        let mut joined = Joined { heads: BinaryHeap::new(), sources: Vec::new() };
        if self.parts.is_empty() {
            let sets = grouped(&self.kept)?;
            joined.add(Box::new(io::Cursor::new(sets)))?;
            return Ok(joined);
        }
        for writer in std::mem::take(&mut self.parts) {
            let mut file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut bytes)?;
            let sets = grouped(&bytes)?;
            drop(bytes);
            // In the same file: what is there has been read.
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&sets)?;
            file.seek(SeekFrom::Start(0))?;
            joined.add(Box::new(BufReader::with_capacity(BUFFER, file)))?;
        }
        Ok(joined)
    }
}

fn part_of(key: &str) -> usize {
    // Below the number of parts, so no cast loses anything.
    (hash(&[key]) % PARTS as u64) as usize
}

/// Adds the candidates of `more` to a set, and what it lacks.
fn merge(set: &mut SampleSet, more: SampleSet) {
    set.candidates.extend(more.candidates);
    if set.reference_answer.is_none() {
        set.reference_answer = more.reference_answer;
    }
    if set.problem.is_empty() {
        set.problem = more.problem;
    }
    for (name, value) in more.extra {
        set.extra.entry(name).or_insert(value);
    }
}

/// A row, or all rows of a set one after another.
struct Record {
    number: u64,
    key: Vec<u8>,
    body: Vec<u8>,
}

impl Record {
    fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        for number in [self.number, self.key.len() as u64, self.body.len() as u64] {
            writer.write_all(&number.to_le_bytes())?;
        }
        writer.write_all(&self.key)?;
        writer.write_all(&self.body)
    }

    fn read(reader: &mut (impl Read + ?Sized)) -> io::Result<Option<Self>> {
        let mut number = [0; 8];
        if reader.read(&mut number[..1])? == 0 {
            return Ok(None);
        }
        reader.read_exact(&mut number[1..])?;
        let mut lengths = [[0; 8]; 2];
        lengths.iter_mut().try_for_each(|length| reader.read_exact(length))?;
        let mut bytes = |length: [u8; 8]| {
            let length = usize::try_from(u64::from_le_bytes(length)).map_err(io::Error::other)?;
            let mut bytes = vec![0; length];
            reader.read_exact(&mut bytes).map(|()| bytes)
        };
        let (key, body) = (bytes(lengths[0])?, bytes(lengths[1])?);
        Ok(Some(Self { number: u64::from_le_bytes(number), key, body }))
    }
}

/// Rows with those of one set beside each other, in the order of the sets' first.
fn grouped(mut bytes: &[u8]) -> io::Result<Vec<u8>> {
    let length = bytes.len();
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    // The number of a set's first row, and its rows.
    let mut sets: Vec<(u64, Vec<Vec<u8>>)> = Vec::new();
    while let Some(record) = Record::read(&mut bytes)? {
        let place = *places.entry(record.key).or_insert_with(|| {
            sets.push((record.number, Vec::new()));
            sets.len() - 1
        });
        sets[place].1.push(record.body);
    }
    let mut grouped = Vec::with_capacity(length);
    for (number, bodies) in sets {
        // Bodies are JSON, which needs no sign between one and the next.
        Record { number, key: Vec::new(), body: bodies.concat() }.write(&mut grouped)?;
    }
    Ok(grouped)
}

/// Joined sets, in the order of their first rows.
pub struct Joined {
    heads: BinaryHeap<Reverse<(u64, usize, Vec<u8>)>>,
    sources: Vec<Box<dyn Read>>,
}

impl Joined {
    fn add(&mut self, source: Box<dyn Read>) -> io::Result<()> {
        self.sources.push(source);
        self.advance(self.sources.len() - 1)
    }

    fn advance(&mut self, source: usize) -> io::Result<()> {
        if let Some(record) = Record::read(&mut *self.sources[source])? {
            self.heads.push(Reverse((record.number, source, record.body)));
        }
        Ok(())
    }

    fn set(&mut self) -> io::Result<Option<SampleSet>> {
        let Some(Reverse((_, source, body))) = self.heads.pop() else { return Ok(None) };
        self.advance(source)?;
        let mut rows = serde_json::Deserializer::from_slice(&body).into_iter::<SampleSet>();
        let Some(first) = rows.next() else { return Ok(None) };
        let mut set = first?;
        for row in rows {
            merge(&mut set, row?);
        }
        Ok(Some(set))
    }
}

impl Iterator for Joined {
    type Item = io::Result<SampleSet>;

    fn next(&mut self) -> Option<Self::Item> {
        self.set().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_core::sample_set::Candidate;
    use serde_json::Map;

    fn row(problem: &str, text: &str) -> SampleSet {
        let one = Candidate { text: text.to_owned(), ..Candidate::default() };
        SampleSet {
            id: String::new(),
            problem: problem.to_owned(),
            reference_answer: None,
            candidates: vec![one],
            extra: Map::new(),
        }
    }

    #[test]
    fn joined_in_memory_and_on_disk_alike() {
        let joined = |most_bytes: usize| {
            let mut join = Join::with_memory(tempfile::tempfile, most_bytes);
            for pass in 0..3 {
                for problem in 0..700 {
                    // Some stand next to each other.
                    for _ in 0..1 + problem % 2 {
                        join.push(problem.to_string(), row(&problem.to_string(), &format!("{pass}")))
                            .unwrap();
                    }
                }
            }
            let sets = join.finish().unwrap().collect::<io::Result<Vec<_>>>().unwrap();
            sets.iter()
                .map(|set| {
                    (
                        set.problem.clone(),
                        set.candidates.iter().map(|one| one.text.clone()).collect::<String>(),
                    )
                })
                .collect::<Vec<_>>()
        };
        let memory = joined(usize::MAX);
        assert_eq!(memory.len(), 700);
        assert_eq!(
            (memory[0].clone(), memory[1].clone()),
            (("0".into(), "012".into()), ("1".into(), "001122".into()))
        );
        assert!(memory.iter().enumerate().all(|(at, (problem, _))| *problem == at.to_string()));
        assert_eq!(joined(0), memory);
        assert_eq!(joined(20_000), memory);
        assert!(Join::new(tempfile::tempfile).finish().unwrap().next().is_none());
    }
}
