//! The compactor's thread: tasks of all shards, one at a time, on a disk of its own that
//! leaves the page cache to those who read mail.

use super::tempo::Tempo;
use crate::reactor::Pool;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use store::disk::blocking::{BlockingDisk, run};
use store::shard::{Aside, CompactError, Done, Owner, Task, carry_out};

/// A handle to the thread; it ends when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Compactor {
    pool: Pool,
    data: PathBuf,
    tempo: Arc<Tempo>,
}

impl Compactor {
    /// Starts the thread, with the idle class of CPU and disk. `data` is the store's directory.
    pub(super) fn start(data: PathBuf, shards: usize) -> io::Result<Compactor> {
        let pool = Pool::start_idle("compactor", 1, shards.max(1))?;
        let tempo = Arc::new(Tempo::new(shards));
        Ok(Compactor { pool, data, tempo })
    }

    /// Where shards tell how long their commits take.
    pub(super) fn tempo(&self) -> &Arc<Tempo> {
        &self.tempo
    }
}

impl Aside for Compactor {
    async fn carry_out(&self, owner: &Owner, task: Task) -> Result<Done, CompactError> {
        let (data, owner, tempo) = (self.data.clone(), owner.clone(), self.tempo.clone());
        let work = move || {
            tempo.set_working(true);
            let disk = BlockingDisk::new(data).around_cache();
            let done = run(carry_out(&disk, &owner, &task, &*tempo));
            tempo.set_working(false);
            done
        };
        self.pool
            .offload(work)
            .await
            .unwrap_or(Err(CompactError::Ended))
    }
}
