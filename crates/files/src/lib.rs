//! Sample sets from the files of other tools: layouts are found out, read as a stream, and rows that belong together are joined.
//!
//! Bytes are unpacked ([`unpack`]), looked at ([`prefix`], [`shape`], [`layout`]), parted into values ([`elements`], [`table`],
//! [`archive`]), and each value becomes a row ([`read`], with a module for each family of layouts); rows of one set are joined
//! ([`join`]). What does not live here: opening files, messages (the host), what an answer is (`conclave-core`). docs/files.md
//! has the table of layouts.

pub mod archive;
mod batch;
mod chat;
pub mod elements;
mod evalscope;
mod fields;
mod inspect;
pub mod join;
mod known;
pub mod layout;
mod lm_eval;
mod names;
pub mod options;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod prefix;
mod presets;
mod problems;
mod promptfoo;
pub mod read;
pub mod row;
pub mod shape;
pub mod shard;
pub mod table;
mod text;
pub mod unpack;

pub use elements::Element;
pub use join::Join;
pub use layout::Layout;
pub use options::{Fields, Options};
pub use problems::read_problems;
pub use read::{Counts, SetReader, values};
pub use row::{Note, Notes, Row, Used};
pub use shard::{Shard, Share};
pub use unpack::{Unpacked, unpack};
