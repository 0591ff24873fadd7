//! Reading a segment from its first frame to its end (FORMAT.md, "Recovery").

use super::error::{OpenError, at};
use super::frame::{CLEAN, FRAME_HEADER_BYTES, FrameHeader, NoFrame, RECORD_HEADER_BYTES, SEAL};
use super::segment::{FIRST_OFFSET, SegmentHeader, is_blank, path};
use super::{Place, RecordRef};
use crate::disk::{Block, File};
use crate::limit::{BLOCK_BYTES, FRAME_BYTES_MAX};
use crate::mail::id::{FrameSeq, Lsn};

/// One read of recovery, in bytes.
const WINDOW_BYTES: usize = 2 * FRAME_BYTES_MAX;

/// What comes next must follow this.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) chain: u32,
    pub(super) frame: FrameSeq,
    pub(super) next_lsn: Lsn,
    /// Flags of the last frame.
    pub(super) mark: u8,
    pub(super) frames: u64,
    pub(super) records: u64,
    pub(super) bytes: u64,
}

pub(super) type Replay<'a> = &'a mut dyn FnMut(Place, &RecordRef<'_>) -> Result<(), String>;

pub(super) struct Scan<'a, F> {
    file: &'a F,
    path: String,
    segment: u32,
    salt: u64,
    /// Bytes in the file.
    pub(super) len: u64,
    window: Block,
    window_at: u64,
}

enum Found {
    Frame(FrameHeader),
    /// No valid frame; if one was being written here, it reaches so many bytes at most.
    Nothing {
        extent: u64,
        what: &'static str,
    },
}

/// Where the frames of the last segment end, and what lies there.
pub(super) struct Hole {
    pub(super) offset: u64,
    /// End of a torn write, which must be erased before anything is written here.
    pub(super) torn_to: Option<u64>,
}

impl<'a, F: File> Scan<'a, F> {
    pub(super) async fn new(
        file: &'a F,
        directory: &str,
        header: &SegmentHeader,
    ) -> Result<Scan<'a, F>, OpenError> {
        let path = path(directory, header.segment);
        let len = file.len().await.map_err(at(&path))?;
        Ok(Scan {
            file,
            path,
            segment: header.segment,
            salt: header.salt,
            len,
            window: Block::zeroed(0),
            window_at: 0,
        })
    }

    /// Replays a segment whose successor says that it ends at `end`.
    pub(super) async fn closed(
        &mut self,
        cursor: &mut Cursor,
        end: u64,
        replay: Replay<'_>,
    ) -> Result<(), OpenError> {
        let mut offset = FIRST_OFFSET;
        while offset < end {
            match self.frame(offset, cursor).await? {
                Found::Frame(header) => {
                    self.replay(offset, &header, cursor, replay).await?;
                    offset += u64::from(header.frame_bytes);
                }
                Found::Nothing { what, .. } => return Err(self.damaged(offset, what)),
            }
        }
        if offset > end {
            return Err(self.damaged(end, "a frame reaches beyond the end of the segment"));
        }
        Ok(())
    }

    /// Replays the last segment up to the first hole, and looks whether it is the end.
    pub(super) async fn last(
        &mut self,
        cursor: &mut Cursor,
        replay: Replay<'_>,
    ) -> Result<Hole, OpenError> {
        let mut offset = FIRST_OFFSET;
        loop {
            match self.frame(offset, cursor).await? {
                Found::Frame(header) => {
                    self.replay(offset, &header, cursor, replay).await?;
                    offset += u64::from(header.frame_bytes);
                }
                Found::Nothing { extent, what } => return self.hole(offset, extent, what).await,
            }
        }
    }

    async fn frame(&mut self, offset: u64, cursor: &Cursor) -> Result<Found, OpenError> {
        let (salt, len) = (self.salt, self.len);
        let head = self.bytes(offset, FRAME_HEADER_BYTES).await?;
        let header = match FrameHeader::decode(head, salt, offset) {
            Ok(header) => header,
            Err(NoFrame::Newer(_)) => return Err(self.newer()),
            Err(NoFrame::Invalid) => {
                return Ok(Found::Nothing {
                    extent: FRAME_BYTES_MAX as u64,
                    what: "no frame where one must be",
                });
            }
        };
        if !cursor.is_followed_by(&header) {
            return Err(self.damaged(offset, "a frame does not follow the one before it"));
        }
        if offset + u64::from(header.frame_bytes) > len {
            return Err(self.damaged(offset, "the file ends within a frame"));
        }
        let frame = self.bytes(offset, header.frame_bytes as usize).await?;
        if header.check_records(frame, salt, offset) {
            return Ok(Found::Frame(header));
        }
        Ok(Found::Nothing {
            extent: u64::from(header.frame_bytes),
            what: "a record is not what was written",
        })
    }

    /// The CRCs were checked with the frame, so each record is only cut out here.
    async fn replay(
        &mut self,
        offset: u64,
        header: &FrameHeader,
        cursor: &mut Cursor,
        replay: &mut dyn FnMut(Place, &RecordRef<'_>) -> Result<(), String>,
    ) -> Result<(), OpenError> {
        let start = Place::new(self.segment, offset);
        let frame = self.bytes(offset, header.frame_bytes as usize).await?;
        for (at, record, stored) in header.records(frame) {
            let place = start.plus(at as u32);
            let record = RecordRef {
                kind: record.kind,
                schema: record.schema,
                account: record.account,
                lsn: record.lsn,
                payload: stored.get(RECORD_HEADER_BYTES..).unwrap_or_default(),
            };
            replay(place, &record).map_err(|why| OpenError::Replay { place, why })?;
        }
        cursor.pass(header);
        Ok(())
    }

    /// With one frame in flight, a torn write reaches `extent` bytes at most, and nothing was ever
    /// written behind it. A valid frame there, or anything beyond its extent, means that the hole
    /// is a frame that was durable once.
    async fn hole(
        &mut self,
        hole: u64,
        extent: u64,
        what: &'static str,
    ) -> Result<Hole, OpenError> {
        let mut torn_to = None;
        let mut offset = hole;
        while offset < self.len {
            let salt = self.salt;
            let block = self.bytes(offset, BLOCK_BYTES).await?;
            if !is_blank(block) {
                let is_frame = FrameHeader::decode(block, salt, offset) != Err(NoFrame::Invalid);
                if (is_frame && offset > hole) || offset >= hole + extent {
                    return Err(self.damaged(hole, what));
                }
                torn_to = Some(hole + extent);
            }
            offset += BLOCK_BYTES as u64;
        }
        Ok(Hole {
            offset: hole,
            torn_to,
        })
    }

    /// Up to `bytes` from `offset`; fewer only at the end of the file. One large read serves many.
    async fn bytes(&mut self, offset: u64, bytes: usize) -> Result<&[u8], OpenError> {
        let wanted = (self.len.saturating_sub(offset)).min(bytes as u64);
        let window_end = self.window_at + self.window.len() as u64;
        if offset < self.window_at || offset + wanted > window_end {
            let count = WINDOW_BYTES.min(self.len.saturating_sub(offset) as usize);
            self.window = Block::zeroed(0);
            let read = self.file.read_at(offset, count).await;
            self.window = read.map_err(at(&self.path))?;
            self.window_at = offset;
        }
        let from = (offset - self.window_at) as usize;
        let rest = self.window.as_slice().get(from..).unwrap_or_default();
        Ok(rest.get(..bytes).unwrap_or(rest))
    }

    fn damaged(&self, offset: u64, what: &'static str) -> OpenError {
        OpenError::Damaged {
            segment: self.segment,
            offset,
            what,
        }
    }

    fn newer(&self) -> OpenError {
        OpenError::Newer {
            segment: self.segment,
        }
    }
}

impl Cursor {
    /// Where a log begins.
    pub(super) fn start() -> Cursor {
        Cursor {
            chain: 0,
            frame: FrameSeq(0),
            next_lsn: Lsn(1),
            mark: 0,
            frames: 0,
            records: 0,
            bytes: 0,
        }
    }

    /// A frame has a higher number than the one before it (a gap is a frame that failed); a mark
    /// repeats the number. Nothing follows a seal.
    fn is_followed_by(&self, header: &FrameHeader) -> bool {
        let numbered = match header.is_mark() {
            true => header.frame == self.frame && header.first_lsn == self.next_lsn,
            false => header.frame > self.frame && header.first_lsn >= self.next_lsn,
        };
        numbered && header.previous == self.chain && self.mark & SEAL == 0
    }

    fn pass(&mut self, header: &FrameHeader) {
        self.chain = header.chain;
        self.frame = header.frame;
        self.next_lsn = Lsn(header.first_lsn.0 + u64::from(header.records));
        self.mark = header.flags & (SEAL | CLEAN);
        self.bytes += u64::from(header.frame_bytes);
        self.records += u64::from(header.records);
        self.frames += u64::from(!header.is_mark());
    }
}
