//! CREATE, RENAME, DELETE, SUBSCRIBE: one at a time for each account.

use super::{Entry, Shard, Transfer};
use crate::disk::Disk;
use crate::error::ChangeError;
use crate::limit::{MAILBOX_DEPTH_MAX, MAILBOX_NAME_BYTES_MAX, MAILBOXES_MAX};
use crate::log::RECORD_HEADER_BYTES;
use crate::mail::id::{AccountId, FrameSeq, MailboxId};
use crate::mail::uidset::UidSet;
use crate::mailbox::name::{self, INBOX};
use crate::mailbox::{Account, MailboxInfo, SpecialUse};
use crate::record::{Fact, MailboxFact};

impl<D: Disk> Shard<D> {
    /// Makes a mailbox and the missing levels above it (RFC 9051 §6.3.4).
    pub async fn create_mailbox(
        &self,
        account: AccountId,
        name: &str,
        special_use: SpecialUse,
    ) -> Result<MailboxInfo, ChangeError> {
        let name = name::for_creation(name)?;
        let mailboxes_max = self.counts(account).mailboxes;
        self.change_tree(account, MAILBOX_DEPTH_MAX, |tree, now_secs| {
            if tree.id_of(&name).is_some() {
                return Err(ChangeError::AlreadyExists);
            }
            if tree.special_use_taken(special_use) {
                return Err(ChangeError::Cannot("another mailbox has this special use"));
            }
            if mailboxes_max.is_some_and(|max| tree.list().len() as u64 >= max) {
                return Err(ChangeError::OverQuota);
            }
            create_path(tree, &name, special_use, now_secs)
        })
        .await?;
        self.mailbox(account, &name).ok_or(ChangeError::NoMailbox)
    }

    /// Renames a mailbox and its children; INBOX is emptied into the new name and stays
    /// (RFC 9051 §6.3.6).
    pub async fn rename_mailbox(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
    ) -> Result<(), ChangeError> {
        let from = name::canonical(from);
        let to = name::for_creation(to)?;
        if from == INBOX {
            return self.empty_inbox_into(account, &to).await;
        }
        if name::is_below(&to, &from) {
            return Err(ChangeError::Cannot("a mailbox cannot move below itself"));
        }
        self.change_tree(account, MAILBOXES_MAX.min(RENAMED_MAX), |tree, now_secs| {
            let family = tree.family(&from);
            if family.first().is_none_or(|(_, name)| *name != from) {
                return Err(ChangeError::NoMailbox);
            }
            if tree.id_of(&to).is_some() {
                return Err(ChangeError::AlreadyExists);
            }
            if family.len() > RENAMED_MAX {
                return Err(ChangeError::Limit("mailboxes renamed at once"));
            }
            let mut facts = create_above(tree, &to, now_secs)?;
            for (mailbox, name) in family {
                let below = name.strip_prefix(&from).unwrap_or_default();
                let renamed = name::for_creation(&format!("{to}{below}"))?;
                if tree.id_of(&renamed).is_some() {
                    return Err(ChangeError::AlreadyExists);
                }
                let modseq = tree.next_modseq();
                facts.push(MailboxFact::Rename {
                    mailbox,
                    modseq,
                    name: renamed,
                });
            }
            Ok(facts)
        })
        .await
    }

    async fn empty_inbox_into(&self, account: AccountId, to: &str) -> Result<(), ChangeError> {
        let target = self.create_mailbox(account, to, SpecialUse::NONE).await?;
        let inbox = self.mailbox(account, INBOX).ok_or(ChangeError::NoMailbox)?;
        let every = UidSet::from_ranges([(1, u32::MAX)]);
        let transfer = Transfer {
            source: inbox.id,
            uids: &every,
            target: target.id,
            and_expunge: true,
        };
        self.copy(account, transfer).await?;
        Ok(())
    }

    /// Deletes a mailbox with its messages; children stay (RFC 9051 §6.3.5).
    pub async fn delete_mailbox(&self, account: AccountId, name: &str) -> Result<(), ChangeError> {
        let name = name::canonical(name);
        if name == INBOX {
            return Err(ChangeError::Cannot("INBOX cannot be deleted"));
        }
        let mailbox = self.mailbox(account, &name).ok_or(ChangeError::NoMailbox)?;
        self.forget(account, Some(mailbox.id)).await?;
        self.change_tree(account, 1, |tree, _| {
            let mailbox = tree.id_of(&name).ok_or(ChangeError::NoMailbox)?;
            let modseq = tree.next_modseq();
            tree.open_contents(mailbox)?.tip_deleted = true;
            Ok(vec![MailboxFact::Delete { mailbox, modseq }])
        })
        .await
    }

    /// Subscribes to a name or ends it; the mailbox need not exist (RFC 9051 §6.3.7).
    pub async fn subscribe(
        &self,
        account: AccountId,
        name: &str,
        on: bool,
    ) -> Result<(), ChangeError> {
        let name = name::canonical(name);
        if name.len() > MAILBOX_NAME_BYTES_MAX {
            return Err(ChangeError::Cannot("the name is too long"));
        }
        self.change_tree(account, 1, |tree, _| {
            Ok(match (on, tree.is_subscribed(&name)) {
                (true, false) if tree.subscriptions().len() >= SUBSCRIPTIONS_MAX => {
                    return Err(ChangeError::Limit("subscriptions"));
                }
                (true, false) => vec![MailboxFact::Subscribe { name: name.clone() }],
                (false, true) => vec![MailboxFact::Unsubscribe { name: name.clone() }],
                _ => Vec::new(),
            })
        })
        .await
    }

    /// Decides and commits a change of names while nobody else changes them.
    pub(super) async fn change_tree(
        &self,
        account: AccountId,
        facts_max: usize,
        decide: impl FnOnce(&mut Account, i64) -> Result<Vec<MailboxFact>, ChangeError>,
    ) -> Result<(), ChangeError> {
        let gate = {
            let state = self.state.borrow();
            state
                .account(account)
                .ok_or(ChangeError::NoAccount)?
                .tree_gate
                .clone()
        };
        let _pass = gate.enter().await;
        self.log.room(facts_max * FACT_BYTES_MAX).await?;
        let frame = self.decide_tree(account, decide)?;
        match frame {
            Some(frame) => Ok(self.log.durable(frame).await?),
            None => Ok(()),
        }
    }

    fn decide_tree(
        &self,
        account: AccountId,
        decide: impl FnOnce(&mut Account, i64) -> Result<Vec<MailboxFact>, ChangeError>,
    ) -> Result<Option<FrameSeq>, ChangeError> {
        let facts = {
            let mut state = self.state.borrow_mut();
            let tree = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
            decide(tree, (self.now_secs)())?
        };
        if facts.is_empty() {
            return Ok(None);
        }
        let entries = facts
            .into_iter()
            .map(|fact| Entry::of(Fact::Mailbox(fact)))
            .collect();
        Ok(Some(self.put(account, entries)?))
    }
}

/// The facts that make `name` and the missing levels above it.
fn create_path(
    tree: &mut Account,
    name: &str,
    special_use: SpecialUse,
    now_secs: i64,
) -> Result<Vec<MailboxFact>, ChangeError> {
    let mut facts = create_above(tree, name, now_secs)?;
    facts.push(create(tree, name, special_use, now_secs));
    if !tree.has_room_for_mailboxes(facts.len()) {
        return Err(ChangeError::Limit("mailboxes of one account"));
    }
    Ok(facts)
}

pub(super) fn create_above(
    tree: &mut Account,
    name: &str,
    now_secs: i64,
) -> Result<Vec<MailboxFact>, ChangeError> {
    let missing: Vec<&str> = name::above(name)
        .filter(|level| tree.id_of(level).is_none())
        .collect();
    if !tree.has_room_for_mailboxes(missing.len()) {
        return Err(ChangeError::Limit("mailboxes of one account"));
    }
    let make = |level| create(tree, level, SpecialUse::NONE, now_secs);
    Ok(missing.into_iter().map(make).collect())
}

fn create(tree: &mut Account, name: &str, special_use: SpecialUse, now_secs: i64) -> MailboxFact {
    let mailbox: MailboxId = tree.next_mailbox();
    MailboxFact::Create {
        mailbox,
        uid_validity: tree.next_uid_validity(now_secs),
        modseq: tree.next_modseq(),
        special_use: special_use.0,
        name: name.to_owned(),
    }
}

/// Room for one fact about a mailbox.
const FACT_BYTES_MAX: usize = MAILBOX_NAME_BYTES_MAX + 64 + RECORD_HEADER_BYTES;

/// Mailboxes that one RENAME can move: their facts share a frame.
const RENAMED_MAX: usize = 2_000;

/// Names one account can subscribe to.
const SUBSCRIPTIONS_MAX: usize = 2 * MAILBOXES_MAX;

const _: () = assert!(RENAMED_MAX * FACT_BYTES_MAX < crate::limit::FRAME_BYTES_MAX);
