//! A client that believes what `sync` tells always ends with the mailbox as it is.

mod account;
mod cold;

use super::contents::Contents;
use super::row::Row;
use super::sync::{picture, sync};
use super::tree::SpecialUse;
use super::view::{Change, View};
use crate::mail::date::InternalDate;
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{AccountId, MailboxId, ModSeq, ObjectId, Uid, UidValidity};
use crate::mail::uidset::UidSet;
use crate::record::{FlagChange, FlagOp};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Arrive,
    Flag {
        first: u32,
        more: u32,
        op: u8,
        flags: u16,
    },
    Expunge {
        first: u32,
        more: u32,
    },
    Sync {
        session: usize,
        expunges: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Arrive),
        2 => (1u32..40, 0u32..5, 0u8..3, 0u16..32)
            .prop_map(|(first, more, op, flags)| Step::Flag { first, more, op, flags }),
        1 => (1u32..40, 0u32..4).prop_map(|(first, more)| Step::Expunge { first, more }),
        3 => (0usize..3, any::<bool>())
            .prop_map(|(session, expunges)| Step::Sync { session, expunges }),
    ];
    prop::collection::vec(step, 1..120)
}

/// What a client keeps: it knows nothing but the untagged responses.
struct Client {
    view: View,
    messages: Vec<(Uid, Flags)>,
}

impl Client {
    fn new(contents: &Contents) -> Client {
        let view = picture(AccountId(1), contents, false).unwrap();
        let messages = contents
            .rows()
            .iter()
            .map(|row| (row.uid, row.flags))
            .collect();
        Client { view, messages }
    }

    fn sync(&mut self, contents: &Contents, expunges: bool) {
        for change in sync(&mut self.view, contents, expunges) {
            match change {
                Change::Expunge { sequence, uid } => {
                    assert!(expunges, "expunges were to be held back");
                    let gone = self.messages.remove(sequence as usize - 1);
                    assert_eq!(gone.0, uid);
                }
                Change::Exists(count) => {
                    let known = self.messages.len();
                    for &uid in &self.view.uids()[known..] {
                        let row = contents.rows().row(Uid(uid));
                        // A client asks for the flags of new messages; a message may be gone by
                        // then.
                        let flags = row.map_or(Flags::NONE, |row| row.flags);
                        self.messages.push((Uid(uid), flags));
                    }
                    assert_eq!(self.messages.len(), count as usize);
                }
                Change::Fetch {
                    sequence,
                    uid,
                    flags,
                    ..
                } => {
                    let message = &mut self.messages[sequence as usize - 1];
                    assert_eq!(message.0, uid);
                    message.1 = flags;
                }
                Change::Recent(_) => {}
                Change::Gone => panic!("the mailbox was not deleted"),
            }
        }
        let uids: Vec<u32> = self.messages.iter().map(|message| message.0.0).collect();
        assert_eq!(
            uids,
            self.view.uids(),
            "the client counts as the server does"
        );
    }
}

fn row(uid: Uid, modseq: ModSeq) -> Row {
    Row {
        uid,
        modseq,
        flags: Flags::NONE,
        keywords: Keywords::NONE,
        internal_date: InternalDate::utc(0),
        saved_secs: 0,
        octets: 7,
        delivery: ObjectId(u64::from(uid.0)),
    }
}

fn empty() -> Contents {
    Contents::new(
        MailboxId(1),
        "INBOX".into(),
        UidValidity(1),
        SpecialUse::NONE,
        ModSeq(1),
    )
}

proptest! {
    #[test]
    fn a_client_that_believes_sync_is_right(steps in steps()) {
        let mut contents = empty();
        let mut clients: Vec<Client> = (0..3).map(|_| Client::new(&contents)).collect();
        let (mut uid, mut modseq) = (0, 1);
        for step in steps {
            modseq += 1;
            match step {
                Step::Arrive => {
                    uid += 1;
                    contents.arrive(row(Uid(uid), ModSeq(modseq)));
                }
                Step::Flag { first, more, op, flags } => contents.flag(&FlagChange {
                    mailbox: MailboxId(1),
                    modseq: ModSeq(modseq),
                    op: [FlagOp::Set, FlagOp::Add, FlagOp::Remove][usize::from(op)],
                    flags: Flags(flags),
                    keywords: Keywords::NONE,
                    uids: UidSet::from_ranges([(first, first + more)]),
                }),
                Step::Expunge { first, more } => {
                    contents.expunge(&UidSet::from_ranges([(first, first + more)]), ModSeq(modseq));
                }
                Step::Sync { session, expunges } => clients[session].sync(&contents, expunges),
            }
        }
        for client in &mut clients {
            client.sync(&contents, true);
            let truth: Vec<(Uid, Flags)> =
                contents.rows().iter().map(|row| (row.uid, row.flags)).collect();
            prop_assert_eq!(&client.messages, &truth);
        }
        let status = contents.status();
        let count = |flag: Flags| {
            contents.rows().iter().filter(|row| row.flags.contains(flag)).count() as u32
        };
        prop_assert_eq!(status.messages - status.unseen, count(Flags::SEEN));
        prop_assert_eq!(status.deleted, count(Flags::DELETED));
        prop_assert_eq!(status.octets, 7 * contents.rows().len() as u64);
    }
}

#[test]
fn a_session_far_behind_still_learns_every_flag() {
    let mut contents = empty();
    for uid in 1..=3 {
        contents.arrive(row(Uid(uid), ModSeq(u64::from(uid) + 1)));
    }
    let mut client = Client::new(&contents);
    for modseq in 10..1000 {
        contents.flag(&FlagChange {
            mailbox: MailboxId(1),
            modseq: ModSeq(modseq),
            op: FlagOp::Set,
            flags: Flags((modseq % 3) as u16),
            keywords: Keywords::NONE,
            uids: UidSet::from_ranges([(1 + modseq as u32 % 3, 1 + modseq as u32 % 3)]),
        });
    }
    client.sync(&contents, true);
    let truth: Vec<(Uid, Flags)> = contents
        .rows()
        .iter()
        .map(|row| (row.uid, row.flags))
        .collect();
    assert_eq!(client.messages, truth);
}

#[test]
fn recent_belongs_to_the_first_session_that_selects() {
    let mut contents = empty();
    contents.arrive(row(Uid(1), ModSeq(2)));
    let first = picture(AccountId(1), &contents, true).unwrap();
    assert_eq!(first.recent().len(), 1);
    contents.claim_recent(Uid(2));
    let second = picture(AccountId(1), &contents, true).unwrap();
    assert!(second.recent().is_empty());
    assert_eq!(contents.status().recent, 0);
}

#[test]
fn vanished_history_is_kept() {
    let mut contents = empty();
    for uid in 1..=5 {
        contents.arrive(row(Uid(uid), ModSeq(u64::from(uid) + 1)));
    }
    contents.expunge(&UidSet::from_ranges([(2, 3)]), ModSeq(10));
    contents.expunge(&UidSet::from_ranges([(1, 9)]), ModSeq(11));
    let since = |modseq| contents.vanished_since(ModSeq(modseq)).unwrap();
    assert_eq!(since(9), UidSet::from_ranges([(1, 5)]));
    assert_eq!(since(10), UidSet::from_ranges([(1, 1), (4, 5)]));
    assert!(since(11).is_empty());
}
