//! A pack of which header, dictionary or table are damaged, opened for what can still be trusted.
//!
//! ```text
//!  header fits, table does not   each entry by itself: it must lie within the blocks
//!  header does not fit           the table is found from the end of the file, or of what lies
//!                                before the listing there: entries that continue each other, the
//!                                last up to where the first one lies
//!  dictionary does not fit       it is used as it is
//! ```
//!
//! Nothing is believed for that: a block has the checksum that its entry says, and every record of
//! it its own, taken before it was compressed. A header that does not fit must still name the pack,
//! so that the records of another place are never taken for ours.

use super::compressor::Decompressor;
use super::file::{Pack, at};
use super::header::Header;
use super::listing::{ROW_BYTES, begin_of};
use super::table::{ENTRY_BYTES, Entry, Table};
use super::{DICTIONARY_BYTES_MAX, FIRST_OFFSET, PackError, PackHead, Summary};
use crate::disk::{Block, Disk, File, Mode};
use crate::limit::BLOCK_BYTES;
use crate::log::PACK_BLOCKS_MAX;
use std::rc::Rc;
use zstd::zstd_safe::DDict;

impl<F: File> Pack<F> {
    /// As [`open`](Self::open); a damaged pack is opened as far as it goes.
    pub async fn open_damaged<D>(disk: &D, path: &str, head: PackHead) -> Result<Pack<F>, PackError>
    where
        D: Disk<File = F>,
    {
        let decompressor = Rc::new(Decompressor::new());
        Pack::open_damaged_with(disk, path, head, decompressor).await
    }

    pub(super) async fn open_damaged_with<D>(
        disk: &D,
        path: &str,
        head: PackHead,
        decompressor: Rc<Decompressor>,
    ) -> Result<Pack<F>, PackError>
    where
        D: Disk<File = F>,
    {
        let strict = Pack::open_with(disk, path, head, Rc::clone(&decompressor)).await;
        let Err(error @ PackError::Damaged { .. }) = strict else {
            return strict;
        };
        let number = head.number;
        let file = disk.open(path, Mode::Read).await.map_err(at(number, 0))?;
        let block = file.read_at(0, BLOCK_BYTES).await.map_err(at(number, 0))?;
        let found = match Header::decode(block.as_slice(), head) {
            Ok(header) => by_header(&file, &header).await?,
            Err(PackError::Damaged { .. }) if Header::names(block.as_slice(), head) => {
                by_table(&file, number).await?
            }
            Err(PackError::Damaged { .. }) => None,
            Err(other) => return Err(other),
        };
        let Some((dictionary_bytes, table)) = found else {
            return Err(error);
        };
        let read = file.read_at(FIRST_OFFSET, dictionary_bytes).await;
        let dictionary = read
            .ok()
            .and_then(|read| DDict::try_create(read.as_slice()));
        let summary = Summary {
            bytes: file.len().await.map_err(at(number, 0))?,
            raw_bytes: table.raw_bytes(),
            records: table.records(),
            blocks: table.len(),
        };
        let dictionary = dictionary.filter(|_| dictionary_bytes > 0);
        Ok(Pack::of(
            file,
            number,
            summary,
            table,
            dictionary,
            decompressor,
        ))
    }
}

/// Length of the dictionary, and the blocks.
type Found = Option<(usize, Table)>;

/// The entries where the header says, each by itself.
async fn by_header<F: File>(file: &F, header: &Header) -> Result<Found, PackError> {
    let (number, offset) = (header.head.number, header.table_offset);
    let read = file.read_at(offset, header.table_bytes()).await;
    let read = read.map_err(at(number, offset))?;
    let blocks = header.first_block()..header.table_offset;
    let mut table = Table::default();
    for stored in read.as_slice().chunks_exact(ENTRY_BYTES) {
        let entry = Entry::of(stored).filter(|entry| entry.lies_in(&blocks));
        table.push(entry.unwrap_or(Entry::LOST));
    }
    let is_there = table.len() > 0;
    Ok(is_there.then_some((header.dictionary_bytes as usize, table)))
}

/// The entries at the end of the file, or before the listing there, if they are a whole table.
async fn by_table<F: File>(file: &F, number: u32) -> Result<Found, PackError> {
    let length = file.len().await.map_err(at(number, 0))?;
    let (tail, from) = before(file, number, length).await?;
    if let Some(found) = ends_of(tail.as_slice()).find_map(|tail| table_of(tail, from)) {
        return Ok(Some(found));
    }
    let begin = ends_of(tail.as_slice()).find_map(|tail| begin_of(tail, from));
    let Some(begin) = begin.filter(|begin| (FIRST_OFFSET..length).contains(begin)) else {
        return Ok(None);
    };
    let (tail, from) = before(file, number, begin).await?;
    Ok(table_of(tail.as_slice(), from))
}

/// What a table that ends before `end` lies in, and where that begins.
async fn before<F: File>(file: &F, number: u32, end: u64) -> Result<(Block, u64), PackError> {
    let from = end.saturating_sub(TABLE_BYTES_MAX + BLOCK_BYTES as u64);
    let from = from.max(FIRST_OFFSET);
    let bytes = end.saturating_sub(from) as usize;
    let read = file.read_at(from, bytes).await;
    Ok((read.map_err(at(number, from))?, from))
}

/// Where a table at the end of these octets may end, before the zeros.
fn ends_of(tail: &[u8]) -> impl Iterator<Item = &[u8]> {
    let used = tail
        .iter()
        .rposition(|octet| *octet != 0)
        .map_or(0, |last| last + 1);
    // The last checksum may end in zeros.
    let ends = used..(used + ENTRY_BYTES).min(tail.len() + 1);
    ends.filter_map(|end| tail.get(..end))
}

/// The table that ends where `tail` ends, which begins at `from` in the file.
fn table_of(tail: &[u8], from: u64) -> Found {
    let mut entries: Vec<Entry> = Vec::new();
    for stored in tail.rchunks_exact(ENTRY_BYTES) {
        let Some(entry) = Entry::of(stored) else {
            break;
        };
        if entries.last().is_some_and(|later| !entry.is_before(later)) {
            break;
        }
        entries.push(entry);
    }
    entries.reverse();
    let begin = from + (tail.len() - entries.len() * ENTRY_BYTES) as u64;
    let (first, last) = (entries.first()?, entries.last()?);
    let dictionary = usize::try_from(first.offset.checked_sub(FIRST_OFFSET)?).ok()?;
    let is_whole = last.end() == begin && dictionary <= DICTIONARY_BYTES_MAX;
    is_whole.then(|| (dictionary, Table::of(entries)))
}

const TABLE_BYTES_MAX: u64 = PACK_BLOCKS_MAX as u64 * ENTRY_BYTES as u64;

const _: () = assert!(ROW_BYTES == ENTRY_BYTES);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::table::Coding;

    fn entry(offset: u64, stored: u32, crc: u32) -> Entry {
        Entry {
            offset,
            stored,
            raw: 4000,
            records: 3,
            coding: Coding::Zstd,
            crc,
        }
    }

    #[test]
    fn a_table_is_found_by_its_end_and_no_part_of_one_is() {
        let entries = vec![
            entry(5000, 300, 9),
            entry(5300, 200, 9),
            entry(5500, 500, 0),
        ];
        let table = Table::of(entries.clone());
        let mut tail = vec![7; 10];
        tail.extend(table.encode());
        let (dictionary, found) = table_of(&tail, 5990).unwrap();
        assert_eq!((dictionary, found.len()), (904, 3));
        assert!(
            table_of(&tail, 5991).is_none(),
            "it does not lie behind the blocks"
        );
        tail.truncate(tail.len() - ENTRY_BYTES);
        assert!(table_of(&tail, 5990).is_none(), "the last entry is missing");
    }
}
