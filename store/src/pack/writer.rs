//! Writes a pack: records in, their places out at once, blocks to the disk as they fill.
//!
//! ```text
//! add ─→ open block ─ full ─→ sample ─ 4 MiB ─→ dictionary, or none ─→ compress ─→ Creator
//!                         └──────────── once that is decided ─────────→
//! ```
//!
//! To train a dictionary takes as long as to pack 20 MB. So a pack takes that of the one before,
//! if its own sample shrinks enough with it, and trains its own only where it does not.
//!
//! Memory: the sample of 4 MiB, one open block, one compressed one, one write, the table (24 octets
//! a block), and what zstd needs; 19 MB in all at the peak, while it trains.

use super::block::RawBlock;
use super::compressor::{Compressor, dictionary};
use super::header::Header;
use super::listing::Section;
use super::table::{Coding, Entry, Shape, Table};
use super::{PackHead, Summary};
use crate::codec::checksum::plain;
use crate::disk::Disk;
use crate::disk::create::Creator;
use crate::limit::{BLOCK_BYTES, RECORD_BYTES_MAX};
use crate::log::{PACK_BLOCKS_MAX, Place, RECORD_HEADER_BYTES};
use crate::mail::id::Lsn;
use std::io;
use std::rc::Rc;

/// After an error of the disk the file is removed and the writer is of no more use.
pub struct PackWriter<D: Disk> {
    head: PackHead,
    file: Creator<D>,
    open: RawBlock,
    /// Closed blocks that wait for the dictionary; `None` once it is decided.
    sample: Option<Vec<RawBlock>>,
    sample_bytes: usize,
    /// Of the pack before, until the dictionary is decided; then that of this one.
    dictionary: Option<Rc<[u8]>>,
    /// Blocks before the open one.
    closed: u32,
    table: Table,
    compressor: Compressor,
    records: u64,
    raw_bytes: u64,
}

/// Where a pack has its dictionary from.
#[derive(Clone, Debug, Default)]
pub enum Dictionary {
    /// It is trained on what comes first, if that pays.
    #[default]
    Learned,
    /// As `Learned`, but this one of another pack will do if it pays.
    Like(Rc<[u8]>),
    /// It is this one, whether it pays or not: blocks of another pack that has it are copied.
    Given(Rc<[u8]>),
    /// Blocks are compressed by themselves.
    Without,
}

impl<D: Disk> PackWriter<D> {
    /// Makes the file; it must not be there. Its directory must.
    pub async fn create(disk: D, path: &str, head: PackHead) -> io::Result<PackWriter<D>> {
        PackWriter::create_with(disk, path, head, Dictionary::Learned).await
    }

    pub async fn create_with(
        disk: D,
        path: &str,
        head: PackHead,
        dictionary: Dictionary,
    ) -> io::Result<PackWriter<D>> {
        let mut file = Creator::new(disk, path).await?;
        // The header is written last: until then this is no pack.
        file.append(&[0; BLOCK_BYTES]).await?;
        let mut compressor = Compressor::new();
        let (is_sampled, dictionary) = match dictionary {
            Dictionary::Learned => (true, None),
            Dictionary::Like(dictionary) => (true, Some(dictionary)),
            Dictionary::Given(dictionary) => {
                let loaded = compressor.load(&dictionary);
                loaded.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
                file.append(&dictionary).await?;
                (false, Some(dictionary))
            }
            Dictionary::Without => (false, None),
        };
        Ok(PackWriter {
            head,
            file,
            open: RawBlock::new(),
            sample: is_sampled.then(Vec::new),
            sample_bytes: 0,
            dictionary,
            closed: 0,
            table: Table::default(),
            compressor,
            records: 0,
            raw_bytes: 0,
        })
    }

    /// Adds a record whose payload is the concatenation of `parts`. Its place is final, but nothing
    /// is there before [`finish`](Self::finish) has returned.
    ///
    /// Two errors change nothing, and the writer goes on: `InvalidInput` when the payload is too
    /// long for a record of the log, `FileTooLarge` when the pack is full.
    pub async fn add(
        &mut self,
        kind: u8,
        account: u32,
        lsn: Lsn,
        parts: &[&[u8]],
    ) -> io::Result<Place> {
        let len = parts.iter().map(|part| part.len()).sum();
        if len > RECORD_BYTES_MAX - RECORD_HEADER_BYTES {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if !self.open.has_room(len) {
            if self.closed + 1 == PACK_BLOCKS_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            self.close_block().await?;
        }
        let place = Place::in_pack(self.head.number, self.closed, self.open.records);
        self.open.add(kind, account, lsn, parts, len);
        Ok(place)
    }

    /// Adds a block as it is stored in another pack, made with the dictionary that was given to
    /// this one. Its number here.
    ///
    /// # Panics
    /// When the pack was made to find a dictionary of its own.
    pub async fn copy(&mut self, shape: Shape, stored: &[u8]) -> io::Result<u32> {
        assert!(
            self.sample.is_none(),
            "the block has the dictionary of another pack"
        );
        if self.open.records > 0 {
            self.close_block().await?;
        }
        if self.closed + 1 == PACK_BLOCKS_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let number = self.closed;
        self.closed += 1;
        self.records += u64::from(shape.records);
        self.raw_bytes += u64::from(shape.raw);
        self.table
            .push(shape.at(self.file.position(), stored.len()));
        self.file.append(stored).await?;
        Ok(number)
    }

    /// Bytes of the records so far, before compression.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        self.raw_bytes + self.open.bytes.len() as u64
    }

    /// Bytes of the file so far; blocks that wait count as they are.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.file.position() + (self.sample_bytes + self.open.bytes.len()) as u64
    }

    /// What the next pack may begin with.
    #[must_use]
    pub fn dictionary(&self) -> Dictionary {
        match &self.dictionary {
            Some(dictionary) => Dictionary::Like(Rc::clone(dictionary)),
            None => Dictionary::Learned,
        }
    }

    /// Writes what is left, then the header: on return the pack is whole and durable.
    pub async fn finish(self) -> io::Result<Summary> {
        self.finish_with(&Section::default()).await
    }

    /// As [`finish`](Self::finish), with the listing of its records.
    pub async fn finish_with(mut self, listing: &Section) -> io::Result<Summary> {
        if self.open.records > 0 {
            self.close_block().await?;
        }
        if let Some(sample) = self.sample.take() {
            self.dictionary = None;
            self.write_all(sample).await?;
        }
        let dictionary = self.dictionary.as_deref().unwrap_or_default();
        let table = self.table.encode();
        let (listing, parts) = listing.laid(self.file.position() + table.len() as u64);
        let header = Header {
            head: self.head,
            records: self.records,
            raw_bytes: self.raw_bytes,
            table_offset: self.file.position(),
            blocks: self.table.len(),
            table_crc: plain(&table),
            dictionary_bytes: dictionary.len() as u32,
            dictionary_crc: match dictionary {
                [] => 0,
                dictionary => plain(dictionary),
            },
            listing,
        };
        self.file.append(&table).await?;
        for part in parts {
            self.file.append(&part).await?;
        }
        let bytes = self.file.finish_with_header(header.encode()).await?;
        Ok(Summary {
            bytes,
            raw_bytes: self.raw_bytes,
            records: self.records,
            blocks: self.closed,
        })
    }

    /// Gives the pack up and removes the file.
    pub async fn abandon(self) {
        self.file.abandon().await;
    }

    async fn close_block(&mut self) -> io::Result<()> {
        let block = std::mem::replace(&mut self.open, RawBlock::new());
        self.closed += 1;
        self.records += u64::from(block.records);
        self.raw_bytes += block.bytes.len() as u64;
        let Some(sample) = &mut self.sample else {
            return self.write(&block).await;
        };
        self.sample_bytes += block.bytes.len();
        sample.push(block);
        if self.sample_bytes >= SAMPLE_BYTES {
            self.settle().await?;
        }
        Ok(())
    }

    /// Decides on the dictionary. A pack that ends before it has a whole sample gets none: it would
    /// not save its own length.
    async fn settle(&mut self) -> io::Result<()> {
        let sample = self.sample.take().unwrap_or_default();
        self.dictionary = dictionary(&sample, self.dictionary.take());
        if let Some(dictionary) = &self.dictionary {
            if self.compressor.load(dictionary).is_ok() {
                self.file.append(dictionary).await?;
            } else {
                self.dictionary = None;
            }
        }
        self.write_all(sample).await
    }

    async fn write_all(&mut self, blocks: Vec<RawBlock>) -> io::Result<()> {
        self.sample_bytes = 0;
        for block in blocks {
            self.write(&block).await?;
        }
        Ok(())
    }

    async fn write(&mut self, block: &RawBlock) -> io::Result<()> {
        let (stored, coding) = match self.compressor.compress(&block.bytes) {
            Some(compressed) => (compressed, Coding::Zstd),
            None => (block.bytes.as_slice(), Coding::Raw),
        };
        self.table.push(Entry {
            offset: self.file.position(),
            stored: stored.len() as u32,
            raw: block.bytes.len() as u32,
            records: block.records as u16,
            coding,
            crc: plain(stored),
        });
        self.file.append(stored).await
    }
}

/// What the dictionary is decided on, in bytes.
const SAMPLE_BYTES: usize = 4 << 20;
