//! Writing packs anew without what is dead in them, or small ones together.

use super::census::Census;
use super::checkpoint::rewrite_locations;
use super::damage::{self, Found};
use super::moving::Mover;
use super::pace::Pace;
use super::policy::Policy;
use super::report::Report;
use super::usage::{Survey, Usage, survey, victims};
use super::whole::{Whole, common};
use super::{CompactError, Site, unread};
use crate::disk::Disk;
use crate::error::Container;
use crate::mail::id::ObjectId;
use crate::pack::{Dictionary, PackError, Reader};
use crate::table::manifest::{Manifest, PackName};
use std::collections::BTreeSet;

/// Rewrites the packs that the policy wants to be, as many as one task does.
pub(super) async fn repack<D: Disk, P: Pace>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
    policy: &Policy,
    held: &[ObjectId],
    pace: &P,
) -> Result<Report, CompactError> {
    if manifest.packs.is_empty() {
        return Ok(Report::default());
    }
    let index = site.index(manifest).await?;
    let Survey {
        packs: usage,
        liveness,
        chunks,
    } = survey(site, manifest, &index, held).await?;
    let mut report = Report {
        packed_bytes: usage.iter().map(|pack| pack.bytes).sum(),
        dead_bytes: usage.iter().map(Usage::dead).sum(),
        ..Report::default()
    };
    let damaged = damaged(site, manifest).await?;
    let victims = victims(&usage, policy, &damaged);
    let known = manifest.locations.len();
    manifest.retain_chunks(|chunk| chunks.contains(&chunk));
    if victims.is_empty() {
        if manifest.locations.len() < known {
            site.publish(manifest).await?;
        }
        return Ok(report);
    }
    let mut census = Census::gather(site, &manifest.locations, |_, location| {
        let packed = location.place.packed();
        packed.is_some_and(|(pack, ..)| victims.contains(&pack))
    })
    .await?;
    match liveness {
        Some(liveness) => census.judge_by(&liveness),
        None => drop(census.judge(&index, held)?),
    }
    let chosen = usage.iter().filter(|pack| victims.contains(&pack.number));
    let chosen: Vec<&Usage> = chosen.collect();
    let before = manifest.clone();
    let found = rewrite(site, manifest, &mut census, &chosen, pace, &mut report).await?;
    if !found.is_empty() {
        // The packs stay as they are; those that are damaged are not tried again.
        *manifest = before;
        site.tidy_up().await;
        report.damage = damage::named(&index, found)?;
        damage::keep_aside(site, &report.damage).await?;
        return Ok(report);
    }
    rewrite_locations(site, manifest, &census.changes()).await?;
    site.publish(manifest).await?;
    Ok(report)
}

/// Makes new packs of what is live of the chosen ones, and names them instead. With damage, which
/// it returns, nothing of that is of use.
async fn rewrite<D: Disk, P: Pace>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
    census: &mut Census,
    chosen: &[&Usage],
    pace: &P,
    report: &mut Report,
) -> Result<Vec<Found>, CompactError> {
    let is_chosen = |pack: &PackName| chosen.iter().any(|usage| usage.number == pack.number);
    let mut packs = manifest.packs.clone();
    packs.retain(is_chosen);
    let total = packs.iter().map(|pack| pack.bytes).sum();
    let survivors = chosen.iter().map(|pack| pack.live.min(pack.bytes));
    let mut mover = Mover::new(site, pace, total, survivors.sum());
    mover.make_with(common_dictionary(&packs, &mover).await?);
    let mut found = read_all(&packs, &mut mover, manifest, census).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    let made = mover.finish(manifest, census).await?;
    found.append(&mut mover.moved.damage);
    found.extend(census.give_up_rest().iter().map(Found::lost));
    if found.is_empty() {
        report.bytes_before = total;
        report.bytes_after = made.iter().map(|pack| pack.bytes).sum();
        report.packs_emptied = packs.len() as u32;
        report.packs_written = made.len() as u32;
        report.records_moved = mover.moved.records;
        report.blocks_copied = mover.moved.blocks;
        report.moved_bytes = mover.moved.bytes;
        report.dead_bytes -= chosen.iter().map(|pack| pack.dead()).sum::<u64>();
        manifest.packs.retain(|pack| !is_chosen(pack));
        manifest.packs.extend(made);
    }
    Ok(found)
}

/// What the packs are made with that take the place of these.
async fn common_dictionary<D: Disk, P: Pace>(
    packs: &[PackName],
    mover: &Mover<'_, D, P>,
) -> Result<Dictionary, CompactError> {
    let mut dictionaries = Vec::with_capacity(packs.len());
    for name in packs {
        let pack = mover.source.pack(name.number).await?;
        dictionaries.push((pack.dictionary().await, pack.summary().raw_bytes));
    }
    Ok(common(&dictionaries))
}

/// Packs in which damage was found before.
async fn damaged<D: Disk>(
    site: &Site<'_, D>,
    manifest: &Manifest,
) -> Result<BTreeSet<u32>, CompactError> {
    let noted = damage::noted(site).await?;
    let packs = manifest.packs.iter().map(|pack| pack.number);
    let is_noted = |number: &u32| {
        let note = damage::note(Container::Pack(*number));
        note.is_some_and(|note| noted.contains(&note))
    };
    Ok(packs.filter(is_noted).collect())
}

/// Takes what is live of all these packs. Blocks in which nothing is are not looked at: those with
/// pieces of bodies are read when their MESSAGE is moved.
async fn read_all<D: Disk, P: Pace>(
    packs: &[PackName],
    mover: &mut Mover<'_, D, P>,
    manifest: &mut Manifest,
    census: &mut Census,
) -> Result<Vec<Found>, CompactError> {
    let needed = census.live_blocks();
    let (mut found, mut done) = (Vec::new(), 0);
    for name in packs {
        let pack = mover.source.pack(name.number).await?;
        let mut reader = Reader::new(&pack);
        let is_copied = mover.copies(&pack.dictionary().await);
        let first = needed.partition_point(|(pack, _)| *pack < name.number);
        let behind = needed.iter().skip(first);
        let blocks = behind.take_while(|(pack, _)| *pack == name.number);
        let all = u64::from(pack.summary().blocks.max(1));
        for (count, (_, block)) in blocks.enumerate() {
            let container = Container::Pack(name.number);
            match reader.unpack(*block).await {
                Ok(unpacked) if is_copied && let Some(whole) = Whole::of(&unpacked, census) => {
                    let stored = reader.stored(*block).await.map_err(unread)?;
                    mover.take_whole(manifest, census, whole, stored).await?;
                }
                Ok(unpacked) => {
                    for (place, record) in unpacked.records() {
                        match record {
                            Ok(record) => mover.take(manifest, census, place, &record).await?,
                            Err(error) => found.push(damaged_octets(container, error)?),
                        }
                    }
                }
                Err(error) => found.push(damaged_octets(container, error)?),
            }
            if count % PAUSE_BLOCKS == 0 {
                mover.course.read = done + name.bytes * u64::from(*block) / all;
                mover.pause("writing packs anew").await;
            }
        }
        done += name.bytes;
        mover.course.read = done;
    }
    Ok(found)
}

/// What the device refuses to give may come later: the task ends.
fn damaged_octets(container: Container, error: PackError) -> Result<Found, CompactError> {
    match error {
        PackError::Damaged { offset, what, .. } => Ok(Found::octets(container, offset, what)),
        other => Err(unread(other)),
    }
}

/// Blocks between two pauses.
const PAUSE_BLOCKS: usize = 128;
