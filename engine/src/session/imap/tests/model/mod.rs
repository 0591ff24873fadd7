//! Several sessions on one mailbox of a real store: random commands in random interleavings, with
//! other dialects and other events asked for, across restarts and power cuts, against what each
//! client believes from the responses alone.
//!
//! What would break for a user: a client that counts other messages than the server, shows flags
//! that are not, keeps mail that is gone, or after coming back never hears of what it missed.
//!
//! `RINGPOST_SEEDS=2000` is the nightly form, from `RINGPOST_FIRST_SEED` on.

mod believer;
mod commands;
mod world;

use self::believer::{Believer, Kind};
use self::world::World;
use super::Random;

/// Random commands until the next restart, and restarts of one run.
const STEPS: usize = 90;
const LIVES: usize = 3;

const SESSIONS: usize = 3;

/// Seeds of the usual run.
const SEEDS: u64 = 60;

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let mut world = World::new(seed);
    let mut all: Vec<Believer> = (0..SESSIONS)
        .map(|_| Believer::new(Kind::any(&mut random), &world))
        .collect();
    for life in 0..LIVES {
        all.iter_mut()
            .for_each(|one| one.come_back(&mut world, &mut random));
        for _ in 0..STEPS {
            let chosen = random.below(all.len());
            all[chosen].act(&mut random);
            for _ in 0..random.below(8) {
                world.turn();
                all[chosen].step();
            }
            if random.below(40) == 0 {
                world.checkpoint();
            }
        }
        if life + 1 < LIVES && random.below(2) == 0 {
            // Whatever is on its way is cut off; what was told stays true.
            world.restart(&mut random);
            continue;
        }
        agree(&mut world, &mut all);
        world.restart(&mut random);
    }
}

/// When nothing is on its way any more, everybody believes what is.
fn agree(world: &mut World, all: &mut [Believer]) {
    all.iter_mut().for_each(Believer::wake_up);
    believer::settle(world, all);
    for at in 0..all.len() {
        all[at].send("NOOP".to_owned());
        believer::settle(world, all);
        let truth = world.truth();
        all[at].check_believed(&truth);
        all[at].send("UID FETCH 1:* (UID FLAGS MODSEQ)".to_owned());
        believer::settle(world, all);
        all[at].check_known(&truth);
        all[at].check_watched(world);
    }
}

#[test]
fn clients_believe_what_is() {
    let number = |variable: &str| std::env::var(variable).ok()?.parse::<u64>().ok();
    let first = number("RINGPOST_FIRST_SEED").unwrap_or(1);
    let seeds = number("RINGPOST_SEEDS").unwrap_or(SEEDS);
    for seed in first..first + seeds {
        let caught = std::panic::catch_unwind(|| run(seed));
        assert!(caught.is_ok(), "seed {seed}");
    }
}
