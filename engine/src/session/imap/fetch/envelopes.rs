//! ENVELOPE of many messages, as the store keeps it: neither opened nor parsed.
//!
//! What has no envelope there (it came lately, it is odd) is told from its header, in its place.

use super::super::Session;
use super::super::dialogue::Dialogue;
use super::super::io::{Ended, Io};
use super::super::mailstore::{Mailstore, Picture};
use super::super::sequence;
use super::Outcome;
use super::rows::{FlagsShown, RowItem};
use crate::wire::imap::command::FetchItem;
use crate::wire::imap::date::DateTimes;
use crate::wire::imap::response::fetch::Fetch;
use ::store::mail::id::Uid;
use ::store::mail::uidset::UidSet;
use std::ops::Range;

/// Messages whose envelopes are taken from the store together: some 100 KiB.
const MESSAGES_A_TURN: u32 = 256;

/// Whether nothing but rows and envelopes is asked for.
pub(super) fn are_enough(items: &[FetchItem]) -> bool {
    let is_envelope = |item: &FetchItem| matches!(item, FetchItem::Envelope);
    items.iter().any(is_envelope)
        && items
            .iter()
            .all(|item| is_envelope(item) || RowItem::of(item).is_some())
}

/// Envelopes one behind the other, found by UID.
#[derive(Default)]
struct Envelopes {
    octets: Vec<u8>,
    /// Ascending.
    places: Vec<(u32, Range<usize>)>,
}

impl Envelopes {
    fn add(&mut self, uid: Uid, envelope: &[u8]) {
        let from = self.octets.len();
        self.octets.extend_from_slice(envelope);
        self.places.push((uid.0, from..self.octets.len()));
    }

    fn of(&self, uid: Uid) -> Option<&[u8]> {
        let at = self
            .places
            .binary_search_by_key(&uid.0, |place| place.0)
            .ok()?;
        let (_, range) = self.places.get(at)?;
        self.octets.get(range.clone())
    }
}

impl<S: Mailstore> Session<S> {
    /// One response for each of `uids` that still exists.
    pub(super) async fn tell_envelopes<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        uids: &UidSet,
        items: &[FetchItem],
    ) -> Result<Outcome, Ended> {
        let mut outcome = Outcome::default();
        for turn in sequence::turns(uids, MESSAGES_A_TURN) {
            let envelopes = self.envelopes_of(&turn).await;
            for uid in turn.iter() {
                let is_readable = |envelope: &&[u8]| self.reads_utf8() || envelope.is_ascii();
                match envelopes.of(uid).filter(is_readable) {
                    Some(envelope) => {
                        let told = self.tell_envelope(dialogue.out(), uid, items, envelope);
                        outcome.gone |= !told;
                    }
                    None => {
                        self.fetch_message(dialogue, uid, items, false, &mut outcome)
                            .await?;
                    }
                }
                dialogue.flush_if_full().await?;
            }
        }
        Ok(outcome)
    }

    async fn envelopes_of(&self, uids: &UidSet) -> Envelopes {
        let mut envelopes = Envelopes::default();
        if let Some(selected) = &self.selected {
            let mailbox = selected.view.mailbox();
            let mut take = |uid: Uid, octets: &[u8]| envelopes.add(uid, octets);
            self.store
                .envelopes(self.account, mailbox, uids, &mut take)
                .await;
        }
        envelopes
    }

    /// Whether the message still exists.
    fn tell_envelope(
        &self,
        out: &mut Vec<u8>,
        uid: Uid,
        items: &[FetchItem],
        envelope: &[u8],
    ) -> bool {
        let Some(selected) = &self.selected else {
            return false;
        };
        let view = &selected.view;
        let (Some(row), Some(sequence)) = (self.store.row(view, uid), view.sequence(uid)) else {
            return false;
        };
        let shown = FlagsShown::in_session(selected, self.rev2);
        let mut fetch = Fetch::open(out, sequence);
        for item in items {
            match RowItem::of(item) {
                Some(item) => {
                    item.write(out, &mut fetch, &row, (shown, &mut DateTimes::default()));
                }
                None => fetch.item(out, "ENVELOPE").extend_from_slice(envelope),
            }
        }
        fetch.close(out);
        true
    }
}
