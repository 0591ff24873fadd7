//! One shard on a simulated disk whose segments are emptied: what must stay, what is told.

mod crash;
mod damage;
mod ending;
mod hand;
mod held;
mod listing;
mod memos;
mod queue;
mod rebuild;
mod signed;
mod since;
mod story;
mod whole;

use crate::compact::{Here, Policy, Report, Stories};
use crate::disk::executor::Executor;
use crate::disk::fault::{Seed, WriteFault};
use crate::disk::sim::SimDisk;
use crate::error::ReadError;
use crate::log::Options;
use crate::mail::date::InternalDate;
use crate::mail::flags::Flags;
use crate::mail::id::{AccountId, MailboxId, ObjectId, ShardId, Uid};
use crate::mail::uidset::UidSet;
use crate::mailbox::SpecialUse;
use crate::shard::{FlagNames, Shard};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::Poll;

type Sim = Rc<Shard<SimDisk>>;

const ANNA: &str = "anna@example.test";
const DIRECTORY: &str = "shard-00";

/// Everything that can be emptied is.
const EAGER: Policy = Policy {
    keep_log_bytes: 0,
    checkpoint_log_bytes: 0,
    segments_least: 1,
    dead_percent: 10,
    dead_percent_in_all: 5,
    small_packs: 3,
    small_bytes: 256 << 20,
    // Every write that is made is needed.
    stories: Stories::NONE,
};

/// An open shard and the tasks that use it.
struct Rig {
    disk: SimDisk,
    executor: Executor,
    shard: Sim,
}

impl Rig {
    fn open(disk: SimDisk) -> Rig {
        let mut executor = Executor::new(disk.clone(), 1);
        let mut options = Options::new([7; 16], 0);
        options.segment_bytes = 8 << 20;
        options.hot_tail_bytes = 0;
        let on = disk.clone();
        let opened = executor.finish(async move {
            Shard::open(on, DIRECTORY, ShardId(0), options, || 1_700_000_000).await
        });
        let shard = opened.unwrap().map_err(|e| e.to_string()).unwrap().0;
        let runs = Rc::clone(&shard);
        executor.spawn(async move { runs.run(|_| {}).await });
        Rig {
            disk,
            executor,
            shard,
        }
    }

    /// After a power cut at this moment.
    fn crash(self) -> Rig {
        Rig::open(self.disk.crash(1))
    }

    fn run<T: 'static>(&mut self, work: impl AsyncFnOnce(Sim, Here<SimDisk>) -> T + 'static) -> T {
        let (shard, here) = (Rc::clone(&self.shard), Here(self.disk.clone()));
        let work = async move { work(shard, here).await };
        self.executor.finish(work).expect("work ends")
    }

    /// The next write of the log goes to a segment of its own.
    fn roll(&mut self) {
        let next = self.disk.writes() + 1;
        self.disk
            .faults(|faults| faults.failing_writes = vec![(next, WriteFault::Io)]);
        self.run(async move |shard, _| {
            let (account, _) = inbox(&shard).await;
            let name = next.to_string();
            shard.subscribe(account, &name, true).await.unwrap();
        });
        self.disk.faults(|faults| faults.failing_writes.clear());
    }

    /// Appends messages of these sizes to INBOX.
    fn fill(&mut self, octets: &'static [usize]) {
        self.run(async move |shard, _| {
            for octets in octets {
                append(&shard, *octets).await;
            }
        });
    }

    fn keep_house(&mut self) -> Report {
        let report = self.run(async |shard, here| shard.keep_house(&here, &EAGER).await);
        report.unwrap()
    }

    /// Every message of INBOX that can be read, by UID, and those that cannot.
    fn read_all(&mut self) -> (BTreeMap<u32, Vec<u8>>, BTreeMap<u32, ReadError>) {
        self.run(async |shard, _| {
            let (account, mailbox) = inbox(&shard).await;
            let (mut read, mut lost) = (BTreeMap::new(), BTreeMap::new());
            for (uid, delivery) in rows(&shard, account, mailbox) {
                match contents(&shard, delivery).await {
                    Ok(octets) => drop(read.insert(uid, octets)),
                    Err(error) => drop(lost.insert(uid, error)),
                }
            }
            (read, lost)
        })
    }

    /// What INBOX must have after `fill`, by UID: nothing of it may be lost.
    fn assert_whole(&mut self, octets: &[usize]) {
        let (read, lost) = self.read_all();
        assert_eq!(lost, BTreeMap::new());
        let expected: Vec<Vec<u8>> = octets.iter().map(|octets| text(*octets)).collect();
        assert!(read.into_values().eq(expected));
    }
}

async fn inbox(shard: &Sim) -> (AccountId, MailboxId) {
    let account = shard.open_account(ANNA).await.unwrap();
    (account, shard.mailbox(account, "INBOX").unwrap().id)
}

async fn append(shard: &Sim, octets: usize) -> Uid {
    let (account, mailbox) = inbox(shard).await;
    let mut body = shard.body();
    shard.body_write(&mut body, &text(octets)).await.unwrap();
    let names = FlagNames {
        flags: Flags::NONE,
        keywords: vec![],
    };
    let date = InternalDate::utc(5);
    let appended = shard.append(account, mailbox, body, &names, date).await;
    appended.unwrap().uid
}

async fn other_mailbox(shard: &Sim, account: AccountId) -> MailboxId {
    if shard.mailbox(account, "Other").is_none() {
        let made = shard.create_mailbox(account, "Other", SpecialUse::NONE);
        made.await.unwrap();
    }
    shard.mailbox(account, "Other").unwrap().id
}

fn rows(shard: &Sim, account: AccountId, mailbox: MailboxId) -> Vec<(u32, ObjectId)> {
    let view = shard.view(account, mailbox, false).unwrap();
    let every = UidSet::from_ranges([(1, u32::MAX)]);
    let mut rows = Vec::new();
    shard.rows(&view, &every, &mut |row| {
        rows.push((row.uid.0, row.delivery));
    });
    rows
}

async fn contents(shard: &Sim, delivery: ObjectId) -> Result<Vec<u8>, ReadError> {
    let message = shard.message(delivery).await?;
    shard.read(&message, 0, u64::MAX).await
}

/// Both, one after the other in each turn.
async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (Box::pin(a), Box::pin(b));
    let (mut one, mut other) = (None, None);
    std::future::poll_fn(|context| {
        if one.is_none()
            && let Poll::Ready(done) = a.as_mut().poll(context)
        {
            one = Some(done);
        }
        if other.is_none()
            && let Poll::Ready(done) = b.as_mut().poll(context)
        {
            other = Some(done);
        }
        match one.is_some() && other.is_some() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    (one.unwrap(), other.unwrap())
}

/// So many octets that only this length has.
fn text(octets: usize) -> Vec<u8> {
    let mut seed = Seed::new(octets as u64);
    let pattern: Vec<u8> = (0..65).flat_map(|_| seed.next().to_le_bytes()).collect();
    let mut text = pattern.repeat(octets / pattern.len() + 1);
    text.truncate(octets);
    text
}
