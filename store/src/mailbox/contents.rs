//! The rows of one mailbox and what follows from them: counts, vanished history, recent changes.
//!
//! Facts are applied when they are durable and in the order of the log, so everything here is
//! durable, but for the `tip_…` fields: they count what is on its way to the disk, so that no UID
//! and no keyword position is given out twice.

use super::row::Row;
use super::rows::Rows;
use super::tally::Tally;
use super::tree::{SpecialUse, Status};
use crate::bell::Bell;
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{FrameSeq, MailboxId, ModSeq, Uid, UidValidity};
use crate::mail::uidset::UidSet;
use crate::record::{Copy, FlagChange, FlagOp};
use std::rc::Rc;

#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) id: MailboxId,
    pub(crate) name: String,
    pub(crate) uid_validity: UidValidity,
    pub(crate) special_use: SpecialUse,
    rows: Rows,
    tally: Tally,
    uid_next: Uid,
    highest_modseq: ModSeq,
    /// Messages below are claimed as `\Recent`.
    recent_first: Uid,
    keywords: Vec<String>,
    /// What was expunged at which MODSEQ, ascending: the answer to QRESYNC (RFC 7162 §3.2.10).
    vanished: Vec<(ModSeq, UidSet)>,
    pub(crate) bell: Rc<Bell>,
    pub(crate) tip_uid_next: Uid,
    pub(crate) tip_keywords: Vec<String>,
    /// The last frame with a change of this mailbox.
    pub(crate) tip_frame: FrameSeq,
    /// A delete is on its way to the disk: nothing may be added any more.
    pub(crate) tip_deleted: bool,
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
            rows: Rows::new(),
            tally: Tally::default(),
            uid_next: Uid(1),
            highest_modseq: modseq,
            recent_first: Uid(1),
            keywords: Vec::new(),
            vanished: Vec::new(),
            bell: Rc::default(),
            tip_uid_next: Uid(1),
            tip_keywords: Vec::new(),
            tip_frame: FrameSeq(0),
            tip_deleted: false,
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
        &self.rows
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

    /// What was expunged after `modseq`, oldest first.
    pub(crate) fn vanished_since(&self, modseq: ModSeq) -> &[(ModSeq, UidSet)] {
        let from = self.vanished.partition_point(|entry| entry.0 <= modseq);
        self.vanished.get(from..).unwrap_or_default()
    }

    pub(crate) fn recent_first(&self) -> Uid {
        self.recent_first
    }

    pub(crate) fn arrive(&mut self, row: Row) {
        assert!(row.uid >= self.uid_next, "a UID is never used again");
        self.uid_next = Uid(row.uid.0 + 1);
        self.tip_uid_next = self.tip_uid_next.max(self.uid_next);
        self.tally.add(&row, self.recent_first);
        self.rows.push(&row);
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
                octets: copied.octets,
                delivery: copied.delivery,
            });
        }
    }

    pub(crate) fn flag(&mut self, change: &FlagChange) {
        let tally = &mut self.tally;
        let mut is_changed = false;
        self.rows.update(&change.uids, |row| {
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
        let (mut gone, mut octets) = (UidSet::new(), 0);
        for row in self.rows.of(uids) {
            self.tally.remove(&row, self.recent_first);
            gone.push(row.uid);
            octets += u64::from(row.octets);
        }
        if !gone.is_empty() {
            self.rows.remove(&gone);
            self.vanished.push((modseq, gone));
            self.reached(modseq);
        }
        octets
    }

    /// Messages below `first` are claimed as `\Recent` by a session.
    pub(crate) fn claim_recent(&mut self, first: Uid) {
        if first > self.recent_first {
            let left = self.rows.len() - self.rows.position(first);
            self.tally.recent = left as u32;
            self.recent_first = first;
        }
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
