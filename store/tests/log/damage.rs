//! Bytes that changed behind the log's back: named, never served, never silently cut.

use crate::world::{DIRECTORY, Fact, World, fact};
use std::rc::Rc;
use store::disk::fault::Seed;
use store::disk::sim::SimDisk;
use store::log::{OpenError, Place};
use store::mail::id::ShardId;

const FIRST: &str = "shard-00/log/0000000000000000.log";
const SECOND: &str = "shard-00/log/0000000000000001.log";
const BLOCK: usize = 4096;

/// A log of `frames` frames of one small record each, then closed.
fn written(frames: u64) -> (SimDisk, Vec<(Place, Fact)>) {
    let disk = SimDisk::new(1);
    let mut world = World::open(&disk, 1).unwrap();
    for number in 0..frames {
        let body = format!("record {number} of a small log").into_bytes();
        world.append(vec![(1, 7, body)]);
        world.settle();
    }
    let placed = world.book.placed();
    (world.close(), placed)
}

fn bodies(placed: &[(Place, Fact)]) -> Vec<Fact> {
    placed.iter().map(|(_, fact)| fact.clone()).collect()
}

/// All bits of bytes that mean something, one bit of each that is padding.
fn flips(bytes: &[u8]) -> Vec<(usize, u8)> {
    let meant = |at: usize| at % BLOCK < 136 || at % BLOCK >= BLOCK - 4 && at < BLOCK;
    (0..bytes.len())
        .flat_map(|at| match meant(at) {
            true => (0..8).map(|bit| (at, bit)).collect(),
            false => vec![(at, (at % 8) as u8)],
        })
        .collect()
}

#[test]
fn every_flipped_bit_of_a_closed_log_is_found_or_harmless() {
    let (disk, placed) = written(2);
    let expected = bodies(&placed);
    let (mut found, mut harmless) = (0, 0);
    for (at, bit) in flips(&disk.contents(FIRST)) {
        disk.edit(FIRST, |bytes| bytes[at] ^= 1 << bit);
        let image = disk.crash(1);
        match World::open(&image, 1) {
            Err(_) => found += 1,
            Ok(world) => {
                assert_eq!(world.replayed_facts(), expected, "byte {at} bit {bit}");
                harmless += 1;
            }
        }
        disk.edit(FIRST, |bytes| bytes[at] ^= 1 << bit);
    }
    assert!(
        found > 1000 && harmless > 0,
        "{found} found, {harmless} harmless"
    );
}

#[test]
fn every_flipped_bit_of_a_record_makes_only_that_record_unreadable() {
    let (disk, placed) = written(3);
    let mut world = World::open(&disk, 1).unwrap();
    for (at, bit) in flips(&disk.contents(FIRST))
        .into_iter()
        .filter(|(at, _)| *at >= BLOCK)
    {
        disk.edit(FIRST, |bytes| bytes[at] ^= 1 << bit);
        let mut unreadable = 0;
        for (place, expected) in &placed {
            let (log, place) = (world.log.clone(), *place);
            let read = world.executor.finish(async move { log.read(place).await });
            match read.expect("a read ends") {
                Ok(record) => assert_eq!(record.payload(), expected.2, "byte {at} bit {bit}"),
                Err(_) => unreadable += 1,
            }
        }
        assert!(unreadable <= 1, "byte {at} bit {bit}");
        disk.edit(FIRST, |bytes| bytes[at] ^= 1 << bit);
    }
    assert!(world.log.counters().failed_reads > 100);
}

/// A crash leaves no clean mark, so a damaged last frame looks like a torn one. All others do not.
#[test]
fn without_a_clean_end_only_the_last_frame_can_be_cut() {
    let disk = SimDisk::new(1);
    let mut world = World::open(&disk, 1).unwrap();
    for number in 0..3 {
        world.append(vec![(1, 7, vec![number; 100])]);
        world.settle();
    }
    let expected = bodies(&world.book.placed());
    for frame in 0..3 {
        let image = disk.crash(1);
        image.edit(FIRST, |bytes| bytes[BLOCK * (frame + 1) + 100] ^= 1);
        match World::open(&image, 1) {
            Err(error) => assert!(matches!(error, OpenError::Damaged { .. }) && frame < 2),
            Ok(world) => {
                assert_eq!((frame, world.replayed_facts()), (2, expected[..2].to_vec()));
                assert_eq!(world.recovered.torn, Some(Place::new(0, 3 * BLOCK as u64)));
            }
        }
    }
}

#[test]
fn damage_at_rest_is_refused_and_names_the_place() {
    for what in ["zeroed", "swapped", "stale", "cut"] {
        let (disk, _) = written(5);
        disk.edit(FIRST, |bytes| match what {
            "zeroed" => bytes[2 * BLOCK..3 * BLOCK].fill(0),
            "swapped" => {
                let (left, right) = bytes.split_at_mut(3 * BLOCK);
                left[2 * BLOCK..].swap_with_slice(&mut right[..BLOCK]);
            }
            "stale" => bytes.copy_within(BLOCK..2 * BLOCK, 2 * BLOCK),
            _ => bytes[2 * BLOCK + 64..3 * BLOCK].fill(0),
        });
        let before = disk.contents(FIRST);
        match World::open(&disk, 1).map(drop) {
            Err(OpenError::Damaged {
                segment: 0, offset, ..
            }) => assert_eq!(offset, 8192),
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(
            disk.contents(FIRST),
            before,
            "{what}: nothing may be changed"
        );
    }
}

#[test]
fn swapped_pages_are_not_served() {
    let (disk, placed) = written(3);
    let mut world = World::open(&disk, 1).unwrap();
    disk.edit(FIRST, |bytes| {
        let (left, right) = bytes.split_at_mut(2 * BLOCK);
        left[BLOCK..].swap_with_slice(&mut right[..BLOCK]);
    });
    for (place, _) in &placed[..2] {
        let (log, place) = (world.log.clone(), *place);
        let read = world.executor.finish(async move { log.read(place).await });
        assert!(read.unwrap().is_err());
    }
}

#[test]
fn a_torn_tail_is_cut_and_the_log_goes_on() {
    let (disk, placed) = written(3);
    let end = BLOCK * 5;
    disk.edit(FIRST, |bytes| bytes[end..end + 9000].fill(0xab));
    let mut world = World::open(&disk, 2).unwrap();
    let erased = disk.contents(FIRST)[end..].iter().all(|byte| *byte == 0);
    assert!(
        erased,
        "what is left of a torn write could be mixed with the next one"
    );
    assert_eq!(world.recovered.torn, Some(Place::new(0, end as u64)));
    assert!(!world.recovered.clean);
    world.append(vec![(2, 2, b"after the cut".to_vec())]);
    let disk = world.close();
    let world = World::open(&disk, 3).unwrap();
    let mut expected = bodies(&placed);
    expected.push((2, 2, b"after the cut".to_vec()));
    assert_eq!(world.replayed_facts(), expected);
    assert!(world.recovered.clean);
}

/// Two lives of one copy of the store went on from the same frame, and their pages were mixed.
#[test]
fn a_frame_of_another_history_at_the_right_place_is_refused() {
    let (disk, _) = written(2);
    let histories = [b"one", b"two"].map(|name| {
        let copy = disk.crash(1);
        let mut world = World::open(&copy, 1).unwrap();
        for _ in 0..2 {
            world.append(vec![(1, 1, name.to_vec())]);
            world.settle();
        }
        copy
    });
    let [one, two] = histories;
    let (at, foreign) = (4 * BLOCK, two.contents(FIRST));
    one.edit(FIRST, |bytes| {
        let page = at..at + BLOCK;
        assert_ne!(bytes[page.clone()], foreign[page.clone()]);
        bytes[page.clone()].copy_from_slice(&foreign[page]);
    });
    let opened = World::open(&one, 1).map(drop);
    assert!(matches!(opened, Err(OpenError::Damaged { offset, .. }) if offset == at as u64 + 4096));
}

/// An operator mails a piece of the log to himself; then the power goes while it is written.
#[test]
fn a_body_that_holds_an_earlier_frame_is_no_frame() {
    let (disk, placed) = written(3);
    let stolen = disk.contents(FIRST)[BLOCK..4 * BLOCK].to_vec();
    let mut world = World::open(&disk, 1).unwrap();
    let mut body = vec![b'x'; BLOCK - 64 - 24];
    body.extend(stolen);
    world.append(vec![(1, 1, body.clone())]);
    world.settle();
    let start = world.book.placed()[0].0.offset() as usize - 64;
    assert_eq!(
        &disk.contents(FIRST)[start + BLOCK..start + BLOCK + 4],
        b"RPFr"
    );
    let whole = World::open(&disk.crash(1), 1).unwrap();
    assert_eq!(whole.replayed_facts().last(), Some(&(1, 1, body)));
    disk.edit(FIRST, |bytes| bytes[start..start + BLOCK].fill(0));
    let torn = World::open(&disk.crash(1), 1).unwrap();
    assert_eq!(torn.replayed_facts(), bodies(&placed));
    assert_eq!(torn.recovered.torn, Some(Place::new(0, start as u64)));
}

/// Enough to fill some segments.
fn rolled() -> SimDisk {
    let disk = SimDisk::new(4);
    let mut world = World::open(&disk, 4).unwrap();
    let mut seed = Seed::new(4);
    for number in 0..90 {
        world.append(vec![fact(&mut seed, number), (1, 1, vec![7; 4000])]);
        world.settle();
    }
    assert!(world.log.counters().segments > 3);
    world.close()
}

#[test]
fn a_missing_segment_is_named() {
    for lost in [0, 1] {
        let disk = rolled();
        disk.lose(&format!("{DIRECTORY}/{lost:016x}.log"));
        match World::open(&disk, 1).map(drop) {
            Err(OpenError::Missing { segment }) => assert_eq!(segment, lost),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_missing_last_segment_is_named_because_the_one_before_is_sealed() {
    let disk = rolled();
    let used = |path: &String| disk.contents(path).starts_with(b"RINGPOST");
    let last = disk.paths().iter().filter(|path| used(path)).count() - 1;
    for path in disk.paths().iter().skip(last) {
        disk.lose(path);
    }
    match World::open(&disk, 1).map(drop) {
        Err(OpenError::Missing { segment }) => assert_eq!(segment as usize, last),
        other => panic!("{other:?}"),
    }
}

#[test]
fn segments_of_another_store_shard_or_log_are_refused() {
    let disk = rolled();
    let other_store = World::open_with(&disk, 1, |options| options.store = [9; 16]);
    assert!(matches!(
        other_store,
        Err(OpenError::Foreign { what: "store", .. })
    ));
    let other_shard = World::open_with(&disk, 1, |options| options.shard = ShardId(1));
    assert!(matches!(
        other_shard,
        Err(OpenError::Foreign { what: "shard", .. })
    ));
    let moved = disk.contents(FIRST);
    disk.edit(SECOND, |bytes| *bytes = moved);
    assert!(matches!(
        World::open(&disk, 1),
        Err(OpenError::Foreign { .. })
    ));
}

#[test]
fn a_damaged_header_of_a_segment_in_use_is_refused() {
    for at in [0, 8, 48, 4095] {
        let (disk, _) = written(2);
        disk.edit(FIRST, |bytes| bytes[at] ^= 0x10);
        let opened = World::open(&disk, 1).map(drop);
        assert!(
            matches!(opened, Err(OpenError::Damaged { offset: 0, .. })),
            "{at}"
        );
    }
    let (disk, _) = written(2);
    disk.edit(FIRST, |bytes| bytes[..BLOCK].fill(0));
    assert!(matches!(
        World::open(&disk, 1),
        Err(OpenError::Damaged { offset: 0, .. })
    ));
}

#[test]
fn a_later_format_is_refused_with_the_advice_to_upgrade() {
    let (disk, _) = written(1);
    disk.edit(FIRST, |bytes| {
        bytes[8] = 2;
        let crc = store::codec::checksum::plain(&bytes[..BLOCK - 4]);
        bytes[BLOCK - 4..BLOCK].copy_from_slice(&crc.to_le_bytes());
    });
    let error = World::open(&disk, 1).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Newer { segment: 0 }));
    assert!(error.to_string().contains("start the later version"));
}

#[test]
fn a_record_that_cannot_be_applied_stops_the_start() {
    let (disk, placed) = written(2);
    let (clock, place) = (Rc::default(), placed[1].0);
    let options = crate::world::options(&clock, 1);
    let mut executor = store::disk::executor::Executor::new(disk.clone(), 1);
    let opened = executor.finish(async move {
        let mut refuse = |found, _: &store::log::RecordRef<'_>| match found == place {
            true => Err("kind 99 is not known".to_owned()),
            false => Ok(()),
        };
        let log = store::log::Log::open(Rc::new(disk), DIRECTORY, options, &mut refuse);
        log.await.map(drop)
    });
    let error = opened.unwrap().unwrap_err();
    assert!(matches!(error, OpenError::Replay { place: found, .. } if found == place));
}
