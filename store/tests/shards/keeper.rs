//! Keeps house as the engine does, but all the time.

use crate::world::{Sim, pass_turn};
use std::cell::RefCell;
use std::rc::Rc;
use store::compact::{CompactError, Here, Policy, Report, Task};
use store::disk::fault::Seed;
use store::disk::sim::SimDisk;

/// Nothing stays in the log that can be emptied, and hardly anything dead in a pack.
pub(crate) const EAGER: Policy = Policy {
    keep_log_bytes: 0,
    segments_least: 1,
    dead_percent: 10,
    dead_percent_in_all: 5,
    small_packs: 3,
};

/// What was given back while clients worked.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Kept {
    pub(crate) segments: u32,
    pub(crate) packs: u32,
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
    pub(crate) here: Here<SimDisk>,
    pub(crate) seed: RefCell<Seed>,
    pub(crate) kept: Rc<RefCell<Kept>>,
    /// Whether the device may refuse to read what it has.
    pub(crate) may_find_damage: bool,
}

impl Keeper {
    pub(crate) async fn run(&self) {
        for round in 0.. {
            let shard = &self.shards[round % self.shards.len()];
            let outcome = self.keep(shard).await;
            self.note(&outcome);
            match shard.sweep(&self.here).await {
                Ok(false) => self.kept.borrow_mut().while_read += 1,
                Ok(true) => {}
                Err(_) => self.kept.borrow_mut().failed += 1,
            }
            pass_turn().await;
        }
    }

    fn note(&self, outcome: &Result<Report, CompactError>) {
        self.kept.borrow_mut().note(outcome);
        let damage = outcome.as_ref().map_or(&[][..], |report| &report.damage);
        assert!(self.may_find_damage || damage.is_empty(), "{damage:?}");
    }

    async fn keep(&self, shard: &Sim) -> Result<Report, CompactError> {
        let dice = self.seed.borrow_mut().below(10);
        match dice {
            0..=3 => shard.keep_house(&self.here, &EAGER).await,
            4..=5 => {
                shard.checkpoint(&self.here).await?;
                shard.empty(&self.here, u32::MAX).await
            }
            6 => shard.empty(&self.here, u32::MAX).await,
            7 => shard.repack(&self.here, &EAGER).await,
            8 => shard.compact(&self.here, Task::MergeAll).await,
            _ => {
                shard.checkpoint(&self.here).await?;
                shard.compact(&self.here, Task::Merge).await
            }
        }
    }
}
