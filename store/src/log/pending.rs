//! The frame that is being filled, and the frame that is on its way to the disk.
//!
//! Records are copied once, straight into the aligned buffer that the kernel will read. Their CRCs
//! are computed while the bytes are in the cache and seated when the place of the frame is known;
//! taking a seat off again is the same operation, so a frame can move to another segment.

use super::Draft;
use super::frame::{
    FRAME_HEADER_BYTES, FrameHeader, RECORD_HEADER_BYTES, RecordHeader, frame_bytes, record_bytes,
};
use crate::codec::checksum::{append, seat};
use crate::disk::Block;
use crate::limit::RECORD_BYTES_MAX;
use crate::mail::id::{FrameSeq, Lsn};
use std::rc::Rc;

/// The smallest buffer of a frame, in bytes.
const BUFFER_BYTES_MIN: usize = 64 << 10;

/// Buffers kept for the next frames.
const SPARES_MAX: usize = 4;

pub(super) struct Pending {
    block: Block,
    /// Where the next record goes.
    end: usize,
    pub(super) records: u32,
    pub(super) frame: FrameSeq,
    pub(super) first_lsn: Lsn,
}

/// A frame that takes no more records.
pub(super) struct Flight {
    block: Rc<Block>,
    end: usize,
    pub(super) records: u32,
    pub(super) frame: FrameSeq,
    pub(super) first_lsn: Lsn,
    /// Salt and offset that the CRCs of the records are seated at.
    seated: Option<(u64, u64)>,
}

/// Where a frame is put, and what it follows there.
pub(super) struct Seat {
    pub(super) salt: u64,
    pub(super) offset: u64,
    pub(super) epoch: u64,
    pub(super) previous: u32,
    pub(super) durable_upto: FrameSeq,
}

/// Buffers that were used before: their bytes are stale, which is why a seal clears the padding.
#[derive(Default)]
pub(super) struct Spares {
    blocks: Vec<Block>,
}

impl Pending {
    pub(super) fn new(block: Block, frame: FrameSeq, first_lsn: Lsn) -> Pending {
        Pending {
            block,
            end: FRAME_HEADER_BYTES,
            records: 0,
            frame,
            first_lsn,
        }
    }

    /// Bytes on disk if `more` bytes of records are added.
    pub(super) fn frame_bytes_with(&self, more: usize) -> usize {
        frame_bytes(self.end - FRAME_HEADER_BYTES + more)
    }

    pub(super) fn next_lsn(&self) -> Lsn {
        Lsn(self.first_lsn.0 + u64::from(self.records))
    }

    /// Adds a record; the caller has made sure that the frame may grow by it.
    pub(super) fn add(&mut self, draft: &Draft<'_>) -> u32 {
        let len = draft.payload_bytes();
        let total = record_bytes(len);
        assert!(
            total <= RECORD_BYTES_MAX,
            "a record of {len} bytes is cut before it comes here"
        );
        self.grow_for(total);
        let at = self.end;
        let header = RecordHeader {
            crc: 0,
            len: len as u32,
            kind: draft.kind,
            flags: 0,
            schema: draft.schema,
            account: draft.account,
            lsn: self.next_lsn(),
        };
        let target = span(self.block.as_mut_slice(), at, total);
        header.encode(target);
        copy_parts(
            draft.parts,
            span(target, RECORD_HEADER_BYTES, total - RECORD_HEADER_BYTES),
        );
        let stored = target.get(..RECORD_HEADER_BYTES + len).unwrap_or_default();
        let crc = RecordHeader::crc_of(stored);
        span(target, 0, 4).copy_from_slice(&crc.to_le_bytes());
        self.end += total;
        self.records += 1;
        at as u32
    }

    fn grow_for(&mut self, more: usize) {
        let needed = frame_bytes(self.end - FRAME_HEADER_BYTES + more);
        if needed <= self.block.len() {
            return;
        }
        let mut block = Block::zeroed(needed.next_power_of_two());
        let filled = self.block.as_slice().get(..self.end).unwrap_or_default();
        span(block.as_mut_slice(), 0, self.end).copy_from_slice(filled);
        self.block = block;
    }

    pub(super) fn into_flight(self) -> Flight {
        Flight {
            block: Rc::new(self.block),
            end: self.end,
            records: self.records,
            frame: self.frame,
            first_lsn: self.first_lsn,
            seated: None,
        }
    }
}

impl Flight {
    pub(super) fn frame_bytes(&self) -> usize {
        frame_bytes(self.end - FRAME_HEADER_BYTES)
    }

    pub(super) fn payload_bytes(&self) -> usize {
        self.end - FRAME_HEADER_BYTES
    }

    pub(super) fn block(&self) -> Rc<Block> {
        self.block.clone()
    }

    pub(super) fn next_lsn(&self) -> Lsn {
        Lsn(self.first_lsn.0 + u64::from(self.records))
    }

    /// Makes the frame valid at its place and nowhere else; gives what the next frame follows.
    pub(super) fn seal(&mut self, place: &Seat) -> u32 {
        let (end, bytes) = (self.end, self.frame_bytes());
        let unseat = self.seated.replace((place.salt, place.offset));
        let mut header = FrameHeader {
            flags: 0,
            frame_bytes: bytes as u32,
            payload_bytes: self.payload_bytes() as u32,
            frame: self.frame,
            epoch: place.epoch,
            first_lsn: self.first_lsn,
            durable_upto: place.durable_upto,
            previous: place.previous,
            records: self.records,
            records_crc: 0,
            chain: 0,
        };
        let block = exclusive(&mut self.block);
        span(block, end, bytes - end).fill(0);
        if let Some((salt, offset)) = unseat {
            toggle_seats(block, end, salt, offset);
        }
        header.records_crc = toggle_seats(block, end, place.salt, place.offset);
        let head = block.first_chunk_mut().expect("a frame has a header");
        header.encode(head, seat(place.salt, place.offset));
        header.chain
    }

    /// The buffer as the hot tail keeps it: a small frame does not hold a large buffer.
    pub(super) fn into_kept(self, spares: &mut Spares) -> Rc<Block> {
        let bytes = self.frame_bytes();
        if bytes * 4 > self.block.len() {
            return self.block;
        }
        let used = self.block.as_slice().get(..bytes).unwrap_or_default();
        let kept = Rc::new(Block::copy_of(used));
        self.recycle(spares);
        kept
    }

    pub(super) fn recycle(self, spares: &mut Spares) {
        if let Ok(block) = Rc::try_unwrap(self.block) {
            spares.give(block);
        }
    }
}

impl Spares {
    /// A buffer for about `bytes`; it grows when more comes.
    pub(super) fn take(&mut self, bytes: usize) -> Block {
        let wanted = bytes.next_power_of_two().max(BUFFER_BYTES_MIN);
        let fits = |block: &Block| (wanted..=wanted * 2).contains(&block.len());
        match self.blocks.iter().position(fits) {
            Some(index) => self.blocks.swap_remove(index),
            None => Block::zeroed(wanted),
        }
    }

    pub(super) fn give(&mut self, block: Block) {
        if self.blocks.len() == SPARES_MAX {
            self.blocks.remove(0);
        }
        if block.len() >= BUFFER_BYTES_MIN {
            self.blocks.push(block);
        }
    }
}

/// Puts the seat on the CRC of every record, or takes it off; gives the CRC over their headers.
fn toggle_seats(frame: &mut [u8], end: usize, salt: u64, offset: u64) -> u32 {
    let mut at = FRAME_HEADER_BYTES;
    let mut headers = 0;
    while at < end {
        let stored = span(frame, at, RECORD_HEADER_BYTES);
        let header = RecordHeader::decode(stored).expect("we wrote this record ourselves");
        let crc = header.crc ^ seat(salt, offset + at as u64);
        span(stored, 0, 4).copy_from_slice(&crc.to_le_bytes());
        headers = append(headers, stored);
        at += record_bytes(header.len as usize);
    }
    headers
}

/// The bytes of a buffer that may be shared: a failed write may still hold it, then it is copied.
fn exclusive(block: &mut Rc<Block>) -> &mut [u8] {
    if Rc::get_mut(block).is_none() {
        *block = Rc::new(Block::copy_of(block.as_slice()));
    }
    Rc::get_mut(block)
        .expect("it was just made unique")
        .as_mut_slice()
}

/// The parts one behind the other, then zeros up to the end of the target.
fn copy_parts(parts: &[&[u8]], target: &mut [u8]) {
    let mut at = 0;
    for part in parts {
        span(target, at, part.len()).copy_from_slice(part);
        at += part.len();
    }
    let padding = target.len() - at;
    span(target, at, padding).fill(0);
}

/// A run within a buffer of our own whose length was arranged before.
fn span(bytes: &mut [u8], at: usize, len: usize) -> &mut [u8] {
    bytes
        .get_mut(at..at + len)
        .expect("the buffer was grown for this")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    fn place(salt: u64, offset: u64) -> Seat {
        Seat {
            salt,
            offset,
            epoch: 0,
            previous: 1,
            durable_upto: FrameSeq(0),
        }
    }

    #[test]
    fn a_sealed_frame_reads_back_and_can_be_sealed_again_elsewhere() {
        let mut pending = Pending::new(Block::zeroed(4096), FrameSeq(1), Lsn(10));
        let large = vec![7; 9000];
        for parts in [&[&b"one"[..], b"", b"two"][..], &[&large], &[]] {
            pending.add(&Draft {
                kind: 1,
                schema: 2,
                account: 3,
                parts,
            });
        }
        let mut flight = pending.into_flight();
        for (salt, offset) in [(1, 4096), (2, 8192), (2, 12288)] {
            let chain = flight.seal(&place(salt, offset));
            let block = flight.block();
            let header = FrameHeader::decode(block.as_slice(), salt, offset).unwrap();
            assert_eq!(header.chain, chain);
            assert!(header.check_records(block.as_slice(), salt, offset));
            assert!(!header.check_records(block.as_slice(), salt, offset + 4096));
            let payloads: Vec<&[u8]> = header
                .records(block.as_slice())
                .map(|(_, _, stored)| &stored[RECORD_HEADER_BYTES..])
                .collect();
            assert_eq!(payloads, [&b"onetwo"[..], &large, b""]);
        }
    }

    #[test]
    fn a_used_buffer_leaves_nothing_of_its_earlier_life_in_a_frame() {
        let mut block = Block::zeroed(4096);
        block.as_mut_slice().fill(0xee);
        let mut pending = Pending::new(block, FrameSeq(1), Lsn(1));
        pending.add(&Draft {
            kind: 1,
            schema: 0,
            account: 0,
            parts: &[&[0; 3]],
        });
        let mut flight = pending.into_flight();
        flight.seal(&place(1, 4096));
        assert!(!flight.block().as_slice().contains(&0xee));
    }
}
