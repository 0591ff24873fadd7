//! Entries of neighbouring keys: what a run holds of them (FORMAT.md, "Memos").
//!
//! A key is written as what it has in common with the one before, and the rest.

use crate::codec::{Fields, Put, Short};
use std::borrow::Cow;

/// What is known of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Entry<'a> {
    /// The memo was removed. Older runs may not know.
    Gone,
    Put {
        expiry_secs: i64,
        value: Cow<'a, [u8]>,
        /// Older runs know nothing of the key.
        is_first: bool,
    },
}

impl Entry<'_> {
    /// Whether nothing of it is in force.
    pub(crate) fn is_over(&self, now: i64) -> bool {
        match self {
            Entry::Gone => true,
            Entry::Put { expiry_secs, .. } => *expiry_secs != 0 && *expiry_secs <= now,
        }
    }

    /// The same, without its octets.
    pub(crate) fn lent(&self) -> Entry<'_> {
        match self {
            Entry::Gone => Entry::Gone,
            Entry::Put {
                expiry_secs,
                value,
                is_first,
            } => Entry::Put {
                expiry_secs: *expiry_secs,
                value: Cow::Borrowed(value),
                is_first: *is_first,
            },
        }
    }

    pub(crate) fn into_owned(self) -> Entry<'static> {
        match self {
            Entry::Gone => Entry::Gone,
            Entry::Put {
                expiry_secs,
                value,
                is_first,
            } => Entry::Put {
                expiry_secs,
                value: Cow::Owned(value.into_owned()),
                is_first,
            },
        }
    }
}

/// A block in the making.
#[derive(Debug, Default)]
pub(super) struct Filling {
    octets: Vec<u8>,
    last: Vec<u8>,
}

impl Filling {
    pub(super) fn len(&self) -> usize {
        self.octets.len()
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// # Panics
    /// When the key does not rise.
    pub(super) fn add(&mut self, key: &[u8], entry: &Entry<'_>) {
        assert!(
            self.octets.is_empty() || self.last.as_slice() < key,
            "keys rise"
        );
        let both = self.last.iter().zip(key);
        let shared = both.take_while(|(a, b)| a == b).count();
        let (_, rest) = key.split_at(shared);
        self.octets.put_varint(shared as u64);
        self.octets.put_counted(rest);
        match entry {
            Entry::Gone => self.octets.put_u8(GONE),
            Entry::Put {
                expiry_secs,
                value,
                is_first,
            } => {
                self.octets.put_u8(if *is_first { FIRST_PUT } else { PUT });
                self.octets.put_varint(expiry_secs.cast_unsigned());
                self.octets.put_counted(value);
            }
        }
        self.last.clear();
        self.last.extend_from_slice(key);
    }

    pub(super) fn clear(&mut self) {
        self.octets.clear();
        self.last.clear();
    }
}

/// Reads a block from its beginning.
#[derive(Clone, Debug)]
pub(super) struct Block<'a> {
    rest: Fields<'a>,
    key: Vec<u8>,
}

impl<'a> Block<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Block<'a> {
        Block {
            rest: Fields::new(octets),
            key: Vec::new(),
        }
    }

    /// The key that [`next`](Self::next) read last.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The next entry; its key is [`key`](Self::key) then.
    pub(super) fn next(&mut self) -> Result<Option<Entry<'a>>, Short> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let shared = usize::try_from(self.rest.varint()?).map_err(|_| Short)?;
        let is_first = self.key.is_empty();
        let behind = self.key.get(shared..).ok_or(Short)?;
        let rest = self.rest.counted()?;
        // Space and key; what is shared is all that is.
        let is_rising = is_first || rest.first() > behind.first();
        if !is_rising || shared + rest.len() > KEY_BYTES_MAX || rest.is_empty() {
            return Err(Short);
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(rest);
        let is_first = match self.rest.u8()? {
            GONE => return Ok(Some(Entry::Gone)),
            PUT => false,
            FIRST_PUT => true,
            _ => return Err(Short),
        };
        let expiry = i64::try_from(self.rest.varint()?).map_err(|_| Short)?;
        Ok(Some(Entry::Put {
            expiry_secs: expiry,
            value: Cow::Borrowed(self.rest.counted()?),
            is_first,
        }))
    }

    /// What the block says of a key.
    pub(super) fn find(mut self, key: &[u8]) -> Result<Option<Entry<'a>>, Short> {
        while let Some(entry) = self.next()? {
            match self.key.as_slice().cmp(key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(Some(entry)),
                std::cmp::Ordering::Greater => break,
            }
        }
        Ok(None)
    }
}

/// Space and key.
const KEY_BYTES_MAX: usize = 1 + crate::limit::MEMO_KEY_BYTES_MAX;

const GONE: u8 = 0;
const PUT: u8 = 1;
const FIRST_PUT: u8 = 2;
