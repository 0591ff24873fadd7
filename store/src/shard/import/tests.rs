//! Imports on a simulated disk, each looked at again after the store was opened anew.

use super::Imported;
use crate::compact::Here;
use crate::disk::executor::Executor;
use crate::disk::sim::SimDisk;
use crate::error::ChangeError;
use crate::limit::IMPORTED_NUMBER_MAX;
use crate::log::Options;
use crate::mail::date::InternalDate;
use crate::mail::flags::Flags;
use crate::mail::id::{AccountId, MailboxId, ShardId, Uid, UidValidity};
use crate::mail::uidset::UidSet;
use crate::mailbox::SpecialUse;
use crate::shard::{BodyWriter, FlagNames, Shard};
use std::rc::Rc;

type Sim = Rc<Shard<SimDisk>>;

const ANNA: &str = "anna@example.test";

/// Runs `first` on a new store and `then` on the same one, opened again: from the log, and from
/// an index where `first` wrote one down.
fn twice(first: impl AsyncFn(Sim, SimDisk) + 'static, then: impl AsyncFn(Sim) + 'static) {
    let disk = SimDisk::new(1);
    let mut executor = Executor::new(disk.clone(), 1);
    let shard = open(&mut executor, &disk);
    let own = disk.clone();
    let ends = Rc::clone(&shard);
    let done = executor.finish(async move {
        first(ends, own).await;
    });
    done.unwrap();
    shard.close();
    executor.run(100_000);
    drop(shard);
    let shard = open(&mut executor, &disk);
    executor.finish(async move { then(shard).await }).unwrap();
}

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

async fn inbox(shard: &Sim) -> (AccountId, MailboxId) {
    let account = shard.open_account(ANNA).await.unwrap();
    (account, shard.mailbox(account, "INBOX").unwrap().id)
}

fn message(uid: Option<u32>, keyword: &str) -> Imported {
    Imported {
        body: BodyWriter::with(b"Subject: x\r\n\r\nx\r\n".to_vec()),
        uid: uid.map(Uid),
        names: FlagNames {
            flags: Flags::SEEN,
            keywords: vec![keyword.to_owned()],
        },
        date: InternalDate {
            unix_secs: 1_000_000_000,
            zone_minutes: 120,
        },
    }
}

fn uids(shard: &Sim, account: AccountId, mailbox: MailboxId) -> Vec<u32> {
    let view = shard.view(account, mailbox, false).unwrap();
    view.uids().to_vec()
}

#[test]
fn messages_keep_their_uids_and_none_is_given_out_twice() {
    twice(
        async |shard, _| {
            let (account, mailbox) = inbox(&shard).await;
            let messages = [
                message(Some(5), "a"),
                message(Some(5), "b"),
                message(None, "c"),
                message(Some(4), "d"),
                message(Some(IMPORTED_NUMBER_MAX + 1), "e"),
                message(Some(900), "f"),
            ];
            let outcomes = shard.import(account, mailbox, &messages, false).await;
            let outcomes = outcomes.unwrap();
            let given: Vec<Option<u32>> = outcomes
                .iter()
                .map(|outcome| outcome.as_ref().ok().map(|uid| uid.0))
                .collect();
            assert_eq!(given, [Some(5), None, Some(6), None, None, Some(900)]);
        },
        async |shard| {
            let (account, mailbox) = inbox(&shard).await;
            assert_eq!(uids(&shard, account, mailbox), [5, 6, 900]);
            let mut rows = Vec::new();
            let view = shard.view(account, mailbox, false).unwrap();
            let every = UidSet::from_ranges([(1, u32::MAX)]);
            shard.rows(&view, &every, &mut |row| rows.push(row));
            let first = rows[0];
            assert_eq!(first.flags, Flags::SEEN);
            assert_eq!(first.internal_date.zone_minutes, 120);
            let names = shard.keywords(account, mailbox);
            let at = first.keywords.positions().next().unwrap();
            assert_eq!(names[at], "a");
            let next = shard.status(account, mailbox).unwrap().uid_next;
            assert_eq!(next, Uid(901));
        },
    );
}

#[test]
fn uid_next_is_raised_for_good() {
    for is_written_down in [false, true] {
        twice(
            async move |shard, disk| {
                let (account, mailbox) = inbox(&shard).await;
                let raise = |to| shard.raise_uid_next(account, mailbox, Uid(to));
                raise(43).await.unwrap();
                raise(7).await.unwrap();
                let status = shard.status(account, mailbox).unwrap();
                assert_eq!((status.messages, status.uid_next), (0, Uid(43)));
                assert_eq!(shard.usage(account).0, 0);
                if is_written_down {
                    shard.checkpoint(&Here(disk)).await.unwrap();
                }
            },
            async |shard| {
                let (account, mailbox) = inbox(&shard).await;
                let status = shard.status(account, mailbox).unwrap();
                assert_eq!((status.messages, status.uid_next), (0, Uid(43)));
                let one = [message(None, "a")];
                let done = shard.import(account, mailbox, &one, false).await.unwrap();
                assert_eq!(done, [Ok(Uid(43))]);
            },
        );
    }
}

#[test]
fn an_empty_mailbox_gives_way_to_one_with_another_uidvalidity() {
    twice(
        async |shard, disk| {
            let (account, mailbox) = inbox(&shard).await;
            let as_before = |name: &'static str, number| {
                shard.import_mailbox(account, name, UidValidity(number))
            };
            let sent = as_before("Sent", 77).await.unwrap();
            assert_eq!(sent.special_use, SpecialUse::SENT);
            assert!(sent.subscribed);
            let one = [message(Some(3), "a")];
            shard
                .import(account, sent.id, &one, false)
                .await
                .unwrap()
                .remove(0)
                .unwrap();
            let refused = as_before("Sent", 78).await;
            assert_eq!(refused, Err(ChangeError::AlreadyExists));
            assert!(as_before("Old", 0).await.is_err());
            assert!(as_before("Old", u32::MAX).await.is_err());
            let inbox = as_before("inbox", 79).await.unwrap();
            assert_ne!(inbox.id, mailbox);
            as_before("A/B", 80).await.unwrap();
            shard.checkpoint(&Here(disk)).await.unwrap();
        },
        async |shard| {
            let (account, _) = inbox(&shard).await;
            let validity = |name| shard.mailbox(account, name).unwrap().uid_validity.0;
            assert_eq!(["Sent", "INBOX", "A/B"].map(validity), [77, 79, 80]);
            assert!(validity("A") >= 1_700_000_000);
            let sent = shard.mailbox(account, "Sent").unwrap();
            assert_eq!(uids(&shard, account, sent.id), [3]);
            assert_eq!(shard.mailboxes(account).len(), 8);
        },
    );
}

#[test]
fn a_quota_is_asked_when_it_is_to_be_obeyed() {
    twice(
        async |shard, _| {
            let (account, mailbox) = inbox(&shard).await;
            shard.set_quota(account, Some(30)).await.unwrap();
            let two = [message(None, "a"), message(None, "b")];
            let outcomes = shard.import(account, mailbox, &two, true).await.unwrap();
            assert_eq!(outcomes, [Ok(Uid(1)), Err(ChangeError::OverQuota)]);
            let outcomes = shard.import(account, mailbox, &two, false).await.unwrap();
            assert_eq!(outcomes, [Ok(Uid(2)), Ok(Uid(3))]);
        },
        async |shard| {
            let (account, mailbox) = inbox(&shard).await;
            assert_eq!(uids(&shard, account, mailbox), [1, 2, 3]);
        },
    );
}
