//! Hashes of a file as it passes: of the whole, and of each 32 MiB.
//!
//! With those of blocks a loader can check what it reads in part, and go on after a break where it stopped.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::export::ModelSink;

/// Bytes of a block; the last of a file may have fewer.
pub const BLOCK_BYTES: usize = 32 << 20;

/// A sink that takes the hashes of blocks of what passes to another.
pub struct BlockSink<'a, K> {
    sink: &'a mut K,
    file: String,
    hasher: BlockHasher,
    /// The hashes of each file that was finished, for `conclave.json`.
    pub blocks: BTreeMap<String, Vec<String>>,
}

impl<'a, K: ModelSink> BlockSink<'a, K> {
    /// Nothing has passed yet.
    pub fn new(sink: &'a mut K) -> Self {
        Self { sink, file: String::new(), hasher: BlockHasher::default(), blocks: BTreeMap::new() }
    }
}

impl<K: ModelSink> ModelSink for BlockSink<'_, K> {
    fn create(&mut self, file: &str) -> Result<()> {
        self.file = file.to_owned();
        self.hasher = BlockHasher::default();
        self.sink.create(file)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.sink.write(bytes)
    }

    fn finish(&mut self) -> Result<()> {
        let hashes = std::mem::take(&mut self.hasher).finish();
        self.blocks.insert(std::mem::take(&mut self.file), hashes.blocks);
        self.sink.finish()
    }
}

/// Takes the bytes of one file in order.
#[derive(Clone, Debug, Default)]
pub struct BlockHasher {
    whole: Sha256,
    block: Sha256,
    /// Bytes of the block so far.
    filled: usize,
    blocks: Vec<String>,
}

/// The hashes of a file, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHashes {
    /// Sha256 of all bytes.
    pub whole: String,
    /// Sha256 of each [`BLOCK_BYTES`], in order; of an empty file none.
    pub blocks: Vec<String>,
}

impl BlockHasher {
    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.whole.update(bytes);
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.filled));
            self.block.update(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == BLOCK_BYTES {
                self.end_block();
            }
        }
    }

    /// The hashes of what was taken.
    pub fn finish(mut self) -> FileHashes {
        if self.filled > 0 {
            self.end_block();
        }
        FileHashes { whole: hexadecimal(self.whole), blocks: self.blocks }
    }

    fn end_block(&mut self) {
        self.filled = 0;
        self.blocks.push(hexadecimal(std::mem::take(&mut self.block)));
    }
}

fn hexadecimal(hash: Sha256) -> String {
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(bytes: &[u8]) -> String {
        hexadecimal(Sha256::new_with_prefix(bytes))
    }

    #[test]
    fn blocks_do_not_depend_on_how_bytes_come() {
        let bytes: Vec<u8> = (0..BLOCK_BYTES * 2 + 7).map(|at| ((at * 31) >> 7) as u8).collect();
        let blocks: Vec<String> = bytes.chunks(BLOCK_BYTES).map(hash).collect();
        let expected = FileHashes { whole: hash(&bytes), blocks };
        for piece in [bytes.len(), BLOCK_BYTES, BLOCK_BYTES / 3 + 1] {
            let mut hasher = BlockHasher::default();
            bytes.chunks(piece).for_each(|piece| hasher.update(piece));
            assert_eq!(hasher.finish(), expected, "{piece}");
        }
    }

    #[test]
    fn an_empty_file_has_no_block() {
        assert_eq!(BlockHasher::default().finish(), FileHashes { whole: hash(b""), blocks: Vec::new() });
    }
}
