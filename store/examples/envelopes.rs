//! What it costs to list a large mailbox that lies in packs, from what they list and from the
//! messages: `cargo run --release -p store --example envelopes -- DIRECTORY [MESSAGES]`.
//!
//! One mailbox of mail of 4 to 16 KiB with the headers of today: three Received, a signature,
//! a thread. Both ways read what ENVELOPE and SEARCH look at, for each message in order: the fields
//! that packs list, or message and body up to the end of the header. Files are in the page cache.

mod bed;
mod clock;
mod turns;

use bed::{Disk, Done, STORE, base64, line_of_words, word};
use clock::Clock;
use std::rc::Rc;
use store::compact::Here;
use store::disk::fault::Seed;
use store::limit::CHUNK_BYTES;
use store::mail::id::{AccountId, MailboxId, ObjectId, ShardId};
use store::mail::uidset::UidSet;
use store::pack::PackHead;
use store::pack::listing::{ListingFile, of_header};
use store::shard::Shard;

const ADDRESS: &str = "user@example.test";

fn main() -> Done {
    bed::with_shard(measure)
}

async fn measure(shard: &Rc<Shard<Disk>>, disk: &Disk, messages: u64) -> Done {
    let mut seed = Seed::new(1);
    let make = |number| (ADDRESS.to_owned(), letter(&mut seed, number));
    bed::fill(shard, messages, make).await?;
    let account = shard.open_account(ADDRESS).await?;
    let inbox = shard.mailbox(account, "INBOX");
    let inbox = inbox.expect("every account has one").id;
    let here = Here(disk.clone());
    shard.checkpoint(&here).await?;
    while !shard
        .empty(&here, u32::MAX, store::compact::Stories::ALL)
        .await?
        .is_empty()
    {}
    shard.sweep(&here).await?;
    let packed = packed(shard, account, inbox).await;
    println!("{} of {messages} messages are in packs", packed.len());
    tell_bytes(shard, disk, packed.len()).await?;
    for _ in 0..3 {
        let clock = Clock::start();
        let octets = listed(shard, &packed).await?;
        let listing = clock.spent().cpu_secs;
        let clock = Clock::start();
        let same = read(shard, &packed).await?;
        let reading = clock.spent().cpu_secs;
        assert_eq!(octets, same, "both ways show the same octets");
        println!(
            "listed {listing:.2} CPU seconds, read {reading:.2}: {:.1} times",
            reading / listing.max(0.01)
        );
    }
    Ok(())
}

/// Deliveries of which something is listed, in the order of the mailbox.
async fn packed(shard: &Shard<Disk>, account: AccountId, inbox: MailboxId) -> Vec<ObjectId> {
    let view = shard.view(account, inbox, false);
    let view = view.expect("the mailbox is there");
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
async fn listed(shard: &Shard<Disk>, packed: &[ObjectId]) -> Done<usize> {
    let mut octets = 0;
    for delivery in packed {
        let listing = shard.listing(*delivery).await;
        octets += listing.ok_or("it was listed before")?.len();
    }
    Ok(octets)
}

/// The same, as a session reads a header.
async fn read(shard: &Shard<Disk>, packed: &[ObjectId]) -> Done<usize> {
    let mut octets = 0;
    for delivery in packed {
        let message = shard.message(*delivery).await?;
        let piece = shard.read(&message, 0, CHUNK_BYTES as u64).await?;
        octets += of_header(&piece).ok_or("a message has a header")?.len();
    }
    Ok(octets)
}

async fn tell_bytes(shard: &Shard<Disk>, disk: &Disk, messages: usize) -> Done {
    let (mut packs, mut listings) = (0, 0);
    for pack in shard.manifest().packs {
        let head = PackHead {
            store: STORE,
            shard: ShardId(0),
            number: pack.number,
        };
        let path = format!("shard-00/packs/{}", store::pack::name(pack.number));
        let listing = ListingFile::open(disk, &path, head).await?;
        packs += pack.bytes;
        listings += listing.map_or(0, |listing| listing.bytes());
    }
    println!(
        "on disk {:.0} bytes a message in packs, {:.1} of them what is listed ({:.2} %)",
        packs as f64 / messages as f64,
        listings as f64 / messages as f64,
        listings as f64 * 100.0 / packs as f64
    );
    Ok(())
}

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
    base64(seed, 344, &mut text);
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
        line_of_words(seed, &mut text);
    }
    text.into_bytes()
}
