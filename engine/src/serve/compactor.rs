//! The compactor's threads: tasks of all shards, on a disk of their own that leaves the page cache
//! to those who read mail.
//!
//! Checkpoints have a thread for themselves, at the usual priority: they take little, and what they
//! bound, the time of a start after a crash, must hold on a busy machine, too. All else is done one
//! task at a time by a thread that everything else goes before, and that gives back after each what
//! memory the task took.

use super::tempo::Tempo;
use crate::reactor::{Pool, heap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use store::disk::blocking::{BlockingDisk, run};
use store::shard::{Aside, CompactError, Done, Owner, Task, Unpaced, carry_out};

/// A handle to the threads; they end when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Compactor {
    checkpoints: Pool,
    others: Pool,
    data: PathBuf,
    tempo: Arc<Tempo>,
}

impl Compactor {
    /// Starts the threads. `data` is the store's directory.
    pub(super) fn start(data: PathBuf, shards: usize) -> io::Result<Compactor> {
        let tasks_max = shards.max(1);
        Ok(Compactor {
            checkpoints: Pool::start("checkpoint", 1, tasks_max)?,
            others: Pool::start_idle("compactor", 1, tasks_max)?,
            data,
            tempo: Arc::new(Tempo::new(shards)),
        })
    }

    /// Where shards tell how long their commits take.
    pub(super) fn tempo(&self) -> &Arc<Tempo> {
        &self.tempo
    }
}

impl Aside for Compactor {
    async fn carry_out(&self, owner: &Owner, task: Task) -> Result<Done, CompactError> {
        let (data, owner, tempo) = (self.data.clone(), owner.clone(), self.tempo.clone());
        let is_checkpoint = matches!(task, Task::Checkpoint(_));
        let work = move || {
            let disk = BlockingDisk::new(data).around_cache();
            if is_checkpoint {
                return run(carry_out(&disk, &owner, &task, &Unpaced));
            }
            tempo.set_working(true);
            let done = run(carry_out(&disk, &owner, &task, &*tempo));
            tempo.set_working(false);
            heap::give_back();
            done
        };
        let pool = match is_checkpoint {
            true => &self.checkpoints,
            false => &self.others,
        };
        let done = pool.offload(work).await;
        done.unwrap_or(Err(CompactError::Ended))
    }
}
