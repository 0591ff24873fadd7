//! Random appends, closes, crashes and kills, against a ledger of what was acknowledged.
//!
//! What would break for a user if this failed: mail for which the server said 250 is gone, comes
//! twice or in parts after a restart.

use super::{Rig, append, content, open, seeds};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use store::disk::fault::{Faults, Seed};
use store::disk::sim::SimDisk;
use store::log::Log;

const LIVES: usize = 4;

#[derive(Default)]
struct Ledger {
    next: u64,
    /// Every record that was appended: its length, and the first and last of its group.
    appended: BTreeMap<u64, (usize, u64, u64)>,
    /// Durable, or found durable at a start.
    kept: BTreeSet<u64>,
    /// Whoever appended it was told that it is given up.
    refused: BTreeSet<u64>,
}

struct World {
    disk: SimDisk,
    seed: Seed,
    ledger: Rc<RefCell<Ledger>>,
}

#[test]
fn what_was_acknowledged_is_replayed_once_in_order() {
    for seed in 1..=seeds(15) {
        run(seed, Faults::default());
    }
}

#[test]
fn the_same_on_a_device_that_fails_and_fills_up() {
    for seed in 1..=seeds(15) {
        let mut dice = Seed::new(seed ^ 0xfa);
        run(
            seed,
            Faults {
                write_error: 20,
                zero_error: 200,
                rename_error: 300,
                slow: 100,
                space: dice.chance(500).then(|| 100_000 + dice.below(9 << 20)),
                ..Faults::default()
            },
        );
    }
}

#[test]
fn a_disk_that_does_not_sync_is_found_out() {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found_out = (1..=20).any(|seed| {
        let faults = Faults {
            no_sync: true,
            ..Faults::default()
        };
        std::panic::catch_unwind(|| run(seed, faults)).is_err()
    });
    std::panic::set_hook(quiet);
    assert!(
        found_out,
        "without sync something acknowledged must be missed"
    );
}

fn run(seed: u64, faults: Faults) {
    let mut world = World {
        disk: SimDisk::new(seed),
        seed: Seed::new(seed ^ 0x109),
        ledger: Rc::default(),
    };
    for _ in 0..LIVES {
        world.live(&faults);
    }
    world.check(seed);
}

impl World {
    fn live(&mut self, faults: &Faults) {
        let mut rig = self.check(self.seed.clone().next());
        let given = faults.clone();
        self.disk.faults(move |faults| *faults = given);
        rig.start();
        let octets_max = self
            .seed
            .pick(&[300, 300, 300, 20_000, 20_000, 700_000])
            .unwrap();
        for _ in 0..3 {
            let (log, ledger) = (Rc::clone(&rig.log), Rc::clone(&self.ledger));
            let seed = Seed::new(self.seed.next());
            rig.executor.spawn(client(log, ledger, seed, octets_max));
        }
        rig.executor.run(20 + self.seed.below(400) as usize);
        if self.seed.chance(300) {
            rig.log.close();
            rig.executor.run(usize::MAX);
        }
        let image = self.seed.next();
        self.disk = match self.seed.chance(500) {
            true => self.disk.crash(image),
            false => self.disk.kill(image),
        };
    }

    /// Opens the log and compares what is replayed with the ledger.
    fn check(&mut self, seed: u64) -> Rig {
        let mut rig = open(&self.disk, seed).map_err(|e| e.to_string()).unwrap();
        let mut ledger = self.ledger.borrow_mut();
        let mut found = BTreeSet::new();
        for seen in rig.replayed.clone() {
            let id = u64::from_le_bytes(*seen.payload.first_chunk().unwrap());
            let octets = ledger.appended[&id].0;
            assert!(seen.payload == content(id, octets), "octet-exact");
            assert!(found.last() < Some(&id), "once, in order");
            found.insert(id);
        }
        for pair in rig.replayed.windows(2) {
            assert!(pair[0].lsn < pair[1].lsn && pair[0].place < pair[1].place);
        }
        for id in &ledger.kept {
            assert!(found.contains(id), "record {id} was acknowledged");
        }
        for id in found.difference(&ledger.kept) {
            let (_, first, last) = ledger.appended[id];
            assert!((first..=last).all(|id| found.contains(&id)), "all or none");
            let is_last = ledger.kept.range(id..).next().is_none();
            assert!(is_last || !ledger.refused.contains(id), "{id} was given up");
        }
        ledger.kept.extend(found);
        drop(ledger);
        if let Some(seen) = rig.replayed.last().cloned() {
            assert!(rig.read(seen.place).unwrap() == seen.payload);
        }
        rig
    }
}

async fn client(
    log: Rc<Log<SimDisk>>,
    ledger: Rc<RefCell<Ledger>>,
    mut seed: Seed,
    octets_max: u64,
) {
    loop {
        let octets: Vec<usize> = (0..=seed.below(3))
            .map(|_| 8 + 8 * seed.below(octets_max / 8) as usize)
            .collect();
        let bytes = octets.iter().map(|len| store::log::record_bytes(*len));
        if log.room(bytes.sum()).await.is_err() {
            return;
        }
        let first = ledger.borrow().next + 1;
        let last = ledger.borrow().next + octets.len() as u64;
        let payloads: Vec<Vec<u8>> = (first..)
            .zip(&octets)
            .map(|(id, octets)| content(id, *octets))
            .collect();
        let parts: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        let Ok(appended) = append(&log, &parts) else {
            return;
        };
        {
            let mut ledger = ledger.borrow_mut();
            ledger.next = last;
            let entries = (first..).zip(octets);
            let entries = entries.map(|(id, octets)| (id, (octets, first, last)));
            ledger.appended.extend(entries);
        }
        let durable = log.durable(appended.frame).await.is_ok();
        let mut ledger = ledger.borrow_mut();
        match durable {
            true => ledger.kept.extend(first..=last),
            false => ledger.refused.extend(first..=last),
        }
    }
}
