//! Where a record or a frame lies: in a segment of the log, or in a pack.
//!
//! ```text
//! segment  0 | segment 31 bits | offset / 8   32 bits
//! pack     1 | pack    31 bits | block 20 bits | record in the block 12 bits
//! ```

use crate::error::{Container, ReadError};

/// 64 bits of one of the two forms above. Ordered as the log is; packs come behind the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place(pub u64);

/// Segments and packs are numbered below this.
pub const CONTAINERS_MAX: u32 = 1 << 31;

/// Blocks of one pack that a place can name.
pub const PACK_BLOCKS_MAX: u32 = 1 << 20;

/// Records of one block of a pack that a place can name.
pub const BLOCK_RECORDS_MAX: u32 = 1 << 12;

impl Place {
    /// # Panics
    /// When the offset is no multiple of 8: every record and frame begins at one. When the number
    /// of the segment is out of range: `segment::number` takes no such file.
    #[must_use]
    pub fn new(segment: u32, offset: u64) -> Place {
        assert!(offset.is_multiple_of(8) && offset >> 3 <= u64::from(u32::MAX));
        assert!(segment < CONTAINERS_MAX);
        Place(u64::from(segment) << 32 | offset >> 3)
    }

    /// The place of record number `record` of block number `block`, both from 0.
    ///
    /// # Panics
    /// When a number is out of range: the writer of packs opens a new block or pack before.
    #[must_use]
    pub fn in_pack(pack: u32, block: u32, record: u32) -> Place {
        assert!(pack < CONTAINERS_MAX && block < PACK_BLOCKS_MAX && record < BLOCK_RECORDS_MAX);
        Place(PACK_BIT | u64::from(pack) << 32 | u64::from(block) << 12 | u64::from(record))
    }

    #[must_use]
    pub fn is_in_pack(self) -> bool {
        self.0 & PACK_BIT != 0
    }

    /// 0, which no segment has, for a place in a pack.
    #[must_use]
    pub fn segment(self) -> u32 {
        if self.is_in_pack() {
            return 0;
        }
        (self.0 >> 32) as u32
    }

    /// In bytes from the start of the segment file; 0, where no record lies, for a place in a pack.
    #[must_use]
    pub fn offset(self) -> u64 {
        if self.is_in_pack() {
            return 0;
        }
        (self.0 & u64::from(u32::MAX)) << 3
    }

    /// The place `bytes` further on in the same segment.
    ///
    /// # Panics
    /// When the place is in a pack: records there are counted, not measured.
    #[must_use]
    pub fn offset_by(self, bytes: u32) -> Place {
        assert!(!self.is_in_pack());
        Place::new(self.segment(), self.offset() + u64::from(bytes))
    }

    /// Pack, block and record of a place in a pack.
    #[must_use]
    pub fn packed(self) -> Option<(u32, u32, u32)> {
        let (upper, lower) = ((self.0 >> 32) as u32, self.0 as u32);
        self.is_in_pack().then_some((
            upper % CONTAINERS_MAX,
            lower / BLOCK_RECORDS_MAX,
            lower % BLOCK_RECORDS_MAX,
        ))
    }

    /// The file that holds the place.
    #[must_use]
    pub fn container(self) -> Container {
        match self.packed() {
            Some((pack, _, _)) => Container::Pack(pack),
            None => Container::Segment(self.segment()),
        }
    }

    /// Names what is wrong here.
    #[must_use]
    pub fn damaged(self, what: &'static str) -> ReadError {
        ReadError::Damaged {
            container: self.container(),
            offset: self.offset(),
            what,
        }
    }
}

const PACK_BIT: u64 = 1 << 63;

const _: () = assert!(PACK_BLOCKS_MAX as u64 * BLOCK_RECORDS_MAX as u64 == 1 << 32);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_forms_come_back(
            number in 0..CONTAINERS_MAX,
            units: u32,
            block in 0..PACK_BLOCKS_MAX,
            record in 0..BLOCK_RECORDS_MAX,
        ) {
            let offset = u64::from(units) * 8;
            let logged = Place::new(number, offset);
            prop_assert_eq!((logged.segment(), logged.offset()), (number, offset));
            prop_assert_eq!(logged.packed(), None);
            let packed = Place::in_pack(number, block, record);
            prop_assert_eq!(packed.packed(), Some((number, block, record)));
            prop_assert_eq!((packed.segment(), packed.offset()), (0, 0));
            prop_assert!(logged < packed);
        }
    }

    #[test]
    fn a_pack_is_named_as_a_pack() {
        let at = Place::in_pack(10, 1, 2).damaged("torn").to_string();
        assert!(at.contains("pack 0000000a"), "{at}");
        let at = Place::new(10, 64).damaged("torn").to_string();
        assert!(at.contains("segment 0000000a at 64"), "{at}");
    }
}
