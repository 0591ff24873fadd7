//! A store in memory: honest about UIDs, MODSEQ, views, held-back expunges and several sessions.

use crate::session::imap::mailstore::{Mailstore, Octets, Picture, Wakes};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use store::error::{ChangeError, LogError, ReadError};
use store::mail::date::InternalDate;
use store::mail::flags::{Flags, Keywords};
use store::mail::id::{AccountId, MailboxId, ModSeq, ObjectId, Uid, UidValidity};
use store::mail::uidset::UidSet;
use store::mailbox::{Change, MailboxInfo, Row, SpecialUse, Status};
use store::shard::{AppendedUid, Copied, FlagNames, FlagOp};

#[derive(Clone, Default)]
pub(super) struct Fake(Rc<Inner>);

#[derive(Default)]
struct Inner {
    accounts: RefCell<BTreeMap<u32, Account>>,
    bodies: RefCell<BTreeMap<u64, Rc<[u8]>>>,
    /// Reading at or behind this offset of this delivery fails.
    damaged: RefCell<BTreeMap<u64, u64>>,
    changes: Cell<u64>,
    /// The log takes nothing.
    full: Cell<bool>,
}

#[derive(Default)]
struct Account {
    modseq: u64,
    ids: u32,
    boxes: BTreeMap<u32, Mailbox>,
    subscribed: BTreeSet<String>,
    quota: Option<u64>,
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
}

impl Octets for FakeMessage {
    fn octets(&self) -> u64 {
        self.octets.len() as u64
    }
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

impl Mailstore for Fake {
    type View = FakeView;
    type Message = FakeMessage;
    type Body = Vec<u8>;
    type Watch = FakeWatch;

    fn mailboxes(&self, account: AccountId) -> Vec<MailboxInfo> {
        self.account(account, |a| {
            let mut all: Vec<_> = a.boxes.keys().filter_map(|id| a.info(*id)).collect();
            all.sort_by_key(|info| (info.name != "INBOX", info.name.clone()));
            all
        })
    }

    fn mailbox(&self, account: AccountId, name: &str) -> Option<MailboxInfo> {
        self.account(account, |a| a.info(a.find(name)?))
    }

    fn mailbox_by_id(&self, account: AccountId, id: MailboxId) -> Option<MailboxInfo> {
        self.account(account, |a| a.info(id.0))
    }

    fn subscriptions(&self, account: AccountId) -> Vec<String> {
        self.account(account, |a| a.subscribed.iter().cloned().collect())
    }

    fn status(&self, account: AccountId, mailbox: MailboxId) -> Option<Status> {
        self.account(account, |a| {
            let mailbox = a.boxes.get(&mailbox.0)?;
            let count =
                |test: &dyn Fn(&Row) -> bool| mailbox.rows.values().filter(|r| test(r)).count();
            Some(Status {
                messages: mailbox.rows.len() as u32,
                unseen: count(&|r| !r.flags.contains(Flags::SEEN)) as u32,
                deleted: count(&|r| r.flags.contains(Flags::DELETED)) as u32,
                octets: mailbox.rows.values().map(|r| u64::from(r.octets)).sum(),
                recent: count(&|r| r.uid.0 > mailbox.claimed) as u32,
                uid_next: Uid(mailbox.uid_next),
                uid_validity: UidValidity(mailbox.uid_validity),
                highest_modseq: ModSeq(mailbox.modseq),
            })
        })
    }

    fn keywords(&self, account: AccountId, mailbox: MailboxId) -> Vec<String> {
        let named = |a: &mut Account| a.boxes.get(&mailbox.0).map(|b| b.keywords.clone());
        self.account(account, named).unwrap_or_default()
    }

    fn usage(&self, account: AccountId) -> (u64, Option<u64>) {
        self.account(account, |a| {
            let rows = a.boxes.values().flat_map(|b| b.rows.values());
            (rows.map(|r| u64::from(r.octets)).sum(), a.quota)
        })
    }

    async fn create_mailbox(
        &self,
        account: AccountId,
        name: &str,
        special_use: SpecialUse,
    ) -> Result<MailboxInfo, ChangeError> {
        self.commit().await?;
        let name = name.strip_suffix('/').unwrap_or(name);
        if name.is_empty() || name.split('/').any(str::is_empty) {
            return Err(ChangeError::Cannot("a level of the name is empty"));
        }
        self.account(account, |a| {
            if a.find(name).is_some() {
                return Err(ChangeError::AlreadyExists);
            }
            for (at, _) in name.match_indices('/') {
                if a.find(&name[..at]).is_none() {
                    a.make(&name[..at], SpecialUse::NONE);
                }
            }
            let id = a.make(name, special_use);
            a.info(id).ok_or(ChangeError::NoMailbox)
        })
    }

    async fn rename_mailbox(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
    ) -> Result<(), ChangeError> {
        self.commit().await?;
        self.account(account, |a| {
            let id = a.find(from).ok_or(ChangeError::NoMailbox)?;
            if a.find(to).is_some() {
                return Err(ChangeError::AlreadyExists);
            }
            if a.boxes[&id].name == "INBOX" {
                let target = a.make(to, SpecialUse::NONE);
                let rows: Vec<Row> = a.boxes[&id].rows.values().copied().collect();
                for row in rows {
                    let octets = Rc::clone(&self.0.bodies.borrow()[&row.delivery.0]);
                    self.add(
                        a,
                        target,
                        octets,
                        row.flags,
                        row.keywords,
                        row.internal_date,
                    );
                    a.remove(id, row.uid.0);
                }
                return Ok(());
            }
            let below = format!("{from}/");
            for mailbox in a.boxes.values_mut() {
                if mailbox.name == from {
                    mailbox.name = to.to_owned();
                } else if let Some(rest) = mailbox.name.strip_prefix(&below) {
                    mailbox.name = format!("{to}/{rest}");
                }
            }
            Ok(())
        })
    }

    async fn delete_mailbox(&self, account: AccountId, name: &str) -> Result<(), ChangeError> {
        self.commit().await?;
        self.account(account, |a| {
            let id = a.find(name).ok_or(ChangeError::NoMailbox)?;
            if a.boxes[&id].name == "INBOX" {
                return Err(ChangeError::Cannot("INBOX stays"));
            }
            a.boxes.remove(&id);
            Ok(())
        })
    }

    async fn subscribe(&self, account: AccountId, name: &str, on: bool) -> Result<(), ChangeError> {
        self.commit().await?;
        self.account(account, |a| match on {
            true => a.subscribed.insert(name.to_owned()),
            false => a.subscribed.remove(name),
        });
        Ok(())
    }

    fn view(&self, account: AccountId, mailbox: MailboxId, claim: bool) -> Option<FakeView> {
        self.account(account, |a| {
            let modseq = a.modseq;
            let source = a.boxes.get_mut(&mailbox.0)?;
            let recent = source
                .rows
                .range(source.claimed + 1..)
                .map(|(uid, _)| Uid(*uid));
            let recent = if claim {
                UidSet::from_ascending(recent)
            } else {
                UidSet::new()
            };
            if claim {
                source.claimed = source.uid_next - 1;
            }
            Some(FakeView {
                account,
                mailbox,
                uid_validity: UidValidity(source.uid_validity),
                uids: source.rows.keys().copied().collect(),
                seen_up_to: source.uid_next - 1,
                modseq,
                expunged_modseq: modseq,
                recent,
                gone: false,
            })
        })
    }

    fn sync(&self, view: &mut FakeView, expunges: bool) -> Vec<Change> {
        self.account(view.account, |a| {
            let modseq = a.modseq;
            let Some(source) = a.boxes.get(&view.mailbox.0) else {
                view.uids.clear();
                let first = !std::mem::replace(&mut view.gone, true);
                return if first {
                    vec![Change::Gone]
                } else {
                    Vec::new()
                };
            };
            let mut changes = Vec::new();
            if expunges {
                for (_, uid) in source
                    .expunged
                    .iter()
                    .filter(|e| e.0 > view.expunged_modseq)
                {
                    let Ok(at) = view.uids.binary_search(uid) else {
                        continue;
                    };
                    view.uids.remove(at);
                    changes.push(Change::Expunge {
                        sequence: at as u32 + 1,
                        uid: Uid(*uid),
                    });
                }
                view.expunged_modseq = modseq;
            }
            for row in source.rows.values() {
                let known = view.uids.binary_search(&row.uid.0);
                if let (Ok(at), true) = (known, row.modseq.0 > view.modseq) {
                    changes.push(Change::Fetch {
                        sequence: at as u32 + 1,
                        uid: row.uid,
                        modseq: row.modseq,
                        flags: row.flags,
                        keywords: row.keywords,
                    });
                }
            }
            let before = view.uids.len();
            view.uids.extend(
                source
                    .rows
                    .range(view.seen_up_to + 1..)
                    .map(|(uid, _)| *uid),
            );
            view.seen_up_to = source.uid_next - 1;
            if view.uids.len() != before {
                changes.push(Change::Exists(view.uids.len() as u32));
            }
            view.modseq = modseq;
            changes
        })
    }

    fn row(&self, view: &FakeView, uid: Uid) -> Option<Row> {
        self.account(view.account, |a| {
            a.boxes.get(&view.mailbox.0)?.rows.get(&uid.0).copied()
        })
    }

    fn rows(&self, view: &FakeView, uids: &UidSet, each: &mut dyn FnMut(&Row)) {
        uids.iter()
            .filter_map(|uid| self.row(view, uid))
            .for_each(|row| each(&row));
    }

    fn watch(&self, _: AccountId, _: MailboxId) -> FakeWatch {
        FakeWatch {
            store: self.clone(),
            seen: self.0.changes.get(),
        }
    }

    async fn store_flags(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        op: FlagOp,
        names: &FlagNames,
        unchanged_since: Option<ModSeq>,
    ) -> Result<UidSet, ChangeError> {
        self.commit().await?;
        self.account(account, |a| {
            a.modseq += 1;
            let modseq = a.modseq;
            let mailbox = a.boxes.get_mut(&mailbox.0).ok_or(ChangeError::NoMailbox)?;
            let bits = mailbox.keyword_bits(&names.keywords)?;
            mailbox.modseq = modseq;
            let mut left = UidSet::new();
            for row in mailbox.rows.values_mut().filter(|r| uids.contains(r.uid)) {
                if unchanged_since.is_some_and(|since| row.modseq > since) {
                    left.push(row.uid);
                    continue;
                }
                let (flags, keywords) = match op {
                    FlagOp::Set => (names.flags, bits.0),
                    FlagOp::Add => (row.flags | names.flags, row.keywords.0 | bits.0),
                    FlagOp::Remove => (row.flags & !names.flags, row.keywords.0 & !bits.0),
                };
                if (flags, keywords) != (row.flags, row.keywords.0) {
                    (row.flags, row.keywords) = (flags, Keywords(keywords));
                    row.modseq = ModSeq(modseq);
                }
            }
            Ok(left)
        })
    }

    async fn expunge(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
    ) -> Result<UidSet, ChangeError> {
        self.commit().await?;
        self.account(account, |a| {
            let source = a.boxes.get(&mailbox.0).ok_or(ChangeError::NoMailbox)?;
            let rows = source.rows.values();
            let gone = rows.filter(|r| uids.contains(r.uid) && r.flags.contains(Flags::DELETED));
            let gone = UidSet::from_ascending(gone.map(|r| r.uid));
            gone.iter().for_each(|uid| a.remove(mailbox.0, uid.0));
            Ok(gone)
        })
    }

    async fn copy(
        &self,
        account: AccountId,
        source: MailboxId,
        uids: &UidSet,
        target: MailboxId,
        and_expunge: bool,
    ) -> Result<Copied, ChangeError> {
        self.commit().await?;
        self.account(account, |a| {
            let from = a.boxes.get(&source.0).ok_or(ChangeError::NoMailbox)?;
            let rows: Vec<Row> = from
                .rows
                .values()
                .copied()
                .filter(|r| uids.contains(r.uid))
                .collect();
            let names = from.keywords.clone();
            let to = a.boxes.get_mut(&target.0).ok_or(ChangeError::NoMailbox)?;
            let uid_validity = UidValidity(to.uid_validity);
            let mut pairs = Vec::new();
            for row in rows {
                let named: Vec<String> = row
                    .keywords
                    .positions()
                    .map(|at| names[at].clone())
                    .collect();
                let to = a.boxes.get_mut(&target.0).ok_or(ChangeError::NoMailbox)?;
                let keywords = to.keyword_bits(&named)?;
                let octets = Rc::clone(&self.0.bodies.borrow()[&row.delivery.0]);
                let uid = self.add(a, target.0, octets, row.flags, keywords, row.internal_date);
                pairs.push((row.uid, uid));
                if and_expunge {
                    a.remove(source.0, row.uid.0);
                }
            }
            Ok(Copied {
                uid_validity,
                pairs,
            })
        })
    }

    fn body(&self) -> Vec<u8> {
        Vec::new()
    }

    async fn body_write(&self, body: &mut Vec<u8>, octets: &[u8]) -> Result<(), ChangeError> {
        suspend_once().await;
        body.extend_from_slice(octets);
        Ok(())
    }

    async fn append(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        body: Vec<u8>,
        names: &FlagNames,
        date: InternalDate,
    ) -> Result<AppendedUid, ChangeError> {
        self.commit().await?;
        let (used, quota) = self.usage(account);
        if quota.is_some_and(|quota| used + body.len() as u64 > quota) {
            return Err(ChangeError::OverQuota);
        }
        self.account(account, |a| {
            let target = a.boxes.get_mut(&mailbox.0).ok_or(ChangeError::NoMailbox)?;
            let keywords = target.keyword_bits(&names.keywords)?;
            let uid_validity = UidValidity(target.uid_validity);
            let uid = self.add(a, mailbox.0, body.into(), names.flags, keywords, date);
            Ok(AppendedUid { uid_validity, uid })
        })
    }

    async fn message(&self, delivery: ObjectId) -> Result<FakeMessage, ReadError> {
        suspend_once().await;
        let octets = self
            .0
            .bodies
            .borrow()
            .get(&delivery.0)
            .cloned()
            .ok_or(ReadError::Gone)?;
        Ok(FakeMessage {
            delivery: delivery.0,
            octets,
        })
    }

    async fn read(&self, message: &FakeMessage, from: u64, to: u64) -> Result<Vec<u8>, ReadError> {
        assert!(
            to.saturating_sub(from) <= 128 << 10,
            "a session reads in pieces"
        );
        let to = to.min(message.octets());
        let damaged = self.0.damaged.borrow().get(&message.delivery).copied();
        if damaged.is_some_and(|at| to > at) {
            return Err(ReadError::Damaged {
                segment: 1,
                offset: from,
                what: "checksum",
            });
        }
        Ok(message
            .octets
            .get(from as usize..to as usize)
            .unwrap_or_default()
            .to_vec())
    }
}
