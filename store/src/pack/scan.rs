//! A pack from front to end: for checks, for rebuilding locations, before it is published.

use super::file::Pack;
use super::table::{Entry, Shape};
use super::{PackError, PackHead, Summary, Unpacked};
use crate::disk::{Block, Disk, File};
use crate::limit::BLOCK_BYTES;
use crate::log::{Place, RecordRef};

/// Unpacks blocks of a pack one after the other, and reads many of them at once.
pub struct Reader<'a, F> {
    pack: &'a Pack<F>,
    ahead: Block,
    ahead_from: u64,
}

impl<'a, F: File> Reader<'a, F> {
    #[must_use]
    pub fn new(pack: &'a Pack<F>) -> Reader<'a, F> {
        Reader {
            pack,
            ahead: Block::zeroed(0),
            ahead_from: 0,
        }
    }

    /// The block with this number, from 0; blocks are asked for with rising numbers.
    pub async fn unpack(&mut self, block: u32) -> Result<Unpacked, PackError> {
        let (pack, entry) = (self.pack, self.pack.entry(block)?);
        match self.reach(&entry).await {
            Ok(()) => pack.unpack_stored(block, entry, self.ahead_of(entry.offset)),
            // What the device does not give may be of another block.
            Err(_) => pack.unpack(block).await,
        }
    }

    /// The same block as it is stored, when its checksum fits.
    pub async fn stored(&mut self, block: u32) -> Result<(Shape, &[u8]), PackError> {
        let (pack, entry) = (self.pack, self.pack.entry(block)?);
        self.reach(&entry).await?;
        let stored = pack.checked(&entry, self.ahead_of(entry.offset))?;
        Ok((Shape::of(&entry), stored))
    }

    async fn reach(&mut self, entry: &Entry) -> Result<(), PackError> {
        let bytes = entry.stored as usize;
        if self.ahead_of(entry.offset).len() < bytes {
            // From the begin of a block of the disk: then nothing is copied.
            let skip = entry.offset % BLOCK_BYTES as u64;
            let (from, bytes) = (entry.offset - skip, skip as usize + bytes);
            let ahead = self.pack.read(from, bytes.max(AHEAD_BYTES)).await?;
            (self.ahead, self.ahead_from) = (ahead, from);
        }
        Ok(())
    }

    fn ahead_of(&self, offset: u64) -> &[u8] {
        let skip = offset.checked_sub(self.ahead_from);
        let skip = skip.and_then(|skip| usize::try_from(skip).ok());
        let rest = skip.and_then(|skip| self.ahead.as_slice().get(skip..));
        rest.unwrap_or_default()
    }
}

impl<F: File> Pack<F> {
    /// Shows all records in order with their places. What is damaged is shown as an error, with
    /// the place of the first record that it costs, and passed over.
    pub async fn scan(&self, mut each: impl FnMut(Place, Result<RecordRef<'_>, PackError>)) {
        let mut reader = Reader::new(self);
        for block in 0..self.summary().blocks {
            match reader.unpack(block).await {
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

/// Read at a time; whole blocks, mostly.
const AHEAD_BYTES: usize = 1 << 20;
