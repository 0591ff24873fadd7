//! The compactor's thread: tasks of all shards, one at a time, on a disk of its own.

use super::pace::Pulse;
use crate::reactor::Pool;
use std::io;
use std::path::PathBuf;
use store::disk::blocking::{BlockingDisk, run};
use store::shard::{Aside, CompactError, Done, Owner, Task, carry_out};

/// A handle to the thread; it ends when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Compactor {
    pool: Pool,
    data: PathBuf,
    pulse: Pulse,
}

impl Compactor {
    /// Starts the thread, with the idle class of CPU and disk. `data` is the store's directory.
    pub(super) fn start(data: PathBuf, shards: usize) -> io::Result<Compactor> {
        let pool = Pool::start_idle("compactor", 1, shards.max(1))?;
        let pulse = Pulse::default();
        Ok(Compactor { pool, data, pulse })
    }

    /// Where shards tell of their commits.
    pub(super) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }
}

impl Aside for Compactor {
    async fn carry_out(&self, owner: &Owner, task: Task) -> Result<Done, CompactError> {
        let (data, owner) = (self.data.clone(), owner.clone());
        let pulse = self.pulse.clone();
        let work = move || {
            let pace = pulse.task();
            run(carry_out(&BlockingDisk::new(data), &owner, &task, &pace))
        };
        self.pool
            .offload(work)
            .await
            .unwrap_or(Err(CompactError::Ended))
    }
}
