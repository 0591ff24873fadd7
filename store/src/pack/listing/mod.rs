//! Listings: the header fields that mail programs list messages by, kept beside the records of a
//! pack, so that a list of a mailbox unpacks no bodies (FORMAT.md, "Listings").
//!
//! A listing only repeats what the records say. Where it has nothing of an object, or is damaged,
//! the object is read; so it can always be left out.
//!
//! ```text
//! … blocks of records │ their table │ listing block 0 │ 1 │ … │ dictionary, if it pays │ its table
//! ```
//!
//! Entries lie in the order of their records. The table tells the first entry of each block: the
//! entry of an object is found from its place, with one block unpacked.

mod block;
mod fields;
mod file;
mod lister;
mod listings;
mod table;

#[cfg(test)]
mod tests;

pub use fields::{KEPT, is_kept, of_header, of_prefix};
pub use file::ListingFile;
pub use lister::{Lister, Section};
pub use listings::Listings;
pub(super) use table::{ROW_BYTES, begin_of};

use crate::log::{BLOCK_RECORDS_MAX, Place};
use crate::mail::id::ObjectId;

/// What is kept of one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    pub object: ObjectId,
    /// Of a DELIVER its MESSAGE; `None` of a MESSAGE.
    pub message: Option<ObjectId>,
    /// As they stand, each with its line end: of a DELIVER those in its prefix, of a MESSAGE those
    /// in the header of its body.
    pub fields: Vec<u8>,
}

/// Block and record of a place in a pack, as one number.
#[must_use]
pub fn key_of(place: Place) -> Option<u32> {
    let (_, block, record) = place.packed()?;
    Some(block * BLOCK_RECORDS_MAX + record)
}

/// The place in a pack that a key stands for.
fn place_of(pack: u32, key: u32) -> Place {
    Place::in_pack(pack, key / BLOCK_RECORDS_MAX, key % BLOCK_RECORDS_MAX)
}

/// Which fields are kept: [`KEPT`]. A list that differs gets another number.
pub(super) const NAMES: u16 = 1;

/// A block is closed before it would become longer, in bytes: some thirty messages.
const BLOCK_RAW_BYTES: usize = 16 << 10;

/// The listing of one pack as it is stored, without its table, in bytes. What would come behind is
/// not kept.
const SECTION_BYTES_MAX: usize = 64 << 20;

/// Longest dictionary, in bytes: twice the length of a block.
const DICTIONARY_BYTES_MAX: usize = 32 << 10;
