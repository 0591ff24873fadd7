//! Reading frame after frame at the start, up to the first place where no valid one lies.
//!
//! Frames are valid one after the other up to the first hole. Behind a hole there is nothing valid:
//! frame `n + 1` is only issued when `n` is durable, so a valid frame behind a hole means that the
//! hole was a durable frame, and that is damage, not a torn write (FORMAT.md, "Recovery").

use super::error::at;
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, NoFrame};
use super::segment::{FIRST_OFFSET, SegmentHeader, is_blank, path};
use super::{OpenError, Place, Position, RecordRef, Recovered, Replay};
use crate::disk::{Block, Disk, File, Mode};
use crate::limit::{BLOCK_BYTES, FRAME_BYTES_MAX};
use crate::mail::id::{FrameSeq, Lsn};

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
        let window = (end - from).min(WINDOW_BYTES as u64) as usize;
        let window = file.read_at(from, window).await.map_err(at(&path))?;
        let is_hole = replay_window(header, &window, from, cursor, replay)?;
        if !is_hole && cursor.offset > from {
            continue;
        }
        if successor.is_some() {
            return Err(damaged(
                cursor.offset,
                "a frame is missing or not what was written",
            ));
        }
        cursor.recovered.torn = look_behind(&file, header, cursor, bytes).await?;
        break;
    }
    match successor {
        Some(next) if !cursor.is_continued_by(next) => Err(damaged(
            cursor.offset,
            "the next segment continues another one",
        )),
        _ => Ok(()),
    }
}

/// Replays the whole frames of a window; `true` where something is no frame.
fn replay_window(
    header: &SegmentHeader,
    window: &Block,
    from: u64,
    cursor: &mut Cursor,
    replay: Replay<'_>,
) -> Result<bool, OpenError> {
    loop {
        let rest = window
            .as_slice()
            .get((cursor.offset - from) as usize..)
            .unwrap_or_default();
        if rest.len() < FRAME_HEADER_BYTES {
            return Ok(false);
        }
        let frame = match FrameHeader::decode(rest, header.salt, cursor.offset) {
            Ok(frame) => frame,
            Err(NoFrame::Newer(_)) => {
                return Err(OpenError::Newer {
                    segment: header.segment,
                });
            }
            Err(NoFrame::Invalid) => return Ok(true),
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
        let Some(bytes) = rest.get(..frame.frame_bytes as usize) else {
            // Cut by the window; a frame is never longer than one.
            return Ok(rest.len() >= FRAME_BYTES_MAX || cursor.offset == from);
        };
        if !frame.check_records(bytes, header.salt, cursor.offset) {
            return Ok(true);
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

/// What lies behind the first hole: nothing, or the remains of one frame that was never answered.
/// A frame there means damage.
async fn look_behind<F: File>(
    file: &F,
    header: &SegmentHeader,
    cursor: &Cursor,
    bytes: u64,
) -> Result<bool, OpenError> {
    let path = "the last segment";
    let damaged = |what| OpenError::Damaged {
        segment: header.segment,
        offset: cursor.offset,
        what,
    };
    let mut torn = false;
    let mut reach = FRAME_BYTES_MAX as u64;
    let mut from = cursor.offset;
    while from < bytes {
        let window = (bytes - from).min(WINDOW_BYTES as u64) as usize;
        let window = file.read_at(from, window).await.map_err(at(path))?;
        if window.is_empty() {
            break;
        }
        for (block, offset) in window
            .as_slice()
            .chunks(BLOCK_BYTES)
            .zip((from..).step_by(BLOCK_BYTES))
        {
            if is_blank(block) {
                continue;
            }
            torn = true;
            let found = FrameHeader::decode(block, header.salt, offset);
            match found {
                Ok(frame) if offset == cursor.offset => reach = u64::from(frame.frame_bytes),
                Err(NoFrame::Invalid) => {}
                _ => {
                    return Err(damaged(
                        "a durable frame is not what was written: later ones are there",
                    ));
                }
            }
            if offset - cursor.offset >= reach {
                return Err(damaged("behind the end lies more than one torn frame"));
            }
        }
        from += window.len() as u64;
    }
    Ok(torn)
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
