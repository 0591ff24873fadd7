//! Marks of messages over starts and checkpoints, and ends of sessions, on a simulated disk.

use super::{Mark, Marks, is_uidl};
use crate::compact::Here;
use crate::disk::executor::Executor;
use crate::disk::sim::SimDisk;
use crate::error::ChangeError;
use crate::log::Options;
use crate::mail::date::InternalDate;
use crate::mail::flags::Flags;
use crate::mail::id::{AccountId, MailboxId, ShardId, Uid, UidValidity};
use crate::mail::uidset::UidSet;
use crate::shard::{FlagNames, Shard};
use std::rc::Rc;

type Sim = Rc<Shard<SimDisk>>;

const VALIDITY: UidValidity = UidValidity(77);

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

/// Runs `first` on a new store and `then` on what a power cut leaves of it.
fn over_a_cut(first: impl AsyncFn(Sim, SimDisk) + 'static, then: impl AsyncFn(Sim) + 'static) {
    let disk = SimDisk::new(1);
    let mut executor = Executor::new(disk.clone(), 1);
    let shard = open(&mut executor, &disk);
    let own = disk.clone();
    executor
        .finish(async move { first(shard, own).await })
        .unwrap();
    let disk = disk.crash(1);
    let mut executor = Executor::new(disk.clone(), 1);
    let shard = open(&mut executor, &disk);
    executor.finish(async move { then(shard).await }).unwrap();
}

fn marks(uids: impl Iterator<Item = u32>) -> Marks {
    uids.map(|uid| (Uid(uid), format!("id-{uid}").into_bytes().into()))
        .collect()
}

async fn inbox(shard: &Sim) -> (AccountId, MailboxId) {
    let account = shard.open_account("anna@example.test").await.unwrap();
    (account, shard.mailbox(account, "INBOX").unwrap().id)
}

async fn append(shard: &Sim, flags: Flags) {
    let (account, mailbox) = inbox(shard).await;
    let mut body = shard.body();
    shard
        .body_write(&mut body, b"A: b\r\n\r\nc\r\n")
        .await
        .unwrap();
    let keywords = vec![];
    let names = FlagNames { flags, keywords };
    let date = InternalDate::utc(5);
    let appended = shard.append(account, mailbox, body, &names, date).await;
    appended.unwrap();
}

#[test]
fn marks_outlive_a_power_cut_and_a_checkpoint() {
    over_a_cut(
        async |shard, disk| {
            let (account, _) = inbox(&shard).await;
            let all = marks((1..40_000).step_by(2));
            shard
                .mark(Mark::Uidl, account, VALIDITY, &all)
                .await
                .unwrap();
            let other = marks(5..6);
            let elsewhere = UidValidity(78);
            shard
                .mark(Mark::Uidl, account, elsewhere, &other)
                .await
                .unwrap();
            shard.checkpoint(&Here(disk)).await.unwrap();
            let more = marks(2..3);
            shard
                .mark(Mark::Uidl, account, VALIDITY, &more)
                .await
                .unwrap();
            let gone = UidSet::from_ranges([(3, 9_999)]);
            shard
                .unmark(Mark::Uidl, account, VALIDITY, &gone)
                .await
                .unwrap();
        },
        async |shard| {
            let (account, _) = inbox(&shard).await;
            let found = shard.marks(Mark::Uidl, account, VALIDITY).unwrap();
            let kept = [1, 2].into_iter().chain((10_001..40_000).step_by(2));
            assert!(found == marks(kept));
            let retrieved = shard.marks(Mark::Retrieved, account, VALIDITY).unwrap();
            assert!(retrieved.is_empty());
            let long = Marks::from([(Uid(1), vec![b'x'; 71].into())]);
            let refused = shard.mark(Mark::Uidl, account, VALIDITY, &long).await;
            assert_eq!(refused, Err(ChangeError::Limit("octets of a mark")));
        },
    );
}

#[test]
fn a_session_ends_whole() {
    over_a_cut(
        async |shard, _| {
            let (account, mailbox) = inbox(&shard).await;
            for flags in [Flags::NONE, Flags::SEEN, Flags::NONE, Flags::NONE] {
                append(&shard, flags).await;
            }
            let frames = shard.log().stats().frames;
            let deleted = UidSet::from_ranges([(1, 1), (4, 9)]);
            let seen = UidSet::from_ranges([(2, 3)]);
            let end = shard.end_maildrop(account, mailbox, &deleted, &seen);
            end.await.unwrap();
            assert_eq!(shard.log().stats().frames, frames + 1, "it is one frame");
            let again = shard.end_maildrop(account, mailbox, &deleted, &seen);
            again.await.unwrap();
            assert_eq!(shard.log().stats().frames, frames + 1, "nothing to do");
        },
        async |shard| {
            let (account, mailbox) = inbox(&shard).await;
            let view = shard.view(account, mailbox, false).unwrap();
            assert_eq!(view.uids(), [2, 3]);
            let every = UidSet::from_ranges([(1, u32::MAX)]);
            shard.rows(&view, &every, &mut |row| {
                assert!(row.flags.contains(Flags::SEEN), "{row:?}");
            });
        },
    );
}

#[test]
fn what_is_no_unique_id() {
    assert!(is_uidl(b"!") && is_uidl(&[b'~'; 70]));
    for wrong in [&b""[..], b"a b", b"a\x7f", &[b'a'; 71], "ä".as_bytes()] {
        assert!(!is_uidl(wrong), "{wrong:?}");
    }
}
