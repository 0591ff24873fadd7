//! Records by place: from the hot tail, or from the disk through a few open files.

use super::frame::{RECORD_HEADER_BYTES, RecordHeader};
use super::segment;
use super::stretch::{FIRST_BYTES, Stretches, record_length};
use super::{Log, Place};
use crate::codec::checksum::seat;
use crate::disk::{Block, Disk, File, Mode};
use crate::error::ReadError;
use crate::limit::{BLOCK_BYTES, RECORD_BYTES_MAX};
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

    /// Whether the checksum fits, at a place with this seat.
    pub(super) fn is_whole(&self, seat: u32) -> bool {
        RecordHeader::crc_of(self.stored()) ^ seat == self.header.crc
    }

    /// The record in a block of its own, unless the one that it shares is small: whoever keeps it
    /// for long keeps nothing else.
    fn alone(self) -> Record {
        if self.block.len() <= SHARED_BYTES_MAX {
            return self;
        }
        let block = Rc::new(Block::copy_of(self.stored()));
        Record {
            block,
            start: 0,
            ..self
        }
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
    stretches: Stretches,
}

struct OpenSegment<F> {
    file: F,
    salt: u64,
}

impl<F> Default for Readers<F> {
    fn default() -> Self {
        Readers {
            open: RefCell::default(),
            stretches: Stretches::default(),
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
        self.stretches.forget(is_unwanted);
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
        self.read_with(place, 0).await
    }

    /// As [`read`](Self::read), with up to `before` octets in front of the record: for who asks for
    /// what lies there next.
    pub async fn read_with(&self, place: Place, before: usize) -> Result<Record, ReadError> {
        match self.at_hand(place) {
            Some(record) => Ok(record.alone()),
            None => self.read_far(place, before).await,
        }
    }

    /// As [`read`](Self::read), for who keeps nothing of the record: it may share much memory.
    pub async fn read_in_passing(&self, place: Place) -> Result<Record, ReadError> {
        match self.at_hand(place) {
            Some(record) => Ok(record),
            None => self.read_far(place, 0).await,
        }
    }

    /// A record that is not in memory.
    async fn read_far(&self, place: Place, before: usize) -> Result<Record, ReadError> {
        let segment = self.reader(place).await?;
        let wish = self.read_stretch(&segment, place, before).await;
        match self.readers.stretches.find(place) {
            Some(record) => Ok(record.alone()),
            None => read_alone(&segment, place, wish).await,
        }
    }

    /// The record at a place, where it is in memory. It shares what may be much memory: not to be
    /// kept.
    pub fn at_hand(&self, place: Place) -> Option<Record> {
        let hot = self.tail.borrow().find(place);
        if let Some((block, within)) = hot {
            return Record::within(block, within);
        }
        self.readers.stretches.find(place)
    }

    /// Reads what lies about a record; how many octets the record takes, if that is seen there.
    async fn read_stretch(
        &self,
        segment: &OpenSegment<D::File>,
        place: Place,
        before: usize,
    ) -> usize {
        let wanted = self.readers.stretches.around(place, before);
        let bytes = (wanted.end - wanted.start) as usize;
        // Where some of it cannot be read, the record itself perhaps can.
        let Ok(block) = segment.file.read_at(wanted.start, bytes).await else {
            return FIRST_BYTES;
        };
        let begins = (place.offset() - wanted.start) as usize;
        let record = block.as_slice().get(begins..).unwrap_or_default();
        let length = record_length(record);
        let stretches = &self.readers.stretches;
        stretches.keep(place, segment.salt, wanted.start, block);
        length.unwrap_or(FIRST_BYTES)
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

/// A record that is in no stretch: `wish` is what it takes, as far as that is known.
async fn read_alone<F: File>(
    segment: &OpenSegment<F>,
    place: Place,
    wish: usize,
) -> Result<Record, ReadError> {
    let (file, at) = (&segment.file, place.offset());
    let io = |error| io_at(place, error);
    let mut block = file
        .read_at(at, wish.min(RECORD_BYTES_MAX))
        .await
        .map_err(io)?;
    let bytes = record_length(block.as_slice()).ok_or(place.damaged("no record header"))?;
    if bytes > block.len() {
        block = file.read_at(at, bytes).await.map_err(io)?;
    }
    let record = Record::within(Rc::new(block), 0);
    let record = record.ok_or(place.damaged("the file ends within the record"))?;
    match record.is_whole(seat(segment.salt, at)) {
        true => Ok(record),
        false => Err(place.damaged("the checksum does not fit")),
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

/// A record that is kept may share so much memory with others.
const SHARED_BYTES_MAX: usize = 16 << 10;
