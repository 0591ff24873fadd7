//! Chunks as whole files: written from front to end, read from front to end.

use super::page::{self, Location, PAGE_ENTRIES, Page};
use super::{CHUNK_ENTRIES, Owner};
use crate::codec::{Fields, Put};
use crate::disk::create::Creator;
use crate::disk::{Block, Disk, File, Mode};
use crate::limit::BLOCK_BYTES;
use crate::mail::id::ObjectId;
use crate::table::error::at;
use crate::table::head::{Head, Identity, OWN_BYTES, Seats};
use crate::table::manifest::ChunkName;
use crate::table::{TableError, name};
use std::io;

/// Writes one generation of a chunk, entry by entry.
pub struct ChunkWriter<D: Disk> {
    creator: Creator<D>,
    identity: Identity,
    /// Of the page in the making.
    page: Vec<Option<Location>>,
    entries: u32,
}

/// Reads a chunk page by page; a damaged page does not end it.
pub struct ChunkReader<F: File> {
    file: OpenChunk<F>,
    name: ChunkName,
    next_page: u32,
    ahead: Block,
    /// The page that `ahead` begins with.
    ahead_from: u32,
}

/// Consecutive objects from `first`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entries {
    pub first: ObjectId,
    pub entries: Vec<Option<Location>>,
}

/// A chunk file whose header is good.
pub(super) struct OpenChunk<F: File> {
    file: F,
    path: String,
    seats: Seats,
}

const MAGIC: [u8; 8] = *b"RINGPLOC";

/// Pages that are read at once.
const PAGES_AHEAD: u32 = 64;

impl<D: Disk> ChunkWriter<D> {
    /// Makes the file; it must not be there, its directory must. A generation is given once. After
    /// an error of any call the file is gone.
    pub async fn create(
        disk: D,
        owner: &Owner,
        chunk: u32,
        generation: u32,
    ) -> io::Result<ChunkWriter<D>> {
        let path = name::chunk(&owner.directory, chunk, generation);
        let mut creator = Creator::new(disk, &path).await?;
        creator.append(&[0; BLOCK_BYTES]).await?;
        Ok(ChunkWriter {
            creator,
            identity: identity(owner, chunk, generation),
            page: Vec::with_capacity(PAGE_ENTRIES),
            entries: 0,
        })
    }

    /// Adds the entry of the next object.
    ///
    /// # Panics
    /// When the chunk is full, or the place is 0, which no record has.
    pub async fn append(&mut self, entry: Option<Location>) -> io::Result<()> {
        assert!(self.entries < CHUNK_ENTRIES, "the chunk is full");
        assert!(entry.is_none_or(|location| location.place.0 != 0));
        self.page.push(entry);
        self.entries += 1;
        if self.page.len() == PAGE_ENTRIES {
            self.write_page().await?;
        }
        Ok(())
    }

    /// Writes the header; the file is durable on return.
    pub async fn finish(mut self) -> io::Result<ChunkName> {
        if !self.page.is_empty() {
            self.write_page().await?;
        }
        let mut own = [0; OWN_BYTES];
        crate::codec::Fill::new(&mut own).put_u32(self.entries);
        let header = Head {
            identity: self.identity,
            length: self.creator.position(),
            own,
        };
        self.creator.finish_with_header(header.encode()).await?;
        Ok(ChunkName {
            chunk: self.identity.number,
            generation: self.identity.generation,
            entries: self.entries,
        })
    }

    /// Gives the chunk up and removes its file.
    pub async fn abandon(self) {
        self.creator.abandon().await;
    }

    async fn write_page(&mut self) -> io::Result<()> {
        let offset = self.creator.position();
        let page = page::encode(&self.page, offset, self.identity.seats());
        self.page.clear();
        self.creator.append(page.as_slice()).await
    }
}

impl<F: File> OpenChunk<F> {
    /// Opens the file that a manifest names, and checks its header.
    pub(super) async fn open<D: Disk<File = F>>(
        disk: &D,
        owner: &Owner,
        name: &ChunkName,
    ) -> Result<OpenChunk<F>, TableError> {
        let path = name::chunk(&owner.directory, name.chunk, name.generation);
        let file = disk.open(&path, Mode::Read).await.map_err(at(&path))?;
        let header = file.read_at(0, BLOCK_BYTES).await.map_err(at(&path))?;
        let length = file.len().await.map_err(at(&path))?;
        let expected = identity(owner, name.chunk, name.generation);
        let head = Head::decode(&path, header.as_slice(), &expected, length)?;
        let entries = Fields::new(&head.own).u32().ok();
        let pages = u64::from(pages(name.entries));
        if entries != Some(name.entries) || length != (1 + pages) * BLOCK_BYTES as u64 {
            let what = "it has not as many entries as the manifest says";
            return Err(TableError::damaged(&path, 0, what));
        }
        Ok(OpenChunk {
            file,
            path,
            seats: expected.seats(),
        })
    }

    pub(super) async fn page(&self, page: u32) -> Result<Page, TableError> {
        let offset = offset(page);
        let block = self.file.read_at(offset, BLOCK_BYTES).await;
        self.decode(block.map_err(at(&self.path))?, offset)
    }

    fn decode(&self, block: Block, offset: u64) -> Result<Page, TableError> {
        let what = "the checksum of a page of locations is wrong";
        Page::decode(block, offset, self.seats)
            .ok_or_else(|| TableError::damaged(&self.path, offset, what))
    }
}

impl<F: File> ChunkReader<F> {
    pub(super) fn new(file: OpenChunk<F>, name: ChunkName) -> ChunkReader<F> {
        ChunkReader {
            file,
            name,
            next_page: 0,
            ahead: Block::zeroed(0),
            ahead_from: 0,
        }
    }

    /// The next page of the chunk; `None` behind the last. After an error the next call goes on
    /// with the page behind.
    pub async fn next(&mut self) -> Option<Result<Entries, TableError>> {
        if self.next_page >= pages(self.name.entries) {
            return None;
        }
        let page = self.next_page;
        self.next_page += 1;
        let first = page * PAGE_ENTRIES as u32;
        let count = (self.name.entries - first).min(PAGE_ENTRIES as u32);
        let chunk = u64::from(self.name.chunk) * u64::from(CHUNK_ENTRIES);
        let page = self.page(page).await;
        Some(page.map(|page| Entries {
            first: ObjectId(chunk + u64::from(first)),
            entries: (0..count as usize).map(|index| page.entry(index)).collect(),
        }))
    }

    /// Where many pages cannot be read at once, each is tried alone.
    async fn page(&mut self, page: u32) -> Result<Page, TableError> {
        if self.ahead(page).is_none() {
            let bytes = PAGES_AHEAD as usize * BLOCK_BYTES;
            let read = self.file.file.read_at(offset(page), bytes).await;
            self.ahead = read.unwrap_or_else(|_| Block::zeroed(0));
            self.ahead_from = page;
        }
        match self.ahead(page) {
            Some(bytes) => self.file.decode(Block::copy_of(bytes), offset(page)),
            None => self.file.page(page).await,
        }
    }

    fn ahead(&self, page: u32) -> Option<&[u8]> {
        let from = page.checked_sub(self.ahead_from)? as usize * BLOCK_BYTES;
        self.ahead.as_slice().get(from..from + BLOCK_BYTES)
    }
}

fn pages(entries: u32) -> u32 {
    entries.div_ceil(PAGE_ENTRIES as u32)
}

fn offset(page: u32) -> u64 {
    (1 + u64::from(page)) * BLOCK_BYTES as u64
}

fn identity(owner: &Owner, chunk: u32, generation: u32) -> Identity {
    Identity {
        magic: MAGIC,
        store: owner.store,
        shard: owner.shard,
        tier: 0,
        number: chunk,
        generation,
    }
}
