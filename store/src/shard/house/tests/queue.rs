//! The queue of a shard: what is enqueued, tried and ended, over checkpoints and emptied segments.

use super::{ANNA, DIRECTORY, EAGER, Rig, Sim, both, inbox, rows, text};
use crate::check::repair::{Order, repair};
use crate::check::{Owner, check};
use crate::codec::checksum::plain;
use crate::compact::Lost;
use crate::disk::Disk;
use crate::disk::executor::Executor;
use crate::disk::sim::SimDisk;
use crate::error::{ChangeError, ReadError};
use crate::limit::{BLOCK_BYTES, REPLY_BYTES_MAX};
use crate::log::Options;
use crate::mail::address::Address;
use crate::mail::envelope::Notify;
use crate::mail::id::{ItemId, ShardId};
use crate::shard::{
    Attempt, BodyWriter, Custody, End, Ending, HAS_ENDED, Hold, HostReply, Item, Note, Outbound,
    Share,
};

fn outbound(local: &str, domain: &str) -> Outbound {
    Outbound {
        recipient: Address::new(local, domain),
        notify: Notify::DELAY,
        orcpt: Some(format!("rfc822;{local}@{domain}")),
        tenant: ANNA.to_owned(),
        expiry_secs: 9000,
        not_before_secs: 0,
        priority: -3,
        marks: 5,
        by_secs: 0,
        prefix: b"Received: x\r\n"[..].into(),
    }
}

pub(super) fn sent(octets: usize, to: &[(&str, &str)]) -> Custody {
    Custody {
        received_secs: 1000,
        body: BodyWriter::with(text(octets)),
        outbound: to
            .iter()
            .map(|(local, domain)| outbound(local, domain))
            .collect(),
        ..Custody::default()
    }
}

pub(super) fn attempt(item: ItemId, attempts: u16, text: &str) -> Note {
    Note::Attempt(Attempt {
        item,
        at_secs: 1100,
        attempts,
        due_secs: 2000 + i64::from(attempts),
        reply: HostReply {
            code: 450,
            text: text.to_owned(),
            ..HostReply::default()
        },
    })
}

pub(super) fn end(item: ItemId) -> End {
    End {
        item,
        at_secs: 1200,
        ending: Ending::Failed,
        reply: HostReply::default(),
    }
}

fn all(shard: &Sim) -> Vec<Item> {
    shard.queue_list(ItemId(0), usize::MAX, |_| true).items
}

impl Rig {
    /// The same, as if the process had ended here.
    fn again(self) -> Rig {
        self.crash()
    }

    fn items(&mut self) -> Vec<Item> {
        self.run(async |shard, _| all(&shard))
    }
}

#[test]
fn items_of_one_message_are_read_together() {
    let mut rig = Rig::open(SimDisk::new(1));
    rig.run(async |shard, _| {
        let mut arrivals = shard.watch_queue();
        let to = [("a", "one.test"), ("b", "one.test"), ("c", "two.test")];
        shard.take(sent(700, &to)).await.unwrap();
        arrivals.changed().await;
        let items = shard.queue_arrivals(2);
        assert_eq!(items.len(), 2, "at most so many");
        let items: Vec<Item> = items.into_iter().chain(shard.queue_arrivals(9)).collect();
        let ids: Vec<u64> = items.iter().map(|item| item.id.0).collect();
        assert_eq!((ids, shard.queue_len()), (vec![1, 2, 3], 3));
        assert_eq!(shard.queue_arrivals(9), [], "each is told once");
        let domains: Vec<&str> = items.iter().map(|item| &*item.domain).collect();
        assert_eq!(domains, ["one.test", "one.test", "two.test"]);
        let (first, last) = (&items[0], &items[2]);
        assert_eq!((&*first.tenant, first.priority), (ANNA, -3));
        assert_eq!(
            (first.enqueued_secs, first.due_secs, first.expiry_secs),
            (1000, 1000, 9000)
        );
        assert!((600..820).contains(&first.octets), "{}", first.octets);

        let queued = shard
            .queued(&[ItemId(1), ItemId(3), ItemId(77)])
            .await
            .unwrap();
        let ids: Vec<ItemId> = queued.recipients.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [first.id, last.id]);
        let leaving = &queued.recipients[1].1;
        assert_eq!(leaving.address, Address::new("c", "two.test"));
        assert_eq!((leaving.notify, leaving.marks), (Notify::DELAY, 5));
        assert_eq!((queued.received_secs, &*queued.tenant), (1000, ANNA));
        let octets = shard.read(&queued.message, 0, u64::MAX).await.unwrap();
        assert_eq!(octets.strip_prefix(b"Received: x\r\n"), Some(&*text(700)));
    });
}

#[test]
fn what_was_noted_is_there_after_each_kind_of_start() {
    let mut rig = Rig::open(SimDisk::new(2));
    rig.run(async |shard, _| {
        for (local, domain) in [("a", "one.test"), ("b", "two.test"), ("c", "three.test")] {
            shard.take(sent(300_000, &[(local, domain)])).await.unwrap();
        }
        let long = "ü".repeat(REPLY_BYTES_MAX);
        let hold = Hold {
            item: ItemId(3),
            is_held: true,
            due_secs: 77,
        };
        let notes = vec![
            attempt(ItemId(1), 1, "first"),
            attempt(ItemId(1), 2, &long),
            Note::End(end(ItemId(2))),
            Note::Hold(hold),
            attempt(ItemId(99), 1, "of nobody"),
        ];
        shard.note(notes).await.unwrap();
    });
    let before = rig.items();
    assert_eq!(before.len(), 2);
    assert_eq!((before[0].attempts, before[0].due_secs), (2, 2002));
    assert_eq!((before[1].is_held, before[1].due_secs), (true, 77));
    for round in 0..4 {
        rig = rig.again();
        assert_eq!(rig.items(), before, "round {round}");
        rig.run(async |shard, _| {
            let last = shard.last_attempt(ItemId(1)).await.unwrap().unwrap();
            assert_eq!(
                last.reply.text,
                "ü".repeat(REPLY_BYTES_MAX / 2),
                "cut, and valid"
            );
            let gone = shard.queued(&[ItemId(2)]).await.err();
            assert_eq!(gone, Some(ReadError::Gone));
            for item in all(&shard) {
                let queued = shard.queued(&[item.id]).await.unwrap();
                let octets = shard.read(&queued.message, 0, u64::MAX).await.unwrap();
                assert!(octets.ends_with(&text(300_000)));
            }
        });
        // From the log, from a run, from packs, from runs that were merged.
        rig.roll();
        rig.keep_house();
    }
    let report =
        rig.run(async |shard, here| shard.compact(&here, crate::shard::Task::MergeAll).await);
    report.unwrap();
    let mut rig = rig.again();
    assert_eq!(rig.items(), before);
    rig.run(async |shard, _| {
        shard.take(sent(10, &[("d", "one.test")])).await.unwrap();
        let ids: Vec<u64> = all(&shard).iter().map(|item| item.id.0).collect();
        assert_eq!(ids, [1, 3, 4], "numbers are not given twice");
    });
}

#[test]
fn an_end_rides_with_its_notice_or_not_at_all() {
    let mut rig = Rig::open(SimDisk::new(3));
    let told = rig.run(async |shard, _| {
        inbox(&shard).await;
        shard
            .take(sent(50, &[("a", "one.test"), ("b", "two.test")]))
            .await
            .unwrap();
        let notice = |ends: Vec<End>| Custody {
            body: BodyWriter::with(text(60)),
            shares: vec![Share {
                account: ANNA.to_owned(),
                recipient: Address::split(ANNA).unwrap(),
                notify: Notify::UNSET,
                orcpt: None,
                prefix: Vec::new(),
            }],
            ends,
            ..Custody::default()
        };
        let twice = shard
            .take(notice(vec![end(ItemId(1)), end(ItemId(1))]))
            .await;
        assert_eq!(twice.err(), Some(ChangeError::Cannot(HAS_ENDED)));
        shard.take(notice(vec![end(ItemId(1))])).await.unwrap();
        let again = shard
            .take(notice(vec![end(ItemId(1)), end(ItemId(2))]))
            .await;
        assert_eq!(again.err(), Some(ChangeError::Cannot(HAS_ENDED)));
        let account = shard.account(ANNA).unwrap().id;
        shard.set_quota(account, Some(1)).await.unwrap();
        let full = shard.take(notice(vec![end(ItemId(2))])).await.unwrap();
        assert_eq!(full.shares, [Err(ChangeError::OverQuota)]);
        let (account, mailbox) = inbox(&shard).await;
        rows(&shard, account, mailbox).len()
    });
    assert_eq!(told, 1, "one notice of one end");
    let mut rig = rig.again();
    let left: Vec<ItemId> = rig.items().iter().map(|item| item.id).collect();
    assert_eq!(left, [ItemId(2)], "the mailbox was full: nothing has ended");
}

#[test]
fn the_dead_go_and_what_is_left_is_found_by_check_and_rebuild() {
    let mut rig = Rig::open(SimDisk::new(4));
    for round in 0..3u64 {
        rig.run(async move |shard, _| {
            let to: Vec<String> = (0..300).map(|at| format!("d{at}.test")).collect();
            let to: Vec<(&str, &str)> = to.iter().map(|to| ("x", to.as_str())).collect();
            shard.take(sent(9000, &to)).await.unwrap();
            let first = round * 300;
            let notes = (1..=300).map(|at| attempt(ItemId(first + at), 1, "later"));
            shard.note(notes.collect()).await.unwrap();
            // Of the first record all but one, of the second all, of the third nothing ends.
            let ends = (2..=256).map(|at| Note::End(end(ItemId(first + at))));
            shard.note(ends.collect()).await.unwrap();
        });
        rig.roll();
        rig.keep_house();
    }
    let before = rig.items();
    assert_eq!(before.len(), 3 * 45);
    let owner = Owner {
        directory: DIRECTORY.to_owned(),
        store: [7; 16],
        shard: ShardId(0),
    };
    let disk = rig.crash().disk.crash(2);
    let checked = run(&disk, {
        let (disk, owner) = (disk.clone(), owner.clone());
        async move { check(&disk, &owner, &mut |_| {}).await }
    });
    assert!(checked.is_clean(), "{:?}", checked.damages);
    assert_eq!(checked.queued, 3 * 45);

    // All that the index says is said by archives and log as well; words are not.
    run(&disk, {
        let disk = disk.clone();
        async move { rebuilt(&disk, &owner).await }
    });
    let mut rig = Rig::open(disk);
    assert_eq!(rig.items(), before);
    rig.run(async |shard, _| {
        shard.take(sent(10, &[("d", "one.test")])).await.unwrap();
        assert_eq!(
            all(&shard).last().unwrap().id,
            ItemId(901),
            "no number is given twice"
        );
        for item in all(&shard) {
            shard.queued(&[item.id]).await.unwrap();
        }
    });
    let ends = rig.items().into_iter().map(|item| Note::End(end(item.id)));
    let ends: Vec<Note> = ends.collect();
    rig.run(async move |shard, _| shard.note(ends).await.unwrap());
    rig.roll();
    rig.keep_house();
    let report = rig.run(async |shard, here| shard.repack(&here, &EAGER).await.unwrap());
    assert_eq!(report.dead_bytes, 0, "nothing of the queue is kept");
    assert_eq!(rig.items(), []);
}

/// Loses the runs, and makes them anew.
async fn rebuilt(disk: &SimDisk, owner: &Owner) {
    let index = format!("{DIRECTORY}/index");
    for file in disk.list(&index).await.unwrap() {
        if file.ends_with(".run") {
            disk.remove(&format!("{index}/{file}")).await.unwrap();
        }
    }
    let found = check(disk, owner, &mut |_| {}).await;
    assert!(!found.is_clean());
    let mut options = Options::new(owner.store, owner.shard.0);
    options.segment_bytes = 8 << 20;
    let order = Order {
        aside: "aside".to_owned(),
        options,
    };
    let repaired = repair(disk, owner, &order, &found, &mut |_| {}).await;
    let repaired = repaired.map_err(|error| error.to_string()).unwrap();
    assert!(repaired.is_rebuilt);
    assert_eq!(repaired.refused, 0);
}

fn run<T: 'static>(disk: &SimDisk, work: impl Future<Output = T> + 'static) -> T {
    Executor::new(disk.clone(), 3)
        .finish(work)
        .expect("work ends")
}

#[test]
fn items_whose_record_has_rotted_are_named() {
    let mut rig = Rig::open(SimDisk::new(7));
    rig.run(async |shard, _| {
        let to = [("nobody", "one.test"), ("somebody", "two.test")];
        shard.take(sent(700, &to)).await.unwrap();
        shard.take(sent(800, &to)).await.unwrap();
    });
    rig.roll();
    let path = format!("{DIRECTORY}/log/{:016x}.log", 1);
    rig.disk.edit(&path, |octets| {
        let name = b"rfc822;nobody@one.test";
        let found = octets.windows(name.len()).position(|at| at == name);
        octets[found.unwrap()] ^= 1;
    });
    let report = rig.keep_house();
    let lost: Vec<Lost> = report.damage.iter().filter_map(|it| it.lost).collect();
    assert_eq!(lost, [Lost::Item(ItemId(1)), Lost::Item(ItemId(2))]);
    let told = report.damage.iter().map(ToString::to_string);
    assert!(
        told.into_iter()
            .any(|told| told.contains("item 2 of the queue"))
    );
    rig.run(async |shard, _| {
        let gone = shard.queued(&[ItemId(1)]).await.err();
        assert_eq!(gone, Some(ReadError::Gone));
        shard.queued(&[ItemId(3)]).await.unwrap();
    });
}

/// Attempts are objects among messages: those that are needed must not keep the body of a message
/// before them that has ended, nor those that are not.
#[test]
fn a_late_attempt_keeps_no_body() {
    let mut rig = Rig::open(SimDisk::new(8));
    rig.run(async |shard, _| {
        shard.take(sent(60, &[("old", "one.test")])).await.unwrap();
        for round in 1..30u64 {
            shard
                .take(sent(40_000, &[("x", "two.test")]))
                .await
                .unwrap();
            let (old, young) = (ItemId(1), ItemId(1 + round));
            let tried = vec![
                attempt(old, round as u16, "later"),
                attempt(young, 1, "later"),
            ];
            shard.note(tried).await.unwrap();
            shard.note(vec![Note::End(end(young))]).await.unwrap();
            shard
                .note(vec![attempt(old, round as u16, "again")])
                .await
                .unwrap();
        }
    });
    for round in 0..3 {
        rig.roll();
        rig.keep_house();
        let packed = rig.shard.occupancy().pack_bytes;
        assert!(packed < 30_000, "round {round}: {packed} octets are kept");
        rig.run(async move |shard, _| {
            let tried = vec![attempt(ItemId(1), 100 + round, "later")];
            shard.note(tried).await.unwrap();
        });
    }
    assert_eq!(rig.items().len(), 1);
}

#[test]
fn what_changes_while_a_checkpoint_is_written_down_is_in_the_next() {
    let mut rig = Rig::open(SimDisk::new(9));
    for round in 0..6u16 {
        rig.run(async move |shard, here| {
            let to: Vec<String> = (0..40).map(|at| format!("d{round}-{at}.test")).collect();
            let to: Vec<(&str, &str)> = to.iter().map(|to| ("x", to.as_str())).collect();
            shard.take(sent(100, &to)).await.unwrap();
            let items = all(&shard);
            let notes = items
                .iter()
                .step_by(3)
                .map(|item| attempt(item.id, round, "later"));
            let ends = items.iter().skip(1).step_by(5);
            let notes = notes
                .chain(ends.map(|item| Note::End(end(item.id))))
                .collect();
            let outcomes = both(shard.checkpoint(&here), shard.note(notes)).await;
            outcomes.0.unwrap();
            outcomes.1.unwrap();
            if round % 2 == 1 {
                shard.checkpoint(&here).await.unwrap();
            }
        });
        let before = rig.items();
        rig = rig.again();
        assert_eq!(rig.items(), before, "round {round}");
    }
}

#[test]
fn a_segment_of_an_earlier_build_gets_no_queue() {
    let disk = SimDisk::new(5);
    drop(Rig::open(disk.clone()));
    let path = format!("{DIRECTORY}/log/{:016x}.log", 1);
    disk.edit(&path, |octets| {
        let (header, crc) = octets[..BLOCK_BYTES].split_at_mut(BLOCK_BYTES - 4);
        assert_eq!(header[FEATURES_AT], 2 | 4 | 8 | 16);
        header[FEATURES_AT] = 2 | 16;
        crc.copy_from_slice(&plain(header).to_le_bytes());
    });
    let mut rig = Rig::open(disk);
    rig.fill(&[100]);
    rig.run(async |shard, _| {
        assert_eq!(shard.log().end().segment, 1);
        shard.take(sent(10, &[("d", "one.test")])).await.unwrap();
        assert_eq!(
            shard.log().end().segment,
            2,
            "the first that may have a queue"
        );
    });
    let mut rig = rig.again();
    assert_eq!(rig.items().len(), 1);
    rig.assert_whole(&[100]);
}

#[test]
fn a_long_list_comes_in_parts() {
    let mut rig = Rig::open(SimDisk::new(6));
    rig.run(async |shard, _| {
        let to = [("x", "a.test"), ("y", "b.test"), ("z", "a.test")];
        shard.take(sent(10, &to)).await.unwrap();
        let of_a = |item: &Item| &*item.domain == "a.test";
        let first = shard.queue_list(ItemId(0), 1, of_a);
        assert_eq!((first.items.len(), first.next), (1, Some(ItemId(1))));
        let rest = shard.queue_list(ItemId(1), 9, of_a);
        assert_eq!((rest.items[0].id, rest.next), (ItemId(3), None));
    });
}

/// Of a segment header (FORMAT.md, "Segment").
const FEATURES_AT: usize = 96;

#[test]
fn a_segment_of_an_earlier_build_gets_no_dates_of_saving() {
    let disk = SimDisk::new(7);
    drop(Rig::open(disk.clone()));
    let path = format!("{DIRECTORY}/log/{:016x}.log", 1);
    disk.edit(&path, |octets| {
        let (header, crc) = octets[..BLOCK_BYTES].split_at_mut(BLOCK_BYTES - 4);
        header[FEATURES_AT] = 2 | 4 | 8;
        crc.copy_from_slice(&plain(header).to_le_bytes());
    });
    let mut rig = Rig::open(disk);
    rig.fill(&[100]);
    assert_eq!(
        rig.shard.log().end().segment,
        2,
        "saved later than its date"
    );
    rig.assert_whole(&[100]);
}
