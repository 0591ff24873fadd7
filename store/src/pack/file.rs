//! One pack that is open for reading: its table, its dictionary, its blocks.

use super::compressor::Decompressor;
use super::header::Header;
use super::table::{Coding, Entry, Table};
use super::{Dictionary, FIRST_OFFSET, PackError, PackHead, Summary, Unpacked};
use crate::codec::checksum::plain;
use crate::disk::{Block, Disk, File, Mode};
use crate::limit::BLOCK_BYTES;
use std::io;
use std::rc::Rc;
use zstd::zstd_safe::DDict;

pub struct Pack<F> {
    file: F,
    number: u32,
    summary: Summary,
    table: Table,
    dictionary: Option<DDict<'static>>,
    /// 0 without a dictionary, or where it is damaged.
    dictionary_crc: u32,
    decompressor: Rc<Decompressor>,
}

impl<F: File> Pack<F> {
    /// Opens a pack after checking its header, its dictionary and its table, not its blocks.
    pub async fn open<D>(disk: &D, path: &str, head: PackHead) -> Result<Pack<F>, PackError>
    where
        D: Disk<File = F>,
    {
        Pack::open_with(disk, path, head, Rc::new(Decompressor::new())).await
    }

    pub(super) async fn open_with<D>(
        disk: &D,
        path: &str,
        head: PackHead,
        decompressor: Rc<Decompressor>,
    ) -> Result<Pack<F>, PackError>
    where
        D: Disk<File = F>,
    {
        let number = head.number;
        let file = disk.open(path, Mode::Read).await.map_err(at(number, 0))?;
        let block = file.read_at(0, BLOCK_BYTES).await.map_err(at(number, 0))?;
        let header = Header::decode(block.as_slice(), head)?;
        let bytes = file.len().await.map_err(at(number, 0))?;
        if bytes < header.end() {
            return Err(damaged(number, bytes, "the file was cut off here"));
        }
        let summary = Summary {
            bytes,
            raw_bytes: header.raw_bytes,
            records: header.records,
            blocks: header.blocks,
        };
        let dictionary = dictionary(&file, &header).await?;
        let table = table(&file, &header).await?;
        let pack = Pack::of(file, number, summary, table, dictionary, decompressor);
        Ok(Pack {
            dictionary_crc: header.dictionary_crc,
            ..pack
        })
    }

    pub(super) fn of(
        file: F,
        number: u32,
        summary: Summary,
        table: Table,
        dictionary: Option<DDict<'static>>,
        decompressor: Rc<Decompressor>,
    ) -> Pack<F> {
        Pack {
            file,
            number,
            summary,
            table,
            dictionary,
            dictionary_crc: 0,
            decompressor,
        }
    }

    /// What a pack must be made with into which blocks of this one are copied as they are. The
    /// dictionary is read again: an open pack has it prepared for use only. Where it cannot be read
    /// nothing is copied.
    pub async fn dictionary(&self) -> Dictionary {
        if self.dictionary.is_none() {
            return Dictionary::Without;
        }
        let first = self
            .table
            .entry(0)
            .map_or(FIRST_OFFSET, |entry| entry.offset);
        let bytes = first.saturating_sub(FIRST_OFFSET) as usize;
        match self.read(FIRST_OFFSET, bytes).await {
            Ok(read) if plain(read.as_slice()) == self.dictionary_crc => {
                Dictionary::Given(Rc::from(read.as_slice()))
            }
            _ => Dictionary::Learned,
        }
    }

    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// Bytes that the open pack takes in memory, about.
    pub(super) fn resident_bytes(&self) -> usize {
        let dictionary = self.dictionary.as_ref().map_or(0, DDict::sizeof);
        size_of::<Pack<F>>() + dictionary + self.table.len() as usize * size_of::<Entry>()
    }

    /// Reads and unpacks a block, numbered from 0.
    pub async fn unpack(&self, block: u32) -> Result<Unpacked, PackError> {
        let entry = self.entry(block)?;
        let stored = self.read(entry.offset, entry.stored as usize).await?;
        self.unpack_stored(block, entry, stored.as_slice())
    }

    pub(super) fn entry(&self, block: u32) -> Result<Entry, PackError> {
        let entry = self.table.entry(block);
        entry.ok_or(damaged(self.number, 0, "the pack has no such block"))
    }

    /// Up to so many octets of the file.
    pub(super) async fn read(&self, offset: u64, bytes: usize) -> Result<Block, PackError> {
        let read = self.file.read_at(offset, bytes).await;
        read.map_err(at(self.number, offset))
    }

    /// What a block is that lies at the start of `stored`. The table has bounded what is unpacked.
    pub(super) fn unpack_stored(
        &self,
        block: u32,
        entry: Entry,
        stored: &[u8],
    ) -> Result<Unpacked, PackError> {
        let stored = self.checked(&entry, stored)?;
        let raw = self.raw(entry, stored);
        Ok(Unpacked {
            pack: self.number,
            block,
            offset: entry.offset,
            records: u32::from(entry.records),
            bytes: Rc::new(raw.ok_or_else(|| {
                damaged(self.number, entry.offset, "the block cannot be unpacked")
            })?),
        })
    }

    /// The block that lies at the start of `stored`, when its checksum fits.
    pub(super) fn checked<'a>(
        &self,
        entry: &Entry,
        stored: &'a [u8],
    ) -> Result<&'a [u8], PackError> {
        let damaged = |what| damaged(self.number, entry.offset, what);
        let stored = stored.get(..entry.stored as usize);
        let stored = stored.ok_or(damaged("the file ends within the block"))?;
        match plain(stored) == entry.crc {
            true => Ok(stored),
            false => Err(damaged("the checksum does not fit")),
        }
    }

    fn raw(&self, entry: Entry, stored: &[u8]) -> Option<Block> {
        if entry.coding == Coding::Raw {
            return Some(Block::copy_of(stored));
        }
        let mut raw = Block::zeroed(entry.raw as usize);
        let whole =
            self.decompressor
                .decompress(stored, self.dictionary.as_ref(), raw.as_mut_slice());
        whole.then_some(raw)
    }
}

async fn dictionary<F: File>(
    file: &F,
    header: &Header,
) -> Result<Option<DDict<'static>>, PackError> {
    if header.dictionary_bytes == 0 {
        return Ok(None);
    }
    let (number, bytes) = (header.head.number, header.dictionary_bytes as usize);
    let read = file.read_at(FIRST_OFFSET, bytes).await;
    let read = read.map_err(at(number, FIRST_OFFSET))?;
    if read.len() < bytes || plain(read.as_slice()) != header.dictionary_crc {
        return Err(damaged(number, FIRST_OFFSET, "the dictionary is damaged"));
    }
    let prepared = DDict::try_create(read.as_slice());
    let prepared = prepared.ok_or(damaged(number, FIRST_OFFSET, "zstd refuses the dictionary"))?;
    Ok(Some(prepared))
}

async fn table<F: File>(file: &F, header: &Header) -> Result<Table, PackError> {
    let (number, offset) = (header.head.number, header.table_offset);
    let read = file.read_at(offset, header.table_bytes()).await;
    let read = read.map_err(at(number, offset))?;
    if read.len() < header.table_bytes() || plain(read.as_slice()) != header.table_crc {
        return Err(damaged(number, offset, "the table of blocks is damaged"));
    }
    Table::decode(read.as_slice(), header).map_err(|what| damaged(number, offset, what))
}

pub(super) fn at(pack: u32, offset: u64) -> impl FnOnce(io::Error) -> PackError {
    move |error| PackError::Io {
        pack,
        offset,
        error,
    }
}

pub(super) fn damaged(pack: u32, offset: u64, what: &'static str) -> PackError {
    PackError::Damaged { pack, offset, what }
}
