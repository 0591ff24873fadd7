//! Writing down what a shard froze: a run, the locations of new objects, the manifest.

use super::{CompactError, Site, unwritten};
use crate::disk::Disk;
use crate::log::Position;
use crate::mail::id::ObjectId;
use crate::mailbox::frozen::Frozen;
use crate::table::locations::{Change, Locations, seat_of};
use crate::table::manifest::{Manifest, RunName};
use std::sync::Arc;

/// What changed since the checkpoint before, as of one position of the log.
#[derive(Debug)]
pub struct Checkpoint {
    /// The replay begins here from now on.
    pub position: Position,
    pub frozen: Frozen,
    /// The earliest segment with a piece of a body whose MESSAGE is not in here yet; that of the
    /// position where there is none.
    pub open_from: u32,
    /// Deliveries that a COPY names which was on its way: it may come after the expunge of the row
    /// that it copies.
    pub held: Arc<[ObjectId]>,
}

pub(super) async fn write<D: Disk>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
    checkpoint: &Checkpoint,
) -> Result<(), CompactError> {
    if manifest.replay == Some(checkpoint.position) {
        // Nothing happened since, or a rename reported an error and had happened.
        return Ok(());
    }
    let run = write_run(site, manifest, &checkpoint.frozen).await?;
    manifest.runs.push(run);
    manifest.has_queue |= checkpoint.frozen.has_queue();
    write_locations(site, manifest, &checkpoint.frozen).await?;
    manifest.replay = Some(checkpoint.position);
    site.publish(manifest).await
}

async fn write_run<D: Disk>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
    frozen: &Frozen,
) -> Result<RunName, CompactError> {
    let name = RunName {
        number: manifest.take_number(),
        tier: 0,
        bytes: 0,
    };
    let mut writer = site.create_run(&name).await?;
    for (account, mailbox, part) in frozen.parts() {
        let written = writer.part(account.0, mailbox.0, part).await;
        written.map_err(unwritten)?;
    }
    for (account, card) in frozen.cards() {
        writer.card(account.0, card).await.map_err(unwritten)?;
    }
    let bytes = writer.finish().await.map_err(unwritten)?;
    let name = RunName { bytes, ..name };
    site.open_run(&name).await?.verify()?;
    Ok(name)
}

/// Appends the places of objects that the table does not know yet. It may know some: the shard
/// counts them as new until it has adopted the manifest, and places that were moved since must
/// stay.
async fn write_locations<D: Disk>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
    frozen: &Frozen,
) -> Result<(), CompactError> {
    let known = manifest.last_object();
    let objects = (frozen.first_object.0..).map(ObjectId).zip(&frozen.places);
    let changes: Vec<Change> = objects
        .filter(|(object, _)| *object > known)
        .map(|(object, location)| (object, *location))
        .collect();
    rewrite_locations(site, manifest, &changes).await
}

/// Makes the next generations of all chunks that ascending `changes` touch.
pub(super) async fn rewrite_locations<D: Disk>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
    changes: &[Change],
) -> Result<(), CompactError> {
    let table = Locations::new(site.disk.clone(), site.owner.clone(), &manifest.locations);
    for changes in changes.chunk_by(|a, b| seat_of(a.0).0 == seat_of(b.0).0) {
        let Some(chunk) = changes.first().map(|change| seat_of(change.0).0) else {
            continue;
        };
        let chunk = u32::try_from(chunk).expect("2^50 objects are never made");
        let generation = manifest.take_number();
        let name = table.rewritten(chunk, generation, changes).await?;
        table.verify(&name).await?;
        manifest.put_chunk(name);
    }
    Ok(())
}
