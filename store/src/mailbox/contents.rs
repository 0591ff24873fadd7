//! The rows of one mailbox and what follows from them: counts, vanished history, recent changes.
//!
//! Facts are applied when they are durable and in the order of the log, so everything here is
//! durable, but for the `tip_…` fields: they count what is on its way to the disk, so that no UID
//! and no keyword position is given out twice.

use super::row::Row;
use super::tree::{SpecialUse, Status};
use crate::bell::Bell;
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{FrameSeq, MailboxId, ModSeq, Uid, UidValidity};
use crate::mail::uidset::UidSet;
use crate::record::{Copy, FlagChange, FlagOp};
use std::collections::VecDeque;
use std::rc::Rc;

#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) id: MailboxId,
    pub(crate) name: String,
    pub(crate) uid_validity: UidValidity,
    pub(crate) special_use: SpecialUse,
    rows: Vec<Row>,
    uid_next: Uid,
    highest_modseq: ModSeq,
    unseen: u32,
    deleted: u32,
    octets: u64,
    pub(crate) recent_first: Uid,
    keywords: Vec<String>,
    /// What was expunged at which MODSEQ, ascending: the answer to QRESYNC (RFC 7162 §3.2.10).
    vanished: Vec<(ModSeq, UidSet)>,
    /// The latest changes of flags, so that a session in step need not look at every row.
    changed: VecDeque<(ModSeq, UidSet)>,
    /// Every change of flags after this is in `changed`.
    changed_floor: ModSeq,
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
            rows: Vec::new(),
            uid_next: Uid(1),
            highest_modseq: modseq,
            unseen: 0,
            deleted: 0,
            octets: 0,
            recent_first: Uid(1),
            keywords: Vec::new(),
            vanished: Vec::new(),
            changed: VecDeque::new(),
            changed_floor: modseq,
            bell: Rc::default(),
            tip_uid_next: Uid(1),
            tip_keywords: Vec::new(),
            tip_frame: FrameSeq(0),
            tip_deleted: false,
        }
    }

    pub(crate) fn status(&self) -> Status {
        let recent_from = self.rows.partition_point(|row| row.uid < self.recent_first);
        Status {
            messages: self.rows.len() as u32,
            unseen: self.unseen,
            deleted: self.deleted,
            octets: self.octets,
            recent: (self.rows.len() - recent_from) as u32,
            uid_next: self.uid_next,
            uid_validity: self.uid_validity,
            highest_modseq: self.highest_modseq,
        }
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Rows with a UID in `first..=last`.
    pub(crate) fn rows_between(&self, first: Uid, last: Uid) -> &[Row] {
        let from = self.rows.partition_point(|row| row.uid < first);
        let to = self.rows.partition_point(|row| row.uid <= last);
        self.rows.get(from..to).unwrap_or_default()
    }

    /// The rows of `uids` that exist, ascending.
    pub(crate) fn rows_of<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = &'a Row> {
        let between = |&(first, last)| self.rows_between(Uid(first), Uid(last));
        uids.ranges().iter().flat_map(between)
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

    /// The UIDs whose flags may have changed after `modseq`; `None`: look at every row.
    pub(crate) fn changed_since(&self, modseq: ModSeq) -> Option<UidSet> {
        if modseq < self.changed_floor {
            return None;
        }
        let recent = self.changed.iter().filter(|entry| entry.0 > modseq);
        Some(UidSet::from_ranges(
            recent.flat_map(|entry| entry.1.ranges().iter().copied()),
        ))
    }

    pub(crate) fn arrive(&mut self, row: Row) {
        assert!(row.uid >= self.uid_next, "a UID is never used again");
        self.uid_next = Uid(row.uid.0 + 1);
        self.tip_uid_next = self.tip_uid_next.max(self.uid_next);
        self.count(&row, true);
        self.rows.push(row);
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
        let mut touched = UidSet::new();
        for &(first, last) in change.uids.ranges() {
            let from = self.rows.partition_point(|row| row.uid.0 < first);
            let to = self.rows.partition_point(|row| row.uid.0 <= last);
            for row in self.rows.get_mut(from..to).unwrap_or_default() {
                let (flags, keywords) = flagged(row, change);
                if (flags, keywords) == (row.flags, row.keywords) {
                    continue;
                }
                recount(&mut self.unseen, !row.flags.contains(Flags::SEEN), -1);
                recount(&mut self.unseen, !flags.contains(Flags::SEEN), 1);
                recount(&mut self.deleted, row.flags.contains(Flags::DELETED), -1);
                recount(&mut self.deleted, flags.contains(Flags::DELETED), 1);
                (row.flags, row.keywords, row.modseq) = (flags, keywords, change.modseq);
                touched.push(row.uid);
            }
        }
        if !touched.is_empty() {
            self.remember_change(change.modseq, touched);
            self.reached(change.modseq);
        }
    }

    /// Removes those of `uids` that exist and returns how many octets they had.
    pub(crate) fn expunge(&mut self, uids: &UidSet, modseq: ModSeq) -> u64 {
        let gone: Vec<Row> = self.rows_of(uids).copied().collect();
        if gone.is_empty() {
            return 0;
        }
        for row in &gone {
            self.count(row, false);
        }
        self.rows.retain(|row| !uids.contains(row.uid));
        let gone_uids = UidSet::from_ascending(gone.iter().map(|row| row.uid));
        self.vanished.push((modseq, gone_uids));
        self.reached(modseq);
        gone.iter().map(|row| u64::from(row.octets)).sum()
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

    fn count(&mut self, row: &Row, arrives: bool) {
        let by = if arrives { 1 } else { -1 };
        recount(&mut self.unseen, !row.flags.contains(Flags::SEEN), by);
        recount(&mut self.deleted, row.flags.contains(Flags::DELETED), by);
        self.octets = self
            .octets
            .wrapping_add_signed(i64::from(row.octets) * i64::from(by));
    }

    fn remember_change(&mut self, modseq: ModSeq, uids: UidSet) {
        if self.changed.len() == CHANGES_REMEMBERED_MAX
            && let Some((oldest, _)) = self.changed.pop_front()
        {
            self.changed_floor = oldest;
        }
        self.changed.push_back((modseq, uids));
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

fn recount(counter: &mut u32, counts: bool, by: i32) {
    if counts {
        *counter = counter
            .checked_add_signed(by)
            .expect("a message is counted once, then uncounted");
    }
}

/// Changes of flags that a mailbox remembers beside its rows.
const CHANGES_REMEMBERED_MAX: usize = 256;
