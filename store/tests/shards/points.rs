//! A power cut, and a kill, after every single change of a disk; a compactor that dies after every
//! single step.
//!
//! What would break for a user if this failed: mail is lost, or a store does not open, because the
//! power went at one certain moment of a roll, a checkpoint, a merge, the emptying of a segment,
//! the rewriting of a pack, the renaming of a manifest or the recycling of a file.

use crate::keeper::{EAGER, Kept, Mortal};
use crate::seeds::{number, over_numbers};
use crate::weather::{self, Climate};
use crate::world::World;
use std::rc::Rc;
use store::compact::CompactError;

#[test]
fn whenever_the_power_goes_nothing_acknowledged_is_lost() {
    let wanted = number("RINGPOST_CRASH_POINTS").unwrap_or(100);
    let worlds = over_numbers(1..1 + wanted.div_ceil(POINTS_PER_WORLD), every_change);
    let points: u64 = worlds.iter().map(|(points, _)| points).sum();
    let mut kept = Kept::default();
    worlds.iter().for_each(|(_, of)| kept.add(of));
    println!("{points} points, three images each; {kept:?}");
    assert!(points >= wanted, "{points} points");
    // Packs are hardly ever old enough to be written anew; the random worlds see to that.
    let is_kept = wanted < 3000 || kept.segments > 0;
    assert!(is_kept, "segments were emptied: {kept:?}");
}

/// Lives until there were enough changes, with images taken after each of them.
fn every_change(seed: u64) -> (u64, Kept) {
    let mut world = World::new(seed, Climate::Fair);
    // Something to keep house of, and time to do so.
    world.work_until_crash();
    world.kept.take();
    world.clients = 1;
    // A clerk who is always at his desk leaves the compactor no time in so short a life.
    world.has_clerk = seed.is_multiple_of(3);
    let mut points = 0;
    while points < POINTS_PER_WORLD {
        let mut life = world.begin();
        weather::change(&world.disk, Climate::Fair, &mut world.seed);
        let (end, mut seen) = (points + POINTS_PER_LIFE, world.disk.changes());
        while points < end && life.executor.turn() {
            if world.disk.changes() > seen {
                seen = world.disk.changes();
                points += 1;
                check_images(&world, seed ^ points << 32);
            }
        }
        world.crash();
    }
    let kept = *world.kept.borrow();
    (points, kept)
}

/// What a power cut may leave, twice, and what a kill may.
fn check_images(world: &World, seed: u64) {
    let disk = &world.disk;
    let images = [disk.crash(seed), disk.crash(!seed), disk.kill(seed)];
    for image in images {
        world.branch(image, seed).check();
    }
}

#[test]
fn after_whichever_step_the_compactor_dies_nothing_is_lost() {
    let steps: u32 = (1..=3).map(dies_at_every_step).sum();
    println!("{steps} steps");
    assert!(
        steps > 100,
        "checkpoint, merge, packs, manifests: {steps} steps"
    );
}

fn dies_at_every_step(seed: u64) -> u32 {
    let mut world = World::new(seed, Climate::Fair);
    let mut life = world.begin_without_keeper();
    weather::change(&world.disk, Climate::Fair, &mut world.seed);
    life.executor.run(2500);
    drop(life);
    let disk = world.disk.crash(seed);
    for steps in 0.. {
        let mut world = world.branch(disk.crash(seed), seed);
        let mut life = world.begin_without_keeper();
        let shard = Rc::clone(&life.shards[0]);
        let mortal = Mortal::new(&world.disk);
        mortal.steps_left.set(Some(steps));
        let kept = async move { shard.keep_house(&mortal, &EAGER).await };
        let kept = life.executor.finish(kept).expect("it ends");
        // Whoever works on goes on, and a later compactor, too.
        life.executor.run(30);
        let shard = Rc::clone(&life.shards[0]);
        let later = Mortal::new(&world.disk);
        let again = async move { shard.keep_house(&later, &EAGER).await };
        let again = life.executor.finish(again).expect("it ends");
        assert_eq!(again.unwrap().damage, []);
        drop(life);
        world.crash();
        world.check();
        match kept {
            Ok(_) => return steps,
            Err(error) => assert_eq!(error, CompactError::Ended),
        }
    }
    unreachable!("there are not so many steps")
}

const POINTS_PER_WORLD: u64 = 500;

/// Then the world goes on from one of the images.
const POINTS_PER_LIFE: u64 = 250;
