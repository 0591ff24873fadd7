//! The user's side of a visit: which commands go to the account of somebody else, and the pump
//! between client and guest session.

use super::super::Session;
use super::super::dialogue::Dialogue;
use super::super::io::{Ended, Io};
use super::super::mailstore::Mailstore;
use super::super::reply::{Reply, say};
use super::booth::Guest;
use super::gate::Admitted;
use super::place::Place;
use crate::post::visit::{Ask, Errand, Said, Visitor};
use crate::wire::imap::command::{Body, Command};
use crate::wire::imap::find::Find;
use crate::wire::imap::notify::Notify;
use crate::wire::imap::receive::Receiver;
use crate::wire::imap::response::code::Code;
use crate::wire::imap::response::text;
use crate::wire::imap::{metadata, quota, resync};
use futures_util::future::{Either, select};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

/// A guest session that is kept because a mailbox is selected there.
pub(super) struct Visit {
    owner: String,
    pub(super) guest: Rc<dyn Guest>,
}

/// Where a command goes.
enum Way {
    /// It is of this account.
    Here,
    /// To the account of this address.
    To(String),
    /// What is selected here, to a mailbox there.
    Carry {
        owner: String,
        name: String,
    },
    Refuse(Reply),
}

impl<S: Mailstore> Session<S> {
    /// Carries out a command that is about mailboxes of others, or gives it back.
    pub(in super::super) async fn beyond<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        command: Command,
    ) -> Result<Option<Command>, Ended> {
        match self.way_of(&command.body) {
            Way::Here => {
                self.remember(dialogue, &command).await?;
                Ok(Some(command))
            }
            Way::To(owner) => self.call_on(dialogue, owner, command).await.map(|()| None),
            Way::Carry { owner, name } => {
                let Command { tag, body } = command;
                self.carry_out(dialogue, &tag, (body, owner, name)).await?;
                Ok(None)
            }
            Way::Refuse(reply) => {
                self.finish(dialogue, &command.tag, &reply).await?;
                Ok(None)
            }
        }
    }

    /// What a guest session was asked; its answer is on the way to the client when this is ready.
    pub(super) async fn obey<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        command: Command,
    ) -> Result<(), Ended> {
        let Command { tag, body } = command;
        match self.admit(body).await {
            Admitted::Go(Body::Idle) => {
                let reply = self.idle(dialogue).await?;
                self.finish(dialogue, &tag, &reply).await
            }
            Admitted::Go(body) => self.command(dialogue, &tag, body).await,
            Admitted::Carry { body, owner, name } => {
                self.carry_out(dialogue, &tag, (body, owner, name)).await
            }
            Admitted::Refused(reply) => self.finish(dialogue, &tag, &reply).await,
        }
    }

    fn way_of(&self, body: &Body) -> Way {
        if !self.sharing.house.has_others() {
            return Way::Here;
        }
        let visit = self.sharing.visit.as_ref();
        match body {
            Body::Copy { mailbox, .. } | Body::Move { mailbox, .. } if visit.is_none() => {
                match self.locate(mailbox) {
                    Place::There { owner, name } => Way::Carry { owner, name },
                    Place::Here(_) => Way::Here,
                    Place::Nowhere => Way::Refuse(Reply::try_create()),
                }
            }
            Body::Rename { from, to } => self.way_of_rename(from, to),
            Body::Notify(notify) if self.watches_others(notify) => {
                let reply = Reply::no(say::OTHERS_UNWATCHED);
                Way::Refuse(reply.with(Code::NotificationOverflow))
            }
            Body::Quota(quota::Command::Get { root } | quota::Command::Set { root, .. }) => {
                let is_own = root.eq_ignore_ascii_case(&self.sharing.house.user);
                match self.sharing.house.is_administrator && !is_own {
                    true => Way::To(root.to_lowercase()),
                    false => Way::Here,
                }
            }
            body => match (named(body), visit) {
                (Some(name), _) => self.way_to(name, body),
                (None, Some(visit)) if is_of_selected(body) => Way::To(visit.owner.clone()),
                (None, _) => Way::Here,
            },
        }
    }

    fn way_to(&self, name: &str, body: &Body) -> Way {
        match (self.locate(name), body) {
            (Place::Here(_), _) => Way::Here,
            (Place::There { owner, .. }, _) => Way::To(owner),
            // RFC 9051 §6.3.4: levels of a namespace cannot be made.
            (Place::Nowhere, Body::Create { .. }) => {
                Way::Refuse(Reply::no(text::NAMESPACE_LEVEL).with(Code::Cannot))
            }
            (Place::Nowhere, Body::Append(_)) => Way::Refuse(Reply::try_create()),
            (Place::Nowhere, _) => Way::Refuse(Reply::no_mailbox()),
        }
    }

    fn way_of_rename(&self, from: &str, to: &str) -> Way {
        match (self.locate(from), self.locate(to)) {
            (Place::Here(_), Place::Here(_)) => Way::Here,
            (Place::Nowhere, _) => Way::Refuse(Reply::no_mailbox()),
            (Place::There { owner, .. }, Place::There { owner: other, .. }) if owner == other => {
                Way::To(owner)
            }
            _ => Way::Refuse(Reply::no(text::OTHER_ACCOUNT).with(Code::Cannot)),
        }
    }

    /// RFC 5465 §5: what cannot be told is refused, not left out. Whether such a mailbox is there,
    /// the refusal does not say.
    fn watches_others(&self, notify: &Notify) -> bool {
        let Notify::Set(set) = notify else {
            return false;
        };
        let is_of_others = |name: &String| !matches!(self.locate(name), Place::Here(_));
        let mut names = set.groups.iter().flat_map(|group| group.filter.names());
        !set.unsupported && names.any(is_of_others)
    }

    /// Before a command of one's own: what visits must know of it, and what it ends.
    async fn remember<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        command: &Command,
    ) -> Result<(), Ended> {
        match &command.body {
            Body::Enable(names) => {
                let known = &mut self.sharing.enabled;
                let new = names.iter().filter(|name| ENABLED.contains(&name.as_str()));
                let new: Vec<_> = new.filter(|name| !known.contains(name)).cloned().collect();
                known.extend(new.iter().cloned());
                if let Some(visit) = &self.sharing.visit
                    && !new.is_empty()
                {
                    enable(&*visit.guest, new).await;
                }
            }
            Body::Select { .. } | Body::Examine { .. } | Body::Resync(_)
                if self.sharing.visit.take().is_some() =>
            {
                Reply::ok(text::CLOSED)
                    .with(Code::Closed)
                    .write_untagged(dialogue.out());
            }
            _ => {}
        }
        Ok(())
    }

    async fn call_on<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        owner: String,
        command: Command,
    ) -> Result<(), Ended> {
        let selects = matches!(
            command.body,
            Body::Select { .. } | Body::Examine { .. } | Body::Resync(_)
        );
        let known = self
            .sharing
            .visit
            .as_ref()
            .filter(|visit| visit.owner == owner);
        let guest = match known {
            Some(visit) => Rc::clone(&visit.guest),
            None => match self.guest_of(&owner).await {
                Some(guest) => guest,
                None => {
                    return self
                        .finish(dialogue, &command.tag, &nobody(&command.body))
                        .await;
                }
            },
        };
        if selects && self.leave(&owner) {
            Reply::ok(text::CLOSED)
                .with(Code::Closed)
                .write_untagged(dialogue.out());
        }
        let is_selected = attend(dialogue, &*guest, command).await?;
        let is_kept = self
            .sharing
            .visit
            .as_ref()
            .is_some_and(|visit| visit.owner == owner);
        if !is_selected && is_kept {
            self.sharing.visit = None;
        }
        if is_selected && !is_kept {
            self.sharing.visit = Some(Visit { owner, guest });
        }
        Ok(())
    }

    /// Closes what is selected elsewhere before something at `owner` is.
    fn leave(&mut self, owner: &str) -> bool {
        let elsewhere = self.sharing.visit.as_ref();
        let elsewhere = elsewhere.is_some_and(|visit| visit.owner != owner);
        if elsewhere {
            self.sharing.visit = None;
        }
        self.selected.take().is_some() || elsewhere
    }

    /// A session at the account of somebody else, in the dialect of this one.
    pub(super) async fn guest_of(&self, owner: &str) -> Option<Rc<dyn Guest>> {
        let abroad = self.sharing.house.abroad.clone()?;
        let guest = abroad.visit(self.visitor(), owner).await?;
        if !self.sharing.enabled.is_empty() {
            enable(&*guest, self.sharing.enabled.clone()).await;
        }
        Some(guest)
    }

    pub(super) fn visitor(&self) -> Visitor {
        Visitor {
            user: self.sharing.house.user.clone(),
            groups: self.sharing.house.groups.clone(),
            is_administrator: self.sharing.house.is_administrator,
        }
    }

    /// COPY or MOVE to another account.
    async fn carry_out<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        (body, owner, name): (Body, String, String),
    ) -> Result<(), Ended> {
        let expunges = super::super::sync::Expunges::after(&body);
        let reply = self.carry(dialogue, body, &owner, &name).await?;
        self.tell(dialogue, expunges, |_, _, _| false).await?;
        self.finish(dialogue, tag, &reply).await
    }
}

/// Passes everything between the client and a guest session until its command is over. Whether a
/// mailbox is selected there.
pub(super) async fn attend<I: Io>(
    dialogue: &mut Dialogue<I>,
    guest: &dyn Guest,
    command: Command,
) -> Result<bool, Ended> {
    dialogue.flush().await?;
    let (receiver, input) = dialogue.lend();
    let errand = Errand {
        command,
        receiver,
        input,
    };
    let mut said = guest.ask(Ask::Obey(Box::new(errand))).await;
    loop {
        said = match said {
            Said::Octets(octets) => {
                dialogue.out().extend_from_slice(&octets);
                dialogue.flush().await?;
                guest.ask(Ask::Next).await
            }
            Said::Pause => {
                dialogue.pause().await;
                guest.ask(Ask::Next).await
            }
            Said::Listens(patience) => relay(dialogue, guest, patience).await,
            Said::Done {
                receiver,
                input,
                outcome,
                is_selected,
            } => {
                dialogue.take_back(receiver, input);
                return outcome.map(|()| is_selected);
            }
            // The other side is gone in the middle of an answer.
            _ => return Err(Ended::Damaged),
        };
    }
}

/// Waits for the client and for the guest session, and passes on what the client says.
async fn relay<I: Io>(dialogue: &mut Dialogue<I>, guest: &dyn Guest, patience: Duration) -> Said {
    dialogue.rest();
    let next = guest.ask(Ask::Next);
    let (readable, next) = {
        let readable = pin!(dialogue.readable(patience));
        match select(next, readable).await {
            Either::Left((said, _)) => return said,
            Either::Right(both) => both,
        }
    };
    let heard = match readable {
        Ok(()) => dialogue.overhear().await,
        Err(ended) => Err(ended),
    };
    guest.ask(Ask::Hear(heard)).await;
    next.await
}

/// Says ENABLE to a guest session; nobody hears the answer.
async fn enable(guest: &dyn Guest, names: Vec<String>) {
    let command = Command {
        tag: "e".to_owned(),
        body: Body::Enable(names),
    };
    let errand = Errand {
        command,
        receiver: Receiver::new(),
        input: Vec::new(),
    };
    let mut said = guest.ask(Ask::Obey(Box::new(errand))).await;
    while matches!(said, Said::Octets(_) | Said::Pause) {
        said = guest.ask(Ask::Next).await;
    }
}

/// The mailbox that a command is about.
fn named(body: &Body) -> Option<&str> {
    match body {
        Body::Resync(resync::Select { mailbox, .. })
        | Body::Select { mailbox }
        | Body::Examine { mailbox }
        | Body::Create { mailbox, .. }
        | Body::Delete { mailbox }
        | Body::Status { mailbox, .. } => Some(mailbox),
        Body::Append(append) => Some(&append.mailbox),
        Body::Rights(command) => Some(command.mailbox()),
        Body::Quota(quota::Command::Root { mailbox }) => Some(mailbox),
        Body::Metadata(command) => match command {
            metadata::Command::Get { mailbox, .. } | metadata::Command::Set { mailbox, .. } => {
                Some(mailbox)
            }
        },
        _ => None,
    }
}

/// Commands of the selected state, and those that let it tell what is new.
fn is_of_selected(body: &Body) -> bool {
    if let Body::Find(find) = body {
        return finds_in_selected(find);
    }
    matches!(
        body,
        Body::Noop
            | Body::Idle
            | Body::Check
            | Body::Close
            | Body::Unselect
            | Body::Expunge
            | Body::UidExpunge(_)
            | Body::Search { .. }
            | Body::Fetch { .. }
            | Body::UidBatches(_)
            | Body::Store { .. }
            | Body::Copy { .. }
            | Body::Move { .. }
    )
}

/// Whether it looks at nothing but the selected mailbox; where sources of RFC 7377 lie, the session
/// of the user finds out.
pub(super) fn finds_in_selected(find: &Find) -> bool {
    match find {
        Find::Sort { .. } | Find::Thread { .. } | Find::CancelUpdate(_) => true,
        Find::Multi { sources, .. } => sources.is_none(),
    }
}

/// Nobody has this address: the same as a mailbox that is not there.
fn nobody(body: &Body) -> Reply {
    match body {
        Body::Quota(_) => Reply::no(text::NO_QUOTA_ROOT).with(Code::Nonexistent),
        _ => Reply::no_mailbox(),
    }
}

/// What of ENABLE a guest session is told.
const ENABLED: [&str; 6] = [
    "IMAP4REV2",
    "UTF8=ACCEPT",
    "CONDSTORE",
    "QRESYNC",
    "UIDONLY",
    "METADATA",
];
