//! Making a store of a backup again: files that are checked while they are copied.
//!
//! Who calls this has made sure that nothing is there yet, and gives the store its identity when
//! all is done, shards without an index rebuilt: until then it is not opened by anybody.

use super::copy::transfer;
use super::error::{at, of_segment, of_table};
use super::list::SegmentCopy;
use super::plan::{Plan, ShardPlan};
use super::segments::{log_directory, segment_path, walk};
use super::tail::View;
use super::{Backup, BackupError, Progress};
use crate::disk::Disk;
use crate::table::locations::Owner;
use crate::table::manifest;

/// Copies what the plan names into the root of `target`; returns the octets.
pub async fn restore<D: Disk, T: Disk>(
    backup: &Backup<D>,
    plan: &Plan,
    target: &T,
    progress: Progress<'_>,
) -> Result<u64, BackupError> {
    let mut restoring = Restoring {
        backup,
        source: backup.view(&plan.tails),
        target,
        done: 0,
        total: plan.bytes(),
        progress,
    };
    for shard in &plan.shards {
        restoring.shard(shard).await?;
    }
    Ok(restoring.done)
}

struct Restoring<'a, D, T> {
    backup: &'a Backup<D>,
    source: View<D>,
    target: &'a T,
    done: u64,
    total: u64,
    progress: Progress<'a>,
}

impl<D: Disk, T: Disk> Restoring<'_, D, T> {
    /// The manifest comes last: a shard without one has only what lies in its log.
    async fn shard(&mut self, plan: &ShardPlan) -> Result<(), BackupError> {
        let owner = self.backup.owner(plan.shard.0);
        for table in &plan.tables {
            let path = format!("{}/{}", owner.directory, table.path);
            if self.copy(&path, table.bytes).await? != table.crc {
                let what = "its checksum does not fit";
                return Err(BackupError::Damaged { path, what });
            }
        }
        let log = log_directory(&owner);
        let made = self.target.create_directory(&log).await;
        made.map_err(at(&log))?;
        for (segment, bytes) in &plan.segments {
            self.segment(&owner, segment, *bytes).await?;
        }
        let manifest = match (&plan.rebuilt, plan.base) {
            (Some(manifest), _) => manifest.clone(),
            (None, Some(base)) => self.backup.manifest(base, &owner).await?,
            (None, None) => return Ok(()),
        };
        let directory = &owner.directory;
        let made = manifest::make_directories(self.target, directory).await;
        made.map_err(of_table)?;
        let written = manifest.write(self.target, directory, owner.store, owner.shard);
        written.await.map_err(of_table)
    }

    async fn segment(
        &mut self,
        owner: &Owner,
        listed: &SegmentCopy,
        bytes: u64,
    ) -> Result<(), BackupError> {
        let path = segment_path(owner, listed.number);
        let crc = self.copy(&path, bytes).await?;
        let damaged = |what| BackupError::Damaged {
            path: path.clone(),
            what,
        };
        if bytes == listed.bytes {
            return match crc == listed.crc {
                true => Ok(()),
                false => Err(damaged("its checksum does not fit")),
            };
        }
        // Cut within what is listed: the frames vouch for themselves.
        let broken = |error| of_segment(&path, error);
        let walked = walk(self.target, owner, listed.number, None, &mut |_, _| {}).await;
        let walked = walked.map_err(broken)?;
        match walked.damage {
            None if walked.end.offset == bytes => Ok(()),
            _ => Err(damaged("a frame is not what was written")),
        }
    }

    async fn copy(&mut self, path: &str, bytes: u64) -> Result<u32, BackupError> {
        let (done, total, progress) = (&mut self.done, self.total, self.progress);
        let mut each = |bytes| {
            *done += bytes;
            progress(*done, total);
        };
        let copied = transfer(&self.source, self.target, path, Some(bytes), &mut each);
        copied
            .await?
            .map(|(_, crc)| crc)
            .ok_or_else(|| BackupError::Damaged {
                path: path.to_owned(),
                what: "it is missing",
            })
    }
}
