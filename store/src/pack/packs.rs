//! The packs of a shard, read by place: opened when first asked for, a few kept open, the last
//! blocks kept unpacked.

use super::compressor::Decompressor;
use super::file::Pack;
use super::recent::Recent;
use super::table::Entry;
use super::{PackError, PackHead, Unpacked, name};
use crate::disk::Disk;
use crate::error::ReadError;
use crate::limit::RECORD_BYTES_MAX;
use crate::log::{PACK_BLOCKS_MAX, Place, Record};
use crate::mail::id::ShardId;
use std::cell::RefCell;
use std::rc::Rc;

pub struct Packs<D: Disk> {
    disk: D,
    directory: String,
    store: [u8; 16],
    shard: ShardId,
    decompressor: Rc<Decompressor>,
    open: RefCell<Recent<u32, Pack<D::File>>>,
    /// By pack and block.
    unpacked: RefCell<Recent<(u32, u32), Unpacked>>,
    opens_damaged: bool,
}

impl<D: Disk> Packs<D> {
    pub fn new(disk: D, directory: &str, store: [u8; 16], shard: ShardId) -> Packs<D> {
        Packs {
            disk,
            directory: directory.to_owned(),
            store,
            shard,
            decompressor: Rc::new(Decompressor::new()),
            open: RefCell::new(Recent::new(OPEN_BYTES_MAX, OPEN_PACKS_MAX)),
            unpacked: RefCell::new(Recent::new(UNPACKED_BYTES_MAX, UNPACKED_BLOCKS_MAX)),
            opens_damaged: false,
        }
    }

    /// Opens packs that are damaged, too, as far as they go.
    #[must_use]
    pub fn opening_damaged(mut self) -> Packs<D> {
        self.opens_damaged = true;
        self
    }

    /// The record at a place in a pack. It shares the memory of its block.
    pub async fn read(&self, place: Place) -> Result<Record, ReadError> {
        let packed = place.packed();
        let (number, block, record) = packed.ok_or(place.damaged("no place in a pack"))?;
        let unpacked = self.unpack(number, block).await?;
        Ok(unpacked.record(record)?)
    }

    /// The record at a place whose block is unpacked already.
    pub fn at_hand(&self, place: Place) -> Option<Record> {
        let (number, block, record) = place.packed()?;
        let unpacked = self.unpacked.borrow_mut().find((number, block))?;
        unpacked.record(record).ok()
    }

    /// A pack that is open, or is opened now.
    pub async fn pack(&self, number: u32) -> Result<Rc<Pack<D::File>>, PackError> {
        if let Some(pack) = self.open.borrow_mut().find(number) {
            return Ok(pack);
        }
        let path = format!("{}/{}", self.directory, name(number));
        let head = PackHead {
            store: self.store,
            shard: self.shard,
            number,
        };
        let decompressor = Rc::clone(&self.decompressor);
        let disk = &self.disk;
        let pack = Rc::new(match self.opens_damaged {
            true => Pack::open_damaged_with(disk, &path, head, decompressor).await?,
            false => Pack::open_with(disk, &path, head, decompressor).await?,
        });
        let bytes = pack.resident_bytes();
        self.open.borrow_mut().keep(number, Rc::clone(&pack), bytes);
        Ok(pack)
    }

    /// Closes a pack that was compacted away. Records that were read from it stay.
    pub fn forget(&self, number: u32) {
        self.open.borrow_mut().forget(|pack| pack == number);
        self.unpacked
            .borrow_mut()
            .forget(|(pack, _)| pack == number);
    }

    /// Bytes that open packs and unpacked blocks take in memory.
    pub fn resident_bytes(&self) -> usize {
        self.open.borrow().bytes() + self.unpacked.borrow().bytes()
    }

    async fn unpack(&self, number: u32, block: u32) -> Result<Rc<Unpacked>, PackError> {
        if let Some(unpacked) = self.unpacked.borrow_mut().find((number, block)) {
            return Ok(unpacked);
        }
        let pack = self.pack(number).await?;
        let unpacked = Rc::new(pack.unpack(block).await?);
        let (key, bytes) = ((number, block), unpacked.bytes.len());
        self.unpacked
            .borrow_mut()
            .keep(key, Rc::clone(&unpacked), bytes);
        Ok(unpacked)
    }
}

/// Packs that are open at one time.
const OPEN_PACKS_MAX: usize = 32;

/// Of their tables and dictionaries. A pack of 256 MiB takes 350 KiB.
const OPEN_BYTES_MAX: usize = 64 << 20;

/// Blocks that stay unpacked: a client that reads a mailbox from front to end unpacks each once.
const UNPACKED_BYTES_MAX: usize = 4 << 20;
const UNPACKED_BLOCKS_MAX: usize = 128;

const _: () = assert!(PACK_BLOCKS_MAX as usize * size_of::<Entry>() < OPEN_BYTES_MAX);
const _: () = assert!(RECORD_BYTES_MAX < UNPACKED_BYTES_MAX);
