//! Memory while large files are read, by an allocator that counts. Files are made as they are read. The usual run has some megabytes of
//! each layout; `cargo test --release -p conclave-files --test memory -- --ignored` has a gigabyte.

use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::io::{BufRead, BufReader, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use conclave_files::{Counts, Join, Notes, Options, Row, SetReader, unpack};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator; only sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        let held = HELD.fetch_add(memory.size(), Ordering::Relaxed) + memory.size();
        MOST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: as this call's.
        unsafe { System.alloc(memory) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, memory: Memory) {
        HELD.fetch_sub(memory.size(), Ordering::Relaxed);
        // SAFETY: as this call's.
        unsafe { System.dealloc(pointer, memory) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A file that is made while it is read.
struct Made {
    parts: Box<dyn Iterator<Item = String>>,
    part: Vec<u8>,
    at: usize,
}

impl Read for Made {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.part.len() {
            match self.parts.next() {
                Some(part) => (self.part, self.at) = (part.into_bytes(), 0),
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.part.len() - self.at);
        buffer[..length].copy_from_slice(&self.part[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// A large file of a layout: what stands around its rows, a row by its number, and what parts them.
struct Large {
    name: &'static str,
    head: &'static str,
    row: fn(usize, usize, &str) -> String,
    between: &'static str,
    tail: &'static str,
    /// Whether a problem's rows stand apart.
    is_joined: bool,
}

const LARGE: &[Large] = &[
    Large {
        name: "sets.jsonl",
        head: "",
        row: |at, _, text| {
            format!(
                "{{\"id\": \"{at}\", \"problem\": \"p {at}\", \"reference_answer\": 1, \"candidates\": [\"{text}\", \"{text}\"]}}"
            )
        },
        between: "\n",
        tail: "\n",
        is_joined: false,
    },
    Large {
        name: "array.json",
        head: "[\n",
        row: |at, _, text| {
            format!(
                "  {{\n    \"question\": \"q {at}\",\n    \"samples\": [\n      \"{text}\",\n      \"{text}\"\n    ]\n  }}"
            )
        },
        between: ",\n",
        tail: "\n]",
        is_joined: false,
    },
    Large {
        name: "one-line.json",
        head: "[",
        row: |at, _, text| {
            format!(
                "{{\"request_id\": \"{at}\", \"prompt\": \"q {at}\", \"outputs\": [{{\"index\": 0, \"text\": \"{text}\"}}]}}"
            )
        },
        between: ", ",
        tail: "]",
        is_joined: false,
    },
    Large {
        name: "samples_lm_eval.jsonl",
        head: "",
        row: |at, _, text| {
            format!(
                "{{\"doc_id\": {at}, \"doc\": {{\"question\": \"q {at}\"}}, \"target\": \"1\", \"resps\": [[\"{text}\"]], \"filter\": \"none\"}}"
            )
        },
        between: "\n",
        tail: "\n",
        is_joined: false,
    },
    Large {
        name: "skythought.json",
        head: "{",
        row: |at, _, text| {
            format!(
                "\"question number {at}\": {{\"answer\": \"1\", \"responses\": {{\"0.7\": [{{\"content\": \"{text}\"}}]}}}}"
            )
        },
        between: ", ",
        tail: "}",
        is_joined: false,
    },
    Large {
        name: "inspect.json",
        head: "{\"version\": 2, \"eval\": {\"task\": \"t\"}, \"samples\": [",
        row: |at, all, text| {
            let (id, epoch) = (at % (all / 2), at / (all / 2) + 1);
            format!(
                "{{\"id\": {id}, \"epoch\": {epoch}, \"input\": \"q {id}\", \"target\": \"1\", \"output\": {{\"choices\": [{{\"message\": {{\"role\": \"assistant\", \"content\": \"{text}\"}}}}]}}}}"
            )
        },
        between: ",",
        tail: "], \"stats\": {}}",
        is_joined: true,
    },
    Large {
        name: "promptfoo.json",
        head: "{\"evalId\": \"e\", \"results\": {\"version\": 3, \"results\": [",
        row: |at, all, text| {
            let id = at % (all / 2);
            format!(
                "{{\"testIdx\": {at}, \"vars\": {{\"question\": \"q {id}\"}}, \"response\": {{\"output\": \"{text}\"}}, \"provider\": {{\"id\": \"m\"}}}}"
            )
        },
        between: ",",
        tail: "]}}",
        is_joined: true,
    },
    Large {
        name: "verl.jsonl",
        head: "",
        row: |at, all, text| {
            let id = at % (all / 2);
            format!("{{\"input\": \"user\\nq {id}\\nassistant\\n\", \"output\": \"{text}\", \"gts\": \"1\"}}")
        },
        between: "\n",
        tail: "\n",
        is_joined: true,
    },
    Large {
        name: "answers_pass0_rank0.json",
        head: "[",
        row: |at, all, text| format!("\"user\\nq {}\\nassistant\\n{text}\"", at % (all / 2)),
        between: ",\n",
        tail: "]",
        is_joined: true,
    },
    Large {
        name: "rows.csv",
        head: "id,question,answer,response\n",
        row: |at, all, text| format!("{0},q {0},1,\"{text}\"", at % (all / 2)),
        between: "\n",
        tail: "\n",
        is_joined: true,
    },
];

/// The most memory that was held at a time while a file of so many bytes was read, and the sets of it.
fn most_memory(large: &'static Large, bytes: usize) -> (usize, u64) {
    // As long as a solution is.
    let text = "So nine eggs are left, which are sold at two dollars each. ".repeat(20);
    let one = (large.row)(0, 2, &text).len() + large.between.len();
    let rows = (bytes / one / 2 * 2).max(2);
    let row = move |at: usize| {
        let between = if at == 0 { "" } else { large.between };
        format!("{between}{}", (large.row)(at, rows, &text))
    };
    let parts = std::iter::once(large.head.to_owned())
        .chain((0..rows).map(row))
        .chain(std::iter::once(large.tail.to_owned()));
    let made = Made { parts: Box::new(parts), part: Vec::new(), at: 0 };
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);

    let options = Options::default();
    let reader: Box<dyn BufRead> = Box::new(BufReader::with_capacity(1 << 16, made));
    let unpacked = unpack(reader, large.name).unwrap();
    let mut reader = SetReader::open(unpacked.reader, large.name, &options).unwrap().unwrap();
    let (mut counts, mut notes, mut join) =
        (Counts::default(), Notes::default(), Join::new(tempfile::tempfile));
    for row in reader.by_ref() {
        match row.unwrap() {
            Row::Set(set) => counts.add(&set, true, &mut notes),
            Row::Part(key, set) => join.push(key, set).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(join.is_empty(), !large.is_joined, "{}", large.name);
    for set in join.finish().unwrap() {
        let set = set.unwrap();
        assert_eq!(set.candidates.len(), 2, "{}", large.name);
        counts.add(&set, true, &mut notes);
    }
    assert_eq!(counts.sets, if large.is_joined { rows / 2 } else { rows } as u64, "{}", large.name);
    (MOST.load(Ordering::Relaxed) - before, counts.sets)
}

/// What is counted is counted for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn memory_does_not_grow_with_the_file() {
    let _guard = ONE_AT_A_TIME.lock();
    for large in LARGE {
        // Rows that are joined go to files beyond 16 MB.
        let (bytes, bound) = if large.is_joined { (24 << 20, 48 << 20) } else { (12 << 20, 8 << 20) };
        let (most, sets) = most_memory(large, bytes);
        assert!(most < bound, "{}: {most} bytes for {sets} sets", large.name);
    }
}

#[test]
#[ignore = "reads ten gigabytes: minutes, and a gigabyte of temporary files"]
fn a_gigabyte_is_read_in_200_megabytes() {
    let _guard = ONE_AT_A_TIME.lock();
    for large in LARGE {
        let (most, sets) = most_memory(large, 1 << 30);
        println!("{}: {:.1} MB at most, {sets} sets", large.name, most as f64 / 1e6);
        assert!(most < 200 << 20, "{}: {most} bytes for {sets} sets", large.name);
    }
}
