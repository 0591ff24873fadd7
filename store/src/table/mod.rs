//! What the compactor makes of the log: immutable index files, and the manifest that names them.
//!
//! ```text
//! MANIFEST                  the single truth of what belongs to a shard   [`manifest`]
//! index/%08x.run            cards and parts of accounts, sorted           [`run`]
//! index/%08x.%08x.loc       object → place, 2^18 objects a chunk          [`locations`]
//! ```
//!
//! A file is written whole, verified, and then named by a manifest that replaces the one before
//! by rename. What no manifest names is a leftover. All bytes are covered by checksums that hold
//! at one offset of one file only (FORMAT.md, "Runs", "Locations", "Manifest").

mod error;
mod head;
pub mod locations;
pub mod manifest;
pub mod name;
pub mod run;

pub use error::TableError;
pub(crate) use error::at;
