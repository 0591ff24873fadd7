//! What has one name for ever: mailboxes, messages and conversations (OBJECTID, RFC 8474), and when
//! a message was saved (SAVEDATE, RFC 8514).
//!
//! An EMAILID is the delivery that a row names, which COPY and MOVE hand on. A THREADID is the
//! first message of a conversation, as References, In-Reply-To or Message-ID name it: known without
//! a look at any other message, and the same whenever it is asked.

use crate::wire::imap::command::{FetchItem, Section, SectionText};
use crate::wire::mime::header;
use aws_lc_rs::digest;
use store::mail::id::ObjectId;

/// Octets of the digest that makes a THREADID.
const THREAD_DIGEST_BYTES: usize = 12;

/// The fields that say to which conversation a message belongs, the most telling first.
const THREAD_FIELDS: [&str; 3] = ["references", "in-reply-to", "message-id"];

#[must_use]
pub(super) fn email_id(delivery: ObjectId) -> String {
    format!("M{:x}", delivery.0)
}

/// The delivery that an EMAILID names; `None` where it is not one of ours.
#[must_use]
pub(super) fn delivery_of(email_id: &[u8]) -> Option<ObjectId> {
    let digits = std::str::from_utf8(email_id).ok()?.strip_prefix('M')?;
    let delivery = ObjectId(u64::from_str_radix(digits, 16).ok()?);
    (self::email_id(delivery).as_bytes() == email_id).then_some(delivery)
}

/// Of a header with [`THREAD_FIELDS`]; `None` where it names no message.
#[must_use]
pub(super) fn thread_id(header: &[u8]) -> Option<String> {
    thread_by(|name| header::last(header, name))
}

/// As [`thread_id`], of what `last` says of each field.
#[must_use]
pub(super) fn thread_by<'a>(last: impl Fn(&str) -> Option<&'a [u8]>) -> Option<String> {
    let mut values = THREAD_FIELDS.iter().filter_map(|name| last(name));
    let root = values.find_map(first_message_id)?;
    let digest = digest::digest(&digest::SHA256, root);
    let digits = digest.as_ref().iter().take(THREAD_DIGEST_BYTES);
    Some(digits.fold("T".to_owned(), |id, octet| id + &format!("{octet:02x}")))
}

/// What has to be read for [`thread_id`].
#[must_use]
pub(super) fn thread_fields() -> FetchItem {
    let names = THREAD_FIELDS.map(|name| name.as_bytes().to_vec());
    FetchItem::Section {
        peek: true,
        section: Section {
            part: Vec::new(),
            text: SectionText::HeaderFields(names.into()),
        },
        partial: None,
    }
}

/// What stands between the first angle brackets.
fn first_message_id(value: &[u8]) -> Option<&[u8]> {
    let from = memchr::memchr(b'<', value)? + 1;
    let rest = value.get(from..)?;
    let id = rest.get(..memchr::memchr(b'>', rest)?)?;
    (!id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_named_by_its_first_message() {
        let first = thread_id(b"Message-ID: <a@x>\r\n");
        assert!(first.as_ref().is_some_and(|id| id.len() == 25));
        let answer = b"Message-ID: <b@x>\r\nIn-Reply-To: <a@x>\r\n";
        assert_eq!(thread_id(answer), first);
        let later = b"References:\r\n <a@x>\r\n <b@x>\r\nIn-Reply-To: <b@x>\r\n";
        assert_eq!(thread_id(later), first);
        assert_ne!(thread_id(b"Message-ID: <c@x>\r\n"), first);
        assert_eq!(thread_id(b"Message-ID: broken\r\nSubject: <a@x>\r\n"), None);
    }

    #[test]
    fn an_email_id_names_one_delivery() {
        let delivery = ObjectId(0xbeef);
        assert_eq!(delivery_of(email_id(delivery).as_bytes()), Some(delivery));
        for other in ["", "M", "Mxyz", "M0beef", "Mbeef ", "mbeef", "M+beef"] {
            assert_eq!(delivery_of(other.as_bytes()), None, "{other}");
        }
    }
}
