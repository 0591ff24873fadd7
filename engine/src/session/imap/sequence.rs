//! From what a client names messages by to UIDs of its view (RFC 9051 §4.1, §6.4.9, RFC 5182).
//!
//! Every UID that comes out is in the view, so a session never touches a message that it has not
//! told its client of.

use super::mailstore::Picture;
use crate::wire::imap::command::{SequenceNumber, SequenceSet};
use crate::wire::imap::set;
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
    let numbers = uids.iter().filter_map(|uid| view.sequence(uid));
    UidSet::from_ascending(numbers.map(Uid))
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
