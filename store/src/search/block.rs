//! A block: its members, the index of its pages and chunks, and its row in the directory.
//!
//! ```text
//! members │ index │ pages of field 0 │ … │ pages of field 6 │ chunks of column 0 │ … of column 1
//! ```

use super::chunk::{ChunkRow, RAW_BYTES_MAX};
use super::page::PageRow;
use super::{Column, Field, KEYS, MEMBERS_MAX};
use crate::codec::{Fields, Put, Short};
use crate::mail::id::{AccountId, ObjectId};
use std::ops::Range;

/// A message that is signed: a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Member {
    pub(super) account: AccountId,
    pub(super) object: ObjectId,
    /// Trigrams of all fields.
    pub(super) pairs: u32,
}

/// The members of a block, by account and object, each once.
#[derive(Debug, Default)]
pub(super) struct Members(pub(super) Vec<Member>);

/// Where a block lies in the file, and what its parts add up to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BlockRow {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) members: u32,
    pub(super) first_account: AccountId,
    pub(super) last_account: AccountId,
    pub(super) members_bytes: u32,
    pub(super) members_crc: u32,
    pub(super) index_bytes: u32,
    pub(super) index_crc: u32,
}

/// Length of a row of the directory.
pub(super) const ROW_BYTES: usize = 44;

/// Where the pages and chunks of a block lie; offsets are in the block.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) fields: [Vec<PageRow>; Field::ALL.len()],
    pub(super) columns: [Vec<ChunkRow>; Column::ALL.len()],
}

impl Members {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut before = AccountId(0);
        for group in self.0.chunk_by(|a, b| a.account == b.account) {
            let account = group.first().map_or(before, |member| member.account);
            out.put_varint(u64::from(account.0 - before.0));
            out.put_varint(group.len() as u64);
            let mut object = 0;
            for member in group {
                out.put_varint(member.object.0 - object);
                out.put_varint(u64::from(member.pairs));
                object = member.object.0;
            }
            before = account;
        }
    }

    pub(super) fn decode(octets: &[u8], row: &BlockRow) -> Result<Members, Short> {
        let mut fields = Fields::new(octets);
        let mut members = Vec::with_capacity((row.members as usize).min(MEMBERS_MAX));
        let mut account = AccountId(0);
        while !fields.is_empty() {
            account.0 = account.0.checked_add(fields.varint32()?).ok_or(Short)?;
            let count = fields.varint()?;
            let mut object = 0u64;
            for _ in 0..count {
                let distance = fields.varint()?;
                object = object.checked_add(distance).ok_or(Short)?;
                let pairs = fields.varint32()?;
                if distance == 0 || members.len() == MEMBERS_MAX {
                    return Err(Short);
                }
                let object = ObjectId(object);
                members.push(Member {
                    account,
                    object,
                    pairs,
                });
            }
        }
        let ends = (members.first(), members.last());
        let ends = (ends.0.map(|one| one.account), ends.1.map(|one| one.account));
        let is_said = members.len() == row.members as usize
            && ends == (Some(row.first_account), Some(row.last_account))
            && members.is_sorted_by(|a, b| (a.account, a.object) < (b.account, b.object));
        is_said.then_some(Members(members)).ok_or(Short)
    }

    /// The numbers of the members of an account.
    pub(super) fn of(&self, account: AccountId) -> Range<usize> {
        let start = self.0.partition_point(|member| member.account < account);
        let end = self.0.partition_point(|member| member.account <= account);
        start..end
    }
}

impl BlockRow {
    pub(super) fn encode(&self, out: &mut impl Put) {
        out.put_u64(self.offset);
        out.put_u64(self.bytes);
        out.put_u32(self.members);
        out.put_u32(self.first_account.0);
        out.put_u32(self.last_account.0);
        out.put_u32(self.members_bytes);
        out.put_u32(self.members_crc);
        out.put_u32(self.index_bytes);
        out.put_u32(self.index_crc);
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<BlockRow, Short> {
        Ok(BlockRow {
            offset: fields.u64()?,
            bytes: fields.u64()?,
            members: fields.u32()?,
            first_account: AccountId(fields.u32()?),
            last_account: AccountId(fields.u32()?),
            members_bytes: fields.u32()?,
            members_crc: fields.u32()?,
            index_bytes: fields.u32()?,
            index_crc: fields.u32()?,
        })
    }

    pub(super) fn is_sound(&self) -> bool {
        let parts = u64::from(self.members_bytes) + u64::from(self.index_bytes);
        (1..=MEMBERS_MAX as u32).contains(&self.members)
            && self.first_account <= self.last_account
            && parts <= self.bytes
            && self.members_bytes as usize <= MEMBERS_BYTES_MAX
            && self.index_bytes as usize <= INDEX_BYTES_MAX
            && self.bytes <= BLOCK_BYTES_MAX
            && self.offset.checked_add(self.bytes).is_some()
    }

    pub(super) fn has(&self, account: AccountId) -> bool {
        (self.first_account..=self.last_account).contains(&account)
    }
}

impl Index {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for pages in &self.fields {
            out.put_varint(pages.len() as u64);
            let mut before = 0;
            for page in pages {
                out.put_varint(u64::from(page.first - before));
                out.put_varint(u64::from(page.bytes));
                out.put_u32(page.crc);
                before = page.first;
            }
        }
        for chunks in &self.columns {
            out.put_varint(chunks.len() as u64);
            for chunk in chunks {
                out.put_varint(u64::from(chunk.members));
                out.put_varint(u64::from(chunk.raw));
                out.put_varint(u64::from(chunk.bytes));
                out.put_u32(chunk.crc);
            }
        }
    }

    /// The index of the block of this row.
    pub(super) fn decode(octets: &[u8], row: &BlockRow) -> Result<Index, Short> {
        let mut fields = Fields::new(octets);
        let mut index = Index::default();
        let mut offset = u64::from(row.members_bytes) + u64::from(row.index_bytes);
        for pages in &mut index.fields {
            *pages = decode_pages(&mut fields, &mut offset)?;
        }
        for chunks in &mut index.columns {
            *chunks = decode_chunks(&mut fields, &mut offset, row.members)?;
        }
        fields.end()?;
        match offset == row.bytes {
            true => Ok(index),
            false => Err(Short),
        }
    }

    /// Bytes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let pages: usize = self.fields.iter().map(Vec::len).sum();
        let chunks: usize = self.columns.iter().map(Vec::len).sum();
        pages * size_of::<PageRow>() + chunks * size_of::<ChunkRow>()
    }
}

fn decode_pages(fields: &mut Fields<'_>, offset: &mut u64) -> Result<Vec<PageRow>, Short> {
    let mut pages: Vec<PageRow> = Vec::new();
    for _ in 0..fields.varint()? {
        let before = pages.last().map(|page| page.first);
        let first = before
            .unwrap_or(0)
            .checked_add(fields.varint32()?)
            .ok_or(Short)?;
        let (bytes, crc) = (fields.varint32()?, fields.u32()?);
        if first as usize >= KEYS || before >= Some(first) {
            return Err(Short);
        }
        pages.push(PageRow {
            first,
            offset: *offset,
            bytes,
            crc,
        });
        *offset += u64::from(bytes);
    }
    Ok(pages)
}

fn decode_chunks(
    fields: &mut Fields<'_>,
    offset: &mut u64,
    members: u32,
) -> Result<Vec<ChunkRow>, Short> {
    let (mut chunks, mut first) = (Vec::new(), 0u32);
    for _ in 0..fields.varint()? {
        let chunk = ChunkRow {
            first,
            members: fields.varint32()?,
            offset: *offset,
            raw: fields.varint32()?,
            bytes: fields.varint32()?,
            crc: fields.u32()?,
        };
        first = first.checked_add(chunk.members).ok_or(Short)?;
        if chunk.bytes > chunk.raw || chunk.raw as usize > RAW_BYTES_MAX || first > members {
            return Err(Short);
        }
        *offset += u64::from(chunk.bytes);
        chunks.push(chunk);
    }
    match first == members {
        true => Ok(chunks),
        false => Err(Short),
    }
}

/// Of the members of a block: each has three numbers at most.
const MEMBERS_BYTES_MAX: usize = MEMBERS_MAX * 24;

/// Of the index: pages for as many pairs as fit into the memory that blocks are made in.
const INDEX_BYTES_MAX: usize = 8 << 20;

/// Of a block.
const BLOCK_BYTES_MAX: u64 = 1 << 30;
