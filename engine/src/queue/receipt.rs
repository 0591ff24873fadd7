//! Receipts: notices that a message lies in its mailboxes here, for who asked by NOTIFY=SUCCESS.
//!
//! Custody comes first and the receipt after it, in a frame of its own; what a crash between them
//! leaves owed is sent by the next start (`super::owed`).

use super::dsn::{self, Class, Event, Facts, Notice, Original, Status, Told, Words, is_due};
use store::mail::address::Address;
use store::mail::envelope::{Recipient, Ret};

/// What was delivered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery<'a> {
    /// This host.
    pub(super) host: &'a str,
    /// Of the notice.
    pub(super) id: &'a str,
    pub(super) now_secs: i64,
    pub(super) reverse_path: Option<&'a Address>,
    /// Of the message.
    pub(super) queue_id: &'a str,
    pub(super) arrived_secs: i64,
    pub(super) envid: Option<&'a str>,
    pub(super) smtputf8: bool,
    /// Its octets from the first on, as far as the header goes.
    pub(super) head: &'a [u8],
}

/// Whether a receipt of this recipient is wanted.
#[must_use]
pub fn wants_receipt(recipient: &Recipient, reverse_path: Option<&Address>) -> bool {
    is_due(Event::Delivered, recipient.notify, reverse_path)
}

/// The notice; `None`: nobody wants one. Each recipient with whether it stands for several
/// mailboxes, who of them is not told.
#[must_use]
pub(super) fn receipt(delivery: Delivery<'_>, recipients: &[(&Recipient, bool)]) -> Option<Notice> {
    let told: Vec<Told<'_>> = recipients
        .iter()
        .filter(|(recipient, _)| wants_receipt(recipient, delivery.reverse_path))
        .map(|(recipient, is_list)| Told {
            address: &recipient.address,
            orcpt: recipient.orcpt.as_deref(),
            event: match is_list {
                true => Event::Expanded,
                false => Event::Delivered,
            },
            class: Class::Other,
            status: Status::new(2, 0, 0),
            words: Words::None,
            attempt_secs: Some(delivery.now_secs),
            retry_until_secs: None,
        })
        .collect();
    dsn::build(&Facts {
        host: delivery.host,
        id: delivery.id,
        now_secs: delivery.now_secs,
        original: Original {
            reverse_path: delivery.reverse_path,
            queue_id: delivery.queue_id,
            arrived_secs: delivery.arrived_secs,
            envid: delivery.envid,
            by_secs: None,
            ret: Some(Ret::Headers),
            smtputf8: delivery.smtputf8,
            octets: delivery.head,
            size: u64::MAX,
        },
        recipients: &told,
    })
}

/// Octets of a message that a receipt may need.
pub const HEAD_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use store::mail::envelope::Notify;

    #[test]
    fn who_asked_is_told_and_nobody_else() {
        let sender = Address::new("alice", "a.test");
        let asked = Recipient {
            notify: Notify::SUCCESS,
            orcpt: Some("rfc822;bob@b.test".to_owned()),
            ..Recipient::new(Address::new("bob", "b.test"))
        };
        let silent = Recipient::new(Address::new("carol", "b.test"));
        let list = Recipient {
            orcpt: None,
            address: Address::new("list", "b.test"),
            ..asked.clone()
        };
        let delivery = Delivery {
            host: "mx.test",
            id: "n1",
            now_secs: 1_795_320_000,
            reverse_path: Some(&sender),
            queue_id: "q1",
            arrived_secs: 1_795_320_000,
            envid: Some("e1"),
            smtputf8: false,
            head: b"Subject: hello\r\n\r\nbody",
        };
        let all = [(&asked, false), (&silent, false), (&list, true)];
        let notice = receipt(delivery, &all).unwrap();
        let text = String::from_utf8(notice.octets).unwrap();
        for expected in [
            "Original-Envelope-Id: e1\r\n",
            "Original-Recipient: rfc822;bob@b.test\r\n",
            "Action: delivered\r\nStatus: 2.0.0\r\n",
            "Final-Recipient: rfc822; list@b.test\r\nAction: expanded\r\n",
            "Subject: Your message was delivered\r\n",
            "Subject: hello\r\n",
        ] {
            assert!(text.contains(expected), "{expected}\nin\n{text}");
        }
        assert!(!text.contains("carol") && !text.contains("body"), "{text}");
        assert_eq!(receipt(delivery, &[(&silent, false)]), None);
        let null = Delivery {
            reverse_path: None,
            ..delivery
        };
        assert_eq!(receipt(null, &all), None);
    }
}
