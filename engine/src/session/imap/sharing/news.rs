//! Changes of annotations, for sessions that enabled METADATA (RFC 5464 §4.4.2), or asked for them
//! with NOTIFY (RFC 5465 §5.6, §5.7).
//!
//! The newest changes of a shard are kept under rising numbers; a session knows up to which it was
//! told. One that sleeps through more than are kept hears the rest only.

use super::super::Session;
use super::super::mailstore::Mailstore;
use crate::wire::imap::metadata::{Entry, Scope};
use crate::wire::imap::response::sharing;
use crate::wire::imap::rights::Rights;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use store::mail::id::{AccountId, MailboxId};
use store::mailbox::MailboxInfo;

/// Changes kept.
const KEPT_MAX: usize = 256;

/// The changes of one shard.
#[derive(Default)]
pub struct News {
    tip: Cell<u64>,
    kept: RefCell<VecDeque<Changed>>,
    listeners: Cell<u64>,
}

/// One entry that has another value now.
#[derive(Clone)]
pub(super) struct Changed {
    number: u64,
    pub(super) account: AccountId,
    /// `None`: of the account itself.
    pub(super) mailbox: Option<MailboxId>,
    pub(super) entry: Entry,
    /// Whose private entry it is.
    pub(super) of: String,
    /// Who made the change need not be told.
    by: Option<u64>,
}

/// A session that wants to be told.
pub(super) struct Listener {
    me: u64,
    heard: u64,
}

impl News {
    fn say(&self, changed: Changed) {
        let number = self.tip.get() + 1;
        self.tip.set(number);
        let mut kept = self.kept.borrow_mut();
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(Changed { number, ..changed });
    }

    fn listen(&self) -> Listener {
        self.listeners.set(self.listeners.get() + 1);
        Listener {
            me: self.listeners.get(),
            heard: self.tip.get(),
        }
    }

    fn since(&self, listener: &mut Listener) -> Vec<Changed> {
        if listener.heard == self.tip.get() {
            return Vec::new();
        }
        let kept = self.kept.borrow();
        let new = kept.iter().filter(|one| one.number > listener.heard);
        let new = new
            .filter(|one| one.by != Some(listener.me))
            .cloned()
            .collect();
        listener.heard = self.tip.get();
        new
    }
}

impl<S: Mailstore> Session<S> {
    /// ENABLE METADATA.
    pub(in super::super) fn enable_news(&mut self) -> bool {
        self.listen_to_news();
        !std::mem::replace(&mut self.sharing.tells_entries, true)
    }

    pub(in super::super) fn listen_to_news(&mut self) {
        let house = Rc::clone(&self.sharing.house);
        self.sharing
            .listener
            .get_or_insert_with(|| house.news.listen());
    }

    /// Tells other sessions of entries with new values.
    pub(super) fn spread(&self, mailbox: Option<MailboxId>, entries: &[Entry]) {
        let sharing = &self.sharing;
        for entry in entries {
            sharing.house.news.say(Changed {
                number: 0,
                account: self.account,
                mailbox,
                entry: entry.clone(),
                of: sharing.house.user.clone(),
                by: sharing.listener.as_ref().map(|listener| listener.me),
            });
        }
        self.store.ring(self.account, mailbox);
    }

    /// Says what changed meanwhile of the mailboxes that the user may see.
    pub(in super::super) fn tell_news(&mut self, out: &mut Vec<u8>) {
        let Some(listener) = &mut self.sharing.listener else {
            return;
        };
        let house = Rc::clone(&self.sharing.house);
        for changed in house.news.since(listener) {
            let is_private = changed.entry.scope() == Scope::Private;
            if changed.account != self.account || is_private && changed.of != house.user {
                continue;
            }
            if let Some(name) = self.name_of_changed(changed.mailbox) {
                sharing::metadata_changed(out, &name, &changed.entry, self.utf8());
            }
        }
    }

    /// `None` where there is no such mailbox for this user.
    fn name_of_changed(&self, mailbox: Option<MailboxId>) -> Option<String> {
        let Some(mailbox) = mailbox else {
            let is_told = self.sharing.owner.is_none() && self.tells_entries(None);
            return is_told.then(String::new);
        };
        let info = self.store.mailbox_by_id(self.account, mailbox)?;
        let is_visible = self.rights_on(mailbox).contains(Rights::LOOKUP);
        let is_told = is_visible && self.tells_entries(Some(&info));
        is_told.then(|| self.shown(&info.name).into_owned())
    }

    /// NOTIFY says what is told, and what is not, whatever was enabled (RFC 5465 §3.1).
    fn tells_entries(&self, of: Option<&MailboxInfo>) -> bool {
        match &self.notify {
            Some(notify) => notify.tells_entries(of),
            None => self.sharing.tells_entries,
        }
    }
}
