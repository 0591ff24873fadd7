//! Damaged packs and archives written anew without what is lost, for a repair.
//!
//! As when packs are compacted, new files are written and read again before a manifest names them,
//! and what is damaged stays until then. Nothing is judged dead: whatever has a place in the pack
//! and can be read is moved. What cannot has no place any more; its rows stay, so that it is named
//! by everybody who looks, until somebody expunges them.

use super::archive::Archivist;
use super::census::Census;
use super::checkpoint::rewrite_locations;
use super::damage::{self, Found};
use super::moving::Mover;
use super::pace::Unpaced;
use super::report::Damage;
use super::{CompactError, Owner, Site, unread};
use crate::disk::Disk;
use crate::error::Container;
use crate::pack::{Pack, PackError, Unpacked};
use crate::table::manifest::{ArchiveName, Manifest, PackName};
use crate::table::name;
use std::io;

/// What became of one file.
pub(crate) struct Rescued {
    pub(crate) records: u64,
    pub(crate) damage: Vec<Damage>,
}

/// The shard under repair; nobody has it open.
pub(crate) struct Rescue<'a, D: Disk> {
    site: Site<'a, D>,
    manifest: Manifest,
}

impl<'a, D: Disk> Rescue<'a, D> {
    pub(crate) async fn begin(
        disk: &'a D,
        owner: &'a Owner,
    ) -> Result<Rescue<'a, D>, CompactError> {
        let read = Manifest::read(disk, &owner.directory, owner.store, owner.shard).await?;
        let site = Site { disk, owner };
        let manifest = read.unwrap_or_default();
        site.remove_unborn(&manifest).await?;
        Ok(Rescue { site, manifest })
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Writes a pack anew.
    pub(crate) async fn pack(&mut self, pack: PackName) -> Result<Rescued, CompactError> {
        let index = self.site.index(&self.manifest).await?;
        let mut census = Census::gather(&self.site, &self.manifest.locations, |_, location| {
            let packed = location.place.packed();
            packed.is_some_and(|(number, ..)| number == pack.number)
        })
        .await?;
        census.keep_all();
        let mut manifest = self.manifest.clone();
        let mut mover = Mover::rescuing(&self.site, &Unpaced);
        let mut reader = Reader::of(&self.site, Container::Pack(pack.number));
        let path = name::pack(&self.site.owner.directory, pack.number);
        let damaged = reader.open(&path, pack.number).await?;
        for block in damaged.iter().flat_map(|pack| 0..pack.summary().blocks) {
            let Some(unpacked) = reader.unpack(damaged.as_ref(), block).await? else {
                continue;
            };
            for (place, record) in unpacked.records() {
                match record {
                    Ok(record) => {
                        mover
                            .take(&mut manifest, &mut census, place, &record)
                            .await?
                    }
                    Err(error) => reader.note(error)?,
                }
            }
        }
        let mut found = reader.found;
        let made = mover.finish(&mut manifest, &mut census).await?;
        found.append(&mut mover.moved.damage);
        found.extend(census.give_up_rest().iter().map(Found::lost));
        manifest.packs.retain(|other| other.number != pack.number);
        manifest.packs.extend(made);
        rewrite_locations(&self.site, &mut manifest, &census.changes()).await?;
        self.site.publish(&mut manifest).await?;
        self.manifest = manifest;
        Ok(Rescued {
            records: mover.moved.records,
            damage: damage::named(&index, found)?,
        })
    }

    /// Writes an archive anew. Where all of it is lost, it covers its segments without facts.
    pub(crate) async fn archive(&mut self, archive: ArchiveName) -> Result<Rescued, CompactError> {
        let mut manifest = self.manifest.clone();
        let (first, last) = (archive.first_segment, archive.last_segment);
        let mut archivist = Archivist::begin(&self.site, &mut manifest, first, last).await?;
        let mut reader = Reader::of(&self.site, Container::Pack(archive.number));
        let path = name::archive(&self.site.owner.directory, archive.number);
        let damaged = reader.open(&path, archive.number).await?;
        let mut records = 0;
        for block in damaged.iter().flat_map(|pack| 0..pack.summary().blocks) {
            let Some(unpacked) = reader.unpack(damaged.as_ref(), block).await? else {
                continue;
            };
            for (_, record) in unpacked.records() {
                match record {
                    Ok(record) => {
                        archivist.take_again(&record).await?;
                        records += 1;
                    }
                    Err(error) => reader.note(error)?,
                }
            }
        }
        let made = archivist.finish(&self.site).await?;
        let named = manifest.archives.iter_mut();
        for named in named.filter(|named| named.number == archive.number) {
            *named = made;
        }
        self.site.publish(&mut manifest).await?;
        self.manifest = manifest;
        Ok(Rescued {
            records,
            damage: damage::unnamed(&reader.found),
        })
    }
}

/// Reads a damaged file, and keeps what is wrong with it.
struct Reader<'a, D: Disk> {
    site: &'a Site<'a, D>,
    container: Container,
    found: Vec<Found>,
    refused: u32,
}

impl<'a, D: Disk> Reader<'a, D> {
    fn of(site: &'a Site<'a, D>, container: Container) -> Reader<'a, D> {
        Reader {
            site,
            container,
            found: Vec::new(),
            refused: 0,
        }
    }

    /// The file as far as it can be opened; nothing where it is gone, or another one.
    async fn open(
        &mut self,
        path: &str,
        number: u32,
    ) -> Result<Option<Pack<D::File>>, CompactError> {
        let head = self.site.head(number);
        match Pack::open_damaged(self.site.disk, path, head).await {
            Ok(pack) => Ok(Some(pack)),
            Err(PackError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                self.octets(0, "it is missing");
                Ok(None)
            }
            Err(error) => self.note(error).map(|()| None),
        }
    }

    async fn unpack(
        &mut self,
        pack: Option<&Pack<D::File>>,
        block: u32,
    ) -> Result<Option<Unpacked>, CompactError> {
        let Some(pack) = pack else {
            return Ok(None);
        };
        match pack.unpack(block).await {
            Ok(unpacked) => Ok(Some(unpacked)),
            Err(error) => self.note(error).map(|()| None),
        }
    }

    /// Damage that is passed over. With too many refusals it is the device that is damaged.
    fn note(&mut self, error: PackError) -> Result<(), CompactError> {
        match error {
            PackError::Damaged { offset, what, .. } => self.octets(offset, what),
            PackError::Foreign { .. } => self.octets(0, "it is that of another place"),
            PackError::Io { offset, .. } if self.refused < REFUSED_MAX => {
                self.refused += 1;
                self.octets(offset, "the device does not give it");
            }
            other => return Err(unread(other)),
        }
        Ok(())
    }

    fn octets(&mut self, offset: u64, what: &'static str) {
        self.found.push(Found::octets(self.container, offset, what));
    }
}

/// Blocks that a device may refuse of one file.
const REFUSED_MAX: u32 = 256;
