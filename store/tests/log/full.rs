//! A disk that fills up, stays full and has space again.
//!
//! What would break for a user if this failed: a server that refuses mail for good although there
//! is space again, or that cannot delete mail because the disk is full of it.

use super::{Rig, append, content, open_as, options};
use std::cell::Cell;
use std::rc::Rc;
use store::disk::fault::WriteFault;
use store::disk::sim::SimDisk;
use store::error::LogError;
use store::limit::LOG_RESERVE_BYTES;
use store::log::{Options, record_bytes};

thread_local! {
    static NOW_MICROS: Cell<u64> = const { Cell::new(0) };
}

fn roomy() -> Options {
    let mut options = options();
    options.segment_bytes = 64 << 20;
    options.clock_micros = || NOW_MICROS.get();
    options
}

/// A log with much more written ahead than the reserve, on a disk that is full from now on.
fn full(seed: u64) -> Rig {
    let disk = SimDisk::new(seed);
    let mut rig = open_as(&disk, seed, roomy()).unwrap();
    rig.start();
    for id in 0..6 {
        rig.put(&content(id, 900_000)).unwrap();
    }
    rig.executor.run(usize::MAX);
    disk.faults(|faults| faults.space = Some(0));
    rig
}

impl Rig {
    fn put_ordinary(&mut self, payload: &[u8]) -> Result<(), LogError> {
        let (log, bytes) = (Rc::clone(&self.log), record_bytes(payload.len()));
        let room = async move { log.room(bytes).await };
        self.executor.finish(room).unwrap()?;
        self.put(payload)
    }

    fn put_urgent(&mut self, payload: &[u8]) -> Result<(), LogError> {
        let (log, bytes) = (Rc::clone(&self.log), record_bytes(payload.len()));
        let room = async move { log.room_urgent(bytes).await };
        self.executor.finish(room).unwrap()?;
        self.put(payload)
    }

    /// Ordinary records until the log refuses them; how many went in.
    fn fill(&mut self) -> u64 {
        let large = content(7, 900_000);
        let mut count = 0;
        while self.put_ordinary(&large).is_ok() {
            count += 1;
        }
        count
    }
}

#[test]
fn the_reserve_is_for_what_gives_space_back() {
    for seed in 1..3 {
        let mut rig = full(seed);
        let ordinary = rig.fill();
        assert!(ordinary > 2, "what is written ahead is used");
        assert!(rig.log.is_full());
        let mut urgent = 0;
        while rig.put_urgent(b"expunge").is_ok() {
            urgent += 1;
        }
        let blocks = LOG_RESERVE_BYTES / 4096;
        assert!((blocks..blocks + 300).contains(&urgent), "{urgent}");
        assert_eq!(rig.log.stats().failed_writes, 0);
        assert_eq!(rig.disk.paths().len(), 1, "and no other segment");
        let disk = rig.disk.crash(seed);
        let rig = open_as(&disk, 1, roomy()).unwrap();
        assert_eq!(rig.replayed.len() as u64, 6 + ordinary + urgent);
    }
}

#[test]
fn it_heals_when_somebody_tends_it() {
    let mut rig = full(1);
    rig.fill();
    rig.tend();
    let large = content(1, 900_000);
    assert_eq!(rig.put_ordinary(&large), Err(LogError::Full));
    rig.disk.faults(|faults| faults.space = None);
    rig.tend();
    rig.put_ordinary(&large).unwrap();
    assert!(!rig.log.is_full());
}

#[test]
fn it_heals_a_second_later_when_somebody_is_refused() {
    let mut rig = full(1);
    rig.fill();
    rig.disk.faults(|faults| faults.space = None);
    let mut refused_at = |micros: u64| {
        NOW_MICROS.set(micros);
        let answer = rig.put_ordinary(&content(1, 900_000));
        rig.executor.run(usize::MAX);
        answer.is_err()
    };
    assert!(refused_at(0));
    assert!(refused_at(999_999));
    assert!(refused_at(1_000_000), "this one makes the log ask again");
    assert!(!refused_at(1_000_001));
}

#[test]
fn a_retired_segment_gives_space_to_a_full_disk() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::running(&disk);
    rig.fill_to(2);
    disk.faults(|faults| faults.space = Some(0));
    rig.fill();
    assert!(rig.log.is_full());
    rig.retire(2);
    rig.executor.run(usize::MAX);
    assert!(!rig.log.is_full());
    rig.put_ordinary(&content(1, 900_000)).unwrap();
}

#[test]
fn a_device_that_refuses_again_and_again_gets_no_chain_of_segments() {
    let disk = SimDisk::new(1);
    let mut rig = Rig::running(&disk);
    rig.put(b"before").unwrap();
    for _ in 0..20 {
        // The frame, not the header of the segment that it is moved to, and the frame there.
        let now = disk.writes();
        disk.faults(|faults| {
            let writes = [now + 1, now + 3].map(|write| (write, WriteFault::Full));
            faults.failing_writes = writes.to_vec();
        });
        assert_eq!(rig.put(b"refused"), Err(LogError::Full));
        rig.tend();
    }
    rig.put(b"after").unwrap();
    let segments = disk.paths().into_iter();
    assert_eq!(segments.filter(|path| path.ends_with(".log")).count(), 2);
    let rig = open_as(&disk.crash(1), 1, options()).unwrap();
    assert_eq!(super::payloads(&rig.replayed), [&b"before"[..], b"after"]);
}

#[test]
fn what_was_given_up_is_buried_as_soon_as_there_is_space() {
    for seed in 1..12 {
        let disk = SimDisk::new(seed);
        let mut rig = Rig::running(&disk);
        rig.put(b"kept").unwrap();
        let next = disk.writes() + 1;
        disk.faults(|faults| {
            faults.failing_writes = vec![(next, WriteFault::Full)];
            faults.space = Some(0);
        });
        let frame = append(&rig.log, &[b"given up"]).unwrap().frame;
        assert_eq!(rig.settle(frame), Err(LogError::Full));
        disk.faults(|faults| faults.space = None);
        rig.tend();
        // Nothing was appended since, and nothing is closed.
        let rig = open_as(&disk.crash(seed), 1, options()).unwrap();
        assert_eq!(super::payloads(&rig.replayed), [b"kept"]);
    }
}
