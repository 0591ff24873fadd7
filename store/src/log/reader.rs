//! Records by place: from the hot tail, or from the disk through a few open files.

use super::frame::{RECORD_HEADER_BYTES, RecordHeader};
use super::segment;
use super::{Log, Place};
use crate::codec::checksum::seat;
use crate::disk::{Block, Disk, File, Mode};
use crate::error::ReadError;
use crate::mail::id::Lsn;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
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

/// Open files for reading, and the salt of every segment.
pub(super) struct Readers<F> {
    salts: RefCell<HashMap<u32, u64>>,
    open: RefCell<VecDeque<(u32, Rc<F>)>>,
}

impl<F> Readers<F> {
    pub(super) fn new(salts: HashMap<u32, u64>) -> Readers<F> {
        Readers {
            salts: RefCell::new(salts),
            open: RefCell::default(),
        }
    }

    pub(super) fn add(&self, segment: u32, salt: u64) {
        self.salts.borrow_mut().insert(segment, salt);
    }

    fn salt(&self, segment: u32) -> Option<u64> {
        self.salts.borrow().get(&segment).copied()
    }

    /// The file of a segment if it is open; it counts as used now.
    fn recent(&self, segment: u32) -> Option<Rc<F>> {
        let mut open = self.open.borrow_mut();
        let at = open.iter().position(|(known, _)| *known == segment)?;
        let entry = open.remove(at)?;
        let file = Rc::clone(&entry.1);
        open.push_back(entry);
        Some(file)
    }

    fn keep(&self, segment: u32, file: Rc<F>) {
        let mut open = self.open.borrow_mut();
        if open.len() >= OPEN_FILES_MAX {
            open.pop_front();
        }
        open.push_back((segment, file));
    }
}

impl<D: Disk> Log<D> {
    /// The record that begins at `place`.
    pub async fn read(&self, place: Place) -> Result<Record, ReadError> {
        let hot = self.tail.borrow().find(place);
        if let Some((block, within)) = hot {
            return Record::within(block, within).ok_or(place.damaged("no record in memory"));
        }
        let salt = self.readers.salt(place.segment()).ok_or(ReadError::Gone)?;
        let io = |error: std::io::Error| ReadError::Io {
            container: place.container(),
            offset: place.offset(),
            kind: error.kind(),
        };
        let file = self.reader(place.segment()).await.map_err(io)?;
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

    async fn reader(&self, segment: u32) -> std::io::Result<Rc<D::File>> {
        if let Some(file) = self.readers.recent(segment) {
            return Ok(file);
        }
        let path = segment::path(&self.directory, segment);
        let file = Rc::new(self.disk.open(&path, Mode::Read).await?);
        self.readers.keep(segment, Rc::clone(&file));
        Ok(file)
    }
}

/// Segments open for reading at one time.
const OPEN_FILES_MAX: usize = 64;

/// Most records are shorter, so one read is enough.
const FIRST_READ_BYTES: usize = 8 << 10;
