//! Opening: finds the end of the log, replays what is durable, refuses what is damaged.
//!
//! Only segments from the beginning of the replay on are opened: how long a start takes depends on
//! what was written since, not on what is stored (FORMAT.md, "Recovery").

use super::anew::go_on_behind;
use super::error::at;
use super::retire::SPARES_MAX;
use super::segment::{
    self, FIRST_OFFSET, SEGMENT_BYTES_MAX, SegmentHeader, number, number_in_the_making,
    number_of_spare, path, path_in_the_making, path_spare,
};
use super::walk::{Cursor, reaches, walk};
use super::{Begin, OpenError, Options, Position, Recovered, Replay};
use crate::disk::{Disk, File, Mode};
use crate::limit::{BLOCK_BYTES, FRAME_BYTES_MAX};
use crate::mail::id::{FrameSeq, Lsn};
use std::collections::BTreeSet;
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
    pub(super) recovered: Recovered,
    pub(super) is_read_only: bool,
    /// The replay begins in the last segment.
    is_known: bool,
    pub(super) spares: BTreeSet<u32>,
}

/// The files that are there.
#[derive(Default)]
struct Found {
    last: u32,
    leftovers: u32,
    /// Segments in the making.
    unfinished: Vec<u32>,
    spares: BTreeSet<u32>,
}

pub(super) async fn recover<D: Disk>(
    disk: &D,
    directory: &str,
    options: &Options,
    begin: &Begin,
    replay: Replay<'_>,
) -> Result<End<D::File>, OpenError> {
    check(options, begin)?;
    disk.create_directory(directory)
        .await
        .map_err(at(directory))?;
    let mut found = find(disk, directory, begin).await?;
    if found.last == 0 {
        go_on_behind(disk, directory, options, &BEGINNING).await?;
        found.last = 1;
    }
    // Opening for writing waits until a killed process has nothing under way any more.
    let last_path = path(directory, found.last);
    let file = disk
        .open(&last_path, Mode::Write)
        .await
        .map_err(at(&last_path))?;
    let headers = read_headers(disk, directory, options, begin.segment()..=found.last).await?;
    let cursor = replay_all(disk, directory, &headers, begin, replay).await?;
    let missing = OpenError::Missing {
        segment: found.last,
    };
    let header = *headers.last().ok_or(missing)?;
    // Only now is anything changed: a log that is refused is left as it is.
    keep_unfinished(disk, directory, &mut found).await?;
    Ok(End {
        file,
        header,
        offset: cursor.offset,
        chain: cursor.chain,
        next_frame: cursor.next_frame,
        next_lsn: cursor.next_lsn.max(header.first_lsn),
        recovered: Recovered {
            segments: found.last + 1 - begin.first_segment,
            leftovers: found.leftovers,
            ..cursor.recovered
        },
        is_read_only: headers.iter().any(SegmentHeader::is_read_only),
        is_known: begin.from.is_some_and(|from| from.segment == found.last),
        spares: found.spares,
    })
}

impl<F> End<F> {
    /// Behind the last durable frame. A segment without one may still be replaced by another of its
    /// number, so nobody is told a place in it who does not know one; the first segment never is.
    pub(super) fn position(&self) -> Position {
        let (frame, lsn) = (self.next_frame, self.next_lsn);
        let is_told = self.is_known || self.header.segment == 1;
        if self.offset == FIRST_OFFSET && !is_told {
            return Position {
                segment: self.header.segment - 1,
                offset: self.header.previous_end,
                chain: self.header.previous,
                frame,
                lsn,
            };
        }
        Position {
            segment: self.header.segment,
            offset: self.offset,
            chain: self.chain,
            frame,
            lsn,
        }
    }
}

fn check(options: &Options, begin: &Begin) -> Result<(), OpenError> {
    if options.segment_bytes < 2 * FRAME_BYTES_MAX as u64 {
        return Err(OpenError::Options("a segment must hold two frames"));
    }
    let is_whole = options.segment_bytes.is_multiple_of(BLOCK_BYTES as u64);
    if !is_whole || options.segment_bytes > SEGMENT_BYTES_MAX {
        return Err(OpenError::Options(
            "a segment must be of whole blocks and at most 4 GiB",
        ));
    }
    let is_block = |from: Position| {
        from.offset.is_multiple_of(BLOCK_BYTES as u64)
            && (FIRST_OFFSET..=SEGMENT_BYTES_MAX).contains(&from.offset)
    };
    if begin.first_segment == 0 || !begin.from.is_none_or(is_block) {
        return Err(OpenError::Options("a log does not begin there"));
    }
    Ok(())
}

/// Finds the segments, which must have numbers without a gap from the first on. The last is 0 where
/// a log has never been.
async fn find<D: Disk>(disk: &D, directory: &str, begin: &Begin) -> Result<Found, OpenError> {
    let names = disk.list(directory).await.map_err(at(directory))?;
    let all = |number: fn(&str) -> Option<u32>| names.iter().filter_map(move |name| number(name));
    let mut numbers: Vec<u32> = all(number).collect();
    numbers.sort_unstable();
    let leftovers = numbers.partition_point(|number| *number < begin.first_segment);
    let numbers = numbers.split_off(leftovers);
    let missing = (begin.first_segment..)
        .zip(&numbers)
        .find(|(wanted, number)| wanted != *number);
    let last = numbers.last().copied().unwrap_or(begin.first_segment - 1);
    let is_new = numbers.is_empty() && *begin == Begin::default();
    match missing {
        Some((segment, _)) => Err(OpenError::Missing { segment }),
        None if last < begin.segment() && !is_new => Err(OpenError::Missing { segment: last + 1 }),
        None => Ok(Found {
            last,
            leftovers: leftovers as u32,
            unfinished: all(number_in_the_making).collect(),
            spares: all(number_of_spare).collect(),
        }),
    }
}

/// Nothing was ever acknowledged from a segment in the making: it is a spare file, or too many.
async fn keep_unfinished<D: Disk>(
    disk: &D,
    directory: &str,
    found: &mut Found,
) -> Result<(), OpenError> {
    for number in std::mem::take(&mut found.unfinished) {
        let path = path_in_the_making(directory, number);
        if found.spares.len() < SPARES_MAX && found.spares.insert(number) {
            let spare = path_spare(directory, number);
            disk.rename(&path, &spare).await.map_err(at(&path))?;
        } else {
            disk.remove(&path).await.map_err(at(&path))?;
        }
    }
    Ok(())
}

/// Where the first segment begins.
const BEGINNING: Position = Position {
    segment: 0,
    offset: 0,
    chain: 0,
    frame: FrameSeq(1),
    lsn: Lsn(1),
};

/// Writes the header of a segment in the making and gives it its name: from then on it is the end
/// of the log.
pub(super) async fn make_segment<D: Disk>(
    disk: &D,
    directory: &str,
    file: &D::File,
    making: &str,
    header: &mut SegmentHeader,
) -> io::Result<()> {
    let block = Rc::new(header.encode());
    file.write_at(block, BLOCK_BYTES, 0).await?;
    disk.rename(making, &path(directory, header.segment)).await
}

async fn read_headers<D: Disk>(
    disk: &D,
    directory: &str,
    options: &Options,
    segments: std::ops::RangeInclusive<u32>,
) -> Result<Vec<SegmentHeader>, OpenError> {
    let mut headers: Vec<SegmentHeader> = Vec::new();
    for segment in segments {
        let path = path(directory, segment);
        let file = disk.open(&path, Mode::Read).await.map_err(at(&path))?;
        let block = file.read_at(0, BLOCK_BYTES).await.map_err(at(&path))?;
        headers.push(segment::check(block.as_slice(), options, segment)?);
    }
    Ok(headers)
}

/// Replays the segments with these headers, which are all from the beginning of the replay on.
async fn replay_all<D: Disk>(
    disk: &D,
    directory: &str,
    headers: &[SegmentHeader],
    begin: &Begin,
    replay: Replay<'_>,
) -> Result<Cursor, OpenError> {
    let first = headers.first().ok_or(OpenError::Missing {
        segment: begin.segment(),
    })?;
    let mut cursor = first_cursor(first, begin)?;
    for (index, header) in headers.iter().enumerate() {
        if index > 0 {
            cursor.enter(header);
        }
        let successor = headers.get(index + 1);
        walk(disk, directory, header, successor, &mut cursor, replay).await?;
    }
    let Some(from) = begin.from.filter(|from| from.segment >= first.segment) else {
        return Ok(cursor);
    };
    let is_followed = cursor.recovered.frames > 0 || headers.len() > 1;
    if is_followed || reaches(disk, directory, first, &from).await? {
        return Ok(cursor);
    }
    Err(OpenError::Damaged {
        segment: from.segment,
        offset: from.offset,
        what: ENDS_BEFORE,
    })
}

/// Where the replay begins: at the start of its first segment, or within it. The segment of the
/// position may be gone already when the log was at its end.
fn first_cursor(first: &SegmentHeader, begin: &Begin) -> Result<Cursor, OpenError> {
    let Some(from) = begin.from else {
        return Ok(Cursor::at_start(first));
    };
    if from.segment == first.segment {
        return Ok(Cursor::at(&from));
    }
    let is_neighbour = from.segment + 1 == first.segment;
    let is_its_end = first.previous_end == from.offset && first.previous == from.chain;
    if first.first_frame != from.frame || is_neighbour && !is_its_end {
        return Err(OpenError::Damaged {
            segment: first.segment,
            offset: 0,
            what: "it does not go on where the replay is to begin",
        });
    }
    let mut cursor = Cursor::at(&from);
    cursor.enter(first);
    Ok(cursor)
}

const ENDS_BEFORE: &str = "the log ends before the place up to which it was applied already";
