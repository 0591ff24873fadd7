//! Checkpoints: what changed is frozen, written down by the compactor, and read from there on.
//!
//! ```text
//!  freeze (plain fn, between two frames) ──→ compactor: run, locations, manifest ──→ adopt
//! ```
//!
//! A checkpoint that fails is tried again with the same bytes before another one is frozen, so that
//! nothing between two checkpoints is ever left out.

use super::Shard;
use super::snapshot::Snapshot;
use crate::compact::{Aside, Checkpoint, CompactError, Task};
use crate::disk::Disk;
use crate::gate::Gate;
use crate::table::manifest::Manifest;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// What waits between freeze and adoption, and snapshots that somebody may still read.
pub(super) struct Checkpoints<D: Disk> {
    gate: Rc<Gate>,
    frozen: Option<Arc<Checkpoint>>,
    older: Vec<Weak<Snapshot<D>>>,
    /// Files may be there that the present manifest does not name.
    needs_sweep: bool,
}

impl<D: Disk> Default for Checkpoints<D> {
    fn default() -> Checkpoints<D> {
        Checkpoints {
            gate: Rc::default(),
            frozen: None,
            older: Vec::new(),
            needs_sweep: true,
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
        self.checkpoints.borrow_mut().frozen = Some(Arc::clone(&checkpoint));
        self.write_down(aside, checkpoint).await
    }

    /// Lets the compactor work on what is written down already.
    pub async fn compact(&self, aside: &impl Aside, task: Task) -> Result<(), CompactError> {
        let _pass = self.enter().await;
        // Whoever adopts a manifest takes everything frozen for written down.
        self.write_down_left(aside).await?;
        let manifest = aside.carry_out(&self.owner, task).await?;
        self.adopt(manifest).await
    }

    /// Removes files that nobody reads any more. `false`: somebody still does.
    pub async fn sweep(&self, aside: &impl Aside) -> Result<bool, CompactError> {
        let _pass = self.enter().await;
        {
            let mut checkpoints = self.checkpoints.borrow_mut();
            checkpoints.older.retain(|older| older.strong_count() > 0);
            if !checkpoints.older.is_empty() {
                return Ok(false);
            }
            if !checkpoints.needs_sweep {
                return Ok(true);
            }
        }
        aside.carry_out(&self.owner, Task::Sweep).await?;
        let first = self.snapshot().manifest.first_segment;
        let retired = self.log.retire(first).await;
        retired.map_err(|error| CompactError::Write(error.kind()))?;
        self.checkpoints.borrow_mut().needs_sweep = false;
        Ok(true)
    }

    /// The last segment that the compactor may empty: everything in it is in the index, and no
    /// body that is still arriving has a piece in it. 0: none.
    pub fn emptiable(&self) -> u32 {
        let replay = self
            .snapshot()
            .manifest
            .replay
            .map_or(0, |from| from.segment);
        let first_needed = self
            .arriving
            .lowest()
            .map_or(replay, |open| open.min(replay));
        first_needed.saturating_sub(1)
    }

    /// What the rows of open mailboxes occupy in memory, in bytes.
    pub fn rows_bytes(&self) -> usize {
        self.state.borrow().slots().rows_bytes()
    }

    /// The manifest that the shard reads by.
    pub fn manifest(&self) -> Manifest {
        self.snapshot().manifest.clone()
    }

    async fn enter(&self) -> crate::gate::GatePass {
        let gate = Rc::clone(&self.checkpoints.borrow().gate);
        gate.enter().await
    }

    fn freeze(&self) -> Checkpoint {
        Checkpoint {
            position: self.log.end(),
            frozen: self.state.borrow_mut().freeze(),
        }
    }

    /// Writes down what was frozen when the last checkpoint failed.
    async fn write_down_left(&self, aside: &impl Aside) -> Result<(), CompactError> {
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
        let task = Task::Checkpoint(checkpoint);
        let manifest = aside.carry_out(&self.owner, task).await?;
        self.checkpoints.borrow_mut().frozen = None;
        self.adopt(manifest).await
    }

    /// Reads by a new manifest from now on.
    async fn adopt(&self, manifest: Manifest) -> Result<(), CompactError> {
        let present = self.snapshot();
        if manifest.generation == present.manifest.generation {
            return Ok(());
        }
        let opened = Snapshot::open(&self.disk, &self.owner, manifest, Some(&*present)).await?;
        let mut state = self.state.borrow_mut();
        let manifest = &opened.manifest;
        state.published(
            Rc::clone(&opened.index),
            manifest.first_segment,
            manifest.last_object(),
        );
        let mut checkpoints = self.checkpoints.borrow_mut();
        checkpoints.older.push(Rc::downgrade(&present));
        checkpoints.needs_sweep = true;
        self.snapshot.replace(Rc::new(opened));
        Ok(())
    }

    pub(super) fn snapshot(&self) -> Rc<Snapshot<D>> {
        Rc::clone(&self.snapshot.borrow())
    }
}
