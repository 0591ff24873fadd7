//! Segments that nobody needs any more, and the segments that are made of their files.
//!
//! What would break for a user if this failed: mail of last week in the middle of today's, a start
//! that takes old bytes for damage, or a disk that fills with files that nobody needs.

use super::{Rig, append, content, damage, open, open_as, open_at, options, path, payloads};
use std::rc::Rc;
use store::disk::sim::SimDisk;
use store::error::ReadError;
use store::log::{Begin, OpenError, Retired};

const BLOCK: usize = 4096;

impl Rig {
    pub fn retire(&mut self, first_segment: u32) -> Retired {
        let log = Rc::clone(&self.log);
        let retired = async move { log.retire(first_segment).await };
        self.executor.finish(retired).unwrap().unwrap()
    }

    /// Fills segments with large records until the log ends in this one.
    pub fn fill_to(&mut self, segment: u32) {
        self.fill_by(900_000, segment);
    }

    /// The same with records of so many octets.
    fn fill_by(&mut self, octets: usize, segment: u32) {
        for id in 0.. {
            if self.log.end().segment >= segment {
                return;
            }
            self.put(&content(id, octets)).unwrap();
        }
    }
}

fn from_segment(first_segment: u32) -> Begin {
    Begin {
        first_segment,
        from: None,
    }
}

/// Segment 3 in the file that was segment 1, which had valid frames up to its end: frames of one
/// block each with two records, no clean end, 64 KiB of the file.
fn recycled(frames: usize) -> (SimDisk, u32) {
    let disk = SimDisk::new(1);
    let mut rig = Rig::running(&disk);
    rig.fill_to(2);
    rig.retire(2);
    rig.fill_to(3);
    assert_eq!(rig.log.stats().recycled_segments, 1);
    assert_eq!(rig.commits.borrow().last().unwrap().offset(), BLOCK as u64);
    let disk = rig.disk.crash(1);
    // The record that brought the log here goes, and the header ends it.
    disk.edit(&path(3), |bytes| {
        bytes.truncate(64 << 10);
        bytes[BLOCK..2 * BLOCK].fill(0xa5);
    });
    let mut rig = open_at(&disk, 1, options(), from_segment(3)).unwrap();
    assert!(!rig.recovered.torn && rig.replayed.is_empty());
    rig.start();
    for index in 0..frames as u64 {
        let (a, b) = (content(2 * index, 40), content(2 * index + 1, 77));
        let frame = append(&rig.log, &[&a, &b]).unwrap().frame;
        rig.settle(frame).unwrap();
    }
    let disk = rig.disk.crash(1);
    disk.edit(&path(3), |bytes| bytes.truncate(64 << 10));
    (disk, 3)
}

#[test]
fn in_the_long_run_every_byte_is_written_once() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::running(&disk);
    // So small that they find zeros where no earlier life was.
    let octets = 40_000;
    rig.fill_by(octets, 3);
    rig.retire(3);
    rig.fill_by(octets, 4);
    let before = rig.log.stats();
    assert!(before.zeroed_bytes > 16 << 20);
    for segment in 5..10 {
        let now = rig.log.end().segment;
        rig.retire(now);
        rig.fill_by(octets, segment);
    }
    let after = rig.log.stats();
    assert_eq!(after.zeroed_bytes, before.zeroed_bytes);
    assert!(after.recycled_segments >= before.recycled_segments + 5);
    rig.put(b"last").unwrap();
    let rig = open_at(&disk.crash(1), 1, options(), from_segment(9)).unwrap();
    assert_eq!(rig.replayed.last().unwrap().payload, b"last");
}

#[test]
fn large_frames_get_space_and_small_ones_zeros() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::running(&disk);
    rig.fill_to(2);
    let before = rig.log.stats().zeroed_bytes;
    assert!(before < 8 << 20, "{before}");
    rig.fill_to(5);
    assert_eq!(rig.log.stats().zeroed_bytes, before);
    rig.fill_by(4000, 6);
    let zeroed = rig.log.stats().zeroed_bytes - before;
    assert!(zeroed > 4 << 20, "{zeroed}");
    let last = content(7, 300);
    rig.put(&last).unwrap();
    let rig = open(&disk.crash(1), 1).unwrap();
    assert_eq!(rig.replayed.last().unwrap().payload, last);
}

#[test]
fn a_fresh_segment_is_what_it_always_was() {
    let disk = SimDisk::new(1);
    Rig::running(&disk).put(b"one").unwrap();
    let header = disk.contents(&path(1));
    assert_eq!((header[96], &header[97..120]), (30, &[0; 23][..]));
    let (disk, segment) = recycled(1);
    let header = disk.contents(&path(segment));
    assert_eq!(header[96], 31);
    assert_eq!(header[112..120], (8u64 << 20).to_le_bytes());
}

#[test]
fn the_last_segment_stays_and_what_went_is_gone() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::running(&disk);
    rig.fill_to(3);
    let first = rig.commits.borrow()[0].offset_by(64);
    assert!(rig.read(first).is_ok());
    let retired = rig.retire(u32::MAX);
    assert_eq!((retired.kept, retired.removed), (2, 0));
    assert_eq!(rig.read(first), Err(ReadError::Gone));
    rig.put(b"on").unwrap();
    let rig = open_at(&disk.crash(1), 1, options(), from_segment(3)).unwrap();
    assert_eq!(rig.replayed.last().unwrap().payload, b"on");
}

#[test]
fn few_files_are_kept_and_the_others_removed() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::running(&disk);
    rig.fill_to(12);
    let retired = rig.retire(12);
    assert_eq!((retired.kept, retired.removed), (8, 3));
    let spares = |disk: &SimDisk| {
        let paths = disk.paths().into_iter();
        paths.filter(|path| path.ends_with(".spare")).count()
    };
    assert_eq!(spares(&disk), 8);
    rig.fill_to(14);
    assert!(spares(&disk) < 8);
}

#[test]
fn leftovers_of_an_earlier_life_are_retired_by_the_next() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::running(&disk);
    rig.fill_to(4);
    let mut rig = open_at(&disk.crash(1), 1, options(), from_segment(3)).unwrap();
    assert_eq!(rig.recovered.leftovers, 2);
    assert_eq!(rig.retire(3).kept, 2);
    let rig = open_at(&rig.disk.crash(1), 1, options(), from_segment(3)).unwrap();
    assert_eq!(rig.recovered.leftovers, 0);
}

#[test]
fn a_spare_file_that_is_too_long_is_not_used() {
    let disk = SimDisk::new(1);
    let mut long = options();
    long.segment_bytes = 16 << 20;
    let mut rig = open_as(&disk, 1, long).unwrap();
    rig.start();
    rig.fill_to(2);
    rig.retire(2);
    let mut rig = open_at(&rig.close(), 1, options(), from_segment(2)).unwrap();
    rig.start();
    rig.fill_to(4);
    assert_eq!(rig.log.stats().recycled_segments, 0);
    assert!(!disk.paths().iter().any(|path| path.ends_with(".spare")));
}

#[test]
fn any_part_of_the_last_frame_may_be_missing_among_remains() {
    let (disk, segment) = recycled(1);
    let remains = disk.contents(&path(segment));
    let mut rig = open_at(&disk, 1, options(), from_segment(segment)).unwrap();
    rig.start();
    rig.put(&content(1, 2 * BLOCK)).unwrap();
    let whole = disk.crash(1).contents(&path(segment));
    for mask in 0..8 {
        let torn = disk.crash(1);
        torn.edit(&path(segment), |bytes| {
            *bytes = whole[..64 << 10].to_vec();
            for block in (2..5).filter(|block| mask >> (block - 2) & 1 == 0) {
                let range = block * BLOCK..(block + 1) * BLOCK;
                bytes[range.clone()].copy_from_slice(&remains[range]);
            }
        });
        let mut rig = open_at(&torn, 1, options(), from_segment(segment)).unwrap();
        let is_whole = mask == 7;
        assert_eq!(rig.replayed.len(), 2 + usize::from(is_whole));
        // Only its header tells a torn frame from remains.
        assert_eq!(rig.recovered.torn, mask & 1 == 1 && !is_whole);
        rig.start();
        rig.put(b"next").unwrap();
        let rig = open_at(&torn.crash(2), 1, options(), from_segment(segment)).unwrap();
        assert_eq!(rig.replayed.last().unwrap().payload, b"next");
        assert_eq!(rig.replayed.len(), 3 + usize::from(is_whole));
    }
}

#[test]
fn damage_among_remains_is_damage() {
    let block = |index: usize| index * BLOCK..(index + 1) * BLOCK;
    let (disk, segment) = recycled(4);
    let outcome = |change: &dyn Fn(&mut Vec<u8>)| {
        let disk = disk.crash(1);
        disk.edit(&path(segment), |bytes| change(bytes));
        open_at(&disk, 1, options(), from_segment(segment)).map(|rig| rig.replayed.len())
    };
    let is_damage =
        |change: &dyn Fn(&mut Vec<u8>)| matches!(outcome(change), Err(OpenError::Damaged { .. }));
    assert!(is_damage(&|bytes| bytes[block(2)].fill(0)), "zeroed");
    assert!(is_damage(&|bytes| bytes[block(2)].fill(0x5a)), "rotten");
    assert!(
        is_damage(&|bytes| bytes.copy_within(block(1), 2 * BLOCK)),
        "stale"
    );
    let last = outcome(&|bytes| bytes[block(4)].fill(0));
    assert_eq!(last.unwrap(), 6, "the last may have been torn");
    let behind = outcome(&|bytes| bytes[block(9)].fill(0x77));
    assert_eq!(behind.unwrap(), 8, "nobody looks at remains");
}

#[test]
fn no_flipped_bit_among_remains_is_served_or_replayed() {
    let (disk, segment) = recycled(3);
    damage::flip_every_bit(&disk, segment, from_segment(segment));
}

#[test]
fn what_was_in_the_making_becomes_spare() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::running(&disk);
    while !disk.paths().iter().any(|path| path.ends_with("2.new")) {
        rig.put(&content(1, 900_000)).unwrap();
    }
    rig.put(b"last").unwrap();
    let disk = rig.close();
    let mut rig = open(&disk, 1).unwrap();
    rig.start();
    rig.fill_to(2);
    assert_eq!(rig.log.stats().recycled_segments, 1);
    let rig = open(&disk.crash(1), 1).unwrap();
    assert!(payloads(&rig.replayed).contains(&&b"last"[..]));
}
