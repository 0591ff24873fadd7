//! What packs list of a message is what its header says, whatever became of the message since.

use super::{EAGER, Rig, Sim, contents, inbox, other_mailbox, rows};
use crate::disk::fault::Seed;
use crate::disk::sim::SimDisk;
use crate::mail::address::Address;
use crate::mail::date::InternalDate;
use crate::mail::flags::Flags;
use crate::mail::id::{QueueId, Uid};
use crate::mail::uidset::UidSet;
use crate::pack::listing::of_header;
use crate::record::{FlagOp, Share, Source};
use crate::shard::{BodyWriter, Custody, FlagNames, StoreFlags, Transfer};
use std::collections::BTreeMap;

/// By UID what is listed and what the message says.
type Lists = BTreeMap<u32, (Option<Vec<u8>>, Vec<u8>)>;

fn lists(rig: &mut Rig) -> Lists {
    rig.run(async |shard, _| {
        let (account, mailbox) = inbox(&shard).await;
        let mut all = Lists::new();
        for (uid, delivery) in rows(&shard, account, mailbox) {
            let listed = shard.listing(delivery).await;
            all.insert(uid, (listed, contents(&shard, delivery).await.unwrap()));
        }
        all
    })
}

/// Whoever is listed is listed as what the message says; how many are.
fn truly_listed(rig: &mut Rig) -> usize {
    let all = lists(rig);
    for (uid, (listed, message)) in &all {
        let said = of_header(message);
        assert!(listed.is_none() || *listed == said, "UID {uid}");
    }
    all.values().filter(|(listed, _)| listed.is_some()).count()
}

/// Messages whose headers are well formed, and every third one that is not.
fn messages(count: u64) -> Vec<Vec<u8>> {
    let mut seed = Seed::new(count);
    let mut all = Vec::new();
    for number in 0..count {
        let broken = ["", "", "no name\r\n"];
        let broken = broken[number as usize % broken.len()];
        let mut message = format!(
            "Received: from a\r\n\tby b\r\nSubject: {number}\r\n folded\r\n{broken}X-Own: \
             {}\r\nTO: one@example.test\r\nto: two@example.test\r\n\r\nTo: not this\r\n",
            seed.next()
        )
        .into_bytes();
        let octets = [500, 9_000, 140_000, 300_000][seed.below(4) as usize];
        message.resize_with(message.len() + octets, || seed.next() as u8);
        all.push(message);
    }
    all
}

async fn append_all(shard: &Sim, messages: Vec<Vec<u8>>) {
    let (account, mailbox) = inbox(shard).await;
    for message in messages {
        let mut body = shard.body();
        shard.body_write(&mut body, &message).await.unwrap();
        let (names, date) = (FlagNames::default(), InternalDate::utc(5));
        let appended = shard.append(account, mailbox, body, &names, date).await;
        appended.unwrap();
    }
}

#[test]
fn lists_say_what_messages_say() {
    let mut rig = Rig::open(SimDisk::new(1));
    rig.run(async |shard, _| append_all(&shard, messages(60)).await);
    assert_eq!(truly_listed(&mut rig), 0, "the log lists nothing");
    rig.roll();
    rig.keep_house();
    assert_eq!(truly_listed(&mut rig), 40);
    let mut rig = rig.crash();
    assert_eq!(truly_listed(&mut rig), 40);
    // Half of them go, and the rest is packed anew.
    rig.run(async |shard, _| {
        let (account, mailbox) = inbox(&shard).await;
        let odd = UidSet::from_ascending((1..=60).step_by(2).map(Uid));
        let names = FlagNames {
            flags: Flags::DELETED,
            ..FlagNames::default()
        };
        let deleted = StoreFlags {
            uids: &odd,
            op: FlagOp::Add,
            names: &names,
            unchanged_since: None,
        };
        let stored = shard.store_flags(account, mailbox, deleted).await;
        stored.unwrap();
        shard.expunge(account, mailbox, &odd).await.unwrap();
    });
    let repacked = rig.run(async |shard, here| {
        shard.checkpoint(&here).await.unwrap();
        shard.repack(&here, &EAGER).await.unwrap()
    });
    assert!(repacked.packs_emptied > 0);
    assert_eq!(lists(&mut rig).len(), 30);
    assert_eq!(truly_listed(&mut rig), 20);
}

/// Each recipient has a prefix of its own before the same body, in packs of its own account, and a
/// copy is listed as what it is a copy of.
#[test]
fn every_share_and_copy_is_listed_with_its_own_prefix() {
    let mut rig = Rig::open(SimDisk::new(2));
    rig.run(async |shard, _| {
        for number in 0..20 {
            let shares = [super::ANNA, "bert@example.test"].map(|address| Share {
                account: address.into(),
                recipient: Address::split(address).unwrap(),
                notify: Default::default(),
                orcpt: None,
                prefix: format!("Return-Path: <>\r\nTo: prefix of {address}\r\n").into_bytes(),
            });
            let body = format!("Subject: {number}\r\nTo: body\r\n\r\n");
            let custody = Custody {
                queue: QueueId(number),
                source: Source::default(),
                received_secs: 5,
                body: BodyWriter::with(body.into_bytes()),
                each_alone: false,
                shares: shares.into(),
                ..Custody::default()
            };
            shard.take(custody).await.unwrap();
        }
        let (account, source) = inbox(&shard).await;
        let target = other_mailbox(&shard, account).await;
        let uids = &UidSet::from_ranges([(1, 5)]);
        let transfer = Transfer {
            source,
            uids,
            target,
            and_expunge: false,
        };
        shard.copy(account, transfer).await.unwrap();
    });
    rig.roll();
    rig.keep_house();
    assert_eq!(truly_listed(&mut rig), 20);
    let listed = rig.run(async |shard, _| {
        let bert = shard.account("bert@example.test").unwrap().id;
        let theirs = shard.mailbox(bert, "INBOX").unwrap().id;
        let (anna, _) = inbox(&shard).await;
        let copies = other_mailbox(&shard, anna).await;
        let mut all = Vec::new();
        for (account, mailbox) in [(bert, theirs), (anna, copies)] {
            let (_, delivery) = rows(&shard, account, mailbox)[3];
            all.push(String::from_utf8(shard.listing(delivery).await.unwrap()).unwrap());
        }
        all
    });
    let of = |address| format!("To: prefix of {address}\r\nSubject: 3\r\nTo: body\r\n");
    assert_eq!(listed, [of("bert@example.test"), of(super::ANNA)]);
}

/// A store of the first build: its packs have no listings, and get them when they are packed anew.
#[test]
fn packs_without_listings_are_read_and_get_them_when_packed_anew() {
    let mut rig = Rig::open(SimDisk::new(3));
    rig.run(async |shard, _| append_all(&shard, messages(9)).await);
    rig.roll();
    rig.keep_house();
    let packs: Vec<String> = packs(&rig.disk);
    assert!(!packs.is_empty());
    for path in &packs {
        rig.disk.edit(path, |bytes| {
            bytes[104..146].fill(0);
            let crc = crate::codec::checksum::plain(&bytes[..4092]).to_le_bytes();
            bytes[4092..4096].copy_from_slice(&crc);
        });
    }
    let mut rig = rig.crash();
    assert_eq!(truly_listed(&mut rig), 0);
    // Small packs are packed anew together.
    for _ in 0..8 {
        rig.run(async |shard, _| append_all(&shard, messages(3)).await);
        rig.roll();
        rig.keep_house();
    }
    assert!(
        packs
            .iter()
            .all(|path| !self::packs(&rig.disk).contains(path))
    );
    assert_eq!(truly_listed(&mut rig), 6 + 8 * 2);
}

fn packs(disk: &SimDisk) -> Vec<String> {
    let mut paths = disk.paths();
    paths.retain(|path| path.contains("/packs/"));
    paths
}
