//! The bytes of a frame and of the records in it (FORMAT.md, "Frame" and "Record header").
//!
//! A frame is valid at one offset of one segment: the CRCs of its header and of its records are
//! seated there ([`crate::codec::checksum`]). The CRC of a record covers its header and payload,
//! the frame's `records_crc` covers the record headers, the header CRC covers all of that and the
//! chain: one pass over the data when it is written, one when it is replayed.

use super::segment::COUNT_MAX;
use crate::codec::checksum::{append, plain, seat};
use crate::codec::{Fields, Fill, Put, Short};
use crate::limit::{BLOCK_BYTES, FRAME_BYTES_MAX, RECORD_BYTES_MAX};
use crate::mail::id::{FrameSeq, Lsn};

pub(super) const FRAME_HEADER_BYTES: usize = 64;
pub(super) const RECORD_HEADER_BYTES: usize = 24;

/// The segment ends here; its successor's file is there.
pub(super) const SEAL: u8 = 1;
/// The log was closed with nothing left to write.
pub(super) const CLEAN: u8 = 2;

const MAGIC: u32 = u32::from_le_bytes(*b"RPFr");
const VERSION: u8 = 1;
const HEADER_CRC_AT: usize = FRAME_HEADER_BYTES - 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FrameHeader {
    pub(super) flags: u8,
    /// Header, records and padding.
    pub(super) frame_bytes: u32,
    /// Records with their headers and padding.
    pub(super) payload_bytes: u32,
    pub(super) frame: FrameSeq,
    pub(super) epoch: u64,
    pub(super) first_lsn: Lsn,
    /// The last frame that was durable when this one was sealed.
    pub(super) durable_upto: FrameSeq,
    /// `chain` of the frame or segment header before this one.
    pub(super) previous: u32,
    pub(super) records: u32,
    pub(super) records_crc: u32,
    /// The header's own CRC as stored: what the next frame names as `previous`.
    pub(super) chain: u32,
}

/// Why bytes are not a frame header of this place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoFrame {
    Invalid,
    /// A valid header of a version that this program does not know.
    Newer(u8),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RecordHeader {
    pub(crate) crc: u32,
    /// Of the payload, without header and padding.
    pub(crate) len: u32,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) schema: u16,
    pub(crate) account: u32,
    pub(crate) lsn: Lsn,
}

/// Bytes that a record with a payload of `len` takes in a frame.
pub const fn record_bytes(len: usize) -> usize {
    (RECORD_HEADER_BYTES + len).next_multiple_of(8)
}

/// Bytes on disk of a frame whose records take `payload`.
pub(super) const fn frame_bytes(payload: usize) -> usize {
    (FRAME_HEADER_BYTES + payload).next_multiple_of(BLOCK_BYTES)
}

impl FrameHeader {
    /// Writes the header for its place and remembers its CRC as `chain`.
    pub(super) fn encode(&mut self, target: &mut [u8; FRAME_HEADER_BYTES], seat: u32) {
        let mut out = Fill::new(target);
        out.put_u32(MAGIC);
        out.put_u8(VERSION);
        out.put_u8(self.flags);
        out.put_u16(FRAME_HEADER_BYTES as u16);
        out.put_u32(self.frame_bytes);
        out.put_u32(self.payload_bytes);
        out.put_u64(self.frame.0);
        out.put_u64(self.epoch);
        out.put_u64(self.first_lsn.0);
        out.put_u64(self.durable_upto.0);
        out.put_u32(self.previous);
        out.put_u32(self.records);
        out.put_u32(self.records_crc);
        let (covered, crc) = target.split_at_mut(HEADER_CRC_AT);
        self.chain = plain(covered) ^ seat;
        crc.copy_from_slice(&self.chain.to_le_bytes());
    }

    /// The header of the frame that lies at `offset` of the segment with this salt.
    pub(super) fn decode(bytes: &[u8], salt: u64, offset: u64) -> Result<FrameHeader, NoFrame> {
        let bytes: &[u8; FRAME_HEADER_BYTES] = bytes.first_chunk().ok_or(NoFrame::Invalid)?;
        let (covered, crc) = bytes.split_at(HEADER_CRC_AT);
        let chain = Fields::new(crc).u32().map_err(|Short| NoFrame::Invalid)?;
        let mut fields = Fields::new(covered);
        if fields.u32() != Ok(MAGIC) || plain(covered) ^ seat(salt, offset) != chain {
            return Err(NoFrame::Invalid);
        }
        match fields.u8() {
            Ok(VERSION) => {}
            version => return Err(NoFrame::Newer(version.unwrap_or_default())),
        }
        let header = Self::fields(&mut fields, chain).map_err(|Short| NoFrame::Invalid)?;
        if header.is_sound() {
            Ok(header)
        } else {
            Err(NoFrame::Invalid)
        }
    }

    fn fields(fields: &mut Fields<'_>, chain: u32) -> Result<FrameHeader, Short> {
        let flags = fields.u8()?;
        if usize::from(fields.u16()?) != FRAME_HEADER_BYTES {
            return Err(Short);
        }
        Ok(FrameHeader {
            flags,
            frame_bytes: fields.u32()?,
            payload_bytes: fields.u32()?,
            frame: FrameSeq(fields.u64()?),
            epoch: fields.u64()?,
            first_lsn: Lsn(fields.u64()?),
            durable_upto: FrameSeq(fields.u64()?),
            previous: fields.u32()?,
            records: fields.u32()?,
            records_crc: fields.u32()?,
            chain,
        })
    }

    fn is_sound(&self) -> bool {
        let bytes = self.frame_bytes as usize;
        bytes <= FRAME_BYTES_MAX
            && self.first_lsn.0 < COUNT_MAX
            && self.frame.0 < COUNT_MAX
            && bytes == frame_bytes(self.payload_bytes as usize)
            && self.is_mark() == (self.records == 0)
            && self.is_mark() == (self.payload_bytes == 0)
    }

    /// A seal or a clean end: a frame without records.
    pub(super) fn is_mark(&self) -> bool {
        self.flags & (SEAL | CLEAN) != 0
    }

    /// Whether the records of the frame at `offset` are the ones that were written.
    pub(super) fn check_records(&self, frame: &[u8], salt: u64, offset: u64) -> bool {
        let mut headers = 0;
        let mut count = 0;
        let mut end = FRAME_HEADER_BYTES;
        for (at, header, stored) in self.records(frame) {
            let lsn = self.first_lsn.0.checked_add(u64::from(count));
            let seat = seat(salt, offset + at as u64);
            if Some(header.lsn.0) != lsn || RecordHeader::crc_of(stored) ^ seat != header.crc {
                return false;
            }
            headers = append(
                headers,
                stored.get(..RECORD_HEADER_BYTES).unwrap_or_default(),
            );
            count += 1;
            end = at + record_bytes(header.len as usize);
        }
        count == self.records
            && end == FRAME_HEADER_BYTES + self.payload_bytes as usize
            && headers == self.records_crc
    }

    /// The records of this frame: offset, header, and header with payload as stored. Stops early
    /// where a record reaches beyond the payload.
    pub(super) fn records<'a>(
        &self,
        frame: &'a [u8],
    ) -> impl Iterator<Item = (usize, RecordHeader, &'a [u8])> + use<'a> {
        let end = FRAME_HEADER_BYTES + self.payload_bytes as usize;
        let frame = frame.get(..end).unwrap_or_default();
        let mut at = FRAME_HEADER_BYTES;
        std::iter::from_fn(move || {
            let rest = frame.get(at..)?;
            let header = RecordHeader::decode(rest).ok()?;
            let stored = rest.get(..RECORD_HEADER_BYTES + header.len as usize)?;
            let found = (at, header, stored);
            at += record_bytes(header.len as usize);
            Some(found)
        })
    }
}

impl RecordHeader {
    /// Writes the header; the CRC is added by the caller once the payload is there.
    pub(crate) fn encode(&self, target: &mut [u8]) {
        let mut out = Fill::new(target);
        out.put_u32(self.crc);
        out.put_u32(self.len);
        out.put_u8(self.kind);
        out.put_u8(self.flags);
        out.put_u16(self.schema);
        out.put_u32(self.account);
        out.put_u64(self.lsn.0);
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<RecordHeader, Short> {
        let mut fields = Fields::new(bytes);
        let header = RecordHeader {
            crc: fields.u32()?,
            len: fields.u32()?,
            kind: fields.u8()?,
            flags: fields.u8()?,
            schema: fields.u16()?,
            account: fields.u32()?,
            lsn: Lsn(fields.u64()?),
        };
        if header.len as usize <= RECORD_BYTES_MAX - RECORD_HEADER_BYTES {
            Ok(header)
        } else {
            Err(Short)
        }
    }

    /// The CRC of a record, before it is seated: everything but the CRC field itself.
    pub(crate) fn crc_of(stored: &[u8]) -> u32 {
        plain(stored.get(4..).unwrap_or_default())
    }
}

const _: () = assert!(FRAME_HEADER_BYTES.is_multiple_of(8));
const _: () = assert!(RECORD_HEADER_BYTES.is_multiple_of(8));

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> FrameHeader {
        FrameHeader {
            flags: SEAL,
            frame_bytes: 4096,
            payload_bytes: 0,
            frame: FrameSeq(9),
            epoch: 1,
            first_lsn: Lsn(77),
            durable_upto: FrameSeq(9),
            previous: 0xdead,
            records: 0,
            records_crc: 0,
            chain: 0,
        }
    }

    #[test]
    fn a_frame_header_is_valid_at_its_place_only() {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        let mut written = header();
        written.encode(&mut bytes, seat(5, 8192));
        assert_eq!(FrameHeader::decode(&bytes, 5, 8192), Ok(written));
        for (salt, offset) in [(5, 4096), (5, 12288), (6, 8192), (0, 0)] {
            let elsewhere = FrameHeader::decode(&bytes, salt, offset);
            assert_eq!(elsewhere, Err(NoFrame::Invalid));
        }
    }

    #[test]
    fn every_flipped_bit_of_a_frame_header_is_noticed() {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        header().encode(&mut bytes, seat(5, 8192));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                FrameHeader::decode(&flipped, 5, 8192),
                Err(NoFrame::Invalid)
            );
        }
    }

    #[test]
    fn zeros_are_no_frame() {
        assert_eq!(FrameHeader::decode(&[0; 4096], 0, 0), Err(NoFrame::Invalid));
        assert_eq!(FrameHeader::decode(&[], 0, 0), Err(NoFrame::Invalid));
    }
}
