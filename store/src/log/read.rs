//! Reading one record: from the hot tail or from the disk, checked every time.

use super::frame::{RECORD_HEADER_BYTES, RecordHeader};
use super::segment::{SegmentHeader, path};
use super::{Log, Place, RecordRef};
use crate::codec::checksum::seat;
use crate::disk::{Block, Disk, File, Mode};
use crate::error::ReadError;
use crate::limit::{BLOCK_BYTES, SEGMENTS_OPEN_MAX};
use crate::mail::id::Lsn;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// What is read when the length of the record is not known: most records end within it.
const READ_BYTES: usize = 8 << 10;

/// A record and the memory that it lies in.
#[derive(Clone, Debug)]
pub struct Record {
    header: RecordHeader,
    block: Rc<Block>,
    /// Where the header begins in `block`.
    at: usize,
}

/// Segments that are open for reading, the last used one at the end.
pub(super) struct Readers<F> {
    open: RefCell<Vec<Reader<F>>>,
}

struct Reader<F> {
    segment: u32,
    salt: u64,
    file: Rc<F>,
}

impl<D: Disk> Log<D> {
    /// The record at a place. What is damaged is named and never given out.
    pub async fn read(&self, place: Place) -> Result<Record, ReadError> {
        self.read_expecting(place, READ_BYTES - RECORD_HEADER_BYTES)
            .await
    }

    /// As `read`, in one call of the disk when the payload is no longer than `payload_bytes`.
    pub async fn read_expecting(
        &self,
        place: Place,
        payload_bytes: usize,
    ) -> Result<Record, ReadError> {
        let found = match self.read_hot(place) {
            Some(found) => found,
            None => {
                self.read_cold(place, RECORD_HEADER_BYTES + payload_bytes)
                    .await
            }
        };
        if found.is_err() {
            self.state.borrow_mut().counters.failed_reads += 1;
        }
        found
    }

    fn read_hot(&self, place: Place) -> Option<Result<Record, ReadError>> {
        let mut state = self.state.borrow_mut();
        let (block, at, salt) = state.tail.find(place)?;
        state.counters.hot_reads += 1;
        Some(check(block, at, place, salt))
    }

    async fn read_cold(&self, place: Place, bytes: usize) -> Result<Record, ReadError> {
        self.state.borrow_mut().counters.disk_reads += 1;
        let (file, salt) = self.reader(place.segment()).await?;
        let read = file.read_at(place.offset(), bytes).await;
        let block = read.map_err(|error| failed(place, &error))?;
        let header = RecordHeader::decode(block.as_slice())
            .map_err(|_| damaged(place, "no record begins here"))?;
        let whole = RECORD_HEADER_BYTES + header.len as usize;
        if whole <= block.len() || block.len() < bytes {
            return check(Rc::new(block), 0, place, salt);
        }
        let read = file.read_at(place.offset(), whole).await;
        let block = read.map_err(|error| failed(place, &error))?;
        check(Rc::new(block), 0, place, salt)
    }

    async fn reader(&self, segment: u32) -> Result<(Rc<D::File>, u64), ReadError> {
        if let Some(found) = self.readers.find(segment) {
            return Ok(found);
        }
        let start = Place::new(segment, 0);
        let path = path(&self.directory, segment);
        let opened = self.disk.open(&path, Mode::Read).await;
        let file = Rc::new(opened.map_err(|error| failed(start, &error))?);
        let read = file.read_at(0, BLOCK_BYTES).await;
        let block = read.map_err(|error| failed(start, &error))?;
        let header = SegmentHeader::decode(block.as_slice()).ok();
        let ours = header.filter(|header| {
            header.segment == segment
                && header.store == self.options.store
                && header.shard == self.options.shard
        });
        let header = ours.ok_or(damaged(start, "the segment header is not what was written"))?;
        self.readers.add(Reader {
            segment,
            salt: header.salt,
            file: file.clone(),
        });
        Ok((file, header.salt))
    }
}

impl<F> Readers<F> {
    fn find(&self, segment: u32) -> Option<(Rc<F>, u64)> {
        let mut open = self.open.borrow_mut();
        let index = open.iter().position(|reader| reader.segment == segment)?;
        let reader = open.remove(index);
        let found = (reader.file.clone(), reader.salt);
        open.push(reader);
        Some(found)
    }

    fn add(&self, reader: Reader<F>) {
        let mut open = self.open.borrow_mut();
        // Two tasks may have opened the same segment at once.
        open.retain(|other| other.segment != reader.segment);
        if open.len() == SEGMENTS_OPEN_MAX {
            open.remove(0);
        }
        open.push(reader);
    }
}

impl<F> Default for Readers<F> {
    fn default() -> Self {
        Readers {
            open: RefCell::default(),
        }
    }
}

impl Record {
    pub fn kind(&self) -> u8 {
        self.header.kind
    }

    pub fn account(&self) -> u32 {
        self.header.account
    }

    /// Compare it with what the index says: a place is used by one record in the life of a
    /// segment, so this only fails where the index is wrong.
    pub fn lsn(&self) -> Lsn {
        self.header.lsn
    }

    pub fn payload(&self) -> &[u8] {
        let from = self.at + RECORD_HEADER_BYTES;
        let payload = from..from + self.header.len as usize;
        self.block.as_slice().get(payload).unwrap_or_default()
    }

    pub fn as_ref(&self) -> RecordRef<'_> {
        RecordRef {
            kind: self.header.kind,
            schema: self.header.schema,
            account: self.header.account,
            lsn: self.header.lsn,
            payload: self.payload(),
        }
    }
}

fn check(block: Rc<Block>, at: usize, place: Place, salt: u64) -> Result<Record, ReadError> {
    let rest = block.as_slice().get(at..).unwrap_or_default();
    let header = RecordHeader::decode(rest).map_err(|_| damaged(place, "no record begins here"))?;
    let stored = rest
        .get(..RECORD_HEADER_BYTES + header.len as usize)
        .ok_or(damaged(place, "the segment ends within the record"))?;
    if RecordHeader::crc_of(stored) ^ seat(salt, place.offset()) != header.crc {
        return Err(damaged(place, "the record is not what was written"));
    }
    Ok(Record { header, block, at })
}

fn damaged(place: Place, what: &'static str) -> ReadError {
    ReadError::Damaged {
        segment: place.segment(),
        offset: place.offset(),
        what,
    }
}

fn failed(place: Place, error: &io::Error) -> ReadError {
    ReadError::Io {
        segment: place.segment(),
        offset: place.offset(),
        kind: error.kind(),
    }
}
