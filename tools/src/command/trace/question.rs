//! What is asked for: a queue id, a Message-ID, an address, or a recipient of the queue.

use engine::intake::queue_id;
use std::str::FromStr;
use store::mail::address::Address;
use store::mail::id::{ItemId, QueueId};

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Question {
    Queue(QueueId),
    /// `SHARD.NUMBER`.
    Item(u16, ItemId),
    /// A Message-ID without its angle brackets, or an address of the envelope: both have an @.
    Name(String),
}

impl FromStr for Question {
    type Err = String;

    fn from_str(text: &str) -> Result<Question, String> {
        let text = text.trim();
        let bare = text
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix('>'));
        let name = bare.unwrap_or(text);
        if name.contains('@') && name.len() <= NAME_BYTES_MAX {
            return Ok(Question::Name(name.to_owned()));
        }
        if let Some(queue) = queue_id::parse(name) {
            return Ok(Question::Queue(queue));
        }
        let item = name.split_once('.').and_then(|(shard, item)| {
            Some(Question::Item(
                shard.parse().ok()?,
                ItemId(item.parse().ok()?),
            ))
        });
        item.ok_or_else(|| {
            format!(
                "{text}: give a queue id of 12 letters and digits, a Message-ID, an address, or a \
                 recipient of the queue as 0.17"
            )
        })
    }
}

impl Question {
    /// Whether the envelope address is the one that is asked for; case does not matter.
    pub(super) fn is_address(&self, address: &Address) -> bool {
        let Question::Name(name) = self else {
            return false;
        };
        // Whoever wrote the local part with quotes writes it as it is shown.
        let plain = name.rsplit_once('@').is_some_and(|(local, domain)| {
            address.domain.eq_ignore_ascii_case(domain) && address.local.eq_ignore_ascii_case(local)
        });
        plain || address.local.contains('"') && address.to_string() == *name
    }

    pub(super) fn is_message_id(&self, id: &[u8]) -> bool {
        matches!(self, Question::Name(name) if name.as_bytes() == id)
    }
}

/// Longest Message-ID that is looked for, in octets: a line of RFC 5322.
const NAME_BYTES_MAX: usize = 998;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_question_is_told_from_the_others() {
        let id = QueueId(1_795_333_261_000_000 << 8 | 3);
        let text = queue_id::text(id);
        assert_eq!(text.parse(), Ok(Question::Queue(id)));
        assert_eq!(text.to_lowercase().parse(), Ok(Question::Queue(id)));
        assert_eq!("1.23".parse(), Ok(Question::Item(1, ItemId(23))));
        for name in ["<a.b@c>", "a.b@c"] {
            assert_eq!(name.parse(), Ok(Question::Name("a.b@c".to_owned())));
        }
        for wrong in ["", "hello", "1.x", "70000.1", &"x@".repeat(600)] {
            assert!(wrong.parse::<Question>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_are_the_same_in_any_case() {
        let question: Question = "Alice@Example.TEST".parse().unwrap();
        assert!(question.is_address(&Address::new("alice", "example.test")));
        assert!(!question.is_address(&Address::new("alice", "example.org")));
        assert!(question.is_message_id(b"Alice@Example.TEST"));
    }
}
