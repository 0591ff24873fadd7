//! What the device does to a world while it lives: nothing, single failing writes, or storms.

use store::disk::fault::{Faults, Seed, WriteFault};
use store::disk::sim::SimDisk;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Climate {
    /// Writes fail now and then, and end their segments, so that there are many small ones.
    Fair,
    /// Beside that, reads fail or come in pieces, blocks die, the disk fills up, is slow, and
    /// refuses names.
    Stormy,
    /// Beside that, writes that the device calls durable are lost or land elsewhere.
    Lying,
}

/// Another weather from now on.
pub(crate) fn change(disk: &SimDisk, climate: Climate, dice: &mut Seed) {
    let mut faults = match climate {
        Climate::Fair => Faults::default(),
        Climate::Stormy => storm(disk, dice),
        Climate::Lying => Faults {
            lost_write: rate(dice, 20),
            misdirected_write: rate(dice, 20),
            ..Faults::default()
        },
    };
    faults.failing_writes = failing_writes(disk, dice);
    disk.faults(|present| {
        faults.no_sync = present.no_sync;
        faults.no_name_sync = present.no_name_sync;
        *present = faults;
    });
    if dice.chance(300) {
        disk.revive();
    }
}

/// Reads fail, and nothing else.
pub(crate) fn hide(disk: &SimDisk, dice: &mut Seed) {
    let faults = Faults {
        read_error: rate(dice, 20),
        dying_block: rate(dice, 10),
        short_read: rate(dice, 300),
        lost_page: rate(dice, 10),
        ..Faults::default()
    };
    disk.faults(|present| *present = faults);
}

/// The device is as good as new.
pub(crate) fn clear_up(disk: &SimDisk) {
    disk.revive();
    disk.faults(|present| {
        *present = Faults {
            no_sync: present.no_sync,
            no_name_sync: present.no_name_sync,
            ..Faults::default()
        };
    });
}

fn storm(disk: &SimDisk, dice: &mut Seed) -> Faults {
    let room = dice.chance(400).then(|| dice.below(12 << 20));
    Faults {
        write_error: rate(dice, 5),
        zero_error: rate(dice, 200),
        rename_error: rate(dice, 200),
        name_error: rate(dice, 100),
        read_error: rate(dice, 50),
        dying_block: rate(dice, 60),
        short_read: rate(dice, 300),
        lost_page: rate(dice, 5),
        slow: rate(dice, 300),
        space: room.map(|room| disk.used() + room),
        ..Faults::default()
    }
}

/// Most faults are not there at a time.
fn rate(dice: &mut Seed, most: u64) -> u64 {
    match dice.chance(400) {
        true => 1 + dice.below(most),
        false => 0,
    }
}

fn failing_writes(disk: &SimDisk, dice: &mut Seed) -> Vec<(u64, WriteFault)> {
    let mut number = disk.writes();
    let mut failing = Vec::new();
    while dice.chance(950) {
        number += 2 + dice.below(40);
        let fault = match dice.chance(300) {
            true => WriteFault::Full,
            false => WriteFault::Io,
        };
        failing.push((number, fault));
    }
    failing
}
