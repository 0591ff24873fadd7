//! The durable half of the queue: recipients at other hosts, from custody to their end.
//!
//! ```text
//!   take, take_offered ──→ QUEUE ──→ arrivals, a bell ──→ whoever tries them
//!                                                            │ reads them: queued
//!   ended  ←── END, perhaps with a DSN in one frame (take) ←─┤
//!   due again ←── ATTEMPT, HOLD ←────────────────────────────┘ note
//! ```
//!
//! Nothing here has a clock: when an item is due is for the caller to say and to watch.

use super::{Entry, Message, Shard};
use crate::disk::Disk;
use crate::error::{ChangeError, ReadError};
use crate::limit::{
    FRAME_BYTES_MAX, HOST_BYTES_MAX, PREFIX_BYTES_MAX, REPLY_BYTES_MAX, WAY_BYTES_MAX,
};
use crate::log::RECORD_HEADER_BYTES;
use crate::mail::id::{AccountId, ItemId, ObjectId, QueueId};
use crate::mailbox::Watch;
use crate::mailbox::state::State;
use crate::record::{
    Attempt, End, Fact, Hold, Leaving, MessageHead, Outbound, Queue, Source, kind,
};
use crate::spool::Item;
use std::ops::ControlFlow;
use std::rc::Rc;

/// What is said of an item in a later frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    Attempt(Attempt),
    End(End),
    Hold(Hold),
}

/// Items of one record, read from disk.
#[derive(Debug)]
pub struct Queued {
    /// The queue id of the transaction that brought the message.
    pub queue: QueueId,
    pub source: Source,
    /// When custody began; an offer of another shard keeps the time.
    pub received_secs: i64,
    pub enqueued_secs: i64,
    pub tenant: String,
    pub recipients: Vec<(ItemId, Leaving)>,
    /// Trace prefix and body as one run of octets, for [`Shard::read`].
    pub message: Message,
}

/// Some of the queue, by rising number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    pub items: Vec<Item>,
    /// Go on behind this item; `None`: that was all.
    pub next: Option<ItemId>,
}

impl<D: Disk> Shard<D> {
    /// Items that came since the last call, at most `most`, by rising number; after a start all
    /// that there are. Ask again until fewer come.
    pub fn queue_arrivals(&self, most: usize) -> Vec<Item> {
        self.state.borrow_mut().items.arrivals(most)
    }

    /// Rings when there are new items.
    pub fn watch_queue(&self) -> Watch {
        self.state.borrow().items.watch()
    }

    /// Items that have not ended.
    pub fn queue_len(&self) -> usize {
        self.state.borrow().items.len()
    }

    /// An item as it is now; `None` when it has ended.
    pub fn queue_item(&self, item: ItemId) -> Option<Item> {
        self.state.borrow().items.item(item)
    }

    /// Items above `after` for which `is_meant`, at most `most`. Looks at no more than
    /// [`LISTED_MAX`] in one call, so that a list does not stall the shard.
    pub fn queue_list(
        &self,
        after: ItemId,
        most: usize,
        mut is_meant: impl FnMut(&Item) -> bool,
    ) -> Listed {
        let (mut items, mut looked, mut next) = (Vec::new(), 0, None);
        let mut last = after;
        self.state.borrow().items.walk(after, |item| {
            if looked == LISTED_MAX || items.len() == most {
                next = Some(last);
                return ControlFlow::Break(());
            }
            looked += 1;
            last = item.id;
            if is_meant(&item) {
                items.push(item);
            }
            ControlFlow::Continue(())
        });
        Listed { items, next }
    }

    /// Envelope, prefix and body of items that have the same [`Item::record`]. Those that have
    /// ended, or are of another record, are left out; where none is left it is `Gone`. `Gone` of a
    /// live item, and `Damaged`: its record is lost, and it can only be ended.
    pub async fn queued(&self, items: &[ItemId]) -> Result<Queued, ReadError> {
        let record = {
            let state = self.state.borrow();
            items.iter().find_map(|item| state.items.item(*item))
        };
        let record = record.ok_or(ReadError::Gone)?.record;
        let (record, mut recipients) = self.queue_record(record, items).await?;
        let Queue {
            message,
            enqueued_secs,
            tenant,
            prefix,
            ..
        } = record;
        let (head, message) = self.body_of(message, Rc::from(&*prefix)).await?;
        let state = self.state.borrow();
        recipients.retain(|(item, _)| state.items.is_live(*item));
        if recipients.is_empty() {
            return Err(ReadError::Gone);
        }
        let MessageHead {
            queue,
            source,
            received_secs,
            ..
        } = head;
        Ok(Queued {
            queue,
            source,
            received_secs,
            enqueued_secs,
            tenant,
            recipients,
            message,
        })
    }

    async fn queue_record(
        &self,
        record: ObjectId,
        items: &[ItemId],
    ) -> Result<(Queue, Vec<(ItemId, Leaving)>), ReadError> {
        let (place, read) = self.object_in_passing(record, kind::QUEUE).await?;
        match Queue::decode_some(read.payload(), items) {
            Ok((queue, recipients)) if queue.object == record => Ok((queue, recipients)),
            _ => Err(place.damaged("not the QUEUE that the item says")),
        }
    }

    /// What was said of the last attempt of an item; `None` where there was none yet.
    pub async fn last_attempt(&self, item: ItemId) -> Result<Option<Attempt>, ReadError> {
        let Some(object) = self.state.borrow().items.last_attempt(item) else {
            return Ok(None);
        };
        let (place, read) = self.object_in_passing(object, kind::ATTEMPT).await?;
        match Fact::decode(kind::ATTEMPT, read.payload()) {
            Ok(Fact::Attempt { attempt, .. }) if attempt.item == item => Ok(Some(*attempt)),
            _ => Err(place.damaged("not the attempt that the item says")),
        }
    }

    /// Says what became of items, in as few frames as they fit in; ready when all of it is durable.
    /// What is said of an item that has ended, or whose end is on its way, is passed over. After an
    /// error some of the notes may be durable; to say them again does no harm.
    pub async fn note(&self, notes: Vec<Note>) -> Result<(), ChangeError> {
        let mut last = None;
        let mut rest = notes.into_iter().peekable();
        while rest.peek().is_some() {
            let some: Vec<Note> = rest.by_ref().take(NOTES_IN_FRAME).collect();
            let bytes = some.len() * NOTE_BYTES_MAX;
            // An end gives space back.
            match some.iter().all(|note| matches!(note, Note::End(_))) {
                true => self.log.room_urgent(bytes).await?,
                false => self.log.room(bytes).await?,
            }
            let entries = self.draft_notes(some);
            if !entries.is_empty() {
                last = Some(self.put(AccountId(0), entries)?);
            }
        }
        match last {
            Some(frame) => Ok(self.log.durable(frame).await?),
            None => Ok(()),
        }
    }

    fn draft_notes(&self, notes: Vec<Note>) -> Vec<Entry<'static>> {
        let mut state = self.state.borrow_mut();
        let facts = notes.into_iter().filter_map(|note| match note {
            Note::End(end) => {
                let is_first = state.items.ending(end.item);
                is_first.then(|| Fact::End(Box::new(end)))
            }
            Note::Attempt(attempt) => state.items.is_open(attempt.item).then(|| Fact::Attempt {
                object: state.next_object(),
                attempt: Box::new(attempt),
            }),
            Note::Hold(hold) => state.items.is_open(hold.item).then_some(Fact::Hold(hold)),
        });
        facts.map(Entry::of).collect()
    }
}

/// What of a custody is for other hosts: QUEUE records, one for recipients that follow each other
/// with the same tenant and prefix.
pub(super) fn draft_queue(
    state: &mut State,
    (message, body_octets): (ObjectId, u64),
    enqueued_secs: i64,
    outbound: Vec<Outbound>,
    batches: &mut Vec<(AccountId, Entry<'_>)>,
) {
    let mut open: Option<Queue> = None;
    for one in outbound {
        assert!(
            one.prefix.len() <= PREFIX_BYTES_MAX,
            "prefixes are built by us"
        );
        let (leaving, tenant, prefix) = one.split();
        let fits = |queue: &Queue| {
            queue.recipients.len() < QUEUED_TOGETHER_MAX
                && queue.tenant == tenant
                && queue.prefix == prefix
        };
        if !open.as_ref().is_some_and(fits) {
            batches.extend(open.take().map(|queue| numbered(state, queue)));
        }
        let octets = body_octets + prefix.len() as u64;
        let queue = open.get_or_insert_with(|| Queue {
            object: ObjectId(0),
            message,
            first_item: ItemId(0),
            enqueued_secs,
            octets: u32::try_from(octets).unwrap_or(u32::MAX),
            tenant,
            prefix,
            recipients: Vec::new(),
        });
        queue.recipients.push(leaving);
    }
    batches.extend(open.map(|queue| numbered(state, queue)));
}

/// Gives a QUEUE its numbers.
fn numbered<'a>(state: &mut State, mut queue: Queue) -> (AccountId, Entry<'a>) {
    queue.object = state.next_object();
    queue.first_item = state.items.next(queue.recipients.len());
    (AccountId(0), Entry::of(Fact::Queue(Box::new(queue))))
}

/// Whether these items can end with a custody: all of them, and each once.
pub(super) fn may_end(state: &State, ends: &[End]) -> Result<(), ChangeError> {
    let mut named: Vec<ItemId> = ends.iter().map(|end| end.item).collect();
    named.sort_unstable();
    let is_twice = named.windows(2).any(|pair| pair.first() == pair.last());
    match is_twice || !named.iter().all(|item| state.items.is_open(*item)) {
        true => Err(ChangeError::Cannot(HAS_ENDED)),
        false => Ok(()),
    }
}

/// Ends for which [`may_end`] was asked.
pub(super) fn draft_ends(
    state: &mut State,
    ends: Vec<End>,
    batches: &mut Vec<(AccountId, Entry<'_>)>,
) {
    for end in ends {
        state.items.ending(end.item);
        batches.push((AccountId(0), Entry::of(Fact::End(Box::new(end)))));
    }
}

/// Why a custody with the end of an item is refused that has ended already.
pub const HAS_ENDED: &str = "an item of the queue has ended already";

/// Items that one call of [`Shard::queue_list`] looks at.
pub const LISTED_MAX: usize = 1 << 16;

/// Recipients in one QUEUE record.
pub(super) const QUEUED_TOGETHER_MAX: usize = 128;

/// An ATTEMPT or END with all that it can have.
pub(super) const NOTE_BYTES_MAX: usize =
    HOST_BYTES_MAX + REPLY_BYTES_MAX + 3 * WAY_BYTES_MAX + 80 + RECORD_HEADER_BYTES;

/// Notes that are appended together.
const NOTES_IN_FRAME: usize = 1024;

const _: () = assert!(NOTES_IN_FRAME * NOTE_BYTES_MAX < FRAME_BYTES_MAX / 2);
const _: () =
    assert!(QUEUED_TOGETHER_MAX * (PREFIX_BYTES_MAX + 2048) < crate::limit::RECORD_BYTES_MAX);
