//! The only public door of the store: one shard's log and all its followers.
//!
//! Reads and decisions are plain functions on durable state. A change is decided, appended and then
//! awaited: when its future is ready, the change is durable and visible to every view. Facts are
//! applied in the order of the log at the moment when their frame is durable, by the same function
//! that applies them at recovery.

mod account;
mod append;
mod arriving;
pub mod belonging;
mod body;
mod change;
mod checkpoint;
mod custody;
mod house;
mod import;
mod listing;
mod maildrop;
mod memo;
mod open;
mod queue;
mod resume;
mod search;
mod snapshot;
mod tree;
mod warm;

pub use crate::compact::{
    Aside, CompactError, Done, Here, Owner, Pace, Policy, Progress, Report, Signing, Stories, Task,
    Unpaced, carry_out,
};
pub use crate::log::Options;
pub use crate::mailbox::Configured;
pub use crate::mailbox::Watch;
pub use crate::pack::listing::{KEPT, is_kept, of_header};
pub use crate::record::{
    Attempt, End, Ending, Enhanced, FlagOp, Hold, HostReply, Leaving, Memo, MemoChange, Offer,
    Outbound, Share, Source, Space, Way,
};
pub use crate::search::{
    COLUMN_BYTES_MAX, Column, Field, FirstPass, InMemory, Needle, SecondPass, TextSink, Texts,
    Version,
};
pub use crate::spool::{Item, Window};
pub use crate::table::manifest::Manifest;
pub use account::StoredAccount;
pub use append::{Appended, AppendedUid, NewMessage};
pub use body::{BodyWriter, Message, Octets};
pub use change::{Copied, FlagNames, StoreFlags, Transfer};
pub use checkpoint::Occupancy;
pub use custody::{Custody, Delivered};
pub use import::{IMPORT_BYTES_MAX, Imported};
pub use maildrop::{Mark, Marks, UIDL_BYTES_MAX, is_uidl};
pub use memo::IS_CLAIMED;
pub use open::OpenError;
pub use queue::{HAS_ENDED, LISTED_MAX, Listed, Note, Queued};
pub use resume::Resumed;

use crate::bell::Bell;
use crate::disk::Disk;
use crate::error::LogError;
use crate::log::{Appended as Placed, Commit, Draft, Log, Outcome, Place, Recovered};
use crate::mail::flags::Flags;
use crate::mail::id::{AccountId, FrameSeq, MailboxId, ModSeq, ShardId, Uid};
use crate::mail::uidset::UidSet;
use crate::mailbox::state::State;
use crate::mailbox::{Account, Change, Contents, MailboxInfo, Row, Status, View, sync};
use crate::pack::Packs;
use crate::pack::listing::Listings;
use crate::record::{Fact, MailboxFact};
use crate::search::Reader;
use crate::table::name::PACKS;
use arriving::Arriving;
use checkpoint::Checkpoints;
use snapshot::Snapshot;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

/// One shard's store. Lives on one thread.
pub struct Shard<D: Disk> {
    id: ShardId,
    owner: Owner,
    disk: D,
    log: Log<D>,
    packs: Packs<D>,
    listings: Listings<D>,
    signatures: crate::search::Shelf<D>,
    reader: RefCell<Option<Reader>>,
    state: RefCell<State>,
    snapshot: RefCell<Rc<Snapshot<D>>>,
    checkpoints: RefCell<Checkpoints<D>>,
    arriving: Arriving,
    on_the_way: RefCell<VecDeque<OnTheWay>>,
    now_secs: Box<dyn Fn() -> i64>,
    /// The second that the log was told last.
    noted_secs: Cell<i64>,
    scratch: Cell<Scratch>,
    accounts_gate: Rc<crate::gate::Gate>,
    configuration: RefCell<account::Configuration>,
    /// Deliveries that were in the log already.
    replayed: u64,
}

/// A fact that is appended and not yet durable.
struct OnTheWay {
    frame: FrameSeq,
    offset: u32,
    account: AccountId,
    fact: Fact,
    /// Told where the record lies once it is durable.
    landed: Option<Rc<Cell<Option<Place>>>>,
}

/// Room for facts on their way into a frame; empty but for its capacity.
#[derive(Default)]
struct Scratch {
    octets: Vec<u8>,
    /// Of each fact the kind of its record, and where its octets are.
    heads: Vec<(u8, Range<usize>)>,
}

/// One fact to append.
struct Entry<'a> {
    fact: Fact,
    /// Octets behind the fact's own: the body of a MESSAGE or BODY record.
    body: &'a [u8],
    landed: Option<Rc<Cell<Option<Place>>>>,
}

impl<'a> Entry<'a> {
    fn of(fact: Fact) -> Entry<'a> {
        Entry {
            fact,
            body: &[],
            landed: None,
        }
    }
}

impl<D: Disk> Shard<D> {
    /// Opens the shard in `directory` of `disk`, makes it where it is missing, and replays what of
    /// the log came after the last checkpoint. `now_secs` is the wall clock, seconds since 1970.
    pub async fn open(
        disk: D,
        directory: &str,
        id: ShardId,
        options: Options,
        now_secs: impl Fn() -> i64 + 'static,
    ) -> Result<(Rc<Self>, Recovered), OpenError> {
        let owner = Owner {
            directory: directory.to_owned(),
            store: options.store,
            shard: id,
        };
        let snapshot = Snapshot::present(&disk, &owner).await?;
        let (index, shelf) = (Rc::clone(&snapshot.index), Rc::clone(&snapshot.shelf));
        let mut state = State::from_index(index, shelf)?;
        state.spool.replay(true);
        let begin = snapshot.manifest.begin();
        let log = format!("{directory}/log");
        let (log, recovered) =
            Log::open(disk.clone(), &log, options, begin, &mut |place, record| {
                let fact = Fact::decode(record.kind, record.payload).map_err(|e| e.to_string())?;
                state.apply(AccountId(record.account), place, fact);
                Ok(())
            })
            .await?;
        state.spool.replay(false);
        let replayed = state.deliveries;
        let shard = Shard {
            id,
            packs: packs(&disk, &owner),
            listings: listings(&disk, &owner),
            signatures: crate::search::Shelf::new(disk.clone(), owner.clone()),
            reader: RefCell::default(),
            owner,
            disk,
            log,
            state: RefCell::new(state),
            snapshot: RefCell::new(Rc::new(snapshot)),
            checkpoints: RefCell::default(),
            arriving: Arriving::default(),
            on_the_way: RefCell::default(),
            now_secs: Box::new(now_secs),
            noted_secs: Cell::new(i64::MIN),
            scratch: Cell::default(),
            accounts_gate: Rc::default(),
            configuration: RefCell::default(),
            replayed,
        };
        Ok((Rc::new(shard), recovered))
    }

    #[must_use]
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// Writes frames until [`close`](Self::close) is called and everything is durable. Exactly one
    /// task runs it; without it no change is ever ready.
    pub async fn run(&self, mut observe: impl FnMut(&Commit)) {
        self.log
            .run(|outcome| match outcome {
                Outcome::Durable(commit) => {
                    self.apply_through(commit);
                    observe(commit);
                }
                Outcome::GivenUp => self.give_up(),
            })
            .await;
    }

    /// Takes no more changes; those that were appended still become durable.
    pub fn close(&self) {
        self.log.close();
        self.state.borrow().spool.end_turns();
    }

    /// The log, for its counters and positions.
    #[must_use]
    pub fn log(&self) -> &Log<D> {
        &self.log
    }

    fn apply_through(&self, commit: &Commit) {
        let mut state = self.state.borrow_mut();
        let mut on_the_way = self.on_the_way.borrow_mut();
        while let Some(next) = on_the_way.pop_front_if(|next| next.frame <= commit.frame) {
            let place = commit.start.offset_by(next.offset);
            if let Some(landed) = &next.landed {
                landed.set(Some(place));
            }
            state.slots_mut().arrived(next.account);
            state.apply(next.account, place, next.fact);
        }
    }

    fn give_up(&self) {
        self.on_the_way.borrow_mut().clear();
        self.noted_secs.set(i64::MIN);
        self.state.borrow_mut().abort();
    }

    /// Appends facts that become durable together. Room for them was awaited before, and nothing
    /// suspended since.
    fn put(&self, account: AccountId, entries: Vec<Entry<'_>>) -> Result<FrameSeq, LogError> {
        self.put_all(entries.into_iter().map(|entry| (account, entry)).collect())
    }

    /// As [`put`](Self::put), for facts of several accounts.
    fn put_all(&self, entries: Vec<(AccountId, Entry<'_>)>) -> Result<FrameSeq, LogError> {
        let appended = self.append_encoded(&entries)?;
        let takes = |fact: &Fact| match fact.is_memo() || fact.has_way() {
            true => self.log.has_memos(),
            false if fact.is_queue() => self.log.has_queue(),
            false => self.log.has_saves() || !fact.has_saves(),
        };
        if !entries.iter().all(|(_, entry)| takes(&entry.fact)) {
            // The frame of these records is not sealed yet, and goes to a new segment.
            self.log.turn();
        }
        self.note_time();
        let mut on_the_way = self.on_the_way.borrow_mut();
        let mut state = self.state.borrow_mut();
        for ((account, entry), offset) in entries.into_iter().zip(appended.offsets) {
            state.slots_mut().departed(account);
            if let Fact::Memo(memo) = &entry.fact {
                state.memos.departed(&memo.change);
            }
            on_the_way.push_back(OnTheWay {
                frame: appended.frame,
                offset,
                account,
                fact: entry.fact,
                landed: entry.landed,
            });
        }
        Ok(appended.frame)
    }

    fn append_encoded(&self, entries: &[(AccountId, Entry<'_>)]) -> Result<Placed, LogError> {
        let mut scratch = self.scratch.take();
        let Scratch { octets, heads } = &mut scratch;
        for (_, entry) in entries {
            let start = octets.len();
            let kind = entry.fact.encode(octets);
            heads.push((kind, start..octets.len()));
        }
        let encoded: &[u8] = octets;
        let drafts = heads.iter().zip(entries);
        let drafts = drafts.map(|((kind, at), (account, entry))| Draft {
            kind: *kind,
            account: account.0,
            parts: [encoded.get(at.clone()).unwrap_or_default(), entry.body],
        });
        let appended = self.log.append(drafts);
        octets.clear();
        heads.clear();
        self.scratch.set(scratch);
        appended
    }

    /// Says what time it is in the first frame of each second, so that a backup can be cut there.
    /// A frame without room for it leaves that to the next.
    fn note_time(&self) {
        let secs = (self.now_secs)();
        if secs == self.noted_secs.get() || !self.log.has_times() {
            return;
        }
        let mut payload = Vec::new();
        let draft = Draft {
            kind: Fact::Time { secs }.encode(&mut payload),
            account: 0,
            parts: [&payload, &[]],
        };
        if self.log.append([draft]).is_ok() {
            self.noted_secs.set(secs);
        }
    }

    // Views and lists: plain reads of durable state.

    /// Mailboxes of an account, INBOX first, then by name.
    pub fn mailboxes(&self, account: AccountId) -> Vec<MailboxInfo> {
        self.state
            .borrow()
            .account(account)
            .map(Account::list)
            .unwrap_or_default()
    }

    /// A mailbox by name; INBOX in any case.
    pub fn mailbox(&self, account: AccountId, name: &str) -> Option<MailboxInfo> {
        let state = self.state.borrow();
        let account = state.account(account)?;
        account.info(account.id_of(&crate::mailbox::name::canonical(name))?)
    }

    /// A mailbox by id, e.g. the one a view shows, under its present name.
    pub fn mailbox_by_id(&self, account: AccountId, id: MailboxId) -> Option<MailboxInfo> {
        self.state.borrow().account(account)?.info(id)
    }

    /// Subscribed names, sorted, existing or not (RFC 9051 §6.3.7).
    pub fn subscriptions(&self, account: AccountId) -> Vec<String> {
        self.state
            .borrow()
            .account(account)
            .map(Account::subscriptions)
            .unwrap_or_default()
    }

    pub fn status(&self, account: AccountId, mailbox: MailboxId) -> Option<Status> {
        self.with_contents(account, mailbox, Contents::status)
    }

    /// The keyword table of a mailbox: entry `i` is bit `i` of a row's keywords.
    pub fn keywords(&self, account: AccountId, mailbox: MailboxId) -> Vec<String> {
        self.with_contents(account, mailbox, |contents| contents.keywords().to_vec())
            .unwrap_or_default()
    }

    /// Messages put into mailboxes since the store was opened.
    pub fn deliveries(&self) -> u64 {
        self.state.borrow().deliveries - self.replayed
    }

    /// Octets stored, and the quota if there is one.
    pub fn usage(&self, account: AccountId) -> (u64, Option<u64>) {
        let state = self.state.borrow();
        state
            .account(account)
            .map_or((0, None), |account| (account.octets(), account.limit()))
    }

    /// A picture of the mailbox as it is now. With `claim_recent` the session takes the messages
    /// that nobody has claimed yet (SELECT, not EXAMINE). `None` also where the index of the
    /// mailbox is damaged.
    pub fn view(&self, account: AccountId, mailbox: MailboxId, claim_recent: bool) -> Option<View> {
        let view = self.with_contents(account, mailbox, |contents| {
            sync::picture(account, contents, claim_recent)
        })??;
        self.claim_recent(&view);
        Some(view)
    }

    /// Brings a view up to now and says what changed. Without `expunges` they are held back, as
    /// RFC 9051 §7.5.1 demands while FETCH, STORE or SEARCH by sequence number is in progress.
    pub fn sync(&self, view: &mut View, expunges: bool) -> Vec<Change> {
        let changes = {
            let state = self.state.borrow();
            let account = state.account(view.account);
            match account.and_then(|account| account.contents(view.mailbox)) {
                Some(contents) => sync::sync(view, contents, expunges),
                None => sync::gone(view),
            }
        };
        if changes
            .iter()
            .any(|change| matches!(change, Change::Recent(_)))
        {
            self.claim_recent(view);
        }
        changes
    }

    /// The present row of a UID; `None` when it was expunged meanwhile.
    pub fn row(&self, view: &View, uid: Uid) -> Option<Row> {
        self.with_contents(view.account, view.mailbox, |contents| {
            contents.rows().row(uid)
        })?
    }

    /// The first message of the picture that is not `\Seen` now, where none was expunged since.
    pub fn first_unseen(&self, view: &View) -> Option<Uid> {
        let first = self.with_contents(view.account, view.mailbox, |contents| {
            contents.rows().first_without(Flags::SEEN)
        });
        first?.filter(|uid| *uid < view.uid_next)
    }

    /// Calls `each` with the present row of every UID of `uids` that still exists, ascending.
    pub fn rows(&self, view: &View, uids: &UidSet, each: &mut dyn FnMut(Row)) {
        let _ = self.with_contents(view.account, view.mailbox, |contents| {
            contents.rows().of(uids).for_each(each);
        });
    }

    /// What was expunged after `modseq`, ascending; `None` where that is not remembered any more
    /// (RFC 7162 §3.2.10). Messages that are in the picture still are not left out.
    pub fn vanished_since(&self, view: &View, modseq: ModSeq) -> Option<UidSet> {
        self.with_contents(view.account, view.mailbox, |contents| {
            contents.vanished_since(modseq)
        })?
    }

    /// The messages of the picture with a change after `modseq`, their arrival counted.
    pub fn changed_since(&self, view: &View, modseq: ModSeq) -> UidSet {
        let changed = self.with_contents(view.account, view.mailbox, |contents| {
            let rows = contents.rows().changed_since(modseq, view.uid_next);
            UidSet::from_ascending(rows.map(|row| row.uid))
        });
        changed.unwrap_or_default()
    }

    /// The mailboxes of an account with a change after `modseq`, in no order.
    pub fn changed_mailboxes(
        &self,
        account: AccountId,
        modseq: ModSeq,
    ) -> Vec<(MailboxId, Status)> {
        let state = self.state.borrow();
        state
            .account(account)
            .map(|account| account.changed_since(modseq))
            .unwrap_or_default()
    }

    /// Another number after each change of names and subscriptions, as long as somebody has a
    /// [`Shard::watch_account`].
    pub fn tree_version(&self, account: AccountId) -> u64 {
        let state = self.state.borrow();
        state.account(account).map_or(0, Account::tree_version)
    }

    /// Wakes whoever awaits it at each change of any mailbox of the account, of their names and of
    /// the subscriptions.
    pub fn watch_account(&self, account: AccountId) -> Watch {
        let state = self.state.borrow();
        match state.account(account) {
            Some(account) => account.bell.watch(),
            None => Rc::<Bell>::default().watch(),
        }
    }

    /// Wakes whoever awaits it at each change of the mailbox; never where there is none.
    pub fn watch(&self, account: AccountId, mailbox: MailboxId) -> Watch {
        self.with_contents(account, mailbox, |contents| contents.bell.watch())
            .unwrap_or_else(|| Rc::<Bell>::default().watch())
    }

    fn with_contents<T>(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        read: impl FnOnce(&Contents) -> T,
    ) -> Option<T> {
        self.state
            .borrow()
            .account(account)?
            .contents(mailbox)
            .map(read)
    }

    /// From now on later sessions do not see as `\Recent` what this view has seen. Not awaited: if
    /// it is lost in a crash, a message is recent twice (RFC 3501 §2.3.2 permits it).
    fn claim_recent(&self, view: &View) {
        if !view.claims_recent {
            return;
        }
        {
            let mut state = self.state.borrow_mut();
            let account = state.account_mut(view.account);
            match account.and_then(|account| account.contents_mut(view.mailbox)) {
                Some(contents) if contents.recent_first() < view.uid_next => {
                    contents.claim_recent(view.uid_next);
                }
                _ => return,
            }
        }
        let fact = MailboxFact::Recent {
            mailbox: view.mailbox,
            first: view.uid_next,
        };
        let _ = self.put(view.account, vec![Entry::of(Fact::Mailbox(fact))]);
    }
}

fn packs<D: Disk>(disk: &D, owner: &Owner) -> Packs<D> {
    let directory = format!("{}/{PACKS}", owner.directory);
    Packs::new(disk.clone(), &directory, owner.store, owner.shard)
}

fn listings<D: Disk>(disk: &D, owner: &Owner) -> Listings<D> {
    let directory = format!("{}/{PACKS}", owner.directory);
    Listings::new(disk.clone(), &directory, owner.store, owner.shard)
}
