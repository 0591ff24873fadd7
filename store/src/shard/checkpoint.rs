//! Checkpoints: what changed is frozen, written down by the compactor, and read from there on.
//!
//! ```text
//!  freeze (plain fn, between two frames) ──→ compactor: run, locations, manifest ──→ adopt
//! ```
//!
//! A checkpoint that fails is tried again with the same bytes before another one is frozen, so that
//! nothing between two checkpoints is ever left out.

use super::Shard;
use super::house::Clearance;
use super::snapshot::Snapshot;
use crate::compact::{Aside, Checkpoint, CompactError, Report, Task};
use crate::disk::Disk;
use crate::gate::Gate;
use crate::record::Fact;
use crate::table::manifest::Manifest;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// What a shard has on disk, in bytes and in segments of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Occupancy {
    pub log_segments: u32,
    pub run_bytes: u64,
    pub pack_bytes: u64,
    pub archive_bytes: u64,
}

/// What waits between freeze and adoption, and snapshots that somebody may still read.
pub(super) struct Checkpoints<D: Disk> {
    gate: Rc<Gate>,
    frozen: Option<Arc<Checkpoint>>,
    /// Of the checkpoint that was written down last.
    pub(super) clearance: Clearance,
    /// Bytes that the log had written when something was frozen last.
    log_bytes: u64,
    pub(super) older: Vec<Weak<Snapshot<D>>>,
    /// Packs that an older snapshot has, and the present one has not.
    pub(super) gone_packs: Vec<u32>,
    /// Files may be there that the present manifest does not name.
    pub(super) needs_sweep: bool,
    /// How often house was kept since packs were looked at.
    pub(super) rounds: u32,
    /// What was emptied from the log since then, in bytes.
    pub(super) emptied_bytes: u64,
}

impl<D: Disk> Default for Checkpoints<D> {
    fn default() -> Checkpoints<D> {
        Checkpoints {
            gate: Rc::default(),
            frozen: None,
            clearance: Clearance::default(),
            log_bytes: 0,
            older: Vec::new(),
            gone_packs: Vec::new(),
            needs_sweep: true,
            rounds: 0,
            emptied_bytes: 0,
        }
    }
}

impl<D: Disk> Shard<D> {
    /// Writes down everything that changed since the last checkpoint: the next start replays the
    /// log from here on.
    pub async fn checkpoint(&self, aside: &impl Aside) -> Result<(), CompactError> {
        let _pass = self.enter().await;
        self.write_down_left(aside).await?;
        let checkpoint = Arc::new(self.freeze());
        {
            let mut checkpoints = self.checkpoints.borrow_mut();
            checkpoints.frozen = Some(Arc::clone(&checkpoint));
            checkpoints.log_bytes = self.log.stats().bytes;
        }
        self.write_down(aside, checkpoint).await
    }

    /// What the log has taken since the last checkpoint was frozen, in bytes.
    pub(super) fn log_bytes_since(&self) -> u64 {
        self.log.stats().bytes - self.checkpoints.borrow().log_bytes
    }

    /// Lets the compactor work on what is written down already.
    pub async fn compact(&self, aside: &impl Aside, task: Task) -> Result<Report, CompactError> {
        let _pass = self.enter().await;
        // Whoever adopts a manifest takes everything frozen for written down.
        self.write_down_left(aside).await?;
        let done = aside.carry_out(&self.owner, task).await?;
        self.adopt(done.manifest).await?;
        Ok(done.report)
    }

    /// What the rows of open mailboxes occupy in memory, in bytes.
    pub fn rows_bytes(&self) -> usize {
        self.state.borrow().slots().rows_bytes()
    }

    /// How much there is of each kind of file.
    pub fn occupancy(&self) -> Occupancy {
        let snapshot = self.snapshot();
        let manifest = &snapshot.manifest;
        Occupancy {
            log_segments: (self.log.end().segment + 1).saturating_sub(manifest.first_segment),
            run_bytes: manifest.all_runs().map(|run| run.bytes).sum(),
            pack_bytes: manifest.packs.iter().map(|pack| pack.bytes).sum(),
            archive_bytes: manifest.archives.iter().map(|one| one.bytes).sum(),
        }
    }

    /// The manifest that the shard reads by.
    pub fn manifest(&self) -> Manifest {
        self.snapshot().manifest.clone()
    }

    pub(super) async fn enter(&self) -> crate::gate::GatePass {
        let gate = Rc::clone(&self.checkpoints.borrow().gate);
        gate.enter().await
    }

    fn freeze(&self) -> Checkpoint {
        let position = self.log.end();
        let on_the_way = self.on_the_way.borrow();
        let pieces = on_the_way.iter().filter_map(|next| match &next.fact {
            Fact::Message(head) => head.pieces.iter().map(|piece| piece.place.segment()).min(),
            _ => None,
        });
        let open = pieces.chain(self.arriving.lowest()).min();
        let copies = on_the_way.iter().filter_map(|next| match &next.fact {
            Fact::Copy(copy) => Some(copy.rows.iter().map(|row| row.delivery)),
            _ => None,
        });
        let mut state = self.state.borrow_mut();
        state.memos.told_time((self.now_secs)());
        Checkpoint {
            position,
            open_from: open.unwrap_or(position.segment),
            held: copies.flatten().collect(),
            frozen: state.freeze(),
        }
    }

    /// Whether nothing is frozen that no manifest on disk has.
    pub(super) fn is_written_down(&self) -> bool {
        self.checkpoints.borrow().frozen.is_none()
    }

    /// Writes down what was frozen when the last checkpoint failed.
    pub(super) async fn write_down_left(&self, aside: &impl Aside) -> Result<(), CompactError> {
        let left = self.checkpoints.borrow().frozen.clone();
        match left {
            Some(left) => self.write_down(aside, left).await,
            None => Ok(()),
        }
    }

    async fn write_down(
        &self,
        aside: &impl Aside,
        checkpoint: Arc<Checkpoint>,
    ) -> Result<(), CompactError> {
        let clearance = Clearance::of(&checkpoint);
        let task = Task::Checkpoint(checkpoint);
        let done = aside.carry_out(&self.owner, task).await?;
        {
            let mut checkpoints = self.checkpoints.borrow_mut();
            checkpoints.frozen = None;
            checkpoints.clearance = clearance;
        }
        self.adopt(done.manifest).await
    }

    /// Reads by a new manifest from now on.
    pub(super) async fn adopt(&self, manifest: Manifest) -> Result<(), CompactError> {
        let present = self.snapshot();
        if manifest.generation == present.manifest.generation {
            return Ok(());
        }
        let opened = Snapshot::open(&self.disk, &self.owner, manifest, Some(&*present)).await?;
        let mut state = self.state.borrow_mut();
        let manifest = &opened.manifest;
        state.published(
            (Rc::clone(&opened.index), Rc::clone(&opened.shelf)),
            manifest.first_segment,
            manifest.last_object(),
        );
        let mut checkpoints = self.checkpoints.borrow_mut();
        checkpoints.older.push(Rc::downgrade(&present));
        checkpoints
            .gone_packs
            .extend(present.packs_not_in(&opened.manifest));
        checkpoints.needs_sweep = true;
        self.snapshot.replace(Rc::new(opened));
        Ok(())
    }

    pub(super) fn snapshot(&self) -> Rc<Snapshot<D>> {
        Rc::clone(&self.snapshot.borrow())
    }
}
