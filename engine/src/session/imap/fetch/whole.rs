//! Whole messages that are in memory, told without a wait: what a client asks for that copies a
//! mailbox. One copy of the octets is made, into the output.

use super::super::Session;
use super::super::dialogue::Dialogue;
use super::super::io::Io;
use super::super::item::Headers;
use super::super::mailstore::{Mailstore, Picture};
use super::super::section::SMALL_BYTES_MAX;
use super::rows::{FlagsShown, RowItem};
use crate::wire::imap::command::{FetchItem, Section, SectionText};
use crate::wire::imap::date::DateTimes;
use crate::wire::imap::response::fetch::Fetch;
use ::store::mail::id::Uid;
use ::store::mailbox::Row;

/// An item that the row tells, or the octets of the message.
enum Item<'a> {
    Row(RowItem),
    Section(&'a Section),
    Rfc822,
}

/// The items of a FETCH that asks for whole messages and for nothing else that must be read.
pub(super) struct Whole<'a>(Vec<Item<'a>>);

impl<'a> Whole<'a> {
    /// `None` where something else is asked for, or not for the messages as they are.
    pub(super) fn of(items: &'a [FetchItem], headers: Headers) -> Option<Whole<'a>> {
        if headers != Headers::AsTheyAre {
            return None;
        }
        let told: Option<Vec<Item<'_>>> = items.iter().map(Item::of).collect();
        let is_whole = |item: &Item<'_>| !matches!(item, Item::Row(_));
        told.filter(|told| told.iter().any(is_whole)).map(Whole)
    }

    fn write(
        &self,
        out: &mut Vec<u8>,
        mut fetch: Fetch,
        (row, shown): (&Row, FlagsShown<'_>),
        parts: [&[u8]; 2],
    ) {
        let octets = parts.iter().map(|part| part.len() as u64).sum();
        for item in &self.0 {
            match item {
                Item::Row(item) => {
                    item.write(out, &mut fetch, row, (shown, &mut DateTimes::default()));
                    continue;
                }
                Item::Section(section) => fetch.section(out, section, None, Some(octets)),
                Item::Rfc822 => fetch.text(out, "RFC822", octets),
            }
            parts.iter().for_each(|part| out.extend_from_slice(part));
        }
        fetch.close(out);
    }
}

impl<'a> Item<'a> {
    fn of(item: &'a FetchItem) -> Option<Item<'a>> {
        if let Some(item) = RowItem::of(item) {
            return Some(Item::Row(item));
        }
        match item {
            FetchItem::Rfc822 => Some(Item::Rfc822),
            FetchItem::Section {
                section,
                partial: None,
                ..
            } if section.part.is_empty() && matches!(section.text, SectionText::All) => {
                Some(Item::Section(section))
            }
            _ => None,
        }
    }
}

impl<S: Mailstore> Session<S> {
    /// Tells a message that is there and is small; `false`: it was not told.
    pub(super) fn tell_whole<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        uid: Uid,
        whole: &Whole<'_>,
    ) -> bool {
        // Another session may have made a keyword meanwhile.
        self.tell_keywords(dialogue.out());
        let Some(selected) = &self.selected else {
            return false;
        };
        let view = &selected.view;
        let (Some(row), Some(sequence)) = (self.store.row(view, uid), view.sequence(uid)) else {
            return false;
        };
        if row.octets as usize > SMALL_BYTES_MAX {
            return false;
        }
        let shown = FlagsShown::in_session(selected, self.rev2);
        let out = dialogue.out();
        self.store.at_hand(row.delivery, &mut |parts| {
            let fetch = self.open_fetch(out, sequence, uid);
            whole.write(out, fetch, (&row, shown), parts);
        })
    }
}
