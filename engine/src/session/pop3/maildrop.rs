//! The messages of one session, numbered from 1 and frozen from login to the end (RFC 1939 §5).
//!
//! Eight octets a message, and a bit for each mark once there is one: an idle session of a large
//! mailbox holds no more than that.

use crate::wire::pop3::uidl;
use std::collections::BTreeMap;
use store::mail::id::{Uid, UidValidity};
use store::mail::uidset::UidSet;

/// What a session knows of its messages.
#[derive(Debug, Default)]
pub struct Maildrop {
    messages: Vec<Entry>,
    uid_validity: UidValidity,
    /// Unique ids that messages brought along from other servers.
    brought: BTreeMap<Uid, Box<str>>,
    octets: u64,
    deleted: Marks,
    deleted_octets: u64,
    retrieved: Marks,
}

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    pub uid: Uid,
    pub octets: u32,
}

/// Why there is no message of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoMessage {
    Unknown,
    Deleted,
}

/// A set of messages by their place.
#[derive(Debug, Default)]
struct Marks {
    /// Empty until the first.
    words: Vec<u64>,
    count: u32,
}

impl Maildrop {
    /// Messages by rising UIDs, and unique ids of some of them.
    #[must_use]
    pub fn new(
        messages: Vec<Entry>,
        uid_validity: UidValidity,
        brought: BTreeMap<Uid, Box<str>>,
    ) -> Maildrop {
        let octets = messages.iter().map(|entry| u64::from(entry.octets)).sum();
        Maildrop {
            messages,
            uid_validity,
            brought,
            octets,
            ..Maildrop::default()
        }
    }

    /// How many messages are not deleted, and their octets.
    #[must_use]
    pub fn stat(&self) -> (u32, u64) {
        let count = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        let left = count.saturating_sub(self.deleted.count);
        (left, self.octets.saturating_sub(self.deleted_octets))
    }

    pub(super) fn message(&self, number: u32) -> Result<Entry, NoMessage> {
        let place = place(number);
        let entry = self.messages.get(place).ok_or(NoMessage::Unknown)?;
        match self.deleted.has(place) {
            true => Err(NoMessage::Deleted),
            false => Ok(*entry),
        }
    }

    pub(super) fn delete(&mut self, number: u32) -> Result<(), NoMessage> {
        let entry = self.message(number)?;
        self.deleted.set(place(number), self.messages.len());
        self.deleted_octets += u64::from(entry.octets);
        Ok(())
    }

    pub(super) fn retrieved(&mut self, number: u32) {
        self.retrieved.set(place(number), self.messages.len());
    }

    pub(super) fn reset(&mut self) {
        self.deleted = Marks::default();
        self.deleted_octets = 0;
    }

    /// The first number from `from` on whose message is not deleted.
    pub(super) fn next(&self, from: u32) -> Option<(u32, Entry)> {
        let mut rest = self.messages.iter().enumerate().skip(place(from));
        let (at, entry) = rest.find(|(at, _)| !self.deleted.has(*at))?;
        Some((u32::try_from(at).ok()?.checked_add(1)?, *entry))
    }

    pub(super) fn write_uidl(&self, uid: Uid, out: &mut Vec<u8>) {
        match self.brought.get(&uid) {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => uidl::write_own(uid, self.uid_validity, out),
        }
    }

    /// UIDs of deleted messages.
    pub(super) fn deleted_uids(&self) -> UidSet {
        self.marked(|place| self.deleted.has(place))
    }

    /// UIDs of messages that were retrieved, deleted or not.
    pub(super) fn retrieved_uids(&self) -> UidSet {
        self.marked(|place| self.retrieved.has(place))
    }

    fn marked(&self, is_marked: impl Fn(usize) -> bool) -> UidSet {
        let marked = self.messages.iter().enumerate();
        let marked = marked.filter(|(at, _)| is_marked(*at));
        UidSet::from_ascending(marked.map(|(_, entry)| entry.uid))
    }
}

impl Marks {
    fn has(&self, place: usize) -> bool {
        let word = self.words.get(place / 64).copied().unwrap_or(0);
        word >> (place % 64) & 1 == 1
    }

    /// `of`: how many places there are.
    fn set(&mut self, place: usize, of: usize) {
        if self.words.is_empty() {
            self.words = vec![0; of.div_ceil(64)];
        }
        if let Some(word) = self.words.get_mut(place / 64) {
            let bit = 1 << (place % 64);
            self.count += u32::from(*word & bit == 0);
            *word |= bit;
        }
    }
}

/// Number 0, which no command lets through, has none.
fn place(number: u32) -> usize {
    (number as usize).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maildrop(octets: &[u32]) -> Maildrop {
        let entry = |(at, octets): (usize, &u32)| Entry {
            uid: Uid(10 * (at as u32 + 1)),
            octets: *octets,
        };
        let messages = octets.iter().enumerate().map(entry).collect();
        let brought = BTreeMap::from([(Uid(20), "theirs".into())]);
        Maildrop::new(messages, UidValidity(7), brought)
    }

    #[test]
    fn deleted_messages_keep_their_numbers() {
        let mut drop = maildrop(&[100, 200, 300]);
        assert_eq!(drop.stat(), (3, 600));
        drop.delete(2).unwrap();
        assert_eq!(drop.stat(), (2, 400));
        assert_eq!(drop.delete(2), Err(NoMessage::Deleted));
        assert_eq!(drop.message(0).err(), Some(NoMessage::Unknown));
        assert_eq!(drop.message(4).err(), Some(NoMessage::Unknown));
        assert_eq!(drop.next(2).unwrap().0, 3);
        assert_eq!(drop.next(4), None);
        drop.retrieved(2);
        drop.retrieved(3);
        assert_eq!(drop.deleted_uids(), UidSet::from_ascending([Uid(20)]));
        assert_eq!(drop.retrieved_uids().len(), 2);
        drop.reset();
        assert_eq!(drop.stat(), (3, 600));
        assert!(drop.deleted_uids().is_empty());
    }

    #[test]
    fn ids_that_were_brought_along_go_before_our_own() {
        let drop = maildrop(&[1, 1]);
        let mut out = Vec::new();
        drop.write_uidl(Uid(20), &mut out);
        drop.write_uidl(Uid(10), &mut out);
        assert_eq!(out, b"theirs0000000a00000007");
    }
}
