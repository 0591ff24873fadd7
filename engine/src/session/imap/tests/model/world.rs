//! The store under the sessions: a shard on a simulated disk, stopped and started again.

use super::super::Random;
use crate::wire::imap::response::flag_list;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use store::disk::executor::Executor;
use store::disk::sim::SimDisk;
use store::mail::id::{AccountId, MailboxId, ObjectId, ShardId};
use store::mail::uidset::UidSet;
use store::shard::{Here, Options, Shard};

pub(super) type Store = Rc<Shard<SimDisk>>;

/// A message as the store has it: its flags by name, without `\Recent`, and its MODSEQ.
pub(super) type Truth = BTreeMap<u32, (BTreeSet<String>, u64)>;

pub(super) struct World {
    executor: Executor,
    disk: SimDisk,
    pub(super) store: Store,
    pub(super) account: AccountId,
    seed: u64,
    /// A UID is one message for ever.
    messages: BTreeMap<u32, ObjectId>,
    highest_modseq: u64,
    highest_uid: u32,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let disk = SimDisk::new(seed);
        let mut executor = Executor::new(disk.clone(), seed);
        let store = open(&mut executor, &disk);
        let opened = Rc::clone(&store);
        let account = executor.finish(async move {
            let account = opened.open_account("anna@example.test").await.unwrap();
            let none = store::mailbox::SpecialUse::NONE;
            opened.create_mailbox(account, "Other", none).await.unwrap();
            account
        });
        World {
            executor,
            disk,
            store,
            account: account.unwrap(),
            seed,
            messages: BTreeMap::new(),
            highest_modseq: 0,
            highest_uid: 0,
        }
    }

    /// Something of the store happens.
    pub(super) fn turn(&mut self) -> bool {
        self.executor.turn()
    }

    pub(super) fn checkpoint(&mut self) {
        let (store, here) = (Rc::clone(&self.store), Here(self.disk.clone()));
        self.executor.spawn(async move {
            store.checkpoint(&here).await.unwrap();
        });
    }

    /// The process is killed, or the power cut; what every session was told is true afterwards.
    pub(super) fn restart(&mut self, random: &mut Random) {
        self.seed += 1_000_003;
        self.disk = match random.below(2) {
            0 => self.disk.kill(self.seed),
            _ => self.disk.crash(self.seed),
        };
        self.executor = Executor::new(self.disk.clone(), self.seed);
        self.store = open(&mut self.executor, &self.disk);
        self.truth();
    }

    fn inbox(&self) -> MailboxId {
        self.store.mailbox(self.account, "INBOX").unwrap().id
    }

    /// INBOX as it is; UIDs and MODSEQ keep their laws from one look to the next.
    pub(super) fn truth(&mut self) -> Truth {
        let view = self.store.view(self.account, self.inbox(), false).unwrap();
        let keywords = self.store.keywords(self.account, self.inbox());
        let mut truth = Truth::new();
        let mut rows = Vec::new();
        let every = UidSet::from_ranges([(1, u32::MAX)]);
        self.store.rows(&view, &every, &mut |row| rows.push(row));
        for row in rows {
            let known = *self.messages.entry(row.uid.0).or_insert(row.delivery);
            assert_eq!(known, row.delivery, "UID {} is another message", row.uid.0);
            let mut out = Vec::new();
            flag_list(&mut out, row.flags, row.keywords, &keywords, false);
            let text = String::from_utf8(out).unwrap();
            truth.insert(row.uid.0, (super::believer::flags(&text), row.modseq.0));
        }
        let status = self.store.status(self.account, self.inbox()).unwrap();
        self.told(status.highest_modseq.0);
        assert!(
            self.highest_uid < status.uid_next.0,
            "UIDs are given out twice"
        );
        self.highest_uid = status.uid_next.0 - 1;
        truth
    }

    /// A MODSEQ that a client was told: the mailbox never falls behind it.
    pub(super) fn told(&mut self, modseq: u64) {
        let status = self.store.status(self.account, self.inbox()).unwrap();
        self.highest_modseq = self.highest_modseq.max(modseq);
        let now = status.highest_modseq.0;
        assert!(now >= self.highest_modseq, "MODSEQ fell to {now}");
    }

    pub(super) fn names(&self) -> BTreeSet<String> {
        let all = self.store.mailboxes(self.account).into_iter();
        all.map(|info| info.name).collect()
    }

    /// MESSAGES and UIDNEXT of a mailbox.
    pub(super) fn counts(&self, name: &str) -> (u32, u32) {
        let mailbox = self.store.mailbox(self.account, name).unwrap();
        let status = self.store.status(self.account, mailbox.id).unwrap();
        (status.messages, status.uid_next.0)
    }
}

fn open(executor: &mut Executor, disk: &SimDisk) -> Store {
    let mut options = Options::new([7; 16], 0);
    options.segment_bytes = 8 << 20;
    let disk = disk.clone();
    let opened = executor.finish(async move {
        Shard::open(disk, "shard-00", ShardId(0), options, || 1_700_000_000).await
    });
    let shard = opened
        .unwrap()
        .map_err(|error| error.to_string())
        .unwrap()
        .0;
    let runs = Rc::clone(&shard);
    executor.spawn(async move { runs.run(|_| {}).await });
    shard
}
