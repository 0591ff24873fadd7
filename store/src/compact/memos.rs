//! Runs of memos: what a shard froze is written down, and runs are merged.
//!
//! They are merged tier by tier, as the runs of the index are, and a run of which half is over is
//! written anew by itself. What is removed or over is left out where no older run can know the
//! key; else it stays as a removal. What time it is, the newest run says.

use super::merge::full_tier;
use super::{CompactError, Site, unwritten};
use crate::disk::Disk;
use crate::log::RecordRef;
use crate::mailbox::frozen::Frozen;
use crate::memo::{Entry, MemoRun, MemoWriter, Merged, Shelf, key_of};
use crate::record::{Fact, MemoChange};
use crate::table::manifest::{Manifest, RunName};
use std::ops::Range;
use std::rc::Rc;

/// Writes down what changed of the memos, if anything did. Nothing is published.
pub(super) async fn write_down<D: Disk>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
    frozen: &Frozen,
) -> Result<(), CompactError> {
    if frozen.memos.is_empty() {
        return Ok(());
    }
    let mut merged = Merged::default();
    merged.add_tail(&frozen.memos, &[]);
    let merging = Merging {
        merged,
        older: site.shelf(&manifest.memos).await?,
        entries: frozen.memos.len() as u64,
        secs: frozen.secs,
    };
    let run = merging.write(site, manifest, 0).await?;
    manifest.memos.extend(run);
    manifest.has_memos = true;
    Ok(())
}

/// Merges every tier that is full, and writes runs anew of which half is over.
pub(super) async fn merge_some<D: Disk>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
) -> Result<(), CompactError> {
    while let Some(range) = full_tier(&manifest.memos) {
        merge(site, manifest, range, 1).await?;
    }
    // Whatever is written anew is not half over.
    while let Some(at) = half_over(&site.shelf(&manifest.memos).await?) {
        merge(site, manifest, at..at + 1, 0).await?;
    }
    Ok(())
}

/// The first run of which half is over.
fn half_over(shelf: &Shelf) -> Option<usize> {
    let secs = shelf.secs();
    let is_over = |run: &Rc<MemoRun>| (1..=secs).contains(&run.head().half_secs);
    shelf.runs().iter().position(is_over)
}

/// Merges all runs into one.
pub(super) async fn merge_all<D: Disk>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
) -> Result<(), CompactError> {
    match manifest.memos.len() {
        0 | 1 => Ok(()),
        count => merge(site, manifest, 0..count, 1).await,
    }
}

/// Makes one run of a range of them, so many tiers above the highest.
async fn merge<D: Disk>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
    range: Range<usize>,
    above: u16,
) -> Result<(), CompactError> {
    let shelf = site.shelf(&manifest.memos).await?;
    let secs = shelf.secs();
    let of = |range: Range<usize>| {
        let runs = shelf.runs().get(range).unwrap_or_default();
        Shelf::new(runs.iter().map(Rc::clone).collect())
    };
    let (older, these) = (of(0..range.start), of(range.clone()));
    let mut merged = Merged::default();
    merged.add_shelf(&these, &[]);
    let merging = Merging {
        merged,
        older,
        entries: these.runs().iter().map(|run| run.head().entries).sum(),
        secs,
    };
    let names = manifest.memos.get(range.clone()).unwrap_or_default();
    let highest = names.iter().map(|name| name.tier).max().unwrap_or(0);
    let run = merging
        .write(site, manifest, highest.saturating_add(above))
        .await?;
    manifest.memos.splice(range, run);
    site.publish(manifest).await
}

/// Whether a record that is emptied must go to the archive, so that an index that is made of
/// archives and log has the same memos: what is removed or replaced by now says nothing any more,
/// and what was put first and will be over leaves nothing behind.
pub(super) fn needs(shelf: &Shelf, record: &RecordRef<'_>) -> bool {
    let Ok(Fact::Memo(fact)) = Fact::decode(record.kind, record.payload) else {
        return true;
    };
    let MemoChange::Put(memo) = &fact.change else {
        // An older archive may have what it removes.
        return true;
    };
    match (memo.expiry_secs, fact.is_first) {
        (0, _) => match shelf.find(&key_of(memo.space, &memo.key)) {
            Ok(Some(Entry::Put {
                expiry_secs, value, ..
            })) => expiry_secs == 0 && value == memo.value.as_slice(),
            Ok(_) => false,
            Err(_) => true,
        },
        (_, is_first) => !is_first,
    }
}

/// What goes into a run.
struct Merging<'a> {
    merged: Merged<'a>,
    /// Runs that go below it.
    older: Shelf,
    /// At most.
    entries: u64,
    secs: i64,
}

impl Merging<'_> {
    async fn write<D: Disk>(
        mut self,
        site: &Site<'_, D>,
        manifest: &mut Manifest,
        tier: u16,
    ) -> Result<Option<RunName>, CompactError> {
        let name = RunName {
            number: manifest.take_number(),
            tier,
            bytes: 0,
        };
        let run = site.create_run(&name).await?;
        let mut writer = MemoWriter::new(run, self.entries, self.secs);
        if let Err(error) = self.write_all(&mut writer).await {
            writer.abandon().await;
            return Err(error);
        }
        if writer.is_empty() {
            writer.abandon().await;
            return Ok(None);
        }
        let bytes = writer.finish().await.map_err(unwritten)?;
        let name = RunName { bytes, ..name };
        let run = site.open_run(&name).await?;
        run.verify()?;
        MemoRun::open(run)?.verify()?;
        Ok(Some(name))
    }

    async fn write_all<D: Disk>(&mut self, writer: &mut MemoWriter<D>) -> Result<(), CompactError> {
        while let Some((key, entry)) = self.merged.next()? {
            let entry = match entry.is_over(self.secs) {
                false => entry,
                true if self.older.may_know(&key) => Entry::Gone,
                true => continue,
            };
            writer.add(&key, &entry).await.map_err(unwritten)?;
        }
        Ok(())
    }
}
