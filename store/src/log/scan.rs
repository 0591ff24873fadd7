//! A segment from front to end, whatever is wrong with it: for checks, for salvage, for emptying.
//!
//! The start of a log ends at the first hole and refuses what is damaged; a scan names the damage
//! and goes on at the next valid frame. Behind a hole records are taken one by one: the checksum of
//! each is bound to its offset and to the salt of the segment, so a record that fits was written
//! there, whatever became of the header of its frame. Behind the last frame of the last segment
//! nothing is taken: what may lie there was never acknowledged (FORMAT.md, "Recovery").
//!
//! A frame found behind damage must have a later number than the last before it.

use super::error::at;
use super::frame::{CLEAN, FrameHeader, NoFrame, RecordHeader, SEAL, record_bytes};
use super::segment::{self, COUNT_MAX, FIRST_OFFSET, SegmentHeader, is_blank, path};
use super::{OpenError, Options, Place, Position, RECORD_HEADER_BYTES, RecordRef};
use crate::codec::checksum::seat;
use crate::disk::{Block, Disk, File, Mode};
use crate::limit::{BLOCK_BYTES, FRAME_BYTES_MAX, RECORD_BYTES_MAX};
use crate::mail::id::{FrameSeq, Lsn, ShardId};
use std::ops::Range;

/// The log that is scanned.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Of the segments, e.g. `shard-00/log`.
    pub directory: &'a str,
    pub store: [u8; 16],
    pub shard: ShardId,
}

/// What the header of a segment says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    pub number: u32,
    /// Bytes that the file may grow to.
    pub size: u64,
    pub first_frame: FrameSeq,
    pub first_lsn: Lsn,
    /// Where the segment before ends.
    pub previous_end: u64,
    /// Chain value of the last frame of the segment before.
    pub previous: u32,
    /// How far an earlier life of the file reaches; 0 for none.
    pub remains: u64,
    /// Chain value of the header.
    pub chain: u32,
    salt: u64,
}

/// A frame whose header is valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    pub offset: u64,
    pub bytes: u32,
    pub number: FrameSeq,
    pub first_lsn: Lsn,
    pub records: u32,
    pub is_clean_end: bool,
    /// Of this frame: what the next one names.
    pub chain: u32,
}

/// What a scan comes by, in the order of the segment.
pub enum Seen<'a> {
    Frame(Frame),
    /// Whole, at its place.
    Record(Place, RecordRef<'a>),
    /// Bytes from `offset` on that are not what was written. Records in it that are whole follow.
    Damage {
        offset: u64,
        bytes: u64,
        what: &'static str,
    },
}

/// Where a scan ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Behind the last valid frame, with what the next frame must continue.
    pub position: Position,
    /// Behind it lies a frame that was being written when the last life ended.
    pub is_torn: bool,
    /// The segment says that it has a successor.
    pub is_sealed: bool,
    pub frames: u64,
    pub records: u64,
    /// The last frame is a clean end.
    pub is_clean: bool,
}

/// Segments that are there, ascending.
pub async fn segments<D: Disk>(disk: &D, directory: &str) -> Result<Vec<u32>, OpenError> {
    let names = disk.list(directory).await.map_err(at(directory))?;
    let mut numbers: Vec<u32> = names.iter().filter_map(|n| segment::number(n)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The name of a segment's file, with its directory.
#[must_use]
pub fn file(directory: &str, segment: u32) -> String {
    path(directory, segment)
}

impl Scope<'_> {
    /// The header of a segment.
    pub async fn header<D: Disk>(&self, disk: &D, segment: u32) -> Result<Segment, OpenError> {
        let path = path(self.directory, segment);
        let file = disk.open(&path, Mode::Read).await.map_err(at(&path))?;
        let block = file.read_at(0, BLOCK_BYTES).await.map_err(at(&path))?;
        let options = Options::new(self.store, self.shard.0);
        let header = segment::check(block.as_slice(), &options, segment)?;
        Ok(Segment::of(&header))
    }

    /// Shows a segment from its first frame on. `end`: where its successor says that it ends; the
    /// last segment has none. The error is one of the device, or a frame of a later version.
    pub async fn scan<D: Disk>(
        &self,
        disk: &D,
        segment: &Segment,
        end: Option<u64>,
        each: &mut dyn FnMut(Seen<'_>),
    ) -> Result<Ended, OpenError> {
        let path = path(self.directory, segment.number);
        let file = disk.open(&path, Mode::Read).await.map_err(at(&path))?;
        let bytes = file.len().await.map_err(at(&path))?;
        let scanner = Scanner {
            path: &path,
            file: &file,
            segment: *segment,
            is_last: end.is_none(),
            end: end.unwrap_or(bytes).min(bytes),
            position: segment.begin(),
            is_after_damage: false,
            ended: Ended::at(segment.begin()),
            each,
        };
        scanner.run(end).await
    }
}

impl Segment {
    fn of(header: &SegmentHeader) -> Segment {
        Segment {
            number: header.segment,
            size: header.size,
            first_frame: header.first_frame,
            first_lsn: header.first_lsn,
            previous_end: header.previous_end,
            previous: header.previous,
            remains: header.remains,
            chain: header.chain,
            salt: header.salt,
        }
    }

    /// Before its first frame.
    #[must_use]
    pub fn begin(&self) -> Position {
        Position {
            segment: self.number,
            offset: FIRST_OFFSET,
            chain: self.chain,
            frame: self.first_frame,
            lsn: self.first_lsn,
        }
    }

    /// Whether it goes on where the segment before was left.
    #[must_use]
    pub fn continues(&self, before: &Position) -> bool {
        self.previous_end == before.offset
            && self.previous == before.chain
            && self.first_frame == before.frame
    }
}

impl Ended {
    fn at(position: Position) -> Ended {
        Ended {
            position,
            is_torn: false,
            is_sealed: false,
            frames: 0,
            records: 0,
            is_clean: false,
        }
    }
}

struct Scanner<'a, F> {
    path: &'a str,
    file: &'a F,
    segment: Segment,
    is_last: bool,
    /// Nothing is looked at from here on.
    end: u64,
    position: Position,
    /// The next frame need not continue the chain.
    is_after_damage: bool,
    ended: Ended,
    each: &'a mut dyn FnMut(Seen<'_>),
}

/// Why the frames of a window ended.
enum Stop {
    /// The window did.
    Window,
    /// No valid frame lies here.
    Hole,
    Seal,
}

impl<F: File> Scanner<'_, F> {
    async fn run(mut self, promised: Option<u64>) -> Result<Ended, OpenError> {
        while self.position.offset < self.end {
            let from = self.position.offset;
            let window = self.read(from, WINDOW_BYTES as u64).await?;
            match self.frames(window.as_slice(), from)? {
                Stop::Window if self.position.offset > from => {}
                Stop::Seal => {
                    self.ended.is_sealed = true;
                    break;
                }
                Stop::Window | Stop::Hole => {
                    if !self.pass_hole().await? {
                        break;
                    }
                }
            }
        }
        let missing = promised.filter(|promised| *promised > self.position.offset);
        if let Some(promised) = missing.filter(|_| self.position.offset >= self.end) {
            self.damage(self.end, promised - self.end, "the file was cut off here");
        }
        self.ended.position = self.position;
        Ok(self.ended)
    }

    async fn read(&self, from: u64, bytes: u64) -> Result<Block, OpenError> {
        let bytes = bytes.min(self.end.saturating_sub(from)) as usize;
        let read = self.file.read_at(from, bytes).await;
        read.map_err(at(self.path))
    }

    fn damage(&mut self, offset: u64, bytes: u64, what: &'static str) {
        (self.each)(Seen::Damage {
            offset,
            bytes,
            what,
        });
        self.is_after_damage = true;
    }

    /// The whole frames of a window, which begins at `from`.
    fn frames(&mut self, window: &[u8], from: u64) -> Result<Stop, OpenError> {
        loop {
            let offset = self.position.offset;
            let rest = window.get((offset - from) as usize..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(Stop::Window);
            }
            let Some(frame) = self.frame_at(rest, offset)? else {
                return Ok(Stop::Hole);
            };
            if frame.flags & SEAL != 0 {
                return Ok(Stop::Seal);
            }
            let Some(bytes) = rest.get(..frame.frame_bytes as usize) else {
                let is_cut = rest.len() < FRAME_BYTES_MAX && offset > from;
                return Ok(if is_cut { Stop::Window } else { Stop::Hole });
            };
            if !frame.check_records(bytes, self.segment.salt, offset) {
                if self.may_be_torn(offset + u64::from(frame.frame_bytes), window, from) {
                    return Ok(Stop::Hole);
                }
                self.show_frame(&frame, bytes, false);
                continue;
            }
            self.show_frame(&frame, bytes, true);
        }
    }

    /// Whether a frame whose records do not fit may be the last one, torn by the end of a life: no
    /// valid frame lies behind it.
    fn may_be_torn(&self, behind: u64, window: &[u8], from: u64) -> bool {
        let rest = window.get((behind - from) as usize..).unwrap_or_default();
        let next = FrameHeader::decode(rest, self.segment.salt, behind);
        self.is_last && next.is_err()
    }

    fn frame_at(&self, bytes: &[u8], offset: u64) -> Result<Option<FrameHeader>, OpenError> {
        match FrameHeader::decode(bytes, self.segment.salt, offset) {
            Ok(frame) => Ok(Some(frame)),
            Err(NoFrame::Invalid) => Ok(None),
            Err(NoFrame::Newer(_)) => Err(OpenError::Newer {
                segment: self.segment.number,
            }),
        }
    }

    fn show_frame(&mut self, header: &FrameHeader, bytes: &[u8], is_whole: bool) {
        let offset = self.position.offset;
        let follows = header.frame == self.position.frame && header.previous == self.position.chain;
        if !follows && !self.is_after_damage {
            self.damage(offset, 0, "a frame continues another log");
        }
        self.is_after_damage = false;
        (self.each)(Seen::Frame(Frame {
            offset,
            bytes: header.frame_bytes,
            number: header.frame,
            first_lsn: header.first_lsn,
            records: header.records,
            is_clean_end: header.flags & CLEAN != 0,
            chain: header.chain,
        }));
        let lsns = header.first_lsn.0..header.first_lsn.0 + u64::from(header.records);
        if is_whole {
            for (at, record, stored) in header.records(bytes) {
                self.show_record(offset + at as u64, &record, stored);
            }
        } else {
            let what = "records of the frame are not what was written";
            self.damage(offset, u64::from(header.frame_bytes), what);
            self.show_single(bytes, offset, lsns.clone());
            self.is_after_damage = false;
        }
        self.ended.frames += 1;
        self.ended.is_clean = header.flags & CLEAN != 0;
        self.position = Position {
            segment: self.segment.number,
            offset: offset + u64::from(header.frame_bytes),
            chain: header.chain,
            frame: FrameSeq(header.frame.0 + 1),
            lsn: Lsn(lsns.end),
        };
    }

    fn show_record(&mut self, offset: u64, header: &RecordHeader, stored: &[u8]) {
        let record = RecordRef {
            kind: header.kind,
            account: header.account,
            lsn: header.lsn,
            payload: stored.get(RECORD_HEADER_BYTES..).unwrap_or_default(),
        };
        (self.each)(Seen::Record(
            Place::new(self.segment.number, offset),
            record,
        ));
        self.ended.records += 1;
    }

    /// Shows the records that are whole in bytes which are no frame. Returns where the last ends.
    fn show_single(&mut self, bytes: &[u8], offset: u64, lsns: Range<u64>) -> u64 {
        let (mut at, mut lowest, mut end) = (0, lsns.start, offset);
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let here = offset + at as u64;
            match single(rest, self.segment.salt, here, lowest..lsns.end) {
                Some((header, stored)) => {
                    self.show_record(here, &header, stored);
                    at += record_bytes(header.len as usize);
                    lowest = header.lsn.0 + 1;
                    end = offset + at as u64;
                }
                None => at += 8,
            }
        }
        self.position.lsn = self.position.lsn.max(Lsn(lowest));
        end
    }

    /// Goes on at the next valid frame behind a hole; `false` where the segment ends with it.
    async fn pass_hole(&mut self) -> Result<bool, OpenError> {
        let hole = self.position.offset;
        let (next, is_blank) = self.next_frame(hole).await?;
        match next {
            None if self.is_last => {
                self.ended.is_torn = !is_blank;
                return Ok(false);
            }
            None => {
                self.damage(hole, self.end - hole, "no valid frame lies here");
                let end = self.end;
                self.salvage(hole..end, COUNT_MAX).await?;
                self.position.offset = end;
            }
            Some((offset, frame)) => {
                self.damage(hole, offset - hole, "no valid frame lies here");
                self.salvage(hole..offset, frame.first_lsn.0).await?;
                self.position.offset = offset;
            }
        }
        Ok(true)
    }

    /// The first valid frame behind a hole; and whether there is nothing at all, remains of an
    /// earlier life not counted.
    async fn next_frame(&self, hole: u64) -> Result<(Option<(u64, FrameHeader)>, bool), OpenError> {
        let (mut from, mut is_nothing) = (hole, true);
        while from < self.end {
            let window = self.read(from, WINDOW_BYTES as u64).await?;
            if window.is_empty() {
                break;
            }
            for (block, offset) in
                (window.as_slice().chunks(BLOCK_BYTES)).zip((from..).step_by(BLOCK_BYTES))
            {
                if is_blank(block) {
                    continue;
                }
                let frame = self.frame_at(block, offset)?;
                let is_later = |frame: &FrameHeader| frame.frame >= self.position.frame;
                if let Some(frame) = frame.filter(|f| offset > hole && is_later(f)) {
                    return Ok((Some((offset, frame)), false));
                }
                let is_remains = offset < self.segment.remains && frame.is_none();
                is_nothing &= is_remains;
            }
            from += window.len() as u64;
        }
        Ok((None, is_nothing))
    }

    /// Shows single records in a hole.
    async fn salvage(&mut self, hole: Range<u64>, lsn_end: u64) -> Result<(), OpenError> {
        let mut from = hole.start;
        while from < hole.end {
            // A record that the window cuts begins in the next one.
            let bytes = (hole.end - from).min(WINDOW_BYTES as u64);
            let window = self.read(from, bytes).await?;
            if window.is_empty() {
                break;
            }
            let end = self.show_single(window.as_slice(), from, self.position.lsn.0..lsn_end);
            let sure = from + bytes.saturating_sub(RECORD_BYTES_MAX as u64);
            from = match from + bytes < hole.end {
                true => end.max(sure),
                false => hole.end,
            };
        }
        Ok(())
    }
}

/// A whole record at the front of `bytes`, which lie at `offset`.
fn single(bytes: &[u8], salt: u64, offset: u64, lsns: Range<u64>) -> Option<(RecordHeader, &[u8])> {
    let header = RecordHeader::decode(bytes).ok()?;
    let is_plausible = header.kind != 0 && header.flags == 0 && header.schema == 0;
    if !is_plausible || !lsns.contains(&header.lsn.0) {
        return None;
    }
    let stored = bytes.get(..RECORD_HEADER_BYTES + header.len as usize)?;
    let fits = RecordHeader::crc_of(stored) ^ seat(salt, offset) == header.crc;
    fits.then_some((header, stored))
}

/// Read at a time; holds any frame.
const WINDOW_BYTES: usize = 2 * FRAME_BYTES_MAX;
