//! Unique ids of POP3 that messages bring along (RFC 1939 §7), so that clients which leave their
//! mail on the server do not fetch all of it again.
//!
//! They come from `P` entries of a `dovecot-uidlist`, from `X-UIDL` headers, from lists, and from
//! the UIDs that messages had where those cannot be kept: Dovecot and we make unique ids of them.
//! An id that another message has, or would have, is not taken.

use crate::offline::Offline;
use engine::wire::pop3::uidl;
use std::collections::BTreeSet;
use store::error::{ChangeError, ReadError};
use store::mail::id::{AccountId, Uid, UidValidity};
use store::shard::{Mark, Marks, is_uidl};

/// The unique ids of one mailbox.
pub(crate) struct Uidls {
    account: AccountId,
    uid_validity: UidValidity,
    known: Marks,
    taken: BTreeSet<Box<[u8]>>,
    /// Not written down yet.
    fresh: Marks,
}

impl Uidls {
    pub(crate) fn read(
        shard: &Offline,
        account: AccountId,
        uid_validity: UidValidity,
    ) -> Result<Uidls, ReadError> {
        let known = shard.marks(Mark::Uidl, account, uid_validity)?;
        Ok(Uidls {
            taken: known.values().cloned().collect(),
            fresh: Marks::new(),
            account,
            uid_validity,
            known,
        })
    }

    /// What a client is told of a message.
    pub(crate) fn of(&self, uid: Uid) -> Vec<u8> {
        match self.fresh.get(&uid).or_else(|| self.known.get(&uid)) {
            Some(octets) => octets.to_vec(),
            None => own(uid, self.uid_validity),
        }
    }

    /// What a message brought along, if it is not what we would make of its UID.
    pub(crate) fn brought(&self, uid: Uid) -> Option<&[u8]> {
        self.known.get(&uid).map(|octets| &**octets)
    }

    /// Gives a message an id; says why not.
    pub(crate) fn give(&mut self, uid: Uid, text: &[u8]) -> Result<(), &'static str> {
        if !is_uidl(text) {
            return Err("no unique id: 1 to 70 printable ASCII characters");
        }
        if self.of(uid) == text {
            return Ok(());
        }
        let is_ours = |(_, number): &(Uid, UidValidity)| *number == self.uid_validity;
        if uidl::read_own(text).filter(is_ours).is_some() || !self.taken.insert(text.into()) {
            return Err("another message has this unique id");
        }
        if let Some(before) = self.fresh.insert(uid, text.into()) {
            self.taken.remove(&before);
        }
        Ok(())
    }

    /// Makes what was given durable; how many ids that were.
    pub(crate) async fn write(&mut self, shard: &Offline) -> Result<u64, ChangeError> {
        let fresh = std::mem::take(&mut self.fresh);
        let mark = shard.mark(Mark::Uidl, self.account, self.uid_validity, &fresh);
        mark.await?;
        let count = fresh.len() as u64;
        self.known.extend(fresh);
        Ok(count)
    }
}

/// The id that is made of a UID.
pub(crate) fn own(uid: Uid, uid_validity: UidValidity) -> Vec<u8> {
    let mut text = Vec::new();
    uidl::write_own(uid, uid_validity, &mut text);
    text
}

/// The value of the first `X-UIDL` field of a header, which `octets` begin with.
pub(crate) fn of_header(octets: &[u8]) -> Option<String> {
    field(octets, b"x-uidl:").filter(|text| is_uidl(text.as_bytes()))
}

/// The value of a field, trimmed; a name ends with its colon and is lower case.
pub(crate) fn field(octets: &[u8], name: &[u8]) -> Option<String> {
    for line in octets.split(|octet| *octet == b'\n') {
        if line.is_empty() || line == b"\r" {
            return None;
        }
        let parted = line.split_at_checked(name.len());
        if let Some((_, value)) = parted.filter(|(head, _)| head.eq_ignore_ascii_case(name)) {
            return Some(String::from_utf8_lossy(value).trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_their_unique_id() {
        let message = b"Subject: X-UIDL: no\r\nx-uidl:  !M9\"~ \r\n\r\nX-UIDL: body\r\n";
        assert_eq!(of_header(message).as_deref(), Some("!M9\"~"));
        assert_eq!(of_header(b"Subject: a\r\n\r\nX-UIDL: b\r\n"), None);
        assert_eq!(of_header(b"X-UIDL: two words\r\n\r\n"), None);
    }

    #[test]
    fn no_two_messages_have_one_unique_id() {
        let mut uidls = Uidls {
            account: AccountId(1),
            uid_validity: UidValidity(7),
            known: Marks::from([(Uid(1), b"one"[..].into())]),
            taken: BTreeSet::from([b"one"[..].into()]),
            fresh: Marks::new(),
        };
        assert!(uidls.give(Uid(1), b"one").is_ok());
        assert!(uidls.give(Uid(2), b"one").is_err());
        assert!(uidls.give(Uid(2), b"two").is_ok());
        assert!(uidls.give(Uid(2), b"three").is_ok());
        assert!(uidls.give(Uid(3), b"two").is_ok(), "it is free again");
        assert!(uidls.give(Uid(4), &own(Uid(4), UidValidity(7))).is_ok());
        assert!(uidls.give(Uid(4), &own(Uid(5), UidValidity(7))).is_err());
        assert!(uidls.give(Uid(4), &own(Uid(5), UidValidity(8))).is_ok());
        assert!(uidls.give(Uid(9), b"a b").is_err());
        assert_eq!(uidls.fresh.len(), 3);
    }
}
