//! A listing block as it is before compression: entries one behind the other.

use super::{BLOCK_RAW_BYTES, Listed};
use crate::codec::{Fields, Put, Short};
use crate::mail::id::ObjectId;
use crate::pack::compressor::Lesson;

/// A block that is being filled.
#[derive(Default)]
pub(super) struct RawBlock {
    bytes: Vec<u8>,
    /// Where each entry ends.
    ends: Vec<usize>,
    pub(super) first: u32,
    last: u32,
}

impl RawBlock {
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn entries(&self) -> usize {
        self.ends.len()
    }

    /// Whether an entry with so many octets of fields can be added; to an empty block it always
    /// can.
    pub(super) fn has_room(&self, fields: usize) -> bool {
        self.is_empty() || self.bytes.len() + fields + HEAD_BYTES_MAX <= BLOCK_RAW_BYTES
    }

    /// Adds the entry of the record at `key`.
    ///
    /// # Panics
    /// When keys do not rise: a pack gives them out in the order of its records.
    pub(super) fn add(&mut self, key: u32, listed: &Listed) {
        if self.is_empty() {
            (self.first, self.last) = (key, key);
        } else {
            assert!(self.last < key);
        }
        let back = listed.message.map_or(0, |message| {
            let back = listed.object.0.checked_sub(message.0);
            back.expect("objects are numbered in the order of the log, and its MESSAGE is before")
        });
        self.bytes.put_varint(u64::from(key - self.last));
        self.bytes.put_varint(listed.object.0);
        self.bytes.put_varint(back);
        self.bytes.put_counted(&listed.fields);
        self.ends.push(self.bytes.len());
        self.last = key;
    }
}

impl Lesson for RawBlock {
    const DICTIONARY_BYTES: usize = super::DICTIONARY_BYTES_MAX;

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn samples(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let entries = starts.zip(&self.ends);
        entries.filter_map(|(start, end)| self.bytes.get(start..*end))
    }
}

/// The entries of a block whose first has the key `first`; ends with the first that is not well
/// formed.
pub(super) fn entries(
    first: u32,
    bytes: &[u8],
) -> impl Iterator<Item = Result<(u32, Listed), Short>> {
    let mut fields = Fields::new(bytes);
    let (mut key, mut is_over) = (first, false);
    std::iter::from_fn(move || {
        if is_over || fields.is_empty() {
            return None;
        }
        let entry = entry(&mut key, &mut fields);
        is_over = entry.is_err();
        Some(entry.map(|listed| (key, listed)))
    })
}

fn entry(key: &mut u32, fields: &mut Fields<'_>) -> Result<Listed, Short> {
    *key = key.checked_add(fields.varint32()?).ok_or(Short)?;
    let (object, back) = (fields.varint()?, fields.varint()?);
    let message = object.checked_sub(back).ok_or(Short)?;
    Ok(Listed {
        object: ObjectId(object),
        message: (back > 0).then_some(ObjectId(message)),
        fields: fields.counted()?.to_vec(),
    })
}

/// Of an entry before its fields, in bytes: 32, 64, 64 and 14 bits in groups of seven.
const HEAD_BYTES_MAX: usize = 5 + 10 + 10 + 2;

const _: () = assert!(super::fields::KEPT_BYTES_MAX < 1 << 14);
const _: () = assert!(super::fields::KEPT_BYTES_MAX + HEAD_BYTES_MAX <= BLOCK_RAW_BYTES);
