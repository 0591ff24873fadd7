//! A moment of which a part of the log was compacted away before it was backed up: it is made again
//! of archives, packs and the rest of the log, or refused with what can be had.

use super::backup::{alone, back_up_at, open};
use super::below::Below;
use super::*;
use store::backup::{self, BackupError, Plan};
use store::check::repair;

/// Works on the shard at a time; mail comes first.
fn life(
    disk: &SimDisk,
    now_secs: i64,
    octets: &'static [usize],
    then: impl AsyncFnOnce(Rc<Shard<SimDisk>>, AccountId, MailboxId) + 'static,
) {
    with_shard_at(disk, 0, now_secs, async move |shard| {
        let account = shard.open_account(ANNA).await.unwrap();
        let inbox = shard.mailbox(account, "INBOX").unwrap().id;
        let mut seed = Seed::new(now_secs as u64);
        for octets in octets {
            append(&shard, account, inbox, &mut seed, *octets).await;
        }
        then(shard, account, inbox).await;
    })
    .unwrap();
}

async fn flag_some(shard: Rc<Shard<SimDisk>>, account: AccountId, inbox: MailboxId) {
    let some = UidSet::from_ranges([(2, 6)]);
    let names = FlagNames {
        flags: Flags::SEEN,
        keywords: vec!["Key".into()],
    };
    flag(&shard, account, inbox, &some, names).await;
}

async fn expunge_some(shard: &Shard<SimDisk>, account: AccountId, inbox: MailboxId) {
    let some = UidSet::from_ranges([(3, 4)]);
    let names = FlagNames {
        flags: Flags::DELETED,
        ..FlagNames::default()
    };
    flag(shard, account, inbox, &some, names).await;
    shard.expunge(account, inbox, &some).await.unwrap();
}

async fn compact(shard: &Shard<SimDisk>, here: Here<SimDisk>) {
    shard.checkpoint(&here).await.unwrap();
    let through = shard.emptiable();
    assert!(through > 0, "something is old enough");
    shard
        .empty(&here, through, store::compact::Stories::NONE)
        .await
        .unwrap();
    shard.sweep(&here).await.unwrap();
}

/// The last segment has mail of 2000 and of 3000, and those before are emptied.
fn compacted(expunges: bool) -> (SimDisk, Mail) {
    let disk = SimDisk::new(6);
    life(&disk, 1000, &[900_000; 12], flag_some);
    life(&disk, 2000, &[900, 300_000, 5_000], flag_some);
    let then = mail(&disk.crash(1), 0).unwrap();
    let here = Here(disk.clone());
    life(
        &disk,
        3000,
        &[900, 900],
        async move |shard, account, inbox| {
            if expunges {
                expunge_some(&shard, account, inbox).await;
            }
            compact(&shard, here).await;
        },
    );
    back_up_at(&disk, 4000);
    let present = disk
        .paths()
        .into_iter()
        .filter(|path| path.starts_with("shard-00/log/"));
    assert!(
        present.clone().all(|path| !path.ends_with("0001.log")),
        "it was emptied"
    );
    (disk, then)
}

/// Restores to a moment; the check of what was made.
fn restored(disk: &SimDisk, until: i64) -> Result<(SimDisk, Checked), BackupError> {
    let at = disk.clone();
    let planned = Executor::new(disk.clone(), 7).finish(async move {
        let backup = open(&at).await;
        let generations = backup.generations().await?;
        let plan = Plan::until(&backup, &generations, until).await?;
        let target = Below::new(&at, "restored");
        backup::restore(&backup, &plan, &target, &|_, _| {}).await?;
        Ok::<_, BackupError>(plan)
    });
    let plan = planned.expect("it ends")?;
    assert!(plan.shards[0].rebuilt.is_some(), "there is no index so old");
    let alone = alone(disk, "restored");
    let at = alone.clone();
    let made = Executor::new(alone.clone(), 7)
        .finish(async move { repair::rebuild(&at, &owner(0), options(0), &mut |_| {}).await });
    let made = made
        .expect("it ends")
        .map_err(|error| error.to_string())
        .unwrap();
    assert!(made.facts > 15 && made.refused == 0, "{made:?}");
    let found = checked(&alone, 0);
    Ok((alone, found))
}

#[test]
fn a_moment_whose_log_is_archived_in_part_is_made_again() {
    let (disk, then) = compacted(false);
    let (made, found) = restored(&disk, 2500).unwrap();
    assert!(found.summary.is_clean(), "{}", found.told());
    assert!(mail(&made, 0).unwrap() == then);
    // It lives on, and its index can be made again once more.
    life(&made, 5000, &[70, 900_000], flag_some);
    let found = checked(&made, 0);
    assert!(found.summary.is_clean(), "{}", found.told());
    assert_eq!(mail(&made, 0).unwrap().len(), then.len() + 2);
}

/// What was expunged after the moment and compacted away cannot come back, and is not made up.
#[test]
fn mail_that_is_gone_by_now_is_noticed() {
    let (disk, then) = compacted(true);
    let (made, found) = restored(&disk, 2500).unwrap();
    let rows: Vec<u32> = found
        .unreadable()
        .into_iter()
        .map(|(.., uid)| uid)
        .collect();
    assert_eq!(rows, [3, 4], "{}", found.told());
    assert!(mail(&made, 0).unwrap().keys().eq(then.keys()));
}

#[test]
fn a_moment_within_archives_is_refused_with_its_neighbours() {
    let (disk, _) = compacted(false);
    match restored(&disk, 1500).map(drop) {
        Err(BackupError::TooEarly {
            earliest, latest, ..
        }) => assert_eq!((earliest, latest), (Some(2000), None)),
        other => panic!("{other:?}"),
    }
    let here = Here(disk.clone());
    life(&disk, 5000, &[900_000; 20], async move |shard, _, _| {
        compact(&shard, here).await
    });
    back_up_at(&disk, 6000);
    match restored(&disk, 4500).map(drop) {
        Err(BackupError::TooEarly { latest, .. }) => assert_eq!(latest, Some((1, 4000))),
        other => panic!("{other:?}"),
    }
}
