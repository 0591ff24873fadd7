//! How much of each pack is dead, and which packs are worth writing anew.
//!
//! A row knows the octets of its message, not how its records lie in a pack. So what is live of a
//! pack is estimated, within an eighth: the octets of one row for each live message, and a head for
//! each record. What the pack holds more than that is dead.

use super::census::{each_location, objects_of};
use super::live::{Liveness, OBJECTS_AT_ONCE, RECORD_BYTES};
use super::policy::Policy;
use super::{CompactError, Site, unread};
use crate::disk::Disk;
use crate::mail::id::ObjectId;
use crate::mailbox::index::Index;
use crate::pack::Pack;
use crate::table::locations::{CHUNK_ENTRIES, Kind, Location, seat_of};
use crate::table::manifest::{ChunkName, Manifest};
use crate::table::name;
use std::collections::{BTreeMap, BTreeSet};

/// Of one pack, before compression, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Usage {
    pub(super) number: u32,
    pub(super) bytes: u64,
    pub(super) live: u64,
    /// Those of bodies included.
    pub(super) records: u64,
    /// Without those of bodies.
    pub(super) live_records: u64,
}

impl Usage {
    pub(super) fn dead(&self) -> u64 {
        // Where every record is live the estimate is too low: many prefixes, a short body.
        match self.live_records >= self.records {
            true => 0,
            false => self.bytes.saturating_sub(self.live),
        }
    }
}

/// What a look at all that is packed has shown.
pub(super) struct Survey {
    pub(super) packs: Vec<Usage>,
    /// What is live of all objects, where they were judged at one time.
    pub(super) liveness: Option<Liveness>,
    /// Chunks of locations with an object that lies somewhere.
    pub(super) chunks: BTreeSet<u32>,
}

/// Looks how much of every pack is live.
pub(super) async fn survey<D: Disk>(
    site: &Site<'_, D>,
    manifest: &Manifest,
    index: &Index,
    held: &[ObjectId],
) -> Result<Survey, CompactError> {
    let mut tally = Tally::default();
    let mut whole = None;
    for chunks in windows(&manifest.locations) {
        let liveness = Liveness::of(index, held, &objects_of(chunks))?;
        each_location(site, chunks, |object, location| {
            tally.count(&liveness, object, &location);
        })
        .await?;
        whole = (chunks.len() == manifest.locations.len()).then_some(liveness);
    }
    let counted = tally.packs;
    let mut all = Vec::with_capacity(manifest.packs.len());
    for pack in &manifest.packs {
        let head = site.head(pack.number);
        let path = name::pack(&site.owner.directory, pack.number);
        let open = Pack::<D::File>::open(site.disk, &path, head).await;
        let (live, live_records) = counted.get(&pack.number).copied().unwrap_or_default();
        all.push(Usage {
            number: pack.number,
            bytes: open.map_err(unread)?.summary().raw_bytes,
            live,
            records: pack.records,
            live_records,
        });
    }
    Ok(Survey {
        packs: all,
        liveness: whole,
        chunks: tally.chunks,
    })
}

/// Chunks whose objects are judged at one time: few enough, whatever lies between them.
fn windows(chunks: &[ChunkName]) -> impl Iterator<Item = &[ChunkName]> {
    let window = |chunk: &ChunkName| chunk.chunk / CHUNKS_AT_ONCE;
    chunks.chunk_by(move |a, b| window(a) == window(b))
}

/// The packs that are to be written anew in one task.
pub(super) fn victims(usage: &[Usage], policy: &Policy, damaged: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut sound: Vec<&Usage> = usage
        .iter()
        .filter(|pack| !damaged.contains(&pack.number))
        .collect();
    // The deadest first: cross-multiplied, so that nothing is rounded.
    sound.sort_by_key(|pack| {
        let dead = u128::from(pack.dead()) << 32;
        std::cmp::Reverse(dead / u128::from(pack.bytes.max(1)))
    });
    let bytes: u64 = usage.iter().map(|pack| pack.bytes).sum();
    let mut dead: u64 = usage.iter().map(Usage::dead).sum();
    let mut victims = Vec::new();
    for pack in &sound {
        let is_dead = pack.dead() * 100 >= pack.bytes * policy.dead_percent;
        let is_too_much = dead * 100 > bytes * policy.dead_percent_in_all;
        if pack.dead() > 0 && (is_dead || is_too_much) {
            dead -= pack.dead();
            victims.push(**pack);
        }
    }
    let is_small = |pack: &&&Usage| pack.bytes < policy.small_bytes && !victims.contains(pack);
    let small: Vec<Usage> = sound.iter().filter(is_small).map(|pack| **pack).collect();
    if small.len() >= policy.small_packs {
        victims.extend(small);
    }
    let mut records = 0;
    let within = victims.iter().take_while(|pack| {
        let is_first = records == 0;
        records += pack.live_records;
        is_first || records <= RECORDS_MAX
    });
    within.map(|pack| pack.number).collect()
}

#[derive(Default)]
struct Tally {
    /// By number: bytes and records that are live.
    packs: BTreeMap<u32, (u64, u64)>,
    chunks: BTreeSet<u32>,
    /// Where the last MESSAGE lies, until its octets are counted.
    message: Option<u32>,
}

impl Tally {
    fn count(&mut self, liveness: &Liveness, object: ObjectId, location: &Location) {
        self.note_chunk(object);
        let pack = location.place.packed().map(|(pack, ..)| pack);
        if location.kind == Kind::Message {
            self.message = pack;
            if liveness.is_live(object) {
                self.add(pack, RECORD_BYTES);
            }
            return;
        }
        if !liveness.is_live(object) {
            return;
        }
        self.add(pack, RECORD_BYTES);
        if let Some(message) = self.message.take() {
            let octets = liveness.octets(object);
            self.add(Some(message), octets + RECORD_BYTES);
        }
    }

    fn note_chunk(&mut self, object: ObjectId) {
        let chunk = u32::try_from(seat_of(object).0).unwrap_or(u32::MAX);
        if self.chunks.last() != Some(&chunk) {
            self.chunks.insert(chunk);
        }
    }

    fn add(&mut self, pack: Option<u32>, bytes: u64) {
        if let Some(pack) = pack {
            let (live, records) = self.packs.entry(pack).or_default();
            *live += bytes;
            *records += 1;
        }
    }
}

/// Neighbouring chunks whose objects are judged at one time.
const CHUNKS_AT_ONCE: u32 = (OBJECTS_AT_ONCE / CHUNK_ENTRIES as u64) as u32;

/// Live records of one task. A single pack may have more.
const RECORDS_MAX: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(number: u32, bytes: u64, live: u64) -> Usage {
        Usage {
            number,
            bytes,
            live,
            records: 11,
            live_records: 10,
        }
    }

    fn chosen(usage: &[Usage]) -> Vec<u32> {
        let policy = Policy {
            small_bytes: 100,
            ..Policy::default()
        };
        victims(usage, &policy, &BTreeSet::from([99]))
            .into_iter()
            .collect()
    }

    #[test]
    fn what_is_dead_enough_is_written_anew() {
        assert_eq!(chosen(&[pack(1, 1000, 601), pack(2, 9000, 9000)]), []);
        assert_eq!(chosen(&[pack(1, 1000, 600), pack(2, 9000, 9000)]), [1]);
        assert_eq!(chosen(&[pack(1, 1000, 0), pack(99, 1000, 0)]), [1]);
        // All of it is live, whatever the estimate says.
        let prefixes = Usage {
            records: 10,
            ..pack(1, 1000, 300)
        };
        assert_eq!(chosen(&[prefixes]), []);
        // Estimates may be above what there is.
        assert_eq!(chosen(&[pack(1, 1000, 1100)]), []);
    }

    #[test]
    fn in_all_no_more_is_dead_than_the_policy_says() {
        let usage = [pack(1, 1000, 650), pack(2, 1000, 620), pack(3, 1000, 800)];
        assert_eq!(chosen(&usage), [2]);
        let usage = [pack(1, 1000, 610), pack(2, 1000, 620), pack(3, 1000, 630)];
        assert_eq!(chosen(&usage), [1]);
    }

    #[test]
    fn chunks_with_nothing_between_them_are_judged_one_after_the_other() {
        let chunk = |chunk| ChunkName {
            chunk,
            generation: 1,
            entries: CHUNK_ENTRIES,
        };
        let far = 5 * CHUNKS_AT_ONCE;
        let chunks = [0, 1, CHUNKS_AT_ONCE - 1, CHUNKS_AT_ONCE, far].map(chunk);
        let counts: Vec<usize> = windows(&chunks).map(<[ChunkName]>::len).collect();
        assert_eq!(counts, [3, 1, 1]);
    }

    #[test]
    fn many_small_packs_become_one() {
        let small: Vec<Usage> = (1..=8).map(|number| pack(number, 50, 50)).collect();
        assert_eq!(chosen(&small[..7]), []);
        assert_eq!(chosen(&small).len(), 8);
    }

    #[test]
    fn one_task_takes_no_more_than_it_can_hold() {
        let large = |number| Usage {
            records: RECORDS_MAX,
            live_records: RECORDS_MAX / 2 + 1,
            ..pack(number, 1000, 100)
        };
        assert_eq!(chosen(&[large(1), large(2)]), [1]);
    }
}
