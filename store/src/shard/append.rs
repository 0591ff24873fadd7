//! What a client puts into a mailbox: messages of one command, all of them or none, and perhaps in
//! place of another (RFC 9051 §6.3.12, RFC 3502, RFC 8508).
//!
//! Law: one command is one frame. Everything that can fail is asked before the first UID is given
//! out, so that what fails leaves no trace.

use super::belonging::messages_fit;
use super::change::named;
use super::custody::{Arrival, draft_delivery};
use super::{BodyWriter, Entry, FlagNames, Shard};
use crate::disk::Disk;
use crate::error::ChangeError;
use crate::limit::{
    APPENDED_TOGETHER_MAX, CHUNK_BYTES, FRAME_BYTES_MAX, KEYWORD_BYTES_MAX, KEYWORDS_MAX,
};
use crate::log::RECORD_HEADER_BYTES;
use crate::mail::date::InternalDate;
use crate::mail::flags::Keywords;
use crate::mail::id::{AccountId, FrameSeq, MailboxId, QueueId, Uid, UidValidity};
use crate::mail::uidset::UidSet;
use crate::mailbox::Account;
use crate::mailbox::state::State;
use crate::record::{Expunge, Fact, FlagOp, Piece, Source};
use std::cell::Cell;
use std::rc::Rc;

/// A message on its way into a mailbox.
#[derive(Debug)]
pub struct NewMessage<B = BodyWriter> {
    pub body: B,
    pub names: FlagNames,
    pub date: InternalDate,
}

/// What APPEND did (RFC 4315 §3): the UIDs ascend in the order of the messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    pub uid_validity: UidValidity,
    /// None: the message to be replaced was gone, and nothing was put in its place.
    pub uids: UidSet,
}

/// What APPEND of one message did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppendedUid {
    pub uid_validity: UidValidity,
    pub uid: Uid,
}

impl<D: Disk> Shard<D> {
    /// APPEND of one message.
    pub async fn append(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        body: BodyWriter,
        names: &FlagNames,
        date: InternalDate,
    ) -> Result<AppendedUid, ChangeError> {
        let names = names.clone();
        let messages = vec![NewMessage { body, names, date }];
        let appended = self.append_all(account, mailbox, messages, None).await?;
        let uid = appended.uids.iter().next();
        Ok(AppendedUid {
            uid_validity: appended.uid_validity,
            uid: uid.expect("what replaces nothing is put there or fails"),
        })
    }

    /// Appends messages, all or none. What `replaces` names is expunged in the same moment; if it
    /// is not there any more, nothing happens.
    pub async fn append_all(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        messages: Vec<NewMessage>,
        replaces: Option<(MailboxId, Uid)>,
    ) -> Result<Appended, ChangeError> {
        let bytes = frame_bytes(&messages)?;
        match replaces {
            Some((source, _)) => self.settled_room(account, source, bytes).await?,
            None => self.log.room(bytes).await?,
        }
        let (entries, appended) = {
            let mut state = self.state.borrow_mut();
            if !may_append(&mut state, account, mailbox, &messages, replaces)? {
                let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
                let uid_validity = owner.open_contents(mailbox)?.uid_validity;
                let uids = UidSet::new();
                return Ok(Appended { uid_validity, uids });
            }
            self.draft_messages(&mut state, (account, mailbox), &messages, replaces)?
        };
        let frame = self.put_in(account, mailbox, entries)?;
        // It is in the frame now: those who wait for the disk hold no octets of their own, but the
        // pieces are kept until it is durable.
        let leases: Vec<_> = messages
            .into_iter()
            .map(|message| message.body.lease)
            .collect();
        if let Some((source, _)) = replaces {
            self.note_tip(account, source, frame);
        }
        self.log.durable(frame).await?;
        drop(leases);
        Ok(appended)
    }

    fn draft_messages<'a>(
        &self,
        state: &mut State,
        (account, mailbox): (AccountId, MailboxId),
        messages: &'a [NewMessage],
        replaces: Option<(MailboxId, Uid)>,
    ) -> Result<(Vec<Entry<'a>>, Appended), ChangeError> {
        let mut entries = Vec::with_capacity(2 * messages.len() + 1);
        let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
        let keywords = named_all(owner, mailbox, messages, &mut entries)?;
        let uid_validity = owner.open_contents(mailbox)?.uid_validity;
        let mut uids = UidSet::new();
        for (message, keywords) in messages.iter().zip(keywords) {
            let body = &message.body;
            let head = self.draft_message(state, QueueId(0), Source::default(), body, None);
            let arrival = Arrival {
                object: state.next_object(),
                message: head.object,
                octets: body.octets(),
                saved_secs: (self.now_secs)(),
            };
            let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
            let mut deliver = draft_delivery(owner, mailbox, arrival, message.date)?;
            (deliver.flags, deliver.keywords) = (message.names.flags, keywords);
            uids.push(deliver.uid);
            entries.push(Entry {
                body: &body.tail,
                ..Entry::of(Fact::Message(head))
            });
            entries.push(Entry::of(Fact::Deliver(Box::new(deliver))));
        }
        if let Some((source, uid)) = replaces {
            let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
            entries.push(Entry::of(Fact::Expunge(Expunge {
                mailbox: source,
                modseq: owner.next_modseq(),
                uids: UidSet::from_ascending([uid]),
            })));
        }
        Ok((entries, Appended { uid_validity, uids }))
    }

    /// Moves what these bodies hold in memory into the log: what many small messages of one
    /// command need, as [`body_write`](Self::body_write) does for a large one.
    pub async fn body_spill(&self, messages: &mut [NewMessage]) -> Result<(), ChangeError> {
        let mut landing = Vec::new();
        let mut last = None;
        for (at, message) in messages.iter_mut().enumerate() {
            let body = &mut message.body;
            if body.tail.is_empty() {
                continue;
            }
            body.lease
                .get_or_insert_with(|| self.arriving.lease(self.log.end().segment));
            self.log.room(body.tail.len() + RECORD_HEADER_BYTES).await?;
            let landed = Rc::new(Cell::new(None));
            let entry = Entry {
                fact: Fact::Body,
                body: &body.tail,
                landed: Some(Rc::clone(&landed)),
            };
            last = Some(self.put(AccountId(0), vec![entry])?);
            landing.push((at, landed));
        }
        let Some(last): Option<FrameSeq> = last else {
            return Ok(());
        };
        self.log.durable(last).await?;
        for (at, landed) in landing {
            let place = landed.get().ok_or(crate::error::LogError::ReadOnly)?;
            if let Some(message) = messages.get_mut(at) {
                let tail = std::mem::take(&mut message.body.tail);
                let octets = u32::try_from(tail.len()).expect("CHUNK_BYTES bounds a tail");
                message.body.pieces.push(Piece { place, octets });
            }
        }
        Ok(())
    }
}

/// What the messages take in one frame.
fn frame_bytes(messages: &[NewMessage]) -> Result<usize, ChangeError> {
    if messages.len() > APPENDED_TOGETHER_MAX {
        return Err(ChangeError::Limit("messages of one command"));
    }
    let of_message = |message: &NewMessage| {
        message.body.tail.len() + message.body.pieces.len() * PIECE_BYTES + MESSAGE_BYTES
    };
    let bytes = KEYWORDS_BYTES + messages.iter().map(of_message).sum::<usize>();
    if bytes > FRAME_BYTES_MAX - 4096 {
        return Err(ChangeError::Limit("size of one command"));
    }
    Ok(bytes)
}

/// Whether what is to be replaced is there; fails where a message could not be put.
fn may_append(
    state: &mut State,
    account: AccountId,
    mailbox: MailboxId,
    messages: &[NewMessage],
    replaces: Option<(MailboxId, Uid)>,
) -> Result<bool, ChangeError> {
    let gone = usize::from(replaces.is_some());
    messages_fit(state, account, messages.len().saturating_sub(gone))?;
    let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
    let mut octets = 0;
    for message in messages {
        let size = u32::try_from(message.body.octets());
        octets += u64::from(size.map_err(|_| ChangeError::Limit("size"))?);
    }
    if let Some((source, uid)) = replaces {
        let Some(row) = owner.open_contents(source)?.rows().row(uid) else {
            return Ok(false);
        };
        octets = octets.saturating_sub(u64::from(row.octets));
    }
    if owner.would_exceed(octets) {
        return Err(ChangeError::OverQuota);
    }
    let next = owner.open_contents(mailbox)?.tip_uid_next.0;
    let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
    match next.checked_add(count) {
        Some(_) => Ok(true),
        None => Err(ChangeError::Limit("UIDs of one mailbox")),
    }
}

/// The keywords of each message; after an error the table is as it was.
fn named_all(
    owner: &mut Account,
    mailbox: MailboxId,
    messages: &[NewMessage],
    entries: &mut Vec<Entry<'_>>,
) -> Result<Vec<Keywords>, ChangeError> {
    let known = owner.open_contents(mailbox)?.tip_keywords.len();
    let mut all = Vec::with_capacity(messages.len());
    for message in messages {
        let names = &message.names.keywords;
        match named(owner, mailbox, names, FlagOp::Add, entries) {
            Ok(keywords) => all.push(keywords),
            Err(error) => {
                owner.open_contents(mailbox)?.tip_keywords.truncate(known);
                return Err(error);
            }
        }
    }
    Ok(all)
}

/// A place and a length in a MESSAGE.
const PIECE_BYTES: usize = 12;

/// The fixed fields of MESSAGE and DELIVER with headers and padding, rounded up.
const MESSAGE_BYTES: usize = 256;

/// A whole table of new keywords, and the EXPUNGE of one message.
const KEYWORDS_BYTES: usize = KEYWORDS_MAX * (KEYWORD_BYTES_MAX + 32 + RECORD_HEADER_BYTES) + 256;

const _: () = assert!(APPENDED_TOGETHER_MAX * MESSAGE_BYTES + (1 << 20) < FRAME_BYTES_MAX);
const _: () = assert!(CHUNK_BYTES <= u32::MAX as usize);
