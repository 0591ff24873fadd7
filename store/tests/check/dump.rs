//! A dump prints what is there, says what is damaged, and never panics.

use super::*;
use store::check::dump::{Line, What, dump};

fn lines(disk: &SimDisk, what: &What) -> Vec<Line> {
    let (at, what) = (disk.clone(), what.clone());
    let dumped = Executor::new(disk.clone(), 2).finish(async move {
        let mut lines = Vec::new();
        dump(&at, &owner(0), &what, &mut |line| lines.push(line)).await;
        lines
    });
    dumped.expect("a dump ends")
}

fn everything(disk: &SimDisk) -> Vec<What> {
    let paths = disk.paths().into_iter();
    paths
        .filter(|path| !path.ends_with(".spare"))
        .map(|path| path.parse().unwrap())
        .collect()
}

fn field<'a>(line: &'a Line, name: &str) -> &'a str {
    let found = line.fields.iter().find(|(known, _)| *known == name);
    found.map_or("", |(_, value)| value)
}

#[test]
fn every_file_is_printed_and_every_place_leads_to_its_record() {
    let disk = furnished();
    let (mut records, mut rows, mut locations) = (0, 0, 0);
    for what in everything(&disk) {
        let lines = lines(&disk, &what);
        assert!(!lines.is_empty());
        for line in &lines {
            assert!(
                line.kind != "damage" && field(line, "damage").is_empty(),
                "{line}"
            );
            records += u32::from(line.kind == "record");
            rows += u32::from(line.kind == "row");
            if line.kind == "location" && locations < 50 {
                locations += 1;
                let record = super::dump::lines(&disk, &field(line, "place").parse().unwrap());
                assert_eq!(field(&record[0], "object"), field(line, "object"));
                let is_message = ["MESSAGE", "ATTEMPT"].contains(&field(&record[0], "kind"));
                let kind = if is_message { "MESSAGE" } else { "SHARE" };
                assert_eq!(field(line, "kind"), kind);
            }
        }
    }
    assert!(records > 300 && rows > 100 && locations == 50);
}

#[test]
fn no_damage_ends_a_dump() {
    let sound = furnished();
    let files = everything(&sound);
    let paths: Vec<String> = sound.paths();
    let mut seed = Seed::new(17);
    let mut damaged = 0;
    for _ in 0..rounds() {
        let at = seed.below(files.len() as u64) as usize;
        let before = sound.contents(&paths[at]);
        let other = sound.contents(&paths[seed.below(paths.len() as u64) as usize]);
        sound.edit(&paths[at], |bytes| harm(bytes, &other, &mut seed));
        let told = lines(&sound, &files[at]);
        damaged += u32::from(told.iter().any(|line| line.kind == "damage"));
        sound.edit(&paths[at], |bytes| *bytes = before);
    }
    assert!(damaged > 0);
}

/// `RINGPOST_SEEDS=10000` is the nightly form.
fn rounds() -> u64 {
    let asked = std::env::var("RINGPOST_SEEDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(150)
}

fn harm(bytes: &mut Vec<u8>, other: &[u8], seed: &mut Seed) {
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64 + 1;
    for _ in 0..=seed.below(4) {
        let at = seed.below(used.min(bytes.len().max(1) as u64)) as usize;
        match seed.below(5) {
            0 => bytes.truncate(at),
            1 => {
                let end = (at + seed.below(9000) as usize).min(bytes.len());
                bytes
                    .get_mut(at..end)
                    .into_iter()
                    .for_each(|run| run.fill(seed.next() as u8));
            }
            2 => {
                let from = seed.below(other.len().max(1) as u64) as usize;
                let run = &other[from..other.len().min(from + 5000)];
                let room = bytes.len().saturating_sub(at).min(run.len());
                bytes.splice(
                    at.min(bytes.len())..at.min(bytes.len()) + room,
                    run[..room].to_vec(),
                );
            }
            _ => bytes
                .get_mut(at)
                .into_iter()
                .for_each(|byte| *byte ^= 1 << seed.below(8)),
        }
    }
}
