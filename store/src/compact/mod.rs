//! The compactor: turns what shards froze into runs, merges runs, empties old segments into packs.
//!
//! Everything here works on immutable files and the manifest of one shard, never on a shard's
//! memory, and one task at a time. A task writes new files, verifies them, and publishes a manifest
//! that names them; until then the old set is whole, from then on the new one is. Files that no
//! manifest names are leftovers and are removed by the next task.

mod checkpoint;
mod merge;

pub use checkpoint::Checkpoint;

use crate::disk::Disk;
use crate::mail::id::ShardId;
use crate::table::TableError;
use crate::table::manifest::{self, Manifest, RunName};
use crate::table::run::{Run, RunHead, RunWriter};
use std::fmt;
use std::io;
use std::sync::Arc;

/// Which shard a task is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Where {
    /// Of the shard, below the disk's root.
    pub directory: String,
    pub store: [u8; 16],
    pub shard: ShardId,
}

/// What the compactor can be asked to do.
#[derive(Clone, Debug)]
pub enum Task {
    /// Write down what a shard froze.
    Checkpoint(Arc<Checkpoint>),
    /// Merge runs, if there are enough of one size.
    Merge,
    /// Merge all runs into one.
    MergeAll,
    /// Remove files that no manifest names.
    Sweep,
}

/// Where tasks are carried out: on a thread of their own, or right here.
#[expect(async_fn_in_trait, reason = "a shard and its tasks share one thread")]
pub trait Aside {
    async fn carry_out(&self, at: &Where, task: Task) -> Result<Manifest, CompactError>;
}

/// Tasks are carried out right here, by whoever asks: tools, and the simulated world.
#[derive(Clone, Debug)]
pub struct Here<D>(pub D);

impl<D: Disk> Aside for Here<D> {
    async fn carry_out(&self, at: &Where, task: Task) -> Result<Manifest, CompactError> {
        carry_out(&self.0, at, &task).await
    }
}

/// Carries a task out on a disk of the caller's own.
pub async fn carry_out<D: Disk>(
    disk: &D,
    at: &Where,
    task: &Task,
) -> Result<Manifest, CompactError> {
    let mut manifest = manifest::read(disk, &at.directory, at.store, at.shard)
        .await?
        .unwrap_or_default();
    match task {
        Task::Checkpoint(checkpoint) => {
            checkpoint::write(disk, at, &mut manifest, checkpoint).await?;
        }
        Task::Merge => merge::merge_some(disk, at, &mut manifest).await?,
        Task::MergeAll => merge::merge_all(disk, at, &mut manifest).await?,
        Task::Sweep => sweep(disk, at, &manifest).await?,
    }
    Ok(manifest)
}

async fn sweep<D: Disk>(disk: &D, at: &Where, manifest: &Manifest) -> Result<(), CompactError> {
    for path in manifest::leftovers(disk, &at.directory, manifest).await? {
        disk.remove(&path).await.map_err(unwritten)?;
    }
    Ok(())
}

/// Why a task was not carried out; what was there before still is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompactError {
    /// A file of the index cannot be used.
    Table(TableError),
    /// A new file could not be written.
    Write(io::ErrorKind),
    /// The compactor has ended.
    Ended,
}

impl Where {
    async fn open_run<D: Disk>(&self, disk: &D, name: &RunName) -> Result<Run, TableError> {
        Run::load(disk, &self.directory, self.head(name)).await
    }

    async fn create_run<D: Disk>(
        &self,
        disk: &D,
        name: &RunName,
    ) -> Result<RunWriter<D>, CompactError> {
        let writer = RunWriter::create(disk.clone(), &self.directory, self.head(name));
        writer.await.map_err(unwritten)
    }

    /// Makes the manifest the truth.
    async fn publish<D: Disk>(
        &self,
        disk: &D,
        manifest: &mut Manifest,
    ) -> Result<(), CompactError> {
        manifest.generation += 1;
        Ok(manifest::write(disk, &self.directory, self.store, self.shard, manifest).await?)
    }

    pub(crate) fn head(&self, name: &RunName) -> RunHead {
        RunHead {
            store: self.store,
            shard: self.shard,
            number: name.number,
            tier: name.tier,
        }
    }
}

fn unwritten(error: io::Error) -> CompactError {
    CompactError::Write(error.kind())
}

impl From<TableError> for CompactError {
    fn from(error: TableError) -> CompactError {
        CompactError::Table(error)
    }
}

impl fmt::Display for CompactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompactError::Table(error) => error.fmt(f),
            CompactError::Write(kind) => write!(f, "cannot write a file of the index: {kind}"),
            CompactError::Ended => f.write_str("the compactor has ended"),
        }
    }
}

impl std::error::Error for CompactError {}
