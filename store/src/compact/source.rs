//! Single records of the files that a task reads: segments and packs, by place.

use super::{CompactError, Site, unread};
use crate::disk::Disk;
use crate::error::ReadError;
use crate::log::scan::Segment;
use crate::log::{Place, Record};
use crate::pack::{Pack, Packs};
use crate::table::name::PACKS;
use std::collections::BTreeMap;
use std::rc::Rc;

pub(super) struct Source<D: Disk> {
    packs: Packs<D>,
    segments: BTreeMap<u32, Segment<D::File>>,
    /// Reads that the device refused.
    refused: u32,
}

impl<D: Disk> Source<D> {
    pub(super) fn new(site: &Site<'_, D>) -> Source<D> {
        let owner = site.owner;
        let directory = format!("{}/{PACKS}", owner.directory);
        Source {
            packs: Packs::new(site.disk.clone(), &directory, owner.store, owner.shard),
            segments: BTreeMap::new(),
            refused: 0,
        }
    }

    /// Damaged packs are opened, too.
    pub(super) fn of_damaged(site: &Site<'_, D>) -> Source<D> {
        let source = Source::new(site);
        Source {
            packs: source.packs.opening_damaged(),
            ..source
        }
    }

    /// The record at a place; `None` where it is damaged. A device that refuses a read is asked
    /// again, and with too many refusals it is the device that is damaged, and the task ends.
    pub(super) async fn read(
        &mut self,
        site: &Site<'_, D>,
        place: Place,
    ) -> Result<Result<Record, &'static str>, CompactError> {
        let mut outcome = self.try_read(site, place).await?;
        if let Err(ReadError::Io { .. }) = outcome {
            outcome = self.try_read(site, place).await?;
        }
        Ok(match outcome {
            Ok(record) => Ok(record),
            Err(ReadError::Damaged { what, .. }) => Err(what),
            Err(ReadError::Gone) => Err("it is not there"),
            Err(error @ ReadError::Io { .. }) => {
                self.refused += 1;
                if self.refused > REFUSED_MAX {
                    return Err(CompactError::Read(error));
                }
                Err("the device does not give it")
            }
        })
    }

    pub(super) async fn pack(&self, number: u32) -> Result<Rc<Pack<D::File>>, CompactError> {
        self.packs.pack(number).await.map_err(unread)
    }

    async fn try_read(
        &mut self,
        site: &Site<'_, D>,
        place: Place,
    ) -> Result<Result<Record, ReadError>, CompactError> {
        if place.is_in_pack() {
            return Ok(self.packs.read(place).await);
        }
        let number = place.segment();
        if !self.segments.contains_key(&number) {
            let segment = match site.open_segment(number).await {
                Ok(segment) => segment,
                Err(CompactError::Read(error)) => return Ok(Err(error)),
                Err(other) => return Err(other),
            };
            if self.segments.len() >= OPEN_SEGMENTS_MAX {
                self.segments.pop_first();
            }
            self.segments.insert(number, segment);
        }
        match self.segments.get(&number) {
            Some(segment) => Ok(segment.read(place).await),
            None => Ok(Err(ReadError::Gone)),
        }
    }
}

/// Segments that are open at one time.
const OPEN_SEGMENTS_MAX: usize = 16;

/// Records that a device may refuse to read in one task.
const REFUSED_MAX: u32 = 64;
