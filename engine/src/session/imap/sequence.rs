//! From what a client names messages by to UIDs of its view (RFC 9051 §4.1, §6.4.9, RFC 5182).
//!
//! Every UID that comes out is in the view, so a session never touches a message that it has not
//! told its client of.

use super::mailstore::Picture;
use crate::wire::imap::command::{SequenceNumber, SequenceSet};
use crate::wire::imap::find::Partial;
use crate::wire::imap::set;
use std::ops::Range;
use store::mail::id::Uid;
use store::mail::uidset::UidSet;

/// A sequence number that no message has: the command is answered BAD (RFC 9051 §9, seq-number).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OutOfRange;

/// The UIDs that a set of sequence numbers means, or with `uid` a set of UIDs. UIDs that do not
/// exist mean nothing; sequence numbers that do not exist are the client's mistake.
pub(super) fn messages(
    view: &impl Picture,
    set: &SequenceSet,
    uid: bool,
    saved: &UidSet,
) -> Result<UidSet, OutOfRange> {
    let SequenceSet::Ranges(ranges) = set else {
        return Ok(still_there(view, saved));
    };
    if uid {
        return Ok(by_uid(view, ranges));
    }
    let exists = view.exists();
    let wrong = |number: &SequenceNumber| match number {
        SequenceNumber::Number(number) => *number > exists,
        SequenceNumber::Star => exists == 0,
    };
    if ranges
        .iter()
        .any(|(first, last)| wrong(first) || wrong(last))
    {
        return Err(OutOfRange);
    }
    Ok(by_sequence(view, ranges))
}

/// As [`messages`], but numbers that do not exist match nothing: a SEARCH key asks, it does not
/// point (RFC 9051 §6.4.4).
pub(super) fn matching(
    view: &impl Picture,
    set: &SequenceSet,
    uid: bool,
    saved: &UidSet,
) -> UidSet {
    match set {
        SequenceSet::Saved => still_there(view, saved),
        SequenceSet::Ranges(ranges) if uid => by_uid(view, ranges),
        SequenceSet::Ranges(ranges) => by_sequence(view, ranges),
    }
}

/// The sequence numbers of UIDs, as a set of numbers.
pub(super) fn numbers(view: &impl Picture, uids: &UidSet) -> UidSet {
    let mut numbers = Numbers::of(view);
    let numbers = uids.iter().filter_map(|uid| numbers.next(uid));
    UidSet::from_ascending(numbers.map(Uid))
}

/// Sequence numbers of UIDs that ascend: neighbours cost nothing, a gap one search.
pub(super) struct Numbers<'a> {
    /// The UIDs that were not passed yet.
    rest: &'a [u32],
    passed: u32,
}

impl<'a> Numbers<'a> {
    pub(super) fn of(view: &'a impl Picture) -> Numbers<'a> {
        Numbers {
            rest: view.uids(),
            passed: 0,
        }
    }

    /// The number of a UID, which is above those asked for before; `None`: not in the view.
    pub(super) fn next(&mut self, uid: Uid) -> Option<u32> {
        if self.rest.first() != Some(&uid.0) {
            let below = self.rest.partition_point(|known| *known < uid.0);
            self.pass(below);
        }
        let found = self.rest.first() == Some(&uid.0);
        self.pass(usize::from(found));
        found.then_some(self.passed)
    }

    fn pass(&mut self, uids: usize) {
        self.rest = self.rest.get(uids..).unwrap_or_default();
        self.passed += uids as u32;
    }
}

/// The messages at the places that PARTIAL names (RFC 9394 §3.1).
pub(super) fn part(uids: &UidSet, partial: Partial) -> UidSet {
    let places = partial.places(usize::try_from(uids.len()).unwrap_or(usize::MAX));
    places_of(uids, places)
}

/// The UIDs at these places, from 0.
fn places_of(uids: &UidSet, places: Range<usize>) -> UidSet {
    let (mut passed, mut part) = (0, UidSet::new());
    for (first, last) in uids.ranges() {
        let count = (last - first) as usize + 1;
        let from = places.start.saturating_sub(passed);
        let end = places.end.saturating_sub(passed).min(count);
        if from < end {
            // Both are places in this range.
            part.push_range(first + from as u32, first + end as u32 - 1);
        }
        passed += count;
    }
    part
}

/// A set in pieces of at most `most` UIDs, ascending.
pub(super) fn turns(uids: &UidSet, most: u32) -> impl Iterator<Item = UidSet> {
    let mut ranges = uids.ranges().iter().copied();
    let mut rest = ranges.next();
    std::iter::from_fn(move || {
        let mut turn = UidSet::new();
        let mut room = most;
        while let Some((first, last)) = rest.filter(|_| room > 0) {
            let end = last.min(first.saturating_add(room - 1));
            turn.push_range(first, end);
            room -= end - first + 1;
            rest = if end < last {
                Some((end + 1, last))
            } else {
                ranges.next()
            };
        }
        (!turn.is_empty()).then_some(turn)
    })
}

type Ranges = [(SequenceNumber, SequenceNumber)];

fn by_uid(view: &impl Picture, ranges: &Ranges) -> UidSet {
    let largest = view.uids().last().copied().unwrap_or(0);
    let wanted = set::resolve(ranges, largest);
    within(view, &wanted)
}

fn by_sequence(view: &impl Picture, ranges: &Ranges) -> UidSet {
    let numbers = set::resolve(ranges, view.exists());
    let of = |number: &(u32, u32)| {
        let (first, last) = (number.0.checked_sub(1)? as usize, number.1 as usize);
        view.uids().get(first..last.min(view.uids().len()))
    };
    let uids = numbers.ranges().iter().filter_map(of).flatten();
    UidSet::from_ascending(uids.copied().map(Uid))
}

fn still_there(view: &impl Picture, saved: &UidSet) -> UidSet {
    within(view, saved)
}

/// What of `wanted` is in the view.
fn within(view: &impl Picture, wanted: &UidSet) -> UidSet {
    let uids = view.uids();
    let found = wanted.ranges().iter().filter_map(|(first, last)| {
        let from = uids.partition_point(|uid| uid < first);
        let to = uids.partition_point(|uid| uid <= last);
        uids.get(from..to)
    });
    UidSet::from_ascending(found.flatten().copied().map(Uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_from_either_end() {
        let uids = UidSet::from_ranges([(1, 4), (7, 7), (10, 15)]);
        let of = |from_last, first, last| Partial {
            from_last,
            first,
            last,
        };
        let part = |partial| super::part(&uids, partial).ranges().to_vec();
        assert_eq!(part(of(false, 1, 2)), [(1, 2)]);
        assert_eq!(part(of(false, 4, 7)), [(4, 4), (7, 7), (10, 11)]);
        assert_eq!(part(of(false, 10, 100)), [(14, 15)]);
        assert_eq!(part(of(false, 12, 100)), []);
        assert_eq!(part(of(true, 1, 1)), [(15, 15)]);
        assert_eq!(part(of(true, 2, 7)), [(7, 7), (10, 14)]);
        assert_eq!(part(of(true, 11, 11)), [(1, 1)]);
        assert_eq!(part(of(true, 12, u32::MAX)), []);
        assert_eq!(super::part(&UidSet::new(), of(true, 1, 9)), UidSet::new());
    }

    #[test]
    fn turns_are_full_and_lose_nothing() {
        let uids = UidSet::from_ranges([(1, 4), (7, 7), (10, 15), (u32::MAX - 1, u32::MAX)]);
        for most in 1..20 {
            let turns: Vec<UidSet> = turns(&uids, most).collect();
            let (last, full) = turns.split_last().unwrap();
            assert!(full.iter().all(|turn| turn.len() == u64::from(most)));
            assert!((1..=u64::from(most)).contains(&last.len()));
            let together = turns.iter().flat_map(|turn| turn.ranges().iter().copied());
            assert_eq!(UidSet::from_ranges(together), uids);
        }
        assert_eq!(super::turns(&UidSet::new(), 3).count(), 0);
    }
}
