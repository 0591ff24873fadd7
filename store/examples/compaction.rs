//! How fast the log is emptied, and how small it becomes:
//! `cargo run --release -p store --example compaction -- DIRECTORY [MESSAGES]`.
//!
//! Mail of 4 to 12 KiB for a hundred accounts, half of it expunged later: text of made-up words
//! with common headers, one message in eight with an attachment in base64.

mod bed;
mod clock;
mod turns;

use bed::{Disk, Done, base64, line_of_words, word};
use clock::Clock;
use std::rc::Rc;
use store::compact::{Here, Policy, Report};
use store::disk::fault::Seed;
use store::mail::flags::Flags;
use store::mail::uidset::UidSet;
use store::shard::{FlagNames, FlagOp, Shard, StoreFlags};

const ACCOUNTS: u64 = 100;

fn main() -> Done {
    bed::with_shard(measure)
}

async fn measure(shard: &Rc<Shard<Disk>>, disk: &Disk, messages: u64) -> Done {
    let here = Here(disk.clone().around_cache());
    let fill = Clock::start();
    let mut seed = Seed::new(1);
    let octets = bed::fill(shard, messages, |number| {
        let address = address(seed.below(ACCOUNTS));
        (address, letter(&mut seed, number))
    });
    println!(
        "filled: {messages} messages, {} MB; {}",
        octets.await? / 1_000_000,
        fill.spent()
    );
    let checkpoint = Clock::start();
    shard.checkpoint(&here).await?;
    println!("checkpoint: {}", checkpoint.spent());
    let emptying = Clock::start();
    let mut emptied = Report::default();
    loop {
        let report = shard
            .empty(&here, u32::MAX, store::compact::Stories::ALL)
            .await?;
        if report.is_empty() {
            break;
        }
        emptied.add(report);
    }
    tell("emptied", &emptied, &emptying);
    shard.sweep(&here).await?;
    expunge_half(shard).await?;
    shard.checkpoint(&here).await?;
    let repacking = Clock::start();
    let report = shard.repack(&here, &Policy::default()).await?;
    tell("packs written anew", &report, &repacking);
    shard.sweep(&here).await?;
    Ok(())
}

fn tell(what: &str, report: &Report, clock: &Clock) {
    let moved = report.moved_bytes as f64;
    let spent = clock.spent();
    println!(
        "{what}: {:.0} MB of survivors; {spent}; {:.0} MB a CPU second, {:.0} MB/s by the clock",
        moved / 1e6,
        moved / 1e6 / spent.cpu_secs,
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

async fn expunge_half(shard: &Rc<Shard<Disk>>) -> Done {
    let deleted = FlagNames {
        flags: Flags::DELETED,
        ..FlagNames::default()
    };
    for user in 0..ACCOUNTS {
        let account = shard.account(&address(user));
        let Some(account) = account.map(|account| account.id) else {
            continue;
        };
        let inbox = shard.mailbox(account, "INBOX");
        let inbox = inbox.expect("every account has one").id;
        let status = shard.status(account, inbox);
        let count = status.expect("the mailbox is there").uid_next.0;
        let odd = (1..count).step_by(2).map(store::mail::id::Uid);
        let store = StoreFlags {
            uids: &UidSet::from_ascending(odd),
            op: FlagOp::Add,
            names: &deleted,
            unchanged_since: None,
        };
        shard.store_flags(account, inbox, store).await?;
        let every = UidSet::from_ranges([(1, u32::MAX)]);
        shard.expunge(account, inbox, &every).await?;
    }
    Ok(())
}

fn address(user: u64) -> String {
    format!("user{user}@example.test")
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
            base64(seed, 76, &mut text);
            text.push_str("\r\n");
        } else {
            line_of_words(seed, &mut text);
        }
    }
    text.into_bytes()
}
