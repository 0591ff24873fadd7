//! The table of the listing blocks of a pack: where each lies, which record its first entry is of.

use super::{BLOCK_RAW_BYTES, DICTIONARY_BYTES_MAX};
use crate::codec::{Fields, Put, Short};
use crate::pack::header::ListingSpan;

/// Length of a row on disk.
pub(in crate::pack) const ROW_BYTES: usize = 24;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Row {
    /// In the file.
    pub(super) offset: u64,
    /// Length in the file.
    pub(super) stored: u32,
    /// Key of the first entry.
    pub(super) first: u32,
    /// Length before compression.
    pub(super) raw: u16,
    pub(super) entries: u16,
    /// Of the bytes in the file.
    pub(super) crc: u32,
}

/// By rising offset and key.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The block in which the entry with this key must be, if it is there.
    pub(super) fn find(&self, key: u32) -> Option<u32> {
        let behind = self.rows.partition_point(|row| row.first <= key);
        behind.checked_sub(1).map(|at| at as u32)
    }

    /// The table of this span; `Err` says what does not fit.
    pub(super) fn decode(bytes: &[u8], span: &ListingSpan) -> Result<Table, &'static str> {
        let mut table = Table::default();
        let mut fields = Fields::new(bytes);
        let mut end = span.offset;
        for _ in 0..span.blocks {
            let row = Row::decode(&mut fields).map_err(|Short| "a row is not well formed")?;
            let before = table.rows.last();
            let rises = before.is_none_or(|before| before.first < row.first);
            if row.offset != end || !rises || !row.is_sound() {
                return Err("the table of the listing contradicts itself");
            }
            end += u64::from(row.stored);
            table.rows.push(row);
        }
        if end != span.dictionary_offset() {
            return Err("the table of the listing contradicts the header");
        }
        Ok(table)
    }
}

/// Where the listing begins whose table ends where `tail` does, which begins at `from` in the file:
/// rows that continue each other, and blocks that end where the table or a dictionary lies.
pub(in crate::pack) fn begin_of(tail: &[u8], from: u64) -> Option<u64> {
    let rows = tail.rchunks_exact(ROW_BYTES);
    let mut rows = rows.map_while(|stored| Row::decode(&mut Fields::new(stored)).ok());
    let last = rows.next().filter(Row::is_sound)?;
    let (mut first, mut count) = (last, 1);
    for row in rows {
        let continues = row.end() == Some(first.offset) && row.first < first.first;
        if !continues || !row.is_sound() {
            break;
        }
        (first, count) = (row, count + 1);
    }
    let begin = from + (tail.len() - count * ROW_BYTES) as u64;
    let dictionary = begin.checked_sub(last.end()?)?;
    (dictionary <= DICTIONARY_BYTES_MAX as u64).then_some(first.offset)
}

impl Row {
    fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.stored.into())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.offset);
        out.put_u32(self.stored);
        out.put_u32(self.first);
        out.put_u16(self.raw);
        out.put_u16(self.entries);
        out.put_u32(self.crc);
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Row, Short> {
        Ok(Row {
            offset: fields.u64()?,
            stored: fields.u32()?,
            first: fields.u32()?,
            raw: fields.u16()?,
            entries: fields.u16()?,
            crc: fields.u32()?,
        })
    }

    /// Stored as it is, if that is as short.
    pub(super) fn is_compressed(&self) -> bool {
        self.stored < u32::from(self.raw)
    }

    fn is_sound(&self) -> bool {
        (1..=u32::from(self.raw)).contains(&self.stored)
            && usize::from(self.raw) <= BLOCK_RAW_BYTES
            && self.entries > 0
    }
}

const _: () = assert!(BLOCK_RAW_BYTES <= u16::MAX as usize);
