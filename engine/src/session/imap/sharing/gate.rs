//! What a guest may do: every command of a guest session passes here, and what is not named does
//! not (RFC 4314 §4).
//!
//! A refusal does not tell what is there: without `l` the answer is that of a mailbox that does not
//! exist. Rights are asked for anew with every command, so that what the owner takes away is gone
//! at once.

use super::super::Session;
use super::super::mailstore::{Mailstore, Picture};
use super::super::reply::Reply;
use super::super::sequence;
use super::place::Place;
use super::visit::finds_in_selected;
use crate::wire::imap::command::{Body, FetchItem, FlagList, Store, StoreOp};
use crate::wire::imap::find::Find;
use crate::wire::imap::name::INBOX;
use crate::wire::imap::response::code::Code;
use crate::wire::imap::response::text;
use crate::wire::imap::rights::Rights;
use crate::wire::imap::{metadata, quota, rights};
use store::mail::flags::Flags;
use store::mail::id::MailboxId;
use store::mail::mailbox::SEPARATOR;
use store::shard::{FlagNames, FlagOp, StoreFlags};

/// What becomes of a guest's command.
pub(super) enum Admitted {
    /// To be carried out, with names of this account and without what the guest may not.
    Go(Body),
    /// COPY or MOVE to another account, or where flags are to be left behind.
    Carry {
        body: Body,
        owner: String,
        name: String,
    },
    Refused(Reply),
}

type Verdict = Result<Admitted, Reply>;

impl<S: Mailstore> Session<S> {
    pub(super) async fn admit(&mut self, body: Body) -> Admitted {
        let verdict = match body {
            body @ (Body::Noop | Body::Idle | Body::Enable(_) | Body::Unselect) => {
                Ok(Admitted::Go(body))
            }
            // It looks at nothing but what the user may read.
            Body::Find(Find::Multi {
                sources: Some(_), ..
            }) => Ok(Admitted::Go(body)),
            Body::Copy { .. } | Body::Move { .. } => self.admit_copy(body),
            body => match self.admit_selected(body).await {
                Ok(Ok(body)) => Ok(Admitted::Go(body)),
                Ok(Err(reply)) => Err(reply),
                Err(body) => self.admit_named(*body).map(Admitted::Go),
            },
        };
        verdict.unwrap_or_else(Admitted::Refused)
    }

    /// Commands that name mailboxes.
    fn admit_named(&self, body: Body) -> Result<Body, Reply> {
        Ok(match body {
            Body::Select { mailbox } => {
                let (mailbox, rights) = self.enter(&mailbox, Rights::READ)?;
                // RFC 4314 §5.2: READ-WRITE where something can be changed.
                match rights.meets(CHANGES) {
                    true => Body::Select { mailbox },
                    false => Body::Examine { mailbox },
                }
            }
            Body::Resync(mut select) => {
                let (mailbox, rights) = self.enter(&select.mailbox, Rights::READ)?;
                select.mailbox = mailbox;
                select.read_only |= !rights.meets(CHANGES);
                Body::Resync(select)
            }
            Body::Examine { mailbox } => Body::Examine {
                mailbox: self.enter(&mailbox, Rights::READ)?.0,
            },
            Body::Status { mailbox, items } => Body::Status {
                mailbox: self.enter(&mailbox, Rights::READ)?.0,
                items,
            },
            Body::Append(mut append) => {
                if append.replaces.is_some() {
                    let rights = self.rights_on_selected().ok_or_else(Reply::not_selected)?;
                    if !rights.contains(Rights::DELETE_MESSAGES | Rights::EXPUNGE) {
                        return Err(denied());
                    }
                }
                append.mailbox = self.enter(&append.mailbox, Rights::INSERT)?.0;
                Body::Append(append)
            }
            Body::Rights(command) => Body::Rights(self.admit_rights(command)?),
            Body::Quota(command) => Body::Quota(self.admit_quota(command)?),
            Body::Metadata(command) => Body::Metadata(self.admit_metadata(command)?),
            body => self.admit_tree(body)?,
        })
    }

    /// Commands that change names.
    fn admit_tree(&self, body: Body) -> Result<Body, Reply> {
        match body {
            Body::Create {
                mailbox,
                special_use,
            } => {
                let mailbox = self.here(&mailbox)?;
                self.enter_above(&mailbox)?;
                match special_use.is_empty() {
                    true => Ok(Body::Create {
                        mailbox,
                        special_use,
                    }),
                    // What a mailbox is for is said by its owner.
                    false => Err(Reply::no(text::USE_ATTRIBUTE).with(Code::UseAttr)),
                }
            }
            Body::Delete { mailbox } => Ok(Body::Delete {
                mailbox: self.enter(&mailbox, Rights::DELETE_MAILBOX)?.0,
            }),
            Body::Rename { from, to } => {
                let from = self.enter(&from, Rights::DELETE_MAILBOX)?.0;
                let to = self.here(&to)?;
                self.enter_above(&to)?;
                match from == INBOX {
                    true => Err(denied()),
                    false => Ok(Body::Rename { from, to }),
                }
            }
            _ => Err(denied()),
        }
    }

    fn admit_rights(&self, mut command: rights::Command) -> Result<rights::Command, Reply> {
        let needed = match command {
            rights::Command::My { .. } => Rights::NONE,
            _ => Rights::ADMINISTER,
        };
        *command.mailbox_mut() = self.enter(command.mailbox(), needed)?.0;
        Ok(command)
    }

    fn admit_quota(&self, command: quota::Command) -> Result<quota::Command, Reply> {
        match command {
            quota::Command::Root { mailbox } => Ok(quota::Command::Root {
                mailbox: self.enter(&mailbox, Rights::READ)?.0,
            }),
            command if self.sharing.house.is_administrator => Ok(command),
            _ => Err(denied()),
        }
    }

    /// RFC 5464 §3.3: `l`, and one of those that let somebody do something with messages.
    fn admit_metadata(&self, mut command: metadata::Command) -> Result<metadata::Command, Reply> {
        let (mailbox, rights) = self.enter(command.mailbox(), Rights::NONE)?;
        if !rights.meets(NOTES) {
            return Err(denied());
        }
        *command.mailbox_mut() = mailbox;
        Ok(command)
    }

    /// Commands on what is selected; `Err`: it is none of them.
    async fn admit_selected(&mut self, body: Body) -> Result<Result<Body, Reply>, Box<Body>> {
        let is_found = matches!(&body, Body::Find(find) if finds_in_selected(find));
        if !is_found
            && !matches!(
                body,
                Body::Check
                    | Body::Close
                    | Body::Expunge
                    | Body::UidExpunge(_)
                    | Body::Search { .. }
                    | Body::Fetch { .. }
                    | Body::UidBatches(_)
                    | Body::Store { .. }
            )
        {
            return Err(Box::new(body));
        }
        let Some(rights) = self.rights_on_selected() else {
            return Ok(Err(Reply::not_selected()));
        };
        let may_read = rights.contains(Rights::READ);
        Ok(match body {
            // RFC 4314 §4: CLOSE expunges only for who may, and never fails.
            Body::Close if !rights.contains(Rights::EXPUNGE) => Ok(Body::Unselect),
            Body::Close => Ok(Body::Close),
            _ if !may_read => Err(denied()),
            Body::Expunge | Body::UidExpunge(_) if !rights.contains(Rights::EXPUNGE) => {
                Err(denied())
            }
            Body::Fetch {
                uid,
                set,
                mut items,
                modifiers,
            } => {
                if !rights.contains(Rights::SEEN) {
                    items.iter_mut().for_each(peek);
                }
                Ok(Body::Fetch {
                    uid,
                    set,
                    items,
                    modifiers,
                })
            }
            Body::Store {
                uid,
                set,
                mut store,
            } => match self.narrow_store((uid, &set), &mut store, rights).await {
                Ok(()) => Ok(Body::Store { uid, set, store }),
                Err(reply) => Err(reply),
            },
            body => Ok(body),
        })
    }

    /// Flags that the guest may not change stay as they are; where none is left, it is refused
    /// (RFC 4314 §4, STORE).
    async fn narrow_store(
        &mut self,
        (uid, set): (bool, &crate::wire::imap::command::SequenceSet),
        store: &mut Store,
        rights: Rights,
    ) -> Result<(), Reply> {
        let asked = store.flags.clone();
        narrow(&mut store.flags, rights);
        let is_all = rights.contains(FLAGS);
        let is_nothing = store.flags.flags == Flags::NONE && store.flags.keywords.is_empty();
        if !rights.meets(FLAGS) || is_nothing && store.flags != asked {
            return Err(denied());
        }
        if store.op != StoreOp::Set || is_all {
            return Ok(());
        }
        if store.unchanged_since.is_some() {
            return Err(Reply::no(text::PARTLY_DENIED).with(Code::NoPerm));
        }
        self.take_others(uid, set, &store.flags, rights).await?;
        store.op = StoreOp::Add;
        Ok(())
    }

    /// The first half of a FLAGS that may replace only some: what it does not name is taken away.
    async fn take_others(
        &mut self,
        uid: bool,
        set: &crate::wire::imap::command::SequenceSet,
        named: &FlagList,
        rights: Rights,
    ) -> Result<(), Reply> {
        let Some(selected) = &self.selected else {
            return Err(Reply::not_selected());
        };
        if selected.read_only {
            return Err(Reply::read_only());
        }
        let Ok(uids) = sequence::messages(&selected.view, set, uid, &selected.saved) else {
            return Err(Reply::out_of_range());
        };
        let mailbox = selected.view.mailbox();
        let is_named = |one: &String| named.keywords.iter().any(|n| n.eq_ignore_ascii_case(one));
        let mut keywords = match rights.contains(Rights::WRITE) {
            true => self.store.keywords(self.account, mailbox),
            false => Vec::new(),
        };
        keywords.retain(|keyword| !is_named(keyword));
        let names = FlagNames {
            flags: flags_of(rights) & !named.flags,
            keywords,
        };
        let store = StoreFlags {
            uids: &uids,
            op: FlagOp::Remove,
            names: &names,
            unchanged_since: None,
        };
        let done = self.store.store_flags(self.account, mailbox, store).await;
        done.map(|_| ()).map_err(|error| Reply::failed(&error))
    }

    /// `r` on the source, with MOVE also `t` and `e`; `i` on the target (RFC 4314 §4, RFC 6851 §4).
    fn admit_copy(&self, body: Body) -> Verdict {
        let (needed, target) = match &body {
            Body::Move { mailbox, .. } => {
                let moves = Rights::DELETE_MESSAGES | Rights::EXPUNGE;
                (Rights::READ | moves, mailbox)
            }
            Body::Copy { mailbox, .. } => (Rights::READ, mailbox),
            _ => return Err(denied()),
        };
        let source = self.rights_on_selected();
        let source = source.ok_or_else(Reply::not_selected)?;
        if !source.contains(needed) {
            return Err(denied());
        }
        match self.locate(target) {
            Place::Nowhere => Err(Reply::no_mailbox()),
            Place::There { owner, name } => Ok(Admitted::Carry { body, owner, name }),
            Place::Here(name) => {
                let (_, rights) = self.may(&name, Rights::INSERT)?;
                if !rights.contains(FLAGS) {
                    let owner = self.owner_address();
                    return Ok(Admitted::Carry { body, owner, name });
                }
                let mut body = body;
                if let Body::Copy { mailbox, .. } | Body::Move { mailbox, .. } = &mut body {
                    *mailbox = name;
                }
                Ok(Admitted::Go(body))
            }
        }
    }

    fn rights_on_selected(&self) -> Option<Rights> {
        let selected = self.selected.as_ref()?;
        Some(self.rights_on(selected.view.mailbox()))
    }

    /// The name here of a mailbox on which the guest has what is needed, and all rights on it.
    fn enter(&self, name: &str, needed: Rights) -> Result<(String, Rights), Reply> {
        let name = self.here(name)?;
        let (_, rights) = self.may(&name, needed)?;
        Ok((name, rights))
    }

    fn here(&self, name: &str) -> Result<String, Reply> {
        match self.locate(name) {
            Place::Here(name) => Ok(name),
            Place::There { .. } => Err(Reply::no(text::OTHER_ACCOUNT).with(Code::Cannot)),
            Place::Nowhere => Err(Reply::no_mailbox()),
        }
    }

    /// A mailbox of this account on which the user has what is needed.
    pub(super) fn may(&self, name: &str, needed: Rights) -> Result<(MailboxId, Rights), Reply> {
        let mailbox = self.store.mailbox(self.account, name);
        let mailbox = mailbox.ok_or_else(Reply::no_mailbox)?;
        let rights = self.rights_on(mailbox.id);
        match () {
            () if !rights.contains(Rights::LOOKUP) => Err(Reply::no_mailbox()),
            () if !rights.contains(needed) => Err(denied()),
            () => Ok((mailbox.id, rights)),
        }
    }

    /// `k` on the nearest mailbox above a new one (RFC 4314 §4, CREATE).
    fn enter_above(&self, name: &str) -> Result<(), Reply> {
        let all =
            self.sharing.house.is_administrator && self.sharing.house.shared == self.sharing.owner;
        if all {
            return Ok(());
        }
        let mut above = name;
        while let Some((parent, _)) = above.rsplit_once(SEPARATOR) {
            if self.store.mailbox(self.account, parent).is_some() {
                return self.may(parent, Rights::CREATE).map(|_| ());
            }
            above = parent;
        }
        Err(Reply::no_mailbox())
    }
}

/// Leaves of flags what rights allow to change.
pub(in crate::session::imap) fn narrow(list: &mut FlagList, rights: Rights) {
    list.flags = list.flags & flags_of(rights);
    if !rights.contains(Rights::WRITE) {
        list.keywords.clear();
    }
}

/// The system flags that rights allow to change (RFC 4314 §2.1).
pub(super) fn flags_of(rights: Rights) -> Flags {
    let deleted = Flags::DELETED;
    let mut flags = Flags::NONE;
    if rights.contains(Rights::SEEN) {
        flags = flags | Flags::SEEN;
    }
    if rights.contains(Rights::DELETE_MESSAGES) {
        flags = flags | deleted;
    }
    if rights.contains(Rights::WRITE) {
        flags = flags | (Flags::ALL & !(Flags::SEEN | deleted));
    }
    flags
}

/// What reads without `\Seen` being set.
fn peek(item: &mut FetchItem) {
    if let FetchItem::Section { peek, .. } | FetchItem::Binary { peek, .. } = item {
        *peek = true;
    }
}

pub(super) fn denied() -> Reply {
    Reply::no(text::NO_PERMISSION).with(Code::NoPerm)
}

/// Rights over flags.
pub(super) const FLAGS: Rights = Rights::SEEN.and(Rights::WRITE).and(Rights::DELETE_MESSAGES);

/// Rights with which a mailbox is selected READ-WRITE.
const CHANGES: Rights = FLAGS.and(Rights::INSERT).and(Rights::EXPUNGE);

/// Rights with one of which a mailbox may be annotated.
pub(super) const NOTES: Rights = Rights::READ
    .and(Rights::SEEN)
    .and(Rights::WRITE)
    .and(Rights::INSERT)
    .and(Rights::POST);
