//! The objects that lie in the files of a task, and what becomes of each.

use super::live::{Liveness, OBJECTS_AT_ONCE, RECORD_BYTES};
use super::{CompactError, Site};
use crate::codec::Fields;
use crate::disk::Disk;
use crate::log::{Place, RecordRef};
use crate::mail::id::ObjectId;
use crate::mailbox::index::Index;
use crate::record::kind;
use crate::table::TableError;
use crate::table::locations::{CHUNK_ENTRIES, Change, Kind, Location, Locations};
use crate::table::manifest::ChunkName;
use std::ops::RangeInclusive;

/// Ascending by object.
#[derive(Debug, Default)]
pub(super) struct Census {
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) object: ObjectId,
    pub(super) place: Place,
    pub(super) kind: Kind,
    /// How many objects behind a MESSAGE can be its deliveries.
    pub(super) reach: u32,
    pub(super) fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Dead,
    Live,
    Moved(Place),
    /// Live, and cannot be read.
    Lost,
}

impl Census {
    /// Those objects for which `is_meant`, dead until they are judged.
    pub(super) async fn gather<D: Disk>(
        site: &Site<'_, D>,
        chunks: &[ChunkName],
        is_meant: impl Fn(ObjectId, &Location) -> bool,
    ) -> Result<Census, CompactError> {
        let mut census = Census::default();
        // The MESSAGE before, which the deliveries that come belong to, if it is meant.
        let mut open: Option<usize> = None;
        each_location(site, chunks, |object, location| {
            if location.kind == Kind::Message {
                census.close(open.take(), object);
            }
            if is_meant(object, &location) {
                if location.kind == Kind::Message {
                    open = Some(census.entries.len());
                }
                census.entries.push(Entry {
                    object,
                    place: location.place,
                    kind: location.kind,
                    reach: 0,
                    fate: Fate::Dead,
                });
            }
        })
        .await?;
        census.close(open, ObjectId(objects_of(chunks).end().0 + 1));
        Ok(census)
    }

    /// The message at `open` has no deliveries from `next` on.
    fn close(&mut self, open: Option<usize>, next: ObjectId) {
        if let Some(entry) = open.and_then(|open| self.entries.get_mut(open)) {
            let reach = next.0 - entry.object.0 - 1;
            // What lies between may be millions that are gone.
            entry.reach = reach.min(DELIVERIES_BETWEEN as u64) as u32;
        }
    }

    /// Judges all of them. About how many bytes the live ones have, before compression.
    pub(super) fn judge(&mut self, index: &Index, held: &[ObjectId]) -> Result<u64, TableError> {
        let mut bytes = 0;
        let window = |entry: &Entry| entry.object.0 / OBJECTS_AT_ONCE;
        for entries in self.entries.chunk_by_mut(|a, b| window(a) == window(b)) {
            let liveness = Liveness::of(index, held, &deciding(entries))?;
            bytes += judged(entries, &liveness);
        }
        Ok(bytes)
    }

    /// All of it is to be moved, needed or not.
    pub(super) fn keep_all(&mut self) {
        let fates = self.entries.iter_mut().map(|entry| &mut entry.fate);
        fates.for_each(|fate| *fate = Fate::Live);
    }

    /// As `judge`, where it is known already what is live of all objects.
    pub(super) fn judge_by(&mut self, liveness: &Liveness) {
        judged(&mut self.entries, liveness);
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn retain(&mut self, is_kept: impl Fn(&Entry) -> bool) {
        self.entries.retain(is_kept);
    }

    /// The entry of the object that lies at `place`, by its number here.
    pub(super) fn at(&self, object: ObjectId, place: Place) -> Option<(usize, &Entry)> {
        let entry = self.find(object)?;
        (entry.1.place == place).then_some(entry)
    }

    /// Whether an object that lies at `place` is needed; nothing else than objects is.
    pub(super) fn needs(&self, place: Place, record: &RecordRef<'_>) -> bool {
        let object = kind::OBJECTS.contains(&record.kind);
        let object = object
            .then(|| Fields::new(record.payload).u64().ok())
            .flatten();
        let entry = object.and_then(|object| self.at(ObjectId(object), place));
        entry.is_some_and(|(_, entry)| entry.fate == Fate::Live)
    }

    pub(super) fn find(&self, object: ObjectId) -> Option<(usize, &Entry)> {
        let found = self
            .entries
            .binary_search_by_key(&object, |entry| entry.object);
        let at = found.ok()?;
        Some((at, self.entries.get(at)?))
    }

    pub(super) fn moved(&mut self, at: usize, place: Place) {
        if let Some(entry) = self.entries.get_mut(at) {
            entry.fate = Fate::Moved(place);
        }
    }

    /// What is live and was not moved is lost, and a message takes along its deliveries: without
    /// their body they are of no use. The objects that are lost by themselves.
    pub(super) fn give_up_rest(&mut self) -> Vec<Entry> {
        let mut lost = Vec::new();
        let mut taken = 0..=0;
        for entry in &mut self.entries {
            if entry.fate == Fate::Live {
                lost.push(*entry);
                entry.fate = Fate::Lost;
                if entry.kind == Kind::Message {
                    taken = entry.object.0..=entry.object.0 + u64::from(entry.reach);
                }
            } else if taken.contains(&entry.object.0) {
                entry.fate = Fate::Lost;
            }
        }
        lost
    }

    /// Packs and blocks in which something is live, ascending.
    pub(super) fn live_blocks(&self) -> Vec<(u32, u32)> {
        let live = self.entries.iter().filter(|entry| entry.fate == Fate::Live);
        let packed = live.filter_map(|entry| entry.place.packed());
        let mut blocks: Vec<(u32, u32)> = packed.map(|(pack, block, _)| (pack, block)).collect();
        blocks.sort_unstable();
        blocks.dedup();
        blocks
    }

    /// The new entries of the location table.
    pub(super) fn changes(&self) -> Vec<Change> {
        let change = |entry: &Entry| {
            let place = match entry.fate {
                Fate::Moved(place) => Some(place),
                // Not judged dead and not moved: it stays where it is.
                Fate::Live => Some(entry.place),
                Fate::Dead | Fate::Lost => None,
            };
            let kind = entry.kind;
            (entry.object, place.map(|place| Location { place, kind }))
        };
        self.entries.iter().map(change).collect()
    }
}

/// The objects that decide which of these are live.
fn deciding(entries: &[Entry]) -> RangeInclusive<ObjectId> {
    let first = entries.first().map_or(1, |entry| entry.object.0);
    let last = entries.iter().rev().take(DELIVERIES_BETWEEN);
    let last = last.map(|entry| entry.object.0 + u64::from(entry.reach));
    ObjectId(first)..=ObjectId(last.max().unwrap_or(0))
}

fn judged(entries: &mut [Entry], liveness: &Liveness) -> u64 {
    let mut bytes = 0;
    for entry in entries {
        let is_live = match entry.kind {
            Kind::Deliver => liveness.is_live(entry.object),
            Kind::Message => liveness.is_message_live(entry.object, entry.reach),
        };
        if is_live {
            entry.fate = Fate::Live;
            bytes += RECORD_BYTES;
            if entry.kind == Kind::Message {
                bytes += liveness.message_octets(entry.object, entry.reach);
            }
        }
    }
    bytes
}

/// From the first object of these chunks to the last.
pub(super) fn objects_of(chunks: &[ChunkName]) -> RangeInclusive<ObjectId> {
    let at = |chunk: &ChunkName, index: u32| {
        u64::from(chunk.chunk) * u64::from(CHUNK_ENTRIES) + u64::from(index)
    };
    let first = chunks.first().map_or(0, |chunk| at(chunk, 0));
    let last = chunks.last().map_or(0, |chunk| at(chunk, chunk.entries));
    ObjectId(first.max(1))..=ObjectId(last.saturating_sub(1))
}

/// Calls `each` with every object of some chunks that lies somewhere, rising.
pub(super) async fn each_location<D: Disk>(
    site: &Site<'_, D>,
    chunks: &[ChunkName],
    mut each: impl FnMut(ObjectId, Location),
) -> Result<(), CompactError> {
    let (disk, owner) = (site.disk.clone(), site.owner.clone());
    let table = Locations::new(disk, owner, chunks);
    for name in chunks {
        let mut reader = table.reader(name).await?;
        while let Some(entries) = reader.next().await {
            let entries = entries?;
            let objects = (entries.first.0..).map(ObjectId).zip(entries.entries);
            for (object, location) in objects {
                if let Some(location) = location {
                    each(object, location);
                }
            }
        }
    }
    Ok(())
}

/// Behind a MESSAGE lie no more deliveries than a message can have.
const DELIVERIES_BETWEEN: usize = crate::limit::RECIPIENTS_MAX + 1;
