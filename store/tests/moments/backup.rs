//! A power cut takes what was not durable when it was copied, and nothing else.
//!
//! What would break for a user: after a power cut no backup can be taken any more, or one is taken
//! into which two histories are mixed.

use super::below::Below;
use super::{ACCOUNTS, Store, found};
use std::collections::BTreeSet;
use std::rc::Rc;
use store::backup::{self, Backup, BackupError, Plan, Taken};
use store::disk::executor::Executor;
use store::disk::home::Identity;
use store::disk::sim::SimDisk;
use store::disk::{Disk, Mode};

const PLACE: &str = "backup";

#[test]
fn a_power_cut_that_takes_the_last_frame_leaves_a_backup_that_goes_on() {
    let disk = SimDisk::new(1);
    let mut store = Store::open(&disk, 2);
    store.deliver(0, 1);
    let early = disk.crash(3);
    store.deliver(0, 2);
    assert_eq!(back_up(&disk).unwrap().generation, 1);
    copy_below(&disk, &early, PLACE);

    let mut store = Store::open(&early, 4);
    store.deliver(0, 3);
    assert_eq!(back_up(&early).unwrap().generation, 2);
    store.deliver(0, 4);
    assert_eq!(back_up(&early).unwrap().generation, 3);
    for (generation, mail) in [(1, &[1, 2][..]), (2, &[1, 3]), (3, &[1, 3, 4])] {
        assert_eq!(
            restored(&early, generation),
            BTreeSet::from_iter(mail.iter().copied())
        );
    }
}

/// The frame that was lost was the first of its log: then the segment itself may be another one.
#[test]
fn a_power_cut_that_takes_the_first_frame_leaves_a_backup_that_goes_on() {
    let disk = SimDisk::new(1);
    drop(Store::open(&disk, 2));
    assert_eq!(back_up(&disk).unwrap().generation, 1);
    let anew = SimDisk::new(5);
    copy_below(&disk, &anew, PLACE);
    let mut store = Store::open(&anew, 4);
    store.deliver(0, 1);
    assert_eq!(back_up(&anew).unwrap().generation, 2);
    assert_eq!(restored(&anew, 1), BTreeSet::new());
    assert_eq!(restored(&anew, 2), BTreeSet::from([1]));
}

#[test]
fn a_store_that_lost_more_is_another_one() {
    let disk = SimDisk::new(1);
    let mut store = Store::open(&disk, 2);
    store.deliver(0, 1);
    let early = disk.crash(3);
    store.deliver(0, 2);
    store.deliver(0, 3);
    back_up(&disk).unwrap();
    copy_below(&disk, &early, PLACE);
    for id in [4, 5, 6] {
        let refused = back_up(&early);
        assert!(
            matches!(refused, Err(BackupError::OtherHistory { .. })),
            "{refused:?}"
        );
        Store::open(&early, 4).deliver(0, id);
    }
    assert_eq!(restored(&early, 1), BTreeSet::from([1, 2, 3]));
}

/// What an index has was durable, though it is the end of the log.
#[test]
fn what_an_index_knows_cannot_be_lost() {
    let disk = SimDisk::new(1);
    let mut store = Store::open(&disk, 2);
    store.deliver(0, 1);
    let early = disk.crash(3);
    store.deliver(0, 2);
    let (shard, here) = (
        Rc::clone(&store.shards[0]),
        store::compact::Here(disk.clone()),
    );
    let checkpoint = async move { shard.checkpoint(&here).await };
    store.executor.finish(checkpoint).unwrap().unwrap();
    back_up(&disk).unwrap();
    copy_below(&disk, &early, PLACE);
    Store::open(&early, 4).deliver(0, 3);
    let refused = back_up(&early);
    assert!(
        matches!(refused, Err(BackupError::OtherHistory { .. })),
        "{refused:?}"
    );
}

fn back_up(disk: &SimDisk) -> Result<Taken, BackupError> {
    let at = disk.clone();
    let taken = Executor::new(disk.clone(), 7).finish(async move {
        let identity = Identity {
            uuid: [7; 16],
            shards: 2,
        };
        let backup = Backup::open_or_make(Below::new(&at, PLACE), identity).await?;
        backup::take(&at, &backup, 0, &|_, _| {}).await
    });
    taken.expect("a backup ends")
}

/// The mail of the first account in a generation.
fn restored(disk: &SimDisk, generation: usize) -> BTreeSet<u64> {
    let at = disk.clone();
    let target = format!("restored-{generation}");
    let directory = target.clone();
    let restoring = async move {
        let backup = Backup::open(Below::new(&at, PLACE)).await?;
        let generations = backup.generations().await?;
        let plan = Plan::whole(&backup.identity, &generations[generation - 1]);
        let target = Below::new(&at, &directory);
        backup::restore(&backup, &plan, &target, &|_, _| {}).await
    };
    let restored = Executor::new(disk.clone(), 7).finish(restoring);
    restored.expect("restoring ends").unwrap();
    let alone = SimDisk::new(8);
    for path in disk.paths() {
        if let Some(below) = path.strip_prefix(&format!("{target}/")) {
            put(&alone, below, disk.contents(&path));
        }
    }
    let mut store = Store::open(&alone, 9);
    let shard = Rc::clone(&store.shards[0]);
    let found = store
        .executor
        .finish(async move { found(&shard, ACCOUNTS[0]).await });
    found.expect("reading ends").into_keys().collect()
}

fn copy_below(from: &SimDisk, to: &SimDisk, directory: &str) {
    for path in from.paths() {
        if path.starts_with(&format!("{directory}/")) {
            put(to, &path, from.contents(&path));
        }
    }
}

fn put(disk: &SimDisk, path: &str, octets: Vec<u8>) {
    let (at, name) = (disk.clone(), path.to_owned());
    let made = async move { at.open(&name, Mode::Create).await.map(drop) };
    Executor::new(disk.clone(), 9)
        .finish(made)
        .unwrap()
        .unwrap();
    disk.edit(path, |bytes| *bytes = octets);
}
