//! What a store is made of again: a whole generation, or what was there at a moment.
//!
//! For a moment, the log of each shard is cut before the first frame of a later second, and then
//! such that the shards fit together ([`super::cut`]). An index that knows more than the log cannot
//! be used: the newest one that does not is taken from this generation or an older one, and the
//! start replays the log from there. Where no index is old enough, all of the log must be there, or
//! archives up to where it begins: then the index is made anew from those ([`ShardPlan::rebuilt`]),
//! and what was expunged and compacted away after the moment may be missing.

use super::cut::{Dealings, settle};
use super::error::of_table;
use super::list::{Generation, SegmentCopy, TableCopy};
use super::past::{Cut, Past};
use super::tail::Tails;
use super::{Backup, BackupError, generation_directory};
use crate::disk::Disk;
use crate::disk::home::Identity;
use crate::mail::id::ShardId;
use crate::table::locations::Owner;
use crate::table::manifest::Manifest;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The last generation of which something is taken.
    pub generation: u32,
    /// When that was begun, in seconds since 1970: it can be restored whole.
    pub taken_secs: i64,
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
    /// There is no index: it is to be made of the archives and the log of this manifest.
    pub rebuilt: Option<Manifest>,
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
                rebuilt: None,
            }
        });
        Plan {
            generation: generation.number,
            taken_secs: generation.taken_secs,
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
            let basis = past.basis(cut, until).await?;
            let ends = past.ends(basis.manifest(), cut);
            let read = Dealings::read(&view, &past.owner, basis.manifest(), &ends);
            dealings.push(read.await?);
            cuts.push(cut);
            pasts.push(past);
        }
        if are_empty {
            let shard = ShardId(0);
            let latest = None;
            return Err(BackupError::TooEarly {
                shard,
                earliest,
                latest,
            });
        }
        settle(&dealings, &mut cuts);
        let mut shards = Vec::new();
        for (past, cut) in pasts.iter().zip(cuts) {
            shards.push(past.plan(cut, until).await?);
        }
        let generation = last.number;
        Ok(Plan {
            generation,
            taken_secs: last.taken_secs,
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
