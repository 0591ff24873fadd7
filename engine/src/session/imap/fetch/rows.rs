//! What of a message is told from its row alone, for as many messages as there are.
//!
//! Rows are read and written in turns that fit the output, without a wait between two messages:
//! what a large mailbox costs is decided here. Between turns the output is sent, and so other
//! sessions run and the client's pace is kept.

use super::super::Session;
use super::super::dialogue::{Dialogue, OUT_BYTES_FULL};
use super::super::io::{Ended, Io};
use super::super::mailstore::{Mailstore, Picture};
use super::super::object::email_id;
use super::super::select::Selected;
use super::super::sequence::{self, Numbers};
use crate::wire::imap::command::FetchItem;
use crate::wire::imap::date::DateTimes;
use crate::wire::imap::response::fetch::Fetch;
use ::store::mail::flags::{Flags, Keywords};
use ::store::mail::id::Uid;
use ::store::mail::uidset::UidSet;
use ::store::mailbox::Row;

/// An item that is in the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum RowItem {
    Uid,
    Flags,
    InternalDate,
    Size,
    ModSeq,
    SaveDate,
    EmailId,
}

/// How flags are shown to the client of a session.
#[derive(Clone, Copy)]
pub(in super::super) struct FlagsShown<'a> {
    keywords: &'a [String],
    /// IMAP4rev2 does not know `\Recent`.
    recent: Option<&'a UidSet>,
}

impl RowItem {
    pub(in super::super) fn of(item: &FetchItem) -> Option<RowItem> {
        Some(match item {
            FetchItem::Uid => RowItem::Uid,
            FetchItem::Flags => RowItem::Flags,
            FetchItem::InternalDate => RowItem::InternalDate,
            FetchItem::Rfc822Size => RowItem::Size,
            FetchItem::ModSeq => RowItem::ModSeq,
            FetchItem::SaveDate => RowItem::SaveDate,
            FetchItem::EmailId => RowItem::EmailId,
            _ => return None,
        })
    }

    pub(in super::super) fn write(
        self,
        out: &mut Vec<u8>,
        fetch: &mut Fetch,
        row: &Row,
        (shown, dates): (FlagsShown<'_>, &mut DateTimes),
    ) {
        match self {
            RowItem::Uid => fetch.uid(out, row.uid),
            RowItem::Flags => shown.write(out, fetch, row.uid, (row.flags, row.keywords)),
            RowItem::InternalDate => fetch.internal_date(out, dates, row.internal_date),
            RowItem::Size => fetch.size(out, row.octets.into()),
            RowItem::ModSeq => fetch.modseq(out, row.modseq),
            RowItem::SaveDate => fetch.save_date(out, dates, row.saved_secs),
            RowItem::EmailId => fetch.object_id(out, "EMAILID", &email_id(row.delivery)),
        }
    }
}

impl<'a> FlagsShown<'a> {
    pub(in super::super) fn in_session<S: Mailstore>(
        selected: &'a Selected<S>,
        rev2: bool,
    ) -> FlagsShown<'a> {
        FlagsShown {
            keywords: &selected.keywords,
            recent: (!rev2).then(|| selected.view.recent()),
        }
    }

    pub(in super::super) fn write(
        self,
        out: &mut Vec<u8>,
        fetch: &mut Fetch,
        uid: Uid,
        (flags, keywords): (Flags, Keywords),
    ) {
        let recent = self.recent.is_some_and(|recent| recent.contains(uid));
        fetch.flags(out, flags, keywords, self.keywords, recent);
    }

    /// Messages whose rows surely fit in the output at once.
    fn messages_a_turn(self) -> u32 {
        let keywords: usize = self.keywords.iter().map(|name| name.len() + 1).sum();
        let messages = OUT_BYTES_FULL / (ROW_BYTES_MAX + keywords);
        u32::try_from(messages.max(1)).unwrap_or(u32::MAX)
    }
}

impl<S: Mailstore> Session<S> {
    /// The items that this client is told: a UIDFETCH has its UID in front.
    pub(in super::super) fn told_items(&self, items: &[RowItem]) -> Vec<RowItem> {
        let named = |item: &RowItem| !self.dialect.uid_only || *item != RowItem::Uid;
        items.iter().copied().filter(named).collect()
    }

    /// One response for each of `uids` that still exists; how many did.
    pub(in super::super) async fn tell_rows<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        uids: &UidSet,
        items: &[RowItem],
    ) -> Result<u64, Ended> {
        let Some(selected) = &self.selected else {
            return Ok(0);
        };
        let most = FlagsShown::in_session(selected, self.rev2).messages_a_turn();
        let tells_flags = items.contains(&RowItem::Flags);
        let (mut told, mut dates) = (0, DateTimes::default());
        for turn in sequence::turns(uids, most) {
            if tells_flags {
                // Another session may have made a keyword since the last turn.
                self.tell_keywords(dialogue.out());
            }
            told += self.tell_turn(dialogue.out(), &turn, items, &mut dates);
            dialogue.flush_if_full().await?;
        }
        Ok(told)
    }

    /// Rows that fit in the output, without a wait.
    fn tell_turn(
        &self,
        out: &mut Vec<u8>,
        turn: &UidSet,
        items: &[RowItem],
        dates: &mut DateTimes,
    ) -> u64 {
        let Some(selected) = &self.selected else {
            return 0;
        };
        let shown = FlagsShown::in_session(selected, self.rev2);
        let mut numbers = Numbers::of(&selected.view);
        let uid_only = self.dialect.uid_only;
        let mut told = 0;
        self.store.rows(&selected.view, turn, &mut |row| {
            let Some(number) = numbers.next(row.uid) else {
                return;
            };
            let mut fetch = match uid_only {
                true => Fetch::open_uid(out, row.uid),
                false => Fetch::open(out, number),
            };
            for item in items {
                item.write(out, &mut fetch, &row, (shown, dates));
            }
            fetch.close(out);
            told += 1;
        });
        told
    }
}

/// A response with every item of a row and every system flag, keywords not counted.
const ROW_BYTES_MAX: usize = 320;
