//! What a backup knows of one shard at a moment: how far its log goes, what that is replayed on.

use super::copy::Table;
use super::error::of_segment;
use super::list::{Generation, SegmentCopy, ShardCopy};
use super::plan::ShardPlan;
use super::segments::{End, header, segment_path, walk};
use super::tail::View;
use super::take::cut_off;
use super::{Backup, BackupError};
use crate::disk::Disk;
use crate::log::RecordRef;
use crate::record::{Fact, kind};
use crate::table::locations::Owner;
use crate::table::manifest::Manifest;
use std::collections::{BTreeMap, BTreeSet};

/// What a log is replayed on.
pub(super) enum Basis {
    /// All of it is there.
    Nothing,
    /// The index of a generation.
    Index(u32, Manifest),
    /// Archives of a generation, with its packs, under a manifest that has no more than these.
    Archives(u32, Manifest),
}

/// Where the log of a shard ends at a moment.
pub(super) struct Cut {
    pub(super) end: End,
    /// The moment is before the first record.
    pub(super) is_empty: bool,
    /// The first time in the log, as far as was looked.
    pub(super) earliest: Option<i64>,
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
pub(super) struct Past<'a, D> {
    backup: &'a Backup<D>,
    pub(super) owner: Owner,
    generations: &'a [Generation],
    view: &'a View<D>,
    /// By number, without a gap; as it is listed, and how far any generation has it.
    segments: Vec<(SegmentCopy, End)>,
}

impl<'a, D: Disk> Past<'a, D> {
    pub(super) async fn of(
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
    pub(super) async fn cut_at(&self, until: i64) -> Result<Cut, BackupError> {
        let mut end = self.segments.last().map(|(_, end)| *end);
        let mut earliest = None;
        if end.is_none() {
            // It was never opened.
            return Ok(Cut {
                end: End::NOTHING,
                is_empty: true,
                earliest,
            });
        }
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
        // What was archived may have had the time of this second.
        let is_whole = self
            .segments
            .first()
            .is_some_and(|(first, _)| first.number == 1);
        if earliest.is_none() && is_whole {
            let shard = self.owner.shard;
            return Err(BackupError::NoTimes { shard });
        }
        Err(self.too_early(until, earliest))
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

    /// What the log up to `cut` is replayed on: the newest index that knows nothing behind it and
    /// for which the log is there; where none is, nothing, if the log is there from its beginning,
    /// or archives.
    pub(super) async fn basis(&self, cut: End, until: i64) -> Result<Basis, BackupError> {
        let first = self
            .segments
            .first()
            .map_or(u32::MAX, |(segment, _)| segment.number);
        let mut newer = Vec::new();
        for generation in self.generations.iter().rev() {
            let Some(manifest) = self.manifest(generation).await? else {
                continue;
            };
            let replay = manifest.replay.map_or((0, 0), |at| (at.segment, at.offset));
            let is_old = replay <= (cut.segment, cut.offset);
            if is_old && manifest.first_segment >= first {
                return Ok(Basis::Index(generation.number, manifest));
            }
            newer.push((generation.number, manifest));
        }
        if first == 1 || cut == End::NOTHING {
            return Ok(Basis::Nothing);
        }
        // The oldest has most of what is gone by now.
        let archived = newer.into_iter().rev().find_map(|(number, manifest)| {
            let manifest = archived(manifest, first, cut.segment)?;
            Some(Basis::Archives(number, manifest))
        });
        archived.ok_or_else(|| self.too_early(until, None))
    }

    /// Why there is nothing to restore; `earliest`: the first time in the log.
    fn too_early(&self, until: i64, earliest: Option<i64>) -> BackupError {
        let ends = self.generations.iter().map(|g| (g.number, g.taken_secs));
        let later = ends.clone().map(|(_, taken)| taken);
        BackupError::TooEarly {
            shard: self.owner.shard,
            earliest: earliest.or_else(|| later.filter(|taken| *taken > until).min()),
            latest: ends.rev().find(|(_, taken)| *taken < until),
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
    pub(super) fn ends(&self, manifest: Option<&Manifest>, cut: End) -> Vec<End> {
        let first = manifest.map_or(1, |manifest| manifest.first_segment);
        let ends = self.segments.iter().map(|(_, end)| *end);
        cut_off(ends.filter(|end| end.segment >= first).collect(), cut)
    }

    pub(super) async fn plan(&self, cut: End, until: i64) -> Result<ShardPlan, BackupError> {
        let basis = self.basis(cut, until).await?;
        let ends = self.ends(basis.manifest(), cut);
        let listed = |end: &End| {
            let mut segments = self.segments.iter().map(|(segment, _)| segment);
            segments.find(|segment| segment.number == end.segment)
        };
        let segments = ends
            .iter()
            .filter_map(|end| Some((*listed(end)?, end.offset)));
        let base = basis.generation();
        let mut of_base = self.generations.iter();
        let of_base = of_base.find(|generation| Some(generation.number) == base);
        let copy = of_base.and_then(|g| g.shards.get(usize::from(self.owner.shard.0)));
        let needed = basis.manifest().map_or(Vec::new(), Table::all);
        let needed: BTreeSet<String> = needed.iter().map(Table::below).collect();
        let tables = copy.iter().flat_map(|copy| &copy.tables);
        Ok(ShardPlan {
            shard: self.owner.shard,
            base,
            tables: tables
                .filter(|table| needed.contains(&table.path))
                .cloned()
                .collect(),
            segments: segments.collect(),
            rebuilt: match basis {
                Basis::Archives(_, manifest) => Some(manifest),
                _ => None,
            },
        })
    }
}

impl Basis {
    pub(super) fn manifest(&self) -> Option<&Manifest> {
        match self {
            Basis::Nothing => None,
            Basis::Index(_, manifest) | Basis::Archives(_, manifest) => Some(manifest),
        }
    }

    fn generation(&self) -> Option<u32> {
        match self {
            Basis::Nothing => None,
            Basis::Index(number, _) | Basis::Archives(number, _) => Some(*number),
        }
    }
}

/// A manifest without an index, whose archives end where a log begins that has the segment `first`
/// and is cut in `last`.
fn archived(mut manifest: Manifest, first: u32, last: u32) -> Option<Manifest> {
    let archives = manifest.archives.iter();
    let used = archives
        .take_while(|archive| archive.last_segment < last)
        .count();
    manifest.archives.truncate(used);
    manifest.first_segment = manifest.archives.last()?.last_segment + 1;
    manifest.runs.clear();
    manifest.memos.clear();
    manifest.locations.clear();
    manifest.replay = None;
    (manifest.first_segment >= first).then_some(manifest)
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
