//! The lists of one field of a block, by rising key, in pages of some 8 KiB that are read and
//! checked by themselves.
//!
//! An entry is the distance of its key from the one before (from the page's own first key), how
//! many members have it, and the list behind its length, unless so many have it that it is not
//! written. An entry never goes over the end of its page.

use super::list;
use super::{KEYS, MEMBERS_MAX};
use crate::codec::checksum::plain;
use crate::codec::{Fields, Put, Short};

/// Where a page lies, and from which key on it has lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PageRow {
    pub(super) first: u32,
    /// In the block; not stored, it follows from those before.
    pub(super) offset: u64,
    pub(super) bytes: u32,
    pub(super) crc: u32,
}

/// One list, as it is stored.
pub(super) struct Entry<'a> {
    pub(super) key: u32,
    pub(super) count: usize,
    /// `None`: it is taken that all members are in.
    pub(super) list: Option<&'a [u8]>,
}

/// Writes pages one behind the other.
#[derive(Default)]
pub(super) struct Pages {
    pub(super) rows: Vec<PageRow>,
    open: Vec<u8>,
    first: u32,
    last: u32,
    entry: Vec<u8>,
    list: Vec<u8>,
}

impl Pages {
    /// Adds the list of a key, which is above those before. `out` is the block.
    pub(super) fn add(&mut self, key: u32, members: &[u16], of: usize, out: &mut Vec<u8>) {
        self.entry.clear();
        let is_written = list::is_written(members.len(), of);
        self.entry
            .put_varint(members.len() as u64 * 2 + u64::from(is_written));
        if is_written {
            self.list.clear();
            list::encode(members, of, &mut self.list);
            self.entry.put_counted(&self.list);
        }
        if self.open.len() + self.entry.len() + KEY_BYTES_MAX > PAGE_BYTES {
            self.close(out);
        }
        if self.open.is_empty() {
            (self.first, self.last) = (key, key);
        }
        self.open.put_varint(u64::from(key - self.last));
        self.open.extend_from_slice(&self.entry);
        self.last = key;
    }

    /// Ends the field.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Vec<PageRow> {
        self.close(out);
        self.rows
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.is_empty() {
            return;
        }
        self.rows.push(PageRow {
            first: self.first,
            offset: 0,
            bytes: self.open.len() as u32,
            crc: plain(&self.open),
        });
        out.append(&mut self.open);
    }
}

/// The entries of a page; ends with the first that is not well formed.
pub(super) fn entries<'a>(
    row: &PageRow,
    page: &'a [u8],
) -> impl Iterator<Item = Result<Entry<'a>, Short>> + use<'a> {
    let mut fields = Fields::new(page);
    let (mut key, mut is_over) = (row.first, false);
    std::iter::from_fn(move || {
        if is_over || fields.is_empty() {
            return None;
        }
        let entry = entry(&mut key, &mut fields);
        is_over = entry.is_err();
        Some(entry)
    })
}

fn entry<'a>(key: &mut u32, fields: &mut Fields<'a>) -> Result<Entry<'a>, Short> {
    *key = key.checked_add(fields.varint32()?).ok_or(Short)?;
    let head = fields.varint()?;
    let (count, is_written) = ((head >> 1) as usize, head & 1 == 1);
    if *key as usize >= KEYS || count > MEMBERS_MAX {
        return Err(Short);
    }
    let list = match is_written {
        true => Some(fields.counted()?),
        false => None,
    };
    Ok(Entry {
        key: *key,
        count,
        list,
    })
}

/// A page is closed before it would become longer; the longest list is 4 KiB.
const PAGE_BYTES: usize = 8 << 10;

const KEY_BYTES_MAX: usize = 3;
