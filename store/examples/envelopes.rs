//! What it costs to list a large mailbox that lies in packs, from what they list and from the
//! messages: `cargo run --release -p store --example envelopes -- DIRECTORY [MESSAGES]`.
//!
//! One mailbox of mail of 4 to 16 KiB with the headers of today: three Received, a signature,
//! a thread. Both ways read what ENVELOPE and SEARCH look at, for each message in order: the fields
//! that packs list, or message and body up to the end of the header. Files are in the page cache.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use store::compact::Here;
use store::disk::blocking::{BlockingDisk, run};
use store::disk::fault::Seed;
use store::limit::CHUNK_BYTES;
use store::log::Options;
use store::mail::date::InternalDate;
use store::mail::id::{AccountId, MailboxId, ObjectId, ShardId};
use store::mail::uidset::UidSet;
use store::pack::PackHead;
use store::pack::listing::{ListingFile, of_header};
use store::shard::{BodyWriter, FlagNames, Shard};

type Disk = BlockingDisk;

const STORE: [u8; 16] = [7; 16];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().expect("a directory that can be filled");
    let messages = arguments.next().map_or(100_000, |n| n.parse().unwrap());
    std::fs::create_dir_all(&directory).unwrap();
    let disk = BlockingDisk::new(&directory);
    let options = Options::new(STORE, 0);
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
    let account = shard.open_account("user@example.test").await.unwrap();
    let inbox = shard.mailbox(account, "INBOX").unwrap().id;
    fill(shard, account, inbox, messages).await;
    let here = Here(disk.clone());
    shard.checkpoint(&here).await.unwrap();
    while !shard.empty(&here, u32::MAX).await.unwrap().is_empty() {}
    shard.sweep(&here).await.unwrap();
    let packed = packed(shard, account, inbox).await;
    println!("{} of {messages} messages are in packs", packed.len());
    tell_bytes(shard, disk, packed.len()).await;
    for _ in 0..3 {
        let listed = clock(async { listed(shard, &packed).await }).await;
        let read = clock(async { read(shard, &packed).await }).await;
        assert_eq!(listed.1, read.1, "both ways show the same octets");
        println!(
            "listed {:.2} CPU seconds, read {:.2}: {:.1} times",
            listed.0,
            read.0,
            read.0 / listed.0.max(0.01)
        );
    }
}

/// Deliveries of which something is listed, in the order of the mailbox.
async fn packed(shard: &Shard<Disk>, account: AccountId, inbox: MailboxId) -> Vec<ObjectId> {
    let view = shard.view(account, inbox, false).unwrap();
    let mut all = Vec::new();
    let every = UidSet::from_ranges([(1, u32::MAX)]);
    shard.rows(&view, &every, &mut |row| all.push(row.delivery));
    let mut packed = Vec::new();
    for delivery in all {
        packed.extend(shard.listing(delivery).await.map(|_| delivery));
    }
    packed
}

/// Octets of the fields of all messages.
async fn listed(shard: &Shard<Disk>, packed: &[ObjectId]) -> usize {
    let mut octets = 0;
    for delivery in packed {
        octets += shard.listing(*delivery).await.unwrap().len();
    }
    octets
}

/// The same, as a session reads a header.
async fn read(shard: &Shard<Disk>, packed: &[ObjectId]) -> usize {
    let mut octets = 0;
    for delivery in packed {
        let message = shard.message(*delivery).await.unwrap();
        let piece = shard.read(&message, 0, CHUNK_BYTES as u64).await.unwrap();
        octets += of_header(&piece).unwrap().len();
    }
    octets
}

async fn tell_bytes(shard: &Shard<Disk>, disk: &Disk, messages: usize) {
    let (mut packs, mut listings) = (0, 0);
    for pack in shard.manifest().packs {
        let head = PackHead {
            store: STORE,
            shard: ShardId(0),
            number: pack.number,
        };
        let path = format!("shard-00/packs/{}", store::pack::name(pack.number));
        let listing = ListingFile::open(disk, &path, head).await.unwrap();
        packs += pack.bytes;
        listings += listing.map_or(0, |listing| listing.bytes());
    }
    println!(
        "on disk {:.0} bytes a message in packs, {:.1} of them what is listed ({:.2} %)",
        packs as f64 / messages as f64,
        listings as f64 / messages as f64,
        listings as f64 * 100.0 / packs as f64
    );
}

/// What something gives, and what this thread has had of the processor meanwhile.
async fn clock<T>(work: impl Future<Output = T>) -> (f64, T) {
    let before = thread_ticks();
    let done = work.await;
    ((thread_ticks() - before) as f64 / TICKS_A_SEC, done)
}

/// Fields 14 and 15 of proc(5) `stat`; the name before them may have spaces, and ends in `)`.
fn thread_ticks() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, behind) = told.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = behind.split(' ').collect();
    [11, 12]
        .iter()
        .map(|at| fields[*at].parse::<u64>().unwrap())
        .sum()
}

/// Linux shows a hundred to programs, whatever it has itself.
const TICKS_A_SEC: f64 = 100.0;

/// Letters come in bundles, so that they share commits.
async fn fill(shard: &Rc<Shard<Disk>>, account: AccountId, inbox: MailboxId, messages: u64) {
    let mut seed = Seed::new(1);
    let mut number = 0;
    while number < messages {
        let mut bundle: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        for _ in 0..BUNDLE.min(messages - number) {
            let (shard, body) = (Rc::clone(shard), letter(&mut seed, number));
            bundle.push(Box::pin(async move {
                let (body, names) = (BodyWriter::with(body), FlagNames::default());
                let date = InternalDate::utc(number as i64);
                let appended = shard.append(account, inbox, body, &names, date);
                appended.await.unwrap();
            }));
            number += 1;
        }
        all(bundle).await;
    }
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

fn letter(seed: &mut Seed, number: u64) -> Vec<u8> {
    let length = 4096 + seed.below(12_288) as usize;
    let (sender, site, id) = (word(seed), word(seed), seed.next());
    let mut text = String::new();
    for hop in 0..3 {
        text.push_str(&format!(
            "Received: from mx{hop}.{site}.example (mx{hop}.{site}.example [192.0.2.{}])\r\n\tby \
             mx.example.test with ESMTPS id {:016x}\r\n\tfor <user@example.test>; Sun, 22 Nov 2026 \
             10:45:28 +0000\r\n",
            seed.below(256),
            seed.next()
        ));
    }
    text.push_str(&format!(
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={site}.example; s=mail;\r\n\tb="
    ));
    (0..344).for_each(|_| text.push(BASE64[seed.below(64) as usize] as char));
    text.push_str(&format!(
        "\r\nDate: Sun, 22 Nov 2026 {:02}:{:02}:{:02} +0000\r\nFrom: {sender} \
         <{sender}@{site}.example>\r\nTo: User <user@example.test>\r\nMessage-ID: \
         <{id:016x}.{number}@{site}.example>\r\nIn-Reply-To: <{:016x}@example.test>\r\nReferences: \
         <{:016x}@example.test>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; \
         boundary=\"{:016x}\"\r\nSubject: {} {} {}\r\nX-Mailer: {}\r\n\r\n",
        seed.below(24),
        seed.below(60),
        seed.below(60),
        seed.next(),
        seed.next(),
        seed.next(),
        word(seed),
        word(seed),
        word(seed),
        word(seed),
    ));
    while text.len() < length {
        (0..8 + seed.below(5)).for_each(|_| {
            text.push_str(&word(seed));
            text.push(' ');
        });
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
