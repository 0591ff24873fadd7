//! Archives: what the records of emptied segments said, without bodies.
//!
//! Replaying all archives in order, then the log, gives the accounts and mailboxes that the index
//! has, so that the index can always be rebuilt. An archive is a pack: the facts of its segments in
//! the order of the log, each with its account and LSN. MESSAGE and BODY are left out: where
//! objects lie, the packs say. A DELIVER is there without recipient, ORCPT and prefix, which lie
//! with the message.

use super::{CompactError, Site, unread, unwritten};
use crate::disk::Disk;
use crate::log::RecordRef;
use crate::pack::{Dictionary, Pack, PackHead, PackWriter};
use crate::record::{Fact, kind};
use crate::table::manifest::{ArchiveName, Manifest};
use crate::table::name;

pub(super) struct Archivist<D: Disk> {
    writer: PackWriter<D>,
    name: ArchiveName,
    records: u64,
    payload: Vec<u8>,
}

impl<D: Disk> Archivist<D> {
    /// Begins the archive of these segments.
    pub(super) async fn begin(
        site: &Site<'_, D>,
        manifest: &mut Manifest,
        first_segment: u32,
        last_segment: u32,
    ) -> Result<Archivist<D>, CompactError> {
        let name = ArchiveName {
            number: manifest.take_number(),
            first_segment,
            last_segment,
            bytes: 0,
        };
        let path = name::archive(&site.owner.directory, name.number);
        let head = head(site, name.number);
        // Facts are alike within one block; a dictionary would not save its own training.
        let without = Dictionary::Without;
        let writer = PackWriter::create_with(site.disk.clone(), &path, head, without).await;
        Ok(Archivist {
            writer: writer.map_err(unwritten)?,
            name,
            records: 0,
            payload: Vec::new(),
        })
    }

    /// Takes the fact of a record, if it has one. A payload that is none, and passes its checksum,
    /// is kept as it is.
    pub(super) async fn take(&mut self, record: &RecordRef<'_>) -> Result<(), CompactError> {
        if record.kind == kind::BODY || record.kind == kind::MESSAGE {
            return Ok(());
        }
        let mut payload = record.payload;
        if let Ok(Fact::Deliver(mut deliver)) = Fact::decode(record.kind, record.payload) {
            deliver.recipient = None;
            deliver.orcpt = None;
            deliver.prefix.clear();
            self.payload.clear();
            Fact::Deliver(deliver).encode(&mut self.payload);
            payload = &self.payload;
        }
        let added = self
            .writer
            .add(record.kind, record.account, record.lsn, &[payload])
            .await;
        added.map_err(unwritten)?;
        self.records += 1;
        Ok(())
    }

    /// Closes the archive and reads it again.
    pub(super) async fn finish(mut self, site: &Site<'_, D>) -> Result<ArchiveName, CompactError> {
        self.name.bytes = self.writer.finish().await.map_err(unwritten)?.bytes;
        let records = verify(site, self.name.number).await?;
        if records != self.records {
            let what = "the archive has not the facts that were put into it";
            return Err(site.mistaken(
                &name::archive(&site.owner.directory, self.name.number),
                what,
            ));
        }
        Ok(self.name)
    }
}

/// How many facts an archive has, all of them readable.
async fn verify<D: Disk>(site: &Site<'_, D>, number: u32) -> Result<u64, CompactError> {
    let path = name::archive(&site.owner.directory, number);
    let pack = Pack::open(site.disk, &path, head(site, number)).await;
    let pack = pack.map_err(unread)?;
    let mut outcome = Ok(0);
    pack.scan(|_, record| match (record, &mut outcome) {
        (Ok(_), Ok(records)) => *records += 1,
        (Err(error), Ok(_)) => outcome = Err(unread(error)),
        _ => {}
    })
    .await;
    outcome
}

fn head<D: Disk>(site: &Site<'_, D>, number: u32) -> PackHead {
    PackHead {
        store: site.owner.store,
        shard: site.owner.shard,
        number,
    }
}
