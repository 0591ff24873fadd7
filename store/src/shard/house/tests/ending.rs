//! The segment that is written to is ended before its turn, and emptied like the others.
//!
//! What would break for a user if this failed: a store that is compacted before it is copied keeps
//! its dead space, or loses what was written last.

use super::{DIRECTORY, EAGER, Rig};
use crate::compact::Policy;
use crate::disk::fault::WriteFault;
use crate::disk::sim::SimDisk;

const OCTETS: &[usize] = &[4000, 1_500_000, 60];

fn end_segment(rig: &mut Rig) -> Result<(), crate::error::LogError> {
    rig.run(async |shard, _| shard.end_segment().await)
}

fn log_files(rig: &Rig) -> Vec<String> {
    let log = format!("{DIRECTORY}/log/");
    let paths = rig.disk.paths().into_iter();
    let names = paths.filter_map(|path| path.strip_prefix(&log).map(str::to_owned));
    names.collect()
}

#[test]
fn the_last_segment_is_emptied_too() {
    let mut rig = Rig::open(SimDisk::new(1));
    rig.fill(OCTETS);
    end_segment(&mut rig).unwrap();
    assert_eq!(rig.keep_house().segments_emptied, 1);
    rig.assert_whole(OCTETS);
    let removed = rig.run(async |shard, _| shard.log().remove_spares().await);
    assert_eq!(removed.unwrap(), 1);
    assert_eq!(log_files(&rig), ["0000000000000002.log"]);
    // There is next to nothing in the new one.
    end_segment(&mut rig).unwrap();
    assert_eq!(rig.keep_house().segments_emptied, 0);
    let mut rig = rig.crash();
    rig.assert_whole(OCTETS);
    rig.fill(&[70]);
    rig.assert_whole(&[OCTETS, &[70]].concat());
}

#[test]
fn what_is_due_may_change_from_round_to_round() {
    let mut rig = Rig::open(SimDisk::new(1));
    rig.fill(OCTETS);
    end_segment(&mut rig).unwrap();
    for (keep_log_bytes, emptied) in [(u64::MAX, 0), (32 << 20, 0), (0, 1)] {
        let policy = Policy {
            keep_log_bytes,
            ..EAGER
        };
        let report = rig.run(async move |shard, here| shard.make_room(&here, || policy).await);
        assert_eq!(report.unwrap().segments_emptied, emptied);
        rig.assert_whole(OCTETS);
    }
}

#[test]
fn without_room_for_another_segment_the_last_one_stays() {
    let mut rig = Rig::open(SimDisk::new(1));
    rig.fill(OCTETS);
    rig.disk.faults(|faults| faults.space = Some(0));
    end_segment(&mut rig).unwrap_err();
    rig.disk.faults(|faults| faults.space = None);
    rig.shard.log().retry();
    rig.executor.run(100);
    rig.fill(&[70]);
    rig.assert_whole(&[OCTETS, &[70]].concat());
    rig.crash().assert_whole(&[OCTETS, &[70]].concat());
}

#[test]
fn a_write_that_fails_while_a_segment_ends_costs_nothing() {
    for failing in 1..6 {
        let mut rig = Rig::open(SimDisk::new(1));
        rig.fill(OCTETS);
        let writes = rig.disk.writes();
        rig.disk.faults(|faults| {
            faults.failing_writes = vec![(writes + failing, WriteFault::Full)];
        });
        drop(end_segment(&mut rig));
        rig.disk.faults(|faults| faults.failing_writes.clear());
        rig.shard.log().retry();
        rig.assert_whole(OCTETS);
        rig.keep_house();
        rig.assert_whole(OCTETS);
        rig.crash().assert_whole(OCTETS);
    }
}
