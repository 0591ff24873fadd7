//! Writing down what a shard froze: a run, the locations of new objects, the manifest.

use super::{CompactError, Where, unwritten};
use crate::disk::Disk;
use crate::log::Position;
use crate::mail::id::ObjectId;
use crate::mailbox::Frozen;
use crate::table::manifest::{Manifest, RunName};

/// What changed since the checkpoint before, as of one position of the log.
#[derive(Debug)]
pub struct Checkpoint {
    /// The replay begins here from now on.
    pub position: Position,
    pub frozen: Frozen,
    /// The lowest segment with a piece of a body that is still arriving; it cannot be emptied.
    pub open_from: Option<u32>,
}

pub(super) async fn write<D: Disk>(
    disk: &D,
    at: &Where,
    manifest: &mut Manifest,
    checkpoint: &Checkpoint,
) -> Result<(), CompactError> {
    if manifest.replay == Some(checkpoint.position) {
        // A rename that reported an error, and had happened.
        return Ok(());
    }
    let name = write_run(disk, at, manifest, &checkpoint.frozen).await?;
    manifest.runs.push(name);
    write_locations(disk, at, manifest, &checkpoint.frozen).await?;
    manifest.replay = Some(checkpoint.position);
    at.publish(disk, manifest).await
}

async fn write_run<D: Disk>(
    disk: &D,
    at: &Where,
    manifest: &mut Manifest,
    frozen: &Frozen,
) -> Result<RunName, CompactError> {
    let name = RunName {
        number: manifest.take_number(),
        tier: 0,
        bytes: 0,
    };
    let mut writer = at.create_run(disk, &name).await?;
    for (account, mailbox, part) in frozen.parts() {
        writer.part(account.0, mailbox.0, part).await.map_err(unwritten)?;
    }
    for (account, card) in frozen.cards() {
        writer.card(account.0, card).await.map_err(unwritten)?;
    }
    let bytes = writer.finish().await.map_err(unwritten)?;
    let name = RunName { bytes, ..name };
    at.open_run(disk, &name).await?.verify()?;
    Ok(name)
}
