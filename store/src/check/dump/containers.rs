//! A pack or an archive: its summary, blocks and records; one record of a pack.

use super::line::Line;
use super::{Dump, fact, name_of};
use crate::disk::Disk;
use crate::log::{Place, RecordRef};
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
    }

    async fn open_pack(&mut self, path: &str, number: u32) -> Option<Pack<D::File>> {
        let head = PackHead {
            store: self.owner.store,
            shard: self.owner.shard,
            number,
        };
        match Pack::open(self.disk, path, head).await {
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
