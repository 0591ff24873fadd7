//! Two shards over one simulated disk: random work, a crash at a random moment, and again; what
//! they owe each other is handed over several at a time.
//!
//! What would break for a user if this failed: mail that was acknowledged is missing, comes twice,
//! or a UID means another message than before. Thirty seeds by default;
//! `RINGPOST_SEEDS=2000` is the nightly form.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod compare;
mod keeper;

use compare::{compare, content, identify};
use keeper::{EAGER, Keeper, Kept};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::task::Poll;
use store::compact::{Here, Unpaced};
use store::disk::executor::Executor;
use store::disk::fault::{Seed, WriteFault};
use store::disk::sim::SimDisk;
use store::error::ReadError;
use store::log::Options;
use store::mail::address::Address;
use store::mail::date::InternalDate;
use store::mail::envelope::Notify;
use store::mail::flags::Flags;
use store::mail::id::{AccountId, MailboxId, ModSeq, QueueId, ShardId, Uid, UidValidity};
use store::mail::uidset::UidSet;
use store::mailbox::SpecialUse;
use store::shard::{Custody, FlagNames, FlagOp, Offer, Shard, Share, Source, Window};
use store::shard::{StoreFlags, Transfer};

type Sim = Rc<Shard<SimDisk>>;

/// Those with an even number belong to shard 0, the others to shard 1.
const ACCOUNTS: [&str; 4] = [
    "anna@example.test",
    "bert@example.test",
    "carl@example.test",
    "dora@example.test",
];
const MAILBOXES: [&str; 2] = ["INBOX", "Other"];
const CRASHES: usize = 3;

/// Offers of one shard to the other that are under way at a time.
const IN_FLIGHT: usize = 5;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_comes_twice() {
    let mut kept = Kept::default();
    for seed in 1..=seeds(30) {
        let mut world = World::new(seed);
        for _ in 0..CRASHES {
            world.work_until_crash();
            world.check();
        }
        kept.add(&world.kept.borrow());
    }
    println!("{kept:?}");
    assert!(kept.segments > 20, "segments were emptied: {kept:?}");
    assert!(kept.packs > 5, "packs were written anew: {kept:?}");
    assert!(kept.while_read > 0, "somebody read meanwhile: {kept:?}");
    assert!(kept.failed > 0, "some tasks failed: {kept:?}");
}

#[test]
fn a_disk_that_does_not_sync_is_found_out() {
    let is_found_out = |seed| {
        let mut world = World::new(seed);
        world.disk.faults(|faults| faults.no_sync = true);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            world.work_until_crash();
            world.check();
        }))
        .is_err()
    };
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found_out = (1..=20).any(is_found_out);
    std::panic::set_hook(quiet);
    assert!(
        found_out,
        "without sync acknowledged mail must be missed by the model"
    );
}

fn seeds(default: u64) -> u64 {
    std::env::var("RINGPOST_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// What clients were told, and what they tried.
#[derive(Default)]
struct Ledger {
    next: u64,
    /// Message → accounts that must have it.
    acknowledged: BTreeMap<u64, BTreeSet<usize>>,
    /// Messages somebody tried to remove: they may be gone.
    removing: BTreeSet<u64>,
    /// How often somebody tried to copy a message.
    copies: HashMap<u64, u32>,
    /// UIDs that a client was told are expunged.
    expunged: BTreeSet<(usize, String, u32)>,
    /// What a UID meant when a client first saw it.
    seen: BTreeMap<(usize, String, u32), u64>,
    seen_flag: BTreeSet<(usize, String, u32)>,
    validity: BTreeMap<(usize, String), UidValidity>,
    highest: BTreeMap<(usize, String), (ModSeq, Uid)>,
}

struct World {
    disk: SimDisk,
    seed: Seed,
    ledger: Rc<RefCell<Ledger>>,
    kept: Rc<RefCell<Kept>>,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            disk: SimDisk::new(seed),
            seed: Seed::new(seed ^ 0x5eed),
            ledger: Rc::default(),
            kept: Rc::default(),
        }
    }

    fn work_until_crash(&mut self) {
        let mut executor = Executor::new(self.disk.clone(), self.seed.next());
        let shards = open(&mut executor, &self.disk);
        self.fail_some_writes();
        for shard in &shards {
            let shard = Rc::clone(shard);
            executor.spawn(async move { shard.run(|_| {}).await });
        }
        let mut seed = Seed::new(self.seed.next());
        let keeper = Keeper {
            shards: shards.clone(),
            here: Here(self.disk.clone(), Unpaced),
            seed: RefCell::new(Seed::new(seed.next())),
            kept: Rc::clone(&self.kept),
        };
        executor.spawn(async move { keeper.run().await });
        start_feeding(&mut executor, &shards);
        for _ in 0..4 {
            let client = Client {
                shards: shards.clone(),
                ledger: Rc::clone(&self.ledger),
                seed: RefCell::new(Seed::new(self.seed.next())),
            };
            executor.spawn(async move { client.run().await });
        }
        let turns = 50 + self.seed.below(1500) as usize;
        executor.run(turns);
        let image_seed = self.seed.next();
        self.disk = match self.seed.chance(500) {
            true => self.disk.crash(image_seed),
            false => self.disk.kill(image_seed),
        };
    }

    /// A write to the log that fails ends its segment, so that there are many small ones.
    fn fail_some_writes(&mut self) {
        let mut number = self.disk.writes();
        let mut failing = Vec::new();
        while self.seed.chance(950) {
            number += 2 + self.seed.below(40);
            let fault = match self.seed.chance(300) {
                true => WriteFault::Full,
                false => WriteFault::Io,
            };
            failing.push((number, fault));
        }
        self.disk.faults(|faults| faults.failing_writes = failing);
    }

    /// Opens the store again, lets the offers arrive, and compares with the ledger, before and
    /// after everything is emptied that can be.
    fn check(&mut self) {
        let mut executor = Executor::new(self.disk.clone(), self.seed.next());
        let shards = open(&mut executor, &self.disk);
        for shard in &shards {
            let shard = Rc::clone(shard);
            executor.spawn(async move { shard.run(|_| {}).await });
        }
        start_feeding(&mut executor, &shards);
        // The feeder waits for ever once everything is handed over, so this ends by itself.
        executor.run(usize::MAX);
        assert!(
            shards.iter().all(|shard| shard.offers_waiting() == 0),
            "offers arrive"
        );
        let ledger = Rc::clone(&self.ledger);
        let kept = Rc::clone(&self.kept);
        let here = Here(self.disk.clone(), Unpaced);
        let checked = executor.finish(async move {
            // Nobody else is left to ask the ledger.
            let mut taken = ledger.take();
            compare(&shards, &mut taken).await;
            for shard in &shards {
                let report = shard.keep_house(&here, &EAGER).await;
                kept.borrow_mut().note(Ok(report.unwrap()));
            }
            compare(&shards, &mut taken).await;
            ledger.replace(taken);
        });
        assert!(checked.is_some(), "reading ends");
        self.disk = self.disk.crash(self.seed.next());
    }
}

fn open(executor: &mut Executor, disk: &SimDisk) -> Vec<Sim> {
    let mut shards = Vec::new();
    for shard in 0..2 {
        let mut options = Options::new([7; 16], shard);
        options.segment_bytes = 8 << 20;
        // Reads go to the disk.
        options.hot_tail_bytes = 0;
        let disk = disk.clone();
        let opened = executor.finish(async move {
            let directory = format!("shard-{shard:02}");
            Shard::open(disk, &directory, ShardId(shard), options, || 1_700_000_000).await
        });
        shards.push(
            opened
                .expect("opening ends")
                .map_err(|e| e.to_string())
                .unwrap()
                .0,
        );
    }
    shards
}

/// Hands over from each shard to the other as the engine does, several at a time.
fn start_feeding(executor: &mut Executor, shards: &[Sim]) {
    for (source, target) in [(0, 1), (1, 0)] {
        let pair = Rc::new(Pair {
            from: Rc::clone(&shards[source]),
            to: Rc::clone(&shards[target]),
            ids: (source as u16, target as u16),
            window: RefCell::new(Window::new(IN_FLIGHT)),
        });
        for _ in 0..IN_FLIGHT {
            let pair = Rc::clone(&pair);
            executor.spawn(async move { pair.carry().await.unwrap_or(()) });
        }
    }
}

/// What one shard owes the other, on its way.
struct Pair {
    from: Sim,
    to: Sim,
    ids: (u16, u16),
    window: RefCell<Window>,
}

impl Pair {
    /// One of those that hand over. `None`: one of the shards takes nothing any more.
    async fn carry(&self) -> Option<()> {
        let mut arrivals = self.from.watch_offers();
        loop {
            while let Some(offer) = self.begin() {
                self.hand_over(&offer).await?;
                self.window.borrow_mut().durable(offer.sequence);
                // Two may settle at once, and settle the same: that is harmless.
                let settled = self.window.borrow().to_settle();
                if let Some(sequence) = settled {
                    self.from.settle_offers(self.ids.1, sequence).await.ok()?;
                    self.window.borrow_mut().settled(sequence);
                }
            }
            arrivals.changed().await;
        }
    }

    fn begin(&self) -> Option<Rc<Offer>> {
        let mut window = self.window.borrow_mut();
        let most = window.room().min(1);
        let offer = self.from.offers(self.ids.1, window.begun(), most).pop()?;
        window.begin(offer.sequence);
        Some(offer)
    }

    async fn hand_over(&self, offer: &Offer) -> Option<()> {
        let message = self.from.offered_body(offer.message).await.unwrap();
        let head = self.from.message_head(offer.message).await.unwrap();
        let octets = self.from.read(&message, 0, u64::MAX).await.unwrap();
        let mut body = self.to.body();
        self.to.body_write(&mut body, &octets).await.ok()?;
        let custody = Custody {
            queue: head.queue,
            source: head.source,
            received_secs: head.received_secs,
            body,
            each_alone: false,
            shares: offer.recipients.clone(),
            offers: Vec::new(),
        };
        let taken = self.to.take_offered(self.ids.0, offer.sequence, custody);
        let delivered = taken.await.ok()?;
        assert!(delivered.iter().flat_map(|d| &d.shares).all(Result::is_ok));
        Some(())
    }
}

struct Client {
    shards: Vec<Sim>,
    ledger: Rc<RefCell<Ledger>>,
    seed: RefCell<Seed>,
}

impl Client {
    async fn run(&self) {
        loop {
            let outcome = match self.below(12) {
                0..=2 => self.deliver().await,
                3..=4 => self.append().await,
                5 => self.flag(Flags::SEEN).await,
                6 => self.flag(Flags::DELETED).await,
                7 => self.expunge().await,
                8 => self.copy(false).await,
                9 => self.copy(true).await,
                _ => self.read_slowly().await,
            };
            if outcome.is_none() {
                return;
            }
        }
    }

    fn below(&self, bound: u64) -> u64 {
        self.seed.borrow_mut().below(bound)
    }

    fn message(&self) -> (u64, Vec<u8>) {
        let mut ledger = self.ledger.borrow_mut();
        ledger.next += 1;
        let id = ledger.next;
        let octets = match self.seed.borrow_mut().below(20) {
            0 => 300_000,
            length => 50 * length as usize,
        };
        (id, content(id, octets))
    }

    /// SMTP: to accounts of one shard or of both, so that one shard coordinates.
    async fn deliver(&self) -> Option<()> {
        let (id, octets) = self.message();
        let first = self.below(4) as usize;
        let mut owners = BTreeSet::from([first]);
        owners.extend((0..self.below(3)).map(|_| self.below(4) as usize));
        let here = first % 2;
        let shard = &self.shards[here];
        let mut body = shard.body();
        shard.body_write(&mut body, &octets).await.ok()?;
        let shares = |of: usize| owners.iter().filter(move |owner| *owner % 2 == of);
        let offered: Vec<Share> = shares(1 - here).copied().map(share).collect();
        let offers = match offered.is_empty() {
            true => Vec::new(),
            false => vec![(1 - here as u16, offered)],
        };
        let custody = Custody {
            queue: QueueId(id),
            source: Source {
                is_transaction: true,
                ..Source::default()
            },
            received_secs: 1,
            body,
            each_alone: false,
            shares: shares(here).copied().map(share).collect(),
            offers,
        };
        let delivered = shard.take(custody).await.ok()?;
        assert!(delivered.shares.iter().all(Result::is_ok));
        self.ledger.borrow_mut().acknowledged.insert(id, owners);
        Some(())
    }

    /// A client on a slow line: what it has begun to read it gets whole.
    async fn read_slowly(&self) -> Option<()> {
        let (_, shard, account) = self.account().await?;
        let mailbox = self.mailbox(shard, account, self.mailbox_name()).await?;
        let Some(uid) = self.any_uid(shard, account, mailbox) else {
            return Some(());
        };
        let view = shard.view(account, mailbox, false)?;
        let row = shard.row(&view, uid)?;
        let message = match shard.message(row.delivery).await {
            Ok(message) => message,
            Err(error) => {
                assert_eq!(error, ReadError::Gone);
                assert_eq!(shard.row(&view, uid), None, "only what is gone may be gone");
                return Some(());
            }
        };
        let mut octets = Vec::new();
        while (octets.len() as u64) < message.octets {
            let from = octets.len() as u64;
            octets.extend(shard.read(&message, from, from + 50_000).await.unwrap());
            for _ in 0..self.below(40) {
                pass_turn().await;
            }
        }
        assert_eq!(octets.len(), row.octets as usize);
        identify(&octets);
        Some(())
    }

    async fn append(&self) -> Option<()> {
        let (id, octets) = self.message();
        let (owner, shard, account) = self.account().await?;
        let name = self.mailbox_name();
        let mailbox = self.mailbox(shard, account, name).await?;
        let mut body = shard.body();
        shard.body_write(&mut body, &octets).await.ok()?;
        let names = FlagNames {
            flags: Flags::NONE,
            keywords: vec!["Key".into()],
        };
        let date = InternalDate::utc(5);
        shard
            .append(account, mailbox, body, &names, date)
            .await
            .ok()?;
        self.ledger
            .borrow_mut()
            .acknowledged
            .insert(id, BTreeSet::from([owner]));
        Some(())
    }

    async fn flag(&self, flags: Flags) -> Option<()> {
        let (owner, shard, account) = self.account().await?;
        let name = self.mailbox_name();
        let mailbox = self.mailbox(shard, account, name).await?;
        let Some(uid) = self.any_uid(shard, account, mailbox) else {
            return Some(());
        };
        if flags == Flags::DELETED {
            // From now on anybody's EXPUNGE may take it.
            self.note_removal(shard, account, mailbox, |row| row.uid == uid)
                .await;
        }
        let uids = UidSet::from_ascending([uid]);
        let names = FlagNames {
            flags,
            keywords: Vec::new(),
        };
        let store = StoreFlags {
            uids: &uids,
            op: FlagOp::Add,
            names: &names,
            unchanged_since: None,
        };
        shard.store_flags(account, mailbox, store).await.ok()?;
        if flags == Flags::SEEN {
            self.ledger
                .borrow_mut()
                .seen_flag
                .insert((owner, name.to_owned(), uid.0));
        }
        Some(())
    }

    async fn expunge(&self) -> Option<()> {
        let (owner, shard, account) = self.account().await?;
        let name = self.mailbox_name();
        let mailbox = self.mailbox(shard, account, name).await?;
        let every = UidSet::from_ranges([(1, u32::MAX)]);
        let gone = shard.expunge(account, mailbox, &every).await.ok()?;
        let told = gone.iter().map(|uid| (owner, name.to_owned(), uid.0));
        self.ledger.borrow_mut().expunged.extend(told);
        Some(())
    }

    async fn copy(&self, and_expunge: bool) -> Option<()> {
        let (_, shard, account) = self.account().await?;
        let source = self.mailbox(shard, account, MAILBOXES[0]).await?;
        let target = self.mailbox(shard, account, MAILBOXES[1]).await?;
        let Some(uid) = self.any_uid(shard, account, source) else {
            return Some(());
        };
        let view = shard.view(account, source, false)?;
        if let Some(row) = shard.row(&view, uid)
            && let Ok(message) = shard.message(row.delivery).await
            && let Ok(octets) = shard.read(&message, 0, u64::MAX).await
        {
            *self
                .ledger
                .borrow_mut()
                .copies
                .entry(identify(&octets))
                .or_default() += 1;
        }
        let uids = UidSet::from_ascending([uid]);
        let transfer = Transfer {
            source,
            uids: &uids,
            target,
            and_expunge,
        };
        shard.copy(account, transfer).await.ok()?;
        Some(())
    }

    /// Remembers which messages are about to be removed.
    async fn note_removal(
        &self,
        shard: &Sim,
        account: AccountId,
        mailbox: MailboxId,
        is_doomed: impl Fn(&store::mailbox::Row) -> bool,
    ) {
        let Some(view) = shard.view(account, mailbox, false) else {
            return;
        };
        let mut doomed = Vec::new();
        shard.rows(&view, &UidSet::from_ranges([(1, u32::MAX)]), &mut |row| {
            if is_doomed(&row) {
                doomed.push(row);
            }
        });
        for row in doomed {
            if let Ok(message) = shard.message(row.delivery).await
                && let Ok(octets) = shard.read(&message, 0, u64::MAX).await
            {
                self.ledger.borrow_mut().removing.insert(identify(&octets));
            }
        }
    }

    async fn account(&self) -> Option<(usize, &Sim, AccountId)> {
        let owner = self.below(4) as usize;
        let shard = &self.shards[owner % 2];
        let account = shard.open_account(ACCOUNTS[owner]).await.ok()?;
        Some((owner, shard, account))
    }

    fn mailbox_name(&self) -> &'static str {
        MAILBOXES[self.below(2) as usize]
    }

    async fn mailbox(&self, shard: &Sim, account: AccountId, name: &str) -> Option<MailboxId> {
        if let Some(info) = shard.mailbox(account, name) {
            return Some(info.id);
        }
        let _ = shard.create_mailbox(account, name, SpecialUse::NONE).await;
        Some(shard.mailbox(account, name)?.id)
    }

    fn any_uid(&self, shard: &Sim, account: AccountId, mailbox: MailboxId) -> Option<Uid> {
        let view = shard.view(account, mailbox, false)?;
        let at = self.below(u64::from(view.exists()).max(1)) as usize;
        view.uids().get(at).copied().map(Uid)
    }
}

/// Lets others have a turn.
async fn pass_turn() {
    let mut is_passed = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut is_passed, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn share(owner: usize) -> Share {
    Share {
        account: ACCOUNTS[owner].to_owned(),
        recipient: Address::split(ACCOUNTS[owner]).unwrap(),
        notify: Notify::UNSET,
        orcpt: None,
        prefix: format!("Delivered-To: {}\r\n", ACCOUNTS[owner]).into_bytes(),
    }
}
