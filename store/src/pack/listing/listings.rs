//! The listings of a shard's packs: opened when first asked for, a few kept open, the last blocks
//! kept unpacked.

use super::{Listed, ListingFile, key_of};
use crate::disk::Disk;
use crate::log::Place;
use crate::mail::id::{ObjectId, ShardId};
use crate::pack::compressor::Decompressor;
use crate::pack::recent::Recent;
use crate::pack::{PackError, PackHead, name};
use std::cell::RefCell;
use std::rc::Rc;

pub struct Listings<D: Disk> {
    disk: D,
    directory: String,
    store: [u8; 16],
    shard: ShardId,
    decompressor: Rc<Decompressor>,
    /// `None` for a pack without a listing, or with one that cannot be used.
    open: RefCell<Recent<u32, Option<ListingFile<D::File>>>>,
    /// By pack and block.
    unpacked: RefCell<Recent<(u32, u32), Vec<u8>>>,
}

impl<D: Disk> Listings<D> {
    pub fn new(disk: D, directory: &str, store: [u8; 16], shard: ShardId) -> Listings<D> {
        Listings {
            disk,
            directory: directory.to_owned(),
            store,
            shard,
            decompressor: Rc::new(Decompressor::new()),
            open: RefCell::new(Recent::new(OPEN_BYTES_MAX, OPEN_LISTINGS_MAX)),
            unpacked: RefCell::new(Recent::new(UNPACKED_BYTES_MAX, UNPACKED_BLOCKS_MAX)),
        }
    }

    /// What is kept of an object that lies at `place`; `None` where nothing is.
    pub async fn find(&self, place: Place, object: ObjectId) -> Result<Option<Listed>, PackError> {
        let (Some((number, ..)), Some(key)) = (place.packed(), key_of(place)) else {
            return Ok(None);
        };
        let listing = self.listing(number).await?;
        let Some((listing, block)) = listing
            .as_ref()
            .as_ref()
            .and_then(|listing| Some((listing, listing.block_of(key)?)))
        else {
            return Ok(None);
        };
        let raw = self.unpack(number, listing, block).await?;
        listing.pick(block, &raw, key, object)
    }

    /// Closes that of a pack that was compacted away.
    pub fn forget(&self, number: u32) {
        self.open.borrow_mut().forget(|pack| pack == number);
        self.unpacked
            .borrow_mut()
            .forget(|(pack, _)| pack == number);
    }

    /// Bytes that open listings and unpacked blocks take in memory.
    pub fn resident_bytes(&self) -> usize {
        self.open.borrow().bytes() + self.unpacked.borrow().bytes()
    }

    async fn listing(&self, number: u32) -> Result<Rc<Option<ListingFile<D::File>>>, PackError> {
        if let Some(listing) = self.open.borrow_mut().find(number) {
            return Ok(listing);
        }
        let path = format!("{}/{}", self.directory, name(number));
        let head = PackHead {
            store: self.store,
            shard: self.shard,
            number,
        };
        let decompressor = Rc::clone(&self.decompressor);
        let opened = ListingFile::open_with(&self.disk, &path, head, decompressor).await;
        let listing = match opened {
            Ok(listing) => Rc::new(listing),
            // Damage stays: it is not looked for with every message.
            Err(PackError::Damaged { .. }) => Rc::new(None),
            Err(other) => return Err(other),
        };
        let bytes = listing.as_ref().as_ref();
        let bytes = bytes.map_or(size_of::<ListingFile<D::File>>(), |listing| {
            listing.resident_bytes()
        });
        let mut open = self.open.borrow_mut();
        open.keep(number, Rc::clone(&listing), bytes);
        Ok(listing)
    }

    async fn unpack(
        &self,
        number: u32,
        listing: &ListingFile<D::File>,
        block: u32,
    ) -> Result<Rc<Vec<u8>>, PackError> {
        let known = self.unpacked.borrow_mut().find((number, block));
        if let Some(raw) = known {
            return Ok(raw);
        }
        let raw = Rc::new(listing.unpack(block).await?);
        let mut unpacked = self.unpacked.borrow_mut();
        unpacked.keep((number, block), Rc::clone(&raw), raw.len());
        Ok(raw)
    }
}

/// Listings that are open at one time, and the octets of their tables and dictionaries.
const OPEN_LISTINGS_MAX: usize = 32;
const OPEN_BYTES_MAX: usize = 16 << 20;

/// Blocks that stay unpacked: a client that lists a mailbox unpacks each once.
const UNPACKED_BLOCKS_MAX: usize = 64;
const UNPACKED_BYTES_MAX: usize = UNPACKED_BLOCKS_MAX * super::BLOCK_RAW_BYTES;
