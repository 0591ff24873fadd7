//! Archives: what the records of emptied segments said, without bodies.
//!
//! Replaying all archives in order, then the log, gives the accounts and mailboxes that the index
//! has, so that the index can always be rebuilt. An archive is a pack: the facts of its segments in
//! the order of the log, each with its account and LSN. MESSAGE and BODY are left out: where
//! objects lie, the packs say. A DELIVER is there without recipient, ORCPT and prefix, which lie
//! with the message.
//!
//! Neighbours are merged tier by tier, as runs are. A shard that empties two segments a minute
//! makes half a million archives in a year, and the manifest names each; of the merged ones there
//! are some dozens, and one for each gigabyte.

use super::pace::{Pace, Progress};
use super::{CompactError, Site, unread, unwritten};
use crate::disk::Disk;
use crate::error::ReadError;
use crate::log::RecordRef;
use crate::mail::id::{ItemId, Lsn};
use crate::pack::{Dictionary, Pack, PackWriter, Reader};
use crate::record::{Fact, HostReply, Queue, kind};
use crate::table::manifest::{ArchiveName, Manifest};
use crate::table::name;
use std::ops::Range;

pub(super) struct Archivist<D: Disk> {
    writer: PackWriter<D>,
    name: ArchiveName,
    records: u64,
    payload: Vec<u8>,
    queue: Forgetful,
}

impl<D: Disk> Archivist<D> {
    /// Begins the archive of these segments.
    pub(super) async fn begin(
        site: &Site<'_, D>,
        manifest: &mut Manifest,
        first_segment: u32,
        last_segment: u32,
    ) -> Result<Archivist<D>, CompactError> {
        let name = ArchiveName {
            number: manifest.take_number(),
            first_segment,
            last_segment,
            bytes: 0,
        };
        let path = name::archive(&site.owner.directory, name.number);
        let head = site.head(name.number);
        // Facts are alike within one block; a dictionary would not save its own training.
        let without = Dictionary::Without;
        let writer = PackWriter::create_with(site.disk.clone(), &path, head, without).await;
        Ok(Archivist {
            writer: writer.map_err(unwritten)?,
            name,
            records: 0,
            payload: Vec::new(),
            queue: Forgetful::default(),
        })
    }

    /// Takes the fact of a record, if it has one. A payload that is none, and passes its checksum,
    /// is kept as it is. `is_live`: something still needs the record itself.
    pub(super) async fn take(
        &mut self,
        record: &RecordRef<'_>,
        is_live: bool,
    ) -> Result<(), CompactError> {
        if record.kind == kind::BODY || record.kind == kind::MESSAGE {
            return Ok(());
        }
        let fact = match Fact::decode(record.kind, record.payload) {
            Ok(fact) => fact,
            Err(_) => return self.add(record, record.payload).await,
        };
        if self.queue.forgets(record, &fact, is_live) {
            return Ok(());
        }
        self.put_mark().await?;
        let Some(short) = shortened(fact) else {
            return self.add(record, record.payload).await;
        };
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        short.encode(&mut payload);
        let added = self.add(record, &payload).await;
        self.payload = payload;
        added
    }

    /// Takes what an archive has already.
    pub(super) async fn take_again(&mut self, record: &RecordRef<'_>) -> Result<(), CompactError> {
        self.add(record, record.payload).await
    }

    /// Which items were given out that are forgotten.
    async fn put_mark(&mut self) -> Result<(), CompactError> {
        let Some((lsn, mark)) = self.queue.mark.take() else {
            return Ok(());
        };
        let mut payload = Vec::new();
        let kind = Fact::Queue(Box::new(mark)).encode(&mut payload);
        let record = RecordRef {
            kind,
            account: 0,
            lsn,
            payload: &payload,
        };
        self.add(&record, &payload).await
    }

    async fn add(&mut self, record: &RecordRef<'_>, payload: &[u8]) -> Result<(), CompactError> {
        let (kind, account, lsn) = (record.kind, record.account, record.lsn);
        let added = self.writer.add(kind, account, lsn, &[payload]).await;
        added.map_err(unwritten)?;
        self.records += 1;
        Ok(())
    }

    /// Takes all that another archive has.
    async fn copy(&mut self, site: &Site<'_, D>, from: &ArchiveName) -> Result<(), CompactError> {
        let path = name::archive(&site.owner.directory, from.number);
        let pack = Pack::open(site.disk, &path, site.head(from.number)).await;
        let pack = pack.map_err(unread)?;
        let mut reader = Reader::new(&pack);
        for block in 0..pack.summary().blocks {
            let unpacked = reader.unpack(block).await.map_err(unread)?;
            for (_, record) in unpacked.records() {
                let record = record.map_err(unread)?;
                self.add(&record, record.payload).await?;
            }
        }
        Ok(())
    }

    /// Closes the archive and reads it again.
    pub(super) async fn finish(mut self, site: &Site<'_, D>) -> Result<ArchiveName, CompactError> {
        self.put_mark().await?;
        self.name.bytes = self.writer.finish().await.map_err(unwritten)?.bytes;
        let records = verify(site, self.name.number).await?;
        if records != self.records {
            let what = "the archive has not the facts that were put into it";
            return Err(site.mistaken(
                &name::archive(&site.owner.directory, self.name.number),
                what,
            ));
        }
        Ok(self.name)
    }
}

/// What of the facts about the queue need not be kept: an item that has ended when its segment is
/// emptied is not missed.
///
/// Of its QUEUE the number stays, so that it is not given out again. An END is kept as long as the
/// QUEUE may be in an archive, this one or an earlier.
#[derive(Default)]
struct Forgetful {
    /// The first item that was given out in these segments.
    first: Option<u64>,
    /// Items of QUEUEs that are kept, ascending.
    kept: Vec<Range<u64>>,
    /// Says which items were given out up to here, if the last QUEUE was not kept.
    mark: Option<(Lsn, Queue)>,
}

impl Forgetful {
    fn forgets(&mut self, record: &RecordRef<'_>, fact: &Fact, is_live: bool) -> bool {
        match fact {
            Fact::Queue(queue) => {
                self.first.get_or_insert(queue.first_item.0);
                match is_live {
                    true => self.kept.push(queue.items()),
                    false => self.mark = Some((record.lsn, mark_of(queue))),
                }
                !is_live
            }
            Fact::Attempt { .. } => !is_live,
            Fact::End(end) => !self.may_be_kept(end.item),
            Fact::Hold(hold) => !self.may_be_kept(hold.item),
            Fact::Memo(_) => !is_live,
            _ => false,
        }
    }

    fn may_be_kept(&self, item: ItemId) -> bool {
        let behind = self.kept.partition_point(|range| range.end <= item.0);
        self.first.is_none_or(|first| item.0 < first)
            || (self.kept.get(behind)).is_some_and(|range| range.contains(&item.0))
    }
}

/// A QUEUE without recipients that gives out the same items.
fn mark_of(queue: &Queue) -> Queue {
    Queue {
        first_item: ItemId(queue.items().end),
        tenant: String::new(),
        recipients: Vec::new(),
        ..without_texts(queue.clone())
    }
}

/// A fact without what lies with the message, or is not needed to know what is so.
fn shortened(fact: Fact) -> Option<Fact> {
    Some(match fact {
        Fact::Deliver(mut deliver) => {
            deliver.recipient = None;
            deliver.orcpt = None;
            deliver.prefix.clear();
            Fact::Deliver(deliver)
        }
        Fact::Queue(queue) => Fact::Queue(Box::new(without_texts(*queue))),
        Fact::Attempt {
            object,
            mut attempt,
        } => {
            attempt.reply = HostReply::default();
            Fact::Attempt { object, attempt }
        }
        Fact::End(mut end) => {
            end.reply = HostReply::default();
            Fact::End(end)
        }
        _ => return None,
    })
}

fn without_texts(mut queue: Queue) -> Queue {
    queue.prefix = [].into();
    for recipient in &mut queue.recipients {
        recipient.address.local.clear();
        recipient.orcpt = None;
    }
    queue
}

/// How many facts an archive has, all of them readable.
async fn verify<D: Disk>(site: &Site<'_, D>, number: u32) -> Result<u64, CompactError> {
    let path = name::archive(&site.owner.directory, number);
    let pack = Pack::open(site.disk, &path, site.head(number)).await;
    let pack = pack.map_err(unread)?;
    let mut outcome = Ok(0);
    pack.scan(|_, record| match (record, &mut outcome) {
        (Ok(_), Ok(records)) => *records += 1,
        (Err(error), Ok(_)) => outcome = Err(unread(error)),
        _ => {}
    })
    .await;
    outcome
}

/// Merges neighbours where there are enough of one tier. Where one of them is damaged, they stay as
/// they are: what is whole in each can be read from it.
pub(super) async fn merge_some<D: Disk, P: Pace>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
    pace: &P,
) -> Result<(), CompactError> {
    while let Some(range) = full_tier(&manifest.archives) {
        let old = manifest.archives.get(range.clone()).unwrap_or_default();
        let old = old.to_vec();
        match merge(site, manifest, &old, pace).await {
            Ok(merged) => manifest.archives.splice(range, [merged]).for_each(drop),
            Err(CompactError::Read(ReadError::Damaged { .. })) => return Ok(()),
            Err(error) => return Err(error),
        }
        site.publish(manifest).await?;
    }
    Ok(())
}

/// Neighbours up to the newest of which none is of a higher tier than that, if they are enough and
/// not too long together; else those before them.
fn full_tier(archives: &[ArchiveName]) -> Option<Range<usize>> {
    let mut end = archives.len();
    while let Some(newest) = archives.get(..end)?.last() {
        let highest = tier(newest);
        let lower = archives.iter().take(end).rev();
        let count = lower.take_while(|archive| tier(archive) <= highest).count();
        let range = end - count..end;
        let bytes: u64 = archives
            .get(range.clone())?
            .iter()
            .map(|one| one.bytes)
            .sum();
        if count >= FAN_OUT && bytes <= MERGED_BYTES_MAX {
            return Some(range);
        }
        end = range.start;
    }
    None
}

/// By the segments that it covers.
fn tier(archive: &ArchiveName) -> u32 {
    let segments = archive.last_segment.saturating_sub(archive.first_segment) + 1;
    segments.ilog(FAN_OUT as u32)
}

async fn merge<D: Disk, P: Pace>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
    old: &[ArchiveName],
    pace: &P,
) -> Result<ArchiveName, CompactError> {
    let first_segment = old.first().map_or(0, |archive| archive.first_segment);
    let last_segment = old.last().map_or(0, |archive| archive.last_segment);
    let mut archivist = Archivist::begin(site, manifest, first_segment, last_segment).await?;
    let total = old.iter().map(|archive| archive.bytes).sum();
    let mut done = 0;
    for archive in old {
        if let Err(error) = archivist.copy(site, archive).await {
            archivist.writer.abandon().await;
            return Err(error);
        }
        done += archive.bytes;
        let at = "merging archives";
        pace.pause(Progress { at, done, total }).await;
    }
    archivist.finish(site).await
}

/// Archives of one tier that are merged into one of the next.
const FAN_OUT: usize = 8;

/// No merged archive is longer, in bytes.
const MERGED_BYTES_MAX: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn archives(spans: &[u32], bytes: u64) -> Vec<ArchiveName> {
        let mut next = 1;
        let archives = spans.iter().map(|span| {
            let first_segment = next;
            next += span;
            ArchiveName {
                number: first_segment,
                first_segment,
                last_segment: next - 1,
                bytes,
            }
        });
        archives.collect()
    }

    #[test]
    fn eight_neighbours_of_a_tier_are_merged() {
        assert_eq!(full_tier(&[]), None);
        assert_eq!(full_tier(&archives(&[2; 7], 100)), None);
        assert_eq!(full_tier(&archives(&[2; 8], 100)), Some(0..8));
        assert_eq!(
            full_tier(&archives(&[16, 2, 2, 2, 2, 2, 2, 2, 2], 100)),
            Some(1..9)
        );
        // A longer one behind takes those before it along.
        assert_eq!(
            full_tier(&archives(&[2, 2, 2, 2, 2, 2, 2, 8], 100)),
            Some(0..8)
        );
        assert_eq!(
            full_tier(&archives(&[8, 8, 8, 8, 8, 8, 8, 8, 2], 100)),
            Some(0..8)
        );
        assert_eq!(full_tier(&archives(&[2; 8], MERGED_BYTES_MAX / 7)), None);
    }

    #[test]
    fn many_become_few() {
        let mut list = Vec::new();
        for segment in (1..60_000).step_by(2) {
            let mut one = archives(&[2], 1_600_000);
            (one[0].first_segment, one[0].last_segment) = (segment, segment + 1);
            list.append(&mut one);
            while let Some(range) = full_tier(&list) {
                let old: Vec<ArchiveName> = list.drain(range.clone()).collect();
                let merged = ArchiveName {
                    last_segment: old[old.len() - 1].last_segment,
                    bytes: old.iter().map(|one| one.bytes).sum(),
                    ..old[0]
                };
                list.insert(range.start, merged);
            }
        }
        assert!(list.len() < 150, "{}", list.len());
    }
}
