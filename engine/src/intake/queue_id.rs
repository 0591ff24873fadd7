//! Queue ids: one for each transaction, unique on this host, rising, and short as text.

use std::cell::Cell;
use store::mail::id::QueueId;

/// Gives out the queue ids of one shard: microseconds since 1970 above eight bits of shard.
pub struct QueueIds {
    shard: u8,
    last_micros: Cell<u64>,
}

impl QueueIds {
    pub fn new(shard: u8) -> QueueIds {
        QueueIds {
            shard,
            last_micros: Cell::new(0),
        }
    }

    /// The next id; never one that was given out before, even where the clock stands still.
    pub fn next(&self, unix_micros: u64) -> QueueId {
        let micros = unix_micros.max(self.last_micros.get() + 1);
        self.last_micros.set(micros);
        QueueId(micros << SHARD_BITS | u64::from(self.shard))
    }

    /// The first of `count` ids that follow each other, a microsecond apart.
    pub fn reserve(&self, unix_micros: u64, count: usize) -> QueueId {
        let first = self.next(unix_micros);
        let last = self.last_micros.get();
        self.last_micros
            .set(last + (count as u64).saturating_sub(1));
        first
    }
}

/// When an id was given out, in seconds since 1970.
pub fn secs(id: QueueId) -> u64 {
    (id.0 >> SHARD_BITS) / 1_000_000
}

/// The id that somebody copied from a log, a reply or a Received field; `None`: it is none. Letters
/// that are not used stand for the digits that they look like, as Crockford has it.
#[must_use]
pub fn parse(text: &str) -> Option<QueueId> {
    if text.len() != 12 {
        return None;
    }
    let id = text.bytes().try_fold(0u64, |id, letter| {
        let digit = match letter.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        };
        let value = ALPHABET.iter().position(|known| *known == digit)?;
        Some(id << 5 | value as u64)
    });
    id.map(QueueId)
}

/// The id as logs, replies and Received show it: 12 letters and digits that are not mistaken for
/// one another.
pub fn text(id: QueueId) -> String {
    let digit = |at: u32| ALPHABET.get((id.0 >> (5 * at) & 31) as usize).copied();
    let mut text = String::with_capacity(12);
    text.extend((0..12).rev().filter_map(digit).map(char::from));
    text
}

/// When the id was given out, in milliseconds since 1970.
#[must_use]
pub fn given_millis(id: QueueId) -> u64 {
    (id.0 >> SHARD_BITS) / 1_000
}

/// What of an id names its shard.
pub const SHARD_BITS: u32 = 8;

/// Crockford's base 32.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_and_name_their_shard() {
        let ids = QueueIds::new(7);
        let (first, second) = (ids.next(1_000), ids.next(1_000));
        assert!(second > first);
        assert_eq!(first.0 & 0xff, 7);
        assert_eq!(text(first).len(), 12);
        assert_ne!(text(first), text(second));
        assert_eq!(parse(&text(first)), Some(first));
        assert_eq!(parse("0123456789U?"), None);
        let block = ids.reserve(5_000_000, 3);
        assert_eq!((secs(block), block.0 >> SHARD_BITS), (5, 5_000_000));
        assert_eq!(ids.next(0).0 >> SHARD_BITS, 5_000_003);
    }

    #[test]
    fn a_text_is_read_again_in_any_case() {
        let id = QueueIds::new(3).next(1_795_333_261_000_000);
        let shown = text(id);
        assert_eq!(parse(&shown), Some(id));
        assert_eq!(
            parse(&shown.to_lowercase().replace('0', "o").replace('1', "l")),
            Some(id)
        );
        assert_eq!(given_millis(id), 1_795_333_261_000);
        for wrong in ["", "0", "UUUUUUUUUUUU", "0123456789ab\u{301}", "0.17"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
