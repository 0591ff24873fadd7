//! Reads all of a backup, and names whatever a restore would stumble over.
//!
//! Each file is read once, whatever number of generations count on it: a table is held against its
//! list and opened as what it is; a segment is held against every list that names it, and its
//! frames are followed. What a generation has beside them, its list, manifests and tails, must fit
//! together. Nothing is changed.

use super::copy::{Table, checksum, checksums};
use super::error::of_segment;
use super::list::{Generation, SegmentCopy, ShardCopy, TableCopy, Tail};
use super::segments::{End, header, segment_path, walk};
use super::tail::{Tails, tail_path};
use super::{Backup, BackupError, Progress, generation_directory, list_path};
use crate::codec::checksum::append;
use crate::disk::{Disk, File, Mode};
use crate::table::locations::Owner;
use crate::table::manifest::Manifest;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is wrong with one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Below the backup.
    pub path: String,
    pub what: String,
    /// Those that cannot be restored for it.
    pub generations: BTreeSet<u32>,
}

/// What was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verified {
    pub generations: u32,
    pub files: u64,
    pub bytes: u64,
    pub faults: Vec<Fault>,
}

/// Reads every file of every generation.
pub async fn verify<D: Disk>(
    backup: &Backup<D>,
    progress: Progress<'_>,
) -> Result<Verified, BackupError> {
    let mut verifying = Verifying {
        backup,
        claims: Claims::default(),
        total: 0,
        progress,
        found: Verified::default(),
    };
    let generations = verifying.lists().await?;
    for generation in &generations {
        verifying.claim(generation).await?;
    }
    verifying.total = verifying.claims.bytes();
    verifying.tables().await?;
    verifying.segments().await?;
    for generation in &generations {
        verifying.chains(generation).await?;
    }
    Ok(verifying.found)
}

/// What the lists say of each file of the mirror.
#[derive(Default)]
struct Claims {
    /// By shard and path below it.
    tables: BTreeMap<(u16, String), Vec<TableClaim>>,
    /// By shard and number.
    segments: BTreeMap<(u16, u32), Vec<Claim>>,
}

/// What one generation says of a table.
struct TableClaim {
    generation: u32,
    listed: TableCopy,
    /// What its manifest says that it is.
    table: Option<Table>,
}

/// What one generation says of a segment.
struct Claim {
    generation: u32,
    listed: SegmentCopy,
    tail: Option<Tail>,
}

impl Claim {
    /// Octets that lie in the mirror.
    fn mirrored(&self) -> u64 {
        self.tail.map_or(self.listed.bytes, |tail| tail.offset)
    }
}

impl Claims {
    fn bytes(&self) -> u64 {
        let tables = self.tables.values().filter_map(|claims| claims.first());
        let tables: u64 = tables.map(|claim| claim.listed.bytes).sum();
        let furthest = |claims: &Vec<Claim>| claims.iter().map(Claim::mirrored).max();
        let segments: u64 = self.segments.values().filter_map(furthest).sum();
        tables + segments
    }
}

struct Verifying<'a, D> {
    backup: &'a Backup<D>,
    claims: Claims,
    total: u64,
    progress: Progress<'a>,
    found: Verified,
}

impl<D: Disk> Verifying<'_, D> {
    /// The lists that are whole.
    async fn lists(&mut self) -> Result<Vec<Generation>, BackupError> {
        let mut whole = Vec::new();
        let lists = self.backup.lists().await?;
        let last = lists.iter().rev().find(|(_, list)| list.is_some());
        let last = last.map_or(0, |(number, _)| *number);
        for (number, list) in lists {
            match list {
                Some(Ok(generation)) => whole.push(generation),
                Some(Err(error)) => self.note(&list_path(number), error, [number])?,
                // Behind the last one a backup was cut short, before the first one a pruning.
                None if number < last && !whole.is_empty() => {
                    self.fault(&list_path(number), MISSING, [number]);
                }
                None => {}
            }
        }
        self.found.generations = whole.len() as u32;
        self.found.files += whole.len() as u64;
        Ok(whole)
    }

    /// Takes what a list says of the mirror, and holds it against the manifests beside it.
    async fn claim(&mut self, generation: &Generation) -> Result<(), BackupError> {
        let number = generation.number;
        for (shard, copy) in (0..).zip(&generation.shards) {
            let manifest = self.manifest(number, shard, copy).await?;
            let tables = manifest.iter().flat_map(Table::all);
            let tables = tables.map(|table| (table.below(), table));
            let tables: BTreeMap<String, Table> = tables.collect();
            let listed: BTreeSet<&String> = copy.tables.iter().map(|table| &table.path).collect();
            if manifest.is_some() && !listed.iter().copied().eq(tables.keys()) {
                let what = "its list names other files than its manifest";
                self.fault(&list_path(number), what, [number]);
            }
            for table in &copy.tables {
                let kind = tables.get(&table.path).copied();
                let claims = self.claims.tables.entry((shard, table.path.clone()));
                claims.or_default().push(TableClaim {
                    generation: number,
                    listed: table.clone(),
                    table: kind,
                });
            }
            let last = copy.segments.last().map(|last| last.number);
            for listed in &copy.segments {
                let claims = self.claims.segments.entry((shard, listed.number));
                claims.or_default().push(Claim {
                    generation: number,
                    listed: *listed,
                    tail: copy.tail.filter(|_| Some(listed.number) == last),
                });
            }
        }
        Ok(())
    }

    async fn manifest(
        &mut self,
        number: u32,
        shard: u16,
        copy: &ShardCopy,
    ) -> Result<Option<Manifest>, BackupError> {
        let Some(listed) = copy.manifest else {
            return Ok(None);
        };
        self.found.files += 1;
        let path = format!("{}/MANIFEST", generation_directory(number, shard));
        let manifest = match self
            .backup
            .manifest(number, &self.backup.owner(shard))
            .await
        {
            Ok(manifest) => manifest,
            Err(error) => {
                self.note(&path, error, [number])?;
                return Ok(None);
            }
        };
        let first = copy.segments.first().map_or(0, |first| first.number);
        if manifest.generation != listed || manifest.first_segment != first {
            self.fault(&path, "it is another one than the list says", [number]);
        }
        Ok(Some(manifest))
    }

    async fn tables(&mut self) -> Result<(), BackupError> {
        for ((shard, below), claims) in std::mem::take(&mut self.claims.tables) {
            let owner = self.backup.owner(shard);
            let path = format!("{}/{below}", owner.directory);
            let numbers = || claims.iter().map(|claim| claim.generation);
            let read = self.read(&path, &[u64::MAX]).await;
            let Some(found) = self.unless_faulty(&path, read, numbers())? else {
                continue;
            };
            let found = found.first().copied().unwrap_or_default();
            let is_other = |claim: &&TableClaim| (claim.listed.bytes, claim.listed.crc) != found;
            let others: Vec<u32> = claims
                .iter()
                .filter(is_other)
                .map(|claim| claim.generation)
                .collect();
            if !others.is_empty() {
                self.fault(&path, CHECKSUM, others);
                continue;
            }
            if let Some(table) = claims.iter().find_map(|claim| claim.table) {
                let opened = table.verify(&self.backup.disk, &owner).await;
                self.unless_faulty(&path, opened, numbers())?;
            }
        }
        Ok(())
    }

    async fn segments(&mut self) -> Result<(), BackupError> {
        for ((shard, number), claims) in std::mem::take(&mut self.claims.segments) {
            let owner = self.backup.owner(shard);
            let path = segment_path(&owner, number);
            let mut ends: Vec<u64> = claims.iter().map(Claim::mirrored).collect();
            ends.retain(|end| *end > 0);
            ends.sort_unstable();
            ends.dedup();
            let numbers = || claims.iter().map(|claim| claim.generation);
            let read = self.read(&path, &ends).await;
            let Some(read) = self.unless_faulty(&path, read, numbers())? else {
                continue;
            };
            let mut sums = BTreeMap::from([(0, 0)]);
            sums.extend(read);
            for claim in &claims {
                self.sum(&path, shard, claim, &sums).await?;
            }
            if let Some(furthest) = ends.last().filter(|end| sums.contains_key(end)) {
                self.frames(&owner, *furthest, &claims).await?;
            }
        }
        Ok(())
    }

    /// Holds the checksum of a segment, with its tail, against what a generation says.
    async fn sum(
        &mut self,
        path: &str,
        shard: u16,
        claim: &Claim,
        sums: &BTreeMap<u64, u32>,
    ) -> Result<(), BackupError> {
        let number = claim.generation;
        let Some(mut sum) = sums.get(&claim.mirrored()).copied() else {
            self.fault(path, "it is too short", [number]);
            return Ok(());
        };
        let mut file = path.to_owned();
        if claim.tail.is_some() {
            self.found.files += 1;
            file = tail_path(number, shard);
            let bytes = claim.listed.bytes - claim.mirrored();
            let octets = self.octets(&file, bytes).await;
            let Some(octets) = self.unless_faulty(&file, octets, [number])? else {
                return Ok(());
            };
            sum = append(sum, &octets);
        }
        if sum != claim.listed.crc {
            self.fault(&file, CHECKSUM, [number]);
        }
        Ok(())
    }

    /// Follows the frames of a segment; each end that is listed must be one of theirs.
    async fn frames(
        &mut self,
        owner: &Owner,
        furthest: u64,
        claims: &[Claim],
    ) -> Result<(), BackupError> {
        let path = segment_path(owner, claims.first().map_or(0, |claim| claim.listed.number));
        let chain = |claim: &Claim| claim.tail.map_or(claim.listed.chain, |tail| tail.chain);
        let ends = claims.iter().map(|claim| End {
            segment: claim.listed.number,
            offset: claim.mirrored(),
            chain: chain(claim),
        });
        let numbers = || claims.iter().map(|claim| claim.generation);
        let Some(last) = ends.clone().find(|end| end.offset == furthest) else {
            return Ok(());
        };
        let walked = walk(
            &self.backup.disk,
            owner,
            last.segment,
            Some(last),
            &mut |_, _| {},
        )
        .await;
        let walked = walked.map_err(|error| of_segment(&path, error));
        let Some(frames) = self.unless_faulty(&path, walked, numbers())? else {
            return Ok(());
        };
        let lost = ends
            .zip(claims)
            .filter(|(end, _)| end.offset > 0 && !frames.pass(*end));
        let lost: Vec<u32> = lost.map(|(_, claim)| claim.generation).collect();
        match frames.damage {
            Some((offset, what)) => {
                let what = format!("at {offset}: {what}");
                let harmed = claims.iter().filter(|claim| claim.mirrored() > offset);
                let harmed: Vec<u32> = harmed.map(|claim| claim.generation).collect();
                self.fault(&path, &what, harmed);
            }
            None if !lost.is_empty() => {
                self.fault(&path, "no frame ends where its list says", lost)
            }
            None => {}
        }
        Ok(())
    }

    /// Each segment of a generation goes on where the one before ends.
    async fn chains(&mut self, generation: &Generation) -> Result<(), BackupError> {
        let number = generation.number;
        let view = self
            .backup
            .view(&Tails::of(&self.backup.identity, generation));
        for (shard, copy) in (0..).zip(&generation.shards) {
            let owner = self.backup.owner(shard);
            let pairs = copy.segments.iter().zip(copy.segments.iter().skip(1));
            for (before, segment) in pairs {
                // What cannot be opened was told.
                let Ok(Some(head)) = header(&view, &owner, segment.number).await else {
                    continue;
                };
                if !head.continues(End::of(before)) {
                    let what = "it does not go on where the segment before ends";
                    self.fault(&segment_path(&owner, segment.number), what, [number]);
                }
            }
        }
        Ok(())
    }

    /// Length and checksum of a file at each of `ends`, as far as it goes.
    async fn read(&mut self, path: &str, ends: &[u64]) -> Result<Vec<(u64, u32)>, BackupError> {
        let (bytes, total, progress) = (&mut self.found.bytes, self.total, self.progress);
        let mut each = |octets| {
            *bytes += octets;
            progress(*bytes, total.max(*bytes));
        };
        self.found.files += 1;
        let damaged = |what| BackupError::Damaged {
            path: path.to_owned(),
            what,
        };
        let disk = &self.backup.disk;
        let sums = match ends {
            // All of it lies in a tail.
            [] => Some(Vec::new()),
            [u64::MAX] => {
                let whole = checksum(disk, path, None, &mut each).await?;
                whole.map(|whole| vec![whole])
            }
            _ => checksums(disk, path, ends, &mut each).await?,
        };
        sums.ok_or_else(|| damaged(MISSING))
    }

    async fn octets(&self, path: &str, bytes: u64) -> Result<Vec<u8>, BackupError> {
        let open = self.backup.disk.open(path, Mode::Read).await;
        let file = open.map_err(super::error::at(path))?;
        let block = file.read_at(0, bytes as usize).await;
        Ok(block.map_err(super::error::at(path))?.as_slice().to_vec())
    }

    /// What was read; `None` where that is a fault of the backup and not of the machine.
    fn unless_faulty<T>(
        &mut self,
        path: &str,
        read: Result<T, BackupError>,
        generations: impl IntoIterator<Item = u32>,
    ) -> Result<Option<T>, BackupError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) => self.note(path, error, generations).map(|()| None),
        }
    }

    fn note(
        &mut self,
        path: &str,
        error: BackupError,
        generations: impl IntoIterator<Item = u32>,
    ) -> Result<(), BackupError> {
        let what = match &error {
            BackupError::Damaged { what, .. } => (*what).to_owned(),
            BackupError::Newer { .. } => "it was written by a later version".to_owned(),
            BackupError::Io { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
                MISSING.to_owned()
            }
            BackupError::Io { error, .. } => error.to_string(),
            _ => return Err(error),
        };
        self.fault(path, &what, generations);
        Ok(())
    }

    fn fault(&mut self, path: &str, what: &str, generations: impl IntoIterator<Item = u32>) {
        self.found.faults.push(Fault {
            path: path.to_owned(),
            what: what.to_owned(),
            generations: generations.into_iter().collect(),
        });
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (generation", self.path, self.what)?;
        for (at, number) in self.generations.iter().enumerate() {
            write!(f, "{} {number}", if at > 0 { "," } else { "" })?;
        }
        f.write_str(")")
    }
}

const MISSING: &str = "it is missing";
const CHECKSUM: &str = "its checksum does not fit";
