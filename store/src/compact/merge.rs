//! Merging runs: the layers of a mailbox are composed, newer metadata replaces older.
//!
//! Runs are merged tier by tier: eight of one make one of the next. What the oldest run of all
//! takes part in has nothing below it, so that tombstones and overlays end there.

use super::{CompactError, Site, unwritten};
use crate::disk::Disk;
use crate::mail::id::{AccountId, MailboxId};
use crate::mailbox::card::Card;
use crate::mailbox::index::Index;
use crate::table::manifest::{Manifest, RunName};
use crate::table::run::RunWriter;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

/// Runs of one tier that are merged into one of the next.
const FAN_OUT: usize = 8;

/// Merges every tier that is full.
pub(super) async fn merge_some<D: Disk>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
) -> Result<(), CompactError> {
    while let Some(range) = full_tier(&manifest.runs) {
        merge(site, manifest, range).await?;
    }
    Ok(())
}

/// Merges all runs into one.
pub(super) async fn merge_all<D: Disk>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
) -> Result<(), CompactError> {
    if manifest.runs.len() < 2 {
        return Ok(());
    }
    let every = 0..manifest.runs.len();
    merge(site, manifest, every).await
}

/// The runs of the lowest tier that has enough of them. Tiers never rise from the oldest run to the
/// newest, so that a tier is one range.
pub(super) fn full_tier(runs: &[RunName]) -> Option<Range<usize>> {
    let mut end = runs.len();
    while let Some(newest) = end.checked_sub(1).and_then(|last| runs.get(last)) {
        let known = runs.get(..end).unwrap_or_default();
        let start = known.partition_point(|run| run.tier > newest.tier);
        if end - start >= FAN_OUT {
            return Some(start..end);
        }
        end = start;
    }
    None
}

async fn merge<D: Disk>(
    site: &Site<'_, D>,
    manifest: &mut Manifest,
    range: Range<usize>,
) -> Result<(), CompactError> {
    let names = manifest.runs.get(range.clone()).unwrap_or_default();
    let mut runs = Vec::with_capacity(names.len());
    for name in names {
        runs.push(Rc::new(site.open_run(name).await?));
    }
    let highest = names.iter().map(|name| name.tier).max().unwrap_or(0);
    let merging = Merging::of(Index::new(runs), range.start == 0)?;
    let name = RunName {
        number: manifest.take_number(),
        tier: highest.saturating_add(1),
        bytes: 0,
    };
    let mut writer = site.create_run(&name).await?;
    if let Err(error) = merging.write(&mut writer).await {
        writer.abandon().await;
        return Err(error);
    }
    let bytes = writer.finish().await.map_err(unwritten)?;
    let name = RunName { bytes, ..name };
    site.open_run(&name).await?.verify()?;
    manifest.runs.splice(range, [name]);
    site.publish(manifest).await
}

/// What goes into the merged run.
struct Merging {
    index: Index,
    /// There are no older runs.
    is_bottom: bool,
    /// The newest card of each account, encoded; where it lies: the run, from the oldest.
    cards: BTreeMap<u32, Vec<u8>>,
    removed: BTreeSet<u32>,
}

impl Merging {
    fn of(index: Index, is_bottom: bool) -> Result<Merging, CompactError> {
        let mut cards = BTreeMap::new();
        for run in index.runs() {
            for (account, card) in run.cards()? {
                cards.insert(account, card.to_vec());
            }
        }
        let is_removed = |account: u32, card: &[u8]| {
            Card::decode(AccountId(account), card).is_ok_and(|card| card.is_removed)
        };
        let removed = cards
            .iter()
            .filter(|(account, card)| is_removed(**account, card))
            .map(|(account, _)| *account)
            .collect();
        Ok(Merging {
            index,
            is_bottom,
            cards,
            removed,
        })
    }

    async fn write<D: Disk>(&self, writer: &mut RunWriter<D>) -> Result<(), CompactError> {
        let mut mailboxes: Option<BTreeSet<MailboxId>> = None;
        let mut encoded = Vec::new();
        for (id, of) in self.index.keys()? {
            let (account, mailbox) = (id.0, of.0);
            if self.removed.contains(&account) {
                continue;
            }
            if account == 0 && mailbox != 0 {
                self.write_chunk(writer, mailbox).await?;
                continue;
            }
            if of == MailboxId(0) {
                let part = self.index.newest(id, of).unwrap_or(Ok(&[]))?;
                writer.part(account, 0, part).await.map_err(unwritten)?;
                mailboxes = (account != 0)
                    .then(|| self.index.mailboxes(id))
                    .transpose()?;
                continue;
            }
            if mailboxes.as_ref().is_some_and(|known| !known.contains(&of)) {
                continue;
            }
            encoded.clear();
            self.index
                .layer(id, of, self.is_bottom)?
                .encode(&mut encoded);
            writer
                .part(account, mailbox, &encoded)
                .await
                .map_err(unwritten)?;
        }
        for (account, card) in &self.cards {
            if !(self.is_bottom && self.removed.contains(account)) {
                writer.card(*account, card).await.map_err(unwritten)?;
            }
        }
        Ok(())
    }

    /// The newest part of a chunk of the queue. One that has become empty says so to older runs.
    async fn write_chunk<D: Disk>(
        &self,
        writer: &mut RunWriter<D>,
        chunk: u32,
    ) -> Result<(), CompactError> {
        let part = self.index.newest(AccountId(0), MailboxId(chunk));
        let part = part.unwrap_or(Ok(&[]))?;
        if self.is_bottom && part.is_empty() {
            return Ok(());
        }
        writer.part(0, chunk, part).await.map_err(unwritten)
    }
}
