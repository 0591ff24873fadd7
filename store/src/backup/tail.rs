//! The last frame of a log that was copied while somebody wrote to it.
//!
//! A log has one frame under way at most, and issues none before the one before is durable
//! (FORMAT.md, "Order of writes"). So of all that a copy finds in a log, the last frame alone may
//! not be durable yet: a power cut can take it, and the store then writes something else in its
//! place, or in a new segment of the same number. Everything before it stays what it is, whatever
//! happens to the store.
//!
//! So the mirror counts up to that frame only, and the frame itself, the *tail*, lies with its
//! generation. A generation is whole with its tail whatever the store did afterwards, and the next
//! backup has to find in the store all that the mirror counts: a divergence before the tail is
//! another history, one at the tail is none. Where an index knows the frame, or a segment follows,
//! it was durable and is no tail.
//!
//! ```text
//! mirror     header frame frame … frame │ what a later copy found here, or nothing
//! generation                            └ tail
//! ```
//!
//! The first frame of a segment takes the header along: a segment without a durable frame can be
//! replaced by another one.

use super::error::at;
use super::list::{Generation, Tail};
use super::segments::{End, segment_path};
use super::{Backup, BackupError, generation_directory, owner};
use crate::disk::create::Creator;
use crate::disk::home::Identity;
use crate::disk::{Block, Disk, File, Map, Mode};
use crate::limit::{BLOCK_BYTES, FRAME_BYTES_MAX};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

/// Where the tails of a generation lie, by the paths of their segments.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Tails(BTreeMap<String, Spot>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Spot {
    path: String,
    /// The octets of the segment that it holds.
    from: u64,
    to: u64,
}

impl Tails {
    pub(super) fn of(identity: &Identity, generation: &Generation) -> Tails {
        let mut tails = BTreeMap::new();
        for (shard, copy) in (0..).zip(&generation.shards) {
            if let (Some(tail), Some(segment)) = (copy.tail, copy.segments.last()) {
                let spot = Spot {
                    path: tail_path(generation.number, shard),
                    from: tail.offset,
                    to: segment.bytes,
                };
                let owner = owner(identity, shard);
                tails.insert(segment_path(&owner, segment.number), spot);
            }
        }
        Tails(tails)
    }
}

/// The mirror as one generation has it: its tails are read in the place of what lies there now.
#[derive(Clone)]
pub(super) struct View<D> {
    disk: D,
    tails: Rc<Tails>,
}

pub(super) struct ViewFile<F> {
    /// Absent where the tail is all of it.
    mirror: Option<F>,
    tail: Option<Piece<F>>,
}

struct Piece<F> {
    file: F,
    from: u64,
    to: u64,
}

impl<D: Disk> Backup<D> {
    pub(super) fn view(&self, tails: &Tails) -> View<D> {
        View {
            disk: self.disk.clone(),
            tails: Rc::new(tails.clone()),
        }
    }

    /// Copies the end of a segment from the mirror into a generation. `from`: where the frame
    /// before the last ends, if that vouches for all before.
    pub(super) async fn write_tail(
        &self,
        generation: u32,
        shard: u16,
        from: Option<End>,
        end: End,
    ) -> Result<Tail, BackupError> {
        let tail = Tail {
            offset: from.map_or(0, |from| from.offset),
            chain: from.map_or(0, |from| from.chain),
        };
        let segment = segment_path(&self.owner(shard), end.segment);
        let path = tail_path(generation, shard);
        match self.disk.remove(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&path)(error)),
            _ => {}
        }
        let octets = self.piece(&segment, tail.offset, end.offset).await?;
        let written = async {
            let mut creator = Creator::new(self.disk.clone(), &path).await?;
            creator.append(octets.as_slice()).await?;
            creator.finish().await
        };
        written.await.map_err(at(&path))?;
        let again = self.piece(&path, 0, end.offset - tail.offset).await?;
        if again.as_slice() != octets.as_slice() {
            let what = super::copy::OTHERWISE;
            return Err(BackupError::Damaged { path, what });
        }
        Ok(tail)
    }

    async fn piece(&self, path: &str, from: u64, to: u64) -> Result<Block, BackupError> {
        let file = self.disk.open(path, Mode::Read).await.map_err(at(path))?;
        let bytes = (to - from).min(TAIL_BYTES_MAX) as usize;
        file.read_at(from, bytes).await.map_err(at(path))
    }
}

pub(super) fn tail_path(generation: u32, shard: u16) -> String {
    format!("{}/tail", generation_directory(generation, shard))
}

impl<D: Disk> Disk for View<D> {
    type File = ViewFile<D::File>;

    async fn open(&self, path: &str, mode: Mode) -> io::Result<Self::File> {
        if mode != Mode::Read {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let Some(spot) = self.tails.0.get(path) else {
            let mirror = Some(self.disk.open(path, mode).await?);
            return Ok(ViewFile { mirror, tail: None });
        };
        let file = self.disk.open(&spot.path, mode).await?;
        let mirror = match spot.from {
            0 => None,
            _ => Some(self.disk.open(path, mode).await?),
        };
        let (from, to) = (spot.from, spot.to);
        let tail = Some(Piece { file, from, to });
        Ok(ViewFile { mirror, tail })
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.disk.list(directory).await
    }

    async fn create_directory(&self, _path: &str) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    async fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    async fn remove(&self, _path: &str) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    async fn map(&self, path: &str) -> io::Result<Map> {
        self.disk.map(path).await
    }

    fn is_direct(&self) -> bool {
        self.disk.is_direct()
    }
}

impl<F: File> File for ViewFile<F> {
    async fn write_at(&self, _block: Rc<Block>, _bytes: usize, _offset: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    async fn read_at(&self, offset: u64, bytes: usize) -> io::Result<Block> {
        let end = offset.saturating_add(bytes as u64);
        let from = self.tail.as_ref().map_or(u64::MAX, |tail| tail.from);
        let before = end.min(from).saturating_sub(offset) as usize;
        let mirrored = match &self.mirror {
            Some(mirror) if before > 0 => mirror.read_at(offset, before).await?,
            _ => Block::zeroed(0),
        };
        let Some(tail) = &self.tail else {
            return Ok(mirrored);
        };
        // A mirror that is too short must not be made whole by what belongs behind it.
        if end <= tail.from || mirrored.len() < before {
            return Ok(mirrored);
        }
        let begin = offset.max(tail.from);
        let rest = end.min(tail.to).saturating_sub(begin) as usize;
        let rest = tail.file.read_at(begin - tail.from, rest).await?;
        if mirrored.is_empty() {
            return Ok(rest);
        }
        Ok(Block::copy_of(
            &[mirrored.as_slice(), rest.as_slice()].concat(),
        ))
    }

    async fn zero(&self, _from: u64, _to: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    async fn reserve(&self, _from: u64, _to: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    async fn len(&self) -> io::Result<u64> {
        match (&self.tail, &self.mirror) {
            (Some(tail), _) => Ok(tail.to),
            (None, Some(mirror)) => mirror.len().await,
            (None, None) => Ok(0),
        }
    }
}

/// One frame, and the header before it.
const TAIL_BYTES_MAX: u64 = (BLOCK_BYTES + FRAME_BYTES_MAX) as u64;
