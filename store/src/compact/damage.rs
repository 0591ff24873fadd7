//! Damage that a task comes by: whom it costs what, and the files that are kept for it.
//!
//! A segment with damage is not given back to the log when it is emptied: it goes to `damaged/`. A
//! text there, made before the manifest that empties it, says why; so the file is kept also when
//! the process dies between the two. A pack with damage stays in its place and is never emptied.

use super::census::Entry;
use super::live::each_mailbox;
use super::report::{Damage, Lost, LostMessage};
use super::{CompactError, Site, unwritten};
use crate::disk::Disk;
use crate::disk::create::Creator;
use crate::error::Container;
use crate::limit::BLOCK_BYTES;
use crate::mail::id::ObjectId;
use crate::mailbox::index::Index;
use crate::table::TableError;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io;
use std::ops::RangeInclusive;

/// Damage, before it is known whom it costs what.
#[derive(Debug)]
pub(super) struct Found {
    container: Container,
    offset: u64,
    what: &'static str,
    /// Those of whose rows and items the messages are lost.
    objects: Option<RangeInclusive<ObjectId>>,
}

impl Found {
    pub(super) fn octets(container: Container, offset: u64, what: &'static str) -> Found {
        Found {
            container,
            offset,
            what,
            objects: None,
        }
    }

    /// A record that is live and cannot be read.
    pub(super) fn lost(entry: &Entry) -> Found {
        let last = ObjectId(entry.object.0 + u64::from(entry.reach));
        Found {
            container: entry.place.container(),
            offset: entry.place.offset(),
            what: "a record that is needed cannot be read",
            objects: Some(entry.object..=last),
        }
    }
}

/// Names what is lost, and to whom.
pub(super) fn named(index: &Index, found: Vec<Found>) -> Result<Vec<Damage>, TableError> {
    // The last object of a loss, and which it is, by the first: losses do not overlap.
    let losses: BTreeMap<ObjectId, (ObjectId, usize)> = (found.iter().enumerate())
        .filter_map(|(at, found)| {
            let objects = found.objects.as_ref()?;
            Some((*objects.start(), (*objects.end(), at)))
        })
        .collect();
    let mut named: Vec<Damage> = Vec::new();
    let mut losers = BTreeSet::new();
    let mut name = |object: ObjectId, lost: Lost| {
        let before = losses.range(..=object).next_back();
        if let Some((_, (_, at))) = before.filter(|(_, (last, _))| *last >= object) {
            losers.insert(*at);
            named.extend(found.get(*at).map(|found| found.named(Some(lost))));
        }
    };
    if !losses.is_empty() {
        each_mailbox(index, |account, mailbox, layer| {
            for row in layer.arrivals.iter() {
                let uid = row.uid;
                let lost = LostMessage {
                    account,
                    mailbox,
                    uid,
                };
                name(row.delivery, Lost::Message(lost));
            }
        })?;
        index.each_queued(|item, slot| name(slot.record(), Lost::Item(item)))?;
    }
    let others = found.iter().enumerate();
    let others = others.filter(|(at, _)| !losers.contains(at));
    named.extend(others.map(|(_, found)| found.named(None)));
    Ok(named)
}

/// Damage that costs nobody anything that can be named.
pub(super) fn unnamed(found: &[Found]) -> Vec<Damage> {
    found.iter().map(|found| found.named(None)).collect()
}

impl Found {
    fn named(&self, lost: Option<Lost>) -> Damage {
        Damage {
            container: self.container,
            offset: self.offset,
            what: self.what,
            lost,
        }
    }
}

/// Writes down what is damaged, so that the files it lies in are kept.
pub(super) async fn keep_aside<D: Disk>(
    site: &Site<'_, D>,
    damage: &[Damage],
) -> Result<(), CompactError> {
    let directory = format!("{}/{DAMAGED}", site.owner.directory);
    let made = site.disk.create_directory(&directory).await;
    made.map_err(unwritten)?;
    let names: BTreeSet<String> = damage.iter().filter_map(|d| note(d.container)).collect();
    for name in names {
        let mut text = String::new();
        let here = |d: &&Damage| note(d.container).as_ref() == Some(&name);
        for damage in damage.iter().filter(here) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{damage}");
        }
        write(site, &format!("{directory}/{name}"), text).await?;
    }
    Ok(())
}

/// The containers of which something is written down, by the names of the notes.
pub(super) async fn noted<D: Disk>(site: &Site<'_, D>) -> Result<BTreeSet<String>, CompactError> {
    let directory = format!("{}/{DAMAGED}", site.owner.directory);
    let names = site.disk.list(&directory).await.map_err(unwritten)?;
    Ok(names.into_iter().collect())
}

/// The segments of which something is written down in the directory of a shard.
pub(crate) async fn damaged_segments<D: Disk>(
    disk: &D,
    directory: &str,
) -> io::Result<BTreeSet<u32>> {
    let names = disk.list(&format!("{directory}/{DAMAGED}")).await?;
    let number = |name: &String| {
        let digits = name.strip_suffix(".log.txt")?;
        u32::from_str_radix(digits, 16).ok()
    };
    Ok(names.iter().filter_map(number).collect())
}

/// Where a damaged segment is kept.
pub(crate) fn kept_segment(directory: &str, segment: u32) -> String {
    format!("{directory}/{DAMAGED}/{segment:016x}.log")
}

/// The name of what is written down of a container.
pub(super) fn note(container: Container) -> Option<String> {
    match container {
        Container::Segment(number) => Some(format!("{number:016x}.log.txt")),
        Container::Pack(number) => Some(format!("{number:08x}.pack.txt")),
        Container::Locations(_) | Container::Run(_) => None,
    }
}

async fn write<D: Disk>(
    site: &Site<'_, D>,
    path: &str,
    mut text: String,
) -> Result<(), CompactError> {
    match site.disk.remove(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritten(error)),
        _ => {}
    }
    let padded = text.len().next_multiple_of(BLOCK_BYTES);
    text.extend(std::iter::repeat_n('\n', padded - text.len()));
    let creator = Creator::new(site.disk.clone(), path).await;
    let mut creator = creator.map_err(unwritten)?;
    creator.append(text.as_bytes()).await.map_err(unwritten)?;
    creator.finish().await.map(drop).map_err(unwritten)
}

/// The directory of a shard's damaged files.
const DAMAGED: &str = "damaged";
