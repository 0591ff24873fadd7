//! `ringpostctl compact`: gives back what nobody needs any more of a store, with no server on it.
//!
//! The same code does it in the server, slowly and all the time; here it goes as fast as it can,
//! and leaves less in the log.

use super::fsck::{OBJECTS_AT_ONCE, Store, look, look_through, owner};
use crate::client::{Client, table};
use crate::offline::{claim, with_shard};
use crate::progress;
use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use std::cell::Cell;
use std::fs;
use std::path::Path;
use store::compact::{Pace, Paced, Policy, Progress, Report, Stories, Task};
use store::disk::blocking::{BlockingDisk, run};
use store::disk::home::{Identity, shard_directory};
use store::pack::{Pack, PackHead};
use store::table::manifest::Manifest;
use store::table::name;

/// Moves live mail out of the log into compressed packs, writes packs anew of which too much is
/// dead, merges the index, and gives the space back. Needs free space for what is moved at one
/// time.
///
/// Without --keep all of the log is emptied, also the segment that is written to: another one is
/// begun first, and spare files are removed. A server keeps its newest mail in the log; where one
/// starts again soon, --keep what it keeps (log_kept_bytes_max, 1 GiB).
#[derive(Args)]
pub(crate) struct Compact {
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Look at every byte afterwards, as fsck does
    #[arg(long)]
    verify: bool,
    /// The newest mail that stays in the log of each shard, for example "1 GiB"; whole segments
    /// stay, and that which is written to is one of them
    #[arg(long, value_name = "BYTES", default_value = "0 B")]
    keep: String,
}

impl Compact {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<bool> {
        let keep = engine::config::size(&self.keep);
        let keep = keep.with_context(|| format!("--keep {}: write it as \"1 GiB\"", self.keep))?;
        if self.dry_run {
            let seen = look(client.data())?;
            return dry_run(client, &seen.path, &seen.identity, keep);
        }
        let home = claim(client.data())?;
        let before = Figures::of(&home.path, &home.identity);
        let policy = Policy {
            keep_log_bytes: keep,
            segments_least: 1,
            stories: Stories::ALL,
            ..Policy::default()
        };
        let bar = Bar::new(to_empty(&home.path, &home.identity, keep));
        let mut report = Report::default();
        for shard in 0..home.identity.shards {
            bar.shard.set(shard);
            let here = Paced(BlockingDisk::new(&home.path).around_cache(), &bar);
            with_shard(&home, shard, async |shard| {
                if keep == 0 {
                    // Where the disk is full, the space has to come from what can be emptied.
                    drop(shard.end_segment().await);
                }
                report.add(shard.keep_house(&here, &policy).await?);
                for _ in 0..REPACKS_MAX {
                    let repacked = shard.repack(&here, &policy).await?;
                    let has_gained = repacked.bytes_after < repacked.bytes_before;
                    report.add(repacked);
                    if !has_gained {
                        break;
                    }
                }
                shard.compact(&here, Task::MergeAll).await?;
                shard.sweep(&here).await?;
                if keep == 0 {
                    shard.log().remove_spares().await?;
                }
                Ok(())
            })
            .with_context(|| format!("shard {shard}: what was there before still is"))?;
        }
        drop(bar);
        let after = Figures::of(&home.path, &home.identity);
        client.say(&compared(&before, &after));
        client.say(&told(&report, &after));
        for damage in &report.damage {
            println!("{damage}");
        }
        let is_sound = report.damage.is_empty();
        if !self.verify {
            return Ok(is_sound);
        }
        let store = Store::of(&home.path, home.identity, OBJECTS_AT_ONCE);
        let found = look_through(client, &store, &mut |_| {});
        client.say(match found.all.is_clean() {
            true => "Verified: every byte was looked at, and all is well.",
            false => "The check found the damage above.",
        });
        Ok(is_sound && found.all.is_clean())
    }
}

/// Each writes some packs anew, until nothing is gained. With four million records at a time, these
/// are enough for any shard.
const REPACKS_MAX: u32 = 10_000;

fn told(report: &Report, after: &Figures) -> String {
    let dead = (report.dead_bytes * 100).checked_div(report.packed_bytes);
    let dead = dead.map_or("none".to_owned(), |percent| format!("{percent} %"));
    let ratio = (after.packed * 100).checked_div(after.unpacked);
    let ratio = ratio.map_or("nothing packed".to_owned(), |percent| {
        format!("{percent} %")
    });
    format!(
        "{} segments and {} packs were emptied, {} records moved, {} packs written.\nDead in \
         packs: {dead}. Packs take {ratio} of what is in them.",
        report.segments_emptied, report.packs_emptied, report.records_moved, report.packs_written
    )
}

fn dry_run(client: &Client, data: &Path, identity: &Identity, keep: u64) -> anyhow::Result<bool> {
    let disk = BlockingDisk::new(data);
    let mut rows = Vec::new();
    for shard in 0..identity.shards {
        let owner = owner(identity, shard);
        let read = Manifest::read(&disk, &owner.directory, owner.store, owner.shard);
        let manifest = run(read)?.unwrap_or_default();
        let emptied = emptied(data, shard, keep);
        rows.push([
            shard.to_string(),
            emptied.len().to_string(),
            mib(emptied.iter().sum()),
            manifest.runs.len().to_string(),
            manifest.packs.len().to_string(),
        ]);
    }
    let head = [
        "SHARD",
        "SEGMENTS TO EMPTY",
        "MIB IN THEM",
        "RUNS TO MERGE",
        "PACKS TO LOOK AT",
    ];
    client.say(&table(head, rows.into_iter()));
    client.say("Nothing was changed. What of it is dead is known once the index was gone through.");
    Ok(true)
}

/// Octets that are emptied in all shards.
fn to_empty(data: &Path, identity: &Identity, keep: u64) -> u64 {
    let shards = 0..identity.shards;
    shards.flat_map(|shard| emptied(data, shard, keep)).sum()
}

/// Lengths of the segments that are emptied.
fn emptied(data: &Path, shard: u16, keep: u64) -> Vec<u64> {
    let mut log = segments(&data.join(shard_directory(shard)).join("log"));
    let kept = keep.div_ceil(store::limit::SEGMENT_BYTES) as usize;
    log.truncate(log.len().saturating_sub(kept));
    log
}

/// Lengths of the segments in a directory, oldest first.
fn segments(log: &Path) -> Vec<u64> {
    let mut found: Vec<(String, u64)> = files(log)
        .into_iter()
        .filter(|(name, _)| name.ends_with(".log"))
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, bytes)| bytes).collect()
}

/// Names and lengths of the files in a directory; nothing where there is none.
fn files(directory: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some((name, entry.metadata().ok()?.len()))
    });
    files.collect()
}

/// Files of one kind and their bytes.
#[derive(Default)]
struct Kind {
    files: u64,
    bytes: u64,
}

/// What a store takes.
#[derive(Default)]
struct Figures {
    log: Kind,
    spare: Kind,
    packs: Kind,
    archives: Kind,
    runs: Kind,
    locations: Kind,
    /// Of packs, in the file and before compression.
    packed: u64,
    unpacked: u64,
}

impl Figures {
    fn of(data: &Path, identity: &Identity) -> Figures {
        let mut figures = Figures::default();
        for shard in 0..identity.shards {
            let directory = data.join(shard_directory(shard));
            for below in ["log", name::INDEX, name::PACKS, name::ARCHIVE] {
                for (file, bytes) in files(&directory.join(below)) {
                    if let Some(kind) = figures.kind(below, &file) {
                        kind.files += 1;
                        kind.bytes += bytes;
                    }
                }
            }
            figures.unpack(data, identity, shard);
        }
        figures
    }

    fn kind(&mut self, below: &str, file: &str) -> Option<&mut Kind> {
        let (_, end) = file.rsplit_once('.')?;
        match (below, end) {
            ("log", "log") => Some(&mut self.log),
            ("log", "spare") => Some(&mut self.spare),
            (name::PACKS, "pack") => Some(&mut self.packs),
            (name::ARCHIVE, "pack") => Some(&mut self.archives),
            (_, "run") => Some(&mut self.runs),
            (_, "loc") => Some(&mut self.locations),
            _ => None,
        }
    }

    /// What the packs hold. One that cannot be opened is left to fsck.
    fn unpack(&mut self, data: &Path, identity: &Identity, shard: u16) {
        let (disk, owner) = (BlockingDisk::new(data), owner(identity, shard));
        let read = Manifest::read(&disk, &owner.directory, owner.store, owner.shard);
        let manifest = run(read).ok().flatten().unwrap_or_default();
        for pack in &manifest.packs {
            let head = PackHead {
                store: owner.store,
                shard: owner.shard,
                number: pack.number,
            };
            let path = name::pack(&owner.directory, pack.number);
            if let Ok(pack) = run(Pack::open(&disk, &path, head)) {
                self.packed += pack.summary().bytes;
                self.unpacked += pack.summary().raw_bytes;
            }
        }
    }
}

fn compared(before: &Figures, after: &Figures) -> String {
    type Of = fn(&Figures) -> &Kind;
    let kinds: [(&str, Of); 6] = [
        ("log", |figures| &figures.log),
        ("spare segments", |figures| &figures.spare),
        ("packs", |figures| &figures.packs),
        ("archives", |figures| &figures.archives),
        ("runs", |figures| &figures.runs),
        ("locations", |figures| &figures.locations),
    ];
    let bytes = |figures: &Figures| kinds.iter().map(|(_, kind)| kind(figures).bytes).sum();
    let rows = kinds.iter().map(|(name, kind)| {
        let (before, after) = (kind(before), kind(after));
        let [files_before, files_after] = [before, after].map(|kind| kind.files.to_string());
        let name = (*name).to_owned();
        [
            name,
            files_before,
            mib(before.bytes),
            files_after,
            mib(after.bytes),
        ]
    });
    let all = [
        "all".to_owned(),
        String::new(),
        mib(bytes(before)),
        String::new(),
        mib(bytes(after)),
    ];
    let head = ["", "FILES BEFORE", "MIB", "FILES AFTER", "MIB"];
    table(head, rows.chain([all]))
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

/// How far all of it is, on a terminal: octets of the files that are emptied. How many packs are
/// written anew is known when a shard's log is empty; they are added then.
struct Bar {
    octets: ProgressBar,
    shard: Cell<u16>,
    /// Of the tasks that are done.
    done: Cell<u64>,
    /// The task of the moment.
    task: Cell<Option<Progress>>,
}

impl Bar {
    /// So many octets will be emptied, as far as it is known.
    fn new(octets: u64) -> Bar {
        Bar {
            octets: progress::octets(octets),
            shard: Cell::new(0),
            done: Cell::new(0),
            task: Cell::new(None),
        }
    }
}

impl Pace for Bar {
    async fn pause(&self, progress: Progress) {
        if let Some(before) = self.task.replace(Some(progress))
            && (before.done > progress.done || before.total != progress.total)
        {
            self.done.set(self.done.get() + before.total);
        }
        let (done, at) = (self.done.get(), progress.at);
        let known = self.octets.length().unwrap_or_default();
        self.octets.set_length(known.max(done + progress.total));
        self.octets.set_position(done + progress.done);
        self.octets
            .set_message(format!("shard {}, {at}", self.shard.get()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::iter::once;

    fn shown(bar: &Bar, told: impl Iterator<Item = (u64, u64)>) -> (u64, Option<u64>) {
        for (done, total) in told {
            let at = "at work";
            run(bar.pause(Progress { at, done, total }));
        }
        (bar.octets.position(), bar.octets.length())
    }

    #[test]
    fn the_bar_goes_through_all_tasks() {
        let bar = Bar::new(300);
        assert_eq!(
            shown(&bar, [(0, 200), (150, 200)].into_iter()),
            (150, Some(300))
        );
        // The next task begins, and one that was not known before.
        assert_eq!(shown(&bar, once((10, 100))), (210, Some(300)));
        assert_eq!(shown(&bar, once((0, 70))), (300, Some(370)));
        assert_eq!(shown(&bar, once((70, 70))), (370, Some(370)));
    }
}
