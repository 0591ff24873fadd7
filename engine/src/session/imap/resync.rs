//! What a client has missed since a MODSEQ: VANISHED (EARLIER) and the messages that changed
//! (RFC 7162 §3.2.5, §3.2.6).
//!
//! Where the mailbox does not remember its expunges that far back, every UID that the client may
//! know and that is not there is named: too much is harmless, too little is not.

use super::Session;
use super::dialogue::Dialogue;
use super::fetch::rows::RowItem;
use super::io::{Ended, Io};
use super::mailstore::{Mailstore, Picture};
use crate::wire::imap::command::{SequenceNumber, SequenceSet};
use crate::wire::imap::response::resync::{RANGES_A_LINE, vanished};
use crate::wire::imap::resync::{Matched, Resync};
use crate::wire::imap::set;
use store::mail::id::{ModSeq, Uid};
use store::mail::uidset::UidSet;

impl<S: Mailstore> Session<S> {
    /// The answer to `SELECT … (QRESYNC (…))`, behind what every SELECT tells. A client whose
    /// UIDVALIDITY is another one has nothing that could be mended.
    pub(super) async fn resync<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        resync: &Resync,
    ) -> Result<(), Ended> {
        let Some(selected) = &self.selected else {
            return Ok(());
        };
        let view = &selected.view;
        if view.uid_validity().0 != resync.uid_validity {
            return Ok(());
        }
        let (since, known) = (ModSeq(resync.modseq), resync.known_uids.as_ref());
        let all = seen_so_far(view);
        let known = known.map_or(all.clone(), |known| intersection(known, &all));
        let settled = resync
            .matched
            .as_ref()
            .map_or(0, |matched| agreed(view, matched));
        let gone = self.gone_since(view, since, &known, settled);
        let changed = intersection(&self.store.changed_since(view, since), &known);
        tell_earlier(dialogue, &gone).await?;
        let items = self.told_items(&[RowItem::Uid, RowItem::Flags, RowItem::ModSeq]);
        self.tell_rows(dialogue, &changed, &items).await?;
        Ok(())
    }

    /// What of `set`, the UIDs that a FETCH names, has vanished since (RFC 7162 §3.2.6).
    pub(super) async fn tell_vanished_since<I: Io>(
        &self,
        dialogue: &mut Dialogue<I>,
        set: &SequenceSet,
        since: ModSeq,
    ) -> Result<(), Ended> {
        let Some(selected) = &self.selected else {
            return Ok(());
        };
        let view = &selected.view;
        let named = match set {
            SequenceSet::Saved => selected.saved.clone(),
            // A range ends with the largest UID that ever was: the message that had it may be what
            // is gone. `*` alone is one that is there (RFC 9051 §9, seq-number).
            SequenceSet::Ranges(ranges) => {
                let alone = (SequenceNumber::Star, SequenceNumber::Star);
                let ranges: Vec<_> = ranges.iter().copied().filter(|r| *r != alone).collect();
                set::resolve(&ranges, view.uid_next().0 - 1)
            }
        };
        let named = intersection(&named, &seen_so_far(view));
        let gone = self.gone_since(view, since, &named, 0);
        tell_earlier(dialogue, &gone).await
    }

    /// Of `known`, what was expunged after `since`. UIDs up to `settled` were expunged before, as
    /// the client has shown: it need not be told of them where nobody remembers.
    fn gone_since(&self, view: &S::View, since: ModSeq, known: &UidSet, settled: u32) -> UidSet {
        let there = UidSet::from_ascending(view.uids().iter().copied().map(Uid));
        match self.store.vanished_since(view, since) {
            // RFC 7162 §3.2.10: (EARLIER) is of no message that the client counts.
            Some(gone) => intersection(&gone, known).without(&there),
            None => {
                let settled = UidSet::from_ranges((settled > 0).then_some((1, settled)));
                known.without(&settled).without(&there)
            }
        }
    }
}

/// In several responses where the set is long.
async fn tell_earlier<I: Io>(dialogue: &mut Dialogue<I>, gone: &UidSet) -> Result<(), Ended> {
    for ranges in gone.ranges().chunks(RANGES_A_LINE) {
        let some = UidSet::from_ranges(ranges.iter().copied());
        vanished(dialogue.out(), true, &some);
        dialogue.flush_if_full().await?;
    }
    Ok(())
}

/// `1:<maxuid>` of RFC 7162 §3.2.5.2: nothing is said of UIDs that will be given out later.
fn seen_so_far(view: &impl Picture) -> UidSet {
    let last = view.uid_next().0 - 1;
    UidSet::from_ranges((last > 0).then_some((1, last)))
}

/// The highest UID that has the number which the client knows it by: up to there it has missed no
/// expunge (RFC 7162 §3.2.5.2).
fn agreed(view: &impl Picture, matched: &Matched) -> u32 {
    let exists = view.exists();
    let pairs = matched.numbers.iter().zip(matched.uids.iter());
    let there = pairs.take_while(|(number, _)| number.0 <= exists);
    let agreed = there.filter(|(number, uid)| view.sequence(*uid) == Some(number.0));
    agreed.last().map_or(0, |(_, uid)| uid.0)
}

/// What is in both sets.
pub(super) fn intersection(a: &UidSet, b: &UidSet) -> UidSet {
    a.without(&a.without(b))
}
