//! What belongs to a shard: one text, replaced whole by rename.
//!
//! A file is named only when it is whole and verified; one that is named no more may be removed
//! when nobody reads it. So at every moment the manifest is the old or the new one, and everything
//! in it is there. What it does not name, under one of our names, is a leftover of a crash. The
//! first manifest is written before the first file: files without a manifest are mail that somebody
//! may miss, and nothing is removed then.

#[cfg(test)]
mod tests;
mod text;

use super::TableError;
use super::error::at;
use super::locations::{CHUNK_ENTRIES, Owner};
use super::name::{self, ARCHIVE, INDEX, PACKS, is_in_index, is_pack};
use super::run::RunHead;
use crate::disk::create::Creator;
use crate::disk::{Disk, File, Mode};
use crate::limit::MANIFEST_BYTES_MAX;
use crate::log::{Begin, Position};
use crate::mail::id::{ObjectId, ShardId};
use std::io;

/// The single truth of what belongs to a shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// Runs may have parts that a build without a queue does not know.
    pub has_queue: bool,
    /// There may be runs of memos, or there were: the same.
    pub has_memos: bool,
    /// Counts the manifests of the shard.
    pub generation: u64,
    /// Segments of the log before this one are emptied.
    pub first_segment: u32,
    /// Every number and generation that files were given is below.
    pub next_number: u32,
    /// Where the runs end and the replay of the log begins; `None`: at its beginning.
    pub replay: Option<Position>,
    /// Oldest first: a later run goes over an earlier one.
    pub runs: Vec<RunName>,
    /// Runs of memos, likewise.
    pub memos: Vec<RunName>,
    /// By rising chunk.
    pub locations: Vec<ChunkName>,
    pub packs: Vec<PackName>,
    pub archives: Vec<ArchiveName>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunName {
    pub number: u32,
    pub tier: u16,
    pub bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkName {
    pub chunk: u32,
    pub generation: u32,
    pub entries: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PackName {
    pub number: u32,
    pub bytes: u64,
    pub records: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArchiveName {
    pub number: u32,
    pub first_segment: u32,
    pub last_segment: u32,
    pub bytes: u64,
}

impl RunName {
    /// What the header of the run must say.
    #[must_use]
    pub fn head(&self, owner: &Owner) -> RunHead {
        RunHead {
            store: owner.store,
            shard: owner.shard,
            number: self.number,
            tier: self.tier,
        }
    }
}

impl Default for Manifest {
    /// The manifest of a shard that was never compacted: all there is lies in the log.
    fn default() -> Manifest {
        Manifest {
            has_queue: false,
            has_memos: false,
            generation: 1,
            first_segment: 1,
            next_number: 1,
            replay: None,
            runs: Vec::new(),
            memos: Vec::new(),
            locations: Vec::new(),
            packs: Vec::new(),
            archives: Vec::new(),
        }
    }
}

impl Manifest {
    /// Reads the manifest in the shard's `directory`; `None` where the shard has none yet.
    pub async fn read<D: Disk>(
        disk: &D,
        directory: &str,
        store: [u8; 16],
        shard: ShardId,
    ) -> Result<Option<Manifest>, TableError> {
        let path = path(directory);
        let mut read = read_whole(disk, &path).await;
        if let Err(TableError::Missing { .. }) = read {
            if ours(disk, directory).await?.is_empty() {
                return Ok(None);
            }
            // The first manifest goes before the first file. Whoever copies a live store may have
            // looked for it just before.
            read = read_whole(disk, &path).await;
        }
        text::parse(&path, &read?, store, shard).map(Some)
    }

    /// Replaces the manifest, durable on return. After an error either may be there: the files of
    /// both are kept until the next success.
    ///
    /// # Panics
    /// When the manifest contradicts itself.
    pub async fn write<D: Disk + Clone>(
        &self,
        disk: &D,
        directory: &str,
        store: [u8; 16],
        shard: ShardId,
    ) -> Result<(), TableError> {
        assert_eq!(self.contradiction(), None, "the compactor's own mistake");
        let (path, draft) = (path(directory), draft(directory));
        match disk.remove(&draft).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&draft)(error))?,
            _ => {}
        }
        let bytes = text::encode(self, store, shard);
        write_whole(disk, &draft, &bytes)
            .await
            .map_err(at(&draft))?;
        if read_whole(disk, &draft).await? != bytes {
            let what = "the device gives back something else than was written";
            return Err(TableError::damaged(&draft, 0, what));
        }
        disk.rename(&draft, &path).await.map_err(at(&path))
    }

    /// The runs of the index and those of memos.
    pub fn all_runs(&self) -> impl Iterator<Item = &RunName> {
        self.runs.iter().chain(&self.memos)
    }

    /// A number that no file of the shard ever had.
    pub fn take_number(&mut self) -> u32 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// The last object that the location table knows.
    #[must_use]
    pub fn last_object(&self) -> ObjectId {
        let end = |last: &ChunkName| {
            u64::from(last.chunk) * u64::from(CHUNK_ENTRIES) + u64::from(last.entries)
        };
        ObjectId(self.locations.last().map_or(0, end).saturating_sub(1))
    }

    /// Puts a chunk in the place of its older generation.
    pub fn put_chunk(&mut self, name: ChunkName) {
        let known = self
            .locations
            .binary_search_by_key(&name.chunk, |chunk| chunk.chunk);
        match known {
            Ok(at) => self.locations.splice(at..=at, [name]).for_each(drop),
            Err(at) => self.locations.insert(at, name),
        }
    }

    /// Names those chunks no more that `is_needed` does not keep; the last one always is.
    pub fn retain_chunks(&mut self, is_needed: impl Fn(u32) -> bool) {
        let last = self.locations.last().map(|chunk| chunk.chunk);
        self.locations
            .retain(|chunk| Some(chunk.chunk) == last || is_needed(chunk.chunk));
    }

    /// What of the log is replayed at the start.
    #[must_use]
    pub fn begin(&self) -> Begin {
        Begin {
            first_segment: self.first_segment,
            from: self.replay,
        }
    }

    /// What a reader or writer must not believe.
    fn contradiction(&self) -> Option<&'static str> {
        let numbers = (self.all_runs().map(|run| run.number))
            .chain(self.locations.iter().map(|chunk| chunk.generation))
            .chain(self.packs.iter().map(|pack| pack.number))
            .chain(self.archives.iter().map(|archive| archive.number));
        let is_rising = self.locations.is_sorted_by(|a, b| a.chunk < b.chunk);
        let replays_gone = |replay: Position| replay.segment < self.first_segment;
        [
            (
                numbers.max() >= Some(self.next_number),
                "a number was not given yet",
            ),
            (!is_rising, "the chunks do not rise"),
            (
                self.locations
                    .iter()
                    .any(|chunk| chunk.entries > CHUNK_ENTRIES),
                "a chunk has too many entries",
            ),
            (
                self.archives
                    .iter()
                    .any(|archive| archive.last_segment >= self.first_segment),
                "a segment is archived and in the log",
            ),
            (
                self.replay.is_some_and(replays_gone),
                "the replay begins in a segment that is gone",
            ),
            (self.first_segment == 0, "segments count from 1"),
        ]
        .iter()
        .find_map(|(is_wrong, what)| is_wrong.then_some(*what))
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let runs = self.all_runs().map(|run| name::run(directory, run.number));
        let chunks = self.locations.iter();
        let chunks = chunks.map(|chunk| name::chunk(directory, chunk.chunk, chunk.generation));
        let packs = self
            .packs
            .iter()
            .map(|pack| name::pack(directory, pack.number));
        let archives = self.archives.iter();
        let archives = archives.map(|archive| name::archive(directory, archive.number));
        let mut names: Vec<String> = runs.chain(chunks).chain(packs).chain(archives).collect();
        names.sort_unstable();
        names
    }
}

/// Makes the directories of the files that a manifest can name.
pub async fn make_directories<D: Disk>(disk: &D, directory: &str) -> Result<(), TableError> {
    for below in [INDEX, PACKS, ARCHIVE] {
        let path = format!("{directory}/{below}");
        disk.create_directory(&path).await.map_err(at(&path))?;
    }
    Ok(())
}

/// Files under our names that `manifest`, just read, does not name: remains of a crash that the
/// owner removes at the start, before it makes new ones. Files with other names are nobody's
/// business.
pub async fn leftovers<D: Disk>(
    disk: &D,
    directory: &str,
    manifest: &Manifest,
) -> Result<Vec<String>, TableError> {
    let named = manifest.names(directory);
    let mut found = ours(disk, directory).await?;
    found.retain(|path| named.binary_search(path).is_err());
    let names = disk.list(directory).await.map_err(at(directory))?;
    found.extend(
        names
            .iter()
            .any(|name| name == DRAFT)
            .then(|| draft(directory)),
    );
    Ok(found)
}

/// Files under our names whose number is not given yet: whoever made them has given up, and the
/// numbers are given again. The draft stays.
pub async fn unborn<D: Disk>(
    disk: &D,
    directory: &str,
    manifest: &Manifest,
) -> Result<Vec<String>, TableError> {
    let mut found = ours(disk, directory).await?;
    found.retain(|path| name::number(path).is_none_or(|number| number >= manifest.next_number));
    Ok(found)
}

/// Files of the shard that a manifest could name, sorted.
async fn ours<D: Disk>(disk: &D, directory: &str) -> Result<Vec<String>, TableError> {
    let mut found = listed(disk, &format!("{directory}/{INDEX}"), is_in_index).await?;
    for packs in [PACKS, ARCHIVE] {
        found.extend(listed(disk, &format!("{directory}/{packs}"), is_pack).await?);
    }
    found.sort_unstable();
    Ok(found)
}

async fn listed<D: Disk>(
    disk: &D,
    path: &str,
    is_ours: fn(&str) -> bool,
) -> Result<Vec<String>, TableError> {
    let mut names = disk.list(path).await.map_err(at(path))?;
    names.retain(|name| is_ours(name));
    Ok(names.iter().map(|name| format!("{path}/{name}")).collect())
}

async fn read_whole<D: Disk>(disk: &D, path: &str) -> Result<Vec<u8>, TableError> {
    let file = disk.open(path, Mode::Read).await.map_err(at(path))?;
    let length = file.len().await.map_err(at(path))?;
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= MANIFEST_BYTES_MAX);
    let length = length.ok_or_else(|| TableError::damaged(path, 0, "it is far too long"))?;
    let block = file.read_at(0, length).await.map_err(at(path))?;
    Ok(block.as_slice().to_vec())
}

async fn write_whole<D: Disk + Clone>(disk: &D, path: &str, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() > MANIFEST_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut creator = Creator::new(disk.clone(), path).await?;
    creator.append(bytes).await?;
    creator.finish().await.map(drop)
}

fn path(directory: &str) -> String {
    format!("{directory}/MANIFEST")
}

fn draft(directory: &str) -> String {
    format!("{directory}/{DRAFT}")
}

const DRAFT: &str = "MANIFEST.draft";
