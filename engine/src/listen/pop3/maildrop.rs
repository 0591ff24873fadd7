//! The maildrop of a session: locked from login to the end, changed only at QUIT (RFC 1939 §8).
//!
//! ```text
//! lock ─▶ delay ─▶ what is over is expunged ─▶ the list ─▶ … ─▶ QUIT: one EXPUNGE ─▶ unlock
//! ```
//!
//! The lock is that of an account on its owner shard. It is a value that the connection holds, so
//! it is free whenever the connection goes, in whatever way; after QUIT before the answer, so that
//! a client that comes back at once finds it free.

use super::{Conversation, Hall};
use crate::config::Expire;
use crate::event;
use crate::reactor::yield_now;
use crate::route::Account;
use crate::session::pop3::Update;
use crate::session::pop3::maildrop::{Entry, Maildrop};
use crate::telemetry::metric::Pop3End;
use crate::wire::pop3::reply::{self, Reply};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use store::error::ChangeError;
use store::mail::id::{AccountId, MailboxId, Uid, UidValidity};
use store::mail::uidset::UidSet;
use store::mailbox::View;
use store::shard::{Mark, Marks};

/// Who has which maildrop of this shard, and who was here last.
#[derive(Default)]
pub struct Maildrops {
    locked: Rc<RefCell<HashSet<AccountId>>>,
    /// When the last login was, in milliseconds; only where there is a delay.
    last: RefCell<HashMap<AccountId, u64>>,
}

/// The maildrop of an account is this session's.
struct Lock {
    locked: Rc<RefCell<HashSet<AccountId>>>,
    account: AccountId,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.locked.borrow_mut().remove(&self.account);
    }
}

impl Maildrops {
    /// `None`: another session has it.
    fn lock(&self, account: AccountId) -> Option<Lock> {
        self.locked.borrow_mut().insert(account).then(|| Lock {
            locked: Rc::clone(&self.locked),
            account,
        })
    }

    /// Takes note of a login, unless it comes too early.
    fn may_come(&self, account: AccountId, delay_ms: u64, now_ms: u64) -> bool {
        if delay_ms == 0 {
            return true;
        }
        let mut last = self.last.borrow_mut();
        let is_early = |at: &u64| now_ms < at.saturating_add(delay_ms);
        if last.get(&account).is_some_and(is_early) {
            return false;
        }
        if last.len() >= LOGINS_KNOWN_MAX {
            last.retain(|_, at| is_early(at));
        }
        // Where too many come at one time, some come more often than they may.
        if last.len() < LOGINS_KNOWN_MAX {
            last.insert(account, now_ms);
        }
        true
    }
}

/// What a session has of its maildrop, beside the list.
pub(super) struct Open {
    /// Held for its end.
    _lock: Lock,
    pub(super) account: AccountId,
    pub(super) view: View,
    /// Messages that were retrieved before, where that is remembered.
    retrieved_before: UidSet,
    /// UIDs whose marks mean nothing any more.
    stale: UidSet,
    has_uidls: bool,
    pub(super) messages: u64,
    pub(super) retrieved: u64,
    pub(super) octets: u64,
    pub(super) since_ms: u64,
}

/// How a session ended, for the log.
pub(super) struct Outcome {
    pub(super) name: &'static str,
    pub(super) deleted: u64,
}

impl Outcome {
    pub(super) const LOST: Outcome = Outcome {
        name: "lost",
        deleted: 0,
    };
}

impl Conversation {
    /// Locks the maildrop and makes the list of its messages.
    pub(super) async fn open(&mut self) -> Result<Box<Maildrop>, Reply> {
        let Some(account) = self.account.clone() else {
            return Err(reply::MAILDROP_UNAVAILABLE);
        };
        let opened = open(&self.hall, &account).await;
        let (open, maildrop) = opened.inspect_err(|refusal| {
            let end = match *refusal {
                reply::IN_USE => Pop3End::InUse,
                reply::LOGIN_DELAY => Pop3End::Delayed,
                _ => Pop3End::Unavailable,
            };
            self.hall.metrics.pop3_sessions.of(end).one();
        })?;
        self.ends_ms = None;
        self.open = Some(Box::new(open));
        Ok(Box::new(maildrop))
    }

    /// What QUIT asked for; whether all of it is done. The lock is free afterwards.
    pub(super) async fn update(&mut self, update: Update) -> bool {
        let Some(open) = self.open.take() else {
            return false;
        };
        let deleted = update.deleted.len();
        let done = open.end(&self.hall, update).await;
        let (name, end) = match &done {
            Ok(()) => ("quit", Pop3End::Quit),
            Err(error) => {
                let error = error.to_string();
                event!(
                    Error,
                    "maildrop not updated",
                    account = open.account,
                    error = error
                );
                ("failed", Pop3End::Failed)
            }
        };
        let deleted = if done.is_ok() { deleted } else { 0 };
        self.hall.metrics.pop3_sessions.of(end).one();
        self.hall.metrics.pop3_deleted.add(deleted);
        self.report(&open, &Outcome { name, deleted });
        done.is_ok()
    }
}

async fn open(hall: &Hall, account: &Account) -> Result<(Open, Maildrop), Reply> {
    let address = account.address.to_string();
    let id = hall.store.open_account(&address).await;
    let id = id.map_err(|_| reply::MAILDROP_UNAVAILABLE)?;
    let lock = hall.maildrops.lock(id).ok_or(reply::IN_USE)?;
    let policy = hall.live.config.load().pop3.clone();
    let delay_ms = u64::from(policy.login_delay_secs) * 1000;
    if !hall.maildrops.may_come(id, delay_ms, hall.now_ms()) {
        return Err(reply::LOGIN_DELAY);
    }
    let inbox = hall.store.mailbox(id, INBOX);
    let inbox = inbox.ok_or(reply::MAILDROP_DAMAGED)?;
    hall.store.warm_mailbox(id, inbox.id).await;
    let view = hall.store.view(id, inbox.id, false);
    let view = view.ok_or(reply::MAILDROP_DAMAGED)?;
    let (over, retrieved_before) = match policy.expire {
        Expire::Days(days) => expire(hall, &view, days).await?,
        Expire::Never | Expire::Retrieved => Default::default(),
    };
    let entries = list(hall, &view, &over).await;
    let (brought, stale) = uidls(hall, &view)?;
    let open = Open {
        _lock: lock,
        account: id,
        retrieved_before,
        stale,
        has_uidls: !brought.is_empty(),
        messages: entries.len() as u64,
        retrieved: 0,
        octets: 0,
        since_ms: hall.now_ms(),
        view,
    };
    let maildrop = Maildrop::new(entries, open.view.uid_validity, brought);
    Ok((open, maildrop))
}

/// Expunges what was retrieved long enough ago: these, and what was retrieved and stays.
async fn expire(hall: &Hall, view: &View, days: u32) -> Result<(UidSet, UidSet), Reply> {
    let now_secs = hall.now().unix_secs();
    let is_over = |octets: &[u8]| {
        let secs = read_secs(octets).unwrap_or(now_secs);
        secs.saturating_add(u64::from(days) * DAY_SECS) <= now_secs
    };
    let marks = marks(hall, view, Mark::Retrieved)?;
    let (over, known): (Vec<_>, Vec<_>) = marks.iter().partition(|(_, secs)| is_over(secs));
    let over = UidSet::from_ascending(over.into_iter().map(|(uid, _)| *uid));
    let known = UidSet::from_ascending(known.into_iter().map(|(uid, _)| *uid));
    if over.is_empty() {
        return Ok((over, known));
    }
    let done = async {
        let store = &hall.store;
        let none = UidSet::new();
        let end = store.end_maildrop(view.account, view.mailbox, &over, &none);
        end.await?;
        for mark in [Mark::Retrieved, Mark::Uidl] {
            let unmark = store.unmark(mark, view.account, view.uid_validity, &over);
            unmark.await?;
        }
        Ok::<_, ChangeError>(())
    };
    match done.await {
        Ok(()) => {
            hall.metrics.pop3_deleted.add(over.len());
            Ok((over, known))
        }
        // What could not be removed now is there, and is removed at the next login.
        Err(_) => Ok((UidSet::new(), known)),
    }
}

/// Every message that is there, in turns.
async fn list(hall: &Hall, view: &View, without: &UidSet) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(view.uids().len());
    for turn in view.uids().chunks(ROWS_A_TURN) {
        if !entries.is_empty() {
            yield_now().await;
        }
        let uids = UidSet::from_ascending(turn.iter().copied().map(Uid));
        hall.store.rows(view, &uids, &mut |row| {
            if !without.contains(row.uid) {
                entries.push(Entry {
                    uid: row.uid,
                    octets: row.octets,
                });
            }
        });
    }
    entries
}

type Uidls = BTreeMap<Uid, Box<str>>;

/// Unique ids of messages that are there, and UIDs of those that are not.
fn uidls(hall: &Hall, view: &View) -> Result<(Uidls, UidSet), Reply> {
    let marks = marks(hall, view, Mark::Uidl)?;
    let mut stale = UidSet::new();
    let mut brought = Uidls::new();
    for (uid, octets) in marks {
        match view.sequence(uid) {
            Some(_) => {
                let text = String::from_utf8_lossy(&octets);
                brought.insert(uid, text.into());
            }
            None => stale.push(uid),
        }
    }
    Ok((brought, stale))
}

fn marks(hall: &Hall, view: &View, mark: Mark) -> Result<Marks, Reply> {
    let found = hall.store.marks(mark, view.account, view.uid_validity);
    found.map_err(|error| {
        let error = error.to_string();
        event!(
            Error,
            "marks of a mailbox cannot be read",
            account = view.account,
            error = error
        );
        reply::MAILDROP_DAMAGED
    })
}

impl Open {
    pub(super) fn mailbox(&self) -> MailboxId {
        self.view.mailbox
    }

    fn uid_validity(&self) -> UidValidity {
        self.view.uid_validity
    }

    /// What was deleted is gone when this is ready; marks are an aid, and no reason to fail.
    async fn end(&self, hall: &Hall, update: Update) -> Result<(), ChangeError> {
        let Update { deleted, retrieved } = &update;
        let store = &hall.store;
        let end = store.end_maildrop(self.account, self.mailbox(), deleted, retrieved);
        end.await?;
        if let Err(error) = self.settle_marks(hall, &update).await {
            let error = error.to_string();
            event!(
                Error,
                "marks not kept",
                account = self.account,
                error = error
            );
        }
        Ok(())
    }

    async fn settle_marks(&self, hall: &Hall, update: &Update) -> Result<(), ChangeError> {
        let Update { deleted, retrieved } = update;
        let (store, account, validity) = (&hall.store, self.account, self.uid_validity());
        let expire = hall.live.config.load().pop3.expire;
        if let Expire::Days(_) = expire {
            let secs = hall.now().unix_secs();
            let fresh = retrieved.without(&self.retrieved_before);
            let marks: Marks = fresh.iter().map(|uid| (uid, write_secs(secs))).collect();
            store
                .mark(Mark::Retrieved, account, validity, &marks)
                .await?;
            let gone = store.unmark(Mark::Retrieved, account, validity, deleted);
            gone.await?;
        }
        if self.has_uidls || !self.stale.is_empty() {
            let gone = deleted.union(&self.stale);
            store.unmark(Mark::Uidl, account, validity, &gone).await?;
        }
        Ok(())
    }
}

fn write_secs(secs: u64) -> Box<[u8]> {
    let secs = u32::try_from(secs).unwrap_or(u32::MAX);
    Box::new(secs.to_be_bytes())
}

fn read_secs(octets: &[u8]) -> Option<u64> {
    let octets: [u8; 4] = octets.try_into().ok()?;
    Some(u64::from(u32::from_be_bytes(octets)))
}

/// RFC 1939 knows one mailbox.
const INBOX: &str = "INBOX";

/// Rows looked at before other connections run.
const ROWS_A_TURN: usize = 32_768;

/// Accounts of which the last login is known at one time.
const LOGINS_KNOWN_MAX: usize = 100_000;

const DAY_SECS: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maildrop_is_one_sessions_until_it_goes() {
        let maildrops = Maildrops::default();
        let first = maildrops.lock(AccountId(1));
        assert!(first.is_some());
        assert!(maildrops.lock(AccountId(1)).is_none());
        assert!(maildrops.lock(AccountId(2)).is_some());
        drop(first);
        assert!(maildrops.lock(AccountId(1)).is_some());
    }

    #[test]
    fn who_comes_too_early_does_not_begin_to_wait_anew() {
        let maildrops = Maildrops::default();
        let comes = |at| maildrops.may_come(AccountId(1), 1000, at);
        assert!(comes(0) && !comes(999) && comes(1000) && !comes(1001));
        assert!(maildrops.may_come(AccountId(1), 0, 1002));
    }

    #[test]
    fn seconds_come_back() {
        assert_eq!(read_secs(&write_secs(1_795_000_000)), Some(1_795_000_000));
        assert_eq!(read_secs(b"x"), None);
    }
}
