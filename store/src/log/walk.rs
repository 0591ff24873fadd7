//! Reading frame after frame at the start, up to the first place where no valid one lies.
//!
//! Frames are valid one after the other up to the first hole. Behind a hole there is nothing valid:
//! frame `n + 1` is only issued when `n` is durable, so a valid frame behind a hole means that the
//! hole was a durable frame, and that is damage, not a torn write (FORMAT.md, "Recovery").

use super::error::at;
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, NoFrame, SEAL};
use super::segment::{FIRST_OFFSET, SegmentHeader, is_blank, path};
use super::{OpenError, Place, Position, RecordRef, Recovered, Replay};
use crate::disk::{Block, Disk, File, Mode};
use crate::limit::{BLOCK_BYTES, FRAME_BYTES_MAX};
use crate::mail::id::{FrameSeq, Lsn};
use std::io;
use std::ops::Range;

/// How far the replay has come.
pub(super) struct Cursor {
    pub(super) offset: u64,
    pub(super) chain: u32,
    pub(super) next_frame: FrameSeq,
    pub(super) next_lsn: Lsn,
    pub(super) recovered: Recovered,
}

impl Cursor {
    /// Before the first frame of a segment of which nothing before is known.
    pub(super) fn at_start(header: &SegmentHeader) -> Cursor {
        Cursor {
            offset: FIRST_OFFSET,
            chain: header.chain,
            next_frame: header.first_frame,
            next_lsn: header.first_lsn,
            recovered: Recovered::default(),
        }
    }

    pub(super) fn at(position: &Position) -> Cursor {
        Cursor {
            offset: position.offset,
            chain: position.chain,
            next_frame: position.frame,
            next_lsn: position.lsn,
            recovered: Recovered::default(),
        }
    }

    /// Whether the segment with this header goes on where the one before was left.
    fn is_continued_by(&self, next: &SegmentHeader) -> bool {
        self.offset == next.previous_end
            && self.chain == next.previous
            && self.next_frame == next.first_frame
    }

    /// Goes from the end of a segment to the start of its successor.
    pub(super) fn enter(&mut self, header: &SegmentHeader) {
        self.offset = FIRST_OFFSET;
        self.chain = header.chain;
        self.next_lsn = self.next_lsn.max(header.first_lsn);
    }
}

/// Replays one segment from the cursor on. With a successor it must be whole up to where that says;
/// without one it ends at the first hole.
pub(super) async fn walk<D: Disk>(
    disk: &D,
    directory: &str,
    header: &SegmentHeader,
    successor: Option<&SegmentHeader>,
    cursor: &mut Cursor,
    replay: Replay<'_>,
) -> Result<(), OpenError> {
    let path = path(directory, header.segment);
    let file = disk.open(&path, Mode::Read).await.map_err(at(&path))?;
    let bytes = file.len().await.map_err(at(&path))?;
    let end = successor.map_or(bytes, |next| next.previous_end);
    let damaged = |offset, what| OpenError::Damaged {
        segment: header.segment,
        offset,
        what,
    };
    while cursor.offset < end {
        let from = cursor.offset;
        let window = (end - from).min(WINDOW_BYTES as u64);
        let window = read(&file, from..from + window, bytes).await;
        let window = window.map_err(at(&path))?;
        match (
            replay_window(header, &window, from, cursor, replay)?,
            successor,
        ) {
            (Stop::Window, _) if cursor.offset > from => {}
            (Stop::Seal, None) => {
                let segment = header.segment + 1;
                return Err(OpenError::Missing { segment });
            }
            (Stop::Window | Stop::Hole, None) => {
                cursor.recovered.torn = look_behind(&file, header, cursor, bytes).await?;
                break;
            }
            (_, Some(_)) => {
                let what = "a frame is missing or not what was written";
                return Err(damaged(cursor.offset, what));
            }
        }
    }
    match successor {
        Some(next) if !cursor.is_continued_by(next) => Err(damaged(
            cursor.offset,
            "the next segment continues another one",
        )),
        _ => Ok(()),
    }
}

/// Why the replay of a window ended.
enum Stop {
    /// The window did.
    Window,
    /// Here lies no valid frame.
    Hole,
    /// The segment has a successor.
    Seal,
}

/// Replays the whole frames of a window.
fn replay_window(
    header: &SegmentHeader,
    window: &Block,
    from: u64,
    cursor: &mut Cursor,
    replay: Replay<'_>,
) -> Result<Stop, OpenError> {
    loop {
        let rest = window
            .as_slice()
            .get((cursor.offset - from) as usize..)
            .unwrap_or_default();
        if rest.len() < FRAME_HEADER_BYTES {
            return Ok(Stop::Window);
        }
        let frame = match FrameHeader::decode(rest, header.salt, cursor.offset) {
            Ok(frame) => frame,
            Err(NoFrame::Newer(_)) => {
                return Err(OpenError::Newer {
                    segment: header.segment,
                });
            }
            Err(NoFrame::Invalid) => return Ok(Stop::Hole),
        };
        if frame.frame != cursor.next_frame
            || frame.previous != cursor.chain
            || frame.first_lsn < cursor.next_lsn
        {
            let what = "a frame continues another log";
            let offset = cursor.offset;
            return Err(OpenError::Damaged {
                segment: header.segment,
                offset,
                what,
            });
        }
        if frame.flags & SEAL != 0 {
            return Ok(Stop::Seal);
        }
        let Some(bytes) = rest.get(..frame.frame_bytes as usize) else {
            // Cut by the window; a frame is never longer than one.
            let is_cut = rest.len() < FRAME_BYTES_MAX && cursor.offset > from;
            return Ok(if is_cut { Stop::Window } else { Stop::Hole });
        };
        if !frame.check_records(bytes, header.salt, cursor.offset) {
            return Ok(Stop::Hole);
        }
        replay_frame(header.segment, &frame, bytes, cursor, replay)?;
    }
}

fn replay_frame(
    segment: u32,
    frame: &FrameHeader,
    bytes: &[u8],
    cursor: &mut Cursor,
    replay: Replay<'_>,
) -> Result<(), OpenError> {
    for (start, record, stored) in frame.records(bytes) {
        let place = Place::new(segment, cursor.offset + start as u64);
        let payload = stored.get(super::RECORD_HEADER_BYTES..).unwrap_or_default();
        let record = RecordRef {
            kind: record.kind,
            account: record.account,
            lsn: record.lsn,
            payload,
        };
        replay(place, &record).map_err(|why| OpenError::Replay { place, why })?;
    }
    cursor.offset += u64::from(frame.frame_bytes);
    cursor.chain = frame.chain;
    cursor.next_frame.0 += 1;
    // A gap: records between were given up.
    cursor.next_lsn = Lsn(frame.first_lsn.0 + u64::from(frame.records));
    cursor.recovered.frames += 1;
    cursor.recovered.records += u64::from(frame.records);
    cursor.recovered.bytes += u64::from(frame.frame_bytes);
    Ok(())
}

/// What a file of so many bytes has of a range. A device that gives less of it is refused: it must
/// not make the log end earlier.
async fn read<F: File>(file: &F, range: Range<u64>, bytes: u64) -> io::Result<Block> {
    let there = range.end.min(bytes).saturating_sub(range.start);
    let wanted = (range.end - range.start) as usize;
    let block = file.read_at(range.start, wanted).await?;
    match (block.len() as u64) < there {
        true => Err(io::ErrorKind::UnexpectedEof.into()),
        false => Ok(block),
    }
}

/// What lies behind the first hole: nothing, the remains of one frame that was never answered, or
/// those of an earlier life of the file. A frame there means damage. `true` for a torn frame; among
/// remains one is only known by its header, and without that nothing of it can ever be valid.
async fn look_behind<F: File>(
    file: &F,
    header: &SegmentHeader,
    cursor: &Cursor,
    bytes: u64,
) -> Result<bool, OpenError> {
    let mut behind = Behind::hole(cursor.offset);
    let mut from = cursor.offset;
    let end = bytes.min(from + LOOK_BEHIND_BYTES);
    while from < end {
        let window = (end - from).min(WINDOW_BYTES as u64);
        let window = read(file, from..from + window, bytes).await;
        let window = window.map_err(at("the last segment"))?;
        let blocks = window.as_slice().chunks(BLOCK_BYTES);
        for (block, offset) in blocks.zip((from..).step_by(BLOCK_BYTES)) {
            behind.look(header, block, offset)?;
        }
        from += window.len() as u64;
    }
    Ok(behind.is_torn)
}

/// What was seen behind the hole at which the frames of a log end.
pub(super) struct Behind {
    hole: u64,
    /// How far a torn frame can reach from the hole.
    reach: u64,
    pub(super) is_torn: bool,
}

impl Behind {
    pub(super) fn hole(hole: u64) -> Behind {
        Behind {
            hole,
            reach: FRAME_BYTES_MAX as u64,
            is_torn: false,
        }
    }

    /// Looks at the next block.
    pub(super) fn look(
        &mut self,
        header: &SegmentHeader,
        block: &[u8],
        offset: u64,
    ) -> Result<(), OpenError> {
        if is_blank(block) {
            return Ok(());
        }
        let damaged = |what| OpenError::Damaged {
            segment: header.segment,
            offset: self.hole,
            what,
        };
        match FrameHeader::decode(block, header.salt, offset) {
            Ok(frame) if offset == self.hole => self.reach = u64::from(frame.frame_bytes),
            Err(NoFrame::Invalid) if offset < header.remains => return Ok(()),
            Err(NoFrame::Invalid) => {}
            _ => {
                let what = "a durable frame is not what was written: later ones are there";
                return Err(damaged(what));
            }
        }
        self.is_torn = true;
        if offset - self.hole < self.reach {
            return Ok(());
        }
        Err(damaged("behind the end lies more than one torn frame"))
    }
}

/// Whether a frame ends where the replay begins, and is the one that the position names. Asked when
/// nothing follows it: then only the frame itself can tell that the log was ever so long.
pub(super) async fn reaches<D: Disk>(
    disk: &D,
    directory: &str,
    header: &SegmentHeader,
    position: &Position,
) -> Result<bool, OpenError> {
    if position.offset == FIRST_OFFSET {
        return Ok(header.chain == position.chain);
    }
    let path = path(directory, header.segment);
    let file = disk.open(&path, Mode::Read).await.map_err(at(&path))?;
    let from = position.offset.saturating_sub(FRAME_BYTES_MAX as u64);
    let from = from.max(FIRST_OFFSET);
    let before = (position.offset - from) as usize;
    let before = file.read_at(from, before).await.map_err(at(&path))?;
    let mut blocks = before
        .as_slice()
        .chunks(BLOCK_BYTES)
        .zip((from..).step_by(BLOCK_BYTES));
    Ok(blocks.any(|(block, offset)| {
        FrameHeader::decode(block, header.salt, offset).is_ok_and(|frame| {
            frame.chain == position.chain
                && offset + u64::from(frame.frame_bytes) == position.offset
        })
    }))
}

/// Read at a time; holds any frame.
const WINDOW_BYTES: usize = 2 * FRAME_BYTES_MAX;

/// Zeros are written less far ahead; of the remains of an earlier life not all needs to be read to
/// find the frame that begins where the one in the hole ends.
pub(super) const LOOK_BEHIND_BYTES: u64 = 64 << 20;
