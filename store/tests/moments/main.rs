//! Two shards whose files are of different moments, as a copy of a running store gives them.
//!
//! What would break for a user: after such a copy is started, mail that both moments know is
//! missing or comes twice, or new mail is acknowledged and reaches nobody. Eight seeds by
//! default; `RINGPOST_SEEDS=2000` is the nightly form.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod backup;
#[path = "../shards/below.rs"]
mod below;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::rc::Rc;
use store::compact::Here;
use store::disk::executor::Executor;
use store::disk::fault::Seed;
use store::disk::sim::SimDisk;
use store::disk::{Disk, Mode};
use store::log::Options;
use store::mail::address::Address;
use store::mail::envelope::Notify;
use store::mail::id::{QueueId, ShardId};
use store::mail::uidset::UidSet;
use store::shard::{Custody, Offer, Shard, Share, Source};

const ACCOUNTS: [&str; 2] = ["anna@example.test", "bert@example.test"];
const PAIRS: [(usize, usize); 2] = [(0, 1), (1, 0)];

#[test]
fn whatever_the_moments_old_mail_is_there_and_new_mail_arrives() {
    for seed in 1..=seeds(8) {
        let mut seed = Seed::new(seed);
        let mut disk = SimDisk::new(seed.next());
        let acknowledged = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let (early, late) = two_moments(&disk, &mut seed, &acknowledged);
            let (older, newer) = PAIRS[seed.below(2) as usize];
            let mut executor = Executor::new(SimDisk::new(1), seed.next());
            disk = mixed(&mut executor, &early.disk, older, &late.disk, newer);
            let mut store = Store::open(&disk, seed.next());
            store.resume();
            store.hand_over();
            store.expect_each(&early.mail);
            let new = [100_000, 100_001].map(|id| id + late.mail.len() as u64 * 100);
            PAIRS
                .iter()
                .zip(new)
                .for_each(|(pair, id)| store.deliver(pair.0, id));
            store.hand_over();
            store.expect_each(&new);
            disk = disk.crash(seed.next());
        }
    }
}

#[test]
fn what_a_checkpoint_forgot_is_skipped_and_named() {
    let disk = SimDisk::new(1);
    let mut store = Store::open(&disk, 2);
    store.deliver(0, 1);
    store.deliver(0, 2);
    let early = disk.crash(3);
    store.hand_over();
    let (shard, here) = (Rc::clone(&store.shards[0]), Here(disk.clone()));
    let checkpoint = async move { shard.checkpoint(&here).await };
    store.executor.finish(checkpoint).unwrap().unwrap();
    let mut executor = Executor::new(SimDisk::new(1), 4);
    let copy = mixed(&mut executor, &early, 1, &disk, 0);

    let mut store = Store::open(&copy, 5);
    assert_eq!(store.resume(), [Some(1..=2), None]);
    store.deliver(0, 3);
    store.hand_over();
    store.expect_each(&[3]);
    let mut again = Store::open(&copy.crash(6), 7);
    assert_eq!(again.resume(), [None, None], "it is told once");
    again.expect_each(&[3]);
}

#[test]
fn a_source_that_is_behind_gives_no_number_twice() {
    let disk = SimDisk::new(1);
    let mut store = Store::open(&disk, 2);
    store.deliver(0, 1);
    store.hand_over();
    let early = disk.crash(3);
    store.deliver(0, 2);
    store.hand_over();
    let mut executor = Executor::new(SimDisk::new(1), 4);
    let copy = mixed(&mut executor, &early, 0, &disk, 1);

    let mut store = Store::open(&copy, 5);
    let behind = store.shards[0].resume_offers(1, store.shards[1].seen_from(0));
    assert!(behind.is_behind);
    assert_eq!(behind.through, 2);
    store.deliver(0, 3);
    store.hand_over();
    store.expect_each(&[1, 3]);
}

fn seeds(default: u64) -> u64 {
    let number = std::env::var("RINGPOST_SEEDS");
    number
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// A disk at one moment, and what was acknowledged before it.
struct Moment {
    disk: SimDisk,
    mail: Vec<u64>,
}

/// Mail comes in while it is handed over, and two pictures are taken meanwhile.
fn two_moments(disk: &SimDisk, seed: &mut Seed, last: &Rc<Cell<u64>>) -> (Moment, Moment) {
    let mut store = Store::open(disk, seed.next());
    store.resume();
    let mail = Rc::new(RefCell::new(Vec::new()));
    for (from, to) in PAIRS {
        let shards = store.shards.clone();
        let (mail, last) = (Rc::clone(&mail), Rc::clone(last));
        store.executor.spawn(async move {
            loop {
                last.set(last.get() + 1);
                let id = last.get();
                take(&shards[from], (from, to), id).await;
                mail.borrow_mut().push(id);
            }
        });
        let shards = store.shards.clone();
        store.executor.spawn(async move {
            let mut arrivals = shards[from].watch_offers();
            loop {
                carry_all(&shards, from, to).await;
                arrivals.changed().await;
            }
        });
    }
    let mut picture = || {
        store.executor.run(50 + seed.below(600) as usize);
        let mail = mail.borrow().clone();
        let disk = match seed.chance(500) {
            true => disk.crash(seed.next()),
            false => disk.kill(seed.next()),
        };
        Moment { disk, mail }
    };
    (picture(), picture())
}

/// Shard `one` as it is in `first`, shard `other` as it is in `second`.
fn mixed(
    executor: &mut Executor,
    first: &SimDisk,
    one: usize,
    second: &SimDisk,
    other: usize,
) -> SimDisk {
    let copy = SimDisk::new(9);
    *executor = Executor::new(copy.clone(), 9);
    for (from, shard) in [(first, one), (second, other)] {
        let folder = format!("shard-{shard:02}/");
        for path in from
            .paths()
            .into_iter()
            .filter(|path| path.starts_with(&folder))
        {
            let (disk, name) = (copy.clone(), path.clone());
            let made = async move { disk.open(&name, Mode::Create).await.map(drop) };
            executor.finish(made).unwrap().unwrap();
            copy.edit(&path, |octets| *octets = from.contents(&path));
        }
    }
    copy
}

struct Store {
    executor: Executor,
    shards: Vec<Rc<Shard<SimDisk>>>,
}

impl Store {
    fn open(disk: &SimDisk, seed: u64) -> Store {
        let mut executor = Executor::new(disk.clone(), seed);
        let mut shards = Vec::new();
        for shard in 0..2 {
            let mut options = Options::new([7; 16], shard);
            options.segment_bytes = 8 << 20;
            let disk = disk.clone();
            let opened = executor.finish(async move {
                let directory = format!("shard-{shard:02}");
                Shard::open(disk, &directory, ShardId(shard), options, || 1_700_000_000).await
            });
            let shard = opened.unwrap().map_err(|e| e.to_string()).unwrap().0;
            let runs = Rc::clone(&shard);
            executor.spawn(async move { runs.run(|_| {}).await });
            shards.push(shard);
        }
        Store { executor, shards }
    }

    /// What the engine does at each start. Returns what each pair skipped.
    fn resume(&mut self) -> [Option<RangeInclusive<u64>>; 2] {
        PAIRS.map(|(source, target)| {
            let shards = self.shards.clone();
            let resumed = self.executor.finish(async move {
                let (from, to) = (&shards[source], &shards[target]);
                let seen = to.seen_from(source as u16);
                let resumed = from.resume_offers(target as u16, seen);
                if resumed.is_behind {
                    from.settle_offers(target as u16, seen).await.unwrap();
                }
                let skipped = to.resume_taking(source as u16, resumed.through);
                if skipped.is_some() {
                    to.log_seen(source as u16, resumed.through).await.unwrap();
                }
                skipped
            });
            resumed.expect("it ends")
        })
    }

    fn deliver(&mut self, from: usize, id: u64) {
        let shard = Rc::clone(&self.shards[from]);
        let taken = async move { take(&shard, (from, 1 - from), id).await };
        self.executor.finish(taken).expect("it is acknowledged");
    }

    fn hand_over(&mut self) {
        for (from, to) in PAIRS {
            let shards = self.shards.clone();
            let carried = async move { carry_all(&shards, from, to).await };
            self.executor.finish(carried).expect("every offer is taken");
            assert_eq!(self.shards[from].offers_waiting(), 0);
        }
    }

    /// Both accounts have each of them, and nothing twice.
    fn expect_each(&mut self, mail: &[u64]) {
        for (owner, account) in ACCOUNTS.iter().enumerate() {
            let shard = Rc::clone(&self.shards[owner]);
            let found = async move { found(&shard, account).await };
            let found = self.executor.finish(found).expect("reading ends");
            for (id, count) in &found {
                assert_eq!(*count, 1, "message {id} of {account}");
            }
            for id in mail {
                assert!(found.contains_key(id), "{account} lacks {id}");
            }
        }
    }
}

/// Takes a message for both accounts.
async fn take(shard: &Shard<SimDisk>, (own, other): (usize, usize), id: u64) {
    let mut body = shard.body();
    let octets = format!("X-Id: {id}\r\n\r\nx\r\n");
    shard
        .body_write(&mut body, octets.as_bytes())
        .await
        .unwrap();
    let custody = custody(QueueId(id), body, share(own));
    let offers = vec![(other as u16, vec![share(other)])];
    let delivered = shard.take(Custody { offers, ..custody }).await.unwrap();
    assert!(delivered.shares[0].is_ok());
}

/// Hands over whatever waits.
async fn carry_all(shards: &[Rc<Shard<SimDisk>>], from: usize, to: usize) {
    while let Some(offer) = shards[from].offers(to as u16, 0, 1).pop() {
        hand_over(&shards[from], from, &shards[to], &offer).await;
        let settled = shards[from].settle_offers(to as u16, offer.sequence);
        settled.await.unwrap();
    }
}

async fn hand_over(from: &Shard<SimDisk>, source: usize, to: &Shard<SimDisk>, offer: &Offer) {
    let message = from.offered_body(offer.message).await.unwrap();
    let octets = from.read(&message, 0, u64::MAX).await.unwrap();
    let mut body = to.body();
    to.body_write(&mut body, &octets).await.unwrap();
    let custody = custody(QueueId(0), body, offer.recipients[0].clone());
    let taken = to.take_offered(source as u16, offer.sequence, custody);
    taken.await.unwrap();
}

fn custody(queue: QueueId, body: store::shard::BodyWriter, share: Share) -> Custody {
    Custody {
        queue,
        source: Source::default(),
        received_secs: 1,
        body,
        each_alone: false,
        shares: vec![share],
        ..Custody::default()
    }
}

fn share(owner: usize) -> Share {
    Share {
        account: ACCOUNTS[owner].to_owned(),
        recipient: Address::split(ACCOUNTS[owner]).unwrap(),
        notify: Notify::UNSET,
        orcpt: None,
        prefix: Vec::new(),
    }
}

/// How often each message lies in the INBOX.
async fn found(shard: &Shard<SimDisk>, account: &str) -> BTreeMap<u64, u32> {
    let mut found = BTreeMap::new();
    let Some(account) = shard.account(account) else {
        return found;
    };
    let inbox = shard.mailbox(account.id, "INBOX").unwrap();
    let view = shard.view(account.id, inbox.id, false).unwrap();
    let mut deliveries = Vec::new();
    let every = UidSet::from_ranges([(1, u32::MAX)]);
    shard.rows(&view, &every, &mut |row| deliveries.push(row.delivery));
    for delivery in deliveries {
        let message = shard.message(delivery).await.unwrap();
        let octets = shard.read(&message, 0, u64::MAX).await.unwrap();
        let text = String::from_utf8(octets).unwrap();
        let id = text
            .strip_prefix("X-Id: ")
            .unwrap()
            .split("\r\n")
            .next()
            .unwrap();
        *found.entry(id.parse().unwrap()).or_default() += 1;
    }
    found
}
