//! Packs and archives with damage: written anew, and the old files moved aside.

use super::super::Owner;
use super::super::containers::{audit, open};
use super::super::damage::Part;
use super::{Repair, RepairError, unwritten};
use crate::compact::rescue::{Rescue, Rescued};
use crate::disk::Disk;
use crate::table::manifest::{ArchiveName, PackName};
use crate::table::name;

impl<D: Disk> Repair<'_, D> {
    /// Each that has damage becomes another one, under a new number, with all of it that can be
    /// read.
    pub(super) async fn packs(&mut self) -> Result<(), RepairError> {
        let mut rescue = Rescue::begin(self.disk, self.owner).await?;
        let directory = &self.owner.directory;
        for pack in rescue.manifest().packs.clone() {
            if !is_damaged_pack(self.disk, self.owner, &pack).await {
                continue;
            }
            let rescued = rescue.pack(pack).await?;
            let path = name::pack(directory, pack.number);
            self.rewritten(path, name::PACKS, &rescued).await?;
        }
        for archive in rescue.manifest().archives.clone() {
            if !is_damaged_archive(self.disk, self.owner, &archive).await {
                continue;
            }
            let rescued = rescue.archive(archive).await?;
            let path = name::archive(directory, archive.number);
            self.rewritten(path, name::ARCHIVE, &rescued).await?;
        }
        Ok(())
    }

    async fn rewritten(
        &mut self,
        path: String,
        below: &str,
        rescued: &Rescued,
    ) -> Result<(), RepairError> {
        let aside = format!("{}/{}/{below}", self.order.aside, self.owner.directory);
        let made = self.disk.create_directory(&aside).await;
        made.map_err(unwritten)?;
        self.move_file(&path, &format!("{}/{path}", self.order.aside))
            .await?;
        self.done.moved_records += rescued.records;
        let lost = rescued.damage.iter();
        self.done
            .lost
            .extend(lost.map(|damage| format!("{path}: {damage}")));
        self.done.rewritten.push(path);
        Ok(())
    }
}

async fn is_damaged_pack<D: Disk>(disk: &D, owner: &Owner, name: &PackName) -> bool {
    let Some((bytes, records)) = sound(disk, owner, Part::Pack, name.number).await else {
        return true;
    };
    (bytes, records) != (name.bytes, name.records) || !is_listed_truly(disk, owner, name).await
}

/// Whether a pack whose records are sound lists them as what they are.
async fn is_listed_truly<D: Disk>(disk: &D, owner: &Owner, name: &PackName) -> bool {
    let audit = audit(disk, owner, name.number).await;
    let pack = open(disk, owner, Part::Pack, name.number).await;
    let (Ok(audit), Ok(pack)) = (audit, pack) else {
        return false;
    };
    let (mut audit, mut is_true) = (audit.unwrap_or_default(), true);
    pack.scan(|place, record| {
        is_true &= record.is_ok_and(|record| audit.look(place, &record));
    })
    .await;
    is_true && audit.is_done()
}

async fn is_damaged_archive<D: Disk>(disk: &D, owner: &Owner, name: &ArchiveName) -> bool {
    let found = sound(disk, owner, Part::Archive, name.number).await;
    found.is_none_or(|(bytes, _)| bytes != name.bytes)
}

/// Octets and records of a file of which every block and record can be read.
async fn sound<D: Disk>(disk: &D, owner: &Owner, part: Part, number: u32) -> Option<(u64, u64)> {
    let pack = open(disk, owner, part, number).await.ok()?;
    let mut is_whole = true;
    pack.scan(|_, record| is_whole &= record.is_ok()).await;
    is_whole.then(|| (pack.summary().bytes, pack.summary().records))
}
