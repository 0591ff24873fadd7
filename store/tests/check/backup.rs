//! Backups looked through and pruned: every damage is named with the generations that it costs, and
//! what is kept stays whole wherever a pruning is cut short.

use super::below::Below;
use super::*;
use std::num::NonZeroUsize;
use store::backup::{self, Backup, BackupError, Plan, Pruned, Verified};
use store::disk::home::Identity;
use store::disk::{Disk, Mode};

const PLACE: &str = "backup";

/// Three generations of a store that was compacted between them.
fn backed_up() -> SimDisk {
    let disk = furnished();
    back_up(&disk);
    let here = Here(disk.clone());
    with_shard(&disk, 0, async move |shard| {
        shard.checkpoint(&here).await.unwrap();
        let through = shard.emptiable();
        assert!(through > 0, "something is old enough");
        shard
            .empty(&here, through, store::compact::Stories::NONE)
            .await
            .unwrap();
        shard.sweep(&here).await.unwrap();
    })
    .unwrap();
    back_up(&disk);
    let here = Here(disk.clone());
    with_shard(&disk, 0, async move |shard| {
        let account = shard.open_account(ANNA).await.unwrap();
        let inbox = shard.mailbox(account, "INBOX").unwrap().id;
        append(&shard, account, inbox, &mut Seed::new(77), 5000).await;
        shard.checkpoint(&here).await.unwrap();
    })
    .unwrap();
    back_up(&disk);
    disk
}

#[test]
fn a_whole_backup_is_found_whole() {
    let found = verified(&backed_up());
    assert_eq!(found.faults, []);
    assert_eq!(found.generations, 3);
    assert!(found.files > 10 && found.bytes > 1_000_000, "{found:?}");
}

#[test]
fn every_damage_is_named_with_what_it_costs() {
    let sound = backed_up();
    let mut seed = Seed::new(4);
    let paths = files(&sound);
    for kind in [
        "/list",
        "/MANIFEST",
        "/tail",
        ".run",
        ".loc",
        ".log",
        "packs/",
        "archive/",
    ] {
        assert!(paths.iter().any(|path| path.contains(kind)), "no {kind}");
    }
    for path in paths.iter().filter(|path| *path != "backup/backup") {
        let below = path.strip_prefix("backup/").unwrap();
        let whole = sound.contents(path);
        let lost = sound.crash(1);
        lost.lose(path);
        // Without a list a generation may be one that never was; the last one is.
        let is_last_list = below == "generations/00000003/list";
        let is_first_list = below == "generations/00000001/list";
        assert_eq!(
            names(&lost, below),
            !is_last_list && !is_first_list,
            "{path} is gone"
        );
        let cut = sound.crash(1);
        cut.edit(path, |octets| octets.truncate(whole.len() / 2));
        let is_padding = whole[whole.len() / 2..].iter().all(|octet| *octet == b'\n');
        let is_harmless = is_padding || is_beyond(&sound, below, whole.len() as u64 / 2);
        let is_told = names(&cut, below) || is_harmless;
        assert!(is_told, "{path} is cut");
        for _ in 0..3 {
            let at = seed.below(whole.len() as u64);
            let flipped = sound.crash(1);
            flipped.edit(path, |octets| octets[at as usize] ^= 4);
            let is_told = names(&flipped, below) || is_beyond(&sound, below, at);
            assert!(is_told, "{path} is flipped at {at} of {}", whole.len());
        }
    }
}

/// Whether no generation counts on what lies there: behind the mirror's part of a segment.
fn is_beyond(disk: &SimDisk, below: &str, at: u64) -> bool {
    let at_disk = disk.clone();
    let generations = Executor::new(disk.clone(), 3).finish(async move {
        let backup = open(&at_disk).await;
        backup.generations().await.unwrap()
    });
    let all = generations.unwrap();
    let counted = all.iter().flat_map(|generation| {
        let copy = &generation.shards[0];
        let last = copy.segments.last().unwrap().number;
        copy.segments.iter().map(move |segment| match copy.tail {
            Some(tail) if segment.number == last => (segment.number, tail.offset),
            _ => (segment.number, segment.bytes),
        })
    });
    let mut counted = counted.filter(|(number, _)| below.ends_with(&format!("{number:016x}.log")));
    below.ends_with(".log") && counted.all(|(_, bytes)| bytes <= at)
}

#[test]
fn what_is_kept_stays_whole_and_all_else_goes() {
    let sound = backed_up();
    let before = files(&sound).len();
    let disk = sound.crash(1);
    let pruned = prune(&disk, 1).unwrap();
    assert_eq!((pruned.generations, pruned.kept), (vec![1, 2], vec![3]));
    assert_eq!(before - files(&disk).len(), pruned.files as usize);
    let log = |disk: &SimDisk| {
        files(disk)
            .iter()
            .filter(|path| path.ends_with(".log"))
            .count()
    };
    assert!(log(&disk) < log(&sound), "segments were given back");
    let found = verified(&disk);
    assert_eq!((found.faults, found.generations), (Vec::new(), 1));
    let again = prune(&disk, 1).unwrap();
    assert_eq!((again.files, again.generations), (0, Vec::new()));
    assert_eq!(mail(&restored(&disk, 0), 0), mail(&sound, 0));
    back_up(&disk);
    let found = verified(&disk);
    assert_eq!((found.faults, found.generations), (Vec::new(), 2));
}

#[test]
fn a_pruning_that_is_cut_short_leaves_whole_generations() {
    let sound = backed_up();
    let mut seed = Seed::new(8);
    let mut left = BTreeMap::<u32, u32>::new();
    for turns in (0..).step_by(7) {
        let disk = sound.crash(seed.next());
        let mut executor = Executor::new(disk.clone(), seed.next());
        let at = disk.clone();
        executor.spawn(async move {
            let backup = open(&at).await;
            backup::prune(&backup, NonZeroUsize::MIN, &|_, _| {})
                .await
                .map(drop)
                .unwrap();
        });
        executor.run(turns);
        let disk = disk.crash(seed.next());
        let found = verified(&disk);
        assert_eq!(found.faults, [], "after {turns} turns");
        *left.entry(found.generations).or_default() += 1;
        let pruned = prune(&disk, 1).unwrap();
        assert_eq!(mail(&restored(&disk, 0), 0), mail(&sound, 0));
        if pruned.files == 0 {
            break;
        }
    }
    assert_eq!(left.len(), 3, "it was cut short at every stage: {left:?}");
}

#[test]
fn a_list_that_cannot_be_read_may_name_anything() {
    let disk = backed_up();
    disk.edit("backup/generations/00000003/list", |octets| {
        octets[100] ^= 1
    });
    let before = contents(&disk);
    assert!(matches!(prune(&disk, 2), Err(BackupError::Damaged { .. })));
    assert!(before == contents(&disk), "nothing is removed");
}

fn back_up(disk: &SimDisk) {
    back_up_at(disk, 0);
}

pub(crate) fn back_up_at(disk: &SimDisk, now_secs: i64) {
    let at = disk.clone();
    let taken = Executor::new(disk.clone(), 7).finish(async move {
        let identity = Identity {
            uuid: STORE,
            shards: 1,
        };
        let backup = Backup::open_or_make(Below::new(&at, PLACE), identity).await?;
        backup::take(&at, &backup, now_secs, &|_, _| {}).await
    });
    taken.expect("a backup ends").unwrap();
}

pub(crate) async fn open(disk: &SimDisk) -> Backup<Below<SimDisk>> {
    Backup::open(Below::new(disk, PLACE)).await.unwrap()
}

fn verified(disk: &SimDisk) -> Verified {
    let at = disk.clone();
    let verified = Executor::new(disk.clone(), 7).finish(async move {
        let backup = open(&at).await;
        backup::verify(&backup, &|_, _| {}).await
    });
    verified.expect("it ends").unwrap()
}

fn names(disk: &SimDisk, path: &str) -> bool {
    let found = verified(disk);
    assert!(
        found
            .faults
            .iter()
            .all(|fault| !fault.generations.is_empty())
    );
    found.faults.iter().any(|fault| fault.path == path)
}

fn prune(disk: &SimDisk, keep: usize) -> Result<Pruned, BackupError> {
    let at = disk.clone();
    let keep = NonZeroUsize::new(keep).unwrap();
    let pruned = Executor::new(disk.clone(), 7).finish(async move {
        let backup = open(&at).await;
        backup::prune(&backup, keep, &|_, _| {}).await
    });
    pruned.expect("it ends")
}

/// A generation, counted from the oldest, as a store of its own.
fn restored(disk: &SimDisk, at: usize) -> SimDisk {
    let from = disk.clone();
    let restoring = async move {
        let backup = open(&from).await;
        let generations = backup.generations().await.unwrap();
        let plan = Plan::whole(&backup.identity, &generations[at]);
        let target = Below::new(&from, "restored");
        backup::restore(&backup, &plan, &target, &|_, _| {}).await
    };
    let restored = Executor::new(disk.clone(), 7).finish(restoring);
    restored.expect("restoring ends").unwrap();
    alone(disk, "restored")
}

/// A directory of a disk as a disk.
pub(crate) fn alone(disk: &SimDisk, directory: &str) -> SimDisk {
    let alone = SimDisk::new(8);
    for path in disk.paths() {
        if let Some(below) = path.strip_prefix(&format!("{directory}/")) {
            let (at, name) = (alone.clone(), below.to_owned());
            let made = async move { at.open(&name, Mode::Create).await.map(drop) };
            Executor::new(alone.clone(), 9)
                .finish(made)
                .unwrap()
                .unwrap();
            alone.edit(below, |octets| *octets = disk.contents(&path));
        }
    }
    alone
}

/// All files of the backup.
fn files(disk: &SimDisk) -> Vec<String> {
    let paths = disk.paths().into_iter();
    paths.filter(|path| path.starts_with("backup/")).collect()
}
