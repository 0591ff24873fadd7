//! Changes that cross: what two sessions do to the same messages, and what is refused half-way.
//!
//! What would break for a user: a message twice after two MOVEs, a flag that was told and is gone,
//! a keyword that means another one after a restart, mail acknowledged and thrown away.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::rc::Rc;
use store::disk::executor::Executor;
use store::disk::sim::SimDisk;
use store::error::ChangeError;
use store::log::Options;
use store::mail::address::Address;
use store::mail::date::InternalDate;
use store::mail::envelope::Notify;
use store::mail::flags::Flags;
use store::mail::id::{AccountId, MailboxId, QueueId, ShardId, Uid};
use store::mail::uidset::UidSet;
use store::mailbox::{Row, SpecialUse};
use store::shard::{Configured, Custody, FlagNames, FlagOp, Shard, Share, Source};
use store::shard::{StoreFlags, Transfer};

type Sim = Rc<Shard<SimDisk>>;

const ANNA: &str = "anna@example.test";

fn open(executor: &mut Executor, disk: &SimDisk) -> Sim {
    let mut options = Options::new([7; 16], 0);
    options.segment_bytes = 8 << 20;
    let disk = disk.clone();
    let opened = executor.finish(async move {
        Shard::open(disk, "shard-00", ShardId(0), options, || 1_700_000_000).await
    });
    let shard = opened.unwrap().map_err(|e| e.to_string()).unwrap().0;
    let runs = Rc::clone(&shard);
    executor.spawn(async move { runs.run(|_| {}).await });
    shard
}

async fn append(shard: &Sim, account: AccountId, mailbox: MailboxId, keyword: &str) -> Uid {
    let mut body = shard.body();
    shard
        .body_write(&mut body, b"Subject: x\r\n\r\nx\r\n")
        .await
        .unwrap();
    let names = FlagNames {
        flags: Flags::NONE,
        keywords: vec![keyword.to_owned()],
    };
    let date = InternalDate::utc(0);
    shard
        .append(account, mailbox, body, &names, date)
        .await
        .unwrap()
        .uid
}

fn rows(shard: &Sim, account: AccountId, mailbox: MailboxId) -> Vec<Row> {
    let view = shard.view(account, mailbox, false).unwrap();
    let mut rows = Vec::new();
    shard.rows(&view, &UidSet::from_ranges([(1, u32::MAX)]), &mut |row| {
        rows.push(row)
    });
    rows
}

#[test]
fn a_message_moved_by_two_sessions_is_in_one_place() {
    for seed in 1..=30 {
        let disk = SimDisk::new(seed);
        let mut executor = Executor::new(disk.clone(), seed);
        let shard = open(&mut executor, &disk);
        let prepared = Rc::clone(&shard);
        let (account, inbox, a, b, uid) = executor
            .finish(async move {
                let account = prepared.open_account(ANNA).await.unwrap();
                let inbox = prepared.mailbox(account, "INBOX").unwrap().id;
                let none = SpecialUse::NONE;
                let a = prepared
                    .create_mailbox(account, "A", none)
                    .await
                    .unwrap()
                    .id;
                let b = prepared
                    .create_mailbox(account, "B", none)
                    .await
                    .unwrap()
                    .id;
                (
                    account,
                    inbox,
                    a,
                    b,
                    append(&prepared, account, inbox, "k").await,
                )
            })
            .unwrap();
        let uids = UidSet::from_ascending([uid]);
        for target in [a, b] {
            let (shard, uids) = (Rc::clone(&shard), uids.clone());
            executor.spawn(async move {
                shard
                    .copy(account, a_move(inbox, &uids, target))
                    .await
                    .unwrap();
            });
        }
        executor.run(usize::MAX);
        let count = |mailbox| rows(&shard, account, mailbox).len();
        assert_eq!((count(inbox), count(a) + count(b)), (0, 1), "seed {seed}");
    }
}

#[test]
fn a_flag_that_was_told_moves_along() {
    for seed in 1..=30 {
        let disk = SimDisk::new(seed);
        let mut executor = Executor::new(disk.clone(), seed);
        let shard = open(&mut executor, &disk);
        let prepared = Rc::clone(&shard);
        let (account, inbox, target, uid) = executor
            .finish(async move {
                let account = prepared.open_account(ANNA).await.unwrap();
                let inbox = prepared.mailbox(account, "INBOX").unwrap().id;
                let target = prepared.mailbox(account, "Trash").unwrap().id;
                (
                    account,
                    inbox,
                    target,
                    append(&prepared, account, inbox, "k").await,
                )
            })
            .unwrap();
        let uids = UidSet::from_ascending([uid]);
        let flagged = Rc::new(std::cell::Cell::new(false));
        let (flagging, told, set) = (Rc::clone(&shard), Rc::clone(&flagged), uids.clone());
        executor.spawn(async move {
            let names = FlagNames {
                flags: Flags::FLAGGED,
                keywords: Vec::new(),
            };
            let view = flagging.view(account, inbox, false).unwrap();
            flagging
                .store_flags(account, inbox, adding(&set, &names))
                .await
                .unwrap();
            told.set(
                flagging
                    .row(&view, uid)
                    .is_some_and(|row| row.flags == Flags::FLAGGED),
            );
        });
        let moving = Rc::clone(&shard);
        executor.spawn(async move {
            moving
                .copy(account, a_move(inbox, &uids, target))
                .await
                .unwrap();
        });
        executor.run(usize::MAX);
        let moved = rows(&shard, account, target);
        assert_eq!(moved.len(), 1);
        assert!(
            !flagged.get() || moved[0].flags == Flags::FLAGGED,
            "seed {seed}"
        );
    }
}

#[test]
fn a_refused_keyword_leaves_nothing_behind() {
    let disk = SimDisk::new(1);
    let mut executor = Executor::new(disk.clone(), 1);
    let shard = open(&mut executor, &disk);
    let table = executor
        .finish(async move {
            let account = shard.open_account(ANNA).await.unwrap();
            let inbox = shard.mailbox(account, "INBOX").unwrap().id;
            let uid = append(&shard, account, inbox, "first").await;
            let uids = UidSet::from_ascending([uid]);
            let many = |count: usize| FlagNames {
                flags: Flags::NONE,
                keywords: (0..count).map(|n| format!("key{n}")).collect(),
            };
            let store = async |names: &FlagNames| {
                shard
                    .store_flags(account, inbox, adding(&uids, names))
                    .await
            };
            store(&many(60)).await.unwrap();
            let refused = store(&many(70)).await;
            assert!(matches!(refused, Err(ChangeError::Limit(_))), "{refused:?}");
            append(&shard, account, inbox, "last").await;
            shard.close();
            shard.keywords(account, inbox)
        })
        .unwrap();
    executor.run(usize::MAX);
    assert_eq!(table.len(), 62);
    assert_eq!(table[61], "last");
    let disk = disk.crash(3);
    let mut executor = Executor::new(disk.clone(), 2);
    let shard = open(&mut executor, &disk);
    let account = shard.account(ANNA).unwrap().id;
    let inbox = shard.mailbox(account, "INBOX").unwrap().id;
    assert_eq!(
        shard.keywords(account, inbox),
        table,
        "the log says the same"
    );
}

#[test]
fn one_answer_for_all_is_true_for_each() {
    let disk = SimDisk::new(1);
    let mut executor = Executor::new(disk.clone(), 1);
    let shard = open(&mut executor, &disk);
    shard.configure(|address| {
        let quota = address.starts_with("small").then_some(10);
        Some(Configured {
            quota,
            usage: std::sync::Arc::default(),
        })
    });
    let custody = |each_alone, to: &[&str]| Custody {
        queue: QueueId(1),
        source: Source::default(),
        received_secs: 1,
        body: store::shard::BodyWriter::with(b"Subject: x\r\n\r\nlonger than ten\r\n".to_vec()),
        each_alone,
        shares: to.iter().map(|account| share(account)).collect(),
        ..Custody::default()
    };
    let (both, small) = (["small@example.test", ANNA], ["small@example.test"]);
    let told: Vec<Vec<bool>> = executor
        .finish(async move {
            let mut told = Vec::new();
            for (each_alone, to) in [(false, &both[..]), (true, &both), (false, &small)] {
                let delivered = shard.take(custody(each_alone, to)).await.unwrap();
                told.push(delivered.shares.iter().map(Result::is_ok).collect());
            }
            told
        })
        .unwrap();
    // SMTP to both: 250 for both. LMTP: each alone. SMTP to the full one: refused.
    assert_eq!(told, [vec![true, true], vec![false, true], vec![false]]);
}

#[test]
fn offers_are_taken_in_order_and_once_whatever_order_they_come_in() {
    for seed in 1..=30 {
        let disk = SimDisk::new(seed);
        let mut executor = Executor::new(disk.clone(), seed);
        let shard = open(&mut executor, &disk);
        // The second comes twice: its sender lost the answer.
        for sequence in [3, 2, 1, 2] {
            let shard = Rc::clone(&shard);
            executor.spawn(async move {
                let custody = offered(sequence, ANNA);
                shard.take_offered(1, sequence, custody).await.unwrap();
            });
        }
        executor.run(usize::MAX);
        let again = Rc::clone(&shard);
        let twice = executor.finish(async move {
            let taken = again.take_offered(1, 2, offered(2, ANNA));
            taken.await.unwrap().is_some()
        });
        assert_eq!(twice, Some(false), "seed {seed}");
        let account = shard.account(ANNA).unwrap().id;
        let inbox = shard.mailbox(account, "INBOX").unwrap().id;
        let octets = rows(&shard, account, inbox)
            .iter()
            .map(|row| row.octets)
            .collect::<Vec<_>>();
        assert_eq!(octets, [1, 2, 3], "seed {seed}");
    }
}

#[test]
fn an_offer_whose_turn_cannot_come_hears_that_the_shard_closes() {
    let disk = SimDisk::new(1);
    let mut executor = Executor::new(disk.clone(), 1);
    let shard = open(&mut executor, &disk);
    let closing = Rc::clone(&shard);
    executor.spawn(async move { closing.close() });
    let taken = executor.finish(async move { shard.take_offered(1, 2, offered(2, ANNA)).await });
    assert!(matches!(taken, Some(Err(ChangeError::Log(_)))), "{taken:?}");
}

#[test]
fn mail_does_not_make_an_account_that_nobody_knows() {
    let disk = SimDisk::new(1);
    let mut executor = Executor::new(disk.clone(), 1);
    let shard = open(&mut executor, &disk);
    shard.configure(|address| {
        address.starts_with("anna").then(|| Configured {
            quota: None,
            usage: std::sync::Arc::default(),
        })
    });
    let asked = Rc::clone(&shard);
    let offers = executor.finish(async move {
        let stranger = asked.take_offered(1, 1, offered(1, "gone@example.test"));
        let stranger = stranger.await.unwrap().unwrap();
        let known = asked.take_offered(1, 2, offered(2, ANNA));
        (stranger.shares, known.await.unwrap().unwrap().shares)
    });
    let (stranger, known) = offers.unwrap();
    assert_eq!(stranger, [Err(ChangeError::NoAccount)]);
    assert!(known[0].is_ok());
    assert!(shard.account("gone@example.test").is_none());
}

/// A message of as many octets as its number.
fn offered(sequence: u64, to: &str) -> Custody {
    Custody {
        queue: QueueId(sequence),
        source: Source::default(),
        received_secs: 1,
        body: store::shard::BodyWriter::with(vec![b'x'; sequence as usize]),
        each_alone: false,
        shares: vec![share(to)],
        ..Custody::default()
    }
}

fn share(account: &str) -> Share {
    Share {
        account: account.to_owned(),
        recipient: Address::split(account).unwrap(),
        notify: Notify::UNSET,
        orcpt: None,
        prefix: Vec::new(),
    }
}

fn adding<'a>(uids: &'a UidSet, names: &'a FlagNames) -> StoreFlags<'a> {
    StoreFlags {
        uids,
        op: FlagOp::Add,
        names,
        unchanged_since: None,
    }
}

fn a_move(source: MailboxId, uids: &UidSet, target: MailboxId) -> Transfer<'_> {
    Transfer {
        source,
        uids,
        target,
        and_expunge: true,
    }
}

/// A body that came whole lies in the log in pieces, and is read back block by block: each block
/// ends where a record does, so that none is read twice.
#[test]
fn a_large_body_is_read_as_it_lies() {
    let disk = SimDisk::new(3);
    let mut executor = Executor::new(disk.clone(), 3);
    let shard = open(&mut executor, &disk);
    let whole: Vec<u8> = (0..1_000_000_u32).map(|at| (at * 7 % 251) as u8).collect();
    let wanted = whole.clone();
    let read = executor.finish(async move {
        let account = shard.open_account(ANNA).await.unwrap();
        let inbox = shard.mailbox(account, "INBOX").unwrap().id;
        let (mut body, mut octets) = (shard.body(), whole);
        shard.body_take(&mut body, &mut octets).await.unwrap();
        assert_eq!(body.octets(), 1_000_000);
        let (names, date) = (FlagNames::default(), InternalDate::utc(0));
        let appended = shard.append(account, inbox, body, &names, date).await;
        let delivery = rows(&shard, account, inbox)[0].delivery;
        assert_eq!(appended.unwrap().uid, Uid(1));
        let message = shard.message(delivery).await.unwrap();
        let (mut blocks, mut from) = (Vec::new(), 0);
        while from < message.octets {
            let end = message.block_end(from);
            assert!(message.block_end(end - 1) == end && end > from);
            let block = shard.read(&message, from, end).await.unwrap();
            message.let_go();
            assert_eq!(*shard.octets(&message, from).await.unwrap(), *block);
            assert_eq!(
                *shard.octets(&message, end - 1).await.unwrap(),
                block[block.len() - 1..]
            );
            blocks.push(block);
            from = end;
        }
        assert_eq!(message.block_end(message.octets), message.octets);
        (blocks.len(), blocks.concat())
    });
    let (blocks, read) = read.unwrap();
    assert_eq!(blocks, 1_000_000_usize.div_ceil(128 << 10));
    assert!(read == wanted, "they came back as they were");
}
