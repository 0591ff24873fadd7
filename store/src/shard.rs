//! The only public door of the store: one shard's log and all its followers.
//!
//! Reads and decisions are plain functions on durable state. A change is decided, appended and then
//! awaited: when its future is ready, the change is durable and visible to every view.

use crate::disk::Disk;
use crate::error::{ChangeError, ReadError};
use crate::mail::date::InternalDate;
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{AccountId, MailboxId, ModSeq, ObjectId, Uid, UidValidity};
use crate::mail::uidset::UidSet;
use crate::mailbox::{Change, MailboxInfo, Row, SpecialUse, Status, View};
use std::rc::Rc;

pub struct Shard<D: Disk> {
    _disk: D,
}

/// How flags are changed (RFC 9051 §6.4.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlagOp {
    Set,
    Add,
    Remove,
}

/// Flags and keywords by name, as a client gives them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlagNames {
    pub flags: Flags,
    /// Without duplicates; compared without regard to ASCII case, kept as first written.
    pub keywords: Vec<String>,
}

/// What COPY and MOVE did (RFC 4315 §3): `pairs` ascend in both columns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copied {
    pub uid_validity: UidValidity,
    pub pairs: Vec<(Uid, Uid)>,
}

/// What APPEND did (RFC 4315 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppendedUid {
    pub uid_validity: UidValidity,
    pub uid: Uid,
}

/// A message opened for reading: prefix and body as one run of octets.
///
/// Small messages are one piece; large ones come in pieces of at most `CHUNK_BYTES`. Every piece is
/// checked against its CRC before it is given out.
#[derive(Debug)]
pub struct Message {
    /// Return-Path, Delivered-To, Received: the octets before the body.
    pub prefix: Rc<[u8]>,
    /// Octets of prefix and body.
    pub octets: u64,
    pub(crate) _pieces: (),
}

/// A body on its way into the log, before anybody decided what becomes of it. Dropping it makes
/// dead bytes and nothing else.
pub struct BodyWriter {
    pub(crate) _inner: (),
}

/// Wakes when a mailbox changed.
pub struct Watch {
    pub(crate) _inner: (),
}

impl<D: Disk> Shard<D> {
    /// Mailboxes of an account, sorted by name, INBOX first.
    pub fn mailboxes(&self, _account: AccountId) -> Vec<MailboxInfo> {
        unimplemented!()
    }

    /// A mailbox by name; INBOX in any case.
    pub fn mailbox(&self, _account: AccountId, _name: &str) -> Option<MailboxInfo> {
        unimplemented!()
    }

    /// A mailbox by id, e.g. the one a view shows, under its present name.
    pub fn mailbox_by_id(&self, _account: AccountId, _id: MailboxId) -> Option<MailboxInfo> {
        unimplemented!()
    }

    /// Subscribed names, sorted, existing or not (RFC 9051 §6.3.7).
    pub fn subscriptions(&self, _account: AccountId) -> Vec<String> {
        unimplemented!()
    }

    pub fn status(&self, _account: AccountId, _mailbox: MailboxId) -> Option<Status> {
        unimplemented!()
    }

    /// The keyword table of a mailbox: entry `i` is bit `i` of [`Keywords`].
    pub fn keywords(&self, _account: AccountId, _mailbox: MailboxId) -> Vec<String> {
        unimplemented!()
    }

    /// Octets stored and the quota, if there is one.
    pub fn usage(&self, _account: AccountId) -> (u64, Option<u64>) {
        unimplemented!()
    }

    /// Makes a mailbox and the missing levels above it (RFC 9051 §6.3.4).
    pub async fn create_mailbox(
        &self,
        _account: AccountId,
        _name: &str,
        _special_use: SpecialUse,
    ) -> Result<MailboxInfo, ChangeError> {
        unimplemented!()
    }

    /// Renames a mailbox and its children; INBOX is emptied into the new name and stays
    /// (RFC 9051 §6.3.6).
    pub async fn rename_mailbox(
        &self,
        _account: AccountId,
        _from: &str,
        _to: &str,
    ) -> Result<(), ChangeError> {
        unimplemented!()
    }

    /// Deletes a mailbox with its messages; children stay (RFC 9051 §6.3.5). INBOX: `Cannot`.
    pub async fn delete_mailbox(
        &self,
        _account: AccountId,
        _name: &str,
    ) -> Result<(), ChangeError> {
        unimplemented!()
    }

    pub async fn subscribe(
        &self,
        _account: AccountId,
        _name: &str,
        _on: bool,
    ) -> Result<(), ChangeError> {
        unimplemented!()
    }

    /// A picture of the mailbox as it is now. With `claim_recent` the session takes the messages
    /// that nobody has claimed yet (SELECT, not EXAMINE).
    pub fn view(
        &self,
        _account: AccountId,
        _mailbox: MailboxId,
        _claim_recent: bool,
    ) -> Option<View> {
        unimplemented!()
    }

    /// Brings a view up to now and says what changed. Without `expunges` they are held back, as
    /// RFC 9051 §7.5.1 demands while FETCH, STORE or SEARCH by sequence number is in progress.
    pub fn sync(&self, _view: &mut View, _expunges: bool) -> Vec<Change> {
        unimplemented!()
    }

    /// The present row of a UID that is in the view; `None` when it was expunged meanwhile.
    pub fn row(&self, _view: &View, _uid: Uid) -> Option<Row> {
        unimplemented!()
    }

    /// Calls `each` with the present row of every UID of `uids` that still exists, ascending.
    pub fn rows(&self, _view: &View, _uids: &UidSet, _each: &mut dyn FnMut(&Row)) {
        unimplemented!()
    }

    /// Changes flags of the messages of `uids` that still exist; unknown keywords are added to the
    /// table. With `unchanged_since`, messages with a higher MODSEQ are left alone and returned
    /// (RFC 7162 §3.1.3). The new values are told by `sync`.
    pub async fn store_flags(
        &self,
        _account: AccountId,
        _mailbox: MailboxId,
        _uids: &UidSet,
        _op: FlagOp,
        _names: &FlagNames,
        _unchanged_since: Option<ModSeq>,
    ) -> Result<UidSet, ChangeError> {
        unimplemented!()
    }

    /// Expunges those of `uids` that exist and have `\Deleted`.
    pub async fn expunge(
        &self,
        _account: AccountId,
        _mailbox: MailboxId,
        _uids: &UidSet,
    ) -> Result<UidSet, ChangeError> {
        unimplemented!()
    }

    /// Copies the messages of `uids` that still exist, all or none, with flags and dates; with
    /// `and_expunge` it is MOVE, atomically.
    pub async fn copy(
        &self,
        _account: AccountId,
        _source: MailboxId,
        _uids: &UidSet,
        _target: MailboxId,
        _and_expunge: bool,
    ) -> Result<Copied, ChangeError> {
        unimplemented!()
    }

    /// A sink for the octets of an APPEND or of a delivery.
    pub fn body(self: &Rc<Self>) -> BodyWriter {
        unimplemented!()
    }

    /// Adds octets. Suspends while the log is behind.
    pub async fn body_write(
        &self,
        _writer: &mut BodyWriter,
        _octets: &[u8],
    ) -> Result<(), ChangeError> {
        unimplemented!()
    }

    /// APPEND of one body (RFC 9051 §6.3.12).
    pub async fn append(
        &self,
        _account: AccountId,
        _mailbox: MailboxId,
        _body: BodyWriter,
        _names: &FlagNames,
        _date: InternalDate,
    ) -> Result<AppendedUid, ChangeError> {
        unimplemented!()
    }

    /// Opens a message for reading.
    pub async fn message(&self, _delivery: ObjectId) -> Result<Message, ReadError> {
        unimplemented!()
    }

    /// Octets `from..to` of prefix and body, clipped to the message; at most one piece is held in
    /// memory beside the result.
    pub async fn read(
        &self,
        _message: &Message,
        _from: u64,
        _to: u64,
    ) -> Result<Vec<u8>, ReadError> {
        unimplemented!()
    }

    /// Wakes whoever awaits it at each change of the mailbox that is not yet in a view.
    pub fn watch(&self, _account: AccountId, _mailbox: MailboxId) -> Watch {
        unimplemented!()
    }
}

impl Watch {
    /// Ready when the mailbox has changed since the last time this was ready. Cancel-safe.
    pub async fn changed(&mut self) {
        unimplemented!()
    }
}
