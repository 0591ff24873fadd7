//! Random appends, closes and crashes: what `durable` said `Ok` for is replayed, in order, once.

use crate::world::{DIRECTORY, Fact, World, fact};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use store::disk::executor::Executor;
use store::disk::fault::{Faults, Seed};
use store::disk::sim::SimDisk;
use store::log::{Log, RecordRef};

/// Lives of a store per seed.
const LIVES: u64 = 3;

/// Runs the model; `Err` says which promise was broken.
fn live_and_crash(number: u64, faults: &Faults) -> Result<(), String> {
    let mut seed = Seed::new(number);
    let mut disk = SimDisk::new(seed.throw());
    let mut history: Vec<Fact> = Vec::new();
    for life in 0..LIVES {
        let mut world = World::open(&disk, seed.throw()).map_err(|error| error.to_string())?;
        check_replay(&mut history, &[], &world.replayed_facts())?;
        disk.faults(|now| *now = faults.clone());
        run_one_life(&mut world, &mut seed, life);
        if seed.chance(300) {
            check_all_are_answered(&mut world)?;
        }
        disk = cut(&world, &mut seed);
        let mut after = World::open(&disk, seed.throw()).map_err(|error| error.to_string())?;
        let acknowledged = acknowledged(&world);
        let appended = world.book.appended.borrow();
        let appended: Vec<Fact> = appended.iter().map(|(_, fact)| fact.clone()).collect();
        let promised = [&history[..], &acknowledged[..]].concat();
        let possible = [&history[..], &appended[..]].concat();
        history = between(&promised, &possible, &after.replayed_facts())?;
        check_frames_are_whole(&world, &after)?;
        // What was shown once stays, even if the power goes before anything else is written.
        after.executor.run(seed.below(20) as usize);
        disk = disk.crash(seed.throw());
    }
    let world = World::open(&disk, seed.throw()).map_err(|error| error.to_string())?;
    check_replay(&mut history, &[], &world.replayed_facts())
}

fn run_one_life(world: &mut World, seed: &mut Seed, life: u64) {
    let mut number = life << 32;
    for _ in 0..seed.below(14) {
        let facts = (0..1 + seed.below(3)).map(|_| {
            number += 1;
            fact(seed, number)
        });
        let facts = facts.collect();
        world.append(facts);
        world.executor.run(seed.below(30) as usize);
    }
    if seed.chance(200) {
        world.log.close();
    }
    world.executor.run(seed.below(60) as usize);
}

fn cut(world: &World, seed: &mut Seed) -> SimDisk {
    match seed.below(4) {
        0 => world.disk.kill(seed.throw()),
        _ => world.disk.crash(seed.throw()),
    }
}

/// Left alone, the log answers everybody; only `run` itself waits on.
fn check_all_are_answered(world: &mut World) -> Result<(), String> {
    world.settle();
    let running = usize::from(!world.book.returned.get());
    match world.executor.left() == running {
        true => Ok(()),
        false => Err(format!(
            "{} tasks wait for ever",
            world.executor.left() - running
        )),
    }
}

fn acknowledged(world: &World) -> Vec<Fact> {
    let durable = world.book.durable.borrow();
    let appended = world.book.appended.borrow();
    let kept = appended.iter().filter(|(frame, _)| durable.contains(frame));
    kept.map(|(_, fact)| fact.clone()).collect()
}

/// `promised ⊑ found ⊑ possible`, all three in one order; gives what was found.
fn between(promised: &[Fact], possible: &[Fact], found: &[Fact]) -> Result<Vec<Fact>, String> {
    if !is_subsequence(promised, found) {
        return Err(format!(
            "{} promised, {} found: lost",
            promised.len(),
            found.len()
        ));
    }
    if !is_subsequence(found, possible) {
        return Err(format!("{} found that nobody appended so", found.len()));
    }
    Ok(found.to_vec())
}

fn is_subsequence(part: &[Fact], whole: &[Fact]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|fact| whole.any(|other| other == fact))
}

fn check_replay(known: &mut [Fact], more: &[Fact], found: &[Fact]) -> Result<(), String> {
    match found == [known, more].concat() {
        true => Ok(()),
        false => Err(format!(
            "{} records shown before, {} now",
            known.len(),
            found.len()
        )),
    }
}

/// All facts of one frame were replayed, or none.
fn check_frames_are_whole(before: &World, after: &World) -> Result<(), String> {
    let found = after.replayed_facts();
    let appended = before.book.appended.borrow();
    for frame in appended.iter().map(|(frame, _)| *frame) {
        let mut of_frame = appended.iter().filter(|(other, _)| *other == frame);
        let first = of_frame
            .next()
            .is_some_and(|(_, fact)| found.contains(fact));
        if of_frame.any(|(_, fact)| found.contains(fact) != first) {
            return Err(format!("frame {frame} is there in part"));
        }
    }
    Ok(())
}

fn seeds(usual: u64) -> u64 {
    let more = std::env::var("RINGPOST_SEEDS").ok();
    more.and_then(|count| count.parse().ok()).unwrap_or(usual)
}

fn run_seeds(from: u64, to: u64, faults: &Faults) {
    for number in from..to {
        let outcome = catch_unwind(AssertUnwindSafe(|| live_and_crash(number, faults)));
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(why)) => panic!("seed {number}: {why}"),
            Err(panic) => {
                eprintln!("seed {number} panicked");
                std::panic::resume_unwind(panic);
            }
        }
    }
}

#[test]
fn nothing_durable_is_lost_over_crashes() {
    run_seeds(0, seeds(1000), &Faults::default());
}

#[test]
fn nothing_durable_is_lost_over_crashes_on_a_slow_disk() {
    let faults = Faults {
        slow: 400,
        ..Faults::default()
    };
    run_seeds(1 << 32, (1 << 32) + seeds(600), &faults);
}

#[test]
fn nothing_durable_is_lost_while_writes_fail() {
    let faults = Faults {
        write_error: 60,
        zero_error: 60,
        ..Faults::default()
    };
    run_seeds(2 << 32, (2 << 32) + seeds(600), &faults);
}

#[test]
fn nothing_durable_is_lost_on_a_full_disk() {
    let faults = Faults {
        space: Some(200 << 10),
        slow: 100,
        ..Faults::default()
    };
    run_seeds(3 << 32, (3 << 32) + seeds(400), &faults);
}

/// The control: if the model cannot catch a disk that does not sync, it proves nothing.
#[test]
fn the_model_catches_a_disk_that_does_not_sync() {
    let faults = Faults {
        no_sync: true,
        ..Faults::default()
    };
    let caught = (0..100).filter(|number| live_and_crash(*number, &faults).is_err());
    assert!(caught.count() > 50);
}

/// The control for lost writes: either found as damage or as a lost promise, never unseen.
#[test]
fn the_model_catches_a_disk_that_loses_writes() {
    let faults = Faults {
        lost_write: 500,
        ..Faults::default()
    };
    let caught = (0..100).filter(|number| live_and_crash(*number, &faults).is_err());
    assert!(caught.count() > 50);
}

/// Opens a log, cuts the power after each number of turns, and opens what is left.
fn crash_while_opening(disk: &SimDisk, expected: &[Fact]) {
    let mut turns = 0;
    loop {
        let image = disk.crash(0);
        let (clock, over) = (Rc::default(), image.clone());
        let options = crate::world::options(&clock, turns);
        let mut executor = Executor::new(image.clone(), turns);
        executor.spawn(async move {
            let mut accept = |_, _: &RecordRef<'_>| Ok(());
            let opened = Log::open(Rc::new(over), DIRECTORY, options, &mut accept).await;
            opened.map(drop).expect("only the power fails");
        });
        executor.run(turns as usize);
        let left = match turns % 2 {
            0 => image.crash(turns),
            _ => image.kill(turns),
        };
        let world = World::open(&left, turns).expect("no repair by hand");
        assert_eq!(world.replayed_facts(), expected, "{turns} turns");
        if executor.left() == 0 {
            return;
        }
        turns += 1;
    }
}

#[test]
fn a_crash_while_the_log_is_made_leaves_an_empty_log() {
    crash_while_opening(&SimDisk::new(1), &[]);
}

#[test]
fn a_crash_while_a_torn_tail_is_erased_leaves_the_same_log() {
    let mut world = World::open(&SimDisk::new(2), 2).unwrap();
    let facts: Vec<Fact> = (0..5).map(|number| (1, 1, vec![number; 2000])).collect();
    for fact in &facts {
        world.append(vec![fact.clone()]);
        world.settle();
    }
    let end = 6 * 4096;
    let path = "shard-00/log/0000000000000000.log";
    world
        .disk
        .edit(path, |bytes| bytes[end + 700..end + 8000].fill(0xcd));
    crash_while_opening(&world.disk, &facts);
}

/// A killed process leaves a frame in the page cache; recovery shows it; then the power goes.
#[test]
fn what_was_shown_after_a_kill_is_there_after_a_power_cut() {
    let mut world = World::open(&SimDisk::new(5), 5).unwrap();
    world.append(vec![(1, 1, vec![5; 3000])]);
    while world.disk.waiting() == 0 {
        world.executor.turn();
    }
    let mut shown = 0;
    for seed in 0..200 {
        let killed = world.disk.kill(seed);
        let before = World::open(&killed, seed).unwrap().replayed_facts();
        let after = World::open(&killed.crash(seed), seed)
            .unwrap()
            .replayed_facts();
        assert_eq!(before, after, "seed {seed}");
        shown += before.len();
    }
    assert!(shown > 10, "the frame never reached the page cache");
}
