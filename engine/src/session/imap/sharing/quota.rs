//! GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208 §4.1), and what STATUS tells of deleted messages.
//!
//! An account is one quota root, named by its address. STORAGE and MESSAGE are told where they are
//! limited; MAILBOX always is.

use super::super::Session;
use super::super::dialogue::Dialogue;
use super::super::io::Io;
use super::super::mailstore::{Mailstore, Picture};
use super::super::reply::Reply;
use crate::wire::imap::command::StatusItem;
use crate::wire::imap::quota::{Command, Resource, STORAGE_UNIT_BYTES, Usage};
use crate::wire::imap::response::code::Code;
use crate::wire::imap::response::{sharing, text};
use store::error::ChangeError;
use store::limit::MAILBOXES_MAX;
use store::mail::flags::Flags;
use store::mail::id::{MailboxId, Uid};
use store::mail::uidset::UidSet;
use store::mailbox::Status;
use store::shard::belonging::Counts;

impl<S: Mailstore> Session<S> {
    pub(in super::super) async fn quota<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        command: Command,
    ) -> Reply {
        match command {
            Command::Get { root } if self.is_own_root(&root) => {
                self.write_quota(dialogue.out());
                Reply::done()
            }
            Command::Set { root, limits } if self.sharing.house.is_administrator => {
                match self.is_own_root(&root) {
                    true => self.set_quota(dialogue.out(), &limits).await,
                    false => no_root(),
                }
            }
            Command::Set { .. } => Reply::no(text::NO_PERMISSION).with(Code::NoPerm),
            Command::Get { .. } => no_root(),
            Command::Root { mailbox } => {
                let Some(mailbox) = self.store.mailbox(self.account, &mailbox) else {
                    return Reply::no_mailbox();
                };
                let (name, root) = (self.shown(&mailbox.name), self.owner_address());
                sharing::quota_root(dialogue.out(), &name, &root, self.utf8());
                self.write_quota(dialogue.out());
                Reply::done()
            }
        }
    }

    fn is_own_root(&self, root: &str) -> bool {
        root.eq_ignore_ascii_case(&self.owner_address())
    }

    fn write_quota(&self, out: &mut Vec<u8>) {
        sharing::quota(out, &self.owner_address(), &self.usages(), self.utf8());
    }

    fn usages(&self) -> Vec<Usage> {
        let (octets, storage) = self.store.usage(self.account);
        let counts = self.store.counts(self.account);
        let mailboxes = self.store.mailboxes(self.account);
        let messages = || {
            let each = mailboxes.iter();
            let status = each.filter_map(|one| self.store.status(self.account, one.id));
            status.map(|status| u64::from(status.messages)).sum()
        };
        let usage = |resource, used, limit| Usage {
            resource,
            used,
            limit,
        };
        let units = |octets: u64| octets.div_ceil(STORAGE_UNIT_BYTES);
        let storage = storage
            .map(|limit| usage(Resource::Storage, units(octets), limit / STORAGE_UNIT_BYTES));
        let message = counts.messages;
        let message = message.map(|limit| usage(Resource::Message, messages(), limit));
        let most = counts.mailboxes.unwrap_or(MAILBOXES_MAX as u64);
        let mailbox = usage(Resource::Mailbox, mailboxes.len() as u64, most);
        storage
            .into_iter()
            .chain(message)
            .chain([mailbox])
            .collect()
    }

    /// What is not named has no limit any more (RFC 9208 §4.1.3).
    async fn set_quota(&self, out: &mut Vec<u8>, limits: &[(String, u64)]) -> Reply {
        let (mut storage, mut counts) = (None, Counts::default());
        for (name, limit) in limits {
            match Resource::from_name(name) {
                Some(Resource::Storage) => {
                    storage = Some(limit.saturating_mul(STORAGE_UNIT_BYTES));
                }
                Some(Resource::Message) => counts.messages = Some(*limit),
                Some(Resource::Mailbox) => counts.mailboxes = Some(*limit),
                None => return Reply::no(text::RESOURCE).with(Code::Cannot),
            }
        }
        if let Err(error) = self.write_limits(storage, counts).await {
            return Reply::failed(&error);
        }
        self.write_quota(out);
        match self.store.usage(self.account).1 == storage {
            true => Reply::done(),
            false => Reply::no(text::QUOTA_CONFIGURED).with(Code::Cannot),
        }
    }

    async fn write_limits(&self, storage: Option<u64>, counts: Counts) -> Result<(), ChangeError> {
        self.store.set_quota(self.account, storage).await?;
        self.store.write_memos(vec![counts.put(self.account)]).await
    }

    /// Octets of the messages with `\Deleted` (RFC 9208 §4.1.4), where STATUS asks for them: no
    /// count is kept of them.
    pub(in super::super) async fn deleted_octets(
        &self,
        (mailbox, status): (MailboxId, &Status),
        items: &[StatusItem],
    ) -> u64 {
        if status.deleted == 0 || !items.contains(&StatusItem::DeletedStorage) {
            return 0;
        }
        let Some(view) = self.store.view(self.account, mailbox, false).await else {
            return 0;
        };
        let mut octets = 0;
        let uids = UidSet::from_ascending(view.uids().iter().copied().map(Uid));
        self.store.rows(&view, &uids, &mut |row| {
            if row.flags.contains(Flags::DELETED) {
                octets += u64::from(row.octets);
            }
        });
        octets
    }
}

fn no_root() -> Reply {
    Reply::no(text::NO_QUOTA_ROOT).with(Code::Nonexistent)
}
