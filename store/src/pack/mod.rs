//! Packs: immutable files of records in compressed blocks (FORMAT.md, "Packs").
//!
//! The compactor writes what survives of the log into packs, records of one account side by side. A
//! pack is written once from front to end, its header last, and never changed: a file with a good
//! header is a whole pack. A record is found by the numbers of its pack, its block and its place in
//! the block, so reading one means reading and unpacking a block of some 32 KiB.
//!
//! ```text
//! header │ dictionary, if it pays │ block 0 │ block 1 │ … │ table of the blocks │ listing │ zeros
//! ```
//!
//! Two checksums stand between the disk and a reader: that of the stored block, in the table, tells
//! rot from the device's own errors before anything is unpacked; that of the record, taken when it
//! was added, tells whether what comes out is what went in.

mod block;
pub(crate) mod compressor;
mod error;
mod file;
mod header;
pub mod listing;
mod packs;
pub(crate) mod recent;
mod salvage;
mod scan;
mod table;
mod writer;

#[cfg(test)]
mod tests;

pub use block::Unpacked;
pub use error::PackError;
pub use file::Pack;
pub use packs::Packs;
pub use scan::{Reader, verify};
pub use table::Shape;
pub use writer::{Dictionary, PackWriter};

use crate::limit::{BLOCK_BYTES, RECORD_BYTES_MAX};
use crate::log::{BLOCK_RECORDS_MAX, RECORD_HEADER_BYTES};
use crate::mail::id::ShardId;

/// Which pack this is: what its header says and its reader expects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PackHead {
    pub store: [u8; 16],
    pub shard: ShardId,
    pub number: u32,
}

/// What a pack holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Length of the file.
    pub bytes: u64,
    /// Of the records with their headers, before compression.
    pub raw_bytes: u64,
    pub records: u64,
    pub blocks: u32,
}

/// The name of a pack in its directory.
#[must_use]
pub fn name(number: u32) -> String {
    format!("{number:08x}.pack")
}

/// A block is closed before it would become longer, unless one record alone is, in bytes.
///
/// Measured on mail of 12 KiB: blocks of 32 KiB with a dictionary shrink to 41 %, as those of
/// 128 KiB do, and to 47 % without one, as against 45 %; but they are unpacked in 32 µs, not in
/// 100 µs, and a shard does nothing else meanwhile.
const BLOCK_RAW_BYTES: usize = 32 << 10;

/// Where the dictionary or the first block lies.
const FIRST_OFFSET: u64 = BLOCK_BYTES as u64;

/// Longest dictionary, in bytes: what the trainer recommends.
const DICTIONARY_BYTES_MAX: usize = 112 << 10;

const _: () = assert!(BLOCK_RAW_BYTES <= RECORD_BYTES_MAX);
const _: () = assert!(RECORD_BYTES_MAX.is_multiple_of(8));
// The shortest records fill a block before their numbers run out.
const _: () = assert!(BLOCK_RAW_BYTES / RECORD_HEADER_BYTES <= BLOCK_RECORDS_MAX as usize);
