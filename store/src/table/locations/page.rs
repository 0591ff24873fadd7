//! One page of a location chunk: where 500 objects lie, and a checksum.
//!
//! | At | Octets | |
//! |---|---|---|
//! | 0 | 4000 | places, 8 octets each; 0 is nothing |
//! | 4000 | 63 | bit n % 8 of octet n / 8: object n of the page is a DELIVER, not a MESSAGE |
//! | 4092 | 4 | `crc32c` of 0..4092 ⊕ seat of the page |

use crate::codec::checksum::plain;
use crate::codec::{Fields, Fill, Put};
use crate::disk::Block;
use crate::limit::BLOCK_BYTES;
use crate::log::Place;
use crate::table::head::Seats;

/// Where an object lies, and what it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Location {
    pub place: Place,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Message,
    Deliver,
}

/// A page whose checksum fits.
pub(super) struct Page(Block);

/// Objects of a page.
pub(super) const PAGE_ENTRIES: usize = 500;

const KINDS_AT: usize = PAGE_ENTRIES * 8;
const KINDS_BYTES: usize = PAGE_ENTRIES.div_ceil(8);
const CRC_AT: usize = BLOCK_BYTES - 4;
const _: () = assert!(KINDS_AT + KINDS_BYTES <= CRC_AT);

impl Page {
    /// `None` when the bytes are not the page that was written at `offset`.
    pub(super) fn decode(block: Block, offset: u64, seats: Seats) -> Option<Page> {
        let bytes: &[u8; BLOCK_BYTES] = block.as_slice().as_array()?;
        let (covered, crc) = bytes.split_at(CRC_AT);
        let stored = Fields::new(crc).u32().ok()?;
        (plain(covered) ^ seats.at(offset) == stored).then_some(Page(block))
    }

    pub(super) fn entry(&self, index: usize) -> Option<Location> {
        let (places, kinds) = self.0.as_slice().split_at_checked(KINDS_AT)?;
        let place = u64::from_le_bytes(*places.get(index * 8..)?.first_chunk()?);
        let is_deliver = kinds.get(index / 8)? >> (index % 8) & 1 == 1;
        let kind = if is_deliver {
            Kind::Deliver
        } else {
            Kind::Message
        };
        (place != 0).then_some(Location {
            place: Place(place),
            kind,
        })
    }
}

/// The page of up to [`PAGE_ENTRIES`] entries that will lie at `offset`.
pub(super) fn encode(entries: &[Option<Location>], offset: u64, seats: Seats) -> Block {
    assert!(
        entries.len() <= PAGE_ENTRIES,
        "the writer begins a new page before"
    );
    let mut block = Block::zeroed(BLOCK_BYTES);
    let (covered, crc) = block.as_mut_slice().split_at_mut(CRC_AT);
    let (places, kinds) = covered.split_at_mut(KINDS_AT);
    let mut places = Fill::new(places);
    for (index, entry) in entries.iter().enumerate() {
        places.put_u64(entry.map_or(0, |location| location.place.0));
        let is_deliver = entry.is_some_and(|location| location.kind == Kind::Deliver);
        if let Some(kinds) = kinds.get_mut(index / 8) {
            *kinds |= u8::from(is_deliver) << (index % 8);
        }
    }
    crc.copy_from_slice(&(plain(covered) ^ seats.at(offset)).to_le_bytes());
    block
}
