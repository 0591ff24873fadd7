//! A store in memory: honest about UIDs, MODSEQ, views, held-back expunges and several sessions.

mod belongings;
mod door;

use crate::session::imap::mailstore::{Octets, Picture, Wakes};
use crate::wire::imap::response::flag_list;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use store::error::{ChangeError, LogError};
use store::mail::date::InternalDate;
use store::mail::flags::{Flags, Keywords};
use store::mail::id::{AccountId, MailboxId, ModSeq, ObjectId, Uid, UidValidity};
use store::mail::uidset::UidSet;
use store::mailbox::{MailboxInfo, Row, SpecialUse};
use store::shard::Memo;

#[derive(Clone, Default)]
pub(super) struct Fake(Rc<Inner>);

#[derive(Default)]
struct Inner {
    accounts: RefCell<BTreeMap<u32, Account>>,
    bodies: RefCell<BTreeMap<u64, Rc<[u8]>>>,
    /// Reading at or behind this offset of this delivery fails.
    damaged: RefCell<BTreeMap<u64, u64>>,
    changes: Cell<u64>,
    memos: RefCell<BTreeMap<(u8, Vec<u8>), Memo>>,
    /// The log takes nothing.
    full: Cell<bool>,
    /// Messages are listed, and how often one was.
    lists: Cell<bool>,
    listed: Cell<u32>,
    /// Messages have signatures.
    signs: Cell<bool>,
}

#[derive(Default)]
struct Account {
    modseq: u64,
    ids: u32,
    boxes: BTreeMap<u32, Mailbox>,
    subscribed: BTreeSet<String>,
    quota: Option<u64>,
    tree_version: u64,
}

#[derive(Default)]
struct Mailbox {
    name: String,
    uid_validity: u32,
    special_use: SpecialUse,
    uid_next: u32,
    claimed: u32,
    keywords: Vec<String>,
    rows: BTreeMap<u32, Row>,
    expunged: Vec<(u64, u32)>,
    /// Expunges up to here are forgotten.
    floor: u64,
    modseq: u64,
}

pub(super) struct FakeView {
    account: AccountId,
    mailbox: MailboxId,
    uid_validity: UidValidity,
    uids: Vec<u32>,
    seen_up_to: u32,
    modseq: u64,
    expunged_modseq: u64,
    recent: UidSet,
    claims: bool,
    gone: bool,
}

pub(super) struct FakeMessage {
    delivery: u64,
    octets: Rc<[u8]>,
}

pub(super) struct FakeWatch {
    store: Fake,
    seen: u64,
}

pub(super) const ALICE: AccountId = AccountId(1);
pub(super) const BOB: AccountId = AccountId(2);

impl Fake {
    /// A store with two accounts that own an INBOX.
    pub(super) fn new() -> Fake {
        let fake = Fake::default();
        for id in [ALICE, BOB] {
            let mut account = Account {
                modseq: 1,
                ..Account::default()
            };
            account.make("INBOX", SpecialUse::NONE);
            fake.0.accounts.borrow_mut().insert(id.0, account);
        }
        fake
    }

    pub(super) fn set_quota(&self, account: AccountId, octets: u64) {
        self.account(account, |a| a.quota = Some(octets));
    }

    pub(super) fn set_full(&self, full: bool) {
        self.0.full.set(full);
    }

    /// Forgets every expunge so far, as a mailbox with very many does.
    pub(super) fn forget_expunges(&self, account: AccountId, mailbox: &str) {
        self.account(account, |a| {
            let id = a.find(mailbox).expect("the test names a mailbox");
            let mailbox = a.boxes.get_mut(&id).expect("it was found");
            mailbox.floor = mailbox.modseq;
        });
    }

    /// Lists messages as packs do.
    pub(super) fn list(&self) {
        self.0.lists.set(true);
    }

    /// Has exact signatures of every message, but of each third one none.
    pub(super) fn sign(&self) {
        self.0.signs.set(true);
    }

    /// How often a message was listed.
    pub(super) fn listed(&self) -> u32 {
        self.0.listed.get()
    }

    /// A delivery from outside, as SMTP makes one.
    pub(super) fn deliver(&self, account: AccountId, mailbox: &str, octets: &[u8]) -> Uid {
        let date = InternalDate::utc(1_700_000_000);
        let uid = self.account(account, |a| {
            let id = a.find(mailbox).expect("the test names a mailbox");
            self.add(a, id, octets.into(), Flags::NONE, Keywords::NONE, date)
        });
        self.ring();
        uid
    }

    /// Makes everything from `at` on unreadable in the newest message.
    pub(super) fn damage_last(&self, at: u64) {
        let last = *self
            .0
            .bodies
            .borrow()
            .keys()
            .last()
            .expect("a message exists");
        self.0.damaged.borrow_mut().insert(last, at);
    }

    /// UID → (flags, keyword names, octets), as a check of the outcome.
    pub(super) fn contents(&self, account: AccountId, name: &str) -> Vec<(u32, Flags, Vec<u8>)> {
        self.account(account, |a| {
            let id = a.find(name).expect("the test names a mailbox");
            let bodies = self.0.bodies.borrow();
            let rows = a.boxes[&id].rows.values();
            rows.map(|r| (r.uid.0, r.flags, bodies[&r.delivery.0].to_vec()))
                .collect()
        })
    }

    /// UID and flags with their names, keywords too.
    pub(super) fn named_flags(
        &self,
        account: AccountId,
        name: &str,
    ) -> Vec<(u32, BTreeSet<String>)> {
        self.account(account, |a| {
            let mailbox = &a.boxes[&a.find(name).expect("the test names a mailbox")];
            let names = |row: &Row| {
                let mut out = Vec::new();
                flag_list(&mut out, row.flags, row.keywords, &mailbox.keywords, false);
                let text = String::from_utf8(out).expect("flags are ASCII");
                let words = text.trim_matches(['(', ')']).split(' ');
                words
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned)
                    .collect()
            };
            mailbox
                .rows
                .values()
                .map(|row| (row.uid.0, names(row)))
                .collect()
        })
    }

    fn account<T>(&self, id: AccountId, with: impl FnOnce(&mut Account) -> T) -> T {
        let mut accounts = self.0.accounts.borrow_mut();
        with(accounts.get_mut(&id.0).expect("the account exists"))
    }

    fn ring(&self) {
        self.0.changes.set(self.0.changes.get() + 1);
    }

    /// What every change does first: it suspends once, then the log takes it or not.
    async fn commit(&self) -> Result<(), ChangeError> {
        suspend_once().await;
        if self.0.full.get() {
            return Err(ChangeError::Log(LogError::Full));
        }
        self.ring();
        Ok(())
    }

    fn add(
        &self,
        account: &mut Account,
        mailbox: u32,
        octets: Rc<[u8]>,
        flags: Flags,
        keywords: Keywords,
        date: InternalDate,
    ) -> Uid {
        let mut bodies = self.0.bodies.borrow_mut();
        let delivery = ObjectId(bodies.keys().last().map_or(1, |last| last + 1));
        account.modseq += 1;
        let modseq = account.modseq;
        let target = account.boxes.get_mut(&mailbox).expect("the mailbox exists");
        let uid = Uid(target.uid_next);
        target.uid_next += 1;
        target.modseq = modseq;
        let row = Row {
            uid,
            modseq: ModSeq(modseq),
            flags,
            keywords,
            internal_date: date,
            saved_secs: 1_700_000_000,
            octets: octets.len() as u32,
            delivery,
        };
        target.rows.insert(uid.0, row);
        bodies.insert(delivery.0, octets);
        uid
    }
}

async fn suspend_once() {
    let mut suspended = false;
    poll_fn(|_| {
        if suspended {
            return Poll::Ready(());
        }
        suspended = true;
        Poll::Pending
    })
    .await;
}

impl Account {
    fn find(&self, name: &str) -> Option<u32> {
        let inbox = name.eq_ignore_ascii_case("INBOX");
        let found = self.boxes.iter().find(|(_, b)| {
            if inbox {
                b.name == "INBOX"
            } else {
                b.name == name
            }
        });
        found.map(|(id, _)| *id)
    }

    fn make(&mut self, name: &str, special_use: SpecialUse) -> u32 {
        self.ids += 1;
        self.modseq += 1;
        let mailbox = Mailbox {
            name: name.to_owned(),
            uid_validity: 1000 + self.ids,
            special_use,
            uid_next: 1,
            modseq: self.modseq,
            ..Mailbox::default()
        };
        self.boxes.insert(self.ids, mailbox);
        self.tree_version += 1;
        self.ids
    }

    fn info(&self, id: u32) -> Option<MailboxInfo> {
        let mailbox = self.boxes.get(&id)?;
        Some(MailboxInfo {
            id: MailboxId(id),
            name: mailbox.name.clone(),
            uid_validity: UidValidity(mailbox.uid_validity),
            special_use: mailbox.special_use,
            subscribed: self.subscribed.contains(&mailbox.name),
        })
    }

    fn remove(&mut self, mailbox: u32, uid: u32) {
        self.modseq += 1;
        let modseq = self.modseq;
        let mailbox = self.boxes.get_mut(&mailbox).expect("the mailbox exists");
        mailbox.rows.remove(&uid);
        mailbox.expunged.push((modseq, uid));
        mailbox.modseq = modseq;
    }
}

impl Mailbox {
    fn keyword_bits(&mut self, names: &[String]) -> Result<Keywords, ChangeError> {
        let mut bits = 0;
        for name in names {
            let at = match self
                .keywords
                .iter()
                .position(|k| k.eq_ignore_ascii_case(name))
            {
                Some(at) => at,
                None if self.keywords.len() == 64 => return Err(ChangeError::Limit("keywords")),
                None => {
                    self.keywords.push(name.clone());
                    self.keywords.len() - 1
                }
            };
            bits |= 1 << at;
        }
        Ok(Keywords(bits))
    }
}

impl Picture for FakeView {
    fn mailbox(&self) -> MailboxId {
        self.mailbox
    }

    fn uid_validity(&self) -> UidValidity {
        self.uid_validity
    }

    fn uids(&self) -> &[u32] {
        &self.uids
    }

    fn recent(&self) -> &UidSet {
        &self.recent
    }

    fn modseq(&self) -> ModSeq {
        ModSeq(self.modseq)
    }

    fn uid_next(&self) -> Uid {
        Uid(self.seen_up_to + 1)
    }
}

impl Octets for FakeMessage {
    fn octets(&self) -> u64 {
        self.octets.len() as u64
    }

    fn let_go(&self) {}
}

impl Wakes for FakeWatch {
    async fn changed(&mut self) {
        poll_fn(|_| {
            let now = self.store.0.changes.get();
            if std::mem::replace(&mut self.seen, now) == now {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }
}
