//! A file of signatures, open for reading. Whatever is read is held against its checksum first.

use super::block::{BlockRow, Index, Members, ROW_BYTES};
use super::chunk::{ChunkRow, Unpacked};
use super::head::{self, Head};
use super::page::{PageRow, entries};
use super::{list, name};
use crate::codec::Fields;
use crate::codec::checksum::plain;
use crate::disk::{Block, Disk, File, Mode};
use crate::limit::BLOCK_BYTES;
use crate::pack::compressor::Decompressor;
use crate::table::locations::Owner;
use crate::table::{TableError, at};

pub(crate) struct SignFile<F> {
    file: F,
    path: String,
    head: Head,
    blocks: Vec<BlockRow>,
}

/// Members of a block, by number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn none(members: usize) -> Bits {
        Bits(vec![0; members.div_ceil(64)])
    }

    pub(super) fn all(members: usize) -> Bits {
        Bits(vec![u64::MAX; members.div_ceil(64)])
    }

    pub(super) fn set(&mut self, member: u16) {
        if let Some(word) = self.0.get_mut(usize::from(member) / 64) {
            *word |= 1 << (member % 64);
        }
    }

    pub(super) fn has(&self, member: usize) -> bool {
        let word = self.0.get(member / 64).copied().unwrap_or(0);
        word >> (member % 64) & 1 == 1
    }

    /// Keeps those that are in both; whether any is.
    fn keep(&mut self, other: &Bits) -> bool {
        let mut any = 0;
        for (word, with) in self.0.iter_mut().zip(&other.0) {
            *word &= with;
            any |= *word;
        }
        any != 0
    }
}

/// The header of a file, by itself.
pub(crate) async fn read_head<D: Disk>(
    disk: &D,
    owner: &Owner,
    number: u32,
) -> Result<Head, TableError> {
    let path = name::path(&owner.directory, number);
    let file = disk.open(&path, Mode::Read).await.map_err(at(&path))?;
    head_of(&file, &path, owner, number).await
}

/// Whether the header, which is written last, was never written whole: as after a crash, and not by
/// damage.
pub(crate) async fn is_unfinished<D: Disk>(disk: &D, owner: &Owner, number: u32) -> bool {
    let path = name::path(&owner.directory, number);
    let read = async {
        let file = disk.open(&path, Mode::Read).await?;
        file.read_at(0, BLOCK_BYTES).await
    };
    read.await
        .is_ok_and(|block| head::is_unwritten(block.as_slice()))
}

async fn head_of<F: File>(
    file: &F,
    path: &str,
    owner: &Owner,
    number: u32,
) -> Result<Head, TableError> {
    let block = file.read_at(0, BLOCK_BYTES).await.map_err(at(path))?;
    Head::decode(path, block.as_slice(), (owner.store, owner.shard, number))
}

impl<F: File> SignFile<F> {
    /// Opens a file after checking its header and its directory.
    pub(crate) async fn open<D: Disk<File = F>>(
        disk: &D,
        owner: &Owner,
        number: u32,
    ) -> Result<SignFile<F>, TableError> {
        let path = name::path(&owner.directory, number);
        let file = disk.open(&path, Mode::Read).await.map_err(at(&path))?;
        let head = head_of(&file, &path, owner, number).await?;
        let mut opened = SignFile {
            file,
            path,
            head,
            blocks: Vec::new(),
        };
        opened.blocks = opened.directory().await?;
        Ok(opened)
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    pub(super) fn blocks(&self) -> &[BlockRow] {
        &self.blocks
    }

    /// Length of the file up to the end of its directory, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.head.directory + (self.blocks.len() * ROW_BYTES) as u64
    }

    /// Bytes that the open file takes in memory, about.
    pub(super) fn resident_bytes(&self) -> usize {
        size_of::<SignFile<F>>() + size_of_val(self.blocks.as_slice())
    }

    async fn directory(&self) -> Result<Vec<BlockRow>, TableError> {
        let (offset, bytes) = (self.head.directory, self.head.blocks as usize * ROW_BYTES);
        let read = self.piece(offset, bytes, self.head.directory_crc).await?;
        let mut fields = Fields::new(read.as_slice());
        let (mut rows, mut end) = (Vec::new(), BLOCK_BYTES as u64);
        let damaged = || self.damaged(offset, "the directory contradicts itself");
        for _ in 0..self.head.blocks {
            let row = BlockRow::decode(&mut fields).map_err(|_| damaged())?;
            if row.offset != end || !row.is_sound() {
                return Err(damaged());
            }
            end += row.bytes;
            rows.push(row);
        }
        let members: u64 = rows.iter().map(|row| u64::from(row.members)).sum();
        match end == offset && members == self.head.members {
            true => Ok(rows),
            false => Err(damaged()),
        }
    }

    pub(super) async fn members(&self, row: &BlockRow) -> Result<Members, TableError> {
        let read = self.piece(row.offset, row.members_bytes as usize, row.members_crc);
        let members = Members::decode(read.await?.as_slice(), row);
        members.map_err(|_| self.damaged(row.offset, "the members of a block cannot be read"))
    }

    pub(super) async fn index(&self, row: &BlockRow) -> Result<Index, TableError> {
        let offset = row.offset + u64::from(row.members_bytes);
        let read = self.piece(offset, row.index_bytes as usize, row.index_crc);
        let index = Index::decode(read.await?.as_slice(), row);
        index.map_err(|_| self.damaged(offset, "the index of a block cannot be read"))
    }

    /// Members that have all of these rising keys in a field.
    pub(super) async fn holding(
        &self,
        (row, index): (&BlockRow, &Index),
        field: usize,
        keys: &[u32],
    ) -> Result<Bits, TableError> {
        let members = row.members as usize;
        let pages = index
            .fields
            .get(field)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut held = Bits::all(members);
        let mut rest = keys;
        while let Some(key) = rest.first() {
            // All keys of one page are looked for in it at once.
            let behind = pages.partition_point(|page| page.first <= *key);
            let Some(page) = behind.checked_sub(1).and_then(|at| pages.get(at)) else {
                return Ok(Bits::none(members));
            };
            let end = pages.get(behind).map_or(u32::MAX, |next| next.first);
            let (here, later) = rest.split_at(rest.partition_point(|key| *key < end));
            rest = later;
            let octets = self.page(row, page).await?;
            let found = self.narrow(&mut held, (row, page), octets.as_slice(), here)?;
            if !found {
                return Ok(Bits::none(members));
            }
        }
        Ok(held)
    }

    /// Keeps of `held` what has these keys of a page; whether anything is left.
    fn narrow(
        &self,
        held: &mut Bits,
        (row, page): (&BlockRow, &PageRow),
        octets: &[u8],
        keys: &[u32],
    ) -> Result<bool, TableError> {
        let offset = row.offset + page.offset;
        let damaged = || self.damaged(offset, "a list of a page cannot be read");
        let members = row.members as usize;
        let mut keys = keys.iter();
        let mut wanted = keys.next();
        for entry in entries(page, octets) {
            let entry = entry.map_err(|_| damaged())?;
            let Some(key) = wanted.filter(|key| **key <= entry.key) else {
                continue;
            };
            if *key < entry.key {
                return Ok(false);
            }
            if let Some(octets) = entry.list {
                let mut has = Bits::none(members);
                let decoded = list::decode(octets, entry.count, members, |one| has.set(one));
                decoded.ok_or_else(damaged)?;
                if !held.keep(&has) {
                    return Ok(false);
                }
            }
            wanted = keys.next();
            if wanted.is_none() {
                return Ok(true);
            }
        }
        Ok(wanted.is_none())
    }

    /// Shows every list of a page: its key and its members; all of them where none are written.
    pub(super) async fn lists(
        &self,
        row: &BlockRow,
        page: &PageRow,
        mut each: impl FnMut(u32, &[u16]),
    ) -> Result<(), TableError> {
        let octets = self.page(row, page).await?;
        let offset = row.offset + page.offset;
        let damaged = || self.damaged(offset, "a list of a page cannot be read");
        let mut list = Vec::new();
        for entry in entries(page, octets.as_slice()) {
            let entry = entry.map_err(|_| damaged())?;
            list.clear();
            match entry.list {
                Some(octets) => {
                    let members = row.members as usize;
                    let take = |member| list.push(member);
                    list::decode(octets, entry.count, members, take).ok_or_else(damaged)?;
                }
                None => list.extend((0..=u16::MAX).take(row.members as usize)),
            }
            each(entry.key, &list);
        }
        Ok(())
    }

    pub(super) async fn page(&self, row: &BlockRow, page: &PageRow) -> Result<Block, TableError> {
        self.piece(row.offset + page.offset, page.bytes as usize, page.crc)
            .await
    }

    pub(super) async fn chunk(
        &self,
        row: &BlockRow,
        chunk: &ChunkRow,
        unpacker: &Decompressor,
    ) -> Result<Unpacked, TableError> {
        let offset = row.offset + chunk.offset;
        let stored = self.piece(offset, chunk.bytes as usize, chunk.crc).await?;
        let unpacked = Unpacked::of(chunk, stored.as_slice(), unpacker);
        unpacked.ok_or_else(|| self.damaged(offset, "a chunk of a column cannot be unpacked"))
    }

    /// Reads all of the file: every checksum, and whether members, index, pages and chunks are well
    /// formed. The lists in a page are told by its checksum. The first damage stands for all.
    pub(crate) async fn verify(&self) -> Result<(), TableError> {
        let unpacker = Decompressor::new();
        for row in &self.blocks {
            self.members(row).await?;
            let index = self.index(row).await?;
            for page in index.fields.iter().flatten() {
                let octets = self.page(row, page).await?;
                let mut entries = entries(page, octets.as_slice()).peekable();
                if entries.peek().is_none() || entries.any(|entry| entry.is_err()) {
                    let offset = row.offset + page.offset;
                    return Err(self.damaged(offset, "a page has no lists that can be read"));
                }
            }
            for chunk in index.columns.iter().flatten() {
                self.chunk(row, chunk, &unpacker).await?;
            }
        }
        Ok(())
    }

    /// So many octets whose checksum is known.
    async fn piece(&self, offset: u64, bytes: usize, crc: u32) -> Result<Block, TableError> {
        let read = self
            .file
            .read_at(offset, bytes)
            .await
            .map_err(at(&self.path))?;
        if read.len() < bytes {
            return Err(self.damaged(offset, "the file ends too early"));
        }
        match plain(read.as_slice()) == crc {
            true => Ok(read),
            false => Err(self.damaged(offset, "the checksum does not fit")),
        }
    }

    fn damaged(&self, offset: u64, what: &'static str) -> TableError {
        TableError::damaged(&self.path, offset, what)
    }
}
