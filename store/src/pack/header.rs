//! The first block of a pack: which pack it is and where its parts lie (FORMAT.md, "Packs").

use super::listing::ROW_BYTES;
use super::table::{ENTRY_BYTES, Table};
use super::{DICTIONARY_BYTES_MAX, FIRST_OFFSET, PackError, PackHead};
use crate::codec::checksum::plain;
use crate::codec::{Fields, Fill, Put, Short};
use crate::disk::Block;
use crate::limit::BLOCK_BYTES;
use crate::log::PACK_BLOCKS_MAX;
use crate::mail::id::ShardId;

const MAGIC: [u8; 8] = *b"RINGPACK";
const FORMAT_MAJOR: u16 = 1;
const FORMAT_MINOR: u16 = 0;
const FEATURES_AT: usize = 96;
const LISTING_AT: usize = 104;
const CRC_AT: usize = BLOCK_BYTES - 4;

/// Features that a reader must know: none yet.
const FEATURES_KNOWN: u64 = 0;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) head: PackHead,
    pub(super) records: u64,
    pub(super) raw_bytes: u64,
    /// Right behind the last block.
    pub(super) table_offset: u64,
    pub(super) blocks: u32,
    pub(super) table_crc: u32,
    /// 0 without one; it lies right behind the header.
    pub(super) dictionary_bytes: u32,
    pub(super) dictionary_crc: u32,
    pub(super) listing: ListingSpan,
}

/// Where the listing lies, behind the table; all 0 without one. Readers that do not know it need
/// not: it repeats what the records say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct ListingSpan {
    /// Which fields are kept.
    pub(super) names: u16,
    /// Right behind the table of the records; the blocks begin here.
    pub(super) offset: u64,
    /// Right behind the dictionary of the listing.
    pub(super) table_offset: u64,
    pub(super) blocks: u32,
    pub(super) table_crc: u32,
    /// 0 without one; it lies right behind the last block of the listing.
    pub(super) dictionary_bytes: u32,
    pub(super) dictionary_crc: u32,
}

impl Header {
    pub(super) fn encode(&self) -> Block {
        let mut block = Block::zeroed(BLOCK_BYTES);
        let (covered, crc) = block.as_mut_slice().split_at_mut(CRC_AT);
        let (fields, behind) = covered.split_at_mut(FEATURES_AT);
        let (features, listing) = behind.split_at_mut(LISTING_AT - FEATURES_AT);
        let mut out = Fill::new(fields);
        out.put(&MAGIC);
        out.put_u16(FORMAT_MAJOR);
        out.put_u16(FORMAT_MINOR);
        out.put_u32(BLOCK_BYTES as u32);
        out.put(&self.head.store);
        out.put_u16(self.head.shard.0);
        out.put_u16(0);
        out.put_u32(self.head.number);
        out.put_u64(self.records);
        out.put_u64(self.raw_bytes);
        out.put_u64(self.table_offset);
        out.put_u32(self.blocks);
        out.put_u32(self.table_crc);
        out.put_u32(self.dictionary_bytes);
        out.put_u32(self.dictionary_crc);
        Fill::new(features).put_u64(FEATURES_KNOWN);
        self.listing.write(&mut Fill::new(listing));
        crc.copy_from_slice(&plain(covered).to_le_bytes());
        block
    }

    /// The header of the pack that is expected here.
    pub(super) fn decode(block: &[u8], expected: PackHead) -> Result<Header, PackError> {
        let pack = expected.number;
        let damaged = |what| PackError::Damaged {
            pack,
            offset: 0,
            what,
        };
        let block: &[u8; BLOCK_BYTES] = block
            .first_chunk()
            .ok_or(damaged("the file ends within the header"))?;
        let (covered, crc) = block.split_at(CRC_AT);
        if !covered.starts_with(&MAGIC) || crc != plain(covered).to_le_bytes() {
            return Err(damaged("no header of a pack"));
        }
        match Self::layout(covered) {
            Ok(Some(header)) => header.checked(expected),
            Ok(None) => Err(PackError::Newer { pack }),
            Err(Short) => Err(damaged("no header of a pack")),
        }
    }

    /// Whether a damaged header still names that pack, in a format that we know.
    pub(super) fn names(block: &[u8], expected: PackHead) -> bool {
        let mut fields = Fields::new(block);
        let mut names = || -> Result<bool, Short> {
            let (magic, major) = (fields.array()?, fields.u16()?);
            let (_minor, _header_bytes) = (fields.u16()?, fields.u32()?);
            let store = fields.array()?;
            let (shard, _zero) = (ShardId(fields.u16()?), fields.u16()?);
            let number = fields.u32()?;
            let head = PackHead {
                store,
                shard,
                number,
            };
            Ok((magic, major, head) == (MAGIC, FORMAT_MAJOR, expected))
        };
        names().unwrap_or(false)
    }

    /// `None` in a format that this program does not know.
    fn layout(covered: &[u8]) -> Result<Option<Header>, Short> {
        let mut features = Fields::new(covered.get(FEATURES_AT..).unwrap_or_default());
        let mut listing = Fields::new(covered.get(LISTING_AT..).unwrap_or_default());
        let mut fields = Fields::new(covered);
        fields.array::<{ MAGIC.len() }>()?;
        let major = fields.u16()?;
        if major != FORMAT_MAJOR || features.u64()? & !FEATURES_KNOWN != 0 {
            return Ok(None);
        }
        let (_minor, _header_bytes) = (fields.u16()?, fields.u32()?);
        let store = fields.array()?;
        let (shard, _zero) = (ShardId(fields.u16()?), fields.u16()?);
        let number = fields.u32()?;
        Ok(Some(Header {
            head: PackHead {
                store,
                shard,
                number,
            },
            records: fields.u64()?,
            raw_bytes: fields.u64()?,
            table_offset: fields.u64()?,
            blocks: fields.u32()?,
            table_crc: fields.u32()?,
            dictionary_bytes: fields.u32()?,
            dictionary_crc: fields.u32()?,
            listing: ListingSpan::read(&mut listing)?,
        }))
    }

    fn checked(self, expected: PackHead) -> Result<Header, PackError> {
        let pack = expected.number;
        let foreign = |what| Err(PackError::Foreign { pack, what });
        if self.head.store != expected.store {
            return foreign("store");
        }
        if self.head.shard != expected.shard {
            return foreign("shard");
        }
        if self.head.number != expected.number {
            return foreign("number");
        }
        let sound = self.blocks <= PACK_BLOCKS_MAX
            && self.dictionary_bytes as usize <= DICTIONARY_BYTES_MAX
            && self.table_offset >= self.first_block()
            && self.table_offset <= u64::from(PACK_BLOCKS_MAX) * Table::STORED_BYTES_MAX;
        if sound {
            Ok(self)
        } else {
            Err(PackError::Damaged {
                pack,
                offset: 0,
                what: "the header contradicts itself",
            })
        }
    }

    pub(super) fn first_block(&self) -> u64 {
        FIRST_OFFSET + u64::from(self.dictionary_bytes)
    }

    pub(super) fn table_bytes(&self) -> usize {
        self.blocks as usize * ENTRY_BYTES
    }

    /// Length of the file without listing and zeros.
    pub(super) fn end(&self) -> u64 {
        self.table_offset + self.table_bytes() as u64
    }
}

impl ListingSpan {
    fn write(&self, out: &mut impl Put) {
        out.put_u64(self.offset);
        out.put_u64(self.table_offset);
        out.put_u32(self.blocks);
        out.put_u32(self.table_crc);
        out.put_u32(self.dictionary_bytes);
        out.put_u32(self.dictionary_crc);
        out.put_u16(self.names);
    }

    fn read(fields: &mut Fields<'_>) -> Result<ListingSpan, Short> {
        Ok(ListingSpan {
            offset: fields.u64()?,
            table_offset: fields.u64()?,
            blocks: fields.u32()?,
            table_crc: fields.u32()?,
            dictionary_bytes: fields.u32()?,
            dictionary_crc: fields.u32()?,
            names: fields.u16()?,
        })
    }

    /// Where the blocks end.
    pub(super) fn dictionary_offset(&self) -> u64 {
        self.table_offset
            .saturating_sub(self.dictionary_bytes.into())
    }

    pub(super) fn table_bytes(&self) -> usize {
        self.blocks as usize * ROW_BYTES
    }

    /// Where the listing ends.
    pub(super) fn end(&self) -> u64 {
        self.table_offset + self.table_bytes() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: PackHead = PackHead {
        store: [3; 16],
        shard: ShardId(2),
        number: 7,
    };

    fn header() -> Header {
        Header {
            head: HEAD,
            records: 10,
            raw_bytes: 4000,
            table_offset: 9000,
            blocks: 2,
            table_crc: 0xfeed,
            dictionary_bytes: 100,
            dictionary_crc: 0xbeef,
            listing: ListingSpan {
                names: 1,
                offset: 9048,
                table_offset: 9500,
                blocks: 3,
                table_crc: 0xcafe,
                dictionary_bytes: 200,
                dictionary_crc: 0xf00d,
            },
        }
    }

    #[test]
    fn a_header_comes_back_and_every_flipped_bit_is_noticed() {
        let block = header().encode();
        assert_eq!(Header::decode(block.as_slice(), HEAD).unwrap(), header());
        for bit in 0..BLOCK_BYTES * 8 {
            let mut flipped = block.as_slice().to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = Header::decode(&flipped, HEAD).unwrap_err();
            assert!(matches!(error, PackError::Damaged { offset: 0, .. }));
        }
    }

    #[test]
    fn later_formats_and_other_places_are_told_apart() {
        for at in [8, FEATURES_AT] {
            let mut block = header().encode();
            let (covered, crc) = block.as_mut_slice().split_at_mut(CRC_AT);
            covered[at] ^= 2;
            crc.copy_from_slice(&plain(covered).to_le_bytes());
            let error = Header::decode(block.as_slice(), HEAD).unwrap_err();
            assert!(matches!(error, PackError::Newer { pack: 7 }));
        }
        let block = header().encode();
        let refused = |expected| {
            let error = Header::decode(block.as_slice(), expected).unwrap_err();
            error.to_string()
        };
        let (store, shard) = ([4; 16], ShardId(1));
        assert!(refused(PackHead { store, ..HEAD }).contains("another store"));
        assert!(refused(PackHead { shard, ..HEAD }).contains("another shard"));
        assert!(refused(PackHead { number: 8, ..HEAD }).contains("another number"));
    }

    #[test]
    fn a_header_that_contradicts_itself_is_refused() {
        let changes: [fn(&mut Header); 4] = [
            |header| header.blocks = PACK_BLOCKS_MAX + 1,
            |header| header.dictionary_bytes = u32::MAX,
            |header| header.table_offset = 4096,
            |header| header.table_offset = u64::MAX,
        ];
        for change in changes {
            let mut header = header();
            change(&mut header);
            let error = Header::decode(header.encode().as_slice(), HEAD).unwrap_err();
            assert!(error.to_string().contains("contradicts"));
        }
    }
}
