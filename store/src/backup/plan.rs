//! What a store is made of again: a whole generation, or what was there at a moment.
//!
//! For a moment, the log of each shard is cut before the first frame of a later second, and then
//! such that the shards fit together ([`super::cut`]). An index that knows more than the log cannot
//! be used: the newest one that does not is taken from this generation or an older one, and the
//! start replays the log from there. Where no index is old enough, all of the log must be there.

use super::cut::{Dealings, settle};
use super::error::{of_segment, of_table};
use super::list::{Generation, SegmentCopy, ShardCopy, TableCopy};
use super::segments::{End, header, segment_path, walk};
use super::tail::{Tails, View};
use super::take::cut_off;
use super::{Backup, BackupError, generation_directory};
use crate::disk::Disk;
use crate::disk::home::Identity;
use crate::log::RecordRef;
use crate::mail::id::ShardId;
use crate::record::{Fact, kind};
use crate::table::locations::Owner;
use crate::table::manifest::Manifest;
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The last generation of which something is taken.
    pub generation: u32,
    pub shards: Vec<ShardPlan>,
    /// Of that generation.
    pub(super) tails: Tails,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardPlan {
    pub shard: ShardId,
    /// The generation whose manifest is used; `None`: the log begins at its beginning.
    pub base: Option<u32>,
    pub tables: Vec<TableCopy>,
    /// As they are listed, and how many octets of each are taken.
    pub segments: Vec<(SegmentCopy, u64)>,
}

impl Plan {
    /// All of a generation of the store `identity`.
    #[must_use]
    pub fn whole(identity: &Identity, generation: &Generation) -> Plan {
        let shards = generation.shards.iter().zip(0..).map(|(copy, shard)| {
            let segments = copy.segments.iter();
            ShardPlan {
                shard: ShardId(shard),
                base: copy.manifest.map(|_| generation.number),
                tables: copy.tables.clone(),
                segments: segments.map(|segment| (*segment, segment.bytes)).collect(),
            }
        });
        Plan {
            generation: generation.number,
            shards: shards.collect(),
            tails: Tails::of(identity, generation),
        }
    }

    /// What was there when the second `until` had passed. `generations`: all that may be used; the
    /// last one reaches furthest.
    pub async fn until<D: Disk>(
        backup: &Backup<D>,
        generations: &[Generation],
        until: i64,
    ) -> Result<Plan, BackupError> {
        let last = generations.last().ok_or(BackupError::NoGeneration(None))?;
        if until > last.taken_secs {
            let taken_secs = last.taken_secs;
            return Err(BackupError::TooLate { taken_secs });
        }
        // The first that reaches so far needs least of the log.
        let enough = generations.partition_point(|generation| generation.taken_secs < until);
        let generations = generations.get(..=enough).unwrap_or(generations);
        let last = generations.last().unwrap_or(last);
        let tails = Tails::of(&backup.identity, last);
        let view = backup.view(&tails);
        let mut pasts = Vec::new();
        let mut cuts = Vec::new();
        let mut dealings = Vec::new();
        let (mut are_empty, mut earliest) = (true, None);
        for shard in 0..backup.identity.shards {
            let past = Past::of(backup, &view, generations, shard).await?;
            let Cut {
                end: cut,
                is_empty,
                earliest: first,
            } = past.cut_at(until).await?;
            are_empty &= is_empty;
            earliest = first.min(earliest).or(first).or(earliest);
            let (_, manifest) = past.base(cut, until).await?;
            let ends = past.ends(manifest.as_ref(), cut);
            let read = Dealings::read(&view, &past.owner, manifest.as_ref(), &ends);
            dealings.push(read.await?);
            cuts.push(cut);
            pasts.push(past);
        }
        if are_empty {
            let shard = ShardId(0);
            return Err(BackupError::TooEarly { shard, earliest });
        }
        settle(&dealings, &mut cuts);
        let mut shards = Vec::new();
        for (past, cut) in pasts.iter().zip(cuts) {
            shards.push(past.plan(cut, until).await?);
        }
        let generation = last.number;
        Ok(Plan {
            generation,
            shards,
            tails,
        })
    }

    /// The same for one shard only.
    #[must_use]
    pub fn of_shard(mut self, shard: u16) -> Plan {
        self.shards.retain(|plan| plan.shard.0 == shard);
        self
    }

    /// Octets that are copied.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let of_shard = |plan: &ShardPlan| {
            let tables = plan.tables.iter().map(|table| table.bytes);
            tables
                .chain(plan.segments.iter().map(|(_, bytes)| *bytes))
                .sum::<u64>()
        };
        self.shards.iter().map(of_shard).sum()
    }
}

/// Where the log of a shard ends at a moment.
struct Cut {
    end: End,
    /// The moment is before the first record.
    is_empty: bool,
    /// The first time in the log, as far as was looked.
    earliest: Option<i64>,
}

/// The times that a segment holds.
#[derive(Default)]
struct Times {
    of_frames: Vec<(End, i64)>,
    /// The first frame that has records.
    first: Option<End>,
}

impl Times {
    fn note(&mut self, begin: End, record: &RecordRef<'_>) {
        self.first.get_or_insert(begin);
        let is_time = record.kind == kind::TIME;
        let fact = is_time.then(|| Fact::decode(record.kind, record.payload));
        if let Some(Ok(Fact::Time { secs })) = fact {
            self.of_frames.push((begin, secs));
        }
    }

    /// Whether no record lies in a frame before the first that has a time.
    fn are_complete(&self) -> bool {
        self.first == self.of_frames.first().map(|(begin, _)| *begin)
    }
}

/// What a backup knows of one shard up to a generation.
struct Past<'a, D> {
    backup: &'a Backup<D>,
    owner: Owner,
    generations: &'a [Generation],
    view: &'a View<D>,
    /// By number, without a gap; as it is listed, and how far any generation has it.
    segments: Vec<(SegmentCopy, End)>,
}

impl<'a, D: Disk> Past<'a, D> {
    async fn of(
        backup: &'a Backup<D>,
        view: &'a View<D>,
        generations: &'a [Generation],
        shard: u16,
    ) -> Result<Past<'a, D>, BackupError> {
        let owner = backup.owner(shard);
        let mut segments: Vec<(SegmentCopy, End)> = Vec::new();
        for (segment, end) in furthest(generations, shard).into_values().rev() {
            // Of what lies before a gap nothing can be replayed.
            if let Some((later, _)) = segments.last() {
                let later = header(view, &owner, later.number).await;
                let later = later.map_err(|error| of_segment(&owner.directory, error))?;
                if later.is_none_or(|later| !later.continues(end)) {
                    break;
                }
            }
            segments.push((segment, end));
        }
        segments.reverse();
        Ok(Past {
            backup,
            owner,
            generations,
            view,
            segments,
        })
    }

    /// Behind the last frame of the second `until`. The first frame of each second has its time.
    async fn cut_at(&self, until: i64) -> Result<Cut, BackupError> {
        let mut end = self.segments.last().map(|(_, end)| *end);
        let mut earliest = None;
        for (segment, ends) in self.segments.iter().rev() {
            let times = self.times(*ends).await?;
            let late = times.of_frames.iter().find(|(_, secs)| *secs > until);
            end = late.map_or(end, |(begin, _)| Some(*begin));
            let first = times.of_frames.first().map(|(_, secs)| *secs);
            earliest = first.or(earliest);
            let is_early = first.is_some_and(|secs| secs <= until);
            // Nothing was ever there before.
            let is_first = segment.number == 1 && times.are_complete();
            if let Some(end) = end.filter(|_| is_early || is_first) {
                return Ok(Cut {
                    end,
                    is_empty: !is_early,
                    earliest,
                });
            }
        }
        let shard = self.owner.shard;
        Err(match earliest {
            Some(_) => BackupError::TooEarly { shard, earliest },
            None => BackupError::NoTimes { shard },
        })
    }

    /// The times in a segment, and where their frames begin.
    async fn times(&self, end: End) -> Result<Times, BackupError> {
        let path = segment_path(&self.owner, end.segment);
        let broken = |error| of_segment(&path, error);
        let mut times = Times::default();
        let mut note = |begin: End, record: &RecordRef<'_>| times.note(begin, record);
        let walked = walk(self.view, &self.owner, end.segment, Some(end), &mut note);
        match walked.await.map_err(broken)?.damage {
            Some((_, what)) => Err(BackupError::Damaged { path, what }),
            None => Ok(times),
        }
    }

    /// The newest index that knows nothing behind `cut`, and for which the log is there.
    async fn base(
        &self,
        cut: End,
        until: i64,
    ) -> Result<(Option<u32>, Option<Manifest>), BackupError> {
        let shard = self.owner.shard;
        let first = self
            .segments
            .first()
            .map_or(u32::MAX, |(segment, _)| segment.number);
        for generation in self.generations.iter().rev() {
            let Some(manifest) = self.manifest(generation).await? else {
                continue;
            };
            let replay = manifest.replay.map_or((0, 0), |at| (at.segment, at.offset));
            let is_old = replay <= (cut.segment, cut.offset);
            if is_old && manifest.first_segment >= first {
                return Ok((Some(generation.number), Some(manifest)));
            }
        }
        match first {
            1 => Ok((None, None)),
            _ => {
                let earliest = self.generations.iter().map(|g| g.taken_secs);
                let earliest = earliest.filter(|taken| *taken > until).min();
                Err(BackupError::TooEarly { shard, earliest })
            }
        }
    }

    async fn manifest(&self, generation: &Generation) -> Result<Option<Manifest>, BackupError> {
        let (owner, number) = (&self.owner, generation.number);
        let copy = generation.shards.get(usize::from(owner.shard.0));
        if copy.is_none_or(|copy| copy.manifest.is_none()) {
            return Ok(None);
        }
        self.backup.manifest(number, owner).await.map(Some)
    }

    /// Where the segments end that are needed with an index, up to `cut`.
    fn ends(&self, manifest: Option<&Manifest>, cut: End) -> Vec<End> {
        let first = manifest.map_or(1, |manifest| manifest.first_segment);
        let ends = self.segments.iter().map(|(_, end)| *end);
        cut_off(ends.filter(|end| end.segment >= first).collect(), cut)
    }

    async fn plan(&self, cut: End, until: i64) -> Result<ShardPlan, BackupError> {
        let (base, manifest) = self.base(cut, until).await?;
        let ends = self.ends(manifest.as_ref(), cut);
        let listed = |end: &End| {
            let mut segments = self.segments.iter().map(|(segment, _)| segment);
            segments.find(|segment| segment.number == end.segment)
        };
        let segments = ends
            .iter()
            .filter_map(|end| Some((*listed(end)?, end.offset)));
        let of_base = self
            .generations
            .iter()
            .find(|generation| Some(generation.number) == base);
        let copy = of_base.and_then(|g| g.shards.get(usize::from(self.owner.shard.0)));
        Ok(ShardPlan {
            shard: self.owner.shard,
            base,
            tables: copy.map_or(Vec::new(), |copy| copy.tables.clone()),
            segments: segments.collect(),
        })
    }
}

/// The segments of a shard by number, each as far as a generation has it. Of older generations than
/// the last the tails do not count: they may not have become part of the log.
fn furthest(generations: &[Generation], shard: u16) -> BTreeMap<u32, (SegmentCopy, End)> {
    let mut furthest: BTreeMap<u32, (SegmentCopy, End)> = BTreeMap::new();
    let mut note = |segment: &SegmentCopy, end: End| {
        let known = furthest.entry(segment.number).or_insert((*segment, end));
        if known.1 < end {
            *known = (*segment, end);
        }
    };
    let copy = |generation: &Generation| generation.shards.get(usize::from(shard)).cloned();
    let copies: Vec<ShardCopy> = generations.iter().filter_map(copy).collect();
    for copy in &copies {
        copy.mirrored()
            .for_each(|(segment, end)| note(segment, end));
    }
    for segment in copies.last().iter().flat_map(|copy| &copy.segments) {
        note(segment, End::of(segment));
    }
    furthest
}

impl<D: Disk> Backup<D> {
    /// The manifest of a shard in a generation.
    pub(super) async fn manifest(
        &self,
        generation: u32,
        owner: &Owner,
    ) -> Result<Manifest, BackupError> {
        let directory = generation_directory(generation, owner.shard.0);
        let read = Manifest::read(&self.disk, &directory, owner.store, owner.shard);
        read.await.map_err(of_table)?.ok_or(BackupError::Damaged {
            path: directory,
            what: "the manifest is missing",
        })
    }
}
