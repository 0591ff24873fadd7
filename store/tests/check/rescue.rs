//! Damaged packs and archives are written anew: what can be read of them is saved, what cannot is
//! named, and from then on they are in nobody's way.

use super::repair::{ASIDE, lost, repaired};
use super::*;
use store::compact::Policy;

/// Packs and archives of the shard.
fn containers(disk: &SimDisk) -> Vec<String> {
    let paths = disk.paths().into_iter();
    paths
        .filter(|path| path.starts_with("shard-00/") && path.ends_with(".pack"))
        .collect()
}

/// Repairs, and holds what is left against what was there.
fn rescue(disk: &SimDisk, file: &str, sound: &Mail) -> usize {
    let damaged = disk.contents(file);
    let (done, notes) = repaired(disk);
    assert_eq!(done.rewritten, [file], "{notes:?}");
    assert!(disk.contents(file).is_empty(), "{file} is out of the way");
    assert!(
        disk.contents(&format!("{ASIDE}/{file}")) == damaged,
        "it is kept"
    );
    let found = checked(disk, 0);
    let is_mail = |damage: &Damage| damage.part == Part::Message;
    assert!(
        found.damages.iter().all(is_mail),
        "{file}: {}",
        found.told()
    );
    let after = mail(disk, 0).unwrap();
    assert!(after.keys().eq(sound.keys()), "no row comes or goes");
    for (key, seen) in &after {
        let was = &sound[key];
        let is_same = (seen.0, seen.1) == (was.0, was.1) && (seen.2 == was.2 || seen.2.is_err());
        assert!(is_same, "{key:?} is not what it was");
    }
    assert_eq!(found.unreadable(), lost(&after));
    let lost = found.unreadable().len();
    let told = done.lost.iter().filter(|line| line.contains("uid"));
    assert_eq!(told.count(), lost, "{:?}", done.lost);
    lost
}

#[test]
fn flipped_bits_cost_what_they_hit_and_nothing_else() {
    let whole = packed();
    let sound = mail(&whole.crash(1), 0).unwrap();
    let mut seed = Seed::new(31);
    let (mut cost, mut free) = (0, 0);
    for file in containers(&whole) {
        let length = whole.contents(&file).len() as u64;
        for _ in 0..10 {
            let disk = whole.crash(1);
            let at = seed.below(length) as usize;
            disk.edit(&file, |bytes| bytes[at] ^= 1 << seed.below(8));
            let before = checked(&disk, 0);
            if before.summary.is_clean() {
                continue;
            }
            let lost = rescue(&disk, &file, &sound);
            assert!(lost <= before.unreadable().len(), "{file} at {at}");
            assert!(lost <= 60, "{file} at {at}: {lost} are lost");
            cost += u32::from(lost > 0);
            free += u32::from(lost == 0);
        }
    }
    assert!(
        cost > 3 && free > 3,
        "{cost} times mail was lost, {free} times not"
    );
}

#[test]
fn a_damaged_header_or_table_costs_at_most_a_block() {
    let whole = packed();
    let sound = mail(&whole.crash(1), 0).unwrap();
    for file in containers(&whole) {
        let used = whole
            .contents(&file)
            .iter()
            .rposition(|octet| *octet != 0)
            .unwrap();
        for at in [45, 70, 100, 4094, used, used - 30] {
            let disk = whole.crash(1);
            disk.edit(&file, |bytes| bytes[at] ^= 4);
            let found = checked(&disk, 0);
            assert!(found.has(part(&file), &file) || found.has(Part::Listing, &file));
            let lost = rescue(&disk, &file, &sound);
            let most = if at > 4096 { 60 } else { 0 };
            assert!(lost <= most, "{file} at {at}: {lost} are lost");
        }
    }
}

fn part(file: &str) -> Part {
    match file.contains("/archive/") {
        true => Part::Archive,
        false => Part::Pack,
    }
}

/// Nothing tells any more what it was: what it had is lost, and each message of it is named.
#[test]
fn a_file_that_is_gone_or_foreign_is_replaced_by_what_is_left() {
    let whole = packed();
    let sound = mail(&whole.crash(1), 0).unwrap();
    for file in containers(&whole) {
        let foreign = whole.crash(1);
        foreign.edit(&file, |bytes| bytes[20] ^= 1);
        let lost = rescue(&foreign, &file, &sound);
        assert_eq!(lost > 0, part(&file) == Part::Pack);

        let gone = whole.crash(1);
        gone.lose(&file);
        let (done, _) = repaired(&gone);
        assert_eq!(done.rewritten, std::slice::from_ref(&file));
        assert_eq!(checked(&gone, 0).unreadable().len(), lost);
    }
}

/// Before, a damaged pack kept every other one from being written anew.
#[test]
fn a_store_with_a_rescued_pack_is_compacted_like_any_other() {
    let disk = packed();
    let file = containers(&disk)
        .into_iter()
        .find(|file| part(file) == Part::Pack)
        .unwrap();
    disk.edit(&file, |bytes| bytes[40_000] ^= 1);
    let sound = mail(&packed(), 0).unwrap();
    let lost = rescue(&disk, &file, &sound);
    assert!(lost > 0);
    let here = Here(disk.clone());
    with_shard(&disk, 0, async move |shard| {
        for address in [ANNA, BERT] {
            let account = shard.open_account(address).await.unwrap();
            let inbox = shard.mailbox(account, "INBOX").unwrap().id;
            let most = UidSet::from_ranges([(1, 70)]);
            let names = FlagNames {
                flags: Flags::DELETED,
                ..FlagNames::default()
            };
            flag(&shard, account, inbox, &most, names).await;
            shard.expunge(account, inbox, &most).await.unwrap();
        }
        shard.checkpoint(&here).await.unwrap();
        let policy = Policy {
            dead_percent: 1,
            ..Policy::default()
        };
        let held = std::sync::Arc::from([]);
        let report = shard
            .compact(&here, Task::Repack { policy, held })
            .await
            .unwrap();
        assert!(
            report.packs_emptied > 0 && report.damage.is_empty(),
            "{report:?}"
        );
        shard.sweep(&here).await.unwrap();
    })
    .unwrap();
    let found = checked(&disk, 0);
    assert!(
        found
            .damages
            .iter()
            .all(|damage| damage.part == Part::Message)
    );
    assert!(found.unreadable().len() <= lost);
}

#[test]
fn a_rescue_that_is_cut_short_loses_nothing_more() {
    let whole = packed();
    let file = containers(&whole)
        .into_iter()
        .find(|file| part(file) == Part::Pack)
        .unwrap();
    whole.edit(&file, |bytes| bytes[40_000] ^= 1);
    let before = mail(&whole.crash(1), 0).unwrap();
    let mut stages = (0, 0);
    for seed in 0..12 {
        let disk = whole.crash(seed);
        let found = checked(&disk, 0).summary;
        let mut executor = Executor::new(disk.clone(), seed);
        let at = disk.clone();
        executor.spawn(async move {
            let order = super::repair::order();
            let _ = store::check::repair::repair(&at, &owner(0), &order, &found, &mut |_| {}).await;
        });
        executor.run(seed as usize * 400);
        let disk = disk.crash(seed);
        let seen = mail(&disk.crash(1), 0).unwrap();
        assert!(lost(&seen) == lost(&before), "seed {seed}");
        match checked(&disk, 0).has(Part::Pack, &file) {
            true => stages.0 += 1,
            false => stages.1 += 1,
        }
    }
    assert!(
        stages.0 > 0 && stages.1 > 0,
        "{stages:?}: the cuts are all alike"
    );
}
