//! The IMAP dialogue: one file per family of commands (RFC 9051, RFC 3501).
//!
//! ```text
//! login::Login   NotAuthenticated ── LOGIN, AUTHENTICATE ──▶ hand-over to the owner shard
//! Session        Authenticated ⇄ Selected ── LOGOUT, BYE ──▶ the end
//! ```
//!
//! The login stage ends without an answer: the owner shard's [`Session`] says `OK [CAPABILITY …]`,
//! so that a client that was let in is served, and one whose hand-over failed is not told it is in.
//!
//! A command is a future over the session's view; commands that a client pipelines are answered in
//! order, one at a time (RFC 9051 §5.5). Each ends with a sync, in which everything that happened
//! meanwhile is told, and its tagged reply.

pub mod dialogue;
pub mod io;
pub mod login;
pub mod mailstore;
pub mod signing;

mod append;
mod batches;
mod catenate;
mod compress;
mod copy;
mod dated;
mod dialect;
mod extension;
mod fetch;
mod idle;
mod item;
mod limit;
mod list;
mod manage;
mod notify;
mod object;
mod preview;
mod progress;
mod reply;
mod resync;
mod search;
mod section;
mod select;
mod sequence;
pub mod sharing;
mod shown;
mod store;
mod structure;
mod sync;
mod tree;

#[cfg(test)]
mod tests;

use self::copy::Kind;
use self::dialect::Dialect;
use self::dialogue::Dialogue;
use self::io::{Ended, Io};
use self::mailstore::{Mailstore, Picture};
use self::notify::{Moment, Notify};
use self::progress::Progress;
use self::reply::Reply;
pub use self::search::known::Known;
use self::select::Selected;
use self::structure::Structures;
use self::sync::Expunges;
use crate::convert::Converters;
use crate::wire::imap::command::{Body, Command, SequenceSet};
use crate::wire::imap::response::code::{self, Code};
use crate::wire::imap::response::{Condition, text};
use ::store::error::ReadError;
use ::store::mail::date::InternalDate;
use ::store::mail::id::{AccountId, MailboxId, Uid};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What the operator decided, and the clock.
#[derive(Clone)]
pub struct Terms {
    /// Largest message that APPEND takes, in octets (RFC 7889).
    pub append_bytes_max: u64,
    /// Silence of a client between commands (RFC 9051 §5.4: at least 30 minutes).
    pub autologout: Duration,
    /// Who did not enable UTF-8 is shown headers in ASCII (RFC 6858).
    pub ascii_headers: bool,
    /// What makes text of attachments for searches, if anything does.
    pub converters: Option<Arc<Converters>>,
    /// Messages that one command works on (RFC 9738); `None` for any number.
    pub messages_max: Option<u32>,
    /// The date of an APPEND that names none.
    pub now: Rc<dyn Fn() -> InternalDate>,
}

/// One client, from login on, on the shard that owns its account.
pub struct Session<S: Mailstore> {
    store: S,
    account: AccountId,
    terms: Terms,
    /// ENABLE IMAP4rev2 was said (RFC 9051 §6.3.1): ESEARCH, no RECENT, UTF-8 in names.
    rev2: bool,
    /// ENABLE UTF8=ACCEPT was said (RFC 6855 §3).
    utf8_accept: bool,
    dialect: Dialect,
    selected: Option<Selected<S>>,
    /// What NOTIFY asked for; `None` before the first (RFC 5465 §3.1).
    notify: Option<Box<Notify<S>>>,
    /// The lowest UID that the command under way works on, where it named more than it may.
    came_down_to: Option<Uid>,
    structures: Structures,
    /// What the mailboxes of this shard are sorted by.
    known: Rc<Known>,
    report: Option<Report>,
    sharing: sharing::Sharing,
}

/// Whom the operator's news go to.
pub type Report = Rc<dyn Fn(&Trouble)>;

/// A message that the store has and cannot give; the client is told that it is damaged, the
/// operator where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    pub account: AccountId,
    pub mailbox: MailboxId,
    pub uid: Uid,
    pub error: ReadError,
}

impl<S: Mailstore> Session<S> {
    #[must_use]
    pub fn new(store: S, account: AccountId, terms: Terms) -> Session<S> {
        Session {
            store,
            account,
            terms,
            rev2: false,
            utf8_accept: false,
            dialect: Dialect::default(),
            selected: None,
            notify: None,
            came_down_to: None,
            structures: Structures::default(),
            known: Rc::default(),
            report: None,
            sharing: sharing::Sharing::default(),
        }
    }

    /// Shares what is known of mailboxes with the other sessions of a shard.
    #[must_use]
    pub fn knowing(self, known: Rc<Known>) -> Session<S> {
        Session { known, ..self }
    }

    /// Names every message that cannot be read to `report`.
    #[must_use]
    pub fn reporting_to(self, report: Report) -> Session<S> {
        Session {
            report: Some(report),
            ..self
        }
    }

    /// Answers the login of `tag`, then every command, until one side has enough. What is left to
    /// do is to close the connection.
    pub async fn run<I: Io>(&mut self, dialogue: &mut Dialogue<I>, tag: &str) -> Ended {
        dialogue.receiver().log_in();
        let words = self.capabilities();
        let code = Some(Code::Capability(&words));
        code::tagged(dialogue.out(), tag, Condition::Ok, code, text::LOGGED_IN);
        drop(words);
        loop {
            if let Err(ended) = self.turn(dialogue).await {
                return say_goodbye(dialogue, ended).await;
            }
        }
    }

    /// Waiting for a command and IDLE are the two long waits: what they hold is small, every other
    /// command has its memory for as long as it runs.
    async fn turn<I: Io>(&mut self, dialogue: &mut Dialogue<I>) -> Result<(), Ended> {
        if self.notify.is_some() && dialogue.is_quiet() {
            Box::pin(self.listen_to_events(dialogue)).await?;
        }
        let command = dialogue.command(self.terms.autologout).await?;
        let Some(Command { tag, body }) = Box::pin(self.beyond(dialogue, command)).await? else {
            return Ok(());
        };
        match body {
            Body::Idle => {
                self.structures.clear();
                let reply = self.idle(dialogue).await?;
                self.finish(dialogue, &tag, &reply).await
            }
            body => Box::pin(self.command(dialogue, &tag, body)).await,
        }
    }

    async fn command<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        body: Body,
    ) -> Result<(), Ended> {
        if self.dialect.uid_only && dialect::uses_numbers(&body) {
            return self.finish(dialogue, tag, &Reply::uid_required()).await;
        }
        self.dialect.condstore |= dialect::enables_condstore(&body);
        let expunges = Expunges::after(&body);
        dialogue.under_way(Progress::of(tag, &body, &self.terms.now));
        let (is_dated, is_own) = (dated::is_dated(&body), notify::changes_selected(&body));
        let reply = self.answer(dialogue, tag, body).await?;
        dialogue.under_way(None);
        match &self.notify {
            None => self.tell(dialogue, expunges, |_, _, _| false).await?,
            Some(_) => {
                let moment = Moment::After { expunges, is_own };
                self.tell_events(dialogue, moment).await?;
            }
        }
        self.tell_news(dialogue.out());
        let reply = self.dated(reply, is_dated, expunges);
        let reply = self.with_limit(dialogue.out(), reply);
        self.finish(dialogue, tag, &reply).await
    }

    async fn finish<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        reply: &Reply,
    ) -> Result<(), Ended> {
        reply.write(dialogue.out(), tag);
        if reply.is_bad() {
            return dialogue.count_bad().await;
        }
        dialogue.forgive();
        dialogue.flush_if_full().await
    }

    /// Any command but IDLE, which `turn` keeps to itself.
    async fn answer<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        body: Body,
    ) -> Result<Reply, Ended> {
        match body {
            Body::Capability => Ok(self.capability(dialogue)),
            Body::Noop => Ok(Reply::done()),
            Body::Logout => self.log_out(dialogue, tag).await,
            Body::Id(_) => Ok(extension::id(dialogue)),
            Body::Enable(names) => Ok(self.enable(dialogue, &names)),
            Body::Namespace => Ok(self.namespace(dialogue)),
            Body::StartTls | Body::Authenticate { .. } | Body::Login { .. } => {
                Ok(Reply::bad(text::ALREADY_LOGGED_IN))
            }
            Body::Append(append) => self.append(dialogue, append).await,
            Body::Compress(mechanism) => self.compress(dialogue, tag, &mechanism).await,
            Body::Unauthenticate => self.unauthenticate(dialogue, tag).await,
            Body::Rights(command) => Ok(self.rights(dialogue, command).await),
            Body::Quota(command) => Ok(self.quota(dialogue, command).await),
            Body::Metadata(command) => Ok(self.metadata(dialogue, command).await),
            body => self.answer_on_mailboxes(dialogue, tag, body).await,
        }
    }

    async fn answer_on_mailboxes<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        body: Body,
    ) -> Result<Reply, Ended> {
        match body {
            Body::Select { mailbox } => Ok(self.select(dialogue, &mailbox, false).await),
            Body::Resync(select) => self.select_again(dialogue, &select).await,
            Body::Notify(notify) => self.notify(dialogue, notify).await,
            Body::Examine { mailbox } => Ok(self.select(dialogue, &mailbox, true).await),
            Body::Create {
                mailbox,
                special_use,
            } => Ok(self.create(&mailbox, &special_use).await),
            Body::Delete { mailbox } => Ok(self.delete(dialogue, &mailbox).await),
            Body::Rename { from, to } => Ok(self.rename(dialogue, &from, &to).await),
            Body::Subscribe { mailbox } => Ok(self.subscribe(&mailbox, true).await),
            Body::Unsubscribe { mailbox } => Ok(self.subscribe(&mailbox, false).await),
            Body::List(list) => self.list(dialogue, &list).await,
            Body::Lsub { reference, pattern } => self.lsub(dialogue, &reference, &pattern).await,
            Body::Status { mailbox, items } => Ok(self.status(dialogue, &mailbox, &items).await),
            body => self.answer_on_messages(dialogue, tag, body).await,
        }
    }

    /// The selected state: each answers BAD while no mailbox is selected.
    async fn answer_on_messages<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        body: Body,
    ) -> Result<Reply, Ended> {
        match body {
            Body::Check if self.selected.is_some() => Ok(Reply::done()),
            Body::Close => Ok(self.close().await),
            Body::Unselect => Ok(self.unselect()),
            Body::Expunge => Ok(self.expunge(None).await),
            Body::UidExpunge(set) => Ok(self.uid_expunge(&set).await),
            Body::Search { uid, search } => self.search(dialogue, tag, uid, search).await,
            Body::Find(find) => self.find(dialogue, tag, find).await,
            Body::Fetch {
                uid,
                set,
                items,
                modifiers,
            } => self.fetch(dialogue, uid, &set, &items, modifiers).await,
            Body::UidBatches(asked) => Ok(self.uid_batches(dialogue, tag, asked)),
            Body::Store { uid, set, store } => self.store(dialogue, uid, &set, store).await,
            Body::Copy { uid, set, mailbox } => {
                self.copy(dialogue, Kind::Copy, uid, &set, &mailbox).await
            }
            Body::Move { uid, set, mailbox } => {
                self.copy(dialogue, Kind::Move, uid, &set, &mailbox).await
            }
            _ => Ok(Reply::not_selected()),
        }
    }

    fn report(&self, uid: Uid, error: ReadError) {
        if let Some(selected) = &self.selected {
            self.report_in(selected.view.mailbox(), uid, error);
        }
    }

    fn report_in(&self, mailbox: MailboxId, uid: Uid, error: ReadError) {
        if let Some(report) = &self.report {
            report(&Trouble {
                account: self.account,
                mailbox,
                uid,
                error,
            });
        }
    }

    async fn uid_expunge(&mut self, set: &SequenceSet) -> Reply {
        let Some(selected) = &self.selected else {
            return Reply::not_selected();
        };
        match sequence::messages(&selected.view, set, true, &selected.saved) {
            Ok(uids) => self.expunge(Some(uids)).await,
            Err(sequence::OutOfRange) => Reply::out_of_range(),
        }
    }

    /// BYE comes before the tagged OK (RFC 9051 §6.1.3).
    async fn log_out<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
    ) -> Result<Reply, Ended> {
        code::bye(dialogue.out(), None, text::LOGOUT);
        Reply::done().write(dialogue.out(), tag);
        dialogue.flush().await?;
        Err(Ended::Finished)
    }
}

/// Says why, where the client can still hear it (RFC 9051 §7.1.5).
pub(super) async fn say_goodbye<I: Io>(dialogue: &mut Dialogue<I>, ended: Ended) -> Ended {
    let why = match ended {
        Ended::TimedOut => text::IDLE_TOO_LONG,
        Ended::Shutdown => text::SHUTDOWN,
        // Nobody listens, everything is said, or the client waits for octets of a literal.
        Ended::Closed | Ended::Finished | Ended::Damaged | Ended::Unauthenticated => {
            return ended;
        }
    };
    code::bye(dialogue.out(), None, why);
    match dialogue.flush().await {
        Ok(()) => ended,
        Err(failed) => failed,
    }
}
