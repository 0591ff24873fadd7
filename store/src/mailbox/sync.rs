//! The difference between a session's picture and the mailbox: EXPUNGE, EXISTS, RECENT, FETCH.

use super::contents::Contents;
use super::view::{Change, View};
use crate::mail::id::{AccountId, Uid};
use crate::mail::uidset::UidSet;

/// A picture of the mailbox as it is now; `claim_recent` as in [`crate::shard::Shard::view`].
/// There is none of a mailbox whose rows cannot be had: it would tell a client that its mail is
/// gone.
pub(crate) fn picture(account: AccountId, contents: &Contents, claim_recent: bool) -> Option<View> {
    if contents.damage().is_some() {
        return None;
    }
    let mut view = View {
        account,
        mailbox: contents.id,
        uid_validity: contents.uid_validity,
        uids: contents.rows().uids(),
        uid_next: contents.uid_next(),
        modseq: contents.highest_modseq(),
        expunged_modseq: contents.highest_modseq(),
        recent: UidSet::new(),
        claims_recent: claim_recent,
        is_gone: false,
    };
    take_recent(&mut view, contents.recent_first());
    Some(view)
}

/// Brings `view` up to now. Held-back expunges are told first, as soon as they may.
pub(crate) fn sync(view: &mut View, contents: &Contents, expunges: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    let in_step = contents.highest_modseq();
    if (view.modseq, view.expunged_modseq) == (in_step, in_step) || contents.damage().is_some() {
        return changes;
    }
    if expunges {
        tell_expunges(view, contents, &mut changes);
    }
    tell_flags(view, contents, &mut changes);
    tell_arrivals(view, contents, &mut changes);
    view.modseq = contents.highest_modseq();
    changes
}

/// Empties the view of a mailbox that was deleted.
pub(crate) fn gone(view: &mut View) -> Vec<Change> {
    if view.is_gone {
        return Vec::new();
    }
    view.is_gone = true;
    view.uids.clear();
    vec![Change::Gone]
}

fn tell_expunges(view: &mut View, contents: &Contents, changes: &mut Vec<Change>) {
    let vanished = contents.vanished_since(view.expunged_modseq);
    let uids = vanished.unwrap_or_else(|| missing(view, contents));
    view.expunged_modseq = contents.highest_modseq();
    if uids.is_empty() {
        return;
    }
    let mut told = 0;
    let mut sequence = 0;
    view.uids.retain(|&uid| {
        sequence += 1;
        if !uids.contains(Uid(uid)) {
            return true;
        }
        changes.push(Change::Expunge {
            sequence: sequence - told,
            uid: Uid(uid),
        });
        told += 1;
        false
    });
    view.recent = view.recent.without(&uids);
}

/// The messages of the view that are not there any more, for a view that is older than what the
/// mailbox remembers of its expunges.
fn missing(view: &View, contents: &Contents) -> UidSet {
    let mut rows = contents.rows().iter().peekable();
    let known = view.uids.iter().map(|uid| Uid(*uid));
    UidSet::from_ascending(known.filter(|&uid| {
        while rows.next_if(|row| row.uid < uid).is_some() {}
        rows.peek().is_none_or(|row| row.uid != uid)
    }))
}

fn tell_flags(view: &View, contents: &Contents, changes: &mut Vec<Change>) {
    if contents.highest_modseq() == view.modseq {
        return;
    }
    let changed = contents.rows().changed_since(view.modseq, view.uid_next);
    changes.extend(changed.filter_map(|row| {
        Some(Change::Fetch {
            sequence: view.sequence(row.uid)?,
            uid: row.uid,
            modseq: row.modseq,
            flags: row.flags,
            keywords: row.keywords,
        })
    }));
}

fn tell_arrivals(view: &mut View, contents: &Contents, changes: &mut Vec<Change>) {
    let (known, first) = (view.uids.len(), view.uid_next);
    let arrived = contents.rows().between(first, Uid(u32::MAX));
    view.uids.extend(arrived.map(|row| row.uid.0));
    view.uid_next = contents.uid_next();
    if view.uids.len() == known {
        return;
    }
    changes.push(Change::Exists(view.exists()));
    if take_recent(view, first.max(contents.recent_first())) {
        changes.push(Change::Recent(view.recent.len() as u32));
    }
}

/// Takes messages from `first` on as `\Recent` in this session (RFC 3501 §2.3.2): a session that
/// only examines sees them as recent and leaves them so for the next one.
fn take_recent(view: &mut View, first: Uid) -> bool {
    let from = view.uids.partition_point(|uid| *uid < first.0);
    let recent = view.uids.get(from..).unwrap_or_default();
    recent.iter().for_each(|uid| view.recent.push(Uid(*uid)));
    !recent.is_empty()
}
