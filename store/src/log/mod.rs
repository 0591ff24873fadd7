//! The log of one shard: append → durable; nothing else.
//!
//! One writer, one frame per group commit: records that are appended while a frame is on its way to
//! the disk make up the next one. Layout, validity rules and the recovery argument: `FORMAT.md`.

use crate::disk::Disk;
use crate::mail::id::{FrameSeq, Lsn};

/// Where a record begins on disk: segment number and byte offset, packed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place(pub u64);

/// One record to append: its payload is the concatenation of `parts`.
pub struct Draft<'a> {
    pub kind: u8,
    pub account: u32,
    pub parts: &'a [&'a [u8]],
}

/// What `append` promises: the records lie in frame `frame`, at these offsets from its start.
pub struct Appended {
    pub frame: FrameSeq,
    pub first_lsn: Lsn,
    /// Offsets of the records from the start of the frame, in the order of the drafts.
    pub offsets: Vec<u32>,
}

/// A record as it was read.
pub struct RecordRef<'a> {
    pub kind: u8,
    pub account: u32,
    pub lsn: Lsn,
    pub payload: &'a [u8],
}

pub struct Log<D: Disk> {
    disk: D,
}
