//! Records by place: from the hot tail, or from the disk through a few open files.

use super::frame::{RECORD_HEADER_BYTES, RecordHeader};
use super::segment;
use super::{Log, Place};
use crate::codec::checksum::seat;
use crate::disk::{Block, Disk, File, Mode};
use crate::error::ReadError;
use crate::limit::BLOCK_BYTES;
use crate::mail::id::Lsn;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

/// A record that was read. From the disk it has passed its CRC.
#[derive(Clone)]
pub struct Record {
    block: Rc<Block>,
    start: usize,
    header: RecordHeader,
}

impl Record {
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.header.kind
    }

    #[must_use]
    pub fn account(&self) -> u32 {
        self.header.account
    }

    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.header.lsn
    }

    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let start = self.start + RECORD_HEADER_BYTES;
        let end = start + self.header.len as usize;
        self.block.as_slice().get(start..end).unwrap_or_default()
    }

    /// The record at `start` of a block, if all of it is there.
    pub(crate) fn within(block: Rc<Block>, start: usize) -> Option<Record> {
        let header = RecordHeader::decode(block.as_slice().get(start..)?).ok()?;
        let end = start + RECORD_HEADER_BYTES + header.len as usize;
        (end <= block.len()).then_some(Record {
            block,
            start,
            header,
        })
    }

    fn stored(&self) -> &[u8] {
        let end = self.start + RECORD_HEADER_BYTES + self.header.len as usize;
        self.block
            .as_slice()
            .get(self.start..end)
            .unwrap_or_default()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// Segments that are open for reading, the one used last behind the others.
pub(super) struct Readers<F> {
    open: RefCell<VecDeque<(u32, Rc<OpenSegment<F>>)>>,
}

struct OpenSegment<F> {
    file: F,
    salt: u64,
}

impl<F> Default for Readers<F> {
    fn default() -> Self {
        Readers {
            open: RefCell::default(),
        }
    }
}

impl<F> Readers<F> {
    /// A segment if it is open; it counts as used now.
    fn recent(&self, segment: u32) -> Option<Rc<OpenSegment<F>>> {
        let mut open = self.open.borrow_mut();
        let at = open.iter().position(|(known, _)| *known == segment)?;
        let entry = open.remove(at)?;
        let found = Rc::clone(&entry.1);
        open.push_back(entry);
        Some(found)
    }

    /// Closes the segments of which the number is not wanted any more.
    pub(super) fn forget(&self, is_unwanted: impl Fn(u32) -> bool) {
        let mut open = self.open.borrow_mut();
        open.retain(|(segment, _)| !is_unwanted(*segment));
    }

    fn keep(&self, segment: u32, found: Rc<OpenSegment<F>>) {
        let mut open = self.open.borrow_mut();
        if open.len() >= OPEN_FILES_MAX {
            open.pop_front();
        }
        open.push_back((segment, found));
    }
}

impl<D: Disk> Log<D> {
    /// The record that begins at `place`.
    pub async fn read(&self, place: Place) -> Result<Record, ReadError> {
        let hot = self.tail.borrow().find(place);
        if let Some((block, within)) = hot {
            return Record::within(block, within).ok_or(place.damaged("no record in memory"));
        }
        let segment = self.reader(place).await?;
        let (file, salt) = (&segment.file, segment.salt);
        let io = |error| io_at(place, error);
        let mut block = file
            .read_at(place.offset(), FIRST_READ_BYTES)
            .await
            .map_err(io)?;
        let header = RecordHeader::decode(block.as_slice());
        let header = header.map_err(|_| place.damaged("no record header"))?;
        let bytes = RECORD_HEADER_BYTES + header.len as usize;
        if bytes > block.len() {
            block = file.read_at(place.offset(), bytes).await.map_err(io)?;
        }
        let record = Record::within(Rc::new(block), 0);
        let record = record.ok_or(place.damaged("the file ends within the record"))?;
        if RecordHeader::crc_of(record.stored()) ^ seat(salt, place.offset()) != record.header.crc {
            return Err(place.damaged("the checksum does not fit"));
        }
        Ok(record)
    }

    /// The segment of a place, opened where it is not. Its salt is read only now, so that a start
    /// reads nothing of a segment that nobody asks for.
    async fn reader(&self, place: Place) -> Result<Rc<OpenSegment<D::File>>, ReadError> {
        let segment = place.segment();
        if !self.state.borrow().segments.contains(&segment) {
            return Err(ReadError::Gone);
        }
        if let Some(found) = self.readers.recent(segment) {
            return Ok(found);
        }
        let io = |error| io_at(place, error);
        let path = segment::path(&self.directory, segment);
        let file = self.disk.open(&path, Mode::Read).await.map_err(io)?;
        let block = file.read_at(0, BLOCK_BYTES).await.map_err(io)?;
        let header = segment::check(block.as_slice(), &self.options, segment);
        let header = header.map_err(|_| place.damaged("the header of its segment is unusable"))?;
        let salt = header.salt;
        let found = Rc::new(OpenSegment { file, salt });
        self.readers.keep(segment, Rc::clone(&found));
        Ok(found)
    }
}

fn io_at(place: Place, error: std::io::Error) -> ReadError {
    ReadError::Io {
        container: place.container(),
        offset: place.offset(),
        kind: error.kind(),
    }
}

/// Segments open for reading at one time.
const OPEN_FILES_MAX: usize = 64;

/// Most records are shorter, so one read is enough.
const FIRST_READ_BYTES: usize = 8 << 10;
