//! The items of the queue that have not ended: recipients of other hosts, each with what the queue
//! has to know without a look at the disk.
//!
//! A dense slab of 36 octets an item, in chunks by number ([`super::chunk`]). Addresses, trace and
//! the words of other hosts stay in QUEUE and ATTEMPT records, which are found by their objects.
//! A checkpoint writes down the chunks that changed since the one before.

use super::chunk::{Chunk, HELD, Part, Slot, item_at, seat_of};
use super::frozen::FrozenItems;
use super::names::Names;
use crate::bell::{Bell, Watch};
use crate::codec::Short;
use crate::codec::size::Size;
use crate::mail::id::{ItemId, ObjectId};
use crate::record::{Attempt, Hold, Leaving, Queue};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::rc::Rc;

/// One recipient at another host, as far as it is in memory. Times are seconds since 1970.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    pub id: ItemId,
    /// Items with the same record are recipients of one message, and read together. (Of a message
    /// with very many recipients there are several records.)
    pub record: ObjectId,
    pub enqueued_secs: u32,
    /// Not to be tried before.
    pub due_secs: u32,
    pub expiry_secs: u32,
    /// Of the recipient.
    pub domain: Rc<str>,
    pub tenant: Rc<str>,
    /// So far; at most 255 are counted.
    pub attempts: u8,
    pub priority: i8,
    pub is_held: bool,
    /// Of prefix and body, within an eighth.
    pub octets: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Items {
    chunks: BTreeMap<u32, Chunk>,
    names: Names,
    count: usize,
    /// The highest number in the log.
    last: ItemId,
    /// The highest number given out.
    tip: ItemId,
    /// Their END is on its way to the disk.
    ending: BTreeSet<ItemId>,
    /// Chunks that an index has and that are empty now.
    gone: BTreeSet<u32>,
    /// Items up to here were told as arrivals.
    told: ItemId,
    arrivals: Rc<Bell>,
}

impl Items {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn last(&self) -> ItemId {
        self.last
    }

    /// The first of `count` new numbers.
    pub(crate) fn next(&mut self, count: usize) -> ItemId {
        let first = ItemId(self.tip.0 + 1);
        self.tip.0 += count as u64;
        first
    }

    pub(crate) fn item(&self, id: ItemId) -> Option<Item> {
        let slot = self.slot(id)?;
        Some(self.shown(id, slot))
    }

    pub(crate) fn is_live(&self, id: ItemId) -> bool {
        self.slot(id).is_some()
    }

    /// Where the last attempt of an item is told.
    pub(crate) fn last_attempt(&self, id: ItemId) -> Option<ObjectId> {
        self.slot(id)?.last_attempt()
    }

    fn slot(&self, id: ItemId) -> Option<&Slot> {
        let (chunk, low) = seat_of(id)?;
        self.chunks.get(&chunk)?.find(low)
    }

    fn shown(&self, id: ItemId, slot: &Slot) -> Item {
        Item {
            id,
            record: slot.record(),
            enqueued_secs: slot.enqueued_secs,
            due_secs: slot.due_secs,
            expiry_secs: slot.expiry_secs,
            domain: self.names.text(slot.domain),
            tenant: self.names.text(slot.tenant),
            attempts: slot.attempts,
            priority: slot.priority,
            is_held: slot.is_held(),
            octets: slot.size.octets(),
        }
    }

    /// Calls `each` with the items above `after`, by rising number, until it breaks.
    pub(crate) fn walk(&self, after: ItemId, mut each: impl FnMut(Item) -> ControlFlow<()>) {
        let Some((first, low)) = seat_of(ItemId(after.0.saturating_add(1))) else {
            return;
        };
        for (number, chunk) in self.chunks.range(first..) {
            let low = if *number == first { low } else { 0 };
            for slot in chunk.from(low) {
                let item = self.shown(item_at(*number, slot.low), slot);
                if each(item).is_break() {
                    return;
                }
            }
        }
    }

    /// Items that came since the last time, at most `most`; at first all that there are.
    pub(crate) fn arrivals(&mut self, most: usize) -> Vec<Item> {
        let mut arrived = Vec::new();
        self.walk(self.told, |item| {
            if arrived.len() == most {
                return ControlFlow::Break(());
            }
            arrived.push(item);
            ControlFlow::Continue(())
        });
        self.told = match arrived.last() {
            Some(last) if arrived.len() == most => last.id,
            _ => self.last.max(self.told),
        };
        arrived
    }

    pub(crate) fn watch(&self) -> Watch {
        self.arrivals.watch()
    }

    /// Marks an END as on its way. `false`: the item has ended, or is about to.
    pub(crate) fn ending(&mut self, id: ItemId) -> bool {
        self.is_open(id) && self.ending.insert(id)
    }

    /// Whether something may still be said of the item.
    pub(crate) fn is_open(&self, id: ItemId) -> bool {
        self.is_live(id) && !self.ending.contains(&id)
    }

    /// The frames on their way were given up. Numbers that they gave out are not given again.
    pub(crate) fn abort(&mut self) {
        self.ending.clear();
    }

    pub(crate) fn enqueued(&mut self, queue: &Queue) {
        let before = self.count;
        for (id, recipient) in queue.items().map(ItemId).zip(&queue.recipients) {
            if !self.is_live(id) {
                self.arrive(id, queue, recipient);
            }
        }
        // An archive has QUEUEs of which only the numbers are left.
        self.resume(ItemId(queue.items().end - 1));
        if self.count > before {
            self.arrivals.ring();
        }
    }

    fn arrive(&mut self, id: ItemId, queue: &Queue, recipient: &Leaving) {
        let Some((number, low)) = seat_of(id) else {
            return;
        };
        if let Some((last, _)) = seat_of(self.last).filter(|(last, _)| *last < number) {
            self.complete(last);
        }
        let slot = Slot {
            enqueued_secs: resident(queue.enqueued_secs),
            due_secs: resident(recipient.not_before_secs.max(queue.enqueued_secs)),
            expiry_secs: resident(recipient.expiry_secs),
            domain: self.names.take(&recipient.address.domain, 1),
            tenant: self.names.take(&queue.tenant, 1),
            priority: recipient.priority,
            size: Size::of(queue.octets),
            ..Slot::new(low, queue.object)
        };
        let chunk = self.chunks.entry(number).or_default();
        if chunk.insert(slot) {
            chunk.is_changed = true;
            self.count += 1;
        } else {
            self.names.give_back(slot.domain);
            self.names.give_back(slot.tenant);
        }
        self.resume(id);
    }

    pub(crate) fn attempted(&mut self, object: ObjectId, attempt: &Attempt) {
        self.change(attempt.item, |slot| {
            slot.attempted(object);
            slot.attempts = u8::try_from(attempt.attempts).unwrap_or(u8::MAX);
            slot.due_secs = resident(attempt.due_secs);
        });
    }

    pub(crate) fn held(&mut self, hold: &Hold) {
        self.change(hold.item, |slot| {
            slot.flags = if hold.is_held { HELD } else { 0 };
            slot.due_secs = resident(hold.due_secs);
        });
    }

    fn change(&mut self, id: ItemId, change: impl FnOnce(&mut Slot)) {
        let seat = seat_of(id);
        let chunk = seat.and_then(|(number, low)| Some((self.chunks.get_mut(&number)?, low)));
        let Some((chunk, low)) = chunk else {
            return;
        };
        if let Some(slot) = chunk.find_mut(low) {
            change(slot);
            chunk.is_changed = true;
        }
    }

    pub(crate) fn ended(&mut self, id: ItemId) {
        self.ending.remove(&id);
        let Some((number, low)) = seat_of(id) else {
            return;
        };
        let Some(slot) = self.chunks.get_mut(&number).and_then(|it| it.end(low)) else {
            return;
        };
        self.names.give_back(slot.domain);
        self.names.give_back(slot.tenant);
        self.count -= 1;
        if seat_of(self.last).is_some_and(|(last, _)| number < last) {
            self.drop_empty(number);
        }
    }

    /// A chunk to which nothing comes any more.
    fn complete(&mut self, number: u32) {
        if let Some(chunk) = self.chunks.get_mut(&number) {
            chunk.settle();
        }
        self.drop_empty(number);
    }

    fn drop_empty(&mut self, number: u32) {
        if self.chunks.get(&number).is_none_or(|chunk| chunk.len() > 0) {
            return;
        }
        if self.chunks.remove(&number).is_some_and(|it| it.is_known) {
            self.gone.insert(number);
        }
    }

    /// The chunks that changed since the last time.
    pub(crate) fn freeze(&mut self) -> FrozenItems {
        let gone = std::mem::take(&mut self.gone).into_iter();
        let gone = gone.filter(|number| !self.chunks.contains_key(number));
        let mut frozen: Vec<_> = gone.map(|number| (number, None)).collect();
        let chunks = self.chunks.iter_mut();
        let changed = chunks.filter(|(_, chunk)| chunk.is_changed);
        frozen.extend(changed.map(|(number, chunk)| (*number, Some(chunk.lend()))));
        FrozenItems::new(frozen, &self.names)
    }

    /// Takes a chunk that a checkpoint wrote down.
    pub(crate) fn load(&mut self, number: u32, octets: &[u8]) -> Result<(), Short> {
        let part = Part::decode(octets)?;
        if part.slots.is_empty() {
            return Ok(());
        }
        let chunk = part.into_chunk(&mut self.names);
        self.count += chunk.len();
        let last = chunk.slots().last().map(|slot| item_at(number, slot.low));
        self.resume(last.unwrap_or_default());
        self.chunks.insert(number, chunk);
        Ok(())
    }

    /// Numbers up to here were given out.
    pub(crate) fn resume(&mut self, last: ItemId) {
        self.last = self.last.max(last);
        self.tip = self.tip.max(last);
    }
}

/// Seconds as they are kept in memory: until 2106.
fn resident(secs: i64) -> u32 {
    u32::try_from(secs.max(0)).unwrap_or(u32::MAX)
}
