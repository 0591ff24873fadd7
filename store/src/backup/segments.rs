//! Segments of the log: copied up to their valid frames, and continued where an earlier backup
//! ended.
//!
//! A segment is known by the chain value of its header, which covers a random salt; its frames by
//! the chain value of the last one, which covers all before it. So two files of one number agree up
//! to a place exactly if the frames that end there have one chain value.

use super::error::{at, of_segment, of_store};
use super::list::SegmentCopy;
use super::{Backup, BackupError, copy};
use crate::disk::{Block, Disk, File, Mode};
use crate::limit::BLOCK_BYTES;
use crate::log::scan::{self, Scanned, Segment, SegmentEnd};
use crate::log::{OpenError, RecordRef};
use crate::table::locations::Owner;
use std::io;
use std::rc::Rc;

/// A place between two frames, and the chain value of what ends there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct End {
    pub segment: u32,
    pub offset: u64,
    pub chain: u32,
}

impl End {
    /// Of a log that was never begun.
    pub(super) const NOTHING: End = End {
        segment: 0,
        offset: 0,
        chain: 0,
    };

    pub(super) fn of(segment: &SegmentCopy) -> End {
        End {
            segment: segment.number,
            offset: segment.bytes,
            chain: segment.chain,
        }
    }
}

/// What the header of a segment says. Its chain value covers a random salt: no two are alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) number: u32,
    begin: End,
    previous: SegmentEnd,
}

impl Head {
    fn of<F: File>(segment: &Segment<F>) -> Head {
        let begin = segment.begin();
        Head {
            number: segment.number(),
            begin: End {
                segment: segment.number(),
                offset: begin.offset,
                chain: begin.chain,
            },
            previous: segment.previous(),
        }
    }
}

impl Head {
    /// Whether the segment before ended there.
    pub(super) fn continues(&self, end: End) -> bool {
        let previous = self.previous;
        (self.number - 1, previous.offset, previous.chain) == (end.segment, end.offset, end.chain)
    }
}

/// A segment of the store at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Present {
    pub(super) header: Head,
    /// Where its successor says that it ends, and with which chain value.
    pub(super) sealed: Option<End>,
}

/// What copying came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Continued {
    /// Copied up to here; octets that were written.
    To(Copied, u64),
    /// The store does not have the segment any more, or it has another life.
    Gone,
}

/// How far a segment was copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Copied {
    pub(super) end: End,
    /// Where the frame before the last ends; `None` where the first is the last, or none is there.
    pub(super) before: Option<End>,
}

/// The segments from `first` on that the store has now, the last without an end. `None`: some are
/// gone.
pub(super) async fn present<D: Disk>(
    disk: &D,
    owner: &Owner,
    first: u32,
) -> Result<Option<Vec<Present>>, BackupError> {
    let directory = log_directory(owner);
    let numbers = scan::segments(disk, &directory).await.map_err(of_store)?;
    let numbers = numbers.into_iter().filter(|number| *number >= first);
    let mut found: Vec<Present> = Vec::new();
    for (number, wanted) in numbers.zip(first..) {
        let header = header(disk, owner, number).await.map_err(of_store)?;
        let Some(header) = header.filter(|_| number == wanted) else {
            return Ok(None);
        };
        if let Some(before) = found.last_mut() {
            before.sealed = Some(End {
                segment: before.header.number,
                offset: header.previous.offset,
                chain: header.previous.chain,
            });
        }
        let sealed = None;
        found.push(Present { header, sealed });
    }
    Ok((!found.is_empty()).then_some(found))
}

/// Whether the store has no segment of a shard.
pub(super) async fn has_no_log<D: Disk>(disk: &D, owner: &Owner) -> Result<bool, BackupError> {
    let numbers = scan::segments(disk, &log_directory(owner)).await;
    Ok(numbers.map_err(of_store)?.is_empty())
}

/// The header of a segment; `None` where there is no such file.
pub(super) async fn header<D: Disk>(
    disk: &D,
    owner: &Owner,
    number: u32,
) -> Result<Option<Head>, OpenError> {
    match open(disk, owner, number).await {
        Ok(segment) => Ok(Some(Head::of(&segment))),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn open<D: Disk>(
    disk: &D,
    owner: &Owner,
    number: u32,
) -> Result<Segment<D::File>, OpenError> {
    let directory = log_directory(owner);
    Segment::open(disk, &directory, owner.store, owner.shard, number).await
}

fn is_gone(error: &OpenError) -> bool {
    matches!(error, OpenError::Io { error, .. } if error.kind() == io::ErrorKind::NotFound)
}

pub(super) fn log_directory(owner: &Owner) -> String {
    format!("{}/log", owner.directory)
}

pub(super) fn segment_path(owner: &Owner, number: u32) -> String {
    scan::file(&log_directory(owner), number)
}

/// Whether the log on `disk` has a frame that ends exactly there; not where its segment is gone.
pub(super) async fn is_passed<D: Disk>(
    disk: &D,
    owner: &Owner,
    end: End,
) -> Result<bool, BackupError> {
    let Some(present) = present(disk, owner, end.segment).await? else {
        return Ok(false);
    };
    let Some(first) = present.first() else {
        return Ok(false);
    };
    if first.sealed == Some(end) {
        return Ok(true);
    }
    match walk(disk, owner, end.segment, first.sealed, &mut |_, _| {}).await {
        Ok(frames) => Ok(frames.pass(end)),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(of_store(error)),
    }
}

/// What is known of the frames of one file.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) end: End,
    /// Where frames end, ascending; the header's end first.
    ends: Vec<End>,
    /// Where the first damage begins.
    pub(super) damage: Option<(u64, &'static str)>,
}

impl Frames {
    fn of(begin: End) -> Frames {
        Frames {
            end: begin,
            ends: vec![begin],
            damage: None,
        }
    }

    fn copied(&self) -> Copied {
        let before = self.ends.iter().rev().nth(1);
        // The header alone vouches for nothing.
        let before = before.filter(|_| self.ends.len() > 2);
        Copied {
            end: self.end,
            before: before.copied(),
        }
    }

    /// Whether a frame ends exactly there.
    pub(super) fn pass(&self, end: End) -> bool {
        self.ends.binary_search(&end).is_ok()
    }

    /// The longest undamaged beginning that `other` has too.
    fn common(&self, other: &Frames) -> Option<End> {
        let whole = self.damage.map_or(u64::MAX, |(offset, _)| offset);
        let ends = self.ends.iter().rev();
        let ends = ends.skip_while(|end| end.offset > whole);
        ends.copied().find(|end| other.pass(*end))
    }
}

/// The frames of a segment of the store. Of the last one, which may be written meanwhile, a place
/// can be read before its frame was there, and the next after: what looks like damage ends the log
/// then, unless it is still there at a second look.
async fn frames_of<D: Disk>(
    disk: &D,
    owner: &Owner,
    present: &Present,
) -> Result<Frames, OpenError> {
    let number = present.header.number;
    let mut frames = walk(disk, owner, number, present.sealed, &mut |_, _| {}).await?;
    if let (Some((hole, _)), None) = (frames.damage, present.sealed) {
        let again = walk(disk, owner, number, None, &mut |_, _| {}).await?;
        let stays = again.damage.filter(|(offset, _)| *offset == hole);
        frames.ends.retain(|end| end.offset <= hole);
        frames.end = frames.ends.last().copied().unwrap_or(frames.end);
        frames.damage = stays;
    }
    Ok(frames)
}

/// Walks the frames of a segment. `each` is shown every record, and where its frame begins. `end`:
/// where it ends for certain; without one, where no frame follows any more.
pub(super) async fn walk<D: Disk>(
    disk: &D,
    owner: &Owner,
    number: u32,
    end: Option<End>,
    each: &mut dyn FnMut(End, &RecordRef<'_>),
) -> Result<Frames, OpenError> {
    let segment = open(disk, owner, number).await?;
    let mut frames = Frames::of(Head::of(&segment).begin);
    let mut scan = segment.scan(end.map(|end| SegmentEnd {
        offset: end.offset,
        chain: end.chain,
    }));
    while let Some(scanned) = scan.next().await? {
        let frame = match scanned {
            Scanned::Frame(frame) => frame,
            Scanned::Damage(damage) => {
                frames.damage.get_or_insert((damage.offset, damage.what));
                continue;
            }
        };
        for (_, record) in frame.records() {
            each(frames.end, &record);
        }
        frames.end = End {
            segment: number,
            offset: frame.offset + u64::from(frame.bytes),
            chain: frame.chain,
        };
        frames.ends.push(frames.end);
    }
    Ok(frames)
}

impl<D: Disk> Backup<D> {
    /// Brings the mirror's copy of a segment up to its end, or to the last frame it has by now.
    /// `listed`: how far generations count on the copy; that is durable, and the store has it.
    pub(super) async fn continue_segment<S: Disk>(
        &self,
        source: &S,
        owner: &Owner,
        present: &Present,
        listed: Option<End>,
        each: &mut dyn FnMut(u64),
    ) -> Result<Continued, BackupError> {
        if let (Some(sealed), Some(listed)) = (present.sealed, listed)
            && sealed == listed
        {
            let (end, before) = (sealed, None);
            return Ok(Continued::To(Copied { end, before }, 0));
        }
        let number = present.header.number;
        let path = segment_path(owner, number);
        let frames = match frames_of(source, owner, present).await {
            Ok(frames) => frames,
            Err(error) if is_gone(&error) => return Ok(Continued::Gone),
            Err(error) => return Err(of_store(error)),
        };
        if listed.is_some_and(|listed| !frames.pass(listed)) {
            return Err(BackupError::OtherHistory { path });
        }
        let from = self.mirrored(owner, present, &frames, listed).await?;
        let written = self.extend(source, &path, from, frames.end.offset, each);
        let written = written.await?;
        // What was read may belong to the next life of the file already.
        let after = header(source, owner, number).await.map_err(of_store)?;
        let Some(written) = written.filter(|_| after == Some(present.header)) else {
            return Ok(Continued::Gone);
        };
        if let Some((offset, what)) = frames.damage {
            return Err(of_store(format!(
                "{path} is damaged at byte {offset}: {what}"
            )));
        }
        self.check_mirror(owner, present, &frames).await?;
        Ok(Continued::To(frames.copied(), written))
    }

    /// How far the mirror has the same segment, in octets. A file that no generation counts on and
    /// that is something else is removed.
    async fn mirrored(
        &self,
        owner: &Owner,
        present: &Present,
        frames: &Frames,
        listed: Option<End>,
    ) -> Result<u64, BackupError> {
        let number = present.header.number;
        let path = segment_path(owner, number);
        let mirrored = match header(&self.disk, owner, number).await {
            Ok(None) => return Ok(0),
            Ok(Some(mirrored)) if mirrored == present.header => mirrored,
            Err(OpenError::Io { path, error }) => return Err(BackupError::Io { path, error }),
            _ if listed.is_some() => return Err(BackupError::OtherHistory { path }),
            _ => {
                self.disk.remove(&path).await.map_err(at(&path))?;
                return Ok(0);
            }
        };
        let has = walk(&self.disk, owner, mirrored.number, None, &mut |_, _| {}).await;
        let has = has.map_err(|error| of_segment(&path, error))?;
        let common = has.common(frames).unwrap_or(frames.end);
        Ok(common.offset)
    }

    /// Copies the octets `from..to` of a segment; `None` where the store does not have it any more.
    async fn extend<S: Disk>(
        &self,
        source: &S,
        path: &str,
        from: u64,
        to: u64,
        each: &mut dyn FnMut(u64),
    ) -> Result<Option<u64>, BackupError> {
        if from >= to {
            return Ok(Some(0));
        }
        if from == 0 {
            let made = copy::transfer(source, &self.disk, path, Some(to), each).await?;
            return Ok(made.map(|_| to));
        }
        let input = match source.open(path, Mode::Read).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(at(path))?,
        };
        let output = self.disk.open(path, Mode::Write).await.map_err(at(path))?;
        let mut offset = from;
        while offset < to {
            let bytes = (to - offset).min(PIECE_BYTES) as usize;
            let piece: Block = input.read_at(offset, bytes).await.map_err(at(path))?;
            let bytes = piece.len() - piece.len() % BLOCK_BYTES;
            if bytes == 0 {
                return Err(at(path)(io::ErrorKind::UnexpectedEof.into()));
            }
            let written = output.write_at(Rc::new(piece), bytes, offset).await;
            written.map_err(at(path))?;
            offset += bytes as u64;
            each(bytes as u64);
        }
        Ok(Some(to - from))
    }

    /// Reads the copy again: every frame up to the end must be what the store has.
    async fn check_mirror(
        &self,
        owner: &Owner,
        present: &Present,
        frames: &Frames,
    ) -> Result<(), BackupError> {
        let number = present.header.number;
        let path = segment_path(owner, number);
        let end = Some(frames.end);
        let copied = walk(&self.disk, owner, number, end, &mut |_, _| {}).await;
        let copied = copied.map_err(|error| of_segment(&path, error))?;
        if copied.damage.is_none() && copied.end == frames.end {
            return Ok(());
        }
        let what = copy::OTHERWISE;
        Err(BackupError::Damaged { path, what })
    }
}

/// Copied at a time.
const PIECE_BYTES: u64 = 1 << 20;
