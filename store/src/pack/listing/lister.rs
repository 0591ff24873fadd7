//! Gathers the listing of a pack while its records are added, and keeps it, compressed, until they
//! all are: it is written behind them.
//!
//! ```text
//! add ─→ open block ─ full ─→ sample ─ 512 KiB ─→ dictionary, or none ─→ compress ─→ section
//! ```
//!
//! One lister makes the listings of one pack after the other, so that the dictionary of one serves
//! the next, as that of the records does.

use super::block::RawBlock;
use super::table::Row;
use super::{BLOCK_RAW_BYTES, Listed, NAMES, SECTION_BYTES_MAX, key_of};
use crate::codec::checksum::plain;
use crate::log::{PACK_BLOCKS_MAX, Place};
use crate::pack::compressor::{Compressor, Lesson, dictionary};
use crate::pack::header::ListingSpan;
use std::rc::Rc;

pub struct Lister {
    open: RawBlock,
    /// Closed blocks that wait for the dictionary; `None` once it is decided.
    sample: Option<Vec<RawBlock>>,
    sample_bytes: usize,
    /// Of the pack before, until the dictionary is decided; then that of this one.
    dictionary: Option<Rc<[u8]>>,
    compressor: Compressor,
    stored: Vec<u8>,
    /// Offsets count from the first block.
    rows: Vec<Row>,
}

/// The listing of one pack, as it is stored behind the table of its records.
#[derive(Default)]
pub struct Section {
    dictionary: Option<Rc<[u8]>>,
    blocks: Vec<u8>,
    rows: Vec<Row>,
}

impl Default for Lister {
    fn default() -> Lister {
        Lister::after(None)
    }
}

impl Lister {
    fn after(dictionary: Option<Rc<[u8]>>) -> Lister {
        Lister {
            open: RawBlock::default(),
            sample: Some(Vec::new()),
            sample_bytes: 0,
            dictionary,
            compressor: Compressor::new(),
            stored: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Keeps this of the record at `place`. Places rise, all in one pack.
    pub fn add(&mut self, place: Place, listed: &Listed) {
        let Some(key) = key_of(place) else {
            return;
        };
        if !self.open.has_room(listed.fields.len()) {
            self.close_block();
        }
        if self.has_room() {
            self.open.add(key, listed);
        }
    }

    /// For one more block, which is never stored longer than it is.
    fn has_room(&self) -> bool {
        let waits = self.sample.as_ref().map_or(0, |_| self.sample_bytes);
        self.stored.len() + waits + BLOCK_RAW_BYTES <= SECTION_BYTES_MAX
            && self.rows.len() < PACK_BLOCKS_MAX as usize
    }

    /// The pack ends here; what comes now is of the next one.
    pub fn take(&mut self) -> Section {
        if !self.open.is_empty() {
            self.close_block();
        }
        let before = self.dictionary.clone();
        if let Some(sample) = self.sample.take() {
            // Fewer blocks than a sample do not save the length of a dictionary.
            self.dictionary = None;
            self.compress_all(&sample);
        }
        let next = Lister::after(self.dictionary.clone().or(before));
        let done = std::mem::replace(self, next);
        Section {
            dictionary: done.dictionary,
            blocks: done.stored,
            rows: done.rows,
        }
    }

    fn close_block(&mut self) {
        let block = std::mem::take(&mut self.open);
        let Some(sample) = &mut self.sample else {
            return self.compress(&block);
        };
        self.sample_bytes += block.bytes().len();
        sample.push(block);
        if self.sample_bytes >= SAMPLE_BYTES {
            self.settle();
        }
    }

    fn settle(&mut self) {
        let sample = self.sample.take().unwrap_or_default();
        let chosen = dictionary(&sample, self.dictionary.take());
        self.dictionary = chosen.filter(|chosen| self.compressor.load(chosen).is_ok());
        self.compress_all(&sample);
    }

    fn compress_all(&mut self, blocks: &[RawBlock]) {
        blocks.iter().for_each(|block| self.compress(block));
    }

    fn compress(&mut self, block: &RawBlock) {
        let raw = block.bytes();
        let stored = self.compressor.compress(raw).unwrap_or(raw);
        self.rows.push(Row {
            offset: self.stored.len() as u64,
            stored: stored.len() as u32,
            first: block.first,
            raw: raw.len() as u16,
            entries: block.entries() as u16,
            crc: plain(stored),
        });
        self.stored.extend_from_slice(stored);
    }
}

impl Section {
    /// Its parts in their order, for a section that begins at `offset`, and what the header says of
    /// them.
    pub(in crate::pack) fn laid(&self, offset: u64) -> (ListingSpan, [Vec<u8>; 3]) {
        if self.rows.is_empty() {
            return (ListingSpan::default(), Default::default());
        }
        let dictionary = self.dictionary.as_deref().unwrap_or_default();
        let mut table = Vec::new();
        for row in &self.rows {
            let offset = offset + row.offset;
            Row { offset, ..*row }.encode(&mut table);
        }
        let span = ListingSpan {
            names: NAMES,
            offset,
            table_offset: offset + (self.blocks.len() + dictionary.len()) as u64,
            blocks: self.rows.len() as u32,
            table_crc: plain(&table),
            dictionary_bytes: dictionary.len() as u32,
            dictionary_crc: plain(dictionary),
        };
        (span, [self.blocks.clone(), dictionary.to_vec(), table])
    }
}

/// What the dictionary is decided on, in bytes: some thousand messages.
const SAMPLE_BYTES: usize = 512 << 10;

const _: () = assert!(SAMPLE_BYTES + BLOCK_RAW_BYTES < SECTION_BYTES_MAX);
