//! Backups: consistent copies of a store that may be running, and stores made of them again.
//!
//! A backup is one growing mirror and a list for each time that it was taken. What is immutable in
//! the store is copied once; a segment of the log is copied as far as it has frames, and grows in
//! the mirror as it grew in the store, so that a list says how much of it is its own. A list is
//! written last, when everything in it is whole and verified: what no list names does not count.
//!
//! ```text
//! BACKUP/backup                        whose backup it is
//! BACKUP/generations/%08x/list         what belongs to this generation, text
//! BACKUP/generations/%08x/shard-NN/MANIFEST
//! BACKUP/generations/%08x/shard-NN/tail  the last frame of its log, see [`tail`]
//! BACKUP/shard-NN/{log,index,packs,archive}/…   the mirror, names as in the store
//! ```
//!
//! No lock of the store is taken. Its files are immutable or, in the log, checked frame by frame;
//! if the compactor replaces files meanwhile, the copying begins again with its new manifest. The
//! shards are copied one after the other, so the end of each log is cut such that no shard
//! remembers a dealing that the other one does not ([`cut`]).

mod copy;
mod cut;
mod error;
mod list;
mod past;
mod plan;
mod prune;
mod restore;
mod segments;
mod tail;
mod take;
mod text;
mod verify;

pub use error::{BackupError, Moment};
pub use list::{Generation, SegmentCopy, ShardCopy, TableCopy, Tail};
pub use plan::{Plan, ShardPlan};
pub use prune::{Pruned, prune};
pub use restore::restore;
pub use take::{Taken, take};
pub use verify::{Fault, Verified, verify};

use crate::disk::Disk;
use crate::disk::home::{Identity, shard_directory};
use crate::mail::id::ShardId;
use crate::table::locations::Owner;
use std::collections::BTreeSet;

/// Told of bytes that were looked at, and of how many there are in all as far as is known.
pub type Progress<'a> = &'a dyn Fn(u64, u64);

/// A list that is there, whether it can be read or not.
type List = Result<Generation, BackupError>;

/// A backup that is open.
pub struct Backup<D> {
    disk: D,
    pub identity: Identity,
}

impl<D: Disk> Backup<D> {
    /// The backup of the store `identity` below the root of `disk`; made where nothing is there.
    pub async fn open_or_make(disk: D, identity: Identity) -> Result<Backup<D>, BackupError> {
        match text::read(&disk, HEAD).await? {
            Some(head) => {
                let found = list::parse_head(HEAD, &head)?;
                if found != identity {
                    return Err(BackupError::OtherStore);
                }
            }
            None => {
                if !is_empty(&disk).await? {
                    return Err(BackupError::NoBackup);
                }
                text::write(&disk, HEAD, &list::head(&identity)).await?;
            }
        }
        Ok(Backup { disk, identity })
    }

    /// A backup that must be there.
    pub async fn open(disk: D) -> Result<Backup<D>, BackupError> {
        let head = text::read(&disk, HEAD).await?;
        let identity = list::parse_head(HEAD, &head.ok_or(BackupError::NoBackup)?)?;
        Ok(Backup { disk, identity })
    }

    /// Every generation that is whole, oldest first.
    pub async fn generations(&self) -> Result<Vec<Generation>, BackupError> {
        let lists = self.lists().await?.into_iter();
        lists.filter_map(|(_, list)| list).collect()
    }

    /// What there is of each generation, oldest first; no list where it is not whole.
    async fn lists(&self) -> Result<Vec<(u32, Option<List>)>, BackupError> {
        let mut lists = Vec::new();
        for number in self.numbers().await? {
            let path = list_path(number);
            let list = match text::read(&self.disk, &path).await {
                Ok(None) => None,
                Ok(Some(text)) => Some(Generation::parse(&path, &text, number, &self.identity)),
                Err(error) => Some(Err(error)),
            };
            lists.push((number, list));
        }
        Ok(lists)
    }

    /// The numbers of generations, whole or not, ascending.
    async fn numbers(&self) -> Result<Vec<u32>, BackupError> {
        let names = self.disk.list(GENERATIONS).await;
        let names = names.map_err(error::at(GENERATIONS))?;
        // A disk may list what lies further below, too.
        let number = |name: &String| u32::from_str_radix(name.split('/').next()?, 16).ok();
        let numbers: BTreeSet<u32> = names.iter().filter_map(number).collect();
        Ok(numbers.into_iter().collect())
    }

    fn owner(&self, shard: u16) -> Owner {
        owner(&self.identity, shard)
    }
}

/// Whose files those of a shard are, in the store and in the mirror.
fn owner(identity: &Identity, shard: u16) -> Owner {
    Owner {
        store: identity.uuid,
        shard: ShardId(shard),
        directory: shard_directory(shard),
    }
}

/// Where the manifest of a shard lies.
fn generation_directory(number: u32, shard: u16) -> String {
    format!("{GENERATIONS}/{number:08x}/{}", shard_directory(shard))
}

fn list_path(number: u32) -> String {
    format!("{GENERATIONS}/{number:08x}/list")
}

async fn is_empty<D: Disk>(disk: &D) -> Result<bool, BackupError> {
    let names = disk.list("").await.map_err(error::at("the backup"))?;
    Ok(names
        .iter()
        .all(|name| name == LOCK || *name == text::draft(HEAD)))
}

const HEAD: &str = "backup";
const GENERATIONS: &str = "generations";

/// A file that whoever takes the backup may have locked.
pub const LOCK: &str = "lock";
