//! A store of several shards of which some were never opened, as `ringpostctl import` leaves one
//! that never served: it is backed up, restored and verified like any other, and goes on.

use super::backup::{alone, open};
use super::below::Below;
use super::*;
use store::backup::{self, Backup, Plan, Verified};
use store::disk::home::Identity;

/// Two shards, of which the second has nothing.
fn half_open() -> SimDisk {
    let disk = SimDisk::new(5);
    furnish(&disk, 0);
    disk
}

fn back_up_at(disk: &SimDisk, now_secs: i64) {
    let at = disk.clone();
    let taken = Executor::new(disk.clone(), 7).finish(async move {
        let identity = Identity {
            uuid: STORE,
            shards: 2,
        };
        let backup = Backup::open_or_make(Below::new(&at, "backup"), identity).await?;
        backup::take(&at, &backup, now_secs, &|_, _| {}).await
    });
    taken.expect("a backup ends").unwrap();
}

/// A generation, counted from the oldest, or what was there at a moment, as a store of its own.
fn restored(disk: &SimDisk, at: usize, until: Option<i64>) -> SimDisk {
    let from = disk.clone();
    let restoring = async move {
        let backup = open(&from).await;
        let generations = backup.generations().await?;
        let plan = match until {
            Some(until) => Plan::until(&backup, &generations, until).await?,
            None => Plan::whole(&backup.identity, &generations[at]),
        };
        let target = Below::new(&from, "restored");
        backup::restore(&backup, &plan, &target, &|_, _| {}).await
    };
    let restored = Executor::new(disk.clone(), 7).finish(restoring);
    restored.expect("restoring ends").unwrap();
    let alone = alone(disk, "restored");
    disk.paths()
        .iter()
        .filter(|path| path.starts_with("restored/"))
        .for_each(|path| disk.lose(path));
    alone
}

fn verified(disk: &SimDisk) -> Verified {
    let at = disk.clone();
    let verified = Executor::new(disk.clone(), 7)
        .finish(async move { backup::verify(&open(&at).await, &|_, _| {}).await });
    verified.expect("it ends").unwrap()
}

#[test]
fn a_shard_that_was_never_opened_is_no_obstacle() {
    let disk = half_open();
    back_up_at(&disk, 1_700_000_100);
    assert_eq!(verified(&disk).faults, []);
    let twin = restored(&disk, 0, None);
    assert_eq!(mail(&twin, 0), mail(&disk, 0));
    furnish(&twin, 1);
    assert!(!mail(&twin, 1).unwrap().is_empty(), "it begins there");
}

#[test]
fn it_is_opened_between_two_generations() {
    let disk = half_open();
    back_up_at(&disk, 1_700_000_100);
    let before = mail(&disk.crash(1), 0);
    let here = Here(disk.clone());
    with_shard_at(&disk, 1, 1_700_000_200, async move |shard| {
        let account = shard.open_account(ANNA).await.unwrap();
        let inbox = shard.mailbox(account, "INBOX").unwrap().id;
        append(&shard, account, inbox, &mut Seed::new(3), 900).await;
        shard.checkpoint(&here).await.unwrap();
    })
    .unwrap();
    let after = mail(&disk.crash(1), 1);
    back_up_at(&disk, 1_700_000_300);
    assert_eq!(verified(&disk).faults, []);
    let late = restored(&disk, 1, None);
    assert_eq!((mail(&late, 0), mail(&late, 1)), (before.clone(), after));
    for moment in [1_700_000_050, 1_700_000_150] {
        let early = restored(&disk, 0, Some(moment));
        assert_eq!(mail(&early, 0), before);
        assert!(mail(&early, 1).unwrap().is_empty(), "at {moment}");
    }
}
