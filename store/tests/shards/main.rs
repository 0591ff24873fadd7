//! Two shards over one simulated disk: random work, a crash at a random moment, and again; what
//! they owe each other is handed over several at a time.
//!
//! What would break for a user if this failed: mail that was acknowledged is missing, comes twice,
//! or a UID means another message than before. Thirty seeds by default;
//! `RINGPOST_SEEDS=2000` is the nightly form.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod below;
mod client;
mod copied;

use client::Client;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::task::Poll;
use store::compact::{CompactError, Here, Policy, Report, Task};
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

/// Backups are taken while all of this goes on, and go down with it. A store that is made of one
/// has what was acknowledged before it was begun, and lives on like any other.
#[test]
fn what_a_backup_gives_back_is_whole_and_lives_on() {
    let mut restored = 0;
    for seed in 1..=seeds(30) {
        let mut world = World::new(seed);
        for life in 0..CRASHES {
            world.backs_up = true;
            world.work_until_crash();
            world.check();
            if let Some(mut other) = world.restored(life) {
                restored += 1;
                other.check();
                other.work_until_crash();
                other.check();
            }
        }
    }
    assert!(restored > 0, "no backup was whole before the crash");
}

fn seeds(default: u64) -> u64 {
    std::env::var("RINGPOST_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// What clients were told, and what they tried.
#[derive(Clone, Default)]
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

/// What was given back while clients worked.
#[derive(Clone, Copy, Default, Debug)]
struct Kept {
    segments: u32,
    packs: u32,
    /// Sweeps that had to wait for a reader.
    while_read: u32,
    failed: u32,
}

impl Kept {
    fn add(&mut self, other: &Kept) {
        self.segments += other.segments;
        self.packs += other.packs;
        self.while_read += other.while_read;
        self.failed += other.failed;
    }

    fn note(&mut self, report: Result<Report, CompactError>) {
        match report {
            Ok(report) => {
                assert_eq!(report.damage, []);
                self.segments += report.segments_emptied;
                self.packs += report.packs_emptied;
            }
            Err(_) => self.failed += 1,
        }
    }
}

struct World {
    disk: SimDisk,
    /// Where the shards lie, with a slash behind.
    root: String,
    seed: Seed,
    ledger: Rc<RefCell<Ledger>>,
    backs_up: bool,
    /// What was told before the last whole backup was begun.
    before_backup: Rc<RefCell<Option<Ledger>>>,
    kept: Rc<RefCell<Kept>>,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            disk: SimDisk::new(seed),
            root: String::new(),
            seed: Seed::new(seed ^ 0x5eed),
            ledger: Rc::default(),
            backs_up: false,
            before_backup: Rc::default(),
            kept: Rc::default(),
        }
    }

    fn work_until_crash(&mut self) {
        let mut executor = Executor::new(self.disk.clone(), self.seed.next());
        let shards = open(&mut executor, &self.disk, &self.root);
        self.fail_some_writes();
        for shard in &shards {
            let shard = Rc::clone(shard);
            executor.spawn(async move { shard.run(|_| {}).await });
        }
        if self.backs_up {
            let (ledger, before) = (Rc::clone(&self.ledger), Rc::clone(&self.before_backup));
            executor.spawn(copied::back_up(self.disk.clone(), ledger, before));
        }
        let mut seed = Seed::new(self.seed.next());
        let keeper = Keeper {
            shards: shards.clone(),
            here: Here(self.disk.clone()),
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
        let shards = open(&mut executor, &self.disk, &self.root);
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
        let here = Here(self.disk.clone());
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

impl World {
    /// A world of its own that begins with the last whole backup of this one.
    fn restored(&mut self, number: usize) -> Option<World> {
        let mut ledger = self.before_backup.borrow().clone()?;
        let tried = self.ledger.borrow();
        // It may have been tried while the backup was taken.
        ledger.next = tried.next;
        ledger.removing = tried.removing.clone();
        ledger.copies = tried.copies.clone();
        let directory = format!("restored-{number}");
        let mut executor = Executor::new(self.disk.clone(), self.seed.next());
        let restoring = copied::restore_last(self.disk.clone(), directory.clone());
        executor.finish(restoring).expect("restoring ends");
        Some(World {
            disk: self.disk.clone(),
            root: format!("{directory}/"),
            seed: Seed::new(self.seed.next()),
            ledger: Rc::new(RefCell::new(ledger)),
            backs_up: false,
            before_backup: Rc::default(),
            kept: Rc::default(),
        })
    }
}

fn open(executor: &mut Executor, disk: &SimDisk, root: &str) -> Vec<Sim> {
    let mut shards = Vec::new();
    for shard in 0..2 {
        let mut options = Options::new([7; 16], shard);
        options.segment_bytes = 8 << 20;
        // Reads go to the disk.
        options.hot_tail_bytes = 0;
        let disk = disk.clone();
        let directory = format!("{root}shard-{shard:02}");
        let opened = executor.finish(async move {
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

/// Nothing stays in the log that can be emptied, and hardly anything dead in a pack.
const EAGER: Policy = Policy {
    keep_log_bytes: 0,
    segments_least: 1,
    dead_percent: 10,
    dead_percent_in_all: 5,
    small_packs: 3,
};

/// Keeps house as the engine does, but all the time.
struct Keeper {
    shards: Vec<Sim>,
    here: Here<SimDisk>,
    seed: RefCell<Seed>,
    kept: Rc<RefCell<Kept>>,
}

impl Keeper {
    async fn run(&self) {
        for round in 0.. {
            let shard = &self.shards[round % self.shards.len()];
            let outcome = self.keep(shard).await;
            self.kept.borrow_mut().note(outcome);
            match shard.sweep(&self.here).await {
                Ok(false) => self.kept.borrow_mut().while_read += 1,
                Ok(true) => {}
                Err(_) => self.kept.borrow_mut().failed += 1,
            }
        }
    }

    async fn keep(&self, shard: &Sim) -> Result<Report, CompactError> {
        let dice = self.seed.borrow_mut().below(10);
        match dice {
            0..=3 => shard.keep_house(&self.here, &EAGER).await,
            4..=5 => {
                shard.checkpoint(&self.here).await?;
                shard.empty(&self.here, u32::MAX).await
            }
            6 => shard.empty(&self.here, u32::MAX).await,
            7 => shard.repack(&self.here, &EAGER).await,
            8 => shard.compact(&self.here, Task::MergeAll).await,
            _ => {
                shard.checkpoint(&self.here).await?;
                shard.compact(&self.here, Task::Merge).await
            }
        }
    }
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

fn content(id: u64, octets: usize) -> Vec<u8> {
    let mut text = format!("X-Id: {id}\r\n\r\n").into_bytes();
    let mut seed = Seed::new(id);
    let pattern: Vec<u8> = (0..65).flat_map(|_| seed.next().to_le_bytes()).collect();
    text.extend(pattern.repeat(octets / pattern.len() + 1));
    text.truncate(octets.max(50));
    text
}

/// Which message these octets are; they must be whole.
fn identify(octets: &[u8]) -> u64 {
    let prefix = ACCOUNTS
        .iter()
        .map(|account| format!("Delivered-To: {account}\r\n"));
    let body = prefix
        .filter_map(|prefix| octets.strip_prefix(prefix.as_bytes()))
        .next()
        .unwrap_or(octets);
    let rest = body
        .strip_prefix(b"X-Id: ")
        .expect("a message begins as it was written");
    let digits = rest
        .iter()
        .take_while(|octet| octet.is_ascii_digit())
        .count();
    let id = std::str::from_utf8(&rest[..digits])
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(
        body,
        content(id, body.len()).get(..body.len()).unwrap(),
        "octet-exact"
    );
    id
}

async fn compare(shards: &[Sim], ledger: &mut Ledger) {
    let mut found: BTreeMap<(usize, u64), u32> = BTreeMap::new();
    for (owner, address) in ACCOUNTS.iter().enumerate() {
        let shard = &shards[owner % 2];
        let Some(account) = shard.account(address) else {
            continue;
        };
        for info in shard.mailboxes(account.id) {
            let key = (owner, info.name.clone());
            let before = ledger
                .validity
                .entry(key.clone())
                .or_insert(info.uid_validity);
            assert_eq!(*before, info.uid_validity, "UIDVALIDITY stays");
            let status = shard.status(account.id, info.id).unwrap();
            let highest = (status.highest_modseq, status.uid_next);
            let before = ledger.highest.entry(key).or_insert(highest);
            assert!(
                before.0 <= highest.0 && before.1 <= highest.1,
                "nothing goes back"
            );
            *before = highest;
            let view = shard.view(account.id, info.id, false).unwrap();
            let mut rows = Vec::new();
            shard.rows(&view, &UidSet::from_ranges([(1, u32::MAX)]), &mut |row| {
                rows.push(row)
            });
            for row in rows {
                let uid = (owner, info.name.clone(), row.uid.0);
                assert!(
                    !ledger.expunged.contains(&uid),
                    "an expunged UID is back: {uid:?}"
                );
                let message = shard.message(row.delivery).await.unwrap();
                let octets = shard.read(&message, 0, u64::MAX).await.unwrap();
                assert_eq!(octets.len(), row.octets as usize, "RFC822.SIZE is exact");
                let id = identify(&octets);
                *found.entry((owner, id)).or_default() += 1;
                if ledger.seen_flag.contains(&uid) {
                    assert!(
                        row.flags.contains(Flags::SEEN),
                        "a flag that was told is lost"
                    );
                }
                let meant = *ledger.seen.entry(uid).or_insert(id);
                assert_eq!(meant, id, "a UID means one message for ever");
            }
        }
    }
    for (id, owners) in &ledger.acknowledged {
        for owner in owners {
            let count = found.get(&(*owner, *id)).copied().unwrap_or(0);
            let copies = ledger.copies.get(id).copied().unwrap_or(0);
            if !ledger.removing.contains(id) {
                assert!(
                    count >= 1,
                    "acknowledged message {id} of {owner} is missing"
                );
            }
            assert!(
                count <= 1 + copies,
                "message {id} of {owner} came {count} times"
            );
        }
    }
}
