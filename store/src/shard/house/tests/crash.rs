//! A power cut or a full disk at every step of a compaction.

use super::{EAGER, Rig};
use crate::disk::fault::WriteFault;
use crate::disk::sim::SimDisk;

const OCTETS: &[usize] = &[4000, 5000, 300_000, 60, 70_000];

/// Two segments with mail, and one behind them.
fn filled() -> Rig {
    let mut rig = Rig::open(SimDisk::new(1));
    rig.fill(&[4000, 5000, 300_000]);
    rig.roll();
    rig.fill(&[60, 70_000]);
    rig.roll();
    rig
}

#[test]
fn after_a_power_cut_at_every_write_everything_is_there() {
    let mut whole = filled();
    let before = whole.disk.writes();
    whole.keep_house();
    let writes = whole.disk.writes() - before;
    assert!(
        writes > 8,
        "a run, locations, a pack, an archive, manifests"
    );
    for cut in 0..writes {
        let rig = filled();
        let Rig {
            disk,
            mut executor,
            shard,
        } = rig;
        let here = super::Here(disk.clone());
        executor.spawn(async move { drop(shard.keep_house(&here, &EAGER).await) });
        while disk.writes() - before < cut && executor.turn() {}
        // Some operations more, so that names change, too.
        for turns in [0, 3] {
            executor.run(turns);
            let mut rig = Rig::open(disk.crash(cut));
            rig.assert_whole(OCTETS);
            rig.keep_house();
            rig.assert_whole(OCTETS);
            assert_eq!(left_over(&rig), [""; 0]);
        }
    }
}

#[test]
fn a_task_that_fails_at_any_write_leaves_nothing_behind() {
    let mut whole = filled();
    let before = whole.disk.writes();
    whole.keep_house();
    let writes = whole.disk.writes() - before;
    for failing in 1..=writes {
        let mut rig = filled();
        rig.disk.faults(|faults| {
            faults.failing_writes = vec![(before + failing, WriteFault::Full)];
        });
        let kept = rig.run(async |shard, here| shard.keep_house(&here, &EAGER).await);
        assert!(kept.is_err(), "write {failing} was needed");
        rig.assert_whole(OCTETS);
        rig.keep_house();
        rig.assert_whole(OCTETS);
        assert_eq!(left_over(&rig), [""; 0]);
        rig.crash().assert_whole(OCTETS);
    }
}

#[test]
fn a_full_disk_leaves_the_old_files() {
    let mut rig = filled();
    rig.run(async |shard, here| shard.checkpoint(&here).await.unwrap());
    let used = |rig: &Rig| -> u64 {
        let paths = rig.disk.paths();
        paths
            .iter()
            .map(|path| rig.disk.contents(path).len() as u64)
            .sum()
    };
    let before = used(&rig);
    rig.disk
        .faults(|faults| faults.space = Some(before + 8_192));
    let emptied = rig.run(async |shard, here| {
        shard
            .empty(&here, u32::MAX, crate::compact::Stories::ALL)
            .await
    });
    assert!(emptied.is_err());
    assert_eq!(used(&rig), before, "its own files are gone");
    rig.assert_whole(OCTETS);
    rig.disk.faults(|faults| faults.space = None);
    let report = rig.keep_house();
    assert!(report.segments_emptied >= 2);
    rig.crash().assert_whole(OCTETS);
}

/// Files of the shard that its manifest does not name.
fn left_over(rig: &Rig) -> Vec<String> {
    let manifest = rig.shard.manifest();
    let number = |path: &String| {
        let name = path.rsplit('/').next()?;
        u32::from_str_radix(name.split('.').rev().nth(1)?, 16).ok()
    };
    let is_named = |path: &String| {
        let number = number(path).unwrap_or(0);
        let runs = manifest.runs.iter().map(|run| run.number);
        let chunks = manifest.locations.iter().map(|chunk| chunk.generation);
        let packs = manifest.packs.iter().map(|pack| pack.number);
        let archives = manifest.archives.iter().map(|archive| archive.number);
        let mut all = runs.chain(chunks).chain(packs).chain(archives);
        all.any(|known| known == number)
    };
    let files = rig.disk.paths().into_iter();
    let files = files.filter(|path| !path.contains("/log/") && !path.ends_with("MANIFEST"));
    files.filter(|path| !is_named(path)).collect()
}
