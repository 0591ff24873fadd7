//! COPY and MOVE between accounts: messages are read here and put down there, one by one.
//!
//! No store has a reference to a message of another account, so each copy has a body of its own.
//! Where one cannot be taken, those before it are taken back: all are copied or none
//! (RFC 9051 §6.4.7). MOVE expunges here when all are there.

use super::super::Session;
use super::super::copy::with_copy_uid;
use super::super::dialogue::Dialogue;
use super::super::io::{Ended, Io};
use super::super::mailstore::{Mailstore, Octets, Picture};
use super::super::reply::{Reply, say};
use super::super::sequence;
use super::booth::Guest;
use super::gate;
use crate::post::visit::{Ask, Deposit, Refusal, Said, Telling};
use crate::wire::imap::command::{Body, FlagList, SequenceSet};
use crate::wire::imap::response::text;
use crate::wire::imap::rights::Rights;
use store::error::ChangeError;
use store::mail::flags::Flags;
use store::mail::id::{MailboxId, Uid, UidValidity};
use store::mail::uidset::UidSet;
use store::mailbox::Row;
use store::shard::{AppendedUid, Copied, FlagNames, FlagOp, NewMessage, StoreFlags};

/// Octets of a message that are on the way together.
const PIECE_BYTES: u64 = 256 << 10;

/// Messages of one COPY between accounts.
const CARRIED_MAX: u64 = 10_000;

/// What is copied, and whether it stays.
struct Cargo {
    uids: UidSet,
    is_move: bool,
}

/// A copy that arrives.
pub(super) struct Deposited<B> {
    mailbox: MailboxId,
    rights: Rights,
    body: Option<B>,
    uids: Vec<Uid>,
}

impl<S: Mailstore> Session<S> {
    pub(super) async fn carry<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        body: Body,
        owner: &str,
        name: &str,
    ) -> Result<Reply, Ended> {
        let (is_move, uid, set) = match &body {
            Body::Copy { uid, set, .. } => (false, *uid, set),
            Body::Move { uid, set, .. } => (true, *uid, set),
            _ => return Ok(Reply::not_selected()),
        };
        let cargo = match self.cargo(uid, set, is_move) {
            Ok(cargo) => cargo,
            Err(reply) => return Ok(reply),
        };
        let Some(guest) = self.guest_of(owner).await else {
            return Ok(Reply::no_mailbox());
        };
        match self.carry_all(dialogue, &cargo, &*guest, name).await? {
            Ok(copied) => self.carried(dialogue, &cargo, &copied).await,
            Err(reply) => Ok(reply),
        }
    }

    fn cargo(&self, uid: bool, set: &SequenceSet, is_move: bool) -> Result<Cargo, Reply> {
        let selected = self.selected.as_ref().ok_or_else(Reply::not_selected)?;
        if is_move && selected.read_only {
            return Err(Reply::read_only());
        }
        let uids = sequence::messages(&selected.view, set, uid, &selected.saved);
        let uids = uids.map_err(|_| Reply::out_of_range())?;
        match uids.len() {
            0 => Err(Reply::ok(say::NOTHING_THERE)),
            count if count > CARRIED_MAX => {
                Err(Reply::failed(&ChangeError::Limit(text::TOO_MANY_MESSAGES)))
            }
            _ => Ok(Cargo { uids, is_move }),
        }
    }

    async fn carry_all<I: Io>(
        &self,
        dialogue: &mut Dialogue<I>,
        cargo: &Cargo,
        guest: &dyn Guest,
        name: &str,
    ) -> Result<Result<Copied, Reply>, Ended> {
        let mailbox = name.to_owned();
        let begin = guest.ask(Ask::Deposit(Deposit::Begin { mailbox })).await;
        if let Err(reply) = taken(begin) {
            return Ok(Err(reply));
        }
        let mut copied = Copied {
            uid_validity: UidValidity::default(),
            pairs: Vec::new(),
        };
        for (nth, uid) in (1_u64..).zip(cargo.uids.iter()) {
            match self.carry_one(uid, guest).await {
                Ok(Some((validity, put))) => {
                    copied.uid_validity = validity;
                    copied.pairs.push((uid, put));
                }
                Ok(None) => {}
                Err(reply) => {
                    guest.ask(Ask::Deposit(Deposit::Undo)).await;
                    return Ok(Err(reply));
                }
            }
            dialogue.come_to(nth, cargo.uids.len());
            dialogue.pause().await;
        }
        Ok(Ok(copied))
    }

    /// `None`: the message is not there any more.
    async fn carry_one(
        &self,
        uid: Uid,
        guest: &dyn Guest,
    ) -> Result<Option<(UidValidity, Uid)>, Reply> {
        let Some(selected) = &self.selected else {
            return Ok(None);
        };
        let Some(row) = self.store.row(&selected.view, uid) else {
            return Ok(None);
        };
        let unread = |_| Reply::failed(&ChangeError::Damaged);
        let message = self.store.message(row.delivery).await.map_err(unread)?;
        let mut from = 0;
        while from < message.octets() {
            let to = message.octets().min(from + PIECE_BYTES);
            let octets = self.store.read(&message, from, to).await.map_err(unread)?;
            from = to;
            taken(guest.ask(Ask::Deposit(Deposit::Octets(octets))).await)?;
        }
        let end = Deposit::End {
            flags: self.flags_by_name(selected.view.mailbox(), &row),
            date: row.internal_date,
        };
        match guest.ask(Ask::Deposit(end)).await {
            Said::Deposited(appended) => Ok(Some((appended.uid_validity, appended.uid))),
            said => Err(taken(said).err().unwrap_or_else(Reply::no_mailbox)),
        }
    }

    fn flags_by_name(&self, mailbox: MailboxId, row: &Row) -> FlagList {
        let table = self.store.keywords(self.account, mailbox);
        let named = row.keywords.positions().filter_map(|at| table.get(at));
        FlagList {
            flags: row.flags,
            keywords: named.cloned().collect(),
        }
    }

    async fn carried<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        cargo: &Cargo,
        copied: &Copied,
    ) -> Result<Reply, Ended> {
        if copied.pairs.is_empty() {
            return Ok(Reply::expunge_issued());
        }
        if !cargo.is_move {
            return Ok(with_copy_uid(Reply::ok(text::COPY_DONE), copied));
        }
        let gone = UidSet::from_ascending(copied.pairs.iter().map(|pair| pair.0));
        // RFC 6851 §4.3: COPYUID comes before the EXPUNGEs, which the sync tells.
        with_copy_uid(Reply::ok(text::MOVE_DONE), copied).write_untagged(dialogue.out());
        dialogue.flush_if_full().await?;
        match self.expunge_carried(&gone).await {
            Ok(()) => Ok(Reply::ok(text::MOVE_DONE)),
            Err(error) => Ok(Reply::failed(&error)),
        }
    }

    async fn expunge_carried(&self, uids: &UidSet) -> Result<(), ChangeError> {
        let Some(selected) = &self.selected else {
            return Ok(());
        };
        let mailbox = selected.view.mailbox();
        self.expunge_all(mailbox, uids).await
    }

    async fn expunge_all(&self, mailbox: MailboxId, uids: &UidSet) -> Result<(), ChangeError> {
        let names = FlagNames {
            flags: Flags::DELETED,
            keywords: Vec::new(),
        };
        let store = StoreFlags {
            uids,
            op: FlagOp::Add,
            names: &names,
            unchanged_since: None,
        };
        self.store.store_flags(self.account, mailbox, store).await?;
        self.store.expunge(self.account, mailbox, uids).await?;
        Ok(())
    }

    /// The other side: takes what is carried here.
    pub(super) async fn deposit(
        &mut self,
        place: &mut Option<Deposited<S::Body>>,
        deposit: Deposit,
    ) -> Said {
        let done = match deposit {
            Deposit::Begin { mailbox } => self.begin_deposit(&mailbox).map(|begun| {
                *place = Some(begun);
                Said::Ready
            }),
            Deposit::Octets(octets) => self.deposit_octets(place.as_mut(), &octets).await,
            Deposit::End { flags, date } => match place {
                Some(begun) => self.end_deposit(begun, flags, date).await,
                None => Err(Refusal::NoMailbox),
            },
            Deposit::Undo => {
                if let Some(begun) = place.take() {
                    let uids = UidSet::from_ascending(begun.uids);
                    // What cannot be taken back now is a copy more, and none less.
                    let _ = self.expunge_all(begun.mailbox, &uids).await;
                }
                Ok(Said::Ready)
            }
        };
        done.unwrap_or_else(Said::Refused)
    }

    fn begin_deposit(&self, name: &str) -> Result<Deposited<S::Body>, Refusal> {
        let (mailbox, rights) = self
            .may(name, Rights::LOOKUP)
            .map_err(|_| Refusal::NoMailbox)?;
        if !rights.contains(Rights::INSERT) {
            return Err(Refusal::NoPermission);
        }
        Ok(Deposited {
            mailbox,
            rights,
            body: None,
            uids: Vec::new(),
        })
    }

    async fn deposit_octets(
        &self,
        place: Option<&mut Deposited<S::Body>>,
        octets: &[u8],
    ) -> Result<Said, Refusal> {
        let place = place.ok_or(Refusal::NoMailbox)?;
        let body = place.body.get_or_insert_with(|| self.store.body());
        let written = self.store.body_write(body, octets).await;
        written.map_err(Refusal::Failed)?;
        Ok(Said::Ready)
    }

    async fn end_deposit(
        &self,
        place: &mut Deposited<S::Body>,
        mut flags: FlagList,
        date: store::mail::date::InternalDate,
    ) -> Result<Said, Refusal> {
        gate::narrow(&mut flags, place.rights);
        let body = place.body.take().ok_or(Refusal::NoMailbox)?;
        let names = FlagNames {
            flags: flags.flags,
            keywords: flags.keywords,
        };
        let messages = vec![NewMessage { body, names, date }];
        let appended = self
            .store
            .append(self.account, place.mailbox, messages, None);
        let appended = appended.await.map_err(Refusal::Failed)?;
        let uid = appended.uids.iter().next().ok_or(Refusal::NoMailbox)?;
        place.uids.push(uid);
        Ok(Said::Deposited(AppendedUid {
            uid_validity: appended.uid_validity,
            uid,
        }))
    }

    /// Lines of one mailbox for LIST; nothing where the guest may not read it.
    pub(super) async fn lines(&self, telling: &Telling) -> Vec<u8> {
        let mut out = Vec::new();
        match telling {
            Telling::Status { mailbox, items } => {
                if self.may(mailbox, Rights::READ).is_ok() {
                    self.write_status_of(&mut out, mailbox, items).await;
                }
            }
            Telling::Annotations { mailbox, entries } => {
                let known = self.may(mailbox, Rights::LOOKUP);
                if let Ok((id, rights)) = known
                    && rights.meets(gate::NOTES)
                {
                    self.write_annotations(&mut out, mailbox, id, entries);
                }
            }
        }
        out
    }
}

/// What a guest's answer means for the client.
fn taken(said: Said) -> Result<(), Reply> {
    match said {
        Said::Ready | Said::Deposited(_) => Ok(()),
        Said::Refused(Refusal::NoPermission) => Err(gate::denied()),
        Said::Refused(Refusal::Failed(error)) => Err(Reply::failed(&error)),
        _ => Err(Reply::no_mailbox()),
    }
}
