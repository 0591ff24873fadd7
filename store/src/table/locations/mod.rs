//! Where every object lies: a dense table in chunks of 2^18, so that moving a body touches no row.
//!
//! ```text
//! object = chunk 46 bits | index 18 bits        index/CHUNK.GENERATION.loc
//! header │ page of 500 entries │ page │ …
//! ```
//!
//! A chunk is never changed: [`Locations::rewritten`] makes its next generation, and a manifest
//! names it. An object that no chunk has, or whose entry is nothing, is gone, or so new that only
//! the log knows it. A chunk with nothing but such entries is not named any more; the last one is,
//! because it says up to where objects are known.

mod chunk;
mod page;
#[cfg(test)]
mod tests;

pub use chunk::{ChunkReader, ChunkWriter, Entries};
pub use page::{Kind, Location};

use super::TableError;
use super::error::at;
use super::manifest::ChunkName;
use super::name;
use crate::disk::Disk;
use crate::error::{Container, ReadError};
use crate::mail::id::{ObjectId, ShardId};
use chunk::OpenChunk;
use page::{PAGE_ENTRIES, Page};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// Objects of a chunk.
pub const CHUNK_ENTRIES: u32 = 1 << 18;

const CHUNK_PAGES: u64 = (CHUNK_ENTRIES as u64).div_ceil(PAGE_ENTRIES as u64);

/// Pages that are kept in memory: 1 MiB.
const PAGES_KEPT: usize = 256;

/// Chunk files that are kept open.
const FILES_KEPT: usize = 64;

/// The shard whose files they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    pub store: [u8; 16],
    pub shard: ShardId,
    /// Of the shard, e.g. `shard-00`.
    pub directory: String,
}

/// An object and where it lies from now on; `None`: it is gone.
pub type Change = (ObjectId, Option<Location>);

/// The chunks that one manifest names.
pub struct Locations<D: Disk> {
    disk: D,
    owner: Owner,
    /// By rising chunk.
    names: Vec<ChunkName>,
    files: RefCell<Slots<OpenChunk<D::File>>>,
    pages: RefCell<Slots<Page>>,
}

/// The chunk and the index in it of an object.
#[must_use]
pub fn seat_of(object: ObjectId) -> (u64, u32) {
    let entries = u64::from(CHUNK_ENTRIES);
    (object.0 / entries, (object.0 % entries) as u32)
}

impl<D: Disk + Clone> Locations<D> {
    pub fn new(disk: D, owner: Owner, names: &[ChunkName]) -> Locations<D> {
        let mut names = names.to_vec();
        names.sort_unstable_by_key(|name| name.chunk);
        Locations {
            disk,
            owner,
            names,
            files: RefCell::new(Slots::new(FILES_KEPT)),
            pages: RefCell::new(Slots::new(PAGES_KEPT)),
        }
    }

    /// Where an object lies; `None` when no chunk knows it.
    pub async fn find(&self, object: ObjectId) -> Result<Option<Location>, ReadError> {
        let (chunk, index) = seat_of(object);
        let Some(name) = self.name(chunk).filter(|name| index < name.entries) else {
            return Ok(None);
        };
        let page = self.page(name, index / PAGE_ENTRIES as u32).await;
        let page = page.map_err(|error| unreadable(name.chunk, &error))?;
        Ok(page.entry(index as usize % PAGE_ENTRIES))
    }

    /// Where an object lies, if that is in memory.
    pub fn at_hand(&self, object: ObjectId) -> Option<Location> {
        let (chunk, index) = seat_of(object);
        let name = self.name(chunk).filter(|name| index < name.entries)?;
        let page = self
            .pages
            .borrow()
            .find(key_of(name, index / PAGE_ENTRIES as u32))?;
        page.entry(index as usize % PAGE_ENTRIES)
    }

    /// Reads a whole chunk, also one that no manifest names yet.
    pub async fn reader(&self, name: &ChunkName) -> Result<ChunkReader<D::File>, TableError> {
        let chunk = OpenChunk::open(&self.disk, &self.owner, name).await?;
        Ok(ChunkReader::new(chunk, *name))
    }

    /// Checks every page of a chunk, for whoever publishes it or repairs. Whether an object of it
    /// lies anywhere.
    pub async fn verify(&self, name: &ChunkName) -> Result<bool, TableError> {
        let mut reader = self.reader(name).await?;
        let mut is_needed = false;
        while let Some(entries) = reader.next().await {
            is_needed |= entries?.entries.iter().any(Option::is_some);
        }
        Ok(is_needed)
    }

    /// Writes the given generation of a chunk: the one we know, if there is one, with `changes`.
    /// Entries between its end and a change behind it are nothing.
    ///
    /// # Panics
    /// When the changes do not rise, or are not of this chunk.
    pub async fn rewritten(
        &self,
        chunk: u32,
        generation: u32,
        changes: &[Change],
    ) -> Result<ChunkName, TableError> {
        let is_rising = changes.is_sorted_by(|a, b| a.0 < b.0);
        let is_ours = changes
            .iter()
            .all(|change| seat_of(change.0).0 == u64::from(chunk));
        assert!(
            is_rising && is_ours,
            "the changes of a chunk rise within it"
        );
        let path = name::chunk(&self.owner.directory, chunk, generation);
        let disk = self.disk.clone();
        let writer = ChunkWriter::create(disk, &self.owner, chunk, generation).await;
        let mut writer = writer.map_err(at(&path))?;
        match self.copy(&mut writer, chunk, changes).await {
            Ok(()) => writer.finish().await.map_err(at(&path)),
            Err(CopyError::Source(error)) => {
                writer.abandon().await;
                Err(error)
            }
            Err(CopyError::Target(error)) => Err(at(&path)(error)),
        }
    }

    async fn copy(
        &self,
        writer: &mut ChunkWriter<D>,
        chunk: u32,
        changes: &[Change],
    ) -> Result<(), CopyError> {
        let mut changes = changes
            .iter()
            .map(|(object, to)| (seat_of(*object).1, *to))
            .peekable();
        let mut index = 0;
        if let Some(name) = self.name(u64::from(chunk)) {
            let mut reader = self.reader(name).await?;
            while let Some(entries) = reader.next().await {
                for entry in entries?.entries {
                    let change = changes.next_if(|(changed, _)| *changed == index);
                    writer.append(change.map_or(entry, |(_, to)| to)).await?;
                    index += 1;
                }
            }
        }
        for (changed, to) in changes {
            while index < changed {
                writer.append(None).await?;
                index += 1;
            }
            writer.append(to).await?;
            index += 1;
        }
        Ok(())
    }

    fn name(&self, chunk: u64) -> Option<&ChunkName> {
        let chunk = u32::try_from(chunk).ok()?;
        let at = self
            .names
            .binary_search_by_key(&chunk, |name| name.chunk)
            .ok()?;
        self.names.get(at)
    }

    async fn page(&self, name: &ChunkName, page: u32) -> Result<Rc<Page>, TableError> {
        let key = key_of(name, page);
        let kept = self.pages.borrow().find(key);
        if let Some(page) = kept {
            return Ok(page);
        }
        let found = Rc::new(self.file(name).await?.page(page).await?);
        self.pages.borrow_mut().keep(key, Rc::clone(&found));
        Ok(found)
    }

    async fn file(&self, name: &ChunkName) -> Result<Rc<OpenChunk<D::File>>, TableError> {
        let key = u64::from(name.chunk);
        let kept = self.files.borrow().find(key);
        if let Some(file) = kept {
            return Ok(file);
        }
        let file = Rc::new(OpenChunk::open(&self.disk, &self.owner, name).await?);
        self.files.borrow_mut().keep(key, Rc::clone(&file));
        Ok(file)
    }
}

/// By what a page is kept.
fn key_of(name: &ChunkName, page: u32) -> u64 {
    u64::from(name.chunk) * CHUNK_PAGES + u64::from(page)
}

/// A cache in which a key has one slot: it finds and forgets at once, and never grows.
struct Slots<T>(Vec<Option<(u64, Rc<T>)>>);

impl<T> Slots<T> {
    fn new(count: usize) -> Slots<T> {
        Slots((0..count).map(|_| None).collect())
    }

    fn find(&self, key: u64) -> Option<Rc<T>> {
        let slot = self.0.get(self.slot(key))?.as_ref();
        slot.filter(|(kept, _)| *kept == key)
            .map(|(_, value)| Rc::clone(value))
    }

    fn keep(&mut self, key: u64, value: Rc<T>) {
        let slot = self.slot(key);
        if let Some(slot) = self.0.get_mut(slot) {
            *slot = Some((key, value));
        }
    }

    fn slot(&self, key: u64) -> usize {
        (key % self.0.len() as u64) as usize
    }
}

/// What went wrong with a new generation; the writer has removed its file after its own errors.
enum CopyError {
    Source(TableError),
    Target(io::Error),
}

impl From<TableError> for CopyError {
    fn from(error: TableError) -> CopyError {
        CopyError::Source(error)
    }
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> CopyError {
        CopyError::Target(error)
    }
}

/// What it means for a message that its location cannot be read.
fn unreadable(chunk: u32, error: &TableError) -> ReadError {
    let container = Container::Locations(chunk);
    let damaged = |offset, what| ReadError::Damaged {
        container,
        offset,
        what,
    };
    let io = |kind| ReadError::Io {
        container,
        offset: 0,
        kind,
    };
    match error {
        TableError::Damaged { offset, what, .. } => damaged(*offset, what),
        TableError::Foreign { .. } => damaged(0, "the file belongs elsewhere"),
        TableError::Newer { .. } => damaged(0, "the file was written by a later version"),
        TableError::Missing { .. } => io(io::ErrorKind::NotFound),
        TableError::Io { kind, .. } => io(*kind),
    }
}
