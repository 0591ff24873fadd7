//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE and STATUS (RFC 9051 §6.3.4–§6.3.8, §6.3.11).

use super::Session;
use super::dialogue::Dialogue;
use super::io::Io;
use super::mailstore::{Mailstore, Picture};
use super::reply::Reply;
use crate::wire::imap::command::StatusItem;
use crate::wire::imap::name;
use crate::wire::imap::response::code::Code;
use crate::wire::imap::response::data::{self, Listed, SPECIAL_USES, StatusValue};
use crate::wire::imap::response::text;
use store::mail::id::{AccountId, MailboxId};
use store::mailbox::tree::SEPARATOR;
use store::mailbox::{SpecialUse, Status};

impl<S: Mailstore> Session<S> {
    pub(super) async fn create(&mut self, name: &str, special_use: &[String]) -> Reply {
        // RFC 9051 §6.3.4: a separator at the end only declares that names will come below.
        let name = name.strip_suffix(SEPARATOR).unwrap_or(name);
        if let Err(fault) = name::check_new(name) {
            return Reply::bad_name(fault);
        }
        let Some(special_use) = special_use_bits(special_use) else {
            // RFC 6154 §3.
            return Reply::no(text::USE_ATTRIBUTE).with(Code::UseAttr);
        };
        match self
            .store
            .create_mailbox(self.account, name, special_use)
            .await
        {
            Ok(made) => {
                let reply = self.inherit_rights(&made.name).await;
                match reply.is_no() {
                    true => reply,
                    false => reply.with(Code::MailboxId(self.account, made.id)),
                }
            }
            Err(error) => Reply::failed(&error),
        }
    }

    pub(super) async fn delete<I: Io>(&mut self, dialogue: &mut Dialogue<I>, name: &str) -> Reply {
        let doomed = self
            .store
            .mailbox(self.account, name)
            .map(|mailbox| mailbox.id);
        if let Err(error) = self.store.delete_mailbox(self.account, name).await {
            return Reply::failed(&error);
        }
        if self
            .selected
            .as_ref()
            .is_some_and(|s| Some(s.view.mailbox()) == doomed)
        {
            self.selected = None;
            Reply::ok(text::MAILBOX_GONE)
                .with(Code::Closed)
                .write_untagged(dialogue.out());
        }
        Reply::done()
    }

    pub(super) async fn rename<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        from: &str,
        to: &str,
    ) -> Reply {
        let to = to.strip_suffix(SEPARATOR).unwrap_or(to);
        if let Err(fault) = name::check_new(to) {
            return Reply::bad_name(fault);
        }
        if let Err(error) = self.store.rename_mailbox(self.account, from, to).await {
            return Reply::failed(&error);
        }
        // RFC 9051 §6.3.6.1: what the name was before; not for INBOX, which stays.
        if self.rev2 && from != name::INBOX {
            let listed = Listed {
                name: &self.shown(to),
                old_name: Some(&self.shown(from)),
                ..Listed::default()
            };
            data::list(dialogue.out(), &listed, self.utf8());
        }
        Reply::done()
    }

    /// SUBSCRIBE takes a name that does not exist: it may again (RFC 9051 §6.3.7).
    pub(super) async fn subscribe(&mut self, name: &str, on: bool) -> Reply {
        if on && let Err(fault) = name::check_new(name) {
            return Reply::bad_name(fault);
        }
        match self.store.subscribe(self.account, name, on).await {
            Ok(()) => Reply::done(),
            Err(error) => Reply::failed(&error),
        }
    }

    pub(super) async fn status<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        name: &str,
        items: &[StatusItem],
    ) -> Reply {
        match self.write_status_of(dialogue.out(), name, items).await {
            Some(()) => Reply::done(),
            None => Reply::no_mailbox(),
        }
    }

    /// `* STATUS …` of a mailbox of this account; `None`: there is none of this name.
    pub(super) async fn write_status_of(
        &self,
        out: &mut Vec<u8>,
        name: &str,
        items: &[StatusItem],
    ) -> Option<()> {
        let mailbox = self.store.mailbox(self.account, name)?;
        let status = self.store.status(self.account, mailbox.id)?;
        let told = Told {
            id: (self.account, mailbox.id),
            deleted_octets: self.deleted_octets((mailbox.id, &status), items).await,
            append_bytes_max: self.terms.append_bytes_max,
            status,
        };
        write_status(out, &self.shown(&mailbox.name), items, &told, self.utf8());
        Some(())
    }
}

/// What STATUS tells from.
pub(super) struct Told {
    pub(super) id: (AccountId, MailboxId),
    pub(super) status: Status,
    pub(super) deleted_octets: u64,
    pub(super) append_bytes_max: u64,
}

/// `* STATUS name (item value …)`.
pub(super) fn write_status(
    out: &mut Vec<u8>,
    name: &str,
    items: &[StatusItem],
    told: &Told,
    utf8: bool,
) {
    let status = &told.status;
    let value = |item: &StatusItem| match item {
        StatusItem::Messages => StatusValue::Messages(status.messages),
        StatusItem::UidNext => StatusValue::UidNext(status.uid_next.0),
        StatusItem::UidValidity => StatusValue::UidValidity(status.uid_validity.0),
        StatusItem::Unseen => StatusValue::Unseen(status.unseen),
        StatusItem::Deleted => StatusValue::Deleted(status.deleted),
        StatusItem::Size => StatusValue::Size(status.octets),
        StatusItem::Recent => StatusValue::Recent(status.recent),
        StatusItem::DeletedStorage => StatusValue::DeletedStorage(told.deleted_octets),
        StatusItem::AppendLimit => StatusValue::AppendLimit(Some(told.append_bytes_max)),
        StatusItem::HighestModSeq => StatusValue::HighestModSeq(status.highest_modseq.0),
        StatusItem::MailboxId => StatusValue::MailboxId(told.id.0, told.id.1),
    };
    let values: Vec<StatusValue> = items.iter().map(value).collect();
    data::status(out, name, &values, utf8);
}

fn special_use_bits(names: &[String]) -> Option<SpecialUse> {
    let mut bits = SpecialUse::NONE;
    for name in names {
        let known = SPECIAL_USES
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(name));
        bits.0 |= known?.0.0;
    }
    Some(bits)
}
