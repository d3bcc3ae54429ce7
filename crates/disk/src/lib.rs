//! The disk. Everything that Conclave writes, it writes here; no other crate opens a file for writing (`tests/tidy` sees to it).
//!
//! Three kinds of things are written, and their names never meet:
//!
//! | what | while it is written | what a killed process leaves |
//! |---|---|---|
//! | [`WholeFile`]: cannot be continued | `FILE.unfinished` | that name; the next run begins anew |
//! | [`Resumable`]: rows that a later run continues | `FILE.partial`, its settings in `FILE.partial.json`, what was begun of the next row in `FILE.partial.begun` | all three; the next run goes on behind the last whole row |
//! | [`NewFolder`]: a model, a checkpoint | `.new-NAME` beside it | that name; the next run removes it |
//!
//! Whoever writes holds a lock ([`claim`]), and after locking looks whether the file still has its name: another process
//! may have given it its final one in between. A file or folder gets its final name by a rename, when it is whole and on the disk. What is
//! read is never written ([`Inputs`]). A process that is asked to stop, or whose parent has died, hears of it in [`stop`].
//! What is written is not known here.

pub mod claim;
mod error;
mod folder;
mod inputs;
mod log;
mod name;
mod resumable;
pub mod stop;
mod temporary;
mod whole;

pub use error::{DiskError, Result};
pub use folder::{Folder, Lock, NewFolder, clean, create_folder, entries, put_aside, remove, sha256};
pub use inputs::Inputs;
pub use log::AppendedLog;
pub use name::{begun_path, is_replaceable, partial_path, resolve_link, settings_path, unfinished_path};
pub use resumable::Resumable;
pub use temporary::{TemporaryFolder, temporary_file, temporary_folder};
pub use whole::{WholeFile, open_device, write_whole};
