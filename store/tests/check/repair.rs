//! What can still be read is saved, what cannot is told, and nothing is invented.

use super::*;
use store::check::repair::{Order, Repaired, repair};
use store::disk::Disk;
use store::pack::listing::{Lister, ListingFile};
use store::pack::{Pack, PackHead, PackWriter};

pub(crate) const ASIDE: &str = "repair-test";

pub(crate) fn order() -> Order {
    Order {
        aside: ASIDE.to_owned(),
        options: options(0),
    }
}

pub(crate) fn repaired(disk: &SimDisk) -> (Repaired, Vec<String>) {
    let found = checked(disk, 0);
    assert!(!found.summary.is_clean(), "there is something to repair");
    let at = disk.clone();
    let outcome = Executor::new(disk.clone(), 4).finish(async move {
        let order = order();
        let mut notes = Vec::new();
        let mut listener = |event| notes.push(format!("{event:?}"));
        let done = repair(&at, &owner(0), &order, &found.summary, &mut listener).await;
        (done.unwrap_or_else(|error| panic!("{error}")), notes)
    });
    outcome.expect("a repair ends")
}

fn lose_index(disk: &SimDisk) {
    for path in disk.paths() {
        if path.ends_with("MANIFEST") || path.contains("/index/") {
            disk.lose(&path);
        }
    }
}

pub(crate) fn lost(mail: &Mail) -> Vec<(String, String, u32)> {
    let unreadable = mail.iter().filter(|(_, (_, _, octets))| octets.is_err());
    unreadable.map(|(key, _)| key.clone()).collect()
}

#[test]
fn a_store_without_index_and_manifest_is_rebuilt_with_flags_and_uids() {
    for disk in [furnished(), packed()] {
        let before = mail(&disk, 0).unwrap();
        assert!(lost(&before).is_empty());
        let had_packs = disk.paths().iter().any(|path| path.ends_with(".pack"));
        lose_index(&disk);
        if !had_packs {
            // All is in the log then, and a start reads it anew.
            let found = checked(&disk, 0);
            assert!(found.summary.is_clean(), "{}", found.told());
            continue;
        }
        let (done, notes) = repaired(&disk);
        assert!(done.is_rebuilt && done.refused == 0, "{notes:?}");
        let found = checked(&disk, 0);
        assert!(found.summary.is_clean(), "{}", found.told());
        assert!(mail(&disk, 0).unwrap() == before);
        let found = checked(&disk, 0);
        assert!(found.summary.is_clean(), "{}", found.told());
    }
}

#[test]
fn any_file_of_the_index_can_be_made_again() {
    for sound in [furnished(), packed()] {
        let before = mail(&sound.crash(1), 0).unwrap();
        for path in sound.paths() {
            if !path.contains("/index/") && !path.ends_with("MANIFEST") {
                continue;
            }
            let disk = sound.crash(1);
            disk.edit(&path, |bytes| {
                let at = bytes.len() / 2;
                bytes[at] ^= 1;
                bytes[40] ^= 1;
            });
            let damaged = disk.contents(&path);
            let (done, notes) = repaired(&disk);
            assert!(done.is_rebuilt && done.refused == 0, "{path}: {notes:?}");
            assert_eq!(
                disk.contents(&format!("{ASIDE}/{path}")),
                damaged,
                "it is kept"
            );
            let found = checked(&disk, 0);
            assert!(found.summary.is_clean(), "{path}: {}", found.told());
            assert!(mail(&disk, 0).unwrap() == before, "{path}");
        }
    }
}

#[test]
fn a_damaged_log_is_emptied_and_only_what_is_damaged_is_lost() {
    let mut seed = Seed::new(8);
    let whole = furnished();
    let sound = mail(&whole.crash(1), 0).unwrap();
    let segments: Vec<String> = whole
        .paths()
        .into_iter()
        .filter(|p| p.ends_with(".log"))
        .collect();
    let mut salvaged = 0;
    for round in 0..9 {
        let disk = whole.crash(1);
        let file = &segments[round % segments.len()];
        let used = disk
            .contents(file)
            .iter()
            .rposition(|byte| *byte != 0)
            .unwrap() as u64;
        let at = (4096 + seed.below(used - 4096)) as usize;
        let end = (at + [1, 600, 20_000][round % 3]).min(used as usize);
        disk.edit(file, |bytes| {
            bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0x55)
        });
        if checked(&disk, 0).summary.is_clean() {
            continue;
        }
        let (done, notes) = repaired(&disk);
        let found = checked(&disk, 0);
        let only_mail = found
            .damages
            .iter()
            .all(|damage| damage.part == Part::Message);
        assert!(only_mail, "{file} at {at}: {}\n{notes:?}", found.told());
        let after = mail(&disk, 0).unwrap_or_else(|error| panic!("{file} at {at}: {error}"));
        assert_eq!(found.unreadable(), lost(&after));
        for (key, seen) in &after {
            let was = sound.get(key);
            let same = was.is_some_and(|was| was.2 == seen.2 || seen.2.is_err());
            assert!(same, "{key:?} is not what it was");
        }
        let gone = sound.len() - after.len();
        assert!(
            gone <= 40,
            "{file} at {at}: {gone} rows are gone\n{notes:?}"
        );
        salvaged += u32::from(done.emptied.is_some());
    }
    assert!(salvaged > 4, "{salvaged}");
}

#[test]
fn a_missing_segment_costs_what_was_in_it() {
    let whole = furnished();
    let segments: Vec<String> = whole
        .paths()
        .into_iter()
        .filter(|p| p.ends_with(".log"))
        .collect();
    for file in &segments {
        let disk = whole.crash(1);
        disk.lose(file);
        repaired(&disk);
        let found = checked(&disk, 0);
        let only_mail = found
            .damages
            .iter()
            .all(|damage| damage.part == Part::Message);
        assert!(only_mail, "{file}: {}", found.told());
        let after = mail(&disk, 0).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(found.unreadable(), lost(&after));
        assert!(after.len() > 100);
    }
}

#[test]
fn a_repair_that_is_cut_short_loses_nothing() {
    let whole = packed();
    let before = mail(&whole.crash(1), 0).unwrap();
    let mut refused = 0;
    for seed in 0..12 {
        // From nothing done to all done.
        let disk = whole.crash(1);
        let run = disk.paths().into_iter().find(|path| path.ends_with(".run"));
        disk.edit(&run.unwrap(), |bytes| bytes[40] ^= 1);
        let found = checked(&disk, 0);
        let mut executor = Executor::new(disk.clone(), seed);
        let at = disk.clone();
        executor.spawn(async move {
            let order = order();
            let summary = found.summary;
            let _ = repair(&at, &owner(0), &order, &summary, &mut |_| {}).await;
        });
        executor.run(seed as usize * 160);
        let disk = disk.crash(seed);
        match mail(&disk.crash(1), 0) {
            Ok(seen) => assert!(seen == before, "seed {seed}: opened with other mail"),
            Err(_) => refused += 1,
        }
        if !checked(&disk, 0).summary.is_clean() {
            repaired(&disk);
        }
        assert!(checked(&disk, 0).summary.is_clean(), "seed {seed}");
        assert!(mail(&disk, 0).unwrap() == before, "seed {seed}");
    }
    assert!(
        (1..12).contains(&refused),
        "{refused}: the cuts are all alike"
    );
}

/// Damage in what packs list costs no mail: it is told, and the list is made anew.
#[test]
fn a_damaged_listing_is_made_anew() {
    let sound = packed();
    let before = mail(&sound.crash(1), 0).unwrap();
    let path = listing_packs(&sound).pop().expect("packs list their mail");
    let whole = sound.contents(&path);
    let span = |at: usize| u64::from_le_bytes(whole[at..at + 8].try_into().unwrap()) as usize;
    let (begin, table) = (span(104), span(112));
    for at in [begin, table - 1, table, table + 23] {
        let disk = sound.crash(1);
        disk.edit(&path, |bytes| bytes[at] ^= 4);
        is_made_anew(&disk, &path);
        assert!(mail(&disk, 0).unwrap() == before);
    }
    let forged = listing_other_fields(&sound.crash(1), &path);
    is_made_anew(&forged, &path);
    assert!(mail(&forged, 0).unwrap() == before);
}

fn is_made_anew(disk: &SimDisk, path: &str) {
    let found = checked(disk, 0);
    assert!(found.has(Part::Listing, path), "{}", found.told());
    assert_eq!(found.summary.damage_count(), 1, "{}", found.told());
    let (done, _) = repaired(disk);
    assert_eq!((done.rewritten, done.lost), (vec![path.to_owned()], vec![]));
    let found = checked(disk, 0);
    assert!(found.summary.is_clean(), "{}", found.told());
    let lists = listing_packs(disk);
    assert!(!lists.is_empty() && !lists.iter().any(|other| other == path));
}

fn listing_packs(disk: &SimDisk) -> Vec<String> {
    let mut paths = disk.paths();
    paths.retain(|path| {
        path.starts_with("shard-00/packs/") && disk.contents(path)[104..112] != [0; 8]
    });
    paths
}

/// The same pack, whose listing is whole and lies.
fn listing_other_fields(disk: &SimDisk, path: &str) -> SimDisk {
    let number = u32::from_str_radix(&path[path.len() - 13..path.len() - 5], 16).unwrap();
    let head = PackHead {
        store: STORE,
        shard: ShardId(0),
        number,
    };
    let (at, from) = (disk.clone(), path.to_owned());
    let written = Executor::new(disk.clone(), 4).finish(async move {
        let pack = Pack::open(&at, &from, head).await.unwrap();
        let mut records = Vec::new();
        pack.scan(|_, record| {
            let record = record.unwrap();
            let payload = record.payload.to_vec();
            records.push((record.kind, record.account, record.lsn, payload));
        })
        .await;
        let mut listed = Vec::new();
        let listing = ListingFile::open(&at, &from, head).await.unwrap().unwrap();
        listing.scan(|entry| listed.push(entry.unwrap())).await;
        let mut lister = Lister::default();
        for (place, mut listed) in listed {
            let hello = listed.fields.iter().position(|octet| *octet == b'h');
            hello.into_iter().for_each(|at| listed.fields[at] = b'H');
            lister.add(place, &listed);
        }
        let draft = format!("{from}.forged");
        let mut writer = PackWriter::create(at.clone(), &draft, head).await.unwrap();
        for (kind, account, lsn, payload) in &records {
            let added = writer.add(*kind, *account, *lsn, &[payload]).await;
            added.unwrap();
        }
        writer.finish_with(&lister.take()).await.unwrap();
        at.rename(&draft, &from).await.unwrap();
    });
    written.expect("a pack is written");
    disk.crash(1)
}
