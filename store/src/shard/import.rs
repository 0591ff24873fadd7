//! How messages move in from another server: with the UIDs, flags and dates that they had there.
//!
//! Laws: a UID that was given out is never given out again, so an imported one is not below
//! UIDNEXT; nothing here lowers UIDNEXT. A frame of messages becomes durable together or not at
//! all. The log has no fact of its own for an import: a mailbox that takes over a UIDVALIDITY is
//! deleted and created in one frame, and UIDNEXT is raised by an empty message that arrives and
//! vanishes in one frame, so that every build that reads the format reads this too.

use super::change::named;
use super::custody::{Arrival, draft_delivery};
use super::tree::create_above;
use super::{BodyWriter, Entry, FlagNames, Shard};
use crate::disk::Disk;
use crate::error::ChangeError;
use crate::limit::{
    FRAME_BYTES_MAX, IMPORTED_NUMBER_MAX, KEYWORD_BYTES_MAX, KEYWORDS_MAX, MAILBOX_DEPTH_MAX,
};
use crate::log::RECORD_HEADER_BYTES;
use crate::mail::date::InternalDate;
use crate::mail::id::{AccountId, MailboxId, QueueId, Uid, UidValidity};
use crate::mail::uidset::UidSet;
use crate::mailbox::state::State;
use crate::mailbox::{Account, MailboxInfo, SpecialUse, name};
use crate::record::{Expunge, Fact, FlagOp, MailboxFact, Source};

/// A message that lived elsewhere before.
#[derive(Debug)]
pub struct Imported {
    pub body: BodyWriter,
    /// Its UID there, not below UIDNEXT here; `None`: the next one.
    pub uid: Option<Uid>,
    pub names: FlagNames,
    pub date: InternalDate,
}

impl Imported {
    /// What it takes of [`IMPORT_BYTES_MAX`], in bytes.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.body.tail.len() + self.body.pieces.len() * PIECE_BYTES + MESSAGE_BYTES
    }
}

impl<D: Disk> Shard<D> {
    /// Appends messages that fit into one frame, and tells for each its UID or why it was refused.
    pub async fn import(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        messages: &[Imported],
        obeys_quota: bool,
    ) -> Result<Vec<Result<Uid, ChangeError>>, ChangeError> {
        let bytes: usize = messages.iter().map(Imported::frame_bytes).sum();
        if bytes > IMPORT_BYTES_MAX {
            return Err(ChangeError::Limit("messages of one import"));
        }
        self.log.room(bytes + KEYWORDS_BYTES).await?;
        let (entries, outcomes) = {
            let mut state = self.state.borrow_mut();
            let mut entries = Vec::with_capacity(2 * messages.len());
            let mut outcomes = Vec::with_capacity(messages.len());
            for message in messages {
                outcomes.push(self.draft_import(
                    &mut state,
                    (account, mailbox),
                    message,
                    obeys_quota,
                    &mut entries,
                ));
            }
            (entries, outcomes)
        };
        if !entries.is_empty() {
            let frame = self.put_in(account, mailbox, entries)?;
            self.log.durable(frame).await?;
        }
        Ok(outcomes)
    }

    fn draft_import<'a>(
        &self,
        state: &mut State,
        (account, mailbox): (AccountId, MailboxId),
        message: &'a Imported,
        obeys_quota: bool,
        entries: &mut Vec<Entry<'a>>,
    ) -> Result<Uid, ChangeError> {
        let octets = message.body.octets();
        let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
        if obeys_quota && owner.would_exceed(octets) {
            return Err(ChangeError::OverQuota);
        }
        jump_to(owner, mailbox, message.uid)?;
        let keywords = named(
            owner,
            mailbox,
            &message.names.keywords,
            FlagOp::Add,
            entries,
        )?;
        let head = self.draft_message(state, QueueId(0), Source::default(), &message.body, None);
        let arrival = Arrival {
            object: state.next_object(),
            message: head.object,
            octets,
            saved_secs: (self.now_secs)(),
        };
        let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
        let mut deliver = draft_delivery(owner, mailbox, arrival, message.date)?;
        (deliver.flags, deliver.keywords) = (message.names.flags, keywords);
        let uid = deliver.uid;
        entries.push(Entry {
            fact: Fact::Message(head),
            body: &message.body.tail,
            landed: None,
        });
        entries.push(Entry::of(Fact::Deliver(Box::new(deliver))));
        Ok(uid)
    }

    /// Raises UIDNEXT, where it is lower: the UIDs below it were given out elsewhere.
    pub async fn raise_uid_next(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uid_next: Uid,
    ) -> Result<(), ChangeError> {
        self.log.room(MESSAGE_BYTES).await?;
        let last = Uid(uid_next.0.saturating_sub(1));
        let none = Imported {
            body: BodyWriter::default(),
            uid: Some(last),
            names: FlagNames::default(),
            date: InternalDate::default(),
        };
        let entries = {
            let mut state = self.state.borrow_mut();
            let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
            if last < owner.open_contents(mailbox)?.tip_uid_next {
                return Ok(());
            }
            let mut entries = Vec::new();
            self.draft_import(&mut state, (account, mailbox), &none, false, &mut entries)?;
            let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
            entries.push(Entry::of(Fact::Expunge(Expunge {
                mailbox,
                modseq: owner.next_modseq(),
                uids: UidSet::from_ascending([last]),
            })));
            entries
        };
        let frame = self.put_in(account, mailbox, entries)?;
        Ok(self.log.durable(frame).await?)
    }

    /// Makes a mailbox that brings its UIDVALIDITY along. One of this name gives way if it is
    /// empty, and hands over its special use. That the name never had this UIDVALIDITY with other
    /// messages is the caller's to know.
    pub async fn import_mailbox(
        &self,
        account: AccountId,
        name: &str,
        uid_validity: UidValidity,
    ) -> Result<MailboxInfo, ChangeError> {
        let name = name::for_creation(name)?;
        if uid_validity.0 == 0 || uid_validity.0 > IMPORTED_NUMBER_MAX {
            return Err(ChangeError::Cannot("the UIDVALIDITY is out of bounds"));
        }
        self.change_tree(account, MAILBOX_DEPTH_MAX + 2, |tree, now_secs| {
            let mut facts = create_above(tree, &name, now_secs)?;
            let special_use = match tree.id_of(&name) {
                Some(old) => make_way(tree, old, &mut facts)?,
                None if tree.has_room_for_mailboxes(facts.len() + 1) => SpecialUse::NONE,
                None => return Err(ChangeError::Limit("mailboxes of one account")),
            };
            facts.push(MailboxFact::Create {
                mailbox: tree.next_mailbox(),
                uid_validity,
                modseq: tree.next_modseq(),
                special_use: special_use.0,
                name: name.clone(),
            });
            Ok(facts)
        })
        .await?;
        self.mailbox(account, &name).ok_or(ChangeError::NoMailbox)
    }
}

/// The next message of the mailbox will have this UID.
fn jump_to(owner: &mut Account, mailbox: MailboxId, uid: Option<Uid>) -> Result<(), ChangeError> {
    let contents = owner.open_contents(mailbox)?;
    match uid {
        None => Ok(()),
        Some(uid) if uid < contents.tip_uid_next => {
            Err(ChangeError::Cannot("the UID was given out before"))
        }
        Some(uid) if uid.0 > IMPORTED_NUMBER_MAX => {
            Err(ChangeError::Cannot("the UID is out of bounds"))
        }
        Some(uid) => {
            contents.tip_uid_next = uid;
            Ok(())
        }
    }
}

/// Deletes an empty mailbox in favour of one of the same name.
fn make_way(
    tree: &mut Account,
    old: MailboxId,
    facts: &mut Vec<MailboxFact>,
) -> Result<SpecialUse, ChangeError> {
    let contents = tree.open_contents(old)?;
    let status = contents.status();
    if status.messages > 0 || status.uid_next != contents.tip_uid_next {
        return Err(ChangeError::AlreadyExists);
    }
    contents.tip_deleted = true;
    let special_use = contents.special_use;
    facts.push(MailboxFact::Delete {
        mailbox: old,
        modseq: tree.next_modseq(),
    });
    Ok(special_use)
}

/// What the messages of one [`Shard::import`] may take together, each by
/// [`Imported::frame_bytes`].
pub const IMPORT_BYTES_MAX: usize = FRAME_BYTES_MAX - 4096 - KEYWORDS_BYTES;

/// A place and a length in a MESSAGE.
const PIECE_BYTES: usize = 12;

/// The fixed fields of MESSAGE and DELIVER with headers and padding, rounded up.
const MESSAGE_BYTES: usize = 512;

/// A whole table of new keywords.
const KEYWORDS_BYTES: usize = KEYWORDS_MAX * (KEYWORD_BYTES_MAX + 32 + RECORD_HEADER_BYTES);

const _: () = assert!(KEYWORDS_BYTES < FRAME_BYTES_MAX / 8);

#[cfg(test)]
mod tests;
