//! A pack from front to end: for checks, for rebuilding locations, before it is published.

use super::file::Pack;
use super::{PackError, PackHead, Summary};
use crate::disk::{Disk, File};
use crate::log::{Place, RecordRef};

impl<F: File> Pack<F> {
    /// Shows all records in order with their places. What is damaged is shown as an error, with
    /// the place of the first record that it costs, and passed over.
    pub async fn scan(&self, mut each: impl FnMut(Place, Result<RecordRef<'_>, PackError>)) {
        for block in 0..self.summary().blocks {
            match self.unpack(block).await {
                Ok(unpacked) => unpacked
                    .records()
                    .for_each(|(place, record)| each(place, record)),
                Err(error) => each(Place::in_pack(self.number(), block, 0), Err(error)),
            }
        }
    }
}

/// Reads a pack again and checks all of it, before anybody relies on it. The writer's summary must
/// be the same.
pub async fn verify<D: Disk>(disk: &D, path: &str, head: PackHead) -> Result<Summary, PackError> {
    let pack = Pack::open(disk, path, head).await?;
    let mut found = Ok(());
    pack.scan(|_, record| {
        if let (Err(error), Ok(())) = (record, &found) {
            found = Err(error);
        }
    })
    .await;
    found.map(|()| pack.summary())
}
