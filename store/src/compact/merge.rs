//! Merging runs: the layers of a mailbox are composed, newer metadata replaces older.
//!
//! Runs are merged size by size: eight of one tier make one of the next. What the oldest run of all
//! takes part in has nothing below it, so that tombstones and overlays end there.

use super::{CompactError, Where, at_path};
use crate::disk::Disk;
use crate::mail::id::{AccountId, MailboxId};
use crate::mailbox::card::Card;
use crate::mailbox::index::Index;
use crate::mailbox::layer::{Layer, compose};
use crate::table::manifest::{Manifest, RunName};
use crate::table::run::{Run, RunWriter};
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

/// Runs of one tier that are merged into one of the next.
const FAN_OUT: usize = 8;

/// Merges the newest tier that is full, and what fills up by that.
pub(super) async fn merge_some<D: Disk + Clone>(
    disk: &D,
    at: &Where,
    manifest: &mut Manifest,
) -> Result<(), CompactError> {
    while let Some(range) = full_tier(&manifest.runs) {
        merge(disk, at, manifest, range).await?;
    }
    Ok(())
}

/// Merges all runs into one.
pub(super) async fn merge_all<D: Disk + Clone>(
    disk: &D,
    at: &Where,
    manifest: &mut Manifest,
) -> Result<(), CompactError> {
    if manifest.runs.len() < 2 {
        return Ok(());
    }
    merge(disk, at, manifest, 0..manifest.runs.len()).await
}

/// The runs of the lowest tier that has enough of them. Tiers descend from the oldest run to the
/// newest, so that a tier is one range.
fn full_tier(runs: &[RunName]) -> Option<Range<usize>> {
    let mut end = runs.len();
    while let Some(newest) = end.checked_sub(1).and_then(|last| runs.get(last)) {
        let below = runs.get(..end).unwrap_or_default();
        let start = below.partition_point(|run| run.tier > newest.tier);
        if end - start >= FAN_OUT {
            return Some(start..end);
        }
        end = start;
    }
    None
}

async fn merge<D: Disk + Clone>(
    disk: &D,
    at: &Where,
    manifest: &mut Manifest,
    range: Range<usize>,
) -> Result<(), CompactError> {
    let names = manifest.runs.get(range.clone()).unwrap_or_default();
    let mut runs = Vec::with_capacity(names.len());
    for name in names {
        runs.push(Rc::new(at.open_run(disk, name).await?));
    }
    let tier = names.iter().map(|name| name.tier).max().unwrap_or(0);
    let merging = Merging {
        index: Index::new(runs),
        is_bottom: range.start == 0,
    };
    let number = manifest.take_number();
    let name = at.new_run(number, tier.saturating_add(1));
    let bytes = merging.write(at.create_run(disk, &name).await?).await;
    let bytes = bytes.map_err(|error| at.run_error(&name, error))?;
    let name = RunName { bytes, ..name };
    at.open_run(disk, &name).await?.verify()?;
    manifest.runs.splice(range, [name]);
    at.publish(disk, manifest).await
}
