//! The queue id: the short name of one message in logs, headers and replies.
//!
//! Shard and object in one number (`object · 256 + shard`), in base 32 with the digits of
//! Crockford, lower case: no `i`, `l`, `o` or `u` that would be misread. At least 8 signs; objects
//! are never used again, so neither are ids of one store.

use std::fmt;
use std::str::FromStr;
use store::mail::id::{ObjectId, ShardId};

const _: () = assert!(store::limit::SHARDS_MAX <= 1 << SHARD_BITS);

/// A message of one shard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct QueueId {
    pub shard: ShardId,
    pub object: ObjectId,
}

/// The text is no queue id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAQueueId;

/// The name of `object` of `shard`.
#[must_use]
pub fn queue_id(shard: ShardId, object: ObjectId) -> QueueId {
    QueueId { shard, object }
}

const SHARD_BITS: u32 = 8;
const SIGNS_MIN: usize = 8;
/// 72 bits, five to a sign.
const SIGNS_MAX: usize = 15;
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = u128::from(self.object.0) << SHARD_BITS | u128::from(self.shard.0);
        let mut text = [b'0'; SIGNS_MAX];
        let mut rest = number;
        for sign in text.iter_mut().rev() {
            let digit = DIGITS.get((rest % 32) as usize);
            *sign = *digit.expect("a rest of 32 is below 32");
            rest /= 32;
        }
        let first = text.iter().position(|sign| *sign != b'0');
        let start = first.unwrap_or(SIGNS_MAX).min(SIGNS_MAX - SIGNS_MIN);
        let shown = text.get(start..).unwrap_or_default();
        f.write_str(std::str::from_utf8(shown).expect("digits are ASCII"))
    }
}

/// Reads either case; only the form that [`QueueId`] writes is taken.
impl FromStr for QueueId {
    type Err = NotAQueueId;

    fn from_str(text: &str) -> Result<QueueId, NotAQueueId> {
        if !(SIGNS_MIN..=SIGNS_MAX).contains(&text.len()) {
            return Err(NotAQueueId);
        }
        let mut number: u128 = 0;
        for sign in text.bytes() {
            let digit = DIGITS.iter().position(|d| *d == sign.to_ascii_lowercase());
            number = number << 5 | digit.ok_or(NotAQueueId)? as u128;
        }
        let shard = number as u16 & ((1 << SHARD_BITS) - 1);
        let object = u64::try_from(number >> SHARD_BITS).map_err(|_| NotAQueueId)?;
        let id = queue_id(ShardId(shard), ObjectId(object));
        // Leading zeros beyond the least length would be a second name of one message.
        match id.to_string().eq_ignore_ascii_case(text) {
            true => Ok(id),
            false => Err(NotAQueueId),
        }
    }
}

impl fmt::Display for NotAQueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a queue id of 8 to 15 digits and letters")
    }
}

impl std::error::Error for NotAQueueId {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_are_short() {
        assert_eq!(queue_id(ShardId(0), ObjectId(1)).to_string(), "00000080");
        assert_eq!(
            queue_id(ShardId(3), ObjectId(1_000_000)).to_string(),
            "007m4g03"
        );
        let last = queue_id(ShardId(255), ObjectId(u64::MAX));
        assert_eq!(last.to_string(), "3zzzzzzzzzzzzzz");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "0000080",
            "0000008i",
            "000000080",
            "zzzzzzzzzzzzzzz",
            "0000008\u{e9}",
        ] {
            assert_eq!(text.parse::<QueueId>(), Err(NotAQueueId), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_leads_back(shard in 0u16..256, object in any::<u64>()) {
            let id = queue_id(ShardId(shard), ObjectId(object));
            let text = id.to_string();
            prop_assert_eq!(text.parse(), Ok(id));
            prop_assert_eq!(text.to_uppercase().parse(), Ok(id));
        }

        #[test]
        fn one_message_has_one_id(text in "[0-9a-z]{7,16}") {
            if let Ok(id) = text.parse::<QueueId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
