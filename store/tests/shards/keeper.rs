//! Keeps house as the engine does, but all the time.

use crate::world::{Sim, pass_turn};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use store::compact::{Aside, CompactError, Done, Here, Owner, Policy, Report, Stories, Task};
use store::disk::fault::Seed;
use store::disk::sim::SimDisk;

/// Nothing stays in the log that can be emptied, and hardly anything dead in a pack.
pub(crate) const EAGER: Policy = Policy {
    keep_log_bytes: 0,
    checkpoint_log_bytes: 0,
    segments_least: 1,
    dead_percent: 10,
    dead_percent_in_all: 5,
    small_packs: 3,
    small_bytes: 256 << 20,
    stories: Stories {
        bytes_max: 1 << 20,
        secs_max: 3_600,
    },
};

/// What was given back while clients worked.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Kept {
    pub(crate) segments: u32,
    pub(crate) packs: u32,
    /// Segments that were ended before their time.
    pub(crate) ended: u32,
    /// Spare files that were removed.
    pub(crate) spares: u32,
    /// Sweeps that had to wait for a reader.
    pub(crate) while_read: u32,
    pub(crate) failed: u32,
    /// Messages, or pieces of them, that the device did not give and that were given up.
    pub(crate) damaged: u32,
}

impl Kept {
    pub(crate) fn add(&mut self, other: &Kept) {
        self.segments += other.segments;
        self.packs += other.packs;
        self.ended += other.ended;
        self.spares += other.spares;
        self.while_read += other.while_read;
        self.failed += other.failed;
        self.damaged += other.damaged;
    }

    pub(crate) fn note(&mut self, report: &Result<Report, CompactError>) {
        match report {
            Ok(report) => {
                self.segments += report.segments_emptied;
                self.packs += report.packs_emptied;
                self.damaged += report.damage.len() as u32;
            }
            Err(_) => self.failed += 1,
        }
    }
}

pub(crate) struct Keeper {
    pub(crate) shards: Vec<Sim>,
    pub(crate) aside: Mortal,
    pub(crate) seed: RefCell<Seed>,
    pub(crate) kept: Rc<RefCell<Kept>>,
    /// Whether the device may refuse to read what it has.
    pub(crate) may_find_damage: bool,
}

impl Keeper {
    pub(crate) async fn run(&self) {
        for round in 0.. {
            let shard = &self.shards[round % self.shards.len()];
            let dies = self.below(4) == 0;
            let steps = dies.then(|| self.below(40) as u32);
            self.aside.steps_left.set(steps);
            let outcome = self.keep(shard).await;
            self.note(&outcome);
            match shard.sweep(&self.aside).await {
                Ok(false) => self.kept.borrow_mut().while_read += 1,
                Ok(true) => {}
                Err(_) => self.kept.borrow_mut().failed += 1,
            }
            pass_turn().await;
        }
    }

    fn below(&self, bound: u64) -> u64 {
        self.seed.borrow_mut().below(bound)
    }

    fn note(&self, outcome: &Result<Report, CompactError>) {
        self.kept.borrow_mut().note(outcome);
        let damage = outcome.as_ref().map_or(&[][..], |report| &report.damage);
        assert!(self.may_find_damage || damage.is_empty(), "{damage:?}");
    }

    async fn keep(&self, shard: &Sim) -> Result<Report, CompactError> {
        match self.below(12) {
            10 => {
                // What the log refuses, its clients are told, too.
                let before = shard.log().end().segment;
                let _ = shard.end_segment().await;
                self.kept.borrow_mut().ended += shard.log().end().segment - before;
                shard.keep_house(&self.aside, &EAGER).await
            }
            11 => {
                let removed = shard.log().remove_spares().await;
                let removed = removed.map_err(|error| CompactError::Write(error.kind()))?;
                self.kept.borrow_mut().spares += removed;
                Ok(Report::default())
            }
            0..=3 => shard.keep_house(&self.aside, &EAGER).await,
            4..=5 => {
                shard.checkpoint(&self.aside).await?;
                shard.empty(&self.aside, u32::MAX, EAGER.stories).await
            }
            6 => shard.empty(&self.aside, u32::MAX, EAGER.stories).await,
            7 => shard.repack(&self.aside, &EAGER).await,
            8 => shard.compact(&self.aside, Task::MergeAll).await,
            _ => {
                shard.checkpoint(&self.aside).await?;
                shard.compact(&self.aside, Task::Merge).await
            }
        }
    }
}

/// A compactor that dies after some steps, between two calls of the system.
pub(crate) struct Mortal {
    pub(crate) here: Here<SimDisk>,
    /// `None`: it does not die.
    pub(crate) steps_left: Cell<Option<u32>>,
}

impl Mortal {
    pub(crate) fn new(disk: &SimDisk) -> Mortal {
        Mortal {
            here: Here(disk.clone()),
            steps_left: Cell::new(None),
        }
    }
}

impl Aside for Mortal {
    async fn carry_out(&self, owner: &Owner, task: Task) -> Result<Done, CompactError> {
        let mut work = pin!(self.here.carry_out(owner, task));
        poll_fn(|context| {
            match self.steps_left.get() {
                // Whoever wakes us has finished what was waited for.
                Some(0) => return Poll::Ready(Err(CompactError::Ended)),
                Some(left) => self.steps_left.set(Some(left - 1)),
                None => {}
            }
            work.as_mut().poll(context)
        })
        .await
    }
}
