//! Emptying the oldest segments of the log: what is live goes to packs, the facts to an archive,
//! and what is asked about mail that has gone to a story.
//!
//! Objects are numbered in the order of the log. So those of the oldest segments are one range,
//! and liveness is asked of that range only; but a message may have pieces of its body in earlier
//! segments than its MESSAGE, and then it is moved with the earliest of them.

use super::archive::Archivist;
use super::census::Census;
use super::checkpoint::rewrite_locations;
use super::damage::{self, Found};
use super::moving::Mover;
use super::pace::Pace;
use super::report::Report;
use super::story::{Chronicler, Stories};
use super::{CompactError, Site, memos, unscanned};
use crate::disk::Disk;
use crate::error::{Container, ReadError};
use crate::log::scan::{Scanned, Segment};
use crate::log::{Place, RecordRef};
use crate::mail::id::ObjectId;
use crate::mailbox::index::Index;
use crate::memo::Shelf;
use crate::record::kind;
use crate::table::locations::Kind;
use crate::table::manifest::Manifest;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Empties the segments up to `through`, or as many of them as one task does.
pub(super) async fn empty<D: Disk, P: Pace>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
    (through, stories): (u32, Stories),
    held: &[ObjectId],
    pace: &P,
) -> Result<Report, CompactError> {
    let first = manifest.first_segment;
    let written = manifest.replay.map_or(0, |replay| replay.segment);
    let through = through
        .min(written.saturating_sub(1))
        .min(first.saturating_add(SEGMENTS_MAX - 1));
    if through < first {
        return Ok(Report::default());
    }
    let index = site.index(manifest).await?;
    let straddling = straddling(&index)?;
    let is_meant = |object, segment: u32, through| {
        let earliest = straddling.get(&object).copied().unwrap_or(segment);
        (first..=through).contains(&segment) || segment != 0 && earliest <= through
    };
    let mut census = Census::gather(site, &manifest.locations, |object, location| {
        is_meant(object, location.place.segment(), through)
    })
    .await?;
    let mut bounded = through;
    while census.entries().len() > OBJECTS_MAX && bounded > first {
        bounded -= 1;
        census.retain(|entry| is_meant(entry.object, entry.place.segment(), bounded));
    }
    let survivors = census.judge(&index, held)?;
    let total = log_bytes(site, first..=bounded).await?;
    let mover = Mover::new(site, pace, total, survivors);
    let emptying = Emptying {
        site,
        mover,
        report: Report::default(),
        found: Vec::new(),
        memos: site.shelf(&manifest.memos).await?,
        chronicler: Chronicler::begin(site, manifest, stories).await,
    };
    let (mut report, found) = emptying.run(manifest, &mut census, bounded).await?;
    if !found.is_empty() {
        report.damage = damage::named(&index, found)?;
        damage::keep_aside(site, &report.damage).await?;
    }
    rewrite_locations(site, manifest, &census.changes()).await?;
    manifest.first_segment = bounded + 1;
    site.publish(manifest).await?;
    Ok(report)
}

/// Messages with a piece in an earlier segment than their MESSAGE, and the earliest of these.
fn straddling(index: &Index) -> Result<BTreeMap<ObjectId, u32>, CompactError> {
    let own = index.own()?.unwrap_or_default();
    Ok(own.straddling.into_iter().collect())
}

/// Lengths of these segments. One that cannot be opened counts nothing.
async fn log_bytes<D: Disk>(
    site: &Site<'_, D>,
    segments: RangeInclusive<u32>,
) -> Result<u64, CompactError> {
    let mut bytes = 0;
    for number in segments {
        bytes += site
            .open_segment(number)
            .await
            .map_or(0, |segment| segment.bytes());
    }
    Ok(bytes)
}

struct Emptying<'a, D: Disk, P> {
    site: &'a Site<'a, D>,
    mover: Mover<'a, D, P>,
    report: Report,
    found: Vec<Found>,
    memos: Shelf,
    chronicler: Chronicler<D>,
}

impl<'a, D: Disk, P: Pace> Emptying<'a, D, P> {
    async fn run(
        mut self,
        manifest: &mut Manifest,
        census: &mut Census,
        through: u32,
    ) -> Result<(Report, Vec<Found>), CompactError> {
        let first = manifest.first_segment;
        self.take_straddling(census, through);
        let mut archivist = Archivist::begin(self.site, manifest, first, through).await?;
        let mut next = self.open(first).await?;
        for number in first..=through {
            let segment = std::mem::replace(&mut next, self.open(number + 1).await?);
            if let Some(segment) = segment {
                // Without its successor a segment ends where its frames do.
                let mut scan = segment.scan(next.as_ref().map(Segment::previous));
                while let Some(scanned) = scan.next().await.map_err(unscanned(number))? {
                    self.take(manifest, census, &mut archivist, number, &scanned)
                        .await?;
                }
                self.report.bytes_before += segment.bytes();
            }
            self.report.segments_emptied += 1;
        }
        let made = self.mover.finish(manifest, census).await?;
        let archive = archivist.finish(self.site).await?;
        self.chronicler.finish().await;
        self.report.packs_written = made.len() as u32;
        self.report.bytes_after = archive.bytes + made.iter().map(|pack| pack.bytes).sum::<u64>();
        self.report.records_moved = self.mover.moved.records;
        self.report.moved_bytes = self.mover.moved.bytes;
        manifest.packs.extend(made);
        manifest.archives.push(archive);
        self.found.append(&mut self.mover.moved.damage);
        let lost = census.give_up_rest();
        self.found.extend(lost.iter().map(Found::lost));
        Ok((self.report, self.found))
    }

    /// A segment; `None` where its header is damaged, and with it everything in it.
    async fn open(&mut self, number: u32) -> Result<Option<Segment<D::File>>, CompactError> {
        match self.site.open_segment(number).await {
            Ok(segment) => Ok(Some(segment)),
            Err(CompactError::Read(ReadError::Damaged { offset, what, .. })) => {
                let container = Container::Segment(number);
                self.found.push(Found::octets(container, offset, what));
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Messages whose MESSAGE lies behind what is emptied, and pieces in it.
    fn take_straddling(&mut self, census: &Census, through: u32) {
        for (at, entry) in census.entries().iter().enumerate() {
            let is_live = entry.fate == super::census::Fate::Live;
            if is_live && entry.kind == Kind::Message && entry.place.segment() > through {
                self.mover.take_large(entry.object, at, entry.place);
            }
        }
    }

    fn needs(&self, census: &Census, place: Place, record: &RecordRef<'_>) -> bool {
        match record.kind {
            kind::MEMO => memos::needs(&self.memos, record),
            _ => census.needs(place, record),
        }
    }

    async fn take(
        &mut self,
        manifest: &mut Manifest,
        census: &mut Census,
        archivist: &mut Archivist<D>,
        number: u32,
        scanned: &Scanned,
    ) -> Result<(), CompactError> {
        let offset = match scanned {
            Scanned::Frame(frame) => {
                for (place, record) in frame.records() {
                    let is_live = self.needs(census, place, &record);
                    self.chronicler.take(place, &record).await;
                    archivist.take(&record, is_live).await?;
                    self.mover.take(manifest, census, place, &record).await?;
                }
                frame.offset
            }
            Scanned::Damage(damage) => {
                let container = Container::Segment(number);
                let found = Found::octets(container, damage.offset, damage.what);
                self.found.push(found);
                for (place, record) in damage.records() {
                    let is_live = self.needs(census, place, &record);
                    self.chronicler.take(place, &record).await;
                    archivist.take(&record, is_live).await?;
                    self.mover.take(manifest, census, place, &record).await?;
                }
                damage.offset
            }
        };
        self.mover.course.read = self.report.bytes_before + offset;
        self.mover.pause("emptying the log").await;
        Ok(())
    }
}

/// Segments that one task empties: 2 GiB of the usual size.
const SEGMENTS_MAX: u32 = 8;

/// Objects of one task; 40 octets each are in memory. A single segment may have more.
const OBJECTS_MAX: usize = 4 << 20;
