//! Where the parts of a run lie: rows sorted by key, in pages that are searched where they are.
//!
//! A page is a block: up to 170 rows and a checksum. Every page that a search visits is checked
//! first: a wrong key would send the search astray without a word.

use super::super::head::Seats;
use crate::codec::checksum::plain;
use crate::codec::{Fields, Fill, Put};
use crate::disk::Block;
use crate::limit::BLOCK_BYTES;

/// Account and mailbox.
pub(super) type Key = (u32, u32);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Row {
    pub(super) key: Key,
    /// From the start of the file.
    pub(super) offset: u64,
    pub(super) length: u32,
    /// Of the part, with the seat of `offset`.
    pub(super) crc: u32,
}

/// The pages of a directory as they lie in the file.
#[derive(Clone, Copy)]
pub(super) struct Directory<'a> {
    pub(super) pages: &'a [u8],
    /// Where the pages begin in the file.
    pub(super) from: u64,
    pub(super) rows: u32,
    pub(super) seats: Seats,
}

/// The rows of one page whose checksum fits.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    rows: &'a [[u8; ROW_BYTES]],
}

/// A page that is not what was written: its offset in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BrokenPage(pub(super) u64);

const ROW_BYTES: usize = 24;
const CRC_AT: usize = BLOCK_BYTES - 4;
const PAGE_ROWS: usize = CRC_AT / ROW_BYTES;

/// Bytes of the pages for so many rows.
pub(super) fn bytes(rows: u32) -> u64 {
    u64::from(rows).div_ceil(PAGE_ROWS as u64) * BLOCK_BYTES as u64
}

/// The pages of `rows`, the first of them at `from` in the file.
pub(super) fn encode(rows: &[Row], from: u64, seats: Seats) -> impl Iterator<Item = Block> + '_ {
    let pages = rows.chunks(PAGE_ROWS).enumerate();
    pages.map(move |(index, rows)| {
        let mut page = Block::zeroed(BLOCK_BYTES);
        let (covered, crc) = page.as_mut_slice().split_at_mut(CRC_AT);
        let mut out = Fill::new(covered);
        rows.iter().for_each(|row| row.encode(&mut out));
        let seat = seats.at(from + (index * BLOCK_BYTES) as u64);
        crc.copy_from_slice(&(plain(covered) ^ seat).to_le_bytes());
        page
    })
}

impl<'a> Directory<'a> {
    pub(super) fn find(&self, key: Key) -> Result<Option<Row>, BrokenPage> {
        // The first page that begins above `key`; the page before it would hold the key.
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low.midpoint(high);
            if self.page(middle)?.begins_above(key) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        match low.checked_sub(1) {
            Some(page) => Ok(self.page(page)?.find(key)),
            None => Ok(None),
        }
    }

    /// The row with this number, from 0.
    pub(super) fn at(&self, number: u32) -> Result<Option<Row>, BrokenPage> {
        if number >= self.rows {
            return Ok(None);
        }
        let number = number as usize;
        let page = self.page(number / PAGE_ROWS)?;
        Ok(page.rows().nth(number % PAGE_ROWS))
    }

    pub(super) fn pages(self) -> impl Iterator<Item = Result<Page<'a>, BrokenPage>> {
        (0..self.count()).map(move |index| self.page(index))
    }

    fn count(&self) -> usize {
        (self.rows as usize).div_ceil(PAGE_ROWS)
    }

    fn page(&self, index: usize) -> Result<Page<'a>, BrokenPage> {
        let offset = self.from + (index * BLOCK_BYTES) as u64;
        let broken = BrokenPage(offset);
        let page = self.pages.get(index * BLOCK_BYTES..).unwrap_or_default();
        let page: &[u8; BLOCK_BYTES] = page.first_chunk().ok_or(broken)?;
        let (covered, crc) = page.split_at(CRC_AT);
        let stored = Fields::new(crc).u32().map_err(|_| broken)?;
        if plain(covered) ^ self.seats.at(offset) != stored {
            return Err(broken);
        }
        let count = (self.rows as usize - index * PAGE_ROWS).min(PAGE_ROWS);
        let (rows, _) = covered.as_chunks();
        Ok(Page {
            rows: rows.get(..count).ok_or(broken)?,
        })
    }
}

impl<'a> Page<'a> {
    pub(super) fn rows(self) -> impl Iterator<Item = Row> + 'a {
        self.rows.iter().map(Row::decode)
    }

    fn begins_above(&self, key: Key) -> bool {
        self.rows
            .first()
            .is_none_or(|row| Row::decode(row).key > key)
    }

    fn find(&self, key: Key) -> Option<Row> {
        let at = self.rows.partition_point(|row| Row::decode(row).key < key);
        let row = Row::decode(self.rows.get(at)?);
        (row.key == key).then_some(row)
    }
}

impl Row {
    fn encode(&self, out: &mut impl Put) {
        out.put_u32(self.key.0);
        out.put_u32(self.key.1);
        out.put_u64(self.offset);
        out.put_u32(self.length);
        out.put_u32(self.crc);
    }

    fn decode(bytes: &[u8; ROW_BYTES]) -> Row {
        let mut fields = Fields::new(bytes);
        let mut read = || {
            Ok::<Row, crate::codec::Short>(Row {
                key: (fields.u32()?, fields.u32()?),
                offset: fields.u64()?,
                length: fields.u32()?,
                crc: fields.u32()?,
            })
        };
        read().expect("a row has room for its fields")
    }

    /// Where the part ends; saturates, so that no row can overflow.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.length))
    }
}
