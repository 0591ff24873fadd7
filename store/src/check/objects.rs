//! What the records say of each object, held against what the rows say of it.
//!
//! A dense table by object, 24 octets each, filled while log and packs are read from front to end:
//! so a check reads each byte once, in order, and rows are judged from memory. Where that would be
//! too much, a check goes through the store several times, and keeps the objects of one window.

use crate::limit::RECIPIENTS_MAX;
use crate::log::Place;
use crate::mail::id::{AccountId, ObjectId};
use crate::mailbox::Row;
use crate::record::{Deliver, MessageHead, Piece, Queue};
use crate::table::locations::{Entries, seat_of};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// What became of every object.
#[derive(Debug, Default)]
pub(super) struct Objects {
    chunks: BTreeMap<u64, Vec<Entry>>,
    /// BODY records that are whole, and their octets.
    bodies: HashMap<Place, u32>,
    /// Messages that do not lie inline.
    pieces: Vec<(ObjectId, Vec<Piece>)>,
    /// Why an object that was found cannot be used.
    broken: HashMap<ObjectId, Fault>,
    /// The last object that the table knows: places of later ones are those of their records.
    last_known: ObjectId,
    /// Rows of these are judged.
    window: Range<u64>,
}

/// What is wrong with an object, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    pub(super) place: Option<Place>,
    pub(super) what: &'static str,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// 0 for none.
    place: u64,
    /// Of a DELIVER or QUEUE prefix and body, of a MESSAGE the body.
    octets: u32,
    account: u32,
    /// From a DELIVER or QUEUE back to its MESSAGE.
    back: u32,
    prefix: u16,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// No whole record was found at its place, or it has none.
    #[default]
    Unseen,
    Message,
    Deliver,
    Queue,
    Attempt,
}

impl Objects {
    /// Objects up to `last_known` are where the table says, later ones where their records are.
    /// Kept are those of the window, and the messages before that their deliveries may name.
    pub(super) fn up_to(last_known: ObjectId, window: Range<u64>) -> Objects {
        Objects {
            last_known,
            window,
            ..Objects::default()
        }
    }

    /// Windows of so many objects, the last of them without an end.
    pub(super) fn windows(last_known: ObjectId, objects: u64) -> Vec<Range<u64>> {
        let begins =
            (0..=last_known.0).step_by(usize::try_from(objects.max(1)).unwrap_or(usize::MAX));
        let begins: Vec<u64> = begins.collect();
        let ends = begins.iter().skip(1).copied().chain([u64::MAX]);
        begins
            .iter()
            .zip(ends)
            .map(|(begin, end)| *begin..end)
            .collect()
    }

    /// Whether a row of this object is judged now, not in another pass.
    pub(super) fn judges(&self, object: ObjectId) -> bool {
        self.window.contains(&object.0)
    }

    fn keeps(&self, object: ObjectId) -> bool {
        let before = RECIPIENTS_MAX as u64 + 1;
        (self.window.start.saturating_sub(before)..self.window.end).contains(&object.0)
    }

    /// Takes a page of the location table.
    pub(super) fn locate(&mut self, page: &Entries) {
        for (object, location) in (page.first.0..).map(ObjectId).zip(&page.entries) {
            if let Some(location) = location.filter(|_| self.keeps(object)) {
                self.entry(object).place = location.place.0;
            }
        }
    }

    /// A whole BODY record was found.
    pub(super) fn body(&mut self, place: Place, octets: usize) {
        self.bodies
            .insert(place, u32::try_from(octets).unwrap_or(u32::MAX));
    }

    /// A whole MESSAGE record was found. Counts only where the object is said to lie.
    pub(super) fn message(&mut self, place: Place, head: &MessageHead) {
        let Some(entry) = self.at_home(head.object, place) else {
            return;
        };
        *entry = Entry {
            place: place.0,
            octets: u32::try_from(head.octets).unwrap_or(u32::MAX),
            state: State::Message,
            ..Entry::default()
        };
        if !head.pieces.is_empty() {
            self.pieces.push((head.object, head.pieces.clone()));
        }
    }

    /// A whole DELIVER record was found. Counts only where the object is said to lie.
    pub(super) fn deliver(&mut self, place: Place, account: AccountId, deliver: &Deliver) {
        let back = deliver.object.0.checked_sub(deliver.message.0);
        let back = back.and_then(|back| u32::try_from(back).ok());
        let prefix = u16::try_from(deliver.prefix.len()).unwrap_or(u16::MAX);
        let Some(entry) = self.at_home(deliver.object, place) else {
            return;
        };
        *entry = Entry {
            place: place.0,
            octets: deliver.octets,
            account: account.0,
            back: back.unwrap_or(0),
            prefix,
            state: State::Deliver,
        };
    }

    /// A whole QUEUE record was found. Counts only where the object is said to lie.
    pub(super) fn queue(&mut self, place: Place, queue: &Queue) {
        let back = queue.object.0.checked_sub(queue.message.0);
        let back = back.and_then(|back| u32::try_from(back).ok());
        let prefix = u16::try_from(queue.prefix.len()).unwrap_or(u16::MAX);
        if let Some(entry) = self.at_home(queue.object, place) {
            *entry = Entry {
                place: place.0,
                octets: queue.octets,
                account: 0,
                back: back.unwrap_or(0),
                prefix,
                state: State::Queue,
            };
        }
    }

    /// A whole ATTEMPT record was found. Counts only where the object is said to lie.
    pub(super) fn attempt(&mut self, place: Place, object: ObjectId) {
        if let Some(entry) = self.at_home(object, place) {
            *entry = Entry {
                place: place.0,
                state: State::Attempt,
                ..Entry::default()
            };
        }
    }

    /// The entry of an object that may lie at `place`.
    fn at_home(&mut self, object: ObjectId, place: Place) -> Option<&mut Entry> {
        if !self.keeps(object) {
            return None;
        }
        let is_recent = object > self.last_known;
        let entry = self.entry(object);
        (is_recent || entry.place == place.0).then_some(entry)
    }

    fn entry(&mut self, object: ObjectId) -> &mut Entry {
        let (chunk, index) = seat_of(object);
        let entries = self.chunks.entry(chunk).or_default();
        let index = index as usize;
        if entries.len() <= index {
            entries.resize(index + 1, Entry::default());
        }
        entries.get_mut(index).expect("it was made just now")
    }

    fn known(&self, object: ObjectId) -> Entry {
        let (chunk, index) = seat_of(object);
        let entries = self.chunks.get(&chunk);
        let entry = entries.and_then(|entries| entries.get(index as usize));
        entry.copied().unwrap_or_default()
    }

    /// Everything is read: holds messages against their pieces.
    pub(super) fn settle(&mut self) {
        for (object, pieces) in std::mem::take(&mut self.pieces) {
            let lost = pieces
                .iter()
                .find(|piece| self.bodies.get(&piece.place) != Some(&piece.octets));
            if let Some(piece) = lost {
                let fault = Fault {
                    place: Some(piece.place),
                    what: "a piece of the body cannot be read",
                };
                self.broken.insert(object, fault);
            }
        }
        self.bodies = HashMap::new();
    }

    /// Whether the message of a row can be read, and is the one that the row says.
    pub(super) fn judge(&self, account: AccountId, row: &Row) -> Result<(), Fault> {
        let entry = self.known(row.delivery);
        let fault = |what| Err(entry.fault(what));
        match entry.state {
            State::Unseen if entry.place == 0 => return fault("nobody knows where it lies"),
            State::Unseen => return fault("there is no whole record of its delivery"),
            State::Deliver => {}
            _ => return fault("another record lies where its delivery should"),
        }
        if entry.account != account.0 {
            return fault("its delivery is for another account");
        }
        if entry.octets != row.octets {
            return fault("its delivery has another size than the row");
        }
        self.judge_share(row.delivery, entry)
    }

    /// Whether the record of an item can be read, and its message.
    pub(super) fn judge_queued(&self, record: ObjectId) -> Result<(), Fault> {
        let entry = self.known(record);
        match entry.state {
            State::Queue => self.judge_share(record, entry),
            State::Unseen if entry.place == 0 => Err(entry.fault("nobody knows where it lies")),
            State::Unseen => Err(entry.fault("there is no whole record of it")),
            _ => Err(entry.fault("another record lies where its QUEUE should")),
        }
    }

    /// Whether the last attempt of an item can be read.
    pub(super) fn judge_attempt(&self, object: ObjectId) -> Result<(), Fault> {
        let entry = self.known(object);
        match entry.state {
            State::Attempt => Ok(()),
            _ => Err(entry.fault("what was said of its last attempt is not there")),
        }
    }

    /// The message of a DELIVER or QUEUE.
    fn judge_share(&self, object: ObjectId, entry: Entry) -> Result<(), Fault> {
        let body = entry.octets.checked_sub(u32::from(entry.prefix));
        match entry.back {
            0 => Err(entry.fault("its record names no message")),
            back => self.judge_body(ObjectId(object.0 - u64::from(back)), body),
        }
    }

    /// Whether the body of a message can be read, and has that many octets.
    pub(super) fn judge_message(&self, message: ObjectId) -> Result<(), Fault> {
        self.judge_body(message, Some(self.known(message).octets))
    }

    fn judge_body(&self, message: ObjectId, octets: Option<u32>) -> Result<(), Fault> {
        let entry = self.known(message);
        let fault = |what| Err(entry.fault(what));
        match entry.state {
            State::Unseen if entry.place == 0 => return fault("nobody knows where its body lies"),
            State::Unseen => return fault("there is no whole record of its body"),
            State::Message => {}
            _ => return fault("another record lies where its body should"),
        }
        if let Some(broken) = self.broken.get(&message) {
            return Err(*broken);
        }
        if Some(entry.octets) != octets {
            return fault("its body has another size than its delivery says");
        }
        Ok(())
    }
}

impl Entry {
    fn fault(&self, what: &'static str) -> Fault {
        Fault {
            place: (self.place != 0).then_some(Place(self.place)),
            what,
        }
    }
}

const _: () = assert!(size_of::<Entry>() == 24);
