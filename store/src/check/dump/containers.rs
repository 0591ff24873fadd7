//! A pack or an archive: its summary, blocks and records; one record of a pack.

use super::line::Line;
use super::{Dump, fact, name_of};
use crate::disk::Disk;
use crate::log::{Place, RecordRef};
use crate::pack::listing::ListingFile;
use crate::pack::{Pack, PackHead};
use crate::table::name;

impl<D: Disk> Dump<'_, D> {
    pub(super) async fn container(&mut self, path: &str, number: u32) {
        let Some(pack) = self.open_pack(path, number).await else {
            return;
        };
        let summary = pack.summary();
        self.say(
            Line::new("pack")
                .with("file", path)
                .with("number", number)
                .with("bytes", summary.bytes)
                .with("raw-bytes", summary.raw_bytes)
                .with("records", summary.records)
                .with("blocks", summary.blocks),
        );
        let sink = &mut self.sink;
        pack.scan(|place, record| {
            sink(match record {
                Ok(record) => fact::line(place, &record),
                Err(error) => Line::new("damage")
                    .with("place", name_of(place))
                    .with("what", error),
            });
        })
        .await;
        self.listing(path, pack.number()).await;
    }

    /// What a pack lists of its messages.
    async fn listing(&mut self, path: &str, number: u32) {
        let listing = match ListingFile::open(self.disk, path, self.pack_head(number)).await {
            Ok(Some(listing)) => listing,
            Ok(None) => return,
            Err(error) => return self.damage(path, error),
        };
        self.say(
            Line::new("listing")
                .with("file", path)
                .with("bytes", listing.bytes())
                .with("blocks", listing.blocks()),
        );
        let sink = &mut self.sink;
        listing
            .scan(|entry| {
                sink(match entry {
                    Ok((place, listed)) => Line::new("listed")
                        .with("place", name_of(place))
                        .with("object", listed.object)
                        .with_some("message", listed.message)
                        .with("fields", String::from_utf8_lossy(&listed.fields)),
                    Err(error) => Line::new("damage").with("file", path).with("what", error),
                });
            })
            .await;
    }

    fn pack_head(&self, number: u32) -> PackHead {
        PackHead {
            store: self.owner.store,
            shard: self.owner.shard,
            number,
        }
    }

    async fn open_pack(&mut self, path: &str, number: u32) -> Option<Pack<D::File>> {
        match Pack::open(self.disk, path, self.pack_head(number)).await {
            Ok(pack) => Some(pack),
            Err(error) => {
                self.damage(path, error);
                None
            }
        }
    }

    pub(super) async fn packed(&mut self, number: u32, block: u32, record: u32) {
        let path = name::pack(&self.owner.directory, number);
        let Some(pack) = self.open_pack(&path, number).await else {
            return;
        };
        let unpacked = match pack.unpack(block).await {
            Ok(unpacked) => unpacked,
            Err(error) => return self.damage(&path, error),
        };
        match unpacked.record(record) {
            Ok(found) => self.say(fact::line(
                Place::in_pack(number, block, record),
                &RecordRef {
                    kind: found.kind(),
                    account: found.account(),
                    lsn: found.lsn(),
                    payload: found.payload(),
                },
            )),
            Err(error) => self.damage(&path, error),
        }
    }
}
