//! One of several parts of an input, by the number of each line or set: who reads shard 3 of 40 sees every 40th, beginning with
//! the third. Which those are depends on the input alone.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use conclave_core::json_lines::line_end;

/// Bytes that a reader has ready at most, beyond one line.
const READY: usize = 1 << 16;

/// Shard `number` of `of`, counted from 1 as it is written: `3/40`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which.
    pub number: u64,
    /// Of how many.
    pub of: u64,
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            Some((_, 0)) => Err("there is no shard of 0: expected I/N, as in 3/40".to_owned()),
            Some((_, of)) => Err(format!("shards of {of} have the numbers 1 to {of}")),
            None => Err("expected I/N, as in 3/40: shard I, from 1, of N".to_owned()),
        }
    }
}

/// A shard that is being read, over all files of an input. Clones count together.
#[derive(Clone, Debug)]
pub struct Share {
    shard: Shard,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    seen: AtomicU64,
    taken: AtomicU64,
}

impl Share {
    /// The share of this shard.
    pub fn new(shard: Shard) -> Self {
        Self { shard, counts: Arc::default() }
    }

    /// Whether the next line or set is of this shard.
    pub fn takes_next(&self) -> bool {
        let at = self.counts.seen.fetch_add(1, Ordering::Relaxed);
        let is_taken = at % self.shard.of == self.shard.number - 1;
        if is_taken {
            self.counts.taken.fetch_add(1, Ordering::Relaxed);
        }
        is_taken
    }

    /// Lines or sets that were of this shard so far.
    pub fn taken(&self) -> u64 {
        self.counts.taken.load(Ordering::Relaxed)
    }
}

/// The lines of a shard, with an empty line in the place of each of the others: so lines keep their numbers, and what is of
/// another shard is not looked at. Blank lines are not counted.
pub struct ShardLines<R> {
    reader: R,
    share: Share,
    /// What ends a line; not known before the first.
    end: Option<u8>,
    ready: Vec<u8>,
    /// Bytes of `ready` that were given.
    given: usize,
    line: Vec<u8>,
}

impl<R: BufRead> ShardLines<R> {
    /// Reads from `reader`.
    pub fn new(reader: R, share: Share) -> Self {
        Self { reader, share, end: None, ready: Vec::new(), given: 0, line: Vec::new() }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.given = 0;
        let end = match self.end {
            Some(end) => end,
            None => *self.end.insert(line_end(self.reader.fill_buf()?)),
        };
        while self.ready.len() < READY {
            self.line.clear();
            if self.reader.read_until(end, &mut self.line)? == 0 {
                break;
            }
            let is_blank = self.line.iter().all(u8::is_ascii_whitespace);
            if is_blank || self.share.takes_next() {
                self.ready.extend_from_slice(&self.line);
                // Whoever reads gets it before the next one is read.
                break;
            }
            if self.line.ends_with(&[end]) {
                self.ready.push(end);
            }
        }
        Ok(())
    }
}

impl<R: BufRead> BufRead for ShardLines<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.given == self.ready.len() {
            self.fill()?;
        }
        Ok(&self.ready[self.given..])
    }

    fn consume(&mut self, amount: usize) {
        self.given = (self.given + amount).min(self.ready.len());
    }
}

impl<R: BufRead> Read for ShardLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, share: &Share) -> String {
        let mut read = String::new();
        ShardLines::new(text.as_bytes(), share.clone()).read_to_string(&mut read).unwrap();
        read
    }

    #[test]
    fn a_shard_is_written_as_a_fraction() {
        assert_eq!("3/40".parse(), Ok(Shard { number: 3, of: 40 }));
        assert_eq!(Shard { number: 3, of: 40 }.to_string(), "3/40");
        for (bad, reason) in [
            ("0/4", "the numbers 1 to 4"),
            ("5/4", "the numbers 1 to 4"),
            ("1/0", "no shard of 0"),
            ("0/0", "no shard of 0"),
            ("3", "expected I/N"),
            ("a/b", "expected I/N"),
            ("-1/4", "expected I/N"),
        ] {
            let error = bad.parse::<Shard>().unwrap_err();
            assert!(error.contains(reason), "{bad}: {error}");
        }
    }

    #[test]
    fn each_line_is_in_one_shard_at_its_place() {
        let text = "a\n\n  \nb\nc\r\nd\ne";
        let share = |number| Share::new(Shard { number, of: 2 });
        assert_eq!(lines(text, &share(1)), "a\n\n  \n\nc\r\n\ne");
        assert_eq!(lines(text, &share(2)), "\n\n  \nb\n\nd\n");
        // The count goes on over files.
        let second = share(2);
        assert_eq!((lines("a\n", &second), lines("b\nc\n", &second)), ("\n".into(), "b\n\n".into()));
        assert_eq!(second.taken(), 1);
        assert_eq!(lines("a\rb\rc", &share(2)), "\rb\r");
        assert_eq!(lines(text, &Share::new(Shard { number: 1, of: 1 })), text);
        assert_eq!(lines("", &share(1)), "");
        // More than is ready at once.
        let many: String = (0..300_000).map(|i| format!("{i}\n")).collect();
        let read = lines(&many, &Share::new(Shard { number: 3, of: 100_000 }));
        assert_eq!(read.split_whitespace().collect::<Vec<_>>(), ["2", "100002", "200002"]);
        assert_eq!(read.lines().count(), 300_000);
    }
}
