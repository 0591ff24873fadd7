//! The listing of one pack, open for reading.

use super::block::entries;
use super::table::{Row, Table};
use super::{DICTIONARY_BYTES_MAX, Listed, NAMES, SECTION_BYTES_MAX, place_of};
use crate::codec::checksum::plain;
use crate::disk::{Block, Disk, File, Mode};
use crate::limit::BLOCK_BYTES;
use crate::log::{PACK_BLOCKS_MAX, Place};
use crate::mail::id::ObjectId;
use crate::pack::compressor::Decompressor;
use crate::pack::file::{at, damaged};
use crate::pack::header::{Header, ListingSpan};
use crate::pack::{PackError, PackHead};
use std::rc::Rc;
use zstd::zstd_safe::DDict;

pub struct ListingFile<F> {
    file: F,
    number: u32,
    span: ListingSpan,
    table: Table,
    dictionary: Option<DDict<'static>>,
    decompressor: Rc<Decompressor>,
}

impl<F: File> ListingFile<F> {
    /// Opens the listing of a pack after checking the header, the table and the dictionary; `None`
    /// where the pack has none, or one of other fields.
    pub async fn open<D>(
        disk: &D,
        path: &str,
        head: PackHead,
    ) -> Result<Option<ListingFile<F>>, PackError>
    where
        D: Disk<File = F>,
    {
        ListingFile::open_with(disk, path, head, Rc::new(Decompressor::new())).await
    }

    pub(super) async fn open_with<D>(
        disk: &D,
        path: &str,
        head: PackHead,
        decompressor: Rc<Decompressor>,
    ) -> Result<Option<ListingFile<F>>, PackError>
    where
        D: Disk<File = F>,
    {
        let number = head.number;
        let file = disk.open(path, Mode::Read).await.map_err(at(number, 0))?;
        let block = file.read_at(0, BLOCK_BYTES).await.map_err(at(number, 0))?;
        let header = Header::decode(block.as_slice(), head)?;
        let span = header.listing;
        if span.blocks == 0 || span.names != NAMES {
            return Ok(None);
        }
        if span.offset != header.end() || !is_sound(&span) {
            return Err(damaged(number, 0, "the header contradicts itself"));
        }
        Ok(Some(ListingFile {
            dictionary: dictionary(&file, number, &span).await?,
            table: table(&file, number, &span).await?,
            file,
            number,
            span,
            decompressor,
        }))
    }

    /// Bytes of the pack that are its listing.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.span.end() - self.span.offset
    }

    #[must_use]
    pub fn blocks(&self) -> u32 {
        self.span.blocks
    }

    /// Bytes that the open listing takes in memory, about.
    pub(super) fn resident_bytes(&self) -> usize {
        let dictionary = self.dictionary.as_ref().map_or(0, DDict::sizeof);
        size_of::<ListingFile<F>>() + dictionary + size_of_val(self.table.rows())
    }

    /// The block that would have the entry of a record.
    pub(super) fn block_of(&self, key: u32) -> Option<u32> {
        self.table.find(key)
    }

    /// Reads and unpacks a block, numbered from 0.
    pub(super) async fn unpack(&self, block: u32) -> Result<Vec<u8>, PackError> {
        let row = self.row(block)?;
        let stored = self.file.read_at(row.offset, row.stored as usize).await;
        let stored = stored.map_err(at(self.number, row.offset))?;
        let damaged = |what| damaged(self.number, row.offset, what);
        if stored.len() < row.stored as usize {
            return Err(damaged("the file ends within the listing"));
        }
        if plain(stored.as_slice()) != row.crc {
            return Err(damaged("the checksum of the listing does not fit"));
        }
        let raw = self.raw(&row, &stored);
        raw.ok_or(damaged("the listing cannot be unpacked"))
    }

    /// What is kept of the object whose record is the one with `key`, in a block that is unpacked.
    pub(super) fn pick(
        &self,
        block: u32,
        raw: &[u8],
        key: u32,
        object: ObjectId,
    ) -> Result<Option<Listed>, PackError> {
        for entry in self.entries(block, raw)? {
            let (found, listed) = entry?;
            if found >= key {
                return Ok((found == key && listed.object == object).then_some(listed));
            }
        }
        Ok(None)
    }

    /// Shows all entries in order with the places of their records. What is damaged is shown as an
    /// error and passed over.
    pub async fn scan(&self, mut each: impl FnMut(Result<(Place, Listed), PackError>)) {
        for block in 0..self.span.blocks {
            let shown = match self.unpack(block).await {
                Ok(raw) => self.show(block, &raw, &mut each),
                Err(error) => Err(error),
            };
            if let Err(error) = shown {
                each(Err(error));
            }
        }
    }

    fn show(
        &self,
        block: u32,
        raw: &[u8],
        each: &mut impl FnMut(Result<(Place, Listed), PackError>),
    ) -> Result<(), PackError> {
        let mut shown = 0;
        for entry in self.entries(block, raw)? {
            let (key, listed) = entry?;
            each(Ok((place_of(self.number, key), listed)));
            shown += 1;
        }
        let row = self.row(block)?;
        if shown != u32::from(row.entries) {
            let what = "a block of the listing has not its entries";
            return Err(damaged(self.number, row.offset, what));
        }
        Ok(())
    }

    fn entries<'a>(
        &'a self,
        block: u32,
        raw: &'a [u8],
    ) -> Result<impl Iterator<Item = Result<(u32, Listed), PackError>> + 'a, PackError> {
        let row = self.row(block)?;
        let what = "an entry of the listing is not well formed";
        let found = entries(row.first, raw);
        Ok(found.map(move |entry| entry.map_err(|_| damaged(self.number, row.offset, what))))
    }

    fn row(&self, block: u32) -> Result<Row, PackError> {
        let row = self.table.rows().get(block as usize).copied();
        row.ok_or(damaged(self.number, 0, "the listing has no such block"))
    }

    fn raw(&self, row: &Row, stored: &Block) -> Option<Vec<u8>> {
        if !row.is_compressed() {
            return Some(stored.as_slice().to_vec());
        }
        let mut raw = vec![0; usize::from(row.raw)];
        let dictionary = self.dictionary.as_ref();
        let whole = self
            .decompressor
            .decompress(stored.as_slice(), dictionary, &mut raw);
        whole.then_some(raw)
    }
}

fn is_sound(span: &ListingSpan) -> bool {
    let blocks = span.dictionary_offset().checked_sub(span.offset);
    span.dictionary_bytes as usize <= DICTIONARY_BYTES_MAX
        && span.blocks <= PACK_BLOCKS_MAX
        && blocks.is_some_and(|bytes| bytes <= SECTION_BYTES_MAX as u64)
}

async fn dictionary<F: File>(
    file: &F,
    number: u32,
    span: &ListingSpan,
) -> Result<Option<DDict<'static>>, PackError> {
    if span.dictionary_bytes == 0 {
        return Ok(None);
    }
    let bytes = span.dictionary_bytes as usize;
    let offset = span.dictionary_offset();
    let read = file.read_at(offset, bytes).await;
    let read = read.map_err(at(number, offset))?;
    let damaged = |what| damaged(number, offset, what);
    if read.len() < bytes || plain(read.as_slice()) != span.dictionary_crc {
        return Err(damaged("the dictionary of the listing is damaged"));
    }
    let prepared = DDict::try_create(read.as_slice());
    prepared
        .map(Some)
        .ok_or(damaged("zstd refuses the dictionary of the listing"))
}

async fn table<F: File>(file: &F, number: u32, span: &ListingSpan) -> Result<Table, PackError> {
    let read = file.read_at(span.table_offset, span.table_bytes()).await;
    let read = read.map_err(at(number, span.table_offset))?;
    let damaged = |what| damaged(number, span.table_offset, what);
    if read.len() < span.table_bytes() || plain(read.as_slice()) != span.table_crc {
        return Err(damaged("the table of the listing is damaged"));
    }
    Table::decode(read.as_slice(), span).map_err(damaged)
}
