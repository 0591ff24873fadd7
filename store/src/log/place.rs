//! Where a record or a frame begins on disk.

use crate::error::ReadError;

/// Segment number above 32 bits of offset in units of 8 bytes. Ordered as the log is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place(pub u64);

impl Place {
    /// # Panics
    /// When the offset is no multiple of 8: every record and frame begins at one.
    #[must_use]
    pub fn new(segment: u32, offset: u64) -> Place {
        assert!(offset.is_multiple_of(8) && offset >> 3 <= u64::from(u32::MAX));
        Place(u64::from(segment) << 32 | offset >> 3)
    }

    #[must_use]
    pub fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// In bytes from the start of the segment file.
    #[must_use]
    pub fn offset(self) -> u64 {
        (self.0 & u64::from(u32::MAX)) << 3
    }

    /// The place `bytes` further on in the same segment.
    #[must_use]
    pub fn offset_by(self, bytes: u32) -> Place {
        Place::new(self.segment(), self.offset() + u64::from(bytes))
    }

    /// Names what is wrong here.
    #[must_use]
    pub fn damaged(self, what: &'static str) -> ReadError {
        ReadError::Damaged {
            segment: self.segment(),
            offset: self.offset(),
            what,
        }
    }
}
