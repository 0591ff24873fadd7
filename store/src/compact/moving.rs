//! Moves live records into packs, those of one account side by side.
//!
//! ```text
//! records, in the order of their file ─→ batch ─ sorted by account, object ─→ pack ─ full ─→ next
//! messages in pieces, at the end: BODY, BODY, …, MESSAGE ─────────────────────→
//! ```
//!
//! Blocks of old packs in which everything is live stand among the records, and are copied as they
//! are ([`super::whole`]).
//!
//! A message with its pieces lies in one pack, so that a pack can be rewritten without a look at
//! others. Its MESSAGE is written anew with the new places. When all is written, every pack is read
//! again: each record must be there, and be the object that the census expects.

use super::census::{Census, Fate};
use super::damage::Found;
use super::listing::{self, Audit, listed};
use super::pace::{Course, Pace};
use super::source::Source;
use super::whole::{Whole, is_same};
use super::{CompactError, Site, unread, unwritten};
use crate::codec::Fields;
use crate::disk::Disk;
use crate::log::{Place, RECORD_HEADER_BYTES, Record, RecordRef};
use crate::mail::id::{Lsn, ObjectId};
use crate::pack::listing::{Lister, of_header};
use crate::pack::{Dictionary, Pack, PackWriter, Reader, Shape, Unpacked};
use crate::record::{Fact, MessageHead, kind};
use crate::table::manifest::{Manifest, PackName};
use crate::table::name;
use std::collections::HashMap;

pub(super) struct Mover<'a, D: Disk, P> {
    site: &'a Site<'a, D>,
    pace: &'a P,
    pub(super) source: Source<D>,
    batch: Batch,
    large: Vec<Large>,
    open: Option<(u32, PackWriter<D>)>,
    /// What the pack before has learned, or what was given.
    dictionary: Dictionary,
    /// The checksums of blocks that were copied, by the places of their first records.
    copied: HashMap<Place, u32>,
    lister: Lister,
    made: Vec<PackName>,
    pub(super) moved: Moved,
    pub(super) course: Course,
}

/// What was moved, and what could not be.
#[derive(Default)]
pub(super) struct Moved {
    pub(super) records: u64,
    /// Before compression.
    pub(super) bytes: u64,
    /// Of those, how many were copied as they were.
    pub(super) blocks: u64,
    /// Pieces of bodies that cannot be read.
    pub(super) damage: Vec<Found>,
}

/// Records that wait until there are enough to sort.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    items: Vec<Item>,
    /// The MESSAGE that was taken last, until a delivery has told whose it is.
    pending: Option<(ObjectId, Slot)>,
    /// The account of the item before.
    nearby: u32,
}

/// Where the pending MESSAGE waits.
#[derive(Clone, Copy)]
enum Slot {
    Item(usize),
    Large(usize),
}

struct Item {
    /// The account it is put to.
    cluster: u32,
    /// Its number in the census; that of the first of a block.
    entry: usize,
    start: usize,
    bytes: usize,
    what: What,
}

enum What {
    Record { kind: u8, account: u32, lsn: Lsn },
    Block(Shape, Box<Whole>),
}

/// A message whose body lies in pieces.
struct Large {
    cluster: u32,
    entry: usize,
    place: Place,
}

impl<'a, D: Disk, P: Pace> Mover<'a, D, P> {
    /// For files of `total` bytes, of which about `survivors` are moved, before compression.
    pub(super) fn new(
        site: &'a Site<'a, D>,
        pace: &'a P,
        total: u64,
        survivors: u64,
    ) -> Mover<'a, D, P> {
        Mover {
            site,
            pace,
            source: Source::new(site),
            batch: Batch::default(),
            large: Vec::new(),
            open: None,
            dictionary: Dictionary::Learned,
            copied: HashMap::new(),
            lister: Lister::default(),
            made: Vec::new(),
            moved: Moved::default(),
            course: Course {
                total,
                survivors,
                ..Course::default()
            },
        }
    }

    /// Reads what it can of packs that are damaged; nobody is told how far it is.
    pub(super) fn rescuing(site: &'a Site<'a, D>, pace: &'a P) -> Mover<'a, D, P> {
        Mover {
            source: Source::of_damaged(site),
            ..Mover::new(site, pace, 0, 0)
        }
    }

    /// Packs are made with this dictionary from now on.
    pub(super) fn make_with(&mut self, dictionary: Dictionary) {
        self.dictionary = dictionary;
    }

    /// Whether blocks of a pack with this dictionary can be copied.
    pub(super) fn copies(&self, dictionary: &Dictionary) -> bool {
        is_same(&self.dictionary, dictionary)
    }

    /// Takes all records of a block, which is stored in these octets.
    pub(super) async fn take_whole(
        &mut self,
        manifest: &mut Manifest,
        census: &mut Census,
        whole: Whole,
        stored: (Shape, &[u8]),
    ) -> Result<(), CompactError> {
        self.batch.push_whole(whole, stored);
        self.write_full_batch(manifest, census).await
    }

    /// Takes a record if it is live in the census.
    pub(super) async fn take(
        &mut self,
        manifest: &mut Manifest,
        census: &mut Census,
        place: Place,
        record: &RecordRef<'_>,
    ) -> Result<(), CompactError> {
        if !kind::OBJECTS.contains(&record.kind) {
            return Ok(());
        }
        let Ok(object) = object_of(record.payload) else {
            return Ok(());
        };
        let Some((entry, found)) = census.at(object, place) else {
            return Ok(());
        };
        if found.fate != Fate::Live {
            return Ok(());
        }
        if record.kind == kind::ATTEMPT {
            self.batch.push(self.batch.nearby, entry, record);
        } else if record.kind == kind::MESSAGE {
            match MessageHead::decode(record.payload) {
                Ok(head) if !head.pieces.is_empty() => self.take_large(object, entry, place),
                Ok(_) => self.batch.take_message(object, entry, record),
                // Left where it is, it is found to be lost.
                Err(_) => return Ok(()),
            }
        } else {
            self.take_delivery(entry, record);
        }
        self.write_full_batch(manifest, census).await
    }

    async fn write_full_batch(
        &mut self,
        manifest: &mut Manifest,
        census: &mut Census,
    ) -> Result<(), CompactError> {
        match self.batch.bytes.len() >= BATCH_BYTES {
            true => self.write_batch(manifest, census).await,
            false => Ok(()),
        }
    }

    /// Takes a message whose MESSAGE lies elsewhere than what is emptied.
    pub(super) fn take_large(&mut self, object: ObjectId, entry: usize, place: Place) {
        self.batch.pending = Some((object, Slot::Large(self.large.len())));
        self.large.push(Large {
            cluster: self.batch.nearby,
            entry,
            place,
        });
    }

    fn take_delivery(&mut self, entry: usize, record: &RecordRef<'_>) {
        let mut fields = Fields::new(record.payload);
        let message = fields.u64().and_then(|_| fields.u64());
        if let Some((object, slot)) = self.batch.pending.take()
            && message == Ok(object.0)
        {
            let cluster = match slot {
                Slot::Item(at) => self.batch.items.get_mut(at).map(|item| &mut item.cluster),
                Slot::Large(at) => self.large.get_mut(at).map(|large| &mut large.cluster),
            };
            if let Some(cluster) = cluster {
                *cluster = record.account;
            }
        }
        self.batch.nearby = record.account;
        self.batch.push(record.account, entry, record);
    }

    /// Writes all that was taken and reads it again. The packs that were made.
    pub(super) async fn finish(
        &mut self,
        manifest: &mut Manifest,
        census: &mut Census,
    ) -> Result<Vec<PackName>, CompactError> {
        self.write_batch(manifest, census).await?;
        let mut large = std::mem::take(&mut self.large);
        large.sort_unstable_by_key(|large| (large.cluster, large.entry));
        for large in &large {
            self.write_large(manifest, census, large).await?;
        }
        self.close().await?;
        self.course.survivors = self.moved.bytes;
        let mut matched = 0;
        let made = std::mem::take(&mut self.made);
        for name in &made {
            matched += self.verify(name, census).await?;
        }
        let moved = |fate: &Fate| matches!(fate, Fate::Moved(_));
        let expected = census.entries().iter().filter(|entry| moved(&entry.fate));
        if matched != expected.count() {
            let what = "not every record that was moved is there";
            return Err(self.site.mistaken(&self.site.owner.directory, what));
        }
        Ok(made)
    }

    async fn write_batch(
        &mut self,
        manifest: &mut Manifest,
        census: &mut Census,
    ) -> Result<(), CompactError> {
        let mut batch = std::mem::take(&mut self.batch);
        batch
            .items
            .sort_unstable_by_key(|item| (item.cluster, item.entry));
        let mut since_pause = 0;
        for item in &batch.items {
            let octets = batch.bytes.get(item.start..item.start + item.bytes);
            let octets = octets.unwrap_or_default();
            match &item.what {
                What::Record { kind, account, lsn } => {
                    let label = (*kind, *account, *lsn);
                    let place = self.add(manifest, label, &[octets]).await?;
                    census.moved(item.entry, place);
                    self.list(place, *kind, octets, None);
                }
                What::Block(shape, whole) => {
                    self.copy(manifest, census, whole, (*shape, octets)).await?;
                }
            }
            since_pause += item.bytes;
            if since_pause >= PAUSE_BYTES {
                since_pause = 0;
                self.pause("packing").await;
            }
        }
        // The memory is used again; a MESSAGE that pends has been written.
        batch.bytes.clear();
        batch.items.clear();
        batch.pending = None;
        self.batch = batch;
        Ok(())
    }

    /// Moves a block as it is stored.
    async fn copy(
        &mut self,
        manifest: &mut Manifest,
        census: &mut Census,
        whole: &Whole,
        (shape, stored): (Shape, &[u8]),
    ) -> Result<(), CompactError> {
        self.begin(manifest).await?;
        let (number, writer) = self.open.as_mut().expect("a pack was begun just before");
        let number = *number;
        let block = writer.copy(shape, stored).await.map_err(unwritten)?;
        let place = |record| Place::in_pack(number, block, record);
        for (entry, record) in whole.entries.iter().zip(0..) {
            census.moved(*entry, place(record));
        }
        for (record, listed) in &whole.listed {
            self.lister.add(place(*record), listed);
        }
        self.copied.insert(place(0), shape.crc);
        self.moved.blocks += 1;
        self.moved.records += u64::from(shape.records);
        self.moved.bytes += u64::from(shape.raw);
        self.course.packed = self.moved.bytes;
        Ok(())
    }

    /// Moves a message in pieces. One that cannot be read whole stays behind.
    async fn write_large(
        &mut self,
        manifest: &mut Manifest,
        census: &mut Census,
        large: &Large,
    ) -> Result<(), CompactError> {
        let message = self.source.read(self.site, large.place).await?;
        let message = match message {
            Ok(message) => message,
            Err(what) => return self.note(large.place, what),
        };
        let Ok((mut head, rest)) = MessageHead::split(message.payload()) else {
            return self.note(large.place, "a MESSAGE that cannot be read");
        };
        self.begin(manifest).await?;
        let mut first = None;
        for (number, piece) in head.pieces.iter_mut().enumerate() {
            let body = match self.source.read(self.site, piece.place).await? {
                Ok(body) => body,
                Err(what) => return self.note(piece.place, what),
            };
            if body.kind() != kind::BODY || body.payload().len() != piece.octets as usize {
                return self.note(piece.place, "not the piece that its message says");
            }
            if number == 0 {
                first = of_header(body.payload());
            }
            piece.place = self.write(label(&body), &[body.payload()]).await?;
            self.pause("packing large messages").await;
        }
        let mut encoded = Vec::new();
        Fact::Message(head).encode(&mut encoded);
        let place = self.write(label(&message), &[&encoded, rest]).await?;
        census.moved(large.entry, place);
        self.list(place, kind::MESSAGE, message.payload(), first.as_deref());
        Ok(())
    }

    fn note(&mut self, place: Place, what: &'static str) -> Result<(), CompactError> {
        let damage = Found::octets(place.container(), place.offset(), what);
        self.moved.damage.push(damage);
        Ok(())
    }

    async fn add(
        &mut self,
        manifest: &mut Manifest,
        label: (u8, u32, Lsn),
        parts: &[&[u8]],
    ) -> Result<Place, CompactError> {
        self.begin(manifest).await?;
        self.write(label, parts).await
    }

    /// Begins a pack where none is open, or the one that is has become large enough.
    async fn begin(&mut self, manifest: &mut Manifest) -> Result<(), CompactError> {
        if let Some((_, writer)) = &self.open
            && writer.raw_bytes() >= PACK_BYTES
        {
            self.close().await?;
        }
        if self.open.is_none() {
            let number = manifest.take_number();
            let path = name::pack(&self.site.owner.directory, number);
            let head = self.site.head(number);
            let (disk, dictionary) = (self.site.disk.clone(), self.dictionary.clone());
            let writer = PackWriter::create_with(disk, &path, head, dictionary).await;
            self.open = Some((number, writer.map_err(unwritten)?));
        }
        Ok(())
    }

    async fn write(
        &mut self,
        (kind, account, lsn): (u8, u32, Lsn),
        parts: &[&[u8]],
    ) -> Result<Place, CompactError> {
        let (_, writer) = self.open.as_mut().expect("a pack was begun just before");
        let place = writer.add(kind, account, lsn, parts).await;
        self.moved.records += 1;
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        self.moved.bytes += (RECORD_HEADER_BYTES + bytes) as u64;
        self.course.packed = self.moved.bytes;
        place.map_err(unwritten)
    }

    /// Keeps what a list of messages needs of a record that was written.
    fn list(&mut self, place: Place, kind: u8, payload: &[u8], first: Option<&[u8]>) {
        if let Some(listed) = listed(kind, payload, first) {
            self.lister.add(place, &listed);
        }
    }

    async fn close(&mut self) -> Result<(), CompactError> {
        if let Some((number, writer)) = self.open.take() {
            if let Dictionary::Learned | Dictionary::Like(_) = self.dictionary {
                self.dictionary = writer.dictionary();
            }
            let listing = self.lister.take();
            let summary = writer.finish_with(&listing).await.map_err(unwritten)?;
            self.made.push(PackName {
                number,
                bytes: summary.bytes,
                records: summary.records,
            });
        }
        Ok(())
    }

    /// Reads a pack again. How many objects of the census lie in it.
    async fn verify(&mut self, made: &PackName, census: &Census) -> Result<usize, CompactError> {
        let path = name::pack(&self.site.owner.directory, made.number);
        let pack = Pack::open(self.site.disk, &path, self.site.head(made.number)).await;
        let pack = pack.map_err(unread)?;
        let mut check = Check::default();
        if let Some(listing) = listing::open(self.site, made.number).await? {
            check.audit = Audit::of(&listing).await.map_err(unread)?;
        }
        let mut reader = Reader::new(&pack);
        for block in 0..pack.summary().blocks {
            let copied = self.copied.get(&Place::in_pack(made.number, block, 0));
            let is_right = match copied {
                // What is in it was seen before it was copied.
                Some(crc) => {
                    let (shape, _) = reader.stored(block).await.map_err(unread)?;
                    check.pass(made.number, block, &shape);
                    self.course.verified += u64::from(shape.raw);
                    shape.crc == *crc
                }
                None => {
                    let unpacked = reader.unpack(block).await.map_err(unread)?;
                    self.course.verified += unpacked.len() as u64;
                    check.look(&unpacked, census).map_err(unread)?
                }
            };
            if !is_right {
                let what = "a record is not the one that was to be moved there";
                return Err(self.site.mistaken(&path, what));
            }
            if block % PAUSE_BLOCKS == 0 {
                self.pause("verifying").await;
            }
        }
        if !check.audit.is_done() {
            return Err(self
                .site
                .mistaken(&path, "its listing has more than its records"));
        }
        if check.records != made.records || pack.summary().bytes != made.bytes {
            return Err(self.site.mistaken(&path, "not all records are there"));
        }
        Ok(check.matched)
    }

    pub(super) async fn pause(&self, at: &'static str) {
        self.pace.pause(self.course.progress(at)).await;
    }
}

impl Batch {
    fn take_message(&mut self, object: ObjectId, entry: usize, record: &RecordRef<'_>) {
        self.pending = Some((object, Slot::Item(self.items.len())));
        self.push(self.nearby, entry, record);
    }

    fn push(&mut self, cluster: u32, entry: usize, record: &RecordRef<'_>) {
        let what = What::Record {
            kind: record.kind,
            account: record.account,
            lsn: record.lsn,
        };
        self.put(cluster, entry, what, record.payload);
    }

    fn push_whole(&mut self, whole: Whole, (shape, stored): (Shape, &[u8])) {
        let Some(first) = whole.entries.first().copied() else {
            return;
        };
        self.nearby = whole.account;
        self.pending = None;
        let account = whole.account;
        self.put(account, first, What::Block(shape, Box::new(whole)), stored);
    }

    fn put(&mut self, cluster: u32, entry: usize, what: What, octets: &[u8]) {
        self.items.push(Item {
            cluster,
            entry,
            start: self.bytes.len(),
            bytes: octets.len(),
            what,
        });
        self.bytes.extend_from_slice(octets);
    }
}

/// What was found in a pack so far.
#[derive(Default)]
struct Check {
    records: u64,
    matched: usize,
    /// Pieces, until their MESSAGE comes.
    pieces: HashMap<Place, usize>,
    audit: Audit,
}

impl Check {
    /// Whether the records of a block are what the census says.
    fn look(&mut self, block: &Unpacked, census: &Census) -> Result<bool, crate::pack::PackError> {
        for (place, record) in block.records() {
            let record = record?;
            self.records += 1;
            let is_right = match record.kind {
                kind::BODY => {
                    self.pieces.insert(place, record.payload.len());
                    true
                }
                kind::MESSAGE => self.is_message(place, &record, census),
                _ => self.is_object(place, &record, census),
            };
            if !is_right || !self.audit.look(place, &record) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Counts the records of a block that was copied.
    fn pass(&mut self, pack: u32, block: u32, shape: &Shape) {
        self.records += u64::from(shape.records);
        self.matched += shape.records as usize;
        for record in 0..shape.records {
            self.audit.pass(Place::in_pack(pack, block, record));
        }
    }

    fn is_message(&mut self, place: Place, record: &RecordRef<'_>, census: &Census) -> bool {
        let Ok(head) = MessageHead::decode(record.payload) else {
            return false;
        };
        let pieces = std::mem::take(&mut self.pieces);
        let has_piece = |place, octets| pieces.get(&place) == Some(&octets);
        let mut all = head.pieces.iter();
        all.all(|piece| has_piece(piece.place, piece.octets as usize))
            && self.is_object(place, record, census)
    }

    fn is_object(&mut self, place: Place, record: &RecordRef<'_>, census: &Census) -> bool {
        self.matched += 1;
        let entry = object_of(record.payload).map(|object| census.find(object));
        matches!(entry, Ok(Some((_, entry))) if entry.fate == Fate::Moved(place))
    }
}

/// The object that a record names first.
pub(super) fn object_of(payload: &[u8]) -> Result<ObjectId, crate::codec::Short> {
    Fields::new(payload).u64().map(ObjectId)
}

fn label(record: &Record) -> (u8, u32, Lsn) {
    (record.kind(), record.account(), record.lsn())
}

/// Records that are sorted at one time, in bytes.
const BATCH_BYTES: usize = 96 << 20;

/// A pack is closed when its records are longer, before compression. A message of 1 GiB may come
/// on top.
const PACK_BYTES: u64 = 256 << 20;

/// Between two pauses.
const PAUSE_BYTES: usize = 4 << 20;
const PAUSE_BLOCKS: u32 = 128;
