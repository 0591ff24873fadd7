//! Where a log goes on, and where its replay begins.

use crate::mail::id::{FrameSeq, Lsn};

/// The place behind a durable frame, and what the frame there must continue: enough to begin the
/// replay there and to notice a log that is another one, or an older copy of this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    pub segment: u32,
    /// In bytes from the start of the segment file; whole blocks.
    pub offset: u64,
    /// Of the frame that ends here; of the segment's header where none does.
    pub chain: u32,
    /// The number that the next frame has.
    pub frame: FrameSeq,
    /// No record from here on is below it.
    pub lsn: Lsn,
}

/// What of the log is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Begin {
    /// Segments before it are no part of the log any more, whether their files are there or not.
    pub first_segment: u32,
    /// The replay begins here; without it, at the first frame of the first segment.
    pub from: Option<Position>,
}

impl Begin {
    /// The first segment of which anything is replayed.
    pub(super) fn segment(&self) -> u32 {
        let replayed = self.from.map_or(0, |from| from.segment);
        self.first_segment.max(replayed)
    }
}

impl Default for Begin {
    /// A log of which nothing was ever taken away, all of it.
    fn default() -> Begin {
        Begin {
            first_segment: 1,
            from: None,
        }
    }
}
