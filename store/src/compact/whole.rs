//! Blocks of packs that are moved as they are stored: all of their records are needed.
//!
//! To unpack a block and to look at its records costs a sixth of what it costs to pack it anew, and
//! most of the octets of a store lie in messages that fill a block of their own. Such a block goes
//! to the new pack as it is, where that has the same dictionary. A message in pieces has the places
//! of its pieces in it, so it is never in such a block; nor is one that is too short to be kept so.

use super::census::{Census, Fate};
use super::listing::listed;
use super::moving::object_of;
use crate::log::{Place, RecordRef};
use crate::pack::listing::Listed;
use crate::pack::{Dictionary, Unpacked};
use crate::record::{MessageHead, kind};
use std::rc::Rc;

/// A block that will be copied.
pub(super) struct Whole {
    /// The account of its first delivery.
    pub(super) account: u32,
    /// The records by their numbers in the census.
    pub(super) entries: Vec<usize>,
    /// What a list needs of a record, by its number in the block.
    pub(super) listed: Vec<(u32, Listed)>,
}

impl Whole {
    /// The block, if it can be moved as it is.
    pub(super) fn of(unpacked: &Unpacked, census: &Census) -> Option<Whole> {
        if unpacked.len() < BYTES_LEAST {
            return None;
        }
        let mut whole = Whole {
            account: 0,
            entries: Vec::with_capacity(unpacked.count() as usize),
            listed: Vec::new(),
        };
        for ((place, record), number) in unpacked.records().zip(0..) {
            whole.take(place, &record.ok()?, number, census)?;
        }
        Some(whole)
    }

    /// `None` for a record that keeps the block from being moved.
    fn take(
        &mut self,
        place: Place,
        record: &RecordRef<'_>,
        number: u32,
        census: &Census,
    ) -> Option<()> {
        let object = object_of(record.payload).ok()?;
        let (entry, found) = census.at(object, place)?;
        let is_moved_as_it_is = match record.kind {
            kind::MESSAGE => MessageHead::decode(record.payload).ok()?.pieces.is_empty(),
            kind::DELIVER => true,
            _ => false,
        };
        if found.fate != Fate::Live || !is_moved_as_it_is {
            return None;
        }
        if self.account == 0 && record.kind == kind::DELIVER {
            self.account = record.account;
        }
        self.entries.push(entry);
        let listed = listed(record.kind, record.payload, None);
        self.listed.extend(listed.map(|listed| (number, listed)));
        Some(())
    }
}

/// What the packs are made with that are written anew: the dictionary that most of these have, each
/// with its bytes, so that their blocks can be copied. Those count that were long enough to get
/// one.
pub(super) fn common(packs: &[(Dictionary, u64)]) -> Dictionary {
    let is_decided = |(dictionary, bytes): &&(Dictionary, u64)| {
        matches!(dictionary, Dictionary::Given(_)) || *bytes >= DECIDED_BYTES_LEAST
    };
    let decided = packs.iter().filter(is_decided);
    let most = decided.max_by_key(|(dictionary, _)| {
        let alike = packs.iter().filter(|(other, _)| is_same(other, dictionary));
        alike.map(|(_, bytes)| bytes).sum::<u64>()
    });
    most.map_or(Dictionary::Learned, |(dictionary, _)| dictionary.clone())
}

/// Whether blocks of a pack with one can be copied into a pack with the other.
pub(super) fn is_same(one: &Dictionary, other: &Dictionary) -> bool {
    match (one, other) {
        (Dictionary::Given(one), Dictionary::Given(other)) => {
            Rc::ptr_eq(one, other) || one == other
        }
        (Dictionary::Without, Dictionary::Without) => true,
        _ => false,
    }
}

/// Shorter blocks are packed anew, with others, before compression: else they would become more
/// with every task.
const BYTES_LEAST: usize = 16 << 10;

/// Shorter packs have no dictionary, whether it would pay or not, before compression.
const DECIDED_BYTES_LEAST: u64 = 5 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_are_made_with_what_most_of_the_old_ones_have() {
        let given = |octet| Dictionary::Given(Rc::from([octet; 4]));
        let same =
            |packs: &[(Dictionary, u64)], wanted: Dictionary| is_same(&common(packs), &wanted);
        const LONG: u64 = 100 << 20;
        let two = [(given(1), LONG), (given(2), LONG / 2), (given(2), LONG)];
        assert!(same(&two, given(2)));
        assert!(same(
            &[(Dictionary::Without, LONG), (given(1), LONG / 2)],
            Dictionary::Without
        ));
        // Those without one are short.
        assert!(same(
            &[(Dictionary::Without, 1000), (given(1), LONG)],
            given(1)
        ));
        assert!(matches!(
            common(&[(Dictionary::Without, 1000)]),
            Dictionary::Learned
        ));
        assert!(matches!(common(&[]), Dictionary::Learned));
    }
}
