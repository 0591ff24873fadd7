//! Two shards over one simulated disk: random work, a crash at a random moment, and again; what
//! they owe each other is handed over several at a time.
//!
//! What would break for a user if this failed: mail that was acknowledged is missing, comes twice,
//! or a UID means another message than before. A few seeds by default; `RINGPOST_SEEDS=2000` is
//! what `tests/run` does, 100,000 the nightly form, and `RINGPOST_FIRST_SEED` begins elsewhere.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod below;
mod clerk;
mod client;
mod control;
mod copied;
mod feeder;
mod fsck;
mod keeper;
mod ledger;
mod liar;
mod points;
mod queue;
mod seeds;
mod signs;
mod weather;
mod world;

use keeper::Kept;
use seeds::over_seeds;
use weather::Climate;
use world::World;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_comes_twice() {
    let kept = over_seeds(30, |seed| {
        let world = lives(seed, Climate::Fair);
        *world.kept.borrow()
    });
    let kept = sum(&kept);
    println!("{kept:?}");
    assert!(kept.segments > 20, "segments were emptied: {kept:?}");
    assert!(kept.packs > 5, "packs were written anew: {kept:?}");
    assert!(kept.ended > 0 && kept.spares > 0, "{kept:?}");
    assert!(kept.while_read > 0, "somebody read meanwhile: {kept:?}");
    assert!(kept.failed > 0, "some tasks failed: {kept:?}");
}

/// Reads fail, blocks die, the disk is full, slow, and refuses names. A message that cannot be read
/// costs nobody another; what was acknowledged is there when the storm is over, or was named.
#[test]
fn in_storms_nothing_is_lost_but_what_is_named() {
    let lived = over_seeds(30, |seed| {
        let world = lives(seed, Climate::Stormy);
        let kept = *world.kept.borrow();
        (
            kept,
            world.met.unread.get(),
            world.met.refused_starts,
            world.met.healed,
        )
    });
    let kept: Vec<Kept> = lived.iter().map(|(kept, ..)| *kept).collect();
    let kept = sum(&kept);
    let unread: u32 = lived.iter().map(|(_, unread, ..)| unread).sum();
    let refused: u32 = lived.iter().map(|(_, _, refused, _)| refused).sum();
    let healed: u32 = lived.iter().map(|(.., healed)| healed).sum();
    println!("{kept:?}, {unread} reads and {refused} starts refused, {healed} healed");
    assert!(
        kept.segments > 5 && kept.packs > 0,
        "there was work: {kept:?}"
    );
    assert!(unread > 0 && refused > 0 && healed > 0, "there were storms");
}

/// Backups are taken while all of this goes on, and go down with it. A store that is made of one
/// has what was acknowledged before it was begun, and lives on like any other.
#[test]
fn what_a_backup_gives_back_is_whole_and_lives_on() {
    let restored: usize = over_seeds(30, restorations).into_iter().sum();
    println!("{restored} restored");
    assert!(restored > 0, "no backup was whole before the crash");
}

fn lives(seed: u64, climate: Climate) -> World {
    let mut world = World::new(seed, climate);
    for _ in 0..LIVES {
        world.work_until_crash();
        world.check();
    }
    world
}

fn restorations(seed: u64) -> usize {
    let mut restored = 0;
    let mut world = World::new(seed, Climate::Fair);
    world.backs_up = true;
    for life in 0..LIVES {
        world.work_until_crash();
        world.check();
        if let Some(mut other) = world.restored(life) {
            restored += 1;
            other.check();
            other.work_until_crash();
            other.check();
        }
    }
    restored
}

fn sum(kept: &[Kept]) -> Kept {
    let mut sum = Kept::default();
    kept.iter().for_each(|kept| sum.add(kept));
    sum
}

const LIVES: usize = 3;
