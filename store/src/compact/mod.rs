//! The compactor: turns what shards froze into runs, merges runs, empties old segments into packs.
//!
//! Everything here works on immutable files and the manifest of one shard, never on a shard's
//! memory, and one task at a time. A task writes new files, verifies them, and publishes a manifest
//! that names them; until then the old set is whole, from then on the new one is. Files that no
//! manifest names are leftovers; they are swept when nobody reads them any more.

mod ahead;
mod archive;
mod census;
mod checkpoint;
pub(crate) mod damage;
mod empty;
mod letter;
pub(crate) mod listing;
mod live;
mod memos;
mod merge;
mod moving;
mod pace;
mod passing;
mod policy;
mod repack;
mod report;
pub(crate) mod rescue;
mod sign;
mod source;
mod story;
mod usage;
mod whole;

pub use crate::table::locations::Owner;
pub use checkpoint::Checkpoint;
pub use pace::{Pace, Progress, Unpaced};
pub use policy::Policy;
pub use report::{Damage, Lost, LostMessage, Report};
pub use sign::Signing;
pub use story::Stories;

use crate::disk::Disk;
use crate::error::{Container, ReadError};
use crate::log::OpenError;
use crate::log::scan::Segment;
use crate::mail::id::ObjectId;
use crate::mailbox::index::Index;
use crate::memo::{MemoRun, Shelf};
use crate::pack::{PackError, PackHead};
use crate::table::TableError;
use crate::table::manifest::{self, Manifest, RunName};
use crate::table::run::{Run, RunWriter};
use std::fmt;
use std::io;
use std::rc::Rc;
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
    /// Merge archives, where there are enough of one tier.
    MergeArchives,
    /// Empty the segments of the log up to `through`, or as many as one task does. `held` are
    /// deliveries that changes name which were on their way when the index was frozen.
    Empty {
        through: u32,
        held: Arc<[ObjectId]>,
        stories: Stories,
        /// The wall clock, seconds since 1970: how old stories are.
        now_secs: i64,
    },
    /// Write packs anew of which too much is dead. `held` as above.
    Repack {
        policy: Policy,
        held: Arc<[ObjectId]>,
    },
    /// Sign some messages that are not signed yet, or make one file of several.
    Sign(Signing),
    /// Remove files that the manifest of this generation does not name. Where the present manifest
    /// is another one nothing is removed.
    Sweep { generation: u64 },
}

/// What there is after a task.
#[derive(Clone, Debug)]
pub struct Done {
    pub manifest: Manifest,
    pub report: Report,
}

/// Where tasks are carried out: on a thread of their own, or right here.
#[expect(async_fn_in_trait, reason = "a shard and its tasks share one thread")]
pub trait Aside {
    async fn carry_out(&self, owner: &Owner, task: Task) -> Result<Done, CompactError>;
}

/// Tasks are carried out right here, by whoever asks: tools, and the simulated world.
#[derive(Clone, Debug)]
pub struct Here<D>(pub D);

/// As [`Here`], at a pace that the caller sets; that is also how it learns of the progress.
#[derive(Clone, Debug)]
pub struct Paced<D, P>(pub D, pub P);

impl<D: Disk> Aside for Here<D> {
    async fn carry_out(&self, owner: &Owner, task: Task) -> Result<Done, CompactError> {
        carry_out(&self.0, owner, &task, &Unpaced).await
    }
}

impl<D: Disk, P: Pace> Aside for Paced<D, P> {
    async fn carry_out(&self, owner: &Owner, task: Task) -> Result<Done, CompactError> {
        carry_out(&self.0, owner, &task, &self.1).await
    }
}

/// Carries a task out on a disk of the caller's own.
pub async fn carry_out<D: Disk>(
    disk: &D,
    owner: &Owner,
    task: &Task,
    pace: &impl Pace,
) -> Result<Done, CompactError> {
    let read = Manifest::read(disk, &owner.directory, owner.store, owner.shard).await?;
    let site = Site { disk, owner };
    let mut manifest = match read {
        Some(manifest) => manifest,
        None => site.first_manifest().await?,
    };
    site.remove_unborn(&manifest).await?;
    let outcome = site.work(&mut manifest, task, pace).await;
    match outcome {
        Ok(report) => Ok(Done { manifest, report }),
        Err(error) => {
            site.tidy_up().await;
            Err(error)
        }
    }
}

/// Writes a checkpoint down under a manifest that is not on the disk: a repair, for which a shard
/// without a manifest is one that must not be opened.
pub(crate) async fn write_under<D: Disk>(
    disk: &D,
    owner: &Owner,
    mut manifest: Manifest,
    checkpoint: &Checkpoint,
) -> Result<(), CompactError> {
    manifest::make_directories(disk, &owner.directory).await?;
    let site = Site { disk, owner };
    checkpoint::write(&site, &mut manifest, checkpoint).await
}

/// Where a task works.
pub(crate) struct Site<'a, D> {
    pub(crate) disk: &'a D,
    pub(crate) owner: &'a Owner,
}

impl<D: Disk> Site<'_, D> {
    /// Whose pack, archive or story of this number it is.
    fn head(&self, number: u32) -> PackHead {
        PackHead {
            store: self.owner.store,
            shard: self.owner.shard,
            number,
        }
    }

    /// The manifest goes before the files: without one they would be taken for lost mail.
    async fn first_manifest(&self) -> Result<Manifest, CompactError> {
        manifest::make_directories(self.disk, &self.owner.directory).await?;
        let mut manifest = Manifest::default();
        self.publish(&mut manifest).await?;
        Ok(manifest)
    }

    async fn work(
        &self,
        manifest: &mut Manifest,
        task: &Task,
        pace: &impl Pace,
    ) -> Result<Report, CompactError> {
        match task {
            Task::Checkpoint(checkpoint) => {
                checkpoint::write(self, manifest, checkpoint).await?;
            }
            Task::Merge => {
                merge::merge_some(self, manifest).await?;
                memos::merge_some(self, manifest).await?;
            }
            Task::MergeAll => {
                merge::merge_all(self, manifest).await?;
                memos::merge_all(self, manifest).await?;
            }
            Task::MergeArchives => archive::merge_some(self, manifest, pace).await?,
            Task::Empty {
                through,
                held,
                stories,
                now_secs,
            } => {
                let report = empty::empty(self, manifest, (*through, *stories), held, pace).await?;
                story::prune(self, *stories, *now_secs).await;
                return Ok(report);
            }
            Task::Repack { policy, held } => {
                return repack::repack(self, manifest, policy, held, pace).await;
            }
            Task::Sign(signing) => return sign::sign(self, manifest, signing, pace).await,
            Task::Sweep { generation } if *generation == manifest.generation => {
                self.sweep(manifest).await?;
            }
            Task::Sweep { .. } => {}
        }
        Ok(Report::default())
    }

    /// Removes what an earlier task, or an earlier life, has left half-done: files with numbers
    /// that were never given belong to no manifest, and their numbers are given now.
    async fn remove_unborn(&self, manifest: &Manifest) -> Result<(), CompactError> {
        for path in manifest::unborn(self.disk, &self.owner.directory, manifest).await? {
            self.disk.remove(&path).await.map_err(unwritten)?;
        }
        story::remove_unborn(self, manifest).await;
        Ok(())
    }

    /// After a failure the space is given back at once, if that can be done.
    async fn tidy_up(&self) {
        let owner = self.owner;
        let read = Manifest::read(self.disk, &owner.directory, owner.store, owner.shard);
        if let Ok(Some(present)) = read.await {
            let _ = self.remove_unborn(&present).await;
        }
    }

    /// What the runs of a manifest say.
    pub(crate) async fn index(&self, manifest: &Manifest) -> Result<Index, CompactError> {
        let mut runs = Vec::with_capacity(manifest.runs.len());
        for name in &manifest.runs {
            runs.push(Rc::new(self.open_run(name).await?));
        }
        Ok(Index::new(runs))
    }

    /// Runs of memos, from the oldest to the newest.
    pub(crate) async fn shelf(&self, names: &[RunName]) -> Result<Shelf, CompactError> {
        let mut runs = Vec::with_capacity(names.len());
        for name in names {
            runs.push(Rc::new(MemoRun::open(self.open_run(name).await?)?));
        }
        Ok(Shelf::new(runs))
    }

    async fn open_segment(&self, number: u32) -> Result<Segment<D::File>, CompactError> {
        let (directory, store) = (format!("{}/log", self.owner.directory), self.owner.store);
        let opened = Segment::open(self.disk, &directory, store, self.owner.shard, number);
        opened.await.map_err(unscanned(number))
    }

    /// A file that we have just written is not what we meant it to be.
    fn mistaken(&self, path: &str, what: &'static str) -> CompactError {
        CompactError::Table(TableError::Damaged {
            path: path.to_owned(),
            offset: 0,
            what,
        })
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
    /// A record or a file of records cannot be read.
    Read(ReadError),
    /// A file could not be written or removed.
    Write(io::ErrorKind),
    /// The compactor has ended.
    Ended,
}

fn unwritten(error: io::Error) -> CompactError {
    CompactError::Write(error.kind())
}

fn unread(error: PackError) -> CompactError {
    CompactError::Read(error.into())
}

/// Why the segment with this number cannot be read.
fn unscanned(number: u32) -> impl Fn(OpenError) -> CompactError {
    let container = Container::Segment(number);
    let damaged = move |offset, what| ReadError::Damaged {
        container,
        offset,
        what,
    };
    let io = move |kind| ReadError::Io {
        container,
        offset: 0,
        kind,
    };
    move |error| {
        CompactError::Read(match error {
            OpenError::Damaged { offset, what, .. } => damaged(offset, what),
            OpenError::Foreign { .. } => damaged(0, "the segment of another place"),
            OpenError::Newer { .. } => io(io::ErrorKind::Unsupported),
            OpenError::Missing { .. } => io(io::ErrorKind::NotFound),
            OpenError::Io { error, .. } => io(error.kind()),
            OpenError::Replay { place, .. } => damaged(place.offset(), "a record without use"),
            OpenError::Options(_) => io(io::ErrorKind::InvalidInput),
        })
    }
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
            CompactError::Read(error) => error.fmt(f),
            CompactError::Write(kind) => write!(f, "cannot write a file of the index: {kind}"),
            CompactError::Ended => f.write_str("the compactor has ended"),
        }
    }
}

impl std::error::Error for CompactError {}
