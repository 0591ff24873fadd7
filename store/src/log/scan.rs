//! A segment from front to end, for whoever moves, checks or repairs what lies in it.
//!
//! Unlike the replay at the start, a scan goes on behind damage: it looks for the next block at
//! which a valid frame begins, and in between for records whose own checksum fits. Both are seated,
//! so nothing of an earlier life, and nothing that came by mail, is ever taken for one.

use super::error::at;
use super::frame::{
    CLEAN, FRAME_HEADER_BYTES, FrameHeader, NoFrame, RecordHeader, SEAL, record_bytes,
};
use super::segment::{self, FIRST_OFFSET, SegmentHeader, check, path};
use super::walk::{Behind, LOOK_BEHIND_BYTES};
use super::{OpenError, Options, Place, Position, RECORD_HEADER_BYTES, Record, RecordRef};
use crate::codec::checksum::seat;
use crate::disk::{Block, Disk, File, Mode};
use crate::error::ReadError;
use crate::limit::{BLOCK_BYTES, FRAME_BYTES_MAX};
use crate::mail::id::{FrameSeq, Lsn, ShardId};
use std::ops::Range;
use std::rc::Rc;

/// A segment that is open for reading.
pub struct Segment<F> {
    file: F,
    path: String,
    header: SegmentHeader,
    bytes: u64,
}

/// Where a segment ends, as its successor has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentEnd {
    /// In bytes from the start of the file.
    pub offset: u64,
    /// Chain value of its last frame.
    pub chain: u32,
}

/// What a scan comes by, in order of offsets.
#[derive(Debug)]
pub enum Scanned {
    Frame(Frame),
    Damage(Damage),
}

/// A frame that is as it was written.
#[derive(Debug)]
pub struct Frame {
    pub offset: u64,
    pub bytes: u32,
    pub number: FrameSeq,
    pub first_lsn: Lsn,
    pub record_count: u32,
    pub is_clean_end: bool,
    /// What the next frame names.
    pub chain: u32,
    stretch: Stretch,
}

/// Octets that are not what was written. One damaged region may come in several pieces.
#[derive(Debug)]
pub struct Damage {
    pub offset: u64,
    /// 0 where frames do not continue each other.
    pub bytes: u64,
    pub what: &'static str,
    stretch: Stretch,
}

/// How a scan ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Behind the last frame, with what the next one must continue.
    pub position: Position,
    /// The last frame is a clean end.
    pub is_clean: bool,
    /// Behind the last frame of the log lies a piece of another, which nobody was told of.
    pub is_torn: bool,
    /// The segment says that it has a successor.
    pub is_sealed: bool,
}

/// A part of a window, and where it lies in the segment.
#[derive(Debug)]
struct Stretch {
    segment: u32,
    salt: u64,
    offset: u64,
    window: Rc<Block>,
    range: Range<usize>,
}

/// Goes through one segment.
pub struct Scan<'a, F> {
    segment: &'a Segment<F>,
    end: Option<SegmentEnd>,
    offset: u64,
    /// What the next frame must continue; `None` behind damage.
    chain: Option<u32>,
    window: Rc<Block>,
    window_from: u64,
    /// Blocks that the device did not give.
    unreadable: u32,
    is_over: bool,
    ended: Ended,
}

/// Segments that are there, ascending.
pub async fn segments<D: Disk>(disk: &D, directory: &str) -> Result<Vec<u32>, OpenError> {
    let names = disk.list(directory).await.map_err(at(directory))?;
    let numbers = names.iter().filter_map(|name| segment::number(name));
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The file of a segment, with its directory.
#[must_use]
pub fn file(directory: &str, segment: u32) -> String {
    path(directory, segment)
}

impl<F: File> Segment<F> {
    /// Opens a segment of the log in `directory` and checks its header.
    pub async fn open<D: Disk<File = F>>(
        disk: &D,
        directory: &str,
        store: [u8; 16],
        shard: ShardId,
        number: u32,
    ) -> Result<Segment<F>, OpenError> {
        let path = path(directory, number);
        let file = disk.open(&path, Mode::Read).await.map_err(at(&path))?;
        let block = file.read_at(0, BLOCK_BYTES).await.map_err(at(&path))?;
        let header = check(block.as_slice(), &Options::new(store, shard.0), number)?;
        let bytes = file.len().await.map_err(at(&path))?;
        Ok(Segment {
            file,
            path,
            header,
            bytes,
        })
    }

    #[must_use]
    pub fn number(&self) -> u32 {
        self.header.segment
    }

    /// Length of the file, what is written ahead included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where the segment before this one ends.
    #[must_use]
    pub fn previous(&self) -> SegmentEnd {
        SegmentEnd {
            offset: self.header.previous_end,
            chain: self.header.previous,
        }
    }

    /// Before its first frame.
    #[must_use]
    pub fn begin(&self) -> Position {
        Position {
            segment: self.header.segment,
            offset: FIRST_OFFSET,
            chain: self.header.chain,
            frame: self.header.first_frame,
            lsn: self.header.first_lsn,
        }
    }

    /// Bytes that the file may grow to.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.header.size
    }

    /// How far the remains of an earlier life of the file reach; 0 for none.
    #[must_use]
    pub fn remains(&self) -> u64 {
        self.header.remains
    }

    /// Goes through the segment up to `end`; without one, that is in the last segment of a log, up
    /// to where no frame follows any more.
    #[must_use]
    pub fn scan(&self, end: Option<SegmentEnd>) -> Scan<'_, F> {
        Scan {
            segment: self,
            end,
            offset: FIRST_OFFSET,
            chain: Some(self.header.chain),
            window: Rc::new(Block::zeroed(0)),
            window_from: 0,
            unreadable: 0,
            is_over: false,
            ended: Ended {
                position: self.begin(),
                is_clean: false,
                is_torn: false,
                is_sealed: false,
            },
        }
    }

    /// The record that begins at a place in this segment.
    pub async fn read(&self, place: Place) -> Result<Record, ReadError> {
        let io = |error: std::io::Error| ReadError::Io {
            container: place.container(),
            offset: place.offset(),
            kind: error.kind(),
        };
        let head = self.file.read_at(place.offset(), FIRST_READ_BYTES).await;
        let mut block = head.map_err(io)?;
        let header = RecordHeader::decode(block.as_slice());
        let header = header.map_err(|_| place.damaged("no record header"))?;
        let bytes = RECORD_HEADER_BYTES + header.len as usize;
        if bytes > block.len() {
            let whole = self.file.read_at(place.offset(), bytes).await;
            block = whole.map_err(io)?;
        }
        let seat = seat(self.header.salt, place.offset());
        let stored = block.as_slice().get(..bytes);
        let stored = stored.ok_or(place.damaged("the file ends within the record"))?;
        if RecordHeader::crc_of(stored) ^ seat != header.crc {
            return Err(place.damaged("the checksum does not fit"));
        }
        Record::within(Rc::new(block), 0).ok_or(place.damaged("the file ends within the record"))
    }

    /// Reads a window. Where not all of it can be read at once, each block is tried alone, and one
    /// that the device does not give is zeros.
    async fn window(
        &self,
        from: u64,
        bytes: usize,
        unreadable: &mut u32,
    ) -> Result<Block, OpenError> {
        match self.file.read_at(from, bytes).await {
            Ok(window) => return Ok(window),
            Err(error) if *unreadable >= UNREADABLE_MAX => return Err(at(&self.path)(error)),
            Err(_) => {}
        }
        let mut window = Block::zeroed(bytes);
        let blocks = window.as_mut_slice().chunks_mut(BLOCK_BYTES);
        for (target, offset) in blocks.zip((from..).step_by(BLOCK_BYTES)) {
            match self.file.read_at(offset, target.len()).await {
                Ok(block) => {
                    let read = block.len().min(target.len());
                    if let (Some(target), Some(block)) =
                        (target.get_mut(..read), block.as_slice().get(..read))
                    {
                        target.copy_from_slice(block);
                    }
                }
                Err(error) => {
                    *unreadable += 1;
                    if *unreadable > UNREADABLE_MAX {
                        return Err(at(&self.path)(error));
                    }
                }
            }
        }
        Ok(window)
    }
}

impl<F: File> Scan<'_, F> {
    /// The next frame or damage; `None` at the end. After an error there is no next.
    pub async fn next(&mut self) -> Result<Option<Scanned>, OpenError> {
        if self.is_over {
            return Ok(None);
        }
        let end = self.end.map_or(self.segment.bytes, |end| end.offset);
        if self.offset >= end {
            return Ok(self.last(end));
        }
        self.look_at(self.offset, BLOCK_BYTES, end).await?;
        let frame = match FrameHeader::decode(self.rest(), self.segment.header.salt, self.offset) {
            Ok(frame) => frame,
            Err(NoFrame::Newer(_)) => {
                return Err(OpenError::Newer {
                    segment: self.segment.header.segment,
                });
            }
            Err(NoFrame::Invalid) => return self.damage(end).await,
        };
        if frame.flags & SEAL != 0 && self.end.is_none() {
            self.is_over = true;
            self.ended.is_sealed = true;
            return Ok(None);
        }
        let bytes = frame.frame_bytes as usize;
        self.look_at(self.offset, bytes, end).await?;
        let bytes = self.rest().get(..bytes);
        let is_whole = bytes
            .is_some_and(|bytes| frame.check_records(bytes, self.segment.header.salt, self.offset));
        if !is_whole && !frame.is_mark() {
            return self.damage(end).await;
        }
        if self.chain.is_some_and(|chain| chain != frame.previous) {
            self.chain = None;
            return Ok(Some(self.gap("a frame does not continue the one before")));
        }
        Ok(Some(self.frame(&frame)))
    }

    fn frame(&mut self, header: &FrameHeader) -> Scanned {
        let offset = self.offset;
        let stretch = self.stretch(u64::from(header.frame_bytes));
        self.offset += u64::from(header.frame_bytes);
        self.chain = Some(header.chain);
        self.ended.is_clean = header.flags & CLEAN != 0;
        self.ended.position = Position {
            segment: self.segment.header.segment,
            offset: self.offset,
            chain: header.chain,
            frame: FrameSeq(header.frame.0 + 1),
            lsn: Lsn(header.first_lsn.0 + u64::from(header.records)),
        };
        Scanned::Frame(Frame {
            offset,
            bytes: header.frame_bytes,
            number: header.frame,
            first_lsn: header.first_lsn,
            record_count: header.records,
            is_clean_end: header.flags & CLEAN != 0,
            chain: header.chain,
            stretch,
        })
    }

    /// What is known when there is no next any more.
    #[must_use]
    pub fn ended(&self) -> Ended {
        self.ended
    }

    /// Passes over what is no frame. At the end of the last segment there is nothing behind.
    async fn damage(&mut self, end: u64) -> Result<Option<Scanned>, OpenError> {
        let next = self.next_frame(end).await?;
        if next.is_none() && self.end.is_none() {
            return self.behind(end).await;
        }
        let from = self.offset;
        let until = next.unwrap_or(end);
        self.look_at(from, DAMAGE_BYTES, end).await?;
        let here = self.rest().len() as u64;
        let bytes = (until - from).min(here.max(BLOCK_BYTES as u64));
        let stretch = self.stretch(bytes);
        self.offset += bytes;
        self.chain = None;
        Ok(Some(Scanned::Damage(Damage {
            offset: from,
            bytes,
            what: "a frame is not what was written",
            stretch,
        })))
    }

    /// What lies behind the last frame of a log: nothing, one torn frame, or what a start refuses.
    async fn behind(&mut self, end: u64) -> Result<Option<Scanned>, OpenError> {
        self.is_over = true;
        let mut behind = Behind::hole(self.offset);
        let mut offset = self.offset;
        while offset < end.min(self.offset + LOOK_BEHIND_BYTES) {
            self.look_at(offset, BLOCK_BYTES, end).await?;
            let skip = (offset - self.window_from) as usize;
            let rest = self.window.as_slice().get(skip..).unwrap_or_default();
            let block = rest.get(..BLOCK_BYTES).unwrap_or(rest);
            if block.is_empty() {
                break;
            }
            let seen = behind.look(&self.segment.header, block, offset);
            if let Err(OpenError::Damaged { what, .. }) = seen {
                self.look_at(self.offset, FRAME_BYTES_MAX, end).await?;
                let bytes = self.rest().len().min(FRAME_BYTES_MAX) as u64;
                return Ok(Some(Scanned::Damage(Damage {
                    offset: self.offset,
                    bytes,
                    what,
                    stretch: self.stretch(bytes),
                })));
            }
            offset += BLOCK_BYTES as u64;
        }
        self.ended.is_torn = behind.is_torn;
        Ok(None)
    }

    /// The next block behind this one at which a valid frame begins.
    async fn next_frame(&mut self, end: u64) -> Result<Option<u64>, OpenError> {
        let reach = match self.end {
            Some(_) => end,
            None => end.min(self.offset + LOOK_BEHIND_BYTES),
        };
        let mut offset = self.offset + BLOCK_BYTES as u64;
        while offset < reach {
            self.look_at(offset, BLOCK_BYTES, end).await?;
            let skip = (offset - self.window_from) as usize;
            let block = self.window.as_slice().get(skip..).unwrap_or_default();
            if FrameHeader::decode(block, self.segment.header.salt, offset).is_ok() {
                return Ok(Some(offset));
            }
            offset += BLOCK_BYTES as u64;
        }
        Ok(None)
    }

    /// Brings `bytes` from `offset` on into the window, or what there is before `end`.
    async fn look_at(&mut self, offset: u64, bytes: usize, end: u64) -> Result<(), OpenError> {
        let have = self.window_from..self.window_from + self.window.len() as u64;
        let wanted = end.min(offset + bytes as u64);
        if have.contains(&offset) && wanted <= have.end {
            return Ok(());
        }
        let bytes = (end - offset).min(bytes.max(WINDOW_BYTES) as u64) as usize;
        let window = self.segment.window(offset, bytes, &mut self.unreadable);
        self.window = Rc::new(window.await?);
        self.window_from = offset;
        Ok(())
    }

    fn rest(&self) -> &[u8] {
        let skip = self.offset.saturating_sub(self.window_from) as usize;
        self.window.as_slice().get(skip..).unwrap_or_default()
    }

    fn stretch(&self, bytes: u64) -> Stretch {
        let start = (self.offset.saturating_sub(self.window_from) as usize).min(self.window.len());
        let end = (start + bytes as usize).min(self.window.len());
        Stretch {
            segment: self.segment.header.segment,
            salt: self.segment.header.salt,
            offset: self.offset,
            window: Rc::clone(&self.window),
            range: start..end,
        }
    }

    fn last(&mut self, end: u64) -> Option<Scanned> {
        self.is_over = true;
        let said = self.end?;
        if self.offset > end {
            return Some(self.gap("a frame reaches over the end of the segment"));
        }
        let is_other = self.chain.is_some_and(|chain| chain != said.chain);
        is_other.then(|| self.gap("the next segment continues another one"))
    }

    fn gap(&self, what: &'static str) -> Scanned {
        Scanned::Damage(Damage {
            offset: self.offset,
            bytes: 0,
            what,
            stretch: self.stretch(0),
        })
    }
}

impl Frame {
    /// Its records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = (Place, RecordRef<'_>)> {
        let bytes = self.stretch.bytes();
        let header = FrameHeader::decode(bytes, self.stretch.salt, self.stretch.offset).ok();
        let records = header.map(|header| header.records(bytes));
        records
            .into_iter()
            .flatten()
            .map(|(at, header, stored)| self.stretch.record(at, &header, stored))
    }
}

impl Damage {
    /// The records within that are whole. Their order is that of the log, but others are missing.
    pub fn records(&self) -> impl Iterator<Item = (Place, RecordRef<'_>)> {
        let bytes = self.stretch.bytes();
        let mut at = 0;
        std::iter::from_fn(move || {
            while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
                let here = at;
                if let Some((header, stored)) = self.stretch.whole_record(rest, here) {
                    at += record_bytes(header.len as usize);
                    return Some(self.stretch.record(here, &header, stored));
                }
                at += 8;
            }
            None
        })
    }
}

impl Stretch {
    fn bytes(&self) -> &[u8] {
        let range = self.range.clone();
        self.window.as_slice().get(range).unwrap_or_default()
    }

    fn record<'a>(
        &self,
        at: usize,
        header: &RecordHeader,
        stored: &'a [u8],
    ) -> (Place, RecordRef<'a>) {
        let record = RecordRef {
            kind: header.kind,
            account: header.account,
            lsn: header.lsn,
            payload: stored.get(RECORD_HEADER_BYTES..).unwrap_or_default(),
        };
        (Place::new(self.segment, self.offset + at as u64), record)
    }

    fn whole_record<'a>(&self, rest: &'a [u8], at: usize) -> Option<(RecordHeader, &'a [u8])> {
        let header = RecordHeader::decode(rest).ok()?;
        if header.kind == 0 || header.flags != 0 || header.schema != 0 {
            return None;
        }
        let stored = rest.get(..RECORD_HEADER_BYTES + header.len as usize)?;
        let seat = seat(self.salt, self.offset + at as u64);
        (RecordHeader::crc_of(stored) ^ seat == header.crc).then_some((header, stored))
    }
}

/// Read at a time, where no frame is longer: so much stays in the caches of a core until it was
/// looked at.
const WINDOW_BYTES: usize = 4 << 20;

/// Damage is shown in pieces of this length, with the records that are whole in each.
const DAMAGE_BYTES: usize = 2 * FRAME_BYTES_MAX;

/// Most records are shorter, so one read is enough.
const FIRST_READ_BYTES: usize = 8 << 10;

/// Blocks of one segment that the device may refuse; with more it is the device that is damaged.
const UNREADABLE_MAX: u32 = 256;

const _: () = assert!(FRAME_HEADER_BYTES <= BLOCK_BYTES);
