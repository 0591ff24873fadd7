//! GETMETADATA and SETMETADATA (RFC 5464 §4), and the METADATA return option of LIST (RFC 9590).
//!
//! Private entries belong to one user and one mailbox; shared ones to the mailbox. Those of the
//! server: private ones are the user's, shared ones the operator's, who writes them down in the
//! configuration.

use super::super::Session;
use super::super::dialogue::Dialogue;
use super::super::io::Io;
use super::super::mailstore::Mailstore;
use super::super::reply::Reply;
use super::annotation::{self, Shelf, VALUE_BYTES_MAX};
use crate::wire::imap::metadata::{Command, Depth, Entry, Scope};
use crate::wire::imap::response::code::Code;
use crate::wire::imap::response::sharing::{self, MetadataCode};
use crate::wire::imap::response::text;
use std::collections::BTreeMap;
use store::error::ReadError;
use store::mail::id::MailboxId;

/// Values by name; `None` where an entry that was asked for by name has none.
type Values = BTreeMap<Entry, Option<Vec<u8>>>;

impl<S: Mailstore> Session<S> {
    pub(in super::super) async fn metadata<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        command: Command,
    ) -> Reply {
        let (mailbox, shown) = match command.mailbox() {
            "" if self.sharing.owner.is_none() => (None, String::new()),
            name => match self.store.mailbox(self.account, name) {
                Some(mailbox) => (Some(mailbox.id), self.shown(&mailbox.name).into_owned()),
                None => return Reply::no_mailbox(),
            },
        };
        match command {
            Command::Get {
                entries,
                depth,
                max_size,
                ..
            } => {
                let Ok(values) = self.annotations(mailbox, &entries, depth) else {
                    return damaged();
                };
                self.tell_annotations(dialogue.out(), &shown, values, max_size)
            }
            Command::Set { entries, .. } => self.annotate(mailbox, entries).await,
        }
    }

    /// `* METADATA name (…)` for LIST: only what there is (RFC 9590 §3).
    pub(in super::super) fn write_annotations(
        &self,
        out: &mut Vec<u8>,
        name: &str,
        mailbox: MailboxId,
        entries: &[Entry],
    ) {
        let Ok(values) = self.annotations(Some(mailbox), entries, Depth::Zero) else {
            return;
        };
        let shown = self.shown(name);
        let there = values
            .iter()
            .filter_map(|(entry, value)| Some((entry, Some(value.as_deref()?))));
        let there: Vec<_> = there.collect();
        if !there.is_empty() {
            sharing::metadata(out, &shown, there.into_iter(), self.utf8());
        }
    }

    fn annotations(
        &self,
        mailbox: Option<MailboxId>,
        entries: &[Entry],
        depth: Depth,
    ) -> Result<Values, ReadError> {
        let mut values = Values::new();
        for entry in entries {
            if mailbox.is_none() && entry.scope() == Scope::Shared {
                self.server_annotations(entry, depth, &mut values);
                continue;
            }
            let shelf = self.shelf(mailbox, entry);
            if depth == Depth::Zero {
                values.insert(entry.clone(), shelf.value(&self.store, entry)?);
                continue;
            }
            let reached = shelf.reached(&self.store, entry, depth)?;
            values.extend(
                reached
                    .into_iter()
                    .map(|(entry, value)| (entry, Some(value))),
            );
        }
        Ok(values)
    }

    /// RFC 5464 §6.2.1: what the operator says.
    fn server_annotations(&self, asked: &Entry, depth: Depth, values: &mut Values) {
        let house = &self.sharing.house;
        let own = [
            ("/shared/comment", &house.comment),
            ("/shared/admin", &house.admin),
        ];
        for (name, value) in own {
            if let (Some(entry), Some(value)) = (Entry::new(name), value)
                && asked.reaches(&entry, depth)
            {
                values.insert(entry, Some(value.as_bytes().to_vec()));
            }
        }
        if depth == Depth::Zero {
            values.entry(asked.clone()).or_default();
        }
    }

    fn shelf(&self, mailbox: Option<MailboxId>, entry: &Entry) -> Shelf<'_> {
        Shelf {
            account: self.account,
            mailbox: mailbox.unwrap_or_default(),
            who: match entry.scope() {
                Scope::Private => &self.sharing.house.user,
                Scope::Shared => "",
            },
        }
    }

    /// RFC 5464 §4.2.1: what is longer than MAXSIZE is left out, and the longest of it is named.
    fn tell_annotations(
        &self,
        out: &mut Vec<u8>,
        name: &str,
        mut values: Values,
        max_size: Option<u64>,
    ) -> Reply {
        let mut longest = 0;
        let size = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, |value| value.len() as u64);
        values.retain(|_, value| {
            let fits = max_size.is_none_or(|max| size(value) <= max);
            if !fits {
                longest = longest.max(size(value));
            }
            fits
        });
        if !values.is_empty() {
            let values = values
                .iter()
                .map(|(entry, value)| (entry, value.as_deref()));
            sharing::metadata(out, name, values, self.utf8());
        }
        match longest {
            0 => Reply::done(),
            longest => Reply::done().with(Code::Metadata(MetadataCode::LongEntries(longest))),
        }
    }

    /// All of it or nothing (RFC 5464 §4.3).
    async fn annotate(
        &self,
        mailbox: Option<MailboxId>,
        entries: Vec<(Entry, Option<Vec<u8>>)>,
    ) -> Reply {
        // The last one counts where an entry is named twice.
        let entries: BTreeMap<Entry, Option<Vec<u8>>> = entries.into_iter().collect();
        let mut changes = Vec::new();
        for (entry, value) in &entries {
            if entry.is_scope() {
                return Reply::no(text::ENTRY).with(Code::Cannot);
            }
            if mailbox.is_none() && entry.scope() == Scope::Shared {
                return Reply::no(text::NO_PERMISSION).with(Code::NoPerm);
            }
            if value
                .as_ref()
                .is_some_and(|value| value.len() > VALUE_BYTES_MAX)
            {
                let code = MetadataCode::MaxSize(VALUE_BYTES_MAX as u64);
                return Reply::no(text::VALUE_TOO_LONG).with(Code::Metadata(code));
            }
            let shelf = self.shelf(mailbox, entry);
            match shelf.change(&self.store, (entry, value.as_deref())) {
                Ok(change) => changes.extend(change),
                Err(_) => return damaged(),
            }
        }
        match annotation::fits(&self.store, self.account, &changes) {
            Ok(true) => {}
            Ok(false) => {
                let code = Code::Metadata(MetadataCode::TooMany);
                return Reply::no(text::TOO_MANY_ENTRIES).with(code);
            }
            Err(_) => return damaged(),
        }
        if let Err(error) = self.store.write_memos(changes).await {
            return Reply::failed(&error);
        }
        let named: Vec<Entry> = entries.into_keys().collect();
        self.spread(mailbox, &named);
        Reply::done()
    }
}

fn damaged() -> Reply {
    Reply::no(text::DAMAGED).with(Code::ServerBug)
}
