//! Items whose numbers begin alike: what a checkpoint writes down together (FORMAT.md, "Queue").
//!
//! Slots lie by rising number. One that has ended stays where it is until so many have that it is
//! worth moving the others; so a queue that is worked off from its front moves little.

use super::names::Names;
use crate::codec::size::Size;
use crate::codec::{Fields, Put, Short};
use crate::mail::id::{ItemId, ObjectId};
use std::sync::Arc;

/// What is in memory of one item.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Slot {
    /// Of the number of the item.
    pub(crate) low: u16,
    /// The object of its QUEUE, of 48 bits.
    pub(super) record_high: u16,
    pub(super) record_low: u32,
    /// From there on to the object of its last ATTEMPT; 0 for none.
    pub(super) attempt: u32,
    pub(crate) enqueued_secs: u32,
    pub(crate) due_secs: u32,
    pub(crate) expiry_secs: u32,
    /// Numbers of [`Names`]; in a part, those of its own names.
    pub(crate) domain: u32,
    pub(crate) tenant: u32,
    pub(crate) attempts: u8,
    pub(crate) priority: i8,
    pub(crate) flags: u8,
    /// About how many octets prefix and body have.
    pub(crate) size: Size,
}

const _: () = assert!(size_of::<Slot>() == 36);

/// The operator holds it.
pub(crate) const HELD: u8 = 1;
/// Never on disk.
const ENDED: u8 = 1 << 7;

impl Slot {
    pub(crate) fn new(low: u16, record: ObjectId) -> Slot {
        assert!(record.0 >> 48 == 0, "2^48 objects are never made");
        Slot {
            low,
            record_high: (record.0 >> 32) as u16,
            record_low: record.0 as u32,
            ..Slot::default()
        }
    }

    pub(crate) fn record(&self) -> ObjectId {
        ObjectId(u64::from(self.record_high) << 32 | u64::from(self.record_low))
    }

    pub(crate) fn last_attempt(&self) -> Option<ObjectId> {
        let behind = u64::from(self.attempt);
        (behind != 0).then(|| ObjectId(self.record().0 + behind))
    }

    /// An attempt too far behind its QUEUE is not found again: nothing hangs on its words.
    pub(crate) fn attempted(&mut self, attempt: ObjectId) {
        let behind = attempt.0.saturating_sub(self.record().0);
        self.attempt = u32::try_from(behind).unwrap_or(0);
    }

    pub(crate) fn is_held(&self) -> bool {
        self.flags & HELD != 0
    }

    fn is_live(&self) -> bool {
        self.flags & ENDED == 0
    }
}

#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// Lent to a checkpoint that is being written down: copied then by the first change.
    slots: Arc<Vec<Slot>>,
    /// Slots of items that have ended.
    ended: usize,
    /// It has changed since it was written down.
    pub(super) is_changed: bool,
    /// An index has it.
    pub(super) is_known: bool,
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.ended
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.is_live())
    }

    /// Those from `low` on.
    pub(super) fn from(&self, low: u16) -> impl Iterator<Item = &Slot> {
        let start = self.slots.partition_point(|slot| slot.low < low);
        let behind = self.slots.get(start..).unwrap_or_default();
        behind.iter().filter(|slot| slot.is_live())
    }

    pub(super) fn find(&self, low: u16) -> Option<&Slot> {
        let at = self.slots.binary_search_by_key(&low, |slot| slot.low);
        let slot = self.slots.get(at.ok()?)?;
        slot.is_live().then_some(slot)
    }

    pub(super) fn find_mut(&mut self, low: u16) -> Option<&mut Slot> {
        let at = self.slots.binary_search_by_key(&low, |slot| slot.low);
        let slot = Arc::make_mut(&mut self.slots).get_mut(at.ok()?)?;
        slot.is_live().then_some(slot)
    }

    /// `false`: the number is given out already.
    pub(super) fn insert(&mut self, slot: Slot) -> bool {
        match self.slots.binary_search_by_key(&slot.low, |slot| slot.low) {
            Ok(_) => false,
            Err(at) => {
                Arc::make_mut(&mut self.slots).insert(at, slot);
                true
            }
        }
    }

    pub(super) fn end(&mut self, low: u16) -> Option<Slot> {
        let slot = self.find_mut(low)?;
        let ended = *slot;
        slot.flags |= ENDED;
        self.ended += 1;
        self.is_changed = true;
        if self.ended > self.slots.len() / ENDED_PART + ENDED_LEAST {
            self.settle();
        }
        Some(ended)
    }

    /// Gives back the memory of what has ended, and of what could still have come.
    pub(super) fn settle(&mut self) {
        let slots = Arc::make_mut(&mut self.slots);
        slots.retain(Slot::is_live);
        slots.shrink_to_fit();
        self.ended = 0;
    }

    /// As it is now, for whoever writes it down.
    pub(super) fn lend(&mut self) -> Arc<Vec<Slot>> {
        (self.is_changed, self.is_known) = (false, true);
        Arc::clone(&self.slots)
    }
}

/// The part of a chunk with these slots; `text` says the name of a number.
pub(super) fn encode<'a>(slots: &[Slot], text: impl Fn(u32) -> &'a str, out: &mut Vec<u8>) {
    let live = || slots.iter().filter(|slot| slot.is_live());
    let mut used: Vec<u32> = live().flat_map(|slot| [slot.domain, slot.tenant]).collect();
    used.sort_unstable();
    used.dedup();
    out.put_u8(FORM);
    out.put_varint(used.len() as u64);
    for number in &used {
        out.put_counted(text(*number).as_bytes());
    }
    let own = |number| used.binary_search(&number).unwrap_or(0) as u64;
    out.put_varint(live().count() as u64);
    for slot in live() {
        out.put_u16(slot.low);
        out.put_u64(slot.record().0);
        out.put_u32(slot.attempt);
        out.put_u32(slot.enqueued_secs);
        out.put_u32(slot.due_secs);
        out.put_u32(slot.expiry_secs);
        out.put_varint(own(slot.domain));
        out.put_varint(own(slot.tenant));
        out.put_u8(slot.attempts);
        out.put_i8(slot.priority);
        out.put_u8(slot.flags);
        out.put_u8(slot.size.0);
    }
}

/// A chunk as a run has it.
#[derive(Debug, Default)]
pub(crate) struct Part<'a> {
    pub(crate) names: Vec<&'a str>,
    pub(crate) slots: Vec<Slot>,
}

impl<'a> Part<'a> {
    pub(crate) fn decode(octets: &'a [u8]) -> Result<Part<'a>, Short> {
        let mut fields = Fields::new(octets);
        let mut part = Part::default();
        if octets.is_empty() {
            return Ok(part);
        }
        if fields.u8()? != FORM {
            return Err(Short);
        }
        for _ in 0..fields.varint()? {
            let name = str::from_utf8(fields.counted()?).map_err(|_| Short)?;
            part.names.push(name);
        }
        let count = fields.varint()?;
        // A start makes many: what is left over between them would never be used.
        part.slots
            .reserve_exact(count.min(u64::from(CHUNK_ITEMS)) as usize);
        for _ in 0..count {
            let slot = part.slot(&mut fields)?;
            if part.slots.last().is_some_and(|last| last.low >= slot.low) {
                return Err(Short);
            }
            part.slots.push(slot);
        }
        fields.end()?;
        Ok(part)
    }

    fn slot(&self, fields: &mut Fields<'_>) -> Result<Slot, Short> {
        let (low, record) = (fields.u16()?, fields.u64()?);
        if low >= CHUNK_ITEMS || record >> 48 != 0 {
            return Err(Short);
        }
        let slot = Slot {
            attempt: fields.u32()?,
            enqueued_secs: fields.u32()?,
            due_secs: fields.u32()?,
            expiry_secs: fields.u32()?,
            domain: fields.varint32()?,
            tenant: fields.varint32()?,
            attempts: fields.u8()?,
            priority: fields.i8()?,
            flags: fields.u8()?,
            size: Size(fields.u8()?),
            ..Slot::new(low, ObjectId(record))
        };
        let is_named = |name: u32| (name as usize) < self.names.len();
        let is_known = slot.flags & !HELD == 0;
        match is_named(slot.domain) && is_named(slot.tenant) && is_known {
            true => Ok(slot),
            false => Err(Short),
        }
    }

    /// The chunk, under the names of a shard.
    pub(super) fn into_chunk(mut self, names: &mut Names) -> Chunk {
        let mut uses = vec![0u32; self.names.len()];
        let numbers = |slot: &Slot| [slot.domain as usize, slot.tenant as usize];
        for number in self.slots.iter().flat_map(numbers) {
            if let Some(uses) = uses.get_mut(number) {
                *uses += 1;
            }
        }
        let known = self.names.iter().zip(uses);
        let known: Vec<u32> = known.map(|(name, uses)| names.take(name, uses)).collect();
        let number = |own: u32| known.get(own as usize).copied().unwrap_or(0);
        for slot in &mut self.slots {
            (slot.domain, slot.tenant) = (number(slot.domain), number(slot.tenant));
        }
        self.slots.shrink_to_fit();
        Chunk {
            slots: Arc::new(self.slots),
            ended: 0,
            is_changed: false,
            is_known: true,
        }
    }
}

/// The chunk of an item, and its number there; nothing for a number that is never given out.
pub(crate) fn seat_of(item: ItemId) -> Option<(u32, u16)> {
    let chunk = u32::try_from(item.0 / u64::from(CHUNK_ITEMS)).ok()?;
    let low = item.0 % u64::from(CHUNK_ITEMS);
    (chunk < u32::MAX).then_some((chunk, low as u16))
}

/// The item of a seat.
pub(crate) fn item_at(chunk: u32, low: u16) -> ItemId {
    ItemId(u64::from(chunk) * u64::from(CHUNK_ITEMS) + u64::from(low))
}

/// Numbers of one chunk.
pub(crate) const CHUNK_ITEMS: u16 = 1 << 12;

/// Of a part in a run.
const FORM: u8 = 1;

/// Slots are moved together when more of them have ended than this part, and some more.
const ENDED_PART: usize = 8;
const ENDED_LEAST: usize = 8;
