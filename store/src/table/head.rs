//! The header block that runs and location chunks begin with, and the seats of their checksums.
//!
//! The header is written last: a file with a good one is whole. A checksum in the file is stored
//! with the *seat* of its offset, `crc32c(identity ‖ offset)`, so that it fits in this file at
//! this offset only. Numbers and generations are never given twice.

use super::TableError;
use crate::codec::checksum::{append, plain};
use crate::codec::{Fields, Fill, Put, Short};
use crate::disk::Block;
use crate::limit::BLOCK_BYTES;
use crate::mail::id::ShardId;

/// Fields of the header that belong to one kind of file, in bytes.
pub(super) const OWN_BYTES: usize = 40;

const FORMAT_MAJOR: u16 = 1;
const FORMAT_MINOR: u16 = 0;
const CRC_AT: usize = BLOCK_BYTES - 4;

/// Feature bits that this program knows: none yet.
const INCOMPAT_KNOWN: u64 = 0;
const RO_COMPAT_KNOWN: u64 = 0;

/// Which file it is: kind, place and life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    pub(super) magic: [u8; 8],
    pub(super) store: [u8; 16],
    pub(super) shard: ShardId,
    pub(super) tier: u16,
    pub(super) number: u32,
    pub(super) generation: u32,
}

/// What this file is and how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) identity: Identity,
    /// Of the whole file, in bytes.
    pub(super) length: u64,
    pub(super) own: [u8; OWN_BYTES],
}

/// The seats of one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seats(u32);

impl Seats {
    /// What the offset adds to a checksum of this file; taking it off is the same operation.
    pub(super) fn at(self, offset: u64) -> u32 {
        append(self.0, &offset.to_le_bytes())
    }
}

impl Identity {
    pub(super) fn seats(&self) -> Seats {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        Seats(plain(&bytes))
    }

    fn encode(&self, out: &mut impl Put) {
        out.put(&self.magic);
        out.put(&self.store);
        out.put_u16(self.shard.0);
        out.put_u16(self.tier);
        out.put_u32(self.number);
        out.put_u32(self.generation);
        out.put_u32(0);
    }

    fn decode(magic: [u8; 8], fields: &mut Fields<'_>) -> Result<Identity, Short> {
        let identity = Identity {
            magic,
            store: fields.array()?,
            shard: ShardId(fields.u16()?),
            tier: fields.u16()?,
            number: fields.u32()?,
            generation: fields.u32()?,
        };
        fields.u32()?;
        Ok(identity)
    }

    /// What of `found` is not as expected here.
    fn difference(&self, found: &Identity) -> Option<&'static str> {
        let differs = [
            (found.store != self.store, "store"),
            (found.shard != self.shard, "shard"),
            (found.number != self.number, "number"),
            (found.generation != self.generation, "generation"),
            (found.tier != self.tier, "tier"),
        ];
        differs
            .iter()
            .find(|(is_other, _)| *is_other)
            .map(|(_, what)| *what)
    }
}

impl Head {
    pub(super) fn encode(&self) -> Block {
        let mut block = Block::zeroed(BLOCK_BYTES);
        let (covered, crc) = block.as_mut_slice().split_at_mut(CRC_AT);
        let mut out = Fill::new(covered);
        self.identity.encode(&mut out);
        out.put_u16(FORMAT_MAJOR);
        out.put_u16(FORMAT_MINOR);
        out.put_u32(BLOCK_BYTES as u32);
        out.put_u64(self.length);
        out.put(&self.own);
        out.put_u64(INCOMPAT_KNOWN);
        out.put_u64(RO_COMPAT_KNOWN);
        crc.copy_from_slice(&plain(covered).to_le_bytes());
        block
    }

    /// Reads the header of the file at `path` and holds it against what the manifest promises.
    pub(super) fn decode(
        path: &str,
        bytes: &[u8],
        expected: &Identity,
        length: u64,
    ) -> Result<Head, TableError> {
        let damaged = |what| TableError::damaged(path, 0, what);
        let block: &[u8; BLOCK_BYTES] = bytes
            .first_chunk()
            .ok_or_else(|| damaged("the file is shorter than its header"))?;
        let head = Head::fields(path, block, expected)
            .unwrap_or_else(|Short| Err(damaged("the header is too short")))?;
        if let Some(what) = expected.difference(&head.identity) {
            return Err(TableError::foreign(path, what));
        }
        if head.length != length {
            return Err(damaged("the file is not as long as its header says"));
        }
        Ok(head)
    }

    fn fields(
        path: &str,
        block: &[u8; BLOCK_BYTES],
        expected: &Identity,
    ) -> Result<Result<Head, TableError>, Short> {
        let (covered, crc) = block.split_at(CRC_AT);
        let mut fields = Fields::new(covered);
        let magic = fields.array()?;
        if magic != expected.magic {
            let what = "it does not begin with the header of such a file";
            return Ok(Err(TableError::damaged(path, 0, what)));
        }
        if Fields::new(crc).u32()? != plain(covered) {
            let what = "the checksum of the header is wrong";
            return Ok(Err(TableError::damaged(path, 0, what)));
        }
        let identity = Identity::decode(magic, &mut fields)?;
        let major = fields.u16()?;
        fields.bytes(6)?;
        let head = Head {
            identity,
            length: fields.u64()?,
            own: fields.array()?,
        };
        let unknown = fields.u64()? & !INCOMPAT_KNOWN;
        Ok(match (major, unknown) {
            (FORMAT_MAJOR, 0) => Ok(head),
            (FORMAT_MAJOR, _) => Err(TableError::newer(path, format!("features {unknown:#x}"))),
            _ => Err(TableError::newer(path, format!("format {major}"))),
        })
    }
}
