//! Bytes ↔ fields, little-endian, bounded.
//!
//! Reading never panics and never allocates: [`Fields`] answers [`Short`] where the input ends too
//! early or a number is not in its one shortest form. Writing goes through [`Put`], to a growing
//! `Vec` or into a [`Fill`] of fixed length.

pub mod checksum;
pub mod size;

use std::fmt;

/// The input ended before the field, or went on behind the last, or the field is not well formed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Short;

/// Reads fields from the front of a slice.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(input: &'a [u8]) -> Fields<'a> {
        Fields { rest: input }
    }

    pub fn u8(&mut self) -> Result<u8, Short> {
        self.array().map(u8::from_le_bytes)
    }

    pub fn i8(&mut self) -> Result<i8, Short> {
        self.array().map(i8::from_le_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, Short> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Short> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Short> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn i16(&mut self) -> Result<i16, Short> {
        self.array().map(i16::from_le_bytes)
    }

    pub fn i64(&mut self) -> Result<i64, Short> {
        self.array().map(i64::from_le_bytes)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Short)?;
        self.rest = rest;
        Ok(*head)
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Short> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(Short)?;
        self.rest = rest;
        Ok(head)
    }

    /// An unsigned number in groups of seven bits, lowest first (LEB128). Only the shortest form is
    /// taken, so that a value has one encoding.
    pub fn varint(&mut self) -> Result<u64, Short> {
        let mut value = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.u8()?;
            let group = u64::from(byte & 0x7f);
            if (group << shift) >> shift != group || (byte == 0 && shift > 0) {
                return Err(Short);
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Short)
    }

    /// A varint of at most 32 bits.
    pub fn varint32(&mut self) -> Result<u32, Short> {
        u32::try_from(self.varint()?).map_err(|_| Short)
    }

    /// A run of bytes behind its length as a varint.
    pub fn counted(&mut self) -> Result<&'a [u8], Short> {
        let count = usize::try_from(self.varint()?).map_err(|_| Short)?;
        self.bytes(count)
    }

    /// A run of bytes behind its length in 32 bits.
    pub fn blob(&mut self) -> Result<&'a [u8], Short> {
        let count = self.u32()? as usize;
        self.bytes(count)
    }

    /// A blob of UTF-8.
    pub fn text(&mut self) -> Result<String, Short> {
        let text = std::str::from_utf8(self.blob()?);
        text.map(str::to_owned).map_err(|_| Short)
    }

    pub fn optional_text(&mut self) -> Result<Option<String>, Short> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.text().map(Some),
            _ => Err(Short),
        }
    }

    /// Everything is read.
    pub fn end(&self) -> Result<(), Short> {
        if self.is_empty() { Ok(()) } else { Err(Short) }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Takes fields one behind the other.
pub trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&value.to_le_bytes());
    }

    fn put_i8(&mut self, value: i8) {
        self.put(&value.to_le_bytes());
    }

    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    fn put_i16(&mut self, value: i16) {
        self.put(&value.to_le_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.put(&value.to_le_bytes());
    }

    /// The counterpart of [`Fields::blob`].
    fn put_blob(&mut self, bytes: &[u8]) {
        self.put_u32(u32::try_from(bytes.len()).expect("a field is shorter than a record"));
        self.put(bytes);
    }

    fn put_text(&mut self, text: &str) {
        self.put_blob(text.as_bytes());
    }

    fn put_optional_text(&mut self, text: Option<&str>) {
        self.put_u8(u8::from(text.is_some()));
        if let Some(text) = text {
            self.put_text(text);
        }
    }

    /// The counterpart of [`Fields::varint`]: at most ten bytes.
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put_u8(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.put_u8(value.to_le_bytes()[0]);
    }

    /// The counterpart of [`Fields::counted`].
    fn put_counted(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.put(bytes);
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Fills a run of bytes of fixed length from its front.
pub struct Fill<'a> {
    rest: &'a mut [u8],
}

impl<'a> Fill<'a> {
    pub fn new(target: &'a mut [u8]) -> Fill<'a> {
        Fill { rest: target }
    }
}

impl Put for Fill<'_> {
    /// # Panics
    /// When the target is too short: its length is the writer's own layout, never outside data.
    fn put(&mut self, bytes: &[u8]) {
        let (head, rest) = std::mem::take(&mut self.rest)
            .split_at_mut_checked(bytes.len())
            .expect("the layout fits its fixed length");
        head.copy_from_slice(bytes);
        self.rest = rest;
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes end before the field")
    }
}

impl std::error::Error for Short {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varint_has_one_encoding(value: u64) {
            let mut out = Vec::new();
            out.put_varint(value);
            let mut fields = Fields::new(&out);
            prop_assert_eq!(fields.varint(), Ok(value));
            prop_assert!(fields.is_empty());
        }

        #[test]
        fn any_bytes_that_read_as_a_varint_are_its_encoding(bytes: Vec<u8>) {
            let mut fields = Fields::new(&bytes);
            if let Ok(value) = fields.varint() {
                let mut out = Vec::new();
                out.put_varint(value);
                prop_assert_eq!(&bytes[..bytes.len() - fields.rest().len()], &out[..]);
            }
        }

        #[test]
        fn texts_come_back(text: String, optional: Option<String>, a: i16, b: i64) {
            let mut out = Vec::new();
            out.put_text(&text);
            out.put_optional_text(optional.as_deref());
            out.put_i16(a);
            out.put_i64(b);
            let mut fields = Fields::new(&out);
            prop_assert_eq!(fields.text(), Ok(text));
            prop_assert_eq!(fields.optional_text(), Ok(optional));
            prop_assert_eq!(fields.i16(), Ok(a));
            prop_assert_eq!(fields.end(), Err(Short));
            prop_assert_eq!(fields.i64(), Ok(b));
            prop_assert_eq!(fields.end(), Ok(()));
        }

        #[test]
        fn any_bytes_are_a_text_or_an_error(bytes: Vec<u8>) {
            let _ = Fields::new(&bytes).text();
            let _ = Fields::new(&bytes).optional_text();
        }

        #[test]
        fn fields_come_back(a: u8, b: u16, c: u32, d: u64, tail: Vec<u8>) {
            let mut out = Vec::new();
            out.put_u8(a);
            out.put_u16(b);
            out.put_u32(c);
            out.put_u64(d);
            out.put_counted(&tail);
            let mut fields = Fields::new(&out);
            prop_assert_eq!(fields.u8(), Ok(a));
            prop_assert_eq!(fields.u16(), Ok(b));
            prop_assert_eq!(fields.u32(), Ok(c));
            prop_assert_eq!(fields.u64(), Ok(d));
            prop_assert_eq!(fields.counted(), Ok(&tail[..]));
            for cut in 0..out.len() {
                let mut fields = Fields::new(&out[..cut]);
                let whole = fields.u8().and(fields.u16()).and(fields.u32()).and(fields.u64())
                    .and(fields.counted());
                prop_assert_eq!(whole, Err(Short));
            }
        }
    }

    #[test]
    fn overlong_and_overflowing_varints_are_refused() {
        for bytes in [
            &[0x80, 0x00][..],
            &[0xff; 10],
            &[0xff; 11],
            &[0x80; 12],
            &[],
        ] {
            assert_eq!(Fields::new(bytes).varint(), Err(Short), "{bytes:x?}");
        }
    }

    #[test]
    fn a_count_beyond_the_input_is_short() {
        let mut out = Vec::new();
        out.put_varint(u64::MAX);
        assert_eq!(Fields::new(&out).counted(), Err(Short));
    }
}
