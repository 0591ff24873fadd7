//! Segments from front to end, whole and damaged.
//!
//! What would break for a user if this failed: the compactor or the checker takes less, or what
//! else, out of a segment than was written to it.

use super::{DIRECTORY, Rig, STORE, Seen, content, open, path, seeds};
use store::disk::executor::Executor;
use store::disk::fault::{Seed, WriteFault};
use store::disk::sim::SimDisk;
use store::log::scan::{Scanned, Segment};
use store::mail::id::ShardId;

/// What a scan of all segments finds: records of good frames, records within damage, damage.
#[derive(Default)]
struct Found {
    whole: Vec<Seen>,
    salvaged: Vec<Seen>,
    /// Segment, offset, octets.
    damage: Vec<(u32, u64, u64)>,
}

fn scan(disk: &SimDisk, segments: u32) -> Found {
    let at = disk.clone();
    let scanning = async move {
        let open = async |number| {
            let shard = ShardId(0);
            Segment::open(&at, DIRECTORY, STORE, shard, number)
                .await
                .unwrap()
        };
        let mut found = Found::default();
        for number in 1..=segments {
            let end = match number < segments {
                true => Some(open(number + 1).await.previous()),
                false => None,
            };
            let segment = open(number).await;
            let mut scan = segment.scan(end);
            while let Some(scanned) = scan.next().await.unwrap() {
                take(&scanned, number, &mut found);
            }
        }
        found
    };
    let finished = Executor::new(disk.clone(), 1).finish(scanning);
    finished.expect("a scan ends")
}

fn take(scanned: &Scanned, segment: u32, found: &mut Found) {
    let seen = |(place, record): (_, store::log::RecordRef<'_>)| Seen {
        place,
        lsn: record.lsn.0,
        payload: record.payload.to_vec(),
    };
    match scanned {
        Scanned::Frame(frame) => found.whole.extend(frame.records().map(seen)),
        Scanned::Damage(damage) => {
            found.salvaged.extend(damage.records().map(seen));
            found.damage.push((segment, damage.offset, damage.bytes));
        }
    }
}

/// A log of some segments; some of its writes failed.
fn written(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    let mut rig = Rig::running(&disk);
    let mut dice = Seed::new(seed);
    for id in 0..40 {
        let octets = dice.pick(&[40, 5_000, 900_000]).unwrap();
        if dice.chance(150) {
            let next = disk.writes() + 1;
            disk.faults(|faults| faults.failing_writes = vec![(next, WriteFault::Io)]);
        }
        rig.put(&content(id, octets)).unwrap();
    }
    disk.crash(seed)
}

#[test]
fn a_scan_finds_what_a_replay_does() {
    for seed in 1..=seeds(3) {
        let disk = written(seed);
        let replay = open(&disk, 1).unwrap();
        let found = scan(&disk, replay.recovered.segments);
        assert_eq!(found.whole, replay.replayed, "seed {seed}");
        assert_eq!(found.damage, []);
    }
}

#[test]
fn damage_costs_no_record_but_its_own() {
    for seed in 1..=seeds(6) {
        let disk = written(seed);
        let replay = open(&disk, 1).unwrap();
        let segments = replay.recovered.segments;
        let mut dice = Seed::new(seed ^ 0xda3a6e);
        // Not in the last segment, where an end cannot be told from damage.
        let candidates = replay.replayed.iter();
        let candidates: Vec<&Seen> = candidates
            .filter(|seen| seen.place.segment() < segments)
            .collect();
        let Some(victim) = candidates.get(dice.below(candidates.len() as u64) as usize) else {
            continue;
        };
        let offset = victim.place.offset() + dice.below(24 + victim.payload.len() as u64);
        let at = path(victim.place.segment());
        disk.edit(&at, |bytes| bytes[offset as usize] ^= 4);
        let found = scan(&disk, segments);
        let mut left = [found.whole, found.salvaged].concat();
        left.sort_by_key(|seen| seen.place);
        let mut expected = replay.replayed.clone();
        expected.retain(|seen| seen.place != victim.place);
        assert_eq!(left, expected, "seed {seed}");
        let covers = |(segment, from, bytes): &(u32, u64, u64)| {
            *segment == victim.place.segment() && (*from..from + bytes).contains(&offset)
        };
        assert!(found.damage.iter().any(covers), "the damage is named");
    }
}

#[test]
fn records_of_a_frame_without_a_header_are_found() {
    let disk = written(3);
    let replay = open(&disk, 1).unwrap();
    let at = path(1);
    disk.edit(&at, |bytes| bytes[4096..4096 + 64].fill(0));
    let found = scan(&disk, replay.recovered.segments);
    assert_eq!(found.salvaged.first(), replay.replayed.first());
    assert_eq!(
        found.whole.len() + found.salvaged.len(),
        replay.replayed.len()
    );
    assert_eq!(found.damage.len(), 1);
}

#[test]
fn a_frame_that_is_missing_is_noticed() {
    let disk = written(3);
    let replay = open(&disk, 1).unwrap();
    let segments = replay.recovered.segments;
    assert!(segments > 1);
    // The segment is cut within its frames, as by a device that lost the last writes.
    disk.edit(&path(1), |bytes| bytes[8192..].fill(0));
    let found = scan(&disk, segments);
    assert!(found.damage.iter().any(|(segment, ..)| *segment == 1));
}
