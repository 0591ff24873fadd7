//! Every kind of file flipped, cut, taken away and swapped: the check names it and its mail.

use super::*;

/// Files of the shard that it needs.
fn files(disk: &SimDisk, ending: &str) -> Vec<String> {
    let paths = disk.paths().into_iter();
    paths
        .filter(|path| path.starts_with("shard-00/") && path.ends_with(ending))
        .collect()
}

const ENDINGS: [(&str, Part); 4] = [
    ("MANIFEST", Part::Manifest),
    (".log", Part::Log),
    (".run", Part::Run),
    (".loc", Part::Locations),
];

/// Packs and archives of a shard, by what they are.
fn containers(disk: &SimDisk) -> Vec<(String, Part)> {
    let all = files(disk, ".pack").into_iter();
    all.map(|file| match file.contains("/archive/") {
        true => (file, Part::Archive),
        false => (file, Part::Pack),
    })
    .collect()
}

#[test]
fn packs_and_archives_are_looked_through() {
    let sound = packed();
    let whole = checked(&sound, 0);
    assert!(whole.summary.is_clean(), "{}", whole.told());
    assert!(whole.summary.packs > 0 && whole.summary.archives > 0);
    let mut seed = Seed::new(21);
    for (file, part) in containers(&sound) {
        let disk = sound.crash(1);
        disk.lose(&file);
        let found = checked(&disk, 0);
        assert!(found.has(part, &file), "{file}:\n{}", found.told());
        assert_eq!(part == Part::Pack, !found.unreadable().is_empty());
        let length = sound.contents(&file).len();
        for _ in 0..6 {
            let disk = sound.crash(1);
            let at = seed.below(length as u64) as usize;
            disk.edit(&file, |bytes| bytes[at] ^= 2);
            let found = checked(&disk, 0);
            let is_padding = sound.contents(&file)[at] == 0 && found.summary.is_clean();
            let is_named = found.has(part, &file) || found.has(Part::Listing, &file);
            assert!(is_named || is_padding, "{file}:\n{}", found.told());
            let seen = mail(&disk, 0).unwrap();
            let lost = seen.iter().filter(|(_, (_, _, octets))| octets.is_err());
            let lost: Vec<_> = lost.map(|(key, _)| key.clone()).collect();
            assert_eq!(found.unreadable(), lost, "{file} at {at}");
        }
        let disk = sound.crash(1);
        disk.edit(&file, |bytes| bytes.truncate(length / 2));
        assert!(checked(&disk, 0).has(part, &file));
    }
}

#[test]
fn a_missing_file_is_named() {
    let sound = furnished();
    for (ending, part) in ENDINGS {
        for file in files(&sound, ending) {
            let disk = sound.crash(1);
            disk.lose(&file);
            let found = checked(&disk, 0);
            assert!(found.has(part, &file), "{file}:\n{}", found.told());
        }
    }
}

#[test]
fn a_file_that_is_cut_off_is_named() {
    let sound = furnished();
    let last = files(&sound, ".log").pop().unwrap();
    for (ending, part) in ENDINGS {
        for file in files(&sound, ending) {
            for keep in [0, 100, 8192] {
                let disk = sound.crash(1);
                let before = disk.contents(&file).len();
                disk.edit(&file, |bytes| bytes.truncate(keep));
                let found = checked(&disk, 0);
                // A log that ends between two frames behind the last checkpoint is a log.
                let is_log = file == last && keep >= 4096;
                let is_told = found.has(part, &file) || keep >= before || is_log;
                assert!(is_told, "{file} cut to {keep}:\n{}", found.told());
            }
        }
    }
}

#[test]
fn files_of_another_shard_and_of_another_store_are_named() {
    let disk = furnished();
    furnish(&disk, 1);
    for (ending, part) in ENDINGS {
        for file in files(&disk, ending) {
            let other = disk.contents(&file.replace("shard-00", "shard-01"));
            let mixed = disk.crash(1);
            mixed.edit(&file, |bytes| *bytes = other);
            let found = checked(&mixed, 0);
            assert!(found.has(part, &file), "{file}:\n{}", found.told());
            assert!(found.told().contains("another shard"), "{}", found.told());
        }
    }
    let at = disk.clone();
    let found = Executor::new(disk, 3).finish(async move {
        let mut told = String::new();
        let other = Owner {
            store: [8; 16],
            ..owner(0)
        };
        let mut listener = |event| told.push_str(&format!("{event:?}"));
        check::check(&at, &other, &mut listener).await;
        told
    });
    assert!(found.unwrap().contains("another store"));
}

#[test]
fn a_flipped_bit_that_a_client_would_see_is_told_with_account_mailbox_and_uid() {
    let whole = furnished();
    let sound = mail(&whole, 0).unwrap();
    let mut seed = Seed::new(3);
    let mut told_rows = 0;
    for _ in 0..24 {
        let disk = whole.crash(1);
        let segments = files(&disk, ".log");
        let file = seed.pick(&(0..segments.len()).collect::<Vec<_>>()).unwrap();
        let file = &segments[file];
        let used = used(&disk.contents(file));
        let at = 4096 + seed.below(used as u64 - 4096) as usize;
        disk.edit(file, |bytes| bytes[at] ^= 1 << (at % 8));
        let found = checked(&disk, 0);
        // What the server says of the same store, where it still opens.
        let Ok(seen) = mail(&disk, 0) else {
            assert!(
                found.has(Part::Log, file),
                "{file} at {at}:\n{}",
                found.told()
            );
            continue;
        };
        let lost: Vec<_> = seen
            .iter()
            .filter(|(_, (_, _, octets))| octets.is_err())
            .map(|(key, _)| key.clone())
            .collect();
        assert_eq!(
            found.unreadable(),
            lost,
            "{file} at {at}:\n{}",
            found.told()
        );
        for (key, seen) in &seen {
            assert!(seen.2.is_err() || sound[key] == *seen);
        }
        told_rows += lost.len();
    }
    assert!(told_rows > 5, "the test shows nothing: {told_rows}");
}

/// Bytes before the zeros at the end of a segment.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0)
}

#[test]
fn every_flipped_bit_of_the_index_is_told() {
    let (sound, mut seed) = (furnished(), Seed::new(4));
    for (ending, part) in [ENDINGS[0], ENDINGS[2], ENDINGS[3]] {
        for file in files(&sound, ending) {
            let length = sound.contents(&file).len();
            for _ in 0..10 {
                let at = seed.below(length as u64) as usize;
                let damaged = sound.crash(1);
                damaged.edit(&file, |bytes| bytes[at] ^= 4);
                let found = checked(&damaged, 0);
                let is_padding = ending == ".run" && found.summary.is_clean();
                // Zeros between the cards and the directory are never looked at.
                let byte = sound.contents(&file)[at];
                assert!(
                    found.has(part, &file) || is_padding && byte == 0,
                    "{file} at {at}:\n{}",
                    found.told()
                );
            }
        }
    }
}
