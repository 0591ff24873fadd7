//! What the index does not know, and a change that is on its way still needs.

use super::{EAGER, Here, Rig, Sim, contents, inbox, other_mailbox, rows, text};
use crate::disk::sim::SimDisk;
use crate::mail::flags::Flags;
use crate::mail::id::{AccountId, MailboxId};
use crate::mail::uidset::UidSet;
use crate::record::FlagOp;
use crate::shard::{FlagNames, StoreFlags, Transfer};
use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Waker};

/// EXPUNGE is on its way, COPY of the same row is decided and comes in the frame behind: when the
/// index is frozen between the two, no row has the message.
#[test]
fn a_copy_that_is_on_its_way_keeps_its_message() {
    let mut is_between = 0;
    for seed in 1..=20 {
        let mut rig = Rig::open(SimDisk::new(seed));
        rig.fill(&[5000, 200_000]);
        rig.roll();
        rig.fill(&[100]);
        let (account, source, target) = rig.run(async |shard, _| {
            let (account, source) = inbox(&shard).await;
            delete(&shard, account, source, &both()).await;
            (account, source, other_mailbox(&shard, account).await)
        });
        let shard = Rc::clone(&rig.shard);
        let expunging = Rc::clone(&shard);
        rig.executor.spawn(async move {
            let gone = expunging.expunge(account, source, &both()).await;
            assert_eq!(gone.unwrap(), both());
        });
        // The frame of the EXPUNGE is on its way, so the COPY goes to the next one.
        while rig.disk.waiting() == 0 && rig.executor.turn() {}
        let is_copied = Rc::new(Cell::new(false));
        let (copying, told) = (Rc::clone(&shard), Rc::clone(&is_copied));
        rig.executor.spawn(async move {
            let transfer = Transfer {
                source,
                uids: &both(),
                target,
                and_expunge: false,
            };
            let copied = copying.copy(account, transfer).await.unwrap();
            told.set(copied.pairs.len() == 2);
        });
        while rows(&shard, account, source).len() == 3 && rig.executor.turn() {}
        // The first look at it freezes the index.
        let was_copied = is_copied.get();
        let here = Here(rig.disk.clone());
        let keeping = Rc::clone(&shard);
        let mut keeping = Box::pin(async move { keeping.keep_house(&here, &EAGER).await });
        let mut context = Context::from_waker(Waker::noop());
        assert!(keeping.as_mut().poll(&mut context).is_pending());
        rig.executor
            .spawn(async move { drop(keeping.await.unwrap()) });
        rig.executor.run(usize::MAX);
        let copied = is_copied.get();
        is_between += u32::from(copied && !was_copied);
        let mut rig = rig.crash();
        rig.run(async move |shard, _| {
            let found = rows(&shard, account, target);
            assert_eq!(found.len(), if copied { 2 } else { 0 });
            for ((_, delivery), octets) in found.into_iter().zip([5000, 200_000]) {
                assert_eq!(contents(&shard, delivery).await.unwrap(), text(octets));
            }
        });
    }
    assert!(is_between > 0, "the freeze came between the two frames");
}

fn both() -> UidSet {
    UidSet::from_ranges([(1, 2)])
}

async fn delete(shard: &Sim, account: AccountId, mailbox: MailboxId, uids: &UidSet) {
    let deleted = FlagNames {
        flags: Flags::DELETED,
        keywords: vec![],
    };
    let store = StoreFlags {
        uids,
        op: FlagOp::Add,
        names: &deleted,
        unchanged_since: None,
    };
    shard.store_flags(account, mailbox, store).await.unwrap();
}

/// The first pieces of a body lie in segments that could be emptied, its MESSAGE is not there yet,
/// or was on its way when the index was frozen.
#[test]
fn a_body_that_arrives_during_a_compaction_is_whole() {
    for turns in (0..200).step_by(7) {
        let mut rig = Rig::open(SimDisk::new(turns));
        rig.fill(&[100]);
        let shard = Rc::clone(&rig.shard);
        let is_stored = Rc::new(Cell::new(false));
        let told = Rc::clone(&is_stored);
        let (account, mailbox) = rig.run(async |shard, _| inbox(&shard).await);
        rig.executor.spawn(async move {
            let mut body = shard.body();
            let octets = text(700_000);
            for (at, piece) in octets.chunks(70_000).enumerate() {
                shard.body_write(&mut body, piece).await.unwrap();
                let later = format!("later {at}");
                shard.subscribe(account, &later, true).await.unwrap();
            }
            let names = FlagNames {
                flags: Flags::NONE,
                keywords: vec![],
            };
            let date = crate::mail::date::InternalDate::utc(5);
            let appended = shard.append(account, mailbox, body, &names, date);
            appended.await.unwrap();
            told.set(true);
        });
        for _ in 0..4 {
            rig.executor.run(turns as usize);
            rig.roll();
            rig.keep_house();
        }
        rig.executor.run(usize::MAX);
        assert!(is_stored.get());
        rig.roll();
        rig.keep_house();
        let mut rig = rig.crash();
        rig.assert_whole(&[100, 700_000]);
        rig.keep_house();
        rig.assert_whole(&[100, 700_000]);
    }
}

/// A message whose MESSAGE lies behind what is emptied, and whose pieces lie in it, moves whole.
#[test]
fn a_message_moves_with_its_earliest_piece() {
    let mut rig = Rig::open(SimDisk::new(1));
    let shard = Rc::clone(&rig.shard);
    let mut body = shard.body();
    body = rig.run(async move |shard, _| {
        shard.body_write(&mut body, &text(300_000)).await.unwrap();
        body
    });
    rig.roll();
    rig.run(async move |shard, here| {
        let (account, mailbox) = inbox(&shard).await;
        let names = FlagNames {
            flags: Flags::NONE,
            keywords: vec![],
        };
        let date = crate::mail::date::InternalDate::utc(5);
        let appended = shard.append(account, mailbox, body, &names, date);
        appended.await.unwrap();
        shard.checkpoint(&here).await.unwrap();
        // Only the segment of the pieces: that of the MESSAGE is the last.
        let report = shard
            .empty(&here, 1, crate::compact::Stories::ALL)
            .await
            .unwrap();
        assert_eq!(report.segments_emptied, 1);
        assert!(report.records_moved >= 3, "two pieces and the MESSAGE");
        shard.sweep(&here).await.unwrap();
    });
    rig.assert_whole(&[300_000]);
    rig.roll();
    let report = rig.keep_house();
    assert!(report.segments_emptied >= 1);
    rig.crash().assert_whole(&[300_000]);
}
