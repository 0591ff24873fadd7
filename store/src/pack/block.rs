//! A block of a pack as it is before compression: records with the header that they have in the
//! log, at multiples of 8, each with its own checksum, without a seat.

use super::{BLOCK_RAW_BYTES, PackError};
use crate::disk::Block;
use crate::limit::RECORD_BYTES_MAX;
use crate::log::{Place, RECORD_HEADER_BYTES, Record, RecordHeader, RecordRef, record_bytes};
use crate::mail::id::Lsn;
use std::rc::Rc;

/// A block that is being filled.
pub(super) struct RawBlock {
    pub(super) bytes: Vec<u8>,
    pub(super) records: u32,
}

/// A block that was read and unpacked.
#[derive(Debug)]
pub struct Unpacked {
    pub(super) pack: u32,
    pub(super) block: u32,
    /// Of the block in the file, to name damage.
    pub(super) offset: u64,
    pub(super) records: u32,
    pub(super) bytes: Rc<Block>,
}

impl RawBlock {
    pub(super) fn new() -> RawBlock {
        RawBlock {
            bytes: Vec::with_capacity(BLOCK_RAW_BYTES),
            records: 0,
        }
    }

    /// Whether a record with a payload of `len` can be added; to an empty block it always can.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.records == 0 || self.bytes.len() + record_bytes(len) <= BLOCK_RAW_BYTES
    }

    /// Adds a record whose payload is the concatenation of `parts`: `len` bytes, few enough for a
    /// record of the log.
    pub(super) fn add(&mut self, kind: u8, account: u32, lsn: Lsn, parts: &[&[u8]], len: usize) {
        assert!(RECORD_HEADER_BYTES + len <= RECORD_BYTES_MAX);
        let start = self.bytes.len();
        let mut header = RecordHeader {
            crc: 0,
            len: len as u32,
            kind,
            flags: 0,
            schema: 0,
            account,
            lsn,
        };
        self.bytes.resize(start + RECORD_HEADER_BYTES, 0);
        header.encode(self.bytes.get_mut(start..).unwrap_or_default());
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        assert!(self.bytes.len() == start + RECORD_HEADER_BYTES + len);
        header.crc = RecordHeader::crc_of(self.bytes.get(start..).unwrap_or_default());
        header.encode(self.bytes.get_mut(start..).unwrap_or_default());
        self.bytes.resize(start + record_bytes(len), 0);
        self.records += 1;
    }
}

/// The records of a block, one behind the other: offset, header, and header with payload as stored.
/// Stops early where a record reaches beyond the block.
pub(super) fn records(bytes: &[u8]) -> impl Iterator<Item = (usize, RecordHeader, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..)?;
        let header = RecordHeader::decode(rest).ok()?;
        let stored = rest.get(..RECORD_HEADER_BYTES + header.len as usize)?;
        let found = (at, header, stored);
        at += record_bytes(header.len as usize);
        Some(found)
    })
}

impl Unpacked {
    /// Length of the block before compression, in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no block is empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How many records it holds.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.records
    }

    /// The record with this number in the block, from 0.
    pub fn record(&self, number: u32) -> Result<Record, PackError> {
        if number >= self.records {
            return Err(self.damaged("the block has no such record"));
        }
        let found = records(self.bytes.as_slice()).nth(number as usize);
        let (at, header, stored) = found.ok_or(self.damaged(CUT))?;
        if RecordHeader::crc_of(stored) != header.crc {
            return Err(self.damaged(CHANGED));
        }
        Record::within(Rc::clone(&self.bytes), at).ok_or(self.damaged(CUT))
    }

    /// All records with their places. Those behind one that cannot be told from its neighbour are
    /// lost with it: the error stands for all of them.
    pub fn records(&self) -> impl Iterator<Item = (Place, Result<RecordRef<'_>, PackError>)> {
        let mut found = records(self.bytes.as_slice());
        let mut numbers = 0..self.records;
        std::iter::from_fn(move || {
            let place = Place::in_pack(self.pack, self.block, numbers.next()?);
            let Some((_, header, stored)) = found.next() else {
                numbers = 0..0;
                return Some((place, Err(self.damaged(CUT))));
            };
            let whole = RecordHeader::crc_of(stored) == header.crc;
            let record = RecordRef {
                kind: header.kind,
                account: header.account,
                lsn: header.lsn,
                payload: stored.get(RECORD_HEADER_BYTES..).unwrap_or_default(),
            };
            let record = whole.then_some(record).ok_or(self.damaged(CHANGED));
            Some((place, record))
        })
    }

    fn damaged(&self, what: &'static str) -> PackError {
        PackError::Damaged {
            pack: self.pack,
            offset: self.offset,
            what,
        }
    }
}

const CUT: &str = "the block ends within a record";
const CHANGED: &str = "a record is not the one that was packed";
