//! Gives back what only old generations need.
//!
//! ```text
//!  lists of old generations, oldest first ─→ files that no list names ─→ what lay beside the lists
//! ```
//!
//! What no list names does not count, so a pruning that is cut short leaves every list that is
//! there whole, and the next one goes on. Only files under the names of a backup are ever removed.

use super::error::at;
use super::list::Generation;
use super::segments::{log_directory, segment_path};
use super::{Backup, BackupError, GENERATIONS, Progress, generation_directory, list_path, text};
use crate::disk::{Disk, File, Mode};
use crate::table::name::{ARCHIVE, INDEX, PACKS};
use std::collections::BTreeSet;
use std::io;
use std::num::NonZeroUsize;

/// What was removed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pruned {
    pub generations: Vec<u32>,
    pub kept: Vec<u32>,
    pub files: u64,
    pub bytes: u64,
}

/// Keeps the last `keep` generations. Whoever calls this has locked the backup.
pub async fn prune<D: Disk>(
    backup: &Backup<D>,
    keep: NonZeroUsize,
    progress: Progress<'_>,
) -> Result<Pruned, BackupError> {
    let mut lists = backup.lists().await?;
    lists.retain(|(_, list)| list.is_some());
    let kept = lists.split_off(lists.len().saturating_sub(keep.get()));
    // One that cannot be read may name anything: then nothing is removed.
    let kept = kept.into_iter().filter_map(|(_, list)| list);
    let kept: Vec<Generation> = kept.collect::<Result<_, _>>()?;
    let mut pruned = Pruned {
        kept: kept.iter().map(|generation| generation.number).collect(),
        ..Pruned::default()
    };
    if kept.is_empty() {
        return Err(BackupError::NoGeneration(None));
    }
    for (number, _) in lists {
        remove(backup, &list_path(number), &mut pruned).await?;
        pruned.generations.push(number);
    }
    let surplus = surplus(backup, &kept).await?;
    for (done, path) in (1..).zip(&surplus) {
        remove(backup, path, &mut pruned).await?;
        progress(done, surplus.len() as u64);
    }
    Ok(pruned)
}

/// Files of a backup that none of these generations needs.
async fn surplus<D: Disk>(
    backup: &Backup<D>,
    kept: &[Generation],
) -> Result<Vec<String>, BackupError> {
    let mut surplus = Vec::new();
    for shard in 0..backup.identity.shards {
        let owner = backup.owner(shard);
        let copies = kept.iter().filter_map(|g| g.shards.get(usize::from(shard)));
        let mut named = BTreeSet::new();
        for copy in copies {
            let tables = copy.tables.iter();
            named.extend(tables.map(|table| format!("{}/{}", owner.directory, table.path)));
            let segments = copy.segments.iter();
            named.extend(segments.map(|segment| segment_path(&owner, segment.number)));
        }
        let directory = &owner.directory;
        for below in [INDEX, PACKS, ARCHIVE].map(|below| format!("{directory}/{below}")) {
            surplus.extend(files(backup, &below, &[".run", ".loc", ".pack"]).await?);
        }
        surplus.extend(files(backup, &log_directory(&owner), &[".log"]).await?);
        surplus.retain(|path| !named.contains(path));
    }
    let kept: BTreeSet<u32> = kept.iter().map(|generation| generation.number).collect();
    for number in backup.numbers().await? {
        if kept.contains(&number) {
            continue;
        }
        let above = format!("{GENERATIONS}/{number:08x}");
        surplus.extend(files(backup, &above, &[&text::draft("list")]).await?);
        for shard in 0..backup.identity.shards {
            let directory = generation_directory(number, shard);
            let ours = ["MANIFEST", "MANIFEST.draft", "tail"];
            surplus.extend(files(backup, &directory, &ours).await?);
        }
    }
    Ok(surplus)
}

/// The files of a directory whose names end like that.
async fn files<D: Disk>(
    backup: &Backup<D>,
    directory: &str,
    endings: &[&str],
) -> Result<Vec<String>, BackupError> {
    let names = backup.disk.list(directory).await.map_err(at(directory))?;
    let is_ours =
        |name: &&String| !name.contains('/') && endings.iter().any(|ending| name.ends_with(ending));
    let ours = names.iter().filter(is_ours);
    Ok(ours.map(|name| format!("{directory}/{name}")).collect())
}

async fn remove<D: Disk>(
    backup: &Backup<D>,
    path: &str,
    pruned: &mut Pruned,
) -> Result<(), BackupError> {
    let disk = &backup.disk;
    let bytes = match disk.open(path, Mode::Read).await {
        Ok(file) => file.len().await.map_err(at(path))?,
        Err(_) => 0,
    };
    match disk.remove(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(at(path))?,
    }
    pruned.files += 1;
    pruned.bytes += bytes;
    Ok(())
}
