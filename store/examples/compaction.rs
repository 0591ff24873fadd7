//! How fast the log is emptied, and how small it becomes:
//! `cargo run --release -p store --example compaction -- DIRECTORY [MESSAGES]`.
//!
//! Mail of 4 to 12 KiB for a hundred accounts, half of it expunged later: text of made-up words
//! with common headers, one message in eight with an attachment in base64.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fmt;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use store::compact::{Here, Policy, Report};
use store::disk::blocking::{BlockingDisk, run};
use store::disk::fault::Seed;
use store::log::Options;
use store::mail::date::InternalDate;
use store::mail::flags::Flags;
use store::mail::id::ShardId;
use store::mail::uidset::UidSet;
use store::shard::{FlagNames, FlagOp, Shard, StoreFlags};

type Disk = BlockingDisk;

const ACCOUNTS: u64 = 100;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().expect("a directory that can be filled");
    let messages = arguments.next().map_or(100_000, |n| n.parse().unwrap());
    std::fs::create_dir_all(&directory).unwrap();
    let disk = BlockingDisk::new(&directory);
    let options = Options::new([7; 16], 0);
    let opened = Shard::open(disk.clone(), "shard-00", ShardId(0), options, || 0);
    let (shard, _) = run(opened).map_err(|error| error.to_string()).unwrap();
    let mut log = pin!(shard.run(|_| {}));
    let mut work = pin!(async {
        measure(&shard, &disk, messages).await;
        shard.close();
    });
    // The log and who uses it take turns; the disk never lets anybody wait.
    let mut context = Context::from_waker(Waker::noop());
    let mut is_done = false;
    loop {
        is_done = is_done || work.as_mut().poll(&mut context).is_ready();
        if log.as_mut().poll(&mut context).is_ready() && is_done {
            return;
        }
    }
}

async fn measure(shard: &Rc<Shard<Disk>>, disk: &Disk, messages: u64) {
    let here = Here(disk.clone().around_cache());
    let fill = Clock::start();
    let octets = fill_in(shard, messages).await;
    println!(
        "filled: {messages} messages, {} MB; {fill}",
        octets / 1_000_000
    );
    let checkpoint = Clock::start();
    shard.checkpoint(&here).await.unwrap();
    println!("checkpoint: {checkpoint}");
    let emptying = Clock::start();
    let mut emptied = Report::default();
    loop {
        let report = shard.empty(&here, u32::MAX).await.unwrap();
        if report.is_empty() {
            break;
        }
        emptied.add(report);
    }
    tell("emptied", &emptied, &emptying);
    shard.sweep(&here).await.unwrap();
    expunge_half(shard).await;
    shard.checkpoint(&here).await.unwrap();
    let repacking = Clock::start();
    let report = shard.repack(&here, &Policy::default()).await.unwrap();
    tell("packs written anew", &report, &repacking);
    shard.sweep(&here).await.unwrap();
}

fn tell(what: &str, report: &Report, clock: &Clock) {
    let moved = report.moved_bytes as f64;
    let spent = clock.spent();
    println!(
        "{what}: {:.0} MB of survivors; {clock}; {:.0} MB a CPU second, {:.0} MB/s by the clock",
        moved / 1e6,
        moved / 1e6 / (spent.user_secs + spent.system_secs),
        moved / 1e6 / spent.wall_secs,
    );
    println!(
        "    {} segments, {} packs; files {} MB before, {} MB after, {:.3} of the raw; dead {} of \
         {} MB",
        report.segments_emptied,
        report.packs_emptied,
        report.bytes_before / 1_000_000,
        report.bytes_after / 1_000_000,
        report.bytes_after as f64 / moved,
        report.dead_bytes / 1_000_000,
        report.packed_bytes / 1_000_000,
    );
}

/// Time by the clock, and what this thread has had of the processor: others may be busy, too.
struct Clock {
    began_secs: f64,
    user_ticks: u64,
    system_ticks: u64,
}

struct Spent {
    wall_secs: f64,
    user_secs: f64,
    system_secs: f64,
}

impl Clock {
    fn start() -> Clock {
        let [user_ticks, system_ticks] = thread_ticks();
        Clock {
            began_secs: wall_secs(),
            user_ticks,
            system_ticks,
        }
    }

    fn spent(&self) -> Spent {
        let [user, system] = thread_ticks();
        Spent {
            wall_secs: wall_secs() - self.began_secs,
            user_secs: (user - self.user_ticks) as f64 / TICKS_A_SEC,
            system_secs: (system - self.system_ticks) as f64 / TICKS_A_SEC,
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spent {
            wall_secs,
            user_secs,
            system_secs,
        } = self.spent();
        write!(
            f,
            "{wall_secs:.2} s, of CPU {user_secs:.2} s + {system_secs:.2} s in the kernel"
        )
    }
}

/// Since the machine began.
fn wall_secs() -> f64 {
    let told = std::fs::read_to_string("/proc/uptime").unwrap();
    told.split(' ').next().unwrap().parse().unwrap()
}

/// Fields 14 and 15 of proc(5) `stat`; the name before them may have spaces, and ends in `)`.
fn thread_ticks() -> [u64; 2] {
    let told = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, behind) = told.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = behind.split(' ').collect();
    [11, 12].map(|at| fields[at].parse().unwrap())
}

/// Linux shows a hundred to programs, whatever it has itself.
const TICKS_A_SEC: f64 = 100.0;

/// Returns the octets of all bodies. Letters come in bundles, so that they share commits.
async fn fill_in(shard: &Rc<Shard<Disk>>, messages: u64) -> u64 {
    let mut seed = Seed::new(1);
    let mut octets = 0;
    let mut number = 0;
    while number < messages {
        let mut bundle: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        for _ in 0..BUNDLE.min(messages - number) {
            let address = format!("user{}@example.test", seed.below(ACCOUNTS));
            let letter = letter(&mut seed, number);
            octets += letter.len() as u64;
            bundle.push(Box::pin(append(Rc::clone(shard), address, letter, number)));
            number += 1;
        }
        all(bundle).await;
    }
    octets
}

async fn append(shard: Rc<Shard<Disk>>, address: String, letter: Vec<u8>, number: u64) {
    let account = shard.open_account(&address).await.unwrap();
    let inbox = shard.mailbox(account, "INBOX").unwrap().id;
    let body = store::shard::BodyWriter::with(letter);
    let date = InternalDate::utc(number as i64);
    let names = FlagNames::default();
    let appended = shard.append(account, inbox, body, &names, date).await;
    appended.unwrap();
}

/// Ends when all of them have.
async fn all(mut left: Vec<Pin<Box<dyn Future<Output = ()>>>>) {
    std::future::poll_fn(|context| {
        left.retain_mut(|one| one.as_mut().poll(context).is_pending());
        match left.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

const BUNDLE: u64 = 64;

async fn expunge_half(shard: &Rc<Shard<Disk>>) {
    let deleted = FlagNames {
        flags: Flags::DELETED,
        ..FlagNames::default()
    };
    for user in 0..ACCOUNTS {
        let account = shard.account(&format!("user{user}@example.test"));
        let Some(account) = account.map(|account| account.id) else {
            continue;
        };
        let inbox = shard.mailbox(account, "INBOX").unwrap().id;
        let count = shard.status(account, inbox).unwrap().uid_next.0;
        let odd = (1..count).step_by(2).map(store::mail::id::Uid);
        let store = StoreFlags {
            uids: &UidSet::from_ascending(odd),
            op: FlagOp::Add,
            names: &deleted,
            unchanged_since: None,
        };
        shard.store_flags(account, inbox, store).await.unwrap();
        let every = UidSet::from_ranges([(1, u32::MAX)]);
        shard.expunge(account, inbox, &every).await.unwrap();
    }
}

fn letter(seed: &mut Seed, number: u64) -> Vec<u8> {
    let length = 4096 + seed.below(8192) as usize;
    let (sender, id) = (word(seed), seed.next());
    let mut text = format!(
        "Received: from mail.{sender}.example (mail.{sender}.example [192.0.2.{}])\r\n\
         \tby mx.example.test with ESMTPS id {id:016x}\r\n\
         From: {sender} <{sender}@{sender}.example>\r\nTo: <user@example.test>\r\n\
         Message-ID: <{id:016x}.{number}@{sender}.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nSubject: {} {}\r\n\r\n",
        seed.below(256),
        word(seed),
        word(seed),
    );
    let is_attachment = seed.below(8) == 0;
    while text.len() < length {
        if is_attachment && text.len() > 2048 {
            (0..76).for_each(|_| text.push(BASE64[seed.below(64) as usize] as char));
        } else {
            (0..8 + seed.below(5)).for_each(|_| {
                text.push_str(&word(seed));
                text.push(' ');
            });
        }
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// One of 4,096 words; the first ones come more often.
fn word(seed: &mut Seed) -> String {
    let rank = seed.below(4096) * seed.below(4096) / 4096;
    let mut dice = Seed::new(rank);
    let letters = 2 + dice.below(8);
    (0..letters)
        .map(|_| b"etaoinshrdlucmfwypvbgk"[(dice.below(22) * dice.below(22) / 22) as usize] as char)
        .collect()
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
