//! Keeping house: everything that gives space back, in its order, as far as it is due.
//!
//! ```text
//!  checkpoint → merge runs → empty old segments, a few at a time → write packs anew
//!  → merge archives → sweep → sign
//! ```
//!
//! Where much was written meanwhile, further checkpoints come in between, and some messages are
//! signed: space goes first, but under a lasting load there is always something to empty, and
//! searches must not get slower and slower for that. A file is swept only
//! when no reader of an older snapshot is left. The log lends its segments to three kinds of
//! changes that the index does not know: what lies behind the checkpoint, bodies that were
//! arriving when it was frozen, and a COPY on its way then. The checkpoint says of all three
//! what must stay ([`Clearance`]); without one in this life nothing is emptied.

#[cfg(test)]
mod tests;

use super::Shard;
use crate::compact::damage::{damaged_segments, kept_segment};
use crate::compact::{Aside, Checkpoint, CompactError, Policy, Report, Stories, Task};
use crate::disk::Disk;
use crate::error::LogError;
use crate::log::Draft;
use crate::mail::id::ObjectId;
use crate::record::Fact;
use std::sync::Arc;

/// What the last checkpoint leaves to the compactor.
#[derive(Clone, Debug, Default)]
pub(super) struct Clearance {
    /// The last segment that may be emptied; 0 for none.
    through: u32,
    held: Arc<[ObjectId]>,
}

impl Clearance {
    pub(super) fn of(checkpoint: &Checkpoint) -> Clearance {
        let needed = checkpoint.open_from.min(checkpoint.position.segment);
        Clearance {
            through: needed.saturating_sub(1),
            held: Arc::clone(&checkpoint.held),
        }
    }
}

impl<D: Disk> Shard<D> {
    /// Does what is due, and then signs. Files that somebody still reads are swept the next time.
    pub async fn keep_house(
        &self,
        aside: &impl Aside,
        policy: &Policy,
    ) -> Result<Report, CompactError> {
        let mut report = self.make_room(aside, || *policy).await?;
        report.add(self.sign(aside, policy.checkpoint_log_bytes).await?);
        Ok(report)
    }

    /// All of it but signing, of which no more is done than must not wait: for whoever goes on with
    /// [`sign_step`](Self::sign_step). What is due is asked before each part of the work, because
    /// it may take long.
    pub async fn make_room(
        &self,
        aside: &impl Aside,
        policy: impl Fn() -> Policy,
    ) -> Result<Report, CompactError> {
        self.checkpoint(aside).await?;
        self.compact(aside, Task::Merge).await?;
        let (mut report, mut signed) = (Report::default(), Ok(()));
        loop {
            let policy = policy();
            let Some(through) = self.due(&policy) else {
                break;
            };
            let emptied = self.empty(aside, through, policy.stories).await?;
            self.sweep(aside).await?;
            if emptied.is_empty() {
                break;
            }
            report.add(emptied);
            // Without signatures searches are slow; without emptying the disk is full.
            if signed.is_ok() {
                let step = self.sign_step(aside, false).await;
                signed = step.map(|step| report.add(step));
            }
            if self.log_bytes_since() >= policy.checkpoint_log_bytes {
                self.checkpoint(aside).await?;
            }
        }
        if self.is_repack_due(report.bytes_before) {
            report.add(self.repack(aside, &policy()).await?);
        }
        self.compact(aside, Task::MergeArchives).await?;
        self.sweep(aside).await?;
        signed.map(|()| report)
    }

    /// Ends the segment that is written to, if there is much in it, so that it can be emptied as
    /// well: for a store that nobody serves. `Full`: there is no room for another one.
    pub async fn end_segment(&self) -> Result<(), LogError> {
        if self.log.end().offset < ENDED_BYTES_LEAST {
            return Ok(());
        }
        let secs = (self.now_secs)();
        let mut payload = Vec::new();
        let draft = Draft {
            kind: Fact::Time { secs }.encode(&mut payload),
            account: 0,
            parts: [&payload, &[]],
        };
        self.log.turn();
        let appended = self.log.append([draft])?;
        self.log.durable(appended.frame).await
    }

    /// Empties the oldest segments of the log up to `through`, as far as that can be, or as many
    /// as one task does.
    pub async fn empty(
        &self,
        aside: &impl Aside,
        through: u32,
        stories: Stories,
    ) -> Result<Report, CompactError> {
        let Clearance {
            through: most,
            held,
        } = self.clearance();
        let task = Task::Empty {
            through: through.min(most),
            held,
            stories,
            now_secs: (self.now_secs)(),
        };
        self.compact(aside, task).await
    }

    /// Writes packs anew as the policy says. The report has what is dead of all packs.
    pub async fn repack(
        &self,
        aside: &impl Aside,
        policy: &Policy,
    ) -> Result<Report, CompactError> {
        let held = self.clearance().held;
        let policy = *policy;
        let repacked = self.compact(aside, Task::Repack { policy, held }).await?;
        let mut checkpoints = self.checkpoints.borrow_mut();
        (checkpoints.rounds, checkpoints.emptied_bytes) = (0, 0);
        drop(checkpoints);
        Ok(repacked)
    }

    /// Removes files that nobody reads any more. `false`: somebody still does.
    pub async fn sweep(&self, aside: &impl Aside) -> Result<bool, CompactError> {
        let _pass = self.enter().await;
        if self.is_older_read() {
            return Ok(false);
        }
        if !self.checkpoints.borrow().needs_sweep {
            return Ok(true);
        }
        let (generation, first) = {
            let manifest = &self.snapshot().manifest;
            (manifest.generation, manifest.first_segment)
        };
        let task = Task::Sweep { generation };
        let done = aside.carry_out(&self.owner, task).await?;
        if done.manifest.generation != generation {
            // A manifest was published and could not be adopted: we still read by the older one.
            // Whoever adopts a manifest takes everything frozen for written down.
            match self.is_written_down() {
                true => self.adopt(done.manifest).await?,
                false => self.write_down_left(aside).await?,
            }
            return Ok(false);
        }
        for number in std::mem::take(&mut self.checkpoints.borrow_mut().gone_packs) {
            self.packs.forget(number);
            self.listings.forget(number);
        }
        let swept = self.retire(first).await;
        swept.map_err(|error| CompactError::Write(error.kind()))?;
        self.checkpoints.borrow_mut().needs_sweep = false;
        Ok(true)
    }

    /// Gives the segments before `first` back to the log, but for those that are damaged.
    async fn retire(&self, first: u32) -> std::io::Result<()> {
        let directory = &self.owner.directory;
        let damaged = damaged_segments(&self.disk, directory).await?;
        for number in damaged.into_iter().filter(|number| *number < first) {
            let kept = kept_segment(directory, number);
            self.log.set_aside(number, &kept).await?;
        }
        self.log.retire(first).await.map(drop)
    }

    /// The last segment that the compactor may empty: everything in it is in the index, and no
    /// body that was arriving at the last checkpoint has a piece in it. 0: none.
    pub fn emptiable(&self) -> u32 {
        self.clearance().through
    }

    /// Up to where segments are to be emptied now, if there are enough of them.
    fn due(&self, policy: &Policy) -> Option<u32> {
        let kept = policy.keep_log_bytes.div_ceil(self.log.segment_bytes());
        let kept = u32::try_from(kept).unwrap_or(u32::MAX);
        let through = self.log.end().segment.saturating_sub(kept);
        let through = through.min(self.emptiable());
        let first = self.snapshot().manifest.first_segment;
        let count = (through + 1).saturating_sub(first);
        (count >= policy.segments_least.max(1)).then_some(through)
    }

    /// To look at packs takes as long as there are rows, so it waits until they have grown by a
    /// part; but expunges make them worse without that.
    fn is_repack_due(&self, emptied_bytes: u64) -> bool {
        let packed = self.occupancy().pack_bytes;
        let mut checkpoints = self.checkpoints.borrow_mut();
        checkpoints.rounds += 1;
        checkpoints.emptied_bytes += emptied_bytes;
        let has_grown = emptied_bytes > 0 && checkpoints.emptied_bytes >= packed / GROWN_PART;
        has_grown || checkpoints.rounds >= REPACK_ROUNDS
    }

    fn clearance(&self) -> Clearance {
        self.checkpoints.borrow().clearance.clone()
    }

    fn is_older_read(&self) -> bool {
        let mut checkpoints = self.checkpoints.borrow_mut();
        checkpoints.older.retain(|older| older.strong_count() > 0);
        !checkpoints.older.is_empty()
    }
}

/// Packs are looked at when this part of them was emptied from the log since.
const GROWN_PART: u64 = 8;

/// A segment with less is not worth another one, in bytes.
const ENDED_BYTES_LEAST: u64 = 1 << 20;

/// So often house is kept before packs are looked at though no segment was emptied.
const REPACK_ROUNDS: u32 = 60;
