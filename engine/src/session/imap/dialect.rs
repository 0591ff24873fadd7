//! Which extensions a client has enabled, and which commands enable or need them
//! (RFC 5161, RFC 7162 §3.1 and §3.2.3, RFC 9586 §3).

use super::search::asks_for_modseq;
use crate::wire::imap::command::{Body, FetchItem, Search, SearchKey, SequenceSet, StatusItem};
use crate::wire::imap::find::Find;

/// What a client understands beyond the base; once enabled, it stays so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Dialect {
    /// MODSEQ is in every FETCH response that tells a change.
    pub(super) condstore: bool,
    /// VANISHED instead of EXPUNGE.
    pub(super) qresync: bool,
    /// No sequence numbers in either direction.
    pub(super) uid_only: bool,
}

impl Dialect {
    /// Enables an extension by its name in upper case; the name as it is told where that is new.
    pub(super) fn enable(&mut self, name: &str) -> Option<&'static str> {
        let (is_new, name) = match name {
            "CONDSTORE" => (!self.condstore, "CONDSTORE"),
            "QRESYNC" => (!self.qresync, "QRESYNC"),
            "UIDONLY" => (!self.uid_only, "UIDONLY"),
            _ => return None,
        };
        // RFC 7162 §3.2.3: QRESYNC brings CONDSTORE along.
        self.condstore |= name != "UIDONLY";
        self.qresync |= name == "QRESYNC";
        self.uid_only |= name == "UIDONLY";
        is_new.then_some(name)
    }

    /// Expunges are told by UID.
    pub(super) fn tells_vanished(self) -> bool {
        self.qresync || self.uid_only
    }
}

/// RFC 7162 §3.1: commands by which a client shows that it knows CONDSTORE.
pub(super) fn enables_condstore(body: &Body) -> bool {
    match body {
        Body::Resync(select) => select.condstore || select.resync.is_some(),
        Body::Status { items, .. } => items.contains(&StatusItem::HighestModSeq),
        Body::List(list) => {
            let items = list.returns.status.as_ref();
            items.is_some_and(|items| items.contains(&StatusItem::HighestModSeq))
        }
        Body::Fetch {
            items, modifiers, ..
        } => modifiers.changed_since.is_some() || items.contains(&FetchItem::ModSeq),
        Body::Store { store, .. } => store.unchanged_since.is_some(),
        Body::Search { search, .. } => asks_for_modseq(&search.key),
        Body::Find(find) => searched(find).is_some_and(|search| asks_for_modseq(&search.key)),
        _ => false,
    }
}

/// RFC 9586 §3: whether a command names messages by number.
pub(super) fn uses_numbers(body: &Body) -> bool {
    match body {
        Body::Fetch { uid, .. }
        | Body::Store { uid, .. }
        | Body::Copy { uid, .. }
        | Body::Move { uid, .. } => !uid,
        Body::Append(append) => append.replaces.is_some_and(|replaced| !replaced.uid),
        Body::Search { uid, search } => !uid || has_numbers(&search.key),
        Body::Find(find) => {
            let search = searched(find);
            find.tells_numbers() || search.is_some_and(|search| has_numbers(&search.key))
        }
        Body::Resync(select) => {
            let resync = select.resync.as_ref();
            resync.is_some_and(|resync| resync.matched.is_some())
        }
        _ => false,
    }
}

fn searched(find: &Find) -> Option<&Search> {
    match find {
        Find::Sort { search, .. } | Find::Thread { search, .. } | Find::Multi { search, .. } => {
            Some(search)
        }
        Find::CancelUpdate(_) => None,
    }
}

/// The parser bounds the depth.
fn has_numbers(key: &SearchKey) -> bool {
    match key {
        SearchKey::Sequence(SequenceSet::Ranges(_)) => true,
        SearchKey::Not(key) | SearchKey::Fuzzy(key) => has_numbers(key),
        SearchKey::Or(one, other) => has_numbers(one) || has_numbers(other),
        SearchKey::And(keys) => keys.iter().any(has_numbers),
        _ => false,
    }
}
