//! The control: a device that says "durable" and means "some day" must be found out by the model.
//!
//! What would break for a user if this failed: nothing at once; but then the other tests of this
//! program would pass whatever the store did, and nobody would notice a sync that is missing.

use crate::seeds::panics;
use crate::weather::{self, Climate};
use crate::world::World;
use store::disk::fault::Faults;

#[test]
fn a_disk_that_does_not_sync_is_found_out() {
    is_found_out(|faults| faults.no_sync = Some(""));
}

#[test]
fn a_log_that_is_not_synced_is_found_out() {
    is_found_out(|faults| faults.no_sync = Some("/log/"));
}

#[test]
fn a_checkpoint_that_is_not_synced_is_found_out() {
    is_found_out(|faults| faults.no_sync = Some("/index/"));
}

#[test]
fn a_manifest_that_is_not_synced_is_found_out() {
    is_found_out(|faults| faults.no_sync = Some("/MANIFEST"));
}

#[test]
fn a_pack_that_is_not_synced_is_found_out() {
    is_found_out(|faults| faults.no_sync = Some("/packs/"));
}

#[test]
fn names_that_are_not_synced_are_found_out() {
    is_found_out(|faults| faults.no_name_sync = true);
}

/// In some world it goes wrong, in which it does not go wrong with sync.
fn is_found_out(remove_sync: fn(&mut Faults)) {
    let first = (1..=SEEDS_MAX).find(|seed| panics(|| live(*seed, remove_sync)));
    println!("found out by seed {first:?}");
    let first = first.expect("without sync acknowledged mail must be missed by the model");
    live(first, |_| {});
}

/// Two lives that end in a power cut.
fn live(seed: u64, change: fn(&mut Faults)) {
    let mut world = World::new(seed, Climate::Fair);
    world.disk.faults(change);
    for turns in [500, 3000] {
        let mut life = world.begin();
        weather::change(&world.disk, Climate::Fair, &mut world.seed);
        life.executor.run(turns);
        world.disk = world.disk.crash(seed);
        world.disk.faults(change);
    }
    world.check();
}

/// As many worlds as it may take.
const SEEDS_MAX: u64 = 40;
