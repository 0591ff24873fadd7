//! Immutable files: copied octet by octet, read back, and verified by what they are.

use super::error::{at, of_pack, of_store, of_table};
use super::list::TableCopy;
use super::{Backup, BackupError};
use crate::codec::checksum::append;
use crate::disk::create::Creator;
use crate::disk::{Block, Disk, File, Mode};
use crate::limit::BLOCK_BYTES;
use crate::pack::{self, PackHead};
use crate::table::locations::{Locations, Owner};
use crate::table::manifest::{ArchiveName, ChunkName, Manifest, PackName, RunName};
use crate::table::name;
use crate::table::run::Run;
use std::io;

/// One of the files that a manifest names.
#[derive(Clone, Copy)]
pub(super) enum Table {
    Run(RunName),
    Chunk(ChunkName),
    Pack(PackName),
    Archive(ArchiveName),
}

impl Table {
    pub(super) fn all(manifest: &Manifest) -> Vec<Table> {
        let runs = manifest.all_runs().map(|run| Table::Run(*run));
        let chunks = manifest.locations.iter().map(|chunk| Table::Chunk(*chunk));
        let packs = manifest.packs.iter().map(|pack| Table::Pack(*pack));
        let archives = manifest.archives.iter();
        let archives = archives.map(|archive| Table::Archive(*archive));
        runs.chain(chunks).chain(packs).chain(archives).collect()
    }

    /// The same in the store and in the mirror.
    pub(super) fn path(&self, directory: &str) -> String {
        match self {
            Table::Run(run) => name::run(directory, run.number),
            Table::Chunk(chunk) => name::chunk(directory, chunk.chunk, chunk.generation),
            Table::Pack(pack) => name::pack(directory, pack.number),
            Table::Archive(archive) => name::archive(directory, archive.number),
        }
    }

    /// Below the directory of the shard.
    pub(super) fn below(&self) -> String {
        self.path("").trim_start_matches('/').to_owned()
    }

    /// About.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Table::Run(run) => run.bytes,
            Table::Chunk(chunk) => u64::from(chunk.entries) * size_of::<u64>() as u64,
            Table::Pack(pack) => pack.bytes,
            Table::Archive(archive) => archive.bytes,
        }
    }

    /// Checks every octet of the file that can ever be served.
    pub(super) async fn verify<D: Disk>(&self, disk: &D, owner: &Owner) -> Result<(), BackupError> {
        match self {
            Table::Run(run) => {
                let run = Run::load(disk, &owner.directory, run.head(owner)).await;
                run.and_then(|run| run.verify()).map_err(of_table)
            }
            Table::Chunk(chunk) => {
                let locations = Locations::new(disk.clone(), owner.clone(), &[*chunk]);
                let verified = locations.verify(chunk).await;
                verified.map(drop).map_err(of_table)
            }
            Table::Pack(PackName { number, .. }) | Table::Archive(ArchiveName { number, .. }) => {
                let path = self.path(&owner.directory);
                let head = PackHead {
                    store: owner.store,
                    shard: owner.shard,
                    number: *number,
                };
                let verified = pack::verify(disk, &path, head).await;
                verified.map(drop).map_err(|error| of_pack(&path, error))
            }
        }
    }
}

/// What copying one file came to.
pub(super) enum Copied {
    /// It lies in the backup now; octets that were written.
    Whole(TableCopy, u64),
    /// The store does not have it any more.
    Gone,
}

impl<D: Disk> Backup<D> {
    /// Whether the file of the store is the one that is listed, and the mirror has one of that
    /// length. The header of a pack has checksums of all that is in it; that of a file of the index
    /// has not, and it is read.
    pub(super) async fn has_same<S: Disk>(
        &self,
        source: &S,
        owner: &Owner,
        table: Table,
        listed: &TableCopy,
    ) -> Result<bool, BackupError> {
        let path = table.path(&owner.directory);
        let Some((_, mirrored)) = open(&self.disk, &path, None).await? else {
            return Ok(false);
        };
        let Some((_, found)) = open(source, &path, None).await? else {
            return Ok(false);
        };
        if (mirrored, found) != (listed.bytes, listed.bytes) {
            return Ok(false);
        }
        if let Table::Run(_) | Table::Chunk(_) = table {
            let found = checksum(source, &path, None, &mut |_| {}).await?;
            return Ok(found == Some((listed.bytes, listed.crc)));
        }
        let head = Some(BLOCK_BYTES as u64);
        let mirrored = checksum(&self.disk, &path, head, &mut |_| {}).await?;
        Ok(mirrored == checksum(source, &path, head, &mut |_| {}).await?)
    }

    /// Copies a file of the store, unless the mirror has the very same. `listed`: an earlier
    /// generation names this file, so that it must not change.
    pub(super) async fn copy_table<S: Disk>(
        &self,
        source: &S,
        owner: &Owner,
        table: Table,
        listed: Option<&TableCopy>,
        each: &mut dyn FnMut(u64),
    ) -> Result<Copied, BackupError> {
        let path = table.path(&owner.directory);
        let copy = |(bytes, crc)| TableCopy {
            path: table.below(),
            bytes,
            crc,
        };
        let mirrored = checksum(&self.disk, &path, None, &mut |_| {}).await?;
        if listed.is_some() || mirrored.is_some() {
            let Some(found) = checksum(source, &path, None, each).await? else {
                return Ok(Copied::Gone);
            };
            if listed.is_some_and(|listed| *listed != copy(found)) {
                return Err(BackupError::OtherHistory { path });
            }
            if mirrored == Some(found) {
                return Ok(Copied::Whole(copy(found), 0));
            }
        }
        if mirrored.is_some() {
            // Of a backup that was interrupted, or rotten: the store still has the right one.
            self.disk.remove(&path).await.map_err(at(&path))?;
        }
        let Some(found) = transfer(source, &self.disk, &path, None, each).await? else {
            return Ok(Copied::Gone);
        };
        if checksum(&self.disk, &path, None, &mut |_| {}).await? != Some(found) {
            let what = OTHERWISE;
            return Err(BackupError::Damaged { path, what });
        }
        self.verify(owner, table).await?;
        Ok(Copied::Whole(copy(found), found.0))
    }

    /// Checks a copy that is octet by octet what the store has: if it is damaged, the store is.
    async fn verify(&self, owner: &Owner, table: Table) -> Result<(), BackupError> {
        let Err(error) = table.verify(&self.disk, owner).await else {
            return Ok(());
        };
        let path = table.path(&owner.directory);
        self.disk.remove(&path).await.map_err(at(&path))?;
        Err(match error {
            BackupError::Damaged { what, .. } => of_store(format!("{path} is damaged: {what}")),
            other => other,
        })
    }
}

/// Length and CRC of a file, or of its first octets; `None` where there is none.
pub(super) async fn checksum<D: Disk>(
    disk: &D,
    path: &str,
    bytes: Option<u64>,
    each: &mut dyn FnMut(u64),
) -> Result<Option<(u64, u32)>, BackupError> {
    let Some((file, length)) = open(disk, path, bytes).await? else {
        return Ok(None);
    };
    let (mut done, mut crc) = (0, 0);
    while done < length {
        let piece = piece(&file, done, length).await.map_err(at(path))?;
        crc = append(crc, piece.as_slice());
        done += piece.len() as u64;
        each(piece.len() as u64);
    }
    Ok(Some((length, crc)))
}

/// CRCs of a file up to each of `ends`, which ascend; fewer where it ends before. `None` where
/// there is none.
pub(super) async fn checksums<D: Disk>(
    disk: &D,
    path: &str,
    ends: &[u64],
    each: &mut dyn FnMut(u64),
) -> Result<Option<Vec<(u64, u32)>>, BackupError> {
    let Some((file, length)) = open(disk, path, None).await? else {
        return Ok(None);
    };
    let (mut done, mut crc, mut sums) = (0, 0, Vec::new());
    for end in ends.iter().copied().filter(|end| *end <= length) {
        while done < end {
            let piece = piece(&file, done, end).await.map_err(at(path))?;
            crc = append(crc, piece.as_slice());
            done += piece.len() as u64;
            each(piece.len() as u64);
        }
        sums.push((end, crc));
    }
    Ok(Some(sums))
}

/// Makes a file of the same name, of all or of the first `bytes`, which are whole blocks. Returns
/// length and CRC; `None` where there is no such file.
pub(super) async fn transfer<S: Disk, T: Disk>(
    source: &S,
    target: &T,
    path: &str,
    bytes: Option<u64>,
    each: &mut dyn FnMut(u64),
) -> Result<Option<(u64, u32)>, BackupError> {
    let Some((file, length)) = open(source, path, bytes).await? else {
        return Ok(None);
    };
    if let Some((directory, _)) = path.rsplit_once('/') {
        let made = target.create_directory(directory).await;
        made.map_err(at(directory))?;
    }
    let created = Creator::new(target.clone(), path).await;
    let mut creator = created.map_err(at(path))?;
    let (mut done, mut crc) = (0, 0);
    while done < length {
        let piece = match piece(&file, done, length).await {
            Ok(piece) => piece,
            Err(error) => {
                creator.abandon().await;
                return Err(at(path)(error));
            }
        };
        crc = append(crc, piece.as_slice());
        creator.append(piece.as_slice()).await.map_err(at(path))?;
        done += piece.len() as u64;
        each(piece.len() as u64);
    }
    creator.finish().await.map_err(at(path))?;
    Ok(Some((length, crc)))
}

async fn open<D: Disk>(
    disk: &D,
    path: &str,
    bytes: Option<u64>,
) -> Result<Option<(D::File, u64)>, BackupError> {
    let file = match disk.open(path, Mode::Read).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path)(error)),
    };
    let length = file.len().await.map_err(at(path))?;
    Ok(Some((file, bytes.unwrap_or(length))))
}

async fn piece<F: File>(file: &F, from: u64, to: u64) -> io::Result<Block> {
    let piece = file.read_at(from, (to - from).min(PIECE_BYTES) as usize);
    match piece.await? {
        piece if piece.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
        piece => Ok(piece),
    }
}

/// Read at a time.
const PIECE_BYTES: u64 = 1 << 20;

pub(super) const OTHERWISE: &str = "the device gives back something else than was written";
