//! Fields of a record payload ↔ values: little-endian, and short input is an error.

use super::Broken;
use crate::mail::id::Uid;
use crate::mail::uidset::UidSet;

/// Reads fields one after the other.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Reader<'a> {
        Reader { rest: payload }
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let (head, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Broken("a field is cut off"))?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let (head, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(Broken("a field is cut off"))?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Broken> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Broken> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Broken> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Broken> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn i16(&mut self) -> Result<i16, Broken> {
        Ok(i16::from_le_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, Broken> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A run of octets behind its length in 32 bits.
    pub(super) fn blob(&mut self) -> Result<&'a [u8], Broken> {
        let count = self.u32()? as usize;
        self.bytes(count)
    }

    pub(super) fn text(&mut self) -> Result<String, Broken> {
        let octets = self.blob()?;
        std::str::from_utf8(octets)
            .map(str::to_owned)
            .map_err(|_| Broken("text is not UTF-8"))
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<String>, Broken> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.text().map(Some),
            _ => Err(Broken("an option is neither 0 nor 1")),
        }
    }

    /// A LEB128 number of at most 32 bits.
    fn varint(&mut self) -> Result<u32, Broken> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Broken("a varint is too large"));
            }
        }
        Err(Broken("a varint is too long"))
    }

    /// Ranges as (gap to the last range's end, length − 1), ascending.
    pub(super) fn uids(&mut self) -> Result<UidSet, Broken> {
        let count = self.u32()?;
        let mut set = UidSet::new();
        let mut end = 0u32;
        for _ in 0..count {
            let first = end
                .checked_add(self.varint()?)
                .ok_or(Broken("UIDs overflow"))?;
            let last = first
                .checked_add(self.varint()?)
                .ok_or(Broken("UIDs overflow"))?;
            if first == 0 || first < end {
                return Err(Broken("UIDs do not ascend"));
            }
            set.push_range(first, last);
            end = last;
        }
        Ok(set)
    }

    /// Whatever is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(super) fn end(&self) -> Result<(), Broken> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Broken("octets behind the last field"))
        }
    }
}

/// Writes what [`Reader`] reads.
pub(super) trait Write {
    fn put(&mut self, octets: &[u8]);

    fn u8(&mut self, value: u8) {
        self.put(&value.to_le_bytes());
    }

    fn u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    fn i16(&mut self, value: i16) {
        self.put(&value.to_le_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.put(&value.to_le_bytes());
    }

    fn blob(&mut self, octets: &[u8]) {
        self.u32(u32::try_from(octets.len()).expect("a field is shorter than a record"));
        self.put(octets);
    }

    fn text(&mut self, text: &str) {
        self.blob(text.as_bytes());
    }

    fn optional_text(&mut self, text: Option<&str>) {
        self.u8(u8::from(text.is_some()));
        if let Some(text) = text {
            self.text(text);
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8);
    }

    fn uids(&mut self, set: &UidSet) {
        self.u32(u32::try_from(set.ranges().len()).expect("UIDs have 32 bits"));
        let mut end = 0;
        for &(first, last) in set.ranges() {
            self.varint(first - end);
            self.varint(last - first);
            end = last;
        }
    }

    fn uid(&mut self, uid: Uid) {
        self.u32(uid.0);
    }
}

impl Write for Vec<u8> {
    fn put(&mut self, octets: &[u8]) {
        self.extend_from_slice(octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn uids_come_back(ranges in prop::collection::vec((1u32.., 0u32..1000), 0..50)) {
            let set = UidSet::from_ranges(
                ranges.into_iter().map(|(first, more)| (first, first.saturating_add(more))));
            let mut octets = Vec::new();
            octets.uids(&set);
            let mut reader = Reader::new(&octets);
            prop_assert_eq!(reader.uids().unwrap(), set);
            reader.end().unwrap();
        }

        #[test]
        fn garbage_is_an_error_and_no_panic(octets in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Reader::new(&octets).uids();
            let _ = Reader::new(&octets).optional_text();
        }
    }
}
