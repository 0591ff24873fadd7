//! One mailbox: its rows, and what is known of it without them.
//!
//! Rows are fetched from the index when they are first asked for; arrivals, and everything that
//! STATUS tells, do without. `take_delta` says what changed since it was last asked: by MODSEQ, so
//! that nothing beside the rows has to be kept up.
//!
//! Facts are applied when they are durable and in the order of the log, so everything here is
//! durable, but for the `tip_…` fields: they count what is on its way to the disk, so that no UID
//! and no keyword position is given out twice.

use super::layer::{Layer, Overlay};
use super::meta::MailboxMeta;
use super::row::Row;
use super::rows::Rows;
use super::shelf::{Expected, Fetch, Opened, Shelf};
use super::tally::Tally;
use super::tree::{SpecialUse, Status};
use super::vanished::Vanished;
use crate::bell::Bell;
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{FrameSeq, MailboxId, ModSeq, Uid, UidValidity};
use crate::mail::uidset::UidSet;
use crate::record::{Broken, Copy, FlagChange, FlagOp};
use std::rc::Rc;

#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) id: MailboxId,
    pub(crate) name: String,
    pub(crate) uid_validity: UidValidity,
    pub(crate) special_use: SpecialUse,
    shelf: Shelf,
    tally: Tally,
    uid_next: Uid,
    highest_modseq: ModSeq,
    /// Messages below are claimed as `\Recent`.
    recent_first: Uid,
    keywords: Vec<String>,
    /// Where the last delta ended.
    frozen: Frozen,
    pub(crate) bell: Rc<Bell>,
    pub(crate) tip_uid_next: Uid,
    pub(crate) tip_keywords: Vec<String>,
    /// The last frame with a change of this mailbox.
    pub(crate) tip_frame: FrameSeq,
    /// A delete is on its way to the disk: nothing may be added any more.
    pub(crate) tip_deleted: bool,
}

/// What earlier deltas have told.
#[derive(Debug)]
struct Frozen {
    uid_next: Uid,
    modseq: ModSeq,
    /// Rows below `uid_next` that were expunged since then, in no order. Each was a row before, so
    /// there are never more than fit where the rows were.
    expunged: Vec<(u32, u32)>,
}

impl Contents {
    pub(crate) fn new(
        id: MailboxId,
        name: String,
        uid_validity: UidValidity,
        special_use: SpecialUse,
        modseq: ModSeq,
    ) -> Contents {
        Contents {
            id,
            name,
            uid_validity,
            special_use,
            shelf: Shelf::empty(),
            tally: Tally::default(),
            uid_next: Uid(1),
            highest_modseq: modseq,
            recent_first: Uid(1),
            keywords: Vec::new(),
            frozen: Frozen::at(Uid(1), ModSeq(0)),
            bell: Rc::default(),
            tip_uid_next: Uid(1),
            tip_keywords: Vec::new(),
            tip_frame: FrameSeq(0),
            tip_deleted: false,
        }
    }

    /// A mailbox as the index has it; its rows stay there until they are asked for.
    pub(crate) fn from_meta(meta: MailboxMeta, fetch: Fetch) -> Contents {
        let mailbox = Contents::new(
            meta.id,
            meta.name,
            meta.uid_validity,
            meta.special_use,
            meta.highest_modseq,
        );
        Contents {
            shelf: Shelf::closed(fetch, meta.uid_next),
            tally: meta.tally,
            uid_next: meta.uid_next,
            tip_uid_next: meta.uid_next,
            recent_first: meta.recent_first,
            tip_keywords: meta.keywords.clone(),
            keywords: meta.keywords,
            frozen: Frozen::at(meta.uid_next, meta.highest_modseq),
            ..mailbox
        }
    }

    /// What the index keeps of the mailbox beside its layers.
    pub(crate) fn meta(&self) -> MailboxMeta {
        MailboxMeta {
            id: self.id,
            name: self.name.clone(),
            uid_validity: self.uid_validity,
            special_use: self.special_use,
            uid_next: self.uid_next,
            highest_modseq: self.highest_modseq,
            tally: self.tally,
            recent_first: self.recent_first,
            keywords: self.keywords.clone(),
        }
    }

    pub(crate) fn status(&self) -> Status {
        Status {
            messages: self.tally.messages,
            unseen: self.tally.unseen,
            deleted: self.tally.deleted,
            octets: self.tally.octets,
            recent: self.tally.recent,
            uid_next: self.uid_next,
            uid_validity: self.uid_validity,
            highest_modseq: self.highest_modseq,
        }
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.opened().rows
    }

    /// Why the rows cannot be had; those that arrived since are there nevertheless.
    pub(crate) fn damage(&self) -> Option<Broken> {
        self.opened().damage
    }

    fn opened(&self) -> &Opened {
        self.shelf.open(&self.expected())
    }

    fn expected(&self) -> Expected {
        Expected {
            tally: self.tally,
            recent_first: self.recent_first,
            uid_next: self.uid_next,
            highest_modseq: self.highest_modseq,
        }
    }

    /// What the rows occupy in memory, in bytes; nothing where they were not asked for.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.shelf.heap_bytes()
    }

    /// The rows are in memory.
    pub(crate) fn is_open(&self) -> bool {
        self.shelf.opened().is_some()
    }

    /// Somebody listens for changes.
    pub(crate) fn is_watched(&self) -> bool {
        Rc::strong_count(&self.bell) > 1
    }

    pub(crate) fn keywords(&self) -> &[String] {
        &self.keywords
    }

    pub(crate) fn highest_modseq(&self) -> ModSeq {
        self.highest_modseq
    }

    pub(crate) fn uid_next(&self) -> Uid {
        self.uid_next
    }

    /// What was expunged after `modseq`; `None` where that is not known any more.
    pub(crate) fn vanished_since(&self, modseq: ModSeq) -> Option<UidSet> {
        self.opened().vanished.since(modseq)
    }

    pub(crate) fn recent_first(&self) -> Uid {
        self.recent_first
    }

    pub(crate) fn arrive(&mut self, row: Row) {
        assert!(row.uid >= self.uid_next, "a UID is never used again");
        self.uid_next = Uid(row.uid.0 + 1);
        self.tip_uid_next = self.tip_uid_next.max(self.uid_next);
        self.tally.add(&row, self.recent_first);
        self.shelf.push(&row);
        self.reached(row.modseq);
    }

    pub(crate) fn copy_in(&mut self, copy: &Copy) {
        for (uid, copied) in (copy.first_uid.0..).zip(&copy.rows) {
            self.arrive(Row {
                uid: Uid(uid),
                modseq: copy.modseq,
                flags: copied.flags,
                keywords: copied.keywords,
                internal_date: copied.internal_date,
                saved_secs: copy.saved_secs.unwrap_or(copied.internal_date.unix_secs),
                octets: copied.octets,
                delivery: copied.delivery,
            });
        }
    }

    pub(crate) fn flag(&mut self, change: &FlagChange) {
        let mut is_changed = false;
        let (expected, tally) = (self.expected(), &mut self.tally);
        let rows = &mut self.shelf.open_mut(&expected).rows;
        rows.update(&change.uids, |row| {
            let (flags, keywords) = flagged(row, change);
            if (flags, keywords) == (row.flags, row.keywords) {
                return None;
            }
            tally.reflag(row.flags, flags);
            is_changed = true;
            Some((flags, keywords, change.modseq))
        });
        if is_changed {
            self.reached(change.modseq);
        }
    }

    /// Removes those of `uids` that exist and returns how many octets they had.
    pub(crate) fn expunge(&mut self, uids: &UidSet, modseq: ModSeq) -> u64 {
        let expected = self.expected();
        let opened = self.shelf.open_mut(&expected);
        let (mut gone, before) = (UidSet::new(), self.tally.octets);
        for row in opened.rows.of(uids) {
            self.tally.remove(&row, self.recent_first);
            gone.push(row.uid);
        }
        if !gone.is_empty() {
            opened.rows.remove(&gone);
            opened.vanished.push(modseq, &gone);
            self.frozen.note(&gone);
            self.reached(modseq);
        }
        before - self.tally.octets
    }

    /// Messages below `first` are claimed as `\Recent` by a session.
    pub(crate) fn claim_recent(&mut self, first: Uid) {
        if first > self.recent_first {
            let left = match self.shelf.known_from(first) {
                Some(left) => left.len(),
                None => self.rows().len() - self.rows().position(first),
            };
            self.tally.recent = left as u32;
            self.recent_first = first;
        }
    }

    /// Whether there is something to tell by the next delta.
    pub(crate) fn is_dirty(&self) -> bool {
        self.highest_modseq > self.frozen.modseq
    }

    /// What changed since the last delta; `None` where no row did.
    pub(crate) fn take_delta(&mut self) -> Option<Layer> {
        let now = Frozen::at(self.uid_next, self.highest_modseq);
        let told = std::mem::replace(&mut self.frozen, now);
        let mut layer = Layer {
            arrivals: self
                .shelf
                .known_from(told.uid_next)
                .expect("the index has nothing from there on"),
            overlays: Vec::new(),
            expunged: UidSet::from_ranges(told.expunged),
            vanished: Vanished::default(),
        };
        // Nothing but arrivals comes to a mailbox that is not open.
        if let Some(opened) = self.shelf.opened() {
            let changed = opened.rows.changed_since(told.modseq, told.uid_next);
            layer.overlays = changed.map(|row| Overlay::of(&row)).collect();
            layer.vanished = opened.vanished.tail(told.modseq);
        }
        (!layer.is_empty()).then_some(layer)
    }

    /// Every delta taken so far is in the index that `fetch` reads. Rows that nobody has asked for
    /// since the last time are left to it.
    pub(crate) fn rebase(&mut self, fetch: Fetch) {
        let is_clean = !self.is_dirty() && !self.is_watched();
        self.shelf.rebase(fetch, self.frozen.uid_next, is_clean);
    }

    pub(crate) fn name_keyword(&mut self, position: u8, name: String) {
        let position = usize::from(position);
        if position == self.keywords.len() {
            self.keywords.push(name);
        }
        if self.tip_keywords.len() < self.keywords.len() {
            self.tip_keywords.clone_from(&self.keywords);
        }
    }

    /// The frames on their way were given up: what they counted is free again. UIDs are not, since
    /// a gap costs nothing.
    pub(crate) fn abort(&mut self) {
        self.tip_keywords.clone_from(&self.keywords);
        self.tip_deleted = false;
        self.tip_frame = FrameSeq(0);
    }

    fn reached(&mut self, modseq: ModSeq) {
        self.highest_modseq = self.highest_modseq.max(modseq);
    }
}

impl Frozen {
    fn at(uid_next: Uid, modseq: ModSeq) -> Frozen {
        Frozen {
            uid_next,
            modseq,
            expunged: Vec::new(),
        }
    }

    fn note(&mut self, gone: &UidSet) {
        let told = gone
            .ranges()
            .iter()
            .filter(|range| range.0 < self.uid_next.0);
        let clipped = told.map(|range| (range.0, range.1.min(self.uid_next.0 - 1)));
        self.expunged.extend(clipped);
    }
}

fn flagged(row: &Row, change: &FlagChange) -> (Flags, Keywords) {
    match change.op {
        FlagOp::Set => (change.flags, change.keywords),
        FlagOp::Add => (
            row.flags | change.flags,
            Keywords(row.keywords.0 | change.keywords.0),
        ),
        FlagOp::Remove => (
            row.flags & !change.flags,
            Keywords(row.keywords.0 & !change.keywords.0),
        ),
    }
}
