//! Models by name from a hub of the Hugging Face kind, kept in the cache that other programs share.
//!
//! [`pull`] downloads what a model needs, [`locate`] finds what was pulled and asks no network. A command that is given a name
//! only locates: nothing is downloaded unasked.
//!
//! The conventions are those of Python's `huggingface_hub`: the variables of the environment ([`Hub::from_environment`]), the
//! names of requests and headers, the layout of the cache and its locks, so that what one program has downloaded the other finds:
//!
//! ```text
//! HF_HUB_CACHE/models--OWNER--NAME/blobs/ETAG                   a file, whole and checked
//! HF_HUB_CACHE/models--OWNER--NAME/blobs/ETAG.incomplete        the beginning of one, to be continued
//! HF_HUB_CACHE/models--OWNER--NAME/snapshots/COMMIT/FILE        a link to a blob
//! HF_HUB_CACHE/models--OWNER--NAME/refs/REVISION                the commit that a revision was when it was pulled
//! HF_HUB_CACHE/.locks/models--OWNER--NAME/ETAG.lock             held while the blob is written
//! ```
//!
//! What is different, and why:
//! 1. Only the files that a model needs are taken, not the whole repository.
//! 2. Every file is checked before it gets its name: the sha256 of large files, the git hash of small ones.
//! 3. A snapshot is filled and a revision named when all files are there, so that an interrupted pull is never found by [`locate`].
//! 4. The token is sent to the hub alone, and never without encryption (save to this machine).

mod cache;
mod checksum;
mod download;
mod environment;
mod error;
mod failure;
mod http;
mod listing;
mod name;
mod pull;
mod retry;
mod selection;
mod status;
mod store;
mod watch;

pub use cache::{Pulled, locate};
pub use environment::{Hub, Token};
pub use error::{ErrorKind, HubError, Result};
pub use name::ModelName;
pub use pull::pull;
pub use retry::RetryOptions;
pub use watch::Event;
