//! A segment: its header, frames and records; one record of it.

use super::line::Line;
use super::{Dump, fact, segment_file};
use crate::disk::Disk;
use crate::log::scan::{Scanned, Segment};
use crate::log::{Place, RecordRef};

impl<D: Disk> Dump<'_, D> {
    pub(super) async fn segment(&mut self, number: u32) {
        let file = segment_file(&self.log_directory(), number);
        let Some(segment) = self.open_segment(number, &file).await else {
            return;
        };
        self.say(header(&segment));
        let mut scan = segment.scan(None);
        loop {
            match scan.next().await {
                Ok(Some(scanned)) => self.scanned(&scanned),
                Ok(None) => break,
                Err(error) => return self.damage(&file, error),
            }
        }
        let ended = scan.ended();
        let line = Line::new("end").with("offset", ended.position.offset);
        let line = line.with("next-frame", ended.position.frame);
        self.say(
            line.with("clean", ended.is_clean)
                .with("sealed", ended.is_sealed)
                .with("torn", ended.is_torn),
        );
    }

    async fn open_segment(&mut self, number: u32, file: &str) -> Option<Segment<D::File>> {
        let (store, shard) = (self.owner.store, self.owner.shard);
        let directory = self.log_directory();
        match Segment::open(self.disk, &directory, store, shard, number).await {
            Ok(segment) => Some(segment),
            Err(error) => {
                self.damage(file, error);
                None
            }
        }
    }

    fn scanned(&mut self, scanned: &Scanned) {
        match scanned {
            Scanned::Frame(frame) => {
                self.say(
                    Line::new(if frame.is_clean_end {
                        "clean-end"
                    } else {
                        "frame"
                    })
                    .with("offset", frame.offset)
                    .with("bytes", frame.bytes)
                    .with("number", frame.number)
                    .with("lsn", frame.first_lsn)
                    .with("records", frame.record_count)
                    .with("chain", format!("{:08x}", frame.chain)),
                );
                for (place, record) in frame.records() {
                    self.say(fact::line(place, &record));
                }
            }
            Scanned::Damage(damage) => {
                self.say(
                    Line::new("damage")
                        .with("offset", damage.offset)
                        .with("bytes", damage.bytes)
                        .with("what", damage.what),
                );
                for (place, record) in damage.records() {
                    self.say(fact::line(place, &record));
                }
            }
        }
    }

    pub(super) async fn logged(&mut self, place: Place) {
        let file = segment_file(&self.log_directory(), place.segment());
        let Some(segment) = self.open_segment(place.segment(), &file).await else {
            return;
        };
        match segment.read(place).await {
            Ok(record) => self.say(fact::line(
                place,
                &RecordRef {
                    kind: record.kind(),
                    account: record.account(),
                    lsn: record.lsn(),
                    payload: record.payload(),
                },
            )),
            Err(error) => self.damage(&file, error),
        }
    }
}

fn header<F: crate::disk::File>(segment: &Segment<F>) -> Line {
    let (begin, previous) = (segment.begin(), segment.previous());
    Line::new("segment")
        .with("number", segment.number())
        .with("bytes", segment.bytes())
        .with("size", segment.size())
        .with("first-frame", begin.frame)
        .with("first-lsn", begin.lsn)
        .with("chain", format!("{:08x}", begin.chain))
        .with("previous-end", previous.offset)
        .with("previous-chain", format!("{:08x}", previous.chain))
        .with("remains", segment.remains())
}
