//! Writing down what a shard froze: a run, the locations of new objects, the manifest.

use super::{CompactError, Site, memos, unwritten};
use crate::disk::Disk;
use crate::log::Position;
use crate::mail::id::{AccountId, MailboxId, ObjectId};
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
    memos::write_down(site, manifest, &checkpoint.frozen).await?;
    manifest.has_queue |= !checkpoint.frozen.items.is_empty();
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
    let is_shard = |(account, ..): &(AccountId, MailboxId, &[u8])| *account == AccountId(0);
    for (_, _, part) in frozen.parts().take_while(is_shard) {
        writer.part(0, 0, part).await.map_err(unwritten)?;
    }
    for (chunk, part) in frozen.items.parts() {
        writer.part(0, chunk + 1, &part).await.map_err(unwritten)?;
    }
    for (account, mailbox, part) in frozen.parts().skip_while(is_shard) {
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
    let mut new = objects
        .skip_while(|(object, _)| *object <= known)
        .peekable();
    // One chunk at a time: a rebuild has all objects of the shard.
    while let Some((first, _)) = new.peek() {
        let chunk = seat_of(*first).0;
        let in_chunk = |(object, _): &(ObjectId, _)| seat_of(*object).0 == chunk;
        let mut changes: Vec<Change> = Vec::new();
        while let Some((object, location)) = new.next_if(in_chunk) {
            changes.push((object, *location));
        }
        rewrite_locations(site, manifest, &changes).await?;
    }
    Ok(())
}

/// Makes the next generations of all chunks that ascending `changes` touch. Those of which all
/// objects are gone are given up.
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
        let is_needed = table.verify(&name).await?;
        manifest.put_chunk(name);
        if !is_needed {
            manifest.retain_chunks(|other| other != chunk);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compact::Owner;
    use crate::disk::executor::Executor;
    use crate::disk::sim::SimDisk;
    use crate::log::Place;
    use crate::mail::id::ShardId;
    use crate::table::locations::{CHUNK_ENTRIES, Kind, Location};
    use crate::table::manifest::make_directories;

    fn located(objects: &[u64]) -> Vec<Change> {
        let location = Location {
            place: Place::in_pack(1, 0, 0),
            kind: Kind::Message,
        };
        let changes = objects.iter().map(|o| (ObjectId(*o), Some(location)));
        changes.collect()
    }

    /// Makes these changes one after the other. The chunks that are named in the end.
    fn chunks_after(all: &'static [(&'static [u64], &'static [u64])]) -> Vec<u32> {
        let disk = SimDisk::new(1);
        let at = disk.clone();
        let work = async move {
            let owner = Owner {
                store: [7; 16],
                shard: ShardId(0),
                directory: "shard-00".to_owned(),
            };
            let site = Site {
                disk: &at,
                owner: &owner,
            };
            let mut manifest = Manifest::default();
            make_directories(&at, &owner.directory).await.unwrap();
            for (made, gone) in all {
                let made = located(made);
                rewrite_locations(&site, &mut manifest, &made)
                    .await
                    .unwrap();
                let gone: Vec<Change> = gone.iter().map(|o| (ObjectId(*o), None)).collect();
                rewrite_locations(&site, &mut manifest, &gone)
                    .await
                    .unwrap();
                site.publish(&mut manifest).await.unwrap();
            }
            manifest.locations.iter().map(|chunk| chunk.chunk).collect()
        };
        Executor::new(disk.clone(), 1).finish(work).unwrap()
    }

    #[test]
    fn a_chunk_whose_objects_are_all_gone_is_given_up_unless_it_is_the_last() {
        const C: u64 = CHUNK_ENTRIES as u64;
        const ONE: &[u64] = &[1, 2, C, C + 1, 2 * C];
        assert_eq!(chunks_after(&[(ONE, &[1])]), [0, 1, 2]);
        assert_eq!(chunks_after(&[(ONE, &[C, C + 1])]), [0, 2]);
        assert_eq!(chunks_after(&[(ONE, &[1, 2, C, C + 1, 2 * C])]), [2]);
        // Nobody needs it any more when another one is the last.
        assert_eq!(
            chunks_after(&[(ONE, &[1, 2, 2 * C]), (&[3 * C], &[2 * C])]),
            [1, 3]
        );
    }
}
