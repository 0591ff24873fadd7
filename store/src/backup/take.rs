//! Taking a backup: manifests first, then the files they name, then the logs, and the list last.

use super::copy::{Copied, Table, checksum};
use super::cut::{Dealings, settle};
use super::error::{at, of_store, of_table};
use super::list::{Generation, SegmentCopy, ShardCopy, TableCopy};
use super::segments::{
    Continued, Copied as Extent, End, has_no_log, is_passed, present, segment_path,
};
use super::{Backup, BackupError, Progress, generation_directory, list_path, text};
use crate::disk::Disk;
use crate::limit::BLOCK_BYTES;
use crate::mail::id::ShardId;
use crate::table::locations::Owner;
use crate::table::manifest::Manifest;
use std::collections::BTreeMap;

/// What a backup came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    pub generation: u32,
    pub taken_secs: i64,
    /// Of the whole generation.
    pub files: u64,
    pub bytes: u64,
    /// What was not in the backup before.
    pub new_files: u64,
    pub new_bytes: u64,
    /// How often the compactor changed what was being copied.
    pub restarts: u32,
}

/// Copies the store below the root of `source` into a new generation. `now_secs`: the wall clock at
/// the beginning.
pub async fn take<S: Disk, D: Disk>(
    source: &S,
    backup: &Backup<D>,
    now_secs: i64,
    progress: Progress<'_>,
) -> Result<Taken, BackupError> {
    let generations = backup.generations().await?;
    let taken = Taken {
        generation: generations.last().map_or(0, |last| last.number) + 1,
        taken_secs: now_secs,
        ..Taken::default()
    };
    let mut taking = Taking {
        source,
        backup,
        generations: &generations,
        copied: BTreeMap::new(),
        done: 0,
        total: 0,
        progress,
        taken,
    };
    let mut restless = ShardId(0);
    for restarts in 0..TRIES_MAX {
        taking.taken.restarts = restarts;
        match taking.copy_all().await? {
            Ok(shards) => return taking.finish(shards).await,
            Err(shard) => restless = shard,
        }
    }
    Err(BackupError::Restless { shard: restless })
}

struct Taking<'a, S, D> {
    source: &'a S,
    backup: &'a Backup<D>,
    generations: &'a [Generation],
    /// What was copied and verified before a restart, by shard and path.
    copied: BTreeMap<(u16, String), TableCopy>,
    done: u64,
    total: u64,
    progress: Progress<'a>,
    taken: Taken,
}

/// What was copied of a shard.
struct Raw {
    manifest: Option<Manifest>,
    tables: Vec<TableCopy>,
    ends: Vec<End>,
    /// Of the last segment, where the frame before its last one ends.
    before: Option<End>,
}

impl Raw {
    /// Where the tail of a log begins that was copied to its end; `None` where it has none.
    fn tail(&self, segment: &SegmentCopy, cut: End) -> Option<Option<End>> {
        let end = End::of(segment);
        let is_last = self.ends.last() == Some(&end) && cut == end;
        let replay = self.manifest.as_ref().and_then(|manifest| manifest.replay);
        let is_indexed =
            replay.is_some_and(|at| (at.segment, at.offset) >= (end.segment, end.offset));
        (is_last && !is_indexed).then_some(self.before)
    }
}

impl<S: Disk, D: Disk> Taking<'_, S, D> {
    /// Everything of all shards; the shard of which something was replaced meanwhile.
    async fn copy_all(&mut self) -> Result<Result<Vec<Raw>, ShardId>, BackupError> {
        let shards = self.backup.identity.shards;
        let mut raws = Vec::new();
        for shard in 0..shards {
            match self.copy_tables(shard).await? {
                Some(raw) => raws.push(raw),
                None => return Ok(Err(ShardId(shard))),
            }
        }
        // No manifest is read from here on, and each log is read to an end that is later: so no cut
        // reaches behind what an index has (see `cut`). The second round is quick, so that the
        // ends lie close together.
        for _round in 0..2 {
            for (shard, raw) in (0..shards).zip(&mut raws) {
                if !self.copy_log(shard, raw).await? {
                    return Ok(Err(ShardId(shard)));
                }
            }
        }
        Ok(Ok(raws))
    }

    async fn copy_tables(&mut self, shard: u16) -> Result<Option<Raw>, BackupError> {
        let owner = self.backup.owner(shard);
        let read = Manifest::read(self.source, &owner.directory, owner.store, owner.shard);
        let manifest = read.await.map_err(of_store)?;
        if manifest.is_some() {
            // A manifest can be read before its rename is durable. Without this a power cut could
            // take it back, and the store would give the numbers in it to other files.
            let synced = self.source.create_directory(&owner.directory).await;
            synced.map_err(at(&owner.directory))?;
        }
        let is_continued = self.is_continued(&owner).await?;
        let mut tables = Vec::new();
        let all = manifest.iter().flat_map(Table::all).collect::<Vec<_>>();
        self.total += all.iter().map(Table::bytes).sum::<u64>();
        for table in all {
            let key = (shard, table.below());
            if let Some(known) = self.copied.get(&key) {
                tables.push(known.clone());
                continue;
            }
            let listed = self.listed_table(shard, &key.1).cloned();
            if is_continued
                && let Some(listed) = &listed
                && self
                    .backup
                    .has_same(self.source, &owner, table, listed)
                    .await?
            {
                self.pass(listed.bytes);
                self.copied.insert(key, listed.clone());
                tables.push(listed.clone());
                continue;
            }
            let (done, total, progress) = (&mut self.done, self.total, self.progress);
            let mut each = |bytes| {
                *done += bytes;
                progress(*done, total.max(*done));
            };
            let copied =
                self.backup
                    .copy_table(self.source, &owner, table, listed.as_ref(), &mut each);
            match copied.await? {
                Copied::Gone => return Ok(None),
                Copied::Whole(copy, written) => {
                    self.count(written);
                    self.copied.insert(key, copy.clone());
                    tables.push(copy);
                }
            }
        }
        Ok(Some(Raw {
            manifest,
            tables,
            ends: Vec::new(),
            before: None,
        }))
    }

    /// Copies what the log has from the first segment on, or more than `raw` has of it. `false`:
    /// segments are gone.
    async fn copy_log(&mut self, shard: u16, raw: &mut Raw) -> Result<bool, BackupError> {
        let owner = self.backup.owner(shard);
        let first = raw.manifest.as_ref().map_or(1, |m| m.first_segment);
        let first = raw.ends.last().map_or(first, |end| end.segment);
        let Some(present) = present(self.source, &owner, first).await? else {
            return self.is_unopened(&owner, raw).await;
        };
        raw.ends.retain(|end| end.segment < first);
        for segment in present {
            let listed = self.listed_end(shard, segment.header.number);
            let had = listed.map_or(0, |end| end.offset);
            let wanted = segment.sealed.map_or(had, |end| end.offset);
            self.total += wanted.saturating_sub(had);
            let (done, total, progress) = (&mut self.done, self.total, self.progress);
            let mut each = |bytes| {
                *done += bytes;
                progress(*done, total.max(*done));
            };
            let continued =
                self.backup
                    .continue_segment(self.source, &owner, &segment, listed, &mut each);
            match continued.await? {
                Continued::Gone => return Ok(false),
                Continued::To(Extent { end, before }, written) => {
                    self.count(written);
                    raw.ends.push(end);
                    raw.before = before;
                }
            }
        }
        Ok(true)
    }

    /// Whether nobody ever opened the shard: a store is made whole by opening one of its shards.
    async fn is_unopened(&self, owner: &Owner, raw: &Raw) -> Result<bool, BackupError> {
        let shard = owner.shard.0;
        let was_listed = self.copies(shard).any(|copy| !copy.segments.is_empty());
        if was_listed || raw.manifest.is_some() || !raw.ends.is_empty() {
            return Ok(false);
        }
        has_no_log(self.source, owner).await
    }

    /// Whether the log of the store goes on where the last generation ends: then what that one has
    /// is of the same history, and need not be read again.
    async fn is_continued(&self, owner: &Owner) -> Result<bool, BackupError> {
        let shard = self.generations.last().and_then(|last| {
            let shard = last.shards.get(usize::from(owner.shard.0))?;
            shard.mirrored().next_back()
        });
        match shard {
            Some((_, end)) => is_passed(self.source, owner, end).await,
            None => Ok(false),
        }
    }

    fn listed_table(&self, shard: u16, path: &str) -> Option<&TableCopy> {
        self.copies(shard)
            .find_map(|copy| copy.tables.iter().find(|table| table.path == path))
    }

    /// How far the generations count on the copy of a segment.
    fn listed_end(&self, shard: u16, number: u32) -> Option<End> {
        let listed = self.copies(shard).flat_map(ShardCopy::mirrored);
        let listed = listed.map(|(_, end)| end);
        listed.filter(|end| end.segment == number).max()
    }

    fn copies(&self, shard: u16) -> impl Iterator<Item = &ShardCopy> {
        let generations = self.generations.iter().rev();
        generations.filter_map(move |generation| generation.shards.get(usize::from(shard)))
    }

    fn count(&mut self, written: u64) {
        self.taken.new_bytes += written;
        self.taken.new_files += u64::from(written > 0);
    }

    fn pass(&mut self, bytes: u64) {
        self.done += bytes;
        (self.progress)(self.done, self.total.max(self.done));
    }

    /// Brings the logs to one moment and writes the list.
    async fn finish(mut self, raws: Vec<Raw>) -> Result<Taken, BackupError> {
        let mut shards = Vec::new();
        let mut dealings = Vec::new();
        for (shard, raw) in (0..).zip(&raws) {
            let owner = self.backup.owner(shard);
            let manifest = raw.manifest.as_ref();
            let read = Dealings::read(&self.backup.disk, &owner, manifest, &raw.ends);
            dealings.push(read.await?);
        }
        let mut cuts: Vec<End> = dealings.iter().map(|dealings| dealings.end).collect();
        settle(&dealings, &mut cuts);
        for ((shard, raw), cut) in (0..).zip(raws).zip(cuts) {
            shards.push(self.write_shard(shard, raw, cut).await?);
        }
        let generation = Generation {
            number: self.taken.generation,
            taken_secs: self.taken.taken_secs,
            shards,
        };
        let path = list_path(generation.number);
        let list = generation.encode(&self.backup.identity);
        text::write(&self.backup.disk, &path, &list).await?;
        let files = |shard: &ShardCopy| shard.tables.len() + shard.segments.len();
        self.taken.files = generation.shards.iter().map(files).sum::<usize>() as u64;
        self.taken.bytes = generation.bytes();
        Ok(self.taken)
    }

    async fn write_shard(&self, shard: u16, raw: Raw, cut: End) -> Result<ShardCopy, BackupError> {
        let owner = self.backup.owner(shard);
        let mut segments = Vec::new();
        for end in cut_off(raw.ends.clone(), cut) {
            segments.push(self.measure(&owner, end).await?);
        }
        let disk = &self.backup.disk;
        let directory = generation_directory(self.taken.generation, shard);
        let made = disk.create_directory(&directory).await;
        made.map_err(at(&directory))?;
        if let Some(manifest) = &raw.manifest {
            let written = manifest.write(disk, &directory, owner.store, owner.shard);
            written.await.map_err(of_table)?;
        }
        let mut tail = None;
        if let Some(last) = segments.last()
            && let Some(before) = raw.tail(last, cut)
        {
            let number = self.taken.generation;
            let written = self.backup.write_tail(number, shard, before, End::of(last));
            tail = Some(written.await?);
        }
        Ok(ShardCopy {
            manifest: raw.manifest.map(|manifest| manifest.generation),
            tables: raw.tables,
            segments,
            tail,
        })
    }

    /// The checksum of what counts of a segment, from an earlier list where that has it.
    async fn measure(&self, owner: &Owner, end: End) -> Result<SegmentCopy, BackupError> {
        let listed = self.copies(owner.shard.0).flat_map(|copy| &copy.segments);
        if let Some(known) = listed.into_iter().find(|segment| End::of(segment) == end) {
            return Ok(*known);
        }
        let path = segment_path(owner, end.segment);
        let read = checksum(&self.backup.disk, &path, Some(end.offset), &mut |_| {}).await;
        let Some((bytes, crc)) = read? else {
            let what = "it is missing";
            return Err(BackupError::Damaged { path, what });
        };
        Ok(SegmentCopy {
            number: end.segment,
            bytes,
            crc,
            chain: end.chain,
        })
    }
}

/// The ends of the segments of a log that ends at `cut`. A last segment without frames is left
/// away: the store may replace it.
pub(super) fn cut_off(mut ends: Vec<End>, cut: End) -> Vec<End> {
    ends.retain(|end| end.segment <= cut.segment);
    if let Some(last) = ends.last_mut() {
        *last = (*last).min(cut);
    }
    let is_empty = |end: &End| end.offset == BLOCK_BYTES as u64;
    if ends.len() > 1 && ends.last().is_some_and(is_empty) {
        ends.pop();
    }
    ends
}

/// How often all is begun again because files were replaced.
const TRIES_MAX: u32 = 8;
