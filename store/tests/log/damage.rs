//! Files that are not what was written: rotten, torn, swapped, stale, missing, foreign, newer.
//!
//! What would break for a user if this failed: somebody else's octets in a message, or mail that
//! vanishes without a word where the operator could have restored it.

use super::{
    DIRECTORY, HEADERS_BYTES, Rig, STORE, append, content, open, open_as, open_at, options, path,
    payloads, seeds,
};
use store::codec::checksum::plain;
use store::disk::fault::{Seed, WriteFault};
use store::disk::sim::SimDisk;
use store::log::{Begin, OpenError};

const BLOCK: usize = 4096;

/// Frames of one block each with two records, no clean end, and no zeros behind.
fn small_log(frames: usize) -> SimDisk {
    let disk = SimDisk::new(1);
    let mut rig = Rig::running(&disk);
    for index in 0..frames as u64 {
        let (a, b) = (content(2 * index, 40), content(2 * index + 1, 77));
        let frame = append(&rig.log, &[&a, &b]).unwrap().frame;
        rig.settle(frame).unwrap();
    }
    let disk = disk.crash(1);
    disk.edit(&path(1), |bytes| bytes.truncate((1 + frames) * BLOCK));
    disk
}

/// Three segments with one frame each.
fn segments() -> SimDisk {
    let disk = SimDisk::new(1);
    let mut rig = Rig::running(&disk);
    rig.put(b"one").unwrap();
    for payload in [b"two", b"thr"] {
        let now = disk.writes();
        disk.faults(|faults| faults.failing_writes = vec![(now + 1, WriteFault::Io)]);
        rig.put(payload).unwrap();
    }
    disk.crash(1)
}

fn is_damaged(disk: &SimDisk) -> bool {
    matches!(open(disk, 1).map(drop), Err(OpenError::Damaged { .. }))
}

/// Opens a log that may be cut at its end, never in its middle: what it replays and what it reads.
fn replays_a_prefix(disk: &SimDisk, begin: Begin, whole: &[super::Seen], at_least: usize) {
    match open_at(disk, 1, options(), begin) {
        Err(OpenError::Damaged { .. } | OpenError::Newer { .. }) => {}
        Err(other) => panic!("{other}"),
        Ok(mut rig) => {
            assert!(
                rig.replayed.len() >= at_least,
                "only the last frame may be cut"
            );
            assert_eq!(rig.replayed, whole[..rig.replayed.len()]);
            let seen = rig.replayed[0].clone();
            assert_eq!(rig.read(seen.place).unwrap(), seen.payload);
        }
    }
}

/// Flips one bit after the other in the last segment, which has three frames of two records.
pub(super) fn flip_every_bit(disk: &SimDisk, segment: u32, begin: Begin) {
    let whole = open_at(disk, 1, options(), begin).unwrap().replayed;
    let path = path(segment);
    let bytes = disk.contents(&path);
    let every = std::env::var("RINGPOST_SEEDS").is_ok();
    let mut dice = Seed::new(5);
    for at in 0..bytes.len() {
        // Of padding one bit in each eighth byte, unless there is time for all.
        let is_padding = at % BLOCK > 256;
        for bit in 0..8 {
            if is_padding && !every && dice.below(64) > 0 {
                continue;
            }
            disk.edit(&path, |bytes| bytes[at] ^= 1 << bit);
            replays_a_prefix(disk, begin, &whole, 4);
            disk.edit(&path, |bytes| bytes[at] ^= 1 << bit);
        }
    }
}

#[test]
fn no_flipped_bit_is_served_or_replayed() {
    flip_every_bit(&small_log(3), 1, Begin::default());
}

#[test]
fn rot_behind_our_back_is_not_read() {
    let disk = small_log(2);
    let mut rig = open(&disk, 1).unwrap();
    let seen = rig.replayed[1].clone();
    let from = seen.place.offset() as usize;
    for bit in 0..(HEADERS_BYTES - 64 + seen.payload.len()) * 8 {
        disk.edit(&path(1), |bytes| bytes[from + bit / 8] ^= 1 << (bit % 8));
        match rig.read(seen.place) {
            Err(_) => {}
            Ok(_) => panic!("bit {bit} was not noticed"),
        }
        disk.edit(&path(1), |bytes| bytes[from + bit / 8] ^= 1 << (bit % 8));
    }
    assert_eq!(rig.read(seen.place).unwrap(), seen.payload);
}

#[test]
fn any_part_of_the_last_frame_may_be_missing() {
    for mask in 0..8u8 {
        let disk = SimDisk::new(1);
        let mut rig = Rig::running(&disk);
        rig.put(b"whole").unwrap();
        rig.put(&content(1, 2 * BLOCK)).unwrap();
        let disk = disk.crash(1);
        disk.edit(&path(1), |bytes| {
            for block in (0..3).filter(|block| mask >> block & 1 == 0) {
                bytes[(2 + block) * BLOCK..][..BLOCK].fill(0);
            }
        });
        let mut rig = open(&disk, 1).unwrap();
        assert_eq!(rig.replayed.len(), 1 + usize::from(mask == 7));
        assert_eq!(rig.recovered.torn, !matches!(mask, 0 | 7), "{mask}");
        rig.start();
        rig.put(b"next").unwrap();
        let rig = open(&disk.crash(2), 1).unwrap();
        assert_eq!(rig.replayed.last().unwrap().payload, b"next");
        assert_eq!(rig.replayed.len(), 2 + usize::from(mask == 7));
    }
}

#[test]
fn after_a_clean_close_the_last_frame_cannot_pass_for_torn() {
    let mut rig = Rig::running(&SimDisk::new(1));
    rig.put(b"first").unwrap();
    rig.put(b"last").unwrap();
    let disk = rig.close();
    disk.edit(&path(1), |bytes| bytes[2 * BLOCK + HEADERS_BYTES] ^= 1);
    assert!(is_damaged(&disk));
}

#[test]
fn blocks_zeroed_swapped_or_stale_are_damage() {
    let block = |index: usize| index * BLOCK..(index + 1) * BLOCK;
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let disk = small_log(4);
        disk.edit(&path(1), |bytes| change(bytes));
        is_damaged(&disk)
    };
    assert!(changed(&|bytes| bytes[block(2)].fill(0)), "zeroed");
    assert!(
        changed(&|bytes| bytes.copy_within(block(1), 2 * BLOCK)),
        "stale"
    );
    assert!(
        changed(&|bytes| {
            let first = bytes[block(1)].to_vec();
            bytes.copy_within(block(2), BLOCK);
            bytes[block(2)].copy_from_slice(&first);
        }),
        "swapped"
    );
    assert!(changed(&|bytes| bytes[block(0)].fill(0)), "no header");
    let far = |bytes: &mut Vec<u8>| {
        bytes.resize(6 << 20, 0);
        bytes[(5 << 20) + 1] = 1;
    };
    assert!(changed(&far), "a torn frame does not reach so far");
}

#[test]
fn a_missing_segment_is_named() {
    for lost in [1, 2] {
        let disk = segments();
        assert_eq!(
            payloads(&open(&disk, 1).unwrap().replayed),
            [b"one", b"two", b"thr"]
        );
        disk.lose(&path(lost));
        let error = open(&disk, 1).map(drop).unwrap_err();
        assert!(matches!(error, OpenError::Missing { segment } if segment == lost));
    }
    let disk = segments();
    let second = disk.contents(&path(2));
    disk.edit(&path(3), |bytes| *bytes = second);
    let error = open(&disk, 1).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { segment: 3, .. }));
}

#[test]
fn a_missing_last_segment_is_noticed() {
    for is_closed in [false, true] {
        let disk = SimDisk::new(1);
        let mut rig = Rig::running(&disk);
        rig.fill_to(3);
        let disk = match is_closed {
            true => rig.close(),
            false => disk.crash(1),
        };
        open(&disk, 1).unwrap();
        for lost in [3, 2] {
            disk.lose(&path(lost));
            let error = open(&disk, 1).map(drop).unwrap_err();
            assert!(matches!(error, OpenError::Missing { segment } if segment == lost));
        }
    }
}

#[test]
fn at_whatever_moment_of_a_roll_the_power_goes_the_log_opens() {
    for seed in 1..=seeds(2) {
        let disk = SimDisk::new(seed);
        let mut rig = Rig::running(&disk);
        while rig.log.end().offset < 7 << 20 {
            rig.put(&content(1, 900_000)).unwrap();
        }
        let durable = rig.commits.borrow().len();
        let large = content(2, 900_000);
        let frame = append(&rig.log, &[&large, &large]).unwrap().frame;
        while !rig.log.is_durable(frame) {
            for moment in 0..2 {
                let rig = open(&disk.crash(seed + moment), 1).unwrap();
                assert!(rig.replayed.len() == durable || rig.replayed.len() == durable + 2);
            }
            rig.executor.turn();
        }
        assert_eq!(rig.log.end().segment, 2);
    }
}

#[test]
fn a_segment_of_another_history_is_not_continued() {
    let (disk, other) = (segments(), SimDisk::new(2));
    let mut rig = Rig::running(&other);
    rig.put(b"another").unwrap();
    let now = other.writes();
    other.faults(|faults| faults.failing_writes = vec![(now + 1, WriteFault::Io)]);
    rig.put(b"history").unwrap();
    let second = other.crash(1).contents(&path(2));
    disk.edit(&path(2), |bytes| *bytes = second);
    assert!(is_damaged(&disk));
}

#[test]
fn foreign_stores_and_shards_and_newer_formats_are_refused() {
    let disk = small_log(1);
    let foreign = |store, shard| {
        let mut options = options();
        (options.store, options.shard) = (store, store::mail::id::ShardId(shard));
        open_as(&disk, 1, options)
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    assert!(foreign([8; 16], 0).contains("another store"));
    assert!(foreign(STORE, 1).contains("another shard"));
    // The major version, and a feature that must be known.
    for at in [8, 96] {
        let disk = small_log(1);
        disk.edit(&path(1), |bytes| {
            bytes[at] ^= 32;
            let crc = plain(&bytes[..BLOCK - 4]);
            bytes[BLOCK - 4..BLOCK].copy_from_slice(&crc.to_le_bytes());
        });
        let error = open(&disk, 1).map(drop).unwrap_err();
        assert!(
            matches!(error, OpenError::Newer { segment: 1 }),
            "{at}: {error}"
        );
    }
}

#[test]
fn a_later_program_may_forbid_to_append() {
    let disk = small_log(1);
    disk.edit(&path(1), |bytes| {
        bytes[104] = 1;
        let crc = plain(&bytes[..BLOCK - 4]);
        bytes[BLOCK - 4..BLOCK].copy_from_slice(&crc.to_le_bytes());
        // Its frames named the header as it was.
        bytes.truncate(BLOCK);
    });
    let rig = open(&disk, 1).unwrap();
    assert!(rig.log.is_read_only());
}

#[test]
fn mailed_frames_are_never_taken_for_ours() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::running(&disk);
    rig.put(b"earlier").unwrap();
    let earlier = disk.contents(&path(1))[BLOCK..2 * BLOCK].to_vec();
    let mut body = vec![0; BLOCK - HEADERS_BYTES];
    body.extend_from_slice(&earlier);
    body.extend_from_slice(&earlier);
    rig.put(&body).unwrap();
    let whole = disk.crash(1);
    assert_eq!(open(&whole, 1).unwrap().replayed.len(), 2);
    // The mail is torn so that only the copies are left.
    for blocks in [1, 2] {
        let torn = disk.crash(1);
        torn.edit(&path(1), |bytes| {
            bytes[2 * BLOCK..][..blocks * BLOCK].fill(0)
        });
        let rig = open(&torn, 1).unwrap();
        assert_eq!(payloads(&rig.replayed), [b"earlier"]);
        assert!(rig.recovered.torn);
    }
}

#[test]
fn leftovers_of_a_roll_are_removed_and_strange_files_are_not() {
    let disk = small_log(1);
    let mut rig = open(&disk, 1).unwrap();
    let making = format!("{DIRECTORY}/0000000000000002.new");
    let strange = format!("{DIRECTORY}/letter.new");
    for path in [making.clone(), strange.clone()] {
        use store::disk::{Disk, Mode};
        let disk = disk.clone();
        let made = async move { disk.open(&path, Mode::Create).await.map(drop) };
        rig.executor.finish(made).unwrap().unwrap();
    }
    open(&disk, 1).unwrap();
    assert!(!disk.paths().contains(&making));
    assert!(disk.paths().contains(&strange));
}

#[test]
fn lost_and_misdirected_writes_are_never_replayed_as_something_else() {
    for seed in 1..=seeds(10) {
        let disk = SimDisk::new(seed);
        let mut rig = Rig::running(&disk);
        disk.faults(|faults| (faults.lost_write, faults.misdirected_write) = (50, 50));
        let put: Vec<Vec<u8>> = (0..30).map(|id| content(id, 100)).collect();
        for payload in &put {
            rig.put(payload).unwrap();
        }
        if let Ok(rig) = open(&disk.crash(seed), 1) {
            assert_eq!(payloads(&rig.replayed), put[..rig.replayed.len()]);
        }
    }
}
