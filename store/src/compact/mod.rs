//! The compactor: turns what shards froze into runs, merges runs, empties old segments into packs.
//!
//! Everything here works on immutable files and the manifest of one shard, never on a shard's
//! memory, and one task at a time. A task writes new files, verifies them, and publishes a manifest
//! that names them; until then the old set is whole, from then on the new one is. Files that no
//! manifest names are leftovers; they are swept when nobody reads them any more.

mod checkpoint;
mod merge;

pub use crate::table::locations::Owner;
pub use checkpoint::Checkpoint;

use crate::disk::Disk;
use crate::table::TableError;
use crate::table::manifest::{self, Manifest, RunName};
use crate::table::run::{Run, RunWriter};
use std::fmt;
use std::io;
use std::sync::Arc;

/// What the compactor can be asked to do for a shard.
#[derive(Clone, Debug)]
pub enum Task {
    /// Write down what the shard froze.
    Checkpoint(Arc<Checkpoint>),
    /// Merge runs, where there are enough of one tier.
    Merge,
    /// Merge all runs into one.
    MergeAll,
    /// Remove files that the manifest does not name.
    Sweep,
}

/// Where tasks are carried out: on a thread of their own, or right here. The manifest that is there
/// afterwards comes back.
#[expect(async_fn_in_trait, reason = "a shard and its tasks share one thread")]
pub trait Aside {
    async fn carry_out(&self, owner: &Owner, task: Task) -> Result<Manifest, CompactError>;
}

/// Tasks are carried out right here, by whoever asks: tools, and the simulated world.
#[derive(Clone, Debug)]
pub struct Here<D>(pub D);

impl<D: Disk> Aside for Here<D> {
    async fn carry_out(&self, owner: &Owner, task: Task) -> Result<Manifest, CompactError> {
        carry_out(&self.0, owner, &task).await
    }
}

/// Carries a task out on a disk of the caller's own.
pub async fn carry_out<D: Disk>(
    disk: &D,
    owner: &Owner,
    task: &Task,
) -> Result<Manifest, CompactError> {
    let read = Manifest::read(disk, &owner.directory, owner.store, owner.shard).await?;
    let site = Site { disk, owner };
    let mut manifest = match read {
        Some(manifest) => manifest,
        None => site.first_manifest().await?,
    };
    match task {
        Task::Checkpoint(checkpoint) => {
            checkpoint::write(&site, &mut manifest, checkpoint).await?;
        }
        Task::Merge => merge::merge_some(&site, &mut manifest).await?,
        Task::MergeAll => merge::merge_all(&site, &mut manifest).await?,
        Task::Sweep => site.sweep(&manifest).await?,
    }
    Ok(manifest)
}

/// Where a task works.
struct Site<'a, D> {
    disk: &'a D,
    owner: &'a Owner,
}

impl<D: Disk> Site<'_, D> {
    /// The manifest goes before the files: without one they would be taken for lost mail.
    async fn first_manifest(&self) -> Result<Manifest, CompactError> {
        manifest::make_directories(self.disk, &self.owner.directory).await?;
        let mut manifest = Manifest::default();
        self.publish(&mut manifest).await?;
        Ok(manifest)
    }

    async fn open_run(&self, name: &RunName) -> Result<Run, TableError> {
        Run::load(self.disk, &self.owner.directory, name.head(self.owner)).await
    }

    async fn create_run(&self, name: &RunName) -> Result<RunWriter<D>, CompactError> {
        let (disk, directory) = (self.disk.clone(), &self.owner.directory);
        let writer = RunWriter::create(disk, directory, name.head(self.owner));
        writer.await.map_err(unwritten)
    }

    /// Makes the manifest the truth.
    async fn publish(&self, manifest: &mut Manifest) -> Result<(), CompactError> {
        manifest.generation += 1;
        let owner = self.owner;
        let written = manifest.write(self.disk, &owner.directory, owner.store, owner.shard);
        Ok(written.await?)
    }

    async fn sweep(&self, manifest: &Manifest) -> Result<(), CompactError> {
        for path in manifest::leftovers(self.disk, &self.owner.directory, manifest).await? {
            self.disk.remove(&path).await.map_err(unwritten)?;
        }
        Ok(())
    }
}

/// Why a task was not carried out; what was there before still is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompactError {
    /// A file of the index cannot be used.
    Table(TableError),
    /// A file could not be written or removed.
    Write(io::ErrorKind),
    /// The compactor has ended.
    Ended,
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
