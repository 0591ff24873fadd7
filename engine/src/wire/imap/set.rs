//! Sequence sets: reading a client's, resolving `*`, writing our own (RFC 9051 §9, sequence-set).

use store::mail::id::Uid;
use store::mail::uidset::UidSet;

use super::command::{SequenceNumber, SequenceSet};
use super::fault::{Fault, Parse};
use super::limit::SET_RANGES_MAX;
use super::response::number;
use super::token::Cursor;

pub(super) fn sequence_set(cursor: &mut Cursor<'_>) -> Parse<SequenceSet> {
    if cursor.eat(b'$') {
        return Ok(SequenceSet::Saved);
    }
    let mut ranges = Vec::new();
    loop {
        if ranges.len() == SET_RANGES_MAX {
            return Err(Fault::TooMany("Too many ranges in a sequence set"));
        }
        let first = sequence_number(cursor)?;
        let last = match cursor.eat(b':') {
            true => sequence_number(cursor)?,
            false => first,
        };
        ranges.push((first, last));
        if !cursor.eat(b',') {
            return Ok(SequenceSet::Ranges(ranges));
        }
    }
}

fn sequence_number(cursor: &mut Cursor<'_>) -> Parse<SequenceNumber> {
    if cursor.eat(b'*') {
        return Ok(SequenceNumber::Star);
    }
    cursor.nz_number().map(SequenceNumber::Number)
}

/// The numbers that ranges stand for when `largest` is the largest in use; `*` of an empty mailbox
/// stands for nothing. Ranges may run backwards (RFC 9051 §9, seq-range).
#[must_use]
pub fn resolve(ranges: &[(SequenceNumber, SequenceNumber)], largest: u32) -> UidSet {
    let number = |n| match n {
        SequenceNumber::Number(n) => n,
        SequenceNumber::Star => largest,
    };
    let pairs = ranges.iter().map(|(a, b)| (number(*a), number(*b)));
    UidSet::from_ranges(pairs.filter(|(a, b)| *a != 0 && *b != 0))
}

/// `1:3,5,7:9`. An empty set has no form on the wire and writes nothing.
pub fn write_set(out: &mut Vec<u8>, set: &UidSet) {
    for (at, (first, last)) in set.ranges().iter().enumerate() {
        if at != 0 {
            out.push(b',');
        }
        number(out, u64::from(*first));
        if last != first {
            out.push(b':');
            number(out, u64::from(*last));
        }
    }
}

/// Ascending sequence numbers or UIDs as a set; equal neighbours count once.
#[must_use]
pub fn compress(ascending: impl IntoIterator<Item = u32>) -> UidSet {
    UidSet::from_ascending(ascending.into_iter().map(Uid))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Option<SequenceSet> {
        let mut cursor = Cursor::new(text.as_bytes(), false);
        let set = sequence_set(&mut cursor).ok()?;
        cursor.is_at_end().then_some(set)
    }

    fn resolved(text: &str, largest: u32) -> Vec<(u32, u32)> {
        match parse(text).unwrap() {
            SequenceSet::Ranges(ranges) => resolve(&ranges, largest).ranges().to_vec(),
            SequenceSet::Saved => panic!("{text} is no set of numbers"),
        }
    }

    #[test]
    fn stars_and_backward_ranges() {
        // RFC 9051 §9, seq-range and sequence-set.
        assert_eq!(resolved("2:4", 9), [(2, 4)]);
        assert_eq!(resolved("4:2", 9), [(2, 4)]);
        assert_eq!(
            resolved("2,4:7,9,12:*", 15),
            [(2, 2), (4, 7), (9, 9), (12, 15)]
        );
        assert_eq!(resolved("*:4,5:7", 10), [(4, 10)]);
        assert_eq!(resolved("3291:*", 500), [(500, 3291)]);
        assert_eq!(resolved("*", 0), []);
        assert_eq!(resolved("*:*", 3), [(3, 3)]);
        assert_eq!(parse("$"), Some(SequenceSet::Saved));
    }

    #[test]
    fn refuses_what_is_no_set() {
        for text in [
            "",
            "0",
            "1:0",
            "1,",
            ",1",
            "1:",
            ":1",
            "1::2",
            "a",
            "4294967296",
            "-1",
            "$,1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn ranges_are_bounded() {
        let long = vec!["1"; SET_RANGES_MAX].join(",");
        assert!(parse(&long).is_some());
        assert!(parse(&format!("{long},1")).is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(uids in proptest::collection::vec(1u32.., 1..60)) {
            let set = UidSet::from_ranges(uids.iter().map(|u| (*u, u.saturating_add(2))));
            let mut wire = Vec::new();
            write_set(&mut wire, &set);
            let text = String::from_utf8(wire).unwrap();
            prop_assert_eq!(resolved(&text, 7), set.ranges().to_vec());
        }
    }
}
