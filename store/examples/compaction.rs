//! How fast the log is emptied, and how small it becomes:
//! `cargo run --release -p store --example compaction -- DIRECTORY [MESSAGES]`.
//!
//! Mail of 4 to 12 KiB for a hundred accounts, half of it expunged later: text of made-up words
//! with common headers, one message in eight with an attachment in base64.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
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
    let here = Here(disk.clone());
    let octets = fill(shard, messages).await;
    println!("filled: {messages} messages, {} MB", octets >> 20);
    shard.checkpoint(&here).await.unwrap();
    let began = cpu_secs();
    let mut emptied = Report::default();
    loop {
        let report = shard.empty(&here, u32::MAX).await.unwrap();
        if report.is_empty() {
            break;
        }
        emptied.add(report);
    }
    tell("emptied", &emptied, began);
    shard.sweep(&here).await.unwrap();
    expunge_half(shard).await;
    shard.checkpoint(&here).await.unwrap();
    let began = cpu_secs();
    let report = shard.repack(&here, &Policy::default()).await.unwrap();
    tell("packs written anew", &report, began);
    shard.sweep(&here).await.unwrap();
}

fn tell(what: &str, report: &Report, began: f64) {
    let secs = cpu_secs() - began;
    let moved = report.moved_bytes as f64;
    println!(
        "{what}: {:.0} MB of survivors in {secs:.2} s of one core, {:.0} MB/s; {} segments, {} packs, files \
         {} MB before, {} MB after, {:.3} of the raw; dead {} of {} MB",
        moved / 1e6,
        moved / 1e6 / secs,
        report.segments_emptied,
        report.packs_emptied,
        report.bytes_before / 1_000_000,
        report.bytes_after / 1_000_000,
        report.bytes_after as f64 / moved,
        report.dead_bytes / 1_000_000,
        report.packed_bytes / 1_000_000,
    );
}

/// What this thread has had of the processor: others may be busy, too.
fn cpu_secs() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos: f64 = told.split(' ').next().unwrap().parse().unwrap();
    nanos / 1e9
}

/// Returns the octets of all bodies.
async fn fill(shard: &Rc<Shard<Disk>>, messages: u64) -> u64 {
    let mut seed = Seed::new(1);
    let mut octets = 0;
    let names = FlagNames::default();
    for number in 0..messages {
        let address = format!("user{}@example.test", seed.below(ACCOUNTS));
        let account = shard.open_account(&address).await.unwrap();
        let inbox = shard.mailbox(account, "INBOX").unwrap().id;
        let letter = letter(&mut seed, number);
        octets += letter.len() as u64;
        let body = store::shard::BodyWriter::with(letter);
        let date = InternalDate::utc(number as i64);
        let appended = shard.append(account, inbox, body, &names, date).await;
        appended.unwrap();
    }
    octets
}

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
