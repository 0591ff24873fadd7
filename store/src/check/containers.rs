//! Packs and archives: every block and record.

use super::damage::{Damage, Part};
use super::{Check, Owner, segments};
use crate::compact::listing::Audit;
use crate::disk::Disk;
use crate::log::RecordRef;
use crate::mail::id::Lsn;
use crate::pack::listing::ListingFile;
use crate::pack::{Pack, PackError, PackHead, Summary};
use crate::record::Fact;
use crate::table::manifest::Manifest;
use crate::table::name;

impl<D: Disk> Check<'_, D> {
    /// Without a manifest, all packs that are there.
    pub(super) async fn packs(&mut self, manifest: &Manifest, is_known: bool) {
        if !is_known {
            for number in numbers(self.disk, &self.directory(name::PACKS)).await {
                self.pack(number, None).await;
            }
            for number in numbers(self.disk, &self.directory(name::ARCHIVE)).await {
                self.archive(number, None).await;
            }
            return;
        }
        for pack in &manifest.packs {
            self.pack(pack.number, Some((pack.bytes, Some(pack.records))))
                .await;
        }
        for archive in &manifest.archives {
            self.archive(archive.number, Some((archive.bytes, None)))
                .await;
        }
    }

    fn directory(&self, below: &str) -> String {
        format!("{}/{below}", self.owner.directory)
    }

    async fn pack(&mut self, number: u32, promised: Option<(u64, Option<u64>)>) {
        self.tell.summary.packs += 1;
        let path = name::pack(&self.owner.directory, number);
        let Some(pack) = self.open(Part::Pack, &path, number).await else {
            return;
        };
        self.hold_against(Part::Pack, &path, pack.summary(), promised);
        let audit = self.audit(&path, number).await;
        let mut audit = audit.unwrap_or_default();
        let (tell, objects) = (&mut self.tell, &mut self.objects);
        let (mut is_whole, mut is_true) = (true, true);
        pack.scan(|place, record| match record {
            Ok(record) => {
                tell.summary.packed_records += 1;
                is_true &= audit.look(place, &record);
                match Fact::decode(record.kind, record.payload) {
                    Ok(fact) => segments::note(objects, place, &record, &fact),
                    Err(broken) => {
                        let what = format!("a record is whole and cannot be read: {broken}");
                        tell.damage(Damage::new(Part::Pack, &path, None, &what));
                    }
                }
            }
            Err(error) => {
                is_whole = false;
                tell.damage(Damage::pack(Part::Pack, &path, &error));
            }
        })
        .await;
        // Of records that are damaged a listing says what they said.
        if is_whole && !(is_true && audit.is_done()) {
            let what = "the pack lists its messages with other fields than they have";
            tell.damage(Damage::new(Part::Listing, &path, None, what));
        }
        self.tell.bytes(pack.summary().bytes);
    }

    /// What a pack lists, if it does.
    async fn audit(&mut self, path: &str, number: u32) -> Option<Audit> {
        let read = audit(self.disk, self.owner, number).await;
        read.unwrap_or_else(|error| {
            self.tell.damage(Damage::pack(Part::Listing, path, &error));
            None
        })
    }

    async fn archive(&mut self, number: u32, promised: Option<(u64, Option<u64>)>) {
        self.tell.summary.archives += 1;
        let path = name::archive(&self.owner.directory, number);
        let Some(archive) = self.open(Part::Archive, &path, number).await else {
            return;
        };
        self.hold_against(Part::Archive, &path, archive.summary(), promised);
        let tell = &mut self.tell;
        let mut last = Lsn(0);
        archive
            .scan(|_, record| {
                let what = match record {
                    Ok(record) => {
                        tell.summary.packed_records += 1;
                        let what = archived(&record, last);
                        last = record.lsn;
                        what.map(|what| Damage::new(Part::Archive, &path, None, &what))
                    }
                    Err(error) => Some(Damage::pack(Part::Archive, &path, &error)),
                };
                what.into_iter().for_each(|damage| tell.damage(damage));
            })
            .await;
        self.tell.bytes(archive.summary().bytes);
    }

    async fn open(&mut self, part: Part, path: &str, number: u32) -> Option<Pack<D::File>> {
        match open(self.disk, self.owner, part, number).await {
            Ok(pack) => Some(pack),
            Err(error) => {
                self.tell.damage(Damage::pack(part, path, &error));
                None
            }
        }
    }

    fn hold_against(
        &mut self,
        part: Part,
        path: &str,
        found: Summary,
        promised: Option<(u64, Option<u64>)>,
    ) {
        let Some((bytes, records)) = promised else {
            return;
        };
        if found.bytes != bytes || records.is_some_and(|records| records != found.records) {
            let what = "it has another size than the manifest says";
            self.tell.damage(Damage::new(part, path, None, what));
        }
    }
}

/// Opens a pack, or an archive.
pub(super) async fn open<D: Disk>(
    disk: &D,
    owner: &Owner,
    part: Part,
    number: u32,
) -> Result<Pack<D::File>, PackError> {
    let (path, head) = which(owner, part, number);
    Pack::open(disk, &path, head).await
}

/// The same, as far as it goes.
pub(super) async fn open_damaged<D: Disk>(
    disk: &D,
    owner: &Owner,
    part: Part,
    number: u32,
) -> Result<Pack<D::File>, PackError> {
    let (path, head) = which(owner, part, number);
    Pack::open_damaged(disk, &path, head).await
}

fn which(owner: &Owner, part: Part, number: u32) -> (String, PackHead) {
    let path = match part {
        Part::Archive => name::archive(&owner.directory, number),
        _ => name::pack(&owner.directory, number),
    };
    let head = PackHead {
        store: owner.store,
        shard: owner.shard,
        number,
    };
    (path, head)
}

/// Reads the listing of a pack, if it has one.
pub(super) async fn audit<D: Disk>(
    disk: &D,
    owner: &Owner,
    number: u32,
) -> Result<Option<Audit>, PackError> {
    let (path, head) = which(owner, Part::Pack, number);
    let listing = ListingFile::open(disk, &path, head).await?;
    match &listing {
        Some(listing) => Audit::of(listing).await.map(Some),
        None => Ok(None),
    }
}

/// What is wrong with a record of an archive behind one with `last`.
fn archived(record: &RecordRef<'_>, last: Lsn) -> Option<String> {
    if record.lsn <= last {
        return Some("its facts are out of order".to_owned());
    }
    let broken = Fact::decode(record.kind, record.payload).err()?;
    Some(format!("a record is whole and cannot be read: {broken}"))
}

/// The numbers of the packs in a directory, ascending.
pub(super) async fn numbers<D: Disk>(disk: &D, directory: &str) -> Vec<u32> {
    let names = disk.list(directory).await.unwrap_or_default();
    let number = |name: &String| {
        let number = u32::from_str_radix(name.strip_suffix(".pack")?, 16).ok()?;
        (crate::pack::name(number) == *name).then_some(number)
    };
    let mut numbers: Vec<u32> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}
