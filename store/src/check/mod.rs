//! Looks at every byte of a shard that nobody has open, and says what is wrong with whose mail.
//!
//! ```text
//!  manifest ─→ runs ─→ locations ─→ log ─→ packs, archives ─→ each row: DELIVER → MESSAGE → pieces
//! ```
//!
//! Nothing is changed. Files are read once, from front to end; what cannot be read is told and
//! passed over. Memory: 24 octets an object, the largest mailbox, and the accounts that changed
//! since the last checkpoint. With a bound of objects log and packs are read as often as there are
//! windows of so many.

mod containers;
mod damage;
pub mod dump;
pub mod facts;
mod index;
mod memos;
mod objects;
pub mod repair;
mod rows;
mod segments;
mod signatures;
mod tail;

pub use crate::table::locations::Owner;
pub use damage::{Damage, Event, Listener, Part, Whose};

use crate::disk::{Disk, File, Mode};
use crate::mail::id::ObjectId;
use crate::mailbox::index::Index;
use crate::mailbox::state::State;
use crate::memo::Shelf;
use crate::search::SEARCH;
use crate::table::locations::Locations;
use crate::table::manifest::{self, Manifest};
use crate::table::{TableError, name};
use objects::Objects;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

/// What was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    pub segments: u32,
    pub frames: u64,
    pub records: u64,
    pub packs: u32,
    pub archives: u32,
    pub packed_records: u64,
    pub runs: u32,
    pub chunks: u32,
    pub accounts: u64,
    pub mailboxes: u64,
    /// Rows of all mailboxes.
    pub messages: u64,
    /// Items of the queue.
    pub queued: u64,
    /// Memos, also those whose time is over and that are still there.
    pub memos: u64,
    /// Files of signatures.
    pub signatures: u32,
    /// Of files that were read.
    pub bytes: u64,
    /// There is nothing of this shard at all.
    pub is_absent: bool,
    /// Something could not be looked at because something else is damaged.
    pub is_partial: bool,
    pub damages: BTreeMap<Part, u64>,
}

impl Summary {
    #[must_use]
    pub fn damage_count(&self) -> u64 {
        self.damages.values().sum()
    }

    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damages.is_empty()
    }

    /// Adds what was found in another shard.
    pub fn add(&mut self, other: &Summary) {
        self.segments += other.segments;
        self.frames += other.frames;
        self.records += other.records;
        self.packs += other.packs;
        self.archives += other.archives;
        self.packed_records += other.packed_records;
        self.runs += other.runs;
        self.chunks += other.chunks;
        self.accounts += other.accounts;
        self.mailboxes += other.mailboxes;
        self.messages += other.messages;
        self.queued += other.queued;
        self.memos += other.memos;
        self.signatures += other.signatures;
        self.bytes += other.bytes;
        self.is_partial |= other.is_partial;
        for (part, count) in &other.damages {
            *self.damages.entry(*part).or_default() += count;
        }
    }
}

/// Checks one shard in one pass.
pub async fn check<D: Disk>(disk: &D, owner: &Owner, listener: Listener<'_>) -> Summary {
    check_within(disk, owner, u64::MAX, listener).await
}

/// Checks one shard, with so many objects in memory at one time.
pub async fn check_within<D: Disk>(
    disk: &D,
    owner: &Owner,
    objects: u64,
    listener: Listener<'_>,
) -> Summary {
    let mut check = Check {
        disk,
        owner,
        tell: Tell {
            listener,
            summary: Summary::default(),
            is_again: false,
        },
        objects: Objects::default(),
    };
    check.run(objects).await;
    check.tell.summary
}

/// Bytes of all files that a check of the shard reads, about.
pub async fn bytes<D: Disk>(disk: &D, owner: &Owner) -> u64 {
    let mut bytes = 0;
    for below in ["log", name::INDEX, name::PACKS, name::ARCHIVE, SEARCH] {
        let directory = format!("{}/{below}", owner.directory);
        for file in disk.list(&directory).await.unwrap_or_default() {
            let is_read = [".log", ".run", ".loc", ".pack", ".sign"];
            if is_read.iter().any(|end| file.ends_with(end)) {
                bytes += length(disk, &format!("{directory}/{file}")).await;
            }
        }
    }
    bytes
}

async fn length<D: Disk>(disk: &D, path: &str) -> u64 {
    match disk.open(path, Mode::Read).await {
        Ok(file) => file.len().await.unwrap_or(0),
        Err(_) => 0,
    }
}

/// A check under way.
struct Check<'a, D> {
    disk: &'a D,
    owner: &'a Owner,
    tell: Tell<'a>,
    objects: Objects,
}

/// Counts what it passes on.
struct Tell<'a> {
    listener: Listener<'a>,
    summary: Summary,
    /// What is read was read before: only what is found for the first time is told.
    is_again: bool,
}

impl Tell<'_> {
    fn damage(&mut self, damage: Damage) {
        if !self.is_again {
            self.found(damage);
        }
    }

    /// Damage that no other pass can find.
    fn found(&mut self, damage: Damage) {
        *self.summary.damages.entry(damage.part).or_default() += 1;
        (self.listener)(Event::Damage(damage));
    }

    fn note(&mut self, note: String) {
        (self.listener)(Event::Note(note));
    }

    fn bytes(&mut self, bytes: u64) {
        self.summary.bytes += bytes;
        if !self.is_again {
            (self.listener)(Event::Bytes(bytes));
        }
    }
}

impl<D: Disk> Check<'_, D> {
    async fn run(&mut self, objects: u64) {
        let manifest = self.manifest().await;
        let is_known = manifest.is_some();
        let manifest = manifest.unwrap_or_default();
        self.leftovers(&manifest, is_known).await;
        self.signatures().await;
        let index = self.index(&manifest).await;
        let shelf = self.shelf(&manifest).await;
        let mut state = index.as_ref().and_then(|index| self.state(index, shelf));
        let mut windows = Objects::windows(manifest.last_object(), objects).into_iter();
        self.objects = Objects::up_to(
            manifest.last_object(),
            windows.next().unwrap_or(0..u64::MAX),
        );
        self.read(&manifest, is_known, state.as_mut()).await;
        let (index, state) = match (index, state) {
            (Some(index), Some(state)) if is_known => (index, state),
            _ => {
                self.tell.summary.is_partial = true;
                let what = "the index is damaged: no mailbox was held against its messages";
                return self.tell.note(format!("{}: {what}", self.owner.directory));
            }
        };
        self.rows(&index, &state);
        self.memos(&state);
        let passes = windows.len() + 1;
        for (window, pass) in windows.zip(2..) {
            let what = format!("{}: pass {pass} of {passes}", self.owner.directory);
            self.tell.note(what);
            self.look_again(&manifest, &index, &state, window).await;
        }
    }

    /// Holds the rows of another window against what is read once more.
    async fn look_again(
        &mut self,
        manifest: &Manifest,
        index: &Rc<Index>,
        state: &State,
        window: Range<u64>,
    ) {
        let before = self.tell.summary.clone();
        self.tell.is_again = true;
        self.objects = Objects::up_to(manifest.last_object(), window);
        self.read(manifest, true, None).await;
        self.rows(index, state);
        let damages = std::mem::take(&mut self.tell.summary.damages);
        self.tell.summary = Summary { damages, ..before };
    }

    /// Reads where objects are said to lie, and everything that may lie there.
    async fn read(&mut self, manifest: &Manifest, is_known: bool, state: Option<&mut State>) {
        self.locations(manifest).await;
        self.segments(manifest, is_known, state).await;
        self.packs(manifest, is_known).await;
        self.objects.settle();
    }

    /// The manifest; a shard that was never compacted has none and needs none.
    async fn manifest(&mut self) -> Option<Manifest> {
        let owner = self.owner;
        let read = Manifest::read(self.disk, &owner.directory, owner.store, owner.shard).await;
        match read {
            Ok(manifest) => Some(manifest.unwrap_or_default()),
            Err(error) => {
                self.tell.damage(Damage::table(Part::Manifest, &error));
                None
            }
        }
    }

    /// Files that a crash left. Without a manifest nobody knows which those are.
    async fn leftovers(&mut self, manifest: &Manifest, is_known: bool) {
        if !is_known {
            return;
        }
        let left = manifest::leftovers(self.disk, &self.owner.directory, manifest).await;
        for file in left.unwrap_or_default() {
            let what = "a leftover of a crash; the next start removes it";
            self.tell.note(format!("{file}: {what}"));
        }
    }

    async fn locations(&mut self, manifest: &Manifest) {
        let table = Locations::new(self.disk.clone(), self.owner.clone(), &manifest.locations);
        for chunk in &manifest.locations {
            self.tell.summary.chunks += 1;
            let mut reader = match table.reader(chunk).await {
                Ok(reader) => reader,
                Err(error) => {
                    self.tell.damage(Damage::table(Part::Locations, &error));
                    continue;
                }
            };
            while let Some(page) = reader.next().await {
                match page {
                    Ok(page) => self.objects.locate(&page),
                    Err(error) => self.tell.damage(Damage::table(Part::Locations, &error)),
                }
                self.tell.bytes(crate::limit::BLOCK_BYTES as u64);
            }
        }
    }

    /// The shard as of the last checkpoint.
    fn state(&mut self, index: &Rc<Index>, shelf: Rc<Shelf>) -> Option<State> {
        match State::from_index(Rc::clone(index), shelf) {
            Ok(state) => Some(state),
            Err(error) => {
                self.index_damage(&error);
                None
            }
        }
    }

    fn index_damage(&mut self, error: &TableError) {
        self.tell.damage(Damage::table(Part::Run, error));
    }

    fn log_directory(&self) -> String {
        format!("{}/log", self.owner.directory)
    }
}

/// The object that a fact of the shard itself waits for.
type Waiting = Vec<(u16, ObjectId)>;
