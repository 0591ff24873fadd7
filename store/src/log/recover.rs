//! Opening: from the files of a directory to a log that takes appends.
//!
//! Nothing is changed on the disk until all frames were found good; then only the torn window of
//! the last segment is erased. Every crash image opens without manual repair; what a crash cannot
//! have made is refused with the reason.

use super::error::{OpenError, at};
use super::frame::{CLEAN, SEAL};
use super::pending::{Pending, Spares};
use super::scan::{Cursor, Hole, Replay, Scan};
use super::segment::{self, FIRST_OFFSET, NoSegment, SegmentHeader, is_blank, path};
use super::state::{Counters, EPOCH, Failures, Health, Prepared, State, Supply, Writer};
use super::supply::prewrite;
use super::tail::HotTail;
use super::{Options, Place};
use crate::disk::{Disk, File, Mode};
use crate::limit::BLOCK_BYTES;
use crate::mail::id::{FrameSeq, Lsn};
use std::rc::Rc;

/// What a recovery found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    pub segments: u32,
    pub frames: u64,
    pub records: u64,
    /// Of frames and marks.
    pub bytes: u64,
    /// Where an unfinished write was cut off.
    pub torn: Option<Place>,
    /// The log was closed, not cut off; nothing was written since.
    pub clean: bool,
    pub last_frame: FrameSeq,
    pub next_lsn: Lsn,
}

/// The last segment with a header, and where its frames end.
struct Active<F> {
    header: SegmentHeader,
    file: F,
    hole: Hole,
    len: u64,
}

/// A segment without a header: pre-written, or torn when it was to be begun.
struct Unused {
    segment: u32,
    blank: bool,
}

pub(super) async fn recover<D: Disk>(
    disk: &D,
    directory: &str,
    options: &Options,
    replay: Replay<'_>,
) -> Result<(State<D::File>, Recovered), OpenError> {
    disk.create_directory(directory)
        .await
        .map_err(at(directory))?;
    let segments = list(disk, directory).await?;
    let (headers, unused) = read_headers(disk, directory, options, &segments).await?;
    let Some((last, before)) = headers.split_last() else {
        return create(disk, directory, options).await;
    };
    let mut cursor = Cursor::start();
    let successors = headers.iter().skip(1);
    for (header, next) in before.iter().zip(successors) {
        replay_closed(disk, directory, header, next, &mut cursor, replay).await?;
    }
    let active = replay_last(disk, directory, last, &mut cursor, replay).await?;
    if cursor.mark & SEAL != 0 && unused.is_none() {
        return Err(OpenError::Missing {
            segment: last.segment.wrapping_add(1),
        });
    }
    let recovered = Recovered {
        segments: headers.len() as u32,
        frames: cursor.frames,
        records: cursor.records,
        bytes: cursor.bytes,
        torn: active
            .hole
            .torn_to
            .map(|_| Place::new(last.segment, active.hole.offset)),
        clean: cursor.mark & CLEAN != 0 && active.hole.torn_to.is_none(),
        last_frame: cursor.frame,
        next_lsn: cursor.next_lsn,
    };
    let state = resume(disk, directory, options, active, unused, &cursor).await?;
    Ok((state, recovered))
}

/// Segment numbers, ascending, without gaps from the first that ever was.
async fn list<D: Disk>(disk: &D, directory: &str) -> Result<Vec<u32>, OpenError> {
    let names = disk.list(directory).await.map_err(at(directory))?;
    let mut numbers: Vec<u32> = names
        .iter()
        .filter_map(|name| segment::number(name))
        .collect();
    numbers.sort_unstable();
    for (expected, number) in (0..).zip(&numbers) {
        if expected != *number {
            return Err(OpenError::Missing { segment: expected });
        }
    }
    Ok(numbers)
}

/// All headers; only the last file may be without one, and then it is blank behind it.
async fn read_headers<D: Disk>(
    disk: &D,
    directory: &str,
    options: &Options,
    segments: &[u32],
) -> Result<(Vec<SegmentHeader>, Option<Unused>), OpenError> {
    let mut headers = Vec::with_capacity(segments.len());
    for (index, segment) in segments.iter().copied().enumerate() {
        let path = path(directory, segment);
        let file = disk.open(&path, Mode::Read).await.map_err(at(&path))?;
        let block = file.read_at(0, BLOCK_BYTES).await.map_err(at(&path))?;
        let blank = match SegmentHeader::decode(block.as_slice()) {
            Ok(header) => {
                headers.push(belongs(header, segment, options)?);
                continue;
            }
            Err(NoSegment::Newer) => return Err(OpenError::Newer { segment }),
            Err(NoSegment::Blank) => true,
            Err(NoSegment::Invalid) => false,
        };
        let is_last = index + 1 == segments.len();
        if !is_last || !is_blank_behind_header(&file, &path).await? {
            return Err(OpenError::Damaged {
                segment,
                offset: 0,
                what: "the segment header is not what was written",
            });
        }
        return Ok((headers, Some(Unused { segment, blank })));
    }
    Ok((headers, None))
}

fn belongs(
    header: SegmentHeader,
    segment: u32,
    options: &Options,
) -> Result<SegmentHeader, OpenError> {
    let what = if header.store != options.store {
        "store"
    } else if header.shard != options.shard {
        "shard"
    } else if header.segment != segment {
        "place in the sequence"
    } else {
        return Ok(header);
    };
    Err(OpenError::Foreign { segment, what })
}

async fn is_blank_behind_header<F: File>(file: &F, path: &str) -> Result<bool, OpenError> {
    const READ_BYTES: usize = 1 << 20;
    let len = file.len().await.map_err(at(path))?;
    let mut offset = FIRST_OFFSET;
    while offset < len {
        let block = file.read_at(offset, READ_BYTES).await.map_err(at(path))?;
        if !is_blank(block.as_slice()) || block.is_empty() {
            return Ok(false);
        }
        offset += block.len() as u64;
    }
    Ok(true)
}

async fn replay_closed<D: Disk>(
    disk: &D,
    directory: &str,
    header: &SegmentHeader,
    next: &SegmentHeader,
    cursor: &mut Cursor,
    replay: Replay<'_>,
) -> Result<(), OpenError> {
    enter(header, cursor)?;
    let path = path(directory, header.segment);
    let file = disk.open(&path, Mode::Read).await.map_err(at(&path))?;
    let mut scan = Scan::new(&file, directory, header).await?;
    scan.closed(cursor, next.previous_end, replay).await
}

async fn replay_last<D: Disk>(
    disk: &D,
    directory: &str,
    header: &SegmentHeader,
    cursor: &mut Cursor,
    replay: Replay<'_>,
) -> Result<Active<D::File>, OpenError> {
    enter(header, cursor)?;
    let path = path(directory, header.segment);
    // Opened for writing first: what a killed process left in the page cache becomes durable before
    // it is believed.
    let writable = disk.open(&path, Mode::Write).await.map_err(at(&path))?;
    let file = disk.open(&path, Mode::Read).await.map_err(at(&path))?;
    let mut scan = Scan::new(&file, directory, header).await?;
    let hole = scan.last(cursor, replay).await?;
    Ok(Active {
        header: *header,
        hole,
        len: scan.len,
        file: writable,
    })
}

/// Checks that a segment goes on where the one before it ended.
fn enter(header: &SegmentHeader, cursor: &mut Cursor) -> Result<(), OpenError> {
    let follows = header.previous == cursor.chain
        && header.first_frame.0 == cursor.frame.0 + 1
        && header.first_lsn == cursor.next_lsn;
    if !follows {
        return Err(OpenError::Damaged {
            segment: header.segment,
            offset: 0,
            what: "the segment does not follow the one before it",
        });
    }
    cursor.chain = header.chain;
    cursor.mark = 0;
    Ok(())
}

/// A log that is not there yet, or whose first segment was never begun.
async fn create<D: Disk>(
    disk: &D,
    directory: &str,
    options: &Options,
) -> Result<(State<D::File>, Recovered), OpenError> {
    let path = path(directory, 0);
    let bytes = options.prewrite_bytes.0;
    let prepared = prewrite(disk, directory, 0, bytes)
        .await
        .map_err(at(&path))?;
    let mut header = SegmentHeader {
        store: options.store,
        shard: options.shard,
        segment: 0,
        size: options.segment_bytes,
        salt: (options.random)(),
        epoch: EPOCH,
        first_frame: FrameSeq(1),
        first_lsn: Lsn(1),
        previous_end: 0,
        previous: 0,
        ro_compat: 0,
        chain: 0,
    };
    let block = Rc::new(header.encode());
    let written = prepared.file.write_at(block, BLOCK_BYTES, 0).await;
    written.map_err(at(&path))?;
    let mut state = fresh(
        options,
        Writer::begin(&header, prepared.file, prepared.zeroed),
        &Cursor::start(),
    );
    state.counters.segments = 1;
    state.counters.zeroed_bytes = bytes;
    let recovered = Recovered {
        segments: 0,
        frames: 0,
        records: 0,
        bytes: 0,
        torn: None,
        clean: true,
        last_frame: FrameSeq(0),
        next_lsn: Lsn(1),
    };
    Ok((state, recovered))
}

/// Erases the torn window and takes up the pen.
async fn resume<D: Disk>(
    disk: &D,
    directory: &str,
    options: &Options,
    active: Active<D::File>,
    unused: Option<Unused>,
    cursor: &Cursor,
) -> Result<State<D::File>, OpenError> {
    let block = BLOCK_BYTES as u64;
    let read_only = active.header.is_read_only();
    let mut zeroed = active.len - active.len % block;
    if let Some(torn_to) = active.hole.torn_to.filter(|_| !read_only) {
        let to = torn_to.min(active.len.next_multiple_of(block));
        let path = path(directory, active.header.segment);
        let erased = active.file.zero(active.hole.offset, to).await;
        erased.map_err(at(&path))?;
        zeroed = zeroed.max(to);
    }
    let mut writer = Writer::begin(&active.header, Rc::new(active.file), zeroed);
    writer.end = active.hole.offset;
    // The file may be longer than planned only by a torn block of pre-writing.
    writer.size = writer.size.max(zeroed);
    writer.zeroed = zeroed.max(writer.end);
    writer.chain = cursor.chain;
    writer.closed = cursor.mark & SEAL != 0;
    let mut state = fresh(options, writer, cursor);
    if read_only {
        state.health = Health::ReadOnly;
    } else if let Some(unused) = unused.filter(|unused| unused.blank) {
        state.prepared = adopt(disk, directory, unused.segment).await?;
    }
    Ok(state)
}

/// The segment that was pre-written in an earlier life, if it holds at least a header and a seal.
async fn adopt<D: Disk>(
    disk: &D,
    directory: &str,
    segment: u32,
) -> Result<Option<Prepared<D::File>>, OpenError> {
    let path = path(directory, segment);
    let file = disk.open(&path, Mode::Write).await.map_err(at(&path))?;
    let len = file.len().await.map_err(at(&path))?;
    let zeroed = len - len % BLOCK_BYTES as u64;
    let usable = zeroed >= 2 * FIRST_OFFSET;
    Ok(usable.then(|| Prepared {
        file: Rc::new(file),
        zeroed,
    }))
}

fn fresh<F>(options: &Options, writer: Writer<F>, cursor: &Cursor) -> State<F> {
    let mut spares = Spares::default();
    let next = FrameSeq(cursor.frame.0 + 1);
    State {
        pending: Pending::new(spares.take(0), next, cursor.next_lsn),
        spares,
        durable: cursor.frame,
        durable_lsn: cursor.next_lsn,
        failures: Failures::default(),
        health: Health::Good,
        writer,
        prepared: None,
        supply: Supply::default(),
        written: 0,
        closing: false,
        finished: false,
        tail: HotTail::new(options.hot_tail_bytes),
        counters: Counters::default(),
    }
}
