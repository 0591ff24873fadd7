//! The part of the store that an IMAP session uses, as a trait: the shard is one implementation,
//! the store in memory of the tests is another.
//!
//! Method by method this is the door of [`store::shard::Shard`]; see there for what each promises.
//! Everything runs on the owner shard's thread, so no future has to be `Send`.

use super::sharing::Belongings;
use super::signing::signed;
use crate::wire::mime::texts::Field;
use std::rc::Rc;
use store::disk::Disk;
use store::error::{ChangeError, ReadError};
use store::mail::id::{AccountId, MailboxId, ModSeq, ObjectId, Uid, UidValidity};
use store::mail::uidset::UidSet;
use store::mailbox::{Change, MailboxInfo, Row, SpecialUse, Status, View};
use store::shard::{Appended, BodyWriter, Copied, Message, NewMessage};
use store::shard::{Column, Needle, Shard, StoreFlags, Transfer, Watch};

#[expect(async_fn_in_trait, reason = "a session and its store share one thread")]
pub trait Mailstore: Belongings {
    type View: Picture;
    type Message: Octets;
    type Body;
    type Watch: Wakes;

    fn mailboxes(&self, account: AccountId) -> Vec<MailboxInfo>;
    fn mailbox(&self, account: AccountId, name: &str) -> Option<MailboxInfo>;
    fn mailbox_by_id(&self, account: AccountId, id: MailboxId) -> Option<MailboxInfo>;
    fn subscriptions(&self, account: AccountId) -> Vec<String>;
    fn status(&self, account: AccountId, mailbox: MailboxId) -> Option<Status>;
    fn keywords(&self, account: AccountId, mailbox: MailboxId) -> Vec<String>;
    fn usage(&self, account: AccountId) -> (u64, Option<u64>);

    async fn create_mailbox(
        &self,
        account: AccountId,
        name: &str,
        special_use: SpecialUse,
    ) -> Result<MailboxInfo, ChangeError>;
    async fn rename_mailbox(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
    ) -> Result<(), ChangeError>;
    async fn delete_mailbox(&self, account: AccountId, name: &str) -> Result<(), ChangeError>;
    async fn subscribe(&self, account: AccountId, name: &str, on: bool) -> Result<(), ChangeError>;

    /// As the shard's view, its rows brought into memory first.
    async fn view(&self, account: AccountId, mailbox: MailboxId, claim: bool)
    -> Option<Self::View>;
    fn sync(&self, view: &mut Self::View, expunges: bool) -> Vec<Change>;
    fn row(&self, view: &Self::View, uid: Uid) -> Option<Row>;
    fn rows(&self, view: &Self::View, uids: &UidSet, each: &mut dyn FnMut(Row));
    fn first_unseen(&self, view: &Self::View) -> Option<Uid>;
    fn vanished_since(&self, view: &Self::View, modseq: ModSeq) -> Option<UidSet>;
    fn changed_since(&self, view: &Self::View, modseq: ModSeq) -> UidSet;
    fn watch(&self, account: AccountId, mailbox: MailboxId) -> Self::Watch;

    fn watch_account(&self, account: AccountId) -> Self::Watch;
    fn changed_mailboxes(&self, account: AccountId, modseq: ModSeq) -> Vec<(MailboxId, Status)>;
    fn tree_version(&self, account: AccountId) -> u64;

    async fn store_flags(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        store: StoreFlags<'_>,
    ) -> Result<UidSet, ChangeError>;
    async fn expunge(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
    ) -> Result<UidSet, ChangeError>;
    async fn copy(&self, account: AccountId, transfer: Transfer<'_>)
    -> Result<Copied, ChangeError>;

    fn body(&self) -> Self::Body;
    async fn body_write(&self, body: &mut Self::Body, octets: &[u8]) -> Result<(), ChangeError>;
    /// As [`store::shard::Shard::append_all`].
    async fn append(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        messages: Vec<NewMessage<Self::Body>>,
        replaces: Option<(MailboxId, Uid)>,
    ) -> Result<Appended, ChangeError>;
    async fn body_spill(&self, messages: &mut [NewMessage<Self::Body>]) -> Result<(), ChangeError>;

    /// The header fields of a message with the names in `store::shard::KEPT`, as they
    /// stand; `None` where the message must be read for them.
    async fn listing(&self, delivery: ObjectId) -> Option<Vec<u8>>;
    /// Of `uids` those that may hold a text, folded, in a field: all that do, and others. What has
    /// no signature may.
    async fn may_hold(
        &self,
        _account: AccountId,
        _mailbox: MailboxId,
        uids: &UidSet,
        _needle: (Field, &str),
    ) -> UidSet {
        uids.clone()
    }

    /// Calls `each` with what the store keeps of `uids` to sort them by
    /// ([`crate::wire::mime::facts`]), ascending, and gives back those of which it keeps nothing.
    async fn columns(
        &self,
        _account: AccountId,
        _mailbox: MailboxId,
        uids: &UidSet,
        _each: &mut dyn FnMut(Uid, &[u8]),
    ) -> UidSet {
        uids.clone()
    }

    /// As [`Mailstore::columns`], with what ENVELOPE says of each.
    async fn envelopes(
        &self,
        _account: AccountId,
        _mailbox: MailboxId,
        uids: &UidSet,
        _each: &mut dyn FnMut(Uid, &[u8]),
    ) -> UidSet {
        uids.clone()
    }

    /// Shows prefix and body of a message where all of it is in memory; whether it was.
    fn at_hand(&self, _delivery: ObjectId, _show: &mut dyn FnMut([&[u8]; 2])) -> bool {
        false
    }

    async fn message(&self, delivery: ObjectId) -> Result<Self::Message, ReadError>;
    async fn read(&self, message: &Self::Message, from: u64, to: u64)
    -> Result<Vec<u8>, ReadError>;
}

/// A session's frozen picture of a mailbox.
pub trait Picture {
    fn mailbox(&self) -> MailboxId;
    fn uid_validity(&self) -> UidValidity;
    /// Ascending; the UID of sequence number `n` is at `n - 1`.
    fn uids(&self) -> &[u32];
    /// What is `\Recent` in this session (RFC 3501 §2.3.2).
    fn recent(&self) -> &UidSet;
    /// Every change up to here is in the picture, but for expunges that are held back.
    fn modseq(&self) -> ModSeq;
    /// UIDs from here on are not in the picture, whether they exist or not.
    fn uid_next(&self) -> Uid;

    /// How many messages the client believes to be there: the largest sequence number.
    fn exists(&self) -> u32 {
        u32::try_from(self.uids().len()).unwrap_or(u32::MAX)
    }

    /// The sequence number of a UID, from 1.
    fn sequence(&self, uid: Uid) -> Option<u32> {
        let at = self.uids().binary_search(&uid.0).ok()?;
        u32::try_from(at).ok()?.checked_add(1)
    }
}

/// A message opened for reading.
pub trait Octets {
    /// Octets of prefix and body.
    fn octets(&self) -> u64;

    /// Holds nothing that can be read again.
    fn let_go(&self);
}

/// What IDLE listens to.
#[expect(async_fn_in_trait, reason = "a session and its store share one thread")]
pub trait Wakes {
    /// Ready when the mailbox changed since this was ready last. Cancel-safe.
    async fn changed(&mut self);
}

impl Picture for View {
    fn mailbox(&self) -> MailboxId {
        self.mailbox
    }

    fn uid_validity(&self) -> UidValidity {
        self.uid_validity
    }

    fn uids(&self) -> &[u32] {
        View::uids(self)
    }

    fn recent(&self) -> &UidSet {
        View::recent(self)
    }

    fn modseq(&self) -> ModSeq {
        View::modseq(self)
    }

    fn uid_next(&self) -> Uid {
        View::uid_next(self)
    }
}

impl Octets for Message {
    fn octets(&self) -> u64 {
        self.octets
    }

    fn let_go(&self) {
        Message::let_go(self);
    }
}

impl Wakes for Watch {
    async fn changed(&mut self) {
        Watch::changed(self).await;
    }
}

impl<D: Disk> Mailstore for Rc<Shard<D>> {
    type View = View;
    type Message = Message;
    type Body = BodyWriter;
    type Watch = Watch;

    fn mailboxes(&self, account: AccountId) -> Vec<MailboxInfo> {
        Shard::mailboxes(self, account)
    }

    fn mailbox(&self, account: AccountId, name: &str) -> Option<MailboxInfo> {
        Shard::mailbox(self, account, name)
    }

    fn mailbox_by_id(&self, account: AccountId, id: MailboxId) -> Option<MailboxInfo> {
        Shard::mailbox_by_id(self, account, id)
    }

    fn subscriptions(&self, account: AccountId) -> Vec<String> {
        Shard::subscriptions(self, account)
    }

    fn status(&self, account: AccountId, mailbox: MailboxId) -> Option<Status> {
        Shard::status(self, account, mailbox)
    }

    fn keywords(&self, account: AccountId, mailbox: MailboxId) -> Vec<String> {
        Shard::keywords(self, account, mailbox)
    }

    fn usage(&self, account: AccountId) -> (u64, Option<u64>) {
        Shard::usage(self, account)
    }

    async fn create_mailbox(
        &self,
        account: AccountId,
        name: &str,
        special_use: SpecialUse,
    ) -> Result<MailboxInfo, ChangeError> {
        Shard::create_mailbox(self, account, name, special_use).await
    }

    async fn rename_mailbox(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
    ) -> Result<(), ChangeError> {
        Shard::rename_mailbox(self, account, from, to).await
    }

    async fn delete_mailbox(&self, account: AccountId, name: &str) -> Result<(), ChangeError> {
        Shard::delete_mailbox(self, account, name).await
    }

    async fn subscribe(&self, account: AccountId, name: &str, on: bool) -> Result<(), ChangeError> {
        Shard::subscribe(self, account, name, on).await
    }

    async fn view(&self, account: AccountId, mailbox: MailboxId, claim: bool) -> Option<View> {
        self.warm_mailbox(account, mailbox).await;
        Shard::view(self, account, mailbox, claim)
    }

    fn sync(&self, view: &mut View, expunges: bool) -> Vec<Change> {
        Shard::sync(self, view, expunges)
    }

    fn row(&self, view: &View, uid: Uid) -> Option<Row> {
        Shard::row(self, view, uid)
    }

    fn rows(&self, view: &View, uids: &UidSet, each: &mut dyn FnMut(Row)) {
        Shard::rows(self, view, uids, each);
    }

    fn first_unseen(&self, view: &View) -> Option<Uid> {
        Shard::first_unseen(self, view)
    }

    fn vanished_since(&self, view: &View, modseq: ModSeq) -> Option<UidSet> {
        Shard::vanished_since(self, view, modseq)
    }

    fn changed_since(&self, view: &View, modseq: ModSeq) -> UidSet {
        Shard::changed_since(self, view, modseq)
    }

    fn watch(&self, account: AccountId, mailbox: MailboxId) -> Watch {
        Shard::watch(self, account, mailbox)
    }

    fn watch_account(&self, account: AccountId) -> Watch {
        Shard::watch_account(self, account)
    }

    fn changed_mailboxes(&self, account: AccountId, modseq: ModSeq) -> Vec<(MailboxId, Status)> {
        Shard::changed_mailboxes(self, account, modseq)
    }

    fn tree_version(&self, account: AccountId) -> u64 {
        Shard::tree_version(self, account)
    }

    async fn store_flags(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        store: StoreFlags<'_>,
    ) -> Result<UidSet, ChangeError> {
        Shard::store_flags(self, account, mailbox, store).await
    }

    async fn expunge(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
    ) -> Result<UidSet, ChangeError> {
        Shard::expunge(self, account, mailbox, uids).await
    }

    async fn copy(
        &self,
        account: AccountId,
        transfer: Transfer<'_>,
    ) -> Result<Copied, ChangeError> {
        Shard::copy(self, account, transfer).await
    }

    fn body(&self) -> BodyWriter {
        Shard::body(self)
    }

    async fn body_write(&self, body: &mut BodyWriter, octets: &[u8]) -> Result<(), ChangeError> {
        Shard::body_write(self, body, octets).await
    }

    async fn append(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        messages: Vec<NewMessage>,
        replaces: Option<(MailboxId, Uid)>,
    ) -> Result<Appended, ChangeError> {
        Shard::append_all(self, account, mailbox, messages, replaces).await
    }

    async fn body_spill(&self, messages: &mut [NewMessage]) -> Result<(), ChangeError> {
        Shard::body_spill(self, messages).await
    }

    async fn listing(&self, delivery: ObjectId) -> Option<Vec<u8>> {
        Shard::listing(self, delivery).await
    }

    async fn may_hold(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        (field, text): (Field, &str),
    ) -> UidSet {
        let field = signed(field);
        Shard::may_hold(self, account, mailbox, uids, &Needle { field, text }).await
    }

    async fn columns(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        each: &mut dyn FnMut(Uid, &[u8]),
    ) -> UidSet {
        Shard::columns(self, account, mailbox, uids, Column::Facts, each).await
    }

    async fn envelopes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        each: &mut dyn FnMut(Uid, &[u8]),
    ) -> UidSet {
        Shard::columns(self, account, mailbox, uids, Column::Envelope, each).await
    }

    fn at_hand(&self, delivery: ObjectId, show: &mut dyn FnMut([&[u8]; 2])) -> bool {
        Shard::at_hand(self, delivery, show).is_some()
    }

    async fn message(&self, delivery: ObjectId) -> Result<Message, ReadError> {
        Shard::message(self, delivery).await
    }

    async fn read(&self, message: &Message, from: u64, to: u64) -> Result<Vec<u8>, ReadError> {
        Shard::read(self, message, from, to).await
    }
}
