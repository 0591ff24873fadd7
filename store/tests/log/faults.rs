//! A device that fails or fills up at a chosen moment.
//!
//! What would break for a user if this failed: a 250 for mail that is not on the disk, or a server
//! that stays silent or refuses mail although it could go on.

use super::{Rig, append, content, open, path, payloads};
use std::rc::Rc;
use store::disk::fault::WriteFault;
use store::disk::sim::SimDisk;
use store::error::LogError;

/// Fails the writes that come `nth` from now, 1 being the next.
fn fail(disk: &SimDisk, nth: &[u64]) {
    let now = disk.writes();
    disk.faults(|faults| {
        faults.failing_writes = nth.iter().map(|n| (now + n, WriteFault::Io)).collect();
    });
}

#[test]
fn after_one_failed_write_the_log_goes_on_in_a_new_segment() {
    for seed in 1..10 {
        let disk = SimDisk::new(seed);
        let mut rig = Rig::running(&disk);
        rig.put(b"before").unwrap();
        fail(&disk, &[1]);
        rig.put(b"moved").unwrap();
        rig.put(b"after").unwrap();
        assert_eq!(rig.log.stats().failed_writes, 1);
        // The new segment begins with the record that was moved (FORMAT.md, "Segment header").
        let header = disk.contents(&path(2));
        assert_eq!(
            header[64..80],
            [2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
        );
        let rig = open(&disk.crash(seed), 1).unwrap();
        assert_eq!(
            payloads(&rig.replayed),
            [&b"before"[..], b"moved", b"after"]
        );
        assert_eq!(
            rig.replayed.iter().map(|seen| seen.lsn).collect::<Vec<_>>(),
            [1, 2, 3]
        );
    }
}

#[test]
fn after_two_failed_writes_the_log_is_read_only_and_reads_go_on() {
    // The second is the header of the new segment, or the frame in it.
    for second in [2, 3] {
        let disk = SimDisk::new(second);
        let mut rig = Rig::running(&disk);
        rig.put(b"before").unwrap();
        let place = rig.commits.borrow()[0].offset_by(64);
        fail(&disk, &[1, second]);
        assert_eq!(rig.put(b"lost"), Err(LogError::ReadOnly));
        assert!(rig.log.is_read_only());
        assert_eq!(rig.put(b"refused"), Err(LogError::ReadOnly));
        assert_eq!(rig.read(place).unwrap(), b"before");
        let log = Rc::clone(&rig.log);
        let room = rig.executor.finish(async move { log.room(100).await });
        assert_eq!(room, Some(Err(LogError::ReadOnly)));
        let disk = rig.close();
        let rig = open(&disk.crash(1), 1).unwrap();
        assert_eq!(rig.replayed[0].payload, b"before");
    }
}

#[test]
fn a_full_disk_refuses_what_was_not_written_and_heals() {
    for seed in 1..10 {
        let disk = SimDisk::new(seed);
        let mut rig = Rig::running(&disk);
        rig.put(b"fits").unwrap();
        // A write reports that the disk is full, and there is no space for another segment.
        let next = disk.writes() + 1;
        disk.faults(|faults| {
            faults.failing_writes = vec![(next, WriteFault::Full)];
            faults.space = Some(0);
        });
        let flying = append(&rig.log, &[b"flying"]).unwrap().frame;
        // The frame leaves; what comes now is for the next one.
        while disk.waiting() == 0 {
            rig.executor.turn();
        }
        let pending = append(&rig.log, &[b"pending"]).unwrap().frame;
        assert_ne!(flying, pending);
        assert_eq!(rig.settle(flying), Err(LogError::Full));
        assert_eq!(rig.settle(pending), Err(LogError::Full));
        assert_eq!(rig.put(b"still full"), Err(LogError::Full));
        rig.tend();
        assert!(rig.log.is_full());
        disk.faults(|faults| faults.space = None);
        rig.tend();
        assert!(!rig.log.is_full());
        rig.put(b"healed").unwrap();
        assert_eq!(rig.settle(flying), Err(LogError::Full));
        let rig = open(&disk.crash(seed), 1).unwrap();
        assert_eq!(payloads(&rig.replayed), [&b"fits"[..], b"healed"]);
    }
}

#[test]
fn a_rename_that_failed_and_happened_loses_nothing() {
    let large = content(1, 1_000_000);
    for seed in 1..10 {
        let disk = SimDisk::new(seed);
        let mut rig = Rig::running(&disk);
        for _ in 0..2 {
            let frame = append(&rig.log, &[&large, &large, &large]).unwrap().frame;
            rig.settle(frame).unwrap();
        }
        disk.faults(|faults| faults.rename_error = 1000);
        let frame = append(&rig.log, &[&large, &large, &large]).unwrap().frame;
        assert_eq!(rig.settle(frame), Err(LogError::Full));
        disk.faults(|faults| faults.rename_error = 0);
        rig.tend();
        // It would fit behind the last frame.
        rig.put(b"small").unwrap();
        let rig = open(&disk.crash(seed), 1).unwrap();
        assert_eq!(rig.replayed.len(), 7);
        assert_eq!(rig.replayed[6].payload, b"small");
    }
}

#[test]
fn an_append_of_nothing_is_durable_at_once() {
    let mut rig = Rig::running(&SimDisk::new(1));
    let frame = append(&rig.log, &[]).unwrap().frame;
    assert_eq!(rig.settle(frame), Ok(()));
}

#[test]
fn a_file_cut_within_a_block_is_written_on() {
    let mut rig = Rig::running(&SimDisk::new(1));
    rig.put(b"before").unwrap();
    let disk = rig.close();
    disk.edit(&path(1), |bytes| bytes.truncate(3 * 4096 + 100));
    let mut rig = Rig::running(&disk);
    rig.put(b"after").unwrap();
    rig.executor.run(usize::MAX);
    assert_eq!(disk.contents(&path(1)).len() % 4096, 0);
    assert_eq!(open(&disk.crash(1), 1).unwrap().replayed.len(), 2);
}

#[test]
fn pending_records_are_written_before_the_log_closes() {
    let disk = SimDisk::new(1);
    let rig = Rig::running(&disk);
    let frame = append(&rig.log, &[b"last words"]).unwrap().frame;
    let log = Rc::clone(&rig.log);
    rig.close();
    assert!(log.is_durable(frame));
    assert_eq!(append(&log, &[b"late"]).map(drop), Err(LogError::Closed));
    let rig = open(&disk.crash(1), 1).unwrap();
    assert!(!rig.recovered.torn);
    assert_eq!(payloads(&rig.replayed), [b"last words"]);
}

#[test]
fn an_observer_may_append() {
    let disk = SimDisk::new(1);
    let mut rig = open(&disk, 1).unwrap();
    let log = Rc::clone(&rig.log);
    rig.executor.spawn(async move {
        let mut answers = 3;
        log.run(|_| {
            if answers > 0 {
                answers -= 1;
                append(&log, &[b"answer"]).unwrap();
            }
        })
        .await;
    });
    rig.put(b"question").unwrap();
    rig.executor.run(usize::MAX);
    assert_eq!(open(&disk.crash(1), 1).unwrap().replayed.len(), 4);
}

#[test]
fn there_is_room_again_as_soon_as_a_full_frame_leaves() {
    let large = content(1, 1_000_000);
    let is_early = |seed| {
        let disk = SimDisk::new(seed);
        let mut rig = Rig::running(&disk);
        let frame = append(&rig.log, &[&large, &large, &large, &large]).unwrap();
        let log = Rc::clone(&rig.log);
        let room = rig.executor.finish(async move {
            log.room(1_000_000).await.unwrap();
            !log.is_durable(frame.frame)
        });
        room.expect("whoever waits for room gets it")
    };
    assert!((1..10).any(is_early));
}

#[test]
fn refusals_of_a_disk_that_stays_full_are_told_apart_from_what_is_durable() {
    let disk = SimDisk::new(3);
    let mut rig = Rig::running(&disk);
    let mut fates = Vec::new();
    for round in 0..40 {
        let is_full = round % 8 > 3;
        let next = disk.writes() + 1;
        disk.faults(|faults| {
            faults.space = is_full.then_some(0);
            faults.failing_writes = if is_full {
                vec![(next, WriteFault::Full)]
            } else {
                Vec::new()
            };
        });
        rig.tend();
        let Ok(appended) = append(&rig.log, &[b"record"]) else {
            assert!(is_full);
            continue;
        };
        let frame = appended.frame;
        let fate = rig.settle(frame);
        assert_eq!(fate.is_err(), is_full);
        fates.push((frame, fate));
    }
    for (frame, fate) in fates {
        assert_eq!(rig.settle(frame), fate);
    }
}

#[test]
fn what_was_given_up_does_not_come_back_after_a_close() {
    for seed in 1..30 {
        let disk = SimDisk::new(seed);
        let mut rig = Rig::running(&disk);
        rig.put(b"kept").unwrap();
        // The write fails although all of it may have reached the disk, and so does the roll.
        let next = disk.writes() + 1;
        disk.faults(|faults| {
            faults.failing_writes = vec![(next, WriteFault::Full)];
            faults.space = Some(0);
        });
        assert_eq!(rig.put(b"given up"), Err(LogError::Full));
        disk.faults(|faults| faults.space = None);
        rig.close();
        let rig = open(&disk.crash(seed), 1).unwrap();
        assert_eq!(payloads(&rig.replayed), [b"kept"]);
    }
}
