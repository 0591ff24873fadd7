//! Random appends, checkpoints, retired segments, closes, crashes and kills, against a ledger of
//! what was acknowledged.
//!
//! What would break for a user if this failed: mail for which the server said 250 is gone, comes
//! twice or in parts after a restart.

use super::{Rig, Seen, append, content, open_at, options, seeds};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use store::disk::fault::{Faults, Seed};
use store::disk::sim::SimDisk;
use store::error::{LogError, ReadError};
use store::log::{Begin, Log, Place};
use store::mail::id::FrameSeq;

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
    /// The frame of what was appended in this life.
    frames: BTreeMap<u64, FrameSeq>,
    /// What the next start is told, and what it need not replay.
    begin: Begin,
    applied: BTreeSet<u64>,
    /// Of what was replayed once.
    places: BTreeMap<u64, Place>,
}

struct World {
    disk: SimDisk,
    seed: Seed,
    ledger: Rc<RefCell<Ledger>>,
}

#[test]
fn what_was_acknowledged_is_replayed_once_in_order() {
    let recycled: u64 = (1..=seeds(15))
        .map(|seed| run(seed, Faults::default()))
        .sum();
    assert!(recycled > 0, "some segments had an earlier life");
}

#[test]
fn the_same_on_a_device_that_fails_and_fills_up() {
    let recycled: u64 = (1..=seeds(15))
        .map(|seed| {
            let mut dice = Seed::new(seed ^ 0xfa);
            run(
                seed,
                Faults {
                    write_error: 20,
                    zero_error: 200,
                    rename_error: 300,
                    slow: 100,
                    space: dice.chance(500).then(|| dice.below(40 << 20)),
                    ..Faults::default()
                },
            )
        })
        .sum();
    assert!(recycled > 0, "some segments had an earlier life");
}

#[test]
fn a_disk_that_does_not_sync_is_found_out() {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found_out = (1..=20).any(|seed| {
        let faults = Faults {
            no_sync: Some(""),
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

/// How many segments were recycled.
fn run(seed: u64, faults: Faults) -> u64 {
    let mut world = World {
        disk: SimDisk::new(seed),
        seed: Seed::new(seed ^ 0x109),
        ledger: Rc::default(),
    };
    let recycled = (0..LIVES).map(|_| world.live(&faults)).sum();
    world.check(seed);
    recycled
}

impl World {
    fn live(&mut self, faults: &Faults) -> u64 {
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
        // The disk has space again, or less.
        let space = faults.space.map(|_| self.seed.below(60 << 20));
        self.disk.faults(|faults| faults.space = space);
        rig.log.retry();
        rig.executor.run(20 + self.seed.below(200) as usize);
        if self.seed.chance(300) {
            self.heal(&mut rig);
        }
        if self.seed.chance(300) {
            rig.log.close();
            rig.executor.run(usize::MAX);
        }
        let image = self.seed.next();
        self.disk = match self.seed.chance(500) {
            true => self.disk.crash(image),
            false => self.disk.kill(image),
        };
        rig.log.stats().recycled_segments
    }

    /// On a device that has no faults any more the log is not short for long.
    fn heal(&mut self, rig: &mut Rig) {
        self.disk.faults(|faults| {
            *faults = Faults {
                no_sync: faults.no_sync,
                ..Faults::default()
            }
        });
        for _ in 0..20 {
            rig.log.retry();
            rig.executor.run(100);
        }
        assert!(!rig.log.is_full() || rig.log.is_read_only(), "it heals");
    }

    /// Opens the log where the ledger says and compares what is replayed with the ledger.
    fn check(&mut self, seed: u64) -> Rig {
        let begin = self.ledger.borrow().begin;
        let rig = open_at(&self.disk, seed, options(), begin);
        let mut rig = rig.map_err(|e| e.to_string()).unwrap();
        self.ledger.borrow_mut().compare(&rig.replayed);
        self.read_some(&mut rig);
        rig
    }

    /// The last record, and any one of which the place is known.
    fn read_some(&mut self, rig: &mut Rig) {
        if let Some(seen) = rig.replayed.last().cloned() {
            assert!(rig.read(seen.place).unwrap() == seen.payload);
        }
        let ledger = self.ledger.borrow();
        let places: Vec<(u64, Place)> = ledger.places.clone().into_iter().collect();
        let Some((id, place)) = self.seed.pick(&places) else {
            return;
        };
        match rig.read(place) {
            Ok(payload) => assert!(payload == content(id, ledger.appended[&id].0)),
            Err(error) => {
                assert_eq!(error, ReadError::Gone);
                assert!(place.segment() < ledger.begin.first_segment);
            }
        }
    }
}

impl Ledger {
    fn compare(&mut self, replayed: &[Seen]) {
        let mut found = BTreeSet::new();
        for seen in replayed {
            let id = u64::from_le_bytes(*seen.payload.first_chunk().unwrap());
            let octets = self.appended[&id].0;
            assert!(seen.payload == content(id, octets), "octet-exact");
            assert!(found.last() < Some(&id), "once, in order");
            assert!(!self.applied.contains(&id), "{id} lies before the position");
            self.places.insert(id, seen.place);
            found.insert(id);
        }
        for pair in replayed.windows(2) {
            assert!(pair[0].lsn < pair[1].lsn && pair[0].place < pair[1].place);
        }
        for id in self.kept.difference(&self.applied) {
            assert!(found.contains(id), "record {id} was acknowledged");
        }
        for id in found.difference(&self.kept) {
            let (_, first, last) = self.appended[id];
            assert!((first..=last).all(|id| found.contains(&id)), "all or none");
            let is_last = self.kept.range(id..).next().is_none();
            assert!(is_last || !self.refused.contains(id), "{id} was given up");
        }
        self.kept.extend(found);
        self.frames.clear();
    }

    /// What is durable now need not be replayed, and the segments before it need not be kept.
    fn checkpoint(&mut self, log: &Log<SimDisk>, dice: &mut Seed) {
        let from = log.end();
        let durable = self
            .frames
            .iter()
            .filter(|(_, frame)| log.is_durable(**frame));
        let durable: Vec<u64> = durable.map(|(id, _)| *id).collect();
        self.kept.extend(durable);
        self.applied.clone_from(&self.kept);
        self.begin.from = Some(from);
        if dice.chance(700) {
            self.begin.first_segment = from.segment;
        }
    }
}

async fn client(
    log: Rc<Log<SimDisk>>,
    ledger: Rc<RefCell<Ledger>>,
    mut seed: Seed,
    octets_max: u64,
) {
    let mut patience = 20;
    loop {
        match append_some(&log, &ledger, &mut seed, octets_max).await {
            Ok(()) => {}
            Err(LogError::Full) if patience > 0 => {
                patience -= 1;
                log.retry();
                breath().await;
                continue;
            }
            Err(_) => return,
        }
        if seed.chance(100) {
            ledger.borrow_mut().checkpoint(&log, &mut seed);
            let first_segment = ledger.borrow().begin.first_segment;
            // Files that could not be retired are leftovers.
            let _ = log.retire(first_segment).await;
        }
    }
}

async fn append_some(
    log: &Log<SimDisk>,
    ledger: &RefCell<Ledger>,
    seed: &mut Seed,
    octets_max: u64,
) -> Result<(), LogError> {
    let octets: Vec<usize> = (0..=seed.below(3))
        .map(|_| 8 + 8 * seed.below(octets_max / 8) as usize)
        .collect();
    let bytes = octets.iter().map(|len| store::log::record_bytes(*len));
    match seed.chance(300) {
        true => log.room_urgent(bytes.sum()).await?,
        false => log.room(bytes.sum()).await?,
    }
    let first = ledger.borrow().next + 1;
    let last = ledger.borrow().next + octets.len() as u64;
    let payloads: Vec<Vec<u8>> = (first..)
        .zip(&octets)
        .map(|(id, octets)| content(id, *octets))
        .collect();
    let parts: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    let appended = append(log, &parts)?;
    {
        let mut ledger = ledger.borrow_mut();
        ledger.next = last;
        let frames = (first..=last).map(|id| (id, appended.frame));
        ledger.frames.extend(frames);
        let entries = (first..).zip(octets);
        let entries = entries.map(|(id, octets)| (id, (octets, first, last)));
        ledger.appended.extend(entries);
    }
    let durable = log.durable(appended.frame).await;
    let mut ledger = ledger.borrow_mut();
    match durable {
        Ok(()) => ledger.kept.extend(first..=last),
        Err(_) => ledger.refused.extend(first..=last),
    }
    durable
}

/// Lets the others run.
async fn breath() {
    let mut is_over = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_over, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
