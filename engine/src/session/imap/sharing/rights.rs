//! SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 §3).

use super::super::Session;
use super::super::dialogue::Dialogue;
use super::super::io::Io;
use super::super::mailstore::Mailstore;
use super::super::reply::Reply;
use super::grants::{self, ENTRIES_MAX};
use crate::wire::imap::response::code::Code;
use crate::wire::imap::response::{sharing, text};
use crate::wire::imap::rights::{Change, Command, Rights};
use store::mail::id::MailboxId;
use store::mail::mailbox::SEPARATOR;
use store::mailbox::MailboxInfo;
use store::shard::MemoChange;

impl<S: Mailstore> Session<S> {
    pub(in super::super) async fn rights<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        command: Command,
    ) -> Reply {
        let Some(mailbox) = self.store.mailbox(self.account, command.mailbox()) else {
            return Reply::no_mailbox();
        };
        match command {
            Command::Set {
                identifier, change, ..
            } => self.set_rights(mailbox.id, &identifier, change).await,
            Command::Delete { identifier, .. } => {
                let none = Change::Replace(Rights::NONE);
                self.set_rights(mailbox.id, &identifier, none).await
            }
            Command::Get { .. } => self.show_rights(dialogue.out(), &mailbox),
            Command::List { identifier, .. } => {
                self.list_rights(dialogue.out(), &mailbox, &identifier)
            }
            Command::My { .. } => {
                let (name, rights) = (self.shown(&mailbox.name), self.rights_on(mailbox.id));
                sharing::my_rights(dialogue.out(), &name, rights, self.utf8());
                Reply::done()
            }
        }
    }

    async fn set_rights(&self, mailbox: MailboxId, identifier: &str, change: Change) -> Reply {
        let owner = self.owner_address();
        let Some(identifier) = grants::identifier(identifier, &owner) else {
            return Reply::no(text::IDENTIFIER).with(Code::Cannot);
        };
        if identifier.strip_prefix('-').unwrap_or(&identifier) == owner {
            return self.set_owner_rights(&identifier, change);
        }
        let entries = grants::all(&self.store, self.account, mailbox);
        let Ok(entries) = entries else {
            return Reply::no(text::DAMAGED).with(Code::ServerBug);
        };
        let known = entries.iter().find(|(known, _)| *known == identifier);
        if known.is_none() && entries.len() >= ENTRIES_MAX {
            return Reply::no(text::LIMIT_REACHED).with(Code::Limit);
        }
        let before = known.map_or(Rights::NONE, |(_, rights)| *rights);
        let after = change.applied(before);
        let changes = grants::change(self.account, mailbox, &identifier, after);
        match self.store.write_memos(changes.to_vec()).await {
            Ok(()) => Reply::done(),
            Err(error) => Reply::failed(&error),
        }
    }

    /// The owner's rights stand (RFC 4314 §3.7 calls them required).
    fn set_owner_rights(&self, identifier: &str, change: Change) -> Reply {
        let stays = !identifier.starts_with('-') && change.applied(Rights::ALL) == Rights::ALL;
        match stays {
            true => Reply::done(),
            false => Reply::no(text::OWNER_RIGHTS).with(Code::Cannot),
        }
    }

    fn show_rights(&self, out: &mut Vec<u8>, mailbox: &MailboxInfo) -> Reply {
        let Ok(entries) = grants::all(&self.store, self.account, mailbox.id) else {
            return Reply::no(text::DAMAGED).with(Code::ServerBug);
        };
        let owner = self.owner_address();
        let own = std::iter::once((owner.as_str(), Rights::ALL));
        let others = entries.iter().map(|(who, rights)| (who.as_str(), *rights));
        sharing::acl(
            out,
            &self.shown(&mailbox.name),
            own.chain(others),
            self.utf8(),
        );
        Reply::done()
    }

    fn list_rights(&self, out: &mut Vec<u8>, mailbox: &MailboxInfo, text: &str) -> Reply {
        let owner = self.owner_address();
        let Some(identifier) = grants::identifier(text, &owner) else {
            return Reply::no(text::IDENTIFIER).with(Code::Cannot);
        };
        let (required, optional) = match identifier == owner {
            true => (Rights::ALL, Rights::NONE),
            false => (Rights::NONE, Rights::ALL),
        };
        let name = self.shown(&mailbox.name);
        sharing::list_rights(out, (&name, text), required, optional, self.utf8());
        Reply::done()
    }

    /// A new mailbox has the entries of the one above it (RFC 4314 §4, CREATE).
    pub(in super::super) async fn inherit_rights(&self, name: &str) -> Reply {
        let Some((above, _)) = name.rsplit_once(SEPARATOR) else {
            return Reply::done();
        };
        let mailboxes = [above, name].map(|name| self.store.mailbox(self.account, name));
        let [Some(above), Some(made)] = mailboxes else {
            return Reply::done();
        };
        let Ok(entries) = grants::all(&self.store, self.account, above.id) else {
            return Reply::no(text::DAMAGED).with(Code::ServerBug);
        };
        let change =
            |(who, rights): &(String, Rights)| grants::change(self.account, made.id, who, *rights);
        let changes: Vec<MemoChange> = entries.iter().flat_map(change).collect();
        match self.store.write_memos(changes).await {
            Ok(()) => Reply::done(),
            Err(error) => Reply::failed(&error),
        }
    }

    /// The address of the account whose mailboxes these are.
    pub(in super::super) fn owner_address(&self) -> String {
        let sharing = &self.sharing;
        sharing
            .owner
            .clone()
            .unwrap_or_else(|| sharing.house.user.clone())
    }
}
