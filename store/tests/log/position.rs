//! Logs that are opened in their middle, and logs whose oldest segments are gone.
//!
//! What would break for a user if this failed: a start that replays a change twice or leaves one
//! out, or that goes on behind a hole without a word.

use super::{Rig, append, content, open, open_at, options, path, payloads, seeds};
use std::rc::Rc;
use store::disk::fault::{Seed, WriteFault};
use store::disk::sim::SimDisk;
use store::log::{Begin, OpenError, Position};

/// A log of some segments, and the position behind each of its frames.
fn written(seed: u64) -> (SimDisk, Vec<Position>) {
    let disk = SimDisk::new(seed);
    let mut rig = Rig::running(&disk);
    let mut dice = Seed::new(seed);
    let mut ends = vec![rig.log.end()];
    for id in 0..40 {
        let octets = dice.pick(&[40, 5_000, 900_000]).unwrap();
        if dice.chance(150) {
            let next = disk.writes() + 1;
            disk.faults(|faults| faults.failing_writes = vec![(next, WriteFault::Io)]);
        }
        rig.put(&content(id, octets)).unwrap();
        assert_eq!(rig.ends.borrow().last(), Some(&rig.log.end()));
    }
    ends.extend(rig.ends.take());
    let log = Rc::clone(&rig.log);
    let disk = match dice.chance(500) {
        true => rig.close(),
        false => disk,
    };
    ends.push(log.end());
    (disk.crash(seed), ends)
}

fn begin(first_segment: u32, from: Position) -> Begin {
    let from = Some(from);
    Begin {
        first_segment,
        from,
    }
}

fn refusal(disk: &SimDisk, begin: Begin) -> OpenError {
    open_at(disk, 1, options(), begin).map(drop).unwrap_err()
}

#[test]
fn from_every_position_the_rest_is_replayed() {
    for seed in 1..=seeds(2) {
        let (disk, ends) = written(seed);
        let whole = open(&disk, 1).unwrap();
        let (rest, end) = (whole.replayed.as_slice(), whole.log.end());
        let mut dice = Seed::new(seed ^ 0x905);
        let every = std::env::var("RINGPOST_SEEDS").is_ok();
        assert_eq!(Some(&end), ends.last());
        for (position, applied) in ends.iter().zip(0..) {
            let applied = applied.min(rest.len());
            for first in [1, position.segment, position.segment + 1] {
                let is_there = first <= whole.recovered.segments;
                let is_behind = first > position.segment
                    && rest
                        .get(applied)
                        .is_some_and(|next| next.place.segment() < first);
                if !is_there || is_behind || !every && dice.chance(600) {
                    continue;
                }
                let disk = disk.crash(1);
                (1..first).for_each(|segment| disk.lose(&path(segment)));
                match open_at(&disk, 1, options(), begin(first, *position)) {
                    Ok(rig) => {
                        assert_eq!(rig.replayed, rest[applied..], "{seed} {position:?}");
                        assert_eq!(rig.log.end(), end);
                    }
                    // In the middle of a segment that was declared gone.
                    Err(OpenError::Damaged { .. }) => assert!(first > position.segment),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
}

#[test]
fn a_log_opened_in_its_middle_is_written_on_and_read() {
    let (disk, ends) = written(3);
    let whole = open(&disk, 1).unwrap();
    let from = ends[35];
    assert!(from.segment > 2);
    disk.lose(&path(1));
    let mut rig = open_at(&disk, 1, options(), begin(2, from)).unwrap();
    rig.start();
    rig.put(b"more").unwrap();
    for seen in &whole.replayed {
        match seen.place.segment() {
            1 => assert_eq!(rig.read(seen.place), Err(store::error::ReadError::Gone)),
            _ => assert_eq!(rig.read(seen.place).unwrap(), seen.payload),
        }
    }
    let rig = open_at(&disk.crash(1), 1, options(), begin(2, from)).unwrap();
    assert_eq!(rig.replayed.last().unwrap().payload, b"more");
}

#[test]
fn segments_before_the_first_are_left_alone_and_counted() {
    let (disk, ends) = written(3);
    let from = ends[35];
    let before = disk.paths();
    let rig = open_at(&disk, 1, options(), begin(3, from)).unwrap();
    assert_eq!(rig.recovered.leftovers, 2);
    let left = |paths: Vec<String>| paths.into_iter().filter(|path| path.ends_with(".log"));
    assert!(left(disk.paths()).eq(left(before)));
}

#[test]
fn without_a_position_the_replay_begins_at_the_first_segment() {
    let (disk, _) = written(3);
    let whole = open(&disk, 1).unwrap().replayed;
    let rest = whole.iter().filter(|seen| seen.place.segment() >= 2);
    let first_segment = 2;
    let from = None;
    disk.lose(&path(1));
    let begin = Begin {
        first_segment,
        from,
    };
    let rig = open_at(&disk, 1, options(), begin).unwrap();
    assert!(rig.replayed.iter().eq(rest));
}

#[test]
fn a_log_that_ends_before_the_position_is_refused() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::running(&disk);
    rig.put(b"one").unwrap();
    let older = disk.contents(&path(1));
    rig.put(b"two").unwrap();
    let (end, one) = (rig.log.end(), rig.ends.borrow()[0]);
    let disk = disk.crash(1);
    disk.edit(&path(1), |bytes| *bytes = older);
    let error = refusal(&disk, begin(1, end));
    assert!(matches!(error, OpenError::Damaged { segment: 1, .. }));
    assert!(error.to_string().contains("ends before"), "{error}");
    open_at(&disk, 1, options(), begin(1, one)).unwrap();
    let empty = SimDisk::new(2);
    let error = refusal(&empty, begin(1, end));
    assert!(matches!(error, OpenError::Missing { segment: 1 }));
}

#[test]
fn missing_segments_and_other_histories_are_named() {
    let (disk, ends) = written(3);
    let from = ends[35];
    let last = open(&disk, 1).unwrap().recovered.segments;
    for lost in 2..=from.segment {
        let disk = disk.crash(1);
        (lost..=last).for_each(|segment| disk.lose(&path(segment)));
        let error = refusal(&disk, begin(2, from));
        assert!(matches!(error, OpenError::Missing { segment } if segment == lost));
    }
    let mut other = from;
    other.chain ^= 1;
    let error = refusal(&disk, begin(1, other));
    assert!(matches!(error, OpenError::Damaged { .. }));
    let mut other = from;
    other.frame.0 += 1;
    let error = refusal(&disk, begin(1, other));
    assert!(matches!(error, OpenError::Damaged { .. }));
}

#[test]
fn a_start_reads_nothing_before_the_position() {
    let (disk, ends) = written(3);
    let from = ends[35];
    for segment in 1..from.segment {
        disk.edit(&path(segment), |bytes| bytes.fill(0xee));
    }
    let rig = open_at(&disk, 1, options(), begin(1, from)).unwrap();
    assert_eq!(rig.log.end(), *ends.last().unwrap());
}

#[test]
fn the_observer_may_open_the_log_where_it_ends() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::running(&disk);
    let appended = append(&rig.log, &[b"a", b"b"]).unwrap();
    rig.settle(appended.frame).unwrap();
    let from = rig.ends.borrow()[0];
    rig.put(b"c").unwrap();
    let rig = open_at(&disk.crash(1), 1, options(), begin(1, from)).unwrap();
    assert_eq!(payloads(&rig.replayed), [b"c"]);
    assert_eq!(rig.replayed[0].lsn, from.lsn.0);
}
