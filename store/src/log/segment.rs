//! Segment files: their names and the header in their first block (FORMAT.md, "Segment").

use super::place::CONTAINERS_MAX;
use super::{OpenError, Options};
use crate::codec::checksum::plain;
use crate::codec::{Fields, Fill, Put, Short};
use crate::disk::Block;
use crate::limit::BLOCK_BYTES;
use crate::mail::id::{FrameSeq, Lsn, ShardId};

/// Where the first frame of a segment lies.
pub(super) const FIRST_OFFSET: u64 = BLOCK_BYTES as u64;

/// Longer ones would have two places with one seat ([`crate::codec::checksum`]).
pub(super) const SEGMENT_BYTES_MAX: u64 = 4 << 30;

/// Frames and records are counted below this, so that counting on cannot overflow.
pub(super) const COUNT_MAX: u64 = 1 << 62;

const MAGIC: [u8; 8] = *b"RINGPOST";
const FORMAT_MAJOR: u16 = 1;
const FORMAT_MINOR: u16 = 0;
const CRC_AT: usize = BLOCK_BYTES - 4;

/// The file had an earlier life, and the header says how far its remains reach: a reader that does
/// not know would take them for damage.
const RECYCLED: u64 = 1;

/// Records may be here that say what time it was: a reader that does not know their kind would stop
/// at them.
const TIMES: u64 = 2;

/// Records may be here of the queue of mail for other hosts: the same.
const QUEUE: u64 = 4;

/// Memos may be here: the same.
const MEMOS: u64 = 8;

/// Deliveries and copies may say here when they were saved: a reader that does not know would take
/// that for damage.
const SAVES: u64 = 16;

/// Feature bits that this program knows.
const INCOMPAT_KNOWN: u64 = RECYCLED | TIMES | QUEUE | MEMOS | SAVES;
const RO_COMPAT_KNOWN: u64 = 0;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentHeader {
    pub(super) store: [u8; 16],
    pub(super) shard: ShardId,
    pub(super) segment: u32,
    /// Bytes that the file may grow to.
    pub(super) size: u64,
    pub(super) salt: u64,
    pub(super) epoch: u64,
    /// The first frame that can lie here: one more than the last of the segment before.
    pub(super) first_frame: FrameSeq,
    pub(super) first_lsn: Lsn,
    /// Where the segment before ends; what lies behind it there is not part of the log.
    pub(super) previous_end: u64,
    /// `chain` of the last frame of the segment before.
    pub(super) previous: u32,
    pub(super) ro_compat: u64,
    /// What an earlier life of the file left may reach up to here; 0 for a file that had none.
    pub(super) remains: u64,
    /// Whether records may say what time it was.
    pub(super) has_times: bool,
    /// Whether records may be about the queue.
    pub(super) has_queue: bool,
    /// Whether there may be memos.
    pub(super) has_memos: bool,
    /// Whether records may say when a message was saved.
    pub(super) has_saves: bool,
    /// The header's own CRC: what the first frame names as `previous`.
    pub(super) chain: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoSegment {
    /// All zero: pre-written, not yet in use.
    Blank,
    /// Not a header.
    Invalid,
    /// Of a later format, or with a feature that this program must know to read it.
    Newer,
}

/// `shard-00/log`, 7 → `shard-00/log/0000000000000007.log`.
pub(super) fn path(directory: &str, segment: u32) -> String {
    format!("{directory}/{segment:016x}.log")
}

/// The name under which a segment is pre-written before it takes its place.
pub(super) fn path_in_the_making(directory: &str, segment: u32) -> String {
    format!("{directory}/{segment:016x}.new")
}

/// The name under which the file of a segment that nobody needs any more waits for its next life.
pub(super) fn path_spare(directory: &str, segment: u32) -> String {
    format!("{directory}/{segment:016x}.spare")
}

/// The number in a name that [`path_in_the_making`] gives.
pub(super) fn number_in_the_making(name: &str) -> Option<u32> {
    numbered(name, ".new")
}

/// The number in a name that [`path_spare`] gives.
pub(super) fn number_of_spare(name: &str) -> Option<u32> {
    numbered(name, ".spare")
}

/// The header in the first block of this segment of the log that the options name.
pub(super) fn check(
    block: &[u8],
    options: &Options,
    segment: u32,
) -> Result<SegmentHeader, OpenError> {
    let damaged = |what| OpenError::Damaged {
        segment,
        offset: 0,
        what,
    };
    let foreign = |what| OpenError::Foreign { segment, what };
    match SegmentHeader::decode(block) {
        Ok(header) if header.store != options.store => Err(foreign("store")),
        Ok(header) if header.shard != options.shard => Err(foreign("shard")),
        Ok(header) if header.segment != segment => Err(foreign("place in the log")),
        Ok(header) => Ok(header),
        Err(NoSegment::Newer) => Err(OpenError::Newer { segment }),
        Err(NoSegment::Blank) => Err(damaged("the header is blank")),
        Err(NoSegment::Invalid) => Err(damaged("the header is not what was written")),
    }
}

/// The number in a segment's file name.
pub(super) fn number(name: &str) -> Option<u32> {
    numbered(name, ".log")
}

fn numbered(name: &str, suffix: &str) -> Option<u32> {
    let digits = name.strip_suffix(suffix)?;
    let number = u32::from_str_radix(digits, 16).ok()?;
    (number < CONTAINERS_MAX && format!("{number:016x}") == digits).then_some(number)
}

impl SegmentHeader {
    /// The first block of the segment; remembers its CRC as `chain`.
    pub(super) fn encode(&mut self) -> Block {
        let mut block = Block::zeroed(BLOCK_BYTES);
        let (covered, crc) = block.as_mut_slice().split_at_mut(CRC_AT);
        let mut out = Fill::new(covered);
        out.put(&MAGIC);
        out.put_u16(FORMAT_MAJOR);
        out.put_u16(FORMAT_MINOR);
        out.put_u32(BLOCK_BYTES as u32);
        out.put(&self.store);
        out.put_u16(self.shard.0);
        out.put_u16(0);
        out.put_u32(self.segment);
        out.put_u64(self.size);
        out.put_u64(self.salt);
        out.put_u64(self.epoch);
        out.put_u64(self.first_frame.0);
        out.put_u64(self.first_lsn.0);
        out.put_u64(self.previous_end);
        out.put_u32(self.previous);
        out.put_u32(0);
        let recycled = if self.remains > 0 { RECYCLED } else { 0 };
        let times = if self.has_times { TIMES } else { 0 };
        let queue = if self.has_queue { QUEUE } else { 0 };
        let memos = if self.has_memos { MEMOS } else { 0 };
        let saves = if self.has_saves { SAVES } else { 0 };
        out.put_u64(recycled | times | queue | memos | saves);
        out.put_u64(self.ro_compat);
        out.put_u64(self.remains);
        self.chain = plain(covered);
        crc.copy_from_slice(&self.chain.to_le_bytes());
        block
    }

    pub(super) fn decode(block: &[u8]) -> Result<SegmentHeader, NoSegment> {
        let block: &[u8; BLOCK_BYTES] = block.first_chunk().ok_or(NoSegment::Invalid)?;
        if is_blank(block) {
            return Err(NoSegment::Blank);
        }
        let (covered, crc) = block.split_at(CRC_AT);
        let stored = Fields::new(crc).u32().map_err(|Short| NoSegment::Invalid)?;
        let mut fields = Fields::new(covered);
        if fields.array() != Ok(MAGIC) {
            return Err(NoSegment::Invalid);
        }
        let major = fields.u16().map_err(|Short| NoSegment::Invalid)?;
        match (plain(covered) == stored, major) {
            (true, FORMAT_MAJOR) => Self::fields(&mut fields, stored),
            (true, _) => Err(NoSegment::Newer),
            (false, _) => Err(NoSegment::Invalid),
        }
    }

    fn fields(fields: &mut Fields<'_>, chain: u32) -> Result<SegmentHeader, NoSegment> {
        let (header, incompat) = Self::layout(fields, chain).map_err(|Short| NoSegment::Invalid)?;
        if incompat & !INCOMPAT_KNOWN != 0 {
            return Err(NoSegment::Newer);
        }
        if header.is_sound() && (incompat & RECYCLED != 0) == (header.remains > 0) {
            Ok(header)
        } else {
            Err(NoSegment::Invalid)
        }
    }

    fn is_sound(&self) -> bool {
        let block = BLOCK_BYTES as u64;
        self.size.is_multiple_of(block)
            && (FIRST_OFFSET..=SEGMENT_BYTES_MAX).contains(&self.size)
            && self.previous_end.is_multiple_of(block)
            && self.previous_end <= SEGMENT_BYTES_MAX
            && self.remains.is_multiple_of(block)
            && self.remains <= SEGMENT_BYTES_MAX
            && (1..COUNT_MAX).contains(&self.first_frame.0)
            && (1..COUNT_MAX).contains(&self.first_lsn.0)
    }

    fn layout(fields: &mut Fields<'_>, chain: u32) -> Result<(SegmentHeader, u64), Short> {
        let _minor = fields.u16()?;
        let _header_bytes = fields.u32()?;
        let store = fields.array()?;
        let shard = ShardId(fields.u16()?);
        let _zero = fields.u16()?;
        let segment = fields.u32()?;
        let size = fields.u64()?;
        let salt = fields.u64()?;
        let epoch = fields.u64()?;
        let first_frame = FrameSeq(fields.u64()?);
        let first_lsn = Lsn(fields.u64()?);
        let previous_end = fields.u64()?;
        let previous = fields.u32()?;
        let _zero = fields.u32()?;
        let incompat = fields.u64()?;
        let ro_compat = fields.u64()?;
        let remains = fields.u64()?;
        let header = SegmentHeader {
            store,
            shard,
            segment,
            size,
            salt,
            epoch,
            first_frame,
            first_lsn,
            previous_end,
            previous,
            ro_compat,
            remains,
            has_times: incompat & TIMES != 0,
            has_queue: incompat & QUEUE != 0,
            has_memos: incompat & MEMOS != 0,
            has_saves: incompat & SAVES != 0,
            chain,
        };
        Ok((header, incompat))
    }

    /// Written by a later program that forbids older ones to append.
    pub(super) fn is_read_only(&self) -> bool {
        self.ro_compat & !RO_COMPAT_KNOWN != 0
    }
}

/// Whether all bytes are zero; by whole blocks where it can, because recovery asks it of megabytes.
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    bytes
        .chunks(BLOCK_BYTES)
        .all(|chunk| ZEROS.get(..chunk.len()) == Some(chunk))
}

static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            store: *b"0123456789abcdef",
            shard: ShardId(3),
            segment: 7,
            size: 1 << 28,
            salt: 0xfeed,
            epoch: 0,
            first_frame: FrameSeq(100),
            first_lsn: Lsn(1000),
            previous_end: 1 << 20,
            previous: 0xbeef,
            ro_compat: 0,
            remains: 1 << 21,
            has_times: true,
            has_queue: true,
            has_memos: true,
            has_saves: true,
            chain: 0,
        }
    }

    #[test]
    fn a_header_comes_back_and_every_flipped_bit_is_noticed() {
        let mut written = header();
        let mut block = written.encode();
        assert_eq!(SegmentHeader::decode(block.as_slice()), Ok(written));
        for bit in 0..BLOCK_BYTES * 8 {
            block.as_mut_slice()[bit / 8] ^= 1 << (bit % 8);
            let found = SegmentHeader::decode(block.as_slice());
            assert_eq!(found, Err(NoSegment::Invalid), "bit {bit}");
            block.as_mut_slice()[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn blank_and_newer_are_told_apart() {
        assert_eq!(SegmentHeader::decode(&[0; 4096]), Err(NoSegment::Blank));
        let mut block = header().encode();
        block.as_mut_slice()[8] = 2;
        let crc = plain(&block.as_slice()[..CRC_AT]);
        block.as_mut_slice()[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(
            SegmentHeader::decode(block.as_slice()),
            Err(NoSegment::Newer)
        );
    }

    #[test]
    fn names_are_exact() {
        assert_eq!(path("a/log", 7), "a/log/0000000000000007.log");
        assert_eq!(number("0000000000000007.log"), Some(7));
        for name in [
            "7.log",
            "0000000000000007.new",
            "00000000ffffffff0.log",
            "x.log",
        ] {
            assert_eq!(number(name), None, "{name}");
        }
        assert_eq!(number("000000000000000A.log"), None);
    }
}
