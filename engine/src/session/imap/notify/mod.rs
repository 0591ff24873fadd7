//! NOTIFY: a client is told of what happens in mailboxes without asking, between its commands too
//! (RFC 5465).
//!
//! Nothing is queued. A session remembers what it has told of each mailbox that it watches, and
//! when the account's bell rings, it tells how that differs from what is: a client that does not
//! read costs no memory, and what came and went meanwhile is not told at all.
//!
//! ```text
//! NOTIFY SET ──▶ what is, as told ── bell ──▶ what is now ── STATUS, LIST ──▶ as told …
//! ```

mod groups;
mod seen;

use self::groups::Groups;
use self::seen::Seen;
use super::Session;
use super::dialogue::Dialogue;
use super::idle::Woken;
use super::io::{Ended, Io};
use super::mailstore::{Mailstore, Picture};
use super::manage::{Told, write_status};
use super::reply::{Reply, say};
use super::sync::Expunges;
use crate::wire::imap::command::{Body, FetchItem, StatusItem};
use crate::wire::imap::notify::{self as wire, Events, SUPPORTED, Set};
use crate::wire::imap::response::code::Code;
use crate::wire::imap::response::data;
use ::store::mail::id::MailboxId;
use ::store::mailbox::{MailboxInfo, Status};

/// What a client wants to hear of, and what it has heard.
pub(super) struct Notify<S: Mailstore> {
    /// `None`: of nothing.
    watch: Option<S::Watch>,
    selected: Option<wire::Selected>,
    groups: Groups,
    seen: Seen,
}

/// When events are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moment {
    /// No command is in progress.
    Between,
    Idle,
    /// Behind a command; `is_own`: its outcome is to be told, whatever the client listens to.
    After {
        expunges: Expunges,
        is_own: bool,
    },
}

/// Commands that expunge messages of the selected mailbox.
pub(super) fn changes_selected(body: &Body) -> bool {
    matches!(
        body,
        Body::Expunge | Body::UidExpunge(_) | Body::Move { .. }
    )
}

impl<S: Mailstore> Notify<S> {
    /// NOTIFY NONE: the client hears of nothing.
    fn none() -> Notify<S> {
        Notify {
            watch: None,
            selected: None,
            groups: Groups::default(),
            seen: Seen::default(),
        }
    }

    pub(super) fn watch(&mut self) -> Option<&mut S::Watch> {
        self.watch.as_mut()
    }

    /// Flags of the selected mailbox that others change.
    pub(super) fn tells_flags(&self) -> bool {
        let selected = self.selected.as_ref();
        selected.is_some_and(|selected| selected.events.has(Events::FLAGS))
    }

    /// Annotations of a mailbox, or of the server.
    pub(super) fn tells_entries(&self, of: Option<&MailboxInfo>) -> bool {
        match of {
            Some(info) => {
                let events = self.groups.events_of(&info.name, info.subscribed);
                events.has(Events::MAILBOX_ENTRIES)
            }
            None => self.groups.ask_for(Events::SERVER_ENTRIES),
        }
    }

    /// What is told of a new message in the selected mailbox, if anything.
    pub(super) fn attributes(&self) -> Option<&[FetchItem]> {
        let selected = self.selected.as_ref()?;
        (!selected.fetch.is_empty()).then_some(&selected.fetch)
    }

    /// Whether the selected mailbox is brought up to date now, and with its expunges.
    fn selected_at(&self, moment: Moment) -> Option<Expunges> {
        let group = self.selected.as_ref();
        let group = group.filter(|group| group.events.has(Events::MESSAGES));
        match (moment, group) {
            (Moment::After { expunges, .. }, Some(_)) => Some(expunges),
            (Moment::After { expunges, is_own }, None) => is_own.then_some(expunges),
            (_, None) => None,
            // RFC 5465 §6.1.2: not while the client may count on numbers.
            (Moment::Between, Some(group)) if group.delayed => Some(Expunges::HoldBack),
            (Moment::Between | Moment::Idle, Some(_)) => Some(Expunges::Tell),
        }
    }
}

impl<S: Mailstore> Session<S> {
    /// NOTIFY SET is a NOOP as well (RFC 5465 §3.1); one that is refused changes nothing.
    pub(super) async fn notify<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        notify: wire::Notify,
    ) -> Result<Reply, Ended> {
        let set = match notify {
            wire::Notify::None => {
                self.notify = Some(Box::new(Notify::none()));
                return Ok(Reply::done());
            }
            wire::Notify::Set(set) if set.unsupported => {
                let code = Code::BadEvent(&SUPPORTED);
                return Ok(Reply::no(say::UNKNOWN_EVENT).with(code));
            }
            wire::Notify::Set(set) => set,
        };
        let status = set.status;
        let entries = Events::MAILBOX_ENTRIES | Events::SERVER_ENTRIES;
        let Some(notify) = self.watch_for(set) else {
            let code = Code::NotificationOverflow;
            return Ok(Reply::no(say::TOO_MANY_WATCHED).with(code));
        };
        self.notify = None;
        self.tell(dialogue, Expunges::Tell, |_, _, _| false).await?;
        if status {
            self.tell_watched(dialogue, &notify).await?;
        }
        if notify.groups.ask_for(entries) {
            self.listen_to_news();
        }
        self.notify = Some(Box::new(notify));
        Ok(Reply::done())
    }

    /// `None`: there is more to watch than one session may.
    fn watch_for(&self, set: Set) -> Option<Notify<S>> {
        let groups = Groups::new(set.groups);
        Some(Notify {
            watch: Some(self.store.watch_account(self.account)),
            seen: Seen::now(&self.store, self.account, &groups)?,
            selected: set.selected,
            groups,
        })
    }

    /// RFC 5465 §3.1: the state of every mailbox with message events, from which the client counts
    /// on.
    async fn tell_watched<I: Io>(
        &self,
        dialogue: &mut Dialogue<I>,
        notify: &Notify<S>,
    ) -> Result<(), Ended> {
        for (id, watched) in notify.seen.mailboxes() {
            if watched.events.has_any(Events::MESSAGES) && Some(id) != self.selected_id() {
                self.tell_status(
                    dialogue,
                    id,
                    &watched.name,
                    &self.first_items(watched.events),
                );
                dialogue.flush_if_full().await?;
            }
        }
        Ok(())
    }

    fn first_items(&self, events: Events) -> Vec<StatusItem> {
        let base = [
            StatusItem::Messages,
            StatusItem::UidNext,
            StatusItem::UidValidity,
        ];
        let unseen = events.has(Events::FLAGS).then_some(StatusItem::Unseen);
        let modseq = self.dialect.condstore.then_some(StatusItem::HighestModSeq);
        base.into_iter().chain(unseen).chain(modseq).collect()
    }

    /// Waits for a command and tells events until it comes.
    pub(super) async fn listen_to_events<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
    ) -> Result<(), Ended> {
        loop {
            self.tell_events(dialogue, Moment::Between).await?;
            self.tell_news(dialogue.out());
            let woken = self.wait(dialogue, self.terms.autologout).await?;
            if matches!(woken, Woken::Input) {
                return Ok(());
            }
        }
    }

    pub(super) async fn tell_events<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        moment: Moment,
    ) -> Result<(), Ended> {
        let notify = self.notify.as_ref();
        if let Some(expunges) = notify.and_then(|notify| notify.selected_at(moment)) {
            self.tell(dialogue, expunges, |_, _, _| false).await?;
            if !matches!(moment, Moment::After { .. }) {
                self.date_events(dialogue.out(), expunges);
            }
        }
        let Some(mut notify) = self.notify.take_if(|notify| notify.watch.is_some()) else {
            return Ok(());
        };
        let Notify { groups, seen, .. } = &mut *notify;
        let overflows = !self.tell_names(dialogue, groups, seen).await?;
        if overflows {
            // RFC 5465 §5.8: from here on as after NOTIFY NONE.
            let told = Reply::ok(say::TOO_MANY_WATCHED).with(Code::NotificationOverflow);
            told.write_untagged(dialogue.out());
            *notify = Notify::none();
        } else {
            self.tell_statuses(dialogue, seen).await?;
        }
        self.notify = Some(notify);
        Ok(())
    }

    /// STATUS of the mailboxes that changed since they were last told (RFC 5465 §5.1–§5.3).
    async fn tell_statuses<I: Io>(
        &self,
        dialogue: &mut Dialogue<I>,
        seen: &mut Seen,
    ) -> Result<(), Ended> {
        for (id, status) in seen.changed(&self.store, self.account) {
            let Some((watched, before)) = seen.take_in(id, &status) else {
                continue;
            };
            let items = self.items(watched.events, before.differs(&status));
            if !items.is_empty() && Some(id) != self.selected_id() {
                self.write_event(dialogue, &watched.name, &items, (id, &status));
                dialogue.flush_if_full().await?;
            }
        }
        Ok(())
    }

    /// What of a mailbox is told when it changed so. A change of flags is nothing but its MODSEQ.
    fn items(&self, events: Events, (moved, reseen): (bool, bool)) -> Vec<StatusItem> {
        let mut items = Vec::new();
        let tells_flags = events.has(Events::FLAGS);
        if moved && events.has(Events::MESSAGES) {
            items.extend([StatusItem::Messages, StatusItem::UidNext]);
        }
        if tells_flags && !moved && self.dialect.condstore {
            items.push(StatusItem::UidValidity);
        }
        if tells_flags && reseen {
            items.push(StatusItem::Unseen);
        }
        if self.dialect.condstore && !items.is_empty() {
            items.push(StatusItem::HighestModSeq);
        }
        items
    }

    fn tell_status<I: Io>(
        &self,
        dialogue: &mut Dialogue<I>,
        mailbox: MailboxId,
        name: &str,
        items: &[StatusItem],
    ) {
        if let Some(status) = self.store.status(self.account, mailbox) {
            self.write_event(dialogue, name, items, (mailbox, &status));
        }
    }

    fn write_event<I: Io>(
        &self,
        dialogue: &mut Dialogue<I>,
        name: &str,
        items: &[StatusItem],
        (mailbox, status): (MailboxId, &Status),
    ) {
        let told = Told {
            id: (self.account, mailbox),
            status: *status,
            deleted_octets: 0,
            append_bytes_max: self.terms.append_bytes_max,
        };
        write_status(dialogue.out(), name, items, &told, self.utf8());
    }

    /// LIST for what was made, deleted, renamed, subscribed to (RFC 5465 §5.4, §5.5). `false`:
    /// there is more to watch now than one session may.
    async fn tell_names<I: Io>(
        &self,
        dialogue: &mut Dialogue<I>,
        groups: &Groups,
        seen: &mut Seen,
    ) -> Result<bool, Ended> {
        let Some(news) = seen.news(&self.store, self.account, groups) else {
            return Ok(true);
        };
        for told in &news.lists {
            data::list(dialogue.out(), &news.listed(told), self.utf8());
            dialogue.flush_if_full().await?;
        }
        let Some(now) = Seen::now(&self.store, self.account, groups) else {
            return Ok(false);
        };
        // A client that asks for flags is to learn of another UIDVALIDITY (RFC 5465 §5.1).
        for (id, name, events) in seen.adopt(now) {
            if events.has(Events::MESSAGES) && Some(id) != self.selected_id() {
                self.tell_status(dialogue, id, &name, &self.first_items(events));
                dialogue.flush_if_full().await?;
            }
        }
        Ok(true)
    }

    fn selected_id(&self) -> Option<MailboxId> {
        let selected = self.selected.as_ref();
        selected.map(|selected| selected.view.mailbox())
    }
}
