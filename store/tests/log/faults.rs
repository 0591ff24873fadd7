//! Writes that fail: no success is told for them, and the log heals or says that it cannot.

use crate::world::{Fact, World, append};
use std::time::Duration;
use store::disk::fault::WriteFault;
use store::disk::sim::SimDisk;
use store::error::LogError;
use store::log::Outcome;
use store::mail::id::FrameSeq;

fn body(number: u8) -> Vec<Fact> {
    vec![(1, 1, vec![number; 3000])]
}

/// A log with one durable frame; write 1 was the segment header, write 2 the frame.
fn begun() -> World {
    let mut world = World::open(&SimDisk::new(3), 3).unwrap();
    world.append(body(0));
    world.settle();
    assert_eq!(world.disk.writes(), 2);
    world
}

fn fail_writes(world: &World, writes: &[(u64, WriteFault)]) {
    world
        .disk
        .faults(|faults| faults.failing_writes = writes.to_vec());
}

#[test]
fn one_failed_write_costs_nothing_but_its_segment() {
    let mut world = begun();
    fail_writes(&world, &[(3, WriteFault::Io)]);
    world.append(body(1));
    world.settle();
    world.append(body(2));
    world.settle();
    let frames: Vec<u64> = world
        .book
        .durable
        .borrow()
        .iter()
        .map(|frame| frame.0)
        .collect();
    assert_eq!(frames, [1, 2, 3]);
    let segments: Vec<u32> = world
        .book
        .placed()
        .iter()
        .map(|(at, _)| at.segment())
        .collect();
    assert_eq!(segments, [0, 1, 1]);
    assert_eq!(world.log.counters().failed_writes, 1);
    let after = World::open(&world.disk.crash(1), 1).unwrap();
    let expected = [body(0), body(1), body(2)].concat();
    assert_eq!(after.replayed_facts(), expected);
}

#[test]
fn a_failed_segment_header_is_not_written_again() {
    let mut world = begun();
    // 4 is the header of the next segment.
    fail_writes(&world, &[(3, WriteFault::Io), (4, WriteFault::Full)]);
    for number in 1..8 {
        world.append(body(number));
        world.settle();
        world.clock.set(world.clock.get() + Duration::from_secs(5));
    }
    assert!(world.book.durable.borrow().len() >= 6);
    let promised: Vec<Fact> = world
        .book
        .placed()
        .into_iter()
        .map(|(_, fact)| fact)
        .collect();
    let after = World::open(&world.disk.crash(1), 1).unwrap();
    assert_eq!(after.replayed_facts(), promised);
}

#[test]
fn two_failed_writes_make_the_log_read_only_and_reads_go_on() {
    let mut world = begun();
    // 4 is the header of the next segment.
    fail_writes(&world, &[(3, WriteFault::Io), (4, WriteFault::Io)]);
    world.append(body(1));
    world.settle();
    let failed = world.book.failed.borrow().clone();
    assert_eq!(failed, [(FrameSeq(2), LogError::ReadOnly)]);
    let (log, book) = (world.log.clone(), world.book.clone());
    let refused = world.executor.finish(async move {
        let none = append(&log, &book, body(2)).await;
        (none, log.room(100).await)
    });
    assert_eq!(refused, Some((None, Err(LogError::ReadOnly))));
    let (log, place) = (world.log.clone(), world.book.placed()[0].0);
    let read = world.executor.finish(async move { log.read(place).await });
    assert_eq!(read.unwrap().unwrap().payload(), [0; 3000]);
    world.log.close();
    world.settle();
    assert!(world.book.returned.get());
    let after = World::open(&world.disk.crash(1), 1).unwrap();
    let found = after.replayed_facts();
    assert!(found == body(0) || found == [body(0), body(1)].concat());
}

#[test]
fn what_was_appended_behind_a_failed_frame_fails_with_it() {
    let mut world = begun();
    fail_writes(&world, &[(3, WriteFault::Io), (4, WriteFault::Io)]);
    world.append(body(1));
    // The first frame is taken before the second append, which then waits behind it.
    while world.disk.waiting() == 0 {
        world.executor.turn();
    }
    world.append(body(2));
    world.settle();
    let failed: Vec<u64> = world
        .book
        .failed
        .borrow()
        .iter()
        .map(|(frame, _)| frame.0)
        .collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    let outcomes = world.book.outcomes.borrow();
    let last = outcomes.last().unwrap();
    assert!(matches!(
        last,
        Outcome::Failed {
            first: FrameSeq(2),
            last: FrameSeq(3),
            error: LogError::ReadOnly
        }
    ));
}

#[test]
fn a_full_disk_heals_by_itself() {
    let mut world = begun();
    world.disk.faults(|faults| faults.space = Some(20 << 10));
    let mut number = 1;
    while world.book.failed.borrow().is_empty() {
        world.append(body(number));
        world.settle();
        number += 1;
        assert!(number < 50, "the disk has to be full by now");
    }
    assert_eq!(world.book.failed.borrow()[0].1, LogError::Full);
    // Within the pause appends are refused without trying.
    let (log, book) = (world.log.clone(), world.book.clone());
    let appended = world
        .executor
        .finish(async move { append(&log, &book, body(99)).await });
    assert_eq!(appended, Some(None));
    world.disk.faults(|faults| faults.space = None);
    world.clock.set(Duration::from_secs(2));
    world.append(body(100));
    world.settle();
    let last = world.book.appended.borrow().last().cloned().unwrap();
    assert_eq!(last.1, body(100)[0]);
    assert!(world.book.durable.borrow().contains(&last.0));
    let promised: Vec<Fact> = world
        .book
        .placed()
        .into_iter()
        .map(|(_, fact)| fact)
        .collect();
    let after = World::open(&world.disk.crash(1), 1).unwrap();
    assert_eq!(after.replayed_facts(), promised);
}

/// The number of a failed frame is not used again: who asks late is not told of another frame.
#[test]
fn a_late_question_about_a_failed_frame_is_answered_rightly() {
    let mut world = begun();
    fail_writes(&world, &[(3, WriteFault::Full), (4, WriteFault::Full)]);
    world.append(body(1));
    world.settle();
    world.clock.set(Duration::from_secs(2));
    world.append(body(2));
    world.settle();
    let appended = world.book.appended.borrow().clone();
    let frames: Vec<FrameSeq> = appended.iter().map(|(frame, _)| *frame).collect();
    assert_eq!(frames, [FrameSeq(1), FrameSeq(2), FrameSeq(3)]);
    let log = world.log.clone();
    let answers = world.executor.finish(async move {
        let mut answers = Vec::new();
        for frame in frames {
            answers.push(log.durable(frame).await);
        }
        answers
    });
    assert_eq!(answers.unwrap(), [Ok(()), Err(LogError::Full), Ok(())]);
}

#[test]
fn a_read_error_is_told_and_the_next_read_works() {
    let world = begun();
    let mut world = World::open(&world.close(), 3).unwrap();
    let place = world.replayed[0].0;
    world.disk.faults(|faults| faults.read_error = 1000);
    let log = world.log.clone();
    let failed = world.executor.finish(async move { log.read(place).await });
    assert!(failed.unwrap().is_err());
    world.disk.faults(|faults| faults.read_error = 0);
    let log = world.log.clone();
    let read = world.executor.finish(async move { log.read(place).await });
    assert_eq!(read.unwrap().unwrap().payload(), [0; 3000]);
}
