//! SELECT, EXAMINE, CLOSE, UNSELECT and what is known of the selected mailbox
//! (RFC 9051 §6.3.2, §6.3.3, §6.4.1, §6.4.2).

use super::Session;
use super::dialogue::Dialogue;
use super::io::{Ended, Io};
use super::mailstore::{Mailstore, Picture};
use super::reply::{Reply, say};
use super::search::live::Live;
use super::sharing;
use crate::wire::imap::response::code::{self, Code};
use crate::wire::imap::response::data::{self, Listed};
use crate::wire::imap::response::{Condition, text};
use crate::wire::imap::resync;
use crate::wire::imap::rights::Rights;
use store::error::ChangeError;
use store::limit::KEYWORDS_MAX;
use store::mail::flags::Flags;
use store::mail::id::{ModSeq, Uid};
use store::mail::uidset::UidSet;
use store::mailbox::tree::SEPARATOR;
use store::mailbox::{Change, MailboxInfo};

/// What a session knows while a mailbox is selected.
pub(super) struct Selected<S: Mailstore> {
    pub(super) view: S::View,
    pub(super) watch: S::Watch,
    /// The MODSEQ up to which the client was last told that it has heard everything.
    pub(super) dated: ModSeq,
    /// EXAMINE: nothing is changed by this session.
    pub(super) read_only: bool,
    /// What the user might do when it was selected.
    pub(super) rights: Rights,
    /// The keyword table as the client was told it.
    pub(super) keywords: Vec<String>,
    /// The search result variable `$` (RFC 9051 §6.4.4.1).
    pub(super) saved: UidSet,
    /// Results that are kept up to date (RFC 5267 §4.3).
    pub(super) live: Live,
}

impl<S: Mailstore> Session<S> {
    /// A failed SELECT leaves no mailbox selected (RFC 9051 §6.3.2).
    pub(super) async fn select<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        name: &str,
        read_only: bool,
    ) -> Reply {
        if self.selected.take().is_some() {
            // RFC 9051 §7.1, CLOSED: what follows is of the new mailbox.
            Reply::ok(text::CLOSED)
                .with(Code::Closed)
                .write_untagged(dialogue.out());
        }
        let mailbox = self.store.mailbox(self.account, name);
        let Some(mailbox) = mailbox else {
            return Reply::no_mailbox();
        };
        let view = self.store.view(self.account, mailbox.id, !read_only).await;
        let Some(view) = view else {
            return Reply::failed(&self.why_no_view(&mailbox));
        };
        let selected = Selected {
            watch: self.store.watch(self.account, mailbox.id),
            keywords: self.store.keywords(self.account, mailbox.id),
            dated: view.modseq(),
            view,
            read_only,
            rights: self.rights_on(mailbox.id),
            saved: UidSet::new(),
            live: Live::default(),
        };
        let unseen = self.first_unseen(&selected.view);
        self.write_selected(dialogue.out(), &mailbox, &selected, unseen);
        self.selected = Some(selected);
        match read_only {
            true => Reply::ok(text::EXAMINED).with(Code::ReadOnly),
            false => Reply::ok(text::SELECTED).with(Code::ReadWrite),
        }
    }

    /// SELECT and EXAMINE of a client that was here before (RFC 7162 §3.1.8, §3.2.5).
    pub(super) async fn select_again<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        select: &resync::Select,
    ) -> Result<Reply, Ended> {
        if select.resync.is_some() && !self.dialect.qresync {
            return Ok(Reply::bad(say::ENABLE_QRESYNC));
        }
        let reply = self
            .select(dialogue, &select.mailbox, select.read_only)
            .await;
        if let Some(resync) = &select.resync {
            self.resync(dialogue, resync).await?;
        }
        Ok(reply)
    }

    /// A mailbox that is there cannot be shown when the index of it is damaged.
    fn why_no_view(&self, mailbox: &MailboxInfo) -> ChangeError {
        match self.store.mailbox_by_id(self.account, mailbox.id) {
            Some(_) => ChangeError::Damaged,
            None => ChangeError::NoMailbox,
        }
    }

    fn write_selected(
        &self,
        out: &mut Vec<u8>,
        mailbox: &MailboxInfo,
        selected: &Selected<S>,
        unseen: Option<u32>,
    ) {
        let view = &selected.view;
        write_flags(out, selected);
        data::exists(out, view.exists());
        if !self.rev2 {
            data::recent(out, u32::try_from(view.recent().len()).unwrap_or(u32::MAX));
            if let Some(sequence) = unseen {
                note(out, Code::Unseen(sequence), say::FIRST_UNSEEN);
            }
        }
        note(out, Code::UidValidity(view.uid_validity()), say::UIDS_VALID);
        if let Some(status) = self.store.status(self.account, mailbox.id) {
            note(out, Code::UidNext(status.uid_next), say::NEXT_UID);
        }
        note(out, Code::HighestModSeq(view.modseq()), say::HIGHEST_MODSEQ);
        let id = Code::MailboxId(self.account, mailbox.id);
        note(out, id, say::ONE_NAME);
        if self.rev2 {
            // RFC 9051 §6.3.2: a LIST response for the selected mailbox.
            self.write_own_list(out, mailbox);
        }
    }

    fn write_own_list(&self, out: &mut Vec<u8>, mailbox: &MailboxInfo) {
        let below = format!("{}{SEPARATOR}", mailbox.name);
        let all = self.store.mailboxes(self.account);
        let listed = Listed {
            name: &self.shown(&mailbox.name),
            subscribed: mailbox.subscribed,
            has_children: Some(all.iter().any(|other| other.name.starts_with(&below))),
            special_use: mailbox.special_use,
            ..Listed::default()
        };
        data::list(out, &listed, self.utf8());
    }

    /// RFC 3501 §7.1, UNSEEN.
    fn first_unseen(&self, view: &S::View) -> Option<u32> {
        let status = self.store.status(self.account, view.mailbox())?;
        if self.rev2 || self.dialect.uid_only || status.unseen == 0 {
            return None;
        }
        view.sequence(self.store.first_unseen(view)?)
    }

    /// Expunges silently, unless the mailbox was only examined (RFC 9051 §6.4.1).
    pub(super) async fn close(&mut self) -> Reply {
        let Some(mut selected) = self.selected.take() else {
            return Reply::not_selected();
        };
        if selected.read_only {
            return Reply::done();
        }
        let knew_all = self.store.sync(&mut selected.view, true).is_empty();
        let view = &selected.view;
        let uids = UidSet::from_ascending(view.uids().iter().copied().map(Uid));
        match self
            .store
            .expunge(self.account, view.mailbox(), &uids)
            .await
        {
            Ok(gone) if knew_all && self.dialect.condstore => self.closed(selected, &gone),
            Ok(_) => Reply::done(),
            // RFC 9051 §6.4.1 knows no NO: the mailbox is closed, its messages stay \Deleted.
            Err(_) => Reply::ok(say::EXPUNGE_FAILED),
        }
    }

    /// RFC 7162 §3.2.8: the client has missed nothing but what it expunged itself.
    fn closed(&self, mut selected: Selected<S>, gone: &UidSet) -> Reply {
        let changes = self.store.sync(&mut selected.view, true);
        let is_own =
            |change: &Change| matches!(change, Change::Expunge { uid, .. } if gone.contains(*uid));
        match changes.iter().all(is_own) {
            true => Reply::done().with(Code::HighestModSeq(selected.view.modseq())),
            false => Reply::done(),
        }
    }

    pub(super) fn unselect(&mut self) -> Reply {
        match self.selected.take() {
            Some(_) => Reply::done(),
            None => Reply::not_selected(),
        }
    }

    /// EXPUNGE, and with `uids` UID EXPUNGE; what went is told by the sync behind the command.
    pub(super) async fn expunge(&mut self, uids: Option<UidSet>) -> Reply {
        let Some(selected) = &self.selected else {
            return Reply::not_selected();
        };
        if selected.read_only {
            return Reply::read_only();
        }
        let view = &selected.view;
        let mailbox = view.mailbox();
        // RFC 9738 §3.1: EXPUNGE has no limit, UID EXPUNGE has.
        let uids = match uids {
            None => UidSet::from_ascending(view.uids().iter().copied().map(Uid)),
            Some(uids) => match self.within_limit(uids, None) {
                Ok(uids) => uids,
                Err(reply) => return reply,
            },
        };
        match self.store.expunge(self.account, mailbox, &uids).await {
            Ok(_) => Reply::ok(text::EXPUNGE_DONE),
            Err(error) => Reply::failed(&error),
        }
    }
}

/// FLAGS and PERMANENTFLAGS: told at SELECT, and again when a keyword was added.
pub(super) fn write_flags<S: Mailstore>(out: &mut Vec<u8>, selected: &Selected<S>) {
    let table = selected.keywords.as_slice();
    data::flags(out, table);
    let permanent = match selected.read_only {
        true => Code::PermanentFlags(Flags::NONE, &[], false),
        // RFC 9051 §7.1, `\*`: the client may make new keywords.
        false => sharing::permanent(selected.rights, table, table.len() < KEYWORDS_MAX),
    };
    note(out, permanent, say::FLAGS_LAST);
}

fn note(out: &mut Vec<u8>, code: Code<'_>, text: &'static str) {
    code::untagged(out, Condition::Ok, Some(code), text);
}
