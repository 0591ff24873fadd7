//! Opening: finds the end of the log, replays what is durable, refuses what is damaged.
//!
//! Frames are valid one after the other up to the first hole. Behind a hole there is nothing valid:
//! frame `n + 1` is only issued when `n` is durable, so a valid frame behind a hole means that the
//! hole was a durable frame, and that is damage, not a torn write (FORMAT.md, "Recovery").

use super::error::at;
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, NoFrame};
use super::segment::{
    FIRST_OFFSET, NoSegment, SEGMENT_BYTES_MAX, SegmentHeader, is_blank, is_in_the_making, number,
    path, path_in_the_making,
};
use super::{OpenError, Options, Place, RecordRef, Recovered, Replay};
use crate::disk::{Block, Disk, File, Mode};
use crate::limit::{BLOCK_BYTES, FRAME_BYTES_MAX};
use crate::mail::id::{FrameSeq, Lsn};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;

/// Where the log goes on.
pub(super) struct End<F> {
    pub(super) file: F,
    pub(super) header: SegmentHeader,
    pub(super) offset: u64,
    pub(super) chain: u32,
    pub(super) next_frame: FrameSeq,
    pub(super) next_lsn: Lsn,
    pub(super) salts: HashMap<u32, u64>,
    pub(super) recovered: Recovered,
    pub(super) is_read_only: bool,
}

/// How far the replay has come.
struct Cursor {
    offset: u64,
    chain: u32,
    next_frame: FrameSeq,
    next_lsn: Lsn,
    recovered: Recovered,
}

pub(super) async fn recover<D: Disk>(
    disk: &D,
    directory: &str,
    options: &Options,
    replay: Replay<'_>,
) -> Result<End<D::File>, OpenError> {
    if options.segment_bytes < 2 * FRAME_BYTES_MAX as u64 {
        return Err(OpenError::Options("a segment must hold two frames"));
    }
    let is_whole = options.segment_bytes.is_multiple_of(BLOCK_BYTES as u64);
    if !is_whole || options.segment_bytes > SEGMENT_BYTES_MAX {
        return Err(OpenError::Options(
            "a segment must be of whole blocks and at most 4 GiB",
        ));
    }
    disk.create_directory(directory)
        .await
        .map_err(at(directory))?;
    let numbers = segments(disk, directory).await?;
    if numbers.is_empty() {
        make_first(disk, directory, options).await?;
    }
    let last = numbers.last().copied().unwrap_or(1);
    // Opening for writing waits until a killed process has nothing under way any more.
    let last_path = path(directory, last);
    let file = disk
        .open(&last_path, Mode::Write)
        .await
        .map_err(at(&last_path))?;
    let headers = read_headers(disk, directory, options, last).await?;
    let first = headers.first().ok_or(OpenError::Missing { segment: 1 })?;
    let mut cursor = Cursor {
        offset: FIRST_OFFSET,
        chain: first.chain,
        next_frame: first.first_frame,
        next_lsn: first.first_lsn,
        recovered: Recovered {
            segments: last,
            ..Recovered::default()
        },
    };
    for (index, header) in headers.iter().enumerate() {
        let successor = headers.get(index + 1);
        walk(disk, directory, header, successor, &mut cursor, replay).await?;
    }
    let header = *headers.last().ok_or(OpenError::Missing { segment: last })?;
    Ok(End {
        file,
        header,
        offset: cursor.offset,
        chain: cursor.chain,
        next_frame: cursor.next_frame,
        next_lsn: cursor.next_lsn.max(header.first_lsn),
        salts: headers
            .iter()
            .map(|header| (header.segment, header.salt))
            .collect(),
        recovered: cursor.recovered,
        is_read_only: headers.iter().any(SegmentHeader::is_read_only),
    })
}

/// Numbers of the segments, which must be 1 to n. Segments in the making are removed: nothing was
/// ever acknowledged from them.
async fn segments<D: Disk>(disk: &D, directory: &str) -> Result<Vec<u32>, OpenError> {
    let names = disk.list(directory).await.map_err(at(directory))?;
    for name in names.iter().filter(|name| is_in_the_making(name)) {
        let path = format!("{directory}/{name}");
        disk.remove(&path).await.map_err(at(&path))?;
    }
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| number(name)).collect();
    numbers.sort_unstable();
    match numbers
        .iter()
        .zip(1..)
        .find(|(number, wanted)| **number != *wanted)
    {
        Some((_, missing)) => Err(OpenError::Missing { segment: missing }),
        None => Ok(numbers),
    }
}

async fn make_first<D: Disk>(
    disk: &D,
    directory: &str,
    options: &Options,
) -> Result<(), OpenError> {
    let making = path_in_the_making(directory, 1);
    let file = disk
        .open(&making, Mode::Create)
        .await
        .map_err(at(&making))?;
    let mut header = SegmentHeader {
        store: options.store,
        shard: options.shard,
        segment: 1,
        size: options.segment_bytes,
        salt: (options.random)(),
        epoch: 0,
        first_frame: FrameSeq(1),
        first_lsn: Lsn(1),
        previous_end: 0,
        previous: 0,
        ro_compat: 0,
        chain: 0,
    };
    make_segment(disk, directory, &file, &mut header)
        .await
        .map_err(at(&making))
}

/// Writes the header of a segment in the making and gives it its name: from then on it is the end
/// of the log.
pub(super) async fn make_segment<D: Disk>(
    disk: &D,
    directory: &str,
    file: &D::File,
    header: &mut SegmentHeader,
) -> io::Result<()> {
    let block = Rc::new(header.encode());
    file.write_at(block, BLOCK_BYTES, 0).await?;
    let making = path_in_the_making(directory, header.segment);
    disk.rename(&making, &path(directory, header.segment)).await
}

async fn read_headers<D: Disk>(
    disk: &D,
    directory: &str,
    options: &Options,
    last: u32,
) -> Result<Vec<SegmentHeader>, OpenError> {
    let mut headers: Vec<SegmentHeader> = Vec::new();
    for segment in 1..=last {
        let path = path(directory, segment);
        let file = disk.open(&path, Mode::Read).await.map_err(at(&path))?;
        let block = file.read_at(0, BLOCK_BYTES).await.map_err(at(&path))?;
        let damaged = |what| OpenError::Damaged {
            segment,
            offset: 0,
            what,
        };
        let header = match SegmentHeader::decode(block.as_slice()) {
            Ok(header) => header,
            Err(NoSegment::Newer) => return Err(OpenError::Newer { segment }),
            Err(NoSegment::Blank) => return Err(damaged("the header is blank")),
            Err(NoSegment::Invalid) => return Err(damaged("the header is not what was written")),
        };
        let foreign = |what| OpenError::Foreign { segment, what };
        if header.store != options.store {
            return Err(foreign("store"));
        }
        if header.shard != options.shard {
            return Err(foreign("shard"));
        }
        if header.segment != segment {
            return Err(foreign("place in the log"));
        }
        headers.push(header);
    }
    Ok(headers)
}

/// Replays one segment. With a successor it must be whole up to where that says; without one it
/// ends at the first hole.
async fn walk<D: Disk>(
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
    cursor.offset = FIRST_OFFSET;
    cursor.chain = header.chain;
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
    let Some(next) = successor else { return Ok(()) };
    if cursor.offset != end
        || next.previous != cursor.chain
        || next.first_frame != cursor.next_frame
    {
        return Err(damaged(
            cursor.offset,
            "the next segment continues another one",
        ));
    }
    Ok(())
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
        for (start, record, stored) in frame.records(bytes) {
            let place = Place::new(header.segment, cursor.offset + start as u64);
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
    }
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

/// Read at a time; holds any frame.
const WINDOW_BYTES: usize = 2 * FRAME_BYTES_MAX;
