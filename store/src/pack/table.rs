//! The table of the blocks of a pack: where each lies, how long it is, what it holds.
//!
//! Blocks lie one behind the other. A reader takes the table only when its entries agree with each
//! other and with the header; then every read and every unpacking is bounded by it.

use super::header::Header;
use crate::codec::{Fields, Put, Short};
use crate::limit::RECORD_BYTES_MAX;
use crate::log::{BLOCK_RECORDS_MAX, RECORD_HEADER_BYTES};
use std::ops::Range;

/// Length of an entry on disk.
pub(super) const ENTRY_BYTES: usize = 24;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) offset: u64,
    /// Length in the file.
    pub(super) stored: u32,
    /// Length of the records with their headers.
    pub(super) raw: u32,
    pub(super) records: u16,
    pub(super) coding: Coding,
    /// Of the bytes in the file.
    pub(super) crc: u32,
}

/// How a block is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Coding {
    Raw,
    /// One zstd frame, with the dictionary of the pack if it has one.
    Zstd,
}

/// What a block is, wherever it lies: enough to copy it into another pack with the same dictionary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Length of the records with their headers.
    pub raw: u32,
    pub records: u32,
    /// Of the bytes in the file.
    pub crc: u32,
    coding: Coding,
}

impl Shape {
    pub(super) fn of(entry: &Entry) -> Shape {
        Shape {
            raw: entry.raw,
            records: u32::from(entry.records),
            crc: entry.crc,
            coding: entry.coding,
        }
    }

    /// The entry of such a block of so many bytes that lies at `offset`.
    pub(super) fn at(&self, offset: u64, stored: usize) -> Entry {
        Entry {
            offset,
            stored: stored as u32,
            raw: self.raw,
            records: self.records as u16,
            coding: self.coding,
            crc: self.crc,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Vec<Entry>,
}

impl Table {
    /// No block is longer: compression is dropped where it does not shorten.
    pub(super) const STORED_BYTES_MAX: u64 = RECORD_BYTES_MAX as u64;

    pub(super) fn of(entries: Vec<Entry>) -> Table {
        Table { entries }
    }

    pub(super) fn records(&self) -> u64 {
        let records = self.entries.iter().map(|entry| u64::from(entry.records));
        records.sum()
    }

    pub(super) fn raw_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| u64::from(entry.raw)).sum()
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(super) fn entry(&self, block: u32) -> Option<Entry> {
        self.entries.get(block as usize).copied()
    }

    pub(super) fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries.len() * ENTRY_BYTES);
        for entry in &self.entries {
            out.put_u64(entry.offset);
            out.put_u32(entry.stored);
            out.put_u32(entry.raw);
            out.put_u16(entry.records);
            out.put_u8(entry.coding as u8);
            out.put_u8(0);
            out.put_u32(entry.crc);
        }
        out
    }

    /// The table that belongs to this header; `Err` says what does not fit.
    pub(super) fn decode(bytes: &[u8], header: &Header) -> Result<Table, &'static str> {
        let mut table = Table::default();
        let mut fields = Fields::new(bytes);
        for _ in 0..header.blocks {
            table.push(Entry::decode(&mut fields).map_err(|Short| "an entry is not well formed")?);
        }
        table.agrees_with(header)?;
        Ok(table)
    }

    fn agrees_with(&self, header: &Header) -> Result<(), &'static str> {
        let (mut end, mut records, mut raw) = (header.first_block(), 0, 0);
        for entry in &self.entries {
            if entry.offset != end || !entry.is_sound() {
                return Err("the table contradicts itself");
            }
            end += u64::from(entry.stored);
            records += u64::from(entry.records);
            raw += u64::from(entry.raw);
        }
        if (end, records, raw) != (header.table_offset, header.records, header.raw_bytes) {
            return Err("the table contradicts the header");
        }
        Ok(())
    }
}

impl Entry {
    /// One that no block fits: the checksum of nothing is another.
    pub(super) const LOST: Entry = Entry {
        offset: 0,
        stored: 0,
        raw: 0,
        records: 0,
        coding: Coding::Raw,
        crc: 1,
    };

    /// The entry in these octets, if it makes sense by itself.
    pub(super) fn of(bytes: &[u8]) -> Option<Entry> {
        let entry = Entry::decode(&mut Fields::new(bytes)).ok()?;
        (entry.is_sound() && entry.offset.checked_add(u64::from(entry.stored)).is_some())
            .then_some(entry)
    }

    pub(super) fn lies_in(&self, blocks: &Range<u64>) -> bool {
        self.offset >= blocks.start && self.end() <= blocks.end
    }

    pub(super) fn is_before(&self, later: &Entry) -> bool {
        self.end() == later.offset
    }

    pub(super) fn end(&self) -> u64 {
        self.offset + u64::from(self.stored)
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Entry, Short> {
        let (offset, stored, raw) = (fields.u64()?, fields.u32()?, fields.u32()?);
        let records = fields.u16()?;
        let coding = match fields.u8()? {
            0 => Coding::Raw,
            1 => Coding::Zstd,
            _ => return Err(Short),
        };
        let _zero = fields.u8()?;
        Ok(Entry {
            offset,
            stored,
            raw,
            records,
            coding,
            crc: fields.u32()?,
        })
    }

    fn is_sound(&self) -> bool {
        let shortened = match self.coding {
            Coding::Raw => self.stored == self.raw,
            Coding::Zstd => (1..self.raw).contains(&self.stored),
        };
        shortened
            && self.raw as usize <= RECORD_BYTES_MAX
            && (1..=BLOCK_RECORDS_MAX).contains(&u32::from(self.records))
            && usize::from(self.records) * RECORD_HEADER_BYTES <= self.raw as usize
    }
}

const _: () = assert!(BLOCK_RECORDS_MAX <= u16::MAX as u32);
