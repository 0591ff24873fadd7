//! Makes a shard whole again from what can still be read of it.
//!
//! ```text
//!  index sound                       State of the index + tail of the log ─┐
//!  index damaged  archives + packs + whole log, from nothing ──────────────┤
//!                                                                           ↓
//!     a checkpoint, written by the compactor ─→ damaged segments are emptied into packs
//!                                            ─→ damaged packs and archives are written anew
//! ```
//!
//! An index that is replaced is moved aside first, by rename, a pack when a manifest names the new
//! one; the log is only added to.
//! So a repair that is cut short has lost nothing, and the next one goes on from there. Nothing is
//! invented: a row stays as it was told to a client, also where its message is gone, and a record
//! that cannot be placed is told.

mod packs;
mod replay;
mod signatures;

use super::containers::numbers;
use super::damage::{Event, Listener, Part};
use super::{Owner, Summary};
use crate::codec::Fields;
use crate::compact::{Checkpoint, CompactError, Stories, Task, Unpaced, carry_out, write_under};
use crate::disk::create::Creator;
use crate::disk::{Disk, File, Mode};
use crate::limit::BLOCK_BYTES;
use crate::log::anew::go_on_behind;
use crate::log::scan;
use crate::log::{OpenError, Options, Position};
use crate::mailbox::index::Index;
use crate::mailbox::state::State;
use crate::memo::{MemoRun, Shelf};
use crate::table::manifest::{ArchiveName, Manifest, PackName, RunName};
use crate::table::run::Run;
use crate::table::{TableError, name};
use replay::{Known, Replay};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// What a repair needs to know.
pub struct Order {
    /// Where files go that are replaced, below the store's directory; nothing is there yet.
    pub aside: String,
    /// Of the log, for a segment that may have to be made.
    pub options: Options,
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Repaired {
    /// The index was made anew from archives and log.
    pub is_rebuilt: bool,
    /// Segments up to here were emptied because of damage in one of them.
    pub emptied: Option<u32>,
    /// Records that were moved out of them.
    pub moved_records: u64,
    /// Facts that were applied.
    pub facts: u64,
    /// Facts that could not be.
    pub refused: u64,
    /// Packs and archives that were written anew.
    pub rewritten: Vec<String>,
    /// What could not be saved of them.
    pub lost: Vec<String>,
    /// Files that were moved aside.
    pub moved: Vec<String>,
}

/// Repairs one shard in which a check has found damage. Nobody has it open.
pub async fn repair<D: Disk>(
    disk: &D,
    owner: &Owner,
    order: &Order,
    found: &Summary,
    listener: Listener<'_>,
) -> Result<Repaired, RepairError> {
    let mut repair = Repair {
        disk,
        owner,
        order,
        listener,
        done: Repaired::default(),
    };
    let is_damaged = |part| found.damages.contains_key(&part);
    let index = [Part::Manifest, Part::Run, Part::Locations, Part::Mailbox];
    let needs = Needs {
        index: index.into_iter().any(is_damaged),
        memos: is_damaged(Part::Manifest) || is_damaged(Part::Memos),
    };
    if needs.index || needs.memos || is_damaged(Part::Log) {
        repair.run(needs).await?;
    }
    let packs = [Part::Pack, Part::Listing, Part::Archive];
    if packs.into_iter().any(is_damaged) {
        repair.packs().await?;
    }
    if is_damaged(Part::Signatures) {
        repair.signatures().await?;
    }
    Ok(repair.done)
}

/// Makes the index of a shard that has none: its manifest names archives, packs and where the log
/// goes on behind the archives. Nobody has it open.
pub async fn rebuild<D: Disk>(
    disk: &D,
    owner: &Owner,
    options: Options,
    listener: Listener<'_>,
) -> Result<Repaired, RepairError> {
    let read = Manifest::read(disk, &owner.directory, owner.store, owner.shard).await?;
    let order = Order {
        aside: String::new(),
        options,
    };
    let mut repair = Repair {
        disk,
        owner,
        order: &order,
        listener,
        done: Repaired::default(),
    };
    let manifest = read.unwrap_or_default();
    let (checkpoint, _) = repair.replayed(&manifest, Known::default()).await?;
    write_under(disk, owner, manifest, &checkpoint).await?;
    repair.done.is_rebuilt = true;
    Ok(repair.done)
}

/// What is made anew from archives and log.
#[derive(Clone, Copy, Debug)]
struct Needs {
    index: bool,
    memos: bool,
}

impl Default for Needs {
    /// Everything.
    fn default() -> Needs {
        Needs {
            index: true,
            memos: true,
        }
    }
}

struct Repair<'a, D> {
    disk: &'a D,
    owner: &'a Owner,
    order: &'a Order,
    listener: Listener<'a>,
    done: Repaired,
}

impl<D: Disk> Repair<'_, D> {
    async fn run(&mut self, needs: Needs) -> Result<(), RepairError> {
        let mut manifest = match self.manifest().await {
            Some(manifest) => manifest,
            None => self.found().await?,
        };
        // What a crash left half-done has numbers that no manifest gave.
        manifest.next_number = manifest.next_number.max(self.next_number().await);
        let known = Known {
            state: self.state(&manifest, needs).await?,
            index: manifest.replay.filter(|_| !needs.index),
            memos: manifest.replay.filter(|_| !needs.memos),
            needs,
        };
        let (checkpoint, walked) = self.replayed(&manifest, known).await?;
        let memos: Vec<RunName> = match needs.memos {
            true => std::mem::take(&mut manifest.memos),
            false => Vec::new(),
        };
        if needs.index {
            self.done.is_rebuilt = true;
            self.set_aside(&manifest.memos).await?;
            manifest.runs.clear();
            manifest.locations.clear();
        }
        if needs.index || needs.memos {
            manifest.replay = None;
        }
        write_under(self.disk, self.owner, manifest, &checkpoint).await?;
        self.set_memos_aside(&memos).await?;
        let Some(through) = walked.damaged else {
            return Ok(());
        };
        for missing in &walked.missing {
            self.stand_in(*missing).await?;
        }
        self.empty(through).await
    }

    /// What a checkpoint has to write down: the state that is known and the log behind it, or all
    /// of archives and log.
    async fn replayed(
        &mut self,
        manifest: &Manifest,
        known: Known,
    ) -> Result<(Checkpoint, replay::Walked), RepairError> {
        let needs = known.needs;
        let mut replay = Replay::new(self.disk, self.owner, known);
        if needs.index {
            replay.packs(manifest).await;
        }
        if needs.index || needs.memos {
            replay.archives(manifest).await;
        }
        let walked = replay.log(manifest.first_segment).await?;
        self.done.facts = replay.applied;
        self.done.refused = replay.refused.len() as u64;
        for refused in std::mem::take(&mut replay.refused) {
            (self.listener)(Event::Note(refused));
        }
        if needs.memos {
            replay.salvage_memos(&manifest.memos).await;
        }
        let frozen = replay.freeze(needs.index);
        let position = self.go_on(&walked, manifest.first_segment).await?;
        let checkpoint = Checkpoint {
            position,
            frozen,
            open_from: position.segment,
            held: Arc::from([]),
        };
        Ok((checkpoint, walked))
    }

    /// A segment that is gone becomes one that is damaged all over: what empties it tells whose
    /// mail is lost by it.
    async fn stand_in(&self, segment: u32) -> Result<(), RepairError> {
        let file = scan::file(&format!("{}/log", self.owner.directory), segment);
        let blank = Creator::new(self.disk.clone(), &file).await;
        let mut blank = blank.map_err(unwritten)?;
        blank.append(&[0; BLOCK_BYTES]).await.map_err(unwritten)?;
        blank.finish().await.map(drop).map_err(unwritten)
    }

    /// Moves what is whole out of damaged segments, and their facts to an archive.
    async fn empty(&mut self, through: u32) -> Result<(), RepairError> {
        let mut first = 0;
        loop {
            let held = Arc::from([]);
            let task = Task::Empty {
                through,
                held,
                stories: Stories::ALL,
                now_secs: 0,
            };
            let done = carry_out(self.disk, self.owner, &task, &Unpaced).await?;
            self.done.emptied = Some(through);
            self.done.moved_records += done.report.records_moved;
            if done.manifest.first_segment > through || done.manifest.first_segment == first {
                return Ok(());
            }
            first = done.manifest.first_segment;
        }
    }

    async fn manifest(&self) -> Option<Manifest> {
        let owner = self.owner;
        let read = Manifest::read(self.disk, &owner.directory, owner.store, owner.shard);
        read.await.ok().map(Option::unwrap_or_default)
    }

    /// A manifest of what is there, for a shard that has none that can be read. Facts of segments
    /// that are in an archive as well are told apart by their LSN.
    async fn found(&self) -> Result<Manifest, RepairError> {
        let directory = &self.owner.directory;
        let segments = scan::segments(self.disk, &format!("{directory}/log")).await?;
        let last = segments.last().copied().unwrap_or(0);
        let first = segments
            .iter()
            .rev()
            .zip((1..=last).rev())
            .take_while(|(there, wanted)| **there == *wanted)
            .last()
            .map_or(1, |(first, _)| *first);
        let packs = numbers(self.disk, &format!("{directory}/{}", name::PACKS)).await;
        let archives = numbers(self.disk, &format!("{directory}/{}", name::ARCHIVE)).await;
        let mut manifest = Manifest {
            first_segment: first,
            ..Manifest::default()
        };
        for number in packs {
            let summary = replay::summary(self.disk, self.owner, Part::Pack, number).await;
            manifest.packs.push(PackName {
                number,
                bytes: summary.bytes,
                records: summary.records,
            });
        }
        for number in archives {
            let summary = replay::summary(self.disk, self.owner, Part::Archive, number).await;
            manifest.archives.push(ArchiveName {
                number,
                first_segment: 0,
                last_segment: 0,
                bytes: summary.bytes,
            });
        }
        manifest.memos = self.found_memos().await;
        Ok(manifest)
    }

    /// Runs that are of memos, as far as can be read.
    async fn found_memos(&self) -> Vec<RunName> {
        let mut found = Vec::new();
        let index = format!("{}/{}", self.owner.directory, name::INDEX);
        for file in self.disk.list(&index).await.unwrap_or_default() {
            let Some(number) = name::number(&file).filter(|_| file.ends_with(".run")) else {
                continue;
            };
            if let Some(name) = self.run_of(number).await
                && let Ok(run) = self.open_run(&name).await
                && MemoRun::open(run).is_ok()
            {
                found.push(name);
            }
        }
        found.sort_unstable_by_key(|name| name.number);
        found
    }

    /// What a run says of itself.
    async fn run_of(&self, number: u32) -> Option<RunName> {
        let path = name::run(&self.owner.directory, number);
        let file = self.disk.open(&path, Mode::Read).await.ok()?;
        let (head, bytes) = (
            file.read_at(0, BLOCK_BYTES).await.ok()?,
            file.len().await.ok()?,
        );
        let tier = head.as_slice().get(TIER_AT..).unwrap_or_default();
        Some(RunName {
            number,
            tier: Fields::new(tier).u16().ok()?,
            bytes,
        })
    }

    /// Above every number that a file has, here or aside from an earlier repair.
    async fn next_number(&self) -> u32 {
        let mut highest = 0;
        for below in [name::INDEX, name::PACKS, name::ARCHIVE] {
            let directory = format!("{}/{below}", self.owner.directory);
            for file in self.disk.list(&directory).await.unwrap_or_default() {
                let digits = file
                    .split('.')
                    .filter_map(|part| u32::from_str_radix(part, 16).ok());
                highest = digits.fold(highest, u32::max);
            }
        }
        highest.saturating_add(1)
    }

    /// What the runs say that are not made anew.
    async fn state(&self, manifest: &Manifest, needs: Needs) -> Result<State, RepairError> {
        let (mut runs, mut memos) = (Vec::new(), Vec::new());
        for name in manifest.runs.iter().filter(|_| !needs.index) {
            runs.push(Rc::new(self.open_run(name).await?));
        }
        for name in manifest.memos.iter().filter(|_| !needs.memos) {
            memos.push(Rc::new(MemoRun::open(self.open_run(name).await?)?));
        }
        let (index, shelf) = (Index::new(runs), Shelf::new(memos));
        Ok(State::from_index(Rc::new(index), Rc::new(shelf))?)
    }

    async fn open_run(&self, name: &RunName) -> Result<Run, TableError> {
        Run::load(self.disk, &self.owner.directory, name.head(self.owner)).await
    }

    /// Moves runs of memos out of the way that no manifest names any more.
    async fn set_memos_aside(&mut self, memos: &[RunName]) -> Result<(), RepairError> {
        let aside = format!("{}/{}", self.order.aside, self.owner.directory);
        if memos.is_empty() {
            return Ok(());
        }
        let below = format!("{aside}/{}", name::INDEX);
        let made = self.disk.create_directory(&below).await;
        made.map_err(unwritten)?;
        for run in memos {
            let path = name::run(&self.owner.directory, run.number);
            let kept = name::run(&aside, run.number);
            self.move_file(&path, &kept).await?;
        }
        Ok(())
    }

    /// Moves index and manifest out of the way, but for `memos`, which stay. The manifest goes
    /// last: until then a start is refused because files are missing that it names, and from then
    /// on, up to the next manifest, because files are there and no manifest is. Where all is in the
    /// log it may start: it replays the log.
    async fn set_aside(&mut self, memos: &[RunName]) -> Result<(), RepairError> {
        let index = format!("{}/{}", self.owner.directory, name::INDEX);
        let aside = format!("{}/{}", self.order.aside, self.owner.directory);
        let below = format!("{aside}/{}", name::INDEX);
        self.disk
            .create_directory(&below)
            .await
            .map_err(unwritten)?;
        let stays = |file: &str| {
            let path = format!("{index}/{file}");
            let mut paths = memos
                .iter()
                .map(|run| name::run(&self.owner.directory, run.number));
            paths.any(|stays| stays == path)
        };
        let mut files = self.disk.list(&index).await.map_err(unwritten)?;
        files.retain(|file| !stays(file));
        for file in files {
            self.move_file(&format!("{index}/{file}"), &format!("{below}/{file}"))
                .await?;
        }
        let manifest = format!("{}/MANIFEST", self.owner.directory);
        self.move_file(&manifest, &format!("{aside}/MANIFEST"))
            .await
    }

    async fn move_file(&mut self, from: &str, to: &str) -> Result<(), RepairError> {
        match self.disk.rename(from, to).await {
            Ok(()) => self.done.moved.push(from.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unwritten(error)),
        }
        Ok(())
    }

    /// Where the log goes on: at its end, or in a new segment behind damage in the last one.
    async fn go_on(
        &self,
        walked: &replay::Walked,
        first_segment: u32,
    ) -> Result<Position, RepairError> {
        let directory = format!("{}/log", self.owner.directory);
        if walked.needs_segment {
            let options = &self.order.options;
            return Ok(go_on_behind(self.disk, &directory, options, &walked.end).await?);
        }
        // A segment without frames may be replaced, so nobody is told a place in it.
        match walked.before {
            Some(before)
                if before.segment >= first_segment && Some(before.segment) > walked.damaged =>
            {
                Ok(before)
            }
            _ => Ok(walked.end),
        }
    }
}

/// Why a repair came to nothing; what was moved aside is still there.
#[derive(Debug)]
pub enum RepairError {
    Log(OpenError),
    Index(TableError),
    Compact(CompactError),
    Write(io::Error),
}

/// Where an index file says its tier (FORMAT.md, "Runs").
const TIER_AT: usize = 26;

fn unwritten(error: io::Error) -> RepairError {
    RepairError::Write(error)
}

impl From<OpenError> for RepairError {
    fn from(error: OpenError) -> RepairError {
        RepairError::Log(error)
    }
}

impl From<TableError> for RepairError {
    fn from(error: TableError) -> RepairError {
        RepairError::Index(error)
    }
}

impl From<CompactError> for RepairError {
    fn from(error: CompactError) -> RepairError {
        RepairError::Compact(error)
    }
}

impl fmt::Display for RepairError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RepairError::Log(error) => error.fmt(f),
            RepairError::Index(error) => error.fmt(f),
            RepairError::Compact(error) => error.fmt(f),
            RepairError::Write(error) => write!(f, "cannot write: {error}"),
        }
    }
}

impl std::error::Error for RepairError {}
