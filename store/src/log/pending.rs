//! The frame under construction: records are written once, straight to where they leave from.

use super::frame::{
    FRAME_HEADER_BYTES, FrameHeader, RECORD_HEADER_BYTES, RecordHeader, frame_bytes, record_bytes,
};
use super::spare::Spare;
use super::{Draft, PAYLOAD_BYTES_MAX};
use crate::codec::checksum::{append, seat};
use crate::disk::Block;
use crate::error::LogError;
use crate::limit::RECORD_BYTES_MAX;
use crate::mail::id::Lsn;

#[derive(Default)]
pub(super) struct Pending {
    block: Option<Block>,
    /// Records with headers and padding, in bytes.
    bytes: usize,
    /// Offsets of the records from the start of the frame.
    starts: Vec<u32>,
    pub(super) first_lsn: Lsn,
    /// Of the frame before: the next one is likely to be as long, so its block need not grow.
    last_bytes: usize,
}

/// A frame that is ready for the disk, its place decided.
pub(super) struct Sealed {
    /// Header, records and padding.
    pub(super) bytes: usize,
    pub(super) records: u32,
    pub(super) first_lsn: Lsn,
    pub(super) chain: u32,
}

impl Pending {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn records(&self) -> u32 {
        self.starts.len() as u32
    }

    /// On disk, header and padding included.
    pub(super) fn frame_bytes(&self) -> usize {
        frame_bytes(self.bytes)
    }

    /// Adds all drafts or none. The CRC of each record is computed here, where its bytes are at
    /// hand; it is seated when the place of the frame is known.
    pub(super) fn append<'a>(
        &mut self,
        drafts: impl ExactSizeIterator<Item = Draft<'a>> + Clone,
        first_lsn: Lsn,
        spare: &mut Spare,
    ) -> Result<Vec<u32>, LogError> {
        let mut lens = drafts.clone().map(|draft| draft.octets());
        let more: usize = lens.clone().map(record_bytes).sum();
        let is_too_long = |len: usize| RECORD_HEADER_BYTES + len > RECORD_BYTES_MAX;
        if self.bytes + more > PAYLOAD_BYTES_MAX || lens.any(is_too_long) {
            return Err(LogError::Full);
        }
        if drafts.len() == 0 {
            return Ok(Vec::new());
        }
        if self.starts.is_empty() {
            self.first_lsn = first_lsn;
        }
        self.grow(more, spare);
        let mut offsets = Vec::with_capacity(drafts.len());
        for (draft, index) in drafts.zip(0..) {
            offsets.push(self.put(&draft, Lsn(first_lsn.0 + index)));
        }
        Ok(offsets)
    }

    fn put(&mut self, draft: &Draft<'_>, lsn: Lsn) -> u32 {
        let len = draft.octets();
        let start = FRAME_HEADER_BYTES + self.bytes;
        let block = self.block.as_mut().expect("grow made room");
        let target = block
            .as_mut_slice()
            .get_mut(start..start + record_bytes(len));
        let target = target.expect("grow made room");
        let mut rest = &mut *target;
        let (head, tail) = rest.split_at_mut(RECORD_HEADER_BYTES);
        rest = tail;
        let header = RecordHeader {
            crc: 0,
            len: len as u32,
            kind: draft.kind,
            flags: 0,
            schema: 0,
            account: draft.account,
            lsn,
        };
        header.encode(head);
        for part in draft.parts {
            let (here, tail) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = tail;
        }
        rest.fill(0);
        let crc = RecordHeader::crc_of(target.get(..RECORD_HEADER_BYTES + len).unwrap_or_default());
        if let Some(field) = target.first_chunk_mut::<4>() {
            *field = crc.to_le_bytes();
        }
        self.bytes += record_bytes(len);
        self.starts.push(start as u32);
        start as u32
    }

    fn grow(&mut self, more: usize, spare: &mut Spare) {
        let needed = frame_bytes(self.bytes + more);
        if self
            .block
            .as_ref()
            .is_some_and(|block| block.len() >= needed)
        {
            return;
        }
        let mut block = spare.take(needed.max(self.last_bytes));
        if let Some(old) = self.block.take() {
            let used = FRAME_HEADER_BYTES + self.bytes;
            if let (Some(to), Some(from)) = (
                block.as_mut_slice().get_mut(..used),
                old.as_slice().get(..used),
            ) {
                to.copy_from_slice(from);
            }
            spare.keep(old);
        }
        self.block = Some(block);
    }

    /// Takes the frame, gives it its place and leaves an empty one behind.
    pub(super) fn seal(
        &mut self,
        mut header: FrameHeader,
        salt: u64,
        offset: u64,
    ) -> Option<(Sealed, Block)> {
        let mut block = self.block.take()?;
        let bytes = self.frame_bytes();
        let frame = block.as_mut_slice().get_mut(..bytes)?;
        let mut records_crc = 0;
        for start in self.starts.iter().map(|start| *start as usize) {
            let record = frame.get_mut(start..start + RECORD_HEADER_BYTES)?;
            let crc = record.first_chunk_mut::<4>()?;
            *crc = (u32::from_le_bytes(*crc) ^ seat(salt, offset + start as u64)).to_le_bytes();
            records_crc = append(records_crc, record);
        }
        frame.get_mut(FRAME_HEADER_BYTES + self.bytes..)?.fill(0);
        self.last_bytes = bytes;
        header.frame_bytes = bytes as u32;
        header.payload_bytes = self.bytes as u32;
        header.first_lsn = self.first_lsn;
        header.records = self.records();
        header.records_crc = records_crc;
        header.encode(frame.first_chunk_mut()?, seat(salt, offset));
        let sealed = Sealed {
            bytes,
            records: self.records(),
            first_lsn: self.first_lsn,
            chain: header.chain,
        };
        self.clear();
        Some((sealed, block))
    }

    /// Throws the records away.
    pub(super) fn clear(&mut self) {
        self.bytes = 0;
        self.starts.clear();
    }
}

/// Moves a sealed frame to another place: after a write that failed.
pub(super) fn reseal(
    block: &mut Block,
    bytes: usize,
    from: (u64, u64),
    to: (u64, u64),
    previous: u32,
) -> Option<u32> {
    let frame = block.as_mut_slice().get_mut(..bytes)?;
    let mut header = FrameHeader::decode(frame, from.0, from.1).ok()?;
    let starts: Vec<usize> = header.records(frame).map(|(at, ..)| at).collect();
    let mut records_crc = 0;
    for start in starts {
        let record = frame.get_mut(start..start + RECORD_HEADER_BYTES)?;
        let crc = record.first_chunk_mut::<4>()?;
        let seats = seat(from.0, from.1 + start as u64) ^ seat(to.0, to.1 + start as u64);
        *crc = (u32::from_le_bytes(*crc) ^ seats).to_le_bytes();
        records_crc = append(records_crc, record);
    }
    header.records_crc = records_crc;
    header.previous = previous;
    header.encode(frame.first_chunk_mut()?, seat(to.0, to.1));
    Some(header.chain)
}
