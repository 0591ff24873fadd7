//! The header of a file of signatures: whose it is, which objects it covers, where its directory
//! lies. It is written last: a file with a good one is whole.

use super::Version;
use crate::codec::checksum::plain;
use crate::codec::{Fields, Fill, Put, Short};
use crate::disk::Block;
use crate::limit::BLOCK_BYTES;
use crate::log::Position;
use crate::mail::id::{ObjectId, ShardId};
use crate::table::TableError;
use std::ops::Range;

/// What the header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) store: [u8; 16],
    pub(crate) shard: ShardId,
    pub(crate) number: u32,
    /// Of what the signatures were made by.
    pub(crate) version: Version,
    /// Objects that were looked at: whatever could be read of them is in the file.
    pub(crate) objects: Range<ObjectId>,
    pub(crate) anchor: Anchor,
    pub(crate) members: u64,
    pub(super) blocks: u32,
    pub(super) directory: u64,
    pub(super) directory_crc: u32,
}

/// Where the log was that the objects are of: a store that is back at an earlier moment gives the
/// same numbers to other messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Anchor {
    /// The frame from which the manifest replayed, and the chain value before it.
    pub(crate) frame: u64,
    pub(crate) chain: u32,
}

impl Anchor {
    pub(crate) fn of(replay: Option<Position>) -> Anchor {
        replay.map_or_else(Anchor::default, |replay| Anchor {
            frame: replay.frame.0,
            chain: replay.chain,
        })
    }

    /// Whether what was made here can be believed there.
    pub(crate) fn is_before(&self, later: &Anchor) -> bool {
        self.frame < later.frame || self == later
    }
}

/// Whether octets of a header lack what a write of it that was cut short by a crash may lack: its
/// first sector, or its last.
pub(super) fn is_unwritten(block: &[u8]) -> bool {
    let first = block.get(..SECTOR_BYTES).unwrap_or_default();
    let crc = block.get(CRC_AT..BLOCK_BYTES).unwrap_or_default();
    [first, crc]
        .iter()
        .any(|part| part.iter().all(|octet| *octet == 0))
}

impl Head {
    pub(super) fn encode(&self) -> Block {
        let mut block = Block::zeroed(BLOCK_BYTES);
        let (covered, crc) = block.as_mut_slice().split_at_mut(CRC_AT);
        let mut out = Fill::new(covered);
        out.put(&MAGIC);
        out.put_u16(FORMAT_MAJOR);
        out.put_u16(FORMAT_MINOR);
        out.put_u32(BLOCK_BYTES as u32);
        out.put(&self.store);
        out.put_u16(self.shard.0);
        out.put_u16(self.version.reader);
        out.put_u32(self.number);
        out.put_u64(self.objects.start.0);
        out.put_u64(self.objects.end.0);
        out.put_u64(self.anchor.frame);
        out.put_u32(self.anchor.chain);
        out.put_u32(self.blocks);
        out.put_u64(self.members);
        out.put_u64(self.directory);
        out.put_u32(self.directory_crc);
        out.put_u32(self.version.helpers);
        out.put_u64(FEATURES_KNOWN);
        crc.copy_from_slice(&plain(covered).to_le_bytes());
        block
    }

    /// The header of the file at `path`, which is that of the given store, shard and number.
    pub(super) fn decode(
        path: &str,
        bytes: &[u8],
        (store, shard, number): ([u8; 16], ShardId, u32),
    ) -> Result<Head, TableError> {
        let damaged = |what| TableError::damaged(path, 0, what);
        let block: &[u8; BLOCK_BYTES] = bytes
            .first_chunk()
            .ok_or_else(|| damaged("the file is shorter than its header"))?;
        let (covered, crc) = block.split_at(CRC_AT);
        if !covered.starts_with(&MAGIC) || crc != plain(covered).to_le_bytes() {
            return Err(damaged("no header of signatures"));
        }
        let head = Head::layout(covered).map_err(|Short| damaged("the header is too short"))?;
        let head = head.ok_or_else(|| TableError::newer(path, "its format"))?;
        let differs = [
            (head.store != store, "store"),
            (head.shard != shard, "shard"),
            (head.number != number, "number"),
        ];
        if let Some((_, what)) = differs.iter().find(|(is_other, _)| *is_other) {
            return Err(TableError::foreign(path, what));
        }
        match head.objects.is_empty() || head.blocks > BLOCKS_MAX {
            true => Err(damaged("the header contradicts itself")),
            false => Ok(head),
        }
    }

    /// `None` in a format that this program does not know.
    fn layout(covered: &[u8]) -> Result<Option<Head>, Short> {
        let mut fields = Fields::new(covered);
        fields.array::<{ MAGIC.len() }>()?;
        let major = fields.u16()?;
        let (_minor, _header_bytes) = (fields.u16()?, fields.u32()?);
        let (store, shard) = (fields.array()?, ShardId(fields.u16()?));
        let (reader, number) = (fields.u16()?, fields.u32()?);
        let objects = ObjectId(fields.u64()?)..ObjectId(fields.u64()?);
        let anchor = Anchor {
            frame: fields.u64()?,
            chain: fields.u32()?,
        };
        let (blocks, members) = (fields.u32()?, fields.u64()?);
        let (directory, directory_crc) = (fields.u64()?, fields.u32()?);
        let helpers = fields.u32()?;
        let unknown = fields.u64()? & !FEATURES_KNOWN;
        Ok((major == FORMAT_MAJOR && unknown == 0).then_some(Head {
            store,
            shard,
            number,
            version: Version { reader, helpers },
            objects,
            anchor,
            members,
            blocks,
            directory,
            directory_crc,
        }))
    }
}

const MAGIC: [u8; 8] = *b"RINGPSGN";
const FORMAT_MAJOR: u16 = 1;
const FORMAT_MINOR: u16 = 0;
const FEATURES_KNOWN: u64 = 0;
const CRC_AT: usize = BLOCK_BYTES - 4;

/// What a device writes as a whole.
const SECTOR_BYTES: usize = 512;

/// Blocks of one file.
pub(super) const BLOCKS_MAX: u32 = 1 << 16;
